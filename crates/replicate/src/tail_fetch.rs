//! One fetch outside any session, for looking into a log from beside the copy.

use bytes::Bytes;
use kafka_client::{CallOptions, Client, ClientError, Isolation, TopicPartition, TopicQuery};
use kafka_wire::ErrorCode;
use kafka_wire::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_wire::messages::{FetchRequest, TopicName};
use kafka_wire::protocol::StrBytes;

/// Bytes of one answer; a larger batch still comes whole (BF-21).
const BYTES_MAX: i32 = 1 << 20;

/// The last version that names topics instead of ids; every broker we speak to has one at or below it.
const VERSION_MAX: i16 = 12;

/// What one fetch answered.
#[derive(Debug)]
pub(crate) struct Tailed {
    pub(crate) error: ErrorCode,
    pub(crate) records: Bytes,
    /// Aborted transactions in them, as (producer id, first offset), when reading committed.
    pub(crate) aborted: Vec<(i64, i64)>,
}

/// What the leader of `at` has from `offset` on.
pub(crate) async fn fetch_once(
    client: &Client,
    at: &TopicPartition,
    offset: i64,
    isolation: Isolation,
) -> Result<Tailed, ClientError> {
    fetch_up_to(client, at, offset, isolation, BYTES_MAX).await
}

/// As [`fetch_once`], with so many bytes of one answer.
pub(crate) async fn fetch_up_to(
    client: &Client,
    at: &TopicPartition,
    offset: i64,
    isolation: Isolation,
    bytes_max: i32,
) -> Result<Tailed, ClientError> {
    let unknown = |error| Tailed { error, records: Bytes::new(), aborted: Vec::new() };
    let metadata = client.metadata(TopicQuery::Named(vec![at.topic.clone()])).await?;
    let leader = metadata.partition(&at.topic, at.partition);
    let Some(leader) = leader.filter(|partition| partition.leader_id >= 0) else {
        return Ok(unknown(ErrorCode::LEADER_NOT_AVAILABLE));
    };
    let partition = FetchPartition::default()
        .with_partition(at.partition)
        .with_current_leader_epoch(leader.leader_epoch)
        .with_fetch_offset(offset)
        .with_partition_max_bytes(bytes_max);
    let topic = FetchTopic::default()
        .with_topic(TopicName(StrBytes::from_string(at.topic.clone())))
        .with_partitions(vec![partition]);
    let request = FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_max_bytes(bytes_max)
        .with_session_epoch(-1)
        .with_isolation_level(isolation.code())
        .with_topics(vec![topic]);
    let broker = client.broker(leader.leader_id).await?;
    let options = CallOptions { version_max: Some(VERSION_MAX), ..CallOptions::default() };
    let response = broker.call_with(request, options).await?;
    let answered = response.responses.into_iter().flat_map(|topic| topic.partitions).next();
    Ok(match answered {
        Some(answered) => Tailed {
            error: ErrorCode(answered.error_code),
            records: answered.records.unwrap_or_default(),
            aborted: answered
                .aborted_transactions
                .unwrap_or_default()
                .into_iter()
                .map(|aborted| (aborted.producer_id.0, aborted.first_offset))
                .collect(),
        },
        None if response.error_code != 0 => unknown(ErrorCode(response.error_code)),
        None => unknown(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    })
}
