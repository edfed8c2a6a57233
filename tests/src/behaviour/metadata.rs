//! Metadata: brokers, topics, leaders, ids.

use kafka_client::TopicQuery;
use kafka_sim::Release;
use kafka_wire::ErrorCode;

use super::env::Env;

pub(super) async fn metadata_names_brokers_topics_and_leaders(env: &Env) {
    let topic = env.topic(3, &[]).await;
    let found = env.client.refresh_metadata(TopicQuery::Named(vec![topic.clone()])).await.unwrap();
    assert!(found.cluster_id.as_ref().is_some_and(|id| !id.is_empty()));
    assert!(found.brokers.contains_key(&found.controller_id));
    assert_eq!(found.topics.len(), 1);
    let described = &found.topics[&topic];
    assert!(described.error.is_ok() && !described.is_internal);
    assert_eq!(described.topic_id.is_some(), env.release >= Release::V2_8);
    let indexes: Vec<_> =
        described.partitions.iter().map(|partition| partition.partition).collect();
    assert_eq!(indexes, [0, 1, 2]);
    for partition in &described.partitions {
        assert!(found.brokers.contains_key(&partition.leader_id));
        assert_eq!(partition.replicas, [partition.leader_id]);
        assert_eq!(partition.isr, partition.replicas);
        assert_eq!(partition.leader_epoch >= 0, env.release >= Release::V2_8);
    }

    let all = env.client.refresh_metadata(TopicQuery::All).await.unwrap();
    assert_eq!(all.topics[&topic], *described);
    let described = env.client.describe_cluster().await.unwrap();
    assert_eq!(described.cluster_id, found.cluster_id);
    assert_eq!(described.brokers, found.brokers);
}

pub(super) async fn unknown_topics_are_not_created(env: &Env) {
    let topic = env.name();
    for _ in 0..2 {
        let found =
            env.client.refresh_metadata(TopicQuery::Named(vec![topic.clone()])).await.unwrap();
        assert_eq!(found.topics[&topic].error, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
        assert!(found.topics[&topic].partitions.is_empty());
    }
    let all = env.client.refresh_metadata(TopicQuery::All).await.unwrap();
    assert!(!all.topics.contains_key(&topic));
}
