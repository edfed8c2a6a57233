//! A task that begins at the end.

use super::{World, create, groups, lines, run, topics};
use crate::acceptance::pair::Pair;
use crate::acceptance::running::{Sync, eventually};
use crate::java::{Dataset, Isolation, Record};

fn partition(world: &World, side: Side, partition: usize) -> Vec<Record> {
    let oracle = match side {
        Side::Source => &world.pair.from,
        Side::Target => &world.pair.to,
    };
    let mut partitions = oracle.dump("tail", Isolation::ReadCommitted).unwrap();
    if partition < partitions.len() {
        partitions.swap_remove(partition).records
    } else {
        Vec::new()
    }
}

#[derive(Clone, Copy)]
enum Side {
    Source,
    Target,
}

/// History stays behind; partitions that come later are copied whole. The task has an expression, so its groups stay
/// untouched.
pub(super) fn new_partitions_come_from_their_first_offset(world: &World) {
    let pair = &world.pair;
    create(&pair.from, "tail", 1, &[]);
    // Whole names match.
    create(&pair.from, "tail-2", 1, &[]);
    let records = |first: u64, count, partition: i32| {
        Dataset::plain(count, 50).with("first", first).with("partition", partition)
    };
    pair.from.produce("tail", &records(0, 100, 0)).unwrap();
    pair.from.commit("tail-reader", "tail", &[(0, 50)]).unwrap();
    let more = ["--start", "latest", "--discovery-interval", "2s"];
    let sync = Sync::of(pair, "tail", &world.state("tail"), &more);
    let started = sync.event("lane_started", |it| it["topic"] == "tail");
    assert_eq!(started["offset"], 100);
    pair.from.produce("tail", &records(100, 30, 0)).unwrap();
    pair.from.grow_topic("tail", 2).unwrap();
    // Written before anybody knows of the partition.
    pair.from.produce("tail", &records(200, 40, 1)).unwrap();
    let started = sync.event("lane_started", |it| it["topic"] == "tail" && it["partition"] == 1);
    assert_eq!(started["offset"], 0);
    let is_copied =
        |number, count| eventually(60, || partition(world, Side::Target, number).len() == count);
    assert!(is_copied(0, 30) && is_copied(1, 40));
    let numbers =
        |records: &[Record]| -> Vec<i64> { records.iter().map(|it| it.timestamp).collect() };
    for (number, skipped) in [(0, 100), (1, 0)] {
        let source = partition(world, Side::Source, number);
        assert_eq!(numbers(&partition(world, Side::Target, number)), numbers(&source[skipped..]));
    }
    sync.stop();
    assert!(!topics(&pair.to).contains("tail-2"));
    let found = groups(&pair.to);
    assert!(!found.contains("tail-reader"), "{found:?}");
    what_cannot_be_asked_for(pair, world);
}

/// Refused before anything is done.
fn what_cannot_be_asked_for(pair: &Pair, world: &World) {
    let (source, target) = (pair.source.bootstrap(), pair.target.bootstrap());
    let refused = |target: &str, more: &[&str], words: &[&str]| {
        let state = world.state("refused");
        let ends =
            ["sync", "--source", &source, "--target", target, "--state", state.to_str().unwrap()];
        let output = run(&[&ends[..], more].concat(), 2);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(words.iter().all(|word| said.contains(word)), "{said}");
        assert!(!state.exists());
    };
    let both = ["--sync", "metadata_data_offsets", "--topics", "tail"];
    refused(&target, &both, &["all topics only", "metadata_data"]);
    refused(&target, &["--topics", "ta(il"], &["character 3"]);
    refused(&target, &["--name", "two words"], &["two words"]);
    let far = world.target_file("kind: cross_network\n");
    refused(&far, &[], &["cross_network", "source"]);

    // A name and a description are shown to whoever checks the connection.
    let file = world.target_file("name: there\ndescription: the target\n");
    let output = run(&["check", &file, "--as", "target"], 0);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("there: the target"), "{said}");
    assert_eq!(
        lines(&["check", &file, "--as", "target", "--output", "json"], 0).last().unwrap()["ok"],
        true
    );
}
