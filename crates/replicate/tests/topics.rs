//! Topic sync on simulated clusters: what is created, grown, refused, and told.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of their functions")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use kafka_client::{Client, ConnectionConfig};
use kafka_sim::{Cluster, ClusterConfig, Fault, FaultAction, Release};
use kafka_wire::messages::ApiKey;
use replicate::event::{ConfigSkipReason, Event, EventSink, FidelityCause, SkipReason};
use replicate::journal::{Journal, MemoryJournal};
use replicate::spec::{ConfigSync, SyncMode, TaskSpec, TopicSelection};
use replicate::topics::{SyncedTopic, TopicSync};

/// Two clusters and what was told.
struct World {
    source: Cluster,
    target: Cluster,
    journal: MemoryJournal,
    events: Arc<Mutex<Vec<Event>>>,
    spec: TaskSpec,
}

fn cluster(id: &str, release: Release, brokers: usize) -> Cluster {
    let start_time_ms = Some(1_700_000_000_000);
    Cluster::new(ClusterConfig {
        cluster_id: id.into(),
        release,
        brokers,
        start_time_ms,
        ..ClusterConfig::default()
    })
}

fn client(cluster: &Cluster) -> Client {
    Client::with_connector(ConnectionConfig::new(cluster.bootstrap()), cluster.connector())
}

impl World {
    fn new() -> Self {
        Self::of(cluster("source", Release::V4_2, 1), cluster("target", Release::V4_2, 1))
    }

    fn of(source: Cluster, target: Cluster) -> Self {
        let mut spec = TaskSpec::new("t".parse().unwrap());
        spec.limits.topic_ready_timeout = Duration::from_secs(20);
        Self { source, target, journal: MemoryJournal::new(), events: Arc::default(), spec }
    }

    fn sync(&self) -> TopicSync {
        let events = Arc::clone(&self.events);
        let sink: EventSink = Arc::new(move |event| events.lock().unwrap().push(event));
        let journal: Arc<dyn Journal> = Arc::new(self.journal.clone());
        TopicSync::new(self.spec.clone(), client(&self.source), client(&self.target), journal, sink)
    }

    fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    fn target_value(&self, topic: &str, key: &str) -> Option<String> {
        self.target
            .topic_overrides(topic)
            .into_iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value)
    }
}

fn names(topics: &[SyncedTopic]) -> Vec<&str> {
    topics.iter().map(|topic| topic.source.name.as_str()).collect()
}

fn skip_reasons(events: &[Event]) -> Vec<(&str, &SkipReason)> {
    let mut reasons = Vec::new();
    for event in events {
        if let Event::TopicSkipped { topic, reason, .. } = event {
            reasons.push((topic.as_str(), reason));
        }
    }
    reasons
}

#[tokio::test(start_paused = true)]
async fn topics_arrive_with_partitions_and_configuration() {
    let world = World::new();
    world
        .source
        .create_topic("orders", 3, &[("retention.ms", "1000"), ("segment.bytes", "2000000")])
        .unwrap();
    world.source.create_topic("compacted", 1, &[("cleanup.policy", "compact")]).unwrap();
    world.source.create_topic("__secret", 1, &[]).unwrap();
    let topics = world.sync().initial().await.unwrap();
    assert_eq!(names(&topics), ["compacted", "orders"]);
    assert_eq!(
        (topics[1].target_partitions, topics[1].initial_partitions, topics[1].is_new),
        (3, 3, false)
    );
    assert!(topics[0].target_traits.compacted && !topics[1].target_traits.compacted);
    assert_eq!(world.target.topics(), [("compacted".to_owned(), 1), ("orders".to_owned(), 3)]);
    assert_eq!(world.target_value("orders", "retention.ms").as_deref(), Some("1000"));
    assert_eq!(world.target_value("orders", "segment.bytes").as_deref(), Some("2000000"));
    assert_eq!(world.target_value("orders", "flush.ms"), None);
    let events = world.take_events();
    assert!(events.iter().all(|event| matches!(event, Event::TopicCreated { .. })), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn many_topics_come_in_portions() {
    let world = World::new();
    for number in 0..250 {
        world.source.create_topic(&format!("t{number:03}"), 1, &[]).unwrap();
    }
    let topics = world.sync().initial().await.unwrap();
    assert_eq!(topics.len(), 250);
    assert_eq!(world.target.topics().len(), 250);
    assert!(names(&topics).is_sorted());
}

#[tokio::test(start_paused = true)]
async fn a_pattern_selects_topics() {
    let mut world = World::new();
    world.spec.topics = TopicSelection::Regex("orders|bills".parse().unwrap());
    for name in ["orders", "orders-2", "bills"] {
        world.source.create_topic(name, 1, &[]).unwrap();
    }
    assert_eq!(names(&world.sync().initial().await.unwrap()), ["bills", "orders"]);
}

#[tokio::test(start_paused = true)]
async fn a_present_topic_keeps_its_configuration_and_grows() {
    let world = World::new();
    world.source.create_topic("orders", 4, &[("retention.ms", "1000")]).unwrap();
    world.target.create_topic("orders", 2, &[("retention.ms", "7")]).unwrap();
    let topics = world.sync().initial().await.unwrap();
    assert_eq!(topics[0].target_partitions, 4);
    assert_eq!(world.target_value("orders", "retention.ms").as_deref(), Some("7"));
    let events = world.take_events();
    assert!(matches!(events[..], [Event::PartitionsAdded { from: 2, to: 4, .. }]), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_cannot_grow_refuses_the_topic_alone() {
    let world =
        World::of(cluster("source", Release::V4_2, 1), cluster("target", Release::V0_11, 1));
    world.source.create_topic("orders", 4, &[]).unwrap();
    world.source.create_topic("other", 1, &[]).unwrap();
    world.target.create_topic("orders", 2, &[]).unwrap();
    let mut sync = world.sync();
    assert_eq!(names(&sync.initial().await.unwrap()), ["other"]);
    assert_eq!(sync.skipped_count(), 1);
    let events = world.take_events();
    let reasons = skip_reasons(&events);
    let expected = matches!(
        reasons[..],
        [("orders", SkipReason::TooFewPartitions { source_count: 4, target_count: 2, .. })]
    );
    assert!(expected, "{events:?}");
    // The same is told once.
    sync.scheduled().await.unwrap();
    assert_eq!(skip_reasons(&world.take_events()), []);
}

#[tokio::test(start_paused = true)]
async fn without_same_partition_a_smaller_target_will_do() {
    let mut world =
        World::of(cluster("source", Release::V4_2, 1), cluster("target", Release::V0_11, 1));
    world.spec.same_partition = false;
    world.source.create_topic("orders", 4, &[]).unwrap();
    world.target.create_topic("orders", 2, &[]).unwrap();
    let topics = world.sync().initial().await.unwrap();
    assert_eq!(topics[0].target_partitions, 2);
    let events = world.take_events();
    assert!(
        matches!(events[..], [Event::PartitionsRefused { wanted: 4, found: 2, .. }]),
        "{events:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn fewer_brokers_mean_the_default_replication() {
    let world = World::of(cluster("source", Release::V4_2, 3), cluster("target", Release::V4_2, 1));
    world.source.create_replicated_topic("orders", 1, 3, &[("min.insync.replicas", "2")]).unwrap();
    world.sync().initial().await.unwrap();
    assert_eq!(world.target_value("orders", "min.insync.replicas").as_deref(), Some("1"));
    let events = world.take_events();
    let is_told = |test: fn(&Event) -> bool| events.iter().any(test);
    assert!(
        is_told(|event| matches!(event, Event::TopicCreated { replication_factor: -1, .. })),
        "{events:?}"
    );
    assert!(is_told(|event| matches!(
        event,
        Event::ReplicationReduced { source_factor: 3, target_brokers: 1, .. }
    )));
    assert!(is_told(|event| {
        matches!(event, Event::ConfigSkipped { key, reason: ConfigSkipReason::Clamped { .. }, .. } if key == "min.insync.replicas")
    }));
}

#[tokio::test(start_paused = true)]
async fn refused_keys_do_not_keep_a_topic_away() {
    let world = World::of(cluster("source", Release::V3_9, 1), cluster("target", Release::V4_2, 1));
    let configs = [("message.downconversion.enable", "false"), ("retention.ms", "1000")];
    for name in ["a", "b"] {
        world.source.create_topic(name, 2, &configs).unwrap();
    }
    assert_eq!(names(&world.sync().initial().await.unwrap()), ["a", "b"]);
    for name in ["a", "b"] {
        assert_eq!(world.target_value(name, "retention.ms").as_deref(), Some("1000"));
        assert_eq!(world.target_value(name, "message.downconversion.enable"), None);
    }
    let events = world.take_events();
    let skipped: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::ConfigSkipped {
                topic, key, reason: ConfigSkipReason::Refused { .. }, ..
            } => Some((topic.as_str(), key.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(
        skipped,
        [("a", "message.downconversion.enable"), ("b", "message.downconversion.enable")]
    );
}

#[tokio::test(start_paused = true)]
async fn record_times_are_kept_unless_only_metadata_travels() {
    for (sync, expected) in
        [(SyncMode::MetadataData, None), (SyncMode::Metadata, Some("LogAppendTime"))]
    {
        let mut world = World::new();
        world.spec.sync = sync;
        world
            .source
            .create_topic("stamped", 1, &[("message.timestamp.type", "LogAppendTime")])
            .unwrap();
        let topics = world.sync().initial().await.unwrap();
        assert_eq!(world.target_value("stamped", "message.timestamp.type").as_deref(), expected);
        assert_eq!(topics[0].target_traits.log_append_time, expected.is_some());
        let is_told = world.take_events().iter().any(|event| {
            matches!(event, Event::ConfigSkipped { reason: ConfigSkipReason::KeepsRecordTimes, .. })
        });
        assert_eq!(is_told, expected.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_changes_records_is_told_once() {
    let world = World::new();
    world.source.create_topic("orders", 1, &[]).unwrap();
    world.target.create_topic("orders", 1, &[("compression.type", "gzip")]).unwrap();
    let mut sync = world.sync();
    sync.initial().await.unwrap();
    sync.scheduled().await.unwrap();
    let losses = |event: &Event| matches!(event, Event::FidelityLoss { cause: FidelityCause::TargetRecompresses, setting, .. } if setting == "compression.type=gzip");
    assert_eq!(world.take_events().iter().filter(|event| losses(event)).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn long_names_are_cut_and_never_merged() {
    let world = World::new();
    let (first, second) = (format!("{}a", "x".repeat(130)), format!("{}b", "x".repeat(130)));
    world.source.create_topic(&first, 1, &[]).unwrap();
    world.source.create_topic(&second, 1, &[]).unwrap();
    let topics = world.sync().initial().await.unwrap();
    assert_eq!(names(&topics), [first.as_str()]);
    assert_eq!(topics[0].target_name, "x".repeat(128));
    let events = world.take_events();
    let reasons = skip_reasons(&events);
    assert!(
        matches!(&reasons[..], [(topic, SkipReason::NameCollision { other })] if *topic == second && *other == first)
    );
    // A restart comes to the same answer, even when the alphabet would say otherwise by then.
    world.source.create_topic(&format!("{}A", "x".repeat(130)), 1, &[]).unwrap();
    assert_eq!(names(&world.sync().initial().await.unwrap()), [first.as_str()]);
}

#[tokio::test(start_paused = true)]
async fn new_topics_and_partitions_are_discovered() {
    let world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    let mut sync = world.sync();
    sync.initial().await.unwrap();
    assert_eq!(names(&sync.discover().await.unwrap()), [] as [&str; 0]);
    world.source.create_topic("b", 2, &[]).unwrap();
    world.source.grow_topic("a", 3);
    let topics = sync.discover().await.unwrap();
    assert_eq!(names(&topics), ["a", "b"]);
    let seen =
        |topic: &SyncedTopic| (topic.is_new, topic.initial_partitions, topic.target_partitions);
    assert_eq!(seen(&topics[0]), (false, 1, 3));
    assert_eq!(seen(&topics[1]), (true, 0, 2));
    assert_eq!(names(&sync.discover().await.unwrap()), [] as [&str; 0]);
    // A topic that was made while nobody looked is no initial one either.
    world.source.create_topic("c", 1, &[]).unwrap();
    let initial: Vec<_> = world
        .sync()
        .initial()
        .await
        .unwrap()
        .iter()
        .map(|topic| topic.initial_partitions)
        .collect();
    assert_eq!(initial, [1, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_deleted_topic_is_told_and_kept() {
    let world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    let mut sync = world.sync();
    sync.initial().await.unwrap();
    world.take_events();
    world.source.delete_topic("a");
    for _ in 0..3 {
        sync.discover().await.unwrap();
    }
    let events = world.take_events();
    assert!(matches!(events[..], [Event::TopicDeleted { .. }]), "{events:?}");
    assert_eq!(world.target.topics().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_unlimited_retention_follows_and_drift_is_told_once() {
    let world = World::new();
    world.source.create_topic("a", 1, &[("retention.ms", "1000")]).unwrap();
    let mut sync = world.sync();
    sync.initial().await.unwrap();
    sync.scheduled().await.unwrap();
    let told = world.take_events();
    assert!(matches!(told[..], [Event::TopicCreated { .. }]), "{told:?}");
    world.source.set_topic_config("a", "retention.ms", Some("5000")).unwrap();
    sync.scheduled().await.unwrap();
    sync.scheduled().await.unwrap();
    let told = world.take_events();
    assert!(
        matches!(&told[..], [Event::ConfigDrift { key, .. }] if key == "retention.ms"),
        "{told:?}"
    );
    assert_eq!(world.target_value("a", "retention.ms").as_deref(), Some("1000"));
    world.source.set_topic_config("a", "retention.ms", Some("-1")).unwrap();
    sync.scheduled().await.unwrap();
    let told = world.take_events();
    assert!(matches!(&told[..], [Event::ConfigApplied { to, .. }] if to == "-1"), "{told:?}");
    assert_eq!(world.target_value("a", "retention.ms").as_deref(), Some("-1"));
}

#[tokio::test(start_paused = true)]
async fn settings_follow_when_asked_to() {
    let mut world =
        World::of(cluster("source", Release::V4_2, 3), cluster("target", Release::V4_2, 2));
    world.spec.config_sync = ConfigSync::Follow;
    let settings = [("retention.ms", "1000")];
    world.source.create_replicated_topic("a", 1, 3, &settings).unwrap();
    world.target.create_replicated_topic("a", 1, 2, &settings).unwrap();
    let mut sync = world.sync();
    sync.initial().await.unwrap();
    sync.scheduled().await.unwrap();
    world.take_events();
    for (key, value) in
        [("retention.ms", "5000"), ("segment.bytes", "2000000"), ("min.insync.replicas", "3")]
    {
        world.source.set_topic_config("a", key, Some(value)).unwrap();
    }
    sync.scheduled().await.unwrap();
    let told = world.take_events();
    assert!(told.iter().all(|event| matches!(event, Event::ConfigApplied { .. })), "{told:?}");
    assert_eq!(world.target_value("a", "retention.ms").as_deref(), Some("5000"));
    assert_eq!(world.target_value("a", "segment.bytes").as_deref(), Some("2000000"));
    // It has two replicas there: more would refuse all writes.
    assert_eq!(world.target_value("a", "min.insync.replicas").as_deref(), Some("2"));
    // Taken back on the source.
    world.source.set_topic_config("a", "segment.bytes", None).unwrap();
    sync.scheduled().await.unwrap();
    assert_eq!(world.target_value("a", "segment.bytes").as_deref(), Some("1073741824"));
    world.take_events();
    sync.scheduled().await.unwrap();
    assert_eq!(world.take_events(), []);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_to_a_creation_is_no_failure() {
    let world = World::new();
    world.source.create_topic("a", 2, &[]).unwrap();
    world.target.add_fault(Fault::once(ApiKey::CreateTopics, FaultAction::LoseAnswer));
    let topics = world.sync().initial().await.unwrap();
    assert_eq!(topics[0].target_partitions, 2);
    assert_eq!(skip_reasons(&world.take_events()), []);
}

#[tokio::test(start_paused = true)]
async fn every_release_takes_topics_from_every_other() {
    let releases =
        [Release::V0_11, Release::V1_1, Release::V2_8, Release::V3_9, Release::V4_1, Release::V4_2];
    for from in releases {
        for to in releases {
            let world = World::of(cluster("source", from, 1), cluster("target", to, 1));
            world
                .source
                .create_topic("a", 2, &[("retention.ms", "-1"), ("cleanup.policy", "compact")])
                .unwrap();
            let mut sync = world.sync();
            let topics = sync.initial().await.unwrap();
            assert_eq!(names(&topics), ["a"], "{from:?} to {to:?}: {:?}", world.take_events());
            assert_eq!(
                world.target_value("a", "retention.ms").as_deref(),
                Some("-1"),
                "{from:?} to {to:?}"
            );
            world.take_events();
            sync.scheduled().await.unwrap();
            let told = world.take_events();
            assert!(told.is_empty(), "{from:?} to {to:?}: {told:?}");
        }
    }
}
