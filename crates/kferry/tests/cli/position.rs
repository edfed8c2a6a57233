//! How far the copy has come, as a group on the source.

use kafka_sim::{Operation, Resource};

use super::pair::Pair;

const GROUP: &str = "kferry-sync";

fn at(pair: &Pair) -> Option<i64> {
    pair.source.0.committed_offset(GROUP, "orders", 1).map(|committed| committed.offset)
}

#[test]
fn the_position_is_a_group_on_the_source_and_is_not_carried_over() {
    let pair = Pair::new();
    pair.copy();
    assert_eq!(at(&pair), Some(100));
    pair.fill(7);
    pair.source.0.commit_offset("readers", "orders", 1, 90, "");
    pair.copy();
    assert_eq!(at(&pair), Some(107));
    let on_target = |group| pair.target.0.committed_offset(group, "orders", 1);
    assert_eq!(on_target("readers").unwrap().offset, 90);
    assert_eq!(on_target(GROUP), None);
    pair.run("sync", &["--once", "--sync", "metadata_data"]).expect(0, &[]);
    assert_eq!(on_target(GROUP), None);
    // Nor is it taken for one that is missing there.
    pair.run("verify", &[]).expect(0, &["the copy is equal"]);
}

#[test]
fn it_can_be_left_out_and_its_denial_stops_nothing() {
    let pair = Pair::new();
    pair.run("sync", &["--once", "--position-group", "false"]).expect(0, &["orders"]);
    assert_eq!(at(&pair), None);
    pair.fill(5);
    pair.source.0.deny("*", Operation::Read, Resource::Group(GROUP.into()));
    pair.run("sync", &["--once"]).expect(0, &["group kferry-sync", "--position-group false"]);
    assert_eq!(at(&pair), None);
}
