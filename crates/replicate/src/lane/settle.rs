//! Answers of the target: acknowledgements, interruptions, and what the tail said after one.

use forward::planted::{Bug, has};
use forward::{EpochBase, OffsetMap, Ordinal, Runs, SourceOffset, Tail, TargetOffset};
use thiserror::Error;

use super::{Lane, Outgoing, Phase};
use crate::journal::{LaneProgress, SourceEpochs};
use crate::progress::LaneState;
use crate::recover::Adopted;

/// Why an acknowledgement is not believed. The tail tells what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum AckFault {
    /// The broker gave no offset, or one below what it has acknowledged before.
    #[error(
        "the target acknowledged offset {found} although it had given all offsets below {expected}"
    )]
    Backwards { expected: TargetOffset, found: i64 },
    /// The offset map refuses the records.
    #[error(transparent)]
    Map(#[from] forward::MapConflict),
    /// Nothing was under way.
    #[error("the target acknowledged a batch that was not under way")]
    Unexpected,
}

/// How far the target had come when it was asked.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// The producer from here on.
    pub(crate) producer_id: i64,
    /// Its epoch; sequence 0 is the first record that the target does not have.
    pub(crate) producer_epoch: i16,
    /// What the target's log says.
    pub(crate) tail: Tail,
}

/// What the tail says cannot be brought together with what was sent.
#[derive(Debug, Error)]
pub(crate) enum RecoverFault {
    /// The target ends inside one of our batches: brokers append whole batches only.
    #[error(
        "the target ends at record {found}, in the middle of a batch that holds records {first} to {last}"
    )]
    InsideBatch { found: Ordinal, first: Ordinal, last: Ordinal },
    /// The target holds records that this lane never sent.
    #[error("the target holds records up to {found}, but only {sent} were ever sent")]
    Ahead { found: Ordinal, sent: Ordinal },
    /// Records are missing or doubled in the target's log.
    #[error(transparent)]
    Tail(#[from] forward::TailFault),
    /// The journal does not know the source offset of the last record.
    #[error("the journal does not know which source offset record {0} had")]
    UnknownRun(Ordinal),
    /// The offset map refuses the records.
    #[error(transparent)]
    Map(#[from] forward::MapConflict),
}

impl Lane {
    /// The oldest batch under way is appended and committed at `base_offset`. Returns how many offsets
    /// others took since our last record.
    pub(crate) fn acknowledge(&mut self, base_offset: i64) -> Result<i64, AckFault> {
        self.unanswered = self.unanswered.saturating_sub(1);
        let expected = self.acked.target_next;
        if base_offset < expected.0 {
            return Err(AckFault::Backwards { expected, found: base_offset });
        }
        let outgoing = self.in_flight.pop_front().ok_or(AckFault::Unexpected)?;
        let is_trusted = has(Bug::TrustExpectedOffset) && expected.0 >= 0;
        let base = TargetOffset(if is_trusted { expected.0 } else { base_offset });
        for segment in self.runs.segments(outgoing.ordinal, outgoing.count, base) {
            self.map.append(segment)?;
        }
        self.is_proven = true;
        self.acked_ms = outgoing.batch.header.max_timestamp;
        self.failures = 0;
        self.is_dirty = true;
        self.settle(&outgoing, base.plus(outgoing.count));
        Ok(base.since(expected))
    }

    /// Books a batch that is certainly on the target.
    fn settle(&mut self, outgoing: &Outgoing, target_next: TargetOffset) {
        let bytes = outgoing.size_bytes();
        self.buffered_bytes = self.buffered_bytes.saturating_sub(bytes);
        self.acked = LaneProgress {
            ordinal: outgoing.end(),
            source_next: outgoing.source_next,
            target_next,
        };
        let known = if has(Bug::PruneTooEarly) { self.next_ordinal } else { outgoing.end() };
        self.runs.prune(known.plus(-1));
        self.prune_cuts();
        self.map.advance(outgoing.source_next, target_next);
        self.advance_position();
        self.status.set_position(self.acked.source_next.0);
        let records = u64::try_from(outgoing.count).unwrap_or(0);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.status.copied(records, bytes, outgoing.rebuilt, target_next.0);
    }

    /// A batch under way was answered with an error, or its connection died, or its answer is not to be
    /// believed. Nothing more is sent until all answers are in and the target's tail was asked.
    pub(crate) fn interrupt(&mut self) {
        self.unanswered = self.unanswered.saturating_sub(1);
        self.begin_settling();
    }

    /// As [`Lane::interrupt`], for an answer that was counted already.
    pub(crate) fn begin_settling(&mut self) {
        if self.phase == Phase::Running {
            self.phase = Phase::Settling;
            self.is_dirty = true;
            self.failures = self.failures.saturating_add(1);
            self.status.set_state(LaneState::Retrying);
        }
    }

    /// The oldest batch without an acknowledgement: what an error is about.
    pub(crate) fn front_source_offset(&self) -> SourceOffset {
        let front = self.in_flight.front().or_else(|| self.ready.front());
        front.map_or(self.acked.source_next, |outgoing| outgoing.source_start)
    }

    /// Whether the oldest batch's own checksum holds: tells a corrupt source from a corrupt way.
    pub(crate) fn front_is_intact(&self) -> bool {
        let front = self.in_flight.front().or_else(|| self.ready.front());
        front.is_none_or(|outgoing| outgoing.batch.verify_crc().is_ok())
    }

    /// Moves on from settling once nothing is under way any more: everything without an acknowledgement
    /// waits again, in order.
    pub(crate) fn try_settle(&mut self) -> bool {
        if self.phase != Phase::Settling || self.unanswered > 0 {
            return false;
        }
        while let Some(outgoing) = self.in_flight.pop_back() {
            self.ready.push_front(outgoing);
        }
        self.carry_out_repair();
        self.phase = Phase::Waiting;
        true
    }

    /// Goes on with a new producer epoch behind what the target has. The record that this returns to
    /// must be journaled before anything is sent: the barrier stands until [`Lane::journal_done`].
    pub(crate) fn recovered(&mut self, recovered: Recovered) -> Result<(), RecoverFault> {
        let tail = recovered.tail;
        if let Some(fault) = tail.faults.first() {
            return Err((*fault).into());
        }
        for segment in &tail.segments {
            self.map.append(*segment)?;
        }
        let next = if has(Bug::ResendAcked) { self.acked.ordinal } else { tail.ordinal_next };
        if self.has_unsent_or_sent() {
            self.settle_below(next, tail.target_next)?;
        } else {
            self.resume_at(next)?;
        }
        self.acked.ordinal = next;
        self.acked.target_next = tail.target_next;
        self.prune_cuts();
        self.map.advance(self.acked.source_next, tail.target_next);
        self.epochs = vec![EpochBase {
            producer_id: recovered.producer_id,
            producer_epoch: recovered.producer_epoch,
            ordinal_base: if has(Bug::WrongSequence) { Ordinal(0) } else { next },
        }];
        self.is_proven = false;
        self.was_opened = true;
        self.status.set_placed();
        self.raise_barrier(next);
        self.phase = Phase::Running;
        self.status.set_state(LaneState::Running);
        self.status.set_position(self.acked.source_next.0);
        Ok(())
    }

    /// Goes on behind records that the journal does not know: what was read is forgotten, and the map begins anew, since
    /// nobody can tell where the earlier records lie. [`Lane::recovered`] follows.
    pub(crate) fn adopt(&mut self, adopted: &Adopted, tail: &mut Tail) {
        self.ready.clear();
        self.buffered_bytes = 0;
        self.barriers.clear();
        self.unwritten.clear();
        self.runs = Runs::default();
        self.position = adopted.source_next;
        self.source_epochs = SourceEpochs::default();
        self.next_ordinal = self.acked.ordinal;
        self.acked.source_next = adopted.source_next;
        let first = adopted.segments.first();
        let source_start = first.map_or(adopted.source_next, |segment| segment.source_start);
        let target_start = first.map_or(tail.target_next, |segment| segment.target_start);
        self.map_start = Some(source_start);
        self.status.set_map_start(source_start.0);
        self.map = OffsetMap::new(source_start, target_start, self.map.segments_max());
        tail.ordinal_next = self.acked.ordinal;
        tail.segments.clone_from(&adopted.segments);
        tail.faults.clear();
    }

    /// Books the waiting batches that the tail shows to be on the target.
    fn settle_below(
        &mut self,
        next: Ordinal,
        target_next: TargetOffset,
    ) -> Result<(), RecoverFault> {
        while let Some(front) = self.ready.front() {
            if front.ordinal >= next {
                break;
            }
            if front.end() > next {
                return Err(RecoverFault::InsideBatch {
                    found: next,
                    first: front.ordinal,
                    last: front.end().plus(-1),
                });
            }
            let Some(outgoing) = self.ready.pop_front() else { break };
            self.settle(&outgoing, target_next);
        }
        if next > self.next_ordinal {
            return Err(RecoverFault::Ahead { found: next, sent: self.next_ordinal });
        }
        Ok(())
    }

    /// After a restart: the runs tell where to read on.
    fn resume_at(&mut self, next: Ordinal) -> Result<(), RecoverFault> {
        if next != self.acked.ordinal {
            let last = next.plus(-1);
            self.acked.source_next =
                self.runs.next_source_after(last).ok_or(RecoverFault::UnknownRun(last))?;
            self.position = self.acked.source_next.max(self.position);
            self.is_epoch_doubtful = true;
        }
        self.source_epochs.truncate(self.position);
        self.runs.truncate(next);
        self.truncate_cuts(next);
        self.next_ordinal = next;
        Ok(())
    }

    /// Whether the journal has not heard of the last progress.
    pub(crate) fn has_progressed(&self) -> bool {
        self.acked != self.journaled
    }

    /// The new and grown map segments, for the journal, together with [`Lane::record`] as it is now.
    pub(crate) fn drain_map(&mut self) -> Vec<forward::Segment> {
        self.journaled = self.acked;
        self.map.drain()
    }

    /// At a clean end: forgets what was read and never sent. True when the lane is settled: nothing is
    /// on the target that the journal does not know.
    pub(crate) fn close(&mut self) -> bool {
        // In other phases what waits may be on the target: the next start needs its runs.
        let is_certain = self.phase == Phase::Running || !self.is_dirty;
        // A next start must not take the target for quiet while requests of lost connections may still be appended.
        let is_certain = is_certain && self.strays_until.is_none();
        let is_settled = is_certain && self.unanswered == 0 && self.in_flight.is_empty();
        if is_settled {
            self.ready.clear();
            self.buffered_bytes = 0;
            self.runs.truncate(self.acked.ordinal);
            self.truncate_cuts(self.acked.ordinal);
        }
        is_settled
    }
}
