//! P6: the LogAppendTime bit in a produced batch.

use kafka_sim::Release;
use kafka_wire::ErrorCode;
use kafka_wire::record::{BatchHeader, BatchOptions, encode_batch};

use crate::wire::{NOW_MS, Wire, cluster, timed_records};

#[tokio::test(start_paused = true)]
async fn p6_the_bit_is_refused_or_cleared() {
    for release in Release::ALL {
        let cluster = cluster(release);
        cluster.create_topic("stamped", 1, &[("message.timestamp.type", "LogAppendTime")]).unwrap();
        let mut wire = Wire::to(&cluster).await;
        let options =
            BatchOptions { log_append_time: Some(NOW_MS - 1000), ..BatchOptions::default() };
        let marked = encode_batch(&options, &timed_records(2, NOW_MS - 5000)).unwrap();
        assert_eq!(
            wire.produce("stamped", 0, marked.clone()).await.0,
            ErrorCode::INVALID_TIMESTAMP,
            "{release}"
        );

        let (code, _) = wire.produce("t", 0, marked).await;
        if release < Release::V3_9 {
            assert_eq!(code, ErrorCode::INVALID_TIMESTAMP, "{release}");
            continue;
        }
        assert_eq!(code, ErrorCode::NONE, "{release}");
        let header = BatchHeader::parse(&cluster.log("t", 0).unwrap()[0]).unwrap();
        assert!(!header.attributes.is_log_append_time());
        assert_eq!(
            (header.base_timestamp, header.max_timestamp),
            (NOW_MS - 5000, NOW_MS - 1000),
            "{release}"
        );
        assert_eq!(cluster.records("t", 0).unwrap()[0].timestamp, NOW_MS - 5000, "{release}");
    }
}

#[tokio::test(start_paused = true)]
async fn p6_a_stamping_topic_keeps_the_base_timestamp() {
    for release in Release::ALL {
        let cluster = cluster(release);
        cluster.create_topic("stamped", 1, &[("message.timestamp.type", "LogAppendTime")]).unwrap();
        let mut wire = Wire::to(&cluster).await;
        let plain =
            encode_batch(&BatchOptions::default(), &timed_records(2, NOW_MS - 5000)).unwrap();
        let answer = wire.try_produce("stamped", 0, plain).await.unwrap();
        assert_eq!((answer.error_code, answer.log_append_time_ms), (0, NOW_MS), "{release}");
        let stored = cluster.log("stamped", 0).unwrap().remove(0);
        let batch = kafka_wire::record::BatchV2::parse(stored).unwrap();
        batch.verify_crc().unwrap();
        assert!(batch.header.attributes.is_log_append_time());
        assert_eq!(
            (batch.header.base_timestamp, batch.header.max_timestamp),
            (NOW_MS - 5000, NOW_MS)
        );
    }
}
