//! What follows the source afterwards, and what does not.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::groups::{reaches, record_at};
use super::progress::{Metrics, lines_have_their_fields};
use super::{LONG, World, create, overrides, partitions, topics, value};
use crate::acceptance::pair::{Pair, events, only};
use crate::acceptance::running::{Sync, eventually};
use crate::java::Dataset;

/// A topic for each case, with what it has at the start.
const CASES: [(&str, &str, &str); 6] = [
    ("ms", "retention.ms", "3600000"),
    ("bytes", "retention.bytes", "1000000"),
    ("shorter", "retention.ms", "3600000"),
    ("back", "retention.ms", "-1"),
    ("by-hand", "retention.ms", "3600000"),
    ("last", "retention.ms", "3600000"),
];

/// Within how much a new topic is found.
const DISCOVERY: Duration = Duration::from_secs(10);

pub(super) fn fill(world: &World) {
    for (topic, key, value) in CASES {
        create(&world.pair.from, topic, 1, &[(key, value)]);
    }
}

pub(super) fn what_follows_and_what_does_not(world: &World) {
    let pair = &world.pair;
    let metrics = Metrics::reserve();
    let more = ["--metadata-interval", "5s", "--metrics", metrics.address()];
    let state = world.state("followed");
    let sync = Sync::start(&pair.source.bootstrap(), &pair.target.bootstrap(), &state, &more);
    reaches(pair, "reader", "plain", record_at(pair, 40));
    retention(world, &sync);
    topics_come_and_go(world, &sync);
    metrics.show_the_run(pair);
    let said = sync.stop_any();
    lines_have_their_fields(&said);
    drift_was_told_once(&said);
    for event in said.iter().filter(|line| line["topic"].is_string()) {
        let topic = event["topic"].as_str().unwrap();
        assert!(!topic.starts_with("__"), "{event}");
    }
    assert!(!topics(&pair.to).contains("__mine"));
}

/// Of retention only "unlimited" follows; everything else is told.
fn retention(world: &World, sync: &Sync) {
    let (from, to) = (&world.pair.from, &world.pair.to);
    to.set_topic_config("by-hand", "retention.ms", "-1").unwrap();
    for (topic, key, value) in [
        ("ms", "retention.ms", "-1"),
        ("bytes", "retention.bytes", "-1"),
        ("shorter", "retention.ms", "60000"),
        ("back", "retention.ms", "60000"),
        ("plain", "segment.bytes", "3000000"),
    ] {
        from.set_topic_config(topic, key, value).unwrap();
    }
    for (topic, key) in [("ms", "retention.ms"), ("bytes", "retention.bytes")] {
        let told = sync.event("config_applied", |it| it["topic"] == topic);
        assert_eq!((&told["key"], &told["to"]), (&json!(key), &json!("-1")));
        assert_eq!(value(to, topic, key), "-1");
    }
    for (topic, source, target) in [
        ("shorter", "60000", "3600000"),
        ("back", "60000", "-1"),
        ("by-hand", "3600000", "-1"),
        ("plain", "3000000", "2000000"),
        ("present", LONG, "172800000"),
    ] {
        let told = sync.event("config_drift", |it| {
            it["topic"] == topic && it["source_value"] == source && it["target_value"] == target
        });
        assert_eq!(value(to, topic, told["key"].as_str().unwrap()), target);
    }
    // Another comparison has passed once this is told.
    from.set_topic_config("last", "retention.ms", "-1").unwrap();
    sync.event("config_applied", |it| it["topic"] == "last");
}

fn drift_was_told_once(said: &[Value]) {
    let drift = events(said, "config_drift");
    for (topic, key) in [
        ("shorter", "retention.ms"),
        ("back", "retention.ms"),
        ("by-hand", "retention.ms"),
        ("plain", "segment.bytes"),
        ("present", "retention.ms"),
    ] {
        let told = drift.iter().filter(|it| it["topic"] == topic && it["key"] == key).count();
        assert_eq!(told, 1, "{topic} {key}: {drift:#?}");
    }
    let applied: Vec<_> =
        events(said, "config_applied").iter().map(|it| it["topic"].clone()).collect();
    assert_eq!(applied.len(), 3, "{applied:?}");
}

/// A new topic is found within ten seconds, more partitions follow, and a topic that is deleted stays.
fn topics_come_and_go(world: &World, sync: &Sync) {
    let (from, to) = (&world.pair.from, &world.pair.to);
    from.delete_topic("gone").unwrap();
    from.grow_topic("larger", 2).unwrap();
    from.grow_topic("plain", 2).unwrap();
    from.produce("larger", &Dataset::plain(10, 50).with("partition", 1)).unwrap();
    let begin = Instant::now();
    create(from, "fresh", 2, &[("retention.ms", LONG)]);
    assert!(eventually(30, || topics(to).contains("fresh")));
    let took = begin.elapsed();
    eprintln!("a new topic was there after {took:?}");
    // What is found still has to be made.
    assert!(took < DISCOVERY + Duration::from_secs(1), "{took:?}");
    assert_eq!(value(to, "fresh", "retention.ms"), LONG);
    from.produce("fresh", &Dataset::mixed(60)).unwrap();
    partition_counts(world, sync);
    sync.event("lane_started", |it| it["topic"] == "fresh" && it["partition"] == 1);
    assert!(eventually(60, || crate::java::compare(from, "fresh", to, "fresh").is_ok()));
    sync.event("topic_deleted", |it| it["topic"] == "gone");
    assert_eq!(Pair::records(to, "gone").len(), 10);
}

/// More partitions follow, fewer never do.
fn partition_counts(world: &World, sync: &Sync) {
    let to = &world.pair.to;
    let told = sync.event("partitions_added", |it| it["topic"] == "plain");
    assert_eq!((&told["from"], &told["to"]), (&json!(1), &json!(2)));
    sync.event("lane_started", |it| it["topic"] == "larger" && it["partition"] == 1);
    assert_eq!((partitions(to, "plain"), partitions(to, "larger")), (2, 3));
    assert!(eventually(60, || to.offsets("larger").unwrap()[1].1 >= 10));
}

/// `--config-sync follow`: all that a new topic would get.
pub(super) fn settings_follow_when_asked_to(world: &World) {
    let (from, to) = (&world.pair.from, &world.pair.to);
    create(from, "led", 1, &[("retention.ms", LONG)]);
    let more = ["--config-sync", "follow", "--metadata-interval", "5s"];
    let sync = Sync::of(&world.pair, "led", &world.state("led"), &more);
    assert!(eventually(60, || topics(to).contains("led")));
    from.set_topic_config("led", "retention.ms", "172800000").unwrap();
    from.set_topic_config("led", "segment.bytes", "2000000").unwrap();
    for (key, expected) in [("retention.ms", "172800000"), ("segment.bytes", "2000000")] {
        sync.event("config_applied", |it| it["key"] == key && it["to"] == expected);
        assert_eq!(overrides(to, "led")[key], expected);
    }
    let said = sync.stop();
    assert_eq!(events(&said, "config_drift"), Vec::<&Value>::new());
    assert_eq!(only(&said, "topic_created")["topic"], "led");
}
