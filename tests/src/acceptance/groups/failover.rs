//! Consumers stop on one cluster and start on the other: none of the records is skipped and none is read again, there and back.

use std::collections::BTreeSet;

use xtask::kafka::{KafkaCluster, Options, Release};

use crate::acceptance::running::Sync;
use crate::java::{Dataset, Oracle};

/// Partitions of the topic.
const PARTITIONS: u32 = 3;

/// The names of the records that a member reads before it commits and leaves; all to the end without `count`.
fn consume(oracle: &Oracle, group: &str, protocol: &str, more: &[(&str, &str)]) -> Vec<String> {
    let mut arguments = vec![("topic", "moved"), ("group", group), ("protocol", protocol)];
    arguments.extend(more);
    let lines = oracle.call("consume", &arguments).unwrap();
    // A record's time is its number.
    lines.into_iter().map(|line| line[2].clone()).collect()
}

#[track_caller]
fn exactly_once(before: &[String], after: &[String], count: usize) {
    let all: BTreeSet<_> = before.iter().chain(after).collect();
    let read = before.len() + after.len();
    eprintln!(
        "{} records before, {} after: {} of {count} distinct, {} read again, {} skipped",
        before.len(),
        after.len(),
        all.len(),
        read - all.len(),
        count - all.len()
    );
    assert!(!before.is_empty() && !after.is_empty());
    assert_eq!((read, all.len()), (count, count));
}

#[test]
fn consumers_move_over_and_back() {
    let here = KafkaCluster::start(Release::V4_2_0, Options::default()).unwrap();
    let there = KafkaCluster::start(Release::V4_2_0, Options::default()).unwrap();
    let (at_here, at_there) =
        (Oracle::for_cluster(&here).unwrap(), Oracle::for_cluster(&there).unwrap());
    let groups = [("old-style", "classic"), ("new-style", "consumer")];
    at_here.create_topic("moved", PARTITIONS, &[]).unwrap();
    // Aborted records and markers move the offsets of the two sides apart.
    for (number, end) in ["commit", "abort", "commit", "commit", "abort"].iter().enumerate() {
        let first = number * 300;
        let dataset =
            Dataset::plain(300, 50).with("first", first).with("txn", "t").with("end", end);
        at_here.produce("moved", &dataset).unwrap();
    }
    at_here.produce("moved", &Dataset::plain(900, 50).with("first", 1_500)).unwrap();

    let over = tempfile::tempdir().unwrap();
    let sync = Sync::start(&here.bootstrap(), &there.bootstrap(), over.path(), &[]);
    let half = [("reset", "earliest"), ("count", "700")];
    let read_here = groups.map(|(group, protocol)| consume(&at_here, group, protocol, &half));
    sync.stop();
    // The last word, when nobody reads any more.
    let once = ["--once"];
    Sync::start(&here.bootstrap(), &there.bootstrap(), over.path(), &once).finish();
    for ((group, protocol), before) in groups.iter().zip(&read_here) {
        let after = consume(&at_there, group, protocol, &[]);
        exactly_once(before, &after, 1_800);
    }

    // Back: only what is new travels, and the first task runs no more.
    let back = tempfile::tempdir().unwrap();
    // That the way back finds its own source's records on the target is no accident here.
    let more = ["--name", "back", "--start", "latest", "--on-unknown-target", "append"];
    let sync = Sync::start(&there.bootstrap(), &here.bootstrap(), back.path(), &more);
    let mut begun = 0..PARTITIONS;
    begun.all(|partition| {
        sync.says(|line| line["event"] == "lane_started" && line["partition"] == partition);
        true
    });
    at_there.produce("moved", &Dataset::plain(900, 50).with("first", 10_000)).unwrap();
    let some = [("count", "400")];
    let read_there = groups.map(|(group, protocol)| consume(&at_there, group, protocol, &some));
    sync.stop();
    let last = [&more[..], &once].concat();
    let told = Sync::start(&there.bootstrap(), &here.bootstrap(), back.path(), &last).finish();
    assert!(told.iter().all(|line| line["event"] != "group_taken_over"));
    for ((group, protocol), before) in groups.iter().zip(&read_there) {
        let after = consume(&at_here, group, protocol, &[]);
        exactly_once(before, &after, 900);
    }
}
