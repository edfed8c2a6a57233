//! The slow path: batches that cannot pass as they are, decoded and encoded again.
//!
//! Codec, keys, values, headers and their bytes, order and the times that consumers of the source see all
//! stay; offsets become dense, and what lies before the position is left out. Encoding is deterministic,
//! so a rebuilt batch that is sent again has the same bytes under the same sequences (P2).

use bytes::Bytes;
use kafka_wire::compression::Compression;
use kafka_wire::record::{Batch, BatchError, BatchOptions, Record, RecordLimits, encode_batch};
use thiserror::Error;

use crate::planted::{self, Bug};
use crate::{RebuildReason, SourceOffset, Stamp};

/// Why a batch could not be rebuilt.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RebuildError {
    /// The source batch could not be read.
    #[error("batch at source offset {base_offset} could not be read")]
    Decode {
        /// Base offset of the batch.
        base_offset: SourceOffset,
        /// What is wrong with it.
        #[source]
        cause: BatchError,
    },
    /// The records' offsets do not grow, so their place on the source is unknown.
    #[error(
        "batch at source offset {base_offset}: record offset {found} does not follow {previous}"
    )]
    Offsets {
        /// Base offset of the batch.
        base_offset: SourceOffset,
        /// Offset of the record before.
        previous: SourceOffset,
        /// The offset found.
        found: SourceOffset,
    },
    /// The records could not be encoded as one batch.
    #[error("{count} records from source offset {first} could not be encoded")]
    Encode {
        /// Source offset of the first record.
        first: SourceOffset,
        /// How many records there are.
        count: usize,
        /// Why not.
        #[source]
        cause: BatchError,
    },
}

/// A batch taken apart, ready to be encoded under any stamp.
#[derive(Clone, Debug)]
pub struct Rebuilt {
    /// Why it was rebuilt.
    pub reason: RebuildReason,
    /// Codec and whatever else the new batch takes over.
    pub template: BatchOptions,
    /// The records, numbered from 0 without gaps. Never empty.
    pub records: Vec<Record>,
    /// The source offset of each record.
    offsets: Vec<SourceOffset>,
}

/// Takes `batch` apart and leaves out what lies before `position`. `None` when nothing is left.
///
/// The checksum is verified first: a new one is computed over the result, and it must not bless
/// damaged bytes.
///
/// # Errors
/// [`RebuildError`] when the batch is damaged, or decompresses to more than `limits` allow.
pub fn rebuild(
    batch: &Batch,
    reason: RebuildReason,
    position: SourceOffset,
    limits: &RecordLimits,
) -> Result<Option<Rebuilt>, RebuildError> {
    let base_offset = SourceOffset(batch.base_offset());
    let (compression, records) =
        decode(batch, limits).map_err(|cause| RebuildError::Decode { base_offset, cause })?;
    let mut offsets = Vec::with_capacity(records.len());
    let mut kept = Vec::with_capacity(records.len());
    let mut previous = None;
    for mut record in records {
        let found = SourceOffset(record.offset);
        if let Some(previous) = previous.replace(found)
            && found <= previous
        {
            return Err(RebuildError::Offsets { base_offset, previous, found });
        }
        if found >= position {
            record.offset = i64::try_from(kept.len()).unwrap_or(i64::MAX);
            let found = spoiled(&mut record, found, kept.first(), &offsets);
            offsets.push(found);
            kept.push(record);
        }
    }
    if kept.is_empty() {
        return Ok(None);
    }
    let template = BatchOptions { compression, ..BatchOptions::default() };
    Ok(Some(Rebuilt { reason, template, records: kept, offsets }))
}

/// Bugs that tests plant; the source offset of the record otherwise.
fn spoiled(
    record: &mut Record,
    found: SourceOffset,
    first: Option<&Record>,
    offsets: &[SourceOffset],
) -> SourceOffset {
    if planted::has(Bug::HeadersLost) {
        record.headers.clear();
    }
    if let (Some(first), Some(first_offset)) = (first, offsets.first()) {
        if planted::has(Bug::TimestampLost) {
            record.timestamp = first.timestamp;
        }
        if planted::has(Bug::SparseDeltas) {
            record.offset = found.since(*first_offset);
        }
        if planted::has(Bug::GapOffsets) {
            return first_offset.plus(record.offset);
        }
    }
    found
}

/// The codec and the records of `batch`, with the times that a consumer sees: of a batch that the broker stamped, its
/// `max_timestamp` for every record (BF-4).
fn decode(batch: &Batch, limits: &RecordLimits) -> Result<(Compression, Vec<Record>), BatchError> {
    batch.verify_crc()?;
    Ok((batch.compression()?, batch.records(limits)?))
}

impl Rebuilt {
    /// The whole new batch under `stamp`, or without a producer for a later [`crate::patched_header`]: the same
    /// bytes each time.
    ///
    /// # Errors
    /// [`RebuildError::Encode`] when the records do not fit in one batch.
    pub fn encode(&self, stamp: Option<&Stamp>) -> Result<Bytes, RebuildError> {
        let mut options = self.template;
        if let Some(stamp) = stamp {
            options.producer_id = stamp.producer_id;
            options.producer_epoch = stamp.producer_epoch;
            options.base_sequence = stamp.base_sequence;
        }
        encode_batch(&options, &self.records).map_err(|cause| RebuildError::Encode {
            first: self.first_offset(),
            count: self.records.len(),
            cause,
        })
    }

    /// The source offset of each record, in order.
    pub fn offsets(&self) -> impl ExactSizeIterator<Item = SourceOffset> + '_ {
        self.offsets.iter().copied()
    }

    /// The source offset of the first record.
    #[must_use]
    pub fn first_offset(&self) -> SourceOffset {
        self.offsets.first().copied().unwrap_or_default()
    }

    /// Cuts the batch before the record `index`, for a target that finds it too large (BF-9). The first part
    /// stays in `self`. `None`, and nothing changed, when one side would be empty.
    pub fn split_off(&mut self, index: usize) -> Option<Self> {
        if index == 0 || index >= self.records.len() {
            return None;
        }
        let mut records = self.records.split_off(index);
        for (record, offset) in records.iter_mut().zip(0..) {
            record.offset = offset;
        }
        let offsets = self.offsets.split_off(index);
        self.reason = RebuildReason::TooLarge;
        Some(Self { reason: RebuildReason::TooLarge, template: self.template, records, offsets })
    }
}

#[cfg(test)]
mod tests;
