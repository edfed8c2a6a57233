//! Fetched bytes in: split, judged, numbered.

use bytes::Bytes;
use forward::planted::{Bug, has, strikes};
use forward::{
    AbortedFilter, Decision, DropReason, Ordinal, RebuildError, RebuildReason, Rebuilt,
    SourceOffset, decide, rebuild,
};
use kafka_wire::record::{Batch, BatchError, BatchHeader, BatchV2, split};
use thiserror::Error;

use super::{Duty, Lane, Outgoing, Phase};
use crate::budget::SharedLease;

/// What a fetch brought to one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accepted {
    /// Batches that now wait to be sent.
    pub(crate) batches: usize,
}

/// Names a journal write that the lane waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Barrier(u64);

/// Why a lane cannot go on with what the source sent.
#[derive(Debug, Error)]
pub(crate) enum AcceptFault {
    /// The source's own bytes are broken: copying them would spread the damage.
    #[error("the batch at source offset {offset} is corrupt: {error}")]
    Corrupt { offset: SourceOffset, error: BatchError },
    /// A batch that must be rebuilt cannot be.
    #[error("the batch at source offset {offset} cannot be rebuilt ({reason}): {error}")]
    Rebuild { offset: SourceOffset, reason: RebuildReason, error: RebuildError },
    /// The source went back behind what it gave before.
    #[error("the batch at source offset {offset} does not follow what was read before: {error}")]
    Order { offset: SourceOffset, error: forward::RunError },
}

impl Lane {
    /// Takes what a fetch at the lane's position returned. `lease` holds the frame's share of the budget.
    ///
    /// Batches before the position are skipped (BF-20); those of aborted transactions and control batches are
    /// dropped; the rest is numbered and waits to be sent.
    pub(crate) fn accept(
        &mut self,
        records: Bytes,
        aborted: &mut AbortedFilter,
        lease: &SharedLease,
    ) -> Result<Accepted, AcceptFault> {
        let mut accepted = Accepted::default();
        self.must_check = false;
        let first = self.next_ordinal;
        let run_count = self.runs.count();
        let mut is_new_epoch = false;
        let mut largest = 0;
        let (from, mut read_bytes) = (self.position, 0);
        for batch in split(records) {
            let batch =
                batch.map_err(|error| AcceptFault::Corrupt { offset: self.position, error })?;
            if let Some(end) = self.end
                && batch.base_offset() >= end.0
                && !has(Bug::IgnoreEnd)
            {
                self.reach(end, leader_epoch(&batch));
                break;
            }
            largest = largest.max(batch.size_bytes());
            if batch.next_offset() > self.position.0 {
                read_bytes += batch.size_bytes();
            }
            is_new_epoch |= self.accept_batch(batch, aborted, lease, &mut accepted)?;
        }
        if largest > 0 {
            self.batch_bytes = largest;
        }
        self.note_advance(from, read_bytes);
        self.advance_position();
        // The journal must not be behind the target in either, whenever the process dies.
        let is_news = self.runs.count() != run_count || is_new_epoch;
        if is_news && self.duty != Duty::Read {
            self.raise_barrier(first);
        }
        Ok(accepted)
    }

    /// Nothing from `ordinal` on is sent until the lane's record is durable: take the barrier by
    /// [`Lane::take_barriers`], write the record, and say so by [`Lane::journal_done`].
    pub(super) fn raise_barrier(&mut self, ordinal: Ordinal) {
        let barrier = Barrier(self.barrier_count);
        self.barrier_count += 1;
        self.barriers.push((barrier, ordinal));
        self.unwritten.push(barrier);
    }

    /// The barriers that fall when [`Lane::record`], as it is now, is durable.
    pub(crate) fn take_barriers(&mut self) -> Vec<Barrier> {
        std::mem::take(&mut self.unwritten)
    }

    fn accept_batch(
        &mut self,
        batch: Batch,
        aborted: &mut AbortedFilter,
        lease: &SharedLease,
        accepted: &mut Accepted,
    ) -> Result<bool, AcceptFault> {
        let offset = SourceOffset(batch.base_offset());
        let next = SourceOffset(batch.next_offset());
        let leader_epoch = leader_epoch(&batch);
        let decision = decide(&batch, self.position, aborted, &self.traits)
            .map_err(|error| AcceptFault::Corrupt { offset, error })?;
        match (decision, batch) {
            (Decision::Drop(reason), batch) => self.drop_batch(&batch, reason),
            (_, batch) if self.duty == Duty::Read => {
                self.push_input(batch, lease)?;
                accepted.batches += 1;
            }
            (Decision::AsIs, Batch::V2(_)) if strikes(Bug::SkipBatch) => {}
            (Decision::AsIs, Batch::V2(batch)) => {
                let count = i64::from(batch.header.record_count);
                self.number(self.next_ordinal, offset)?;
                self.push(batch, offset, count, next, None, lease);
                accepted.batches += 1;
            }
            (Decision::Rebuild(reason), batch) => {
                self.push_rebuilt(&batch, reason, lease, accepted)?
            }
            // Only format 2 passes as it is; `decide` says so, and a rebuild would be right all the same.
            (Decision::AsIs, batch) => {
                self.push_rebuilt(&batch, RebuildReason::LegacyFormat, lease, accepted)?
            }
        }
        let mut is_new_epoch = false;
        if next > self.position {
            self.is_epoch_doubtful = false;
            is_new_epoch = self.source_epochs.note(leader_epoch, self.position.max(offset));
            self.position = next;
        }
        Ok(is_new_epoch)
    }

    /// The next batch, of `leader_epoch`, lies behind `end`: compaction took what was left below.
    fn reach(&mut self, end: SourceOffset, leader_epoch: i32) {
        if end > self.position {
            if leader_epoch != self.source_epochs.last() {
                // A newer epoch may have begun in the gap: asked about with the older one, the source would call it a cut.
                self.source_epochs.note(-1, self.position);
            }
            self.position = end;
        }
    }

    fn drop_batch(&mut self, batch: &Batch, reason: DropReason) {
        if reason != DropReason::BeforePosition {
            let records = match batch {
                Batch::V2(batch) => u64::try_from(batch.header.record_count).unwrap_or(0),
                Batch::Legacy(_) => 0,
            };
            self.status.dropped(records, reason);
        }
    }

    fn push_rebuilt(
        &mut self,
        batch: &Batch,
        reason: RebuildReason,
        lease: &SharedLease,
        accepted: &mut Accepted,
    ) -> Result<(), AcceptFault> {
        let offset = SourceOffset(batch.base_offset());
        let next = SourceOffset(batch.next_offset());
        let fault = |error| AcceptFault::Rebuild { offset, reason, error };
        let Some(rebuilt) = rebuild(batch, reason, self.position, &self.limits).map_err(fault)?
        else {
            return Ok(());
        };
        let first = self.next_ordinal;
        for (index, source) in (0i64..).zip(rebuilt.offsets()) {
            self.number(first.plus(index), source)?;
        }
        let batch = encode(&rebuilt).map_err(fault)?;
        let count = i64::from(batch.header.record_count);
        self.push(batch, rebuilt.first_offset(), count, next, Some(reason), lease);
        accepted.batches += 1;
        Ok(())
    }

    /// Gives `ordinal` to the record at `source`.
    pub(super) fn number(
        &mut self,
        ordinal: Ordinal,
        source: SourceOffset,
    ) -> Result<(), AcceptFault> {
        self.runs
            .push(ordinal, source)
            .map(drop)
            .map_err(|error| AcceptFault::Order { offset: source, error })
    }

    pub(super) fn push(
        &mut self,
        batch: BatchV2,
        source_start: SourceOffset,
        count: i64,
        source_next: SourceOffset,
        rebuilt: Option<RebuildReason>,
        lease: &SharedLease,
    ) {
        self.push_in_parts(Outgoing {
            batch,
            ordinal: self.next_ordinal,
            count,
            source_start,
            source_next,
            rebuilt,
            lease: lease.clone(),
            leases: Vec::new(),
            is_final: false,
        });
        self.next_ordinal = self.next_ordinal.plus(count);
        self.swap_last_batches();
    }

    /// Moves the safe position over what was read and needed no sending.
    pub(super) fn advance_position(&mut self) {
        if !self.has_unsent_or_sent() && self.phase != Phase::Stopped {
            self.acked.source_next = self.acked.source_next.max(self.position);
            self.map.advance(self.acked.source_next, self.acked.target_next);
            self.status.set_position(self.acked.source_next.0);
        }
    }

    /// The journal write for `barrier` is durable.
    pub(crate) fn journal_done(&mut self, barrier: Barrier) {
        self.barriers.retain(|(known, _)| *known != barrier);
        if self.barriers.is_empty() {
            self.barriers = Vec::new();
        }
    }
}

/// The epoch of the leader that took the batch, −1 where its format does not say.
fn leader_epoch(batch: &Batch) -> i32 {
    match batch {
        Batch::V2(batch) => batch.header.partition_leader_epoch,
        Batch::Legacy(_) => -1,
    }
}

/// A rebuilt batch in the form that every batch travels in: its producer is stamped when it is sent.
pub(super) fn encode(rebuilt: &Rebuilt) -> Result<BatchV2, RebuildError> {
    let bytes = rebuilt.encode(None)?;
    let header = BatchHeader::parse(&bytes)
        .map_err(|cause| RebuildError::Decode { base_offset: rebuilt.first_offset(), cause })?;
    Ok(BatchV2 { header, bytes })
}
