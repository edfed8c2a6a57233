//! Message formats v0 (before Kafka 0.10) and v1 (0.10): still on disk where topics are old (BF-26), gone from Kafka 4.
//!
//! An entry is one message: offset, size, CRC-32 (IEEE, over everything behind it), magic, attributes, in v1 a
//! timestamp, then key and value with 32-bit lengths. Compressed messages stand as a message set inside the value of a
//! wrapper. What differs from v2, and between the two:
//!
//! - A wrapper's offset is that of its *last* message. In v1 the inner offsets count from zero; in v0 they are absolute.
//! - v0 has no timestamps (-1 here). In v1 a wrapper stamped by the broker overrules the messages inside.
//! - There are no headers, no producers, no transactions, and no zstd.
//! - LZ4 in v0 has a wrong header checksum (KAFKA-3160).
//!
//! # Source
//! KIP-31, KIP-32; `LegacyRecord`, `AbstractLegacyRecordBatch` in Apache Kafka before 4.0.

mod encode;

use bytes::Bytes;

pub use self::encode::{LegacyOptions, encode, encode_with};
use super::{BatchError, Record, RecordLimits, WrapperFault, header::LOG_OVERHEAD};
use crate::compression::{self, Compression, CompressionError, lz4};

/// Bytes before the key's length: offset, size, CRC, magic, attributes; v1 has a timestamp of eight bytes more.
const FIXED_V0: usize = 18;
const FIXED_V1: usize = 26;
const CRC_START: usize = 16;
const CODEC: u8 = 0b0000_0111;
const LOG_APPEND_TIME: u8 = 1 << 3;

/// One entry of a message set: a message, or a wrapper around compressed ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyBatch {
    offset: i64,
    magic: i8,
    attributes: u8,
    timestamp: i64,
    bytes: Bytes,
}

impl LegacyBatch {
    /// Reads one entry that fills `bytes` exactly.
    ///
    /// # Errors
    /// [`BatchError::Short`], [`BatchError::Magic`] for other formats than v0 and v1, [`BatchError::Length`] when the
    /// size field says something else, [`BatchError::Field`] for a negative offset.
    pub fn parse(bytes: Bytes) -> Result<Self, BatchError> {
        let needed = |needed| BatchError::Short { found: bytes.len(), needed };
        let fixed = bytes.first_chunk::<FIXED_V0>().ok_or_else(|| needed(FIXED_V0 + 8))?;
        let [o0, o1, o2, o3, o4, o5, o6, o7, l0, l1, l2, l3, _, _, _, _, magic, attributes] =
            *fixed;
        let offset = i64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7]);
        let magic = i8::from_be_bytes([magic]);
        let timestamp = match magic {
            0 => -1,
            1 => bytes
                .get(FIXED_V0..)
                .and_then(|rest| rest.first_chunk())
                .map(|chunk| i64::from_be_bytes(*chunk))
                .ok_or_else(|| needed(FIXED_V1 + 8))?,
            _ => return Err(BatchError::Magic { base_offset: offset, magic }),
        };
        let length = i32::from_be_bytes([l0, l1, l2, l3]);
        let stated = usize::try_from(length).unwrap_or(0).saturating_add(LOG_OVERHEAD);
        if stated != bytes.len() {
            return Err(BatchError::Length { base_offset: offset, stated, found: bytes.len() });
        }
        if offset < 0 {
            return Err(BatchError::Field { base_offset: offset, field: "offset", value: offset });
        }
        Ok(Self { offset, magic, attributes, timestamp, bytes })
    }

    /// The offset field: of the message, or of the last one in a wrapper.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.offset
    }

    /// The message format: 0 or 1.
    #[must_use]
    pub fn magic(&self) -> i8 {
        self.magic
    }

    /// The timestamp of the message or wrapper in ms since 1970; -1 in v0.
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        self.timestamp
    }

    /// The stored CRC-32.
    #[must_use]
    pub fn crc(&self) -> u32 {
        self.bytes
            .get(LOG_OVERHEAD..)
            .and_then(|rest| rest.first_chunk())
            .map_or(0, |crc| u32::from_be_bytes(*crc))
    }

    /// Whether the broker stamped the message; never in v0.
    #[must_use]
    pub fn is_log_append_time(&self) -> bool {
        self.magic == 1 && self.attributes & LOG_APPEND_TIME != 0
    }

    /// All bytes of the entry.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The codec; anything but `None` makes this a wrapper.
    ///
    /// # Errors
    /// [`BatchError::Codec`] for zstd and for numbers that no release defines.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        let codec = self.attributes & CODEC;
        Compression::from_id(codec)
            .filter(|codec| *codec != Compression::Zstd)
            .ok_or(BatchError::Codec { base_offset: self.offset, magic: self.magic, codec })
    }

    /// Compares the stored CRC-32 with the bytes; for a wrapper, with its compressed ones.
    ///
    /// # Errors
    /// [`BatchError::Crc`] when they disagree.
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let computed = crc32(self.bytes.get(CRC_START..).unwrap_or_default());
        if computed == self.crc() {
            return Ok(());
        }
        Err(BatchError::Crc { base_offset: self.offset, stored: self.crc(), computed })
    }

    /// The messages of this entry as records: one, or those inside the wrapper, whose own checksums are verified.
    ///
    /// # Errors
    /// [`BatchError::Wrapper`] and [`BatchError::Compression`] for damaged wrappers, [`BatchError::Limit`] for more
    /// messages than allowed, [`BatchError::Short`] or [`BatchError::Length`] when key and value do not fill the entry.
    pub fn records(&self, limits: &RecordLimits) -> Result<Vec<Record>, BatchError> {
        if self.compression()? == Compression::None {
            return Ok(vec![self.record(self.offset, self.timestamp)?]);
        }
        let set = self.inner_set(limits)?;
        let inner = self.inner_messages(set, limits)?;
        let base = self.inner_base(inner.last())?;
        inner
            .iter()
            .map(|message| {
                let timestamp = if self.is_log_append_time() && message.magic == 1 {
                    self.timestamp
                } else {
                    message.timestamp
                };
                message.record(base.saturating_add(message.offset), timestamp)
            })
            .collect()
    }

    fn wrapper(&self, fault: WrapperFault) -> BatchError {
        BatchError::Wrapper { offset: self.offset, fault }
    }

    /// Decompresses the message set inside this wrapper.
    fn inner_set(&self, limits: &RecordLimits) -> Result<Bytes, BatchError> {
        let value = self.record(self.offset, self.timestamp)?.value;
        let value = value.ok_or_else(|| self.wrapper(WrapperFault::NullValue))?;
        let limit = limits.decompressed_bytes_max;
        let plain = match self.compression()? {
            Compression::Lz4 if self.magic == 0 => lz4::decompress_v0(&value, limit),
            codec => compression::decompress(codec, &value, limit),
        };
        let failed =
            |source: CompressionError| BatchError::Compression { base_offset: self.offset, source };
        plain.map(Bytes::from).map_err(failed)
    }

    fn inner_messages(
        &self,
        mut rest: Bytes,
        limits: &RecordLimits,
    ) -> Result<Vec<Self>, BatchError> {
        let mut inner = Vec::new();
        while !rest.is_empty() {
            let partial = self.wrapper(WrapperFault::Partial(rest.len()));
            let Some(head) = rest.first_chunk::<LOG_OVERHEAD>() else { return Err(partial) };
            let [.., l0, l1, l2, l3] = *head;
            let size = usize::try_from(i32::from_be_bytes([l0, l1, l2, l3]))
                .ok()
                .and_then(|length| length.checked_add(LOG_OVERHEAD))
                .filter(|size| *size <= rest.len());
            let Some(size) = size else { return Err(partial) };
            if inner.len() >= limits.records_max {
                return Err(BatchError::Limit {
                    base_offset: self.offset,
                    what: "records",
                    found: inner.len() + 1,
                    limit: limits.records_max,
                });
            }
            let message = Self::parse(rest.split_to(size)).map_err(|error| match error {
                BatchError::Magic { magic, .. } => self.wrapper(WrapperFault::Magic(magic)),
                error => error,
            })?;
            if message.attributes & CODEC != 0 {
                return Err(self.wrapper(WrapperFault::Nested));
            }
            message.verify_crc()?;
            inner.push(message);
        }
        Ok(inner)
    }

    /// What to add to the inner offsets.
    fn inner_base(&self, last: Option<&Self>) -> Result<i64, BatchError> {
        let last = last.ok_or_else(|| self.wrapper(WrapperFault::Empty))?;
        // A wrapper at offset 0 with several messages: what some releases of librdkafka produced. Java takes the inner
        // offsets as they are.
        if self.magic == 0 || self.offset == 0 {
            return Ok(0);
        }
        self.offset
            .checked_sub(last.offset)
            .filter(|base| *base >= 0)
            .ok_or_else(|| self.wrapper(WrapperFault::Offset(last.offset)))
    }

    /// This message as a record, with key and value cut out of its bytes.
    fn record(&self, offset: i64, timestamp: i64) -> Result<Record, BatchError> {
        let mut at = if self.magic == 0 { FIXED_V0 } else { FIXED_V1 };
        let key = self.nullable(&mut at)?;
        let value = self.nullable(&mut at)?;
        if at != self.bytes.len() {
            return Err(BatchError::Length {
                base_offset: self.offset,
                stated: at,
                found: self.bytes.len(),
            });
        }
        Ok(Record { offset, timestamp, key, value, headers: Vec::new() })
    }

    /// A 32-bit length and as many bytes; any negative length is null, as for Java.
    fn nullable(&self, at: &mut usize) -> Result<Option<Bytes>, BatchError> {
        let short = |needed| BatchError::Short { found: self.bytes.len(), needed };
        let length = self
            .bytes
            .get(*at..)
            .and_then(|rest| rest.first_chunk())
            .ok_or_else(|| short(*at + 4))?;
        *at += 4;
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else { return Ok(None) };
        let end = at.saturating_add(length);
        if end > self.bytes.len() {
            return Err(short(end));
        }
        let bytes = self.bytes.slice(*at..end);
        *at = end;
        Ok(Some(bytes))
    }
}

/// The CRC-32 of IEEE 802.3, as the old formats have it.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests;
