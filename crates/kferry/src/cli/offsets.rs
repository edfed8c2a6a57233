//! `kferry offsets`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Format;
use super::values::{PartitionAt, partition_at};

const OFFSETS_EXAMPLES: &str = "\
Examples:
  kferry offsets orders:0@1234 --state kferry-state/sync                   where is this source record on the target
  kferry offsets orders:0@1300 --state kferry-state/sync --from target     which source record is this

It works while a sync runs on the state, which then answers, and on the state of one that has ended. A running sync knows
what was acknowledged up to about a second ago.
Exit codes: 0 answered (also when the answer is: not copied yet), 1 no such topic, partition or state, 2 wrong usage.";

/// Which end an offset is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FromArg {
    /// The cluster that is copied
    Source,
    /// The cluster it is copied to
    Target,
}

/// `kferry offsets`.
#[derive(Debug, Args)]
#[command(after_help = OFFSETS_EXAMPLES)]
pub(crate) struct OffsetsArgs {
    /// The place asked about, with the topic's name on that end
    #[arg(value_name = "TOPIC:PARTITION@OFFSET", value_parser = partition_at)]
    pub(crate) at: PartitionAt,
    /// Where the task keeps its position: what `kferry sync` has as --state
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// The end that the place is on
    #[arg(long, value_name = "END", default_value = "source")]
    pub(crate) from: FromArg,
    /// Form of what is written to standard output
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Format,
}
