//! `kferry etl run`: tasks that process records.

use bytes::Bytes;
use kafka_wire::record::{BatchOptions, Record};

use super::{
    pair::Pair,
    support::{kferry, write},
};

const PAGE: &str = include_str!("../../../../docs/etl.md");
const RULE: &str = "{apiVersion: etl/v1, kind: EtlTemplate, spec: {chains: [{analyse: {mode: json}, rows: [{key: id}]}]";

/// What the page shows behind these words.
fn shown(words: &str) -> &'static str {
    let (_, behind) = PAGE.split_once(&format!("{words}\n\n```text\n")).unwrap();
    behind.split_once("\n```").unwrap().0
}

/// A pair of clusters with a topic of JSON, one record of which is none, and a task file that processes it.
fn pair(rule: &str, more: &str) -> (Pair, String) {
    let pair = Pair::new();
    pair.source.0.create_topic("events", 1, &[]).unwrap();
    let values = [r#"{"id":1,"secret":"x"}"#, "poison", r#"{"id":3}"#];
    let records: Vec<Record> = (0..)
        .zip(values)
        .map(|(offset, value)| Record {
            offset,
            timestamp: 1_750_000_000_000,
            key: None,
            value: Some(Bytes::from_static(value.as_bytes())),
            headers: Vec::new(),
        })
        .collect();
    pair.source.0.append_records("events", 0, &BatchOptions::default(), &records).unwrap();
    let directory = pair.path("");
    write(directory.as_ref(), "rule.yaml", rule);
    let text = format!(
        "name: clean\nsource: '{}'\ntarget: '{}'\nstate: state\nprocess:\n  rule: rule.yaml\n  topics: {{events: clean}}\n{more}",
        pair.source.1.bootstrap(),
        pair.target.1.bootstrap(),
    );
    let task = write(directory.as_ref(), "task.yaml", &text);
    (pair, task)
}

fn values(pair: &Pair, topic: &str) -> Vec<String> {
    let records = pair.target.0.records(topic, 0).unwrap();
    let text = |record: Record| String::from_utf8(record.value.unwrap().to_vec()).unwrap();
    records.into_iter().map(text).collect()
}

#[test]
fn records_are_processed_and_failed_ones_are_dead_letters() {
    let rule = format!("{RULE}, failure: {{policy: dlq, dlq: {{topic: dead}}}}}}}}");
    let (pair, task) = pair(&rule, "  copies: 2\n  create_dead_letter_topic: true\n");
    let ran = kferry(&["etl", "run", "-f", &task, "--once", "--output", "json"]);
    ran.expect(0, &[]);
    assert_eq!(
        values(&pair, "clean"),
        [r#"{"id":1}"#, r#"{"id":1}"#, r#"{"id":3}"#, r#"{"id":3}"#]
    );
    assert_eq!(values(&pair, "dead"), ["poison"]);
    let objects = ran.objects();
    let result = objects.last().unwrap();
    assert_eq!(result["type"], "result");
    let topic = &result["topics"][0];
    assert_eq!((&topic["topic"], &topic["target_topic"]), (&"events".into(), &"clean".into()));
    assert_eq!(topic["records"], 3);
    assert_eq!(topic["records_written"], 4);
    assert_eq!((&topic["records_failed"], &topic["dead_letters"]), (&1.into(), &1.into()));
    let event = objects.iter().find(|object| object["event"] == "record_failed").unwrap();
    assert_eq!((&event["offset"], &event["code"]), (&1.into(), &"json_syntax".into()));
    assert!(event["cure"].as_str().unwrap().contains("producer"), "{event}");
    // Its state is that of no copy.
    let state = pair.state();
    kferry(&["offsets", "--state", &state, "events:0@1"]).expect(1, &["processes records"]);
    let [source, target, _] = pair.ends();
    kferry(&["verify", "--source", &source, "--target", &target, "--state", &state])
        .expect(1, &["processes records", "cure:"]);
    // A task file of this kind runs with sync as well; there is nothing left to do.
    kferry(&["sync", "-f", &task, "--once"]).expect(0, &["0 records"]);
    assert_eq!(values(&pair, "dead").len(), 1);
}

#[test]
fn a_misspelt_topic_is_no_success() {
    let (pair, task) = pair(&format!("{RULE}}}}}"), "");
    assert!(pair.source.0.delete_topic("events"));
    kferry(&["etl", "run", "-f", &task, "--once"])
        .expect(1, &["events", "does not exist there", "check its name"]);
}

#[test]
fn the_task_ends_at_a_record_that_fails() {
    let (pair, task) = pair(&format!("{RULE}}}}}"), "");
    let ran = kferry(&["etl", "run", "-f", &task, "--once"]);
    ran.expect(
        1,
        &[
            "events-0 at offset 1",
            "json_syntax",
            "chains[0].analyse",
            "cure:",
            "begins at this record",
            shown("that is no JSON ends with"),
        ],
    );
    assert_eq!(values(&pair, "clean"), [r#"{"id":1}"#]);
    write(
        pair.path("").as_ref(),
        "rule.yaml",
        &format!("{RULE}, failure: {{policy: discard}}}}}}"),
    );
    kferry(&["etl", "run", "-f", &task, "--once"]).expect(
        0,
        &["1 records written", "1 failed", shown("with `discard` it goes on and warns")],
    );
    assert_eq!(values(&pair, "clean"), [r#"{"id":1}"#, r#"{"id":3}"#]);
}

#[test]
fn a_check_reads_the_rule_and_connects_to_nothing() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "rule.yaml", &format!("{RULE}}}}}"));
    write(
        directory.path(),
        "wrong.yaml",
        &format!("{}}}}}", RULE.replace("mode: json", "mode: jsn")),
    );
    let dead = format!("{RULE}, failure: {{policy: dlq, dlq: {{topic: b}}}}}}}}");
    write(directory.path(), "dead.yaml", &dead);
    let check = |process: &str, code: i32, words: &[&str]| {
        let text = format!("source: '127.0.0.1:1'\ntarget: '127.0.0.1:2'\nprocess:\n{process}\n");
        let path = write(directory.path(), "t.yaml", &text);
        kferry(&["etl", "run", "-f", &path, "--check"]).expect(code, words);
    };
    check("  rule: rule.yaml\n  topics: {a: b}", 0, &["nothing wrong"]);
    check("  rule: gone.yaml\n  topics: {a: b}", 2, &["gone.yaml", "cure:"]);
    check("  rule: wrong.yaml\n  topics: {a: b}", 2, &["t.yaml:4:9", "jsn", "cure:"]);
    check("  rule: dead.yaml\n  topics: {a: b}", 2, &["t.yaml:4:9", "dlq_loop", "cure:"]);
    check("  rule: rule.yaml\n  topics: {}", 2, &["t.yaml:5:11", "no topic", "cure:"]);
    check("  rule: rule.yaml\n  topics: {a: b/c}", 2, &["t.yaml:5:15", "no topic name", "cure:"]);
    check(
        "  rule: rule.yaml\n  topics: {a: b, c: b}",
        2,
        &["t.yaml:5:21", "both go to b", "cure:"],
    );
    check("  rule: rule.yaml", 2, &["topics", "cure:"]);
    check("  topics: {a: b}", 2, &["rule", "cure:"]);
    let more = |line: &str, words: &[&str]| {
        check(&format!("  rule: rule.yaml\n  topics: {{a: b}}\n{line}"), 2, words);
    };
    more("  copies: 101", &["t.yaml:6:11", "between 1 and 100", "cure:"]);
    more("  copies: many", &["t.yaml:6:11", "no number", "cure:"]);
    more("  partitioning: kep", &["t.yaml:6:17", "did you mean keep?"]);
    more("  compression: lz5", &["t.yaml:6:16", "did you mean lz4?"]);
    more("  secrets: {k: gone.txt}", &["gone.txt", "cure:"]);
    more("topics: x", &["t.yaml:6:9", "has no meaning beside process", "process.topics"]);
    more("acl_sync: topics", &["t.yaml:6:11", "acl_sync: has no meaning beside process"]);
    more("sync: metadata_data", &["t.yaml:6:7", "has no meaning beside process"]);
    more("on_refused_record: skip", &["t.yaml:6:20", "failure"]);
}

const LOOKUP: &str = "{apiVersion: etl/v1, kind: EtlTemplate, spec: {chains: [{analyse: {mode: json}, rows: [{key: id}]}, \
    {kind: lookup, table: users, key: id, fields: [name], on_missing: fail}]";

/// Writes a row of the table's topic.
fn row(cluster: &kafka_sim::Cluster, key: &str, value: Option<&str>) {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let record = Record {
        offset: 0,
        timestamp: 1_750_000_000_000,
        key: Some(bytes(key)),
        value: value.map(bytes),
        headers: Vec::new(),
    };
    cluster.append_records("users", 0, &BatchOptions::default(), &[record]).unwrap();
}

#[test]
fn a_table_follows_a_topic() {
    let rule = format!("{LOOKUP}, failure: {{policy: discard}}}}}}");
    let (pair, task) = pair(&rule, "  tables: {users: {topic: users, from: target}}\n");
    pair.target.0.create_topic("users", 1, &[]).unwrap();
    row(&pair.target.0, "1", Some(r#"{"name":"Ann"}"#));
    row(&pair.target.0, "3", Some(r#"{"name":"Old"}"#));
    row(&pair.target.0, "3", Some("no row"));
    row(&pair.target.0, "3", Some(r#"{"name":"Cid","x":1}"#));
    let ran = kferry(&["etl", "run", "-f", &task, "--once", "--output", "json"]);
    ran.expect(0, &[]);
    assert_eq!(values(&pair, "clean"), [r#"{"id":1,"name":"Ann"}"#, r#"{"id":3,"name":"Cid"}"#]);
    let objects = ran.objects();
    let event = |name: &str| objects.iter().find(|object| object["event"] == name).unwrap();
    assert_eq!(event("table_read")["rows"], 2);
    assert_eq!(event("table_row_skipped")["offset"], 2);
    let table = &objects.last().unwrap()["tables"][0];
    assert_eq!((&table["table"], &table["state"]), (&"users".into(), &"following".into()));
    assert_eq!((&table["rows"], &table["lag_records"]), (&2.into(), &0.into()));
}

#[test]
fn tables_of_topics_are_checked() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "rule.yaml", &format!("{LOOKUP}}}}}"));
    write(directory.path(), "plain.yaml", &format!("{RULE}}}}}"));
    write(directory.path(), "users.csv", "id,name\n1,Ann\n");
    let check = |rule: &str, tables: &str, code: i32, words: &[&str]| {
        let text = format!(
            "source: '127.0.0.1:1'\ntarget: '127.0.0.1:2'\nprocess:\n  rule: {rule}\n  topics: {{a: b}}\n  tables:\n    {tables}\n"
        );
        let path = write(directory.path(), "t.yaml", &text);
        kferry(&["etl", "run", "-f", &path, "--check"]).expect(code, words);
    };
    let rule = "rule.yaml";
    check(rule, "users: {topic: users}", 0, &["nothing wrong"]);
    check(rule, "users: {topic: users, from: target, max_bytes: 1GiB}", 0, &["nothing wrong"]);
    check(rule, "users:id: users.csv", 0, &["nothing wrong"]);
    check(rule, "users: users.csv", 2, &["t.yaml:7:12", "no column is named", "{topic: TOPIC}"]);
    check(rule, "users: 7", 2, &["t.yaml:7:12", "neither a file nor a topic", "cure:"]);
    check(rule, "users: [a]", 2, &["t.yaml:7:12", "neither a file nor a topic", "cure:"]);
    check(rule, "users:id: {topic: users}", 2, &["t.yaml:7:15", "no column", "write users alone"]);
    check(rule, "users: {topic: a/b}", 2, &["t.yaml:7:20", "no topic name", "cure:"]);
    check(rule, "users: {topic: a, from: sorce}", 2, &["t.yaml:7:29", "did you mean source?"]);
    check(rule, "users: {topic: a, max_bytes: much}", 2, &["t.yaml:7:34", "cure:"]);
    check(rule, "users: {topic: a, group: b}", 2, &["t.yaml:7:", "group", "cure:"]);
    check(rule, "users: {from: source}", 2, &["t.yaml:7:", "topic", "cure:"]);
    check(rule, "user: {topic: users}", 2, &["there is no table \"users\"", "cure:"]);
    check("plain.yaml", "users: {topic: users}", 2, &["t.yaml:7:12", "no lookup", "cure:"]);
    check(
        rule,
        "users: {topic: users}\n    users:id: users.csv",
        2,
        &["t.yaml:7:12", "it is a file as well", "cure:"],
    );
}

#[test]
fn a_table_whose_topic_is_missing_is_told() {
    let (pair, task) = pair(&format!("{LOOKUP}}}}}"), "  tables: {users: {topic: users}}\n");
    let mut run = super::support::command(&["etl", "run", "-f", &task, "--output", "json"]);
    let mut child = run.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let out = std::io::BufReader::new(child.stdout.take().unwrap());
    let mut lines = std::io::BufRead::lines(out).map(Result::unwrap);
    let line = lines.find(|line| line.contains("table_unavailable")).unwrap();
    for words in
        ["topic users", "UNKNOWN_TOPIC_OR_PARTITION", "create the topic users on the source"]
    {
        assert!(line.contains(words), "{line}");
    }
    assert!(values_of(&pair, "clean").is_none());
    child.kill().unwrap();
    child.wait().unwrap();
}

/// The values of a topic, if it is there.
fn values_of(pair: &Pair, topic: &str) -> Option<Vec<Record>> {
    pair.target.0.records(topic, 0).ok().filter(|records| !records.is_empty())
}

#[test]
fn what_copies_and_what_processes_are_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "rule.yaml", &format!("{RULE}}}}}"));
    let ends = "source: '127.0.0.1:1'\ntarget: '127.0.0.1:2'\n";
    let copies = write(directory.path(), "copies.yaml", ends);
    kferry(&["etl", "run", "-f", &copies]).expect(2, &["has no process", "kferry sync -f"]);
    let text = format!("{ends}process: {{rule: rule.yaml, topics: {{a: b}}}}\n");
    let processes = write(directory.path(), "processes.yaml", &text);
    kferry(&["plan", "-f", &processes]).expect(2, &["makes no copy", "etl test"]);
    kferry(&["diff", "-f", &processes]).expect(2, &["makes no copy"]);
}
