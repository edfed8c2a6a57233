//! Rights that are taken away while a task copies, or missing when it begins: the partition waits, tells it once, and goes on when
//! they are there. Time is virtual.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, outside of their functions"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use kafka_client::{Client, ConnectionConfig};
use kafka_sim::{Cluster, ClusterConfig, Operation, Resource};
use kafka_wire::record::{BatchOptions, Record};
use replicate::event::{Event, Level};
use replicate::journal::MemoryJournal;
use replicate::progress::{LaneState, Progress};
use replicate::spec::TaskSpec;
use replicate::task::{Task, TaskReport};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

const TOPIC: &str = "t";

/// Two clusters with one topic of one partition each, and a task between them.
struct World {
    source: Cluster,
    target: Cluster,
    events: Arc<Mutex<Vec<Event>>>,
    progress: watch::Receiver<Arc<Progress>>,
    shutdown: CancellationToken,
    task: JoinHandle<TaskReport>,
}

impl World {
    fn clusters() -> (Cluster, Cluster) {
        let cluster = |id: &str| {
            let config = ClusterConfig { cluster_id: id.into(), ..ClusterConfig::default() };
            let cluster = Cluster::new(config);
            cluster.create_topic(TOPIC, 1, &[]).unwrap();
            cluster
        };
        (cluster("source"), cluster("target"))
    }

    fn start((source, target): (Cluster, Cluster), once: bool) -> Self {
        let client = |cluster: &Cluster| {
            Client::with_connector(ConnectionConfig::new(cluster.bootstrap()), cluster.connector())
        };
        let events: Arc<Mutex<Vec<Event>>> = Arc::default();
        let told = Arc::clone(&events);
        let mut spec = TaskSpec::new("denied".parse().unwrap());
        spec.once = once;
        let (sender, progress) = watch::channel(Arc::new(Progress::default()));
        let shutdown = CancellationToken::new();
        let task = Task {
            spec,
            source: client(&source),
            target: client(&target),
            journal: Arc::new(MemoryJournal::new()),
            sink: Arc::new(move |event| told.lock().unwrap().push(event)),
            progress: sender,
            shutdown: shutdown.clone(),
        };
        let task = tokio::spawn(async move { task.run().await.unwrap() });
        Self { source, target, events, progress, shutdown, task }
    }

    fn append(&self, count: i64) {
        append(&self.source, count);
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let waiting = async {
            while !is_so(self) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        let is_in_time = timeout(Duration::from_secs(600), waiting).await;
        is_in_time
            .unwrap_or_else(|_| panic!("never {what}; events: {:#?}", self.events.lock().unwrap()));
    }

    fn copied(&self) -> usize {
        self.target.records(TOPIC, 0).unwrap().len()
    }

    /// The lane as the progress shows it: state and last error.
    fn lane(&self) -> Option<(LaneState, String)> {
        let progress = self.progress.borrow();
        let lane = progress.topics.first()?.partitions.first()?;
        Some((lane.state, lane.last_error.clone().unwrap_or_default()))
    }

    fn count(&self, is_one: impl Fn(&Event) -> bool) -> usize {
        self.events.lock().unwrap().iter().filter(|event| is_one(event)).count()
    }

    async fn end(self) -> (TaskReport, Vec<Event>) {
        self.shutdown.cancel();
        let report = timeout(Duration::from_secs(600), self.task).await.unwrap().unwrap();
        let events = self.events.lock().unwrap().clone();
        (report, events)
    }
}

fn append(cluster: &Cluster, count: i64) {
    let record = |offset| Record {
        offset,
        timestamp: cluster.now_ms(),
        key: Some(Bytes::from("key")),
        value: Some(Bytes::from("value")),
        headers: Vec::new(),
    };
    let records: Vec<_> = (0..count).map(record).collect();
    cluster.append_records(TOPIC, 0, &BatchOptions::default(), &records).unwrap();
}

fn is_denied(event: &Event) -> bool {
    matches!(event, Event::LaneDenied { .. })
}

fn is_allowed(event: &Event) -> bool {
    matches!(event, Event::LaneAllowed { .. })
}

fn topic() -> Resource {
    Resource::Topic(TOPIC.to_owned())
}

/// The lane copies, loses a right for a while, and has copied everything in the end.
async fn comes_back(deny: impl Fn(&World), allow: impl Fn(&World), end: &str) {
    let world = World::start(World::clusters(), false);
    world.append(10);
    world.until("copied at first", |world| world.copied() == 10).await;
    deny(&world);
    world.append(10);
    world.until("told", |world| world.count(is_denied) == 1).await;
    sleep(Duration::from_secs(300)).await;
    assert_eq!(world.count(is_denied), 1, "told again");
    let (state, error) = world.lane().unwrap();
    assert_eq!(state, LaneState::Denied);
    assert!(error.contains("cure: grant"), "{error}");
    allow(&world);
    let since = Instant::now();
    world.until("copied again", |world| world.copied() == 20).await;
    assert!(since.elapsed() <= Duration::from_secs(31), "took {:?}", since.elapsed());
    world.until("running", |world| world.lane().unwrap().0 == LaneState::Running).await;
    let (report, events) = world.end().await;
    assert_eq!(report.stopped, 0);
    assert_eq!(events.iter().filter(|event| is_allowed(event)).count(), 1);
    let denied = events.iter().find(|event| is_denied(event)).unwrap();
    assert_eq!(denied.level(), Level::Error);
    assert!(denied.to_string().contains(end), "{denied}");
    assert!(denied.cure().unwrap().contains("grant"), "{denied}");
}

#[tokio::test(start_paused = true)]
async fn reading_goes_on_when_it_is_allowed_again() {
    let deny = |world: &World| world.source.deny("*", Operation::Read, topic());
    comes_back(deny, |world| world.source.allow_all(), "the source").await;
}

#[tokio::test(start_paused = true)]
async fn writing_goes_on_when_it_is_allowed_again() {
    let deny = |world: &World| world.target.deny("*", Operation::Write, topic());
    comes_back(deny, |world| world.target.allow_all(), "the target").await;
}

#[tokio::test(start_paused = true)]
async fn everything_goes_on_when_it_is_allowed_again() {
    let deny = |world: &World| {
        for operation in [Operation::Read, Operation::Describe, Operation::Write] {
            world.target.deny("*", operation, topic());
        }
    };
    comes_back(deny, |world| world.target.allow_all(), "the target").await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_to_end_waits_a_minute() {
    for is_source in [true, false] {
        let (source, target) = World::clusters();
        append(&source, 10);
        if is_source {
            source.deny("*", Operation::Read, topic());
        } else {
            target.deny("*", Operation::Write, topic());
        }
        let began = Instant::now();
        let world = World::start((source, target), true);
        world.until("over", |world| world.task.is_finished()).await;
        let took = began.elapsed();
        let about_a_minute = Duration::from_secs(59)..Duration::from_secs(75);
        assert!(about_a_minute.contains(&took), "took {took:?}");
        let (report, events) = world.end().await;
        assert_eq!(report.stopped, 1);
        let is_stop = |event: &&Event| matches!(event, Event::LaneStopped { .. });
        let stop = events.iter().find(is_stop).unwrap();
        assert!(stop.to_string().contains("for 60 s"), "{stop}");
        assert!(stop.cure().unwrap().contains("grant"), "{stop}");
        assert_eq!(events.iter().filter(|event| is_denied(event)).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_to_end_goes_on_within_the_minute() {
    let (source, target) = World::clusters();
    append(&source, 10);
    target.deny("*", Operation::Write, topic());
    let world = World::start((source, target), true);
    sleep(Duration::from_secs(20)).await;
    world.target.allow_all();
    world.until("over", |world| world.task.is_finished()).await;
    assert_eq!(world.copied(), 10);
    let (report, _) = world.end().await;
    assert!(report.is_complete());
}
