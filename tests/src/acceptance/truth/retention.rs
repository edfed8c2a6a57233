//! The source deleted records before they were copied.

use xtask::kafka::Release;

use crate::acceptance::pair::{Pair, lost};
use crate::java::Dataset;

/// 200 records; the first 100 are copied, those before 150 then deleted.
fn overtaken(pair: &Pair, topic: &str, state: &tempfile::TempDir) {
    pair.from.create_topic(topic, 1, &[]).unwrap();
    pair.from.produce(topic, &Dataset::plain(100, 60)).unwrap();
    pair.run(topic, state.path(), &[]).succeeded();
    pair.from.produce(topic, &Dataset::plain(100, 60).with("first", 100)).unwrap();
}

pub(super) fn follows_the_policy(pair: &Pair) {
    let state = tempfile::tempdir().unwrap();
    overtaken(pair, "overtaken", &state);
    let all = Pair::records(&pair.from, "overtaken");
    pair.from.delete_records("overtaken", 0, 150).unwrap();

    for _ in 0..2 {
        let run = pair.run("overtaken", state.path(), &["--on-retention", "stop"]);
        lost(run.only("retention_overtook"), 100..150);
        assert!(run.stopped().contains("from offset 100 to 150"), "{}", run.stopped());
        pair.target_has("overtaken", &all[..100]);
    }
    let run = pair.run("overtaken", state.path(), &[]).succeeded();
    lost(run.only("retention_overtook"), 100..150);
    pair.target_has("overtaken", &[&all[..100], &all[150..]].concat());
    let run = pair.run("overtaken", state.path(), &[]).succeeded();
    assert!(run.events("retention_overtook").is_empty(), "told again");
}

#[test]
fn loss_of_records_that_were_not_copied_on_the_newest_release() {
    let pair = Pair::start(Release::V4_2_0, Release::V4_2_0);
    follows_the_policy(&pair);
    super::recreated::while_stopped(&pair);
    super::recreated::while_copying(&pair);
}

#[test]
fn loss_of_records_that_were_not_copied_before_fetching_by_id() {
    let pair = Pair::start(Release::V2_8_2, Release::V4_2_0);
    follows_the_policy(&pair);
    super::recreated::while_stopped(&pair);
    super::recreated::while_copying(&pair);
}
