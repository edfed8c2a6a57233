//! Produce requests whose record batches are never copied.
//!
//! `kafka-protocol` writes a request into one buffer, which would copy every batch that passes
//! through. Here the request becomes a list of chunks for a vectored write: small pieces of
//! framing, and between them the batches themselves as shared [`Bytes`]. The layout is fixed by
//! hand for the versions brokers speak today; a test holds it against `kafka-protocol`'s own
//! encoding for each of them.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;
use kafka_protocol::protocol::StrBytes;

use crate::Uuid;

/// Lowest version written here, and the lowest there is: Kafka 4.x still advertises 0 to 2 but
/// refuses them (BF-1).
pub const VERSION_MIN: i16 = 3;
/// Highest version written here.
pub const VERSION_MAX: i16 = 13;

/// From here on lengths are compact and every structure ends in tagged fields.
const FLEXIBLE_FROM: i16 = 9;
/// From here on topics are named by id.
const TOPIC_ID_FROM: i16 = 13;

/// The records of one partition: one batch, since brokers refuse a second one (BF-1).
#[derive(Clone, Debug)]
pub struct ProducePartition {
    /// Partition index.
    pub partition: i32,
    /// The 61 bytes of a patched batch header, or the whole batch.
    pub header: Bytes,
    /// What follows the header; may be empty.
    pub payload: Bytes,
}

/// The batches for one topic.
#[derive(Clone, Debug)]
pub struct ProduceTopic {
    /// Name; written up to version 12.
    pub name: StrBytes,
    /// Id; written from version 13 on.
    pub topic_id: Uuid,
    /// One entry per partition.
    pub partitions: Vec<ProducePartition>,
}

/// Encodes a Produce request as chunks to write in order; the first begins with the frame length.
///
/// Chunks that carry batches share the memory of the caller's `header` and `payload`; empty chunks
/// are left out. The transactional id is null and the correlation id, client id and version are
/// written as given: the caller has negotiated `api_version`, [`VERSION_MIN`] to [`VERSION_MAX`],
/// and bounds the request by the broker's `socket.request.max.bytes`. Lengths beyond what the
/// protocol can say (an `i32`, for a name an `i16`) are written saturated, which a broker refuses.
///
/// # Source
/// `ProduceRequest.json` of Apache Kafka 4.2; KIP-482 for the compact forms, KIP-516 for topic ids.
#[must_use]
pub fn encode_produce(
    correlation_id: i32,
    client_id: &str,
    api_version: i16,
    acks: i16,
    timeout_ms: i32,
    topics: &[ProduceTopic],
) -> Vec<Bytes> {
    let mut writer = Writer::new(api_version >= FLEXIBLE_FROM, topics);
    writer.text.put_i16(ApiKey::Produce as i16);
    writer.text.put_i16(api_version);
    writer.text.put_i32(correlation_id);
    // The client id keeps its old form in every header version.
    writer.text.put_u16(saturated_i16(client_id.len()));
    writer.text.put_slice(client_id.as_bytes());
    writer.tags();

    writer.null_string();
    writer.text.put_i16(acks);
    writer.text.put_i32(timeout_ms);
    writer.count(topics.len());
    for topic in topics {
        if api_version >= TOPIC_ID_FROM {
            writer.text.put_slice(topic.topic_id.as_bytes());
        } else {
            writer.string(&topic.name);
        }
        writer.count(topic.partitions.len());
        for partition in &topic.partitions {
            writer.text.put_i32(partition.partition);
            writer.count(partition.header.len() + partition.payload.len());
            writer.shared(&partition.header);
            writer.shared(&partition.payload);
            writer.tags();
        }
        writer.tags();
    }
    writer.tags();
    writer.finish()
}

/// Chunks in the making. All framing goes into one buffer, which is cut wherever a batch follows.
struct Writer {
    flexible: bool,
    text: BytesMut,
    chunks: Vec<Bytes>,
    /// Bytes in `chunks`.
    chunk_bytes: usize,
}

impl Writer {
    fn new(flexible: bool, topics: &[ProduceTopic]) -> Self {
        let partitions: usize = topics.iter().map(|topic| topic.partitions.len()).sum();
        let names: usize = topics.iter().map(|topic| topic.name.len() + 24).sum();
        // One allocation serves all framing: its pieces are split off this buffer.
        let mut text = BytesMut::with_capacity(128 + names + 16 * partitions);
        text.put_i32(0);
        Self { flexible, text, chunks: Vec::with_capacity(3 * partitions + 1), chunk_bytes: 0 }
    }

    /// An array count or the length of bytes: one more as varint, or an `i32`.
    fn count(&mut self, count: usize) {
        let count = i32::try_from(count).unwrap_or(i32::MAX).unsigned_abs();
        if self.flexible { self.varint(count + 1) } else { self.text.put_u32(count) }
    }

    fn string(&mut self, value: &str) {
        if self.flexible {
            self.count(value.len());
        } else {
            self.text.put_u16(saturated_i16(value.len()));
        }
        self.text.put_slice(value.as_bytes());
    }

    fn null_string(&mut self) {
        if self.flexible { self.text.put_u8(0) } else { self.text.put_i16(-1) }
    }

    /// An empty section of tagged fields, where the version has them.
    fn tags(&mut self) {
        if self.flexible {
            self.text.put_u8(0);
        }
    }

    fn varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.text.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.text.put_u8((value & 0x7f) as u8);
    }

    /// Puts the caller's bytes behind what was written so far.
    fn shared(&mut self, bytes: &Bytes) {
        if !bytes.is_empty() {
            self.cut();
            self.push(bytes.clone());
        }
    }

    fn cut(&mut self) {
        if !self.text.is_empty() {
            let text = self.text.split().freeze();
            self.push(text);
        }
    }

    fn push(&mut self, chunk: Bytes) {
        self.chunk_bytes += chunk.len();
        self.chunks.push(chunk);
    }

    /// Writes the frame length over the gap at the start of the first chunk.
    fn finish(mut self) -> Vec<Bytes> {
        self.cut();
        let length = i32::try_from(self.chunk_bytes - 4).unwrap_or(i32::MAX);
        if let Some(first) = self.chunks.first_mut() {
            let mut patched = BytesMut::from(std::mem::take(first));
            patched[..4].copy_from_slice(&length.to_be_bytes());
            *first = patched.freeze();
        }
        self.chunks
    }
}

/// A string length, at most what an `i16` can say.
fn saturated_i16(length: usize) -> u16 {
    i16::try_from(length).unwrap_or(i16::MAX).unsigned_abs()
}

#[cfg(test)]
mod tests;
