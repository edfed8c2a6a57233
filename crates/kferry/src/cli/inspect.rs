//! `kferry inspect`.

use clap::Args;

use super::Format;
use super::values::{PartitionAt, partition_at};

const INSPECT_EXAMPLES: &str = "\
Examples:
  kferry inspect 00000000000000000000.log                  a segment file of a broker
  kferry inspect - < batches.bin                           standard input
  kferry inspect broker1:9092 orders:0                     the first batches of a partition
  kferry inspect source.yaml orders:0@1234567 --records    around one offset, with its records

Values are shown only with --show-values, shortened and escaped. Damaged data is reported with its position.
Exit codes: 0 all batches sound, 1 something is damaged or cannot be read, 2 wrong usage.";

/// `kferry inspect`.
#[derive(Debug, Args)]
#[command(after_help = INSPECT_EXAMPLES, override_usage = "kferry inspect [OPTIONS] <FILE|->\n       kferry inspect [OPTIONS] <CONNECTION> <TOPIC:PARTITION[@OFFSET]>")]
pub(crate) struct InspectArgs {
    /// A file with record batches, `-` for standard input, or a connection
    #[arg(value_name = "FILE|-|CONNECTION")]
    pub(crate) input: String,
    /// With a connection: which partition, and from which offset on
    #[arg(value_name = "TOPIC:PARTITION[@OFFSET]", value_parser = partition_at)]
    pub(crate) partition: Option<PartitionAt>,
    /// List the records of each batch
    #[arg(long)]
    pub(crate) records: bool,
    /// With the records, show the beginning of keys and values
    #[arg(long, requires = "records")]
    pub(crate) show_values: bool,
    /// Stop after this many batches
    #[arg(long, value_name = "N")]
    pub(crate) batches: Option<u64>,
    /// Form of what is written to standard output
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Format,
}
