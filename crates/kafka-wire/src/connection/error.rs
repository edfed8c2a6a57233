//! Why a connection or one request on it ended.

use std::{fmt, time::Duration};

use thiserror::Error;

use super::PeerKind;
use crate::{
    error_code::ErrorCode, frame::FrameError, messages::ApiKey, versions::UnsupportedBroker,
};

/// Why a connection ended.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The first bytes tell that something else listens there.
    #[error("{0}")]
    WrongPeer(PeerKind),
    /// A frame whose length is impossible.
    #[error("broken frame: {0}")]
    Frame(FrameError),
    /// A frame that does not decode.
    #[error("undecodable answer: {0}")]
    Message(String),
    /// An answer to another request than the oldest one.
    #[error("answer out of order: correlation id {found}, expected {}", .expected.map_or_else(|| "none".to_owned(), |id| id.to_string()))]
    OutOfOrder {
        /// The correlation id of the oldest request under way.
        expected: Option<i32>,
        /// The correlation id of the answer.
        found: i32,
    },
    /// Over at the very first request. An orderly close may be a release older than 0.10, or a listener of another kind;
    /// a failure of the transport says nothing about the peer.
    #[error("{}", at_first_bytes(.cause.as_deref()))]
    ClosedAtApiVersions {
        /// The transport's words, if it failed.
        cause: Option<Box<str>>,
    },
    /// Closed while proving who we are.
    #[error("the broker closed the connection during SASL {mechanism}{}", because(.cause.as_deref()))]
    ClosedAtSasl {
        /// The mechanism under way.
        mechanism: String,
        /// The transport's words, if it failed.
        cause: Option<Box<str>>,
    },
    /// Closed in order at the first request after negotiation, without SASL.
    #[error(
        "the broker closed the connection at the first request: this listener probably wants SASL"
    )]
    ClosedAtFirstRequest,
    /// Closed by the broker or lost on the way.
    #[error("the connection was closed by the broker or lost{}", because(.cause.as_deref()))]
    ClosedByPeer {
        /// The transport's words, if it failed.
        cause: Option<Box<str>>,
    },
    /// Negotiation or authentication took too long.
    #[error("no answer to {step} within {after:?}")]
    HandshakeTimedOut {
        /// What was waited for.
        step: HandshakeStep,
        /// How long.
        after: Duration,
    },
    /// A request was not answered in time; the connection is given up because nothing behind it can be either.
    #[error("no answer to {} in time", api_name(*.api_key))]
    RequestTimedOut {
        /// The API of that request.
        api_key: i16,
    },
    /// ApiVersions was answered with an error.
    #[error("the broker refuses to tell its versions: {0}")]
    ApiVersionsRefused(ErrorCode),
    /// A release that cannot be worked with.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedBroker),
    /// The listener does not offer the mechanism.
    #[error("the broker does not offer SASL {wanted}; it offers {}", .offered.join(", "))]
    MechanismRefused {
        /// What we wanted.
        wanted: String,
        /// What it offers.
        offered: Vec<String>,
    },
    /// The listener does not speak SASL at all.
    #[error("this listener does not use SASL ({code})")]
    SaslNotExpected {
        /// The broker's code.
        code: ErrorCode,
    },
    /// User name or password wrong, or not allowed.
    #[error("SASL {mechanism} authentication failed: {message}")]
    AuthenticationFailed {
        /// The mechanism.
        mechanism: String,
        /// The broker's words, or ours when the broker failed to prove itself.
        message: String,
    },
    /// We closed it.
    #[error("the connection was closed by us")]
    ShutDown,
}

/// What a handshake waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandshakeStep {
    /// The answer to ApiVersions.
    ApiVersions,
    /// The answer to SaslHandshake.
    SaslHandshake,
    /// An answer to a SASL token.
    SaslAuthenticate,
}

impl fmt::Display for HandshakeStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ApiVersions => "ApiVersions",
            Self::SaslHandshake => "SaslHandshake",
            Self::SaslAuthenticate => "SaslAuthenticate",
        })
    }
}

/// How a request ended without an answer.
#[derive(Clone, Debug, Error)]
pub enum Failure {
    /// It was never sent: the broker has not carried it out.
    #[error("not sent: {0}")]
    NotSent(ConnectionError),
    /// It was sent, or partly sent: the broker may have carried it out, or may still do so.
    #[error("answer unknown: {0}")]
    Unknown(ConnectionError),
}

impl ConnectionError {
    /// One sentence that tells an operator what to do.
    #[must_use]
    pub fn cure(&self) -> Option<&'static str> {
        Some(match self {
            Self::WrongPeer(PeerKind::Tls) => {
                "add `tls` to this connection, or use the broker's plain port"
            }
            Self::WrongPeer(_) => "use the port of a Kafka listener",
            Self::Unsupported(_) => "upgrade the brokers to Kafka 0.11 or newer",
            Self::ClosedAtApiVersions { cause: Some(_) } => {
                "nothing if it ends by itself; else see whether the broker runs, and what lies between it and this machine"
            }
            Self::ClosedAtApiVersions { cause: None } => {
                "add `tls` if this port expects it; releases before 0.11 cannot be used"
            }
            Self::ClosedAtFirstRequest => {
                "add `sasl` to this connection, or use a listener without it"
            }
            Self::ClosedAtSasl { .. } | Self::AuthenticationFailed { .. } => {
                "check user name, password and mechanism, and that the user exists on the brokers"
            }
            Self::MechanismRefused { .. } => "set `sasl.mechanism` to one that the listener offers",
            Self::SaslNotExpected { .. } => {
                "leave out `sasl` for this port, or use the broker's SASL port"
            }
            Self::HandshakeTimedOut { step: HandshakeStep::ApiVersions, .. } => {
                "check that this is a Kafka listener, and whether it expects TLS"
            }
            Self::HandshakeTimedOut { .. } => "look into the broker's log",
            _ => return None,
        })
    }

    /// Whether trying again cannot help until somebody changes the configuration.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        matches!(
            self,
            Self::WrongPeer(_)
                | Self::Unsupported(_)
                | Self::MechanismRefused { .. }
                | Self::SaslNotExpected { .. }
                | Self::AuthenticationFailed { .. }
                | Self::ApiVersionsRefused(_)
        )
    }
}

fn because(cause: Option<&str>) -> String {
    cause.map(|text| format!(" ({text})")).unwrap_or_default()
}

fn at_first_bytes(cause: Option<&str>) -> String {
    match cause {
        Some(cause) => format!("the connection was lost before ApiVersions was answered ({cause})"),
        None => "the peer closed the connection without answering ApiVersions: it is ending, expects TLS on this port, or is older than Kafka 0.10".to_owned(),
    }
}

fn api_name(api_key: i16) -> String {
    ApiKey::try_from(api_key).map_or_else(|()| format!("API {api_key}"), |key| format!("{key:?}"))
}
