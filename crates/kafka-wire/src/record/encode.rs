//! Records to a whole v2 batch.

use bytes::Bytes;

use super::{
    Attributes, BatchError, BatchHeader, CRC_START, EncodeFault, HEADER_BYTES, Record,
    header::LOG_OVERHEAD,
    varint::{put_varint, put_varlong, varint_bytes, varlong_bytes},
};
use crate::{
    compression::{self, Compression},
    crc,
};

/// What the header of an encoded batch says beside the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchOptions {
    /// Codec of the records.
    pub compression: Compression,
    /// Written as it is. Producers send 0, brokers assign it.
    pub base_offset: i64,
    /// Written as it is; -1 from a producer.
    pub partition_leader_epoch: i32,
    /// Id of an idempotent producer, -1 for none.
    pub producer_id: i64,
    /// Epoch of the producer, -1 for none.
    pub producer_epoch: i16,
    /// Sequence of the first record, -1 for none.
    pub base_sequence: i32,
    /// Whether the batch belongs to a transaction.
    pub transactional: bool,
    /// Whether the records are control records.
    pub control: bool,
    /// The time of the append: sets the timestamp type and `max_timestamp`; readers then ignore the records' own.
    pub log_append_time: Option<i64>,
    /// The time after which tombstones may be deleted (KIP-534): sets the bit and stands in `base_timestamp`.
    pub delete_horizon: Option<i64>,
    /// The offset that delta 0 stands for; by default that of the first record. Compaction keeps the original one.
    pub first_offset: Option<i64>,
    /// The delta of the batch's last offset; by default that of the last record. Compaction keeps the original one,
    /// and only with it can a batch without records be encoded.
    pub last_offset_delta: Option<i32>,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self {
            compression: Compression::None,
            base_offset: 0,
            partition_leader_epoch: -1,
            producer_id: -1,
            producer_epoch: -1,
            base_sequence: -1,
            transactional: false,
            control: false,
            log_append_time: None,
            delete_horizon: None,
            first_offset: None,
            last_offset_delta: None,
        }
    }
}

impl BatchOptions {
    fn attributes(&self) -> Attributes {
        let mut attributes = Attributes::default().with_compression(self.compression);
        if self.log_append_time.is_some() {
            attributes = attributes.with_log_append_time();
        }
        if self.transactional {
            attributes = attributes.with_transactional();
        }
        if self.control {
            attributes = attributes.with_control();
        }
        if self.delete_horizon.is_some() {
            attributes = attributes.with_delete_horizon();
        }
        attributes
    }
}

/// One whole v2 batch with `records`, checksum included.
///
/// The offsets of the records only make the deltas: `record.offset - records[0].offset`, gaps allowed. Timestamps are
/// taken as they are; the first one is the base.
///
/// # Errors
/// [`BatchError::Encode`]: no records (unless `last_offset_delta` is given), an offset outside of the batch, or more
/// than 2^31 bytes or records.
pub fn encode_batch(options: &BatchOptions, records: &[Record]) -> Result<Bytes, BatchError> {
    let first_offset =
        options.first_offset.or_else(|| records.first().map(|record| record.offset)).unwrap_or(0);
    let last_offset_delta = match (options.last_offset_delta, records.last()) {
        (Some(delta), _) => delta,
        (None, Some(last)) => offset_delta(first_offset, last.offset)?,
        (None, None) => return Err(BatchError::Encode(EncodeFault::Empty)),
    };
    let base_timestamp =
        options.delete_horizon.or_else(|| records.first().map(|r| r.timestamp)).unwrap_or(-1);
    let max_timestamp = options
        .log_append_time
        .or_else(|| records.iter().map(|r| r.timestamp).max())
        .unwrap_or(base_timestamp);

    let mut out =
        Vec::with_capacity(HEADER_BYTES + records.iter().map(size_estimate).sum::<usize>());
    out.resize(HEADER_BYTES, 0);
    for record in records {
        let delta = offset_delta(first_offset, record.offset)?;
        if delta > last_offset_delta {
            return Err(BatchError::Encode(EncodeFault::Offset {
                offset: record.offset,
                first: first_offset,
            }));
        }
        put_record(&mut out, record, delta, record.timestamp.wrapping_sub(base_timestamp))?;
    }
    if options.compression != Compression::None && !records.is_empty() {
        let compressed = compression::compress(options.compression, &out[HEADER_BYTES..])
            .map_err(|_| BatchError::Encode(EncodeFault::Codecs(options.compression)))?;
        out.truncate(HEADER_BYTES);
        out.extend_from_slice(&compressed);
    }
    let too_long = BatchError::Encode(EncodeFault::TooLong(out.len()));
    let header = BatchHeader {
        base_offset: options.base_offset,
        batch_length: i32::try_from(out.len() - LOG_OVERHEAD).map_err(|_| too_long.clone())?,
        partition_leader_epoch: options.partition_leader_epoch,
        magic: 2,
        crc: 0,
        attributes: options.attributes(),
        last_offset_delta,
        base_timestamp,
        max_timestamp,
        producer_id: options.producer_id,
        producer_epoch: options.producer_epoch,
        base_sequence: options.base_sequence,
        record_count: i32::try_from(records.len()).map_err(|_| too_long)?,
    };
    out[..HEADER_BYTES].copy_from_slice(&header.encode());
    let checksum = crc::crc32c(&out[CRC_START..]);
    out[17..CRC_START].copy_from_slice(&checksum.to_be_bytes());
    Ok(out.into())
}

fn offset_delta(first: i64, offset: i64) -> Result<i32, BatchError> {
    offset
        .checked_sub(first)
        .and_then(|delta| i32::try_from(delta).ok())
        .filter(|delta| *delta >= 0)
        .ok_or(BatchError::Encode(EncodeFault::Offset { offset, first }))
}

/// An upper estimate of a record's size: enough that the buffer grows at most once.
fn size_estimate(record: &Record) -> usize {
    let headers: usize = record
        .headers
        .iter()
        .map(|h| 10 + h.key.len() + h.value.as_ref().map_or(0, Bytes::len))
        .sum();
    31 + record.key.as_ref().map_or(0, Bytes::len)
        + record.value.as_ref().map_or(0, Bytes::len)
        + headers
}

fn length(bytes: usize) -> Result<i32, BatchError> {
    i32::try_from(bytes).map_err(|_| BatchError::Encode(EncodeFault::TooLong(bytes)))
}

fn nullable_length(bytes: Option<&Bytes>) -> Result<i32, BatchError> {
    bytes.map_or(Ok(-1), |bytes| length(bytes.len()))
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&Bytes>) -> Result<(), BatchError> {
    put_varint(out, nullable_length(bytes)?);
    out.extend_from_slice(bytes.map_or(&[][..], |bytes| bytes));
    Ok(())
}

fn nullable_size(bytes: Option<&Bytes>) -> Result<usize, BatchError> {
    Ok(varint_bytes(nullable_length(bytes)?) + bytes.map_or(0, Bytes::len))
}

fn put_record(
    out: &mut Vec<u8>,
    record: &Record,
    offset_delta: i32,
    timestamp_delta: i64,
) -> Result<(), BatchError> {
    let header_count = length(record.headers.len())?;
    let mut size = 1
        + varlong_bytes(timestamp_delta)
        + varint_bytes(offset_delta)
        + nullable_size(record.key.as_ref())?
        + nullable_size(record.value.as_ref())?
        + varint_bytes(header_count);
    for header in &record.headers {
        size += nullable_size(Some(&header.key))? + nullable_size(header.value.as_ref())?;
    }
    put_varint(out, length(size)?);
    out.push(0); // attributes: no bit is in use
    put_varlong(out, timestamp_delta);
    put_varint(out, offset_delta);
    put_nullable(out, record.key.as_ref())?;
    put_nullable(out, record.value.as_ref())?;
    put_varint(out, header_count);
    for header in &record.headers {
        put_nullable(out, Some(&header.key))?;
        put_nullable(out, header.value.as_ref())?;
    }
    Ok(())
}
