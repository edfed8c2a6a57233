//! What is planned is what a sync does, and what is in its way is found before.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of their functions")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use kafka_client::{Client, ConnectionConfig};
use kafka_sim::{Cluster, ClusterConfig, Operation, Release, Resource};
use kafka_wire::record::{BatchOptions, Record};
use replicate::event::{ConfigSkipReason, Event, EventSink, SkipReason};
use replicate::journal::{Journal, MemoryJournal};
use replicate::plan::{Action, Plan, Problem, TopicPlan, plan};
use replicate::spec::{StartPosition, SyncMode, TaskSpec, TopicSelection};
use replicate::task::Task;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

struct World {
    source: Cluster,
    target: Cluster,
    journal: MemoryJournal,
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

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(now.as_millis()).unwrap()
}

impl World {
    fn new() -> Self {
        Self::of(cluster("source", Release::V4_2, 1), cluster("target", Release::V4_2, 1))
    }

    fn of(source: Cluster, target: Cluster) -> Self {
        let mut spec = TaskSpec::new("t".parse().unwrap());
        spec.limits.topic_ready_timeout = Duration::from_secs(20);
        spec.once = true;
        Self { source, target, journal: MemoryJournal::new(), spec }
    }

    async fn plan(&self) -> Plan {
        plan(&self.spec, &client(&self.source), &client(&self.target), None).await.unwrap()
    }

    /// What it finds that blocks, or not.
    async fn finds(&self, blocks: bool) -> Vec<Problem> {
        let plan = self.plan().await;
        let found = plan.findings.into_iter().filter(|finding| finding.blocks == blocks);
        found.map(|finding| finding.problem).collect()
    }

    /// Runs the task to its end; its events.
    async fn sync(&self) -> Vec<Event> {
        let events = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&events);
        let sink: EventSink = Arc::new(move |event| heard.lock().unwrap().push(event));
        let journal: Arc<dyn Journal> = Arc::new(self.journal.clone());
        let (progress, _) = watch::channel(Arc::default());
        let task = Task {
            spec: self.spec.clone(),
            source: client(&self.source),
            target: client(&self.target),
            journal,
            sink,
            progress,
            shutdown: CancellationToken::new(),
        };
        task.run().await.unwrap();
        events.lock().unwrap().clone()
    }

    /// Topics of the target with partitions and settings.
    fn made(&self) -> BTreeMap<String, (i32, BTreeMap<String, String>)> {
        let topics = self.target.topics().into_iter();
        topics
            .map(|(name, count)| {
                let settings = self.target.topic_overrides(&name).into_iter().collect();
                (name, (i32::try_from(count).unwrap(), settings))
            })
            .collect()
    }

    fn write(&self, topic: &str, count: usize, timestamp: i64) {
        for _ in 0..count {
            let record = Record {
                timestamp,
                key: Some(Bytes::from_static(b"key")),
                value: Some(Bytes::from(vec![b'v'; 400])),
                offset: 0,
                headers: Vec::new(),
            };
            self.source.append_records(topic, 0, &BatchOptions::default(), &[record]).unwrap();
        }
    }
}

fn topic<'a>(plan: &'a Plan, name: &str) -> &'a TopicPlan {
    plan.topics.iter().find(|topic| topic.topic == name).unwrap()
}

/// A source with everything that is not brought over as it is.
fn odd_world() -> World {
    let world = World::of(cluster("source", Release::V3_9, 3), cluster("target", Release::V4_2, 1));
    let long = "x".repeat(128);
    let source = &world.source;
    source.create_topic("plain", 3, &[("retention.ms", "86400000")]).unwrap();
    source
        .create_topic(
            "odd",
            2,
            &[("message.downconversion.enable", "false"), ("segment.bytes", "2000000")],
        )
        .unwrap();
    source.create_replicated_topic("safe", 1, 3, &[("min.insync.replicas", "2")]).unwrap();
    source.create_topic("stamped", 1, &[("message.timestamp.type", "LogAppendTime")]).unwrap();
    source.create_topic("compacted", 1, &[("cleanup.policy", "compact")]).unwrap();
    source.create_topic(&format!("{long}a"), 1, &[]).unwrap();
    source.create_topic(&format!("{long}b"), 1, &[]).unwrap();
    source.create_topic("short", 4, &[]).unwrap();
    source.create_topic("there", 1, &[]).unwrap();
    world.target.create_topic("short", 2, &[("retention.ms", "604800000")]).unwrap();
    world.target.create_topic("there", 2, &[]).unwrap();
    world
}

#[tokio::test(start_paused = true)]
async fn a_sync_does_what_was_planned() {
    let world = odd_world();
    let before = world.made();
    let planned = world.plan().await;
    assert_eq!(world.made(), before, "a plan changes nothing");
    let events = world.sync().await;
    let made = world.made();
    let mut expected = BTreeMap::new();
    let mut refused = Vec::new();
    let mut skipped = Vec::new();
    for topic in &planned.topics {
        let name = topic.target_topic.clone();
        match &topic.action {
            Action::Create { partitions, settings, skipped: left, .. } => {
                expected.insert(name, (*partitions, settings.clone()));
                skipped.extend(
                    left.iter().map(|it| (topic.topic.clone(), it.key.clone(), it.reason.clone())),
                );
            }
            Action::Grow { to, .. } => {
                drop(expected.insert(name.clone(), (*to, before[&name].1.clone())))
            }
            Action::Keep { partitions } => {
                expected.insert(name.clone(), (*partitions, before[&name].1.clone()));
            }
            _ => refused.push(topic.topic.clone()),
        }
    }
    assert_eq!(made, expected);
    let told: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::TopicSkipped { topic, .. } => Some(topic.clone()),
            _ => None,
        })
        .collect();
    assert_eq!((told.len(), told), (1, refused));
    let mut told: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::ConfigSkipped { topic, key, reason, .. } => {
                Some((topic.clone(), key.clone(), reason.clone()))
            }
            _ => None,
        })
        .collect();
    let by_name = |it: &(String, String, ConfigSkipReason)| (it.0.clone(), it.1.clone());
    told.sort_by_key(by_name);
    skipped.sort_by_key(by_name);
    assert!(told.len() >= 3, "{told:?}");
    assert_eq!(told, skipped);
    // Nothing is left to be done.
    let again = world.plan().await;
    let is_kept = |topic: &&TopicPlan| !matches!(topic.action, Action::Keep { .. });
    let others: Vec<_> = again.topics.iter().filter(is_kept).map(|topic| &topic.topic).collect();
    assert_eq!(others.len(), 1, "{others:?}");
}

#[tokio::test(start_paused = true)]
async fn volume_and_time_are_told() {
    let mut world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    world.source.create_topic("b", 1, &[]).unwrap();
    world.write("a", 100, now_ms());
    let free = world.plan().await;
    assert_eq!((free.records, topic(&free, "a").records, topic(&free, "b").records), (100, 100, 0));
    assert_eq!(free.bytes_estimated, Some(world.source.log_bytes("a", 0).unwrap()));
    assert_eq!((free.eta_s, free.findings.as_slice()), (None, &[][..]));
    world.spec.limits.rate.bytes_per_second = std::num::NonZeroU64::new(1000);
    let bytes = free.bytes_estimated.unwrap();
    assert_eq!(world.plan().await.eta_s, Some(bytes.div_ceil(1000)));
    world.spec.limits.rate.records_per_second = std::num::NonZeroU64::new(1);
    assert_eq!(world.plan().await.eta_s, Some(100));
    world.spec.start = StartPosition::Latest;
    let plan = world.plan().await;
    assert_eq!((plan.records, plan.bytes_estimated, plan.eta_s), (0, Some(0), Some(0)));
    world.spec.start = StartPosition::Earliest;
    world.spec.sync = SyncMode::Metadata;
    assert_eq!(world.plan().await.records, 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_copied_before_counts() {
    let world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 10, now_ms());
    world.sync().await;
    world.write("a", 3, now_ms());
    let (source, target) = (client(&world.source), client(&world.target));
    let plan = plan(&world.spec, &source, &target, Some(&world.journal)).await.unwrap();
    assert_eq!(plan.records, 3);
    assert_eq!(topic(&plan, "a").action, Action::Keep { partitions: 1 });
}

#[tokio::test(start_paused = true)]
async fn groups_are_planned() {
    let mut world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 3, now_ms());
    for group in ["new", "there"] {
        world.source.commit_offset(group, "a", 0, 2, "");
    }
    world.target.create_topic("a", 1, &[]).unwrap();
    world.target.commit_offset("there", "a", 0, 0, "");
    let groups = world.plan().await.groups.unwrap();
    assert_eq!(
        (groups.make_known, groups.existing),
        (vec!["new".to_owned()], vec!["there".to_owned()])
    );
    world.spec.group_auto_create = false;
    assert_eq!(world.finds(false).await, [Problem::GroupsNotMade { count: 1 }]);
    world.spec.topics = TopicSelection::Regex("a".parse().unwrap());
    assert!(world.plan().await.groups.is_none());
}

#[tokio::test(start_paused = true)]
async fn one_cluster_blocks() {
    let source = cluster("one", Release::V4_2, 1);
    let world = World::of(source, cluster("one", Release::V4_2, 1));
    assert_eq!(world.finds(true).await, [Problem::SameCluster { cluster_id: "one".into() }]);
}

/// A topic on both sides with these settings; `source` is also what it was created with there.
async fn both(source: &[(&str, &str)], target: &[(&str, &str)]) -> Vec<Problem> {
    let world = World::new();
    world.source.create_topic("a", 1, source).unwrap();
    world.target.create_topic("a", 1, target).unwrap();
    world.write("a", 2, now_ms() - 3 * 86_400_000);
    world.write("a", 1, now_ms());
    world.finds(true).await
}

#[tokio::test(start_paused = true)]
async fn smaller_batches_block() {
    let found =
        both(&[("max.message.bytes", "2000000")], &[("max.message.bytes", "1000000")]).await;
    assert_eq!(found, [Problem::MaxMessageBytes { source: 2_000_000, target: 1_000_000 }]);
    let found =
        both(&[("max.message.bytes", "1000000")], &[("max.message.bytes", "1000000")]).await;
    assert_eq!(found, []);
}

#[tokio::test(start_paused = true)]
async fn overwritten_times_block() {
    let found = both(&[], &[("message.timestamp.type", "LogAppendTime")]).await;
    assert_eq!(found, [Problem::LogAppendTime]);
}

#[tokio::test(start_paused = true)]
async fn compaction_of_others_blocks() {
    let found = both(&[], &[("cleanup.policy", "compact")]).await;
    assert_eq!(found, [Problem::CompactsOthers { setting: "cleanup.policy=compact".into() }]);
    assert_eq!(both(&[("cleanup.policy", "compact")], &[("cleanup.policy", "compact")]).await, []);
}

#[tokio::test(start_paused = true)]
async fn more_replicas_in_sync_than_there_are_block() {
    let found = both(&[], &[("min.insync.replicas", "2")]).await;
    assert_eq!(found, [Problem::MinInsyncReplicas { wanted: 2, replicas: 1 }]);
}

#[tokio::test(start_paused = true)]
async fn a_shorter_retention_than_the_history_blocks() {
    let day = "86400000";
    let found = both(&[("retention.ms", "-1")], &[("retention.ms", day)]).await;
    let too_short = |source_ms| Problem::RetentionTooShort {
        target_ms: 86_400_000,
        source_ms: Some(source_ms),
        records: 2,
    };
    assert_eq!(found, [too_short(-1)]);
    let found = both(&[("retention.ms", "604800000")], &[("retention.ms", day)]).await;
    assert_eq!(found, [too_short(604_800_000)]);
    assert_eq!(both(&[("retention.ms", day)], &[("retention.ms", day)]).await, []);
    assert_eq!(both(&[("retention.ms", "-1")], &[("retention.ms", "604800000")]).await, []);
    assert_eq!(both(&[("retention.ms", "-1")], &[("retention.ms", "-1")]).await, []);
}

#[tokio::test(start_paused = true)]
async fn names_that_collide_block() {
    let world = World::new();
    let short = "x".repeat(128);
    let (first, second) = (format!("{short}a"), format!("{short}b"));
    world.source.create_topic(&second, 1, &[]).unwrap();
    world.source.create_topic(&first, 1, &[]).unwrap();
    let reason = SkipReason::NameCollision { other: first.clone() };
    assert_eq!(world.finds(true).await, [Problem::TopicRefused { reason }]);
    assert_eq!(world.finds(false).await, [Problem::Renamed]);
    let plan = world.plan().await;
    assert_eq!(topic(&plan, &second).action, Action::Refuse);
    assert!(matches!(topic(&plan, &first).action, Action::Create { partitions: 1, .. }));
}

#[tokio::test(start_paused = true)]
async fn partitions_that_cannot_be_added_block() {
    let mut world =
        World::of(cluster("source", Release::V4_2, 1), cluster("target", Release::V4_2, 1));
    world.source.create_topic("a", 4, &[]).unwrap();
    world.target.create_topic("a", 2, &[]).unwrap();
    world.target.deny("*", Operation::Alter, Resource::Topic("a".into()));
    let found = world.finds(true).await;
    let is_told = |problem: &Problem| {
        matches!(
            problem,
            Problem::TopicRefused {
                reason: SkipReason::TooFewPartitions { source_count: 4, target_count: 2, .. }
            }
        )
    };
    assert!(found.iter().all(is_told) && found.len() == 1, "{found:?}");
    world.spec.same_partition = false;
    assert_eq!(world.finds(true).await, []);
    let found = world.finds(false).await;
    assert!(
        matches!(found[..], [Problem::PartitionsShared { source: 4, target: 2, .. }]),
        "{found:?}"
    );
    world.target.allow_all();
    assert_eq!(topic(&world.plan().await, "a").action, Action::Grow { from: 2, to: 4 });
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_may_not_be_made_blocks() {
    let world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    world.target.deny("*", Operation::Create, Resource::Cluster);
    world.target.deny("*", Operation::Create, Resource::Topic("*".into()));
    let found = world.finds(true).await;
    assert!(
        matches!(found[..], [Problem::TopicRefused { reason: SkipReason::CreateRefused { .. } }]),
        "{found:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_target_topic_that_may_not_be_seen_blocks() {
    let world = World::new();
    for topic in ["a", "b"] {
        world.source.create_topic(topic, 1, &[]).unwrap();
        world.target.create_topic(topic, 1, &[]).unwrap();
    }
    world.target.deny("*", Operation::Describe, Resource::Topic("a".into()));
    let plan = world.plan().await;
    assert_eq!(topic(&plan, "a").action, Action::Refuse);
    assert_eq!(topic(&plan, "b").action, Action::Keep { partitions: 1 });
    let found = world.finds(true).await;
    assert!(
        matches!(
            found[..],
            [Problem::TopicRefused { reason: SkipReason::TargetUnreadable { .. } }]
        ),
        "{found:?}"
    );
}

/// A broker leaves out of its list what we may not describe.
#[tokio::test(start_paused = true)]
async fn a_source_without_topics_in_scope_is_told() {
    let world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    world.source.deny("*", Operation::Describe, Resource::Topic("a".into()));
    assert_eq!(world.finds(true).await, []);
    assert_eq!(world.finds(false).await, [Problem::NothingInScope]);
}

#[tokio::test(start_paused = true)]
async fn every_finding_has_words_and_what_blocks_has_a_cure() {
    let plan = odd_world().plan().await;
    assert!(plan.is_blocked());
    for finding in &plan.findings {
        assert!(!finding.to_string().is_empty());
        assert!(!finding.blocks || finding.problem.cure().is_some(), "{finding}");
        let json = serde_json::to_value(finding).unwrap();
        assert!(json["finding"].is_string(), "{json}");
    }
    let json = serde_json::to_value(&plan).unwrap();
    assert_eq!(json["topics"][0]["action"], "create", "{json}");
}
