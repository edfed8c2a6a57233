//! `kill -9` in the middle of a copy, again and again.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use xtask::kafka::{KafkaCluster, Options, Release};

use super::{kferry, sync_once};
use crate::java::{Dataset, Oracle, compare};

/// How often the copy is killed.
const KILLS: u64 = 10;

/// Records of 1 KB: a GB in all.
const RECORDS: u64 = 1_000_000;

/// Bytes in the target's logs of the topic.
fn log_bytes(cluster: &KafkaCluster) -> u64 {
    let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
    let broker = cluster.broker(0);
    let partitions = entries(broker.data_directory())
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("big-"));
    let files = partitions.flat_map(|partition| entries(&partition.path()));
    files
        .filter(|file| file.path().extension().is_some_and(|extension| extension == "log"))
        .filter_map(|file| file.metadata().ok())
        .map(|metadata| metadata.len())
        .sum()
}

/// Starts the copy and kills it once the target has `bytes` more. False when it ended before.
fn run_and_kill(source: &KafkaCluster, target: &KafkaCluster, state: &Path, bytes: u64) -> bool {
    let state = state.to_str().unwrap();
    let (from, to) = (source.bootstrap(), target.bootstrap());
    // With a wait after each kill the old records would only travel at the end.
    let rest = ["--request-lifetime", "0", "--once"];
    let arguments = ["sync", "--source", &from, "--target", &to, "--state", state];
    let enough = log_bytes(target) + bytes;
    let mut command = kferry(&[&arguments[..], &rest[..]].concat());
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while process.try_wait().unwrap().is_none() {
        if log_bytes(target) >= enough {
            process.kill().unwrap();
            process.wait().unwrap();
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

#[test]
fn nothing_is_lost_or_doubled_when_the_process_is_killed() {
    let source = KafkaCluster::start(Release::V4_2_0, Options::default()).unwrap();
    let target = KafkaCluster::start(Release::V4_1_1, Options::default()).unwrap();
    let (from, to) = (Oracle::for_cluster(&source).unwrap(), Oracle::for_cluster(&target).unwrap());
    from.create_topic("big", 4, &[]).unwrap();
    let dataset = Dataset::plain(RECORDS, 1000)
        .with("content", "random")
        .with("batch", 65_536)
        .with("linger", 5);
    from.produce("big", &dataset).unwrap();
    // Records far older than the target remembers producers (P3), and tiny batches.
    from.create_topic("old", 2, &[("retention.ms", "-1")]).unwrap();
    let old =
        Dataset::plain(20_000, 100).with("timestamp", 1_000_000_000_000_i64).with("batch", 2_000);
    from.produce("old", &old).unwrap();

    let state = tempfile::tempdir().unwrap();
    let mut killed = 0;
    for _ in 0..KILLS {
        let bytes = RECORDS * 1000 / (KILLS + 5);
        killed += u64::from(run_and_kill(&source, &target, state.path(), bytes));
    }
    assert_eq!(killed, KILLS, "the copy ended before it was killed often enough");
    sync_once(&source.bootstrap(), &target.bootstrap(), state.path(), &[]);
    let partitions = compare(&from, "big", &to, "big").unwrap();
    assert_eq!(partitions.iter().map(|partition| partition.count).sum::<u64>(), RECORDS);
    compare(&from, "old", &to, "old").unwrap();
}
