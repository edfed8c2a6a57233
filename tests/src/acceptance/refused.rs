//! Records that a target refuses: batches are cut, single records are the business of `--on-refused-record`.

use xtask::kafka::Release;

use super::pair::Pair;
use crate::java::{Dataset, Record};

const SMALL: [(&str, &str); 1] = [("max.message.bytes", "20000")];

fn without(records: &[Record], offsets: &[i64]) -> Vec<Record> {
    records.iter().filter(|record| !offsets.contains(&record.offset)).cloned().collect()
}

fn random(count: u64, bytes: u64) -> Dataset {
    Dataset::plain(count, bytes).with("content", "random").with("batch", 200_000).with("linger", 50)
}

#[test]
fn refused_records_follow_the_policy() {
    let pair = Pair::start(Release::V4_2_0, Release::V4_2_0);
    large_batches_are_cut_and_single_records_are_not(&pair);
    records_without_a_key_into_a_compacted_topic(&pair);
}

fn large_batches_are_cut_and_single_records_are_not(pair: &Pair) {
    for topic in ["cut", "large"] {
        pair.from.create_topic(topic, 1, &[]).unwrap();
        pair.to.create_topic(topic, 1, &SMALL).unwrap();
    }
    pair.from.produce("cut", &random(300, 1_000)).unwrap();
    pair.from.produce("large", &random(20, 1_000)).unwrap();
    pair.from.produce("large", &random(1, 30_000).with("first", 20)).unwrap();
    pair.from.produce("large", &random(20, 1_000).with("first", 21)).unwrap();

    let state = tempfile::tempdir().unwrap();
    let run = pair.run("cut", state.path(), &[]).succeeded();
    let rebuilt = run.events("batch_rebuilt");
    assert!(rebuilt.iter().any(|event| event["reason"] == "too_large"), "{rebuilt:?}");
    assert_eq!(pair.equal("cut"), 300);

    let all = Pair::records(&pair.from, "large");
    let state = tempfile::tempdir().unwrap();
    let run = pair.run("large", state.path(), &[]);
    assert!(run.stopped().contains("MESSAGE_TOO_LARGE"), "{}", run.stopped());
    let event = run.only("lane_stopped");
    assert_eq!(event["offset"], 20);
    assert!(event["cure"].as_str().unwrap().contains("max.message.bytes"), "{event}");
    pair.target_has("large", &all[..20]);

    let skip = ["--on-refused-record", "skip"];
    let run = pair.run("large", state.path(), &skip).succeeded();
    let event = run.only("records_skipped");
    assert_eq!((&event["offsets"], &event["count"]), (&serde_json::json!([20]), &1.into()));
    pair.target_has("large", &without(&all, &[20]));
}

fn records_without_a_key_into_a_compacted_topic(pair: &Pair) {
    pair.from.create_topic("keyless", 1, &[]).unwrap();
    pair.to.create_topic("keyless", 1, &[("cleanup.policy", "compact")]).unwrap();
    pair.from.produce("keyless", &Dataset::plain(10, 50)).unwrap();
    // Every fourth has no key: offsets 10, 14 and 18.
    pair.from.produce("keyless", &Dataset::mixed(12).with("first", 100)).unwrap();
    let all = Pair::records(&pair.from, "keyless");
    let keyless: Vec<i64> =
        all.iter().filter(|record| record.key == "-").map(|record| record.offset).collect();
    assert_eq!(keyless, [10, 14, 18]);

    let state = tempfile::tempdir().unwrap();
    let run = pair.run("keyless", state.path(), &[]);
    assert!(run.stopped().contains("INVALID_RECORD"), "{}", run.stopped());
    assert_eq!(run.only("lane_stopped")["offset"], 10);
    pair.target_has("keyless", &all[..10]);

    let run = pair.run("keyless", state.path(), &["--on-refused-record", "skip"]).succeeded();
    assert_eq!(run.only("records_skipped")["offsets"], serde_json::json!([10, 14, 18]));
    pair.target_has("keyless", &without(&all, &keyless));
}
