//! What happened to groups on both ends, in the order in which it happened.

use kafka_sim::GroupRequest;

use crate::history::At;

/// Groups that nobody but the task touches on the target.
pub(crate) const QUIET: [&str; 2] = ["quiet-a", "quiet-b"];

/// Groups whose target others touch.
pub(crate) const BUSY: [&str; 2] = ["busy-a", "busy-b"];

/// A group that stands on the target before the source has it.
pub(crate) const FORMER: &str = "former";

/// One thing that happened.
#[derive(Clone, Debug)]
pub(crate) enum GroupStep {
    /// The source's group committed. Every commit has a text of its own: the copy carries it.
    Committed { group: String, at: At, offset: i64, text: String },
    /// The source's group was deleted.
    Deleted { group: String },
    /// The target's group stood at an offset before the task could know it.
    Existed { group: String, at: At, offset: i64 },
    /// Somebody else moved the target's group.
    Moved { group: String, at: At, offset: i64 },
    /// Somebody put the target's group back to what the task had given it last.
    PutBack { group: String, at: At },
    /// A consumer of the target joined.
    Joined { group: String },
    /// The last consumer of the target left.
    Left { group: String },
    /// The target's group was deleted.
    Forgotten { group: String },
    /// Somebody asked the target: nobody does but the task.
    Asked(GroupRequest),
}
