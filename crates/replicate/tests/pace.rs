//! The rate limit of a task, and that it costs no memory. Time is virtual.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of their functions")]

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_client::{Client, ConnectionConfig};
use kafka_sim::{Cluster, ClusterConfig};
use kafka_wire::record::{BatchOptions, Record};
use replicate::journal::MemoryJournal;
use replicate::progress::Progress;
use replicate::spec::{RateLimit, TaskSpec};
use replicate::task::Task;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

const PARTITIONS: i32 = 4;
const BATCHES: i64 = 100;
const RECORDS: i64 = 10;
const VALUE_BYTES: usize = 1000;

fn cluster(id: &str) -> Cluster {
    Cluster::new(ClusterConfig { cluster_id: id.into(), ..ClusterConfig::default() })
}

fn client(cluster: &Cluster) -> Client {
    Client::with_connector(ConnectionConfig::new(cluster.bootstrap()), cluster.connector())
}

/// Copies 4 MB in 4,000 records at this pace.
async fn copy(rate: RateLimit) -> Duration {
    let (source, target) = (cluster("source"), cluster("target"));
    source.create_topic("t", usize::try_from(PARTITIONS).unwrap(), &[]).unwrap();
    for partition in 0..PARTITIONS {
        for _ in 0..BATCHES {
            let record = |offset| Record {
                offset,
                timestamp: source.now_ms(),
                key: None,
                value: Some(Bytes::from(vec![7; VALUE_BYTES])),
                headers: Vec::new(),
            };
            let records: Vec<Record> = (0..RECORDS).map(record).collect();
            source.append_records("t", partition, &BatchOptions::default(), &records).unwrap();
        }
    }
    let mut spec = TaskSpec::new("pace".parse().unwrap());
    spec.once = true;
    spec.limits.rate = rate;
    let task = Task {
        spec,
        source: client(&source),
        target: client(&target),
        journal: Arc::new(MemoryJournal::new()),
        sink: Arc::new(|_| ()),
        progress: watch::channel(Arc::new(Progress::default())).0,
        shutdown: CancellationToken::new(),
    };
    let started = Instant::now();
    let report = timeout(Duration::from_secs(3600), task.run()).await.expect("it never ends");
    report.unwrap();
    let copied = |partition| target.records("t", partition).unwrap().len();
    assert_eq!((0..PARTITIONS).map(copied).sum::<usize>(), 4000);
    started.elapsed()
}

#[track_caller]
fn check(elapsed: Duration, expected_s: u64) {
    // The last answer is not paid for, and around the copy a few round trips are made.
    let range = Duration::from_secs(expected_s - 2)..Duration::from_secs(expected_s + 3);
    assert!(range.contains(&elapsed), "{elapsed:?} instead of {expected_s} s");
}

#[tokio::test(start_paused = true)]
async fn bytes_per_second() {
    let rate = RateLimit { bytes_per_second: NonZeroU64::new(200_000), ..RateLimit::default() };
    check(copy(rate).await, 20);
}

#[tokio::test(start_paused = true)]
async fn records_per_second() {
    let rate = RateLimit { records_per_second: NonZeroU64::new(100), ..RateLimit::default() };
    check(copy(rate).await, 40);
}

#[tokio::test(start_paused = true)]
async fn no_limit() {
    assert!(copy(RateLimit::default()).await < Duration::from_secs(2));
}
