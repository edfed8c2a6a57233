//! Why things do not travel, or not as they are.

use serde::Serialize;

/// Why a topic does not travel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum SkipReason {
    /// Its name on the target, cut to 128 characters, is taken by another source topic.
    NameCollision {
        /// The topic that has the name.
        other: String,
    },
    /// Source and target are one cluster, and the topic would be copied to itself.
    SameTopic,
    /// `same_partition` is on, the target topic has fewer partitions and cannot be given more.
    TooFewPartitions {
        /// Partitions on the source.
        source_count: i32,
        /// Partitions on the target.
        target_count: i32,
        /// Why it cannot grow.
        cause: String,
    },
    /// The target refused to create it.
    CreateRefused {
        /// The broker's answer.
        cause: String,
    },
    /// The topic did not get leaders for all its partitions in time.
    NotReady {
        /// What was missing.
        cause: String,
    },
    /// The source does not let us see it.
    SourceUnreadable {
        /// The broker's answer.
        cause: String,
    },
    /// The target does not let us see it.
    TargetUnreadable {
        /// The broker's answer.
        cause: String,
    },
}

/// Why a configuration key was not brought over as the source has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
#[non_exhaustive]
pub enum ConfigSkipReason {
    /// The target refused the key or its value.
    Refused {
        /// The broker's answer.
        cause: String,
    },
    /// The key has a meaning on its own cluster only (throttles, tiered storage, vendor keys).
    ClusterOnly,
    /// The target's release no longer has the key.
    Obsolete,
    /// Records keep their times, which `LogAppendTime` on the target would overwrite.
    KeepsRecordTimes,
    /// More in-sync replicas were asked for than the topic has replicas on the target: all writes
    /// would be refused.
    Clamped {
        /// The value written instead.
        to: String,
    },
    /// The source's value is none; the default was written instead.
    Invalid {
        /// The value written instead.
        to: String,
    },
}

/// What lost its records, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FidelityCause {
    /// The target stamps records with its own time (BF-5).
    TargetLogAppendTime,
    /// The target compresses records anew (BF-9).
    TargetRecompresses,
    /// The target compacts, the source does not (BF-8).
    TargetCompacts,
}

/// Why a consumer group on the target is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum TakeOver {
    /// It has members.
    Members,
    /// Its offset is not what this task wrote.
    Moved,
    /// When the task met the group, its offset lay already beyond where the source's would put it.
    Ahead,
}
