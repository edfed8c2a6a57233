//! OffsetCommit and OffsetFetch: the rules of P7.

use kafka_wire::ErrorCode;
use kafka_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_wire::messages::offset_commit_response::{
    OffsetCommitResponse, OffsetCommitResponsePartition, OffsetCommitResponseTopic,
};
use kafka_wire::messages::offset_fetch_request::OffsetFetchRequest;
use kafka_wire::messages::offset_fetch_response::{
    OffsetFetchResponse, OffsetFetchResponseGroup, OffsetFetchResponsePartition,
    OffsetFetchResponsePartitions, OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use kafka_wire::messages::{GroupId, TopicName};
use kafka_wire::protocol::StrBytes;

use super::{Peer, coordinators, text};
use crate::access::{GroupRequest, GroupRequestKind};
use crate::groups::CommittedOffset;
use crate::permissions::{Operation, Resource};
use crate::release::Release;
use crate::state::State;

/// `offset.metadata.max.bytes`.
const METADATA_BYTES_MAX: usize = 4096;

/// From this version several groups are asked at once (KIP-709).
const BATCHED_VERSION: i16 = 8;

pub(super) fn commit(peer: &Peer, request: &OffsetCommitRequest) -> OffsetCommitResponse {
    let mut state = peer.cluster.state();
    let group = request.group_id.as_str();
    let generation = request.generation_id_or_member_epoch;
    let admitted = admit(peer, &mut state, group, &request.member_id, generation);
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let done =
                admitted.and_then(|()| commit_one(peer, &mut state, group, topic, partition));
            OffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(super::code(&done))
        });
        let partitions = partitions.collect();
        OffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions)
    });
    OffsetCommitResponse::default().with_topics(topics.collect())
}

/// Whether this member may commit for this group. Rights come before the coordinator (P13).
fn admit(
    peer: &Peer,
    state: &mut State,
    group: &str,
    member: &str,
    generation: i32,
) -> Result<(), ErrorCode> {
    state.permissions.check(peer.user(), Operation::Read, &Resource::Group(group.to_owned()))?;
    coordinators::check(peer, state, group)?;
    let admitted = match state.groups.get(group) {
        Some(known) => known.check_commit(peer.release(), member, generation),
        None if generation < 0 => Ok(()),
        None => Err(ErrorCode::UNKNOWN_MEMBER_ID),
    };
    if admitted.is_err() && generation < 0 {
        note(peer, state, group, GroupRequestKind::RefusedForMembers);
    }
    admitted
}

/// Tells those who watch.
fn note(peer: &Peer, state: &mut State, group: &str, what: GroupRequestKind) {
    if let Some(requests) = &mut state.group_requests {
        let group = group.to_owned();
        requests.push(GroupRequest { connection: peer.connection, group, what });
    }
}

fn commit_one(
    peer: &Peer,
    state: &mut State,
    group: &str,
    topic: &OffsetCommitRequestTopic,
    partition: &OffsetCommitRequestPartition,
) -> Result<(), ErrorCode> {
    let name = topic.name.as_str();
    state.permissions.check_topic(peer.user(), Operation::Read, name)?;
    // Old brokers look at the topic only (P7).
    let looked_at = if peer.release() <= Release::V1_1 { 0 } else { partition.partition_index };
    state.partition(name, looked_at)?;
    let metadata =
        partition.committed_metadata.as_ref().map(ToString::to_string).unwrap_or_default();
    if metadata.len() > METADATA_BYTES_MAX {
        return Err(ErrorCode::OFFSET_METADATA_TOO_LARGE);
    }
    let committed = CommittedOffset {
        offset: partition.committed_offset,
        leader_epoch: partition.committed_leader_epoch,
        metadata,
        committed_ms: peer.cluster.now_ms(),
    };
    let (topic, partition) = (name.to_owned(), partition.partition_index);
    if state.group_requests.is_some() {
        let high_watermark =
            state.partition(&topic, partition).map_or(-1, |found| found.high_watermark());
        let (topic, committed) = (topic.clone(), committed.clone());
        let what = GroupRequestKind::Committed { topic, partition, committed, high_watermark };
        note(peer, state, group, what);
    }
    let offsets = &mut state.groups.get_or_create(group).offsets;
    offsets.insert((topic, partition), committed);
    Ok(())
}

/// One partition of an answer, whatever the version.
struct Fetched {
    topic: String,
    partition: i32,
    committed: Option<CommittedOffset>,
    error: ErrorCode,
}

pub(super) fn fetch(
    peer: &Peer,
    version: i16,
    request: &OffsetFetchRequest,
) -> OffsetFetchResponse {
    let mut state = peer.cluster.state();
    if version < BATCHED_VERSION {
        let asked = request.topics.as_ref().map(|topics| {
            let pairs = topics.iter().flat_map(|topic| {
                topic.partition_indexes.iter().map(|index| (topic.name.to_string(), *index))
            });
            pairs.collect::<Vec<_>>()
        });
        return match look(
            peer,
            &mut state,
            &request.group_id,
            asked.clone(),
            request.require_stable,
        ) {
            Ok(fetched) => OffsetFetchResponse::default().with_topics(single_topics(fetched)),
            Err(code) => {
                // Version 1 has no place for the group's own error: each partition carries it.
                let failed = asked.unwrap_or_default().into_iter().map(|(topic, partition)| {
                    Fetched { topic, partition, committed: None, error: code }
                });
                let answer =
                    OffsetFetchResponse::default().with_topics(single_topics(failed.collect()));
                if version >= 2 { answer.with_error_code(code.0) } else { answer }
            }
        };
    }
    let groups = request.groups.iter().map(|group| {
        let asked = group.topics.as_ref().map(|topics| {
            let pairs = topics.iter().flat_map(|topic| {
                topic.partition_indexes.iter().map(|index| (topic.name.to_string(), *index))
            });
            pairs.collect()
        });
        let answer = OffsetFetchResponseGroup::default().with_group_id(group.group_id.clone());
        match look(peer, &mut state, &group.group_id, asked, request.require_stable) {
            Ok(fetched) => answer.with_topics(group_topics(fetched)),
            Err(code) => answer.with_error_code(code.0),
        }
    });
    OffsetFetchResponse::default().with_groups(groups.collect())
}

fn look(
    peer: &Peer,
    state: &mut State,
    group: &GroupId,
    asked: Option<Vec<(String, i32)>>,
    stable: bool,
) -> Result<Vec<Fetched>, ErrorCode> {
    state.permissions.check(
        peer.user(),
        Operation::Describe,
        &Resource::Group(group.to_string()),
    )?;
    coordinators::check(peer, state, group)?;
    if state.groups.get(group).is_some() {
        note(peer, state, group, GroupRequestKind::Fetched);
    }
    let State { groups, permissions, .. } = &mut *state;
    let known = groups.get(group);
    let asked = match (asked, &known) {
        (Some(asked), _) => asked,
        (None, Some(known)) => known.offsets.keys().cloned().collect(),
        (None, None) => Vec::new(),
    };
    let fetched = asked.into_iter().map(|(topic, partition)| {
        let key = (topic, partition);
        let unstable = stable
            && known.as_ref().is_some_and(|known| {
                known.pending.values().any(|offsets| offsets.contains_key(&key))
            });
        let committed = known.as_ref().and_then(|known| known.offsets.get(&key)).cloned();
        let (topic, partition) = key;
        match permissions.check_topic(peer.user(), Operation::Describe, &topic) {
            Err(error) => Fetched { topic, partition, committed: None, error },
            Ok(()) if unstable => Fetched {
                topic,
                partition,
                committed: None,
                error: ErrorCode::UNSTABLE_OFFSET_COMMIT,
            },
            Ok(()) => Fetched { topic, partition, committed, error: ErrorCode::NONE },
        }
    });
    Ok(fetched.collect())
}

/// Offset, leader epoch and text as the answer shows them; null metadata comes back as "" (P7).
fn shown(fetched: &Fetched) -> (i64, i32, Option<StrBytes>) {
    match &fetched.committed {
        Some(committed) => {
            (committed.offset, committed.leader_epoch, Some(text(committed.metadata.clone())))
        }
        None => (-1, -1, Some(text(""))),
    }
}

fn by_topic(mut fetched: Vec<Fetched>) -> Vec<(TopicName, Vec<Fetched>)> {
    fetched
        .sort_by(|left, right| (&left.topic, left.partition).cmp(&(&right.topic, right.partition)));
    let mut topics: Vec<(TopicName, Vec<Fetched>)> = Vec::new();
    for item in fetched {
        match topics.last_mut() {
            Some((name, items)) if name.as_str() == item.topic => items.push(item),
            _ => topics.push((TopicName(text(item.topic.clone())), vec![item])),
        }
    }
    topics
}

fn single_topics(fetched: Vec<Fetched>) -> Vec<OffsetFetchResponseTopic> {
    let topics = by_topic(fetched).into_iter().map(|(name, items)| {
        let partitions = items.iter().map(|item| {
            let (offset, epoch, metadata) = shown(item);
            OffsetFetchResponsePartition::default()
                .with_partition_index(item.partition)
                .with_committed_offset(offset)
                .with_committed_leader_epoch(epoch)
                .with_metadata(metadata)
                .with_error_code(item.error.0)
        });
        OffsetFetchResponseTopic::default().with_name(name).with_partitions(partitions.collect())
    });
    topics.collect()
}

fn group_topics(fetched: Vec<Fetched>) -> Vec<OffsetFetchResponseTopics> {
    let topics = by_topic(fetched).into_iter().map(|(name, items)| {
        let partitions = items.iter().map(|item| {
            let (offset, epoch, metadata) = shown(item);
            OffsetFetchResponsePartitions::default()
                .with_partition_index(item.partition)
                .with_committed_offset(offset)
                .with_committed_leader_epoch(epoch)
                .with_metadata(metadata)
                .with_error_code(item.error.0)
        });
        OffsetFetchResponseTopics::default().with_name(name).with_partitions(partitions.collect())
    });
    topics.collect()
}
