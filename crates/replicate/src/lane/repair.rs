//! What is done to batches that the target refuses as they are: encoded anew, cut, or rid of single records.
//!
//! A repair is chosen when the refusal comes and carried out once the lane has settled, on what then waits to be sent. The lane
//! opens a new producer epoch after that, so no sequence is ever used for other bytes (P2), and the
//! refused batch is the first one the target does not have.

use bytes::Bytes;
use forward::{DropReason, Ordinal, RebuildReason, SourceOffset, TargetOffset, rebuild};
use kafka_wire::compression::Compression;
use kafka_wire::record::{
    Batch, BatchError, BatchHeader, BatchOptions, BatchV2, Record, encode_batch,
};
use std::collections::BTreeSet;

use super::accept::encode;
use super::{Lane, Outgoing};

/// What the first waiting batch needs before it travels again.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Repair {
    /// Decoded and encoded again.
    Rebuild,
    /// Cut, as all that are larger than [`Lane::split_above`].
    Split,
    /// Cut in two, to find the record that is refused.
    Halve,
    /// Sent without these records, counted from 0.
    LeaveOut(BTreeSet<usize>),
}

/// The oldest batch, as a refusal found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// How many records it has.
    pub(crate) count: i64,
    /// Its size.
    pub(crate) bytes: usize,
}

impl Lane {
    /// What the refusal of the oldest batch under way is about.
    pub(crate) fn refused_front(&self) -> Option<Refused> {
        let front = self.in_flight.front()?;
        Some(Refused { count: front.count, bytes: front.size_bytes() })
    }

    /// The oldest batch was refused as it is; it is rebuilt once. False when it had been already, unless only to merge it.
    pub(crate) fn rebuild_refused(&mut self) -> bool {
        let can = self.in_flight.front().is_some_and(|front| {
            front.rebuilt.is_none_or(|reason| reason == RebuildReason::Coalesced)
        });
        if can {
            self.repair = Some(Repair::Rebuild);
        }
        can
    }

    /// The oldest batch is too large for the target: it, and whatever else is as large, is cut from now on (BF-9). False
    /// for a single record, which cannot be cut.
    pub(crate) fn split_refused(&mut self) -> bool {
        let Some(front) = self.refused_front().filter(|front| front.count > 1) else {
            return false;
        };
        let limit = usize::try_from(self.traits.max_message_bytes).unwrap_or(0);
        // Refused although it is small enough as we see it: the target stores it larger, say without compression (P4).
        let limit = if front.bytes > limit { limit } else { front.bytes / 2 };
        self.split_above = Some(self.split_above.map_or(limit, |known| known.min(limit)));
        self.repair = Some(Repair::Split);
        true
    }

    /// The oldest batch holds a record that is refused, nobody knows which: cut in two, the halves tell. False for a single
    /// record.
    pub(crate) fn halve_refused(&mut self) -> bool {
        let can = self.refused_front().is_some_and(|front| front.count > 1);
        if can {
            self.repair = Some(Repair::Halve);
        }
        can
    }

    /// The oldest batch will travel without the records `indexes`, counted from 0. Their source offsets.
    pub(crate) fn leave_out_refused(&mut self, indexes: BTreeSet<usize>) -> Vec<SourceOffset> {
        let Some(front) = self.in_flight.front() else { return Vec::new() };
        let offset = |index: &usize| {
            let index = i64::try_from(*index).unwrap_or(i64::MAX);
            self.runs.source_of(front.ordinal.plus(index)).filter(|_| index < front.count)
        };
        let offsets: Vec<SourceOffset> = indexes.iter().filter_map(offset).collect();
        self.repair = Some(Repair::LeaveOut(indexes));
        offsets
    }

    /// Which records of the oldest batch have no key.
    ///
    /// # Errors
    /// When the batch cannot be decoded.
    pub(crate) fn keyless_of_front(&self) -> Result<BTreeSet<usize>, BatchError> {
        let Some(front) = self.in_flight.front() else { return Ok(BTreeSet::new()) };
        let records = front.batch.records(&self.limits)?;
        let keyless = records.iter().enumerate().filter(|(_, record)| record.key.is_none());
        Ok(keyless.map(|(index, _)| index).collect())
    }

    /// Carries the chosen repair out. A batch that cannot be decoded travels as it is, is refused again, and the lane
    /// stops with the broker's reason.
    pub(super) fn carry_out_repair(&mut self) {
        match self.repair.take() {
            None => {}
            Some(Repair::Rebuild) => self.rebuild_first(),
            Some(Repair::Split) => {
                let waiting = std::mem::take(&mut self.ready);
                self.buffered_bytes = 0;
                for outgoing in waiting {
                    self.push_in_parts(outgoing);
                }
            }
            Some(Repair::Halve) => {
                let Some(front) = self.ready.pop_front() else { return };
                let bytes = front.size_bytes();
                for part in self.parts(front, bytes, RebuildReason::Refused).into_iter().rev() {
                    self.ready.push_front(part);
                }
            }
            Some(Repair::LeaveOut(indexes)) => self.leave_out(&indexes),
        }
        self.buffered_bytes = self.ready.iter().map(Outgoing::size_bytes).sum();
        self.advance_position();
    }

    fn rebuild_first(&mut self) {
        let Some(front) = self.ready.front_mut() else { return };
        let reason = RebuildReason::Refused;
        let source = Batch::V2(front.batch.clone());
        let Ok(Some(rebuilt)) = rebuild(&source, reason, front.source_start, &self.limits) else {
            return;
        };
        let Ok(batch) = encode(&rebuilt) else { return };
        if i64::from(batch.header.record_count) == front.count {
            front.batch = batch;
            front.rebuilt = Some(reason);
        }
    }

    /// Adds a batch to those that wait, cut if it is known that the target finds it too large.
    pub(super) fn push_in_parts(&mut self, outgoing: Outgoing) {
        match self.split_above {
            Some(limit) if outgoing.size_bytes() > limit && outgoing.count > 1 => {
                for part in self.parts(outgoing, limit, RebuildReason::TooLarge) {
                    self.push_whole(part);
                }
            }
            _ => self.push_whole(outgoing),
        }
    }

    fn push_whole(&mut self, outgoing: Outgoing) {
        self.buffered_bytes += outgoing.size_bytes();
        self.ready.push_back(outgoing);
    }

    /// Cuts a batch in two, and these further until each has at most `bytes` or is a single record.
    fn parts(&self, whole: Outgoing, bytes: usize, reason: RebuildReason) -> Vec<Outgoing> {
        let Some((compression, records)) = self.decode(&whole) else { return vec![whole] };
        let mut done = Vec::new();
        let middle = records.len() / 2;
        // Ranges still to be looked at, the next one last.
        let mut open = vec![(middle, records.len()), (0, middle)];
        while let Some((begin, end)) = open.pop() {
            let Some(batch) = encode_records(&records[begin..end], compression) else {
                return vec![whole];
            };
            if batch.bytes.len() <= bytes || end - begin == 1 {
                done.push(self.part(&whole, begin, batch, reason));
            } else {
                let middle = begin + (end - begin) / 2;
                open.extend([(middle, end), (begin, middle)]);
            }
        }
        // Each part is done when the next one begins.
        for index in 1..done.len() {
            done[index - 1].source_next = done[index].source_start;
        }
        done
    }

    fn part(
        &self,
        whole: &Outgoing,
        begin: usize,
        batch: BatchV2,
        reason: RebuildReason,
    ) -> Outgoing {
        let ordinal = whole.ordinal.plus(i64::try_from(begin).unwrap_or(i64::MAX));
        Outgoing {
            count: i64::from(batch.header.record_count),
            batch,
            ordinal,
            source_start: self.runs.source_of(ordinal).unwrap_or(whole.source_start),
            source_next: whole.source_next,
            rebuilt: Some(reason),
            lease: whole.lease.clone(),
            leases: whole.leases.clone(),
            is_final: true,
        }
    }

    fn decode(&self, outgoing: &Outgoing) -> Option<(Compression, Vec<Record>)> {
        outgoing.batch.verify_crc().ok()?;
        let records = outgoing.batch.records(&self.limits).ok()?;
        let is_whole = i64::try_from(records.len()) == Ok(outgoing.count);
        Some((outgoing.batch.header.compression().ok()?, records)).filter(|_| is_whole)
    }

    /// Takes records out of the first waiting batch and closes the ranks of the ordinals behind them.
    fn leave_out(&mut self, indexes: &BTreeSet<usize>) {
        let Some(front) = self.ready.front() else { return };
        let Some((compression, records)) = self.decode(front) else { return };
        let first = front.ordinal;
        let kept: Vec<(Ordinal, Record)> = (0i64..)
            .map(|index| first.plus(index))
            .zip(records)
            .enumerate()
            .filter(|(index, _)| !indexes.contains(index))
            .map(|(_, kept)| kept)
            .collect();
        let left_out = front.count - i64::try_from(kept.len()).unwrap_or(front.count);
        let sources: Vec<SourceOffset> =
            kept.iter().filter_map(|(ordinal, _)| self.runs.source_of(*ordinal)).collect();
        let records: Vec<Record> = kept.into_iter().map(|(_, record)| record).collect();
        let Some(mut front) = self.ready.pop_front() else { return };
        let mut stretches: Vec<Vec<(SourceOffset, i64)>> = Vec::new();
        let batch = if records.is_empty() { None } else { encode_records(&records, compression) };
        if let Some(batch) = batch {
            front.count = i64::from(batch.header.record_count);
            front.source_start = sources.first().copied().unwrap_or(front.source_start);
            front.batch = batch;
            front.rebuilt = Some(RebuildReason::Refused);
            stretches.push(sources.into_iter().map(|source| (source, 1)).collect());
            stretches.extend(self.ready.iter().map(|waiting| self.stretches(waiting)));
            self.ready.push_front(front);
        } else {
            stretches.extend(self.ready.iter().map(|waiting| self.stretches(waiting)));
        }
        self.status.dropped(u64::try_from(left_out).unwrap_or(0), DropReason::Refused);
        self.number_again(first, &stretches);
    }

    /// Where the records of a waiting batch lie on the source: first offset and count of each stretch without a gap.
    fn stretches(&self, waiting: &Outgoing) -> Vec<(SourceOffset, i64)> {
        let segments = self.runs.segments(waiting.ordinal, waiting.count, TargetOffset(0));
        segments.map(|segment| (segment.source_start, segment.len)).collect()
    }

    /// Gives the waiting batches ordinals from `first` on.
    fn number_again(&mut self, first: Ordinal, stretches: &[Vec<(SourceOffset, i64)>]) {
        self.runs.truncate(first);
        let mut next = first;
        for (waiting, stretches) in self.ready.iter_mut().zip(stretches) {
            waiting.ordinal = next;
            for (source, count) in stretches {
                // Offsets grow from batch to batch and inside each: they were numbered in this order before.
                let pushed = self.runs.push(next, *source);
                debug_assert!(pushed.is_ok(), "{pushed:?}");
                next = next.plus(*count);
            }
        }
        self.next_ordinal = next;
    }
}

/// A batch of these records in the form that every batch travels in.
fn encode_records(records: &[Record], compression: Compression) -> Option<BatchV2> {
    let numbered: Vec<Record> =
        (0i64..).zip(records).map(|(offset, record)| Record { offset, ..record.clone() }).collect();
    let options = BatchOptions { compression, ..BatchOptions::default() };
    let bytes: Bytes = encode_batch(&options, &numbered).ok()?;
    let header = BatchHeader::parse(&bytes).ok()?;
    Some(BatchV2 { header, bytes })
}
