//! What this user may do, operation by operation, as far as the role needs it.
//!
//! Topics that exist are judged by the bits that Metadata v8 and later carry (KIP-430; usable, with implied rights
//! shown, P13). What the target needs for topics that do not exist yet is probed on a name that nobody has: a broker
//! checks the right first and the name afterwards, so that nothing happens either way.

use std::collections::BTreeMap;

use kafka_wire::{
    ErrorCode,
    messages::{self, ApiKey},
    protocol::StrBytes,
    record::{BatchOptions, Record, encode_batch},
};
use tokio::time::Instant;

use super::{Options, Outcome, Role, StepKind, Steps, cause};
use crate::{
    CallOptions, Client, ClientError, ClusterMetadata, CoordinatorKind,
    connection::BrokerConnection,
};

/// Metadata answers which operations are allowed from this version on (KIP-430, Kafka 2.3).
const METADATA_WITH_OPERATIONS: i16 = 8;
/// The last versions that name topics instead of carrying their ids.
const PRODUCE_WITH_NAMES: i16 = 12;
const FETCH_WITH_NAMES: i16 = 12;
/// The last version of EndTxn that is a plain question here: from v5 on it also raises epochs (KIP-890).
const END_TXN_MAX: i16 = 4;
/// Topics probed one by one where the broker does not tell all at once.
const PROBED_TOPICS_MAX: usize = 20;
/// Topics named in one line.
const NAMED_TOPICS_MAX: usize = 5;
/// `ConfigResource.Type.TOPIC`.
const TOPIC_RESOURCE: i8 = 2;

/// Operations of Kafka's ACLs, by the bit that stands for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Read = 3,
    Write = 4,
    DescribeConfigs = 10,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "READ",
            Self::Write => "WRITE",
            Self::DescribeConfigs => "DESCRIBE_CONFIGS",
        }
    }

    fn is_in(self, bits: i32) -> bool {
        bits & (1 << (self as i32)) != 0
    }
}

/// Reports every operation that the role needs as allowed, denied or unknown.
pub(super) async fn check(
    client: &Client,
    cluster: &ClusterMetadata,
    options: &Options,
    steps: &mut Steps<'_>,
) {
    let wanted: Vec<&str> = cluster
        .topics
        .values()
        .filter(|topic| {
            !topic.is_internal && options.topics.as_ref().is_none_or(|wanted| wanted(&topic.name))
        })
        .map(|topic| topic.name.as_str())
        .collect();
    let Some(probes) = Probes::new(client).await else { return };
    match options.role {
        Role::Source => source(&probes, cluster, &wanted, steps).await,
        Role::Target => target(&probes, &wanted, steps).await,
    }
}

async fn source(
    probes: &Probes,
    cluster: &ClusterMetadata,
    topics: &[&str],
    steps: &mut Steps<'_>,
) {
    if topics.is_empty() {
        return source_without_topics(probes, cluster, steps).await;
    }
    let started = Instant::now();
    steps.passed(
        StepKind::Permission,
        "DESCRIBE on topics",
        format!("{} visible", topics.len()),
        started,
    );
    for operation in [Operation::Read, Operation::DescribeConfigs] {
        let started = Instant::now();
        let rights = match probes.authorized().await {
            Some(bits) => by_bits(topics, &bits, operation),
            None if operation == Operation::Read => probes.fetch_each(cluster, topics).await,
            None => probes.describe_each(topics).await,
        };
        rights.report(operation, true, started, steps);
    }
}

/// Nothing to be seen: there is nothing, or it may not be seen. Brokers refuse a name that nobody has before they say that
/// it does not exist (P13), which tells the two apart.
async fn source_without_topics(probes: &Probes, cluster: &ClusterMetadata, steps: &mut Steps<'_>) {
    if cluster.topics.values().any(|topic| !topic.is_internal) {
        let outcome =
            Outcome::Unknown { cause: "no visible topic is among the wanted ones".to_owned() };
        steps.end(StepKind::Permission, "DESCRIBE on topics", outcome, std::time::Duration::ZERO);
        return;
    }
    let name = unused_name();
    tell(steps, "DESCRIBE on topics", "--operation Describe --topic '*'", probes.describe(&name))
        .await;
    tell(steps, "READ on topics", "--operation Read --topic '*'", probes.fetch(&name)).await;
    let acl = "--operation DescribeConfigs --topic '*'";
    tell(steps, "DESCRIBE_CONFIGS on topics", acl, probes.describe_configs(&name)).await;
}

/// A topic name that nobody has.
fn unused_name() -> String {
    format!("kferry-check-{:016x}", fastrand::u64(..))
}

async fn target(probes: &Probes, topics: &[&str], steps: &mut Steps<'_>) {
    let name = unused_name();
    tell(
        steps,
        "CREATE on the cluster or on topics",
        "--operation Create --cluster",
        probes.create(&name),
    )
    .await;
    tell(steps, "ALTER on topics", "--operation Alter --topic '*'", probes.add_partitions(&name))
        .await;
    tell(
        steps,
        "ALTER_CONFIGS on topics",
        "--operation AlterConfigs --topic '*'",
        probes.alter_configs(&name),
    )
    .await;
    tell(
        steps,
        "DESCRIBE_CONFIGS on topics",
        "--operation DescribeConfigs --topic '*'",
        probes.describe_configs(&name),
    )
    .await;
    tell(steps, "WRITE on topics", "--operation Write --topic '*'", probes.produce(&name)).await;
    tell(steps, "READ on topics", "--operation Read --topic '*'", probes.fetch(&name)).await;
    let acl = "--operation Write --transactional-id kferry- --resource-pattern-type prefixed";
    tell(steps, "WRITE on transactional ids kferry-…", acl, probes.end_txn("kferry-check")).await;
    // Topics that exist may have rights of their own; which of them a task writes to is not known here.
    if let Some(bits) = probes.authorized().await {
        for operation in [Operation::Write, Operation::Read] {
            let started = Instant::now();
            let rights = by_bits(topics, &bits, operation);
            if !rights.denied.is_empty() {
                rights.report(operation, false, started, steps);
            }
        }
    }
}

async fn tell(
    steps: &mut Steps<'_>,
    subject: &str,
    acl: &str,
    probe: impl Future<Output = Result<ErrorCode, ClientError>>,
) {
    let started = Instant::now();
    let outcome = judged(probe.await, acl);
    steps.end(StepKind::Permission, subject, outcome, started.elapsed());
}

/// What the answer to a probe says about the right.
fn judged(answer: Result<ErrorCode, ClientError>, acl: &str) -> Outcome {
    match answer {
        Ok(code) if is_refusal(code) => Outcome::Failed {
            cause: format!("denied ({code})"),
            cure: Some(format!(
                "grant it, for instance: kafka-acls.sh --add --allow-principal User:NAME {acl}"
            )),
        },
        Ok(_) => Outcome::Passed { detail: "allowed".to_owned() },
        Err(error) => Outcome::Unknown { cause: cause(&error) },
    }
}

fn is_refusal(code: ErrorCode) -> bool {
    [
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
        ErrorCode::GROUP_AUTHORIZATION_FAILED,
        ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    ]
    .contains(&code)
}

/// One operation on many topics.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rights {
    allowed: usize,
    denied: Vec<String>,
    unknown: usize,
}

impl Rights {
    fn add(&mut self, topic: &str, answer: Option<bool>) {
        match answer {
            Some(true) => self.allowed += 1,
            Some(false) => self.denied.push(topic.to_owned()),
            None => self.unknown += 1,
        }
    }

    fn report(
        &self,
        operation: Operation,
        is_needed: bool,
        started: Instant,
        steps: &mut Steps<'_>,
    ) {
        let all = self.allowed + self.denied.len() + self.unknown;
        let outcome = if let Some(first) = self.denied.first() {
            let named =
                self.denied.iter().take(NAMED_TOPICS_MAX).cloned().collect::<Vec<_>>().join(", ");
            let more = if self.denied.len() > NAMED_TOPICS_MAX { ", …" } else { "" };
            let cause = format!("denied on {} of {all} topics: {named}{more}", self.denied.len());
            let acl = match operation {
                Operation::Read => "Read",
                Operation::Write => "Write",
                Operation::DescribeConfigs => "DescribeConfigs",
            };
            let cure = Some(format!(
                "grant it, for instance: kafka-acls.sh --add --allow-principal User:NAME --operation {acl} --topic {first}"
            ));
            if is_needed {
                Outcome::Failed { cause, cure }
            } else {
                Outcome::Warned { cause, cure }
            }
        } else if self.allowed == 0 {
            Outcome::Unknown { cause: "the broker does not tell".to_owned() }
        } else {
            Outcome::Passed {
                detail: format!(
                    "allowed on {} of {all} topics{}",
                    self.allowed,
                    if self.unknown > 0 { ", the others not tried" } else { "" }
                ),
            }
        };
        steps.end(
            StepKind::Permission,
            &format!("{} on topics", operation.name()),
            outcome,
            started.elapsed(),
        );
    }
}

fn by_bits(topics: &[&str], bits: &BTreeMap<String, i32>, operation: Operation) -> Rights {
    let mut rights = Rights::default();
    for topic in topics {
        rights.add(topic, bits.get(*topic).map(|bits| operation.is_in(*bits)));
    }
    rights
}

/// Requests that change nothing.
struct Probes {
    client: Client,
    connection: BrokerConnection,
}

impl Probes {
    async fn new(client: &Client) -> Option<Self> {
        let connection = client.any_broker().await.ok()?;
        Some(Self { client: client.clone(), connection })
    }

    /// The authorized operations of all visible topics; nothing from brokers that do not tell.
    async fn authorized(&self) -> Option<BTreeMap<String, i32>> {
        if self.connection.version_for::<messages::MetadataRequest>(None).ok()?
            < METADATA_WITH_OPERATIONS
        {
            return None;
        }
        let request = messages::MetadataRequest::default()
            .with_topics(None)
            .with_allow_auto_topic_creation(false)
            .with_include_topic_authorized_operations(true);
        let response = self.connection.call(request).await.ok()?;
        let known = response
            .topics
            .into_iter()
            .filter(|topic| topic.topic_authorized_operations != i32::MIN);
        Some(
            known
                .filter_map(|topic| {
                    Some((topic.name?.to_string(), topic.topic_authorized_operations))
                })
                .collect(),
        )
    }

    /// READ where the broker does not tell: a fetch of at most one byte.
    async fn fetch_each(&self, cluster: &ClusterMetadata, topics: &[&str]) -> Rights {
        let mut rights = Rights::default();
        for (index, topic) in topics.iter().enumerate() {
            let leader = cluster
                .partition(topic, 0)
                .map(|partition| partition.leader_id)
                .filter(|id| *id >= 0);
            let answer = match leader {
                Some(leader) if index < PROBED_TOPICS_MAX => match self.client.broker(leader).await
                {
                    Ok(connection) => {
                        fetch(&connection, topic).await.ok().map(|code| !is_refusal(code))
                    }
                    Err(_) => None,
                },
                _ => None,
            };
            rights.add(topic, answer);
        }
        rights
    }

    /// DESCRIBE_CONFIGS where the broker does not tell.
    async fn describe_each(&self, topics: &[&str]) -> Rights {
        let mut rights = Rights::default();
        for (index, topic) in topics.iter().enumerate() {
            let answer = if index < PROBED_TOPICS_MAX {
                self.describe_configs(topic).await.ok()
            } else {
                None
            };
            rights.add(topic, answer.map(|code| !is_refusal(code)));
        }
        rights
    }

    async fn describe(&self, name: &str) -> Result<ErrorCode, ClientError> {
        let topic = messages::metadata_request::MetadataRequestTopic::default()
            .with_name(Some(topic_name(name)));
        let request = messages::MetadataRequest::default()
            .with_topics(Some(vec![topic]))
            .with_allow_auto_topic_creation(false);
        let response = self.connection.call(request).await?;
        first(ApiKey::Metadata, response.topics.first().map(|topic| topic.error_code))
    }

    async fn create(&self, name: &str) -> Result<ErrorCode, ClientError> {
        let topic = messages::create_topics_request::CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(1)
            .with_replication_factor(1);
        let request = messages::CreateTopicsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(5_000)
            .with_validate_only(true);
        let response = self.client.controller().await?.call(request).await?;
        first(ApiKey::CreateTopics, response.topics.first().map(|topic| topic.error_code))
    }

    async fn add_partitions(&self, name: &str) -> Result<ErrorCode, ClientError> {
        let topic = messages::create_partitions_request::CreatePartitionsTopic::default()
            .with_name(topic_name(name))
            .with_count(2)
            .with_assignments(None);
        let request = messages::CreatePartitionsRequest::default()
            .with_topics(vec![topic])
            .with_timeout_ms(5_000)
            .with_validate_only(true);
        let response = self.client.controller().await?.call(request).await?;
        first(ApiKey::CreatePartitions, response.results.first().map(|topic| topic.error_code))
    }

    /// Brokers before 2.3 have only AlterConfigs, which replaces everything: not a question to ask lightly.
    async fn alter_configs(&self, name: &str) -> Result<ErrorCode, ClientError> {
        let config = messages::incremental_alter_configs_request::AlterableConfig::default()
            .with_name(StrBytes::from_static_str("retention.ms"))
            .with_config_operation(0)
            .with_value(Some(StrBytes::from_static_str("604800000")));
        let resource = messages::incremental_alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(TOPIC_RESOURCE)
            .with_resource_name(StrBytes::from_string(name.to_owned()))
            .with_configs(vec![config]);
        let request = messages::IncrementalAlterConfigsRequest::default()
            .with_resources(vec![resource])
            .with_validate_only(true);
        let response = self.client.controller().await?.call(request).await?;
        first(
            ApiKey::IncrementalAlterConfigs,
            response.responses.first().map(|resource| resource.error_code),
        )
    }

    async fn describe_configs(&self, name: &str) -> Result<ErrorCode, ClientError> {
        let resource = messages::describe_configs_request::DescribeConfigsResource::default()
            .with_resource_type(TOPIC_RESOURCE)
            .with_resource_name(StrBytes::from_string(name.to_owned()))
            .with_configuration_keys(Some(vec![StrBytes::from_static_str("retention.ms")]));
        let request = messages::DescribeConfigsRequest::default().with_resources(vec![resource]);
        let response = self.connection.call(request).await?;
        first(ApiKey::DescribeConfigs, response.results.first().map(|result| result.error_code))
    }

    async fn produce(&self, name: &str) -> Result<ErrorCode, ClientError> {
        let record =
            Record { offset: 0, timestamp: 0, key: None, value: None, headers: Vec::new() };
        let records = encode_batch(&BatchOptions::default(), &[record])
            .map_err(|error| ClientError::InvalidArgument(error.to_string()))?;
        let partition = messages::produce_request::PartitionProduceData::default()
            .with_index(0)
            .with_records(Some(records));
        let topic = messages::produce_request::TopicProduceData::default()
            .with_name(topic_name(name))
            .with_partition_data(vec![partition]);
        let request = messages::ProduceRequest::default()
            .with_transactional_id(None)
            .with_acks(-1)
            .with_timeout_ms(5_000)
            .with_topic_data(vec![topic]);
        let options =
            CallOptions { version_max: Some(PRODUCE_WITH_NAMES), ..CallOptions::default() };
        let response = self.connection.call_with(request, options).await?;
        let partitions =
            response.responses.first().and_then(|topic| topic.partition_responses.first());
        first(ApiKey::Produce, partitions.map(|partition| partition.error_code))
    }

    async fn fetch(&self, name: &str) -> Result<ErrorCode, ClientError> {
        fetch(&self.connection, name).await
    }

    /// Ends a transaction that nobody began, of a producer id that nobody has.
    async fn end_txn(&self, transactional_id: &str) -> Result<ErrorCode, ClientError> {
        let coordinator =
            match self.client.coordinator(CoordinatorKind::Transaction, transactional_id).await {
                Ok(coordinator) => coordinator,
                Err(error) => return error.code().filter(|code| is_refusal(*code)).ok_or(error),
            };
        let request = messages::EndTxnRequest::default()
            .with_transactional_id(StrBytes::from_string(transactional_id.to_owned()).into())
            .with_producer_id(i64::MAX.into())
            .with_producer_epoch(0)
            .with_committed(false);
        let options = CallOptions { version_max: Some(END_TXN_MAX), ..CallOptions::default() };
        Ok(ErrorCode(coordinator.call_with(request, options).await?.error_code))
    }
}

async fn fetch(connection: &BrokerConnection, name: &str) -> Result<ErrorCode, ClientError> {
    let partition = messages::fetch_request::FetchPartition::default()
        .with_partition(0)
        .with_current_leader_epoch(-1)
        .with_fetch_offset(0)
        .with_partition_max_bytes(1);
    let topic = messages::fetch_request::FetchTopic::default()
        .with_topic(topic_name(name))
        .with_partitions(vec![partition]);
    let request = messages::FetchRequest::default()
        .with_replica_id((-1).into())
        .with_max_wait_ms(0)
        .with_min_bytes(0)
        .with_max_bytes(1)
        .with_session_epoch(-1)
        .with_topics(vec![topic]);
    let options = CallOptions { version_max: Some(FETCH_WITH_NAMES), ..CallOptions::default() };
    let response = connection.call_with(request, options).await?;
    let partition = response.responses.first().and_then(|topic| topic.partitions.first());
    first(ApiKey::Fetch, partition.map(|partition| partition.error_code))
}

fn first(api: ApiKey, code: Option<i16>) -> Result<ErrorCode, ClientError> {
    code.map(ErrorCode).ok_or_else(|| ClientError::Incomplete {
        api,
        about: "the topic that was asked about".to_owned(),
    })
}

fn topic_name(name: &str) -> messages::TopicName {
    StrBytes::from_string(name.to_owned()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_those_of_kafka() {
        // What P13 saw for READ, WRITE, DELETE, ALTER_CONFIGS, DESCRIBE_CONFIGS and the implied DESCRIBE.
        let bits = 1 << 3 | 1 << 4 | 1 << 6 | 1 << 8 | 1 << 10 | 1 << 11;
        assert!(
            Operation::Read.is_in(bits)
                && Operation::Write.is_in(bits)
                && Operation::DescribeConfigs.is_in(bits)
        );
        // WRITE gives {WRITE DESCRIBE}.
        let bits = 1 << 4 | 1 << 8;
        assert!(!Operation::Read.is_in(bits) && Operation::Write.is_in(bits));
    }

    #[test]
    fn topics_without_bits_are_unknown() {
        let bits = BTreeMap::from([("a".to_owned(), 1 << 3), ("b".to_owned(), 1 << 4)]);
        let rights = by_bits(&["a", "b", "c"], &bits, Operation::Read);
        assert_eq!(rights, Rights { allowed: 1, denied: vec!["b".to_owned()], unknown: 1 });
    }
}
