//! Record batches: the bytes inside Produce and Fetch.
//!
//! A replicator must hand on what it was given: duplicate header keys, header keys that are not UTF-8, null against
//! empty, gaps in offsets. The record types of `kafka-protocol` lose some of these, so that this module reads and
//! writes batches by itself. Reading goes from cheap to dear: [`split`] finds the batches in a blob, [`BatchHeader`]
//! reads the 61 bytes of one, [`BatchV2::verify_crc`] touches all its bytes, [`BatchV2::walk`] decompresses. Keys,
//! values and headers are slices of the bytes they were read from and are never copied.
//!
//! # Source
//! KIP-98 (format v2), KIP-31 and KIP-32 (v1), KIP-534 (delete horizon); package `org.apache.kafka.common.record`.

mod batch;
mod build;
mod control;
mod encode;
mod error;
mod header;
pub mod legacy;
mod merge;
mod varint;
mod walk;

use bytes::Bytes;

pub use self::{
    batch::{Batch, BatchV2, Split, split},
    build::{BatchBuilder, RecordParts},
    control::{ControlKind, ControlRecord, encode_control_batch},
    encode::{BatchOptions, encode_batch},
    error::{BatchError, EncodeFault, RecordFault, WrapperFault},
    header::{Attributes, BatchHeader, CRC_START},
    legacy::LegacyBatch,
    merge::BatchMerger,
    walk::RecordWalker,
};

/// Size of the header of a v2 batch.
pub const HEADER_BYTES: usize = 61;

/// One record, whatever format it came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Absolute offset.
    pub offset: i64,
    /// Milliseconds since 1970, -1 for none.
    pub timestamp: i64,
    /// The key; null and empty are two things.
    pub key: Option<Bytes>,
    /// The value; null is a tombstone in a compacted topic.
    pub value: Option<Bytes>,
    /// Headers in their order, duplicates included.
    pub headers: Vec<Header>,
}

/// One header of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The key: any bytes, though Kafka's own clients write UTF-8.
    pub key: Bytes,
    /// The value; null and empty are two things.
    pub value: Option<Bytes>,
}

/// Bounds on what one batch may become when it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordLimits {
    /// Bytes that a batch may have after decompression. Default 256 MiB.
    pub decompressed_bytes_max: usize,
    /// Records in a batch. Default 8,388,608: batches of five million occur (P8), and each takes some hundred bytes.
    pub records_max: usize,
    /// Headers of all records of a batch together. Default 4,194,304.
    pub headers_max: usize,
}

impl Default for RecordLimits {
    fn default() -> Self {
        Self { decompressed_bytes_max: 256 << 20, records_max: 1 << 23, headers_max: 1 << 22 }
    }
}

#[cfg(test)]
mod tests;
