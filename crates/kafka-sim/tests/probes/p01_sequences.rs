//! P1: producer ids, epochs, sequences.

use kafka_sim::Release;
use kafka_wire::ErrorCode;

use crate::wire::{MODERN, Wire, altered, batch, cluster, sequenced};

const OUT_OF_ORDER: ErrorCode = ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER;

/// Produces (epoch, first sequence, count) one after the other and compares the codes.
async fn check(release: Release, batches: &[(i16, i32, i64, ErrorCode)]) {
    let cluster = cluster(release);
    let mut wire = Wire::to(&cluster).await;
    for (epoch, sequence, count, expected) in batches {
        let (code, _) = wire.produce("t", 0, sequenced(7000, *epoch, *sequence, *count)).await;
        assert_eq!(code, *expected, "{release}: epoch {epoch}, sequence {sequence} of {batches:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn p1_epochs_may_be_raised_locally_and_start_at_zero() {
    for release in Release::ALL {
        check(
            release,
            &[
                (0, 0, 3, ErrorCode::NONE),
                (1, 7, 3, OUT_OF_ORDER),
                (1, 3, 3, OUT_OF_ORDER),
                (0, 3, 3, ErrorCode::NONE),
                (1, 0, 3, ErrorCode::NONE),
                (0, 6, 3, ErrorCode::INVALID_PRODUCER_EPOCH),
                (0, 3, 3, ErrorCode::INVALID_PRODUCER_EPOCH),
                (1000, 0, 1, ErrorCode::NONE),
                (32_767, 0, 1, ErrorCode::NONE),
            ],
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn p1_an_unknown_producer_may_start_anywhere_on_modern_brokers() {
    for release in MODERN {
        check(release, &[(0, 12_345, 2, ErrorCode::NONE), (0, 12_347, 2, ErrorCode::NONE)]).await;
        check(release, &[(5, 99, 2, ErrorCode::NONE)]).await;
    }
    check(
        Release::V1_1,
        &[(0, 12_345, 2, ErrorCode::UNKNOWN_PRODUCER_ID), (0, 0, 2, ErrorCode::NONE)],
    )
    .await;
    check(Release::V0_11, &[(0, 12_345, 2, OUT_OF_ORDER), (0, 0, 2, ErrorCode::NONE)]).await;
}

#[tokio::test(start_paused = true)]
async fn p1_sequences_wrap_inside_a_batch() {
    for release in MODERN {
        check(
            release,
            &[
                (0, i32::MAX - 1, 4, ErrorCode::NONE),
                (0, i32::MAX - 1, 4, ErrorCode::NONE),
                (0, 2, 1, ErrorCode::NONE),
                (0, 2, 2, OUT_OF_ORDER),
            ],
        )
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn p1_odd_producer_fields() {
    for release in Release::ALL {
        let cluster = cluster(release);
        let mut wire = Wire::to(&cluster).await;
        let unsequenced = sequenced(5, 0, -1, 1);
        let invalid = if release >= Release::V2_8 {
            ErrorCode::INVALID_RECORD
        } else {
            ErrorCode::CORRUPT_MESSAGE
        };
        assert_eq!(wire.produce("t", 0, unsequenced).await.0, invalid, "{release}");
        let without_id = altered(&batch(1), |bytes| {
            bytes[51..53].copy_from_slice(&3_i16.to_be_bytes());
            bytes[53..57].copy_from_slice(&7_i32.to_be_bytes());
        });
        assert_eq!(wire.produce("t", 0, without_id).await.0, ErrorCode::NONE, "{release}");
    }
}

#[tokio::test(start_paused = true)]
async fn p1_every_question_without_a_transactional_id_gets_a_new_id() {
    let cluster = cluster(Release::V4_2);
    let mut wire = Wire::to(&cluster).await;
    let (_, first, _) = wire.init_producer(None).await;
    let (_, second, epoch) = wire.init_producer(None).await;
    assert_eq!((second, epoch), (first + 1, 0));
    // After a restart ids go on at the next thousand.
    cluster.kill_broker(1);
    cluster.start_broker(1);
    let mut wire = Wire::to(&cluster).await;
    assert_eq!(wire.init_producer(None).await.1, first + 1000);
}
