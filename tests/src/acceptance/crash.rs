//! `kill -9` in the middle of a copy, again and again.

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use xtask::kafka::{KafkaCluster, Options, Release};

use super::{kferry, sync_once};
use crate::java::{Dataset, Oracle, compare};

/// How often the copy is killed.
const KILLS: u64 = 10;

/// Records of 1 KB: a GB in all.
const RECORDS: u64 = 1_000_000;

/// Starts the copy and kills it once it has copied `bytes` more. False when it ended before.
fn run_and_kill(source: &str, target: &str, state: &Path, bytes: u64) -> bool {
    let state = state.to_str().unwrap();
    let arguments = [
        "sync", "--source", source, "--target", target, "--state", state, "--once", "--output",
        "json",
    ];
    let mut process = kferry(&arguments).stderr(std::process::Stdio::null()).spawn().unwrap();
    let output = process.stdout.take().unwrap();
    for line in BufReader::new(output).lines() {
        let Ok(line) = line else { break };
        let said: serde_json::Value = serde_json::from_str(&line).unwrap();
        if said["type"] == "progress" && said["total"]["bytes"].as_u64().unwrap() >= bytes {
            process.kill().unwrap();
            process.wait().unwrap();
            return true;
        }
    }
    process.wait().unwrap();
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
        let bytes = RECORDS * 1000 / (KILLS + 2);
        killed +=
            u64::from(run_and_kill(&source.bootstrap(), &target.bootstrap(), state.path(), bytes));
    }
    assert!(killed >= KILLS / 2, "the copy was killed only {killed} times before it ended");
    sync_once(&source.bootstrap(), &target.bootstrap(), state.path(), &[]);
    let partitions = compare(&from, "big", &to, "big").unwrap();
    assert_eq!(partitions.iter().map(|partition| partition.count).sum::<u64>(), RECORDS);
    compare(&from, "old", &to, "old").unwrap();
}
