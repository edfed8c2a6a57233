//! Groups from behind: what consumers do there, and what others asked for them.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::cluster::Cluster;
use crate::groups::{CommittedOffset, GroupPhase, Member};

/// A session that outlives every run.
const SESSION: Duration = Duration::from_secs(7 * 86_400);

/// A request about one group as its coordinator carried it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupRequest {
    /// The connection it came on: requests of one connection are carried out in the order in which they were sent.
    pub connection: u64,
    /// The group.
    pub group: String,
    /// What was asked.
    pub what: GroupRequestKind,
}

/// See [`GroupRequest`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupRequestKind {
    /// OffsetFetch that found the group.
    Fetched,
    /// One accepted offset of an OffsetCommit.
    Committed {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What was committed.
        committed: CommittedOffset,
        /// The partition's high watermark then.
        high_watermark: i64,
    },
    /// An OffsetCommit without a member, while the group has members.
    RefusedForMembers,
}

/// Groups and their members.
impl Cluster {
    /// From now on [`Cluster::take_group_requests`] has something to give.
    pub fn watch_groups(&self) {
        self.state().group_requests.get_or_insert_default();
    }

    /// What was asked of groups since the last call, in order.
    #[must_use]
    pub fn take_group_requests(&self) -> Vec<GroupRequest> {
        self.state().group_requests.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Commits an offset as a consumer without members does.
    pub fn commit_offset(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
        offset: i64,
        metadata: &str,
    ) {
        let metadata = metadata.to_owned();
        let committed =
            CommittedOffset { offset, leader_epoch: -1, metadata, committed_ms: self.now_ms() };
        let mut state = self.state();
        let offsets = &mut state.groups.get_or_create(group).offsets;
        offsets.insert((topic.to_owned(), partition), committed);
    }

    /// A consumer joins and stays, alone. Gives its member id.
    pub fn join_group(&self, group: &str) -> String {
        let mut state = self.state();
        let id = format!("member-{:032x}", state.random.u128(..));
        let found = state.groups.get_or_create(group);
        let member = Member {
            client_id: "member".to_owned(),
            instance_id: None,
            session_timeout: SESSION,
            rebalance_timeout: SESSION,
            seen: Instant::now(),
            protocols: vec![("range".to_owned(), Bytes::new())],
            assignment: Bytes::new(),
            joined: false,
        };
        found.members.insert(id.clone(), member);
        found.leader.clone_from(&id);
        "consumer".clone_into(&mut found.protocol_type);
        "range".clone_into(&mut found.protocol);
        found.generation += 1;
        found.enter(GroupPhase::Stable);
        id
    }

    /// A consumer leaves.
    pub fn leave_group(&self, group: &str, member: &str) {
        if let Some(found) = self.state().groups.get(group)
            && found.members.remove(member).is_some()
        {
            found.member_left();
        }
    }

    /// Deletes a group without members; `false` when there is none, or it has members.
    pub fn delete_group(&self, group: &str) -> bool {
        let mut state = self.state();
        let can = state.groups.get(group).is_some_and(|found| found.members.is_empty());
        if can {
            state.groups.remove(group);
        }
        can
    }

    /// The offset a group has committed.
    #[must_use]
    pub fn committed_offset(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
    ) -> Option<CommittedOffset> {
        let mut state = self.state();
        state.groups.get(group)?.offsets.get(&(topic.to_owned(), partition)).cloned()
    }
}
