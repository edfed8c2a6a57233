//! `kferry verify` on real brokers: a copy that Kafka's own client calls equal is called equal, and what is altered in the target's
//! log files is found at its place.

use std::fs;
use std::path::Path;

use kafka_wire::record::{Batch, BatchOptions, Record, RecordLimits, encode_batch, split};
use serde_json::Value;
use xtask::kafka::Release;

use super::pair::Pair;
use super::running::{Sync, eventually};
use super::{kferry, text};
use crate::java::Dataset;

/// The last line of a run, and its exit code.
fn verify(pair: &Pair, state: &Path, more: &[&str]) -> (Option<i32>, Vec<Value>) {
    let (source, target) = (pair.source.bootstrap(), pair.target.bootstrap());
    let state = state.to_str().unwrap();
    let mut arguments = vec!["verify", "--source", &source, "--target", &target, "--state", state];
    arguments.extend(["--output", "json"]);
    arguments.extend(more);
    let output = kferry(&arguments).output().unwrap();
    eprintln!("{arguments:?}\n{}", text(&output));
    let lines = String::from_utf8_lossy(&output.stdout);
    let lines = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    (output.status.code(), lines)
}

fn verified(lines: &[Value]) -> &Value {
    lines.iter().find(|line| line["type"] == "verified").unwrap()
}

/// Nothing differs; how many records were compared.
#[track_caller]
fn equal(pair: &Pair, state: &Path, more: &[&str]) -> u64 {
    let (code, lines) = verify(pair, state, more);
    assert_eq!((code, &verified(&lines)["equal"]), (Some(0), &Value::Bool(true)));
    verified(&lines)["totals"]["records"].as_u64().unwrap()
}

/// Rewrites the log files of a partition of the target, which is down: each batch with its records by `change`.
fn alter(data: &Path, topic: &str, partition: i32, change: impl Fn(&mut Vec<Record>)) {
    let directory = data.join(format!("{topic}-{partition}"));
    for entry in fs::read_dir(&directory).unwrap() {
        let path = entry.unwrap().path();
        match path.extension().and_then(|extension| extension.to_str()) {
            // They are made anew from the log.
            Some("index" | "timeindex" | "txnindex") => fs::remove_file(&path).unwrap(),
            Some("log") => {
                let mut altered = Vec::new();
                for batch in split(fs::read(&path).unwrap().into()) {
                    let Ok(Batch::V2(batch)) = batch else { break };
                    let header = &batch.header;
                    if header.attributes.is_control() {
                        altered.extend_from_slice(&batch.bytes);
                        continue;
                    }
                    let mut records = batch.records(&RecordLimits::default()).unwrap();
                    change(&mut records);
                    let options = BatchOptions {
                        compression: header.compression().unwrap(),
                        base_offset: header.base_offset,
                        partition_leader_epoch: header.partition_leader_epoch,
                        producer_id: header.producer_id,
                        producer_epoch: header.producer_epoch,
                        base_sequence: header.base_sequence,
                        first_offset: Some(header.base_offset),
                        last_offset_delta: Some(header.last_offset_delta),
                        ..BatchOptions::default()
                    };
                    altered.extend_from_slice(&encode_batch(&options, &records).unwrap());
                }
                fs::write(&path, altered).unwrap();
            }
            _ => {}
        }
    }
}

fn change(records: &mut [Record], offset: i64, change: impl Fn(&mut Record)) {
    records.iter_mut().filter(|record| record.offset == offset).for_each(change);
}

#[test]
fn verify_agrees_with_the_java_client_and_finds_what_is_altered() {
    let pair = Pair::start(Release::V4_2_0, Release::V3_9_1);
    let codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    for codec in codecs {
        let topic = format!("shape-{codec}");
        pair.from.create_topic(&topic, 2, &[]).unwrap();
        pair.from.produce(&topic, &Dataset::mixed(400).with("codec", codec)).unwrap();
    }
    pair.from.create_topic("gaps", 1, &[]).unwrap();
    pair.from.produce("gaps", &Dataset::keyed(600, 20).with("flush_every", 50)).unwrap();
    pair.from.compact("gaps").unwrap();
    pair.from.create_topic("transactions", 1, &[]).unwrap();
    for (number, end) in ["commit", "abort", "commit", "abort", "commit"].iter().enumerate() {
        let first = number * 10;
        let dataset = Dataset::plain(10, 50).with("first", first).with("txn", "t").with("end", end);
        pair.from.produce("transactions", &dataset).unwrap();
    }
    pair.from
        .create_topic("broker-time", 1, &[("message.timestamp.type", "LogAppendTime")])
        .unwrap();
    pair.from.produce("broker-time", &Dataset::mixed(300).with("codec", "gzip")).unwrap();
    pair.from.create_topic("plain", 2, &[]).unwrap();
    pair.from.produce("plain", &Dataset::plain(500, 100).with("flush_every", 20)).unwrap();
    pair.from.commit("readers", "plain", &[(0, 40), (1, 7)]).unwrap();

    let directory = tempfile::tempdir().unwrap();
    let state = directory.path();
    let (source, target) = (pair.source.bootstrap(), pair.target.bootstrap());
    let sync = Sync::start(&source, &target, state, &[]);
    let complete = || verify(&pair, state, &["--complete"]).0 == Some(0);
    assert!(eventually(60, complete), "not equal under way");
    pair.to.produce("plain", &Dataset::plain(30, 10).with("first", 9000)).unwrap();
    pair.from.produce("plain", &Dataset::plain(200, 100).with("first", 500)).unwrap();
    let reached = || {
        let committed = pair.to.committed("readers", "plain").unwrap();
        verify(&pair, state, &["--complete"]).0 == Some(0) && committed.len() == 2
    };
    assert!(eventually(60, reached), "the copy does not become equal");
    for topic in [
        "shape-none",
        "shape-gzip",
        "shape-snappy",
        "shape-lz4",
        "shape-zstd",
        "gaps",
        "transactions",
    ] {
        pair.equal(topic);
    }
    // Dies, comes back, and goes on.
    sync.kill();
    pair.from.produce("plain", &Dataset::plain(100, 100).with("first", 700)).unwrap();
    let sync = Sync::start(&source, &target, state, &[]);
    assert!(eventually(60, || verify(&pair, state, &["--complete"]).0 == Some(0)));
    sync.stop();
    let records = equal(&pair, state, &["--complete"]);
    let (_, lines) = verify(&pair, state, &[]);
    let found = verified(&lines);
    assert_eq!(found["totals"]["foreign"], 30, "{found:#}");
    assert!(found["groups"]["equal"].as_u64().unwrap() >= 2, "{found:#}");
    assert!(records > 5 * 400 + 30 + 300 + 800, "{records}");

    // Behind everybody's back.
    pair.to.commit("readers", "plain", &[(0, 41)]).unwrap();
    pair.to.set_topic_config("plain", "segment.ms", "12345678").unwrap();
    pair.to.grow_topic("plain", 3).unwrap();
    let broker = pair.target.broker(0);
    broker.stop().unwrap();
    let data = broker.data_directory();
    alter(data, "plain", 1, |records| records.retain(|record| record.offset != 5));
    alter(data, "shape-lz4", 0, |records| {
        change(records, 3, |record| record.value = Some("another".into()));
        change(records, 4, |record| record.key = Some("another".into()));
        change(records, 6, |record| record.timestamp += 1);
    });
    broker.restart().unwrap();
    let mut found = Vec::new();
    let is_there = || {
        let (code, lines) = verify(&pair, state, &[]);
        found = lines;
        code == Some(1) && verified(&found)["errors"].as_array().is_some_and(Vec::is_empty)
    };
    assert!(eventually(60, is_there), "{found:#?}");
    let shown: Vec<String> = found
        .iter()
        .filter(|line| line["type"] == "difference")
        .map(|line| {
            let parts =
                line["parts"].as_array().map(|parts| format!(" {}", parts[0])).unwrap_or_default();
            format!(
                "{}-{} {} {}{parts}",
                line["topic"], line["partition"], line["source_offset"], line["kind"]
            )
            .replace('"', "")
        })
        .collect();
    let expected = [
        "plain-1 5 missing",
        "shape-lz4-0 3 changed value",
        "shape-lz4-0 4 changed key",
        "shape-lz4-0 6 changed timestamp",
    ];
    assert_eq!(shown, expected);
    let verified = verified(&found);
    let group = &verified["groups"]["differences"][0];
    assert_eq!((&group["group"], &group["found"]), (&"readers".into(), &41.into()), "{verified:#}");
    let plain = verified["topics"]
        .as_array()
        .unwrap()
        .iter()
        .find(|topic| topic["source_topic"] == "plain");
    let plain = plain.unwrap();
    assert_eq!(plain["partition_counts"], serde_json::json!([2, 3]), "{plain:#}");
    assert_eq!(plain["settings"][0]["name"], "segment.ms", "{plain:#}");
}
