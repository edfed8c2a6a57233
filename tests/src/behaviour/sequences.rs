//! Sequence numbers of idempotent producers: P1 and P2 of the broker probes.

use std::time::Duration;

use kafka_sim::Release;
use kafka_wire::ErrorCode;

use super::env::{Env, appended, sequenced};

async fn producer(env: &Env) -> i64 {
    let identity = env.client.init_producer_id(None, Duration::from_secs(60)).await.unwrap();
    assert_eq!(identity.producer_epoch, 0);
    identity.producer_id
}

pub(super) async fn a_repeat_is_acknowledged_with_its_first_offset(env: &Env) {
    let topic = env.topic(1, &[]).await;
    let id = producer(env).await;
    for sequence in 0..7 {
        assert_eq!(
            appended(&env.produce(&topic, sequenced(id, 0, sequence, &["a"])).await),
            i64::from(sequence)
        );
    }
    // The last five batches are remembered; 0.11 remembers only the very last.
    let remembered = if env.release == Release::V0_11 { 6..7 } else { 2..7 };
    for sequence in remembered {
        let ack = env.produce(&topic, sequenced(id, 0, sequence, &["a"])).await;
        assert_eq!(appended(&ack), i64::from(sequence));
    }
    let forgotten = env.produce(&topic, sequenced(id, 0, 1, &["a"])).await;
    assert_eq!(forgotten.error, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    // Cut differently: the same records as one batch.
    let recut = env.produce(&topic, sequenced(id, 0, 5, &["a", "a"])).await;
    assert_eq!(recut.error, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    // Other bytes under the same numbers are acknowledged and thrown away.
    assert_eq!(appended(&env.produce(&topic, sequenced(id, 0, 6, &["other"])).await), 6);
    assert_eq!(env.end(&topic).await, 7);
}

pub(super) async fn a_gap_is_out_of_order(env: &Env) {
    let topic = env.topic(1, &[]).await;
    let id = producer(env).await;
    appended(&env.produce(&topic, sequenced(id, 0, 0, &["a", "b"])).await);
    let gap = env.produce(&topic, sequenced(id, 0, 3, &["d"])).await;
    assert_eq!(gap.error, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    assert_eq!(gap.base_offset, -1);
    assert_eq!(appended(&env.produce(&topic, sequenced(id, 0, 2, &["c"])).await), 2);

    // A producer that the partition does not know: newer releases take any first sequence.
    let unknown = env.produce(&topic, sequenced(9_000_000_000_123, 0, 777, &["x"])).await;
    let expected = match env.release {
        Release::V0_11 => ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER,
        Release::V1_1 => ErrorCode::UNKNOWN_PRODUCER_ID,
        _ => ErrorCode::NONE,
    };
    assert_eq!(unknown.error, expected);
}

pub(super) async fn a_new_epoch_begins_at_zero(env: &Env) {
    let topic = env.topic(1, &[]).await;
    let id = producer(env).await;
    appended(&env.produce(&topic, sequenced(id, 0, 0, &["a"])).await);
    let later = env.produce(&topic, sequenced(id, 1, 1, &["b"])).await;
    assert_eq!(later.error, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER);
    // The old epoch is still good.
    appended(&env.produce(&topic, sequenced(id, 0, 1, &["b"])).await);
    appended(&env.produce(&topic, sequenced(id, 1, 0, &["c"])).await);
    let old = env.produce(&topic, sequenced(id, 0, 2, &["d"])).await;
    assert_eq!(old.error, ErrorCode::INVALID_PRODUCER_EPOCH);
    let repeated = env.produce(&topic, sequenced(id, 0, 1, &["b"])).await;
    assert_eq!(repeated.error, ErrorCode::INVALID_PRODUCER_EPOCH);
    assert_eq!(env.end(&topic).await, 3);
}

pub(super) async fn many_requests_keep_their_order(env: &Env) {
    let topic = env.topic(1, &[]).await;
    let id = producer(env).await;
    let connection = env.leader(&topic, 0).await;
    let mut calls = Vec::new();
    for sequence in 0..50 {
        let topics = vec![env.produce_topic(&topic, 0, sequenced(id, 0, sequence, &["a"])).await];
        calls.push(connection.produce(-1, Duration::from_secs(20), topics));
    }
    // Dropped futures do not disturb the others.
    drop(calls.remove(20));
    let mut expected = (0..50).filter(|sequence| *sequence != 20);
    // Awaited from the last to the first: the order is that of the calls.
    let mut offsets = Vec::new();
    for call in calls.into_iter().rev() {
        offsets.push(appended(&call.await.unwrap()[0]));
    }
    offsets.reverse();
    assert!(offsets.into_iter().all(|offset| expected.next() == Some(offset)));
    assert_eq!(env.end(&topic).await, 50);
}
