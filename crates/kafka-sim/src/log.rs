//! One partition's log: batches as they were produced, in order, never copied.
//!
//! A v2 batch is kept as two slices: the 61 header bytes the broker stamped, and the payload as it
//! came from the wire. Reading hands out the same slices. What only a broker writes (control
//! batches, gaps after compaction, message sets of old formats) lies here like anything else.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use kafka_wire::record::{BatchHeader, HEADER_BYTES};

/// One batch, or one message set entry of format v0 or v1.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) base_offset: i64,
    pub(crate) last_offset: i64,
    pub(crate) max_timestamp: i64,
    /// The parsed header of a v2 batch; `None` for formats v0 and v1.
    pub(crate) batch: Option<BatchHeader>,
    /// Stamped header of a v2 batch, or all bytes of an older entry.
    pub(crate) head: Bytes,
    /// What follows the header.
    pub(crate) payload: Bytes,
}

impl Entry {
    /// An entry of a batch whose header is final.
    pub(crate) fn v2(header: BatchHeader, payload: Bytes) -> Self {
        Self {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            max_timestamp: header.max_timestamp,
            head: Bytes::copy_from_slice(&header.encode()),
            batch: Some(header),
            payload,
        }
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.head.len() + self.payload.len()
    }

    pub(crate) fn is_control(&self) -> bool {
        self.batch.as_ref().is_some_and(|header| header.attributes.is_control())
    }

    /// The whole entry in one piece (a copy, for tests and compaction).
    pub(crate) fn bytes(&self) -> Bytes {
        if self.payload.is_empty() {
            return self.head.clone();
        }
        let mut whole = BytesMut::with_capacity(self.size_bytes());
        whole.extend_from_slice(&self.head);
        whole.extend_from_slice(&self.payload);
        whole.freeze()
    }
}

/// What a read found: slices in the order they go onto the wire.
#[derive(Debug, Default)]
pub(crate) struct Slices {
    pub(crate) chunks: Vec<Bytes>,
    pub(crate) size_bytes: usize,
}

impl Slices {
    fn push(&mut self, bytes: &Bytes, budget: usize) {
        let room = budget - self.size_bytes;
        let taken = room.min(bytes.len());
        if taken > 0 {
            self.chunks.push(bytes.slice(..taken));
            self.size_bytes += taken;
        }
    }
}

/// A transaction that ended with an abort marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Aborted {
    pub(crate) producer_id: i64,
    pub(crate) first_offset: i64,
    /// Offset of the marker.
    pub(crate) last_offset: i64,
}

/// Batches of one partition.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    start_offset: i64,
    end_offset: i64,
    size_bytes: u64,
    /// (epoch, first offset of it), both rising: `LeaderEpochFileCache`.
    epochs: Vec<(i32, i64)>,
    pub(crate) aborted: Vec<Aborted>,
}

impl Log {
    pub(crate) fn start_offset(&self) -> i64 {
        self.start_offset
    }

    pub(crate) fn end_offset(&self) -> i64 {
        self.end_offset
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(crate) fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// A leader begins `epoch` at the end of the log; epochs that wrote nothing vanish.
    pub(crate) fn begin_epoch(&mut self, epoch: i32) {
        let start = self.end_offset;
        self.epochs.retain(|(known, first)| *known < epoch && *first < start);
        self.epochs.push((epoch, start));
    }

    /// The end of `epoch`, or of the highest one below it: `endOffsetFor` of Kafka's epoch cache.
    /// `(-1, -1)` when nothing is known about it.
    pub(crate) fn end_of_epoch(&self, epoch: i32) -> (i32, i64) {
        let Some((latest, _)) = self.epochs.last() else { return (-1, -1) };
        if epoch < 0 || epoch > *latest {
            return (-1, -1);
        }
        if epoch == *latest {
            return (epoch, self.end_offset);
        }
        let above = self.epochs.partition_point(|(known, _)| *known <= epoch);
        let end = self.epochs.get(above).map_or(self.end_offset, |(_, first)| *first);
        match above.checked_sub(1) {
            Some(floor) => (self.epochs[floor].0, end),
            None => (epoch, end),
        }
    }

    /// The epoch that the record at `offset` was written in, for ListOffsets.
    pub(crate) fn epoch_at(&self, offset: i64) -> i32 {
        let above = self.epochs.partition_point(|(_, first)| *first <= offset);
        above.checked_sub(1).map_or(-1, |index| self.epochs[index].0)
    }

    /// Takes an entry whose offsets are set. The end never moves back.
    pub(crate) fn append(&mut self, entry: Entry) {
        self.size_bytes += entry.size_bytes() as u64;
        self.end_offset = self.end_offset.max(entry.last_offset + 1);
        self.entries.push_back(entry);
    }

    /// Index of the first entry that holds `offset` or something after it.
    fn position(&self, offset: i64) -> usize {
        self.entries.partition_point(|entry| entry.last_offset < offset)
    }

    /// Slices from the entry that holds `offset` up to `upper` (exclusive), at most `bytes_max`: the
    /// last one may be cut (BF-20). The first entry comes whole when `first_whole`, else nothing
    /// comes when it does not fit.
    pub(crate) fn read(
        &self,
        offset: i64,
        upper: i64,
        bytes_max: usize,
        first_whole: bool,
    ) -> Slices {
        let mut found = Slices::default();
        let mut budget = bytes_max;
        for (index, entry) in self.entries.range(self.position(offset)..).enumerate() {
            if entry.base_offset >= upper || found.size_bytes >= budget {
                break;
            }
            if index == 0 && entry.size_bytes() > budget {
                if !first_whole {
                    break;
                }
                budget = entry.size_bytes();
            }
            found.push(&entry.head, budget);
            found.push(&entry.payload, budget);
        }
        found
    }

    /// Entries from the one that holds `offset` on.
    pub(crate) fn entries_from(&self, offset: i64) -> impl Iterator<Item = &Entry> {
        self.entries.range(self.position(offset)..)
    }

    /// Aborted transactions that a reader of `[from, upper)` must know.
    pub(crate) fn aborted_between(&self, from: i64, upper: i64) -> Vec<Aborted> {
        let overlaps = |entry: &&Aborted| entry.last_offset >= from && entry.first_offset < upper;
        self.aborted.iter().filter(overlaps).copied().collect()
    }

    /// Moves the start; entries that lie wholly below it are dropped.
    pub(crate) fn advance_start(&mut self, offset: i64) {
        self.start_offset = self.start_offset.max(offset.min(self.end_offset));
        while self.entries.front().is_some_and(|entry| entry.last_offset < self.start_offset) {
            if let Some(gone) = self.entries.pop_front() {
                self.size_bytes -= gone.size_bytes() as u64;
            }
        }
        let start = self.start_offset;
        self.aborted.retain(|aborted| aborted.last_offset >= start);
        // The epoch cache keeps the epoch of the start and everything after it.
        let above = self.epochs.partition_point(|(_, first)| *first <= start);
        if above > 1 {
            self.epochs.drain(..above - 1);
        }
        if let Some((_, first)) = self.epochs.first_mut() {
            *first = (*first).max(start);
        }
    }

    /// Drops whole entries from the front until `excess` bytes are gone; the newest entry stays.
    pub(crate) fn drop_oldest(&mut self, excess: u64) {
        let (mut dropped, mut start) = (0, self.start_offset);
        for entry in self.entries.iter().take(self.entries.len().saturating_sub(1)) {
            if dropped >= excess {
                break;
            }
            dropped += entry.size_bytes() as u64;
            start = entry.last_offset + 1;
        }
        self.advance_start(start);
    }

    /// Forgets everything from `offset` on, as a follower that truncates.
    pub(crate) fn truncate(&mut self, offset: i64) {
        while self.entries.back().is_some_and(|entry| entry.last_offset >= offset) {
            if let Some(gone) = self.entries.pop_back() {
                self.size_bytes -= gone.size_bytes() as u64;
            }
        }
        self.end_offset = self
            .entries
            .back()
            .map_or_else(|| self.start_offset.min(offset), |entry| entry.last_offset + 1);
        let end = self.end_offset;
        self.start_offset = self.start_offset.min(end);
        self.epochs.retain(|(_, first)| *first < end);
        self.aborted.retain(|aborted| aborted.last_offset < end);
    }

    /// Puts other entries in place of all (compaction); start and end stay.
    pub(crate) fn replace(&mut self, entries: Vec<Entry>) {
        self.size_bytes = entries.iter().map(|entry| entry.size_bytes() as u64).sum();
        self.entries = entries.into();
    }

    /// Starts an empty log at `offset` (offset parity, P8).
    pub(crate) fn start_at(&mut self, offset: i64) {
        self.entries.clear();
        self.size_bytes = 0;
        self.start_offset = offset;
        self.end_offset = offset;
    }
}

/// Splits a whole v2 batch into parsed header and payload.
pub(crate) fn split_v2(batch: &Bytes) -> Option<(BatchHeader, Bytes)> {
    let header = BatchHeader::parse(batch).ok()?;
    (header.magic == 2 && batch.len() >= HEADER_BYTES)
        .then(|| (header, batch.slice(HEADER_BYTES..)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(base_offset: i64, last_offset: i64, size: usize) -> Entry {
        Entry {
            base_offset,
            last_offset,
            max_timestamp: 0,
            batch: None,
            head: Bytes::from(vec![1; 4]),
            payload: Bytes::from(vec![2; size - 4]),
        }
    }

    fn log() -> Log {
        let mut log = Log::default();
        log.begin_epoch(0);
        log.append(entry(0, 4, 100));
        log.append(entry(5, 5, 50));
        log.begin_epoch(2);
        log.append(entry(6, 9, 100));
        log
    }

    #[test]
    fn reads_from_the_entry_that_holds_the_offset() {
        let check = |offset, upper, max, whole, expected: usize| {
            assert_eq!(log().read(offset, upper, max, whole).size_bytes, expected);
        };
        check(0, 10, 1000, true, 250);
        check(3, 10, 1000, true, 250);
        check(5, 10, 1000, true, 150);
        check(0, 6, 1000, true, 150);
        // The second entry is cut by the limit, as a file slice is.
        check(0, 10, 120, true, 120);
        check(0, 10, 10, true, 100);
        check(0, 10, 10, false, 0);
        check(10, 10, 1000, true, 0);
    }

    #[test]
    fn knows_where_epochs_end() {
        let check = |epoch, expected| assert_eq!(log().end_of_epoch(epoch), expected);
        check(0, (0, 6));
        check(1, (0, 6));
        check(2, (2, 10));
        check(3, (-1, -1));
        check(-1, (-1, -1));
    }

    #[test]
    fn an_epoch_without_records_vanishes() {
        let mut log = log();
        log.begin_epoch(3);
        log.begin_epoch(4);
        assert_eq!(log.end_of_epoch(3), (2, 10));
        assert_eq!(log.end_of_epoch(4), (4, 10));
    }

    #[test]
    fn truncation_keeps_whole_entries() {
        let mut log = log();
        log.truncate(8);
        assert_eq!((log.end_offset(), log.size_bytes()), (6, 150));
        assert_eq!(log.end_of_epoch(2), (-1, -1));
    }

    #[test]
    fn the_start_moves_inside_an_entry() {
        let mut log = log();
        log.advance_start(3);
        assert_eq!((log.start_offset(), log.size_bytes()), (3, 250));
        log.advance_start(5);
        assert_eq!((log.start_offset(), log.size_bytes()), (5, 150));
        log.advance_start(99);
        assert_eq!((log.start_offset(), log.end_offset(), log.size_bytes()), (10, 10, 0));
    }

    proptest! {
        /// Reading on from where the last whole entry ended gives every byte once, in order, whatever the limits.
        #[test]
        fn reading_on_misses_nothing(
            entries in prop::collection::vec((1_i64..5, 5_usize..40), 1..20),
            bytes_max in 1_usize..100,
        ) {
            let mut log = Log::default();
            for (count, size) in &entries {
                log.append(entry(log.end_offset(), log.end_offset() + count - 1, *size));
            }
            let (mut offset, mut read) = (0, 0);
            while offset < log.end_offset() {
                let found = log.read(offset, log.end_offset(), bytes_max, true).size_bytes;
                let mut left = found;
                for entry in log.entries_from(offset).take_while(|entry| {
                    let whole = entry.size_bytes() <= left;
                    left = left.saturating_sub(entry.size_bytes());
                    whole
                }) {
                    read += entry.size_bytes();
                    offset = entry.last_offset + 1;
                }
                prop_assert!(found > 0 && (found <= bytes_max || left == 0));
            }
            prop_assert_eq!(read as u64, log.size_bytes());
        }
    }
}
