//! Two simulated clusters with a task between them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use kafka_client::{Client, ConnectionConfig, CoordinatorKind, OffsetToCommit, TopicPartition};
use kafka_sim::{Cluster, ClusterConfig, Release};
use kafka_wire::messages::GroupId;
use kafka_wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use kafka_wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use kafka_wire::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use kafka_wire::protocol::StrBytes;
use kafka_wire::record::{BatchOptions, Record};
use replicate::event::{Event, EventSink};
use replicate::journal::{Journal, MemoryJournal};
use replicate::progress::{GroupState, Progress};
use replicate::spec::{SyncMode, TaskSpec};
use replicate::task::{Task, TaskError, TaskReport};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Two clusters, a journal that outlives tasks, and what was told.
pub(crate) struct World {
    pub(crate) source: Cluster,
    pub(crate) target: Cluster,
    pub(crate) journal: MemoryJournal,
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
    pub(crate) spec: TaskSpec,
}

/// A task at work.
pub(crate) struct Running {
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<Result<TaskReport, TaskError>>,
    pub(crate) progress: watch::Receiver<Arc<Progress>>,
}

impl Running {
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Dies without a last word.
    pub(crate) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Waits until the group is shown in this state.
    #[track_caller]
    pub(crate) fn becomes(&self, group: &str, state: GroupState) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            for _ in 0..300 {
                if self.state(group) == Some(state) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let progress = Arc::clone(&self.progress.borrow());
            panic!(
                "{place}: {group} is {:?}, not {state:?}: {:#?}",
                self.state(group),
                progress.topics
            );
        }
    }

    pub(crate) fn state(&self, group: &str) -> Option<GroupState> {
        let progress = Arc::clone(&self.progress.borrow());
        let found = progress.groups.iter().find(|found| found.group == group);
        found.map(|found| found.state)
    }
}

pub(crate) fn cluster(id: &str, release: Release, brokers: usize) -> Cluster {
    Cluster::new(ClusterConfig {
        cluster_id: id.into(),
        release,
        brokers,
        start_time_ms: Some(1_700_000_000_000),
        ..ClusterConfig::default()
    })
}

pub(crate) fn client(cluster: &Cluster) -> Client {
    Client::with_connector(ConnectionConfig::new(cluster.bootstrap()), cluster.connector())
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(Release::V4_2, Release::V4_2)
    }

    pub(crate) fn of(source: Release, target: Release) -> Self {
        let mut spec = TaskSpec::new("t".parse().unwrap());
        spec.sync = SyncMode::MetadataDataOffsets;
        spec.limits.group_interval = Duration::from_millis(500);
        Self {
            source: cluster("source", source, 2),
            target: cluster("target", target, 2),
            journal: MemoryJournal::new(),
            events: Arc::default(),
            spec,
        }
    }

    /// Appends records with these values, one batch; gives the base offset.
    pub(crate) fn write(&self, topic: &str, partition: i32, values: std::ops::Range<i64>) -> i64 {
        write(&self.source, topic, partition, values, &BatchOptions::default())
    }

    pub(crate) fn start(&self) -> Running {
        let events = Arc::clone(&self.events);
        let sink: EventSink = Arc::new(move |event| events.lock().unwrap().push(event));
        let journal: Arc<dyn Journal> = Arc::new(self.journal.clone());
        let (progress, watching) = watch::channel(Arc::new(Progress::default()));
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
        Running { shutdown, task: tokio::spawn(task.run()), progress: watching }
    }

    /// Runs a `once` task to its end.
    pub(crate) async fn once(&mut self) -> TaskReport {
        self.spec.once = true;
        let report = self.start().task.await.unwrap().unwrap();
        self.spec.once = false;
        report
    }

    /// What the target's group has; −1 for nothing.
    pub(crate) fn at_target(&self, group: &str, topic: &str, partition: i32) -> i64 {
        let found = self.target.committed_offset(group, topic, partition);
        found.map_or(-1, |committed| committed.offset)
    }

    /// Waits until the target's group stands at `offset`.
    #[track_caller]
    pub(crate) fn reaches(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            for _ in 0..200 {
                if self.at_target(group, topic, partition) == offset {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            panic!(
                "{place}: {group} stands at {} of {topic}-{partition}, not at {offset}: {:#?}",
                self.at_target(group, topic, partition),
                self.events.lock().unwrap()
            );
        }
    }

    pub(crate) fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    /// Waits for an event.
    #[track_caller]
    pub(crate) fn event(&self, wanted: impl Fn(&Event) -> bool) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            for _ in 0..400 {
                if self.events.lock().unwrap().iter().any(&wanted) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            panic!("{place}: not told: {:#?}", self.events.lock().unwrap());
        }
    }
}

pub(crate) fn write(
    cluster: &Cluster,
    topic: &str,
    partition: i32,
    values: std::ops::Range<i64>,
    options: &BatchOptions,
) -> i64 {
    let records: Vec<_> = values
        .enumerate()
        .map(|(index, value)| Record {
            offset: i64::try_from(index).unwrap(),
            timestamp: 1_700_000_000_000,
            key: Some(Bytes::from(format!("k{value}"))),
            value: Some(Bytes::from(format!("{topic}-{partition}-{value}"))),
            headers: Vec::new(),
        })
        .collect();
    cluster.append_records(topic, partition, options, &records).unwrap()
}

/// The value of the first record of a client at or after `offset`.
pub(crate) fn value_at(
    cluster: &Cluster,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Option<String> {
    let records = cluster.records(topic, partition).unwrap();
    let found = records.into_iter().find(|record| record.offset >= offset)?;
    Some(String::from_utf8(found.value.unwrap().to_vec()).unwrap())
}

pub(crate) async fn commit(
    cluster: &Cluster,
    group: &str,
    topic: &str,
    partition: i32,
    offset: i64,
) {
    commit_with(cluster, group, topic, partition, offset, None).await;
}

pub(crate) async fn commit_with(
    cluster: &Cluster,
    group: &str,
    topic: &str,
    partition: i32,
    offset: i64,
    metadata: Option<&str>,
) {
    let at = TopicPartition::new(topic, partition);
    let offset = OffsetToCommit { at, offset, metadata: metadata.map(str::to_owned) };
    let done = client(cluster).offset_commit(group, vec![offset]).await.unwrap();
    assert!(done.values().all(Result::is_ok), "{done:?}");
}

pub(crate) fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

/// A live member of a classic group.
pub(crate) struct Member {
    pub(crate) client: Client,
    pub(crate) group: String,
    pub(crate) id: String,
}

impl Member {
    pub(crate) async fn join(cluster: &Cluster, group: &str) -> Self {
        let client = client(cluster);
        let connection = client.coordinator(CoordinatorKind::Group, group).await.unwrap();
        let mut id = String::new();
        let generation = loop {
            let protocol = JoinGroupRequestProtocol::default()
                .with_name(text("range"))
                .with_metadata(Bytes::from_static(b"m"));
            let request = JoinGroupRequest::default()
                .with_group_id(GroupId(text(group)))
                .with_session_timeout_ms(600_000)
                .with_rebalance_timeout_ms(5_000)
                .with_member_id(text(&id))
                .with_protocol_type(text("consumer"))
                .with_protocols(vec![protocol]);
            let response = connection.call(request).await.unwrap();
            id = response.member_id.to_string();
            if response.error_code == 0 {
                break response.generation_id;
            }
        };
        let assignment = SyncGroupRequestAssignment::default()
            .with_member_id(text(&id))
            .with_assignment(Bytes::from_static(b"a"));
        let sync = SyncGroupRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_generation_id(generation)
            .with_member_id(text(&id))
            .with_assignments(vec![assignment]);
        assert_eq!(connection.call(sync).await.unwrap().error_code, 0);
        Self { client, group: group.to_owned(), id }
    }

    pub(crate) async fn leave(self) {
        let connection =
            self.client.coordinator(CoordinatorKind::Group, &self.group).await.unwrap();
        let mut leave = LeaveGroupRequest::default().with_group_id(GroupId(text(&self.group)));
        if connection.version_for::<LeaveGroupRequest>(None).unwrap() >= 3 {
            leave.members = vec![MemberIdentity::default().with_member_id(text(&self.id))];
        } else {
            leave.member_id = text(&self.id);
        }
        assert_eq!(connection.call(leave).await.unwrap().error_code, 0);
    }
}
