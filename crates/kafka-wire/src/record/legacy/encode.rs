//! Records to message sets of format v0 and v1: for tests, and for a simulated cluster that keeps old data.

use bytes::Bytes;

use super::{CRC_START, LOG_APPEND_TIME, crc32};
use crate::{
    compression::{self, Compression, lz4},
    record::{BatchError, EncodeFault, Record, header::LOG_OVERHEAD},
};

/// How a message set is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LegacyOptions {
    /// The message format: 0 or 1.
    pub magic: i8,
    /// The codec; anything but `None` makes one wrapper of all records.
    pub compression: Compression,
    /// v1 only: the time of the append, which a broker stamps on messages and wrappers.
    pub log_append_time: Option<i64>,
}

/// A message set with `records`: one entry each, or one wrapper around all when compressed. Offsets are written as the
/// records have them; in v1 those inside a wrapper count from the first.
///
/// # Errors
/// [`BatchError::Encode`]: no records, headers, another format than 0 or 1, zstd, or more than 2^31 bytes.
pub fn encode(
    magic: i8,
    compression: Compression,
    records: &[Record],
) -> Result<Bytes, BatchError> {
    encode_with(&LegacyOptions { magic, compression, log_append_time: None }, records)
}

/// As [`encode`], with all options.
///
/// # Errors
/// Those of [`encode`].
pub fn encode_with(options: &LegacyOptions, records: &[Record]) -> Result<Bytes, BatchError> {
    let LegacyOptions { magic, compression, log_append_time } = *options;
    let fault = |fault| Err(BatchError::Encode(fault));
    if !(0..=1).contains(&magic) {
        return fault(EncodeFault::Magic(magic));
    }
    if compression == Compression::Zstd {
        return fault(EncodeFault::Codec(magic, compression));
    }
    if records.iter().any(|record| !record.headers.is_empty()) {
        return fault(EncodeFault::Headers(magic));
    }
    let (Some(first), Some(last)) = (records.first(), records.last()) else {
        return fault(EncodeFault::Empty);
    };

    let relative_to = if magic == 1 && compression != Compression::None { first.offset } else { 0 };
    // Inside a wrapper only the wrapper is stamped.
    let stamp = log_append_time.filter(|_| magic == 1);
    let inner_stamp = stamp.filter(|_| compression == Compression::None);
    let mut set = Vec::new();
    for record in records {
        let offset = record.offset.wrapping_sub(relative_to);
        let timestamp = inner_stamp.unwrap_or(record.timestamp);
        let attributes = if inner_stamp.is_some() { LOG_APPEND_TIME } else { 0 };
        let (key, value) = (record.key.as_deref(), record.value.as_deref());
        put_message(&mut set, magic, offset, timestamp, attributes, (key, value))?;
    }
    if compression == Compression::None {
        return Ok(set.into());
    }
    let packed = if magic == 0 && compression == Compression::Lz4 {
        lz4::compress_v0(&set)
    } else {
        compression::compress(compression, &set)
    };
    let packed = packed.map_err(|_| BatchError::Encode(EncodeFault::Codecs(compression)))?;
    let newest = records.iter().map(|record| record.timestamp).max().unwrap_or(-1);
    let attributes = compression.id() | if stamp.is_some() { LOG_APPEND_TIME } else { 0 };
    let mut out = Vec::with_capacity(packed.len() + 40);
    put_message(
        &mut out,
        magic,
        last.offset,
        stamp.unwrap_or(newest),
        attributes,
        (None, Some(&packed)),
    )?;
    Ok(out.into())
}

fn put_message(
    out: &mut Vec<u8>,
    magic: i8,
    offset: i64,
    timestamp: i64,
    attributes: u8,
    (key, value): (Option<&[u8]>, Option<&[u8]>),
) -> Result<(), BatchError> {
    let start = out.len();
    out.extend_from_slice(&offset.to_be_bytes());
    out.extend_from_slice(&[0; 8]); // size and CRC, known at the end
    out.extend_from_slice(&magic.to_be_bytes());
    out.push(attributes);
    if magic == 1 {
        out.extend_from_slice(&timestamp.to_be_bytes());
    }
    for part in [key, value] {
        let length = part
            .map_or(Ok(-1), |part| i32::try_from(part.len()).map_err(|_| too_long(part.len())))?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(part.unwrap_or_default());
    }
    let size = out.len() - start - LOG_OVERHEAD;
    let size = i32::try_from(size).map_err(|_| too_long(size))?;
    let crc = crc32(&out[start + CRC_START..]);
    out[start + 8..start + LOG_OVERHEAD].copy_from_slice(&size.to_be_bytes());
    out[start + LOG_OVERHEAD..start + CRC_START].copy_from_slice(&crc.to_be_bytes());
    Ok(())
}

fn too_long(bytes: usize) -> BatchError {
    BatchError::Encode(EncodeFault::TooLong(bytes))
}
