//! DescribeProducers: who writes to a partition.

use std::collections::BTreeMap;

use kafka_wire::{
    ErrorCode,
    messages::{DescribeProducersRequest, describe_producers_request::TopicRequest},
};

use super::topic_name;
use crate::{Client, ClientError, TopicPartition, client::route::by_topic};

/// What a partition remembers of one producer (KIP-664).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ActiveProducer {
    /// The producer's id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i32,
    /// Sequence of its last *record*.
    pub last_sequence: i32,
    /// Timestamp of its last batch: state expires by this, not by the time of the write (broker-probes P3).
    pub last_timestamp: i64,
    /// Epoch of its coordinator; -1 outside transactions.
    pub coordinator_epoch: i32,
    /// Where its open transaction begins; -1 without one.
    pub current_txn_start_offset: i64,
}

impl Client {
    /// Active producers of partitions, from their leaders (2.8 and later).
    ///
    /// A hint, never a fact: what it shows may lie above the high watermark and vanish with the next failover
    /// (broker-probes P15). Needs READ on the topic.
    ///
    /// # Errors
    /// [`ClientError::Unsupported`] before 2.8; otherwise each partition has its own result.
    pub async fn describe_producers(
        &self,
        partitions: Vec<TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, Result<Vec<ActiveProducer>, ErrorCode>>, ClientError> {
        let partitions = partitions.into_iter().map(|at| (at, ())).collect();
        self.ask_leaders(partitions, |connection, items| {
            Box::pin(async move {
                let topics = by_topic(items.into_iter().map(|item| (item.at, ()))).into_iter().map(
                    |(name, indexes)| {
                        TopicRequest::default().with_name(topic_name(&name)).with_partition_indexes(
                            indexes.into_iter().map(|(index, ())| index).collect(),
                        )
                    },
                );
                let request = DescribeProducersRequest::default().with_topics(topics.collect());
                let response = connection.call(request).await?;
                let mut answers = Vec::new();
                for topic in response.topics {
                    for partition in topic.partitions {
                        let at =
                            TopicPartition::new(topic.name.to_string(), partition.partition_index);
                        let producers =
                            partition.active_producers.iter().map(|producer| ActiveProducer {
                                producer_id: producer.producer_id.0,
                                producer_epoch: producer.producer_epoch,
                                last_sequence: producer.last_sequence,
                                last_timestamp: producer.last_timestamp,
                                coordinator_epoch: producer.coordinator_epoch,
                                current_txn_start_offset: producer.current_txn_start_offset,
                            });
                        let answer =
                            ErrorCode(partition.error_code).ok().map(|()| producers.collect());
                        answers.push((at, answer));
                    }
                }
                Ok(answers)
            })
        })
        .await
    }
}
