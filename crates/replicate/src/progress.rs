//! What a task has done so far: counters that lanes update and a snapshot that anybody may read.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use forward::{DropReason, RebuildReason};
use serde::Serialize;

pub use crate::groups::POSITION_MARK;
use crate::journal::LaneKey;

/// What a lane is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LaneState {
    /// Not started yet, or asking the target where it stands.
    Starting = 0,
    /// Copying, or waiting for new records.
    Running = 1,
    /// An error ends by itself; the lane tries again.
    Retrying = 2,
    /// Everything that was asked for is copied.
    Done = 3,
    /// Stopped for a reason that needs an operator.
    Stopped = 4,
    /// A right is missing; the lane tries again until it has it.
    Denied = 5,
}

impl LaneState {
    fn from_u8(value: u8) -> Self {
        match value {
            1 => Self::Running,
            2 => Self::Retrying,
            3 => Self::Done,
            4 => Self::Stopped,
            5 => Self::Denied,
            _ => Self::Starting,
        }
    }
}

/// The live counters of one lane. Writers are the lane's worker; readers take a [`PartitionProgress`].
#[derive(Debug)]
pub(crate) struct LaneStatus {
    pub(crate) key: Arc<LaneKey>,
    state: AtomicU8,
    source_start: AtomicI64,
    source_end: AtomicI64,
    position: AtomicI64,
    /// Where the offset map begins after the lane found its place by content; −1 when it did not have to.
    map_start: AtomicI64,
    is_placed: AtomicBool,
    is_retired: AtomicBool,
    target_end: AtomicI64,
    records: AtomicU64,
    bytes: AtomicU64,
    as_is: AtomicU64,
    rebuilt: AtomicU64,
    dropped_records: AtomicU64,
    written: AtomicU64,
    failed: AtomicU64,
    dead_letters: AtomicU64,
    recoveries: AtomicU64,
    by_reason: Mutex<BTreeMap<&'static str, u64>>,
    dropped_by_reason: Mutex<BTreeMap<&'static str, u64>>,
    last_error: Mutex<Option<String>>,
}

impl LaneStatus {
    pub(crate) fn new(key: impl Into<Arc<LaneKey>>) -> Arc<Self> {
        Arc::new(Self {
            key: key.into(),
            state: AtomicU8::new(0),
            source_start: AtomicI64::new(-1),
            source_end: AtomicI64::new(-1),
            position: AtomicI64::new(-1),
            map_start: AtomicI64::new(-1),
            is_placed: AtomicBool::new(false),
            is_retired: AtomicBool::new(false),
            target_end: AtomicI64::new(-1),
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            as_is: AtomicU64::new(0),
            rebuilt: AtomicU64::new(0),
            dropped_records: AtomicU64::new(0),
            written: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            dead_letters: AtomicU64::new(0),
            recoveries: AtomicU64::new(0),
            by_reason: Mutex::default(),
            dropped_by_reason: Mutex::default(),
            last_error: Mutex::default(),
        })
    }

    /// The offset map knows source offsets from `start` on, since the lane found its place by content.
    pub(crate) fn set_map_start(&self, start: i64) {
        self.map_start.store(start, Ordering::Relaxed);
    }

    /// Where the offset map begins, if not where the lane began.
    pub(crate) fn map_start(&self) -> Option<i64> {
        Some(self.map_start.load(Ordering::Relaxed)).filter(|start| *start >= 0)
    }

    /// The target said where the lane stands.
    pub(crate) fn set_placed(&self) {
        self.is_placed.store(true, Ordering::Release);
    }

    /// Whether the target said where the lane stands.
    pub(crate) fn is_placed(&self) -> bool {
        self.is_placed.load(Ordering::Acquire)
    }

    /// The lane's topic is no more, and another one has its name: it is no longer shown.
    pub(crate) fn retire(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
    }

    pub(crate) fn set_state(&self, state: LaneState) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    pub(crate) fn set_source(&self, log_start_offset: i64, end_offset: i64) {
        self.source_start.store(log_start_offset, Ordering::Relaxed);
        self.source_end.store(end_offset, Ordering::Relaxed);
    }

    /// The source offset below which everything is on the target.
    pub(crate) fn set_position(&self, offset: i64) {
        self.position.store(offset, Ordering::Relaxed);
    }

    pub(crate) fn copied(
        &self,
        records: u64,
        bytes: u64,
        rebuilt: Option<RebuildReason>,
        target_end: i64,
    ) {
        self.records.fetch_add(records, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.target_end.store(target_end, Ordering::Relaxed);
        match rebuilt {
            None => self.as_is.fetch_add(1, Ordering::Relaxed),
            Some(reason) => {
                count(&self.by_reason, reason.name());
                self.rebuilt.fetch_add(1, Ordering::Relaxed)
            }
        };
    }

    pub(crate) fn dropped(&self, records: u64, reason: DropReason) {
        count(&self.by_reason, reason.name());
        count(&self.dropped_by_reason, reason.name());
        self.dropped_records.fetch_add(records, Ordering::Relaxed);
    }

    /// A rule left records out.
    pub(crate) fn left_out(&self, records: u64, reason: &'static str) {
        count(&self.dropped_by_reason, reason);
        self.dropped_records.fetch_add(records, Ordering::Relaxed);
    }

    /// A rule made records that are to be written.
    pub(crate) fn written(&self, records: u64) {
        self.written.fetch_add(records, Ordering::Relaxed);
    }

    /// A record failed, whatever becomes of it.
    pub(crate) fn record_failed(&self) {
        self.failed.fetch_add(1, Ordering::Relaxed);
    }

    /// A failed record went to the topic for dead letters.
    pub(crate) fn dead_lettered(&self) {
        self.dead_letters.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn recovered(&self) {
        self.recoveries.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn set_error(&self, error: Option<String>) {
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = error;
    }

    /// Bytes copied.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The source's end as its readers see it, −1 while unknown.
    pub(crate) fn source_end(&self) -> i64 {
        self.source_end.load(Ordering::Relaxed)
    }

    /// The counters as they stand.
    pub(crate) fn snapshot(&self) -> PartitionProgress {
        let source_end = self.source_end.load(Ordering::Relaxed);
        let position = self.position.load(Ordering::Relaxed);
        PartitionProgress {
            partition: self.key.source_partition,
            target_partition: self.key.target_partition,
            state: LaneState::from_u8(self.state.load(Ordering::Relaxed)),
            source_start: self.source_start.load(Ordering::Relaxed),
            source_end,
            position,
            target_end: self.target_end.load(Ordering::Relaxed),
            lag_records: if position < 0 { 0 } else { (source_end - position).max(0) },
            records_copied: self.records.load(Ordering::Relaxed),
            bytes_copied: self.bytes.load(Ordering::Relaxed),
            batches_as_is: self.as_is.load(Ordering::Relaxed),
            batches_rebuilt: self.rebuilt.load(Ordering::Relaxed),
            records_dropped: self.dropped_records.load(Ordering::Relaxed),
            records_written: self.written.load(Ordering::Relaxed),
            records_failed: self.failed.load(Ordering::Relaxed),
            dead_letters: self.dead_letters.load(Ordering::Relaxed),
            recoveries: self.recoveries.load(Ordering::Relaxed),
            reasons: self.by_reason.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            drop_reasons: self
                .dropped_by_reason
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone(),
            last_error: self.last_error.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

fn count(counts: &Mutex<BTreeMap<&'static str, u64>>, reason: &'static str) {
    *counts.lock().unwrap_or_else(PoisonError::into_inner).entry(reason).or_default() += 1;
}

/// One partition's copy, as it stands. Offsets are −1 while unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PartitionProgress {
    /// The source partition.
    pub partition: i32,
    /// The target partition it is copied to.
    pub target_partition: i32,
    /// What the lane is doing.
    pub state: LaneState,
    /// The first offset the source still has.
    pub source_start: i64,
    /// The source's end as its readers see it (last stable offset).
    pub source_end: i64,
    /// The source offset below which every record is acknowledged by the target.
    pub position: i64,
    /// The target offset behind our last acknowledged record.
    pub target_end: i64,
    /// Offsets between `position` and `source_end`.
    pub lag_records: i64,
    /// Records acknowledged by the target since the process started.
    pub records_copied: u64,
    /// Bytes of the batches that carried them, as they went over the wire.
    pub bytes_copied: u64,
    /// Batches whose payload passed untouched.
    pub batches_as_is: u64,
    /// Batches that were decoded and encoded again.
    pub batches_rebuilt: u64,
    /// Records that readers of committed data do not see, control records, and those that a rule leaves out: not copied.
    pub records_dropped: u64,
    /// Records that the task's rule made.
    pub records_written: u64,
    /// Records that it could not process.
    pub records_failed: u64,
    /// Those of them that went to the topic for dead letters.
    pub dead_letters: u64,
    /// How often the lane asked the target's tail after an interruption.
    pub recoveries: u64,
    /// Batches rebuilt or dropped, by reason.
    pub reasons: BTreeMap<&'static str, u64>,
    /// Those of them that were dropped: some reasons are of both kinds.
    pub drop_reasons: BTreeMap<&'static str, u64>,
    /// The last error, also when it ended by itself.
    pub last_error: Option<String>,
}

/// The partitions of one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TopicProgress {
    /// The source topic.
    pub topic: String,
    /// Its name on the target.
    pub target_topic: String,
    /// One entry per lane, by source partition.
    pub partitions: Vec<PartitionProgress>,
}

/// What the sync of a consumer group's offsets is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GroupState {
    /// Seen, not decided yet.
    #[default]
    Pending,
    /// The target has what the source has.
    Synced,
    /// The source's offset lies beyond what the target has acknowledged; the target keeps the former one until then.
    Held,
    /// The group was made known on the target and has no position to carry over.
    Known,
    /// The offset lies before the range of which this task knows where it is on the target; nothing was guessed.
    Unknown,
    /// The target or the source refuses; the event says why.
    Refused,
    /// The target does not have the group and it may not be made there.
    Skipped,
    /// Somebody else has the group on the target: it is left alone.
    TakenOver,
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Synced => "synced",
            Self::Held => "held until its records are copied",
            Self::Known => "known, without a position",
            Self::Unknown => "before what is known of the target",
            Self::Refused => "refused",
            Self::Skipped => "not made on the target",
            Self::TakenOver => "taken over",
        })
    }
}

/// One offset of a consumer group, as it stands. Offsets are −1 while unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GroupPartitionProgress {
    /// The source topic.
    pub topic: String,
    /// The source partition.
    pub partition: i32,
    /// What the group has committed on the source.
    pub source_offset: i64,
    /// What this task has committed on the target.
    pub target_offset: i64,
    /// Records that the group has not read on the source.
    pub lag_records: i64,
    /// What its sync is doing.
    pub state: GroupState,
}

/// The offsets of one consumer group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GroupProgress {
    /// The group's id, the same on both clusters.
    pub group: String,
    /// What its sync is doing: the least happy state of its partitions.
    pub state: GroupState,
    /// Records that the group has not read on the source.
    pub lag_records: i64,
    /// One entry per source partition in scope.
    pub partitions: Vec<GroupPartitionProgress>,
}

impl GroupProgress {
    /// A group with the given state, or else the least happy one of its partitions.
    pub(crate) fn new(
        group: String,
        state: Option<GroupState>,
        partitions: Vec<GroupPartitionProgress>,
    ) -> Self {
        let worst = partitions.iter().map(|partition| partition.state).max().unwrap_or_default();
        let lag_records = partitions.iter().map(|partition| partition.lag_records).sum();
        Self { group, state: state.unwrap_or(worst), lag_records, partitions }
    }
}

impl GroupPartitionProgress {
    pub(crate) fn new(
        topic: String,
        partition: i32,
        offsets: (i64, i64),
        lag_records: i64,
        state: GroupState,
    ) -> Self {
        let (source_offset, target_offset) = offsets;
        Self { topic, partition, source_offset, target_offset, lag_records, state }
    }
}

/// A task's copy, as it stands.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Progress {
    /// One entry per topic, by name.
    pub topics: Vec<TopicProgress>,
    /// One entry per consumer group in scope, by id; empty unless group offsets are synced.
    #[serde(serialize_with = "as_slice")]
    pub groups: Arc<Vec<GroupProgress>>,
    /// Lookup tables that follow topics.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<TableProgress>,
    /// Sums over all lanes.
    pub total: Totals,
    /// Time since the task started.
    #[serde(rename = "elapsed_ms", serialize_with = "as_millis")]
    pub elapsed: Duration,
}

/// What a lookup table is doing that follows a topic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TableState {
    /// Its topic is read from the beginning. The first time, no record is processed meanwhile.
    #[default]
    Reading,
    /// It is what its topic says, and follows.
    Following,
    /// Its topic cannot be read at the moment; the events say why.
    Waiting,
}

/// A lookup table that follows a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TableProgress {
    /// The name by which the rule knows it.
    pub table: String,
    /// Its topic.
    pub topic: String,
    /// What it is doing.
    pub state: TableState,
    /// Rows that it has.
    pub rows: usize,
    /// About how many bytes of memory they take.
    pub bytes: usize,
    /// Offsets of the topic that are still to be read.
    pub lag_records: i64,
    /// Records of the topic that were no rows.
    pub rows_skipped: u64,
}

/// Sums over all lanes of a task.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// Lanes in all.
    pub partitions: u64,
    /// Lanes that stopped and need an operator.
    pub stopped: u64,
    /// Records acknowledged since the process started.
    pub records: u64,
    /// Bytes of their batches.
    pub bytes: u64,
    /// Offsets not yet copied.
    pub lag_records: i64,
    /// Records per second since the last snapshot.
    pub records_per_second: f64,
    /// Bytes per second since the last snapshot.
    pub bytes_per_second: f64,
}

fn as_slice<S: serde::Serializer>(
    value: &Arc<Vec<GroupProgress>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    value.as_slice().serialize(serializer)
}

fn as_millis<S: serde::Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
}

impl Progress {
    /// Consumer groups that were to stand on the target and do not, and may yet: held, refused, or not decided. Those that are left
    /// alone by a rule (taken over, not made, before the map) are none.
    pub fn unfinished_groups(&self) -> impl Iterator<Item = &GroupProgress> {
        self.groups.iter().filter(|group| {
            matches!(group.state, GroupState::Pending | GroupState::Held | GroupState::Refused)
        })
    }

    /// Takes the state of `lanes`, which are at least those of the last time, with rates since then.
    pub(crate) fn update(
        &mut self,
        lanes: &[Arc<LaneStatus>],
        groups: Arc<Vec<GroupProgress>>,
        elapsed: Duration,
    ) {
        let before = std::mem::take(&mut self.total);
        for lane in lanes {
            let partition = lane.snapshot();
            self.total.partitions += 1;
            self.total.stopped += u64::from(partition.state == LaneState::Stopped);
            self.total.records += partition.records_copied;
            self.total.bytes += partition.bytes_copied;
            self.total.lag_records += partition.lag_records;
            if lane.is_retired.load(Ordering::Relaxed) {
                let key = &lane.key;
                self.topics.retain(|topic| {
                    topic.topic != key.source_topic || topic.target_topic != key.target_topic
                });
                continue;
            }
            self.put(&lane.key, partition);
        }
        let seconds = elapsed.saturating_sub(self.elapsed).as_secs_f64();
        if seconds > 0.0 {
            self.total.records_per_second = rate(self.total.records, before.records, seconds);
            self.total.bytes_per_second = rate(self.total.bytes, before.bytes, seconds);
        }
        (self.groups, self.elapsed) = (groups, elapsed);
    }

    /// Puts a partition in its place among the others.
    fn put(&mut self, key: &LaneKey, partition: PartitionProgress) {
        let name = (key.source_topic.as_str(), key.target_topic.as_str());
        let name_of =
            |topic: &TopicProgress| (topic.topic.as_str(), topic.target_topic.as_str()).cmp(&name);
        let topic = match self.topics.binary_search_by(name_of) {
            Ok(at) => at,
            Err(at) => {
                let (topic, target_topic) = (name.0.to_owned(), name.1.to_owned());
                self.topics
                    .insert(at, TopicProgress { topic, target_topic, partitions: Vec::new() });
                at
            }
        };
        let partitions = &mut self.topics[topic].partitions;
        let place = (partition.partition, partition.target_partition);
        match partitions
            .binary_search_by_key(&place, |known| (known.partition, known.target_partition))
        {
            Ok(at) => partitions[at] = partition,
            Err(at) => partitions.insert(at, partition),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
fn rate(now: u64, before: u64, seconds: f64) -> f64 {
    now.saturating_sub(before) as f64 / seconds
}

#[cfg(test)]
mod tests;
