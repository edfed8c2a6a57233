//! The records inside a v2 batch, one after the other.

use std::ops::Range;

use bytes::Bytes;

use super::{BatchError, BatchHeader, Header, Record, RecordFault, RecordLimits, varint::Cursor};

/// Bytes of the smallest record: length, attributes, two deltas, null key, null value, no headers.
const RECORD_BYTES_MIN: usize = 7;

/// Bytes of the smallest header: empty key, null value.
const HEADER_BYTES_MIN: usize = 2;

/// Iterator over the records of one batch; made by [`BatchV2::walk`](super::BatchV2::walk).
///
/// Offsets are held to the batch's range but not to an order: brokers store uncompressed batches with odd deltas as
/// they were sent (P4), and a reader that wants ascending offsets skips those that do not ascend, as Java's consumer
/// does. After an error the iterator ends.
#[derive(Clone, Debug)]
pub struct RecordWalker {
    payload: Bytes,
    at: usize,
    base_offset: i64,
    last_offset_delta: i32,
    base_timestamp: i64,
    append_time: Option<i64>,
    index: usize,
    count: usize,
    headers_left: usize,
    headers_max: usize,
    done: bool,
}

impl RecordWalker {
    /// Walks `payload`, the records of the batch that `header` belongs to, already decompressed.
    ///
    /// # Errors
    /// [`BatchError::Limit`] when the header counts more records than `limits` allows or the payload could hold.
    pub fn new(
        header: &BatchHeader,
        payload: Bytes,
        limits: &RecordLimits,
    ) -> Result<Self, BatchError> {
        let base_offset = header.base_offset;
        let count = usize::try_from(header.record_count).map_err(|_| BatchError::Field {
            base_offset,
            field: "record_count",
            value: header.record_count.into(),
        })?;
        let limit = limits.records_max.min(payload.len() / RECORD_BYTES_MIN);
        if count > limit {
            return Err(BatchError::Limit { base_offset, what: "records", found: count, limit });
        }
        Ok(Self {
            payload,
            at: 0,
            base_offset,
            last_offset_delta: header.last_offset_delta,
            base_timestamp: header.base_timestamp,
            append_time: header.attributes.is_log_append_time().then_some(header.max_timestamp),
            index: 0,
            count,
            headers_left: limits.headers_max,
            headers_max: limits.headers_max,
            done: false,
        })
    }

    fn fault(&self, at: usize, fault: RecordFault) -> BatchError {
        BatchError::Record { base_offset: self.base_offset, index: self.index, at, fault }
    }

    fn record(&mut self) -> Result<Record, BatchError> {
        let payload = self.payload.clone();
        let mut cursor = Cursor::new(&payload, self.at);
        let end = record_end(&mut cursor).map_err(|fault| self.fault(cursor.at(), fault))?;
        let mut cursor = Cursor::new(&payload[..end], cursor.at());
        let record = self.body(&payload, &mut cursor).map_err(|error| match error {
            BodyError::Fault(fault) => self.fault(cursor.at(), fault),
            BodyError::Headers(found) => BatchError::Limit {
                base_offset: self.base_offset,
                what: "headers",
                found: found.saturating_add(self.headers_max - self.headers_left),
                limit: self.headers_max,
            },
        })?;
        self.headers_left -= record.headers.len();
        self.at = end;
        self.index += 1;
        Ok(record)
    }

    fn body(&self, payload: &Bytes, cursor: &mut Cursor<'_>) -> Result<Record, BodyError> {
        let _attributes = cursor.byte()?; // no bit is in use
        let timestamp_delta = cursor.varlong()?;
        let delta = cursor.varint()?;
        if !(0..=self.last_offset_delta).contains(&delta) {
            return Err(RecordFault::OffsetDelta {
                delta,
                last_offset_delta: self.last_offset_delta,
            }
            .into());
        }
        let slice = |range: Range<usize>| payload.slice(range);
        let key = nullable(cursor)?.map(slice);
        let value = nullable(cursor)?.map(slice);
        let header_count = cursor.varint()?;
        let count = usize::try_from(header_count)
            .ok()
            .filter(|count| *count <= cursor.left() / HEADER_BYTES_MIN)
            .ok_or(RecordFault::HeaderCount(header_count))?;
        if count > self.headers_left {
            return Err(BodyError::Headers(count));
        }
        let mut headers = Vec::with_capacity(count);
        for _ in 0..count {
            let key = nullable(cursor)?.ok_or(RecordFault::Length(-1))?;
            let value = nullable(cursor)?.map(slice);
            headers.push(Header { key: slice(key), value });
        }
        if cursor.left() != 0 {
            return Err(RecordFault::Unused(cursor.left()).into());
        }
        Ok(Record {
            offset: self.base_offset.saturating_add(delta.into()),
            // Java adds with wrap-around when it writes and when it reads; so do we, and the extremes survive.
            timestamp: self
                .append_time
                .unwrap_or_else(|| self.base_timestamp.wrapping_add(timestamp_delta)),
            key,
            value,
            headers,
        })
    }
}

enum BodyError {
    Fault(RecordFault),
    Headers(usize),
}

impl From<RecordFault> for BodyError {
    fn from(fault: RecordFault) -> Self {
        Self::Fault(fault)
    }
}

/// Where the record ends whose length comes next.
fn record_end(cursor: &mut Cursor<'_>) -> Result<usize, RecordFault> {
    let length = cursor.varint()?;
    let length = usize::try_from(length).map_err(|_| RecordFault::Length(length.into()))?;
    let mut ahead = cursor.clone();
    ahead.skip(length)?;
    Ok(ahead.at())
}

/// A length and as many bytes; any negative length is null, as in Java's `DefaultRecord`.
fn nullable(cursor: &mut Cursor<'_>) -> Result<Option<Range<usize>>, RecordFault> {
    let length = cursor.varint()?;
    let Ok(bytes) = usize::try_from(length) else { return Ok(None) };
    let start = cursor.skip(bytes).map_err(|_| RecordFault::Length(length.into()))?;
    Ok(Some(start..start + bytes))
}

impl Iterator for RecordWalker {
    type Item = Result<Record, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        if self.index < self.count {
            let record = self.record();
            self.done = record.is_err();
            return Some(record);
        }
        self.done = true;
        let trailing = self.payload.len() - self.at;
        (trailing != 0).then(|| Err(self.fault(self.at, RecordFault::Trailing(trailing))))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // The count was checked against the bytes; one more for the error about what follows the last record.
        if self.done { (0, Some(0)) } else { (0, Some(self.count - self.index + 1)) }
    }
}

impl std::iter::FusedIterator for RecordWalker {}
