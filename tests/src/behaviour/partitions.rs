//! More partitions, and who writes to them.

use kafka_client::{ClientError, TopicPartition};
use kafka_sim::Release;
use kafka_wire::ErrorCode;

use super::env::{Env, appended, sequenced};

pub(super) async fn partitions_grow(env: &Env) {
    let topic = env.topic(1, &[]).await;
    let grow = async |count, validate_only| {
        env.client
            .create_partitions(vec![(topic.clone(), count)], validate_only)
            .await
            .map(|mut all| all.remove(&topic).unwrap())
    };
    if env.release < Release::V1_1 {
        let refused = grow(3, false).await.unwrap_err();
        assert!(matches!(refused, ClientError::Unsupported { .. }), "{refused}");
        return;
    }
    assert_eq!(grow(3, true).await.unwrap(), Ok(()));
    env.wait_for_leaders(&topic, 1).await;
    assert_eq!(grow(3, false).await.unwrap(), Ok(()));
    env.wait_for_leaders(&topic, 3).await;
    let fewer = grow(2, false).await.unwrap().unwrap_err();
    assert_eq!(fewer.code, ErrorCode::INVALID_PARTITIONS);
    let unknown =
        env.client.create_partitions(vec![("nowhere".to_owned(), 2)], false).await.unwrap();
    assert_eq!(
        unknown["nowhere"].as_ref().unwrap_err().code,
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
    );

    appended(&env.produce_to(&topic, 2, sequenced(4711, 3, 0, &["a", "b"])).await);
    let at = TopicPartition::new(&topic, 2);
    match env.client.describe_producers(vec![at.clone()]).await {
        Ok(found) => {
            assert!(env.release >= Release::V2_8);
            let producers = found[&at].as_ref().unwrap();
            assert_eq!(producers.len(), 1);
            let producer = producers[0];
            assert_eq!(
                (producer.producer_id, producer.producer_epoch, producer.last_sequence),
                (4711, 3, 1)
            );
            // P3: an idempotent producer has no coordinator.
            assert_eq!((producer.coordinator_epoch, producer.current_txn_start_offset), (-1, -1));
        }
        Err(error) => assert!(
            env.release < Release::V2_8 && matches!(error, ClientError::Unsupported { .. }),
            "{error}"
        ),
    }
}
