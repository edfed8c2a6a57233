//! DeleteRecords: moves the start of logs forward (KIP-107).

use std::{collections::BTreeMap, time::Duration};

use kafka_wire::{
    ErrorCode,
    messages::{
        DeleteRecordsRequest,
        delete_records_request::{DeleteRecordsPartition, DeleteRecordsTopic},
    },
};

use super::{millis, topic_name, topics::patience};
use crate::{Client, ClientError, TopicPartition, client::route::by_topic};

impl Client {
    /// Deletes records below these offsets (-1: below the high watermark); gives the new first offsets.
    ///
    /// # Errors
    /// When no leader is to be found; otherwise each partition has its own result (POLICY_VIOLATION on compacted
    /// topics, OFFSET_OUT_OF_RANGE past the end; broker-probes P8).
    pub async fn delete_records(
        &self,
        partitions: Vec<(TopicPartition, i64)>,
    ) -> Result<BTreeMap<TopicPartition, Result<i64, ErrorCode>>, ClientError> {
        self.ask_leaders(partitions, |connection, items| {
            Box::pin(async move {
                let timeout = Duration::from_secs(30);
                let items = items.into_iter().map(|item| (item.at, item.input));
                let topics = by_topic(items).into_iter().map(|(name, partitions)| {
                    let partitions = partitions.into_iter().map(|(index, offset)| {
                        DeleteRecordsPartition::default()
                            .with_partition_index(index)
                            .with_offset(offset)
                    });
                    DeleteRecordsTopic::default()
                        .with_name(topic_name(&name))
                        .with_partitions(partitions.collect())
                });
                let request = DeleteRecordsRequest::default()
                    .with_topics(topics.collect())
                    .with_timeout_ms(millis(timeout));
                let response = connection.call_with(request, patience(timeout)).await?;
                let mut answers = Vec::new();
                for topic in response.topics {
                    for partition in topic.partitions {
                        let at =
                            TopicPartition::new(topic.name.to_string(), partition.partition_index);
                        let answer =
                            ErrorCode(partition.error_code).ok().map(|()| partition.low_watermark);
                        answers.push((at, answer));
                    }
                }
                Ok(answers)
            })
        })
        .await
    }
}
