//! The server's side of a conversation, for the simulated cluster and for tests of the client.
//!
//! Written from RFC 5802 without the client's code, so that an error on either side shows as a failed conversation.

use std::fmt;

use ::sasl::common::scram::{ScramProvider, Sha256, generate_nonce};

use super::{ITERATIONS_MIN, Mechanism, SaslError, base64, scram::Sha512};
use crate::secret::{Secret, equal_in_constant_time};

/// Gives the password of a user, or nothing for an unknown one.
pub type Lookup<'a> = dyn Fn(&str) -> Option<Secret> + Send + Sync + 'a;

/// What to do after a message from the client.
#[derive(Clone, PartialEq, Eq)]
pub enum ServerStep {
    /// Send these bytes and wait for the next message.
    Send(Vec<u8>),
    /// Send these bytes; the client is this user.
    Done(Vec<u8>, String),
}

impl fmt::Debug for ServerStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(_) => f.write_str("Send(…)"),
            Self::Done(_, user) => write!(f, "Done(…, {user:?})"),
        }
    }
}

/// The server's side of one conversation. After an error it is over.
pub struct SaslServer<'a> {
    mechanism: Mechanism,
    lookup: Box<Lookup<'a>>,
    nonce: Option<String>,
    iterations: u32,
    turn: Turn,
}

enum Turn {
    First,
    Final(Box<Exchange>),
    Over,
}

/// What a SCRAM server remembers between the client's two messages.
struct Exchange {
    user: String,
    client_first_bare: String,
    server_first: String,
    nonce: String,
    salted_password: Vec<u8>,
}

impl fmt::Debug for SaslServer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslServer").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

impl<'a> SaslServer<'a> {
    /// Waits for a client's first message. `lookup` owns or borrows the users.
    #[must_use]
    pub fn new(
        mechanism: Mechanism,
        lookup: impl Fn(&str) -> Option<Secret> + Send + Sync + 'a,
    ) -> Self {
        Self {
            mechanism,
            lookup: Box::new(lookup),
            nonce: None,
            iterations: ITERATIONS_MIN,
            turn: Turn::First,
        }
    }

    /// With this part of the nonce instead of a random one: for conversations that must repeat exactly.
    #[must_use]
    pub fn with_nonce(mut self, nonce: &str) -> Self {
        self.nonce = Some(nonce.to_owned());
        self
    }

    /// With another iteration count than the least allowed.
    #[must_use]
    pub fn with_iterations(mut self, iterations: u32) -> Self {
        self.iterations = iterations;
        self
    }

    /// Takes the client's next message.
    ///
    /// # Errors
    /// [`SaslError::WrongCredentials`] for an unknown user or a wrong password, [`SaslError::Malformed`] and
    /// [`SaslError::OutOfTurn`] for messages that do not belong.
    pub fn respond(&mut self, message: &[u8]) -> Result<ServerStep, SaslError> {
        let turn = std::mem::replace(&mut self.turn, Turn::Over);
        match (turn, self.mechanism) {
            (Turn::First, Mechanism::Plain) => self.plain(message),
            (Turn::First, Mechanism::ScramSha256) => self.scram_first::<Sha256>(message),
            (Turn::First, Mechanism::ScramSha512) => self.scram_first::<Sha512>(message),
            (Turn::Final(exchange), Mechanism::ScramSha256) => {
                scram_final::<Sha256>(*exchange, message)
            }
            (Turn::Final(exchange), Mechanism::ScramSha512) => {
                scram_final::<Sha512>(*exchange, message)
            }
            // The simulated cluster knows passwords, and issues no tokens.
            (_, Mechanism::OauthBearer) => Err(SaslError::WrongCredentials),
            (Turn::Final(_), Mechanism::Plain) | (Turn::Over, _) => {
                Err(SaslError::OutOfTurn("a message"))
            }
        }
    }

    /// `[authorization identity] NUL user NUL password`
    fn plain(&self, message: &[u8]) -> Result<ServerStep, SaslError> {
        let malformed = |reason| SaslError::Malformed { message: "PLAIN", reason };
        let text = std::str::from_utf8(message).map_err(|_| malformed("it is not UTF-8"))?;
        let parts: Vec<&str> = text.split('\0').collect();
        let [identity, user, password] = parts[..] else {
            return Err(malformed("it has not three parts"));
        };
        if !identity.is_empty() && identity != user {
            return Err(malformed("it asks for another user's rights"));
        }
        let known = (self.lookup)(user).ok_or(SaslError::WrongCredentials)?;
        if known != Secret::from(password) {
            return Err(SaslError::WrongCredentials);
        }
        Ok(ServerStep::Done(Vec::new(), user.to_owned()))
    }

    /// `n,,n=<user>,r=<nonce>` to `r=<nonce>,s=<salt>,i=<iterations>`
    fn scram_first<S: ScramProvider>(&mut self, message: &[u8]) -> Result<ServerStep, SaslError> {
        let malformed = |reason| SaslError::Malformed { message: "client-first", reason };
        let text = std::str::from_utf8(message).map_err(|_| malformed("it is not UTF-8"))?;
        let bare = text
            .strip_prefix("n,,")
            .ok_or_else(|| malformed("it asks for channel binding or other rights"))?;
        let mut parts = bare.split(',');
        let user = parts
            .next()
            .and_then(|part| part.strip_prefix("n="))
            .ok_or_else(|| malformed("it has no user"))?;
        let user = unescape(user)
            .ok_or_else(|| malformed("the user's name is not escaped as it should be"))?;
        let theirs =
            parts.next().and_then(|part| part.strip_prefix("r=")).filter(|nonce| !nonce.is_empty());
        let theirs = theirs.ok_or_else(|| malformed("it has no nonce"))?;
        if parts.any(|part| part.starts_with("m=")) {
            return Err(SaslError::MandatoryExtension);
        }
        let password = (self.lookup)(&user).ok_or(SaslError::WrongCredentials)?;
        let ours = match &self.nonce {
            Some(nonce) => nonce.clone(),
            None => generate_nonce().map_err(|_| SaslError::Nonce)?,
        };
        let nonce = format!("{theirs}{ours}");
        // A stored salt would do as well; what counts here is that it is not empty and differs between users.
        let salt = &S::hash(user.as_bytes())[..16];
        let plain = ::sasl::common::Password::Plain(password.expose().to_owned());
        let derived = S::derive(&plain, salt, self.iterations);
        let salted_password = derived.map_err(|error| SaslError::Mechanism(error.to_string()))?;
        let server_first = format!("r={nonce},s={},i={}", base64::encode(salt), self.iterations);
        let answer = server_first.clone().into_bytes();
        let client_first_bare = bare.to_owned();
        self.turn = Turn::Final(Box::new(Exchange {
            user,
            client_first_bare,
            server_first,
            nonce,
            salted_password,
        }));
        Ok(ServerStep::Send(answer))
    }
}

/// `c=biws,r=<nonce>,p=<proof>` to `v=<signature>`
fn scram_final<S: ScramProvider>(
    exchange: Exchange,
    message: &[u8],
) -> Result<ServerStep, SaslError> {
    let malformed = |reason| SaslError::Malformed { message: "client-final", reason };
    let hmac = |key: &[u8], data: &[u8]| {
        S::hmac(data, key).map_err(|error| SaslError::Mechanism(error.to_string()))
    };
    let text = std::str::from_utf8(message).map_err(|_| malformed("it is not UTF-8"))?;
    let (without_proof, proof) =
        text.rsplit_once(",p=").ok_or_else(|| malformed("it has no proof"))?;
    let mut parts = without_proof.split(',');
    // The base64 of `n,,`: the header of the first message, repeated.
    if parts.next() != Some("c=biws") {
        return Err(malformed("it does not repeat the header"));
    }
    if parts.next().and_then(|part| part.strip_prefix("r=")) != Some(exchange.nonce.as_str()) {
        return Err(SaslError::ForeignNonce);
    }
    let proof = base64::decode(proof).ok_or_else(|| malformed("the proof is not base64"))?;
    let transcript =
        format!("{},{},{without_proof}", exchange.client_first_bare, exchange.server_first);
    let client_key = hmac(&exchange.salted_password, b"Client Key")?;
    let signature = hmac(&S::hash(&client_key), transcript.as_bytes())?;
    let expected: Vec<u8> =
        client_key.iter().zip(&signature).map(|(key, signature)| key ^ signature).collect();
    if !equal_in_constant_time(&proof, &expected) {
        return Err(SaslError::WrongCredentials);
    }
    let server_key = hmac(&exchange.salted_password, b"Server Key")?;
    let server_signature = hmac(&server_key, transcript.as_bytes())?;
    Ok(ServerStep::Done(
        format!("v={}", base64::encode(&server_signature)).into_bytes(),
        exchange.user,
    ))
}

/// The name behind `=2C` and `=3D`; nothing for a bare `=`.
fn unescape(escaped: &str) -> Option<String> {
    let mut parts = escaped.split('=');
    let mut name = parts.next()?.to_owned();
    for part in parts {
        let (code, rest) = part.split_at_checked(2)?;
        name.push(match code {
            "2C" => ',',
            "3D" => '=',
            _ => return None,
        });
        name.push_str(rest);
    }
    Some(name)
}
