//! Two simulated clusters, a copy between them, and a hand that alters it behind everybody's back.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use kafka_client::{Client, ConnectionConfig};
use kafka_sim::{Cluster, ClusterConfig, Release};
use kafka_wire::compression::Compression;
use kafka_wire::record::{Batch, BatchOptions, Header, Record, RecordLimits, encode_batch, split};
use replicate::journal::MemoryJournal;
use replicate::progress::Progress;
use replicate::spec::{SyncMode, TaskSpec, TopicSelection};
use replicate::task::{Task, TaskError, TaskReport};
use replicate::verify::Verify;
use replicate::verify::report::{Difference, Kind, PartitionReport, Report};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) const TOPIC: &str = "t";
/// Records of one batch that [`World::fill`] writes.
pub(crate) const PER_BATCH: i64 = 5;

pub(crate) struct World {
    pub(crate) source: Cluster,
    pub(crate) target: Cluster,
    pub(crate) journal: MemoryJournal,
    pub(crate) spec: TaskSpec,
}

pub(crate) struct Run {
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<Result<TaskReport, TaskError>>,
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

fn cluster(id: &str, release: Release) -> Cluster {
    Cluster::new(ClusterConfig { cluster_id: id.into(), ..ClusterConfig::release(release) })
}

fn client(cluster: &Cluster) -> Client {
    Client::with_connector(ConnectionConfig::new(cluster.bootstrap()), cluster.connector())
}

/// A record with everything that a record can have.
pub(crate) fn record(index: i64) -> Record {
    let header = |key: &str, value: String| Header {
        key: Bytes::from(key.to_owned()),
        value: Some(Bytes::from(value)),
    };
    Record {
        offset: index,
        timestamp: 1_750_000_000_000 + index,
        key: Some(Bytes::from(format!("key-{}", index % 7))),
        value: Some(Bytes::from(format!("value-{index}"))),
        headers: vec![header("a", format!("{index}")), header("b", format!("{}", index * 2))],
    }
}

/// What differs, one line each.
pub(crate) fn lines(report: &Report) -> Vec<String> {
    let line = |partition: &PartitionReport, found: &Difference| {
        let offset =
            |offset: Option<i64>| offset.map_or_else(|| "-".to_owned(), |at| at.to_string());
        let what = match &found.kind {
            Kind::Changed { parts } => {
                let parts: Vec<_> = parts.iter().map(|part| part.name()).collect();
                format!("changed {}", parts.join("+"))
            }
            Kind::WrongPartition { found_partition, found_offset } => {
                format!("wrong_partition {found_partition}@{found_offset}")
            }
            kind => kind.name().to_owned(),
        };
        let (source, target) = (offset(found.source_offset), offset(found.target_offset));
        format!(
            "{}-{} {source} {target} {what}",
            partition.source_topic, partition.source_partition
        )
    };
    let partitions = report.partitions.iter();
    partitions.flat_map(|found| found.differences.iter().map(move |one| line(found, one))).collect()
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(Release::V4_2, &[])
    }

    /// A source of a release with a topic of two partitions and these settings.
    pub(crate) fn of(release: Release, configs: &[(&str, &str)]) -> Self {
        let mut spec = TaskSpec::new("verify".parse().unwrap());
        spec.sync = SyncMode::MetadataDataOffsets;
        spec.limits.group_interval = Duration::from_millis(500);
        let world = Self {
            source: cluster("source", release),
            target: cluster("target", Release::V4_2),
            journal: MemoryJournal::new(),
            spec,
        };
        world.source.create_topic(TOPIC, 2, configs).unwrap();
        world
    }

    /// Batches of [`PER_BATCH`] records at the end of both partitions, in all codecs by turns.
    pub(crate) fn fill(&self, batches: i64) {
        let codecs = [
            Compression::None,
            Compression::Lz4,
            Compression::Zstd,
            Compression::Snappy,
            Compression::Gzip,
        ];
        for partition in [0, 1] {
            for (_, codec) in (0..batches).zip(codecs.into_iter().cycle()) {
                let end = self.source.end_offset(TOPIC, partition).unwrap();
                let records: Vec<_> = (0..PER_BATCH)
                    .map(|at| record(i64::from(partition) * 1000 + end + at))
                    .collect();
                let options = BatchOptions { compression: codec, ..BatchOptions::default() };
                self.source.append_records(TOPIC, partition, &options, &records).unwrap();
            }
        }
    }

    pub(crate) fn start(&self, once: bool) -> Run {
        let mut spec = self.spec.clone();
        spec.once = once;
        let shutdown = CancellationToken::new();
        let task = Task {
            spec,
            source: client(&self.source),
            target: client(&self.target),
            journal: Arc::new(self.journal.clone()),
            sink: Arc::new(|_| ()),
            progress: watch::channel(Arc::new(Progress::default())).0,
            shutdown: shutdown.clone(),
        };
        Run { shutdown, task: tokio::spawn(task.run()) }
    }

    /// Copies all there is.
    pub(crate) async fn copy(&self) {
        self.start(true).task.await.unwrap().unwrap();
    }

    pub(crate) async fn copied(&self, count: usize) {
        let is_copied = || {
            let has_topic = self.target.topics().iter().any(|(name, _)| name == TOPIC);
            has_topic && self.target.records(TOPIC, 0).unwrap().len() >= count
        };
        let wait = async {
            while !is_copied() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(Duration::from_secs(300), wait).await.unwrap();
    }

    pub(crate) fn verify(&self) -> Verify {
        Verify {
            source: client(&self.source),
            target: client(&self.target),
            books: Arc::new(self.journal.clone()),
            topics: TopicSelection::All,
            bytes_per_second: None,
            concurrency: NonZeroUsize::new(2).unwrap(),
            group_looks: 3,
            found: Vec::new(),
            note: Arc::new(|_| ()),
            stop: CancellationToken::new(),
        }
    }

    pub(crate) async fn report(&self) -> Report {
        self.verify().run().await.unwrap()
    }

    /// Nothing differs, and this many records were compared.
    #[track_caller]
    pub(crate) fn equal(&self, records: u64) -> impl Future<Output = Report> {
        let place = std::panic::Location::caller();
        async move {
            let report = self.report().await;
            assert!(report.is_equal(), "{place}: {report:#?}");
            assert_eq!(report.totals.records, records, "{place}: {report:#?}");
            report
        }
    }

    /// These records differ, and nothing else.
    #[track_caller]
    pub(crate) fn differs(&self, expected: &[&str]) -> impl Future<Output = Report> {
        let (place, expected) = (std::panic::Location::caller(), expected.to_vec());
        async move {
            let report = self.report().await;
            assert_eq!(lines(&report), expected, "{place}: {report:#?}");
            assert_eq!(report.differences(), u64::try_from(expected.len()).unwrap(), "{place}");
            assert!(!report.is_equal() && report.errors().next().is_none(), "{place}: {report:#?}");
            report
        }
    }

    /// Replaces the target's log by what `change` makes of its batches.
    pub(crate) fn alter(&self, partition: i32, change: impl FnOnce(Vec<Altered>) -> Vec<Altered>) {
        let entries = self.target.log(TOPIC, partition).unwrap();
        let batches = entries.into_iter().map(|bytes| Altered::read(&bytes)).collect();
        let changed: Vec<_> = change(batches).iter().map(Altered::encode).collect();
        self.target.start_log_at(TOPIC, partition, 0).unwrap();
        for bytes in changed {
            self.target.append_raw(TOPIC, partition, bytes).unwrap();
        }
    }

    /// Changes the target's record at `offset`.
    pub(crate) fn alter_record(
        &self,
        partition: i32,
        offset: i64,
        change: impl FnOnce(&mut Record),
    ) {
        self.alter(partition, |mut batches| {
            let mut records = batches.iter_mut().flat_map(|batch| batch.records.iter_mut());
            change(records.find(|record| record.offset == offset).unwrap());
            batches
        });
    }

    /// Takes away the target's record at `offset`, and gives it.
    pub(crate) fn take_record(&self, partition: i32, offset: i64) -> Record {
        let taken = Mutex::new(None);
        self.alter(partition, |mut batches| {
            for batch in &mut batches {
                if let Some(at) = batch.records.iter().position(|record| record.offset == offset) {
                    *taken.lock().unwrap() = Some(batch.records.remove(at));
                }
            }
            batches
        });
        taken.into_inner().unwrap().unwrap()
    }
}

/// A batch of the target, to be written differently.
#[derive(Clone, Debug)]
pub(crate) struct Altered {
    pub(crate) options: BatchOptions,
    pub(crate) records: Vec<Record>,
    /// A control batch stays as it is.
    raw: Option<Bytes>,
}

impl Altered {
    fn read(bytes: &Bytes) -> Self {
        let Some(Ok(Batch::V2(batch))) = split(bytes.clone()).next() else { panic!("no batch") };
        let header = &batch.header;
        let options = BatchOptions {
            compression: header.compression().unwrap(),
            base_offset: header.base_offset,
            partition_leader_epoch: header.partition_leader_epoch,
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            base_sequence: header.base_sequence,
            first_offset: Some(header.base_offset),
            last_offset_delta: Some(header.last_offset_delta),
            ..BatchOptions::default()
        };
        let is_control = header.attributes.is_control();
        let records =
            if is_control { Vec::new() } else { batch.records(&RecordLimits::default()).unwrap() };
        Self { options, records, raw: is_control.then(|| bytes.clone()) }
    }

    /// One record at `offset`, by the producer of this batch.
    pub(crate) fn one_more(&self, offset: i64, record: &Record) -> Self {
        let options = BatchOptions {
            base_offset: offset,
            first_offset: Some(offset),
            last_offset_delta: Some(0),
            ..self.options
        };
        Self { options, records: vec![Record { offset, ..record.clone() }], raw: None }
    }

    pub(crate) fn next_offset(&self) -> i64 {
        self.options.base_offset + i64::from(self.options.last_offset_delta.unwrap()) + 1
    }

    fn encode(&self) -> Bytes {
        match &self.raw {
            Some(bytes) => bytes.clone(),
            None => encode_batch(&self.options, &self.records).unwrap(),
        }
    }
}

/// Puts `records` on the target as copies of the source offsets from `base` on, and says so in the journal.
pub(crate) async fn claim(world: &World, partition: i32, base: i64, records: &[Record]) {
    use forward::{Segment, SourceOffset, TargetOffset};
    use replicate::journal::{Journal as _, JournalWrite};

    let lanes = world.journal.load_lanes().await.unwrap();
    let mut lane = lanes.into_iter().find(|lane| lane.lane.source_partition == partition).unwrap();
    let target = world.target.end_offset(TOPIC, partition).unwrap();
    let options = BatchOptions {
        producer_id: lane.epochs[0].producer_id,
        producer_epoch: lane.epochs[0].producer_epoch,
        base_sequence: 0,
        ..BatchOptions::default()
    };
    world.target.append_records(TOPIC, partition, &options, records).unwrap();
    let len = i64::try_from(records.len()).unwrap();
    lane.acked.target_next = TargetOffset(target + len);
    let segment =
        Segment { source_start: SourceOffset(base), target_start: TargetOffset(target), len };
    let key = lane.lane.clone();
    let writes = vec![
        JournalWrite::Segments { lane: key, segments: vec![segment] },
        JournalWrite::Lane(Box::new(lane)),
    ];
    world.journal.write(writes).await.unwrap();
}
