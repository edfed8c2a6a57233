//! What happens to one source batch: it passes as it is, is rebuilt, or is dropped.

mod aborted;

use std::fmt;

use kafka_wire::record::{Batch, BatchError, BatchHeader, BatchV2, ControlKind, LegacyBatch};
use serde::{Deserialize, Serialize};

pub use aborted::AbortedFilter;

use crate::SourceOffset;
use crate::planted::{self, Bug};

/// What becomes of one source batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Its payload travels untouched under a patched header.
    AsIs,
    /// It is decoded and encoded again, since the target would refuse it or change its meaning.
    Rebuild(RebuildReason),
    /// Nothing of it belongs on the target.
    Drop(DropReason),
}

/// Why a batch cannot pass as it is. Each is counted: fidelity is visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RebuildReason {
    /// It holds records before the position asked for (BF-20).
    BeforePosition,
    /// It is of message format 0 or 1 (BF-26).
    LegacyFormat,
    /// Compaction left gaps in it: the count does not match the last offset delta (BF-2, P5).
    Gaps,
    /// Its base timestamp is a delete horizon (BF-7, KIP-534).
    DeleteHorizon,
    /// Its times are the source broker's, and the target keeps the producer's (BF-4, P6).
    LogAppendTime,
    /// The target refused it as it is, for example for its inner offset deltas (P4).
    Refused,
    /// It is larger than the target's `max.message.bytes` and is split (BF-9).
    TooLarge,
    /// It is merged with its neighbours to keep pace.
    Coalesced,
}

/// Why a batch is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DropReason {
    /// It is a transaction marker: brokers refuse those from clients (BF-3, P5).
    Control,
    /// Its transaction was aborted (KIP-98).
    Aborted,
    /// It lies wholly before the position asked for.
    BeforePosition,
    /// Compaction removed all its records; it was kept for its producer's state (P4).
    Empty,
    /// The target refuses single records, and the task's policy is to go on without them.
    Refused,
}

impl RebuildReason {
    /// The name in metrics and events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BeforePosition => "before_position",
            Self::LegacyFormat => "legacy_format",
            Self::Gaps => "gaps",
            Self::DeleteHorizon => "delete_horizon",
            Self::LogAppendTime => "log_append_time",
            Self::Refused => "refused",
            Self::TooLarge => "too_large",
            Self::Coalesced => "coalesced",
        }
    }
}

impl fmt::Display for RebuildReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl DropReason {
    /// The name in metrics and events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Aborted => "aborted",
            Self::BeforePosition => "before_position",
            Self::Empty => "empty",
            Self::Refused => "refused",
        }
    }
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What matters about the target topic when a batch is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetTraits {
    /// `message.timestamp.type=LogAppendTime`: the broker stamps each batch with its own time.
    pub log_append_time: bool,
    /// `cleanup.policy` contains `compact`: records without a key are refused (BF-8).
    pub compacted: bool,
    /// `max.message.bytes`: the largest batch the broker takes, in bytes as it stores it.
    pub max_message_bytes: i32,
}

impl Default for TargetTraits {
    fn default() -> Self {
        Self { log_append_time: false, compacted: false, max_message_bytes: 1_048_588 }
    }
}

/// Says what happens to `batch` when the copy stands at `position`.
///
/// `aborted` belongs to the fetch response of the batch and is told of every batch, in order: it needs the
/// markers too. A batch larger than the target takes is left to the target's answer, since only the
/// target knows its size after recompression (P4).
///
/// # Errors
/// A transaction marker that cannot be read: whether what follows is aborted is then unknown.
pub fn decide(
    batch: &Batch,
    position: SourceOffset,
    aborted: &mut AbortedFilter,
    target: &TargetTraits,
) -> Result<Decision, BatchError> {
    match batch {
        Batch::V2(batch) => decide_v2(batch, position, aborted, target),
        Batch::Legacy(batch) => Ok(decide_legacy(batch, position)),
    }
}

fn decide_v2(
    batch: &BatchV2,
    position: SourceOffset,
    aborted: &mut AbortedFilter,
    target: &TargetTraits,
) -> Result<Decision, BatchError> {
    let header = &batch.header;
    // The filter comes first: it must see markers that lie before the position as well.
    let is_aborted = aborted.handle_batch(header) && !planted::has(Bug::ForgetAborted);
    if header.attributes.is_control() && !planted::has(Bug::CopyControl) {
        if batch.control()?.is_some_and(|control| control.kind == ControlKind::Abort)
            && !planted::has(Bug::DropMarker)
        {
            aborted.handle_abort(header.producer_id);
        }
        let is_past = header.last_offset() < position.0;
        return Ok(Decision::Drop(if is_past {
            DropReason::BeforePosition
        } else {
            DropReason::Control
        }));
    }
    Ok(if header.last_offset() < position.0 {
        Decision::Drop(DropReason::BeforePosition)
    } else if is_aborted {
        Decision::Drop(DropReason::Aborted)
    } else if header.record_count == 0 {
        Decision::Drop(DropReason::Empty)
    } else if header.base_offset < position.0 {
        Decision::Rebuild(RebuildReason::BeforePosition)
    } else {
        decide_header(header, target)
    })
}

/// What a batch without regard to its place in the log needs.
fn decide_header(header: &BatchHeader, target: &TargetTraits) -> Decision {
    let attributes = &header.attributes;
    if i64::from(header.record_count) != i64::from(header.last_offset_delta) + 1 {
        Decision::Rebuild(RebuildReason::Gaps)
    } else if attributes.has_delete_horizon() {
        Decision::Rebuild(RebuildReason::DeleteHorizon)
    } else if attributes.is_log_append_time()
        && !target.log_append_time
        && !planted::has(Bug::AppendTimeNotKept)
    {
        Decision::Rebuild(RebuildReason::LogAppendTime)
    } else {
        Decision::AsIs
    }
}

/// Where a compressed legacy message begins is known only after decompression: the rebuild leaves out what lies before
/// the position.
fn decide_legacy(batch: &LegacyBatch, position: SourceOffset) -> Decision {
    if batch.offset() < position.0 {
        Decision::Drop(DropReason::BeforePosition)
    } else {
        Decision::Rebuild(RebuildReason::LegacyFormat)
    }
}

#[cfg(test)]
mod tests;
