//! Topics: created, tried, deleted.

use std::time::Duration;

use kafka_client::{NewTopic, TopicQuery};
use kafka_sim::Release;
use kafka_wire::ErrorCode;

use super::env::Env;

const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn topics_are_created_and_deleted(env: &Env) {
    let topic = env.topic(2, &[("cleanup.policy", "compact")]).await;
    let (tried, odd, wide) = (env.name(), env.name(), env.name());

    let dry =
        env.client.create_topics(vec![NewTopic::new(&tried, 1, 1)], true, PATIENCE).await.unwrap();
    assert_eq!(dry[&tried], Ok(()));
    let found = env.client.refresh_metadata(TopicQuery::Named(vec![tried.clone()])).await.unwrap();
    assert_eq!(found.topics[&tried].error, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);

    let created = env
        .client
        .create_topics(
            vec![
                NewTopic::new(&topic, 2, 1),
                NewTopic::new(&odd, 1, 1).with_config("retention.ms", "soon"),
                NewTopic::new(&wide, 1, 99),
            ],
            false,
            PATIENCE,
        )
        .await
        .unwrap();
    let code = |name: &String| created[name].as_ref().unwrap_err().code;
    assert_eq!(code(&topic), ErrorCode::TOPIC_ALREADY_EXISTS);
    // 0.11 and 1.1 stumble over the value instead of refusing it.
    let stumbles = env.release <= Release::V1_1 && code(&odd) == ErrorCode::UNKNOWN_SERVER_ERROR;
    assert!(stumbles || code(&odd) == ErrorCode::INVALID_CONFIG, "{:?}", created[&odd]);
    assert_eq!(code(&wide), ErrorCode::INVALID_REPLICATION_FACTOR);

    let deleted =
        env.client.delete_topics(vec![topic.clone(), tried.clone()], PATIENCE).await.unwrap();
    assert_eq!(deleted[&topic], Ok(()));
    assert_eq!(deleted[&tried].as_ref().unwrap_err().code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    for _ in 0..200 {
        let found =
            env.client.refresh_metadata(TopicQuery::Named(vec![topic.clone()])).await.unwrap();
        if found.topics[&topic].error == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{topic} is still there");
}
