//! Batches inside a blob of records, as Fetch answers it and Produce sends it.

use bytes::Bytes;

use super::{
    BatchError, BatchHeader, CRC_START, ControlRecord, HEADER_BYTES, LegacyBatch, Record,
    RecordLimits, RecordWalker, control, header::LOG_OVERHEAD,
};
use crate::{
    compression::{self, Compression},
    crc,
};

/// Up to and with the magic byte: what must be there to know an entry's format.
const MAGIC_END: usize = 17;

/// Smallest value of an entry's length field: a v0 message with neither key nor value.
const LEGACY_LENGTH_MIN: i32 = 14;

/// The same for a v2 batch: its header less twelve bytes.
const V2_LENGTH_MIN: i32 = 49;

/// One entry of a blob of records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Batch {
    /// A record batch, message format v2 (Kafka 0.11 and later).
    V2(BatchV2),
    /// A message of format v0 or v1, which may wrap compressed messages.
    Legacy(LegacyBatch),
}

impl Batch {
    /// Offset of the first record as produced. For a compressed legacy message, which says only its last offset, that
    /// one: the first is known after decompression.
    #[must_use]
    pub fn base_offset(&self) -> i64 {
        match self {
            Self::V2(batch) => batch.header.base_offset,
            Self::Legacy(batch) => batch.offset(),
        }
    }

    /// Offset of the last record as produced.
    #[must_use]
    pub fn last_offset(&self) -> i64 {
        match self {
            Self::V2(batch) => batch.header.last_offset(),
            Self::Legacy(batch) => batch.offset(),
        }
    }

    /// The offset that follows: where to read on.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.last_offset().saturating_add(1)
    }

    /// Size of the whole entry.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.bytes().len()
    }

    /// The bytes of the whole entry.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::V2(batch) => &batch.bytes,
            Self::Legacy(batch) => batch.bytes(),
        }
    }

    /// The message format: 0, 1 or 2.
    #[must_use]
    pub fn magic(&self) -> i8 {
        match self {
            Self::V2(batch) => batch.header.magic,
            Self::Legacy(batch) => batch.magic(),
        }
    }

    /// The codec of the records.
    ///
    /// # Errors
    /// [`BatchError::Codec`] for a number that the format does not define.
    pub fn compression(&self) -> Result<Compression, BatchError> {
        match self {
            Self::V2(batch) => batch.header.compression(),
            Self::Legacy(batch) => batch.compression(),
        }
    }

    /// Compares the stored checksum with the bytes.
    ///
    /// # Errors
    /// [`BatchError::Crc`] when they disagree.
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        match self {
            Self::V2(batch) => batch.verify_crc(),
            Self::Legacy(batch) => batch.verify_crc(),
        }
    }

    /// Decompresses and decodes all records.
    ///
    /// # Errors
    /// Whatever [`BatchV2::records`] or [`LegacyBatch::records`] report.
    pub fn records(&self, limits: &RecordLimits) -> Result<Vec<Record>, BatchError> {
        match self {
            Self::V2(batch) => batch.records(limits),
            Self::Legacy(batch) => batch.records(limits),
        }
    }
}

/// A whole v2 batch: its header, read, and all its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchV2 {
    /// The header as parsed from the first 61 bytes.
    pub header: BatchHeader,
    /// The whole batch, header first.
    pub bytes: Bytes,
}

impl BatchV2 {
    /// Reads one batch that fills `bytes` exactly.
    ///
    /// # Errors
    /// Whatever [`BatchHeader::parse`] reports; [`BatchError::Length`] when there are fewer or more bytes than the
    /// header says.
    pub fn parse(bytes: Bytes) -> Result<Self, BatchError> {
        let header = BatchHeader::parse(&bytes)?;
        if header.size_bytes() != bytes.len() {
            return Err(BatchError::Length {
                base_offset: header.base_offset,
                stated: header.size_bytes(),
                found: bytes.len(),
            });
        }
        Ok(Self { header, bytes })
    }

    /// What follows the header: the records, compressed when the header says so.
    #[must_use]
    pub fn payload(&self) -> Bytes {
        self.bytes.slice(HEADER_BYTES.min(self.bytes.len())..)
    }

    /// Compares the stored checksum with the bytes. Touches the whole batch: about 20 GB/s.
    ///
    /// # Errors
    /// [`BatchError::Crc`] when they disagree.
    pub fn verify_crc(&self) -> Result<(), BatchError> {
        let computed = crc::crc32c(self.bytes.get(CRC_START..).unwrap_or_default());
        if computed == self.header.crc {
            return Ok(());
        }
        Err(BatchError::Crc {
            base_offset: self.header.base_offset,
            stored: self.header.crc,
            computed,
        })
    }

    /// Decompresses the batch and returns an iterator over its records, which decodes as it goes.
    ///
    /// # Errors
    /// [`BatchError::Codec`], [`BatchError::Compression`] and, when the header's count exceeds the limit or what the
    /// bytes could hold, [`BatchError::Limit`].
    pub fn walk(&self, limits: &RecordLimits) -> Result<RecordWalker, BatchError> {
        let base_offset = self.header.base_offset;
        let payload = match self.header.compression()? {
            Compression::None => self.payload(),
            // A batch that compaction has emptied keeps its codec and has no bytes to decompress.
            _ if self.header.record_count == 0 && self.bytes.len() <= HEADER_BYTES => Bytes::new(),
            codec => compression::decompress(codec, &self.payload(), limits.decompressed_bytes_max)
                .map_err(|source| BatchError::Compression { base_offset, source })?
                .into(),
        };
        RecordWalker::new(&self.header, payload, limits)
    }

    /// All records of the batch, control records too.
    ///
    /// # Errors
    /// Those of [`walk`](Self::walk), and [`BatchError::Record`] at the first record that breaks the format.
    pub fn records(&self, limits: &RecordLimits) -> Result<Vec<Record>, BatchError> {
        self.walk(limits)?.collect()
    }

    /// The first control record; nothing when the batch is no control batch or has been emptied.
    ///
    /// # Errors
    /// Those of [`records`](Self::records); [`super::RecordFault::Control`] when the record is too short.
    pub fn control(&self) -> Result<Option<ControlRecord>, BatchError> {
        if !self.header.attributes.is_control() {
            return Ok(None);
        }
        // Control batches are never compressed and hold one short record; a small bound keeps a forged one cheap.
        let limits = RecordLimits {
            decompressed_bytes_max: 1 << 20,
            records_max: 1 << 16,
            headers_max: 1 << 10,
        };
        let Some(record) = self.walk(&limits)?.next().transpose()? else { return Ok(None) };
        control::read(self.header.base_offset, &record).map(Some)
    }
}

/// The batches of a blob of records, in order. Ends after the first error: behind it nothing can be found.
///
/// A broker cuts the blob where the byte limit falls, so that the last batch may be partial; it is left out (BF-20).
#[derive(Clone, Debug)]
pub struct Split {
    rest: Bytes,
    failed: bool,
}

/// Finds the batches in `records` without copying or decompressing them.
#[must_use]
pub fn split(records: Bytes) -> Split {
    Split { rest: records, failed: false }
}

impl Split {
    /// What has not been handed out: after the last batch, the bytes of a partial one.
    ///
    /// When a fetch brings no whole batch but this is not empty, the broker holds a batch larger than asked for.
    #[must_use]
    pub fn rest(&self) -> &Bytes {
        &self.rest
    }

    fn entry(&mut self) -> Result<Option<Batch>, BatchError> {
        let Some(head) = self.rest.first_chunk::<MAGIC_END>() else { return Ok(None) };
        let [o0, o1, o2, o3, o4, o5, o6, o7, l0, l1, l2, l3, .., magic] = *head;
        let base_offset = i64::from_be_bytes([o0, o1, o2, o3, o4, o5, o6, o7]);
        let length = i32::from_be_bytes([l0, l1, l2, l3]);
        let magic = i8::from_be_bytes([magic]);
        if !(0..=2).contains(&magic) {
            return Err(BatchError::Magic { base_offset, magic });
        }
        if length < if magic == 2 { V2_LENGTH_MIN } else { LEGACY_LENGTH_MIN } {
            return Err(BatchError::Field {
                base_offset,
                field: "batch_length",
                value: length.into(),
            });
        }
        let size = LOG_OVERHEAD + usize::try_from(length).unwrap_or(usize::MAX - LOG_OVERHEAD);
        if size > self.rest.len() {
            return Ok(None);
        }
        let bytes = self.rest.slice(..size);
        let batch = if magic == 2 {
            Batch::V2(BatchV2::parse(bytes)?)
        } else {
            Batch::Legacy(LegacyBatch::parse(bytes)?)
        };
        self.rest = self.rest.slice(size..);
        Ok(Some(batch))
    }
}

impl Iterator for Split {
    type Item = Result<Batch, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let entry = self.entry();
        self.failed = entry.is_err();
        entry.transpose()
    }
}

impl std::iter::FusedIterator for Split {}
