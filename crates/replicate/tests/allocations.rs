//! Forwarding a batch allocates next to nothing: the memory of frames, headers and requests is used again.
//!
//! Both clusters listen on loopback and live on a thread of their own. Everything of the task, its worker and its connections runs on
//! the measured one. Start, end and the room that grows at first fall out of the difference between a short and a long copy.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of their functions")]

use std::sync::{Arc, mpsc};
use std::thread;

use bytes::Bytes;
use kafka_client::{Client, ConnectionConfig};
use kafka_sim::{Cluster, ClusterConfig};
use kafka_wire::record::{BatchOptions, Record, encode_batch};
use replicate::journal::MemoryJournal;
use replicate::progress::Progress;
use replicate::spec::{TaskSpec, WorkerThreads};
use replicate::task::Task;
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The end of a thread's clusters: they listen until it is dropped.
struct Clusters {
    source: String,
    target: String,
    _stop: tokio::sync::oneshot::Sender<()>,
}

/// A source with `batches` in all its partitions together, and a target that forgets what it acknowledges.
fn clusters(partitions: i32, batches: u32, batch_bytes: usize) -> Clusters {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let cluster = |id: &str| {
                Cluster::new(ClusterConfig {
                    cluster_id: id.to_owned(),
                    validate_records: false,
                    partition_bytes_max: (id == "target").then_some(64 << 20),
                    ..ClusterConfig::default()
                })
            };
            let (source, target) = (cluster("source"), cluster("target"));
            source.create_topic("t", usize::try_from(partitions).unwrap(), &[]).unwrap();
            let batch = batch(source.now_ms(), batch_bytes);
            for (_, partition) in (0..batches).zip((0..partitions).cycle()) {
                source.append_repeated("t", partition, &batch, 1).unwrap();
            }
            let (from, to) = (source.listen().await.unwrap(), target.listen().await.unwrap());
            let (stop, stopped) = tokio::sync::oneshot::channel();
            let _stop = stop;
            sender
                .send(Clusters { source: from.bootstrap(), target: to.bootstrap(), _stop })
                .unwrap();
            drop(stopped.await);
        });
    });
    receiver.recv().unwrap()
}

fn batch(timestamp: i64, batch_bytes: usize) -> Bytes {
    let record = |offset| Record {
        offset,
        timestamp,
        key: None,
        value: Some(Bytes::from(vec![7; batch_bytes / 4])),
        headers: Vec::new(),
    };
    encode_batch(&BatchOptions::default(), &(0..4).map(record).collect::<Vec<_>>()).unwrap()
}

/// What the copy of so many batches allocates.
fn allocations(partitions: i32, batches: u32, batch_bytes: usize) -> u64 {
    let clusters = clusters(partitions, batches, batch_bytes);
    let client = |bootstrap: &str| {
        let servers = bootstrap.split(',').map(|server| server.parse().unwrap()).collect();
        Client::new(ConnectionConfig::new(servers)).unwrap()
    };
    let mut spec = TaskSpec::new("allocations".parse().unwrap());
    spec.once = true;
    spec.worker_threads = WorkerThreads::Shared;
    let task = Task {
        spec,
        source: client(&clusters.source),
        target: client(&clusters.target),
        journal: Arc::new(MemoryJournal::new()),
        sink: Arc::new(|_| ()),
        progress: watch::channel(Arc::new(Progress::default())).0,
        shutdown: CancellationToken::new(),
    };
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let measured = allocation_counter::measure(|| {
        let report = runtime.block_on(task.run()).unwrap();
        allocation_counter::opt_out(|| assert!(report.is_complete()));
    });
    measured.count_total
}

/// Each further batch allocates less than once in two.
#[track_caller]
#[expect(clippy::print_stdout, reason = "the numbers of docs/performance.md, with --nocapture")]
fn check(partitions: i32, batches: u32, batch_bytes: usize) {
    let [few, many] = [batches, 3 * batches];
    let [before, after] = [few, many].map(|count| allocations(partitions, count, batch_bytes));
    let more = after.saturating_sub(before);
    println!("{partitions} partitions, batches of {batch_bytes}: {more} for {}", many - few);
    assert!(more <= u64::from(many - few) / 2, "{more} allocations for {} batches", many - few);
}

/// A request carries a batch of each partition.
#[test]
fn several_partitions() {
    check(4, 400, 256 << 10);
    check(4, 1000, 64 << 10);
}

/// A fetch brings three, each produce request takes one.
#[test]
fn one_partition() {
    check(1, 400, 256 << 10);
}

/// One batch per fetch and produce request.
#[test]
fn large_batches() {
    check(1, 200, 900 << 10);
}

/// They are merged.
#[test]
fn small_batches() {
    check(4, 4000, 4 << 10);
}
