//! The Fetch answer, written so that record bytes are never copied.
//!
//! Everything but the records goes into small chunks; between them stand the slices that the log
//! handed out. Layout: `FetchResponse.json`, versions 4 to 18.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_wire::{ErrorCode, Uuid};

use crate::log::{Aborted, Slices};

/// From this version on lengths are compact and structures carry tagged fields.
const FLEXIBLE_VERSION: i16 = 12;

/// The whole answer.
#[derive(Debug)]
pub(super) struct FetchAnswer {
    pub(super) error: ErrorCode,
    pub(super) session_id: i32,
    pub(super) partitions: Vec<PartitionAnswer>,
    pub(super) by_id: bool,
}

/// One partition's part.
#[derive(Debug)]
pub(super) struct PartitionAnswer {
    pub(super) topic: Arc<str>,
    pub(super) topic_id: Uuid,
    pub(super) partition: i32,
    pub(super) error: ErrorCode,
    pub(super) high_watermark: i64,
    pub(super) last_stable_offset: i64,
    pub(super) log_start_offset: i64,
    pub(super) aborted: Option<Vec<Aborted>>,
    pub(super) diverging: Option<(i32, i64)>,
    pub(super) current_leader: Option<(i32, i32)>,
    pub(super) records: Slices,
}

impl PartitionAnswer {
    fn same_topic(&self, other: &Self, by_id: bool) -> bool {
        if by_id { self.topic_id == other.topic_id } else { self.topic == other.topic }
    }
}

/// The frame, length first, as chunks to be written in order.
pub(super) fn encode(correlation: i32, version: i16, answer: FetchAnswer) -> Vec<Bytes> {
    let mut writer =
        Writer { version, done: Vec::new(), open: BytesMut::with_capacity(256), record_bytes: 0 };
    writer.open.put_i32(correlation);
    writer.tags_none();
    writer.open.put_i32(0);
    if version >= 7 {
        writer.open.put_i16(answer.error.0);
        writer.open.put_i32(answer.session_id);
    }
    let by_id = answer.by_id;
    let topics: Vec<&[PartitionAnswer]> =
        answer.partitions.chunk_by(|left, right| left.same_topic(right, by_id)).collect();
    writer.length(topics.len());
    for partitions in topics {
        writer.topic(partitions, by_id);
    }
    writer.tags_none();
    writer.finish()
}

struct Writer {
    version: i16,
    done: Vec<Bytes>,
    open: BytesMut,
    record_bytes: usize,
}

impl Writer {
    fn flexible(&self) -> bool {
        self.version >= FLEXIBLE_VERSION
    }

    fn topic(&mut self, partitions: &[PartitionAnswer], by_id: bool) {
        if let Some(first) = partitions.first() {
            if by_id {
                self.open.put_slice(first.topic_id.as_bytes());
            } else {
                self.string(&first.topic);
            }
        }
        self.length(partitions.len());
        for partition in partitions {
            self.partition(partition);
        }
        self.tags_none();
    }

    fn partition(&mut self, answer: &PartitionAnswer) {
        self.open.put_i32(answer.partition);
        self.open.put_i16(answer.error.0);
        self.open.put_i64(answer.high_watermark);
        self.open.put_i64(answer.last_stable_offset);
        if self.version >= 5 {
            self.open.put_i64(answer.log_start_offset);
        }
        match &answer.aborted {
            Some(aborted) => self.aborted(aborted),
            None => self.null_length(),
        }
        if self.version >= 11 {
            // No preferred replica: read from the leader.
            self.open.put_i32(-1);
        }
        self.records(&answer.records);
        if self.flexible() {
            self.partition_tags(answer);
        }
    }

    fn aborted(&mut self, aborted: &[Aborted]) {
        self.length(aborted.len());
        for transaction in aborted {
            self.open.put_i64(transaction.producer_id);
            self.open.put_i64(transaction.first_offset);
            self.tags_none();
        }
    }

    /// Lets the slices follow what was written so far.
    fn records(&mut self, records: &Slices) {
        if self.flexible() {
            self.varint(records.size_bytes + 1);
        } else {
            self.open.put_i32(i32::try_from(records.size_bytes).unwrap_or(i32::MAX));
        }
        if records.size_bytes > 0 {
            self.done.push(self.open.split().freeze());
            self.done.extend_from_slice(&records.chunks);
            self.record_bytes += records.size_bytes;
        }
    }

    /// Tag 0: diverging epoch; tag 1: current leader. Each is 12 or 8 bytes and an empty tag section.
    fn partition_tags(&mut self, answer: &PartitionAnswer) {
        let count =
            usize::from(answer.diverging.is_some()) + usize::from(answer.current_leader.is_some());
        self.varint(count);
        if let Some((epoch, end_offset)) = answer.diverging {
            self.varint(0);
            self.varint(13);
            self.open.put_i32(epoch);
            self.open.put_i64(end_offset);
            self.open.put_u8(0);
        }
        if let Some((leader, epoch)) = answer.current_leader {
            self.varint(1);
            self.varint(9);
            self.open.put_i32(leader);
            self.open.put_i32(epoch);
            self.open.put_u8(0);
        }
    }

    fn string(&mut self, value: &str) {
        if self.flexible() {
            self.varint(value.len() + 1);
        } else {
            self.open.put_i16(i16::try_from(value.len()).unwrap_or(i16::MAX));
        }
        self.open.put_slice(value.as_bytes());
    }

    fn length(&mut self, count: usize) {
        if self.flexible() {
            self.varint(count + 1);
        } else {
            self.open.put_i32(i32::try_from(count).unwrap_or(i32::MAX));
        }
    }

    fn null_length(&mut self) {
        if self.flexible() { self.open.put_u8(0) } else { self.open.put_i32(-1) }
    }

    fn tags_none(&mut self) {
        if self.flexible() {
            self.open.put_u8(0);
        }
    }

    fn varint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.open.put_u8(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.open.put_u8(value.to_le_bytes()[0]);
    }

    fn finish(mut self) -> Vec<Bytes> {
        self.done.push(self.open.freeze());
        let length: usize = self.done.iter().map(Bytes::len).sum();
        let head = i32::try_from(length).unwrap_or(i32::MAX).to_be_bytes();
        let mut chunks = Vec::with_capacity(self.done.len() + 1);
        chunks.push(Bytes::copy_from_slice(&head));
        chunks.append(&mut self.done);
        chunks
    }
}
