//! AddPartitionsToTxn, AddOffsetsToTxn, EndTxn, TxnOffsetCommit, WriteTxnMarkers.

use kafka_wire::ErrorCode;
use kafka_wire::messages::ProducerId;
use kafka_wire::messages::add_offsets_to_txn_request::AddOffsetsToTxnRequest;
use kafka_wire::messages::add_offsets_to_txn_response::AddOffsetsToTxnResponse;
use kafka_wire::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic, AddPartitionsToTxnTransaction,
};
use kafka_wire::messages::add_partitions_to_txn_response::{
    AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResponse, AddPartitionsToTxnResult,
    AddPartitionsToTxnTopicResult,
};
use kafka_wire::messages::end_txn_request::EndTxnRequest;
use kafka_wire::messages::end_txn_response::EndTxnResponse;
use kafka_wire::messages::txn_offset_commit_request::TxnOffsetCommitRequest;
use kafka_wire::messages::txn_offset_commit_response::{
    TxnOffsetCommitResponse, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
};
use kafka_wire::messages::write_txn_markers_request::{WritableTxnMarker, WriteTxnMarkersRequest};
use kafka_wire::messages::write_txn_markers_response::{
    WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
    WriteTxnMarkersResponse,
};

use super::producers::fenced_as;
use super::{Peer, coordinators};
use crate::groups::CommittedOffset;
use crate::partition::Marker;
use crate::permissions::{Operation, Resource};
use crate::state::State;
use crate::transactions::{Decided, Identity};

/// From this version the request carries several transactions; it is for brokers.
const BATCHED_VERSION: i16 = 4;

pub(super) fn add_partitions(
    peer: &Peer,
    version: i16,
    request: &AddPartitionsToTxnRequest,
) -> AddPartitionsToTxnResponse {
    let mut state = peer.cluster.state();
    if version < BATCHED_VERSION {
        let single = AddPartitionsToTxnTransaction::default()
            .with_transactional_id(request.v3_and_below_transactional_id.clone())
            .with_producer_id(request.v3_and_below_producer_id)
            .with_producer_epoch(request.v3_and_below_producer_epoch)
            .with_topics(request.v3_and_below_topics.clone());
        let results = add_to_one(peer, &mut state, version, &single);
        return AddPartitionsToTxnResponse::default().with_results_by_topic_v3_and_below(results);
    }
    if let Err(code) =
        state.permissions.check(peer.user(), Operation::ClusterAction, &Resource::Cluster)
    {
        return AddPartitionsToTxnResponse::default().with_error_code(code.0);
    }
    let results = request.transactions.iter().map(|transaction| {
        AddPartitionsToTxnResult::default()
            .with_transactional_id(transaction.transactional_id.clone())
            .with_topic_results(add_to_one(peer, &mut state, version, transaction))
    });
    AddPartitionsToTxnResponse::default().with_results_by_transaction(results.collect())
}

fn add_to_one(
    peer: &Peer,
    state: &mut State,
    version: i16,
    asked: &AddPartitionsToTxnTransaction,
) -> Vec<AddPartitionsToTxnTopicResult> {
    let mut faulty = false;
    let mut verdicts: Vec<Vec<ErrorCode>> = Vec::new();
    for topic in &asked.topics {
        let verdict = |index: &i32| {
            let allowed = state.permissions.check_topic(peer.user(), Operation::Write, &topic.name);
            allowed
                .and_then(|()| state.partition(&topic.name, *index).map(|_| ()))
                .err()
                .unwrap_or(ErrorCode::NONE)
        };
        let topic_verdicts: Vec<ErrorCode> = topic.partitions.iter().map(verdict).collect();
        faulty |= topic_verdicts.iter().any(|code| !code.is_ok());
        verdicts.push(topic_verdicts);
    }
    // One bad partition keeps all the others out.
    let all = if faulty {
        ErrorCode::OPERATION_NOT_ATTEMPTED
    } else {
        begin(peer, state, version, asked)
    };
    let topics = asked
        .topics
        .iter()
        .zip(verdicts)
        .map(|(topic, verdicts)| topic_result(topic, verdicts, all));
    topics.collect()
}

fn topic_result(
    topic: &AddPartitionsToTxnTopic,
    verdicts: Vec<ErrorCode>,
    all: ErrorCode,
) -> AddPartitionsToTxnTopicResult {
    let partitions = topic.partitions.iter().zip(verdicts).map(|(index, own)| {
        let code = if own.is_ok() { all } else { own };
        AddPartitionsToTxnPartitionResult::default()
            .with_partition_index(*index)
            .with_partition_error_code(code.0)
    });
    AddPartitionsToTxnTopicResult::default()
        .with_name(topic.name.clone())
        .with_results_by_partition(partitions.collect())
}

fn begin(
    peer: &Peer,
    state: &mut State,
    version: i16,
    asked: &AddPartitionsToTxnTransaction,
) -> ErrorCode {
    let id = asked.transactional_id.as_str();
    let identity =
        Identity { producer_id: asked.producer_id.0, producer_epoch: asked.producer_epoch };
    let partitions = asked
        .topics
        .iter()
        .flat_map(|topic| topic.partitions.iter().map(|index| (topic.name.to_string(), *index)))
        .collect::<Vec<_>>();
    let begun = check_id(peer, state, id)
        .and_then(|()| state.transactions.add_partitions(id, identity, partitions));
    match begun {
        Ok(begins) => {
            if begins {
                peer.cluster.time_transaction(state, id);
            }
            ErrorCode::NONE
        }
        Err(code) => fenced_as(version, 2, code),
    }
}

fn check_id(peer: &Peer, state: &State, id: &str) -> Result<(), ErrorCode> {
    state.permissions.check(
        peer.user(),
        Operation::Write,
        &Resource::TransactionalId(id.to_owned()),
    )?;
    if id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    coordinators::check(peer, state, id)
}

pub(super) fn add_offsets(
    peer: &Peer,
    version: i16,
    request: &AddOffsetsToTxnRequest,
) -> AddOffsetsToTxnResponse {
    let mut state = peer.cluster.state();
    let id = request.transactional_id.as_str();
    let identity =
        Identity { producer_id: request.producer_id.0, producer_epoch: request.producer_epoch };
    let added = check_id(peer, &state, id)
        .and_then(|()| state.transactions.add_group(id, identity, request.group_id.as_str()));
    let code = match added {
        Ok(begins) => {
            if begins {
                peer.cluster.time_transaction(&state, id);
            }
            ErrorCode::NONE
        }
        Err(code) => fenced_as(version, 2, code),
    };
    AddOffsetsToTxnResponse::default().with_error_code(code.0)
}

pub(super) fn end(peer: &Peer, version: i16, request: &EndTxnRequest) -> EndTxnResponse {
    let id = request.transactional_id.as_str();
    let identity =
        Identity { producer_id: request.producer_id.0, producer_epoch: request.producer_epoch };
    let decided = {
        let mut state = peer.cluster.state();
        let bump = version >= 5;
        check_id(peer, &state, id)
            .and_then(|()| state.transactions.end(id, identity, request.committed, bump))
    };
    let answer = match decided {
        Ok(Decided::Done(identity)) => Ok(identity),
        Ok(Decided::WriteMarkers(answer)) => {
            peer.cluster.write_markers_later(id);
            answer
        }
        Err(code) => Err(fenced_as(version, 2, code)),
    };
    match answer {
        Ok(identity) if version >= 5 => EndTxnResponse::default()
            .with_producer_id(ProducerId(identity.producer_id))
            .with_producer_epoch(identity.producer_epoch),
        Ok(_) => EndTxnResponse::default(),
        Err(code) => EndTxnResponse::default().with_error_code(code.0),
    }
}

pub(super) fn commit_offsets(
    peer: &Peer,
    version: i16,
    request: &TxnOffsetCommitRequest,
) -> TxnOffsetCommitResponse {
    let mut state = peer.cluster.state();
    let group = request.group_id.as_str();
    let now = peer.cluster.now_ms();
    let allowed = state
        .permissions
        .check(peer.user(), Operation::Read, &Resource::Group(group.to_owned()))
        .and_then(|()| coordinators::check(peer, &state, group))
        .and_then(|()| implicit_group(peer, &mut state, version, request));
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let done = allowed
                .and_then(|()| state.partition(&topic.name, partition.partition_index).map(|_| ()));
            if done.is_ok() {
                let committed = CommittedOffset {
                    offset: partition.committed_offset,
                    leader_epoch: partition.committed_leader_epoch,
                    metadata: partition
                        .committed_metadata
                        .as_ref()
                        .map(ToString::to_string)
                        .unwrap_or_default(),
                    committed_ms: now,
                };
                let pending = state
                    .groups
                    .get_or_create(group)
                    .pending
                    .entry(request.producer_id.0)
                    .or_default();
                pending.insert((topic.name.to_string(), partition.partition_index), committed);
            }
            TxnOffsetCommitResponsePartition::default()
                .with_partition_index(partition.partition_index)
                .with_error_code(super::code(&done))
        });
        let partitions = partitions.collect();
        TxnOffsetCommitResponseTopic::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions)
    });
    TxnOffsetCommitResponse::default().with_topics(topics.collect())
}

/// From v5 the group joins the transaction by the commit itself (KIP-890).
fn implicit_group(
    peer: &Peer,
    state: &mut State,
    version: i16,
    request: &TxnOffsetCommitRequest,
) -> Result<(), ErrorCode> {
    if version < 5 {
        return Ok(());
    }
    let id = request.transactional_id.as_str();
    let identity =
        Identity { producer_id: request.producer_id.0, producer_epoch: request.producer_epoch };
    if state.transactions.add_group(id, identity, request.group_id.as_str())? {
        peer.cluster.time_transaction(state, id);
    }
    Ok(())
}

pub(super) fn write_markers(
    peer: &Peer,
    request: &WriteTxnMarkersRequest,
) -> WriteTxnMarkersResponse {
    let mut state = peer.cluster.state();
    let allowed =
        state.permissions.check(peer.user(), Operation::ClusterAction, &Resource::Cluster);
    let markers = request.markers.iter().map(|asked| {
        let marker = Marker {
            producer_id: asked.producer_id.0,
            producer_epoch: asked.producer_epoch,
            coordinator_epoch: asked.coordinator_epoch,
            commit: asked.transaction_result,
        };
        let topics = write_marker(peer, &mut state, allowed, asked, &marker);
        WritableTxnMarkerResult::default().with_producer_id(asked.producer_id).with_topics(topics)
    });
    WriteTxnMarkersResponse::default().with_markers(markers.collect())
}

fn write_marker(
    peer: &Peer,
    state: &mut State,
    allowed: Result<(), ErrorCode>,
    asked: &WritableTxnMarker,
    marker: &Marker,
) -> Vec<WritableTxnMarkerTopicResult> {
    let now = peer.cluster.now_ms();
    let topics = asked.topics.iter().map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|index| {
            let written = allowed
                .and_then(|()| state.led_partition(peer.broker, &topic.name, *index, -1))
                .and_then(|partition| partition.write_marker(marker, now));
            WritableTxnMarkerPartitionResult::default()
                .with_partition_index(*index)
                .with_error_code(super::code(&written))
        });
        let partitions = partitions.collect();
        WritableTxnMarkerTopicResult::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions)
    });
    topics.collect()
}
