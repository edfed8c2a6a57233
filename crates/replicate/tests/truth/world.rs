//! Two simulated clusters, and what one task told of the source.

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
use replicate::spec::{LossPolicy, RecreatedPolicy, TaskSpec};
use replicate::task::{Task, TaskReport};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) const TOPIC: &str = "t";
pub(crate) const RELEASES: [Release; 4] =
    [Release::V1_1, Release::V2_8, Release::V3_9, Release::V4_2];

pub(crate) fn cluster(id: &str, release: Release) -> Cluster {
    Cluster::new(ClusterConfig { cluster_id: id.into(), ..ClusterConfig::release(release) })
}

pub(crate) fn client(cluster: &Cluster) -> Client {
    Client::with_connector(ConnectionConfig::new(cluster.bootstrap()), cluster.connector())
}

pub(crate) async fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(300), wait).await.expect(what);
}

/// Two clusters, a topic of one partition, and what one task knows and told.
pub(crate) struct World {
    pub(crate) release: Release,
    pub(crate) source: Cluster,
    pub(crate) target: Cluster,
    pub(crate) journal: MemoryJournal,
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
    pub(crate) policy: LossPolicy,
    /// Another policy for recreated topics.
    pub(crate) recreated: Option<RecreatedPolicy>,
}

/// A task under way.
pub(crate) struct Run {
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<Result<TaskReport, replicate::task::TaskError>>,
}

impl Run {
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// As `kill -9` does.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

impl World {
    pub(crate) fn new(release: Release, policy: LossPolicy) -> Self {
        let world = Self {
            release,
            source: cluster("source", release),
            target: cluster("target", Release::V4_2),
            journal: MemoryJournal::new(),
            events: Arc::default(),
            policy,
            recreated: None,
        };
        world.source.create_topic(TOPIC, 1, &[]).unwrap();
        world
    }

    pub(crate) fn run(&self, once: bool) -> Run {
        let mut spec = TaskSpec::new("truth".parse().unwrap());
        spec.once = once;
        spec.source_policies.retention = self.policy;
        spec.source_policies.truncation = self.policy;
        spec.source_policies.recreated = self.recreated.unwrap_or_else(|| self.policy.into());
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
    pub(crate) fn append(&self, values: impl IntoIterator<Item = i64>) {
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

    pub(crate) fn copied(&self) -> Vec<i64> {
        if !self.target.topics().iter().any(|(name, _)| name == TOPIC) {
            return Vec::new();
        }
        let value = |record: Record| {
            String::from_utf8(record.value.unwrap().to_vec()).unwrap().parse().unwrap()
        };
        self.target.records(TOPIC, 0).unwrap().into_iter().map(value).collect()
    }

    /// What the source has from offset 0 on; every record is a batch of its own.
    pub(crate) fn in_source(&self) -> Vec<i64> {
        let records = self.source.records(TOPIC, 0).unwrap();
        let first = records.first().map_or(0, |record| record.offset);
        let value = |record: Record| {
            String::from_utf8(record.value.unwrap().to_vec()).unwrap().parse().unwrap()
        };
        (0..first).map(|_| -1).chain(records.into_iter().map(value)).collect()
    }

    pub(crate) async fn wait_for_copies(&self, count: usize) {
        wait_for("the records arrive", || self.copied().len() >= count).await;
    }

    pub(crate) async fn wait_for_event(&self) {
        wait_for("the event comes", || !self.losses().is_empty()).await;
    }

    pub(crate) async fn wait_for_stop(&self) {
        let has_stopped = || {
            let events = self.events.lock().unwrap();
            events.iter().any(|event| matches!(event, Event::LaneStopped { .. }))
        };
        wait_for("the copy stops", has_stopped).await;
    }

    /// The events about the source, as name and range.
    pub(crate) fn losses(&self) -> Vec<(&'static str, i64, i64)> {
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
    pub(crate) fn check_losses(&self, expected: &[(&'static str, i64, i64)]) {
        assert_eq!(self.losses(), expected, "{:?} {:?}", self.release, self.policy);
    }

    #[track_caller]
    pub(crate) fn check_copied(&self, expected: impl IntoIterator<Item = i64>) {
        let expected: Vec<i64> = expected.into_iter().collect();
        assert_eq!(self.copied(), expected, "{:?} {:?}", self.release, self.policy);
    }

    pub(crate) fn recreate(&self, values: impl IntoIterator<Item = i64>) {
        assert!(self.source.delete_topic(TOPIC));
        self.source.create_topic(TOPIC, 1, &[]).unwrap();
        self.append(values);
    }

    /// Where the journal's map says that a source offset is on the target.
    pub(crate) async fn mapped(&self, source: i64) -> Option<i64> {
        let lanes = self.journal.load_lanes().await.unwrap();
        let query = MapQuery::Source(SourceOffset(source));
        let segment = self.journal.query_map(lanes[0].lane.clone(), query).await.unwrap()?;
        let holds = segment.source_start.0 <= source;
        holds.then(|| segment.target_at_or_after(SourceOffset(source)).0)
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.policy == LossPolicy::Stop
    }
}

/// Runs `body` for every release and both policies.
pub(crate) async fn for_all(body: impl AsyncFn(World)) {
    for release in RELEASES {
        for policy in [LossPolicy::Stop, LossPolicy::Continue] {
            body(World::new(release, policy)).await;
        }
    }
}
