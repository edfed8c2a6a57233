//! What a cluster consists of, as Metadata tells it.

use std::{collections::BTreeMap, sync::Arc};

use kafka_wire::{
    ErrorCode, Uuid,
    messages::metadata_response::{
        MetadataResponse, MetadataResponsePartition, MetadataResponseTopic,
    },
};

use crate::address::BrokerAddress;

/// Which topics to ask about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicQuery {
    /// All that we may see.
    All,
    /// These; an empty list asks for brokers only.
    Named(Vec<String>),
}

/// One answer about a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterMetadata {
    /// The cluster's id (all releases since 0.10.1 have one).
    pub cluster_id: Option<String>,
    /// The controller, or with KRaft some broker that forwards to it; -1 if there is none at the moment.
    pub controller_id: i32,
    /// Brokers by id.
    pub brokers: BTreeMap<i32, BrokerNode>,
    /// Topics by name; those asked for by name are there even if only with an error. Shared with the cache: a topic may have
    /// thousands of partitions, and each partition's questions look here for its leader.
    pub topics: BTreeMap<String, Arc<TopicMetadata>>,
}

/// One broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerNode {
    /// Its id.
    pub id: i32,
    /// Where it says it listens.
    pub address: BrokerAddress,
    /// Its rack.
    pub rack: Option<String>,
}

/// One topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicMetadata {
    /// Its name.
    pub name: String,
    /// Its id (KIP-516); none before 2.8.
    pub topic_id: Option<Uuid>,
    /// Whether Kafka itself owns it.
    pub is_internal: bool,
    /// What is wrong with the whole topic.
    pub error: ErrorCode,
    /// Its partitions, by index.
    pub partitions: Vec<PartitionMetadata>,
    /// What we may do with it (KIP-430), if the broker says so: bits by operation code.
    pub authorized_operations: Option<i32>,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionMetadata {
    /// Its index.
    pub partition: i32,
    /// Its leader; -1 if there is none.
    pub leader_id: i32,
    /// The leader's epoch; -1 if unknown (Metadata before v7).
    pub leader_epoch: i32,
    /// Brokers that hold a replica.
    pub replicas: Vec<i32>,
    /// Replicas in sync.
    pub isr: Vec<i32>,
    /// What is wrong with it.
    pub error: ErrorCode,
}

/// The broker did not say what we may do: its answer to "which operations" when it was not asked.
const OPERATIONS_UNKNOWN: i32 = i32::MIN;

impl ClusterMetadata {
    /// One partition, if it is known.
    #[must_use]
    pub fn partition(&self, topic: &str, partition: i32) -> Option<&PartitionMetadata> {
        self.topics.get(topic)?.partition(partition)
    }

    pub(crate) fn from_response(response: MetadataResponse) -> Self {
        Self {
            cluster_id: response.cluster_id.map(|id| id.to_string()),
            controller_id: response.controller_id.0,
            brokers: response
                .brokers
                .into_iter()
                .filter_map(|broker| {
                    let address = BrokerAddress::new(
                        broker.host.to_string(),
                        u16::try_from(broker.port).ok()?,
                    );
                    let id = broker.node_id.0;
                    Some((
                        id,
                        BrokerNode { id, address, rack: broker.rack.map(|rack| rack.to_string()) },
                    ))
                })
                .collect(),
            topics: response
                .topics
                .into_iter()
                .filter_map(TopicMetadata::from_response)
                .map(|topic| (topic.name.clone(), Arc::new(topic)))
                .collect(),
        }
    }
}

impl TopicMetadata {
    /// One partition, if it exists.
    #[must_use]
    pub fn partition(&self, partition: i32) -> Option<&PartitionMetadata> {
        let at = self.partitions.binary_search_by_key(&partition, |found| found.partition).ok()?;
        self.partitions.get(at)
    }

    /// Whether it and all its partitions can be used.
    pub(crate) fn is_whole(&self) -> bool {
        self.error.is_ok() && self.partitions.iter().all(|partition| partition.leader_id >= 0)
    }

    /// A topic about which nothing is known but this error.
    pub(crate) fn missing(name: &str, error: ErrorCode) -> Self {
        Self {
            name: name.to_owned(),
            topic_id: None,
            is_internal: false,
            error,
            partitions: Vec::new(),
            authorized_operations: None,
        }
    }

    fn from_response(topic: MetadataResponseTopic) -> Option<Self> {
        let mut partitions: Vec<_> =
            topic.partitions.into_iter().map(PartitionMetadata::from_response).collect();
        partitions.sort_by_key(|partition| partition.partition);
        Some(Self {
            name: topic.name?.to_string(),
            topic_id: Some(topic.topic_id).filter(|id| !id.is_nil()),
            is_internal: topic.is_internal,
            error: ErrorCode(topic.error_code),
            partitions,
            authorized_operations: Some(topic.topic_authorized_operations)
                .filter(|bits| *bits != OPERATIONS_UNKNOWN),
        })
    }
}

impl PartitionMetadata {
    fn from_response(partition: MetadataResponsePartition) -> Self {
        Self {
            partition: partition.partition_index,
            leader_id: partition.leader_id.0,
            leader_epoch: partition.leader_epoch,
            replicas: partition.replica_nodes.iter().map(|id| id.0).collect(),
            isr: partition.isr_nodes.iter().map(|id| id.0).collect(),
            error: ErrorCode(partition.error_code),
        }
    }
}
