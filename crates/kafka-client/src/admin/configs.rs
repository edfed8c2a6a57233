//! DescribeConfigs, IncrementalAlterConfigs, and AlterConfigs for brokers before 2.3.

use std::collections::BTreeMap;

use kafka_wire::{
    messages::{
        AlterConfigsRequest, ApiKey, DescribeConfigsRequest, IncrementalAlterConfigsRequest,
        alter_configs_request, describe_configs_request::DescribeConfigsResource,
        incremental_alter_configs_request,
    },
    protocol::StrBytes,
};

use super::{
    config_types::{ConfigChange, ConfigEntry, ConfigSource},
    text,
    topics::missing,
};
use crate::{
    CallOptions, Client, ClientError, TopicError,
    client::route::{Repeat, Target, nothing_done},
};

/// Resource types of the protocol (KIP-133).
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

const OPERATION_SET: i8 = 0;
const OPERATION_DELETE: i8 = 1;

type Described = BTreeMap<String, Result<Vec<ConfigEntry>, TopicError>>;

impl Client {
    /// The whole configuration of topics, with the source of each value.
    ///
    /// # Errors
    /// When no broker answers; otherwise each topic has its own result.
    pub async fn describe_topic_configs(
        &self,
        topics: Vec<String>,
    ) -> Result<Described, ClientError> {
        self.describe_configs(Target::Any, TOPIC, &topics).await
    }

    /// The whole configuration of one broker, asked of that broker.
    ///
    /// # Errors
    /// When it does not answer, or refuses.
    pub async fn describe_broker_configs(
        &self,
        broker_id: i32,
    ) -> Result<Vec<ConfigEntry>, ClientError> {
        let name = broker_id.to_string();
        let mut found = self
            .describe_configs(Target::Broker(broker_id), BROKER, std::slice::from_ref(&name))
            .await?;
        let missing = || ClientError::Incomplete {
            api: ApiKey::DescribeConfigs,
            about: format!("broker {name}"),
        };
        found.remove(&name).ok_or_else(missing)?.map_err(|error| {
            ClientError::of_code(
                ApiKey::DescribeConfigs,
                &format!("broker {name}"),
                error.code,
                error.message.as_deref(),
            )
        })
    }

    /// Changes entries of topics' configurations and leaves the others as they are.
    ///
    /// Brokers before 2.3 only replace whole configurations: there the overrides are read first and sent merged;
    /// what somebody else changes in between is lost.
    ///
    /// # Errors
    /// When no broker answers; otherwise each topic has its own result.
    pub async fn alter_topic_configs(
        &self,
        changes: Vec<(String, Vec<ConfigChange>)>,
        validate_only: bool,
    ) -> Result<BTreeMap<String, Result<(), TopicError>>, ClientError> {
        let connection = self.controller().await?;
        if connection.version_for::<IncrementalAlterConfigsRequest>(None).is_ok() {
            self.alter_incrementally(&changes, validate_only).await
        } else {
            self.alter_by_replacing(changes, validate_only).await
        }
    }

    async fn describe_configs(
        &self,
        target: Target<'_>,
        resource_type: i8,
        names: &[String],
    ) -> Result<Described, ClientError> {
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let resource = |name: &String| {
            DescribeConfigsResource::default()
                .with_resource_type(resource_type)
                .with_resource_name(text(name))
                .with_configuration_keys(None)
        };
        let request =
            DescribeConfigsRequest::default().with_resources(names.iter().map(resource).collect());
        let (response, _) = self
            .ask::<DescribeConfigsRequest>(
                target,
                Repeat::Safe,
                CallOptions::default(),
                |_, _| Ok(request.clone()),
                |_| kafka_wire::ErrorCode::NONE,
            )
            .await?;
        let mut results = missing(names.iter().cloned());
        for result in response.results {
            let entries = TopicError::check(result.error_code, result.error_message.as_deref())
                .map(|()| {
                    result
                        .configs
                        .into_iter()
                        .map(|entry| ConfigEntry {
                            name: entry.name.to_string(),
                            value: entry.value.map(|value| value.to_string()),
                            source: ConfigSource::from_code(entry.config_source),
                            is_sensitive: entry.is_sensitive,
                            read_only: entry.read_only,
                        })
                        .collect()
                });
            results.insert(result.resource_name.to_string(), entries);
        }
        Ok(results)
    }

    async fn alter_incrementally(
        &self,
        changes: &[(String, Vec<ConfigChange>)],
        validate_only: bool,
    ) -> Result<BTreeMap<String, Result<(), TopicError>>, ClientError> {
        use incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
        let change = |change: &ConfigChange| {
            let operation = if change.value.is_some() { OPERATION_SET } else { OPERATION_DELETE };
            AlterableConfig::default()
                .with_name(text(&change.name))
                .with_config_operation(operation)
                .with_value(change.value.as_deref().map(text))
        };
        let resources = changes.iter().map(|(name, changes)| {
            AlterConfigsResource::default()
                .with_resource_type(TOPIC)
                .with_resource_name(text(name))
                .with_configs(changes.iter().map(change).collect())
        });
        let request = IncrementalAlterConfigsRequest::default()
            .with_resources(resources.collect())
            .with_validate_only(validate_only);
        let (response, _) = self
            .ask::<IncrementalAlterConfigsRequest>(
                Target::Controller,
                Repeat::Safe,
                CallOptions::default(),
                |_, _| Ok(request.clone()),
                |response| nothing_done(response.responses.iter().map(|topic| topic.error_code)),
            )
            .await?;
        let answers = response
            .responses
            .into_iter()
            .map(|r| (r.resource_name, r.error_code, r.error_message));
        Ok(collect(changes, answers))
    }

    async fn alter_by_replacing(
        &self,
        changes: Vec<(String, Vec<ConfigChange>)>,
        validate_only: bool,
    ) -> Result<BTreeMap<String, Result<(), TopicError>>, ClientError> {
        use alter_configs_request::{AlterConfigsResource, AlterableConfig};
        let names: Vec<_> = changes.iter().map(|(name, _)| name.clone()).collect();
        let described = self.describe_topic_configs(names).await?;
        let mut refused = BTreeMap::new();
        let mut resources = Vec::new();
        for (name, changes) in &changes {
            let entries = match described.get(name) {
                Some(Ok(entries)) => entries,
                Some(Err(error)) => {
                    refused.insert(name.clone(), Err(error.clone()));
                    continue;
                }
                None => continue,
            };
            let configs = merged(entries, changes).into_iter().map(|(name, value)| {
                AlterableConfig::default().with_name(text(&name)).with_value(Some(text(&value)))
            });
            resources.push(
                AlterConfigsResource::default()
                    .with_resource_type(TOPIC)
                    .with_resource_name(text(name))
                    .with_configs(configs.collect()),
            );
        }
        if resources.is_empty() {
            return Ok(refused);
        }
        let request = AlterConfigsRequest::default()
            .with_resources(resources)
            .with_validate_only(validate_only);
        let (response, _) = self
            .ask::<AlterConfigsRequest>(
                Target::Controller,
                Repeat::Safe,
                CallOptions::default(),
                |_, _| Ok(request.clone()),
                |response| nothing_done(response.responses.iter().map(|topic| topic.error_code)),
            )
            .await?;
        let answers = response
            .responses
            .into_iter()
            .map(|r| (r.resource_name, r.error_code, r.error_message));
        let mut results = collect(&changes, answers);
        results.extend(refused);
        Ok(results)
    }
}

/// The overrides of a topic after these changes.
fn merged(entries: &[ConfigEntry], changes: &[ConfigChange]) -> BTreeMap<String, String> {
    let mut values: BTreeMap<String, String> = entries
        .iter()
        .filter(|entry| entry.source.is_topic_override())
        .filter_map(|entry| Some((entry.name.clone(), entry.value.clone()?)))
        .collect();
    for change in changes {
        match &change.value {
            Some(value) => _ = values.insert(change.name.clone(), value.clone()),
            None => _ = values.remove(&change.name),
        }
    }
    values
}

fn collect(
    changes: &[(String, Vec<ConfigChange>)],
    answers: impl Iterator<Item = (StrBytes, i16, Option<StrBytes>)>,
) -> BTreeMap<String, Result<(), TopicError>> {
    let mut results = missing(changes.iter().map(|(name, _)| name.clone()));
    for (name, code, message) in answers {
        results.insert(name.to_string(), TopicError::check(code, message.as_deref()));
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, value: &str, source: ConfigSource) -> ConfigEntry {
        ConfigEntry {
            name: name.to_owned(),
            value: Some(value.to_owned()),
            source,
            is_sensitive: false,
            read_only: false,
        }
    }

    #[test]
    fn replacing_keeps_the_other_overrides() {
        let entries = [
            entry("retention.ms", "1", ConfigSource::Topic),
            entry("cleanup.policy", "compact", ConfigSource::Topic),
            entry("segment.bytes", "7", ConfigSource::Default),
        ];
        let changes =
            [ConfigChange::set("retention.ms", "2"), ConfigChange::delete("cleanup.policy")];
        let merged = merged(&entries, &changes);
        assert_eq!(
            merged.into_iter().collect::<Vec<_>>(),
            [("retention.ms".to_owned(), "2".to_owned())]
        );
    }
}
