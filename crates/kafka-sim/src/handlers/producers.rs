//! InitProducerId and DescribeProducers.

use std::time::Duration;

use kafka_wire::ErrorCode;
use kafka_wire::messages::ProducerId;
use kafka_wire::messages::describe_producers_request::DescribeProducersRequest;
use kafka_wire::messages::describe_producers_response::{
    DescribeProducersResponse, PartitionResponse, ProducerState, TopicResponse,
};
use kafka_wire::messages::init_producer_id_request::InitProducerIdRequest;
use kafka_wire::messages::init_producer_id_response::InitProducerIdResponse;

use super::{Peer, coordinators};
use crate::permissions::{Operation, Resource};
use crate::state::State;
use crate::transactions::{Decided, Identity};

/// `transaction.max.timeout.ms`.
const TIMEOUT_MAX_MS: i32 = 900_000;

pub(super) fn init(
    peer: &Peer,
    version: i16,
    request: &InitProducerIdRequest,
) -> InitProducerIdResponse {
    let found = match &request.transactional_id {
        // A known producer id without a transactional one changes nothing: it gets a new id (P1).
        None => init_idempotent(peer),
        Some(id) => init_transactional(peer, id, request),
    };
    match found {
        Ok(identity) => InitProducerIdResponse::default()
            .with_producer_id(ProducerId(identity.producer_id))
            .with_producer_epoch(identity.producer_epoch),
        Err(code) => InitProducerIdResponse::default()
            .with_error_code(fenced_as(version, 4, code).0)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1),
    }
}

/// PRODUCER_FENCED came later than the requests: older versions are told INVALID_PRODUCER_EPOCH.
pub(super) fn fenced_as(version: i16, since: i16, code: ErrorCode) -> ErrorCode {
    if code == ErrorCode::PRODUCER_FENCED && version < since {
        ErrorCode::INVALID_PRODUCER_EPOCH
    } else {
        code
    }
}

fn init_idempotent(peer: &Peer) -> Result<Identity, ErrorCode> {
    let mut state = peer.cluster.state();
    let allowed =
        state.permissions.allows(peer.user(), Operation::IdempotentWrite, &Resource::Cluster)
            || state.topics.keys().any(|topic| {
                state.permissions.check_topic(peer.user(), Operation::Write, topic).is_ok()
            });
    if !allowed {
        return Err(ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
    }
    Ok(Identity { producer_id: state.allocate_producer_id(peer.broker), producer_epoch: 0 })
}

fn init_transactional(
    peer: &Peer,
    id: &str,
    request: &InitProducerIdRequest,
) -> Result<Identity, ErrorCode> {
    let mut state = peer.cluster.state();
    state.permissions.check(
        peer.user(),
        Operation::Write,
        &Resource::TransactionalId(id.to_owned()),
    )?;
    if id.is_empty() {
        return Err(ErrorCode::INVALID_REQUEST);
    }
    coordinators::check(peer, &state, id)?;
    let millis = request.transaction_timeout_ms;
    if millis <= 0 || millis > TIMEOUT_MAX_MS {
        return Err(ErrorCode::INVALID_TRANSACTION_TIMEOUT);
    }
    let timeout = Duration::from_millis(u64::try_from(millis).unwrap_or(0));
    let named = request.producer_id.0 >= 0;
    let expected = named.then_some(Identity {
        producer_id: request.producer_id.0,
        producer_epoch: request.producer_epoch,
    });
    let decided = decide(&mut state, peer.broker, id, timeout, expected)?;
    drop(state);
    match decided {
        Decided::Done(identity) => Ok(identity),
        Decided::WriteMarkers(answer) => {
            peer.cluster.write_markers_later(id);
            answer
        }
    }
}

fn decide(
    state: &mut State,
    broker: i32,
    id: &str,
    timeout: Duration,
    expected: Option<Identity>,
) -> Result<Decided, ErrorCode> {
    // The transactions leave the state for a moment, so that an id can be allocated meanwhile.
    let mut transactions = std::mem::take(&mut state.transactions);
    let decided = transactions.init(id, timeout, expected, || state.allocate_producer_id(broker));
    state.transactions = transactions;
    decided
}

pub(super) fn describe(
    peer: &Peer,
    request: &DescribeProducersRequest,
) -> DescribeProducersResponse {
    let mut state = peer.cluster.state();
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|index| {
            let answer = PartitionResponse::default().with_partition_index(*index);
            match active(peer, &mut state, &topic.name, *index) {
                Ok(producers) => answer.with_active_producers(producers),
                Err(code) => answer.with_error_code(code.0),
            }
        });
        TopicResponse::default().with_name(topic.name.clone()).with_partitions(partitions.collect())
    });
    DescribeProducersResponse::default().with_topics(topics.collect())
}

/// Not bounded by the high watermark (P15).
fn active(
    peer: &Peer,
    state: &mut State,
    topic: &str,
    index: i32,
) -> Result<Vec<ProducerState>, ErrorCode> {
    state.permissions.check_topic(peer.user(), Operation::Read, topic)?;
    let partition = state.led_partition(peer.broker, topic, index, -1)?;
    partition.check_expiry(peer.cluster.now_ms(), peer.cluster.expiry());
    let producers = partition.producers.iter().map(|(id, producer)| {
        ProducerState::default()
            .with_producer_id(ProducerId(id))
            .with_producer_epoch(i32::from(producer.epoch))
            .with_last_sequence(producer.last_sequence())
            .with_last_timestamp(producer.last_timestamp)
            .with_coordinator_epoch(producer.coordinator_epoch)
            .with_current_txn_start_offset(producer.transaction_start.unwrap_or(-1))
    });
    Ok(producers.collect())
}
