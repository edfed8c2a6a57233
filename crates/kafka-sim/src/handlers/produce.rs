//! Produce: each partition is judged by itself; acks=all waits for the high watermark.
//!
//! Batches are checked outside the lock, so that brokers work in parallel; what depends on the log
//! (leadership, producer state) is looked at when the batch is appended.

use std::sync::Arc;
use std::time::Duration;

use kafka_wire::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use kafka_wire::messages::produce_response::{
    BatchIndexAndErrorMessage, LeaderIdAndEpoch, PartitionProduceResponse, ProduceResponse,
    TopicProduceResponse,
};
use kafka_wire::messages::{ApiKey, BrokerId, ResponseKind, TopicName};
use kafka_wire::{ErrorCode, Uuid};
use tokio::time::{Instant, timeout_at};

use super::{Peer, Reply, encoded, text};
use crate::partition::{AppendedAt, Waiter};
use crate::permissions::{Operation, Resource};
use crate::release::Release;
use crate::state::State;
use crate::topic_config::LogSettings;
use crate::transactions::{Identity, Phase};
use crate::validate::{Prepared, Refusal, Rules, has_transactional_bit, prepare};

/// From this version the brokers add partitions to transactions by themselves (KIP-890).
const IMPLICIT_TXN_VERSION: i16 = 12;
/// From this version topics are named by their ids (KIP-516).
const TOPIC_ID_VERSION: i16 = 13;

pub(super) async fn handle(
    peer: &Peer,
    correlation: i32,
    version: i16,
    request: ProduceRequest,
) -> Reply {
    let acks = request.acks;
    let context = Context::new(peer, version, &request);
    let mut outcomes = Vec::new();
    for topic in &request.topic_data {
        let name = context.topic_name(topic);
        for data in &topic.partition_data {
            let result = match &name {
                Ok(name) => context.produce(name, data),
                Err(code) => Err((*code).into()),
            };
            if matches!(result, Err(Refusal::CloseConnection)) {
                return Reply::Close;
            }
            outcomes.push(Outcome {
                name: name.clone().unwrap_or_default(),
                index: data.index,
                result,
            });
        }
    }
    if acks == 0 {
        // There is no other way to tell the client that something went wrong.
        return if outcomes.iter().all(|outcome| outcome.result.is_ok()) {
            Reply::Nothing
        } else {
            Reply::Close
        };
    }
    if acks == -1 {
        let limit = Duration::from_millis(u64::try_from(request.timeout_ms).unwrap_or(0));
        wait_for_commit(peer, &mut outcomes, Instant::now() + limit).await;
    }
    let response = respond(peer, version, &request, outcomes);
    encoded(correlation, ApiKey::Produce, version, &ResponseKind::Produce(response))
}

/// What became of one partition's batch.
struct Outcome {
    name: Arc<str>,
    index: i32,
    result: Result<AppendedAt, Refusal>,
}

/// What holds for the whole request.
struct Context<'a> {
    peer: &'a Peer,
    version: i16,
    request: &'a ProduceRequest,
    /// An error that every partition gets.
    refused: Option<ErrorCode>,
}

impl<'a> Context<'a> {
    fn new(peer: &'a Peer, version: i16, request: &'a ProduceRequest) -> Self {
        let mut context = Self { peer, version, request, refused: None };
        context.refused = context.judge_request().err();
        context
    }

    fn judge_request(&self) -> Result<(), ErrorCode> {
        if !(-1..=1).contains(&self.request.acks) {
            return Err(ErrorCode::INVALID_REQUIRED_ACKS);
        }
        let mut data = self.request.topic_data.iter().flat_map(|topic| &topic.partition_data);
        if !data.any(|data| has_transactional_bit(data.records.as_ref())) {
            return Ok(());
        }
        match &self.request.transactional_id {
            // P5: one such batch spoils all its neighbours; old brokers let it pass.
            None if self.peer.release() >= Release::V2_8 => {
                Err(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED)
            }
            None => Ok(()),
            Some(id) => {
                let resource = Resource::TransactionalId(id.to_string());
                self.peer.cluster.state().permissions.check(
                    self.peer.user(),
                    Operation::Write,
                    &resource,
                )
            }
        }
    }

    fn topic_name(&self, topic: &TopicProduceData) -> Result<Arc<str>, ErrorCode> {
        if self.version < TOPIC_ID_VERSION {
            return Ok(Arc::from(topic.name.as_str()));
        }
        let state = self.peer.cluster.state();
        state.topic_name(topic.topic_id).map(Arc::from).ok_or(ErrorCode::UNKNOWN_TOPIC_ID)
    }

    /// Checks one partition's batch and appends it.
    fn produce(&self, topic: &str, data: &PartitionProduceData) -> Result<AppendedAt, Refusal> {
        if let Some(code) = self.refused {
            return Err(code.into());
        }
        let cluster = &self.peer.cluster;
        let settings = self.admit(&mut cluster.state(), topic, data.index)?;
        let rules = Rules {
            release: self.peer.release(),
            settings: &settings,
            now_ms: cluster.now_ms(),
            api_version: self.version,
            topic,
            partition: data.index,
            walk: cluster.config().validate_records,
        };
        let prepared = prepare(data.records.as_ref(), &rules)?;
        self.append(&mut cluster.state(), topic, data.index, &settings, prepared)
            .map_err(Refusal::from)
    }

    fn admit(
        &self,
        state: &mut State,
        topic: &str,
        index: i32,
    ) -> Result<Arc<LogSettings>, ErrorCode> {
        state.permissions.check_topic(self.peer.user(), Operation::Write, topic)?;
        state.partition(topic, index)?;
        let settings = state.topics.get(topic).map(|topic| Arc::clone(&topic.settings));
        settings.ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    }

    fn append(
        &self,
        state: &mut State,
        topic: &str,
        index: i32,
        settings: &LogSettings,
        prepared: Prepared,
    ) -> Result<AppendedAt, ErrorCode> {
        let cluster = &self.peer.cluster;
        if let Some(code) = state.faults.produce_refused(topic, index) {
            return Err(code);
        }
        self.verify_transaction(state, topic, index, &prepared)?;
        let partition = state.led_partition(self.peer.broker, topic, index, -1)?;
        if self.request.acks == -1 && partition.isr.len() < settings.min_isr {
            // Before the sequence is looked at: repeats are refused too (P19).
            return Err(ErrorCode::NOT_ENOUGH_REPLICAS);
        }
        partition.check_expiry(cluster.now_ms(), cluster.expiry());
        let appended = partition.append(self.peer.release(), prepared)?;
        partition.enforce_size(settings, cluster.config().partition_bytes_max);
        Ok(appended)
    }

    /// KIP-890: from 3.9 on a transactional batch must belong to an open transaction.
    fn verify_transaction(
        &self,
        state: &mut State,
        topic: &str,
        index: i32,
        prepared: &Prepared,
    ) -> Result<(), ErrorCode> {
        let header = &prepared.header;
        if !header.attributes.is_transactional() || self.peer.release() < Release::V3_9 {
            return Ok(());
        }
        let Some(id) = &self.request.transactional_id else { return Ok(()) };
        let at = (topic.to_owned(), index);
        let identity =
            Identity { producer_id: header.producer_id, producer_epoch: header.producer_epoch };
        if self.version >= IMPLICIT_TXN_VERSION {
            if state.transactions.add_partitions(id, identity, [at])? {
                self.peer.cluster.time_transaction(state, id);
            }
            return Ok(());
        }
        let transaction = state.transactions.owned(id, identity).map_err(|code| match code {
            ErrorCode::PRODUCER_FENCED => ErrorCode::INVALID_PRODUCER_EPOCH,
            other => other,
        })?;
        let ongoing = transaction.phase == Phase::Ongoing && transaction.partitions.contains(&at);
        if ongoing { Ok(()) } else { Err(ErrorCode::INVALID_TXN_STATE) }
    }
}

/// Waits until every appended batch is below the high watermark; the rest are told REQUEST_TIMED_OUT (P15).
async fn wait_for_commit(peer: &Peer, outcomes: &mut [Outcome], deadline: Instant) {
    loop {
        let waiter = Waiter::new(0);
        let mut pending = false;
        {
            let mut state = peer.cluster.state();
            for outcome in outcomes.iter_mut() {
                let Ok(appended) = &outcome.result else { continue };
                match state.led_partition(peer.broker, &outcome.name, outcome.index, -1) {
                    Err(code) => outcome.result = Err(code.into()),
                    Ok(partition) if partition.high_watermark() >= appended.end_offset => {}
                    Ok(partition) if Instant::now() < deadline => {
                        partition.wait(&waiter);
                        pending = true;
                    }
                    Ok(_) => outcome.result = Err(ErrorCode::REQUEST_TIMED_OUT.into()),
                }
            }
        }
        if !pending {
            return;
        }
        let _ = timeout_at(deadline, waiter.woken()).await;
        waiter.finish();
    }
}

fn respond(
    peer: &Peer,
    version: i16,
    request: &ProduceRequest,
    outcomes: Vec<Outcome>,
) -> ProduceResponse {
    let mut outcomes = outcomes.into_iter();
    let mut state = peer.cluster.state();
    let mut responses = Vec::with_capacity(request.topic_data.len());
    for topic in &request.topic_data {
        let mine = outcomes.by_ref().take(topic.partition_data.len());
        let partitions = mine.map(|outcome| respond_partition(&mut state, version, &outcome));
        let partitions: Vec<_> = partitions.collect();
        let (name, id) = if version >= TOPIC_ID_VERSION {
            (TopicName::default(), topic.topic_id)
        } else {
            (topic.name.clone(), Uuid::nil())
        };
        responses.push(
            TopicProduceResponse::default()
                .with_name(name)
                .with_topic_id(id)
                .with_partition_responses(partitions),
        );
    }
    ProduceResponse::default().with_responses(responses)
}

fn respond_partition(
    state: &mut State,
    version: i16,
    outcome: &Outcome,
) -> PartitionProduceResponse {
    let answer = PartitionProduceResponse::default().with_index(outcome.index).with_base_offset(-1);
    let partition = state.partition(&outcome.name, outcome.index).ok();
    match &outcome.result {
        Ok(appended) => answer
            .with_base_offset(appended.base_offset)
            .with_log_append_time_ms(appended.log_append_time.unwrap_or(-1))
            .with_log_start_offset(partition.map_or(-1, |partition| partition.log.start_offset())),
        Err(Refusal::Code(code)) => {
            let answer = answer
                .with_error_code(code.0)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(-1);
            let moved = *code == ErrorCode::NOT_LEADER_OR_FOLLOWER && version >= 10;
            match partition.filter(|_| moved) {
                Some(partition) => answer.with_current_leader(
                    LeaderIdAndEpoch::default()
                        .with_leader_id(BrokerId(partition.leader.unwrap_or(-1)))
                        .with_leader_epoch(partition.leader_epoch),
                ),
                None => answer,
            }
        }
        Err(Refusal::Records { code, message, records }) => {
            let answer = answer
                .with_error_code(code.0)
                .with_log_append_time_ms(-1)
                .with_log_start_offset(-1);
            if version < 8 {
                return answer;
            }
            let records = records.iter().map(|(index, why)| {
                BatchIndexAndErrorMessage::default()
                    .with_batch_index(*index)
                    .with_batch_index_error_message(Some(text(why.clone())))
            });
            answer
                .with_record_errors(records.collect())
                .with_error_message(Some(text(message.clone())))
        }
        Err(Refusal::CloseConnection) => answer.with_error_code(ErrorCode::UNKNOWN_SERVER_ERROR.0),
    }
}
