//! Offsets of groups without members.

use kafka_client::{OffsetToCommit, TopicPartition};
use kafka_sim::Release;
use kafka_wire::ErrorCode;

use super::env::Env;

fn commit(topic: &str, partition: i32, offset: i64) -> OffsetToCommit {
    OffsetToCommit { at: TopicPartition::new(topic, partition), offset, metadata: None }
}

pub(super) async fn group_offsets_are_committed_and_read(env: &Env) {
    let topic = env.topic(2, &[]).await;
    let group = env.name();
    let (first, second) = (TopicPartition::new(&topic, 0), TopicPartition::new(&topic, 1));
    let texts = OffsetToCommit { metadata: Some("note".to_owned()), ..commit(&topic, 0, 7) };
    let long = OffsetToCommit { metadata: Some("x".repeat(4097)), ..commit(&topic, 1, 3) };
    let done = env.client.offset_commit(&group, vec![texts, long]).await.unwrap();
    assert_eq!(done[&first], Ok(()));
    assert_eq!(done[&second], Err(ErrorCode::OFFSET_METADATA_TOO_LARGE));

    let all = env.client.offset_fetch(&group, None, true).await.unwrap();
    assert_eq!(all.len(), 1);
    let found = all[&first].clone().unwrap();
    assert_eq!((found.offset, found.metadata.as_deref()), (7, Some("note")));
    let asked = env
        .client
        .offset_fetch(&group, Some(vec![first.clone(), second.clone()]), false)
        .await
        .unwrap();
    assert_eq!(asked[&first].clone().unwrap().offset, 7);
    assert_eq!(asked[&second].clone().unwrap().offset, -1);

    // P7: the broker checks neither the end of the log nor whether we move back.
    for offset in [1_000_000, 2] {
        let done = env.client.offset_commit(&group, vec![commit(&topic, 0, offset)]).await.unwrap();
        assert_eq!(done[&first], Ok(()));
        let all = env.client.offset_fetch(&group, None, false).await.unwrap();
        assert_eq!(all[&first].clone().unwrap().offset, offset);
    }
    let unknown = env.client.offset_commit(&group, vec![commit("nowhere", 0, 1)]).await.unwrap();
    assert_eq!(
        unknown[&TopicPartition::new("nowhere", 0)],
        Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    );
    let beyond = env.client.offset_commit(&group, vec![commit(&topic, 9, 1)]).await.unwrap();
    let expected = if env.release >= Release::V2_8 {
        Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)
    } else {
        Ok(())
    };
    assert_eq!(beyond[&TopicPartition::new(&topic, 9)], expected);
}

pub(super) async fn minus_one_makes_a_group_without_position(env: &Env) {
    let topic = env.topic(1, &[]).await;
    let group = env.name();
    let at = TopicPartition::new(&topic, 0);
    for offset in [-1, 7, -1] {
        let done = env.client.offset_commit(&group, vec![commit(&topic, 0, offset)]).await.unwrap();
        assert_eq!(done[&at], Ok(()));
        let found = env.client.offset_fetch(&group, Some(vec![at.clone()]), false).await.unwrap();
        assert_eq!(found[&at].clone().unwrap().offset, offset);
    }
    let listed = env.client.list_groups().await.unwrap();
    let entry = listed.iter().find(|entry| entry.group_id == group).unwrap();
    assert_eq!(entry.protocol_type, "");
    assert_eq!(entry.state.is_some(), env.release >= Release::V2_8);
    let described = env.client.describe_groups(vec![group.clone()]).await.unwrap();
    let described = described[&group].clone().unwrap();
    assert_eq!((described.state.as_str(), described.protocol_type.as_str()), ("Empty", ""));
    assert!(described.members.is_empty());
}
