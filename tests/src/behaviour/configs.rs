//! Configurations: read with their sources, changed key by key.

use kafka_client::{ConfigChange, ConfigSource};
use kafka_wire::ErrorCode;

use super::env::Env;

pub(super) async fn configs_are_read_and_changed(env: &Env) {
    let topic =
        env.topic(1, &[("retention.ms", "1234567"), ("max.message.bytes", "2000000")]).await;
    let read = async || {
        let found = env.client.describe_topic_configs(vec![topic.clone()]).await.unwrap();
        found[&topic].clone().unwrap()
    };
    let value = async |name: &str| {
        let found = read().await;
        let entry = found.iter().find(|entry| entry.name == name).unwrap().clone();
        (entry.value.unwrap(), entry.source.is_topic_override())
    };
    assert_eq!(value("retention.ms").await, ("1234567".to_owned(), true));
    assert_eq!(value("cleanup.policy").await, ("delete".to_owned(), false));
    assert!(read().await.iter().all(|entry| !entry.is_sensitive));

    let alter = async |changes: Vec<ConfigChange>, validate_only| {
        let mut all = env
            .client
            .alter_topic_configs(vec![(topic.clone(), changes)], validate_only)
            .await
            .unwrap();
        all.remove(&topic).unwrap()
    };
    let changes =
        vec![ConfigChange::set("cleanup.policy", "compact"), ConfigChange::delete("retention.ms")];
    assert_eq!(alter(changes.clone(), true).await, Ok(()));
    assert_eq!(value("cleanup.policy").await.0, "delete");
    assert_eq!(alter(changes, false).await, Ok(()));
    eventually(async || value("cleanup.policy").await == ("compact".to_owned(), true)).await;
    assert!(!value("retention.ms").await.1);
    // What was not named stays.
    assert_eq!(value("max.message.bytes").await, ("2000000".to_owned(), true));
    let refused = alter(vec![ConfigChange::set("retention.ms", "soon")], false).await.unwrap_err();
    assert!(
        matches!(refused.code, ErrorCode::INVALID_CONFIG | ErrorCode::INVALID_REQUEST),
        "{refused:?}"
    );

    let broker = env.client.describe_cluster().await.unwrap().brokers.into_keys().next().unwrap();
    let found = env.client.describe_broker_configs(broker).await.unwrap();
    let entry = found.iter().find(|entry| entry.name == "message.max.bytes").unwrap();
    assert!(
        matches!(entry.source, ConfigSource::Default | ConfigSource::StaticBroker),
        "{entry:?}"
    );
}

async fn eventually(check: impl AsyncFn() -> bool) {
    for _ in 0..200 {
        if check().await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it does not become so");
}
