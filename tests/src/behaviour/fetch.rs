//! What Fetch tells about epochs, truncation and recreated topics: P9 and P10.

use std::time::Duration;

use kafka_client::{ClientError, FetchPartition, NewTopic, TopicPartition, TopicQuery};
use kafka_sim::Release;
use kafka_wire::ErrorCode;

use super::env::{Env, appended, plain};

pub(super) async fn diverging_epoch_shows_truncation(env: &Env) {
    if env.release < Release::V2_8 {
        return;
    }
    let topic = env.topic(1, &[]).await;
    appended(&env.produce(&topic, plain(&["a", "b", "c"])).await);
    let epoch = env.leader_epoch(&topic, 0).await;
    let wanted = env.wanted(&topic, 0, 99).await;
    // Past the end of the current epoch: not OFFSET_OUT_OF_RANGE, but the quiet form.
    let past = env.fetch(FetchPartition { last_fetched_epoch: epoch, ..wanted.clone() }).await;
    assert_eq!((past.error, past.diverging_epoch), (ErrorCode::NONE, Some((epoch, 3))));
    assert!(past.records.is_empty());
    let fine =
        env.fetch(FetchPartition { last_fetched_epoch: epoch, offset: 3, ..wanted.clone() }).await;
    assert_eq!((fine.error, fine.diverging_epoch), (ErrorCode::NONE, None));
    let above =
        env.fetch(FetchPartition { last_fetched_epoch: epoch + 5, offset: 1, ..wanted }).await;
    assert_eq!(above.error, ErrorCode::OFFSET_OUT_OF_RANGE);
}

pub(super) async fn leader_epochs_are_checked(env: &Env) {
    let topic = env.topic(1, &[]).await;
    let at = TopicPartition::new(&topic, 0);
    appended(&env.produce(&topic, plain(&["a", "b", "c"])).await);
    if env.release < Release::V2_8 {
        let refused = env.client.offsets_for_leader_epoch(vec![(at, 0)]).await.unwrap_err();
        assert!(matches!(refused, ClientError::Unsupported { .. }), "{refused}");
        return;
    }
    let epoch = env.leader_epoch(&topic, 0).await;
    let wanted = env.wanted(&topic, 0, 0).await;
    let high = env.fetch(FetchPartition { leader_epoch: epoch + 1, ..wanted.clone() }).await;
    assert_eq!(high.error, ErrorCode::UNKNOWN_LEADER_EPOCH);
    let good = env.fetch(wanted).await;
    assert_eq!(good.error, ErrorCode::NONE);
    let ends = env.client.offsets_for_leader_epoch(vec![(at.clone(), epoch)]).await.unwrap();
    let end = ends[&at].unwrap();
    assert_eq!((end.leader_epoch, end.end_offset), (epoch, 3));
    let ends = env.client.offsets_for_leader_epoch(vec![(at.clone(), epoch + 9)]).await.unwrap();
    let end = ends[&at].unwrap();
    assert_eq!((end.leader_epoch, end.end_offset), (-1, -1));
}

pub(super) async fn recreated_topic_is_noticed(env: &Env) {
    // Fetch by id: 3.9 and later.
    if env.release < Release::V3_9 {
        return;
    }
    let topic = env.topic(1, &[]).await;
    appended(&env.produce(&topic, plain(&["a"])).await);
    let old = env.wanted(&topic, 0, 0).await;
    let deleted =
        env.client.delete_topics(vec![topic.clone()], Duration::from_secs(20)).await.unwrap();
    assert_eq!(deleted[&topic], Ok(()));
    // While the deletion runs the name is taken.
    loop {
        let wanted = vec![NewTopic::new(&topic, 1, 1)];
        let created =
            env.client.create_topics(wanted, false, Duration::from_secs(20)).await.unwrap();
        match &created[&topic] {
            Ok(()) => break,
            Err(error) => assert_eq!(error.code, ErrorCode::TOPIC_ALREADY_EXISTS),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    env.wait_for_leaders(&topic, 1).await;
    let found = env.client.refresh_metadata(TopicQuery::Named(vec![topic.clone()])).await.unwrap();
    assert_ne!(found.topics[&topic].topic_id, old.topic_id);
    let stale = env.fetch(FetchPartition { leader_epoch: -1, ..old }).await;
    assert!(
        matches!(stale.error, ErrorCode::UNKNOWN_TOPIC_ID | ErrorCode::INCONSISTENT_TOPIC_ID),
        "{stale:?}"
    );
    let fresh = env.fetch(env.wanted(&topic, 0, 0).await).await;
    assert_eq!((fresh.error, fresh.high_watermark), (ErrorCode::NONE, 0));
}
