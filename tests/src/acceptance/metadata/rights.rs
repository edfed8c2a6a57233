//! What a task does without the rights that it would need.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;
use xtask::kafka::{KafkaCluster, Options, Release};

use super::{LONG, groups, lines, overrides, pair, partitions, text, topics};
use crate::acceptance::pair::{Pair, events, only};
use crate::java::{Dataset, Isolation, Oracle, Partition};

const WHO: &str = "User:kferry";

fn connection(files: &Path, name: &str, cluster: &KafkaCluster) -> String {
    std::fs::write(files.join("password"), "kferry-password").unwrap();
    let path = files.join(format!("{name}.yaml"));
    let text = format!(
        "bootstrap: ['{}']\nsasl: {{mechanism: PLAIN, username: kferry, password: {{file: password}}}}\n",
        cluster.bootstrap()
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

fn allow(oracle: &Oracle, operations: &[&str], resource: &str, name: &str, pattern: &str) {
    for operation in operations {
        oracle.allow(WHO, operation, resource, name, pattern).unwrap();
    }
}

/// Topics and rights of both ends.
fn fill(pair: &Pair) {
    let (from, to) = (&pair.from, &pair.to);
    for (topic, partitions) in
        [("r-open", 1), ("r-unreadable", 1), ("r-small", 4), ("r-forbidden", 1), ("h-hidden", 1)]
    {
        from.create_topic(
            topic,
            partitions,
            &[("retention.ms", LONG), ("cleanup.policy", "compact,delete")],
        )
        .unwrap();
    }
    for partition in 0..4 {
        let dataset =
            Dataset::plain(20, 50).with("first", 100 * partition).with("partition", partition);
        from.produce("r-small", &dataset).unwrap();
    }
    to.create_topic("r-small", 2, &[]).unwrap();
    to.create_topic("h-hidden", 1, &[]).unwrap();
    for group in ["one", "two"] {
        from.commit(group, "r-open", &[(0, 0)]).unwrap();
    }
    allow(from, &["READ", "DESCRIBE"], "TOPIC", "*", "LITERAL");
    for topic in ["r-open", "r-small", "r-forbidden", "h-hidden"] {
        allow(from, &["DESCRIBE_CONFIGS"], "TOPIC", topic, "LITERAL");
    }
    allow(from, &["READ", "DESCRIBE"], "GROUP", "*", "LITERAL");
    let most = ["READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS"];
    allow(to, &most, "TOPIC", "r-", "PREFIXED");
    for topic in ["r-open", "r-unreadable"] {
        allow(to, &["CREATE"], "TOPIC", topic, "LITERAL");
    }
    allow(to, &["WRITE", "DESCRIBE"], "TRANSACTIONAL_ID", "kferry-", "PREFIXED");
    allow(to, &["DESCRIBE", "DESCRIBE_CONFIGS"], "CLUSTER", "kafka-cluster", "LITERAL");
}

struct World {
    pair: Pair,
    files: TempDir,
}

impl World {
    fn start(source: Release, target: Release) -> Self {
        let options = || Options::new(1, "acl".parse().unwrap());
        let pair = pair(source, options(), target, options());
        fill(&pair);
        Self { pair, files: TempDir::new().unwrap() }
    }

    #[track_caller]
    fn run(&self, command: &str, state: &str, code: i32, more: &[&str]) -> Vec<Value> {
        let source = connection(self.files.path(), "source", &self.pair.source);
        let target = connection(self.files.path(), "target", &self.pair.target);
        let state = self.files.path().join(state);
        let ends = [command, "--source", &source, "--target", &target, "--output", "json"];
        lines(&[&ends[..], &["--state", state.to_str().unwrap()], more].concat(), code)
    }
}

fn reasons(found: &[&Value]) -> BTreeMap<String, String> {
    found.iter().map(|it| (text(it, "topic"), text(it, "reason"))).collect()
}

fn expected(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(topic, reason)| ((*topic).to_owned(), (*reason).to_owned())).collect()
}

const REFUSED: [(&str, &str); 3] = [
    ("h-hidden", "target_unreadable"),
    ("r-forbidden", "create_refused"),
    ("r-small", "too_few_partitions"),
];

/// Refused topics, a configuration that may not be read, groups that may not be made: told, and the others travel.
fn without_rights(source: Release, target: Release) {
    let world = World::start(source, target);
    let to = &world.pair.to;
    let plan = world.run("plan", "planned", 3, &[]).remove(0);
    let findings = plan["findings"].as_array().unwrap();
    let refused: Vec<_> = findings.iter().filter(|it| it["finding"] == "topic_refused").collect();
    assert_eq!(reasons(&refused), expected(&REFUSED), "{findings:#?}");
    assert!(refused.iter().all(|it| it["blocks"] == true && it["cure"].is_string()));

    let said = world.run("sync", "state", 1, &["--once"]);
    assert_eq!(reasons(&events(&said, "topic_skipped")), expected(&REFUSED));
    assert!(topics(to).contains("r-open") && !topics(to).contains("r-forbidden"));
    assert_eq!(overrides(to, "r-open")["cleanup.policy"], "compact,delete");
    the_table_of_defaults(&world, &said);
    let skipped = only(&said, "groups_skipped");
    assert!(
        skipped["count"] == 2
            && skipped["cause"].as_str().unwrap().contains("GROUP_AUTHORIZATION_FAILED"),
        "{skipped}"
    );
    assert!(groups(to).is_empty());
    partitions_are_shared_when_asked_for(&world);

    // A right without which nothing can be done at all.
    to.call(
        "acl",
        &[
            ("principal", WHO),
            ("operation", "WRITE"),
            ("resource", "TOPIC"),
            ("name", "*"),
            ("pattern", "LITERAL"),
            ("permission", "DENY"),
        ],
    )
    .unwrap();
    let plan = world.run("plan", "planned", 3, &["--topics", "r-open"]).remove(0);
    let denied =
        plan["findings"].as_array().unwrap().iter().find(|it| it["blocks"] == true).unwrap();
    assert_eq!(
        (&denied["finding"], &denied["role"]),
        (&json!("permission_missing"), &json!("target")),
        "{plan:#}"
    );
}

/// Where neither the topic's settings nor its brokers' can be read.
fn the_table_of_defaults(world: &World, said: &[Value]) {
    let found = overrides(&world.pair.to, "r-unreadable");
    for (key, value) in [
        ("retention.ms", "604800000"),
        ("cleanup.policy", "delete"),
        ("min.insync.replicas", "1"),
        ("unclean.leader.election.enable", "false"),
        ("segment.ms", "604800000"),
        ("max.message.bytes", "1048588"),
    ] {
        assert_eq!(found[key], value, "{key}");
    }
    assert_eq!(found.get("retention.bytes"), None, "that is the target broker's own");
    let told = events(said, "metadata_sync_failed");
    let is_told = |it: &&&Value| it["topic"] == "r-unreadable";
    assert_eq!(told.iter().filter(is_told).count(), 1, "{told:#?}");
}

/// `--same-partition false`: partition p goes to p modulo the target's, in order.
fn partitions_are_shared_when_asked_for(world: &World) {
    let more = ["--once", "--same-partition", "false", "--topics", "r-small", "--name", "shared"];

    let said = world.run("sync", "shared", 0, &more);
    let told = only(&said, "partitions_refused");
    assert_eq!((&told["wanted"], &told["found"]), (&json!(4), &json!(2)));
    let to = &world.pair.to;
    assert_eq!(partitions(to, "r-small"), 2);
    let times = |oracle: &Oracle| -> Vec<Vec<i64>> {
        let partitions = oracle.dump("r-small", Isolation::ReadCommitted).unwrap();
        let times = |it: Partition| it.records.iter().map(|record| record.timestamp).collect();
        partitions.into_iter().map(times).collect()
    };
    let found = times(to);
    for (number, expected) in times(&world.pair.from).into_iter().enumerate() {
        let others = found[number % 2].iter().filter(|time| expected.contains(time)).copied();
        assert_eq!((others.collect::<Vec<_>>(), expected.len()), (expected, 20));
    }
    assert_eq!(found.concat().len(), 80);
}

#[test]
fn without_rights_from_4_2_to_2_8() {
    without_rights(Release::V4_2_0, Release::V2_8_2);
}

#[test]
fn without_rights_from_2_8_to_4_2() {
    without_rights(Release::V2_8_2, Release::V4_2_0);
}
