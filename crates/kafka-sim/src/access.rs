//! Behind the protocol: what tests, the demo and fault plans do to a cluster directly.

mod brokers;
mod groups;
mod logs;

use kafka_wire::messages::ApiKey;
use kafka_wire::{ErrorCode, Uuid};
use thiserror::Error;

pub use self::groups::{GroupRequest, GroupRequestKind};
use crate::cluster::Cluster;
use crate::handlers::check_topic_name;
use crate::partition::Partition;
use crate::topic_config::{self, Overrides};

/// Why the cluster cannot do what it was told directly.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AccessError {
    /// No such topic or partition.
    #[error("{topic}-{partition} does not exist")]
    Unknown {
        /// The topic asked for.
        topic: String,
        /// The partition asked for.
        partition: i32,
    },
    /// A topic that a broker would not create.
    #[error("topic {topic} cannot be created: {message}")]
    Topic {
        /// Its name.
        topic: String,
        /// The broker's words.
        message: String,
    },
    /// Bytes that are no batches, or whose offsets lie below the end of the log.
    #[error("{topic}-{partition}: {message}")]
    Batch {
        /// Where they were to go.
        topic: String,
        /// Where they were to go.
        partition: i32,
        /// What is wrong with them.
        message: String,
    },
    /// A marker that the partition refuses.
    #[error("{topic}-{partition}: marker refused with {code}")]
    Marker {
        /// Where it was to go.
        topic: String,
        /// Where it was to go.
        partition: i32,
        /// The broker's code.
        code: ErrorCode,
    },
}

/// What a partition remembers of one producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerSummary {
    /// Producer id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// Sequence of its last record, -1 for none in this epoch.
    pub last_sequence: i32,
    /// First offset of its open transaction.
    pub transaction_start: Option<i64>,
}

/// Topics and their settings.
impl Cluster {
    /// Creates a topic with leaders in turn and the default replication.
    ///
    /// # Errors
    /// [`AccessError::Topic`] when a broker would refuse it.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: usize,
        configs: &[(&str, &str)],
    ) -> Result<Uuid, AccessError> {
        let replication = usize::try_from(self.config().replication_default).unwrap_or(1);
        self.create_replicated_topic(name, partitions, replication, configs)
    }

    /// Creates a topic with that many replicas.
    ///
    /// # Errors
    /// [`AccessError::Topic`] when a broker would refuse it.
    pub fn create_replicated_topic(
        &self,
        name: &str,
        partitions: usize,
        replication: usize,
        configs: &[(&str, &str)],
    ) -> Result<Uuid, AccessError> {
        let refused = |message: String| AccessError::Topic { topic: name.to_owned(), message };
        check_topic_name(name).map_err(|(_, message)| refused(message))?;
        let overrides: Overrides =
            configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        topic_config::check(self.config().release, &overrides).map_err(refused)?;
        let mut state = self.state();
        if state.topics.contains_key(name) {
            return Err(refused("it exists".to_owned()));
        }
        if state.live_brokers().count() < replication {
            return Err(refused("too few brokers".to_owned()));
        }
        let assignments = state.assign(0, partitions, replication);
        Ok(state.add_topic(self.config(), name, assignments, overrides, self.now_ms()))
    }

    /// How many requests of an API the cluster was asked so far.
    #[must_use]
    pub fn request_count(&self, api_key: ApiKey) -> u64 {
        self.state().requests.get(&(api_key as i16)).copied().unwrap_or_default()
    }

    /// Deletes a topic at once; `false` when there is none.
    pub fn delete_topic(&self, name: &str) -> bool {
        self.state().remove_topic(name)
    }

    /// Adds partitions up to `count`.
    pub fn grow_topic(&self, name: &str, count: usize) {
        let mut state = self.state();
        let Some((current, replication)) = state.topics.get(name).map(|topic| {
            (
                topic.partitions.len(),
                topic.partitions.first().map_or(1, |partition| partition.replicas.len()),
            )
        }) else {
            return;
        };
        let assignments = state.assign(current, count.saturating_sub(current), replication);
        state.add_partitions(name, assignments, self.now_ms());
    }

    /// All topics with their numbers of partitions.
    #[must_use]
    pub fn topics(&self) -> Vec<(String, usize)> {
        self.state()
            .topics
            .iter()
            .map(|(name, topic)| (name.clone(), topic.partitions.len()))
            .collect()
    }

    /// The id of a topic.
    #[must_use]
    pub fn topic_id(&self, name: &str) -> Option<Uuid> {
        self.state().topics.get(name).map(|topic| topic.id)
    }

    /// Settings that a topic overrides.
    #[must_use]
    pub fn topic_overrides(&self, name: &str) -> Vec<(String, String)> {
        let state = self.state();
        let overrides = state.topics.get(name).map(|topic| topic.overrides.clone());
        overrides.unwrap_or_default().into_iter().collect()
    }

    /// Sets (`Some`) or removes (`None`) one setting of a topic.
    ///
    /// # Errors
    /// [`AccessError::Topic`] when a broker would refuse it.
    pub fn set_topic_config(
        &self,
        name: &str,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), AccessError> {
        let refused = |message: String| AccessError::Topic { topic: name.to_owned(), message };
        let mut state = self.state();
        let known = state.topics.get(name).map(|topic| topic.overrides.clone());
        let mut overrides = known.ok_or_else(|| refused("it does not exist".to_owned()))?;
        match value {
            Some(value) => drop(overrides.insert(key.to_owned(), value.to_owned())),
            None => drop(overrides.remove(key)),
        }
        topic_config::check(self.config().release, &overrides).map_err(refused)?;
        state.set_overrides(self.config(), name, overrides);
        Ok(())
    }

    fn with<T>(
        &self,
        topic: &str,
        partition: i32,
        act: impl FnOnce(&mut Partition) -> T,
    ) -> Result<T, AccessError> {
        let mut state = self.state();
        let found = state.partition(topic, partition);
        let found =
            found.map_err(|_| AccessError::Unknown { topic: topic.to_owned(), partition })?;
        Ok(act(found))
    }
}
