//! One end's records in order, unpacked as late as possible.

use std::collections::VecDeque;
use std::ops::Range;

use kafka_wire::record::{Batch, BatchError, BatchV2, Record, RecordLimits};
use thiserror::Error;

/// A batch that was read and cannot be compared.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{end}: {error}")]
pub(super) struct Unreadable {
    /// Which end it is of.
    pub(super) end: &'static str,
    /// What is wrong with it.
    pub(super) error: BatchError,
}

/// The records of one end that were read and not compared yet.
#[derive(Debug)]
pub(super) struct Side {
    end: &'static str,
    waiting: VecDeque<Entry>,
    is_ended: bool,
}

#[derive(Debug)]
enum Entry {
    /// A batch without gaps of which every record counts.
    Whole(BatchV2),
    /// A batch that tells its records' offsets only when it is unpacked.
    Packed(Batch, Range<i64>),
    One(Unpacked),
}

/// A record and who wrote it.
#[derive(Debug)]
pub(super) struct Unpacked {
    pub(super) record: Record,
    pub(super) producer_id: i64,
}

/// What stands first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Front {
    /// A record, or a batch that begins with it.
    At(i64),
    /// More must be read.
    Unknown,
    /// Nothing, and nothing comes.
    Ended,
}

impl Side {
    /// Of the end with this name.
    pub(super) const fn new(end: &'static str) -> Self {
        Self { end, waiting: VecDeque::new(), is_ended: false }
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self) {
        self.is_ended = true;
    }

    /// Adds a batch without control records, of which the records in `range` count.
    pub(super) fn push(&mut self, batch: Batch, range: &Range<i64>) -> Result<(), Unreadable> {
        batch.verify_crc().map_err(|error| Unreadable { end: self.end, error })?;
        match batch {
            Batch::V2(batch) if batch.header.record_count == 0 => {}
            Batch::V2(batch) if is_dense(&batch) && lies_in(&batch, range) => {
                self.waiting.push_back(Entry::Whole(batch));
            }
            batch => self.waiting.push_back(Entry::Packed(batch, range.clone())),
        }
        Ok(())
    }

    /// What stands first; unpacks it where only that can tell.
    pub(super) fn front(&mut self, limits: &RecordLimits) -> Result<Front, Unreadable> {
        loop {
            match self.waiting.front() {
                Some(Entry::Whole(batch)) => return Ok(Front::At(batch.header.base_offset)),
                Some(Entry::One(one)) => return Ok(Front::At(one.record.offset)),
                Some(Entry::Packed(..)) => self.open(limits)?,
                None if self.is_ended => return Ok(Front::Ended),
                None => return Ok(Front::Unknown),
            }
        }
    }

    /// The batch that stands first, if it is a whole one.
    pub(super) fn whole(&self) -> Option<&BatchV2> {
        match self.waiting.front() {
            Some(Entry::Whole(batch)) => Some(batch),
            _ => None,
        }
    }

    /// Takes away the batch that stands first.
    pub(super) fn skip_whole(&mut self) {
        if self.whole().is_some() {
            self.waiting.pop_front();
        }
    }

    /// Takes the record that stands first.
    pub(super) fn take(&mut self, limits: &RecordLimits) -> Result<Option<Unpacked>, Unreadable> {
        self.open(limits)?;
        match self.waiting.pop_front() {
            Some(Entry::One(one)) => Ok(Some(one)),
            _ => Ok(None),
        }
    }

    /// Makes single records of the batch that stands first.
    fn open(&mut self, limits: &RecordLimits) -> Result<(), Unreadable> {
        let wrong = |error| Unreadable { end: self.end, error };
        let (records, producer_id) = match self.waiting.front() {
            Some(Entry::Whole(batch)) => {
                (batch.records(limits).map_err(wrong)?, batch.header.producer_id)
            }
            Some(Entry::Packed(batch, range)) => {
                let producer_id = match batch {
                    Batch::V2(batch) => batch.header.producer_id,
                    Batch::Legacy(_) => -1,
                };
                let mut records = batch.records(limits).map_err(wrong)?;
                records.retain(|record| range.contains(&record.offset));
                (records, producer_id)
            }
            Some(Entry::One(_)) | None => return Ok(()),
        };
        self.waiting.pop_front();
        for record in records.into_iter().rev() {
            self.waiting.push_front(Entry::One(Unpacked { record, producer_id }));
        }
        Ok(())
    }
}

fn is_dense(batch: &BatchV2) -> bool {
    i64::from(batch.header.last_offset_delta) + 1 == i64::from(batch.header.record_count)
}

fn lies_in(batch: &BatchV2, range: &Range<i64>) -> bool {
    batch.header.base_offset >= range.start && batch.header.last_offset() < range.end
}
