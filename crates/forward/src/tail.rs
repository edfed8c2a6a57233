//! What the committed tail of the target says about our own batches.
//!
//! After a lost connection, a time-out or a restart nobody knows which of the sent batches were appended. The
//! headers in the target's log do: they come back with the producer id, epoch and base sequence that we stamped,
//! whatever the target recompressed (P4). This module turns those headers into the last ordinal and
//! the offset map segments that go with it. Which offset bounds the tail, and when it may be believed (P15,
//! P16), is left to the caller.

use kafka_wire::record::BatchHeader;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::planted::{self, Bug};
use crate::sequence::{ordinal_of, sequence_of};
use crate::{Ordinal, Runs, Segment, TargetOffset};

/// A producer epoch of a lane: its sequence 0 was the record `ordinal_base`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EpochBase {
    /// The producer id of the lane.
    pub producer_id: i64,
    /// The epoch.
    pub producer_epoch: i16,
    /// The ordinal that got sequence 0.
    pub ordinal_base: Ordinal,
}

impl EpochBase {
    /// The stamp of a batch whose first record is `ordinal`.
    #[must_use]
    pub fn stamp(&self, ordinal: Ordinal) -> crate::Stamp {
        crate::Stamp {
            producer_id: self.producer_id,
            producer_epoch: self
                .producer_epoch
                .saturating_add(i16::from(planted::has(Bug::WrongEpoch))),
            base_sequence: sequence_of(ordinal, self.ordinal_base),
        }
    }

    fn wrote(&self, header: &BatchHeader) -> bool {
        self.producer_id == header.producer_id && self.producer_epoch == header.producer_epoch
    }
}

/// What is known before the tail is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TailStart {
    /// The first ordinal without an acknowledgement.
    pub ordinal: Ordinal,
    /// The target offset behind the last acknowledged record: where the reading begins.
    pub target: TargetOffset,
}

/// Something in the tail that our own sending does not explain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum TailFault {
    /// Records of ours are missing before this batch: lost, or on a compacted target removed since.
    #[error(
        "target offset {at} holds record {found}, but record {expected} is not there before it"
    )]
    Missing {
        /// Target offset of the batch.
        at: TargetOffset,
        /// The ordinal that should have come.
        expected: Ordinal,
        /// The ordinal that came.
        found: Ordinal,
    },
    /// The batch holds records of ours that are there already.
    #[error("target offset {at} holds record {found} again, record {expected} was to come")]
    Doubled {
        /// Target offset of the batch.
        at: TargetOffset,
        /// The ordinal that should have come.
        expected: Ordinal,
        /// The ordinal that came.
        found: Ordinal,
    },
}

/// What the tail says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The first ordinal that the target does not have.
    pub ordinal_next: Ordinal,
    /// The target offset behind the last batch that was read, ours or not.
    pub target_next: TargetOffset,
    /// The offset map of our batches in the tail.
    pub segments: Vec<Segment>,
    /// Whether the marker of the last epoch's fence lies in the tail: only then is the tail complete
    /// after a fence (P14, P16).
    pub marker_seen: bool,
    /// Batches, without control batches, that others wrote.
    pub foreign_count: usize,
    /// Batches with a producer id of ours in an epoch that is not known: what knows of the lane is older than the target.
    pub unknown_epoch_count: usize,
    /// What cannot be explained, in log order.
    pub faults: Vec<TailFault>,
}

/// Reads the tail: `headers` are the target's batches from `start.target` on, in log order; `epochs` are
/// the lane's epochs, the current one last.
///
/// Control batches and batches of other producers are passed over. Empty and thinned batches of a
/// compacted target count with the records they once held: their base sequence and last offset delta are
/// kept (P4).
#[must_use]
pub fn read_tail<'a>(
    headers: impl IntoIterator<Item = &'a BatchHeader>,
    epochs: &[EpochBase],
    runs: &Runs,
    start: TailStart,
) -> Tail {
    let mut tail = Tail {
        ordinal_next: start.ordinal,
        target_next: start.target,
        segments: Vec::new(),
        marker_seen: false,
        foreign_count: 0,
        unknown_epoch_count: 0,
        faults: Vec::new(),
    };
    for header in headers {
        let at = TargetOffset(header.base_offset);
        tail.target_next = tail.target_next.max(TargetOffset(header.next_offset()));
        if header.attributes.is_control() {
            tail.marker_seen |= epochs.last().is_some_and(|current| current.wrote(header));
            continue;
        }
        let Some(epoch) = epochs.iter().find(|epoch| epoch.wrote(header)) else {
            let is_own = epochs.iter().any(|epoch| epoch.producer_id == header.producer_id);
            let is_new = at >= start.target;
            tail.unknown_epoch_count += usize::from(is_own && is_new);
            tail.foreign_count += usize::from(!is_own);
            continue;
        };
        if at >= start.target && header.base_sequence >= 0 {
            tail.take(at, header, epoch, runs);
        }
    }
    tail
}

impl Tail {
    /// Counts one batch of our own.
    fn take(&mut self, at: TargetOffset, header: &BatchHeader, epoch: &EpochBase, runs: &Runs) {
        let expected = self.ordinal_next;
        let found = ordinal_of(header.base_sequence, epoch.ordinal_base, expected);
        let count = i64::from(header.last_offset_delta).max(0) + 1;
        if found > expected {
            self.faults.push(TailFault::Missing { at, expected, found });
        } else if found < expected {
            self.faults.push(TailFault::Doubled { at, expected, found });
        }
        let known = expected.since(found).clamp(0, count);
        self.segments.extend(runs.segments(found.plus(known), count - known, at.plus(known)));
        self.ordinal_next = expected.max(found.plus(count));
    }
}

#[cfg(test)]
mod tests;
