//! Topics that are called something else on the target, which may be the same cluster.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of their functions")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use kafka_client::{Client, ConnectionConfig};
use kafka_sim::{Cluster, ClusterConfig, Release};
use kafka_wire::record::{BatchOptions, Record};
use replicate::drift::drift;
use replicate::event::{Event, EventSink, SkipReason};
use replicate::journal::{Journal, MemoryJournal};
use replicate::plan::{Problem, plan};
use replicate::progress::Progress;
use replicate::spec::{Rename, SyncMode, TaskSpec, TopicPattern, TopicSelection};
use replicate::task::{Task, TaskError, TaskReport};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

struct World {
    source: Cluster,
    target: Cluster,
    journal: MemoryJournal,
    events: Arc<Mutex<Vec<Event>>>,
    spec: TaskSpec,
}

fn cluster(id: &str) -> Cluster {
    Cluster::new(ClusterConfig {
        cluster_id: id.into(),
        release: Release::V4_2,
        brokers: 1,
        ..ClusterConfig::default()
    })
}

fn client(cluster: &Cluster) -> Client {
    Client::with_connector(ConnectionConfig::new(cluster.bootstrap()), cluster.connector())
}

fn prefix(text: &str) -> Rename {
    Rename { prefix: text.to_owned(), ..Rename::default() }
}

impl World {
    fn of(source: Cluster, target: Cluster, rename: Rename) -> Self {
        let mut spec = TaskSpec::new("t".parse().unwrap());
        spec.rename = rename;
        spec.once = true;
        Self { source, target, journal: MemoryJournal::new(), events: Arc::default(), spec }
    }

    fn two(rename: Rename) -> Self {
        Self::of(cluster("source"), cluster("target"), rename)
    }

    fn one(rename: Rename) -> Self {
        let one = cluster("one");
        Self::of(one.clone(), one, rename)
    }

    fn task(&self) -> (Task, watch::Receiver<Arc<Progress>>, CancellationToken) {
        let events = Arc::clone(&self.events);
        let sink: EventSink = Arc::new(move |event| events.lock().unwrap().push(event));
        let journal: Arc<dyn Journal> = Arc::new(self.journal.clone());
        let (progress, watching) = watch::channel(Arc::default());
        let shutdown = CancellationToken::new();
        let task = Task {
            spec: self.spec.clone(),
            source: client(&self.source),
            target: client(&self.target),
            journal,
            sink,
            progress,
            shutdown: shutdown.clone(),
        };
        (task, watching, shutdown)
    }

    async fn run(&self) -> Result<TaskReport, TaskError> {
        self.task().0.run().await
    }

    fn write(&self, topic: &str, count: usize) {
        for _ in 0..count {
            let record = Record {
                offset: 0,
                timestamp: self.source.now_ms(),
                key: None,
                value: Some(Bytes::from_static(b"value")),
                headers: Vec::new(),
            };
            self.source.append_records(topic, 0, &BatchOptions::default(), &[record]).unwrap();
        }
    }

    fn names(&self) -> Vec<String> {
        self.target.topics().into_iter().map(|(name, _)| name).collect()
    }

    fn count(&self, topic: &str) -> usize {
        self.target.records(topic, 0).unwrap().len()
    }
}

#[tokio::test(start_paused = true)]
async fn records_and_groups_arrive_under_other_names() {
    let mut world = World::two(prefix("eu."));
    world.spec.sync = SyncMode::MetadataDataOffsets;
    world.source.create_topic("orders", 1, &[]).unwrap();
    world.write("orders", 5);
    world.source.commit_offset("readers", "orders", 0, 3, "");
    assert!(world.run().await.unwrap().is_complete());
    assert_eq!(world.names(), ["eu.orders"]);
    assert_eq!(world.count("eu.orders"), 5);
    let committed = world.target.committed_offset("readers", "eu.orders", 0);
    assert_eq!(committed.map(|committed| committed.offset), Some(3));
    // It goes on under that name, whatever the task says now.
    world.spec.rename = prefix("us.");
    world.write("orders", 2);
    assert!(world.run().await.unwrap().is_complete());
    assert_eq!(world.count("eu.orders"), 7);
    assert!(!world.names().contains(&"us.orders".to_owned()));
    let (source, target) = (client(&world.source), client(&world.target));
    let drift = drift(&world.spec, &source, &target, Some(&world.journal)).await.unwrap();
    assert_eq!(drift.differences, []);
}

#[tokio::test(start_paused = true)]
async fn one_cluster_is_copied_to_other_names_and_copies_are_not() {
    for rename in [
        prefix("copy."),
        Rename { suffix: ".copy".to_owned(), ..Rename::default() },
        Rename {
            replace: Some(("([ab])".parse::<TopicPattern>().unwrap(), "copy.$1".to_owned())),
            ..Rename::default()
        },
    ] {
        let mut world = World::one(rename.clone());
        world.spec.once = false;
        world.spec.limits.discovery_interval = Duration::from_secs(1);
        world.source.create_topic("a", 1, &[]).unwrap();
        world.write("a", 3);
        let (task, _progress, shutdown) = world.task();
        let running = tokio::spawn(task.run());
        let (first, second) = (rename.apply("a").into_owned(), rename.apply("b").into_owned());
        let arrives = async |name: &str, count: usize| {
            for _ in 0..300 {
                if world.target.records(name, 0).is_ok_and(|records| records.len() == count) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            panic!("{name}: {:?}", world.events.lock().unwrap());
        };
        arrives(&first, 3).await;
        world.source.create_topic("b", 1, &[]).unwrap();
        world.write("b", 2);
        arrives(&second, 2).await;
        // Several looks for new topics later nothing has fed on itself.
        tokio::time::sleep(Duration::from_secs(30)).await;
        shutdown.cancel();
        running.await.unwrap().unwrap();
        let mut expected = vec!["a".to_owned(), "b".to_owned(), first, second];
        expected.sort();
        let names: Vec<_> =
            world.names().into_iter().filter(|name| !name.starts_with("__")).collect();
        assert_eq!(names, expected, "{rename:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_is_not_copied_to_itself() {
    let replace = Some(("(a)".parse::<TopicPattern>().unwrap(), "copy.$1".to_owned()));
    let world = World::one(Rename { replace, ..Rename::default() });
    for name in ["a", "b"] {
        world.source.create_topic(name, 1, &[]).unwrap();
        world.write(name, 2);
    }
    let report = world.run().await.unwrap();
    assert_eq!((report.skipped, world.count("copy.a"), world.count("b")), (1, 2, 2));
    let is_told = |event: &Event| matches!(event, Event::TopicSkipped { topic, reason: SkipReason::SameTopic, .. } if topic == "b");
    assert!(world.events.lock().unwrap().iter().any(is_told));
    let one = client(&world.source);
    let plan = plan(&world.spec, &one, &one, None).await.unwrap();
    let found: Vec<_> = plan.findings.iter().map(|finding| finding.problem.clone()).collect();
    assert_eq!(found, [Problem::TopicRefused { reason: SkipReason::SameTopic }]);
}

#[tokio::test(start_paused = true)]
async fn one_cluster_without_new_names_is_refused() {
    let world = World::one(Rename::default());
    let error = world.run().await.unwrap_err();
    assert!(matches!(error, TaskError::SameCluster { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn lists_select_topics() {
    let mut world = World::two(Rename::default());
    for name in ["orders", "orders-old", "bills", "clicks"] {
        world.source.create_topic(name, 1, &[]).unwrap();
    }
    let patterns = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
    world.spec.topics = TopicSelection::of(patterns(&["orders.*", "bills"]), patterns(&[".*-old"]));
    assert!(world.run().await.unwrap().is_complete());
    assert_eq!(world.names(), ["bills", "orders"]);
}
