//! `kferry demo`.

use clap::Args;

use super::Format;

const DEMO_EXAMPLES: &str = "\
Examples:
  kferry demo                     ten seconds of writing, then the comparison
  kferry demo --seconds 60
  kferry demo --keep-running      until Ctrl-C; the printed addresses take any Kafka client

Two clusters run in this process on loopback ports; nothing else is touched. At the end both sides are read and
compared topic by topic. Exit codes: 0 both sides equal, 1 not.";

/// `kferry demo`.
#[derive(Debug, Args)]
#[command(after_help = DEMO_EXAMPLES)]
pub(crate) struct DemoArgs {
    /// Write until Ctrl-C instead of for a while
    #[arg(long)]
    pub(crate) keep_running: bool,
    /// How long to write
    #[arg(long, value_name = "N", default_value_t = 10, conflicts_with = "keep_running", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
    /// Form of what is written to standard output
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Format,
}
