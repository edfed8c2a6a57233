//! A source that is not what was copied any more: retention, truncation, another topic under the name. Each is one event
//! with the exact range; the policy decides, also across a restart, also on releases without ids or epochs. Time is virtual.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of their functions")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use forward::SourceOffset;
use kafka_client::{Client, ConnectionConfig};
use kafka_sim::{Cluster, ClusterConfig, Release};
use kafka_wire::record::{BatchOptions, Record};
use replicate::event::Event;
use replicate::journal::{Journal as _, MapQuery, MemoryJournal};
use replicate::progress::Progress;
use replicate::spec::{LossPolicy, TaskSpec};
use replicate::task::{Task, TaskReport};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

const TOPIC: &str = "t";
const RELEASES: [Release; 4] = [Release::V1_1, Release::V2_8, Release::V3_9, Release::V4_2];

fn cluster(id: &str, release: Release) -> Cluster {
    Cluster::new(ClusterConfig { cluster_id: id.into(), ..ClusterConfig::release(release) })
}

fn client(cluster: &Cluster) -> Client {
    Client::with_connector(ConnectionConfig::new(cluster.bootstrap()), cluster.connector())
}

async fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(300), wait).await.expect(what);
}

/// Two clusters, a topic of one partition, and what one task knows and told.
struct World {
    release: Release,
    source: Cluster,
    target: Cluster,
    journal: MemoryJournal,
    events: Arc<Mutex<Vec<Event>>>,
    policy: LossPolicy,
}

/// A task under way.
struct Run {
    shutdown: CancellationToken,
    task: JoinHandle<Result<TaskReport, replicate::task::TaskError>>,
}

impl Run {
    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// As `kill -9` does.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

impl World {
    fn new(release: Release, policy: LossPolicy) -> Self {
        let world = Self {
            release,
            source: cluster("source", release),
            target: cluster("target", Release::V4_2),
            journal: MemoryJournal::new(),
            events: Arc::default(),
            policy,
        };
        world.source.create_topic(TOPIC, 1, &[]).unwrap();
        world
    }

    fn run(&self, once: bool) -> Run {
        let mut spec = TaskSpec::new("truth".parse().unwrap());
        spec.once = once;
        spec.source_policies.retention = self.policy;
        spec.source_policies.truncation = self.policy;
        spec.source_policies.recreated = self.policy;
        let shutdown = CancellationToken::new();
        let told = Arc::clone(&self.events);
        let task = Task {
            spec,
            source: client(&self.source),
            target: client(&self.target),
            journal: Arc::new(self.journal.clone()),
            sink: Arc::new(move |event| told.lock().unwrap().push(event)),
            progress: watch::channel(Arc::new(Progress::default())).0,
            shutdown: shutdown.clone(),
        };
        Run { shutdown, task: tokio::spawn(task.run()) }
    }

    /// One batch per value.
    fn append(&self, values: impl IntoIterator<Item = i64>) {
        for value in values {
            let record = Record {
                offset: 0,
                timestamp: self.source.now_ms(),
                key: None,
                value: Some(Bytes::from(value.to_string())),
                headers: Vec::new(),
            };
            self.source.append_records(TOPIC, 0, &BatchOptions::default(), &[record]).unwrap();
        }
    }

    fn copied(&self) -> Vec<i64> {
        if !self.target.topics().iter().any(|(name, _)| name == TOPIC) {
            return Vec::new();
        }
        let value = |record: Record| {
            String::from_utf8(record.value.unwrap().to_vec()).unwrap().parse().unwrap()
        };
        self.target.records(TOPIC, 0).unwrap().into_iter().map(value).collect()
    }

    async fn wait_for_copies(&self, count: usize) {
        wait_for("the records arrive", || self.copied().len() >= count).await;
    }

    async fn wait_for_event(&self) {
        wait_for("the event comes", || !self.losses().is_empty()).await;
    }

    async fn wait_for_stop(&self) {
        let has_stopped = || {
            let events = self.events.lock().unwrap();
            events.iter().any(|event| matches!(event, Event::LaneStopped { .. }))
        };
        wait_for("the copy stops", has_stopped).await;
    }

    /// The events about the source, as name and range.
    fn losses(&self) -> Vec<(&'static str, i64, i64)> {
        let loss = |event: &Event| match event {
            Event::Truncated { lost, .. } => Some(("truncated", lost.start, lost.end)),
            Event::RetentionOvertook { lost, .. } => Some(("retention", lost.start, lost.end)),
            Event::TopicRecreated { .. } => Some(("recreated", 0, 0)),
            Event::TopicDeleted { .. } => Some(("deleted", 0, 0)),
            _ => None,
        };
        self.events.lock().unwrap().iter().filter_map(loss).collect()
    }

    #[track_caller]
    fn check_losses(&self, expected: &[(&'static str, i64, i64)]) {
        assert_eq!(self.losses(), expected, "{:?} {:?}", self.release, self.policy);
    }

    #[track_caller]
    fn check_copied(&self, expected: impl IntoIterator<Item = i64>) {
        let expected: Vec<i64> = expected.into_iter().collect();
        assert_eq!(self.copied(), expected, "{:?} {:?}", self.release, self.policy);
    }

    fn recreate(&self, values: impl IntoIterator<Item = i64>) {
        assert!(self.source.delete_topic(TOPIC));
        self.source.create_topic(TOPIC, 1, &[]).unwrap();
        self.append(values);
    }

    /// Where the journal's map says that a source offset is on the target.
    async fn mapped(&self, source: i64) -> Option<i64> {
        let lanes = self.journal.load_lanes().await.unwrap();
        let query = MapQuery::Source(SourceOffset(source));
        let segment = self.journal.query_map(lanes[0].lane.clone(), query).await.unwrap()?;
        let holds = segment.source_start.0 <= source;
        holds.then(|| segment.target_at_or_after(SourceOffset(source)).0)
    }

    fn is_stopped(&self) -> bool {
        self.policy == LossPolicy::Stop
    }
}

/// Runs `body` for every release and both policies.
async fn for_all(body: impl AsyncFn(World)) {
    for release in RELEASES {
        for policy in [LossPolicy::Stop, LossPolicy::Continue] {
            body(World::new(release, policy)).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_truncated_log_is_told_and_cut() {
    for_all(async |world| {
        world.append(0..10);
        let run = world.run(false);
        world.wait_for_copies(10).await;
        world.source.truncate(TOPIC, 0, 6).unwrap();
        if world.is_stopped() {
            world.wait_for_stop().await;
            world.append(100..103);
            sleep(Duration::from_secs(30)).await;
            world.check_copied(0..10);
        } else {
            world.wait_for_event().await;
            world.append(100..103);
            world.wait_for_copies(13).await;
            world.check_copied((0..10).chain(100..103));
        }
        world.check_losses(&[("truncated", 6, 10)]);
        run.stop().await;
        if !world.is_stopped() {
            assert_eq!((world.mapped(5).await, world.mapped(6).await), (Some(5), Some(10)));
            let run = world.run(true);
            run.task.await.unwrap().unwrap();
            world.check_losses(&[("truncated", 6, 10)]);
            world.check_copied((0..10).chain(100..103));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_log_truncated_while_we_were_down_is_told_at_the_start() {
    for once in [false, true] {
        for_all(async |world| {
            world.append(0..10);
            let run = world.run(false);
            world.wait_for_copies(10).await;
            run.stop().await;
            world.source.truncate(TOPIC, 0, 6).unwrap();
            let run = world.run(once);
            world.wait_for_event().await;
            if world.is_stopped() {
                world.wait_for_stop().await;
            }
            if once {
                run.task.await.unwrap().unwrap();
            } else {
                run.stop().await;
            }
            world.check_losses(&[("truncated", 6, 10)]);
            world.append(100..103);
            if !world.is_stopped() {
                world.run(true).task.await.unwrap().unwrap();
                world.check_copied((0..10).chain(100..103));
                assert_eq!(world.mapped(6).await, Some(10));
                world.check_losses(&[("truncated", 6, 10)]);
            }
        })
        .await;
    }
}

/// The quiet form: the log has grown beyond our position again. Only leader epochs tell.
#[tokio::test(start_paused = true)]
async fn a_log_that_grew_again_while_we_were_down_is_told_by_its_epochs() {
    for release in [Release::V2_8, Release::V3_9, Release::V4_2] {
        let world = World::new(release, LossPolicy::Continue);
        world.append(0..10);
        let run = world.run(false);
        world.wait_for_copies(10).await;
        run.stop().await;
        world.source.truncate(TOPIC, 0, 6).unwrap();
        world.append(100..120);
        world.run(true).task.await.unwrap().unwrap();
        world.check_losses(&[("truncated", 6, 10)]);
        world.check_copied((0..10).chain(100..120));
        assert_eq!(world.mapped(6).await, Some(10));
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_around_the_cut_is_harmless() {
    for pause in 0..40 {
        let world = World::new(Release::V4_2, LossPolicy::Continue);
        world.append(0..10);
        let run = world.run(false);
        world.wait_for_copies(10).await;
        // The progress is durable.
        sleep(Duration::from_secs(3)).await;
        world.source.truncate(TOPIC, 0, 6).unwrap();
        world.append(100..103);
        sleep(Duration::from_millis(pause * 25)).await;
        run.kill().await;
        world.run(true).task.await.unwrap().unwrap();
        world.check_copied((0..10).chain(100..103));
        assert_eq!(world.mapped(5).await, Some(5));
        // The fence after the kill may have taken an offset.
        let at = world.mapped(6).await.unwrap();
        let records = world.target.records(TOPIC, 0).unwrap();
        let found = records.into_iter().find(|record| record.offset == at).unwrap();
        assert_eq!(found.value.unwrap(), "100");
        assert!(world.losses().iter().all(|loss| *loss == ("truncated", 6, 10)));
    }
}

#[tokio::test(start_paused = true)]
async fn retention_that_overtakes_is_told_with_its_range() {
    for_all(async |world| {
        world.append(0..10);
        let run = world.run(false);
        world.wait_for_copies(10).await;
        run.stop().await;
        world.append(10..20);
        world.source.delete_records(TOPIC, 0, 15).unwrap();
        let run = world.run(false);
        if world.is_stopped() {
            world.wait_for_stop().await;
            world.check_copied(0..10);
        } else {
            world.wait_for_copies(15).await;
            world.check_copied((0..10).chain(15..20));
        }
        world.check_losses(&[("retention", 10, 15)]);
        run.stop().await;
        if world.is_stopped() {
            let world = World { policy: LossPolicy::Continue, events: Arc::default(), ..world };
            world.run(true).task.await.unwrap().unwrap();
            world.check_losses(&[("retention", 10, 15)]);
            world.check_copied((0..10).chain(15..20));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_recreated_topic_is_told_once() {
    for_all(async |world| {
        // Releases before 2.8 have no topic ids: an offset that runs backwards is a truncation to nothing there.
        let has_ids = world.release >= Release::V2_8;
        world.append(0..10);
        let run = world.run(false);
        world.wait_for_copies(10).await;
        world.recreate(100..103);
        world.wait_for_event().await;
        if world.is_stopped() {
            world.wait_for_stop().await;
            world.check_copied(0..10);
        } else if has_ids {
            world.wait_for_copies(13).await;
            world.append(103..105);
            world.wait_for_copies(15).await;
            world.check_copied((0..10).chain(100..105));
        }
        run.stop().await;
        world.check_losses(&[if has_ids { ("recreated", 0, 0) } else { ("truncated", 3, 10) }]);
        if has_ids && !world.is_stopped() {
            assert_eq!(world.mapped(0).await, Some(10));
            world.run(true).task.await.unwrap().unwrap();
            world.check_losses(&[("recreated", 0, 0)]);
            world.check_copied((0..10).chain(100..105));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_recreated_while_we_were_down_is_told_at_the_start() {
    for count in [3, 10, 30] {
        for once in [false, true] {
            for_all(async |world| {
                if world.release < Release::V2_8 {
                    return;
                }
                world.append(0..10);
                let run = world.run(false);
                world.wait_for_copies(10).await;
                run.stop().await;
                world.recreate(100..100 + count);
                let run = world.run(once);
                world.wait_for_event().await;
                if world.is_stopped() {
                    world.wait_for_stop().await;
                    world.check_copied(0..10);
                } else {
                    world.wait_for_copies(usize::try_from(10 + count).unwrap()).await;
                    world.check_copied((0..10).chain(100..100 + count));
                }
                run.stop().await;
                world.check_losses(&[("recreated", 0, 0)]);
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_added_is_copied_from_its_first_record() {
    let world = World::new(Release::V4_2, LossPolicy::Stop);
    world.append(0..3);
    let run = world.run(false);
    world.wait_for_copies(3).await;
    world.source.grow_topic(TOPIC, 2);
    let record = Record {
        offset: 0,
        timestamp: world.source.now_ms(),
        key: None,
        value: Some(Bytes::from_static(b"new")),
        headers: Vec::new(),
    };
    world.source.append_records(TOPIC, 1, &BatchOptions::default(), &[record]).unwrap();
    wait_for("the new partition's record arrives", || {
        world.target.records(TOPIC, 1).is_ok_and(|records| records.len() == 1)
    })
    .await;
    run.stop().await;
    world.check_losses(&[]);
}
