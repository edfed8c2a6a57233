//! Metadata: brokers, topics, leaders.

use kafka_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_wire::messages::metadata_response::{
    MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
};
use kafka_wire::messages::{BrokerId, TopicName};
use kafka_wire::{ErrorCode, Uuid};
use tokio::time::Instant;

use super::topics::check_name;
use super::{Peer, text};
use crate::partition::Partition;
use crate::permissions::{Operation, Resource};
use crate::state::{State, Topic};

/// What `authorized_operations` says when it was not asked for.
const NOT_ASKED: i32 = i32::MIN;

pub(super) fn handle(peer: &Peer, version: i16, request: &MetadataRequest) -> MetadataResponse {
    let mut state = peer.cluster.state();
    let topics = match &request.topics {
        None => all_topics(peer, &state, request),
        Some(none) if none.is_empty() && version == 0 => all_topics(peer, &state, request),
        Some(named) => named
            .iter()
            .map(|topic| named_topic(peer, &mut state, version, request, topic))
            .collect(),
    };
    let brokers = state.brokers.values().filter(|broker| broker.up).map(|broker| {
        let address = peer.address_of(broker);
        MetadataResponseBroker::default()
            .with_node_id(BrokerId(broker.id))
            .with_host(text(address.host.clone()))
            .with_port(i32::from(address.port))
            .with_rack(broker.rack.clone().map(text))
    });
    let cluster_bits = if request.include_cluster_authorized_operations {
        let asked = state.permissions.allows(peer.user(), Operation::Describe, &Resource::Cluster);
        if asked { state.permissions.bits(peer.user(), &Resource::Cluster) } else { 0 }
    } else {
        NOT_ASKED
    };
    MetadataResponse::default()
        .with_brokers(brokers.collect())
        .with_cluster_id(Some(text(peer.cluster.config().cluster_id.clone())))
        .with_controller_id(BrokerId(state.controller().unwrap_or(-1)))
        .with_cluster_authorized_operations(cluster_bits)
        .with_topics(topics)
}

fn all_topics(peer: &Peer, state: &State, request: &MetadataRequest) -> Vec<MetadataResponseTopic> {
    let visible = state.topics.iter().filter(|(name, _)| {
        state.permissions.check_topic(peer.user(), Operation::Describe, name).is_ok()
    });
    visible.map(|(name, topic)| describe(peer, state, request, name, topic)).collect()
}

fn named_topic(
    peer: &Peer,
    state: &mut State,
    version: i16,
    request: &MetadataRequest,
    asked: &MetadataRequestTopic,
) -> MetadataResponseTopic {
    let failed = |code: ErrorCode| {
        MetadataResponseTopic::default()
            .with_error_code(code.0)
            .with_topic_authorized_operations(NOT_ASKED)
            .with_topic_id(asked.topic_id)
            .with_name(asked.name.clone().or_else(|| (version < 12).then(|| TopicName(text("")))))
    };
    let by_id = version >= 10 && asked.topic_id != Uuid::nil();
    let name = if by_id {
        match state.topic_name(asked.topic_id) {
            Some(name) => name.to_owned(),
            None => return failed(ErrorCode::UNKNOWN_TOPIC_ID),
        }
    } else {
        asked.name.as_ref().map(|name| name.to_string()).unwrap_or_default()
    };
    if state.permissions.check_topic(peer.user(), Operation::Describe, &name).is_err() {
        // Existence is hidden (P13).
        return failed(ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    }
    if check_name(&name).is_err() {
        return failed(ErrorCode::INVALID_TOPIC_EXCEPTION);
    }
    if let Some(topic) = state.topics.get(&name) {
        return describe(peer, state, request, &name, topic);
    }
    let config = peer.cluster.config();
    let may_create = version < 4 || request.allow_auto_topic_creation;
    if config.auto_create && may_create && !by_id && !state.is_deleting(&name) {
        let partitions = usize::try_from(config.partitions_default).unwrap_or(1);
        let replication = usize::try_from(config.replication_default).unwrap_or(1);
        let assignments = state.assign(0, partitions, replication);
        state.add_topic(config, &name, assignments, Default::default(), peer.cluster.now_ms());
        return failed(ErrorCode::LEADER_NOT_AVAILABLE);
    }
    failed(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
}

fn describe(
    peer: &Peer,
    state: &State,
    request: &MetadataRequest,
    name: &str,
    topic: &Topic,
) -> MetadataResponseTopic {
    let bits = if request.include_topic_authorized_operations {
        state.permissions.bits(peer.user(), &Resource::Topic(name.to_owned()))
    } else {
        NOT_ASKED
    };
    let led = topic.leaders_at <= Instant::now();
    let partitions = (0..)
        .zip(&topic.partitions)
        .map(|(index, partition)| describe_partition(state, index, partition, led));
    MetadataResponseTopic::default()
        .with_name(Some(TopicName(text(name))))
        .with_topic_id(topic.id)
        .with_is_internal(topic.is_internal)
        .with_topic_authorized_operations(bits)
        .with_partitions(partitions.collect())
}

fn describe_partition(
    state: &State,
    index: i32,
    partition: &Partition,
    led: bool,
) -> MetadataResponsePartition {
    let ids = |ids: &[i32]| ids.iter().map(|id| BrokerId(*id)).collect::<Vec<_>>();
    let offline: Vec<i32> = partition
        .replicas
        .iter()
        .filter(|id| state.brokers.get(id).is_none_or(|broker| !broker.up))
        .copied()
        .collect();
    let leader = partition.leader.filter(|leader| led && !offline.contains(leader));
    let error = if leader.is_none() { ErrorCode::LEADER_NOT_AVAILABLE } else { ErrorCode::NONE };
    MetadataResponsePartition::default()
        .with_error_code(error.0)
        .with_partition_index(index)
        .with_leader_id(BrokerId(leader.unwrap_or(-1)))
        .with_leader_epoch(partition.leader_epoch)
        .with_replica_nodes(ids(&partition.replicas))
        .with_isr_nodes(ids(&partition.isr))
        .with_offline_replicas(ids(&offline))
}
