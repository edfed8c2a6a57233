//! Why a registry gave no answer, or none that helps.

use std::time::Duration;

use kafka_client::{ConnectError, TlsFailure};
use thiserror::Error;
use tokio::time::Instant;

/// Why a registry gave no answer, or none that helps.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No connection.
    #[error("{url}: {error}")]
    Connect {
        /// The registry.
        url: String,
        /// Why.
        error: ConnectError,
    },
    /// No answer in time.
    #[error("{url}: no answer within {after:?}")]
    TimedOut {
        /// What was asked.
        url: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The connection broke, or what came is no HTTP.
    #[error("{url}: {message}")]
    Broken {
        /// What was asked.
        url: String,
        /// What the protocol says.
        message: String,
        /// Whether what came cannot be HTTP: another try is of no use.
        is_foreign: bool,
    },
    /// It answered with an error.
    #[error("{url}: the registry answered {status}{}", .message.as_ref().map(|message| format!(": {message}")).unwrap_or_default())]
    Refused {
        /// What was asked.
        url: String,
        /// Status of HTTP.
        status: u16,
        /// The registry's own code.
        code: Option<i64>,
        /// Its words.
        message: Option<String>,
    },
    /// It sends us elsewhere, which could be anywhere.
    #[error("{url}: the registry answered {status} and sends us to {location}")]
    Redirected {
        /// What was asked.
        url: String,
        /// Status of HTTP.
        status: u16,
        /// Where to.
        location: String,
    },
    /// The answer is not what a registry answers.
    #[error("{url}: the answer is none of a schema registry: {message}")]
    Garbage {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        message: String,
    },
    /// The answer is too large.
    #[error("{url}: the answer has more than {bytes_max} bytes")]
    TooLarge {
        /// What was asked.
        url: String,
        /// How much is taken.
        bytes_max: usize,
    },
}

impl RegistryError {
    /// Whether the registry says that what was asked for is not there. A 404 without its own code comes from somebody else.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self, Self::Refused { status: 404, code: Some(40401..=40403), .. })
    }

    /// Whether it is about the schema that was sent: incompatible or invalid.
    pub(super) fn is_about_schema(&self) -> bool {
        matches!(self, Self::Refused { status: 409 | 422, .. })
    }

    /// Whether another try in a moment may help.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Connect { error, .. } => {
                matches!(error, ConnectError::Tcp { .. } | ConnectError::TimedOut { .. })
            }
            Self::TimedOut { .. } => true,
            Self::Broken { is_foreign, .. } => !is_foreign,
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 500..),
            Self::Redirected { .. } | Self::Garbage { .. } | Self::TooLarge { .. } => false,
        }
    }

    /// What an operator can do.
    #[must_use]
    pub fn cure(&self) -> String {
        let text = match self {
            Self::Connect { error, .. } => return connect_cure(error),
            Self::TimedOut { .. } => {
                "see how the registry is, and what lies between it and this machine"
            }
            Self::Broken { is_foreign: true, .. } | Self::Garbage { .. } => {
                "check host, port and path of the URL, and write https where the port speaks TLS"
            }
            Self::Broken { .. } => {
                "see how the registry is, and check host and port of the URL: it is tried again"
            }
            Self::Refused { status: 401, .. } => {
                "check username and password, or the token, of the registry"
            }
            Self::Refused { status: 403, .. } => {
                "grant the user of the registry READ, and WRITE on the subjects that are registered at the target"
            }
            Self::Refused { status: 404, .. } if !self.is_absent() => {
                "check host, port and path of the URL"
            }
            Self::Refused { status: 404, .. } => "check that the registry is that of this cluster",
            Self::Refused { status: 409, .. } => {
                "change the compatibility of the subject at the target, or delete what stands there"
            }
            Self::Refused { status: 429, .. } => {
                "nothing: it is tried again; or raise the registry's limit"
            }
            Self::Refused { .. } => "look into the registry's log: it is tried again",
            Self::Redirected { .. } => "write the URL that it sends to, if that is the registry",
            Self::TooLarge { .. } => "check host, port and path of the URL: no schema is as large",
        };
        text.to_owned()
    }
}

fn connect_cure(error: &ConnectError) -> String {
    let text = match error {
        ConnectError::TlsHandshake {
            failure: TlsFailure::PlainPeer | TlsFailure::PeerClosed,
            ..
        } => "write http:// if the registry speaks no TLS on this port, or name its TLS port",
        ConnectError::TlsHandshake { failure: TlsFailure::UnknownIssuer, .. } => {
            "set tls.ca to the PEM file of the authority that signed the registry's certificate"
        }
        ConnectError::Tcp { kind: std::io::ErrorKind::ConnectionRefused, .. } => {
            "nothing listens there: check host and port of the URL, and that the registry runs"
        }
        _ => return error.cure().unwrap_or_else(|| "check host and port of the URL".to_owned()),
    };
    text.to_owned()
}

/// Why a schema cannot be had.
#[derive(Clone, Debug)]
pub(crate) enum Unresolved {
    /// It is not there, or nothing that the rule can use.
    Refused { cause: String, cure: String },
    /// A registry gave no answer.
    Away(Box<Away>),
}

/// A registry that gave no answer.
#[derive(Clone, Debug)]
pub(crate) struct Away {
    /// `source` or `target`.
    pub(crate) registry: &'static str,
    pub(crate) error: RegistryError,
    /// When the interruption began.
    pub(crate) since: Instant,
    /// Whether it began with this.
    pub(crate) is_news: bool,
}
