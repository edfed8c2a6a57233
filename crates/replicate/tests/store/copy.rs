//! Whole copies: a task dies between two operations of its store, another one goes on with what is left, and the
//! target has every record once, in order, under the target offset that the map says.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use kafka_client::{Client, ConnectionConfig};
use kafka_sim::{Cluster, ClusterConfig, Fault, FaultAction};
use kafka_wire::messages::ApiKey;
use kafka_wire::record::{BatchOptions, Record};
use replicate::event::Event;
use replicate::journal::{
    Claim, Journal, JournalFuture, JournalWrite, LaneKey, LaneRecord, MapQuery, TaskIdentity,
    TopicRecord,
};
use replicate::progress::Progress;
use replicate::spec::TaskSpec;
use replicate::task::{Task, TaskError, TaskReport};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::disk::{Disk, Loss, Rule};
use crate::seeds;

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

    fn write(&self, writes: Vec<JournalWrite>) -> JournalFuture<'_, ()> {
        self.over(self.journal.write(writes))
    }

    fn load_lanes(&self) -> JournalFuture<'_, Vec<LaneRecord>> {
        self.over(self.journal.load_lanes())
    }

    fn load_topics(&self) -> JournalFuture<'_, Vec<TopicRecord>> {
        self.over(self.journal.load_topics())
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

/// Two clusters; the source's topic has a partition without gaps and one with.
pub(crate) struct World {
    pub(crate) source: Cluster,
    pub(crate) target: Cluster,
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
}

const TOPIC: &str = "orders";
const BATCHES: usize = 18;

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

impl World {
    pub(crate) fn new() -> Self {
        let source = cluster("source");
        source.create_topic(TOPIC, 2, &[]).unwrap();
        for batch in 0..BATCHES {
            for (partition, stride) in [(0, 1), (1, if batch % 7 == 6 { 2 } else { 1 })] {
                let records: Vec<_> = (0..3)
                    .map(|index| record(format!("{partition}-{batch}-{index}"), index * stride))
                    .collect();
                let options = BatchOptions::default();
                source.append_records(TOPIC, partition, &options, &records).unwrap();
            }
        }
        let target = cluster("target");
        // A slow target: the copy lasts some seconds, so that progress is journaled in between.
        target.add_fault(Fault {
            times: 1000,
            ..Fault::once(ApiKey::Produce, FaultAction::Delay(Duration::from_millis(250)))
        });
        Self { source, target, events: Arc::default() }
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
        let mut spec = TaskSpec::new("t".parse().unwrap());
        spec.once = true;
        // Small answers: the copy takes long enough to be interrupted in the middle.
        spec.limits.fetch_bytes_max = 600;
        spec.limits.fetch_partition_bytes_max = 300;
        let events = Arc::clone(&self.events);
        let task = Task {
            spec,
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

    /// Asserts that the target has what the source has, and that the stored map says where.
    pub(crate) async fn check(&self, disk: &Disk, what: &str) {
        let journal = Disk::new(disk.bytes(), Rule::Never).journal().unwrap();
        for partition in 0..2 {
            let values = |records: &[Record]| -> Vec<Bytes> {
                records.iter().map(|record| record.value.clone().unwrap()).collect()
            };
            let source = self.source.records(TOPIC, partition).unwrap();
            let target = self.target.records(TOPIC, partition).unwrap();
            assert_eq!(values(&source), values(&target), "{what}, partition {partition}");
            let lane = LaneKey {
                source_topic: TOPIC.into(),
                source_partition: partition,
                target_topic: TOPIC.into(),
                target_partition: partition,
            };
            let mut pairs = source.iter().zip(&target).peekable();
            for offset in 0..=source.last().unwrap().offset {
                while pairs.next_if(|(record, _)| record.offset < offset).is_some() {}
                let expected = pairs.peek().map(|(_, record)| record.offset);
                let query = MapQuery::Source(forward::SourceOffset(offset));
                let found = journal.query_map(lane.clone(), query).await.unwrap();
                let found = found.map(|found| found.target_at_or_after(offset_of(query)).0);
                assert_eq!(found, expected, "{what}: {TOPIC}-{partition}@{offset}");
            }
        }
    }
}

fn offset_of(query: MapQuery) -> forward::SourceOffset {
    match query {
        MapQuery::Source(offset) => offset,
        MapQuery::Target(_) => unreachable!("only source offsets are asked"),
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
            0 => vec![all[at % 3]],
            more => all.into_iter().chain((0..more).map(Loss::Torn)).collect(),
        }
    };
    for at in 0..=count {
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
