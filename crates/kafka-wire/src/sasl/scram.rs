//! The guard around the SCRAM client of the `sasl` crate.

use ::sasl::{
    client::{MechanismError, mechanisms::Scram},
    common::{
        ChannelBinding, Password,
        scram::{DeriveError, ScramProvider},
    },
    secret,
};
use hmac::{Hmac, Mac, digest::InvalidLength};
use sha2::Digest;

use super::{Credentials, ITERATIONS_MAX, ITERATIONS_MIN, SaslError, SaslStep};

/// Longest message from a server that is looked at; honest ones have about 150 bytes.
const MESSAGE_BYTES_MAX: usize = 8 << 10;

/// What a server may name as the cause (RFC 5802, section 7).
const SERVER_ERRORS: [&str; 11] = [
    "invalid-encoding",
    "extensions-not-supported",
    "invalid-proof",
    "channel-bindings-dont-match",
    "server-does-support-channel-binding",
    "channel-binding-not-supported",
    "unsupported-channel-binding-type",
    "unknown-user",
    "invalid-username-encoding",
    "no-resources",
    "other-error",
];

/// SHA-512 for the `sasl` crate, which brings SHA-1 and SHA-256 only.
pub(super) struct Sha512;

impl ScramProvider for Sha512 {
    // A marker that the client never looks at; the crate has none for SHA-512.
    type Secret = secret::Pbkdf2Sha256;

    fn name() -> &'static str {
        "SHA-512"
    }

    fn hash(data: &[u8]) -> Vec<u8> {
        sha2::Sha512::digest(data).to_vec()
    }

    fn hmac(data: &[u8], key: &[u8]) -> Result<Vec<u8>, InvalidLength> {
        let mut mac = Hmac::<sha2::Sha512>::new_from_slice(key)?;
        mac.update(data);
        Ok(mac.finalize().into_bytes().to_vec())
    }

    fn derive(password: &Password, salt: &[u8], iterations: u32) -> Result<Vec<u8>, DeriveError> {
        let Password::Plain(plain) = password else {
            return Err(DeriveError::IncompatibleHashingMethod(
                "PBKDF2".to_owned(),
                Self::name().to_owned(),
            ));
        };
        let mut out = vec![0; 64];
        pbkdf2::pbkdf2::<Hmac<sha2::Sha512>>(plain.as_bytes(), salt, iterations, &mut out)?;
        Ok(out)
    }
}

/// A SCRAM client that judges every message of the server before the `sasl` crate sees it.
pub(super) struct ScramGuard {
    inner: Box<dyn ::sasl::client::Mechanism + Send>,
    turn: Turn,
}

enum Turn {
    Initial,
    ServerFirst { client_nonce: String },
    ServerFinal,
    Over,
}

impl ScramGuard {
    pub(super) fn new<S: ScramProvider + Send + 'static>(
        credentials: &Credentials,
    ) -> Result<Self, SaslError> {
        let name = escape(&credentials.username);
        let scram = Scram::<S>::new(name, credentials.password.expose(), ChannelBinding::None);
        Ok(Self { inner: Box::new(scram.map_err(|_| SaslError::Nonce)?), turn: Turn::Initial })
    }

    pub(super) fn initial(&mut self) -> Result<Vec<u8>, SaslError> {
        if !matches!(self.turn, Turn::Initial) {
            return Err(SaslError::OutOfTurn("the initial message"));
        }
        let message = self.inner.initial();
        // The nonce closes the message, and a name cannot hold a comma any more.
        let nonce = std::str::from_utf8(&message)
            .ok()
            .and_then(|text| text.rsplit_once(",r="))
            .map(|(_, nonce)| nonce);
        let client_nonce =
            nonce.filter(|nonce| !nonce.is_empty()).ok_or(SaslError::Nonce)?.to_owned();
        self.turn = Turn::ServerFirst { client_nonce };
        Ok(message)
    }

    pub(super) fn respond(&mut self, challenge: &[u8]) -> Result<SaslStep, SaslError> {
        match std::mem::replace(&mut self.turn, Turn::Over) {
            Turn::ServerFirst { client_nonce } => {
                check_server_first(challenge, &client_nonce)?;
                let answer = self.inner.response(challenge).map_err(mechanism_error)?;
                self.turn = Turn::ServerFinal;
                Ok(SaslStep::Send(answer))
            }
            Turn::ServerFinal => {
                check_server_final(challenge)?;
                self.inner.success(challenge).map_err(mechanism_error)?;
                Ok(SaslStep::Done)
            }
            Turn::Initial | Turn::Over => Err(SaslError::OutOfTurn("a challenge")),
        }
    }
}

fn mechanism_error(error: MechanismError) -> SaslError {
    let malformed = |message, reason| SaslError::Malformed { message, reason };
    match error {
        MechanismError::InvalidSignatureInSuccessResponse => SaslError::ServerSignature,
        MechanismError::NoSignatureInSuccessResponse => {
            malformed("server-final", "there is no signature")
        }
        MechanismError::NoServerSalt => malformed("server-first", "the salt is not base64"),
        error => SaslError::Mechanism(error.to_string()),
    }
}

/// `=` and `,` have a meaning in SCRAM's messages.
fn escape(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

fn text<'a>(challenge: &'a [u8], message: &'static str) -> Result<&'a str, SaslError> {
    if challenge.len() > MESSAGE_BYTES_MAX {
        return Err(SaslError::Malformed { message, reason: "it is too long" });
    }
    let text = std::str::from_utf8(challenge)
        .map_err(|_| SaslError::Malformed { message, reason: "it is not UTF-8" })?;
    if let Some(reason) = text.strip_prefix("e=") {
        // Words of the server go into logs: only those that RFC 5802 knows, whatever else it may have sent.
        let known = SERVER_ERRORS.into_iter().find(|known| reason.split(',').next() == Some(known));
        return Err(SaslError::Refused(
            known.unwrap_or("an error without a known name").to_owned(),
        ));
    }
    Ok(text)
}

/// `r=<nonce>,s=<salt>,i=<iterations>` and extensions, in this order.
fn check_server_first(challenge: &[u8], client_nonce: &str) -> Result<(), SaslError> {
    let malformed = |reason| SaslError::Malformed { message: "server-first", reason };
    let text = text(challenge, "server-first")?;
    let mut parts = text.split(',');
    let first = parts.next().unwrap_or_default();
    if first.starts_with("m=") {
        return Err(SaslError::MandatoryExtension);
    }
    let nonce =
        first.strip_prefix("r=").ok_or_else(|| malformed("it does not begin with a nonce"))?;
    let salt = parts
        .next()
        .and_then(|part| part.strip_prefix("s="))
        .ok_or_else(|| malformed("there is no salt"))?;
    let iterations = parts.next().and_then(|part| part.strip_prefix("i="));
    let iterations = iterations.ok_or_else(|| malformed("there is no iteration count"))?;

    let added = nonce.strip_prefix(client_nonce).ok_or(SaslError::ForeignNonce)?;
    if added.is_empty() {
        return Err(SaslError::ForeignNonce);
    }
    if !added.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(malformed("the nonce has characters that it must not have"));
    }
    if salt.is_empty() {
        return Err(malformed("the salt is empty"));
    }
    if iterations.is_empty() || !iterations.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed("the iteration count is no number"));
    }
    let found = iterations.parse().unwrap_or(u64::MAX);
    if !(u64::from(ITERATIONS_MIN)..=u64::from(ITERATIONS_MAX)).contains(&found) {
        return Err(SaslError::Iterations { found });
    }
    // The crate keeps the last of several attributes with one name: a second nonce would pass by the check above.
    for extension in parts {
        match extension.split_once('=') {
            Some(("m", _)) => return Err(SaslError::MandatoryExtension),
            Some(("r" | "s" | "i", _)) => return Err(malformed("an attribute stands twice")),
            Some((name, _))
                if name.len() == 1 && name.bytes().all(|byte| byte.is_ascii_alphabetic()) => {}
            _ => return Err(malformed("an extension has no name")),
        }
    }
    Ok(())
}

/// `v=<signature>` and extensions; `e=<error>` has been dealt with by [`text`].
fn check_server_final(challenge: &[u8]) -> Result<(), SaslError> {
    let text = text(challenge, "server-final")?;
    if text.starts_with("v=") && !text.contains(",v=") {
        return Ok(());
    }
    Err(SaslError::Malformed {
        message: "server-final",
        reason: "it does not begin with a signature",
    })
}
