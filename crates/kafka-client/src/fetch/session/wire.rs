//! The request as `kafka-protocol` has it, for callers that ask now and then.

use kafka_wire::{
    Uuid,
    fetch::ForgottenPartition,
    messages::{
        BrokerId, FetchRequest, TopicName,
        fetch_request::{FetchPartition as WirePartition, FetchTopic, ForgottenTopic},
    },
    protocol::StrBytes,
};

use super::{Asking, FetchPartition, FetchSettings, SESSION_VERSION, TOPIC_ID_VERSION};

pub(super) fn request(
    asking: Asking,
    settings: &FetchSettings,
    changed: &[FetchPartition],
    forgotten: &[ForgottenPartition],
) -> FetchRequest {
    let version = asking.version;
    let mut request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(settings.max_wait_ms)
        .with_min_bytes(settings.min_bytes)
        .with_max_bytes(settings.bytes_max)
        .with_isolation_level(settings.isolation.code())
        .with_topics(topics(changed, version));
    if version >= SESSION_VERSION {
        (request.session_id, request.session_epoch) = (asking.session_id, asking.session_epoch);
        request.forgotten_topics_data = forgotten_topics(forgotten, version);
    }
    if version >= 11 {
        request.rack_id = StrBytes::from_string(settings.rack.clone());
    }
    request
}

/// Neighbours of one topic together.
fn topics(partitions: &[FetchPartition], version: i16) -> Vec<FetchTopic> {
    let topics = partitions.chunk_by(|a, b| (&a.topic, a.topic_id) == (&b.topic, b.topic_id));
    let topic = |partitions: &[FetchPartition]| {
        let id = partitions[0].topic_id.unwrap_or_default();
        let (name, id) = identity(&partitions[0].topic, id, version);
        let partitions = partitions.iter().map(|partition| wire_partition(partition, version));
        FetchTopic::default()
            .with_topic(name)
            .with_topic_id(id)
            .with_partitions(partitions.collect())
    };
    topics.map(topic).collect()
}

fn wire_partition(partition: &FetchPartition, version: i16) -> WirePartition {
    let mut wire = WirePartition::default()
        .with_partition(partition.partition)
        .with_fetch_offset(partition.offset)
        .with_partition_max_bytes(partition.bytes_max);
    if version >= 9 {
        wire.current_leader_epoch = partition.leader_epoch;
    }
    if version >= 12 {
        wire.last_fetched_epoch = partition.last_fetched_epoch;
    }
    wire
}

fn forgotten_topics(forgotten: &[ForgottenPartition], version: i16) -> Vec<ForgottenTopic> {
    let topics = forgotten.chunk_by(|a, b| (&a.topic, a.topic_id) == (&b.topic, b.topic_id));
    let topic = |forgotten: &[ForgottenPartition]| {
        let (name, id) = identity(&forgotten[0].topic, forgotten[0].topic_id, version);
        let partitions = forgotten.iter().map(|forgotten| forgotten.partition).collect();
        ForgottenTopic::default().with_topic(name).with_topic_id(id).with_partitions(partitions)
    };
    topics.map(topic).collect()
}

/// A topic's name or its id: a request carries only one of them.
pub(super) fn identity(topic: &str, id: Uuid, version: i16) -> (TopicName, Uuid) {
    if version >= TOPIC_ID_VERSION {
        (TopicName::default(), id)
    } else {
        (TopicName(StrBytes::from_string(topic.to_owned())), Uuid::nil())
    }
}
