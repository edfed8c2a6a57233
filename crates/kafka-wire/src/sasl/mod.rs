//! SASL conversations, without the frames around them: PLAIN, SCRAM and OAUTHBEARER.
//!
//! The SCRAM arithmetic is that of the `sasl` crate, which trusts the server more than RFC 5802 allows. Every message
//! from the server is therefore judged here before the crate sees it: the nonce must extend ours, the iteration count
//! must be sane, mandatory extensions are refused, and user names are escaped.
//!
//! # Source
//! RFC 4616 (PLAIN), RFC 5802 and 7677 (SCRAM), KIP-84, RFC 7628 and KIP-255 (OAUTHBEARER); package `org.apache.kafka.common.security.scram`.

mod base64;
mod scram;
pub mod server;

use std::{fmt, str::FromStr};

use ::sasl::common::scram::Sha256;
use thiserror::Error;

use self::scram::{ScramGuard, Sha512};
use crate::secret::Secret;

/// Fewest iterations that a SCRAM server may ask for (RFC 7677, and Kafka's own minimum).
pub const ITERATIONS_MIN: u32 = 4_096;

/// Most iterations that a SCRAM server may ask for: about 0.2 s of CPU. The wire would allow a quarter of an hour.
pub const ITERATIONS_MAX: u32 = 1_000_000;

/// How a client proves who it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// User name and password as they are; safe inside TLS only.
    Plain,
    /// SCRAM with SHA-256: the password stays here, and the server proves that it knows it.
    ScramSha256,
    /// SCRAM with SHA-512.
    ScramSha512,
    /// A token that somebody else gave us; safe inside TLS only.
    OauthBearer,
}

impl Mechanism {
    /// All mechanisms.
    pub const ALL: [Self; 4] =
        [Self::Plain, Self::ScramSha256, Self::ScramSha512, Self::OauthBearer];

    /// Those by which a user proves a password.
    pub const WITH_PASSWORD: [Self; 3] = [Self::Plain, Self::ScramSha256, Self::ScramSha512];

    /// The name on the wire and in Kafka's configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Mechanism {
    type Err = UnknownMechanism;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|known| known.name() == name)
            .ok_or_else(|| UnknownMechanism(name.to_owned()))
    }
}

/// A name that is no mechanism's we speak.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no mechanism; known are PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER")]
pub struct UnknownMechanism(pub String);

/// Who we are, and how we prove it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The mechanism to use.
    pub mechanism: Mechanism,
    /// The user's name; with OAUTHBEARER whose rights are asked for, empty for those of the token's subject.
    pub username: String,
    /// The user's password; with OAUTHBEARER the token.
    pub password: Secret,
}

/// Why a conversation failed. No variant carries a secret.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SaslError {
    /// Brokers refuse an empty user name or password.
    #[error("the {0} is empty")]
    Empty(&'static str),
    /// The token has characters that no token has (RFC 6750).
    #[error("the token is none: it has characters other than letters, digits and -._~+/=")]
    Token,
    /// PLAIN separates its fields with NUL.
    #[error("the {0} contains a NUL character")]
    Nul(&'static str),
    /// The system gave no random bytes for a nonce.
    #[error("the system gave no random bytes for a nonce")]
    Nonce,
    /// The conversation is at another point.
    #[error("{0} does not belong at this point of the conversation")]
    OutOfTurn(&'static str),
    /// A message does not have the form that RFC 5802 gives it.
    #[error("the {message} message is malformed: {reason}")]
    Malformed {
        /// Which message.
        message: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The nonce does not extend the one that was sent: the answer belongs to another conversation.
    #[error("the server's nonce does not extend ours; the answer belongs to another conversation")]
    ForeignNonce,
    /// The iteration count is too low to be safe or too high to be honest.
    #[error(
        "the server asks for {found} iterations, allowed are {ITERATIONS_MIN} to {ITERATIONS_MAX}"
    )]
    Iterations {
        /// What it asks for.
        found: u64,
    },
    /// An extension that must be understood, and is not.
    #[error("the server demands an extension that is not supported")]
    MandatoryExtension,
    /// The server ended the conversation with an error of its own (`e=`), such as `invalid-proof`; names that RFC 5802
    /// does not know are not repeated.
    #[error("the server refused: {0}")]
    Refused(String),
    /// The server could not prove that it knows the password: it may be an impostor.
    #[error("the server could not prove that it knows the password")]
    ServerSignature,
    /// Seen from the server: no such user, or a wrong password.
    #[error("user name or password is wrong")]
    WrongCredentials,
    /// The `sasl` crate failed in a way that the guard should have prevented.
    #[error("{0}")]
    Mechanism(String),
}

impl SaslError {
    /// Whether the cause is most likely a wrong user name or password.
    #[must_use]
    pub fn is_wrong_credentials(&self) -> bool {
        match self {
            Self::WrongCredentials => true,
            Self::Refused(reason) => {
                matches!(reason.as_str(), "invalid-proof" | "unknown-user" | "other-error")
            }
            _ => false,
        }
    }
}

/// What to do after a message from the server.
#[derive(Clone, PartialEq, Eq)]
pub enum SaslStep {
    /// Send these bytes and wait for the next challenge.
    Send(Vec<u8>),
    /// The conversation is over, and the server has proven itself where the mechanism lets it.
    Done,
}

impl fmt::Debug for SaslStep {
    /// Leaves the bytes out: a proof is no secret by itself, but lets a password be guessed at leisure.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Send(_) => "Send(…)",
            Self::Done => "Done",
        })
    }
}

/// The client's side of one conversation: [`initial`](Self::initial) once, then [`respond`](Self::respond) until done.
pub struct SaslClient {
    mechanism: Mechanism,
    state: State,
}

enum State {
    Plain(Box<Credentials>),
    PlainSent,
    Scram(Box<ScramGuard>),
    Bearer(Box<Credentials>),
    BearerSent,
    Over,
}

impl fmt::Debug for SaslClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaslClient").field("mechanism", &self.mechanism).finish_non_exhaustive()
    }
}

impl SaslClient {
    /// Prepares a conversation.
    ///
    /// # Errors
    /// [`SaslError::Empty`] and [`SaslError::Nul`] for names and passwords that no broker accepts;
    /// [`SaslError::Nonce`] without random bytes.
    pub fn new(credentials: &Credentials) -> Result<Self, SaslError> {
        for (field, text) in [
            ("user name", credentials.username.as_str()),
            ("password", credentials.password.expose()),
        ] {
            if text.is_empty() {
                if credentials.mechanism == Mechanism::OauthBearer && field == "user name" {
                    continue;
                }
                return Err(SaslError::Empty(field));
            }
            if text.contains('\0') {
                return Err(SaslError::Nul(field));
            }
        }
        let state = match credentials.mechanism {
            Mechanism::Plain => State::Plain(Box::new(credentials.clone())),
            Mechanism::ScramSha256 => {
                State::Scram(Box::new(ScramGuard::new::<Sha256>(credentials)?))
            }
            Mechanism::ScramSha512 => {
                State::Scram(Box::new(ScramGuard::new::<Sha512>(credentials)?))
            }
            Mechanism::OauthBearer if !is_token(credentials.password.expose()) => {
                return Err(SaslError::Token);
            }
            Mechanism::OauthBearer => State::Bearer(Box::new(credentials.clone())),
        };
        Ok(Self { mechanism: credentials.mechanism, state })
    }

    /// The mechanism of this conversation.
    #[must_use]
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// The first message, which the client sends.
    ///
    /// # Errors
    /// [`SaslError::OutOfTurn`] when it was asked for before.
    pub fn initial(&mut self) -> Result<Vec<u8>, SaslError> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Plain(credentials) => {
                self.state = State::PlainSent;
                // An empty authorization identity: that of the user.
                Ok(["", &credentials.username, credentials.password.expose()]
                    .join("\0")
                    .into_bytes())
            }
            State::Scram(mut guard) => {
                let message = guard.initial()?;
                self.state = State::Scram(guard);
                Ok(message)
            }
            State::Bearer(credentials) => {
                self.state = State::BearerSent;
                let token = credentials.password.expose();
                Ok(match credentials.username.as_str() {
                    "" => format!("n,,\u{1}auth=Bearer {token}\u{1}\u{1}"),
                    user => {
                        let user = user.replace('=', "=3D").replace(',', "=2C");
                        format!("n,a={user},\u{1}auth=Bearer {token}\u{1}\u{1}")
                    }
                }
                .into_bytes())
            }
            State::PlainSent | State::BearerSent | State::Over => {
                Err(SaslError::OutOfTurn("the initial message"))
            }
        }
    }

    /// Takes the server's next message. After an error the conversation is over.
    ///
    /// SCRAM computes up to [`ITERATIONS_MAX`] hashes here: call it where 0.2 s of CPU do no harm.
    ///
    /// # Errors
    /// Whatever is wrong with the message; [`SaslError::OutOfTurn`] when none is expected.
    pub fn respond(&mut self, challenge: &[u8]) -> Result<SaslStep, SaslError> {
        match std::mem::replace(&mut self.state, State::Over) {
            // PLAIN gives the server nothing to prove: what it says beside success has no meaning.
            State::PlainSent => Ok(SaslStep::Done),
            State::Scram(mut guard) => {
                let step = guard.respond(challenge)?;
                if matches!(step, SaslStep::Send(_)) {
                    self.state = State::Scram(guard);
                }
                Ok(step)
            }
            State::BearerSent if challenge.is_empty() => Ok(SaslStep::Done),
            // What is wrong with the token, as JSON. The server wants one more byte, then it refuses in its own words.
            State::BearerSent => Ok(SaslStep::Send(vec![1])),
            State::Plain(_) | State::Bearer(_) | State::Over => {
                Err(SaslError::OutOfTurn("a challenge"))
            }
        }
    }
}

/// Whether a text may be a bearer token (`b64token`, RFC 6750).
fn is_token(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests;
