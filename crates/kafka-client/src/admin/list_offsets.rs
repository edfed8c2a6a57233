//! ListOffsets: first, last and timed offsets of partitions.

use std::collections::BTreeMap;

use kafka_wire::{
    ErrorCode,
    messages::{
        ApiKey, BrokerId, ListOffsetsRequest,
        list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic},
    },
};

use super::topic_name;
use crate::{
    BoxFuture, BrokerConnection, CallOptions, Client, ClientError, Isolation, TopicPartition,
    client::route::{LeaderAnswers, LeaderItem, by_topic},
};

/// Which offset is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OffsetSpec {
    /// The first one of the log.
    Earliest,
    /// The end: the high watermark, or the last stable offset when reading committed.
    Latest,
    /// The first record whose timestamp is not below this, milliseconds since 1970; -1 comes back if there is none (BF-29).
    Timestamp(i64),
    /// The record with the highest timestamp (KIP-734, brokers from 3.0).
    MaxTimestamp,
}

impl OffsetSpec {
    fn code(self) -> i64 {
        match self {
            Self::Latest => -1,
            Self::Earliest => -2,
            Self::MaxTimestamp => -3,
            Self::Timestamp(at) => at,
        }
    }
}

/// One offset found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListedOffset {
    /// The offset; -1 when no record matches a timestamp.
    pub offset: i64,
    /// That record's timestamp; -1 unless asked by time.
    pub timestamp: i64,
    /// Epoch of the leader that wrote it; -1 if unknown.
    pub leader_epoch: i32,
}

/// Lowest version that can name `MaxTimestamp`.
const MAX_TIMESTAMP_VERSION: i16 = 7;

impl Client {
    /// Offsets of partitions, asked of their leaders with the leader epoch named (v4+), so that a leader of
    /// yesterday cannot answer with its old end (broker-probes P15).
    ///
    /// # Errors
    /// When a leader's release cannot answer, or no metadata is to be had; otherwise each partition has its own result.
    pub async fn list_offsets(
        &self,
        partitions: Vec<(TopicPartition, OffsetSpec)>,
        isolation: Isolation,
    ) -> Result<BTreeMap<TopicPartition, Result<ListedOffset, ErrorCode>>, ClientError> {
        self.ask_leaders(partitions, |connection, items| ask(connection, items, isolation)).await
    }
}

fn ask<'a>(
    connection: &'a BrokerConnection,
    items: Vec<LeaderItem<OffsetSpec>>,
    isolation: Isolation,
) -> BoxFuture<'a, Result<LeaderAnswers<ListedOffset>, ClientError>> {
    Box::pin(async move {
        let version = connection.version_for::<ListOffsetsRequest>(None)?;
        let newest = items.iter().any(|item| item.input == OffsetSpec::MaxTimestamp);
        if newest && version < MAX_TIMESTAMP_VERSION {
            return Err(connection.unsupported(ApiKey::ListOffsets, Some(MAX_TIMESTAMP_VERSION)));
        }
        let timeout = connection.limits().request_timeout;
        let mut request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(topics(items, version));
        if version >= 2 {
            request.isolation_level = isolation.code();
        } else if isolation == Isolation::ReadCommitted {
            return Err(connection.unsupported(ApiKey::ListOffsets, Some(2)));
        }
        if version >= 10 {
            request.timeout_ms = super::millis(timeout);
        }
        let response = connection.call_with(request, CallOptions::default()).await?;
        let mut answers = Vec::new();
        for topic in response.topics {
            for partition in topic.partitions {
                let at = TopicPartition::new(topic.name.to_string(), partition.partition_index);
                let listed = ListedOffset {
                    offset: partition.offset,
                    timestamp: partition.timestamp,
                    leader_epoch: partition.leader_epoch,
                };
                answers.push((at, ErrorCode(partition.error_code).ok().map(|()| listed)));
            }
        }
        Ok(answers)
    })
}

fn topics(items: Vec<LeaderItem<OffsetSpec>>, version: i16) -> Vec<ListOffsetsTopic> {
    let items = items.into_iter().map(|item| (item.at, (item.leader_epoch, item.input)));
    by_topic(items)
        .into_iter()
        .map(|(name, partitions)| {
            let partitions = partitions
                .into_iter()
                .map(|(index, (leader_epoch, spec))| {
                    let partition = ListOffsetsPartition::default()
                        .with_partition_index(index)
                        .with_timestamp(spec.code());
                    if version >= 4 {
                        partition.with_current_leader_epoch(leader_epoch)
                    } else {
                        partition
                    }
                })
                .collect();
            ListOffsetsTopic::default().with_name(topic_name(&name)).with_partitions(partitions)
        })
        .collect()
}
