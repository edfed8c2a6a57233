//! `kferry sync`.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use clap::{ArgAction, Args, ValueEnum};
use replicate::spec::{LossPolicy, RefusedRecordPolicy, TaskName, TopicPattern};

use super::Format;
use super::values::{size, start};

const SYNC_EXAMPLES: &str = "\
Examples:
  Copy all topics with their history, and go on until Ctrl-C:
    kferry sync --source old:9092 --target new:9092

  Copy the topics whose whole name matches, once, and stop at the end offsets seen at the start:
    kferry sync --source old:9092 --target new:9092 --topics 'orders\\..*' --once

  From a moment on, with TLS and SASL described in files:
    kferry sync --source source.yaml --target target.yaml --start 2025-01-31T00:00:00Z

  As line-delimited JSON for another program:
    kferry sync --source old:9092 --target new:9092 --output json

A connection file:
    name: orders-eu
    kind: direct                    # or cross_network
    bootstrap: [broker1:9093, broker2:9093]
    tls: {ca: ca.pem}               # also cert, key, server_name, verify; paths are relative to this file
    sasl:
      mechanism: SCRAM-SHA-512      # PLAIN, SCRAM-SHA-256, SCRAM-SHA-512
      username: kferry
      password: {env: KAFKA_PASSWORD}   # or {file: PATH}; never the password itself

Stop with Ctrl-C: what is under way is settled and the position is stored. The same command continues from there.
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.";

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

/// `kferry sync`.
#[derive(Debug, Args)]
#[command(after_help = SYNC_EXAMPLES)]
pub(crate) struct SyncArgs {
    /// Cluster to read from: HOST:PORT[,HOST:PORT…] or a connection file
    #[arg(long, value_name = "CONNECTION")]
    pub(crate) source: String,
    /// Cluster to write to: HOST:PORT[,HOST:PORT…] or a connection file
    #[arg(long, value_name = "CONNECTION")]
    pub(crate) target: String,
    /// Name of this task: letters, digits, '_', '-', '.', up to 64
    #[arg(long, value_name = "NAME", default_value = "sync")]
    pub(crate) name: TaskName,
    /// What to carry over
    #[arg(long, value_name = "WHAT", default_value = "metadata_data")]
    pub(crate) sync: SyncArg,
    /// Only topics whose whole name matches this regular expression; all topics without it
    #[arg(long, value_name = "REGEX")]
    pub(crate) topics: Option<TopicPattern>,
    /// Where to start where nothing was copied yet: earliest, latest, or a time (RFC 3339 or epoch milliseconds)
    #[arg(long, value_name = "START", default_value = "earliest", value_parser = start, allow_hyphen_values = true)]
    pub(crate) start: StartArg,
    /// Write each record to the partition number it came from; with false, partition modulo the target's count
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub(crate) same_partition: bool,
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
    /// A source topic that was deleted and created again: stop its copy, or let the new records follow on the same target
    /// topic
    #[arg(long, value_name = "stop|continue", default_value = "stop")]
    pub(crate) on_recreated: LossPolicy,
    /// Where this task keeps its position [default: ./kferry-state/NAME]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Copy up to the end offsets seen at the start, then stop
    #[arg(long)]
    pub(crate) once: bool,
    /// What to do where the target may hold a copy that the state does not know (lost or old state)
    #[arg(long, value_name = "WHAT", default_value = "stop")]
    pub(crate) on_unknown_target: UnknownTargetArg,
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
    /// Memory for record batches on their way, from 4MiB on
    #[arg(long, value_name = "SIZE", default_value = "32MiB", value_parser = size)]
    pub(crate) buffer: NonZeroU64,
    /// Most workers; never more than there are partitions or cores
    #[arg(long, value_name = "N", default_value = "20")]
    pub(crate) concurrency: NonZeroUsize,
    /// Seconds for which a request of a lost connection may still reach the target's log. After an interruption with answers
    /// missing, records older than 12 hours wait for so long
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=3600))]
    pub(crate) request_lifetime: u64,
    /// Form of what is written to standard output
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Format,
}
