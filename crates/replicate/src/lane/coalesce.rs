//! Small neighbours to one batch: a target broker takes one batch of a partition in each request and works on one request
//! at a time, so that small batches cost it, and us, a request each (ADR 0010).
//!
//! A lane merges while it is behind: while more batches wait than it may have under way. It does so at the moment in which the first
//! of them is to be sent, and merges only what waits already: nothing waits for a neighbour. A merged batch is one batch from
//! then on. It is sent again as it is, and refused, cut or acknowledged as a whole; a batch that was sent once is never merged.

use forward::RebuildReason;
use forward::planted::{Bug, has};
use kafka_wire::compression::Compression;
use kafka_wire::record::{BatchMerger, BatchV2, HEADER_BYTES};

use super::Lane;

/// One batch per round trip is so little that compressing again pays for larger ones, too.
const SINGLE_FACTOR: usize = 4;

/// Which batches are merged, and into what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Coalescing {
    /// Uncompressed batches below this size are merged, in bytes; 0 for none.
    pub(crate) below_bytes: usize,
    /// Compressed ones below this size, or [`SINGLE_FACTOR`] times it where only one may be under way: they must be decompressed and
    /// compressed again.
    pub(crate) packed_below_bytes: usize,
    /// Bytes of a merged batch, before compression.
    pub(crate) merged_bytes_max: usize,
    /// Batches of one lane that may be under way.
    pub(crate) under_way_max: usize,
}

impl Lane {
    /// Merges the first batch that waits with those behind it, if they are small and the lane is behind.
    pub(super) fn coalesce(&mut self) {
        if !self.is_behind() {
            return;
        }
        let Some(compression) =
            self.ready.front().and_then(|front| front.batch.header.compression().ok())
        else {
            return;
        };
        let limit = self.merged_bytes_max();
        let (count, bytes) = self.alike(compression, limit);
        if count < 2 {
            return;
        }
        // Deltas may take a few bytes more than before; the headers that fall away make room for that.
        let mut merger = BatchMerger::new(compression, bytes + count * HEADER_BYTES, limit);
        let candidates = self.ready.iter().take(count);
        let count = candidates
            .take_while(|waiting| merger.push(&waiting.batch, &self.limits).is_ok())
            .count();
        let merged = if count < 2 { None } else { merger.finish().ok() };
        match merged.filter(|merged| merged.bytes.len() <= limit) {
            Some(merged) => self.replace_front(count, merged),
            // Not asked again: a batch that is damaged, or has no room beside it, travels as it is.
            None => self.ready.iter_mut().take(count.max(1)).for_each(|lone| lone.is_final = true),
        }
    }

    /// Whether more batches wait than one round trip to the target takes.
    fn is_behind(&self) -> bool {
        let under_way_max = if self.is_single() { 1 } else { self.coalescing.under_way_max };
        self.ready.len() > 1 && self.ready.len() + self.in_flight.len() > under_way_max
    }

    /// Whether records that are old as the target sees it travel one batch at a time.
    fn is_single(&self) -> bool {
        self.is_proven && !self.is_remembered()
    }

    /// How many of the first batches could be merged by their headers, and the size of that.
    fn alike(&self, compression: Compression, limit: usize) -> (usize, usize) {
        let below_bytes = match compression {
            Compression::None => self.coalescing.below_bytes,
            _ if self.is_single() => (SINGLE_FACTOR * self.coalescing.packed_below_bytes)
                .min(self.coalescing.below_bytes),
            _ => self.coalescing.packed_below_bytes,
        };
        let (mut count, mut bytes) = (0, HEADER_BYTES);
        for waiting in &self.ready {
            let sum = bytes + waiting.size_bytes().saturating_sub(HEADER_BYTES);
            let is_alike = waiting.batch.header.compression() == Ok(compression)
                && waiting.size_bytes() < below_bytes
                && !waiting.is_final;
            if sum > limit || !is_alike || !self.is_journaled(waiting) {
                break;
            }
            (count, bytes) = (count + 1, sum);
        }
        (count, bytes)
    }

    /// What the target is known to take.
    fn merged_bytes_max(&self) -> usize {
        let target = usize::try_from(self.traits.max_message_bytes).unwrap_or(0);
        let known = self.split_above.map_or(target, |known| known.min(target));
        self.coalescing.merged_bytes_max.min(known)
    }

    /// Puts `merged` in the place of the first `count` batches.
    fn replace_front(&mut self, count: usize, merged: BatchV2) {
        let count = count + usize::from(has(Bug::MergeOneMore));
        let mut parts = self.ready.drain(..count.min(self.ready.len()));
        let Some(mut whole) = parts.next() else { return };
        let mut former_bytes = whole.size_bytes();
        for part in parts {
            former_bytes += part.size_bytes();
            whole.count += part.count;
            whole.source_next = part.source_next;
            if !whole.leases.last().unwrap_or(&whole.lease).is_of_same_frame(&part.lease) {
                whole.leases.push(part.lease);
            }
            whole.leases.extend(part.leases);
        }
        whole.batch = merged;
        whole.rebuilt = Some(RebuildReason::Coalesced);
        self.buffered_bytes = self.buffered_bytes.saturating_sub(former_bytes) + whole.size_bytes();
        self.ready.push_front(whole);
    }
}
