//! A source and a target with their judges, and runs of the binary between them.

use std::path::Path;

use serde_json::Value;
use xtask::kafka::{KafkaCluster, Options, Release};

use super::{kferry, text};
use crate::java::{Isolation, Oracle, Record, compare, first_difference};
use crate::segments;

/// Two clusters with their judges.
pub(super) struct Pair {
    pub(super) source: KafkaCluster,
    pub(super) target: KafkaCluster,
    pub(super) from: Oracle,
    pub(super) to: Oracle,
}

/// What a run with `--once --output json` said, and how it ended.
pub(super) struct Run {
    pub(super) code: Option<i32>,
    pub(super) lines: Vec<Value>,
}

impl Pair {
    pub(super) fn start(source: Release, target: Release) -> Self {
        Self::with(source, Options::default(), target)
    }

    /// Both at once; the target has one broker.
    pub(super) fn with(source: Release, options: Options, target: Release) -> Self {
        let (source, target) = std::thread::scope(|scope| {
            let target = scope.spawn(|| KafkaCluster::start(target, Options::default()).unwrap());
            let source = KafkaCluster::start(source, options).unwrap();
            (source, target.join().unwrap())
        });
        let from = Oracle::for_cluster(&source).unwrap();
        let to = Oracle::for_cluster(&target).unwrap();
        Self { source, target, from, to }
    }

    /// `kferry sync --once` of one topic, or of those that match.
    pub(super) fn run(&self, topics: &str, state: &Path, more: &[&str]) -> Run {
        let (source, target) = (self.source.bootstrap(), self.target.bootstrap());
        let state = state.to_str().unwrap();
        let name = task_name(topics);
        let mut arguments = vec!["sync", "--source", &source, "--target", &target];
        arguments.extend(["--state", state, "--topics", topics, "--name", &name]);
        arguments.extend(["--once", "--output", "json"]);
        arguments.extend(more);
        let output = kferry(&arguments).output().unwrap();
        // Shown when the test fails later.
        eprintln!("{arguments:?}\n{}", text(&output));
        let lines = String::from_utf8_lossy(&output.stdout);
        let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        Run { code: output.status.code(), lines }
    }

    /// All records of the source or target topic's first partition, as a reader of committed data sees them.
    pub(super) fn records(oracle: &Oracle, topic: &str) -> Vec<Record> {
        oracle.dump(topic, Isolation::ReadCommitted).unwrap().swap_remove(0).records
    }

    #[track_caller]
    pub(super) fn equal(&self, topic: &str) -> u64 {
        let partitions = compare(&self.from, topic, &self.to, topic).unwrap();
        partitions.iter().map(|partition| partition.count).sum()
    }

    /// The target topic's first partition has these records, in order, and no others.
    #[track_caller]
    pub(super) fn target_has(&self, topic: &str, expected: &[Record]) {
        let found = Self::records(&self.to, topic);
        let difference = first_difference(expected, &found);
        assert!(
            expected.len() == found.len() && difference.starts_with("no difference"),
            "{topic}: {} records expected, {} found: {difference}",
            expected.len(),
            found.len()
        );
    }

    /// The batches of both logs are the same, payload bytes included: they passed as they were.
    #[track_caller]
    pub(super) fn untouched(&self, topic: &str, partitions: i32) {
        for partition in 0..partitions {
            let content = |cluster: &KafkaCluster| -> Vec<_> {
                let batches =
                    segments::batches(cluster.broker(0).data_directory(), topic, partition)
                        .unwrap();
                batches
                    .iter()
                    .filter(|batch| !batch.is_control())
                    .map(segments::StoredBatch::content)
                    .collect()
            };
            assert_eq!(content(&self.source), content(&self.target), "{topic}-{partition}");
        }
    }
}

impl Run {
    /// The events of one name.
    pub(super) fn events(&self, name: &str) -> Vec<&Value> {
        events(&self.lines, name)
    }

    /// The only event of that name.
    #[track_caller]
    pub(super) fn only(&self, name: &str) -> &Value {
        only(&self.lines, name)
    }

    /// Ended with everything on the target.
    #[track_caller]
    pub(super) fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0));
        self
    }

    /// Ended because partitions stopped; the cause of the only one.
    #[track_caller]
    pub(super) fn stopped(&self) -> &str {
        assert_eq!(self.code, Some(1));
        self.only("lane_stopped")["cause"].as_str().unwrap()
    }
}

/// A name for each topic's task: tests share the clusters.
pub(super) fn task_name(topics: &str) -> String {
    topics.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// The events of one name among lines of `--output json`.
pub(super) fn events<'a>(lines: &'a [Value], name: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == "event" && line["event"] == name).collect()
}

/// The only event of that name.
#[track_caller]
pub(super) fn only<'a>(lines: &'a [Value], name: &str) -> &'a Value {
    let found = events(lines, name);
    assert_eq!(found.len(), 1, "events {name}: {found:?}");
    found[0]
}

/// The event names these source offsets as lost.
#[track_caller]
pub(super) fn lost(event: &Value, offsets: std::ops::Range<i64>) {
    let count = offsets.end - offsets.start;
    let expected =
        serde_json::json!({"first": offsets.start, "last": offsets.end - 1, "count": count});
    assert_eq!(event["lost"], expected, "{event}");
}
