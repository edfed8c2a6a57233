//! Produce: batches go out as they are, in a vectored write, and come back as one ack per partition.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;

use kafka_wire::{
    ErrorCode, Uuid,
    message::decode_response,
    messages::{ApiKey, ProduceRequest, ProduceResponse},
    produce::{Appended, ProduceScratch, ProduceTopic, encode_produce, read_appended},
    protocol::StrBytes,
};

use super::{BrokerConnection, Shared};
use crate::ClientError;

/// From this version on topics are named by their id (KIP-516).
const TOPIC_ID_VERSION: i16 = 13;

/// How much later than its own time-out a broker's answer may come.
const ANSWER_GRACE: Duration = Duration::from_secs(1);

/// What became of one partition's batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProduceAck {
    /// Topic name, also where the answer carries its id only.
    pub topic: StrBytes,
    /// Partition index.
    pub partition: i32,
    /// The broker's code.
    pub error: ErrorCode,
    /// Offset of the batch's first record; -1 unless appended.
    pub base_offset: i64,
    /// The broker's time if the topic stamps it, else -1.
    pub log_append_time_ms: i64,
    /// First offset of the log; -1 unless known (v5+).
    pub log_start_offset: i64,
    /// The broker's own words (v8+), those about single records included.
    pub message: Option<String>,
    /// Which records of the batch are to blame, counted from 0 (v8+, KIP-467). Empty when it is about the whole batch.
    pub record_errors: Vec<i32>,
    /// Leader id and epoch, where the error is about leadership (KIP-951).
    pub current_leader: Option<(i32, i32)>,
}

impl ProduceAck {
    fn of_appended(topic: &StrBytes, appended: &Appended) -> Self {
        Self {
            topic: topic.clone(),
            partition: appended.partition,
            error: ErrorCode::NONE,
            base_offset: appended.base_offset,
            log_append_time_ms: appended.log_append_time_ms,
            log_start_offset: appended.log_start_offset,
            message: None,
            record_errors: Vec::new(),
            current_leader: None,
        }
    }
}

impl BrokerConnection {
    /// Sends batches to partitions that this broker leads; one batch per partition (BF-1). Queued now, not at the first poll.
    ///
    /// `timeout` is how long the broker may wait for its replicas. We wait a second longer, from now on: that
    /// alone decides how long a broker that sleeps can hold a lane (broker-probes P15).
    /// The bytes are not copied. Acks come in the order of the answer.
    ///
    /// # Errors
    /// As [`Self::call`]; errors of partitions are in the acks.
    pub fn produce(
        &self,
        acks: i16,
        timeout: Duration,
        topics: Vec<ProduceTopic>,
    ) -> impl Future<Output = Result<Vec<ProduceAck>, ClientError>> + Send + 'static + use<> {
        let scratch = &mut ProduceScratch::default();
        let sent =
            self.encode_produce(scratch, acks, timeout, &topics).map(|(version, id, chunks)| {
                (version, self.submit(ApiKey::Produce, version, id, chunks, patience(timeout)))
            });
        let shared = Arc::clone(&self.shared);
        async move {
            let (version, frame) = sent?;
            let frame = frame.await?;
            let mut acks = Vec::new();
            read_acks(&shared, version, frame, &topics, &mut acks)?;
            Ok(acks)
        }
    }

    /// The version and the correlation id that a request is sent with, and its chunks.
    pub(super) fn encode_produce(
        &self,
        scratch: &mut ProduceScratch,
        acks: i16,
        timeout: Duration,
        topics: &[ProduceTopic],
    ) -> Result<(i16, i32, Vec<Bytes>), ClientError> {
        if acks == 0 {
            return Err(ClientError::InvalidArgument(
                "acks=0 has no answer: not supported".to_owned(),
            ));
        }
        let named_by_id = topics.iter().all(|topic| !topic.topic_id.is_nil());
        let version_max = (!named_by_id).then_some(TOPIC_ID_VERSION - 1);
        let version = self.version_for::<ProduceRequest>(version_max)?;
        let correlation_id = self.next_correlation_id();
        let timeout_ms = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
        let chunks = encode_produce(
            scratch,
            correlation_id,
            &self.shared.client_id,
            version,
            acks,
            timeout_ms,
            topics,
        );
        Ok((version, correlation_id, chunks))
    }
}

/// How long an answer may take.
pub(super) fn patience(timeout: Duration) -> Duration {
    timeout.saturating_add(ANSWER_GRACE)
}

/// Puts the acks of an answer to a request with `topics` behind those in `acks`.
pub(super) fn read_acks(
    shared: &Shared,
    version: i16,
    frame: Bytes,
    topics: &[ProduceTopic],
    acks: &mut Vec<ProduceAck>,
) -> Result<(), ClientError> {
    let before = acks.len();
    let appended = |appended: Appended| {
        acks.push(ProduceAck::of_appended(&topics[appended.topic].name, &appended))
    };
    if read_appended(version, &frame, topics, appended) {
        return Ok(());
    }
    acks.truncate(before);
    let (_, response) = decode_response::<ProduceRequest>(version, frame)
        .map_err(|error| shared.bad_message(ApiKey::Produce, version, error))?;
    let mut names: Vec<(Uuid, &StrBytes)> =
        topics.iter().map(|topic| (topic.topic_id, &topic.name)).collect();
    names.sort_unstable_by_key(|(id, _)| *id);
    acks_of(response, version, &names, acks);
    Ok(())
}

/// Records whose faults are told in words: a batch may hold a million of them.
const RECORDS_TOLD_MAX: usize = 5;

fn acks_of(
    response: ProduceResponse,
    version: i16,
    names: &[(Uuid, &StrBytes)],
    acks: &mut Vec<ProduceAck>,
) {
    for topic in response.responses {
        let name = if version >= TOPIC_ID_VERSION {
            let found = names.binary_search_by_key(&topic.topic_id, |(id, _)| *id);
            found.map_or_else(|_| StrBytes::default(), |index| names[index].1.clone())
        } else {
            topic.name.0
        };
        for partition in topic.partition_responses {
            let mut words: Vec<String> =
                partition.error_message.iter().map(ToString::to_string).collect();
            for record in partition.record_errors.iter().take(RECORDS_TOLD_MAX) {
                let text = record.batch_index_error_message.as_deref().unwrap_or("refused");
                words.push(format!("record {}: {text}", record.batch_index));
            }
            let leader = &partition.current_leader;
            acks.push(ProduceAck {
                topic: name.clone(),
                partition: partition.index,
                error: ErrorCode(partition.error_code),
                base_offset: partition.base_offset,
                log_append_time_ms: partition.log_append_time_ms,
                log_start_offset: partition.log_start_offset,
                record_errors: partition
                    .record_errors
                    .iter()
                    .map(|record| record.batch_index)
                    .collect(),
                message: (!words.is_empty()).then(|| words.join("; ")),
                current_leader: (leader.leader_id.0 >= 0)
                    .then_some((leader.leader_id.0, leader.leader_epoch)),
            });
        }
    }
}
