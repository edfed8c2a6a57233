//! A source topic that was deleted and created again.

use crate::acceptance::pair::{Pair, only};
use crate::acceptance::running::{Sync, eventually};
use crate::java::{Dataset, Record};

/// Another topic under the name, with other records; more than the first had, so that only its id tells.
fn recreate(pair: &Pair, topic: &str) -> Vec<Record> {
    pair.from.delete_topic(topic).unwrap();
    // The broker answers before the topic is gone.
    let is_created = eventually(60, || pair.from.create_topic(topic, 1, &[]).is_ok());
    assert!(is_created, "{topic} cannot be created again");
    pair.from.produce(topic, &Dataset::plain(150, 60).with("first", 1_000)).unwrap();
    Pair::records(&pair.from, topic)
}

fn create(pair: &Pair, topic: &str) -> Vec<Record> {
    pair.from.create_topic(topic, 1, &[]).unwrap();
    pair.from.produce(topic, &Dataset::plain(100, 60)).unwrap();
    Pair::records(&pair.from, topic)
}

pub(super) fn while_stopped(pair: &Pair) {
    let state = tempfile::tempdir().unwrap();
    let before = create(pair, "recreated");
    pair.run("recreated", state.path(), &[]).succeeded();
    let after = recreate(pair, "recreated");
    for _ in 0..2 {
        let run = pair.run("recreated", state.path(), &[]);
        run.only("topic_recreated");
        assert!(run.stopped().contains("created again"), "{}", run.stopped());
        assert!(run.events("truncated").is_empty());
        pair.target_has("recreated", &before);
    }
    let word = ["--on-recreated", "continue"];
    let run = pair.run("recreated", state.path(), &word).succeeded();
    run.only("topic_recreated");
    assert!(run.events("truncated").is_empty());
    pair.target_has("recreated", &[before, after].concat());
    let run = pair.run("recreated", state.path(), &word).succeeded();
    assert!(run.events("topic_recreated").is_empty(), "told again");
}

/// Told once: by the run that saw it happen, or, where that one saw the topic missing first, by the next.
pub(super) fn while_copying(pair: &Pair) {
    for policy in ["stop", "continue"] {
        let topic = format!("live-{policy}");
        let word = ["--on-recreated", policy];
        let before = create(pair, &topic);
        let state = tempfile::tempdir().unwrap();
        let sync = Sync::of(pair, &topic, state.path(), &word);
        sync.says(|line| line["type"] == "progress" && line["total"]["records"] == 100);
        let after = recreate(pair, &topic);
        let is_told = |line: &serde_json::Value| line["event"] == "topic_recreated";
        sync.says(|line| is_told(line) || line["event"] == "topic_deleted");
        if policy == "continue" {
            sync.says(|line| line["event"] == "topic_deleted" || line["total"]["records"] == 250);
        } else {
            sync.says(|line| line["event"] == "lane_stopped");
        }
        let mut lines = sync.stop_any();
        if !lines.iter().any(is_told) {
            let run = pair.run(&topic, state.path(), &word);
            lines.extend(run.lines);
        }
        only(&lines, "topic_recreated");
        let expected = if policy == "stop" { before } else { [before, after].concat() };
        pair.target_has(&topic, &expected);
    }
}
