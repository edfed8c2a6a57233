//! What a task is, as arguments: for every command that takes a task.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, ValueEnum};
use replicate::spec::{
    AclSync, AclWrite, ConfigSync, LossPolicy, RecreatedPolicy, RefusedRecordPolicy, SyncMode,
    TaskName, TopicPattern,
};

use super::values::{duration, request_lifetime, size, start};

/// Where copying starts in partitions that have no stored position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartArg {
    /// The whole history.
    Earliest,
    /// Only what comes from now on.
    Latest,
    /// The first record at or after this time, milliseconds since the epoch.
    Time(i64),
}

/// What a sync carries over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum SyncArg {
    /// Topics with partitions and configuration, no records
    Metadata,
    /// Topics and their records
    MetadataData,
    /// Topics, records and consumer group offsets
    MetadataDataOffsets,
}

impl From<SyncArg> for SyncMode {
    fn from(arg: SyncArg) -> Self {
        match arg {
            SyncArg::Metadata => Self::Metadata,
            SyncArg::MetadataData => Self::MetadataData,
            SyncArg::MetadataDataOffsets => Self::MetadataDataOffsets,
        }
    }
}

/// What to do where the target holds records that may be a copy the state does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnknownTargetArg {
    /// Stop that partition and say why
    Stop,
    /// Begin at the start position behind them: they may be there twice afterwards
    Append,
    /// Count records of the source by an unknown producer as copied
    Adopt,
}

/// A task: in a file, or as two connections with settings.
#[derive(Debug, Args)]
pub(crate) struct TaskArgs {
    /// A file with one task, or with a list `tasks`; instead of the options below
    #[arg(short = 'f', long, value_name = "FILE", conflicts_with_all = ["source", "target", "TaskSettings"])]
    pub(crate) file: Option<PathBuf>,
    /// Cluster to read from: HOST:PORT[,HOST:PORT…] or a connection file
    #[arg(long, value_name = "CONNECTION", required_unless_present = "file")]
    pub(crate) source: Option<String>,
    /// Cluster to write to: HOST:PORT[,HOST:PORT…] or a connection file
    #[arg(long, value_name = "CONNECTION", required_unless_present = "file")]
    pub(crate) target: Option<String>,
    /// Everything else.
    #[command(flatten)]
    pub(crate) settings: TaskSettings,
}

/// The settings of a task. Each has a field of the same name in a task file.
#[derive(Debug, Clone, Args)]
pub(crate) struct TaskSettings {
    /// Name of this task: letters, digits, '_', '-', '.', up to 64
    #[arg(long, value_name = "NAME", default_value = "sync")]
    pub(crate) name: TaskName,
    /// What to carry over
    #[arg(long, value_name = "WHAT", default_value = "metadata_data")]
    pub(crate) sync: SyncArg,
    /// Only topics whose whole name matches this regular expression; all topics without it
    #[arg(long, value_name = "REGEX")]
    pub(crate) topics: Option<TopicPattern>,
    /// Only topics whose whole name matches this regular expression or --topics, repeatable
    #[arg(long, value_name = "REGEX")]
    pub(crate) include: Vec<TopicPattern>,
    /// No topics whose whole name matches this regular expression, repeatable
    #[arg(long, value_name = "REGEX")]
    pub(crate) exclude: Vec<TopicPattern>,
    /// Goes before the names of topics on the target
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) rename_prefix: String,
    /// Goes behind the names of topics on the target
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) rename_suffix: String,
    /// A topic whose whole name matches this regular expression is called --rename-to on the target
    #[arg(long, value_name = "REGEX", requires = "rename_to")]
    pub(crate) rename_match: Option<TopicPattern>,
    /// What such a topic is called; $1 and ${name} stand for groups of --rename-match
    #[arg(long, value_name = "TEXT", requires = "rename_match")]
    pub(crate) rename_to: Option<String>,
    /// Where to start where nothing was copied yet: earliest, latest, or a time (RFC 3339 or epoch milliseconds)
    #[arg(long, value_name = "START", default_value = "earliest", value_parser = start, allow_hyphen_values = true)]
    pub(crate) start: StartArg,
    /// Write each record to the partition number it came from; with false, partition modulo the target's count
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub(crate) same_partition: bool,
    /// Settings of topics that were created: once, only unlimited retention follows the source and other differences are told; follow,
    /// all that a new topic would get follow
    #[arg(long, value_name = "once|follow", default_value = "once")]
    pub(crate) config_sync: ConfigSync,
    /// Which ACLs follow the source: those of the topics that are copied, or also those of consumer groups and transactional ids
    #[arg(long, value_name = "none|topics|all", default_value = "none")]
    pub(crate) acl_sync: AclSync,
    /// The right to write to topics: withhold, nobody gets it on the target; copy, it follows the source like every other right
    #[arg(long, value_name = "withhold|copy", default_value = "withhold")]
    pub(crate) acl_write: AclWrite,
    /// Records that the target refuses (too large, no key for a compacted topic, timestamp out of range): stop their
    /// partition, or skip them and name them
    #[arg(long, value_name = "stop|skip", default_value = "stop")]
    pub(crate) on_refused_record: RefusedRecordPolicy,
    /// Records that the source deleted before they were copied: stop their partition, or name them and go on
    #[arg(long, value_name = "stop|continue", default_value = "continue")]
    pub(crate) on_retention: LossPolicy,
    /// Copied records that the source has lost since (unclean election): stop their partition, or name them, keep them on
    /// the target and go on with what the source has in their place. Caution: with continue the target keeps
    /// records that the source has not, and its readers see those and what the source has in their place
    #[arg(long, value_name = "stop|continue", default_value = "stop")]
    pub(crate) on_truncation: LossPolicy,
    /// A source topic that was deleted and created again: stop its copy, let the new records follow on the same target
    /// topic, or copy them to a new one, NAME.ID, where ID is the beginning of the new topic's id
    #[arg(long, value_name = "stop|continue|new_topic", default_value = "stop")]
    pub(crate) on_recreated: RecreatedPolicy,
    /// What to do where the target may hold a copy that the state does not know (lost or old state)
    #[arg(long, value_name = "WHAT", default_value = "stop")]
    pub(crate) on_unknown_target: UnknownTargetArg,
    /// Where this task keeps its position [default: ./kferry-state/NAME]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Read no more than so many bytes of record batches per second, such as 20MB or 50MiB [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_bytes_per_second: Option<NonZeroU64>,
    /// Read no more than so many records per second [default: no limit]
    #[arg(long, value_name = "N")]
    pub(crate) max_records_per_second: Option<NonZeroU64>,
    /// Merge small batches where a partition cannot keep up with them; with false, every batch that the target takes travels as
    /// it is
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub(crate) merge_batches: bool,
    /// Memory for record batches on their way, from 4MiB on [default: 16MiB, and as much as the way asks for where brokers are far
    /// away, up to 256MiB]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) buffer: Option<NonZeroU64>,
    /// Most workers; never more than there are partitions or cores
    #[arg(long, value_name = "N", default_value = "20")]
    pub(crate) concurrency: NonZeroUsize,
    /// For how long a request of a lost connection may still reach the target's log, up to 1h; a bare number is seconds. After
    /// an interruption with answers missing, records older than 12 hours wait for so long
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = request_lifetime)]
    pub(crate) request_lifetime: Duration,
    /// Time between two comparisons of topic settings and partition counts, from 5s on
    #[arg(long, value_name = "DURATION", default_value = "3m", value_parser = duration)]
    pub(crate) metadata_interval: Duration,
    /// Time between two looks for new topics and partitions
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
    pub(crate) discovery_interval: Duration,
    /// Time between two looks at the source's consumer groups, from 500ms on
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub(crate) group_interval: Duration,
    /// Time after which an unchanged group offset is committed again, from 1m on; shorter than the target's
    /// offsets.retention.minutes
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    pub(crate) group_keep_alive: Duration,
    /// Show how far the copy has come as consumer group kferry-TASK on the source, where any tool for lag sees it
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub(crate) position_group: bool,
}
