//! Real truncation: a leader has records that nobody else has, dies, and a replica without them becomes leader uncleanly.
//!
//! With `KRaft` a third broker keeps the controllers' majority; the topics live on the first two.

use xtask::kafka::{Flavour, Options, Release};

use crate::acceptance::pair::{Pair, lost, only};
use crate::acceptance::running::{Sync, eventually};
use crate::java::{Dataset, Record};

const CONTINUE: [&str; 2] = ["--on-truncation", "continue"];

/// Shorter after the loss; grown again with other records; copied while it happens, with either policy; copied again in
/// between.
const TOPICS: [&str; 5] = ["shorter", "grown", "live", "halted", "zigzag"];

fn start(release: Release) -> Pair {
    let brokers = if release.is_kraft() { 3 } else { 2 };
    let options = Options::new(brokers, Flavour::default())
        .property("unclean.leader.election.enable", "true")
        .property("min.insync.replicas", "1")
        .property("broker.session.timeout.ms", "5000");
    let pair = Pair::with(release, options, Release::V4_2_0);
    for topic in TOPICS {
        pair.from.create_topic_on(topic, &[1, 2], &[]).unwrap();
        produce(&pair, topic, 0, 100);
    }
    pair
}

fn produce(pair: &Pair, topic: &str, first: u64, count: u64) {
    pair.from.produce(topic, &Dataset::plain(count, 60).with("first", first)).unwrap();
}

/// Waits until the source topic ends there.
#[track_caller]
fn ends_at(pair: &Pair, topic: &str, end: i64) {
    let is_there =
        eventually(60, || pair.from.offsets(topic).is_ok_and(|offsets| offsets[0] == (0, end)));
    assert!(is_there, "{topic} ends at {:?}, not {end}", pair.from.offsets(topic));
}

#[track_caller]
fn copied(sync: &Sync, records: u64) {
    sync.says(|line| line["type"] == "progress" && line["total"]["records"] == records);
}

/// The records of `before` and those that the source has from `cut` on.
fn joined(pair: &Pair, topic: &str, before: &[Record], cut: i64) -> Vec<Record> {
    let now = Pair::records(&pair.from, topic);
    before.iter().cloned().chain(now.into_iter().filter(|record| record.offset >= cut)).collect()
}

fn a_shorter_log(pair: &Pair, state: &tempfile::TempDir, before: &[Record]) {
    for _ in 0..2 {
        let run = pair.run("shorter", state.path(), &[]);
        lost(run.only("truncated"), 100..200);
        assert!(run.stopped().contains("truncated to offset 100"), "{}", run.stopped());
        pair.target_has("shorter", before);
    }
    produce(pair, "shorter", 2_000, 30);
    let run = pair.run("shorter", state.path(), &CONTINUE).succeeded();
    lost(run.only("truncated"), 100..200);
    pair.target_has("shorter", &joined(pair, "shorter", before, 100));
    let run = pair.run("shorter", state.path(), &CONTINUE).succeeded();
    assert!(run.events("truncated").is_empty(), "told again");
}

fn a_log_that_grew_again(pair: &Pair, state: &tempfile::TempDir, before: &[Record]) {
    produce(pair, "grown", 1_000, 150);
    let run = pair.run("grown", state.path(), &[]);
    lost(run.only("truncated"), 100..200);
    run.stopped();
    pair.target_has("grown", before);
    let run = pair.run("grown", state.path(), &CONTINUE).succeeded();
    lost(run.only("truncated"), 100..200);
    pair.target_has("grown", &joined(pair, "grown", before, 100));
}

fn while_copying(pair: &Pair, live: Sync, halted: Sync, before: [&[Record]; 2]) {
    live.says(|line| line["event"] == "truncated");
    halted.says(|line| line["event"] == "lane_stopped");
    produce(pair, "live", 3_000, 40);
    copied(&live, 240);
    lost(only(&live.stop(), "truncated"), 100..200);
    lost(only(&halted.stop_any(), "truncated"), 100..200);
    pair.target_has("live", &joined(pair, "live", before[0], 100));
    pair.target_has("halted", before[1]);
}

/// Copied to 100 from the first leader and to 110 from the second; then the first one leads again, with 100 records of its own
/// behind 100. Where the two logs part is known only from the epochs of what was copied.
fn two_elections(pair: &Pair, state: &tempfile::TempDir) {
    pair.source.broker(1).kill().unwrap();
    pair.source.broker(0).restart().unwrap();
    ends_at(pair, "zigzag", 200);
    let before = Pair::records(&pair.to, "zigzag");
    let run = pair.run("zigzag", state.path(), &[]);
    lost(run.only("truncated"), 100..110);
    pair.target_has("zigzag", &before);
    let run = pair.run("zigzag", state.path(), &CONTINUE).succeeded();
    lost(run.only("truncated"), 100..110);
    pair.target_has("zigzag", &joined(pair, "zigzag", &before, 100));
}

fn truncation(release: Release) {
    let pair = start(release);
    let states: [tempfile::TempDir; 5] = std::array::from_fn(|_| tempfile::tempdir().unwrap());
    let [shorter, grown, live, halted, zigzag] = &states;
    pair.run("zigzag", zigzag.path(), &[]).succeeded();
    let live = Sync::of(&pair, "live", live.path(), &CONTINUE);
    let halted = Sync::of(&pair, "halted", halted.path(), &[]);
    copied(&live, 100);
    copied(&halted, 100);

    // From now on the first broker alone has what is written.
    pair.source.broker(1).stop().unwrap();
    for topic in TOPICS {
        produce(&pair, topic, 100, 100);
    }
    let before = TOPICS.map(|topic| Pair::records(&pair.from, topic));
    pair.run("shorter", shorter.path(), &[]).succeeded();
    pair.run("grown", grown.path(), &[]).succeeded();
    copied(&live, 200);
    copied(&halted, 200);

    pair.source.broker(0).kill().unwrap();
    pair.source.broker(1).restart().unwrap();
    for topic in TOPICS {
        ends_at(&pair, topic, 100);
    }
    while_copying(&pair, live, halted, [&before[2], &before[3]]);
    a_shorter_log(&pair, shorter, &before[0]);
    a_log_that_grew_again(&pair, grown, &before[1]);

    produce(&pair, "zigzag", 4_000, 10);
    pair.run("zigzag", zigzag.path(), &[]).succeeded();
    two_elections(&pair, zigzag);
}

#[test]
fn truncation_by_an_unclean_leader_on_the_newest_release() {
    truncation(Release::V4_2_0);
}

#[test]
fn truncation_by_an_unclean_leader_before_fetching_by_id() {
    truncation(Release::V2_8_2);
}
