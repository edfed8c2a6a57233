//! What consumers and operators do to groups on both clusters.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_sim::GroupRequestKind;
use kafka_wire::messages::ApiKey;
use tokio::time::{Instant, sleep};

use crate::chaos::End;
use crate::group_oracle::{self, Copied, GroupsSeen};
use crate::group_story::{BUSY, FORMER, GroupStep, QUIET};
use crate::history::At;
use crate::plan::pick;
use crate::world::World;

/// Offsets of others on the target begin here, so that none is one of the copy's.
const FOREIGN_OFFSETS: i64 = 1_000_000;

/// How long the groups may take to stand where they should once everything is copied: a look of every ten seconds, and a pause of
/// thirty after a refusal.
const SETTLE: Duration = Duration::from_secs(120);

/// Requests about groups whose answers are lost.
pub(crate) const APIS: [Option<ApiKey>; 6] = [
    Some(ApiKey::OffsetCommit),
    Some(ApiKey::OffsetCommit),
    Some(ApiKey::OffsetFetch),
    Some(ApiKey::ListGroups),
    Some(ApiKey::FindCoordinator),
    Some(ApiKey::DescribeGroups),
];

/// What the actions must remember.
#[derive(Debug, Default)]
pub(crate) struct GroupWorld {
    count: i64,
    /// Where the source's groups stand.
    stands: BTreeMap<(String, At), i64>,
    /// What the task gave the target last, with its text.
    given: BTreeMap<(String, At), (i64, String)>,
    /// Live members on the target.
    members: BTreeMap<String, String>,
    former_is_made: bool,
    /// Where each group of the source committed last.
    last: BTreeMap<String, At>,
}

impl World {
    fn tell_group(&mut self, step: GroupStep) {
        self.trace.line(|| format!("{step:?}"));
        self.workload.history.groups.push(step);
    }

    /// Takes over what the target was asked since the last time, so that all steps are in order.
    pub(crate) fn drain_group_requests(&mut self) {
        for request in self.target.take_group_requests() {
            if let GroupRequestKind::Committed { topic, partition, committed, .. } = &request.what {
                let key = (request.group.clone(), (topic.clone(), *partition));
                self.groups.given.insert(key, (committed.offset, committed.metadata.clone()));
            }
            self.tell_group(GroupStep::Asked(request));
        }
    }

    /// One thing that happens to groups.
    pub(crate) fn group_step(&mut self) {
        self.drain_group_requests();
        match self.random.u8(0..100) {
            0..65 => self.commit_at_source(),
            65..69 => self.delete_at_source(),
            69..77 => self.move_at_target(),
            77..84 => self.put_back(),
            84..93 => self.join_or_leave(),
            93..96 => self.forget_at_target(),
            _ => self.make_former(),
        }
    }

    fn commit_at_source(&mut self) {
        let mut names: Vec<&str> = QUIET.into_iter().chain(BUSY).collect();
        if self.groups.former_is_made {
            names.push(FORMER);
        }
        // One group moves often: its commits meet each other.
        let is_often = self.random.u8(0..3) == 0;
        let group = if is_often { QUIET[0] } else { *pick(&mut self.random, &names) };
        let group = group.to_owned();
        let known: Vec<&At> = self.workload.history.source.keys().collect();
        let mut at = (*pick(&mut self.random, &known)).clone();
        if let Some(last) = self.groups.last.get(&group)
            && self.random.u8(0..3) > 0
        {
            at.clone_from(last);
        }
        self.groups.last.insert(group.clone(), at.clone());
        // Those who read uncommitted records run ahead of the copy.
        let end = if self.random.bool() {
            self.source.high_watermark(&at.0, at.1)
        } else {
            self.source.last_stable_offset(&at.0, at.1)
        };
        let Ok(end) = end else { return };
        let stands = self.groups.stands.get(&(group.clone(), at.clone())).copied().unwrap_or(0);
        let offset = match self.random.u8(0..10) {
            0..2 => self.random.i64(0..=end),
            2..5 => end,
            _ => self.random.i64(stands.min(end)..=end),
        };
        self.groups.count += 1;
        let text = format!("commit {}", self.groups.count);
        self.source.commit_offset(&group, &at.0, at.1, offset, &text);
        self.groups.stands.insert((group.clone(), at.clone()), offset);
        self.tell_group(GroupStep::Committed { group, at, offset, text });
    }

    fn delete_at_source(&mut self) {
        let names: Vec<&str> = QUIET.into_iter().chain(BUSY).collect();
        let group = (*pick(&mut self.random, &names)).to_owned();
        if self.source.delete_group(&group) {
            self.groups.stands.retain(|(known, _), _| *known != group);
            self.tell_group(GroupStep::Deleted { group });
        }
    }

    fn pick_busy(&mut self) -> String {
        (*pick(&mut self.random, &BUSY)).to_owned()
    }

    fn move_at_target(&mut self) {
        let group = self.pick_busy();
        let Some(at) = self.pick_partition(End::Target).filter(|at| self.is_copied(at)) else {
            return;
        };
        self.groups.count += 1;
        let offset = FOREIGN_OFFSETS + self.groups.count;
        self.target.commit_offset(&group, &at.0, at.1, offset, "moved");
        self.tell_group(GroupStep::Moved { group, at, offset });
    }

    fn put_back(&mut self) {
        let group = self.pick_busy();
        let given: Vec<_> = self
            .groups
            .given
            .iter()
            .filter(|((known, _), (offset, _))| *known == group && *offset >= 0)
            .map(|((_, at), given)| (at.clone(), given.clone()))
            .collect();
        for (at, (offset, text)) in given {
            let found = self.target.committed_offset(&group, &at.0, at.1);
            if found.is_some_and(|found| found.offset >= FOREIGN_OFFSETS) {
                self.target.commit_offset(&group, &at.0, at.1, offset, &text);
                self.tell_group(GroupStep::PutBack { group: group.clone(), at });
            }
        }
    }

    fn join_or_leave(&mut self) {
        let group = self.pick_busy();
        if let Some(member) = self.groups.members.remove(&group) {
            self.target.leave_group(&group, &member);
            self.tell_group(GroupStep::Left { group });
        } else {
            let member = self.target.join_group(&group);
            self.groups.members.insert(group.clone(), member);
            self.tell_group(GroupStep::Joined { group });
        }
    }

    fn forget_at_target(&mut self) {
        let names: Vec<&str> = QUIET.into_iter().chain(BUSY).collect();
        let group = (*pick(&mut self.random, &names)).to_owned();
        if self.target.delete_group(&group) {
            self.groups.given.retain(|(known, _), _| *known != group);
            self.tell_group(GroupStep::Forgotten { group });
        }
    }

    /// Whether the copy of a partition has begun: what groups have in others is out of scope.
    fn is_copied(&self, at: &At) -> bool {
        let stories = self.stories.lock().unwrap();
        stories.lanes.get(at).is_some_and(|story| story.start.is_some())
    }

    /// Consumers of the target had a group before the source's was copied.
    fn make_former(&mut self) {
        let topics = self.target.topics();
        if self.groups.former_is_made || topics.is_empty() {
            return;
        }
        let topic = pick(&mut self.random, &topics).0.clone();
        if !self.is_copied(&(topic.clone(), 0)) {
            return;
        }
        let end = self.target.end_offset(&topic, 0).unwrap();
        let offset = self.random.i64(0..=end);
        self.target.commit_offset(FORMER, &topic, 0, offset, "former");
        self.groups.former_is_made = true;
        let (group, at) = (FORMER.to_owned(), (topic, 0));
        self.tell_group(GroupStep::Existed { group, at, offset });
    }

    /// What the target has of all groups of the source.
    pub(crate) fn groups_seen(&self, copied: Copied) -> GroupsSeen {
        let mut seen = GroupsSeen { copied, ..GroupsSeen::default() };
        for (group, at) in self.groups.stands.keys() {
            let found = self.target.committed_offset(group, &at.0, at.1);
            seen.stands.insert((group.clone(), at.clone()), found.map_or(-1, |found| found.offset));
            let end = self.target.end_offset(&at.0, at.1).unwrap_or(0);
            seen.ends.insert(at.clone(), end);
        }
        seen
    }

    /// Waits until every group stands where it should, or for too long.
    pub(crate) async fn settle_groups(&mut self) {
        let deadline = Instant::now() + SETTLE;
        let copied = group_oracle::copied(&self.workload.history, &self.read_targets());
        while Instant::now() < deadline {
            self.watch_over_task().await;
            self.drain_group_requests();
            let stories = self.stories.lock().unwrap().lanes.clone();
            let seen = self.groups_seen(copied.clone());
            if group_oracle::missing(&self.workload.history, &stories, &seen).is_empty() {
                break;
            }
            sleep(Duration::from_millis(500)).await;
        }
    }
}
