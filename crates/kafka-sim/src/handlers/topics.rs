//! CreateTopics, DeleteTopics, CreatePartitions.
//!
//! Source: `ReplicationControlManager` and `ZkAdminManager` in Apache Kafka.

use std::collections::{BTreeMap, BTreeSet};

use kafka_wire::messages::TopicName;
use kafka_wire::messages::create_partitions_request::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use kafka_wire::messages::create_partitions_response::{
    CreatePartitionsResponse, CreatePartitionsTopicResult,
};
use kafka_wire::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_wire::messages::create_topics_response::{
    CreatableTopicConfigs, CreatableTopicResult, CreateTopicsResponse,
};
use kafka_wire::messages::delete_topics_request::DeleteTopicsRequest;
use kafka_wire::messages::delete_topics_response::{DeletableTopicResult, DeleteTopicsResponse};
use kafka_wire::{ErrorCode, Uuid};
use tokio::time::Instant;

use super::{Peer, text};
use crate::permissions::{Operation, Resource};
use crate::release::Release;
use crate::state::State;
use crate::topic_config::{self, Overrides};

/// A refusal with the broker's words.
pub(crate) type Refused = (ErrorCode, String);

/// `Topic.validate`: 1 to 249 of `[a-zA-Z0-9._-]`, not `.` or `..`.
pub(crate) fn check_name(name: &str) -> Result<(), Refused> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let fault = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." | ".." => format!("'{name}' is not allowed"),
        _ if name.len() > 249 => {
            format!("the length of '{name}' is longer than the max allowed length 249")
        }
        _ if !name.chars().all(good) => {
            format!(
                "'{name}' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'"
            )
        }
        _ => return Ok(()),
    };
    Err((ErrorCode::INVALID_TOPIC_EXCEPTION, format!("Topic name is invalid: {fault}")))
}

/// A topic that may be created.
struct Plan {
    assignments: Vec<Vec<i32>>,
    overrides: Overrides,
}

pub(super) fn create(
    peer: &Peer,
    version: i16,
    request: &CreateTopicsRequest,
) -> CreateTopicsResponse {
    let mut state = peer.cluster.state();
    let mut seen = BTreeMap::new();
    for topic in &request.topics {
        *seen.entry(topic.name.as_str()).or_insert(0) += 1;
    }
    let topics = request.topics.iter().map(|topic| {
        let answer = CreatableTopicResult::default().with_name(topic.name.clone());
        let planned = if seen.get(topic.name.as_str()) > Some(&1) {
            Err((ErrorCode::INVALID_REQUEST, "Duplicate topic name.".to_owned()))
        } else {
            plan(peer, &mut state, topic)
        };
        match planned {
            Ok(plan) => created(peer, &mut state, version, request.validate_only, topic, plan),
            Err((code, message)) => answer
                .with_error_code(code.0)
                .with_error_message(Some(text(message)))
                .with_num_partitions(-1)
                .with_replication_factor(-1),
        }
    });
    CreateTopicsResponse::default().with_topics(topics.collect())
}

fn plan(peer: &Peer, state: &mut State, topic: &CreatableTopic) -> Result<Plan, Refused> {
    let name = topic.name.as_str();
    let refuse = |code: ErrorCode, why: &str| Err((code, why.to_owned()));
    check_name(name)?;
    // With ACLs CREATE on the cluster or on the topic is enough; a denial of either is stronger.
    let denied = state.permissions.check_topic(peer.user(), Operation::Create, name).is_err()
        || !state.permissions.allows(peer.user(), Operation::Create, &Resource::Cluster);
    if denied {
        return refuse(ErrorCode::TOPIC_AUTHORIZATION_FAILED, "Authorization failed.");
    }
    if state.topics.contains_key(name) || state.is_deleting(name) {
        return Err((ErrorCode::TOPIC_ALREADY_EXISTS, format!("Topic '{name}' already exists.")));
    }
    // Names that differ in '.' and '_' only collide in metric names.
    let folded = name.replace('.', "_");
    if let Some(other) = state.topics.keys().find(|known| known.replace('.', "_") == folded) {
        let message = format!("Topic '{name}' collides with existing topic: {other}");
        return Err((ErrorCode::INVALID_TOPIC_EXCEPTION, message));
    }
    let mut overrides = Overrides::new();
    for config in &topic.configs {
        match &config.value {
            Some(value) => drop(overrides.insert(config.name.to_string(), value.to_string())),
            None => {
                return Err((
                    ErrorCode::INVALID_CONFIG,
                    format!("Null value not supported for topic configs: {}", &*config.name),
                ));
            }
        }
    }
    topic_config::check(peer.release(), &overrides)
        .map_err(|why| (ErrorCode::INVALID_CONFIG, why))?;
    let assignments = if topic.assignments.is_empty() {
        automatic(peer, state, topic)?
    } else {
        manual(state, topic)?
    };
    Ok(Plan { assignments, overrides })
}

fn automatic(
    peer: &Peer,
    state: &mut State,
    topic: &CreatableTopic,
) -> Result<Vec<Vec<i32>>, Refused> {
    let config = peer.cluster.config();
    // Defaults by -1 came with 2.4 (KIP-464).
    let defaults = peer.release() >= Release::V2_8;
    let partitions = if topic.num_partitions == -1 && defaults {
        config.partitions_default
    } else {
        topic.num_partitions
    };
    let replication = if topic.replication_factor == -1 && defaults {
        config.replication_default
    } else {
        topic.replication_factor
    };
    let Some(partitions) = usize::try_from(partitions).ok().filter(|count| *count > 0) else {
        let message =
            format!("Number of partitions was set to an invalid non-positive value: {partitions}.");
        return Err((ErrorCode::INVALID_PARTITIONS, message));
    };
    let live = state.live_brokers().count();
    let replication = usize::try_from(replication).unwrap_or(0);
    check_replication(live, replication)?;
    let first = state.random.usize(0..live);
    Ok(state.assign(first, partitions, replication))
}

/// A partition has at most as many replicas as there are brokers.
fn check_replication(live: usize, replication: usize) -> Result<(), Refused> {
    if (1..=live).contains(&replication) {
        return Ok(());
    }
    let message = format!(
        "Unable to replicate the partition {replication} time(s): the cluster has {live} broker(s)."
    );
    Err((ErrorCode::INVALID_REPLICATION_FACTOR, message))
}

fn manual(state: &State, topic: &CreatableTopic) -> Result<Vec<Vec<i32>>, Refused> {
    let refuse = |code: ErrorCode, why: &str| (code, why.to_owned());
    if topic.num_partitions != -1 || topic.replication_factor != -1 {
        return Err(refuse(
            ErrorCode::INVALID_REQUEST,
            "A manual partition assignment was specified, but counts were not set to -1.",
        ));
    }
    let by_index: BTreeMap<i32, Vec<i32>> = topic
        .assignments
        .iter()
        .map(|assignment| {
            (assignment.partition_index, assignment.broker_ids.iter().map(|id| id.0).collect())
        })
        .collect();
    if by_index.len() != topic.assignments.len()
        || !by_index.keys().copied().eq((0..).take(by_index.len()))
    {
        return Err(refuse(
            ErrorCode::INVALID_REPLICA_ASSIGNMENT,
            "Partitions should be a consecutive 0-based integer sequence.",
        ));
    }
    for replicas in by_index.values() {
        check_replicas(state, replicas)?;
    }
    Ok(by_index.into_values().collect())
}

fn check_replicas(state: &State, replicas: &[i32]) -> Result<(), Refused> {
    let refuse = |why: &str| Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, why.to_owned()));
    let unique: BTreeSet<_> = replicas.iter().collect();
    if replicas.is_empty() || unique.len() != replicas.len() {
        return refuse(
            "The manual partition assignment includes an empty or repeated replica list.",
        );
    }
    if replicas.iter().any(|id| !state.brokers.contains_key(id)) {
        return refuse("The manual partition assignment includes an unknown broker.");
    }
    Ok(())
}

fn created(
    peer: &Peer,
    state: &mut State,
    version: i16,
    validate_only: bool,
    topic: &CreatableTopic,
    plan: Plan,
) -> CreatableTopicResult {
    let name = topic.name.as_str();
    let partitions = i32::try_from(plan.assignments.len()).unwrap_or(i32::MAX);
    let replication = plan.assignments.first().map_or(0, Vec::len);
    let described = topic_config::describe(peer.release(), &state.broker_configs, &plan.overrides);
    let id = if validate_only {
        Uuid::nil()
    } else {
        state.add_topic(
            peer.cluster.config(),
            name,
            plan.assignments,
            plan.overrides,
            peer.cluster.now_ms(),
        )
    };
    let answer = CreatableTopicResult::default().with_name(topic.name.clone());
    if version < 5 {
        return answer;
    }
    if state.permissions.check_topic(peer.user(), Operation::DescribeConfigs, name).is_err() {
        // P13: harmless, the topic is created.
        return answer
            .with_topic_config_error_code(ErrorCode::TOPIC_AUTHORIZATION_FAILED.0)
            .with_num_partitions(-1)
            .with_replication_factor(-1)
            .with_configs(None);
    }
    let configs = described.into_iter().map(|entry| {
        CreatableTopicConfigs::default()
            .with_name(text(entry.name))
            .with_value(Some(text(entry.value)))
            .with_config_source(entry.source.code())
    });
    answer
        .with_topic_id(if version >= 7 { id } else { Uuid::nil() })
        .with_num_partitions(partitions)
        .with_replication_factor(i16::try_from(replication).unwrap_or(i16::MAX))
        .with_configs(Some(configs.collect()))
}

pub(super) fn delete(
    peer: &Peer,
    version: i16,
    request: &DeleteTopicsRequest,
) -> DeleteTopicsResponse {
    let mut state = peer.cluster.state();
    let by_state = request.topics.iter().map(|topic| (topic.name.clone(), topic.topic_id));
    let by_name = request.topic_names.iter().map(|name| (Some(name.clone()), Uuid::nil()));
    let asked: Vec<_> = if version >= 6 { by_state.collect() } else { by_name.collect() };
    let responses = asked.into_iter().map(|(name, id)| {
        let answer = DeletableTopicResult::default().with_topic_id(id);
        let known = match &name {
            Some(name) => Some(name.to_string()),
            None => state.topic_name(id).map(str::to_owned),
        };
        let Some(topic) = known else {
            return answer.with_error_code(ErrorCode::UNKNOWN_TOPIC_ID.0);
        };
        let answer = answer.with_name(Some(TopicName(text(topic.clone()))));
        if state.permissions.check_topic(peer.user(), Operation::Delete, &topic).is_err() {
            return answer.with_error_code(ErrorCode::TOPIC_AUTHORIZATION_FAILED.0);
        }
        if !state.remove_topic(&topic) {
            return answer.with_error_code(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION.0);
        }
        let delay = peer.cluster.config().delete_delay;
        if !delay.is_zero() {
            state.deleting.insert(topic, Instant::now() + delay);
        }
        answer
    });
    DeleteTopicsResponse::default().with_responses(responses.collect())
}

pub(super) fn create_partitions(
    peer: &Peer,
    request: &CreatePartitionsRequest,
) -> CreatePartitionsResponse {
    let mut state = peer.cluster.state();
    let results = request.topics.iter().map(|topic| {
        let answer = CreatePartitionsTopicResult::default().with_name(topic.name.clone());
        match grow(peer, &mut state, topic, request.validate_only) {
            Ok(()) => answer,
            Err((code, message)) => {
                answer.with_error_code(code.0).with_error_message(Some(text(message)))
            }
        }
    });
    CreatePartitionsResponse::default().with_results(results.collect())
}

fn grow(
    peer: &Peer,
    state: &mut State,
    asked: &CreatePartitionsTopic,
    validate_only: bool,
) -> Result<(), Refused> {
    let name = asked.name.as_str();
    if let Err(code) = state.permissions.check_topic(peer.user(), Operation::Alter, name) {
        return Err((code, "Authorization failed.".to_owned()));
    }
    let Some(topic) = state.topics.get(name) else {
        return Err((
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            format!("The topic '{name}' does not exist."),
        ));
    };
    let current = topic.partitions.len();
    let replication = topic.partitions.first().map_or(1, |partition| partition.replicas.len());
    let wanted = usize::try_from(asked.count).unwrap_or(0);
    if wanted <= current {
        let why = if wanted == current { "already has" } else { "currently has" };
        let message = format!(
            "Topic {why} {current} partitions, which is higher than the requested {}.",
            asked.count
        );
        return Err((ErrorCode::INVALID_PARTITIONS, message));
    }
    let assignments = match &asked.assignments {
        None => {
            check_replication(state.live_brokers().count(), replication)?;
            state.assign(current, wanted - current, replication)
        }
        Some(given) => {
            let given: Vec<Vec<i32>> = given
                .iter()
                .map(|replicas| replicas.broker_ids.iter().map(|id| id.0).collect())
                .collect();
            if given.len() != wanted - current {
                let message = format!(
                    "Increasing the number of partitions by {} but {} assignments provided.",
                    wanted - current,
                    given.len()
                );
                return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, message));
            }
            for replicas in &given {
                check_replicas(state, replicas)?;
            }
            given
        }
    };
    if !validate_only {
        state.add_partitions(name, assignments, peer.cluster.now_ms());
    }
    Ok(())
}
