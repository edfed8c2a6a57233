//! `kferry verify`: beside a running sync, after it, on a copy that was altered, and on what is no copy.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
};

use bytes::Bytes;

use super::pair::Pair;
use super::support::{command, kferry, signal, wait};

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn an_equal_copy_is_called_equal_and_reported() {
    let pair = Pair::new();
    pair.source.0.commit_offset("readers", "orders", 0, 40, "");
    pair.copy();
    let report = pair.path("verify.json");
    let ran = pair.run("verify", &["--report", &report, "--complete"]);
    ran.expect(0, &["the copy is equal", "orders", "200"]);
    let json: serde_json::Value = serde_json::from_str(&read(&report)).unwrap();
    assert_eq!(json["is_equal"], true, "{json:#}");
    assert_eq!(json["totals"]["records"], 200, "{json:#}");
    assert_eq!(json["groups"]["equal"], 1, "{json:#}");
    assert_eq!(json["source_cluster_id"], "one");
    assert_eq!(json["target_cluster_id"], "two");
    assert_eq!(json["task"], "sync");
    assert!(json["started_ms"].as_i64().unwrap() <= json["ended_ms"].as_i64().unwrap());
    let page = read(&pair.path("verify.html"));
    assert!(page.contains("Equal") && page.contains("orders:1"), "{page}");
    pair.fill(10);
    pair.run("verify", &[]).expect(0, &["as far as it has come", "20 source offsets"]);
    pair.run("verify", &["--complete"]).expect(1, &["not everything is copied yet", "cure:"]);
    drop(pair.runtime);
}

#[test]
fn what_differs_is_named_by_offset_and_never_shown() {
    let pair = Pair::new();
    pair.source.0.commit_offset("readers", "orders", 0, 40, "");
    pair.copy();
    pair.alter(1, 17, |record| record.value = Some(Bytes::from_static(b"secret-value-18")));
    pair.target.0.commit_offset("readers", "orders", 0, 41, "");
    pair.target.0.set_topic_config("orders", "retention.ms", Some("1234567")).unwrap();
    let report = pair.path("verify.json");
    let ran = pair.run("verify", &["--report", &report]);
    ran.expect(
        1,
        &[
            "orders:1 source 17 target 17: changed: value",
            "group readers: orders:0@40 belongs at target 40, stands at 41 (off by +1)",
            "retention.ms is 604800000 on the source, 1234567 on the target",
            "3 differences",
        ],
    );
    let json: serde_json::Value = serde_json::from_str(&read(&report)).unwrap();
    let found = &json["partitions"][1]["differences"][0];
    assert_eq!(found["kind"], "changed", "{json:#}");
    assert_eq!(found["parts"], serde_json::json!(["value"]), "{json:#}");
    assert_eq!((&found["source_offset"], json["differences"].as_i64()), (&17.into(), Some(3)));
    for text in [ran.all(), read(&report), read(&pair.path("verify.html"))] {
        assert!(!text.contains("secret"), "{text}");
    }
    let objects = pair.run("verify", &["--output", "json"]).objects();
    let kinds: Vec<_> = objects.iter().map(|object| object["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["difference", "verified", "error"], "{objects:#?}");
    drop(pair.runtime);
}

#[test]
fn beside_a_running_sync_and_from_a_checkpoint() {
    let pair = Pair::new();
    let ends = pair.ends();
    let mut running = command(&pair.args("sync", &ends)).spawn().unwrap();
    let mut stderr = BufReader::new(running.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("records/s") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended early");
    }
    let rest = std::thread::spawn(move || stderr.lines().map_while(Result::ok).count());
    let file = pair.path("checkpoint");
    pair.run("verify", &["--resume", &file]).expect(0, &["the copy is equal"]);
    signal(running.id(), "TERM");
    wait(running);
    rest.join().unwrap();
    assert!(Path::new(&file).exists());
    // What is done is not read again.
    pair.alter(0, 3, |record| record.key = None);
    pair.run("verify", &["--resume", &file]).expect(0, &["the copy is equal", "200"]);
    pair.run("verify", &["--resume", &file, "--topics", "orders"])
        .expect(1, &["another --topics", "cure:"]);
    std::fs::write(&file, "x").unwrap();
    pair.run("verify", &["--resume", &file]).expect(1, &["no checkpoint", "cure:"]);
    std::fs::remove_file(&file).unwrap();
    pair.run("verify", &["--resume", &file])
        .expect(1, &["orders:0 source 3 target 3: changed: key"]);
    drop(pair.runtime);
}

#[test]
fn a_sync_starts_while_its_state_is_read() {
    let pair = Pair::new();
    pair.copy();
    let file = Path::new(&pair.state()).join("task.redb");
    let held = replicate::journal::RedbJournal::open(file).unwrap();
    let ends = pair.ends();
    let running = command(&[&pair.args("sync", &ends)[..], &["--once"]].concat()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(700));
    drop(held);
    wait(running).expect(0, &["orders"]);
    drop(pair.runtime);
}

#[test]
fn what_cannot_be_compared_is_said_with_a_cure() {
    let pair = Pair::new();
    let ends = pair.ends();
    let [source, target, state] = &ends;
    pair.run("verify", &[]).expect(1, &["does not exist", "cure:"]);
    kferry(&["verify", "--source", source, "--target", target]).expect(2, &["--state"]);
    kferry(&["verify", "--source", source, "--target", target, "--without-state"])
        .expect(2, &["not built", "cure:", "take up the copy"]);
    pair.copy();
    kferry(&["verify", "--source", target, "--target", source, "--state", state])
        .expect(1, &["the state is about source cluster one, this is two", "cure:"]);
    pair.run("verify", &["--topics", "nothing"]).expect(1, &["knows no copied partition"]);
    pair.run("verify", &["--report", "/nowhere/verify.json"]).expect(1, &["/nowhere", "cure:"]);
    pair.run("verify", &["--report", &pair.path("verify.html")]).expect(2, &["another ending"]);
    pair.target.0.delete_topic("orders");
    pair.run("verify", &[]).expect(1, &["not compared: orders: the target has no topic orders"]);
    drop(pair.runtime);
}
