//! Batches and records that the target refuses: cut, left out, or a stop that says why. Time is virtual.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of their functions")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use kafka_client::{Client, ConnectionConfig};
use kafka_sim::{Cluster, ClusterConfig, Release};
use kafka_wire::compression::Compression;
use kafka_wire::record::{BatchOptions, Record};
use replicate::event::Event;
use replicate::journal::MemoryJournal;
use replicate::progress::Progress;
use replicate::spec::{RefusedRecordPolicy, TaskSpec};
use replicate::task::{Task, TaskReport};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

const TOPIC: &str = "t";

/// Two clusters with one topic of one partition each.
struct World {
    source: Cluster,
    target: Cluster,
    journal: MemoryJournal,
    events: Arc<Mutex<Vec<Event>>>,
    policy: RefusedRecordPolicy,
}

impl World {
    fn new(release: Release, target_config: &[(&str, &str)]) -> Self {
        let cluster = |id: &str, release| {
            Cluster::new(ClusterConfig {
                cluster_id: id.into(),
                release,
                ..ClusterConfig::default()
            })
        };
        let (source, target) = (cluster("source", Release::V4_2), cluster("target", release));
        source.create_topic(TOPIC, 1, &[("max.message.bytes", "10000000")]).unwrap();
        target.create_topic(TOPIC, 1, target_config).unwrap();
        Self {
            source,
            target,
            journal: MemoryJournal::new(),
            events: Arc::default(),
            policy: RefusedRecordPolicy::Skip,
        }
    }

    fn append(&self, compression: Compression, records: Vec<Record>) {
        let options = BatchOptions { compression, ..BatchOptions::default() };
        self.source.append_records(TOPIC, 0, &options, &records).unwrap();
    }

    /// A record with the given number.
    fn record(&self, number: i64, size: usize) -> Record {
        let mut value = format!("{number}:").into_bytes();
        // Nothing that compresses well.
        let mut random = fastrand::Rng::with_seed(u64::try_from(number).unwrap());
        value.extend(std::iter::repeat_with(|| random.u8(..)).take(size));
        Record {
            offset: number,
            timestamp: self.source.now_ms(),
            key: Some(Bytes::from("key")),
            value: Some(value.into()),
            headers: Vec::new(),
        }
    }

    /// Copies what is there; the same journal goes on.
    async fn copy(&self) -> TaskReport {
        let client = |cluster: &Cluster| {
            Client::with_connector(ConnectionConfig::new(cluster.bootstrap()), cluster.connector())
        };
        let told = Arc::clone(&self.events);
        let mut spec = TaskSpec::new("refused".parse().unwrap());
        spec.once = true;
        spec.refused_record = self.policy;
        let task = Task {
            spec,
            source: client(&self.source),
            target: client(&self.target),
            journal: Arc::new(self.journal.clone()),
            sink: Arc::new(move |event| told.lock().unwrap().push(event)),
            progress: watch::channel(Arc::new(Progress::default())).0,
            shutdown: CancellationToken::new(),
        };
        timeout(Duration::from_secs(600), task.run()).await.expect("it never ends").unwrap()
    }

    /// The numbers of the target's records.
    fn copied(&self) -> Vec<i64> {
        let records = self.target.records(TOPIC, 0).unwrap();
        let number = |record: Record| {
            let value = record.value.unwrap();
            let end = value.iter().position(|byte| *byte == b':').unwrap();
            std::str::from_utf8(&value[..end]).unwrap().parse().unwrap()
        };
        records.into_iter().map(number).collect()
    }

    /// Source offsets of all records that were left out.
    fn skipped(&self) -> Vec<i64> {
        let events = self.events.lock().unwrap();
        let offsets = |event: &Event| match event {
            Event::RecordsSkipped { offsets, .. } => offsets.clone(),
            _ => Vec::new(),
        };
        events.iter().flat_map(offsets).collect()
    }

    fn stopped(&self) -> Vec<(i64, String)> {
        let events = self.events.lock().unwrap();
        let stopped = |event: &Event| match event {
            Event::LaneStopped { offset, cause, cure, .. } => {
                assert!(cure.is_some());
                Some((*offset, cause.clone()))
            }
            _ => None,
        };
        events.iter().filter_map(stopped).collect()
    }
}

fn numbers(range: std::ops::Range<i64>, without: &[i64]) -> Vec<i64> {
    range.filter(|number| !without.contains(number)).collect()
}

#[tokio::test(start_paused = true)]
async fn too_large_batches_are_cut() {
    for compression in [Compression::None, Compression::Lz4] {
        let world = World::new(Release::V4_2, &[("max.message.bytes", "3000")]);
        for first in [0, 20, 40] {
            let records = (first..first + 20).map(|number| world.record(number, 500)).collect();
            world.append(compression, records);
        }
        let report = world.copy().await;
        assert!(report.is_complete(), "{:?}", world.events.lock().unwrap());
        assert_eq!(world.copied(), numbers(0..60, &[]));
        let partition = &report.progress.topics[0].partitions[0];
        // The first one came back; the others were cut before they went.
        let rebuilt = world
            .events
            .lock()
            .unwrap()
            .iter()
            .filter(|event| matches!(event, Event::BatchRebuilt { .. }))
            .count();
        assert_eq!((rebuilt, partition.position), (1, 60));
        assert!(partition.reasons["too_large"] >= 12, "{:?}", partition.reasons);
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_too_large_alone_is_left_out_or_stops() {
    let mut world = World::new(Release::V4_2, &[("max.message.bytes", "3000")]);
    let size = |number| if number == 7 { 5000 } else { 300 };
    let records = (0..10).map(|number| world.record(number, size(number))).collect();
    world.append(Compression::None, records);
    world.policy = RefusedRecordPolicy::Stop;
    assert_eq!(world.copy().await.stopped, 1);
    let stopped = world.stopped();
    assert_eq!((stopped.len(), stopped[0].0), (1, 7));
    assert!(stopped[0].1.contains("single record"), "{stopped:?}");
    assert_eq!(world.copied(), numbers(0..7, &[]));
    world.policy = RefusedRecordPolicy::Skip;
    assert!(world.copy().await.is_complete());
    assert_eq!(world.copied(), numbers(0..10, &[7]));
    assert_eq!(world.skipped(), [7]);
}

#[tokio::test(start_paused = true)]
async fn records_without_a_key_are_left_out_of_a_compacted_target() {
    for release in [Release::V0_11, Release::V1_1, Release::V2_8, Release::V4_2] {
        let world = World::new(release, &[("cleanup.policy", "compact")]);
        for first in [0, 10, 20] {
            let mut records: Vec<Record> =
                (first..first + 10).map(|number| world.record(number, 20)).collect();
            if first < 20 {
                records[3].key = None;
                records[9].key = None;
            }
            world.append(Compression::Gzip, records);
        }
        let report = world.copy().await;
        assert!(report.is_complete(), "{release}: {:?}", world.events.lock().unwrap());
        assert_eq!(world.copied(), numbers(0..30, &[3, 9, 13, 19]), "{release}");
        assert_eq!(world.skipped(), [3, 9, 13, 19], "{release}");
        assert_eq!(report.progress.topics[0].partitions[0].position, 30, "{release}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_but_refused_records_is_an_end_too() {
    let world = World::new(Release::V4_2, &[("cleanup.policy", "compact")]);
    let mut records: Vec<Record> = (0..5).map(|number| world.record(number, 20)).collect();
    for record in &mut records {
        record.key = None;
    }
    world.append(Compression::None, records);
    let report = world.copy().await;
    assert!(report.is_complete());
    assert_eq!((world.copied(), world.skipped()), (vec![], numbers(0..5, &[])));
    assert_eq!(report.progress.topics[0].partitions[0].position, 5);
}

#[tokio::test(start_paused = true)]
async fn timestamps_that_the_target_refuses_are_left_out() {
    let world = World::new(Release::V4_2, &[]);
    let mut records: Vec<Record> = (0..10).map(|number| world.record(number, 20)).collect();
    records[4].timestamp += 7_200_000;
    world.append(Compression::Zstd, records);
    let report = world.copy().await;
    assert!(report.is_complete(), "{:?}", world.events.lock().unwrap());
    assert_eq!((world.copied(), world.skipped()), (numbers(0..10, &[4]), vec![4]));
}

#[tokio::test(start_paused = true)]
async fn by_default_a_refused_record_stops_its_partition() {
    let mut world = World::new(Release::V4_2, &[]);
    world.policy = RefusedRecordPolicy::default();
    let mut record = world.record(0, 20);
    record.timestamp += 7_200_000;
    world.append(Compression::None, vec![record]);
    assert_eq!(world.copy().await.stopped, 1);
    let stopped = world.stopped();
    assert!(stopped[0].1.contains("INVALID_TIMESTAMP"), "{stopped:?}");
    assert!(world.copied().is_empty());
}
