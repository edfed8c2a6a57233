//! P2: deep pipelines, failures inside them, repeats.

use kafka_sim::Release;
use kafka_wire::ErrorCode;
use kafka_wire::messages::produce_request::ProduceRequest;

use crate::wire::{MODERN, Wire, cluster, produce_request, records, sequenced};

const OUT_OF_ORDER: ErrorCode = ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER;

/// Writes `count` batches at once, number `broken` with a bad checksum, and gives the codes.
async fn pipeline(release: Release, count: i32, broken: Option<i32>) -> Vec<ErrorCode> {
    let cluster = cluster(release);
    let mut wire = Wire::to(&cluster).await;
    let version = wire.produce_version();
    for sequence in 0..count {
        let mut batch = sequenced(9, 0, sequence, 1).to_vec();
        if broken == Some(sequence) {
            batch[17] ^= 1;
        }
        wire.send(version, &produce_request(None, &[("t", 0, batch.into())])).await;
    }
    let mut codes = Vec::new();
    for _ in 0..count {
        let response = wire.receive::<ProduceRequest>(version).await.unwrap();
        codes.push(ErrorCode(response.responses[0].partition_responses[0].error_code));
    }
    codes
}

#[tokio::test(start_paused = true)]
async fn p2_fifty_in_flight_are_acked_in_order() {
    for release in Release::ALL {
        assert_eq!(pipeline(release, 50, None).await, [ErrorCode::NONE; 50], "{release}");
    }
}

#[tokio::test(start_paused = true)]
async fn p2_nothing_overtakes_a_failed_batch() {
    for release in Release::ALL {
        let mut expected = [OUT_OF_ORDER; 50];
        expected[..10].fill(ErrorCode::NONE);
        expected[10] = ErrorCode::CORRUPT_MESSAGE;
        assert_eq!(pipeline(release, 50, Some(10)).await, expected, "{release}");
    }
}

#[tokio::test(start_paused = true)]
async fn p2_a_failed_first_batch_is_silent_loss_on_modern_brokers() {
    let rest = |code: ErrorCode| {
        let mut expected = [code; 10];
        expected[0] = ErrorCode::CORRUPT_MESSAGE;
        expected
    };
    for release in MODERN {
        assert_eq!(pipeline(release, 10, Some(0)).await, rest(ErrorCode::NONE), "{release}");
    }
    assert_eq!(pipeline(Release::V1_1, 10, Some(0)).await, rest(ErrorCode::UNKNOWN_PRODUCER_ID));
    assert_eq!(pipeline(Release::V0_11, 10, Some(0)).await, rest(OUT_OF_ORDER));
}

#[tokio::test(start_paused = true)]
async fn p2_the_last_five_batches_are_recognised() {
    for release in Release::ALL {
        let cluster = cluster(release);
        let mut wire = Wire::to(&cluster).await;
        for number in 0..20 {
            wire.produce("t", 0, sequenced(9, 0, number * 3, 3)).await;
        }
        let kept = if release == Release::V0_11 { 1 } else { 5 };
        for back in 1..=8 {
            let number = 20 - back;
            let (code, offset) = wire.produce("t", 0, sequenced(9, 0, number * 3, 3)).await;
            if back <= kept {
                assert_eq!(
                    (code, offset),
                    (ErrorCode::NONE, i64::from(number) * 3),
                    "{release}: {back} back"
                );
            } else {
                assert_eq!(code, OUT_OF_ORDER, "{release}: {back} back");
            }
        }
        assert_eq!(cluster.end_offset("t", 0).unwrap(), 60, "{release}");
    }
}

#[tokio::test(start_paused = true)]
async fn p2_other_cuts_are_refused_and_other_bytes_acked() {
    for release in Release::ALL {
        let cluster = cluster(release);
        let mut wire = Wire::to(&cluster).await;
        for number in 0..3 {
            wire.produce("t", 0, sequenced(9, 0, number * 3, 3)).await;
        }
        for (sequence, count) in [(3, 6), (7, 3), (0, 9), (0, 1)] {
            let (code, _) = wire.produce("t", 0, sequenced(9, 0, sequence, count)).await;
            assert_eq!(code, OUT_OF_ORDER, "{release}: {count} from {sequence}");
        }
        let mut other = records(3);
        other[0].value = None;
        let options = crate::wire::producer_options(9, 0, 6);
        let other = kafka_wire::record::encode_batch(&options, &other).unwrap();
        assert_eq!(wire.produce("t", 0, other).await, (ErrorCode::NONE, 6), "{release}");
        assert_eq!(cluster.end_offset("t", 0).unwrap(), 9, "{release}");
    }
}

#[tokio::test(start_paused = true)]
async fn p2_requests_are_appended_after_the_client_went_silent() {
    let cluster = cluster(Release::V4_2);
    let mut silent = Wire::to(&cluster).await;
    let version = silent.produce_version();
    for sequence in 0..50 {
        silent
            .send(version, &produce_request(None, &[("t", 0, sequenced(9, 0, sequence, 1))]))
            .await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert_eq!(cluster.end_offset("t", 0).unwrap(), 50);
}
