//! What a task must not forget: the durable record behind "no record missing, none twice".
//!
//! The journal holds, per lane, the producer epochs, the runs (before anything of them is sent), how far
//! the target has acknowledged, and the offset map; per topic, under which name it travels and which
//! partitions were there when the task began; and which clusters all this is about. `replicate` sees only the
//! [`Journal`] trait: [`RedbJournal`] keeps it in one file, [`MemoryJournal`] in memory for tests and the demo.

mod error;
mod memory;
mod outputs;
mod redb_journal;
mod source_epochs;
mod store;
mod stored;

use std::fmt;
use std::pin::Pin;

use forward::{EpochBase, Ordinal, Runs, Segment, SourceOffset, TargetOffset};
use kafka_wire::Uuid;
use serde::{Deserialize, Serialize};

pub use error::JournalError;
pub use memory::MemoryJournal;
pub use outputs::{OutputCut, Outputs, SourcePlace};
pub use redb_journal::RedbJournal;
pub(crate) use source_epochs::Walk;
pub use source_epochs::{SOURCE_EPOCHS_MAX, SourceEpoch, SourceEpochs};

/// A future of the journal.
pub type JournalFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, JournalError>> + Send + 'a>>;

/// Which source partition goes to which target partition. A recreated topic takes over the key of the old one;
/// its id, in the record, differs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LaneKey {
    /// Topic on the source.
    pub source_topic: String,
    /// Its partition.
    pub source_partition: i32,
    /// Topic on the target.
    pub target_topic: String,
    /// Its partition.
    pub target_partition: i32,
}

impl fmt::Display for LaneKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.source_topic, self.source_partition)?;
        if self.target_topic != self.source_topic || self.target_partition != self.source_partition
        {
            write!(f, " to {}-{}", self.target_topic, self.target_partition)?;
        }
        Ok(())
    }
}

/// How far a lane has come: everything below is on the target, acknowledged, or needed no copying.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneProgress {
    /// The first ordinal without an acknowledgement.
    pub ordinal: Ordinal,
    /// The source offset to read next.
    pub source_next: SourceOffset,
    /// The target offset behind the last acknowledged record.
    pub target_next: TargetOffset,
}

/// All that a lane needs to be taken up again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneRecord {
    /// Whose record this is.
    pub lane: LaneKey,
    /// The source topic's id when the lane began, if its brokers have ids.
    #[serde(with = "stored::uuid_text")]
    pub source_topic_id: Option<Uuid>,
    /// The target topic's id, likewise.
    #[serde(with = "stored::uuid_text")]
    pub target_topic_id: Option<Uuid>,
    /// The transactional id under which the producer id was allocated.
    pub transactional_id: String,
    /// Nothing of this lane is on the target that the journal does not know.
    pub settled: bool,
    /// Producer epochs, the current one last.
    pub epochs: Vec<EpochBase>,
    /// Which ordinal stands for which source offset, from the last acknowledged one on.
    pub runs: Runs,
    /// How far the lane has come.
    pub acked: LaneProgress,
    /// The leader epoch of the last batch that was read before `acked.source_next`, −1 when unknown. What older versions
    /// know of `source_epochs`.
    #[serde(default = "stored::no_epoch")]
    pub source_epoch: i32,
    /// The leader epochs of what was read, from a while before `acked.source_next`: by them the source's brokers tell
    /// where their log and the one that was read part.
    #[serde(default)]
    pub source_epochs: SourceEpochs,
    /// Where the offset map begins, when records before it were copied by a task whose state was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map_start: Option<SourceOffset>,
    /// Of tasks with a rule: what its outputs are outputs of.
    #[serde(default, skip_serializing_if = "Outputs::is_empty")]
    pub outputs: Outputs,
}

/// Under which name a source topic travels, and what it was when the task met it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicRecord {
    /// Name on the source.
    pub source_topic: String,
    /// Its id when it was met, if the brokers have ids.
    #[serde(with = "stored::uuid_text")]
    pub source_topic_id: Option<Uuid>,
    /// Name on the target.
    pub target_topic: String,
    /// Partitions below this one were there when the task began and start at the task's start position; later ones
    /// start at their first offset (BF-30).
    pub initial_partitions: i32,
}

/// What a task knows of one consumer group on the target: the ground for telling its own commits from those of others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// The group's id, the same on both clusters.
    pub group: String,
    /// Whether it was told that somebody else has the group on the target.
    pub taken_over: bool,
    /// Whether it was told that the source no longer has the group.
    #[serde(default)]
    pub is_gone: bool,
    /// What was found or written, by source partition.
    pub offsets: Vec<GroupOffset>,
}

/// What a task knows of one offset of a group on the target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupOffset {
    /// Topic on the source.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// The source offset that was translated last; −1 when nothing was.
    pub source: i64,
    /// The target offset that the target acknowledged, or had when the group was met first; −1 for none.
    pub target: i64,
    /// Target offsets that were sent and not certainly refused: any of them may be what the target has.
    pub attempted: Vec<i64>,
    /// The text committed with it.
    pub metadata: String,
    /// Whether this task wrote `target`; otherwise it was there when the group was met first.
    pub is_ours: bool,
    /// When it was written, ms since 1970.
    pub written_ms: i64,
}

/// Which task and clusters a journal belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskIdentity {
    /// The task's name.
    pub task: String,
    /// Cluster id of the source; none before Kafka 0.10.1 and behind some proxies.
    pub source_cluster_id: Option<String>,
    /// Cluster id of the target.
    pub target_cluster_id: Option<String>,
}

/// What [`Journal::claim`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// The journal was empty and now belongs to the task.
    New,
    /// The task was here before.
    Continued,
}

/// One change. All changes of one call become durable together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JournalWrite {
    /// Puts the record in the place of the lane's former one.
    Lane(Box<LaneRecord>),
    /// Adds offset map segments; one with a known `source_start` takes the place of the former.
    Segments {
        /// The lane they belong to.
        lane: LaneKey,
        /// New or grown segments.
        segments: Vec<Segment>,
    },
    /// Forgets the source offsets from `from` on in a lane's offset map, inside a segment as well: the source lost them.
    CutMap {
        /// The lane they belong to.
        lane: LaneKey,
        /// The first source offset that is forgotten.
        from: SourceOffset,
    },
    /// Puts the record in the place of the topic's former one.
    Topic(TopicRecord),
    /// Puts a note of the task in the place of its former one.
    Note {
        /// What it is about.
        name: String,
        /// What it says.
        value: String,
    },
    /// Puts the record in the place of the group's former one.
    Group(GroupRecord),
    /// Forgets a lane and its offset map.
    RemoveLane(LaneKey),
}

/// A question to the offset map of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapQuery {
    /// The segment that holds this source offset, or else the next one.
    Source(SourceOffset),
    /// The segment that holds this target offset, or else the next one.
    Target(TargetOffset),
}

/// The durable memory of one task.
///
/// Calls take effect in the order in which their futures are first polled, or earlier; a future completes when
/// the effect is durable.
pub trait Journal: fmt::Debug + Send + Sync + 'static {
    /// Takes the journal for a task, or makes sure that it already belongs to it. A cluster id that either side
    /// does not know is not compared.
    ///
    /// # Errors
    /// [`JournalError::OtherTask`], [`JournalError::OtherCluster`], and what every call may return.
    fn claim(&self, identity: TaskIdentity) -> JournalFuture<'_, Claim>;

    /// Whose journal it is; nothing before the first claim.
    ///
    /// # Errors
    /// [`JournalError`].
    fn load_identity(&self) -> JournalFuture<'_, Option<TaskIdentity>>;

    /// Makes `writes` durable, all or none.
    ///
    /// # Errors
    /// [`JournalError`]: then nothing of it may be relied on.
    fn write(&self, writes: Vec<JournalWrite>) -> JournalFuture<'_, ()>;

    /// All lanes, in the order of their keys.
    ///
    /// # Errors
    /// [`JournalError`], also when one record cannot be read.
    fn load_lanes(&self) -> JournalFuture<'_, Vec<LaneRecord>>;

    /// All topics, in the order of their source names.
    ///
    /// # Errors
    /// [`JournalError`], also when one record cannot be read.
    fn load_topics(&self) -> JournalFuture<'_, Vec<TopicRecord>>;

    /// All consumer groups, in the order of their ids.
    ///
    /// # Errors
    /// [`JournalError`], also when one record cannot be read.
    fn load_groups(&self) -> JournalFuture<'_, Vec<GroupRecord>>;

    /// A note of the task.
    ///
    /// # Errors
    /// [`JournalError`].
    fn load_note(&self, name: String) -> JournalFuture<'_, Option<String>>;

    /// The youngest segments of a lane's offset map, at most `count_max`, in order; and whether there
    /// are older ones.
    ///
    /// # Errors
    /// [`JournalError`].
    fn load_map(&self, lane: LaneKey, count_max: usize) -> JournalFuture<'_, (Vec<Segment>, bool)>;

    /// One segment of a lane's offset map.
    ///
    /// # Errors
    /// [`JournalError`].
    fn query_map(&self, lane: LaneKey, query: MapQuery) -> JournalFuture<'_, Option<Segment>>;
}

impl TaskIdentity {
    /// Whether a journal that belongs to `self` may be taken up by `found`.
    pub(crate) fn check(&self, found: &Self) -> Result<(), JournalError> {
        if self.task != found.task {
            return Err(JournalError::OtherTask {
                stored: self.task.clone(),
                found: found.task.clone(),
            });
        }
        for (role, stored, found) in [
            ("source", &self.source_cluster_id, &found.source_cluster_id),
            ("target", &self.target_cluster_id, &found.target_cluster_id),
        ] {
            if let (Some(stored), Some(found)) = (stored, found)
                && stored != found
            {
                return Err(JournalError::OtherCluster {
                    role,
                    stored: stored.clone(),
                    found: found.clone(),
                });
            }
        }
        Ok(())
    }
}
