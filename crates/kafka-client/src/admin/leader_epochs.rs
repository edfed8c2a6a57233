//! OffsetForLeaderEpoch: where the log of an epoch ends (KIP-101, KIP-320).

use std::collections::BTreeMap;

use kafka_wire::{
    ErrorCode,
    messages::{
        BrokerId, OffsetForLeaderEpochRequest,
        offset_for_leader_epoch_request::{OffsetForLeaderPartition, OffsetForLeaderTopic},
    },
};

use super::topic_name;
use crate::{Client, ClientError, TopicPartition, client::route::by_topic};

/// Where the log of an epoch ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochEnd {
    /// The largest epoch not above the one asked for that the log has; -1 if it knows none.
    pub leader_epoch: i32,
    /// Its end offset; -1 if it knows none.
    pub end_offset: i64,
}

impl Client {
    /// Ends of leader epochs, from the partitions' leaders (brokers from 2.0).
    ///
    /// # Errors
    /// [`ClientError::Unsupported`] on older brokers; otherwise each partition has its own result.
    pub async fn offsets_for_leader_epoch(
        &self,
        partitions: Vec<(TopicPartition, i32)>,
    ) -> Result<BTreeMap<TopicPartition, Result<EpochEnd, ErrorCode>>, ClientError> {
        self.ask_leaders(partitions, |connection, items| {
            Box::pin(async move {
                let items =
                    items.into_iter().map(|item| (item.at, (item.leader_epoch, item.input)));
                let topics = by_topic(items).into_iter().map(|(name, partitions)| {
                    let partitions = partitions.into_iter().map(|(index, (current, wanted))| {
                        OffsetForLeaderPartition::default()
                            .with_partition(index)
                            .with_current_leader_epoch(current)
                            .with_leader_epoch(wanted)
                    });
                    OffsetForLeaderTopic::default()
                        .with_topic(topic_name(&name))
                        .with_partitions(partitions.collect())
                });
                let version = connection.version_for::<OffsetForLeaderEpochRequest>(None)?;
                let mut request =
                    OffsetForLeaderEpochRequest::default().with_topics(topics.collect());
                if version >= 3 {
                    request.replica_id = BrokerId(-1);
                }
                let response = connection.call(request).await?;
                let mut answers = Vec::new();
                for topic in response.topics {
                    for partition in topic.partitions {
                        let at = TopicPartition::new(topic.topic.to_string(), partition.partition);
                        let end = EpochEnd {
                            leader_epoch: partition.leader_epoch,
                            end_offset: partition.end_offset,
                        };
                        answers.push((at, ErrorCode(partition.error_code).ok().map(|()| end)));
                    }
                }
                Ok(answers)
            })
        })
        .await
    }
}
