//! Records to a v2 batch, one after the other, straight into its bytes.

use super::{
    Attributes, BatchError, BatchHeader, BatchV2, CRC_START, EncodeFault, HEADER_BYTES,
    header::LOG_OVERHEAD,
    varint::{put_varint, put_varlong, varint_bytes, varlong_bytes},
};
use crate::{
    compression::{self, Compression},
    crc,
};

/// Bytes of a record beside its key, value and headers, at most.
const RECORD_OVERHEAD_MAX: usize = 36;

/// Bytes of a header beside its key and value, at most.
const HEADER_OVERHEAD_MAX: usize = 10;

/// A record to be written; nothing of it is kept.
#[derive(Clone, Copy, Debug)]
pub struct RecordParts<'a> {
    /// The key; null and empty are two things.
    pub key: Option<&'a [u8]>,
    /// The value; null is a tombstone in a compacted topic.
    pub value: Option<&'a [u8]>,
    /// Names and values of the headers, in their order.
    pub headers: &'a [(&'a str, Option<&'a [u8]>)],
    /// Milliseconds since 1970.
    pub timestamp: i64,
}

impl RecordParts<'_> {
    /// Bytes that the record takes in a batch before compression, at most.
    #[must_use]
    pub fn size_bytes_max(&self) -> usize {
        let headers = self
            .headers
            .iter()
            .map(|(name, value)| HEADER_OVERHEAD_MAX + name.len() + value.map_or(0, <[u8]>::len));
        RECORD_OVERHEAD_MAX
            + self.key.map_or(0, <[u8]>::len)
            + self.value.map_or(0, <[u8]>::len)
            + headers.sum::<usize>()
    }
}

/// Takes records, makes batches of them.
#[derive(Debug)]
pub struct BatchBuilder {
    compression: Compression,
    base_timestamp: i64,
    max_timestamp: i64,
    count: i32,
    /// Room for the header, then the records as they are before compression.
    out: Vec<u8>,
}

impl BatchBuilder {
    /// A builder of batches of `compression`.
    #[must_use]
    pub fn new(compression: Compression) -> Self {
        Self { compression, base_timestamp: -1, max_timestamp: -1, count: 0, out: Vec::new() }
    }

    /// Records of the batch so far.
    #[must_use]
    pub fn count(&self) -> i32 {
        self.count
    }

    /// Bytes of the batch so far, before compression.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.out.len()
    }

    /// Adds a record behind those that are there. Offsets are dense.
    ///
    /// # Errors
    /// [`BatchError::Encode`] when something of it is longer than 2^31 bytes. Nothing of it was added then.
    pub fn push(&mut self, record: &RecordParts<'_>) -> Result<(), BatchError> {
        let base_timestamp = if self.count == 0 { record.timestamp } else { self.base_timestamp };
        let timestamp_delta = record.timestamp.wrapping_sub(base_timestamp);
        let header_count = length(record.headers.len())?;
        let mut size = 1
            + varlong_bytes(timestamp_delta)
            + varint_bytes(self.count)
            + nullable_size(record.key)?
            + nullable_size(record.value)?
            + varint_bytes(header_count);
        for (name, value) in record.headers {
            size += nullable_size(Some(name.as_bytes()))? + nullable_size(*value)?;
        }
        let size = length(size)?;
        if self.count == 0 {
            self.out.resize(HEADER_BYTES, 0);
            self.base_timestamp = base_timestamp;
            self.max_timestamp = record.timestamp;
        }
        let out = &mut self.out;
        put_varint(out, size);
        out.push(0); // attributes: no bit is in use
        put_varlong(out, timestamp_delta);
        put_varint(out, self.count);
        put_nullable(out, record.key)?;
        put_nullable(out, record.value)?;
        put_varint(out, header_count);
        for (name, value) in record.headers {
            put_nullable(out, Some(name.as_bytes()))?;
            put_nullable(out, *value)?;
        }
        self.max_timestamp = self.max_timestamp.max(record.timestamp);
        self.count += 1;
        Ok(())
    }

    /// The batch, without a producer; the builder is empty then. The same records give the same bytes.
    ///
    /// # Errors
    /// [`BatchError::Encode`] when there is nothing in it, the codec failed, or it became too long.
    pub fn finish(&mut self) -> Result<BatchV2, BatchError> {
        let out = std::mem::take(&mut self.out);
        let count = std::mem::take(&mut self.count);
        seal(out, self.compression, (self.base_timestamp, self.max_timestamp), count)
    }
}

/// A whole batch of `count` dense records that stand in `out`, behind room for the header.
pub(super) fn seal(
    mut out: Vec<u8>,
    compression: Compression,
    (base_timestamp, max_timestamp): (i64, i64),
    count: i32,
) -> Result<BatchV2, BatchError> {
    if count == 0 {
        return Err(BatchError::Encode(EncodeFault::Empty));
    }
    if compression != Compression::None {
        let packed = compression::compress(compression, &out[HEADER_BYTES..])
            .map_err(|_| BatchError::Encode(EncodeFault::Codecs(compression)))?;
        out.truncate(HEADER_BYTES);
        out.extend_from_slice(&packed);
    }
    let too_long = BatchError::Encode(EncodeFault::TooLong(out.len()));
    let mut header = BatchHeader {
        base_offset: 0,
        batch_length: i32::try_from(out.len() - LOG_OVERHEAD).map_err(|_| too_long)?,
        partition_leader_epoch: -1,
        magic: 2,
        crc: 0,
        attributes: Attributes::default().with_compression(compression),
        last_offset_delta: count - 1,
        base_timestamp,
        max_timestamp,
        producer_id: -1,
        producer_epoch: -1,
        base_sequence: -1,
        record_count: count,
    };
    out[..HEADER_BYTES].copy_from_slice(&header.encode());
    header.crc = crc::crc32c(&out[CRC_START..]);
    out[17..CRC_START].copy_from_slice(&header.crc.to_be_bytes());
    Ok(BatchV2 { header, bytes: out.into() })
}

fn length(bytes: usize) -> Result<i32, BatchError> {
    i32::try_from(bytes).map_err(|_| BatchError::Encode(EncodeFault::TooLong(bytes)))
}

fn nullable_size(bytes: Option<&[u8]>) -> Result<usize, BatchError> {
    let count = bytes.map_or(Ok(-1), |bytes| length(bytes.len()))?;
    Ok(varint_bytes(count) + bytes.map_or(0, <[u8]>::len))
}

fn put_nullable(out: &mut Vec<u8>, bytes: Option<&[u8]>) -> Result<(), BatchError> {
    put_varint(out, bytes.map_or(Ok(-1), |bytes| length(bytes.len()))?);
    out.extend_from_slice(bytes.unwrap_or_default());
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::record::{BatchOptions, Header, Record, RecordLimits, encode_batch};

    fn bytes() -> impl Strategy<Value = Option<Bytes>> {
        prop::option::of(prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from))
    }

    fn record() -> impl Strategy<Value = Record> {
        let header = ("[a-zé]{0,5}", bytes())
            .prop_map(|(name, value)| Header { key: Bytes::from(name), value });
        let headers = prop::collection::vec(header, 0..3);
        (-1i64..1 << 41, bytes(), bytes(), headers).prop_map(|(timestamp, key, value, headers)| {
            Record { offset: 0, timestamp, key, value, headers }
        })
    }

    proptest! {
        #[test]
        fn records_come_back_as_from_the_other_encoder(
            mut records in prop::collection::vec(record(), 1..20),
            codec in 0usize..5,
        ) {
            let compression = [
                Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd,
            ][codec];
            for (offset, record) in (0..).zip(&mut records) {
                record.offset = offset;
            }
            let mut builder = BatchBuilder::new(compression);
            for record in &records {
                let headers: Vec<(&str, Option<&[u8]>)> = record
                    .headers
                    .iter()
                    .map(|header| (std::str::from_utf8(&header.key).unwrap(), header.value.as_deref()))
                    .collect();
                let parts = RecordParts {
                    key: record.key.as_deref(),
                    value: record.value.as_deref(),
                    headers: &headers,
                    timestamp: record.timestamp,
                };
                let before = builder.size_bytes();
                builder.push(&parts).unwrap();
                let header = if before == 0 { HEADER_BYTES } else { 0 };
                prop_assert!(builder.size_bytes() - before - header <= parts.size_bytes_max());
            }
            let batch = builder.finish().unwrap();
            prop_assert_eq!(builder.count(), 0);
            batch.verify_crc().unwrap();
            prop_assert_eq!(batch.records(&RecordLimits::default()).unwrap(), records.clone());
            let options = BatchOptions { compression, ..BatchOptions::default() };
            prop_assert_eq!(&batch.bytes, &encode_batch(&options, &records).unwrap());
        }
    }

    #[test]
    fn nothing_is_no_batch() {
        let error = BatchBuilder::new(Compression::None).finish().unwrap_err();
        assert!(matches!(error, BatchError::Encode(EncodeFault::Empty)), "{error}");
    }
}
