//! `kferry schema`.

use clap::{Args, ValueEnum};

const SCHEMA_EXAMPLES: &str = "\
Examples:
  kferry schema task > kferry-task.schema.json
  kferry schema etl > kferry-etl.schema.json
  # yaml-language-server: $schema=kferry-task.schema.json     first line of a task file, for editors that know it

Exit codes: 0 done, 2 wrong usage.";

/// The files that have a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// What `kferry sync -f` takes
    Task,
    /// A processing rule, what `kferry etl test -f` takes
    Etl,
}

/// `kferry schema`.
#[derive(Debug, Args)]
#[command(after_help = SCHEMA_EXAMPLES)]
pub(crate) struct SchemaArgs {
    /// Which file
    #[arg(value_name = "FILE")]
    pub(crate) of: SchemaOf,
}
