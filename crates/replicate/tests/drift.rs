//! Differences between source and target, asked for once.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of their functions")]

use std::sync::Arc;

use kafka_client::{Client, ConnectionConfig};
use kafka_sim::{Cluster, ClusterConfig, Release};
use replicate::drift::{Differs, Drift, drift};
use replicate::event::SkipReason;
use replicate::journal::{Journal, MemoryJournal};
use replicate::spec::{TaskSpec, TopicSelection};
use replicate::task::TaskError;
use replicate::topics::TopicSync;

struct World {
    source: Cluster,
    target: Cluster,
    spec: TaskSpec,
}

fn cluster(id: &str, release: Release, brokers: usize) -> Cluster {
    Cluster::new(ClusterConfig {
        cluster_id: id.into(),
        release,
        brokers,
        ..ClusterConfig::default()
    })
}

fn client(cluster: &Cluster) -> Client {
    Client::with_connector(ConnectionConfig::new(cluster.bootstrap()), cluster.connector())
}

impl World {
    fn new() -> Self {
        let (source, target) =
            (cluster("source", Release::V3_9, 3), cluster("target", Release::V4_2, 1));
        Self { source, target, spec: TaskSpec::new("t".parse().unwrap()) }
    }

    async fn drift(&self) -> Drift {
        drift(&self.spec, &client(&self.source), &client(&self.target), None).await.unwrap()
    }

    async fn differences(&self) -> Vec<(String, Differs)> {
        self.drift().await.differences.into_iter().map(|it| (it.topic, it.what)).collect()
    }

    async fn bring_topics(&self) {
        let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
        let (source, target) = (client(&self.source), client(&self.target));
        let mut sync = TopicSync::new(self.spec.clone(), source, target, journal, Arc::new(|_| {}));
        sync.initial().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_sync_has_made_does_not_differ() {
    let world = World::new();
    world.source.create_topic("plain", 3, &[("retention.ms", "1000")]).unwrap();
    world.source.create_topic("odd", 1, &[("message.downconversion.enable", "false")]).unwrap();
    world
        .source
        .create_topic("stamped", 1, &[("message.timestamp.type", "LogAppendTime")])
        .unwrap();
    world.source.create_replicated_topic("safe", 1, 3, &[("min.insync.replicas", "2")]).unwrap();
    let missing: Vec<_> = world.differences().await;
    assert!(missing.iter().all(|(_, what)| *what == Differs::Missing) && missing.len() == 4);
    world.bring_topics().await;
    assert_eq!(world.differences().await, []);
    assert_eq!(world.drift().await.topics, 4);
}

#[tokio::test(start_paused = true)]
async fn each_difference_is_told() {
    let mut world = World::new();
    for name in ["settings", "count"] {
        world.source.create_topic(name, 2, &[("retention.ms", "1000")]).unwrap();
    }
    world.bring_topics().await;
    world.source.set_topic_config("settings", "retention.ms", Some("-1")).unwrap();
    world.target.set_topic_config("settings", "segment.ms", Some("77777777")).unwrap();
    world.target.grow_topic("count", 5);
    let setting = |key: &str, source: &str, target: &str, follows| Differs::Setting {
        key: key.into(),
        source: Some(source.into()),
        target: Some(target.into()),
        follows,
    };
    assert_eq!(
        world.differences().await,
        [
            ("count".to_owned(), Differs::Partitions { source: 2, target: 5 }),
            ("settings".to_owned(), setting("retention.ms", "-1", "1000", true)),
            ("settings".to_owned(), setting("segment.ms", "604800000", "77777777", false)),
        ]
    );
    world.spec.topics = TopicSelection::Regex("count".parse().unwrap());
    assert_eq!((world.drift().await.topics, world.differences().await.len()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn topics_that_cannot_travel_differ() {
    let world = World::new();
    let short = "x".repeat(128);
    for end in ["a", "b"] {
        world.source.create_topic(&format!("{short}{end}"), 1, &[]).unwrap();
    }
    world.bring_topics().await;
    let reason = SkipReason::NameCollision { other: format!("{short}a") };
    assert_eq!(world.differences().await, [(format!("{short}b"), Differs::Refused { reason })]);
}

#[tokio::test(start_paused = true)]
async fn one_cluster_has_nothing_to_compare() {
    let one = cluster("one", Release::V4_2, 1);
    let spec = TaskSpec::new("t".parse().unwrap());
    let error = drift(&spec, &client(&one), &client(&one), None).await.unwrap_err();
    assert!(matches!(error, TaskError::SameCluster { .. }), "{error}");
}
