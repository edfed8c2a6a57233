//! P13: what missing rights look like.

use kafka_sim::{Cluster, Operation, Release, Resource};
use kafka_wire::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_wire::messages::describe_cluster_request::DescribeClusterRequest;
use kafka_wire::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use kafka_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_wire::{ErrorCode, Uuid};

use crate::wire::{FetchOptions, ListOptions, Wire, batch, cluster, text, topic_name};

const ME: &str = "ANONYMOUS";

fn topic() -> Resource {
    Resource::Topic("t".to_owned())
}

async fn denied(operation: Operation, resource: Resource) -> (Cluster, Wire) {
    let cluster = cluster(Release::V4_2);
    cluster.deny(ME, operation, resource);
    let wire = Wire::to(&cluster).await;
    (cluster, wire)
}

#[tokio::test(start_paused = true)]
async fn p13_topic_rights() {
    let (_, mut wire) = denied(Operation::Write, topic()).await;
    assert_eq!(wire.produce("t", 0, batch(1)).await.0, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    let (_, mut wire) = denied(Operation::Read, topic()).await;
    let read = wire
        .fetch("t", Uuid::nil(), 0, FetchOptions { version: Some(12), ..FetchOptions::default() })
        .await;
    assert_eq!(ErrorCode(read.error_code), ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    let (_, mut wire) = denied(Operation::Describe, topic()).await;
    let listed = wire.list_offset("t", -1, ListOptions::default()).await;
    assert_eq!(listed.0, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
}

#[tokio::test(start_paused = true)]
async fn p13_metadata_shows_rights_and_hides_existence() {
    let (cluster, mut wire) = denied(Operation::Write, topic()).await;
    let ask = |name| {
        let topic = MetadataRequestTopic::default().with_name(Some(topic_name(name)));
        MetadataRequest::default()
            .with_topics(Some(vec![topic]))
            .with_include_topic_authorized_operations(true)
    };
    let bits = wire.call(9, ask("t")).await.topics[0].topic_authorized_operations;
    let bit = |code: i32| bits & 1 << code != 0;
    assert!(bit(3) && !bit(4) && bit(8), "{bits:#x}");
    cluster.deny(ME, Operation::Describe, Resource::Topic("*".to_owned()));
    for name in ["t", "missing"] {
        let hidden = wire.call(9, ask(name)).await.topics.remove(0);
        assert_eq!(ErrorCode(hidden.error_code), ErrorCode::TOPIC_AUTHORIZATION_FAILED, "{name}");
        assert_eq!(hidden.topic_authorized_operations, i32::MIN);
    }
    let all = wire.call(9, MetadataRequest::default().with_topics(None)).await;
    assert!(all.topics.is_empty());
}

#[tokio::test(start_paused = true)]
async fn p13_cluster_rights() {
    let (cluster, mut wire) = denied(Operation::IdempotentWrite, Resource::Cluster).await;
    assert_eq!(wire.init_producer(None).await.0, ErrorCode::NONE, "WRITE on one topic is enough");
    cluster.deny(ME, Operation::Write, Resource::Topic("*".to_owned()));
    assert_eq!(wire.init_producer(None).await.0, ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
    let ask = DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
    let before = wire.call(0, ask.clone()).await.cluster_authorized_operations;
    assert_ne!(before, 0);
    cluster.deny(ME, Operation::Describe, Resource::Cluster);
    assert_eq!(wire.call(0, ask).await.cluster_authorized_operations, 0);
}

#[tokio::test(start_paused = true)]
async fn p13_dry_runs() {
    let (cluster, mut wire) = denied(Operation::AlterConfigs, topic()).await;
    let alter = |key: &str, value: &str| {
        let config = AlterableConfig::default().with_name(text(key)).with_value(Some(text(value)));
        let resource = AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text("t"))
            .with_configs(vec![config]);
        IncrementalAlterConfigsRequest::default()
            .with_resources(vec![resource])
            .with_validate_only(true)
    };
    let code = |wire: i16| ErrorCode(wire);
    let refused = wire.call(1, alter("retention.ms", "5")).await.responses[0].error_code;
    assert_eq!(code(refused), ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    cluster.allow_all();
    for (key, value, expected) in [
        ("retention.ms", "5", ErrorCode::NONE),
        ("retention.ms", "soon", ErrorCode::INVALID_CONFIG),
        ("no.such.key", "5", ErrorCode::INVALID_CONFIG),
    ] {
        assert_eq!(
            code(wire.call(1, alter(key, value)).await.responses[0].error_code),
            expected,
            "{key}={value}"
        );
    }
    assert!(cluster.topic_overrides("t").is_empty(), "only validated");

    let create = |name: &str| {
        let topic = CreatableTopic::default()
            .with_name(topic_name(name))
            .with_num_partitions(-1)
            .with_replication_factor(-1);
        CreateTopicsRequest::default().with_topics(vec![topic]).with_validate_only(true)
    };
    assert_eq!(
        code(wire.call(7, create("t")).await.topics[0].error_code),
        ErrorCode::TOPIC_ALREADY_EXISTS
    );
    cluster.deny(ME, Operation::DescribeConfigs, Resource::Topic("new".to_owned()));
    let created = wire.call(7, create("new")).await.topics.remove(0);
    assert_eq!(created.error_code, 0);
    assert_eq!(code(created.topic_config_error_code), ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    cluster.deny(ME, Operation::Create, Resource::Topic("new".to_owned()));
    let refused = wire.call(7, create("new")).await.topics[0].error_code;
    assert_eq!(code(refused), ErrorCode::TOPIC_AUTHORIZATION_FAILED);
}
