//! A lookup table that follows a compacted topic, while the process is killed again and again.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use bytes::Bytes;
use kafka_client::{Client, ConnectionConfig, TopicQuery};
use kafka_wire::produce::{ProducePartition, ProduceTopic};
use kafka_wire::record::{BatchOptions, Record, encode_batch};
use xtask::kafka::Release;

use super::super::kferry;
use super::super::pair::Pair;
use super::super::running::eventually;
use super::{headers, unhex};
use crate::java::{Isolation, Oracle};

const VERSIONS: i64 = 8;
const PARTITIONS: i32 = 3;
const RULE: &str = "{apiVersion: etl/v1, spec: {chains: [{analyse: {mode: json}}, \
    {kind: lookup, table: users, key: user, fields: [name], on_missing: fail}], \
    metadata_fields: {keep: true, placement: headers}, failure: {policy: discard}}}";

/// One batch of records with key and value.
async fn append(bootstrap: &str, topic: &str, partition: i32, pairs: &[(String, Option<String>)]) {
    let client = Client::new(ConnectionConfig::plain(bootstrap).unwrap()).unwrap();
    let metadata =
        client.refresh_metadata(TopicQuery::Named(vec![topic.to_owned()])).await.unwrap();
    let topic_id = metadata.topics[topic].topic_id.unwrap_or_default();
    let leader = metadata.partition(topic, partition).unwrap().leader_id;
    let records: Vec<Record> = (0..)
        .zip(pairs)
        .map(|(offset, (key, value))| Record {
            offset,
            timestamp: 1_790_000_000_000,
            key: Some(Bytes::from(key.clone())),
            value: value.clone().map(Bytes::from),
            headers: Vec::new(),
        })
        .collect();
    let header = encode_batch(&BatchOptions::default(), &records).unwrap();
    let partitions = vec![ProducePartition { partition, header, payload: Bytes::new() }];
    let topics = vec![ProduceTopic { name: topic.to_owned().into(), topic_id, partitions }];
    let leader = client.dedicated(leader).await.unwrap();
    let acks = leader.produce(-1, Duration::from_secs(20), topics).await.unwrap();
    assert!(acks[0].error.is_ok(), "{:?}", acks[0].error);
    client.close().await;
}

fn task(pair: &Pair, directory: &Path) -> String {
    std::fs::write(directory.join("rule.yaml"), RULE).unwrap();
    let text = format!(
        "name: tables\nsource: '{}'\ntarget: '{}'\nstate: state\nrequest_lifetime: 0s\nprocess:\n  rule: rule.yaml\n  topics: {{in: out}}\n  partitioning: spread\n  tables: {{users: {{topic: users}}}}\n",
        pair.source.bootstrap(),
        pair.target.bootstrap(),
    );
    let path = directory.join("task.yaml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The version of the row in each output, by source partition and offset; none where one came twice.
fn versions(oracle: &Oracle) -> BTreeMap<(i32, i64), Option<i64>> {
    let mut found = BTreeMap::new();
    for record in oracle
        .dump("out", Isolation::ReadUncommitted)
        .unwrap()
        .into_iter()
        .flat_map(|one| one.records)
    {
        let headers = headers(&record);
        let at = |name: &str| headers[&format!("__source_{name}")].parse::<i64>().unwrap();
        let value = unhex(&record.value);
        let (_, version) = value.split_once("\"name\":\"v").unwrap_or_else(|| panic!("{value}"));
        let version = version.trim_end_matches("\"}").parse().unwrap();
        let origin = (i32::try_from(at("partition")).unwrap(), at("offset"));
        let known = found.insert(origin, Some(version));
        assert!(known.is_none(), "{origin:?} came twice");
    }
    found
}

/// A process that does not outlive a test that fails.
struct Running(Child);

impl Running {
    fn start(file: &str) -> Self {
        let mut command = kferry(&["etl", "run", "-f", file]);
        Self(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn kill(mut self) {
        assert!(self.0.try_wait().unwrap().is_none(), "it ended by itself");
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Has ended, as a rule.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_changed_row_changes_later_outputs_and_deaths_change_nothing() {
    let pair = Pair::start(Release::V4_2_0, Release::V4_2_0);
    let partitions = u32::try_from(PARTITIONS).unwrap();
    pair.from.create_topic("in", partitions, &[]).unwrap();
    pair.from.create_topic("users", 2, &[("cleanup.policy", "compact")]).unwrap();
    pair.to.create_topic("out", 4, &[]).unwrap();
    let (source, runtime) = (pair.source.bootstrap(), tokio::runtime::Runtime::new().unwrap());
    let set = |version: i64| {
        let value = format!(r#"{{"name":"v{version}","more":[{version}]}}"#);
        let others: Vec<_> =
            (0..50).map(|at| (format!("u{at}"), Some(r#"{"name":"v99"}"#.to_owned()))).collect();
        runtime.block_on(append(&source, "users", 0, &others));
        runtime.block_on(append(&source, "users", 1, &[("me".to_owned(), Some(value))]));
    };
    let mut ends = [0_i64; 3];
    let mut write = |count: i64| {
        for (partition, end) in (0..).zip(&mut ends) {
            let record =
                |at: i64| (format!("k{}", at % 13), Some(format!(r#"{{"n":{at},"user":"me"}}"#)));
            let records: Vec<_> = (*end..*end + count).map(record).collect();
            runtime.block_on(append(&source, "in", partition, &records));
            *end += count;
        }
    };
    let directory = tempfile::tempdir().unwrap();
    let file = task(&pair, directory.path());
    let mut random = fastrand::Rng::with_seed(7);
    set(0);
    write(100);
    let mut running = Running::start(&file);
    for version in 0..VERSIONS {
        set(version);
        let is_used = || {
            write(20);
            versions(&pair.to).values().any(|found| *found == Some(version))
        };
        assert!(eventually(60, is_used), "version {version} is not used");
        // Anywhere on its way.
        write(500);
        std::thread::sleep(Duration::from_millis(random.u64(0..300)));
        running.kill();
        running = Running::start(&file);
    }
    running.kill();
    let output =
        kferry(&["etl", "run", "-f", &file, "--once", "--output", "json"]).output().unwrap();
    eprintln!("{}", super::super::text(&output));
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains(r#""event":"table_read""#) && told.contains(r#""rows":51"#));
    let found = versions(&pair.to);
    let expected: Vec<_> = (0..)
        .zip(ends)
        .flat_map(|(partition, end)| (0..end).map(move |at| (partition, at)))
        .collect();
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), expected);
    for partition in 0..PARTITIONS {
        let of: Vec<_> =
            found.range((partition, 0)..(partition + 1, 0)).map(|(_, one)| *one).collect();
        assert!(of.is_sorted(), "an older row behind a newer one");
        assert_eq!((of[0], of[of.len() - 1]), (Some(0), Some(VERSIONS - 1)));
    }
    eprintln!("{} outputs after {VERSIONS} deaths", found.len());
}
