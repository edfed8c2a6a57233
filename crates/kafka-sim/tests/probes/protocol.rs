//! Framing, versions, long polls, ListOffsets, topics and configuration.

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_sim::{Cluster, ClusterConfig, Release};
use kafka_wire::message::{decode_api_versions, encode_request};
use kafka_wire::messages::api_versions_request::ApiVersionsRequest;
use kafka_wire::messages::create_partitions_request::{
    CreatePartitionsRequest, CreatePartitionsTopic,
};
use kafka_wire::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use kafka_wire::messages::describe_configs_request::{
    DescribeConfigsRequest, DescribeConfigsResource,
};
use kafka_wire::messages::fetch_request::FetchRequest;
use kafka_wire::messages::metadata_request::{MetadataRequest, MetadataRequestTopic};
use kafka_wire::messages::{ApiKey, BrokerId};
use kafka_wire::record::{BatchOptions, split};
use kafka_wire::{ErrorCode, Uuid};
use tokio::time::Instant;

use crate::wire::{
    FetchOptions, ListOptions, NOW_MS, Wire, batch, cluster, fetch_request, text, topic_name,
};

#[tokio::test(start_paused = true)]
async fn versions_are_those_of_the_release() {
    for release in Release::ALL {
        let cluster = cluster(release);
        let mut wire = Wire::to(&cluster).await;
        let (_, newest) = release.versions(ApiKey::ApiVersions).unwrap();
        let response = wire
            .call(
                newest,
                ApiVersionsRequest::default()
                    .with_client_software_name(text("a"))
                    .with_client_software_version(text("1")),
            )
            .await;
        let offered: Vec<_> = response
            .api_keys
            .iter()
            .map(|key| (key.api_key, key.min_version, key.max_version))
            .collect();
        let expected: Vec<_> =
            release.offered().map(|(key, min, max)| (key as i16, min, max)).collect();
        assert_eq!(offered, expected, "{release}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_version_of_api_versions_is_answered_in_version_0() {
    let cluster = cluster(Release::V2_8);
    let mut wire = Wire::to(&cluster).await;
    wire.send(4, &ApiVersionsRequest::default()).await;
    let frame = wire.frame().await.unwrap();
    let (_, response) = decode_api_versions(4, frame).unwrap();
    assert_eq!(ErrorCode(response.error_code), ErrorCode::UNSUPPORTED_VERSION);
    assert_eq!((response.api_keys[0].api_key, response.api_keys[0].max_version), (18, 3));
    // The connection goes on.
    assert_eq!(wire.call(0, ApiVersionsRequest::default()).await.error_code, 0);
}

#[tokio::test(start_paused = true)]
async fn unknown_requests_close_the_connection() {
    let check = async |release, bytes: &[u8]| {
        let cluster = cluster(release);
        let mut wire = Wire::to(&cluster).await;
        wire.send_bytes(bytes).await;
        assert!(wire.frame().await.is_none(), "{release}");
    };
    let metadata_v13 = encode_request(1, "x", 13, &MetadataRequest::default()).unwrap();
    check(Release::V2_8, &metadata_v13).await;
    let mut unknown = BytesMut::new();
    unknown.put_slice(&[0, 0, 0, 8, 0x7f, 0x7f, 0, 0, 0, 0, 0, 1]);
    check(Release::V4_2, &unknown).await;
    check(Release::V4_2, &[0xff; 16]).await;
    // A count that no frame can hold.
    check(
        Release::V4_2,
        &[0, 0, 0, 14, 0, 3, 0, 1, 0, 0, 0, 1, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_fetch_answer_is_readable_in_every_version() {
    for release in Release::ALL {
        let cluster = cluster(release);
        let mut wire = Wire::to(&cluster).await;
        wire.produce("t", 0, batch(3)).await;
        wire.produce("t", 0, batch(2)).await;
        let id = cluster.topic_id("t").unwrap();
        for version in 4..=wire.highest::<FetchRequest>() {
            let topic_id = if version >= 13 { id } else { Uuid::nil() };
            for committed in [true, false] {
                let options =
                    FetchOptions { version: Some(version), committed, ..FetchOptions::default() };
                let read = wire.fetch("t", topic_id, 0, options).await;
                let batches: Vec<_> =
                    split(read.records.unwrap()).collect::<Result<_, _>>().unwrap();
                let offsets: Vec<i64> = batches.iter().map(|batch| batch.base_offset()).collect();
                assert_eq!(offsets, [0, 3], "{release} v{version}");
                batches.iter().for_each(|batch| batch.verify_crc().unwrap());
                assert_eq!(
                    (read.error_code, read.high_watermark, read.last_stable_offset),
                    (0, 5, 5)
                );
            }
            let options = FetchOptions { version: Some(version), ..FetchOptions::default() };
            let beyond = wire.fetch("t", topic_id, 99, options).await;
            assert_eq!(
                ErrorCode(beyond.error_code),
                ErrorCode::OFFSET_OUT_OF_RANGE,
                "{release} v{version}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_ends_with_data_or_with_its_time() {
    let cluster = cluster(Release::V4_2);
    let id = cluster.topic_id("t").unwrap();
    let mut reader = Wire::to(&cluster).await;
    let mut writer = Wire::to(&cluster).await;
    let waiting = FetchOptions { max_wait_ms: 3000, ..FetchOptions::default() };
    let started = Instant::now();
    let empty = reader.fetch("t", id, 0, waiting).await;
    assert_eq!(started.elapsed(), Duration::from_secs(3));
    assert!(empty.records.is_none_or(|records| records.is_empty()));

    let version = reader.highest::<FetchRequest>();
    let enough = FetchOptions { min_bytes: 200, ..waiting };
    reader.send(version, &fetch_request("t", id, 0, &enough)).await;
    let started = Instant::now();
    let mut sent = 0;
    while sent < 200 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        writer.produce("t", 0, batch(1)).await;
        sent += batch(1).len();
    }
    let response = reader.receive::<FetchRequest>(version).await.unwrap();
    assert_eq!(response.responses[0].partitions[0].records.as_ref().unwrap().len(), sent);
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_batch_larger_than_the_limit_comes_whole_and_the_last_one_is_cut() {
    let cluster = cluster(Release::V4_2);
    let id = cluster.topic_id("t").unwrap();
    let mut wire = Wire::to(&cluster).await;
    for _ in 0..2 {
        wire.produce("t", 0, batch(10)).await;
    }
    let size = batch(10).len();
    for (limit, expected) in
        [(10, size), (size, size), (size + 30, size + 30), (3 * size, 2 * size)]
    {
        let options =
            FetchOptions { bytes_max: i32::try_from(limit).unwrap(), ..FetchOptions::default() };
        let read = wire.fetch("t", id, 0, options).await;
        assert_eq!(read.records.unwrap().len(), expected, "limit {limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn offsets_by_time() {
    for release in Release::ALL {
        let cluster = cluster(release);
        let mut wire = Wire::to(&cluster).await;
        for step in [0, 2, 1] {
            let records = crate::wire::timed_records(2, NOW_MS - 10_000 + step * 1000);
            let batch = kafka_wire::record::encode_batch(&Default::default(), &records).unwrap();
            wire.produce("t", 0, batch).await;
        }
        let at = |step: i64| NOW_MS - 10_000 + step * 1000;
        let cases = [
            (-2, (ErrorCode::NONE, 0, -1)),
            (-1, (ErrorCode::NONE, 6, -1)),
            (0, (ErrorCode::NONE, 0, at(0))),
            (at(0) + 1, (ErrorCode::NONE, 2, at(2))),
            (at(2) + 1, (ErrorCode::NONE, -1, -1)),
        ];
        for (timestamp, expected) in cases {
            assert_eq!(
                wire.list_offset("t", timestamp, ListOptions::default()).await,
                expected,
                "{release}: {timestamp}"
            );
        }
        if release >= Release::V3_9 {
            assert_eq!(
                wire.list_offset("t", -3, ListOptions::default()).await,
                (ErrorCode::NONE, 2, at(2)),
                "{release}"
            );
        }
        let missing = wire.list_offset("missing", -1, ListOptions::default()).await;
        assert_eq!(missing.0, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    }
}

fn creatable(
    name: &str,
    partitions: i32,
    replication: i16,
    configs: &[(&str, &str)],
) -> CreateTopicsRequest {
    let configs = configs.iter().map(|(key, value)| {
        CreatableTopicConfig::default().with_name(text(key)).with_value(Some(text(value)))
    });
    let topic = CreatableTopic::default()
        .with_name(topic_name(name))
        .with_num_partitions(partitions)
        .with_replication_factor(replication)
        .with_configs(configs.collect());
    CreateTopicsRequest::default().with_topics(vec![topic]).with_timeout_ms(1000)
}

#[tokio::test(start_paused = true)]
async fn topics_are_created_as_brokers_create_them() {
    let cluster = Cluster::new(ClusterConfig {
        brokers: 3,
        partitions_default: 4,
        ..ClusterConfig::default()
    });
    let mut wire = Wire::to(&cluster).await;
    let cases = [
        ("a", 2, 3, ("retention.ms", "1000"), ErrorCode::NONE),
        ("a", 2, 3, ("retention.ms", "5"), ErrorCode::TOPIC_ALREADY_EXISTS),
        ("b", -1, -1, ("retention.ms", "5"), ErrorCode::NONE),
        ("c", 1, 4, ("retention.ms", "5"), ErrorCode::INVALID_REPLICATION_FACTOR),
        ("c", 0, 1, ("retention.ms", "5"), ErrorCode::INVALID_PARTITIONS),
        ("c", 1, 1, ("retention.sm", "1"), ErrorCode::INVALID_CONFIG),
        ("c", 1, 1, ("retention.ms", "x"), ErrorCode::INVALID_CONFIG),
        ("c d", 1, 1, ("retention.ms", "5"), ErrorCode::INVALID_TOPIC_EXCEPTION),
        ("a_b", 1, 1, ("retention.ms", "5"), ErrorCode::NONE),
    ];
    for (name, partitions, replication, config, expected) in cases {
        let response = wire.call_highest(creatable(name, partitions, replication, &[config])).await;
        assert_eq!(ErrorCode(response.topics[0].error_code), expected, "{name} {config:?}");
    }
    let collision = wire.call_highest(creatable("a.b", 1, 1, &[])).await;
    assert_eq!(ErrorCode(collision.topics[0].error_code), ErrorCode::INVALID_TOPIC_EXCEPTION);
    let metadata = wire.call_highest(MetadataRequest::default().with_topics(None)).await;
    let counts: Vec<_> = metadata
        .topics
        .iter()
        .map(|topic| {
            (
                topic.name.as_ref().unwrap().to_string(),
                topic.partitions.len(),
                topic.partitions[0].replica_nodes.len(),
            )
        })
        .collect();
    assert_eq!(counts, [("a".to_owned(), 2, 3), ("a_b".to_owned(), 1, 1), ("b".to_owned(), 4, 1)]);
}

#[tokio::test(start_paused = true)]
async fn partitions_grow_and_never_shrink() {
    let cluster = cluster(Release::V4_2);
    let mut wire = Wire::to(&cluster).await;
    for (name, count, expected) in [
        ("t", 3, ErrorCode::NONE),
        ("t", 3, ErrorCode::INVALID_PARTITIONS),
        ("t", 2, ErrorCode::INVALID_PARTITIONS),
        ("missing", 2, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
    ] {
        let topic = CreatePartitionsTopic::default()
            .with_name(topic_name(name))
            .with_count(count)
            .with_assignments(None);
        let response =
            wire.call_highest(CreatePartitionsRequest::default().with_topics(vec![topic])).await;
        assert_eq!(ErrorCode(response.results[0].error_code), expected, "{name} to {count}");
    }
    assert_eq!(cluster.topics(), [("t".to_owned(), 3)]);
}

#[tokio::test(start_paused = true)]
async fn configuration_is_shown_with_its_source() {
    let config = ClusterConfig {
        topic_defaults: vec![("retention.ms".to_owned(), "77".to_owned())],
        ..ClusterConfig::default()
    };
    let cluster = Cluster::new(config);
    cluster.create_topic("t", 1, &[("max.message.bytes", "5000")]).unwrap();
    let mut wire = Wire::to(&cluster).await;
    let resource = DescribeConfigsResource::default()
        .with_resource_type(2)
        .with_resource_name(text("t"))
        .with_configuration_keys(None);
    let response =
        wire.call_highest(DescribeConfigsRequest::default().with_resources(vec![resource])).await;
    let found = |name: &str| {
        let entry =
            response.results[0].configs.iter().find(|entry| entry.name.as_str() == name).unwrap();
        (entry.value.clone().unwrap().to_string(), entry.config_source)
    };
    assert_eq!(found("max.message.bytes"), ("5000".to_owned(), 1));
    assert_eq!(found("retention.ms"), ("77".to_owned(), 4));
    assert_eq!(found("cleanup.policy"), ("delete".to_owned(), 5));
    assert_eq!(found("message.timestamp.after.max.ms"), ("3600000".to_owned(), 5));
}

#[tokio::test(start_paused = true)]
async fn describe_configs_v0_of_0_11() {
    let cluster = Cluster::new(ClusterConfig::release(Release::V0_11));
    cluster.create_topic("t", 1, &[("retention.ms", "5")]).unwrap();
    let mut request = BytesMut::new();
    request.put_slice(&[0, 32, 0, 0, 0, 0, 0, 9, 0xff, 0xff]);
    request.put_slice(&[0, 0, 0, 1, 2, 0, 1, b't', 0, 0, 0, 1, 0, 12]);
    request.put_slice(b"retention.ms");
    let mut frame = BytesMut::new();
    frame.put_i32(i32::try_from(request.len()).unwrap());
    frame.put_slice(&request);
    let mut wire = Wire::to(&cluster).await;
    wire.send_bytes(&frame).await;
    let answer = wire.frame().await.unwrap();
    let mut expected = BytesMut::new();
    expected.put_slice(&[
        0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0xff, 0xff, 2, 0, 1, b't', 0, 0, 0, 1, 0, 12,
    ]);
    expected.put_slice(b"retention.ms");
    expected.put_slice(&[0, 1, b'5', 0, 0, 0]);
    assert_eq!(answer, expected.freeze());
}

#[tokio::test(start_paused = true)]
async fn metadata_never_creates_topics_unless_it_may() {
    for (auto_create, expected) in
        [(false, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION), (true, ErrorCode::LEADER_NOT_AVAILABLE)]
    {
        let cluster = Cluster::new(ClusterConfig { auto_create, ..ClusterConfig::default() });
        let mut wire = Wire::to(&cluster).await;
        let topic = MetadataRequestTopic::default().with_name(Some(topic_name("new")));
        let ask = MetadataRequest::default().with_topics(Some(vec![topic]));
        let refused = wire.call(12, ask.clone().with_allow_auto_topic_creation(false)).await;
        assert_eq!(ErrorCode(refused.topics[0].error_code), ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        let response = wire.call(12, ask.with_allow_auto_topic_creation(true)).await;
        assert_eq!(ErrorCode(response.topics[0].error_code), expected);
        assert_eq!(cluster.topics().len(), usize::from(auto_create));
        assert_eq!(response.controller_id, BrokerId(1));
    }
}

#[tokio::test(start_paused = true)]
async fn compaction_leaves_gaps_and_keeps_the_end() {
    let cluster = cluster(Release::V4_2);
    cluster.create_topic("c", 1, &[("cleanup.policy", "compact")]).unwrap();
    let mut wire = Wire::to(&cluster).await;
    // Keys k0..k4, then k0..k1, then the newest batch, which the cleaner leaves alone.
    for count in [5, 2, 1] {
        wire.produce("c", 0, batch(count)).await;
    }
    assert_eq!(cluster.compact("c", 0).unwrap(), 2);
    let offsets: Vec<i64> =
        cluster.records("c", 0).unwrap().iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [2, 3, 4, 5, 6, 7]);
    assert_eq!(cluster.end_offset("c", 0).unwrap(), 8);
    for bytes in cluster.log("c", 0).unwrap() {
        kafka_wire::record::BatchV2::parse(bytes).unwrap().verify_crc().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn compaction_drops_aborted_records_and_keeps_open_ones() {
    let cluster = cluster(Release::V4_2);
    cluster.create_topic("c", 1, &[("cleanup.policy", "compact")]).unwrap();
    let transactional = |producer_id, base_sequence| BatchOptions {
        transactional: true,
        producer_id,
        producer_epoch: 0,
        base_sequence,
        ..BatchOptions::default()
    };
    // Aborted at 0..2, its marker at 2; plain records with other keys; an open transaction; the newest batch.
    cluster.append_records("c", 0, &transactional(5, 0), &crate::wire::records(2)).unwrap();
    cluster.write_marker("c", 0, 5, 0, false).unwrap();
    let mut wire = Wire::to(&cluster).await;
    wire.produce("c", 0, batch(1)).await;
    cluster.append_records("c", 0, &transactional(6, 0), &crate::wire::records(1)).unwrap();
    wire.produce("c", 0, batch(1)).await;
    assert_eq!(cluster.compact("c", 0).unwrap(), 2);
    let offsets: Vec<i64> =
        cluster.records("c", 0).unwrap().iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn old_formats_are_stored_and_fetched_as_they_are() {
    // One v1 message: offset, size, crc, magic 1, attributes 0, timestamp, key null, value "v".
    let mut message = BytesMut::new();
    message.put_slice(&[1, 0]);
    message.put_i64(NOW_MS);
    message.put_i32(-1);
    message.put_i32(1);
    message.put_slice(b"v");
    let mut set = BytesMut::new();
    set.put_i64(0);
    set.put_i32(i32::try_from(message.len() + 4).unwrap());
    set.put_u32(crc32(&message));
    set.put_slice(&message);
    let set: Bytes = set.freeze();
    let cluster = cluster(Release::V1_1);
    cluster.append_raw("t", 0, set.clone()).unwrap();
    let mut wire = Wire::to(&cluster).await;
    assert_eq!(wire.produce("t", 0, batch(1)).await, (ErrorCode::NONE, 1));
    let read = wire.fetch("t", Uuid::nil(), 0, FetchOptions::default()).await;
    assert_eq!(read.records.unwrap().slice(..set.len()), set);
    assert_eq!(cluster.records("t", 0).unwrap()[0].timestamp, NOW_MS);
    assert!(cluster.append_raw("t", 0, set).is_err(), "offsets must rise");
}

/// A batch that is appended many times reads as many batches with their own offsets, and what is no batch is refused.
#[tokio::test(start_paused = true)]
async fn repeated_batches_have_dense_offsets() {
    let cluster = cluster(Release::V4_2);
    cluster.append_repeated("t", 0, &batch(2), 3).unwrap();
    cluster.append_repeated("t", 0, &batch(1), 1).unwrap();
    let offsets: Vec<i64> =
        cluster.records("t", 0).unwrap().iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4, 5, 6]);
    assert!(cluster.append_repeated("t", 0, &Bytes::from_static(b"no batch"), 1).is_err());
}

/// The CRC-32 of formats v0 and v1, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[tokio::test(start_paused = true)]
async fn retention_bounds_a_log() {
    let config = ClusterConfig { partition_bytes_max: Some(1000), ..ClusterConfig::default() };
    let cluster = Cluster::new(config);
    cluster.create_topic("t", 1, &[]).unwrap();
    let mut wire = Wire::to(&cluster).await;
    for _ in 0..100 {
        wire.produce("t", 0, batch(3)).await;
    }
    assert!(cluster.log_bytes("t", 0).unwrap() <= 1000);
    assert_eq!(cluster.end_offset("t", 0).unwrap(), 300);
    assert!(cluster.start_offset("t", 0).unwrap() > 250);
}
