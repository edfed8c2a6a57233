//! Topics, settings and the structure of groups between real brokers: every default and every exception, both ways between
//! the newest release and 2.8, judged by Kafka's own client.
//!
//! A pair of clusters is started once for each way; the rules are shown one after the other on it.

mod creation;
mod findings;
mod following;
mod groups;
mod latest;
mod progress;
mod rights;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;
use xtask::kafka::{KafkaCluster, Options, Release};

use super::kferry;
use super::pair::Pair;
use super::running::eventually;
use crate::java::Oracle;

/// A setting that only brokers of the source have.
const LARGEST: &str = "900000";

/// A retention that no record outlives: those of tests have old times.
const LONG: &str = "6000000000000";

/// A source of two brokers, a target of one, and where tasks keep their state.
struct World {
    pair: Pair,
    /// A setting that topics of the source can have and that the target does not know.
    unknown_there: (&'static str, &'static str),
    files: TempDir,
}

impl World {
    fn start(source: Release, target: Release) -> Self {
        let options = Options::new(2, "plain".parse().unwrap())
            .property("message.max.bytes", LARGEST)
            .property("log.segment.bytes", "104857600");
        let unknown_there = match target {
            Release::V4_2_0 => ("message.downconversion.enable", "false"),
            _ => ("message.timestamp.after.max.ms", "3600000"),
        };
        Self {
            pair: pair(source, options, target, Options::default()),
            unknown_there,
            files: TempDir::new().unwrap(),
        }
    }

    fn state(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// A command with both ends, to its end with `code`; its lines.
    #[track_caller]
    fn run(&self, command: &str, state: &str, code: i32, more: &[&str]) -> Vec<Value> {
        let (source, target) = (self.pair.source.bootstrap(), self.pair.target.bootstrap());
        let state = self.state(state);
        let mut arguments = vec![command, "--state", state.to_str().unwrap(), "--output", "json"];
        for (option, address) in [("--source", &source), ("--target", &target)] {
            if !more.contains(&option) {
                arguments.extend([option, address]);
            }
        }
        arguments.extend(more);
        lines(&arguments, code)
    }

    /// Writes a connection file for the target.
    fn target_file(&self, more: &str) -> String {
        let path = self.files.path().join("target.yaml");
        let text = format!("bootstrap: ['{}']\n{more}", self.pair.target.bootstrap());
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// Both at once, and their judges.
fn pair(source: Release, of_source: Options, target: Release, of_target: Options) -> Pair {
    let start = |release, options| {
        let cluster = KafkaCluster::start(release, options).unwrap();
        let oracle = Oracle::for_cluster(&cluster).unwrap();
        (cluster, oracle)
    };
    std::thread::scope(|scope| {
        let theirs = scope.spawn(|| start(target, of_target));
        let (source, from) = start(source, of_source);
        let (target, to) = theirs.join().unwrap();
        Pair { source, target, from, to }
    })
}

#[track_caller]
fn run(arguments: &[&str], code: i32) -> Output {
    let output = kferry(arguments).output().unwrap();
    // Shown when the test fails later.
    eprintln!("{arguments:?}\n{}", super::text(&output));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    output
}

#[track_caller]
fn lines(arguments: &[&str], code: i32) -> Vec<Value> {
    let output = run(arguments, code);
    let lines = String::from_utf8_lossy(&output.stdout);
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Creates a topic and waits until whichever broker is asked knows it.
fn create(oracle: &Oracle, topic: &str, partitions: u32, configs: &[(&str, &str)]) {
    create_replicated(oracle, topic, (partitions, 1), configs);
}

fn create_replicated(
    oracle: &Oracle,
    topic: &str,
    (partitions, replicas): (u32, u32),
    configs: &[(&str, &str)],
) {
    let (partitions, replicas) = (partitions.to_string(), replicas.to_string());
    let mut arguments =
        vec![("topic", topic), ("partitions", &*partitions), ("replicas", &*replicas)];
    let names: Vec<String> = configs.iter().map(|(name, _)| format!("config.{name}")).collect();
    arguments.extend(names.iter().zip(configs).map(|(name, (_, value))| (name.as_str(), *value)));
    oracle.call("create", &arguments).unwrap();
    assert!(eventually(30, || oracle.offsets(topic).is_ok()), "nobody knows {topic}");
}

fn text(line: &Value, member: &str) -> String {
    line[member].as_str().unwrap_or_default().to_owned()
}

/// All topics, internal ones too.
fn topics(oracle: &Oracle) -> BTreeSet<String> {
    oracle.call("topics", &[]).unwrap().into_iter().flatten().collect()
}

fn groups(oracle: &Oracle) -> BTreeSet<String> {
    oracle.call("groups", &[]).unwrap().into_iter().flatten().collect()
}

fn partitions(oracle: &Oracle, topic: &str) -> usize {
    oracle.offsets(topic).unwrap().len()
}

/// What was set on the topic itself.
fn overrides(oracle: &Oracle, topic: &str) -> BTreeMap<String, String> {
    let configs = oracle.topic_configs(topic).unwrap().into_iter();
    configs
        .filter(|(_, config)| config.source == "DYNAMIC_TOPIC_CONFIG")
        .map(|(key, config)| (key, config.value.unwrap_or_default()))
        .collect()
}

fn value(oracle: &Oracle, topic: &str, key: &str) -> String {
    oracle.topic_configs(topic).unwrap()[key].value.clone().unwrap_or_default()
}

/// Every rule that needs no rights of its own.
fn rules(source: Release, target: Release) {
    let world = World::start(source, target);
    creation::fill(&world);
    creation::a_plan_tells(&world);
    creation::topics_are_made_and_groups_are_not(&world);
    groups::structure_is_made_known(&world);
    following::what_follows_and_what_does_not(&world);
    groups::a_task_that_is_made_again_guesses_nothing(&world);
    latest::new_partitions_come_from_their_first_offset(&world);
    following::settings_follow_when_asked_to(&world);
    findings::every_finding_that_blocks(&world);
}

#[test]
fn from_4_2_to_2_8() {
    rules(Release::V4_2_0, Release::V2_8_2);
}

#[test]
fn from_2_8_to_4_2() {
    rules(Release::V2_8_2, Release::V4_2_0);
}
