//! What must be done for one topic: decided from what both clusters show, without asking anybody.

use kafka_client::{Client, ClusterMetadata, NewTopic, TopicMetadata};
use kafka_wire::messages::ApiKey;
use kafka_wire::{ErrorCode, Retry};

use crate::event::SkipReason;
use crate::spec::TaskSpec;
use crate::topic_config::{self, Skipped, TargetDefaults, TopicConfig};

/// The first CreateTopics version in which −1 stands for the cluster's default replication (KIP-464).
const REPLICATION_DEFAULT_VERSION: i16 = 4;

/// The number of partitions that a cluster shows.
pub(crate) fn partition_count(topic: &TopicMetadata) -> i32 {
    i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX)
}

/// The number of replicas: that of the partition with most, since a reassignment may be under way.
pub(crate) fn replica_count(topic: &TopicMetadata) -> i16 {
    let count =
        topic.partitions.iter().map(|partition| partition.replicas.len()).max().unwrap_or(0);
    i16::try_from(count).unwrap_or(i16::MAX)
}

/// What matters about the target cluster when topics are created there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TargetCluster {
    /// Its brokers.
    pub(crate) brokers: usize,
    /// Whether it takes −1 for its default replication.
    pub(crate) takes_default: bool,
    /// Its brokers' configuration.
    pub(crate) defaults: TargetDefaults,
}

impl TargetCluster {
    /// Asks the cluster. What it does not tell counts as unknown: creation works without.
    pub(crate) async fn ask(client: &Client, found: &ClusterMetadata) -> Self {
        let mut cluster = Self { brokers: found.brokers.len(), ..Self::default() };
        let Ok(broker) = client.any_broker().await else { return cluster };
        let versions = broker.versions();
        let create = versions.highest(ApiKey::CreateTopics);
        cluster.takes_default =
            create.is_some_and(|version| version >= REPLICATION_DEFAULT_VERSION);
        // DescribeTransactions came with 3.0 (KIP-664).
        cluster.defaults.is_v3 = versions.highest(ApiKey::DescribeTransactions).is_some();
        // Not the connection's own id: one made from a bootstrap address does not know it.
        let Some(&broker_id) = found.brokers.keys().next() else { return cluster };
        if let Ok(entries) = client.describe_broker_configs(broker_id).await {
            let entries = entries.into_iter().filter_map(|entry| Some((entry.name, entry.value?)));
            cluster.defaults.broker = entries.collect();
        }
        cluster
    }

    /// The replication factor to ask for, and the number of replicas that comes of it.
    fn replication(&self, wanted: i16) -> (i16, i16) {
        let brokers = i16::try_from(self.brokers).unwrap_or(i16::MAX).max(1);
        if wanted <= brokers {
            (wanted, wanted)
        } else if self.takes_default {
            let default = self.defaults.broker.get("default.replication.factor");
            (-1, default.and_then(|value| value.parse().ok()).unwrap_or(1))
        } else {
            (brokers, brokers)
        }
    }
}

/// A topic to be created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Creation {
    /// Its name on the source.
    pub(crate) topic: String,
    /// What the target is asked for.
    pub(crate) new: NewTopic,
    /// Keys that are not as the source has them.
    pub(crate) skipped: Vec<Skipped>,
    /// Replicas on the source.
    pub(crate) source_replicas: i16,
    /// Brokers of the target.
    pub(crate) target_brokers: usize,
}

impl Creation {
    /// Whether the topic gets another number of replicas than the source has.
    pub(crate) fn is_reduced(&self) -> bool {
        self.new.replication_factor != self.source_replicas
    }
}

/// A topic that has fewer partitions than the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Growth {
    /// Its name on the source.
    pub(crate) topic: String,
    /// Its name on the target.
    pub(crate) target_name: String,
    /// Partitions on the target.
    pub(crate) from: i32,
    /// Partitions on the source.
    pub(crate) to: i32,
}

/// What must be done for one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is there, with at least the partitions of the source.
    Keep,
    /// It is absent.
    Create(Box<Creation>),
    /// It has too few partitions.
    Grow(Growth),
    /// It cannot be used.
    Refuse(SkipReason),
}

/// What must be done for the topic `source`, which the target shows as `found`.
pub(crate) fn plan(
    source: &TopicMetadata,
    config: &TopicConfig,
    target_name: &str,
    found: Option<&TopicMetadata>,
    cluster: &TargetCluster,
    spec: &TaskSpec,
) -> Step {
    match found {
        None => create(source, config, target_name, cluster, spec),
        Some(found) if found.error == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION => {
            create(source, config, target_name, cluster, spec)
        }
        Some(found) if !found.error.is_ok() && found.error.retry() == Retry::Never => {
            Step::Refuse(SkipReason::TargetUnreadable { cause: found.error.to_string() })
        }
        Some(found) => {
            let (from, to) = (partition_count(found), partition_count(source));
            // An error that passes may hide the partitions.
            if from >= to || from == 0 {
                return Step::Keep;
            }
            let (topic, target_name) = (source.name.clone(), target_name.to_owned());
            Step::Grow(Growth { topic, target_name, from, to })
        }
    }
}

fn create(
    source: &TopicMetadata,
    config: &TopicConfig,
    target_name: &str,
    cluster: &TargetCluster,
    spec: &TaskSpec,
) -> Step {
    let source_replicas = replica_count(source).max(1);
    let (replication_factor, replicas) = cluster.replication(source_replicas);
    let planned = topic_config::plan(config, &cluster.defaults, replicas, spec.sync.copies_data());
    let new = NewTopic {
        name: target_name.to_owned(),
        partitions: partition_count(source),
        replication_factor,
        configs: planned.configs.into_iter().collect(),
        assignments: Vec::new(),
    };
    Step::Create(Box::new(Creation {
        topic: source.name.clone(),
        new,
        skipped: planned.skipped,
        source_replicas,
        target_brokers: cluster.brokers,
    }))
}

#[cfg(test)]
mod tests;
