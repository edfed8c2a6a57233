//! Fetch requests and answers without the detour over `kafka-protocol`'s structures, which allocate for every topic and partition.
//!
//! The layout is fixed by hand for the versions brokers speak today; tests hold it against `kafka-protocol`'s own encoding for each of
//! them. An answer that holds anything beyond the ordinary is left to the decoder, which also says what is wrong with a broken one.

use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use kafka_protocol::messages::ApiKey;

use crate::Uuid;
use crate::primitive::Put;
use crate::produce::{begin_frame, end_frame};

mod answer;

pub use answer::{AbortedList, AnswerHead, AnsweredPartition, TopicKey, read_fetched};

/// Lowest version written and read here; brokers before Kafka 0.11 are not supported.
pub const VERSION_MIN: i16 = 4;
/// Highest version written and read here.
pub const VERSION_MAX: i16 = 18;

/// Sessions exist from here on.
const SESSION_FROM: i16 = 7;
/// From here on lengths are compact and every structure ends in tagged fields.
const FLEXIBLE_FROM: i16 = 12;
/// From here on topics are named by id.
const TOPIC_ID_FROM: i16 = 13;

/// A partition to fetch from, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// Topic name, shared so that asking again and again copies nothing.
    pub topic: Arc<str>,
    /// Topic id, if the cluster has ids: then topics are fetched by id (v13+), so that a recreated topic is noticed.
    pub topic_id: Option<Uuid>,
    /// Partition index.
    pub partition: i32,
    /// Next offset wanted.
    pub offset: i64,
    /// Epoch of the leader as we know it; -1 if unknown. A stale one is answered with FENCED_LEADER_EPOCH (BF-18).
    pub leader_epoch: i32,
    /// Epoch of the last batch fetched; -1 if unknown. With it the broker shows truncation (broker-probes P9).
    pub last_fetched_epoch: i32,
    /// Most bytes wanted from this partition at once; a larger first batch comes whole all the same (BF-21).
    pub bytes_max: i32,
}

/// A partition that a session is to forget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForgottenPartition {
    /// Topic name.
    pub topic: Arc<str>,
    /// Topic id; nil where topics go by name.
    pub topic_id: Uuid,
    /// Partition index.
    pub partition: i32,
}

/// What a fetch request says besides its partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FetchHead<'a> {
    /// How long the broker may wait for `min_bytes`.
    pub max_wait_ms: i32,
    /// Answer as soon as this much is there.
    pub min_bytes: i32,
    /// Most bytes wanted in one answer.
    pub bytes_max: i32,
    /// 0 for everything, 1 for what is committed.
    pub isolation: i8,
    /// Fetch session (v7+).
    pub session_id: i32,
    /// Number of the request in its session (v7+).
    pub session_epoch: i32,
    /// The client's rack (v11+).
    pub rack: &'a str,
}

/// Encodes a Fetch request as a whole frame, length included. `scratch` is used again once earlier requests are gone.
///
/// Neighbours of one topic in `partitions` and in `forgotten` go under one name. The caller has negotiated `api_version`,
/// [`VERSION_MIN`] to [`VERSION_MAX`]; what a version does not have is left out.
///
/// # Source
/// `FetchRequest.json` of Apache Kafka 4.2.
#[must_use]
pub fn encode_fetch(
    scratch: &mut BytesMut,
    correlation_id: i32,
    client_id: &str,
    api_version: i16,
    head: &FetchHead<'_>,
    partitions: &[FetchPartition],
    forgotten: &[ForgottenPartition],
) -> Bytes {
    begin_frame(scratch);
    let mut put = Put { flexible: api_version >= FLEXIBLE_FROM, text: scratch };
    put.header(ApiKey::Fetch as i16, api_version, correlation_id, client_id);
    if api_version < 15 {
        // No replica: a consumer.
        put.text.put_i32(-1);
    }
    put.text.put_i32(head.max_wait_ms);
    put.text.put_i32(head.min_bytes);
    put.text.put_i32(head.bytes_max);
    put.text.put_i8(head.isolation);
    if api_version >= SESSION_FROM {
        put.text.put_i32(head.session_id);
        put.text.put_i32(head.session_epoch);
    }
    let topics = || partitions.chunk_by(|a, b| (&a.topic, a.topic_id) == (&b.topic, b.topic_id));
    put.count(topics().count());
    for topic in topics() {
        identity(&mut put, api_version, &topic[0].topic, topic[0].topic_id.unwrap_or_default());
        put.count(topic.len());
        topic.iter().for_each(|partition| wanted(&mut put, api_version, partition));
        put.tags();
    }
    if api_version >= SESSION_FROM {
        let topics = || forgotten.chunk_by(|a, b| (&a.topic, a.topic_id) == (&b.topic, b.topic_id));
        put.count(topics().count());
        for topic in topics() {
            identity(&mut put, api_version, &topic[0].topic, topic[0].topic_id);
            put.count(topic.len());
            topic.iter().for_each(|forgotten| put.text.put_i32(forgotten.partition));
            put.tags();
        }
    }
    if api_version >= 11 {
        put.string(head.rack);
    }
    put.tags();
    end_frame(put.text, 0)
}

/// A topic's name or its id: a request carries only one of them.
fn identity(put: &mut Put<'_>, api_version: i16, name: &str, id: Uuid) {
    if api_version >= TOPIC_ID_FROM {
        put.text.put_slice(id.as_bytes());
    } else {
        put.string(name);
    }
}

fn wanted(put: &mut Put<'_>, api_version: i16, partition: &FetchPartition) {
    put.text.put_i32(partition.partition);
    if api_version >= 9 {
        put.text.put_i32(partition.leader_epoch);
    }
    put.text.put_i64(partition.offset);
    if api_version >= 12 {
        put.text.put_i32(partition.last_fetched_epoch);
    }
    if api_version >= 5 {
        // The beginning of our own log: only followers have one.
        put.text.put_i64(-1);
    }
    put.text.put_i32(partition.bytes_max);
    put.tags();
}

#[cfg(test)]
mod tests;
