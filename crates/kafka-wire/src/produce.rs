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
use crate::primitive::Put;

mod answer;

pub use answer::{Appended, read_appended};

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
    scratch: &mut ProduceScratch,
    correlation_id: i32,
    client_id: &str,
    api_version: i16,
    acks: i16,
    timeout_ms: i32,
    topics: &[ProduceTopic],
) -> Vec<Bytes> {
    let mut writer = Writer::new(api_version >= FLEXIBLE_FROM, scratch);
    let put = &mut writer.put;
    put.header(ApiKey::Produce as i16, api_version, correlation_id, client_id);

    put.null_string();
    put.text.put_i16(acks);
    put.text.put_i32(timeout_ms);
    put.count(topics.len());
    for topic in topics {
        let put = &mut writer.put;
        if api_version >= TOPIC_ID_FROM {
            put.text.put_slice(topic.topic_id.as_bytes());
        } else {
            put.string(&topic.name);
        }
        put.count(topic.partitions.len());
        for partition in &topic.partitions {
            writer.put.text.put_i32(partition.partition);
            writer.put.count(partition.header.len() + partition.payload.len());
            writer.shared(&partition.header);
            writer.shared(&partition.payload);
            writer.put.tags();
        }
        writer.put.tags();
    }
    writer.put.tags();
    writer.finish()
}

/// Room for the framing of requests, used again from one to the next. A request keeps its part of it as long as it lives.
#[derive(Debug, Default)]
pub struct ProduceScratch {
    text: BytesMut,
    /// What follows the framing up to there.
    cuts: Vec<(usize, Bytes)>,
    spare: Vec<Vec<Bytes>>,
}

impl ProduceScratch {
    /// Takes the room of chunks that were written.
    pub fn reuse(&mut self, mut chunks: Vec<Bytes>) {
        chunks.clear();
        self.spare.push(chunks);
    }
}

/// New room for framing: some dozens of requests.
const SCRATCH_BYTES: usize = 16 << 10;

/// Headers up to this size become part of the framing: a piece of its own costs more than the copy.
const SMALL_BYTES: usize = 64;

/// A request in the making. All framing goes into one buffer, which is cut at the end wherever a batch follows.
struct Writer<'a> {
    put: Put<'a>,
    cuts: &'a mut Vec<(usize, Bytes)>,
    chunks: Vec<Bytes>,
}

impl<'a> Writer<'a> {
    fn new(flexible: bool, scratch: &'a mut ProduceScratch) -> Self {
        let ProduceScratch { text, cuts, spare } = scratch;
        cuts.clear();
        begin_frame(text);
        Self { put: Put { flexible, text }, cuts, chunks: spare.pop().unwrap_or_default() }
    }

    /// Puts the caller's bytes behind what was written so far.
    fn shared(&mut self, bytes: &Bytes) {
        if bytes.len() <= SMALL_BYTES {
            self.put.text.put_slice(bytes);
        } else {
            self.cuts.push((self.put.text.len(), bytes.clone()));
        }
    }

    /// Writes the frame length over the gap at the start, and cuts.
    fn finish(mut self) -> Vec<Bytes> {
        let shared: usize = self.cuts.iter().map(|(_, bytes)| bytes.len()).sum();
        let mut text = end_frame(self.put.text, shared);
        self.chunks.reserve(2 * self.cuts.len() + 1);
        let mut done = 0;
        for (end, bytes) in self.cuts.drain(..) {
            if end > done {
                self.chunks.push(text.split_to(end - done));
                done = end;
            }
            self.chunks.push(bytes);
        }
        if !text.is_empty() {
            self.chunks.push(text);
        }
        self.chunks
    }
}

/// Makes room for the framing of one more request in `text`, and leaves a gap for its length.
pub(crate) fn begin_frame(text: &mut BytesMut) {
    text.clear();
    if text.capacity() < SCRATCH_BYTES / 8 {
        // What earlier requests do not hold any more is used again.
        text.reserve(SCRATCH_BYTES);
    }
    text.put_i32(0);
}

/// Takes the framing of a request off `text`; `shared` bytes of it lie elsewhere.
pub(crate) fn end_frame(text: &mut BytesMut, shared: usize) -> Bytes {
    let length = i32::try_from(text.len() + shared - 4).unwrap_or(i32::MAX);
    text[..4].copy_from_slice(&length.to_be_bytes());
    text.split().freeze()
}

#[cfg(test)]
mod tests;
