//! The 61-byte header of a record batch (message format v2).

use super::{BatchError, HEADER_BYTES};
use crate::compression::Compression;

/// Bytes of an entry that its length field does not count: the offset and the length itself.
pub(super) const LOG_OVERHEAD: usize = 12;

/// Where the bytes covered by the checksum begin.
pub const CRC_START: usize = 21;

const CODEC: i16 = 0b0000_0111;
const LOG_APPEND_TIME: i16 = 1 << 3;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;
const DELETE_HORIZON: i16 = 1 << 6;

/// The attribute bits of a batch: 0–2 codec, 3 timestamp type, 4 transactional, 5 control, 6 delete horizon.
///
/// # Source
/// KIP-98, KIP-534; `DefaultRecordBatch` in Apache Kafka.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(pub i16);

impl Attributes {
    /// The codec of the records.
    ///
    /// # Errors
    /// [`BatchError::Codec`] for the numbers 5 to 7, which no release defines. The error carries offset -1: these bits
    /// do not know their batch.
    pub fn compression(self) -> Result<Compression, BatchError> {
        let codec = self.codec();
        Compression::from_id(codec).ok_or(BatchError::Codec { base_offset: -1, magic: 2, codec })
    }

    /// The codec number, defined or not.
    #[must_use]
    pub fn codec(self) -> u8 {
        let [_, low] = (self.0 & CODEC).to_be_bytes();
        low
    }

    /// Whether the broker stamped the batch: every record then has the batch's `max_timestamp`.
    #[must_use]
    pub fn is_log_append_time(self) -> bool {
        self.0 & LOG_APPEND_TIME != 0
    }

    /// Whether the batch belongs to a transaction.
    #[must_use]
    pub fn is_transactional(self) -> bool {
        self.0 & TRANSACTIONAL != 0
    }

    /// Whether the batch holds control records, such as transaction markers, and none of an application.
    #[must_use]
    pub fn is_control(self) -> bool {
        self.0 & CONTROL != 0
    }

    /// Whether the log cleaner has put the time of deletion of tombstones into `base_timestamp` (KIP-534).
    #[must_use]
    pub fn has_delete_horizon(self) -> bool {
        self.0 & DELETE_HORIZON != 0
    }

    /// Whether bits are set that no release defines (7 to 15). Brokers store them as sent (P5).
    #[must_use]
    pub fn has_unused_bits(self) -> bool {
        self.0 & !(CODEC | LOG_APPEND_TIME | TRANSACTIONAL | CONTROL | DELETE_HORIZON) != 0
    }

    /// With this codec.
    #[must_use]
    pub fn with_compression(self, compression: Compression) -> Self {
        Self(self.0 & !CODEC | i16::from(compression.id()))
    }

    /// With the LogAppendTime bit.
    #[must_use]
    pub fn with_log_append_time(self) -> Self {
        Self(self.0 | LOG_APPEND_TIME)
    }

    /// With the transactional bit.
    #[must_use]
    pub fn with_transactional(self) -> Self {
        Self(self.0 | TRANSACTIONAL)
    }

    /// With the control bit.
    #[must_use]
    pub fn with_control(self) -> Self {
        Self(self.0 | CONTROL)
    }

    /// With the delete-horizon bit.
    #[must_use]
    pub fn with_delete_horizon(self) -> Self {
        Self(self.0 | DELETE_HORIZON)
    }

    /// Without the LogAppendTime bit.
    #[must_use]
    pub fn without_log_append_time(self) -> Self {
        Self(self.0 & !LOG_APPEND_TIME)
    }

    /// Without the transactional bit.
    #[must_use]
    pub fn without_transactional(self) -> Self {
        Self(self.0 & !TRANSACTIONAL)
    }

    /// Without the control bit.
    #[must_use]
    pub fn without_control(self) -> Self {
        Self(self.0 & !CONTROL)
    }

    /// Without the delete-horizon bit.
    #[must_use]
    pub fn without_delete_horizon(self) -> Self {
        Self(self.0 & !DELETE_HORIZON)
    }

    /// Without the bits that no release defines.
    #[must_use]
    pub fn without_unused_bits(self) -> Self {
        Self(self.0 & (CODEC | LOG_APPEND_TIME | TRANSACTIONAL | CONTROL | DELETE_HORIZON))
    }
}

/// The header of a batch, field by field in the order of the bytes.
///
/// # Source
/// KIP-98; `DefaultRecordBatch` in Apache Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// Offset of the batch's first record as it was produced; outside the checksum.
    pub base_offset: i64,
    /// Bytes after this field: the size of the batch less twelve.
    pub batch_length: i32,
    /// Epoch of the leader that appended the batch, -1 from a producer; outside the checksum.
    pub partition_leader_epoch: i32,
    /// 2.
    pub magic: i8,
    /// CRC-32C over everything from the attributes to the end.
    pub crc: u32,
    /// Codec and flags.
    pub attributes: Attributes,
    /// Last offset less the first; stays as it was when compaction removes records.
    pub last_offset_delta: i32,
    /// The time in ms that the records' deltas count from. The first record's timestamp, or the delete horizon when
    /// [`Attributes::has_delete_horizon`]; the deltas are relative to it either way.
    pub base_timestamp: i64,
    /// Highest timestamp of the records, or the time of the append with [`Attributes::is_log_append_time`].
    pub max_timestamp: i64,
    /// Id of an idempotent producer, -1 for none.
    pub producer_id: i64,
    /// Epoch of that producer, -1 for none.
    pub producer_epoch: i16,
    /// Sequence of the first record, -1 for none.
    pub base_sequence: i32,
    /// Records in the batch, 0 for an empty batch that keeps a producer's state.
    pub record_count: i32,
}

/// The `N` bytes of `bytes` from `at` on.
fn field<const N: usize>(bytes: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

impl BatchHeader {
    /// Reads the header at the start of `bytes`, which may go on behind it.
    ///
    /// The checksum is not verified here, nor that `bytes` holds the whole batch.
    ///
    /// # Errors
    /// [`BatchError::Short`] below 61 bytes, [`BatchError::Magic`] for other formats, [`BatchError::Field`] when a
    /// length, count or offset is negative or would overflow: whoever holds a header can use its arithmetic.
    pub fn parse(bytes: &[u8]) -> Result<Self, BatchError> {
        let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else {
            let magic = bytes.get(16).map_or(2, |byte| i8::from_be_bytes([*byte]));
            if magic != 2 {
                let base_offset =
                    bytes.first_chunk().map_or(-1, |chunk| i64::from_be_bytes(*chunk));
                return Err(BatchError::Magic { base_offset, magic });
            }
            return Err(BatchError::Short { found: bytes.len(), needed: HEADER_BYTES });
        };
        let header = Self {
            base_offset: i64::from_be_bytes(field(bytes, 0)),
            batch_length: i32::from_be_bytes(field(bytes, 8)),
            partition_leader_epoch: i32::from_be_bytes(field(bytes, 12)),
            magic: i8::from_be_bytes(field(bytes, 16)),
            crc: u32::from_be_bytes(field(bytes, 17)),
            attributes: Attributes(i16::from_be_bytes(field(bytes, 21))),
            last_offset_delta: i32::from_be_bytes(field(bytes, 23)),
            base_timestamp: i64::from_be_bytes(field(bytes, 27)),
            max_timestamp: i64::from_be_bytes(field(bytes, 35)),
            producer_id: i64::from_be_bytes(field(bytes, 43)),
            producer_epoch: i16::from_be_bytes(field(bytes, 51)),
            base_sequence: i32::from_be_bytes(field(bytes, 53)),
            record_count: i32::from_be_bytes(field(bytes, 57)),
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<(), BatchError> {
        let base_offset = self.base_offset;
        let fault = |field, value| Err(BatchError::Field { base_offset, field, value });
        if self.magic != 2 {
            return Err(BatchError::Magic { base_offset, magic: self.magic });
        }
        if usize::try_from(self.batch_length)
            .is_ok_and(|length| length + LOG_OVERHEAD < HEADER_BYTES)
            || self.batch_length < 0
        {
            return fault("batch_length", self.batch_length.into());
        }
        if self.last_offset_delta < 0 {
            return fault("last_offset_delta", self.last_offset_delta.into());
        }
        if self.record_count < 0 {
            return fault("record_count", self.record_count.into());
        }
        if base_offset < 0 || base_offset > i64::MAX - i64::from(i32::MAX) - 1 {
            return fault("base_offset", base_offset);
        }
        Ok(())
    }

    /// The bytes of this header; all fields as they are, the checksum too.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        out[0..8].copy_from_slice(&self.base_offset.to_be_bytes());
        out[8..12].copy_from_slice(&self.batch_length.to_be_bytes());
        out[12..16].copy_from_slice(&self.partition_leader_epoch.to_be_bytes());
        out[16..17].copy_from_slice(&self.magic.to_be_bytes());
        out[17..21].copy_from_slice(&self.crc.to_be_bytes());
        out[21..23].copy_from_slice(&self.attributes.0.to_be_bytes());
        out[23..27].copy_from_slice(&self.last_offset_delta.to_be_bytes());
        out[27..35].copy_from_slice(&self.base_timestamp.to_be_bytes());
        out[35..43].copy_from_slice(&self.max_timestamp.to_be_bytes());
        out[43..51].copy_from_slice(&self.producer_id.to_be_bytes());
        out[51..53].copy_from_slice(&self.producer_epoch.to_be_bytes());
        out[53..57].copy_from_slice(&self.base_sequence.to_be_bytes());
        out[57..61].copy_from_slice(&self.record_count.to_be_bytes());
        out
    }

    /// Offset of the last record as the batch was produced; compaction may have removed the record.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        self.base_offset.saturating_add(self.last_offset_delta.into())
    }

    /// The offset that follows the batch.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// Size of the whole batch, header included.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        usize::try_from(self.batch_length).unwrap_or(0) + LOG_OVERHEAD
    }

    /// The codec of the records.
    ///
    /// # Errors
    /// [`BatchError::Codec`] for a number that no release defines.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        let codec = self.attributes.codec();
        Compression::from_id(codec).ok_or(BatchError::Codec {
            base_offset: self.base_offset,
            magic: self.magic,
            codec,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> BatchHeader {
        BatchHeader {
            base_offset: 0x0102_0304_0506_0708,
            batch_length: 0x1112_1314,
            partition_leader_epoch: 0x2122_2324,
            magic: 2,
            crc: 0xf1f2_f3f4,
            attributes: Attributes(0x0071),
            last_offset_delta: 0x4142_4344,
            base_timestamp: -2,
            max_timestamp: 0x5152_5354_5556_5758,
            producer_id: 0x6162_6364_6566_6768,
            producer_epoch: 0x7172,
            base_sequence: -1,
            record_count: 3,
        }
    }

    #[test]
    fn every_field_has_its_place() {
        let bytes = header().encode();
        assert_eq!(BatchHeader::parse(&bytes), Ok(header()));
        assert_eq!(bytes[16], 2);
        assert_eq!(bytes[17..21], [0xf1, 0xf2, 0xf3, 0xf4]);
        assert_eq!(bytes[43..51], [0x61, 0x62, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68]);
        assert_eq!(header().next_offset() - header().base_offset, 0x4142_4345);
        assert_eq!(header().size_bytes(), 0x1112_1314 + 12);
    }

    #[test]
    fn impossible_headers_are_refused() {
        fn check(change: impl Fn(&mut BatchHeader), expected: &str) {
            let mut changed = header();
            change(&mut changed);
            let error = BatchHeader::parse(&changed.encode()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        check(|h| h.magic = 1, "magic 1");
        check(|h| h.batch_length = 48, "batch_length is 48");
        check(|h| h.batch_length = -1, "batch_length is -1");
        check(|h| h.last_offset_delta = -1, "last_offset_delta is -1");
        check(|h| h.record_count = -1, "record_count is -1");
        check(|h| h.base_offset = -1, "base_offset is -1");
        check(|h| h.base_offset = i64::MAX, "base_offset is 9223372036854775807");
        assert_eq!(BatchHeader::parse(&[0; 10]), Err(BatchError::Short { found: 10, needed: 61 }));
    }

    #[test]
    fn attribute_bits() {
        let all = Attributes(0)
            .with_compression(Compression::Zstd)
            .with_log_append_time()
            .with_transactional()
            .with_control()
            .with_delete_horizon();
        assert_eq!(all, Attributes(0b0111_1100));
        assert_eq!(all.compression(), Ok(Compression::Zstd));
        let none = all
            .without_log_append_time()
            .without_transactional()
            .without_control()
            .without_delete_horizon();
        assert_eq!(none.with_compression(Compression::None), Attributes(0));
        assert!(Attributes(0x0080).has_unused_bits() && Attributes(i16::MIN).has_unused_bits());
        assert_eq!(Attributes(-1).without_unused_bits(), Attributes(0x7f));
        assert!(Attributes(5).compression().is_err());
    }
}
