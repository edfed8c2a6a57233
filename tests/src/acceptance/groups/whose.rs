//! A group that others use on the target is never moved.

use kafka_client::{Client, OffsetToCommit, TopicPartition};
use xtask::kafka::{KafkaCluster, Options, Release};

use super::{client, runtime};
use crate::acceptance::running::{Sync, eventually};
use crate::java::{Dataset, Oracle};

struct Side {
    client: Client,
    runtime: tokio::runtime::Runtime,
}

impl Side {
    fn commit(&self, group: &str, offset: i64) {
        let at = TopicPartition::new("used", 0);
        let wanted = vec![OffsetToCommit { at: at.clone(), offset, metadata: None }];
        let done = self.runtime.block_on(self.client.offset_commit(group, wanted)).unwrap();
        assert_eq!(done[&at], Ok(()));
    }

    fn committed(&self, group: &str) -> i64 {
        let at = TopicPartition::new("used", 0);
        let asked = Some(vec![at.clone()]);
        let found = self.runtime.block_on(self.client.offset_fetch(group, asked, false)).unwrap();
        found[&at].clone().unwrap().offset
    }

    #[track_caller]
    fn reaches(&self, group: &str, offset: i64) {
        let is_there = eventually(60, || self.committed(group) == offset);
        assert!(is_there, "{group} stands at {}, not at {offset}", self.committed(group));
    }
}

#[test]
fn groups_in_use_on_the_target_are_left_alone() {
    let source = KafkaCluster::start(Release::V4_2_0, Options::default()).unwrap();
    let target = KafkaCluster::start(Release::V4_2_0, Options::default()).unwrap();
    let (from, to) = (Oracle::for_cluster(&source).unwrap(), Oracle::for_cluster(&target).unwrap());
    from.create_topic("used", 1, &[]).unwrap();
    from.produce("used", &Dataset::plain(100, 50)).unwrap();
    let here = Side { client: client(&source), runtime: runtime() };
    let there = Side { client: client(&target), runtime: runtime() };
    let in_use = [("old-style", "classic"), ("new-style", "consumer")];
    for (group, _) in in_use {
        here.commit(group, 10);
    }
    here.commit("by-hand", 10);
    here.commit("free", 10);
    let state = tempfile::tempdir().unwrap();
    let sync = Sync::start(&source.bootstrap(), &target.bootstrap(), state.path(), &[]);
    for group in ["old-style", "new-style", "by-hand", "free"] {
        there.reaches(group, 10);
    }
    for (group, protocol) in in_use {
        let arguments = [("topic", "used"), ("group", group), ("protocol", protocol)];
        to.call("hold", &arguments).unwrap();
        here.commit(group, 20);
    }
    there.commit("by-hand", 5);
    here.commit("by-hand", 20);
    let taken_over = |group: &'static str, reason: &'static str| {
        move |line: &serde_json::Value| {
            line["event"] == "group_taken_over"
                && line["group"] == group
                && line["reason"] == reason
        }
    };
    sync.says(taken_over("old-style", "members"));
    sync.says(taken_over("new-style", "members"));
    sync.says(taken_over("by-hand", "moved"));
    // Many looks later nothing has been moved; the free group shows that there were looks.
    for offset in 11..16 {
        here.commit("free", offset);
        there.reaches("free", offset);
    }
    for (group, expected) in [("old-style", 10), ("new-style", 10), ("by-hand", 5)] {
        assert_eq!(there.committed(group), expected, "{group}");
    }
    // Members that leave without a commit give the group back.
    for (group, _) in in_use {
        to.call("release", &[("group", group)]).unwrap();
        there.reaches(group, 20);
    }
    assert_eq!(there.committed("by-hand"), 5);
    let told = sync.stop();
    for (group, reason) in
        [("old-style", "members"), ("new-style", "members"), ("by-hand", "moved")]
    {
        assert_eq!(
            told.iter().filter(|line| taken_over(group, reason)(line)).count(),
            1,
            "{group}"
        );
    }
}
