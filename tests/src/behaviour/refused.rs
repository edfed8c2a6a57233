//! Batches that brokers refuse: P5 and P6 of the broker probes.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_sim::Release;
use kafka_wire::{
    ErrorCode,
    crc::crc32c,
    produce::{ProducePartition, ProduceTopic},
    record::{Attributes, BatchHeader, BatchOptions, HEADER_BYTES, encode_batch},
};

use super::env::{Env, appended, plain, records};

/// A batch with an edited header and a checksum that fits.
fn edited(edit: impl FnOnce(&mut BatchHeader)) -> Bytes {
    let batch = plain(&["a", "b", "c"]);
    let mut header = BatchHeader::parse(&batch).unwrap();
    edit(&mut header);
    let mut bytes = BytesMut::from(&header.encode()[..]);
    bytes.extend_from_slice(&batch[HEADER_BYTES..]);
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.freeze()
}

pub(super) async fn refused_batches(env: &Env) {
    let topic = env.topic(1, &[]).await;
    let modern = env.release >= Release::V2_8;
    let invalid = if modern { ErrorCode::INVALID_RECORD } else { ErrorCode::CORRUPT_MESSAGE };
    let check = async |what: &str, batch: Bytes, expected: ErrorCode| {
        let ack = env.produce(&topic, batch).await;
        assert_eq!(ack.error, expected, "{what}: {ack:?}");
    };
    if env.release > Release::V0_11 {
        // 0.11 takes it and damages its log.
        check("a gap", edited(|header| header.last_offset_delta = 9), invalid).await;
    }
    check(
        "more records announced",
        edited(|header| (header.record_count, header.last_offset_delta) = (5, 4)),
        invalid,
    )
    .await;
    check("a base offset", edited(|header| header.base_offset = 1234), invalid).await;
    check(
        "the control bit",
        edited(|header| header.attributes = Attributes(header.attributes.0 | 0x20)),
        invalid,
    )
    .await;
    let mut damaged = BytesMut::from(&plain(&["a", "b"])[..]);
    damaged[18] ^= 1;
    check("a bad checksum", damaged.freeze(), ErrorCode::CORRUPT_MESSAGE).await;
    check("a leader epoch", edited(|header| header.partition_leader_epoch = 77), ErrorCode::NONE)
        .await;
    let no_sequence = edited(|header| {
        (header.producer_id, header.producer_epoch, header.base_sequence) = (5, 0, -1)
    });
    check("a producer without sequence", no_sequence, invalid).await;
    let stamped = env.topic(1, &[("message.timestamp.type", "LogAppendTime")]).await;
    let bit = edited(|header| header.attributes = Attributes(header.attributes.0 | 0x08));
    assert_eq!(env.produce(&stamped, bit.clone()).await.error, ErrorCode::INVALID_TIMESTAMP);
    let lenient = env.release >= Release::V3_9;
    check(
        "the log append time bit",
        bit,
        if lenient { ErrorCode::NONE } else { ErrorCode::INVALID_TIMESTAMP },
    )
    .await;

    let small = env.topic(1, &[("max.message.bytes", "1000")]).await;
    let large = env.produce(&small, plain(&[&"x".repeat(2000)])).await;
    assert_eq!(large.error, ErrorCode::MESSAGE_TOO_LARGE);
}

pub(super) async fn one_bad_partition_does_not_spoil_the_others(env: &Env) {
    let good = env.topic(1, &[]).await;
    let compacted = env.topic(1, &[("cleanup.policy", "compact")]).await;
    let mut keyless = records(&["a"]);
    keyless[0].key = None;
    let keyless = encode_batch(&BatchOptions::default(), &keyless).unwrap();
    assert_ne!(env.produce(&compacted, keyless.clone()).await.error, ErrorCode::NONE);
    appended(&env.produce(&compacted, plain(&["a"])).await);

    // One request with both, by the leader that has both (with several brokers: the one of the first topic).
    let connection = env.leader(&good, 0).await;
    let part = async |topic: &str, batch: Bytes| ProduceTopic {
        name: topic.to_owned().into(),
        topic_id: env.topic_id(topic).await.unwrap_or_default(),
        partitions: vec![ProducePartition { partition: 0, header: batch, payload: Bytes::new() }],
    };
    let topics = vec![part(&good, plain(&["a"])).await, part(&compacted, keyless).await];
    let acks = connection.produce(-1, Duration::from_secs(20), topics).await.unwrap();
    assert_eq!(acks.len(), 2);
    for ack in acks {
        assert_eq!(ack.error.is_ok(), *ack.topic == *good, "{ack:?}");
    }
}
