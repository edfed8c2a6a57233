//! Lanes of tasks with a rule: one reads a source partition, others write what the rule made of it, one for each target
//! partition that gets any of it (ADR 0016).
//!
//! What is read waits until the rule is applied, and is done when all that came of it is acknowledged. What is written is numbered by
//! itself: the source offsets of a writing lane are its ordinals, without a gap, so that everything that holds for a copy holds for
//! it. Where its batches end among the source's records is journaled before they are sent.

use std::sync::Arc;

use forward::{Ordinal, SourceOffset, TargetTraits};
use kafka_wire::record::{Batch, BatchError, BatchOptions, BatchV2, encode_batch};

use super::{Lane, LaneProgress, LaneRecord, LaneSeed};
use crate::budget::SharedLease;
use crate::journal::{OutputCut, SourcePlace};
use crate::lane::accept::AcceptFault;
use crate::progress::LaneStatus;

/// What a lane does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Duty {
    /// Copies a source partition to a target partition.
    #[default]
    Copy,
    /// Reads a source partition for a rule.
    Read,
    /// Writes what a rule made of a source partition to a target partition.
    Write,
}

/// A batch for a rule.
#[derive(Debug)]
pub(crate) struct Input {
    pub(crate) batch: BatchV2,
    /// Records before it are none of ours.
    pub(crate) from: SourceOffset,
    pub(crate) lease: SharedLease,
}

impl LaneSeed {
    /// A lane that goes on writing what a rule makes.
    pub(crate) fn of_writer(record: LaneRecord, status: Arc<LaneStatus>) -> Self {
        Self {
            record,
            map_end: None,
            traits: TargetTraits::default(),
            end: None,
            must_check: false,
            duty: Duty::Write,
            writers: Vec::new(),
            status,
        }
    }
}

impl Lane {
    pub(crate) fn duty(&self) -> Duty {
        self.duty
    }

    /// How often the source partition was begun anew.
    pub(crate) fn era(&self) -> u32 {
        self.outputs.era
    }

    /// Whether a batch waits for the rule.
    pub(crate) fn has_input(&self) -> bool {
        self.duty == Duty::Read && !self.ready.is_empty()
    }

    /// The next batch for the rule: done when [`Lane::input_done`] says so, in the order in which they were taken.
    pub(crate) fn take_input(&mut self) -> Option<Input> {
        if self.duty != Duty::Read {
            return None;
        }
        let outgoing = self.ready.pop_front()?;
        let input = Input {
            batch: outgoing.batch.clone(),
            from: outgoing.source_start,
            lease: outgoing.lease.clone(),
        };
        self.in_flight.push_back(outgoing);
        Some(input)
    }

    /// All that came of the oldest batch that was taken is on the target; `count` of its records were ours.
    pub(crate) fn input_done(&mut self, count: u64) {
        let Some(outgoing) = self.in_flight.pop_front() else { return };
        let bytes = outgoing.size_bytes();
        self.buffered_bytes = self.buffered_bytes.saturating_sub(bytes);
        self.acked = LaneProgress {
            ordinal: outgoing.end(),
            source_next: outgoing.source_next,
            target_next: self.acked.target_next,
        };
        self.failures = 0;
        self.advance_position();
        self.status.set_position(self.acked.source_next.0);
        self.status.copied(count, u64::try_from(bytes).unwrap_or(u64::MAX), None, -1);
    }

    /// All before `offset`, inside the oldest batch that was taken, is done, and nothing more will be.
    pub(crate) fn input_ends_at(&mut self, offset: SourceOffset) {
        self.acked.source_next = self.acked.source_next.max(offset);
        self.status.set_position(self.acked.source_next.0);
    }

    /// Keeps what was read for the rule, as it came.
    pub(super) fn push_input(
        &mut self,
        batch: Batch,
        lease: &SharedLease,
    ) -> Result<(), AcceptFault> {
        let (first, next) = (SourceOffset(batch.base_offset()), SourceOffset(batch.next_offset()));
        let batch = match batch {
            Batch::V2(batch) => batch,
            legacy @ Batch::Legacy(_) => self
                .modern(&legacy)
                .map_err(|error| AcceptFault::Corrupt { offset: first, error })?,
        };
        let count = i64::from(batch.header.record_count);
        self.push(batch, first.max(self.position), count, next, None, lease);
        Ok(())
    }

    /// The records of an older format as a batch of format 2, at their offsets.
    fn modern(&self, batch: &Batch) -> Result<BatchV2, BatchError> {
        let records = batch.records(&self.limits)?;
        let base_offset =
            records.first().map_or_else(|| batch.base_offset(), |record| record.offset);
        let options = BatchOptions { base_offset, ..BatchOptions::default() };
        BatchV2::parse(encode_batch(&options, &records)?)
    }

    /// Takes a batch to write, which ends at `place` among what the rule makes of the source.
    pub(crate) fn push_output(
        &mut self,
        batch: BatchV2,
        place: SourcePlace,
        lease: &SharedLease,
    ) -> Result<(), AcceptFault> {
        let first = self.next_ordinal;
        let count = i64::from(batch.header.record_count);
        let next = SourceOffset(first.plus(count).0);
        self.number(first, SourceOffset(first.0))?;
        self.push(batch, SourceOffset(first.0), count, next, None, lease);
        self.position = next;
        self.outputs.cuts.push(OutputCut { ordinal: first.plus(count), place });
        self.raise_barrier(first);
        Ok(())
    }

    /// The ordinal of the next output.
    pub(crate) fn next_ordinal(&self) -> Ordinal {
        self.next_ordinal
    }

    /// Whether it is known what the target has of a writing lane.
    pub(crate) fn is_placed(&self) -> bool {
        !self.is_dirty || self.was_opened
    }

    /// Which outputs the target has: all before this place, and so many behind it; none when nothing was ever written. What
    /// is cut off in the middle of a batch was cut when the target found it too large.
    pub(crate) fn written(&self) -> Option<(SourcePlace, i64)> {
        let at = self.acked.ordinal;
        let cut = self.outputs.cuts.iter().rev().find(|cut| cut.ordinal <= at);
        match cut {
            Some(cut) => Some((cut.place, at.since(cut.ordinal))),
            None if at > Ordinal(0) => {
                let first = SourcePlace { era: 0, offset: SourceOffset(i64::MIN), part: 0 };
                Some((first, at.since(Ordinal(0))))
            }
            None => None,
        }
    }

    /// Forgets cuts before the last acknowledged one.
    pub(super) fn prune_cuts(&mut self) {
        let acked = self.acked.ordinal;
        let known = self.outputs.cuts.partition_point(|cut| cut.ordinal <= acked);
        self.outputs.cuts.drain(..known.saturating_sub(1));
    }

    /// Forgets cuts behind `ordinal`: nothing of them was sent, or it is not on the target.
    pub(super) fn truncate_cuts(&mut self, ordinal: Ordinal) {
        self.outputs.cuts.retain(|cut| cut.ordinal <= ordinal);
    }
}
