//! What a broker checks in a produced batch before it appends it, and what it changes.
//!
//! The order of the checks and their answers follow `ProduceRequest.validateRecords`,
//! `UnifiedLog.analyzeAndValidateRecords` and `LogValidator`, as tried in P4 to P6. Records are
//! walked by their varints, without allocating; only recompression decodes them. This module knows
//! nothing of logs or producers: it turns bytes into a batch that only lacks its offset.

use bytes::Bytes;
use kafka_wire::ErrorCode;
use kafka_wire::compression::{self, Compression};
use kafka_wire::crc;
use kafka_wire::record::{
    self, BatchHeader, BatchOptions, BatchV2, CRC_START, HEADER_BYTES, RecordLimits,
};

use crate::release::Release;
use crate::topic_config::LogSettings;

/// What decides about a batch, besides its bytes.
#[derive(Debug)]
pub(crate) struct Rules<'a> {
    pub(crate) release: Release,
    pub(crate) settings: &'a LogSettings,
    pub(crate) now_ms: i64,
    pub(crate) api_version: i16,
    pub(crate) topic: &'a str,
    pub(crate) partition: i32,
    /// Whether records are walked (a broker does; a benchmark may not want it).
    pub(crate) walk: bool,
}

/// A batch that may be appended: all but base offset and leader epoch is final.
#[derive(Clone, Debug)]
pub(crate) struct Prepared {
    pub(crate) header: BatchHeader,
    pub(crate) payload: Bytes,
    /// The stamp of a LogAppendTime topic.
    pub(crate) log_append_time: Option<i64>,
}

/// Why a batch is refused.
#[derive(Clone, Debug)]
pub(crate) enum Refusal {
    /// One partition's answer.
    Code(ErrorCode),
    /// One partition's answer that names records (Produce v8 and later show it).
    Records { code: ErrorCode, message: String, records: Vec<(i32, String)> },
    /// Old brokers fail on the whole request: the connection is closed without an answer.
    CloseConnection,
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self::Code(code)
    }
}

/// Checks one partition's bytes and prepares the batch for appending.
pub(crate) fn prepare(records: Option<&Bytes>, rules: &Rules<'_>) -> Result<Prepared, Refusal> {
    let batch = single_batch(records, rules)?;
    let header = &batch.header;
    check_header(&batch, rules)?;
    let topic_codec = rules.settings.compression;
    let codec =
        header.attributes.compression().map_err(|_| ErrorCode::UNSUPPORTED_COMPRESSION_TYPE)?;
    let same_codec = topic_codec.is_none_or(|wanted| wanted == codec);
    let facts = if rules.walk || !same_codec {
        walk_records(&batch, codec, same_codec, rules)?
    } else {
        Facts::trusted(header)
    };
    check_timestamp_bit(header, rules)?;

    let prepared = if !same_codec || (!facts.dense && codec != Compression::None) {
        rebuild(&batch, topic_codec.unwrap_or(codec), rules)?
    } else {
        restamp(&batch, &facts, rules)
    };
    if prepared.header.size_bytes() > rules.settings.message_bytes_max {
        return Err(ErrorCode::MESSAGE_TOO_LARGE.into());
    }
    if prepared.header.size_bytes() as u64 > rules.settings.segment_bytes {
        return Err(ErrorCode::RECORD_LIST_TOO_LARGE.into());
    }
    Ok(prepared)
}

/// Peeks at the transactional bit, which is judged for the whole request (P5).
pub(crate) fn has_transactional_bit(records: Option<&Bytes>) -> bool {
    records.is_some_and(|bytes| {
        bytes.len() > HEADER_BYTES && bytes[16] == 2 && bytes[22] & 0b1_0000 != 0
    })
}

/// The answer to a batch that breaks a rule of the format: the code came with 2.4.
fn invalid(release: Release) -> ErrorCode {
    if release >= Release::V2_8 { ErrorCode::INVALID_RECORD } else { ErrorCode::CORRUPT_MESSAGE }
}

/// `ProduceRequest.validateRecords`: exactly one batch, of format v2.
fn single_batch(records: Option<&Bytes>, rules: &Rules<'_>) -> Result<BatchV2, Refusal> {
    let malformed = || {
        if rules.release >= Release::V2_8 {
            Refusal::Code(ErrorCode::INVALID_RECORD)
        } else {
            Refusal::CloseConnection
        }
    };
    let bytes = records.filter(|bytes| bytes.len() > 16).ok_or_else(malformed)?;
    if bytes[16] != 2 {
        return Err(malformed());
    }
    let length = i32::from_be_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
    let size = usize::try_from(length).ok().map(|length| length + 12);
    let Some(size) = size.filter(|size| *size >= HEADER_BYTES) else {
        return Err(ErrorCode::CORRUPT_MESSAGE.into());
    };
    if size > bytes.len() {
        return Err(malformed());
    }
    let rest = &bytes[size..];
    let whole_batch_follows = rest.len() > HEADER_BYTES
        && usize::try_from(i32::from_be_bytes([rest[8], rest[9], rest[10], rest[11]]))
            .is_ok_and(|length| length + 12 <= rest.len());
    if whole_batch_follows {
        return Err(malformed());
    }
    let header = BatchHeader::parse(bytes).map_err(|_| invalid(rules.release))?;
    if header.attributes.compression() == Ok(Compression::Zstd)
        && (rules.api_version < 7 || rules.release <= Release::V1_1)
    {
        return Err(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE.into());
    }
    Ok(BatchV2 { header, bytes: bytes.slice(..size) })
}

/// Everything that the 61 header bytes and the checksum tell.
fn check_header(batch: &BatchV2, rules: &Rules<'_>) -> Result<(), Refusal> {
    let header = &batch.header;
    let invalid = invalid(rules.release);
    if header.base_offset != 0 {
        return Err(invalid.into());
    }
    if batch.bytes.len() > rules.settings.message_bytes_max {
        return Err(ErrorCode::MESSAGE_TOO_LARGE.into());
    }
    if rules.walk && batch.verify_crc().is_err() {
        return Err(ErrorCode::CORRUPT_MESSAGE.into());
    }
    // 0.11 does not compare the two, and damages its log (P5).
    let gap = i64::from(header.record_count) != i64::from(header.last_offset_delta) + 1;
    if header.record_count <= 0 || (gap && rules.release > Release::V0_11) {
        return Err(invalid.into());
    }
    let unsequenced = header.producer_id >= 0 && header.base_sequence < 0;
    if header.attributes.is_control() || unsequenced {
        return Err(invalid.into());
    }
    Ok(())
}

/// P6: what becomes of a batch that says its times are a broker's.
fn check_timestamp_bit(header: &BatchHeader, rules: &Rules<'_>) -> Result<(), Refusal> {
    let tolerated = !rules.settings.log_append_time && rules.release >= Release::V3_9;
    if header.attributes.is_log_append_time() && !tolerated {
        return Err(ErrorCode::INVALID_TIMESTAMP.into());
    }
    Ok(())
}

/// What the walk found out.
#[derive(Debug)]
struct Facts {
    max_timestamp: i64,
    /// Inner offset deltas are 0, 1, 2, ….
    dense: bool,
}

impl Facts {
    fn trusted(header: &BatchHeader) -> Self {
        Self { max_timestamp: header.max_timestamp, dense: true }
    }
}

fn walk_records(
    batch: &BatchV2,
    codec: Compression,
    same_codec: bool,
    rules: &Rules<'_>,
) -> Result<Facts, Refusal> {
    let invalid = invalid(rules.release);
    let payload = &batch.bytes[HEADER_BYTES..];
    let limits = RecordLimits::default();
    let plain;
    let bytes = if codec == Compression::None {
        payload
    } else {
        plain = compression::decompress(codec, payload, limits.decompressed_bytes_max)
            .map_err(|_| ErrorCode::CORRUPT_MESSAGE)?;
        &plain
    };
    let mut walk = Walk::new(bytes);
    let mut facts = Facts { max_timestamp: -1, dense: true };
    let mut faults = Faults::default();
    for index in 0..batch.header.record_count {
        let record = walk.next_record().ok_or(invalid)?;
        facts.dense &= record.offset_delta == i64::from(index);
        let timestamp = batch.header.base_timestamp.saturating_add(record.timestamp_delta);
        facts.max_timestamp = facts.max_timestamp.max(timestamp);
        faults.look(index, timestamp, record.has_key, &batch.header, rules);
    }
    if !walk.bytes.is_empty() {
        return Err(invalid.into());
    }
    if let Some(refusal) = faults.refusal(rules) {
        return Err(refusal);
    }
    if !facts.dense && codec != Compression::None && same_codec && rules.release >= Release::V2_8 {
        // "key is skipped in PartialDefaultRecord": corrects passthrough row 18 (P4).
        return Err(ErrorCode::UNKNOWN_SERVER_ERROR.into());
    }
    Ok(facts)
}

/// Records that break a rule of the topic.
#[derive(Debug, Default)]
struct Faults {
    keyless: Vec<(i32, String)>,
    untimely: Vec<(i32, String)>,
}

/// A request of a million bad records is not answered with a million messages.
const FAULTS_SHOWN_MAX: usize = 100;

impl Faults {
    fn look(
        &mut self,
        index: i32,
        timestamp: i64,
        has_key: bool,
        header: &BatchHeader,
        rules: &Rules<'_>,
    ) {
        if rules.settings.compacted && !has_key && self.keyless.len() < FAULTS_SHOWN_MAX {
            let at = format!("{}-{}", rules.topic, rules.partition);
            self.keyless.push((
                index,
                format!(
                    "Compacted topic cannot accept message without key in topic partition {at}."
                ),
            ));
        }
        let timed_by_producer =
            !rules.settings.log_append_time && !header.attributes.is_log_append_time();
        if timed_by_producer && timestamp != -1 && self.untimely.len() < FAULTS_SHOWN_MAX {
            let before = rules.settings.timestamp_before_max_ms;
            let after = rules.settings.timestamp_after_max_ms;
            let (low, high) =
                (rules.now_ms.saturating_sub(before), rules.now_ms.saturating_add(after));
            let early = before != i64::MAX && timestamp < low;
            let late = after != i64::MAX && timestamp > high;
            if early || late {
                let text = format!(
                    "Timestamp {timestamp} of message with offset {index} is out of range. The timestamp should be within [{low}, {high}]"
                );
                self.untimely.push((index, text));
            }
        }
    }

    fn refusal(self, rules: &Rules<'_>) -> Option<Refusal> {
        let (code, message, records) = if !self.keyless.is_empty() {
            (invalid(rules.release), "One or more records have been rejected", self.keyless)
        } else if !self.untimely.is_empty() {
            (
                ErrorCode::INVALID_TIMESTAMP,
                "One or more records have been rejected due to invalid timestamp",
                self.untimely,
            )
        } else {
            return None;
        };
        let detail = records.first().map_or("", |(_, text)| text.as_str());
        let message = if code == ErrorCode::INVALID_TIMESTAMP {
            format!("{message}: {detail}")
        } else {
            message.to_owned()
        };
        Some(Refusal::Records { code, message, records })
    }
}

/// Sets time stamps as the topic wants them; the payload stays, the checksum is corrected.
fn restamp(batch: &BatchV2, facts: &Facts, rules: &Rules<'_>) -> Prepared {
    let mut header = batch.header;
    let log_append_time = rules.settings.log_append_time.then_some(rules.now_ms);
    if let Some(now) = log_append_time {
        header.attributes = header.attributes.with_log_append_time();
        header.max_timestamp = now;
    } else if header.attributes.is_log_append_time() {
        // P6, 3.9 and 4.2: the bit goes, the maximum keeps the foreign broker's time.
        header.attributes = header.attributes.without_log_append_time();
    } else {
        header.max_timestamp = facts.max_timestamp;
    }
    if header != batch.header {
        let (old, new) = (&batch.bytes[CRC_START..HEADER_BYTES], &header.encode()[CRC_START..]);
        header.crc = crc::patch(header.crc, old, new, batch.bytes.len() - HEADER_BYTES);
    }
    Prepared { header, payload: batch.payload(), log_append_time }
}

/// Decodes and encodes again, with the topic's codec and dense offsets.
fn rebuild(batch: &BatchV2, codec: Compression, rules: &Rules<'_>) -> Result<Prepared, Refusal> {
    let header = &batch.header;
    let mut records =
        batch.records(&RecordLimits::default()).map_err(|_| ErrorCode::CORRUPT_MESSAGE)?;
    for (offset, record) in (0..).zip(&mut records) {
        record.offset = offset;
    }
    let log_append_time = rules.settings.log_append_time.then_some(rules.now_ms);
    let options = BatchOptions {
        compression: codec,
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        transactional: header.attributes.is_transactional(),
        log_append_time,
        ..BatchOptions::default()
    };
    let bytes =
        record::encode_batch(&options, &records).map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)?;
    let header = BatchHeader::parse(&bytes).map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)?;
    Ok(Prepared { header, payload: bytes.slice(HEADER_BYTES..), log_append_time })
}

/// One record, as far as a broker looks at it.
struct Seen {
    timestamp_delta: i64,
    offset_delta: i64,
    has_key: bool,
}

/// Walks records without allocating.
struct Walk<'a> {
    bytes: &'a [u8],
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    fn next_record(&mut self) -> Option<Seen> {
        let length = usize::try_from(self.varint()?).ok()?;
        if length > self.bytes.len() {
            return None;
        }
        let (mine, rest) = self.bytes.split_at(length);
        self.bytes = rest;
        let mut inner = Walk { bytes: mine };
        inner.skip(1)?;
        let timestamp_delta = inner.varlong(10)?;
        let offset_delta = i64::from(inner.varint()?);
        let has_key = inner.skip_nullable()?;
        inner.skip_nullable()?;
        let headers = inner.varint()?;
        if headers < 0 {
            return None;
        }
        for _ in 0..headers {
            if !inner.skip_nullable()? {
                return None;
            }
            inner.skip_nullable()?;
        }
        inner.bytes.is_empty().then_some(Seen { timestamp_delta, offset_delta, has_key })
    }

    /// Skips a length-prefixed field; `false` when it is null.
    fn skip_nullable(&mut self) -> Option<bool> {
        let length = self.varint()?;
        if length < 0 {
            return (length == -1).then_some(false);
        }
        self.skip(usize::try_from(length).ok()?)?;
        Some(true)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.bytes = self.bytes.get(count..)?;
        Some(())
    }

    /// A zigzag varint of 32 bits: up to five bytes.
    fn varint(&mut self) -> Option<i32> {
        self.varlong(5).and_then(|value| i32::try_from(value).ok())
    }

    /// A zigzag varint of up to `bytes_max` bytes.
    fn varlong(&mut self, bytes_max: usize) -> Option<i64> {
        let mut value = 0_u64;
        for (index, byte) in self.bytes.iter().take(bytes_max).enumerate() {
            // The tenth byte has room for one bit.
            if index == 9 && *byte > 1 {
                return None;
            }
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                self.bytes = &self.bytes[index + 1..];
                return Some((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
