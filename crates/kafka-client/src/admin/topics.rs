//! CreateTopics and DeleteTopics.

use std::{collections::BTreeMap, time::Duration};

use kafka_wire::{
    ErrorCode,
    messages::{
        BrokerId, CreateTopicsRequest, DeleteTopicsRequest,
        create_topics_request::{CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig},
        delete_topics_request::DeleteTopicState,
    },
};

use super::{millis, text, topic_name};
use crate::{
    CallOptions, Client, ClientError, TopicError,
    client::route::{Repeat, Target, nothing_done},
};

/// A topic to create.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Number of partitions; -1 for the cluster's default (brokers from 2.4). Ignored with `assignments`.
    pub partitions: i32,
    /// Number of replicas; -1 for the cluster's default (brokers from 2.4). Ignored with `assignments`.
    pub replication_factor: i16,
    /// Configuration that differs from the defaults.
    pub configs: Vec<(String, String)>,
    /// Broker ids by partition, if the caller places replicas; usually empty.
    pub assignments: Vec<Vec<i32>>,
}

impl NewTopic {
    /// A topic without any configuration of its own.
    pub fn new(name: impl Into<String>, partitions: i32, replication_factor: i16) -> Self {
        Self { name: name.into(), partitions, replication_factor, ..Self::default() }
    }

    /// The same with one more configuration key.
    #[must_use]
    pub fn with_config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.configs.push((name.into(), value.into()));
        self
    }
}

/// Lowest CreateTopics version in which -1 stands for the cluster's default (KIP-464).
const DEFAULTS_VERSION: i16 = 4;

impl Client {
    /// Creates topics (or with `validate_only` tries whether it could). `timeout` is how long the broker waits for
    /// the creation; leaders may still be missing in Metadata for a moment after it (BF-39).
    ///
    /// # Errors
    /// When the controller does not answer; [`ClientError::AnswerUnknown`] may mean that the topics exist now.
    pub async fn create_topics(
        &self,
        topics: Vec<NewTopic>,
        validate_only: bool,
        timeout: Duration,
    ) -> Result<BTreeMap<String, Result<(), TopicError>>, ClientError> {
        let repeat = if validate_only { Repeat::Safe } else { Repeat::Unsafe };
        let (response, _) = self
            .ask::<CreateTopicsRequest>(
                Target::Controller,
                repeat,
                patience(timeout),
                |connection, version| {
                    let defaults = topics.iter().any(|topic| {
                        topic.assignments.is_empty()
                            && (topic.partitions < 0 || topic.replication_factor < 0)
                    });
                    if defaults && version < DEFAULTS_VERSION {
                        let api = kafka_wire::messages::ApiKey::CreateTopics;
                        return Err(connection.unsupported(api, Some(DEFAULTS_VERSION)));
                    }
                    Ok(CreateTopicsRequest::default()
                        .with_topics(topics.iter().map(creatable).collect())
                        .with_timeout_ms(millis(timeout))
                        .with_validate_only(validate_only))
                },
                |response| nothing_done(response.topics.iter().map(|topic| topic.error_code)),
            )
            .await?;
        let mut results = missing(topics.iter().map(|topic| topic.name.clone()));
        for topic in response.topics {
            let result = TopicError::check(topic.error_code, topic.error_message.as_deref());
            results.insert(topic.name.to_string(), result);
        }
        Ok(results)
    }

    /// Deletes topics by name. The name may stay visible for a moment.
    ///
    /// # Errors
    /// When the controller does not answer; [`ClientError::AnswerUnknown`] may mean that the topics are gone.
    pub async fn delete_topics(
        &self,
        topics: Vec<String>,
        timeout: Duration,
    ) -> Result<BTreeMap<String, Result<(), TopicError>>, ClientError> {
        let (response, _) = self
            .ask::<DeleteTopicsRequest>(
                Target::Controller,
                Repeat::Unsafe,
                patience(timeout),
                |_, version| {
                    let mut request =
                        DeleteTopicsRequest::default().with_timeout_ms(millis(timeout));
                    if version >= 6 {
                        let state = |name: &String| {
                            DeleteTopicState::default().with_name(Some(topic_name(name)))
                        };
                        request.topics = topics.iter().map(state).collect();
                    } else {
                        request.topic_names = topics.iter().map(|name| topic_name(name)).collect();
                    }
                    Ok(request)
                },
                |response| nothing_done(response.responses.iter().map(|topic| topic.error_code)),
            )
            .await?;
        let mut results = missing(topics);
        for topic in response.responses {
            let Some(name) = topic.name else { continue };
            results.insert(
                name.to_string(),
                TopicError::check(topic.error_code, topic.error_message.as_deref()),
            );
        }
        Ok(results)
    }
}

/// The broker's own time and a little more, at least the usual.
pub(super) fn patience(timeout: Duration) -> CallOptions {
    CallOptions {
        timeout: Some(timeout.saturating_add(Duration::from_secs(10))),
        version_max: None,
    }
}

/// Every item with the error that stands until an answer names it.
pub(super) fn missing<T>(
    names: impl IntoIterator<Item = String>,
) -> BTreeMap<String, Result<T, TopicError>> {
    names
        .into_iter()
        .map(|name| (name, Err(TopicError::from(ErrorCode::UNKNOWN_SERVER_ERROR))))
        .collect()
}

fn creatable(topic: &NewTopic) -> CreatableTopic {
    let configs = topic
        .configs
        .iter()
        .map(|(name, value)| {
            CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
        })
        .collect();
    let assignments: Vec<_> = (0..)
        .zip(&topic.assignments)
        .map(|(index, brokers)| {
            CreatableReplicaAssignment::default()
                .with_partition_index(index)
                .with_broker_ids(brokers.iter().copied().map(BrokerId).collect())
        })
        .collect();
    let counted = assignments.is_empty();
    CreatableTopic::default()
        .with_name(topic_name(&topic.name))
        .with_num_partitions(if counted { topic.partitions } else { -1 })
        .with_replication_factor(if counted { topic.replication_factor } else { -1 })
        .with_assignments(assignments)
        .with_configs(configs)
}
