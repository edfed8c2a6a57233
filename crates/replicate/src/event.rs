//! What happened, as past-tense facts: one enum that feeds the terminal, the log, metrics and the tests.
//!
//! Every event names the task and, as far as it has them, topic, partition and offsets; what was the cause
//! and what we did; and [`Event::cure`] says what an operator can do, for every event that asks for it (its field, where
//! an event has one, is left out of the serialised form). Serialised with the tag `event` in
//! snake_case, it is one line of `--output json`.

mod acl_text;
mod facts;
mod group_text;
mod reasons;
mod table_text;
mod text;

use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;

use self::facts::range;
pub use self::reasons::{ConfigSkipReason, FidelityCause, SkipReason, TakeOver};
use crate::acls::LeaveReason;
use crate::spec::{SyncMode, TaskName};

/// Where events go. It must return at once.
pub type EventSink = Arc<dyn Fn(Event) + Send + Sync>;

/// How much an event matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// A task changed state.
    Info,
    /// Something is not as the source has it, or we act on a fault.
    Warn,
    /// An operator must act.
    Error,
}

/// Something that happened in a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The task began to work.
    TaskStarted {
        /// The task.
        task: TaskName,
        /// Cluster id of the source, if it has one.
        source_cluster: Option<String>,
        /// Cluster id of the target, if it has one.
        target_cluster: Option<String>,
        /// What travels.
        sync: SyncMode,
        /// Whether a former run's state is continued.
        continued: bool,
    },
    /// The task ended as asked.
    TaskFinished {
        /// The task.
        task: TaskName,
        /// Topics in scope.
        topic_count: usize,
        /// Records copied in this run.
        record_count: u64,
        /// Bytes of batches copied in this run.
        bytes: u64,
        /// How long it ran.
        elapsed_ms: u64,
    },
    /// The task cannot go on.
    TaskFailed {
        /// The task.
        task: TaskName,
        /// Why.
        cause: String,
        /// What an operator can do.
        #[serde(skip)]
        cure: Option<String>,
    },
    /// A topic was created on the target.
    TopicCreated {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Topic on the target.
        target_topic: String,
        /// Its partitions.
        partition_count: i32,
        /// Its replicas, −1 for the target's default.
        replication_factor: i16,
    },
    /// The target has too few brokers for the source's replication factor; its default was used.
    ReplicationReduced {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Replicas on the source.
        source_factor: i16,
        /// Brokers of the target.
        target_brokers: usize,
    },
    /// A topic has another name on the target: it was renamed, cut to 128 characters, or made again.
    TopicRenamed {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Topic on the target.
        target_topic: String,
    },
    /// A topic does not travel; the others do.
    TopicSkipped {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Topic on the target.
        target_topic: String,
        /// Why.
        #[serde(flatten)]
        reason: SkipReason,
    },
    /// The target topic was given the partitions that the source has.
    PartitionsAdded {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Topic on the target.
        target_topic: String,
        /// Partitions before.
        from: i32,
        /// Partitions now.
        to: i32,
    },
    /// The target topic could not be given the partitions that the source has.
    PartitionsRefused {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Topic on the target.
        target_topic: String,
        /// Partitions on the source.
        wanted: i32,
        /// Partitions on the target.
        found: i32,
        /// The broker's answer.
        cause: String,
    },
    /// A configuration key was not brought over as the source has it.
    ConfigSkipped {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Topic on the target.
        target_topic: String,
        /// The key.
        key: String,
        /// The source's value.
        value: Option<String>,
        /// Why.
        #[serde(flatten)]
        reason: ConfigSkipReason,
    },
    /// A configuration key was brought over after the topic's creation.
    ConfigApplied {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Topic on the target.
        target_topic: String,
        /// The key.
        key: String,
        /// Its value before.
        from: Option<String>,
        /// Its value now.
        to: String,
    },
    /// Source and target differ in a key that is brought over at creation only. Told once per difference.
    ConfigDrift {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Topic on the target.
        target_topic: String,
        /// The key.
        key: String,
        /// Its value on the source.
        source_value: Option<String>,
        /// Its value on the target.
        target_value: Option<String>,
    },
    /// The topic's settings on the target change what readers see.
    FidelityLoss {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Topic on the target.
        target_topic: String,
        /// What changes it.
        cause: FidelityCause,
        /// The setting, as `key=value`.
        setting: String,
    },
    /// The source topic is gone; the target topic was kept.
    TopicDeleted {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Topic on the target.
        target_topic: String,
    },
    /// The source topic was deleted and created again. Told once for all its partitions.
    TopicRecreated {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Topic on the target.
        target_topic: String,
        /// Id of the topic that was copied, if it had one.
        former_id: Option<String>,
        /// Id of the topic now.
        found_id: Option<String>,
        /// What we did, in a few words.
        action: &'static str,
    },
    /// The topics' metadata could not be compared; the next time is the regular one.
    MetadataSyncFailed {
        /// The task.
        task: TaskName,
        /// The topic, when it is about one.
        topic: Option<String>,
        /// Why.
        cause: String,
    },
    /// ACLs were made on the target.
    AclsCreated {
        /// The task.
        task: TaskName,
        /// How many.
        count: usize,
        /// They, at most the first 100.
        acls: Vec<String>,
    },
    /// ACLs that this task had made were removed from the target: the source no longer has what they came from.
    AclsRemoved {
        /// The task.
        task: TaskName,
        /// How many.
        count: usize,
        /// They, at most the first 100.
        acls: Vec<String>,
    },
    /// The right to write to topics was not given on the target. Told once, and again when these are others.
    AclsWithheld {
        /// The task.
        task: TaskName,
        /// How many ACLs of the source give it.
        count: usize,
        /// They, at most the first 100.
        acls: Vec<String>,
    },
    /// ACLs of the source do not travel. Told once for each reason, and again when these are others.
    AclsLeftOut {
        /// The task.
        task: TaskName,
        /// Why.
        reason: LeaveReason,
        /// How many.
        count: usize,
        /// They, at most the first 100.
        acls: Vec<String>,
    },
    /// The target refused an ACL; it is tried again. Told once for each cause.
    AclRefused {
        /// The task.
        task: TaskName,
        /// The ACL as it would be on the target.
        acl: String,
        /// The broker's answer.
        cause: String,
        /// What we do, in a few words.
        action: &'static str,
    },
    /// ACLs could not be looked at, made or removed; the rest of the task goes on, and it is tried again. Told once for each cause.
    AclSyncFailed {
        /// The task.
        task: TaskName,
        /// `source` or `target`, when it is about one.
        cluster: Option<&'static str>,
        /// Why.
        cause: String,
        /// What an operator can do.
        #[serde(skip)]
        cure: Option<String>,
    },
    /// The copy of a partition began.
    LaneStarted {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Partition on the source.
        partition: i32,
        /// Topic on the target.
        target_topic: String,
        /// Partition on the target.
        target_partition: i32,
        /// The first source offset to be copied.
        offset: i64,
    },
    /// The copy of a partition went on after an interruption.
    LaneRecovered {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Partition on the source.
        partition: i32,
        /// The source offset at which it went on.
        offset: i64,
        /// The target offset that was expected next.
        target_offset: i64,
        /// Whether older requests were fenced off first.
        fenced: bool,
        /// Records that the target had without our knowing.
        found_count: i64,
    },
    /// The copy of a partition goes on behind records that the state did not know: it was lost, or is an older one.
    LaneAdopted {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Partition on the source.
        partition: i32,
        /// The source offset at which it goes on: what lies before counts as copied.
        offset: i64,
        /// The target offset that is expected next.
        target_offset: i64,
        /// The offset map knows source offsets from this one on; groups before it are not translated.
        map_start: i64,
    },
    /// The copy of a partition stopped.
    LaneStopped {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Partition on the source.
        partition: i32,
        /// The first source offset that is not copied.
        offset: i64,
        /// Why.
        cause: String,
        /// What an operator can do.
        #[serde(skip)]
        cure: Option<String>,
    },
    /// A partition waits for an error that ends by itself.
    LaneRetrying {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Partition on the source.
        partition: i32,
        /// The error.
        cause: String,
        /// How often in a row.
        attempt: u32,
        /// How long until the next attempt.
        backoff_ms: u64,
    },
    /// A partition waits for a right that a cluster denies. Told once; the copy goes on by itself when it is there.
    LaneDenied {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Partition on the source.
        partition: i32,
        /// `source` or `target`.
        cluster: &'static str,
        /// The error.
        cause: String,
        /// What an operator can do.
        #[serde(skip)]
        cure: String,
    },
    /// The right that a partition waited for is there.
    LaneAllowed {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Partition on the source.
        partition: i32,
        /// `source` or `target`.
        cluster: &'static str,
        /// How long it was denied.
        elapsed_ms: u64,
    },
    /// A cluster, or a broker of it, cannot be reached; we try again.
    ClusterUnavailable {
        /// The task.
        task: TaskName,
        /// `source` or `target`.
        cluster: &'static str,
        /// The broker, when it is about one.
        broker_id: Option<i32>,
        /// The error.
        cause: String,
        /// What an operator can do.
        #[serde(skip)]
        cure: Option<String>,
    },
    /// A cluster or broker that could not be reached answers again.
    ClusterAvailable {
        /// The task.
        task: TaskName,
        /// `source` or `target`.
        cluster: &'static str,
        /// The broker, when it is about one.
        broker_id: Option<i32>,
        /// How long it was away.
        elapsed_ms: u64,
    },
    /// The source lost records that had been copied (unclean election, restored backup).
    Truncated {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Partition on the source.
        partition: i32,
        /// Source offsets that the target has and the source has lost or replaced.
        #[serde(serialize_with = "range")]
        lost: Range<i64>,
        /// What we did, in a few words.
        action: &'static str,
    },
    /// The source deleted records before they were copied.
    RetentionOvertook {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Partition on the source.
        partition: i32,
        /// Source offsets that are gone and not on the target.
        #[serde(serialize_with = "range")]
        lost: Range<i64>,
        /// What we did, in a few words.
        action: &'static str,
    },
    /// Somebody else writes to a target partition. The offset map stays exact.
    ForeignWrites {
        /// The task.
        task: TaskName,
        /// Topic on the target.
        topic: String,
        /// Partition on the target.
        partition: i32,
        /// The target offset at which it was noticed.
        offset: i64,
        /// Offsets that others took.
        count: i64,
    },
    /// A batch reached the target another way than as it was.
    BatchRebuilt {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Partition on the source.
        partition: i32,
        /// Source offset of its first record.
        offset: i64,
        /// Why.
        reason: forward::RebuildReason,
        /// The target's answer, if it refused the batch as it was.
        cause: Option<String>,
    },
    /// Records that the target refuses were left out, as the task's policy says.
    RecordsSkipped {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Partition on the source.
        partition: i32,
        /// How many.
        count: usize,
        /// Their source offsets, at most the first 100.
        offsets: Vec<i64>,
        /// The target's answer.
        cause: String,
        /// What we did.
        action: &'static str,
        /// What an operator can do.
        #[serde(skip)]
        cure: &'static str,
    },
    /// Which protection against doubled records a partition has, when it is not the usual one.
    GuaranteeChanged {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Partition on the source.
        partition: i32,
        /// The protection in force, in a few words.
        guarantee: &'static str,
        /// Why it is not the usual one.
        cause: String,
    },
    /// A consumer group was made known on the target.
    GroupCreated {
        /// The task.
        task: TaskName,
        /// The group.
        group: String,
        /// Partitions for which it has a commit now, those without a position included.
        partition_count: usize,
    },
    /// A group that stood on the target before this task met it was moved to where the source's offset belongs.
    GroupAdopted {
        /// The task.
        task: TaskName,
        /// The group.
        group: String,
        /// Topic on the source of the first partition that was moved.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The target offset that it had.
        former_offset: i64,
        /// The target offset that it has now.
        target_offset: i64,
    },
    /// Somebody else has the group on the target: it is left alone until that ends. Told once.
    GroupTakenOver {
        /// The task.
        task: TaskName,
        /// The group.
        group: String,
        /// Topic on the source, when it is about one partition.
        topic: Option<String>,
        /// Its partition.
        partition: Option<i32>,
        /// The target offset that this task wrote or would write; −1 for none.
        written: i64,
        /// The target offset that was found; −1 for none.
        found: i64,
        /// How it was noticed.
        reason: TakeOver,
    },
    /// A group that was taken over is followed again.
    GroupReturned {
        /// The task.
        task: TaskName,
        /// The group.
        group: String,
    },
    /// The source's group went back; the target's follows.
    GroupRewound {
        /// The task.
        task: TaskName,
        /// The group.
        group: String,
        /// Topic on the source.
        topic: String,
        /// Partition on the source.
        partition: i32,
        /// Source offset before.
        from: i64,
        /// Source offset now.
        to: i64,
    },
    /// The source no longer has the group; the target's is kept as it is.
    GroupDeleted {
        /// The task.
        task: TaskName,
        /// The group.
        group: String,
    },
    /// A group stands before the range of which this task knows where it lies on the target: nothing is guessed.
    GroupBeforeMap {
        /// The task.
        task: TaskName,
        /// The group.
        group: String,
        /// Topic on the source.
        topic: String,
        /// Partition on the source.
        partition: i32,
        /// The group's offset on the source.
        offset: i64,
        /// The source offset from which on offsets are known.
        valid_from: i64,
    },
    /// The target partition held records when this copy began: offsets before its first one are not known there.
    GroupMapStarted {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Partition on the source.
        partition: i32,
        /// The first source offset that is known on the target.
        offset: i64,
        /// The target's end at that time, −1 when it did not say.
        target_offset: i64,
    },
    /// Several source partitions share a target partition: offsets of groups cannot be carried over (BF-37).
    GroupTopicRefused {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Topic on the target.
        target_topic: String,
        /// Partitions on the source.
        source_count: i32,
        /// Partitions on the target.
        target_count: i32,
    },
    /// A group's offsets were refused by one of the clusters; the other groups go on, and it is tried again.
    GroupRefused {
        /// The task.
        task: TaskName,
        /// The group.
        group: String,
        /// Topic, when it is about one partition.
        topic: Option<String>,
        /// Its partition.
        partition: Option<i32>,
        /// The broker's answer.
        cause: String,
    },
    /// Groups were not made on the target; others may follow without a further word.
    GroupsSkipped {
        /// The task.
        task: TaskName,
        /// The first of them.
        group: String,
        /// How many at this time.
        count: usize,
        /// Why.
        cause: String,
    },
    /// A record could not be processed. Told at most once a minute for each kind of failure.
    RecordFailed {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Partition on the source.
        partition: i32,
        /// The record's offset on the source.
        offset: i64,
        /// Kind of the failure.
        code: &'static str,
        /// Step of the rule.
        step: String,
        /// Why.
        cause: String,
        /// Failures of this kind since it was told last, this one included.
        count: u64,
        /// What became of the record.
        action: &'static str,
        /// What an operator can do.
        #[serde(skip)]
        cure: String,
    },
    /// A topic that a rule writes to cannot be written; it is tried again.
    OutputTopicUnavailable {
        /// The task.
        task: TaskName,
        /// Topic on the target.
        target_topic: String,
        /// Why.
        cause: String,
    },
    /// A schema registry gives no answer; records that need it wait. Told once per interruption.
    RegistryUnavailable {
        /// The task.
        task: TaskName,
        /// Whose registry: `source` or `target`.
        registry: &'static str,
        /// Where it is, and why.
        cause: String,
        /// What an operator can do.
        #[serde(skip)]
        cure: String,
    },
    /// A lookup table was read up to the end of its topic, at the start or after something that was told.
    TableRead {
        /// The task.
        task: TaskName,
        /// The table.
        table: String,
        /// Its topic.
        topic: String,
        /// The rows that it has now.
        rows: usize,
    },
    /// A lookup table's topic cannot be read; it is tried again.
    TableUnavailable {
        /// The task.
        task: TaskName,
        /// The table.
        table: String,
        /// Its topic.
        topic: String,
        /// Why.
        cause: String,
        /// What an operator can do.
        #[serde(skip)]
        cure: String,
    },
    /// A lookup table's topic is not what was read of it: all of it is read anew.
    TableReread {
        /// The task.
        task: TaskName,
        /// The table.
        table: String,
        /// Its topic.
        topic: String,
        /// What happened to it.
        cause: String,
    },
    /// A record of a lookup table's topic is no row. Told at most once a minute for each table.
    TableRowSkipped {
        /// The task.
        task: TaskName,
        /// The table.
        table: String,
        /// Its topic.
        topic: String,
        /// Partition of the topic.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// Why.
        cause: String,
        /// Such records since one was told last, this one included.
        count: u64,
    },
    /// Records were on their way when the process died, and tables may have changed since that say where outputs go.
    OutputsUncertain {
        /// The task.
        task: TaskName,
        /// Topic on the source.
        topic: String,
        /// Partition on the source.
        partition: i32,
        /// Their offsets.
        #[serde(serialize_with = "range")]
        offsets: Range<i64>,
    },
    /// The groups could not be looked at; the next look is the regular one. Told once per interruption.
    GroupSyncFailed {
        /// The task.
        task: TaskName,
        /// Why.
        cause: String,
    },
}

#[cfg(test)]
mod tests;
