//! P5: refused headers.

use bytes::Bytes;
use kafka_sim::{Cluster, Release};
use kafka_wire::ErrorCode;
use kafka_wire::compression::Compression;
use kafka_wire::messages::produce_request::ProduceRequest;
use kafka_wire::record::{BatchHeader, BatchOptions, encode_batch};

use crate::wire::{
    NOW_MS, Wire, altered, batch, cluster, keyless_records, produce_request, records, timed_records,
};

const NONE: Option<ErrorCode> = Some(ErrorCode::NONE);
const INVALID: Option<ErrorCode> = Some(ErrorCode::INVALID_RECORD);
const CORRUPT: Option<ErrorCode> = Some(ErrorCode::CORRUPT_MESSAGE);
/// The connection is closed without an answer.
const CLOSED: Option<ErrorCode> = None;

/// Sends one batch to each release family; the answers stand for 2.8 and later, 1.1, 0.11.
async fn check(
    name: &str,
    topic: &str,
    sent: &Bytes,
    modern: Option<ErrorCode>,
    v1: Option<ErrorCode>,
    v0: Option<ErrorCode>,
) {
    for release in Release::ALL {
        let expected = match release {
            Release::V0_11 => v0,
            Release::V1_1 => v1,
            _ => modern,
        };
        let cluster = cluster(release);
        cluster.create_topic("compacted", 1, &[("cleanup.policy", "compact")]).unwrap();
        cluster.create_topic("small", 1, &[("max.message.bytes", "200")]).unwrap();
        let mut wire = Wire::to(&cluster).await;
        let answer = wire.try_produce(topic, 0, sent.clone()).await;
        assert_eq!(
            answer.map(|answer| ErrorCode(answer.error_code)),
            expected,
            "{name} on {release}"
        );
        let appended = i64::from(expected == NONE);
        assert_eq!(
            cluster.end_offset(topic, 0).unwrap().min(1),
            appended,
            "{name} on {release}: appended"
        );
    }
}

fn packed(count: i64) -> Bytes {
    let options = BatchOptions { compression: Compression::Gzip, ..BatchOptions::default() };
    encode_batch(&options, &records(count)).unwrap()
}

fn with_count(batch: &Bytes, count: i32) -> Bytes {
    altered(batch, |bytes| bytes[57..61].copy_from_slice(&count.to_be_bytes()))
}

fn with_counts(batch: &Bytes, count: i32) -> Bytes {
    altered(&with_count(batch, count), |bytes| {
        bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes())
    })
}

#[tokio::test(start_paused = true)]
async fn p5_counts_and_gaps() {
    let mut gap = records(3);
    gap[2].offset = 9;
    let plain_gap = encode_batch(&BatchOptions::default(), &gap).unwrap();
    check("gap", "t", &plain_gap, INVALID, CORRUPT, NONE).await;
    for whole in [batch(3), packed(3)] {
        check("count 5 of 3", "t", &with_counts(&whole, 5), INVALID, CORRUPT, CORRUPT).await;
        check("count 2 of 3", "t", &with_counts(&whole, 2), INVALID, CORRUPT, CORRUPT).await;
        check("count 0", "t", &with_count(&whole, 0), INVALID, CORRUPT, CORRUPT).await;
    }
}

#[tokio::test(start_paused = true)]
async fn p5_a_gap_damages_a_0_11_log() {
    let cluster = cluster(Release::V0_11);
    let mut wire = Wire::to(&cluster).await;
    wire.produce("t", 0, batch(9)).await;
    let mut gap = records(3);
    gap[2].offset = 9;
    let gap = encode_batch(&BatchOptions::default(), &gap).unwrap();
    assert_eq!(wire.produce("t", 0, gap).await, (ErrorCode::NONE, 9));
    let stored = cluster.log("t", 0).unwrap().pop().unwrap();
    let header = BatchHeader::parse(&stored).unwrap();
    assert_eq!((header.base_offset, header.last_offset()), (2, 11));
}

#[tokio::test(start_paused = true)]
async fn p5_header_fields() {
    for whole in [batch(3), packed(3)] {
        let moved = altered(&whole, |bytes| bytes[0..8].copy_from_slice(&1234_i64.to_be_bytes()));
        check("base offset", "t", &moved, INVALID, CORRUPT, CORRUPT).await;
        let control = altered(&whole, |bytes| bytes[22] |= 0x20);
        check("control bit", "t", &control, INVALID, CORRUPT, CORRUPT).await;
        let mut broken = whole.to_vec();
        broken[17] ^= 0x55;
        check("bad crc", "t", &broken.into(), CORRUPT, CORRUPT, CORRUPT).await;
        let epoch = altered(&whole, |bytes| bytes[12..16].copy_from_slice(&77_i32.to_be_bytes()));
        check("leader epoch", "t", &epoch, NONE, NONE, NONE).await;
        let bits = altered(&whole, |bytes| bytes[22] |= 0xc0);
        check("bits 6 and 7", "t", &bits, NONE, NONE, NONE).await;
        for max in [i64::MAX, -1] {
            let odd = altered(&whole, |bytes| bytes[35..43].copy_from_slice(&max.to_be_bytes()));
            check("max timestamp", "t", &odd, NONE, NONE, NONE).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p5_shapes() {
    let two = [batch(1), batch(1)].concat().into();
    check("two batches", "t", &two, INVALID, CLOSED, CLOSED).await;
    let whole = batch(3);
    check("truncated", "t", &whole.slice(..whole.len() - 5), INVALID, CLOSED, CLOSED).await;
    check("no bytes", "t", &Bytes::new(), INVALID, CLOSED, CLOSED).await;
}

#[tokio::test(start_paused = true)]
async fn p5_topic_rules() {
    let keyless = encode_batch(&BatchOptions::default(), &keyless_records(2)).unwrap();
    check("null key", "compacted", &keyless, INVALID, CORRUPT, CORRUPT).await;
    check("keyed", "compacted", &batch(2), NONE, NONE, NONE).await;
    let too_large = Some(ErrorCode::MESSAGE_TOO_LARGE);
    check("too large", "small", &batch(20), too_large, too_large, too_large).await;
    for timestamp in [0, -1, -1000] {
        let odd = encode_batch(&BatchOptions::default(), &timed_records(2, timestamp)).unwrap();
        check("old timestamps", "t", &odd, NONE, NONE, NONE).await;
    }
}

#[tokio::test(start_paused = true)]
async fn p5_a_null_key_is_named_in_the_answer() {
    let cluster = cluster(Release::V4_2);
    cluster.create_topic("compacted", 1, &[("cleanup.policy", "compact")]).unwrap();
    let mut wire = Wire::to(&cluster).await;
    let keyless = encode_batch(&BatchOptions::default(), &keyless_records(2)).unwrap();
    let answer = wire.try_produce("compacted", 0, keyless).await.unwrap();
    assert_eq!(answer.record_errors.len(), 2);
    let header_fault = wire.try_produce("t", 0, with_count(&batch(3), 0)).await.unwrap();
    assert!(header_fault.record_errors.is_empty() && header_fault.error_message.is_none());
}

#[tokio::test(start_paused = true)]
async fn p5_timestamps_from_the_future() {
    for release in Release::ALL {
        let cluster = cluster(release);
        let mut wire = Wire::to(&cluster).await;
        let strict = release >= Release::V4_1;
        let hours = |hours: i64| NOW_MS + hours * 3_600_000;
        for (timestamp, refused) in
            [(hours(2), strict), (i64::MAX, strict), (NOW_MS + 60_000, false)]
        {
            let batch =
                encode_batch(&BatchOptions::default(), &timed_records(1, timestamp)).unwrap();
            let answer = wire.try_produce("t", 0, batch).await.unwrap();
            let expected = if refused { ErrorCode::INVALID_TIMESTAMP } else { ErrorCode::NONE };
            assert_eq!(ErrorCode(answer.error_code), expected, "{release} {timestamp}");
            if refused {
                let message = answer.error_message.unwrap();
                assert!(message.contains(&format!("{}]", hours(1))), "{message:?}");
            }
        }
    }
}

/// Produces to several partitions in one request.
async fn together(cluster: &Cluster, data: &[(&str, i32, Bytes)]) -> Vec<ErrorCode> {
    let mut wire = Wire::to(cluster).await;
    let version = wire.produce_version();
    let response = wire.call::<ProduceRequest>(version, produce_request(None, data)).await;
    let partitions = response.responses.iter().flat_map(|topic| &topic.partition_responses);
    partitions.map(|partition| ErrorCode(partition.error_code)).collect()
}

#[tokio::test(start_paused = true)]
async fn p5_neighbours_get_their_own_answers() {
    for release in Release::ALL {
        let cluster = cluster(release);
        cluster.create_topic("compacted", 1, &[("cleanup.policy", "compact")]).unwrap();
        let keyless = encode_batch(&BatchOptions::default(), &keyless_records(2)).unwrap();
        let codes = together(
            &cluster,
            &[("t", 0, batch(1)), ("missing", 0, batch(1)), ("compacted", 0, keyless)],
        )
        .await;
        let invalid = if release >= Release::V2_8 {
            ErrorCode::INVALID_RECORD
        } else {
            ErrorCode::CORRUPT_MESSAGE
        };
        assert_eq!(
            codes,
            [ErrorCode::NONE, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION, invalid],
            "{release}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn p5_a_transactional_bit_spoils_the_whole_request() {
    for release in Release::ALL {
        let cluster = cluster(release);
        cluster.create_topic("u", 1, &[]).unwrap();
        let marked = altered(&crate::wire::sequenced(5, 0, 0, 1), |bytes| bytes[22] |= 0x10);
        let codes = together(&cluster, &[("t", 0, batch(1)), ("u", 0, marked)]).await;
        let expected = if release >= Release::V2_8 {
            [ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED; 2]
        } else {
            [ErrorCode::NONE; 2]
        };
        assert_eq!(codes, expected, "{release}");
    }
}
