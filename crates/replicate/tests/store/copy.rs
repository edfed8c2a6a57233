//! Whole copies: a task dies between two operations of its store, another one goes on with what is left, and the
//! target has every record once, in order, under the target offset that the map says.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use forward::{SourceOffset, TargetOffset};
use futures_util::FutureExt as _;
use kafka_client::{Client, ConnectionConfig};
use kafka_sim::{Cluster, ClusterConfig, Fault, FaultAction};
use kafka_wire::messages::ApiKey;
use kafka_wire::record::{BatchOptions, Record};
use replicate::event::Event;
use replicate::journal::{
    Claim, GroupRecord, Journal, JournalFuture, JournalWrite, LaneKey, LaneRecord, MapQuery,
    TaskIdentity, TopicRecord,
};
use replicate::progress::Progress;
use replicate::spec::TaskSpec;
use replicate::task::{Task, TaskError, TaskReport};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::disk::{Disk, Loss, Rule};
use crate::{seeds, step};

/// A journal whose every call is over when it returns: the time of the simulation stands still meanwhile, and the
/// order of all operations is the same in every run.
pub(crate) struct Inline<J> {
    journal: J,
    disk: Disk,
    died: Arc<Notify>,
}

impl<J> fmt::Debug for Inline<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inline")
    }
}

impl<J> Inline<J> {
    fn over<'a, T: Send + 'a>(&self, call: JournalFuture<'_, T>) -> JournalFuture<'a, T> {
        let result = block_on(call);
        if self.disk.is_dead() {
            self.died.notify_one();
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(result))
    }
}

/// Waits without the runtime: the journal's thread needs none.
fn block_on<T>(mut future: impl Future<Output = T> + Unpin) -> T {
    loop {
        if let Some(value) = (&mut future).now_or_never() {
            return value;
        }
        std::thread::yield_now();
    }
}

impl<J: Journal> Journal for Inline<J> {
    fn claim(&self, identity: TaskIdentity) -> JournalFuture<'_, Claim> {
        self.over(self.journal.claim(identity))
    }

    fn load_identity(&self) -> JournalFuture<'_, Option<TaskIdentity>> {
        self.over(self.journal.load_identity())
    }

    fn write(&self, writes: Vec<JournalWrite>) -> JournalFuture<'_, ()> {
        self.over(self.journal.write(writes))
    }

    fn load_lanes(&self) -> JournalFuture<'_, Vec<LaneRecord>> {
        self.over(self.journal.load_lanes())
    }

    fn load_topics(&self) -> JournalFuture<'_, Vec<TopicRecord>> {
        self.over(self.journal.load_topics())
    }

    fn load_groups(&self) -> JournalFuture<'_, Vec<GroupRecord>> {
        self.over(self.journal.load_groups())
    }

    fn load_note(&self, name: String) -> JournalFuture<'_, Option<String>> {
        self.over(self.journal.load_note(name))
    }

    fn load_map(
        &self,
        lane: LaneKey,
        count_max: usize,
    ) -> JournalFuture<'_, (Vec<forward::Segment>, bool)> {
        self.over(self.journal.load_map(lane, count_max))
    }

    fn query_map(
        &self,
        lane: LaneKey,
        query: MapQuery,
    ) -> JournalFuture<'_, Option<forward::Segment>> {
        self.over(self.journal.query_map(lane, query))
    }
}

/// Two clusters, what a reader of committed data sees on the source, and how many partitions that is about.
pub(crate) struct World {
    pub(crate) source: Cluster,
    pub(crate) target: Cluster,
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
    /// By partition: source offset and value of every record that is to be copied.
    pub(crate) expected: Vec<Vec<(i64, Bytes)>>,
    pub(crate) spec: TaskSpec,
}

pub(crate) const TOPIC: &str = "orders";
const BATCHES: usize = 12;

/// Values of writers beside us begin so.
const FOREIGN: &[u8] = b"foreign";

/// Operations at the end of a life that only close the file, at most.
pub(crate) const CLOSING: usize = 16;

/// Nothing here takes longer, on the simulation's clock.
const TIME_MAX: Duration = Duration::from_secs(600);

fn cluster(id: &str) -> Cluster {
    Cluster::new(ClusterConfig {
        cluster_id: id.into(),
        start_time_ms: Some(1_700_000_000_000),
        ..ClusterConfig::default()
    })
}

fn record(value: String, offset: i64) -> Record {
    Record {
        offset,
        timestamp: 1_700_000_000_000,
        key: None,
        value: Some(Bytes::from(value)),
        headers: Vec::new(),
    }
}

/// How one batch of the source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Plain,
    /// Compaction took records out of it.
    Gaps,
    Committed,
    Aborted,
}

impl World {
    pub(crate) fn empty(partitions: usize) -> Self {
        let source = cluster("source");
        source.create_topic(TOPIC, partitions, &[]).unwrap();
        let slow = |key, ms| Fault {
            times: 100_000,
            ..Fault::once(key, FaultAction::Delay(Duration::from_millis(ms)))
        };
        // Both ends are slow: the copy lasts some seconds, and reads while it writes.
        source.add_fault(slow(ApiKey::Fetch, 130));
        let target = cluster("target");
        target.add_fault(slow(ApiKey::Produce, 250));
        let mut spec = TaskSpec::new("t".parse().unwrap());
        spec.once = true;
        spec.limits.fetch_bytes_max = 600;
        spec.limits.fetch_partition_bytes_max = 300;
        spec.limits.map_segments_max = 3;
        let expected = vec![Vec::new(); partitions];
        Self { source, target, events: Arc::default(), expected, spec }
    }

    /// A partition without gaps and one with.
    pub(crate) fn new() -> Self {
        let mut world = Self::empty(2);
        for batch in 0..BATCHES {
            world.append(0, Kind::Plain, 3);
            world.append(1, if batch % 5 == 4 { Kind::Gaps } else { Kind::Plain }, 3);
        }
        world
    }

    /// Adds a batch to the source.
    pub(crate) fn append(&mut self, partition: usize, kind: Kind, count: i64) {
        let at = i32::try_from(partition).unwrap();
        let end = self.source.end_offset(TOPIC, at).unwrap();
        let stride = if kind == Kind::Gaps { 3 } else { 1 };
        let records: Vec<_> = (0..count)
            .map(|index| record(format!("{partition}-{}", end + index * stride), index * stride))
            .collect();
        let transactional = matches!(kind, Kind::Committed | Kind::Aborted);
        let options = BatchOptions {
            transactional,
            producer_id: if transactional { 5 } else { -1 },
            producer_epoch: if transactional { 0 } else { -1 },
            base_sequence: if transactional { i32::try_from(end).unwrap() } else { -1 },
            ..BatchOptions::default()
        };
        self.source.append_records(TOPIC, at, &options, &records).unwrap();
        if transactional {
            self.source.write_marker(TOPIC, at, 5, 0, kind == Kind::Committed).unwrap();
        }
        if kind != Kind::Aborted {
            let offsets = records.iter().map(|record| (end + record.offset, record.value.clone()));
            self.expected[partition].extend(offsets.map(|(at, value)| (at, value.unwrap())));
        }
    }

    /// Somebody else writes to the target.
    pub(crate) fn write_beside(&self, partition: usize) {
        let at = i32::try_from(partition).unwrap();
        let records = [record(String::from_utf8_lossy(FOREIGN).into_owned(), 0)];
        // There is no topic before the task has made it.
        let _ = self.target.append_records(TOPIC, at, &BatchOptions::default(), &records);
    }

    /// Runs the task on `disk` until it ends, or until the disk says that it died: then nothing.
    pub(crate) async fn run(&self, disk: &Disk) -> Option<Result<TaskReport, TaskError>> {
        let died = Arc::new(Notify::new());
        let journal = match disk.journal() {
            _ if disk.is_dead() => return None,
            Ok(journal) => journal,
            Err(error) => return Some(Err(error.into())),
        };
        let journal = Inline { journal, disk: disk.clone(), died: Arc::clone(&died) };
        let client = |cluster: &Cluster| {
            Client::with_connector(ConnectionConfig::new(cluster.bootstrap()), cluster.connector())
        };
        let events = Arc::clone(&self.events);
        let task = Task {
            spec: self.spec.clone(),
            source: client(&self.source),
            target: client(&self.target),
            journal: Arc::new(journal),
            sink: Arc::new(move |event| events.lock().unwrap().push(event)),
            progress: watch::channel(Arc::new(Progress::default())).0,
            shutdown: CancellationToken::new(),
        };
        tokio::select! {
            biased;
            () = died.notified() => None,
            result = tokio::time::timeout(TIME_MAX, task.run()) => Some(result.unwrap()),
        }
    }

    /// Asserts that the target has what the source has, and that the stored map says where, both ways.
    pub(crate) async fn check(&self, disk: &Disk, what: &str) {
        self.check_from(disk, &vec![0; self.expected.len()], what).await;
    }

    /// As [`World::check`]; the map of each partition is asked from a source offset on.
    pub(crate) async fn check_from(&self, disk: &Disk, map_starts: &[i64], what: &str) {
        let journal = Disk::new(disk.bytes(), Rule::Never).journal().unwrap();
        for (partition, expected) in (0..).zip(&self.expected) {
            let mut target = self.target.records(TOPIC, partition).unwrap();
            target.retain(|record| !record.value.as_ref().unwrap().starts_with(FOREIGN));
            let values = |list: &[Record]| -> Vec<Bytes> {
                list.iter().map(|record| record.value.clone().unwrap()).collect()
            };
            let wanted: Vec<Bytes> = expected.iter().map(|(_, value)| value.clone()).collect();
            assert_eq!(wanted, values(&target), "{what}, partition {partition}");
            let pairs =
                expected.iter().zip(&target).map(|(source, target)| (source.0, target.offset));
            let start = map_starts[usize::try_from(partition).unwrap()];
            let pairs: Vec<(i64, i64)> = pairs.filter(|pair| pair.0 >= start).collect();
            if !pairs.is_empty() {
                check_map(&journal, partition, &pairs, what).await;
            }
        }
    }
}

/// Asks the stored map for every offset and compares with the plain list of what lies where.
async fn check_map(journal: &dyn Journal, partition: i32, pairs: &[(i64, i64)], what: &str) {
    let lane = LaneKey {
        source_topic: TOPIC.into(),
        source_partition: partition,
        target_topic: TOPIC.into(),
        target_partition: partition,
    };
    let (first, last) = (pairs[0], *pairs.last().unwrap());
    for offset in first.0..=last.0 {
        let expected = pairs.iter().find(|pair| pair.0 >= offset).map(|pair| pair.1);
        let asked = SourceOffset(offset);
        let found = journal.query_map(lane.clone(), MapQuery::Source(asked)).await.unwrap();
        let found = found.map(|found| found.target_at_or_after(asked).0);
        assert_eq!(found, expected, "{what}: source {TOPIC}-{partition}@{offset}");
    }
    for offset in first.1..=last.1 {
        let expected = pairs.iter().find(|pair| pair.1 >= offset).map(|pair| pair.0);
        let asked = TargetOffset(offset);
        let found = journal.query_map(lane.clone(), MapQuery::Target(asked)).await.unwrap();
        let found = found.map(|found| found.source_at_or_after(asked).0);
        assert_eq!(found, expected, "{what}: target {TOPIC}-{partition}@{offset}");
    }
}

/// One life in a runtime of its own, so that death ends everything that it began.
pub(crate) fn in_runtime<T>(life: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(life)
}

/// How many operations a copy without accidents takes.
pub(crate) fn op_count() -> usize {
    in_runtime(async {
        let (world, disk) = (World::new(), Disk::new(Vec::new(), Rule::Never));
        assert!(world.run(&disk).await.unwrap().unwrap().is_complete());
        world.check(&disk, "no accident").await;
        disk.op_count()
    })
}

#[test]
fn death_between_any_two_operations_of_the_store_leaves_the_copy_exact() {
    let count = op_count();
    assert!(count > 60, "{count} operations are no history");
    let losses = |at: usize| -> Vec<Loss> {
        let all = [Loss::Nothing, Loss::Everything, Loss::Torn(at as u64)];
        match seeds(0) {
            0 => vec![all[at / step() % 3]],
            more => all.into_iter().chain((0..more).map(Loss::Torn)).collect(),
        }
    };
    for at in (0..=count).step_by(step()) {
        for loss in losses(at) {
            in_runtime(async {
                let (world, disk) = (World::new(), Disk::new(Vec::new(), Rule::DeadFrom(at)));
                let ended = world.run(&disk).await;
                // The last operations close the file, behind the end of the task.
                assert!(ended.is_none() || at + CLOSING >= count, "operation {at}: {ended:?}");
                let disk = Disk::new(disk.image(at.min(disk.op_count()), loss), Rule::Never);
                let what = format!("operation {at} of {count}, {loss:?}");
                let report = world.run(&disk).await.unwrap();
                let report = report.unwrap_or_else(|error| panic!("{what}: {error}"));
                assert!(report.is_complete(), "{what}: {:#?}", world.events.lock().unwrap());
                world.check(&disk, &what).await;
            });
        }
    }
}
