//! What a task is asked to do: the one description that the command line and the control plane share.

mod acls;
mod topics;
mod transform;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;
use thiserror::Error;

use crate::budget::ByteBudget;
use crate::lane::Coalescing;
pub use crate::pace::RateLimit;
pub use acls::{AclSync, AclWrite};
pub use topics::{Rename, TopicLists, TopicPattern, TopicSelection};
pub use transform::{Partitioning, TABLE_BYTES_MAX, TableTopic, Transform, TransformSpec};

/// The longest task name, in characters.
pub const TASK_NAME_CHARS_MAX: usize = 64;

/// A description of a task that cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SpecError {
    /// The name is empty or too long.
    #[error("a task name has 1 to {TASK_NAME_CHARS_MAX} characters, this one has {count}")]
    NameLength {
        /// Characters found.
        count: usize,
    },
    /// The name holds a character that names must not have.
    #[error(
        "a task name consists of letters, digits, '_', '-' and '.', but character {position} is {found:?}"
    )]
    NameCharacter {
        /// Position of the character, from 1.
        position: usize,
        /// The character.
        found: char,
    },
    /// The topic expression is none.
    #[error("topic expression {pattern:?} is no regular expression{}: {message}", at(*.position))]
    Pattern {
        /// The expression.
        pattern: String,
        /// Where it goes wrong, in characters from 1, as far as that is known.
        position: Option<usize>,
        /// What is wrong with it.
        message: String,
    },
    /// Group offsets of single topics are not synced.
    #[error(
        "group offsets are synced for all topics only: use sync mode metadata_data with a topic expression"
    )]
    OffsetsNeedAllTopics,
    /// A metadata task copies all topics and no records.
    #[error("a topic expression needs sync mode metadata_data")]
    PatternNeedsData,
    /// A metadata task copies no records that could begin anywhere.
    #[error("a start position needs records: with sync mode metadata none are copied")]
    StartNeedsData,
    /// What a rule makes goes to topics of its own, with records that are no copies.
    #[error("ACLs travel with copies: where a rule processes the records, acl_sync must be none")]
    AclsNeedCopies,
    /// A renamed topic could not be called so.
    #[error("topic names consist of letters, digits, '_', '-' and '.', but {text:?} has {found:?}")]
    RenameCharacter {
        /// The text that becomes a part of names.
        text: String,
        /// The character.
        found: char,
    },
    /// A replacement names a group that its expression does not have.
    #[error(
        "the replacement {text:?} names the group {group:?}, which the expression does not have"
    )]
    RenameGroup {
        /// The replacement.
        text: String,
        /// The group.
        group: String,
    },
    /// A limit is out of its range.
    #[error("{name} is {found}, but must be {range}")]
    Limit {
        /// The limit's name.
        name: &'static str,
        /// Its value.
        found: String,
        /// What is allowed.
        range: &'static str,
    },
}

/// The text for a position that may be unknown.
fn at(position: Option<usize>) -> String {
    position.map(|position| format!(" (at character {position})")).unwrap_or_default()
}

/// A task's name: 1 to 64 letters, digits, `_`, `-` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct TaskName(String);

impl TaskName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for TaskName {
    type Err = SpecError;

    fn from_str(text: &str) -> Result<Self, SpecError> {
        let count = text.chars().count();
        if count == 0 || count > TASK_NAME_CHARS_MAX {
            return Err(SpecError::NameLength { count });
        }
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        match text.chars().enumerate().find(|(_, c)| !is_allowed(*c)) {
            Some((index, found)) => Err(SpecError::NameCharacter { position: index + 1, found }),
            None => Ok(Self(text.to_owned())),
        }
    }
}

impl fmt::Display for TaskName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncMode {
    /// Topics and their configuration.
    Metadata,
    /// Topics and records.
    #[default]
    MetadataData,
    /// Topics, records and the offsets of consumer groups.
    MetadataDataOffsets,
}

impl SyncMode {
    /// Whether records are copied.
    #[must_use]
    pub const fn copies_data(self) -> bool {
        !matches!(self, Self::Metadata)
    }

    /// The name on the command line and in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::MetadataData => "metadata_data",
            Self::MetadataDataOffsets => "metadata_data_offsets",
        }
    }
}

impl fmt::Display for SyncMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SyncMode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Metadata, Self::MetadataData, Self::MetadataDataOffsets]
            .into_iter()
            .find(|mode| mode.name() == text)
            .ok_or_else(|| {
                format!("{text:?} is none of metadata, metadata_data, metadata_data_offsets")
            })
    }
}

/// Where the copy of a partition begins that was there when the task was created. Later ones begin at
/// their first offset (BF-30).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum StartPosition {
    /// At the first record there is.
    #[default]
    Earliest,
    /// Behind the last record there is.
    Latest,
    /// At the first record whose timestamp is this or later, in milliseconds since 1970.
    Timestamp(i64),
}

/// What happens when the target refuses single records: too large, without a key for a compacted topic, or with a
/// timestamp that it does not take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedRecordPolicy {
    /// The partition's copy stops and names the record.
    #[default]
    Stop,
    /// Exactly these records are left out, and an event names them.
    Skip,
}

/// What is done when the source is not what was copied any more: the event names what is lost either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LossPolicy {
    /// The partition's copy stops; an operator decides.
    Stop,
    /// The copy goes on with what the source has now. The target keeps what it has.
    Continue,
}

impl FromStr for LossPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "stop" => Ok(Self::Stop),
            "continue" => Ok(Self::Continue),
            _ => Err(format!("{text:?} is none of stop, continue")),
        }
    }
}

/// What is done when a source topic was deleted and created again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecreatedPolicy {
    /// Its copy stops; an operator decides.
    Stop,
    /// The new topic's records follow those of the former one.
    Continue,
    /// The new topic gets a topic of its own on the target, named after its id. The former one is left as it is.
    NewTopic,
}

impl From<LossPolicy> for RecreatedPolicy {
    fn from(policy: LossPolicy) -> Self {
        match policy {
            LossPolicy::Stop => Self::Stop,
            LossPolicy::Continue => Self::Continue,
        }
    }
}

impl FromStr for RecreatedPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "stop" => Ok(Self::Stop),
            "continue" => Ok(Self::Continue),
            "new_topic" => Ok(Self::NewTopic),
            _ => Err(format!("{text:?} is none of stop, continue, new_topic")),
        }
    }
}

/// What is done when the source loses records or has another topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct SourcePolicies {
    /// Records were deleted before they were copied.
    pub retention: LossPolicy,
    /// The source lost records that were copied (unclean election, restored backup).
    pub truncation: LossPolicy,
    /// The topic was deleted and created again.
    pub recreated: RecreatedPolicy,
}

impl Default for SourcePolicies {
    fn default() -> Self {
        Self {
            retention: LossPolicy::Continue,
            truncation: LossPolicy::Stop,
            recreated: RecreatedPolicy::Stop,
        }
    }
}

impl FromStr for RefusedRecordPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "stop" => Ok(Self::Stop),
            "skip" => Ok(Self::Skip),
            _ => Err(format!("{text:?} is none of stop, skip")),
        }
    }
}

/// Which settings of a topic follow the source after the topic was created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConfigSync {
    /// Unlimited retention only; every other difference is told.
    #[default]
    Once,
    /// All that would be set at creation.
    Follow,
}

impl FromStr for ConfigSync {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "once" => Ok(Self::Once),
            "follow" => Ok(Self::Follow),
            _ => Err(format!("{text:?} is none of once, follow")),
        }
    }
}

/// Bounds and paces of a task; every one can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskLimits {
    /// Most workers, each with connections of its own; started as needed, and never more than there are cores.
    pub concurrency_max: usize,
    /// Bytes that may be fetched and not yet acknowledged, over all lanes.
    pub in_flight_bytes_max: usize,
    /// What becomes of it where brokers are far away and more would pass in a round trip.
    pub in_flight_far_bytes_max: usize,
    /// Time between two comparisons of the topics' metadata; at least 5 s.
    pub metadata_interval: Duration,
    /// Time between two looks for new topics and partitions.
    pub discovery_interval: Duration,
    /// Time between two looks at the source's consumer groups; at least 500 ms.
    pub group_interval: Duration,
    /// Time after which an unchanged group offset is committed again; must be shorter than the target's
    /// `offsets.retention.minutes` (BF-32).
    pub group_keep_alive: Duration,
    /// How fast the task may read.
    pub rate: RateLimit,
    /// Bytes of one fetch answer.
    pub fetch_bytes_max: i32,
    /// Bytes of one partition in a fetch answer.
    pub fetch_partition_bytes_max: i32,
    /// Where a source broker is this far away or farther (a round trip), answers are read ahead.
    pub read_ahead_from: Duration,
    /// How long the source may wait for new records before it answers a fetch.
    pub fetch_wait: Duration,
    /// How long the target may wait for its replicas before it answers a produce.
    pub produce_timeout: Duration,
    /// How long a newly created topic may take until all its partitions have leaders.
    pub topic_ready_timeout: Duration,
    /// How long the target certainly remembers a producer after the time of its newest record: half of
    /// `producer.id.expiration.ms`, so that clocks may differ. Older batches travel one at a time.
    pub producer_memory: Duration,
    /// How long a request of a lost connection may still be appended by the target: records older than `producer_memory`
    /// wait for so long behind an interruption, and whole lanes where no fence is allowed.
    pub request_lifetime: Duration,
    /// Bytes that one batch may decompress to when it is rebuilt.
    pub decompressed_bytes_max: usize,
    /// Offset map segments of one lane kept in memory.
    pub map_segments_max: usize,
    /// Produce requests under way to one broker at a time.
    pub produce_requests_max: usize,
    /// Where a lane is behind, uncompressed batches smaller than this are merged with the neighbours that wait behind them, in bytes;
    /// 0 for none (ADR 0010).
    pub coalesce_below_bytes: usize,
    /// The same for compressed batches, which must be decompressed and compressed again for it; four times as much (and at most as for
    /// uncompressed ones) where a lane sends one batch at a time.
    pub coalesce_packed_below_bytes: usize,
    /// Bytes of a merged batch, before compression.
    pub coalesced_bytes_max: usize,
}

impl TaskLimits {
    /// The budget for all bytes in flight that they ask for.
    #[must_use]
    pub fn budget(&self) -> ByteBudget {
        ByteBudget::growing(self.in_flight_bytes_max, self.in_flight_far_bytes_max)
    }

    pub(crate) fn coalescing(&self) -> Coalescing {
        Coalescing {
            below_bytes: self.coalesce_below_bytes,
            packed_below_bytes: self.coalesce_packed_below_bytes,
            merged_bytes_max: self.coalesced_bytes_max,
            under_way_max: self.produce_requests_max,
        }
    }
}

impl Default for TaskLimits {
    fn default() -> Self {
        Self {
            concurrency_max: 20,
            in_flight_bytes_max: 16 << 20,
            in_flight_far_bytes_max: 256 << 20,
            metadata_interval: Duration::from_secs(180),
            discovery_interval: Duration::from_secs(10),
            group_interval: Duration::from_secs(2),
            group_keep_alive: Duration::from_secs(24 * 3600),
            rate: RateLimit::default(),
            fetch_bytes_max: 1 << 20,
            fetch_partition_bytes_max: 1 << 20,
            read_ahead_from: Duration::from_millis(2),
            fetch_wait: Duration::from_millis(500),
            produce_timeout: Duration::from_secs(10),
            topic_ready_timeout: Duration::from_secs(60),
            producer_memory: Duration::from_secs(12 * 3600),
            request_lifetime: Duration::from_secs(30),
            decompressed_bytes_max: 256 << 20,
            map_segments_max: 4096,
            produce_requests_max: 5,
            coalesce_below_bytes: 64 << 10,
            coalesce_packed_below_bytes: 4 << 10,
            coalesced_bytes_max: 512 << 10,
        }
    }
}

/// What happens to a partition whose target may hold a copy that the state does not know and that cannot be placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownTarget {
    /// Its copy stops; an event says why.
    #[default]
    Stop,
    /// The copy begins at the start position: what is there already may be there twice afterwards.
    Append,
    /// Records of the source by an unknown producer count as this task's copy. Stops where even their content has no
    /// place in the source.
    Adopt,
}

/// One replication task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskSpec {
    /// The task's name; part of its transactional ids.
    pub name: TaskName,
    /// What travels.
    pub sync: SyncMode,
    /// Which topics travel.
    pub topics: TopicSelection,
    /// What topics are called on the target.
    pub rename: Rename,
    /// Where the copy begins.
    pub start: StartPosition,
    /// On: records of source partition p go to target partition p. Off: to p mod the target's count.
    pub same_partition: bool,
    /// Which settings follow the source after a topic was created.
    pub config_sync: ConfigSync,
    /// Which ACLs travel.
    pub acl_sync: AclSync,
    /// What becomes of the right to write to topics.
    pub acl_write: AclWrite,
    /// Whether consumer groups that the target does not have may be made there.
    pub group_auto_create: bool,
    /// End when the offsets seen at the start are copied.
    pub once: bool,
    /// What happens when the target refuses single records.
    pub refused_record: RefusedRecordPolicy,
    /// What is done when the source loses records or has another topic.
    pub source_policies: SourcePolicies,
    /// What happens where the target may hold a copy that the state does not know.
    pub on_unknown_target: UnknownTarget,
    /// On which threads the workers run.
    pub worker_threads: WorkerThreads,
    /// What becomes of each record; without it records are copied as they are.
    pub transform: Option<Transform>,
    /// Bounds and paces.
    pub limits: TaskLimits,
}

/// On which threads the workers of a task run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WorkerThreads {
    /// On those of the runtime that runs the task.
    #[default]
    Shared,
    /// As `Shared`, and lanes change workers at random: for tests.
    Shuffled,
    /// Each on a thread of its own, with its connections: nothing on the way of a batch wakes another thread, and a batch
    /// leaves from the cache that it came into.
    Own,
}

impl TaskSpec {
    /// A task with every setting at its default.
    #[must_use]
    pub fn new(name: TaskName) -> Self {
        Self {
            name,
            sync: SyncMode::default(),
            topics: TopicSelection::default(),
            rename: Rename::default(),
            start: StartPosition::default(),
            same_partition: true,
            config_sync: ConfigSync::default(),
            acl_sync: AclSync::default(),
            acl_write: AclWrite::default(),
            group_auto_create: true,
            once: false,
            refused_record: RefusedRecordPolicy::default(),
            source_policies: SourcePolicies::default(),
            on_unknown_target: UnknownTarget::default(),
            worker_threads: WorkerThreads::default(),
            transform: None,
            limits: TaskLimits::default(),
        }
    }

    /// Whether the settings go together.
    ///
    /// # Errors
    /// [`SpecError`] names the first that does not.
    pub fn validate(&self) -> Result<(), SpecError> {
        match (&self.topics, self.sync) {
            (TopicSelection::All, _) | (_, SyncMode::MetadataData) => {}
            (_, SyncMode::MetadataDataOffsets) => return Err(SpecError::OffsetsNeedAllTopics),
            (_, SyncMode::Metadata) => return Err(SpecError::PatternNeedsData),
        }
        self.rename.validate()?;
        if !self.sync.copies_data() && self.start != StartPosition::Earliest {
            return Err(SpecError::StartNeedsData);
        }
        if self.transform.is_some() && self.acl_sync != AclSync::None {
            return Err(SpecError::AclsNeedCopies);
        }
        let limits = &self.limits;
        let limit = |is_met: bool, name, found: String, range| {
            if is_met { Ok(()) } else { Err(SpecError::Limit { name, found, range }) }
        };
        limit(
            limits.concurrency_max > 0,
            "concurrency_max",
            limits.concurrency_max.to_string(),
            "at least 1",
        )?;
        let interval = limits.metadata_interval;
        limit(
            interval >= Duration::from_secs(5),
            "metadata_interval",
            format!("{interval:?}"),
            "at least 5 s",
        )?;
        let interval = limits.discovery_interval;
        limit(!interval.is_zero(), "discovery_interval", format!("{interval:?}"), "above 0")?;
        let interval = limits.group_interval;
        limit(
            interval >= Duration::from_millis(500),
            "group_interval",
            format!("{interval:?}"),
            "at least 500 ms",
        )?;
        let interval = limits.group_keep_alive;
        limit(
            interval >= Duration::from_secs(60),
            "group_keep_alive",
            format!("{interval:?}"),
            "at least 1 min",
        )?;
        limit(
            limits.fetch_bytes_max > 0,
            "fetch_bytes_max",
            limits.fetch_bytes_max.to_string(),
            "above 0",
        )?;
        let bytes = limits.fetch_partition_bytes_max;
        limit(bytes > 0, "fetch_partition_bytes_max", bytes.to_string(), "above 0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_name(text: &str, expected: Result<(), &str>) {
        let found = text.parse::<TaskName>().map(|_| ()).map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    #[test]
    fn task_names() {
        check_name("a", Ok(()));
        check_name("Orders_2-eu.west", Ok(()));
        check_name(&"x".repeat(64), Ok(()));
        check_name("", Err("a task name has 1 to 64 characters, this one has 0"));
        check_name(&"x".repeat(65), Err("a task name has 1 to 64 characters, this one has 65"));
        let message =
            "a task name consists of letters, digits, '_', '-' and '.', but character 3 is '/'";
        check_name("ab/c", Err(message));
        check_name(
            "é",
            Err(
                "a task name consists of letters, digits, '_', '-' and '.', but character 1 is 'é'",
            ),
        );
    }

    #[track_caller]
    fn check_spec(change: impl FnOnce(&mut TaskSpec), expected: Option<SpecError>) {
        let mut spec = TaskSpec::new("t".parse().unwrap());
        change(&mut spec);
        assert_eq!(spec.validate().err(), expected);
    }

    #[test]
    fn modes_and_patterns_go_together() {
        let pattern = || TopicSelection::Regex("a".parse().unwrap());
        check_spec(|_| {}, None);
        check_spec(|spec| spec.topics = pattern(), None);
        check_spec(
            |spec| {
                spec.topics = pattern();
                spec.sync = SyncMode::MetadataDataOffsets;
            },
            Some(SpecError::OffsetsNeedAllTopics),
        );
        check_spec(
            |spec| {
                spec.topics = pattern();
                spec.sync = SyncMode::Metadata;
            },
            Some(SpecError::PatternNeedsData),
        );
        check_spec(
            |spec| {
                spec.start = StartPosition::Latest;
                spec.sync = SyncMode::Metadata;
            },
            Some(SpecError::StartNeedsData),
        );
    }

    #[test]
    fn limits_have_ranges() {
        let found = |change: fn(&mut TaskLimits)| {
            let mut spec = TaskSpec::new("t".parse().unwrap());
            change(&mut spec.limits);
            spec.validate().unwrap_err().to_string()
        };
        assert_eq!(
            found(|limits| limits.concurrency_max = 0),
            "concurrency_max is 0, but must be at least 1"
        );
        let text = found(|limits| limits.metadata_interval = Duration::from_secs(4));
        assert_eq!(text, "metadata_interval is 4s, but must be at least 5 s");
        let text = found(|limits| limits.group_interval = Duration::from_millis(499));
        assert_eq!(text, "group_interval is 499ms, but must be at least 500 ms");
    }
}
