//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs.

use kafka_wire::ErrorCode;
use kafka_wire::messages::alter_configs_request::AlterConfigsRequest;
use kafka_wire::messages::alter_configs_response::{
    AlterConfigsResourceResponse, AlterConfigsResponse,
};
use kafka_wire::messages::describe_configs_request::DescribeConfigsRequest;
use kafka_wire::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResponse, DescribeConfigsResult,
    DescribeConfigsSynonym,
};
use kafka_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource as IncrementalResource, IncrementalAlterConfigsRequest,
};
use kafka_wire::messages::incremental_alter_configs_response::{
    AlterConfigsResourceResponse as IncrementalResponse, IncrementalAlterConfigsResponse,
};

use super::topics::{Refused, check_name};
use super::{Peer, text};
use crate::permissions::{Operation, Resource};
use crate::release::Release;
use crate::state::State;
use crate::topic_config::{self, Described, Overrides, Source};

/// `ConfigResource.Type`.
const TOPIC: i8 = 2;
const BROKER: i8 = 4;

pub(super) fn describe(peer: &Peer, request: &DescribeConfigsRequest) -> DescribeConfigsResponse {
    let results = request.resources.iter().map(|resource| {
        let answer = DescribeConfigsResult::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        let keys = resource.configuration_keys.as_ref();
        let wanted = |name: &str| {
            keys.is_none_or(|keys| keys.is_empty() || keys.iter().any(|key| key.as_str() == name))
        };
        match described(peer, resource.resource_type, &resource.resource_name) {
            Ok(entries) => {
                let entries = entries.into_iter().filter(|entry| wanted(entry.name));
                answer.with_configs(
                    entries.map(|entry| result(entry, request.include_synonyms)).collect(),
                )
            }
            Err((code, message)) => {
                answer.with_error_code(code.0).with_error_message(Some(text(message)))
            }
        }
    });
    DescribeConfigsResponse::default().with_results(results.collect())
}

fn result(entry: Described, synonyms: bool) -> DescribeConfigsResourceResult {
    let synonym = DescribeConfigsSynonym::default()
        .with_name(text(entry.name))
        .with_value(Some(text(entry.value.clone())))
        .with_source(entry.source.code());
    DescribeConfigsResourceResult::default()
        .with_name(text(entry.name))
        .with_value(Some(text(entry.value)))
        .with_config_source(entry.source.code())
        .with_config_type(entry.type_code)
        .with_synonyms(if synonyms { vec![synonym] } else { Vec::new() })
}

/// All keys of a topic or broker.
pub(super) fn described(peer: &Peer, kind: i8, name: &str) -> Result<Vec<Described>, Refused> {
    let state = peer.cluster.state();
    match kind {
        TOPIC => {
            if let Err(code) =
                state.permissions.check_topic(peer.user(), Operation::DescribeConfigs, name)
            {
                return Err((code, "Authorization failed.".to_owned()));
            }
            check_name(name)?;
            let topic = state
                .topics
                .get(name)
                .ok_or_else(|| (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, String::new()))?;
            Ok(topic_config::describe(peer.release(), &state.broker_configs, &topic.overrides))
        }
        BROKER => {
            if let Err(code) =
                state.permissions.check(peer.user(), Operation::DescribeConfigs, &Resource::Cluster)
            {
                return Err((code, "Authorization failed.".to_owned()));
            }
            Ok(broker_configs(peer, &state.broker_configs, name))
        }
        _ => Err((ErrorCode::INVALID_REQUEST, format!("Unsupported resource type: {kind}"))),
    }
}

/// The few broker settings that a replicator looks at.
fn broker_configs(peer: &Peer, broker_configs: &Overrides, name: &str) -> Vec<Described> {
    const BOOLEAN: i8 = 1;
    const INT: i8 = 3;
    const LONG: i8 = 5;
    let config = peer.cluster.config();
    let entry =
        |name, value: String, source, type_code| Described { name, value, source, type_code };
    let default = |name, value: String, type_code| entry(name, value, Source::Default, type_code);
    let topic = topic_config::describe(peer.release(), broker_configs, &Overrides::new());
    let of_topic = |name, topic_name: &str, type_code| {
        let found = topic.iter().find(|described| described.name == topic_name);
        found.map(|found| entry(name, found.value.clone(), found.source, type_code))
    };
    let mut entries = vec![
        entry("broker.id", name.to_owned(), Source::StaticBroker, INT),
        default("auto.create.topics.enable", config.auto_create.to_string(), BOOLEAN),
        default("default.replication.factor", config.replication_default.to_string(), INT),
        default("fetch.max.bytes", config.fetch_bytes_max.to_string(), INT),
        default("num.partitions", config.partitions_default.to_string(), INT),
        default("socket.request.max.bytes", config.request_bytes_max.to_string(), INT),
        default("transactional.id.expiration.ms", "604800000".to_owned(), INT),
    ];
    if peer.release() >= Release::V3_9 {
        entries.push(default(
            "producer.id.expiration.ms",
            config.producer_expiry().to_string(),
            INT,
        ));
    }
    entries.extend(of_topic("message.max.bytes", "max.message.bytes", INT));
    entries.extend(of_topic("log.retention.ms", "retention.ms", LONG));
    entries.extend(of_topic("min.insync.replicas", "min.insync.replicas", INT));
    entries
}

pub(super) fn alter(peer: &Peer, request: &AlterConfigsRequest) -> AlterConfigsResponse {
    let mut state = peer.cluster.state();
    let responses = request.resources.iter().map(|resource| {
        let overrides = resource.configs.iter().filter_map(|config| {
            config.value.as_ref().map(|value| (config.name.to_string(), value.to_string()))
        });
        let set = Some(overrides.collect::<Overrides>());
        let done = change(
            peer,
            &mut state,
            resource.resource_type,
            &resource.resource_name,
            request.validate_only,
            |_| set.ok_or_else(|| (ErrorCode::INVALID_REQUEST, String::new())),
        );
        let answer = AlterConfigsResourceResponse::default()
            .with_resource_type(resource.resource_type)
            .with_resource_name(resource.resource_name.clone());
        match done {
            Ok(()) => answer,
            Err((code, message)) => {
                answer.with_error_code(code.0).with_error_message(Some(text(message)))
            }
        }
    });
    AlterConfigsResponse::default().with_responses(responses.collect())
}

pub(super) fn alter_incrementally(
    peer: &Peer,
    request: &IncrementalAlterConfigsRequest,
) -> IncrementalAlterConfigsResponse {
    let mut state = peer.cluster.state();
    let responses = request.resources.iter().map(|resource| {
        let (kind, name) = (resource.resource_type, &resource.resource_name);
        let done = change(peer, &mut state, kind, name, request.validate_only, |known| {
            apply(peer, resource, known)
        });
        let answer = IncrementalResponse::default()
            .with_resource_type(kind)
            .with_resource_name(name.clone());
        match done {
            Ok(()) => answer,
            Err((code, message)) => {
                answer.with_error_code(code.0).with_error_message(Some(text(message)))
            }
        }
    });
    IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
}

/// Checks rights and existence, computes the new overrides, checks and sets them.
fn change(
    peer: &Peer,
    state: &mut State,
    kind: i8,
    name: &str,
    validate_only: bool,
    compute: impl FnOnce(&Overrides) -> Result<Overrides, Refused>,
) -> Result<(), Refused> {
    if kind != TOPIC {
        return Err((ErrorCode::INVALID_REQUEST, "only topics can be altered here".to_owned()));
    }
    if let Err(code) = state.permissions.check_topic(peer.user(), Operation::AlterConfigs, name) {
        return Err((code, "Authorization failed.".to_owned()));
    }
    let topic = state.topics.get(name).ok_or_else(|| {
        (ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, format!("The topic '{name}' does not exist."))
    })?;
    let overrides = compute(&topic.overrides)?;
    topic_config::check(peer.release(), &overrides)
        .map_err(|why| (ErrorCode::INVALID_CONFIG, why))?;
    if !validate_only {
        state.set_overrides(peer.cluster.config(), name, overrides);
    }
    Ok(())
}

/// The four operations of KIP-339.
fn apply(
    peer: &Peer,
    resource: &IncrementalResource,
    known: &Overrides,
) -> Result<Overrides, Refused> {
    const SET: i8 = 0;
    const DELETE: i8 = 1;
    const APPEND: i8 = 2;
    const SUBTRACT: i8 = 3;
    let mut overrides = known.clone();
    let mut seen = std::collections::BTreeSet::new();
    for config in &resource.configs {
        let name = config.name.to_string();
        if !seen.insert(name.clone()) {
            return Err((
                ErrorCode::INVALID_REQUEST,
                "Error due to duplicate config keys".to_owned(),
            ));
        }
        if config.config_operation == DELETE {
            overrides.remove(&name);
            continue;
        }
        let Some(value) = &config.value else {
            return Err((
                ErrorCode::INVALID_REQUEST,
                format!("Null value not supported for : {name}"),
            ));
        };
        if config.config_operation == SET {
            overrides.insert(name, value.to_string());
            continue;
        }
        if !topic_config::is_list(peer.release(), &name)
            || !(APPEND..=SUBTRACT).contains(&config.config_operation)
        {
            let message = format!(
                "Can't {} to key {name} because its type is not LIST.",
                config.config_operation
            );
            return Err((ErrorCode::INVALID_CONFIG, message));
        }
        let before = overrides.get(&name).cloned().unwrap_or_default();
        let mut parts: Vec<&str> = before.split(',').filter(|part| !part.is_empty()).collect();
        for part in value.split(',') {
            parts.retain(|known| *known != part);
            if config.config_operation == APPEND {
                parts.push(part);
            }
        }
        let joined = parts.join(",");
        overrides.insert(name, joined);
    }
    Ok(overrides)
}
