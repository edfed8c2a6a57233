//! `kferry verify`.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use clap::Args;
use replicate::spec::TopicPattern;

use super::Format;
use super::values::size;

const VERIFY_EXAMPLES: &str = "\
Examples:
  Compare everything that `kferry sync --name prod-to-dr` has copied, while it runs or after it:
    kferry verify --source source.yaml --target target.yaml --state kferry-state/prod-to-dr

  Some topics, gently, with a report for the file, and able to go on where it was ended:
    kferry verify --source a:9092 --target b:9092 --state kferry-state/sync --topics 'orders\\..*' \\
      --max-bytes-per-second 20MB --resume verify.checkpoint --report verify.json

Every record is compared: key, value, headers with their order, timestamp, partition, order; and settings, partition counts
and the positions of consumer groups. Nothing is written to either cluster, and no record's content to any report.
Exit codes: 0 equal, 1 something differs or could not be compared, 2 wrong usage or configuration.";

/// `kferry verify`.
#[derive(Debug, Args)]
#[command(after_help = VERIFY_EXAMPLES)]
pub(crate) struct VerifyArgs {
    /// Cluster that was copied: HOST:PORT[,HOST:PORT…] or a connection file
    #[arg(long, value_name = "CONNECTION")]
    pub(crate) source: String,
    /// Cluster it was copied to: HOST:PORT[,HOST:PORT…] or a connection file
    #[arg(long, value_name = "CONNECTION")]
    pub(crate) target: String,
    /// Where the task keeps its position: what `kferry sync` has as --state. Nothing in it changes
    #[arg(long, value_name = "DIR", required_unless_present = "without_state")]
    pub(crate) state: Option<PathBuf>,
    /// Compare without a state (not possible yet: says what to do instead)
    #[arg(long, conflicts_with = "state")]
    pub(crate) without_state: bool,
    /// Only topics whose whole name on the source matches this regular expression; all copied ones without it
    #[arg(long, value_name = "REGEX")]
    pub(crate) topics: Option<TopicPattern>,
    /// What is not copied yet counts as a difference
    #[arg(long)]
    pub(crate) complete: bool,
    /// Read no more than so many bytes per second from each cluster, such as 20MB or 50MiB [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_bytes_per_second: Option<NonZeroU64>,
    /// Partitions that are compared at a time; each takes up to about 10 MiB
    #[arg(long, value_name = "N", default_value = "4")]
    pub(crate) concurrency: NonZeroUsize,
    /// Note in this file how far it came, and go on from what an earlier run noted there
    #[arg(long, value_name = "FILE")]
    pub(crate) resume: Option<PathBuf>,
    /// Write the report to this file as JSON and, beside it, as a page for people (FILE with the ending .html)
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Form of what is written to standard output
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Format,
}
