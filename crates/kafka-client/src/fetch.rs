//! One fetch session with one broker (KIP-227), without I/O: what to ask next, and what an answer says.
//!
//! The broker remembers which partitions we want and at which offsets; a request names only what has changed. A
//! session belongs to one connection's lifetime as far as we are concerned: after a lost answer, make a new one.
//!
//! ```text
//!  full (epoch 0) ──session id──► incremental 1, 2, 3 … ──unknown session──► full
//!       └──id 0: the broker has no slot (broker-probes P12)──► full without session, a try for one now and then
//! ```
//!
//! # Source
//! `FetchSessionHandler` in Apache Kafka.

mod answer;
mod session;

use std::sync::Arc;

use bytes::Bytes;
use kafka_wire::ErrorCode;
pub use kafka_wire::fetch::FetchPartition;
use thiserror::Error;

pub use self::session::FetchSession;
use crate::{ClientError, Isolation};

/// What holds for a whole fetch request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchSettings {
    /// How long the broker may wait for `min_bytes`.
    pub max_wait_ms: i32,
    /// Answer as soon as this much is there.
    pub min_bytes: i32,
    /// Most bytes wanted in one answer.
    pub bytes_max: i32,
    /// What is seen of transactions.
    pub isolation: Isolation,
    /// Our rack, to be sent to a replica nearby (KIP-392); empty for the leader only.
    pub rack: String,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            max_wait_ms: 500,
            min_bytes: 1,
            bytes_max: 50 << 20,
            isolation: Isolation::ReadUncommitted,
            rack: String::new(),
        }
    }
}

/// What came from one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedPartition {
    /// Topic name, also where the answer carries its id only.
    pub topic: Arc<str>,
    /// Partition index.
    pub partition: i32,
    /// The broker's code.
    pub error: ErrorCode,
    /// End of what is committed; -1 with an error.
    pub high_watermark: i64,
    /// End of what no open transaction holds back; -1 if unknown.
    pub last_stable_offset: i64,
    /// First offset of the log; -1 if unknown.
    pub log_start_offset: i64,
    /// Aborted transactions in these records, when reading committed.
    pub aborted: Vec<AbortedTransaction>,
    /// Where our log and the broker's part: (epoch, its end offset). It comes with `NONE` and no records (broker-probes P9).
    pub diverging_epoch: Option<(i32, i64)>,
    /// Leader id and epoch, where the error is about leadership (KIP-951).
    pub current_leader: Option<(i32, i32)>,
    /// The replica to fetch from instead (KIP-392); then there are no records.
    pub preferred_read_replica: Option<i32>,
    /// Record batches, possibly beginning before the offset wanted and ending in a part of one (BF-20).
    pub records: Bytes,
}

/// A transaction whose records are to be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AbortedTransaction {
    /// Who wrote them.
    pub producer_id: i64,
    /// From which offset on, until the abort marker.
    pub first_offset: i64,
}

/// Why a whole fetch answer is of no use.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FetchSessionError {
    /// The session is gone or out of step; ask again: the next request is a full one.
    #[error("fetch session reset: {code}")]
    Reset {
        /// What the broker said.
        code: ErrorCode,
    },
    /// The answer does not belong to the request; the next request is a full one.
    #[error("fetch answer out of step: {reason}")]
    OutOfStep {
        /// What does not fit.
        reason: String,
    },
    /// The broker refuses for another reason; the next request is a full one.
    #[error("fetch refused: {code}")]
    Refused {
        /// What the broker said.
        code: ErrorCode,
    },
}

/// Why a fetch brought nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// There is no answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The answer is of no use.
    #[error(transparent)]
    Session(#[from] FetchSessionError),
}
