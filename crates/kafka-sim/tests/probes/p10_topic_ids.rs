//! P10: deleted and recreated topics, fetched and produced by id.

use std::time::Duration;

use kafka_sim::{Cluster, ClusterConfig, Release};
use kafka_wire::messages::create_topics_request::{CreatableTopic, CreateTopicsRequest};
use kafka_wire::messages::delete_topics_request::{DeleteTopicState, DeleteTopicsRequest};
use kafka_wire::messages::fetch_request::FetchRequest;
use kafka_wire::messages::produce_request::ProduceRequest;
use kafka_wire::{ErrorCode, Uuid};
use tokio::time::Instant;

use crate::wire::{FetchOptions, Wire, batch, cluster, fetch_request, produce_request, topic_name};

/// A full fetch that opens a session; gives its id.
async fn open_session(wire: &mut Wire, id: Uuid) -> i32 {
    let request =
        fetch_request("t", id, 0, &FetchOptions { session: (0, 0), ..FetchOptions::default() });
    let response = wire.call_highest(request).await;
    assert_eq!(response.error_code, 0);
    response.session_id
}

/// An incremental fetch without changes.
fn go_on(session: i32, epoch: i32, max_wait_ms: i32) -> FetchRequest {
    let options =
        FetchOptions { session: (session, epoch), max_wait_ms, ..FetchOptions::default() };
    fetch_request("t", Uuid::nil(), 0, &options).with_topics(Vec::new())
}

#[tokio::test(start_paused = true)]
async fn p10_a_session_sees_deletion_and_recreation() {
    for release in [Release::V3_9, Release::V4_2] {
        let cluster = cluster(release);
        let id = cluster.topic_id("t").unwrap();
        let mut wire = Wire::to(&cluster).await;
        let session = open_session(&mut wire, id).await;
        assert_ne!(session, 0);

        // A long poll is answered when the topic goes, not when its time is over.
        let version = wire.highest::<FetchRequest>();
        wire.send(version, &go_on(session, 1, 5000)).await;
        let started = Instant::now();
        tokio::time::sleep(Duration::from_millis(100)).await;
        cluster.delete_topic("t");
        let response = wire.receive::<FetchRequest>(version).await.unwrap();
        assert!(started.elapsed() < Duration::from_secs(1));
        let code = |partition: i16| ErrorCode(partition);
        assert_eq!(response.error_code, 0);
        let first = response.responses[0].partitions[0].error_code;
        assert_eq!(code(first), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, "{release}");

        let again = wire.call(version, go_on(session, 2, 0)).await;
        assert_eq!(
            code(again.responses[0].partitions[0].error_code),
            ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        );

        let new_id = cluster.create_topic("t", 1, &[]).unwrap();
        let old = wire.call(version, go_on(session, 3, 0)).await;
        assert_eq!(
            code(old.responses[0].partitions[0].error_code),
            ErrorCode::INCONSISTENT_TOPIC_ID,
            "{release}"
        );
        let without = wire.fetch("t", id, 0, FetchOptions::default()).await;
        assert_eq!(code(without.error_code), ErrorCode::UNKNOWN_TOPIC_ID, "{release}");
        assert_eq!(wire.fetch("t", new_id, 0, FetchOptions::default()).await.error_code, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn p10_produce_by_an_old_id_is_refused() {
    let cluster = cluster(Release::V4_2);
    let old = cluster.topic_id("t").unwrap();
    cluster.delete_topic("t");
    let new = cluster.create_topic("t", 1, &[]).unwrap();
    let mut wire = Wire::to(&cluster).await;
    for (id, expected) in [(old, ErrorCode::UNKNOWN_TOPIC_ID), (new, ErrorCode::NONE)] {
        let mut request: ProduceRequest = produce_request(None, &[("t", 0, batch(1))]);
        request.topic_data[0].topic_id = id;
        let response = wire.call(13, request).await;
        assert_eq!(ErrorCode(response.responses[0].partition_responses[0].error_code), expected);
        assert_eq!(response.responses[0].topic_id, id);
    }
}

async fn create(wire: &mut Wire) -> ErrorCode {
    let topic = CreatableTopic::default()
        .with_name(topic_name("t"))
        .with_num_partitions(1)
        .with_replication_factor(1);
    let request = CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(1000);
    ErrorCode(wire.call_highest(request).await.topics[0].error_code)
}

#[tokio::test(start_paused = true)]
async fn p10_a_name_is_taken_while_its_deletion_runs() {
    let config = ClusterConfig {
        delete_delay: Duration::from_secs(2),
        ..ClusterConfig::release(Release::V2_8)
    };
    let cluster = Cluster::new(config);
    let mut wire = Wire::to(&cluster).await;
    assert_eq!(create(&mut wire).await, ErrorCode::NONE);
    assert_eq!(create(&mut wire).await, ErrorCode::TOPIC_ALREADY_EXISTS);
    let topics = vec![DeleteTopicState::default().with_name(Some(topic_name("t")))];
    let deleted = wire
        .call_highest(DeleteTopicsRequest::default().with_topics(topics).with_timeout_ms(1000))
        .await;
    assert_eq!(deleted.responses[0].error_code, 0);
    assert_eq!(create(&mut wire).await, ErrorCode::TOPIC_ALREADY_EXISTS);
    let gone = wire.produce("t", 0, batch(1)).await;
    assert_eq!(gone.0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(create(&mut wire).await, ErrorCode::NONE);
}
