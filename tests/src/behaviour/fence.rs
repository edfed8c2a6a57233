//! The fence: an empty aborted transaction shuts the old epoch out (P14).

use std::time::Duration;

use kafka_client::{ClientError, ProducerIdentity, TopicPartition};
use kafka_wire::{
    ErrorCode,
    record::{Batch, split},
};

use super::env::{Env, appended, sequenced};

pub(super) async fn empty_transaction_fences_the_old_epoch(env: &Env) {
    let topic = env.topic(1, &[]).await;
    let at = TopicPartition::new(&topic, 0);
    let transactional_id = env.name();
    let timeout = Duration::from_secs(60);
    let old = env.client.init_producer_id(Some(&transactional_id), timeout).await.unwrap();
    // The id of a transactional producer under plain idempotent batches.
    let id = old.producer_id;
    assert_eq!(
        appended(&env.produce(&topic, sequenced(id, old.producer_epoch, 0, &["a", "b"])).await),
        0
    );

    let new = env.client.init_producer_id(Some(&transactional_id), timeout).await.unwrap();
    assert_eq!(new, ProducerIdentity { producer_id: id, producer_epoch: old.producer_epoch + 1 });
    let added =
        env.client.add_partitions_to_txn(&transactional_id, new, vec![at.clone()]).await.unwrap();
    assert_eq!(added[&at], Ok(()));
    env.client.end_txn(&transactional_id, new, false).await.unwrap();
    // The answer comes before the marker: the fence stands when the marker is there.
    while env.end(&topic).await < 3 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let late = env.produce(&topic, sequenced(id, old.producer_epoch, 2, &["late"])).await;
    assert_eq!(late.error, ErrorCode::INVALID_PRODUCER_EPOCH);
    let next = sequenced(id, new.producer_epoch, 0, &["c"]);
    assert_eq!(appended(&env.produce(&topic, next).await), 3);

    let fetched = env.fetch(env.wanted(&topic, 0, 2).await).await;
    let Batch::V2(marker) = split(fetched.records).next().unwrap().unwrap() else {
        panic!("an old batch")
    };
    assert!(marker.header.attributes.is_control() && marker.control().unwrap().is_some());
    assert_eq!((marker.header.producer_id, marker.header.producer_epoch), (id, new.producer_epoch));

    // A stale epoch may not begin anything any more.
    let refused =
        env.client.add_partitions_to_txn(&transactional_id, old, vec![at.clone()]).await.unwrap();
    assert!(
        matches!(refused[&at], Err(ErrorCode::INVALID_PRODUCER_EPOCH | ErrorCode::PRODUCER_FENCED)),
        "{refused:?}"
    );
}

pub(super) async fn a_marker_by_hand_fences_the_old_epoch(env: &Env) {
    let topic = env.topic(1, &[]).await;
    let at = TopicPartition::new(&topic, 0);
    let timeout = Duration::from_secs(60);
    let old = env.client.init_producer_id(None, timeout).await.unwrap();
    let batch = |epoch, first, values: &[&str]| sequenced(old.producer_id, epoch, first, values);
    let produced = env.produce(&topic, batch(old.producer_epoch, 0, &["a", "b"])).await;
    assert_eq!(appended(&produced), 0);
    let raised = ProducerIdentity { producer_epoch: old.producer_epoch + 1, ..old };
    // Once more with the same epoch, as after a lost answer: nothing changes but the log's length.
    for _ in 0..2 {
        match env.client.write_abort_markers(raised, vec![at.clone()]).await {
            Ok(answer) => assert_eq!(answer[&at], Ok(())),
            Err(ClientError::Unsupported { release, .. }) => {
                // Before 2.x a broker has version 0 only, which kafka-protocol does not: the lane waits instead.
                eprintln!("no WriteTxnMarkers from version 1 on {release}: nothing more to see");
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(env.end(&topic).await, 4);
    let late = env.produce(&topic, batch(old.producer_epoch, 2, &["late"])).await;
    assert_eq!(late.error, ErrorCode::INVALID_PRODUCER_EPOCH);
    // The epoch of the marker is free for data, and a marker that comes late does not disturb it.
    let next = env.produce(&topic, batch(raised.producer_epoch, 0, &["c"])).await;
    assert_eq!(appended(&next), 4);
    let again = env.client.write_abort_markers(raised, vec![at.clone()]).await.unwrap();
    assert_eq!(again[&at], Ok(()));
    let next = env.produce(&topic, batch(raised.producer_epoch, 1, &["d"])).await;
    assert_eq!(appended(&next), 6);
}
