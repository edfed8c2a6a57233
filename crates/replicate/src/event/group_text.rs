//! Events about consumer groups in words.

use std::fmt;

use super::{Event, TakeOver};

/// A target offset, or that there is none.
struct Offset(i64);

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 { f.write_str("none") } else { self.0.fmt(f) }
    }
}

impl Event {
    /// The events about groups.
    pub(super) fn fmt_group(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GroupCreated { group, partition_count, .. } => {
                write!(f, "group {group} was made on the target, {partition_count} partitions")
            }
            Self::GroupAdopted {
                group, topic, partition, former_offset, target_offset, ..
            } => write!(
                f,
                "group {group} stood at target offset {former_offset} of {topic}-{partition} before this task; it was moved to {target_offset}"
            ),
            Self::GroupTakenOver { .. } => self.fmt_take_over(f),
            Self::GroupReturned { group, .. } => {
                write!(
                    f,
                    "group {group} is nobody else's on the target any more: it is followed again"
                )
            }
            Self::GroupRewound { group, topic, partition, from, to, .. } => write!(
                f,
                "group {group} went back from {from} to {to} on source {topic}-{partition}; the target follows"
            ),
            Self::GroupDeleted { group, .. } => {
                write!(f, "group {group} is gone from the source; the target's is kept")
            }
            Self::GroupBeforeMap { group, topic, partition, offset, valid_from, .. } => write!(
                f,
                "group {group} stands at {offset} of source {topic}-{partition}, but where offsets before {valid_from} lie on the target is not known: nothing was committed"
            ),
            Self::GroupMapStarted { topic, partition, offset, target_offset, .. } => write!(
                f,
                "target {topic}-{partition} held records (end {}) when its copy began at {offset}: group offsets are known from there on only",
                Offset(*target_offset)
            ),
            Self::GroupTopicRefused { topic, target_topic, source_count, target_count, .. } => {
                write!(
                    f,
                    "group offsets of topic {topic} cannot be carried over: {source_count} partitions share {target_count} of {target_topic}"
                )
            }
            Self::GroupRefused { group, topic, partition, cause, .. } => {
                write!(f, "group {group}")?;
                if let (Some(topic), Some(partition)) = (topic, partition) {
                    write!(f, ", {topic}-{partition}")?;
                }
                write!(f, ": the offset was refused: {cause}")
            }
            Self::GroupsSkipped { group, count, cause, .. } => {
                write!(f, "{count} groups, {group} first, were not made on the target: {cause}")
            }
            Self::GroupSyncFailed { cause, .. } => {
                write!(f, "consumer groups could not be looked at, trying again: {cause}")
            }
            // The other events are told elsewhere.
            _ => Ok(()),
        }
    }

    fn fmt_take_over(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::GroupTakenOver { group, topic, partition, written, found, reason, .. } = self
        else {
            return Ok(());
        };
        write!(f, "group {group} was taken over on the target")?;
        if *reason == TakeOver::Members {
            return f.write_str(": it has members, and its offsets are left alone");
        }
        if let (Some(topic), Some(partition)) = (topic, partition) {
            write!(f, ": {topic}-{partition} stands at {}", Offset(*found))?;
        }
        let (written, what) = match reason {
            TakeOver::Ahead => (Offset(*written), "beyond where the source's group would be"),
            _ => (Offset(*written), "not where this task had put it"),
        };
        write!(f, ", {what} ({written}); it is left alone")
    }

    /// What an operator can do about an event of a group.
    pub(super) fn group_cure(&self) -> Option<&'static str> {
        Some(match self {
            Self::GroupTakenOver { reason: TakeOver::Members, .. } => {
                "nothing if the consumers are meant to run there; otherwise stop them"
            }
            Self::GroupTakenOver { .. } => {
                "nothing if that is meant; to have the group follow the source again, delete it on the target"
            }
            Self::GroupAdopted { .. } => {
                "nothing if the group is the same application; otherwise give one of the two another group id"
            }
            Self::GroupBeforeMap { .. } => {
                "let the group read on the source up to the named offset, or set its offset on the target by hand"
            }
            Self::GroupMapStarted { .. } => {
                "keep the task's state directory when a task is to go on; groups that have read up to here are exact"
            }
            Self::GroupTopicRefused { .. } => {
                "give the target topic as many partitions as the source has"
            }
            Self::GroupRefused { .. } => {
                "grant READ on the group and its topics at the target and DESCRIBE on the group at the source; raise offset.metadata.max.bytes at the target if the text is too large for it"
            }
            Self::GroupsSkipped { .. } => {
                "create the groups on the target by hand, or grant READ on them and allow group_auto_create"
            }
            Self::GroupSyncFailed { .. } => "grant DESCRIBE on groups if it is missing",
            _ => return None,
        })
    }
}
