//! Small types that many calls share.

use std::{fmt, sync::Arc};

use kafka_wire::{ErrorCode, Retry};
use thiserror::Error;

/// One partition of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// Topic name.
    pub topic: String,
    /// Partition index.
    pub partition: i32,
}

impl TopicPartition {
    /// A partition by name and index.
    pub fn new(topic: impl Into<String>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// What a reader sees of transactions (KIP-98).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// Everything below the high watermark, also open and aborted transactions.
    #[default]
    ReadUncommitted,
    /// Up to the last stable offset, with the list of aborted transactions.
    ReadCommitted,
}

impl Isolation {
    /// The number that stands for it on the wire.
    #[must_use]
    pub fn code(self) -> i8 {
        match self {
            Self::ReadUncommitted => 0,
            Self::ReadCommitted => 1,
        }
    }
}

/// What a broker said about one item (topic, group, resource) of a request.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{code}{}", .message.as_deref().map(|text| format!(": {text}")).unwrap_or_default())]
pub struct TopicError {
    /// The broker's code.
    pub code: ErrorCode,
    /// The broker's own words, if it sent any.
    pub message: Option<Arc<str>>,
}

impl TopicError {
    /// The item's result from a code and the broker's words.
    ///
    /// # Errors
    /// The error itself, when `code` is not `NONE`.
    pub fn check(code: i16, message: Option<&str>) -> Result<(), Self> {
        let code = ErrorCode(code);
        let message = message.filter(|text| !text.is_empty()).map(Arc::from);
        if code.is_ok() { Ok(()) } else { Err(Self { code, message }) }
    }

    /// What to do next.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.code.retry()
    }
}

impl From<ErrorCode> for TopicError {
    fn from(code: ErrorCode) -> Self {
        Self { code, message: None }
    }
}
