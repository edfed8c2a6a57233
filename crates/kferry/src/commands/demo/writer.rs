//! The demo's producers: a history to begin with, then a steady stream, through the client like anybody else.

use std::time::Duration;

use bytes::Bytes;
use kafka_client::{
    CallOptions, Client, ClientError, ProducerIdentity, TopicPartition, TopicQuery,
};
use kafka_sim::Cluster;
use kafka_wire::{
    ErrorCode, Retry,
    messages::{
        ApiKey, ProduceRequest,
        produce_request::{PartitionProduceData, TopicProduceData},
    },
    protocol::StrBytes,
    record::{BatchOptions, Header, Record, encode_batch},
};
use tokio::time;
use tokio_util::sync::CancellationToken;

use super::topics::{DemoTopic, Kind, TOPICS};
use crate::failure::Failure;

/// Batches per partition before the sync starts.
const HISTORY_BATCHES: u64 = 60;
/// Records per batch.
const RECORDS: u64 = 50;
/// Between two rounds of live writing; each round writes one batch to every partition.
const PACE: Duration = Duration::from_millis(100);
/// Every so many transactions is aborted.
const ABORT_EVERY: u64 = 4;
/// Keys in the compacted topic: few, so that compaction finds something to remove.
const KEYS: u64 = 40;
/// The last version of Produce that names topics.
const PRODUCE_WITH_NAMES: i16 = 12;
/// How often something is tried again that brokers call passing.
const TRIES: u32 = 200;

/// Writes what is there when the sync starts, and compacts what is to be compacted.
///
/// # Errors
/// A [`Failure`] when a broker refuses a batch.
pub(super) async fn history(client: &Client, cluster: &Cluster) -> Result<(), Failure> {
    let mut writers = tokio::task::JoinSet::new();
    for topic in TOPICS {
        let client = client.clone();
        writers.spawn(async move {
            let mut writer = Writer::new(client, topic).await?;
            for _ in 0..HISTORY_BATCHES {
                writer.round().await?;
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(result) = writers.join_next().await {
        result
            .map_err(|error| Failure::failed("a writer ended unexpectedly").because(&error))??;
    }
    for topic in TOPICS.iter().filter(|topic| topic.kind == Kind::Compacted) {
        for partition in 0..topic.partitions {
            cluster
                .compact(topic.name, partition)
                .map_err(|error| Failure::failed("demo").because(&error))?;
        }
    }
    Ok(())
}

/// Writes to one topic until told to stop; a transaction is ended before.
///
/// # Errors
/// A [`Failure`] when a broker refuses a batch.
pub(super) async fn live(
    client: Client,
    topic: DemoTopic,
    stop: CancellationToken,
) -> Result<(), Failure> {
    let mut writer = Writer::new(client, topic).await?;
    let mut rounds = time::interval(PACE);
    rounds.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            _ = rounds.tick() => writer.round().await?,
            () = stop.cancelled() => return Ok(()),
        }
    }
}

struct Writer {
    client: Client,
    topic: DemoTopic,
    number: u64,
    rounds: u64,
    transaction: Option<Transaction>,
}

/// A transactional producer.
struct Transaction {
    id: String,
    identity: ProducerIdentity,
    /// Next sequence, by partition.
    sequences: Vec<i32>,
}

impl Writer {
    async fn new(client: Client, topic: DemoTopic) -> Result<Self, Failure> {
        let transaction = if topic.kind == Kind::Transactional {
            let id = format!("demo-{}", topic.name);
            let identity =
                client.init_producer_id(Some(&id), Duration::from_secs(60)).await.map_err(
                    |error| Failure::failed(format!("producer id for {id}")).because(&error),
                )?;
            Some(Transaction {
                id,
                identity,
                sequences: vec![0; usize::try_from(topic.partitions).unwrap_or(0)],
            })
        } else {
            None
        };
        Ok(Self { client, topic, number: 0, rounds: 0, transaction })
    }

    /// One batch to every partition; in one transaction where the topic is written so.
    async fn round(&mut self) -> Result<(), Failure> {
        self.rounds += 1;
        self.begin().await?;
        for partition in 0..self.topic.partitions {
            let records: Vec<Record> = (0..RECORDS).map(|index| self.record(index)).collect();
            let mut options =
                BatchOptions { compression: self.topic.codec, ..BatchOptions::default() };
            if let Some(transaction) = &mut self.transaction
                && let Some(sequence) = usize::try_from(partition)
                    .ok()
                    .and_then(|index| transaction.sequences.get_mut(index))
            {
                options.producer_id = transaction.identity.producer_id;
                options.producer_epoch = transaction.identity.producer_epoch;
                options.base_sequence = *sequence;
                options.transactional = true;
                *sequence += i32::try_from(records.len()).unwrap_or(0);
            }
            let batch = encode_batch(&options, &records)
                .map_err(|error| Failure::failed(self.topic.name).because(&error))?;
            self.produce(partition, batch).await?;
        }
        self.end().await
    }

    async fn begin(&self) -> Result<(), Failure> {
        let Some(transaction) = &self.transaction else { return Ok(()) };
        let partitions: Vec<_> = (0..self.topic.partitions)
            .map(|partition| TopicPartition::new(self.topic.name, partition))
            .collect();
        for _ in 0..TRIES {
            let results = self
                .client
                .add_partitions_to_txn(&transaction.id, transaction.identity, partitions.clone())
                .await
                .map_err(|error| Failure::failed(transaction.id.clone()).because(&error))?;
            match results.values().find_map(|result| result.err()) {
                None => return Ok(()),
                // The markers of the transaction before are still being written.
                Some(code) if code.retry() != Retry::Never => {
                    time::sleep(Duration::from_millis(10)).await
                }
                Some(code) => return Err(Failure::failed(format!("{}: {code}", transaction.id))),
            }
        }
        Err(Failure::failed(format!("{}: the transaction before does not end", transaction.id)))
    }

    async fn end(&self) -> Result<(), Failure> {
        let Some(transaction) = &self.transaction else { return Ok(()) };
        let commit = !self.rounds.is_multiple_of(ABORT_EVERY);
        self.client
            .end_txn(&transaction.id, transaction.identity, commit)
            .await
            .map_err(|error| Failure::failed(transaction.id.clone()).because(&error))
    }

    async fn produce(&self, partition: i32, records: Bytes) -> Result<(), Failure> {
        let at = TopicPartition::new(self.topic.name, partition);
        for _ in 0..TRIES {
            let code = self
                .try_produce(&at, records.clone())
                .await
                .map_err(|error| Failure::failed(at.to_string()).because(&error))?;
            match code {
                ErrorCode::NONE => return Ok(()),
                code if code.retry() != Retry::Never => {
                    time::sleep(Duration::from_millis(20)).await;
                    self.client
                        .refresh_metadata(TopicQuery::Named(vec![at.topic.clone()]))
                        .await
                        .map_err(|error| Failure::failed(at.to_string()).because(&error))?;
                }
                code => return Err(Failure::failed(format!("{at}: {code}: {}", code.meaning()))),
            }
        }
        Err(Failure::failed(format!("{at}: no batch is accepted")))
    }

    async fn try_produce(
        &self,
        at: &TopicPartition,
        records: Bytes,
    ) -> Result<ErrorCode, ClientError> {
        let metadata = self.client.metadata(TopicQuery::Named(vec![at.topic.clone()])).await?;
        let Some(leader) = metadata
            .partition(&at.topic, at.partition)
            .map(|partition| partition.leader_id)
            .filter(|id| *id >= 0)
        else {
            return Ok(ErrorCode::LEADER_NOT_AVAILABLE);
        };
        let transactional_id = self
            .transaction
            .as_ref()
            .map(|transaction| StrBytes::from_string(transaction.id.clone()).into());
        let partition =
            PartitionProduceData::default().with_index(at.partition).with_records(Some(records));
        let topic = TopicProduceData::default()
            .with_name(StrBytes::from_string(at.topic.clone()).into())
            .with_partition_data(vec![partition]);
        let request = ProduceRequest::default()
            .with_transactional_id(transactional_id)
            .with_acks(-1)
            .with_timeout_ms(10_000)
            .with_topic_data(vec![topic]);
        let options =
            CallOptions { version_max: Some(PRODUCE_WITH_NAMES), ..CallOptions::default() };
        let response = self.client.broker(leader).await?.call_with(request, options).await?;
        let partition =
            response.responses.first().and_then(|topic| topic.partition_responses.first());
        partition
            .map(|partition| ErrorCode(partition.error_code))
            .ok_or_else(|| ClientError::Incomplete { api: ApiKey::Produce, about: at.to_string() })
    }

    /// A record that looks like somebody's: sometimes without a value, sometimes with headers.
    fn record(&mut self, index: u64) -> Record {
        self.number += 1;
        let number = self.number;
        let key = match self.topic.kind {
            Kind::Compacted => Some(Bytes::from(format!("customer-{}", fastrand::u64(..KEYS)))),
            _ if number.is_multiple_of(5) => None,
            _ => Some(Bytes::from(format!("{}-{}", self.topic.name, number % 1000))),
        };
        let value = (!number.is_multiple_of(97)).then(|| {
            let amount = fastrand::u32(1..100_000);
            Bytes::from(format!(
                r#"{{"topic":"{}","number":{number},"amount":{amount},"currency":"EUR","status":"accepted","note":"written by the demo"}}"#,
                self.topic.name
            ))
        });
        let headers = if number.is_multiple_of(7) {
            vec![
                Header {
                    key: Bytes::from_static(b"trace"),
                    value: Some(Bytes::from(number.to_string())),
                },
                // Kafka allows a key twice, and bytes that are no text.
                Header { key: Bytes::from_static(b"trace"), value: None },
                Header { key: Bytes::from_static(b"\xff\xfe"), value: Some(Bytes::new()) },
            ]
        } else {
            Vec::new()
        };
        let offset = i64::try_from(index).unwrap_or(i64::MAX);
        Record { offset, timestamp: jiff::Timestamp::now().as_millisecond(), key, value, headers }
    }
}
