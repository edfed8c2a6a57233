//! `kferry import`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

const IMPORT_EXAMPLES: &str = "\
Examples:
  kferry import mm2 mm2.properties > tasks.yaml     the task file on standard output, what does not map on standard error
  kferry sync -f tasks.yaml --check                 is it right; then `kferry plan -f tasks.yaml`

Exit codes: 0 done, 1 the file cannot be read, 2 it is no configuration of MirrorMaker 2.";

/// `kferry import`.
#[derive(Debug, Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub(crate) struct ConvertArgs {
    /// Whose configuration
    #[command(subcommand)]
    pub(crate) from: ConvertFrom,
}

/// Tools whose configuration can be taken over.
#[derive(Debug, Subcommand)]
pub(crate) enum ConvertFrom {
    /// MirrorMaker 2: the properties file of `connect-mirror-maker.sh`
    Mm2 {
        /// The properties file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}
