//! The client when things go wrong: answers lost, brokers gone, leaders moved. Time is virtual.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of their functions")]

use std::{future::Future, time::Duration};

use kafka_client::{
    Client, ClientError, ConnectionConfig, CoordinatorKind, Isolation, NewTopic, OffsetSpec,
    OffsetToCommit, TopicPartition, TopicQuery,
};
use kafka_sim::{Cluster, ClusterConfig, Fault, FaultAction};
use kafka_wire::{
    ErrorCode,
    messages::ApiKey,
    produce::{ProducePartition, ProduceTopic},
    record::{BatchOptions, Record, encode_batch},
};
use tokio::time::{Instant, timeout};

const TOPIC: &str = "topic";

/// A cluster of three brokers with one topic of three partitions, replicated, and its client.
fn setup() -> (Cluster, Client) {
    let cluster = Cluster::new(ClusterConfig { brokers: 3, ..ClusterConfig::default() });
    cluster.create_replicated_topic(TOPIC, 3, 3, &[]).unwrap();
    let client =
        Client::with_connector(ConnectionConfig::new(cluster.bootstrap()), cluster.connector());
    (cluster, client)
}

fn at(partition: i32) -> TopicPartition {
    TopicPartition::new(TOPIC, partition)
}

fn batch(cluster: &Cluster, partition: i32) -> Vec<ProduceTopic> {
    let record = Record {
        offset: 0,
        timestamp: cluster.now_ms(),
        key: None,
        value: None,
        headers: Vec::new(),
    };
    let header = encode_batch(&BatchOptions::default(), &[record]).unwrap();
    let partitions = vec![ProducePartition { partition, header, payload: bytes::Bytes::new() }];
    vec![ProduceTopic {
        name: TOPIC.into(),
        topic_id: cluster.topic_id(TOPIC).unwrap(),
        partitions,
    }]
}

async fn ends(client: &Client) -> Vec<i64> {
    let wanted = (0..3).map(|partition| (at(partition), OffsetSpec::Latest)).collect();
    let found = client.list_offsets(wanted, Isolation::ReadUncommitted).await.unwrap();
    found.into_values().map(|found| found.unwrap().offset).collect()
}

/// No call may hang; virtual time makes waiting free.
async fn within<T>(seconds: u64, work: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(seconds), work).await.expect("it takes too long")
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_unknown_and_so_is_everything_behind_it() {
    for action in [
        FaultAction::LoseAnswer,
        FaultAction::CutBefore,
        FaultAction::CutAfterBytes(3),
        FaultAction::CutAfterBytes(9),
    ] {
        let (cluster, client) = setup();
        let leader = cluster.leader(TOPIC, 0).unwrap();
        let connection = client.dedicated(leader).await.unwrap();
        cluster.add_fault(Fault::once(ApiKey::Produce, action));
        let send = || connection.produce(-1, Duration::from_secs(5), batch(&cluster, 0));
        let (first, second) = (send(), send());
        for call in [first.await, second.await] {
            let error = call.unwrap_err();
            assert!(error.is_connection(), "{action:?}: {error}");
        }
        assert!(connection.is_closed());
        let after =
            connection.produce(-1, Duration::from_secs(5), batch(&cluster, 0)).await.unwrap_err();
        assert!(!after.is_connection() && matches!(after, ClientError::NotSent { .. }), "{after}");
        let again = client.dedicated(leader).await.unwrap();
        let acks = again.produce(-1, Duration::from_secs(5), batch(&cluster, 0)).await.unwrap();
        let expected = i64::from(action != FaultAction::CutBefore);
        assert_eq!((acks[0].error, acks[0].base_offset), (ErrorCode::NONE, expected), "{action:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn silence_ends_with_the_time_out() {
    let (cluster, client) = setup();
    let connection = client.dedicated(cluster.leader(TOPIC, 0).unwrap()).await.unwrap();
    cluster.add_fault(Fault::once(ApiKey::Produce, FaultAction::Hang));
    let started = Instant::now();
    let error =
        connection.produce(-1, Duration::from_secs(5), batch(&cluster, 0)).await.unwrap_err();
    assert!(error.is_connection() && error.to_string().contains("Produce"), "{error}");
    assert_eq!(started.elapsed().as_secs(), 6);
    assert!(connection.is_closed());
}

#[tokio::test(start_paused = true)]
async fn an_answer_too_many_ends_the_connection() {
    let (cluster, client) = setup();
    let connection = client.dedicated(cluster.leader(TOPIC, 0).unwrap()).await.unwrap();
    cluster.add_fault(Fault::once(ApiKey::Produce, FaultAction::Duplicate));
    connection.produce(-1, Duration::from_secs(5), batch(&cluster, 0)).await.unwrap();
    while !connection.is_closed() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn questions_are_asked_again() {
    let (cluster, client) = setup();
    for api in [ApiKey::Metadata, ApiKey::ListOffsets] {
        cluster.add_fault(Fault { times: 3, ..Fault::once(api, FaultAction::LoseAnswer) });
        within(10, client.refresh_metadata(TopicQuery::All)).await.unwrap();
        assert_eq!(within(10, ends(&client)).await, [0, 0, 0]);
    }
    cluster.add_fault(Fault::once(ApiKey::FindCoordinator, FaultAction::LoseAnswer));
    cluster.add_fault(Fault::once(ApiKey::OffsetCommit, FaultAction::LoseAnswer));
    cluster.add_fault(Fault::once(ApiKey::OffsetFetch, FaultAction::CutBefore));
    cluster.add_fault(Fault::once(ApiKey::DescribeConfigs, FaultAction::CutBefore));
    cluster.add_fault(Fault::once(ApiKey::InitProducerId, FaultAction::LoseAnswer));
    let offset = OffsetToCommit { at: at(0), offset: 5, metadata: None };
    assert_eq!(within(10, client.offset_commit("g", vec![offset])).await.unwrap()[&at(0)], Ok(()));
    let found = within(10, client.offset_fetch("g", None, false)).await.unwrap();
    assert_eq!(found[&at(0)].clone().unwrap().offset, 5);
    within(10, client.describe_topic_configs(vec![TOPIC.to_owned()])).await.unwrap()[TOPIC]
        .clone()
        .unwrap();
    within(10, client.init_producer_id(Some("t"), Duration::from_secs(60))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn creations_are_not_repeated() {
    let (cluster, client) = setup();
    cluster.add_fault(Fault::once(ApiKey::CreateTopics, FaultAction::LoseAnswer));
    let wanted = vec![NewTopic::new("new", 1, 1)];
    let error =
        within(10, client.create_topics(wanted, false, Duration::from_secs(5))).await.unwrap_err();
    assert!(error.is_connection(), "{error}");
    assert!(cluster.topic_id("new").is_some());
}

#[tokio::test(start_paused = true)]
async fn moved_leaders_are_found() {
    let (cluster, client) = setup();
    assert_eq!(ends(&client).await, [0, 0, 0]);
    for partition in 0..3 {
        let next = cluster.leader(TOPIC, partition).unwrap() % 3 + 1;
        cluster.move_leader(TOPIC, partition, next).unwrap();
    }
    assert_eq!(within(5, ends(&client)).await, [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_broker_is_waited_for() {
    let (cluster, client) = setup();
    within(5, ends(&client)).await;
    let dead = cluster.leader(TOPIC, 0).unwrap();
    cluster.kill_broker(dead);
    within(20, ends(&client)).await;
    // All of them, for a while.
    for id in cluster.broker_ids() {
        cluster.kill_broker(id);
    }
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { ends(&client).await }
    });
    tokio::time::sleep(Duration::from_secs(15)).await;
    assert!(!waiting.is_finished());
    for id in cluster.broker_ids() {
        cluster.start_broker(id);
    }
    within(20, waiting).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn nobody_there_is_told_in_time() {
    let (cluster, client) = setup();
    for id in cluster.broker_ids() {
        cluster.kill_broker(id);
    }
    let started = Instant::now();
    let error = client.refresh_metadata(TopicQuery::All).await.unwrap_err();
    assert!(matches!(error, ClientError::OutOfTime { .. }), "{error}");
    assert!(started.elapsed() <= client.config().limits.retry_time_max + Duration::from_secs(10));
}

#[tokio::test(start_paused = true)]
async fn a_dead_coordinator_is_replaced() {
    let (cluster, client) = setup();
    let coordinator = client.coordinator(CoordinatorKind::Group, "g").await.unwrap().broker_id();
    cluster.kill_broker(coordinator);
    let offset = OffsetToCommit { at: at(0), offset: 5, metadata: None };
    assert_eq!(within(30, client.offset_commit("g", vec![offset])).await.unwrap()[&at(0)], Ok(()));
    assert_ne!(
        client.coordinator(CoordinatorKind::Group, "g").await.unwrap().broker_id(),
        coordinator
    );
}

/// The third Metadata request would hang.
#[tokio::test(start_paused = true)]
async fn many_callers_share_one_request() {
    let (cluster, client) = setup();
    cluster.add_fault(Fault { skip: 2, ..Fault::once(ApiKey::Metadata, FaultAction::Hang) });
    let started = Instant::now();
    let calls = (0..100).map(|index| {
        let client = client.clone();
        let query = TopicQuery::Named(vec![TOPIC.to_owned(), format!("other-{index}")]);
        tokio::spawn(async move { client.refresh_metadata(query).await.unwrap() })
    });
    for (index, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
        let found = call.await.unwrap();
        assert_eq!(found.topics.len(), 2);
        assert_eq!(found.topics[TOPIC].partitions.len(), 3);
        assert!(!found.topics[&format!("other-{index}")].error.is_ok());
    }
    assert!(started.elapsed() < Duration::from_secs(1));
    // And now no request at all.
    client.metadata(TopicQuery::Named(vec![TOPIC.to_owned()])).await.unwrap();
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_refuses() {
    let cluster = Cluster::new(ClusterConfig::default());
    let mut config = ConnectionConfig::new(cluster.bootstrap());
    config.limits.queue_max = 2;
    let client = Client::with_connector(config, cluster.connector());
    let connection = client.any_broker().await.unwrap();
    let call = || connection.call(kafka_wire::messages::ListGroupsRequest::default());
    let (first, second, third) = (call(), call(), call());
    assert!(matches!(third.await, Err(ClientError::QueueFull { limit: 2, .. })));
    first.await.unwrap();
    second.await.unwrap();
    call().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_closed_client_refuses() {
    let (_cluster, client) = setup();
    let connection = client.any_broker().await.unwrap();
    client.close().await;
    assert!(connection.is_closed());
    let error = client.refresh_metadata(TopicQuery::All).await.unwrap_err();
    assert!(matches!(error, ClientError::Closed), "{error}");
}
