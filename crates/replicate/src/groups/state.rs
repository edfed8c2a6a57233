//! What is known of one group: what the source has, where that lies on the target, and what the target was given.

use std::collections::{BTreeMap, BTreeSet};

use forward::planted::{Bug, has};
use kafka_client::TopicPartition;

use crate::event::TakeOver;
use crate::journal::{GroupOffset, GroupRecord};
use crate::progress::GroupState;

/// Offsets that were sent and never answered, kept to tell our commits from those of others.
const ATTEMPTED_MAX: usize = 8;

/// A committed offset of the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Committed {
    pub(super) offset: i64,
    pub(super) metadata: String,
}

/// A source offset and where it lies on the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) source: Committed,
    pub(super) target: i64,
    /// Whether a record was found there: then the answer never changes. Otherwise it is the end of what is copied.
    pub(super) is_record: bool,
}

/// Where a source offset lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    At { target: i64, is_record: bool },
    Beyond,
    Unanswered,
}

/// One offset of a group on the source.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) committed: Committed,
    /// An earlier commit that still waits for its records; a group that reads faster than the copy would otherwise
    /// never be followed.
    pub(super) held: Option<Committed>,
    pub(super) resolved: Option<Resolved>,
    pub(super) state: GroupState,
    /// Whether it was told that the offset lies before the known range.
    pub(super) is_unknown_told: bool,
}

impl Seen {
    fn new(committed: Committed) -> Self {
        Self {
            committed,
            held: None,
            resolved: None,
            state: GroupState::Pending,
            is_unknown_told: false,
        }
    }

    /// The source offsets whose place on the target must be asked.
    pub(super) fn questions(&self) -> impl Iterator<Item = i64> {
        let is_final = self.resolved.as_ref().is_some_and(|resolved| {
            (resolved.is_record || has(Bug::GroupEndIsFinal))
                && resolved.source.offset == self.committed.offset
        });
        let current = (!is_final && self.committed.offset >= 0).then_some(self.committed.offset);
        current.into_iter().chain(self.held.as_ref().map(|held| held.offset))
    }

    /// Takes the answers for the current offset and for the held one.
    pub(super) fn settle(&mut self, current: Answer, held: Option<Answer>) {
        match current {
            Answer::At { target, is_record } => {
                let former = self.resolved.replace(Resolved {
                    source: self.committed.clone(),
                    target,
                    is_record,
                });
                let former = former.map(|former| former.source).filter(|former| {
                    has(Bug::GroupKeepsFormer) && former.offset != self.committed.offset
                });
                self.held =
                    former.or_else(|| self.held.take().filter(|_| has(Bug::GroupKeepsFormer)));
                self.state = GroupState::Synced;
            }
            Answer::Beyond => {
                let former =
                    self.held.take().filter(|former| former.offset < self.committed.offset);
                match (former, held) {
                    (Some(source), Some(Answer::At { target, is_record })) => {
                        self.resolved = Some(Resolved { source, target, is_record });
                        self.held = Some(self.committed.clone());
                    }
                    (Some(former), Some(Answer::Beyond | Answer::Unanswered)) => {
                        self.held = Some(former);
                    }
                    _ => self.held = Some(self.committed.clone()),
                }
                self.state = GroupState::Held;
            }
            Answer::Unanswered => {}
        }
    }
}

/// A group's offset that went back on the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rewind {
    pub(super) at: TopicPartition,
    pub(super) from: i64,
    pub(super) to: i64,
}

/// A wanted offset on the target. −1 makes the group known without a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wish {
    /// The source partition.
    pub(super) at: TopicPartition,
    pub(super) source: i64,
    pub(super) target: i64,
    pub(super) metadata: String,
}

/// One group.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// In scope, as the source has it.
    pub(super) seen: BTreeMap<TopicPartition, Seen>,
    /// What the target was given, or had when the group was met.
    pub(super) known: BTreeMap<TopicPartition, GroupOffset>,
    /// Whether the target was looked at before: what it has that is not known was written by somebody else.
    pub(super) is_met: bool,
    pub(super) taken_over: Option<TakeOver>,
    /// The source no longer has it, and that was told.
    pub(super) is_gone: bool,
    /// Looks in a row in which the source did not list it.
    pub(super) missing_looks: u32,
    /// Why its last commit failed, or why it is not made.
    pub(super) trouble: Option<GroupState>,
    /// Not before this time (ms since 1970) is a refused commit tried again.
    pub(super) retry_at_ms: i64,
    /// The journal must hear of it.
    pub(super) is_changed: bool,
}

impl Group {
    pub(super) fn load(record: GroupRecord) -> (String, Self) {
        let known = record
            .offsets
            .into_iter()
            .map(|known| (TopicPartition::new(known.topic.clone(), known.partition), known))
            .collect();
        let group = Self {
            known,
            is_met: true,
            // Which of the reasons it was is found out at the next look; it was told.
            taken_over: record.taken_over.then_some(TakeOver::Moved),
            is_gone: record.is_gone,
            ..Self::default()
        };
        (record.group, group)
    }

    pub(super) fn record(&self, group: &str) -> GroupRecord {
        GroupRecord {
            group: group.to_owned(),
            taken_over: self.taken_over.is_some(),
            is_gone: self.is_gone,
            offsets: self.known.values().cloned().collect(),
        }
    }

    /// Takes what the source has now. Partitions in `unstable` keep what was seen before (BF-36).
    pub(super) fn see(
        &mut self,
        found: BTreeMap<TopicPartition, Committed>,
        unstable: &BTreeSet<TopicPartition>,
    ) -> Vec<Rewind> {
        self.seen.retain(|at, _| found.contains_key(at) || unstable.contains(at));
        let mut rewinds = Vec::new();
        for (at, committed) in found {
            let Some(seen) = self.seen.get_mut(&at) else {
                // After a restart the journal says what was followed last.
                let former = self.known.get(&at).filter(|known| known.is_ours).map(|k| k.source);
                if let Some(from) = former.filter(|from| committed.offset < *from)
                    && committed.offset >= 0
                {
                    rewinds.push(Rewind { at: at.clone(), from, to: committed.offset });
                }
                self.seen.insert(at, Seen::new(committed));
                continue;
            };
            if (0..seen.committed.offset).contains(&committed.offset) {
                let (from, to) = (seen.committed.offset, committed.offset);
                rewinds.push(Rewind { at: at.clone(), from, to });
            }
            if let Some(resolved) = &mut seen.resolved
                && resolved.source.offset == committed.offset
            {
                resolved.source.metadata.clone_from(&committed.metadata);
                // Nobody asks for its place again.
                seen.state = if resolved.is_record { GroupState::Synced } else { seen.state };
            }
            // A commit that waits for its records and was taken back must not come after what took it back.
            seen.held = seen.held.take().filter(|held| held.offset <= committed.offset);
            if committed.offset < 0 {
                (seen.resolved, seen.held) = (None, None);
            }
            seen.committed = committed;
        }
        rewinds
    }

    /// What the target should have.
    pub(super) fn wishes(&self) -> impl Iterator<Item = Wish> {
        self.seen.iter().filter_map(|(at, seen)| {
            let resolved = seen.resolved.as_ref()?;
            Some(Wish {
                at: at.clone(),
                source: resolved.source.offset,
                target: resolved.target,
                metadata: resolved.source.metadata.clone(),
            })
        })
    }

    /// Whether the target was not given this yet.
    pub(super) fn lacks(&self, wish: &Wish) -> bool {
        self.known.get(&wish.at).is_none_or(|known| {
            !known.is_ours || known.target != wish.target || known.metadata != wish.metadata
        })
    }

    /// Whether an offset must be committed again lest the target forgets it (BF-32).
    pub(super) fn is_due(&self, now_ms: i64, keep_alive_ms: i64) -> bool {
        self.known.iter().any(|(at, known)| {
            known.is_ours
                && known.target >= 0
                && self.seen.contains_key(at)
                && now_ms.saturating_sub(known.written_ms) >= keep_alive_ms
        })
    }

    /// Notes that `wish` is about to be sent: from here on the target may have it.
    pub(super) fn attempt(&mut self, wish: &Wish, now_ms: i64) {
        self.is_changed = true;
        if wish.target < 0 {
            return;
        }
        let known = self.known.entry(wish.at.clone()).or_insert_with(|| GroupOffset {
            topic: wish.at.topic.clone(),
            partition: wish.at.partition,
            source: -1,
            target: -1,
            ..GroupOffset::default()
        });
        known.attempted.retain(|attempted| *attempted != wish.target);
        if known.attempted.len() >= ATTEMPTED_MAX {
            known.attempted.remove(0);
        }
        known.attempted.push(wish.target);
        known.written_ms = now_ms;
    }

    /// Notes that the target has `wish`.
    pub(super) fn confirm(&mut self, wish: &Wish) {
        let Some(known) = self.known.get_mut(&wish.at) else { return };
        known.attempted.retain(|attempted| *attempted != wish.target);
        known.source = wish.source;
        known.target = wish.target;
        known.metadata.clone_from(&wish.metadata);
        known.is_ours = true;
    }
}
