//! What is to be done about one group: whose it is on the target, and which offsets it is given. Nothing here asks
//! anybody.
//!
//! What must never happen: a commit to a group that has members, or whose offset somebody else has moved.

use std::collections::BTreeMap;

use forward::planted::{Bug, has};
use kafka_client::TopicPartition;

use super::state::{Group, Wish};
use crate::event::TakeOver;
use crate::journal::GroupOffset;

/// A group on the target as it was looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Whether the target knows the group.
    pub(super) exists: bool,
    /// Whether it has members; unknown (false) before 2.6, where the answer to the commit tells.
    pub(super) has_members: bool,
    /// Its offsets in scope, by source partition; −1 is no position.
    pub(super) offsets: BTreeMap<TopicPartition, i64>,
}

/// Why and where a group is somebody else's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claimed {
    pub(super) reason: TakeOver,
    pub(super) at: Option<TopicPartition>,
    pub(super) written: i64,
    pub(super) found: i64,
}

/// An offset that was there before this task, and what takes its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Adopted {
    pub(super) at: TopicPartition,
    pub(super) former: i64,
    pub(super) target: i64,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Somebody else has it.
    Leave(Claimed),
    /// Commit these; nothing when there are none.
    Commit { wishes: Vec<Wish>, adopted: Option<Adopted> },
    /// The target does not have it and it may not be made.
    Skip,
}

/// Meets a group for the first time: what the target has now is the ground on which changes by others are noticed.
/// Offsets of a group in use are nobody's ground: they move.
pub(super) fn meet(group: &mut Group, found: &Found) {
    if group.is_met {
        return;
    }
    group.is_met = true;
    group.is_changed = true;
    if found.has_members {
        return;
    }
    for (at, offset) in found.offsets.iter().filter(|(_, offset)| **offset >= 0) {
        let known = GroupOffset {
            topic: at.topic.clone(),
            partition: at.partition,
            source: -1,
            target: *offset,
            ..GroupOffset::default()
        };
        group.known.insert(at.clone(), known);
    }
}

/// What is to be done about a group that was met. With `again` unchanged offsets are committed too.
pub(super) fn decide(group: &mut Group, found: &Found, may_create: bool, again: bool) -> Decision {
    if found.has_members {
        let reason = TakeOver::Members;
        return Decision::Leave(Claimed { reason, at: None, written: -1, found: -1 });
    }
    if !found.exists && !may_create {
        return Decision::Skip;
    }
    if let Some(claimed) = moved(group, found) {
        return Decision::Leave(claimed);
    }
    let wishes: Vec<_> = group.wishes().collect();
    let former =
        |wish: &Wish| group.known.get(&wish.at).filter(|known| !known.is_ours && known.target >= 0);
    for wish in &wishes {
        if let Some(known) = former(wish).filter(|known| known.target > wish.target)
            && !has(Bug::GroupIgnoresFormer)
            && found.offsets.get(&wish.at).is_some_and(|offset| *offset == known.target)
        {
            return Decision::Leave(Claimed {
                reason: TakeOver::Ahead,
                at: Some(wish.at.clone()),
                written: wish.target,
                found: known.target,
            });
        }
    }
    let adopted = wishes.iter().find_map(|wish| {
        let known = former(wish).filter(|known| known.target != wish.target)?;
        let (former, target) = (known.target, wish.target);
        Some(Adopted { at: wish.at.clone(), former, target })
    });
    let is_missing = |wish: &Wish| found.offsets.get(&wish.at).is_none_or(|offset| *offset < 0);
    let mut wanted: Vec<_> =
        wishes.into_iter().filter(|wish| again || is_missing(wish) || group.lacks(wish)).collect();
    if wanted.is_empty() && !found.exists {
        wanted = without_position(group);
    }
    Decision::Commit { wishes: wanted, adopted }
}

/// Commits of −1 that make a group known: it has no position that could be carried over now.
fn without_position(group: &Group) -> Vec<Wish> {
    let nothing = |at: &TopicPartition| Wish {
        at: at.clone(),
        source: -1,
        target: -1,
        metadata: String::new(),
    };
    group.seen.keys().map(nothing).collect()
}

/// The first offset that is neither what was written last nor what a commit without an answer may have written.
fn moved(group: &mut Group, found: &Found) -> Option<Claimed> {
    for (at, offset) in found.offsets.iter().filter(|(_, offset)| **offset >= 0) {
        let known = group.known.get_mut(at);
        let written = known.as_ref().map_or(-1, |known| known.target);
        if written == *offset || has(Bug::GroupIgnoresMoves) {
            continue;
        }
        match known {
            // An answer was lost, and the commit was not.
            Some(known) if known.attempted.contains(offset) => {
                known.target = *offset;
                known.is_ours = true;
            }
            _ => {
                let (reason, at) = (TakeOver::Moved, Some(at.clone()));
                return Some(Claimed { reason, at, written, found: *offset });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests;
