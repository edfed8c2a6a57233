//! Several v2 batches to one, without taking their records apart.
//!
//! Only the first three numbers of each record change: its length, its timestamp delta, its offset delta. What follows (key, value,
//! headers) is copied in one piece. The records' offsets become dense, in the order of the batches.

use super::{
    BatchError, BatchHeader, BatchV2, HEADER_BYTES, RecordFault, RecordLimits,
    build::seal,
    varint::{Cursor, put_varint, put_varlong, varint_bytes, varlong_bytes},
};
use crate::compression::{Compression, Decompressor};

/// Takes batches of one codec, makes one of them.
#[derive(Debug)]
pub struct BatchMerger {
    compression: Compression,
    base_timestamp: i64,
    max_timestamp: i64,
    count: i32,
    /// Bytes that the merged batch may have before compression.
    bytes_max: usize,
    /// Room for the header, then the records as they are before compression.
    out: Vec<u8>,
    decompressor: Decompressor,
}

impl BatchMerger {
    /// A merger for batches of `compression`, whose merged batch has at most `bytes_max` bytes before compression;
    /// `capacity` of them are expected.
    #[must_use]
    pub fn new(compression: Compression, capacity: usize, bytes_max: usize) -> Self {
        let mut out = Vec::with_capacity(HEADER_BYTES + capacity.min(bytes_max));
        out.resize(HEADER_BYTES, 0);
        Self {
            compression,
            base_timestamp: -1,
            max_timestamp: -1,
            count: 0,
            bytes_max,
            out,
            decompressor: Decompressor::default(),
        }
    }

    /// Bytes of the merged batch so far, before compression.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.out.len()
    }

    /// Adds the records of `batch` behind those that are there. Its checksum is verified: a new one is computed over the result,
    /// and it must not bless damaged bytes.
    ///
    /// # Errors
    /// Whatever is wrong with `batch`: checksum, codec, records; [`RecordFault::OffsetDelta`] when its offsets are not dense;
    /// [`BatchError::Field`] when it is of another kind than plain records of this codec with their own times;
    /// [`BatchError::Limit`] when it does not fit. Nothing of it was added then.
    pub fn push(&mut self, batch: &BatchV2, limits: &RecordLimits) -> Result<(), BatchError> {
        let kept = (self.out.len(), self.base_timestamp, self.max_timestamp, self.count);
        let added = self.add(batch, limits);
        if added.is_err() {
            self.out.truncate(kept.0);
            (_, self.base_timestamp, self.max_timestamp, self.count) = kept;
        }
        added
    }

    fn add(&mut self, batch: &BatchV2, limits: &RecordLimits) -> Result<(), BatchError> {
        let header = &batch.header;
        let attributes = header.attributes;
        if attributes.is_control()
            || attributes.is_log_append_time()
            || attributes.has_delete_horizon()
            || header.compression()? != self.compression
        {
            return Err(BatchError::Field {
                base_offset: header.base_offset,
                field: "attributes",
                value: attributes.0.into(),
            });
        }
        batch.verify_crc()?;
        if self.count == 0 {
            self.base_timestamp = header.base_timestamp;
            self.max_timestamp = i64::MIN;
        }
        match self.compression {
            Compression::None => self.add_records(header, &batch.payload(), limits),
            codec => {
                let max = limits
                    .decompressed_bytes_max
                    .min(self.bytes_max.saturating_sub(self.out.len()));
                let mut decompressor = std::mem::take(&mut self.decompressor);
                let records = decompressor.decompress(codec, &batch.payload(), max);
                let added = records
                    .map_err(|source| BatchError::Compression {
                        base_offset: header.base_offset,
                        source,
                    })
                    .and_then(|records| self.add_records(header, records, limits));
                self.decompressor = decompressor;
                added
            }
        }
    }

    fn add_records(
        &mut self,
        header: &BatchHeader,
        payload: &[u8],
        limits: &RecordLimits,
    ) -> Result<(), BatchError> {
        let base_offset = header.base_offset;
        let count = usize::try_from(header.record_count).unwrap_or(0);
        let limit = limits.records_max.saturating_sub(usize::try_from(self.count).unwrap_or(0));
        if count > limit {
            return Err(BatchError::Limit { base_offset, what: "records", found: count, limit });
        }
        let mut cursor = Cursor::new(payload, 0);
        for index in 0..header.record_count {
            self.add_record(header, payload, &mut cursor, index).map_err(|fault| {
                BatchError::Record {
                    base_offset,
                    index: usize::try_from(index).unwrap_or(0),
                    at: cursor.at(),
                    fault,
                }
            })?;
        }
        if cursor.left() != 0 {
            let fault = RecordFault::Trailing(cursor.left());
            return Err(BatchError::Record { base_offset, index: count, at: cursor.at(), fault });
        }
        if self.out.len() > self.bytes_max {
            let (found, limit) = (self.out.len(), self.bytes_max);
            return Err(BatchError::Limit { base_offset, what: "bytes", found, limit });
        }
        Ok(())
    }

    fn add_record(
        &mut self,
        header: &BatchHeader,
        payload: &[u8],
        cursor: &mut Cursor<'_>,
        index: i32,
    ) -> Result<(), RecordFault> {
        let length = cursor.varint()?;
        let length = usize::try_from(length).map_err(|_| RecordFault::Length(length.into()))?;
        let start = cursor.skip(length)?;
        let record = payload.get(start..start + length).unwrap_or_default();
        let mut inside = Cursor::new(record, 0);
        let attributes = inside.byte()?;
        let timestamp_delta = inside.varlong()?;
        let delta = inside.varint()?;
        if delta != index {
            let last_offset_delta = header.last_offset_delta;
            return Err(RecordFault::OffsetDelta { delta, last_offset_delta });
        }
        let timestamp = header.base_timestamp.wrapping_add(timestamp_delta);
        let timestamp_delta = timestamp.wrapping_sub(self.base_timestamp);
        let rest = record.get(inside.at()..).unwrap_or_default();
        let size = 1 + varlong_bytes(timestamp_delta) + varint_bytes(self.count) + rest.len();
        let size = i32::try_from(size).map_err(|_| RecordFault::Length(i64::MAX))?;
        put_varint(&mut self.out, size);
        self.out.push(attributes);
        put_varlong(&mut self.out, timestamp_delta);
        put_varint(&mut self.out, self.count);
        self.out.extend_from_slice(rest);
        self.max_timestamp = self.max_timestamp.max(timestamp);
        self.count += 1;
        Ok(())
    }

    /// The merged batch, without a producer: the same bytes for the same batches.
    ///
    /// # Errors
    /// [`BatchError::Encode`] when there is nothing in it, the codec failed, or it became too long.
    pub fn finish(self) -> Result<BatchV2, BatchError> {
        seal(self.out, self.compression, (self.base_timestamp, self.max_timestamp), self.count)
    }
}

#[cfg(test)]
mod tests;
