//! What a task finds at its start, and what it makes of it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    LARGEST, LONG, World, create, create_replicated, groups, overrides, partitions, text, topics,
    value,
};
use crate::acceptance::pair::{events, only};
use crate::java::Dataset;

/// All that a task's name may have.
pub(super) const NAME: &str = "Of-1.two_3";

/// 129 characters.
pub(super) fn long() -> String {
    "n".repeat(129)
}

/// Two topics whose first 128 characters are the same.
pub(super) fn alike() -> [String; 2] {
    ["a", "b"].map(|end| "c".repeat(129) + end)
}

/// Fills the source, and the target with what is there beforehand.
pub(super) fn fill(world: &World) {
    let (from, to) = (&world.pair.from, &world.pair.to);
    let create = |topic: &str, partitions, configs: &[(&str, &str)]| {
        create(from, topic, partitions, configs);
    };
    create("plain", 1, &[("segment.bytes", "2000000"), ("retention.ms", LONG)]);
    from.produce("plain", &Dataset::plain(100, 50)).unwrap();
    create_replicated(from, "replicated", (1, 2), &[("min.insync.replicas", "2")]);
    create("refused", 1, &[world.unknown_there, ("retention.ms", LONG)]);
    create("empty", 1, &[("cleanup.policy", ""), ("retention.ms", LONG)]);
    create(&long(), 1, &[]);
    for topic in alike() {
        create(&topic, 1, &[]);
    }
    create("present", 3, &[("retention.ms", LONG), ("segment.bytes", "2000000")]);
    to.create_topic("present", 1, &[("retention.ms", "172800000")]).unwrap();
    create("larger", 1, &[]);
    to.create_topic("larger", 3, &[]).unwrap();
    create("gone", 1, &[]);
    from.produce("gone", &Dataset::plain(10, 50)).unwrap();
    create("_schemas", 1, &[("cleanup.policy", "compact")]);
    create("__mine", 1, &[]);
    // That makes the topic of transactions.
    from.produce("plain", &Dataset::plain(10, 50).with("first", 100).with("txn", "t")).unwrap();
    super::following::fill(world);
    groups::fill(world);
}

/// The plan tells all of it, and changes nothing.
pub(super) fn a_plan_tells(world: &World) {
    let before = world.pair.to.topics().unwrap();
    let file = world.target_file("group_auto_create: false\n");
    let plan = world.run("plan", "planned", 3, &["--target", &file]).remove(0);
    // A broker may make a topic of its own (`__transaction_state`) when it is asked whether we may write.
    assert_eq!(world.pair.to.topics().unwrap(), before);
    let told = |topic: &str| -> Vec<&Value> {
        let findings = plan["findings"].as_array().unwrap().iter();
        findings.filter(|it| it["topic"] == topic).map(|it| &it["finding"]).collect()
    };
    assert_eq!(told(&long()), ["renamed"]);
    assert_eq!(told(&alike()[1]), ["topic_refused"]);
    assert_eq!(told("replicated"), ["fewer_replicas"]);
    let findings = plan["findings"].as_array().unwrap();
    let blocking: Vec<_> = findings.iter().filter(|it| it["blocks"] == true).collect();
    assert_eq!((blocking.len(), &blocking[0]["reason"]), (1, &json!("name_collision")));
    assert!(findings.iter().any(|it| it["finding"] == "groups_not_made"), "{findings:#?}");
}

/// `--sync metadata` where the target does not let groups be made.
pub(super) fn topics_are_made_and_groups_are_not(world: &World) {
    let file =
        world.target_file("name: there\ndescription: the target\ngroup_auto_create: false\n");
    // The topic whose name is taken is no success.
    let more = ["--target", &file, "--sync", "metadata", "--once", "--name", NAME];
    let said = world.run("sync", "structure", 1, &more);
    names(world, &said);
    settings(world, &said);
    let (from, to) = (&world.pair.from, &world.pair.to);
    assert_eq!(only(&said, "groups_skipped")["count"], 2);
    assert!(groups(to).contains("existing") && !groups(to).contains("reader"), "{:?}", groups(to));

    // Records stay where they are.
    assert_eq!(to.offsets("plain").unwrap(), [(0, 0)]);
    assert!(from.offsets("plain").unwrap()[0].1 > 100);
}

fn names(world: &World, said: &[Value]) {
    let (from, to) = (&world.pair.from, &world.pair.to);
    let [first, second] = alike();
    let skipped = only(said, "topic_skipped");
    assert_eq!((&skipped["topic"], &skipped["reason"]), (&json!(second), &json!("name_collision")));
    assert_eq!(skipped["other"], json!(first));
    let renamed: BTreeSet<_> =
        events(said, "topic_renamed").iter().map(|it| text(it, "topic")).collect();
    assert_eq!(renamed, BTreeSet::from([long(), first]));

    // Exactly the others are there, none of them internal but the target's own.
    let own = |name: &String| !name.starts_with("__");
    let mut expected: BTreeSet<String> = topics(from).into_iter().filter(own).collect();
    expected.remove(&second);
    expected = expected.into_iter().map(|name| name.chars().take(128).collect()).collect();
    assert!(topics(from).contains("__transaction_state") && topics(from).contains("__mine"));
    assert!(expected.contains("_schemas"));
    assert_eq!(topics(to).into_iter().filter(own).collect::<BTreeSet<_>>(), expected);
    let told: BTreeSet<_> =
        events(said, "topic_created").iter().map(|it| text(it, "target_topic")).collect();
    let made = expected.iter().filter(|name| !["present", "larger"].contains(&name.as_str()));
    assert_eq!(told, made.cloned().collect());
    assert!(!topics(to).contains("__mine"));
}

fn settings(world: &World, said: &[Value]) {
    let to = &world.pair.to;
    // Its own settings, and the seven that every topic gets: as the source's brokers have them where the topic has none.
    // What else those have does not travel.
    let expected = [
        ("cleanup.policy", "delete"),
        ("max.message.bytes", LARGEST),
        ("min.insync.replicas", "1"),
        ("retention.bytes", "-1"),
        ("retention.ms", LONG),
        ("segment.bytes", "2000000"),
        ("segment.ms", "604800000"),
        ("unclean.leader.election.enable", "false"),
    ];
    assert_eq!(
        overrides(to, "plain"),
        expected.map(|(key, value)| (key.into(), value.into())).into()
    );
    assert_eq!(overrides(to, "_schemas")["cleanup.policy"], "compact");
    assert_eq!(overrides(to, &"n".repeat(128)).get("segment.bytes"), None);

    // More replicas than the target has brokers.
    let reduced = only(said, "replication_reduced");
    assert_eq!((&reduced["source_factor"], &reduced["target_brokers"]), (&json!(2), &json!(1)));
    let created = events(said, "topic_created");
    let factor = |topic: &str| {
        let made = created.iter().find(|it| it["topic"] == topic).unwrap();
        made["replication_factor"].as_i64().unwrap()
    };
    assert_eq!((factor("replicated"), factor("plain")), (-1, 1));
    assert_eq!(value(to, "replicated", "min.insync.replicas"), "1");

    // Each key that did not travel is told, and the others of its topic did.
    let mut skipped: Vec<_> = events(said, "config_skipped")
        .iter()
        .map(|it| ["topic", "key", "reason"].map(|name| it[name].as_str().unwrap()))
        .collect();
    skipped.sort_unstable();
    let expected = [
        ["empty", "cleanup.policy", "invalid"],
        ["refused", world.unknown_there.0, "refused"],
        ["replicated", "min.insync.replicas", "clamped"],
    ];
    assert_eq!(skipped, expected);
    for topic in ["refused", "empty"] {
        assert_eq!(overrides(to, topic)["retention.ms"], LONG);
    }
    assert_eq!(overrides(to, "empty")["cleanup.policy"], "delete");

    // What was there keeps its settings, and only grows.
    assert_eq!(value(to, "present", "retention.ms"), "172800000");
    assert!(!overrides(to, "present").contains_key("segment.bytes"));
    let grown = only(said, "partitions_added");
    assert_eq!(
        (&grown["topic"], &grown["from"], &grown["to"]),
        (&json!("present"), &json!(1), &json!(3))
    );
    assert_eq!((partitions(to, "present"), partitions(to, "larger")), (3, 3));
}
