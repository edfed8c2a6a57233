//! Consumer groups: committed offsets, and classic members that hold a group alive.
//!
//! Source: `GroupCoordinator`, `GroupMetadata` in Apache Kafka; the rules of OffsetCommit are those of P7.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_wire::ErrorCode;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::release::Release;

/// State of a classic group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupPhase {
    Empty,
    PreparingRebalance,
    CompletingRebalance,
    Stable,
}

impl GroupPhase {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Empty => "Empty",
            Self::PreparingRebalance => "PreparingRebalance",
            Self::CompletingRebalance => "CompletingRebalance",
            Self::Stable => "Stable",
        }
    }
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The offset as committed; -1 and other negative values are stored too (P7).
    pub offset: i64,
    /// Leader epoch as committed, -1 for none.
    pub leader_epoch: i32,
    /// The client's text; null arrives as empty.
    pub metadata: String,
    /// When it was committed, ms since 1970.
    pub committed_ms: i64,
}

/// Committed offsets by topic and partition.
pub(crate) type Offsets = BTreeMap<(String, i32), CommittedOffset>;

/// One member of a classic group.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) client_id: String,
    pub(crate) instance_id: Option<String>,
    pub(crate) session_timeout: Duration,
    pub(crate) rebalance_timeout: Duration,
    pub(crate) seen: Instant,
    pub(crate) protocols: Vec<(String, Bytes)>,
    pub(crate) assignment: Bytes,
    /// Has joined the rebalance that is being prepared.
    pub(crate) joined: bool,
}

/// One group.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) generation: i32,
    pub(crate) phase: GroupPhase,
    pub(crate) protocol_type: String,
    pub(crate) protocol: String,
    pub(crate) leader: String,
    pub(crate) members: BTreeMap<String, Member>,
    pub(crate) offsets: Offsets,
    /// Offsets of open transactions, by producer id.
    pub(crate) pending: BTreeMap<i64, Offsets>,
    /// Rises with every change of phase or generation: wakes JoinGroup and SyncGroup.
    pub(crate) changes: watch::Sender<u64>,
}

impl Default for Group {
    fn default() -> Self {
        Self {
            generation: 0,
            phase: GroupPhase::Empty,
            protocol_type: String::new(),
            protocol: String::new(),
            leader: String::new(),
            members: BTreeMap::new(),
            offsets: Offsets::new(),
            pending: BTreeMap::new(),
            changes: watch::Sender::new(0),
        }
    }
}

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    known: BTreeMap<String, Group>,
}

impl Groups {
    pub(crate) fn get(&mut self, id: &str) -> Option<&mut Group> {
        let group = self.known.get_mut(id)?;
        group.expire_members();
        Some(group)
    }

    pub(crate) fn get_or_create(&mut self, id: &str) -> &mut Group {
        let group = self.known.entry(id.to_owned()).or_default();
        group.expire_members();
        group
    }

    pub(crate) fn iter(&mut self) -> impl Iterator<Item = (&String, &mut Group)> {
        self.known.iter_mut()
    }

    pub(crate) fn remove(&mut self, id: &str) {
        self.known.remove(id);
    }

    pub(crate) fn forget_topic(&mut self, name: &str) {
        for group in self.known.values_mut() {
            group.offsets.retain(|(topic, _), _| topic != name);
        }
    }

    /// Makes the pending offsets of a transaction real, or drops them.
    pub(crate) fn settle(&mut self, id: &str, producer_id: i64, commit: bool) {
        if let Some(group) = self.known.get_mut(id)
            && let Some(pending) = group.pending.remove(&producer_id)
            && commit
        {
            group.offsets.extend(pending);
        }
    }
}

impl Group {
    pub(crate) fn enter(&mut self, phase: GroupPhase) {
        self.phase = phase;
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// Members that were not heard of within their session are out.
    fn expire_members(&mut self) {
        let now = Instant::now();
        let before = self.members.len();
        // While a rebalance runs, members wait in JoinGroup and send no heartbeat.
        self.members
            .retain(|_, member| member.joined || now < member.seen + member.session_timeout);
        if self.members.len() < before {
            self.member_left();
        }
    }

    pub(crate) fn member_left(&mut self) {
        if self.members.is_empty() {
            self.generation += 1;
            self.enter(GroupPhase::Empty);
        } else if matches!(self.phase, GroupPhase::Stable | GroupPhase::CompletingRebalance) {
            self.enter(GroupPhase::PreparingRebalance);
        } else {
            self.try_complete_join(false);
        }
    }

    /// Completes the rebalance once every member has joined it; with `overdue` those that have not are out.
    pub(crate) fn try_complete_join(&mut self, overdue: bool) {
        if self.phase != GroupPhase::PreparingRebalance {
            return;
        }
        if overdue {
            self.members.retain(|_, member| member.joined);
        }
        if self.members.is_empty() {
            self.generation += 1;
            return self.enter(GroupPhase::Empty);
        }
        if self.members.values().any(|member| !member.joined) {
            return;
        }
        self.generation += 1;
        if !self.members.contains_key(&self.leader) {
            self.leader = self.members.keys().next().cloned().unwrap_or_default();
        }
        self.protocol = self.common_protocol();
        for member in self.members.values_mut() {
            member.joined = false;
            member.seen = Instant::now();
            member.assignment = Bytes::new();
        }
        self.enter(GroupPhase::CompletingRebalance);
    }

    /// The first protocol of the leader that every member knows.
    fn common_protocol(&self) -> String {
        let knows =
            |member: &Member, name: &str| member.protocols.iter().any(|(known, _)| known == name);
        let leader = self.members.get(&self.leader);
        let common = leader.and_then(|leader| {
            leader
                .protocols
                .iter()
                .find(|(name, _)| self.members.values().all(|member| knows(member, name)))
        });
        common.map(|(name, _)| name.clone()).unwrap_or_default()
    }

    /// Who may commit offsets (P7).
    ///
    /// # Errors
    /// UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, REBALANCE_IN_PROGRESS.
    pub(crate) fn check_commit(
        &mut self,
        release: Release,
        member: &str,
        generation: i32,
    ) -> Result<(), ErrorCode> {
        if generation < 0 && self.phase == GroupPhase::Empty {
            return Ok(());
        }
        let Some(known) = self.members.get_mut(member) else {
            let joining = self.phase == GroupPhase::CompletingRebalance;
            let old = release <= Release::V1_1;
            return Err(if joining && old {
                ErrorCode::REBALANCE_IN_PROGRESS
            } else {
                ErrorCode::UNKNOWN_MEMBER_ID
            });
        };
        known.seen = Instant::now();
        match self.phase {
            _ if generation != self.generation => Err(ErrorCode::ILLEGAL_GENERATION),
            GroupPhase::CompletingRebalance => Err(ErrorCode::REBALANCE_IN_PROGRESS),
            _ => Ok(()),
        }
    }

    /// # Errors
    /// UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION.
    pub(crate) fn check_member(&mut self, member: &str, generation: i32) -> Result<(), ErrorCode> {
        let known = self.members.get_mut(member).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        if generation != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        known.seen = Instant::now();
        Ok(())
    }
}
