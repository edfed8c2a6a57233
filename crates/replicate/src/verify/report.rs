//! What a comparison found: counts and differences by offset, never a byte of a record.

use serde::{Deserialize, Serialize};

/// Differences that one partition names; further ones are counted.
pub const DIFFERENCES_MAX: usize = 10_000;

/// Differences that all partitions together name.
pub const DIFFERENCES_TOTAL_MAX: usize = 200_000;

/// Everything that one comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The task whose copy it is.
    pub task: Option<String>,
    /// Cluster id of the source.
    pub source_cluster_id: Option<String>,
    /// Cluster id of the target.
    pub target_cluster_id: Option<String>,
    /// When it began, ms since 1970.
    pub started_ms: i64,
    /// When it ended, ms since 1970.
    pub ended_ms: i64,
    /// False when it was told to stop before all was compared.
    pub is_finished: bool,
    /// All partitions together.
    pub totals: Tally,
    /// Topics with a difference in settings or partitions, or that could not be asked.
    pub topics: Vec<TopicReport>,
    /// Each copied partition.
    pub partitions: Vec<PartitionReport>,
    /// Where the groups stand; nothing when the task carries no group offsets.
    pub groups: Option<GroupsReport>,
}

/// Counts of one partition, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Source records that were compared with their copy.
    pub records: u64,
    /// Bytes of source batches that were read for it, as the broker keeps them.
    pub bytes: u64,
    /// Batches whose records were compared as they are, without decompression.
    pub batches_as_is: u64,
    /// Records of the source that the target lacks. A difference.
    pub missing: u64,
    /// Records that this task wrote and the source lacks. A difference.
    pub extra: u64,
    /// Pairs that differ in key, value, headers or timestamp. A difference.
    pub changed: u64,
    /// Records that stand elsewhere in the partition. A difference.
    pub out_of_order: u64,
    /// Records that stand in another partition of the topic. A difference.
    pub wrong_partition: u64,
    /// Records of other writers on the target.
    pub foreign: u64,
    /// Copied records that the source has deleted by age or size since.
    pub expired_on_source: u64,
    /// Copied records that the target has deleted by age or size since.
    pub expired_on_target: u64,
    /// Copied records that the compaction of the source topic may have removed since.
    pub cleaned_on_source: u64,
    /// Source records that the compaction of the target topic may have removed.
    pub cleaned_on_target: u64,
    /// Batches of aborted transactions, which are not copied.
    pub aborted_batches: u64,
    /// Source offsets before the first one that this task copied or knows the place of.
    pub offsets_before: u64,
    /// Source offsets that were not copied yet when the comparison began.
    pub offsets_behind: u64,
}

impl Tally {
    /// How many differences there are.
    #[must_use]
    pub const fn differences(&self) -> u64 {
        self.missing + self.extra + self.changed + self.out_of_order + self.wrong_partition
    }

    /// Adds the counts of another partition.
    pub fn add(&mut self, other: &Self) {
        self.records += other.records;
        self.bytes += other.bytes;
        self.batches_as_is += other.batches_as_is;
        self.missing += other.missing;
        self.extra += other.extra;
        self.changed += other.changed;
        self.out_of_order += other.out_of_order;
        self.wrong_partition += other.wrong_partition;
        self.foreign += other.foreign;
        self.expired_on_source += other.expired_on_source;
        self.expired_on_target += other.expired_on_target;
        self.cleaned_on_source += other.cleaned_on_source;
        self.cleaned_on_target += other.cleaned_on_target;
        self.aborted_batches += other.aborted_batches;
        self.offsets_before += other.offsets_before;
        self.offsets_behind += other.offsets_behind;
    }
}

/// One source partition and its copy. Also what a later run needs to go on from here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionReport {
    /// Topic on the source.
    pub source_topic: String,
    /// Its partition.
    pub source_partition: i32,
    /// Topic on the target.
    pub target_topic: String,
    /// Its partition.
    pub target_partition: i32,
    /// The first source offset that was compared.
    pub source_start: i64,
    /// Behind the last source offset that was compared.
    pub source_next: i64,
    /// Where the comparison of the source ends: so far the copy had come.
    pub source_end: i64,
    /// Behind the last target offset that was compared.
    pub target_next: i64,
    /// All is compared.
    pub is_done: bool,
    /// Why it could not be compared further.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What was counted.
    pub tally: Tally,
    /// The differences, the first [`DIFFERENCES_MAX`] of them.
    pub differences: Vec<Difference>,
}

impl PartitionReport {
    /// Differences that are counted and not named.
    #[must_use]
    pub fn unnamed(&self) -> u64 {
        let named = u64::try_from(self.differences.len()).unwrap_or(u64::MAX);
        self.tally.differences().saturating_sub(named)
    }
}

/// One difference between a record and its copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The record's offset on the source, where there is one.
    pub source_offset: Option<i64>,
    /// Where it is on the target, or should be.
    pub target_offset: Option<i64>,
    /// What differs.
    #[serde(flatten)]
    pub kind: Kind,
    /// What identifies the records' contents, for finding a record that stands elsewhere. Kept in checkpoints only.
    #[serde(default, skip_serializing_if = "Contents::is_empty")]
    pub contents: Contents,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// The target lacks the record.
    Missing,
    /// This task wrote the record, and the source lacks it.
    Extra,
    /// Source and target have a record here; these parts of it differ.
    Changed {
        /// Which parts.
        parts: Vec<Part>,
    },
    /// The record stands at this target offset, and belongs elsewhere in the partition.
    OutOfOrder,
    /// The record stands in another partition of the target topic.
    WrongPartition {
        /// In which one.
        found_partition: i32,
        /// Where there.
        found_offset: i64,
    },
}

impl Kind {
    /// The name in reports.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Changed { .. } => "changed",
            Self::OutOfOrder => "out_of_order",
            Self::WrongPartition { .. } => "wrong_partition",
        }
    }
}

/// A part of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// The key.
    Key,
    /// The value.
    Value,
    /// The headers: names, values, order.
    Headers,
    /// The timestamp.
    Timestamp,
}

impl Part {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Value => "value",
            Self::Headers => "headers",
            Self::Timestamp => "timestamp",
        }
    }
}

/// Hashes of the records that a difference is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Of the source's record.
    pub source: Option<u64>,
    /// Of the target's.
    pub target: Option<u64>,
}

impl Contents {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A topic on both ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicReport {
    /// Its name on the source.
    pub source_topic: String,
    /// Its name on the target.
    pub target_topic: String,
    /// Numbers of partitions on source and target, when they differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition_counts: Option<(i32, i32)>,
    /// Settings with different values.
    pub settings: Vec<SettingDifference>,
    /// Why it could not be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A setting with different values on the two ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingDifference {
    /// Its name.
    pub name: String,
    /// Its value on the source.
    pub source: Option<String>,
    /// Its value on the target.
    pub target: Option<String>,
}

/// Where the consumer groups stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupsReport {
    /// Positions that are where they belong.
    pub equal: u64,
    /// Positions of groups on the target that somebody else has moved: theirs, not compared.
    pub taken_over: u64,
    /// Positions beyond what is copied: they are held until it is.
    pub ahead_of_copy: u64,
    /// Positions before the first offset whose place is known, or in partitions where nothing was copied.
    pub unknown: u64,
    /// Positions that are off, the first [`DIFFERENCES_MAX`] of them.
    pub differences: Vec<GroupDifference>,
    /// How many are off.
    pub off: u64,
    /// Why they could not be compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A group that does not stand where it belongs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupDifference {
    /// The group.
    pub group: String,
    /// Topic on the source.
    pub source_topic: String,
    /// Its partition.
    pub source_partition: i32,
    /// Where it stands on the source.
    pub source_offset: i64,
    /// Where it belongs on the target.
    pub expected: i64,
    /// Where it stands there; nothing when it has no position.
    pub found: Option<i64>,
    /// `found - expected`: below 0 it would read records again, above 0 it would skip some.
    pub off_by: Option<i64>,
}

impl Report {
    /// How many differences there are in all.
    #[must_use]
    pub fn differences(&self) -> u64 {
        let topics = self
            .topics
            .iter()
            .map(|topic| topic.settings.len() + usize::from(topic.partition_counts.is_some()));
        let topics = u64::try_from(topics.sum::<usize>()).unwrap_or(u64::MAX);
        self.totals.differences() + topics + self.groups.as_ref().map_or(0, |groups| groups.off)
    }

    /// What could not be compared, in words.
    pub fn errors(&self) -> impl Iterator<Item = String> {
        let topics = self.topics.iter().filter_map(|topic| {
            topic.error.as_ref().map(|error| format!("{}: {error}", topic.source_topic))
        });
        let partitions = self.partitions.iter().filter_map(|found| {
            let at = format!("{}-{}", found.source_topic, found.source_partition);
            // What is wrong with the whole topic was said.
            let is_told = self.topics.iter().any(|topic| {
                topic.source_topic == found.source_topic && topic.error == found.error
            });
            let error = found.error.as_ref().filter(|_| !is_told);
            error.map(|error| format!("{at}: {error}"))
        });
        let groups = self.groups.iter().filter_map(|groups| groups.error.clone());
        topics.chain(partitions).chain(groups.map(|error| format!("groups: {error}")))
    }

    /// Nothing differs, and everything could be compared.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.is_finished && self.differences() == 0 && self.errors().next().is_none()
    }
}
