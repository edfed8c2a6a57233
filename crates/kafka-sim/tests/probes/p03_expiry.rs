//! P3: DescribeProducers and the life of producer state.

use std::time::Duration;

use kafka_sim::{Cluster, ClusterConfig, Release};
use kafka_wire::ErrorCode;
use kafka_wire::messages::describe_producers_request::{DescribeProducersRequest, TopicRequest};
use kafka_wire::record::encode_batch;

use crate::wire::{NOW_MS, Wire, producer_options, sequenced, timed_records, topic_name};

const HOUR_MS: i64 = 3_600_000;

fn checked_every_second(release: Release) -> Cluster {
    let config = ClusterConfig {
        start_time_ms: Some(NOW_MS),
        producer_expiry_check_ms: 1000,
        ..ClusterConfig::release(release)
    };
    let cluster = Cluster::new(config);
    cluster.create_topic("t", 1, &[]).unwrap();
    cluster.create_topic("stamped", 1, &[("message.timestamp.type", "LogAppendTime")]).unwrap();
    cluster
}

/// A producer of records `age_ms` old: is it still known after the next check?
async fn check(release: Release, topic: &str, age_ms: i64, expected: bool) {
    let cluster = checked_every_second(release);
    let mut wire = Wire::to(&cluster).await;
    let batch = |sequence| {
        let records = timed_records(3, NOW_MS - age_ms);
        encode_batch(&producer_options(9, 0, sequence), &records).unwrap()
    };
    wire.produce(topic, 0, batch(0)).await;
    wire.produce(topic, 0, batch(3)).await;
    tokio::time::sleep(Duration::from_millis(1100)).await;
    // A repeat of a known batch keeps its offset; of a forgotten one it is appended again.
    let (code, offset) = wire.produce(topic, 0, batch(3)).await;
    assert_eq!(code, ErrorCode::NONE);
    assert_eq!(offset == 3, expected, "{release} {topic}: {age_ms} ms old, offset {offset}");
}

#[tokio::test(start_paused = true)]
async fn p3_expiry_follows_record_time() {
    for release in [Release::V3_9, Release::V4_2] {
        check(release, "t", 0, true).await;
        check(release, "t", 23 * HOUR_MS, true).await;
        check(release, "t", 25 * HOUR_MS, false).await;
        check(release, "t", 10 * 365 * 24 * HOUR_MS, false).await;
        check(release, "t", NOW_MS + 1, false).await;
        check(release, "stamped", 10 * 365 * 24 * HOUR_MS, true).await;
    }
    check(Release::V2_8, "t", 2 * 24 * HOUR_MS, true).await;
    check(Release::V2_8, "t", 10 * 24 * HOUR_MS, false).await;
}

#[tokio::test(start_paused = true)]
async fn p3_the_check_runs_every_ten_minutes_by_default() {
    let cluster = crate::wire::cluster(Release::V4_2);
    let mut wire = Wire::to(&cluster).await;
    let old =
        encode_batch(&producer_options(9, 0, 0), &timed_records(3, NOW_MS - 48 * HOUR_MS)).unwrap();
    wire.produce("t", 0, old.clone()).await;
    tokio::time::sleep(Duration::from_secs(500)).await;
    assert_eq!(wire.produce("t", 0, old.clone()).await, (ErrorCode::NONE, 0));
    tokio::time::sleep(Duration::from_secs(200)).await;
    assert_eq!(wire.produce("t", 0, old).await, (ErrorCode::NONE, 3));
}

#[tokio::test(start_paused = true)]
async fn p3_a_restart_forgets_old_producers_and_keeps_recent_ones() {
    let cluster = crate::wire::cluster(Release::V4_2);
    let mut wire = Wire::to(&cluster).await;
    let old =
        encode_batch(&producer_options(8, 0, 0), &timed_records(3, NOW_MS - 48 * HOUR_MS)).unwrap();
    wire.produce("t", 0, old.clone()).await;
    wire.produce("t", 0, sequenced(9, 0, 0, 3)).await;
    cluster.kill_broker(1);
    cluster.start_broker(1);
    let mut wire = Wire::to(&cluster).await;
    assert_eq!(wire.produce("t", 0, sequenced(9, 0, 0, 3)).await, (ErrorCode::NONE, 3));
    assert_eq!(
        wire.produce("t", 0, sequenced(9, 0, 9, 3)).await.0,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
    );
    assert_eq!(wire.produce("t", 0, old).await, (ErrorCode::NONE, 6));
}

#[tokio::test(start_paused = true)]
async fn p3_describe_producers_names_the_last_record() {
    let cluster = crate::wire::cluster(Release::V4_2);
    let mut wire = Wire::to(&cluster).await;
    wire.produce("t", 0, sequenced(9, 2, 0, 3)).await;
    let topics =
        vec![TopicRequest::default().with_name(topic_name("t")).with_partition_indexes(vec![0])];
    let response = wire.call(0, DescribeProducersRequest::default().with_topics(topics)).await;
    let producers = &response.topics[0].partitions[0].active_producers;
    assert_eq!(producers.len(), 1);
    let found = &producers[0];
    assert_eq!((found.producer_id.0, found.producer_epoch, found.last_sequence), (9, 2, 2));
    assert_eq!((found.coordinator_epoch, found.current_txn_start_offset), (-1, -1));
    assert_eq!(found.last_timestamp, NOW_MS);
}
