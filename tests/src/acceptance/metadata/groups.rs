//! Consumer groups: known on the target, left alone where they are, and never guessed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::{World, groups, text};
use crate::acceptance::pair::{Pair, events, only};
use crate::acceptance::running::{Sync, eventually};
use crate::java::Dataset;

pub(super) fn fill(world: &World) {
    let (from, to) = (&world.pair.from, &world.pair.to);
    from.commit("reader", "plain", &[(0, 40)]).unwrap();
    from.commit("witness", "plain", &[(0, 100)]).unwrap();
    from.commit("existing", "present", &[(0, 10)]).unwrap();
    to.commit("existing", "present", &[(0, 3)]).unwrap();
    from.commit("inside", "__mine", &[(0, 0)]).unwrap();
}

/// A group that the target lacks is known there afterwards, without a position: its consumers begin where their own
/// `auto.offset.reset` says.
pub(super) fn structure_is_made_known(world: &World) {
    let said = world.run(
        "sync",
        "structure",
        1,
        &["--sync", "metadata", "--once", "--name", super::creation::NAME],
    );
    let to = &world.pair.to;
    let made: BTreeSet<_> =
        events(&said, "group_created").iter().map(|it| text(it, "group")).collect();
    assert_eq!(made, ["reader", "witness"].map(str::to_owned).into());
    assert_eq!(groups(to), ["existing", "reader", "witness"].map(str::to_owned).into());
    assert_eq!(to.committed("reader", "plain").unwrap(), BTreeMap::new());
    assert_eq!(to.committed("existing", "present").unwrap()[&0], 3);
    // The topics are there, so nothing is done for them.
    assert_eq!(events(&said, "topic_created"), Vec::<&serde_json::Value>::new());
}

/// The number of the record at which a group stands; records carry theirs as their time.
pub(super) fn stands_at(pair: &Pair, group: &str, topic: &str) -> Option<i64> {
    let offset = *pair.to.committed(group, topic).unwrap().get(&0)?;
    let records = Pair::records(&pair.to, topic);
    records.iter().find(|record| record.offset >= offset).map(|record| record.timestamp)
}

#[track_caller]
pub(super) fn reaches(pair: &Pair, group: &str, topic: &str, record: i64) {
    let is_there = eventually(60, || stands_at(pair, group, topic) == Some(record));
    assert!(is_there, "{group} stands at {:?}, not at {record}", stands_at(pair, group, topic));
}

/// The state is lost: groups before the new map are told and stay where they are; behind it they are exact again.
pub(super) fn a_task_that_is_made_again_guesses_nothing(world: &World) {
    let pair = &world.pair;
    let before = pair.to.committed("reader", "plain").unwrap();
    let end = pair.from.offsets("plain").unwrap()[0].1;
    let sync = Sync::start(
        &pair.source.bootstrap(),
        &pair.target.bootstrap(),
        &world.state("again"),
        &["--start", "latest"],
    );
    let told = sync.event("group_before_map", |it| it["group"] == "reader");
    let fields = ["topic", "partition", "offset", "valid_from"].map(|name| told[name].clone());
    assert_eq!(fields, [json!("plain"), json!(0), json!(40), json!(end)]);
    assert_eq!(pair.to.committed("reader", "plain").unwrap(), before);

    let dataset = Dataset::plain(20, 50).with("first", 5000).with("partition", 0);
    pair.from.produce("plain", &dataset).unwrap();
    pair.from.commit("reader", "plain", &[(0, end + 7)]).unwrap();
    reaches(pair, "reader", "plain", record_at(pair, end + 7));
    let said = sync.stop_any();
    let told = events(&said, "group_before_map");
    let told: Vec<_> = told.iter().filter(|it| it["group"] == "reader").collect();
    assert_eq!(told.len(), 1, "{told:#?}");
    let started = events(&said, "group_map_started");
    assert_eq!(
        started.iter().filter(|it| it["topic"] == "plain" && it["partition"] == 0).count(),
        1
    );
    only(&said, "task_started");
}

/// The time of the source's first record at or behind an offset of `plain`.
pub(super) fn record_at(pair: &Pair, offset: i64) -> i64 {
    let records = Pair::records(&pair.from, "plain");
    records.iter().find(|record| record.offset >= offset).unwrap().timestamp
}
