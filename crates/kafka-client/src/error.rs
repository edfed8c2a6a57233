//! Why a call did not get its answer, and what to do next.

use std::time::Duration;

use kafka_wire::{
    ErrorCode, Retry,
    connection::{ConnectionError, Failure},
    messages::ApiKey,
    versions::ReleaseRange,
};
use thiserror::Error;

use crate::{address::BrokerAddress, connect::ConnectError, types::TopicPartition};

/// Why a call did not get its answer. Errors of single items (topics, partitions) are in the results instead.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ClientError {
    /// No stream to the broker came about.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The stream stands; version negotiation or authentication failed.
    #[error("{address}: {error}")]
    Handshake {
        /// The broker.
        address: BrokerAddress,
        /// Why.
        error: ConnectionError,
    },
    /// None of the bootstrap addresses could be used; the last failure is told.
    #[error("no bootstrap address of {name} can be used: {last}")]
    Bootstrap {
        /// The connection's name.
        name: String,
        /// The last failure.
        last: Box<Self>,
    },
    /// The request was not sent: the broker has not carried it out.
    #[error("{address}: {api:?} was not sent: {error}")]
    NotSent {
        /// The broker.
        address: BrokerAddress,
        /// The API.
        api: ApiKey,
        /// Why.
        error: ConnectionError,
    },
    /// The request was sent and its answer is lost: the broker may have carried it out, or may still do so.
    #[error("{address}: the answer to {api:?} is unknown: {error}")]
    AnswerUnknown {
        /// The broker.
        address: BrokerAddress,
        /// The API.
        api: ApiKey,
        /// Why.
        error: ConnectionError,
    },
    /// Too many requests wait on this connection.
    #[error("{address}: {api:?} was not sent: {limit} requests wait already")]
    QueueFull {
        /// The broker.
        address: BrokerAddress,
        /// The API.
        api: ApiKey,
        /// The bound.
        limit: usize,
    },
    /// The broker's release lacks the API or the version that is needed.
    #[error("{address}: {api:?}{} is not offered by this broker (release {release})", .version_min.map(|version| format!(" v{version} or later")).unwrap_or_default())]
    Unsupported {
        /// The broker.
        address: BrokerAddress,
        /// The API.
        api: ApiKey,
        /// The lowest version that would do, if one is needed.
        version_min: Option<i16>,
        /// What the broker seems to be.
        release: ReleaseRange,
    },
    /// A message that cannot be encoded, or an answer that does not decode.
    #[error("{address}: {api:?} v{version}: {message}")]
    Message {
        /// The broker.
        address: BrokerAddress,
        /// The API.
        api: ApiKey,
        /// The version.
        version: i16,
        /// What is wrong.
        message: String,
    },
    /// The broker answered the whole request with an error.
    #[error("{api:?}{}: {code}{}", .about.as_deref().map(|about| format!(" ({about})")).unwrap_or_default(), .message.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
    Code {
        /// The API.
        api: ApiKey,
        /// Which group, transactional id or broker, if that says something.
        about: Option<String>,
        /// The broker's code.
        code: ErrorCode,
        /// The broker's own words.
        message: Option<String>,
    },
    /// The cluster does not know this broker (any more).
    #[error("the cluster has no broker {broker_id}")]
    UnknownBroker {
        /// The broker's id.
        broker_id: i32,
    },
    /// The partition is unknown or has no leader at the moment.
    #[error("{at} has no leader: {code}")]
    NoLeader {
        /// The partition.
        at: TopicPartition,
        /// What Metadata says about it.
        code: ErrorCode,
    },
    /// The broker has just started and has not heard of its cluster yet: what it says about topics means nothing.
    #[error("{address}: the broker does not know its cluster yet")]
    NoBrokers {
        /// The broker.
        address: BrokerAddress,
    },
    /// The cluster names no controller at the moment.
    #[error("the cluster has no controller at the moment")]
    NoController,
    /// The call's time is over; the last failure is told.
    #[error("given up after {after:?}: {last}")]
    OutOfTime {
        /// How long it was tried.
        after: Duration,
        /// The last failure.
        last: Box<Self>,
    },
    /// The answer lacks what was asked for.
    #[error("{api:?}: the answer says nothing about {about}")]
    Incomplete {
        /// The API.
        api: ApiKey,
        /// What is missing.
        about: String,
    },
    /// The call's arguments cannot be sent.
    #[error("{0}")]
    InvalidArgument(String),
    /// The client was closed.
    #[error("the client is closed")]
    Closed,
}

impl ClientError {
    /// What the caller should do next.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Connect(ConnectError::TlsConfig { .. } | ConnectError::TlsCpu { .. }) => {
                Retry::Never
            }
            Self::Connect(_) | Self::NotSent { .. } | Self::AnswerUnknown { .. } => {
                Retry::RefreshMetadata
            }
            Self::Handshake { error, .. } if error.is_permanent() => Retry::Never,
            Self::Handshake { .. }
            | Self::UnknownBroker { .. }
            | Self::NoLeader { .. }
            | Self::NoBrokers { .. }
            | Self::NoController => Retry::RefreshMetadata,
            Self::QueueFull { .. } => Retry::Backoff,
            Self::Code { code, .. } => code.retry(),
            Self::Bootstrap { last, .. } => last.retry(),
            Self::OutOfTime { .. }
            | Self::Unsupported { .. }
            | Self::Message { .. }
            | Self::Incomplete { .. }
            | Self::InvalidArgument(_)
            | Self::Closed => Retry::Never,
        }
    }

    /// Whether the answer is unknown: the connection was lost or the time passed after the request was sent.
    #[must_use]
    pub fn is_connection(&self) -> bool {
        match self {
            Self::AnswerUnknown { .. } => true,
            Self::OutOfTime { last, .. } => last.is_connection(),
            _ => false,
        }
    }

    /// The broker's code, if a broker answered.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Code { code, .. } | Self::NoLeader { code, .. } => Some(*code),
            Self::OutOfTime { last, .. } | Self::Bootstrap { last, .. } => last.code(),
            _ => None,
        }
    }

    /// One sentence that tells an operator what to do.
    #[must_use]
    pub fn cure(&self) -> Option<String> {
        match self {
            Self::Connect(error) => error.cure(),
            Self::Handshake { error, .. }
            | Self::NotSent { error, .. }
            | Self::AnswerUnknown { error, .. } => error.cure().map(ToOwned::to_owned),
            Self::Bootstrap { last, .. } | Self::OutOfTime { last, .. } => last.cure(),
            Self::NoBrokers { .. } => {
                Some("wait until the brokers have started, then try again".to_owned())
            }
            _ => None,
        }
    }

    pub(crate) fn of_failure(address: &BrokerAddress, api: ApiKey, failure: Failure) -> Self {
        let address = address.clone();
        match failure {
            Failure::NotSent(error) => Self::NotSent { address, api, error },
            Failure::Unknown(error) => Self::AnswerUnknown { address, api, error },
        }
    }

    pub(crate) fn of_code(
        api: ApiKey,
        about: &str,
        code: ErrorCode,
        message: Option<&str>,
    ) -> Self {
        Self::Code {
            api,
            about: Some(about.to_owned()).filter(|about| !about.is_empty()),
            code,
            message: message.filter(|text| !text.is_empty()).map(ToOwned::to_owned),
        }
    }
}
