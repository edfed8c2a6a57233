//! Tasks that process records, between real brokers: every failure policy with poison among good records, and a process that is killed
//! again and again.

mod tables;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use bytes::Bytes;
use kafka_client::{Client, ConnectionConfig, TopicQuery};
use kafka_wire::compression::Compression;
use kafka_wire::produce::{ProducePartition, ProduceTopic};
use kafka_wire::record::{BatchOptions, Record, encode_batch};
use xtask::kafka::Release;

use super::pair::Pair;
use super::{kferry, text};
use crate::java::{self, Isolation, Oracle};

const KILLS: usize = 50;
const PARTITIONS: i32 = 3;
const BATCHES: i64 = 250;
const BATCH_RECORDS: i64 = 40;
const COPIES: u32 = 2;

/// One record of [`POISON_EVERY`] cannot be read; the first ones are good.
const POISON_EVERY: i64 = 97;
const POISON_FROM: i64 = 400;

/// Source partition and offset of an output or a dead letter.
type Origin = (i32, i64);

fn is_poison(offset: i64) -> bool {
    offset >= POISON_FROM && offset % POISON_EVERY == 0
}

/// Appends batches to every partition of a topic; records do not depend on anything but their offset.
async fn fill(bootstrap: &str, topic: &str) {
    let client = Client::new(ConnectionConfig::plain(bootstrap).unwrap()).unwrap();
    let named = TopicQuery::Named(vec![topic.to_owned()]);
    let metadata = client.refresh_metadata(named).await.unwrap();
    let topic_id = metadata.topics[topic].topic_id.unwrap_or_default();
    let mut leaders = Vec::new();
    for partition in 0..PARTITIONS {
        let leader = metadata.partition(topic, partition).unwrap().leader_id;
        leaders.push(client.dedicated(leader).await.unwrap());
    }
    for batch in 0..BATCHES {
        for partition in 0..PARTITIONS {
            let record = |offset: i64| Record {
                offset,
                timestamp: 1_790_000_000_000 + offset,
                key: Some(Bytes::from(format!("k{}", offset % 13))),
                value: Some(Bytes::from(if is_poison(offset) {
                    "no json".to_owned()
                } else {
                    format!("{{\"n\":{offset},\"pad\":\"{}\"}}", "x".repeat(200))
                })),
                headers: Vec::new(),
            };
            let first = batch * BATCH_RECORDS;
            let records: Vec<Record> = (first..first + BATCH_RECORDS).map(record).collect();
            let compression = [Compression::None, Compression::Lz4, Compression::Zstd]
                [usize::try_from(batch % 3).unwrap()];
            let options = BatchOptions { compression, ..BatchOptions::default() };
            let bytes = encode_batch(&options, &records).unwrap();
            let leader = &leaders[usize::try_from(partition).unwrap()];
            let partitions =
                vec![ProducePartition { partition, header: bytes, payload: Bytes::new() }];
            let topics = vec![ProduceTopic { name: topic.to_owned().into(), topic_id, partitions }];
            let acks = leader.produce(-1, Duration::from_secs(20), topics).await.unwrap();
            assert!(acks[0].error.is_ok(), "{:?}", acks[0].error);
        }
    }
    client.close().await;
}

/// A file with one task per failure policy, and their rules.
fn tasks(pair: &Pair, directory: &Path) -> String {
    let (source, target) = (pair.source.bootstrap(), pair.target.bootstrap());
    let mut text = "tasks:\n".to_owned();
    for (policy, failure, partitioning) in [
        ("dlq", "{policy: dlq, dlq: {topic: dead}}", "key"),
        ("discard", "{policy: discard}", "spread"),
        ("pass_raw", "{policy: pass_raw}", "keep"),
        ("retain", "{policy: retain}", "keep"),
    ] {
        let rule = format!(
            "{{apiVersion: etl/v1, kind: EtlTemplate, spec: {{chains: [{{analyse: {{mode: json}}, rows: [{{key: n}}]}}], metadata_fields: {{keep: true, placement: headers}}, failure: {failure}}}}}"
        );
        std::fs::write(directory.join(format!("{policy}.yaml")), rule).unwrap();
        text += &format!(
            "- name: {policy}\n  source: '{source}'\n  target: '{target}'\n  state: state/{policy}\n  request_lifetime: 0s\n  process: {{rule: {policy}.yaml, topics: {{in: out-{policy}}}, copies: {COPIES}, partitioning: {partitioning}, create_dead_letter_topic: true}}\n"
        );
    }
    let path = directory.join("tasks.yaml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The text that the judge shows as hex digits.
fn unhex(shown: &str) -> String {
    // Long ones are cut; none of these matters here.
    let digits = shown.strip_prefix('=').unwrap_or_default().split('.').next().unwrap_or_default();
    let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    let bytes: Vec<u8> = (0..digits.len() / 2).map(|at| byte(2 * at)).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn headers(record: &java::Record) -> BTreeMap<String, String> {
    let pairs = record.headers.split(',').filter_map(|pair| pair.split_once(':'));
    pairs.map(|(name, value)| (name.to_owned(), unhex(value))).collect()
}

/// Where each record of a topic comes from, by partition, in order; records without such headers apart.
fn origins(oracle: &Oracle, topic: &str, prefix: &str) -> (Vec<Vec<Origin>>, Vec<java::Record>) {
    let mut others = Vec::new();
    let mut found = Vec::new();
    for partition in oracle.dump(topic, Isolation::ReadUncommitted).unwrap() {
        let mut origins = Vec::new();
        for record in partition.records {
            let headers = headers(&record);
            match headers.get(&format!("{prefix}offset")) {
                Some(offset) => {
                    let partition = headers[&format!("{prefix}partition")].parse().unwrap();
                    origins.push((partition, offset.parse().unwrap()));
                }
                None => others.push(record),
            }
        }
        found.push(origins);
    }
    (found, others)
}

/// Every good record below `ends`, so often as there are copies, in order in every partition of the target.
#[track_caller]
fn check_outputs(oracle: &Oracle, policy: &str, ends: &BTreeMap<i32, i64>) -> Vec<java::Record> {
    let (by_partition, others) = origins(oracle, &format!("out-{policy}"), "__source_");
    for origins in &by_partition {
        for partition in 0..PARTITIONS {
            let offsets: Vec<i64> =
                origins.iter().filter(|origin| origin.0 == partition).map(|one| one.1).collect();
            assert!(offsets.is_sorted(), "{policy}: out of order");
        }
    }
    let mut counts: BTreeMap<Origin, u32> = BTreeMap::new();
    for origin in by_partition.into_iter().flatten() {
        *counts.entry(origin).or_default() += 1;
    }
    let expected: BTreeMap<Origin, u32> = ends
        .iter()
        .flat_map(|(partition, end)| (0..*end).map(move |offset| (*partition, offset)))
        .filter(|(_, offset)| !is_poison(*offset))
        .map(|origin| (origin, COPIES))
        .collect();
    let wrong: Vec<_> = expected
        .iter()
        .filter(|(origin, count)| counts.get(*origin) != Some(*count))
        .take(5)
        .collect();
    assert!(wrong.is_empty(), "{policy}: {wrong:?} expected, {} found", counts.len());
    assert_eq!(counts.len(), expected.len(), "{policy}");
    others
}

#[test]
fn every_policy_is_exact_when_the_process_is_killed() {
    let pair = Pair::start(Release::V4_2_0, Release::V4_2_0);
    let partitions = u32::try_from(PARTITIONS).unwrap();
    pair.from.create_topic("in", partitions, &[]).unwrap();
    for policy in ["dlq", "discard"] {
        pair.to.create_topic(&format!("out-{policy}"), 4, &[]).unwrap();
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(fill(&pair.source.bootstrap(), "in"));
    let directory = tempfile::tempdir().unwrap();
    let file = tasks(&pair, directory.path());
    let mut random = fastrand::Rng::with_seed(7);
    let mut killed = 0;
    // From the end of its start on, at any moment.
    let mut lived = Vec::new();
    while killed < KILLS {
        let mut command = kferry(&["etl", "run", "-f", &file]);
        let mut process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let life = Duration::from_millis(random.u64(150..900));
        let begun = Instant::now();
        while begun.elapsed() < life && process.try_wait().unwrap().is_none() {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(process.try_wait().unwrap().is_none(), "it ended by itself");
        process.kill().unwrap();
        process.wait().unwrap();
        killed += 1;
        lived.push(total(&pair.to));
    }
    eprintln!("records on the target after each death: {lived:?}");
    let output =
        kferry(&["etl", "run", "-f", &file, "--once", "--output", "json"]).output().unwrap();
    eprintln!("{}", text(&output));
    // The task that ends at a poison record ends so each time.
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("retain"));

    let end = BATCHES * BATCH_RECORDS;
    let all: BTreeMap<i32, i64> = (0..PARTITIONS).map(|partition| (partition, end)).collect();
    let poison: Vec<Origin> = (0..PARTITIONS)
        .flat_map(|partition| (0..end).filter(|at| is_poison(*at)).map(move |at| (partition, at)))
        .collect();
    assert!(check_outputs(&pair.to, "discard", &all).is_empty());
    assert!(check_outputs(&pair.to, "dlq", &all).is_empty());
    let (dead, others) = origins(&pair.to, "dead", "__connect.errors.");
    let mut dead: Vec<Origin> = dead.into_iter().flatten().collect();
    dead.sort_unstable();
    assert_eq!((dead, others.len()), (poison.clone(), 0), "dead letters");
    let raw = check_outputs(&pair.to, "pass_raw", &all);
    assert_eq!(raw.len(), poison.len());
    for record in raw {
        assert_eq!(unhex(&record.value), "no json");
        assert_eq!(headers(&record)["__etl.error"], "json_syntax");
    }
    // Somewhere it ended at the first poison record; the others may have been less far.
    let (made, others) = origins(&pair.to, "out-retain", "__source_");
    assert!(others.is_empty());
    let first = (0..end).find(|offset| is_poison(*offset)).unwrap();
    let ends: BTreeMap<i32, i64> = (0..PARTITIONS)
        .map(|partition| {
            let offsets = made.iter().flatten().filter(|origin| origin.0 == partition);
            (partition, offsets.map(|origin| origin.1 + 1).max().unwrap_or(0))
        })
        .collect();
    assert_eq!(ends.values().max(), Some(&first), "{ends:?}");
    check_outputs(&pair.to, "retain", &ends);
}

/// Records of all outputs so far.
fn total(oracle: &Oracle) -> i64 {
    let topics = oracle.topics().unwrap();
    let outputs = topics.iter().filter(|topic| topic.starts_with("out-"));
    outputs.flat_map(|topic| oracle.offsets(topic).unwrap()).map(|(_, end)| end).sum()
}
