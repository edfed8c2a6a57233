//! WriteTxnMarkers: a control record by hand.

use std::collections::BTreeMap;

use kafka_wire::{
    ErrorCode,
    messages::{
        ProducerId, WriteTxnMarkersRequest,
        write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic},
    },
};

use super::{ProducerIdentity, topic_name};
use crate::{
    Client, ClientError, TopicPartition,
    client::route::{LeaderItem, by_topic},
};

impl Client {
    /// Writes one abort marker of `identity` into each partition, without any transaction: from then on the
    /// partition refuses lower epochs of that producer (broker-probes P14).
    ///
    /// Meant for brokers: needs CLUSTER_ACTION. Written again when an answer is lost, which does no harm: a
    /// marker of the epoch that is already in force changes nothing.
    ///
    /// # Errors
    /// [`ClientError::Unsupported`] on 0.11 and 1.1, whose only version is 0. When no leader answers within
    /// `retry_time_max`; otherwise each partition has its own code.
    /// # Source
    /// KIP-98; `WriteTxnMarkersRequest` in Apache Kafka.
    pub async fn write_abort_markers(
        &self,
        identity: ProducerIdentity,
        partitions: Vec<TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, Result<(), ErrorCode>>, ClientError> {
        let partitions = partitions.into_iter().map(|at| (at, ())).collect();
        self.ask_leaders(partitions, move |connection, items| {
            let request = request(identity, items);
            Box::pin(async move {
                let response = connection.call(request).await?;
                let topics = response.markers.into_iter().flat_map(|marker| marker.topics);
                let mut answers = Vec::new();
                for topic in topics {
                    for partition in topic.partitions {
                        let at =
                            TopicPartition::new(topic.name.to_string(), partition.partition_index);
                        answers.push((at, ErrorCode(partition.error_code).ok()));
                    }
                }
                Ok(answers)
            })
        })
        .await
    }
}

fn request(identity: ProducerIdentity, items: Vec<LeaderItem<()>>) -> WriteTxnMarkersRequest {
    let topics =
        by_topic(items.into_iter().map(|item| (item.at, ()))).into_iter().map(|(name, indexes)| {
            WritableTxnMarkerTopic::default()
                .with_name(topic_name(&name))
                .with_partition_indexes(indexes.into_iter().map(|(index, ())| index).collect())
        });
    let marker = WritableTxnMarker::default()
        .with_producer_id(ProducerId(identity.producer_id))
        .with_producer_epoch(identity.producer_epoch)
        .with_transaction_result(false)
        .with_topics(topics.collect());
    WriteTxnMarkersRequest::default().with_markers(vec![marker])
}
