//! A state directory that is gone, or older than the target: nothing is copied twice, and what content does not settle is the
//! operator's word (ADR 0007).

use std::fs;
use std::path::Path;

use xtask::kafka::Release;

use super::pair::Pair;
use crate::java::{Dataset, Isolation, Record};

/// Aborted records, markers and gaps of compaction: source and target offsets are far apart.
const TOPICS: [&str; 3] = ["plain", "compacted", "transactions"];
const ALL: &str = "plain|compacted|transactions";

fn copy_directory(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().flatten() {
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Another round of records in all topics.
fn write(pair: &Pair, round: u64) {
    let first = round * 1_000;
    pair.from.produce("plain", &Dataset::mixed(500).with("first", first)).unwrap();
    let keyed = Dataset::keyed(400, 20).with("first", first).with("flush_every", 25);
    pair.from.produce("compacted", &keyed).unwrap();
    for (number, end) in ["commit", "abort", "commit"].iter().enumerate() {
        let first = first + u64::try_from(number).unwrap() * 100;
        let dataset =
            Dataset::plain(100, 60).with("first", first).with("txn", "t").with("end", end);
        pair.from.produce("transactions", &dataset).unwrap();
    }
}

/// Every record of the source once, in order; for each topic, since compaction may have removed some of the copied ones.
fn nothing_twice(pair: &Pair) {
    for topic in TOPICS {
        if topic != "compacted" {
            pair.equal(topic);
            continue;
        }
        // The target is never compacted here: each record of the source is there, and none that the source had once is there twice.
        let sources = pair.from.dump(topic, Isolation::ReadCommitted).unwrap();
        let targets = pair.to.dump(topic, Isolation::ReadCommitted).unwrap();
        for (source, target) in sources.iter().zip(&targets) {
            let identity = |record: &Record| (record.timestamp, record.key.clone());
            let found: Vec<_> = target.records.iter().map(identity).collect();
            let mut rest = found.iter();
            for record in &source.records {
                let wanted = identity(record);
                assert!(
                    rest.any(|found| *found == wanted),
                    "{topic} lacks {record:?} in its place"
                );
            }
            let distinct: std::collections::BTreeSet<_> = found.iter().collect();
            assert_eq!(distinct.len(), found.len(), "{topic} has records twice");
        }
    }
}

#[test]
fn a_lost_or_older_state_doubles_nothing() {
    let pair = Pair::start(Release::V4_2_0, Release::V4_2_0);
    our_own_records_are_found(&pair);
    records_that_others_copied_are_the_operators_word(&pair);
}

fn our_own_records_are_found(pair: &Pair) {
    pair.from.create_topic("plain", 2, &[]).unwrap();
    pair.from.create_topic("compacted", 1, &[]).unwrap();
    pair.from.create_topic("transactions", 1, &[]).unwrap();
    // The target keeps every record that it was sent, to be counted.
    pair.to.create_topic("compacted", 1, &[("cleanup.policy", "delete")]).unwrap();

    let state = tempfile::tempdir().unwrap();
    write(pair, 0);
    pair.from.compact("compacted").unwrap();
    pair.run(ALL, state.path(), &[]).succeeded();
    let older = tempfile::tempdir().unwrap();
    copy_directory(state.path(), older.path());
    write(pair, 1);
    pair.run(ALL, state.path(), &[]).succeeded();

    // An older copy: the target has 1,000 records more than it knows.
    write(pair, 2);
    pair.run(ALL, older.path(), &[]).succeeded();
    nothing_twice(pair);

    // None: four partitions find their place.
    write(pair, 3);
    let ends = pair.to.offsets("transactions").unwrap();
    let empty = tempfile::tempdir().unwrap();
    let run = pair.run(ALL, empty.path(), &[]).succeeded();
    nothing_twice(pair);
    let adopted = run.events("lane_adopted");
    assert_eq!(adopted.len(), 4, "{adopted:?}");
    let of_transactions: Vec<_> =
        adopted.iter().filter(|event| event["topic"] == "transactions").collect();
    // What was read of the source before: three rounds of 300 records and 3 markers.
    let offset = of_transactions[0]["offset"].as_i64().unwrap();
    let last_copied = Pair::records(&pair.from, "transactions")
        .into_iter()
        .filter(|record| record.timestamp < 1_700_000_003_000)
        .map(|record| record.offset)
        .max()
        .unwrap();
    assert!(
        offset > last_copied && offset <= 3 * 303,
        "goes on at {offset}, the last copied record is at {last_copied}"
    );
    assert!(of_transactions[0]["target_offset"].as_i64().unwrap() >= ends[0].1);

    // And it is a state like any other.
    write(pair, 4);
    let run = pair.run(ALL, empty.path(), &[]).succeeded();
    assert!(run.events("lane_adopted").is_empty());
    nothing_twice(pair);

    // The copied records were overwritten since and are compacted away: no place fits, and nothing is guessed.
    write(pair, 5);
    pair.from.compact("compacted").unwrap();
    let before = Pair::records(&pair.to, "compacted");
    let empty = tempfile::tempdir().unwrap();
    let run = pair.run(ALL, empty.path(), &[]);
    assert!(run.stopped().contains("is not in the source"), "{}", run.stopped());
    pair.target_has("compacted", &before);
}

fn records_that_others_copied_are_the_operators_word(pair: &Pair) {
    let dataset = Dataset::plain(200, 60);
    for policy in ["stop", "append", "adopt"] {
        pair.from.create_topic(policy, 1, &[]).unwrap();
        pair.from.produce(policy, &dataset).unwrap();
        // Somebody else's copy of the same records.
        pair.to.create_topic(policy, 1, &[]).unwrap();
        pair.to.produce(policy, &dataset).unwrap();
        pair.from.produce(policy, &Dataset::plain(50, 60).with("first", 200)).unwrap();
    }
    let theirs = Pair::records(&pair.to, "stop");
    let ours = Pair::records(&pair.from, "stop");

    let state = tempfile::tempdir().unwrap();
    let run = pair.run("stop", state.path(), &[]);
    let cause = run.stopped();
    assert!(cause.contains("producer"), "{cause}");
    assert!(run.only("lane_stopped")["cure"].as_str().unwrap().contains("--on-unknown-target"));
    pair.target_has("stop", &theirs);
    // The same state with the operator's word.
    pair.run("stop", state.path(), &["--on-unknown-target", "adopt"]).succeeded();
    pair.target_has("stop", &ours);

    let state = tempfile::tempdir().unwrap();
    let word = ["--on-unknown-target", "append"];
    pair.run("append", state.path(), &word).succeeded();
    pair.target_has("append", &[theirs.clone(), ours.clone()].concat());

    let state = tempfile::tempdir().unwrap();
    let run = pair.run("adopt", state.path(), &["--on-unknown-target", "adopt"]).succeeded();
    assert_eq!(run.only("lane_adopted")["offset"], 200);
    pair.target_has("adopt", &ours);
}
