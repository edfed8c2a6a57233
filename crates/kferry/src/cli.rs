//! The command line: what can be asked, with help written from the user's side.
//!
//! Only parsing lives here, and everything that can be judged from the arguments alone; a wrong command line ends with
//! exit code 2. Each command's arguments have a file of their own.

mod check;
mod demo;
mod etl;
mod import;
mod inspect;
mod offsets;
mod plan;
mod sandbox;
mod schema;
mod sync;
mod task;
pub(crate) mod values;
mod verify;

use clap::{Parser, Subcommand, ValueEnum};

pub(crate) use self::{
    check::{CheckArgs, RoleArg},
    demo::DemoArgs,
    etl::{
        EtlArgs, EtlCommand, ExportArgs, ImportArgs, Position, PreviewArgs, RegexArgs, RuleForm,
        RunArgs, TestArgs, TopicAt,
    },
    import::{ConvertArgs, ConvertFrom},
    inspect::InspectArgs,
    offsets::{FromArg, OffsetsArgs},
    plan::{DiffArgs, PlanArgs},
    sandbox::{Fill, SandboxArgs},
    schema::{SchemaArgs, SchemaOf},
    sync::SyncArgs,
    task::{StartArg, SyncArg, TaskArgs, TaskSettings, UnknownTargetArg},
    values::PartitionAt,
    verify::VerifyArgs,
};

const TOP_EXAMPLES: &str = "\
Examples:
  kferry demo                                            see it work; needs nothing installed
  kferry check broker1:9092                              can we use this cluster, and if not, why not
  kferry plan --source old:9092 --target new:9092        what would be done, and what is in the way
  kferry sync --source old:9092 --target new:9092        copy everything and keep copying
  kferry sync --source a.yaml --target b.yaml --once     copy up to the present end, then stop

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 plan or diff found something.";

/// Copies Kafka clusters to Kafka clusters.
#[derive(Debug, Parser)]
#[command(name = "kferry", version, about, after_help = TOP_EXAMPLES, max_term_width = 120, propagate_version = true)]
pub(crate) struct Cli {
    /// What to log on standard error: error, warn, info, debug, trace, or a filter such as `info,kafka_client=debug`
    #[arg(long, global = true, env = "KFERRY_LOG", value_name = "LEVEL", default_value = "info")]
    pub(crate) log: String,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy topics from one cluster to another, and keep them in step
    Sync(Box<SyncArgs>),
    /// What a sync would do, and what is in its way; changes nothing
    Plan(Box<PlanArgs>),
    /// Where the topics of source and target differ now
    Diff(Box<DiffArgs>),
    /// Validate a connection: each step, each broker, each permission
    Check(CheckArgs),
    /// Show it at work: two clusters in this process, live writers, a running sync
    Demo(DemoArgs),
    /// Try a processing rule on messages, and what belongs to rules
    Etl(Box<EtlArgs>),
    /// Make a task file out of the configuration of another tool
    Import(ConvertArgs),
    /// Show what is in record batches, header by header
    Inspect(InspectArgs),
    /// Where a source offset lies on the target, and the other way round
    Offsets(OffsetsArgs),
    /// Print the JSON Schema of a file, for editors and other programs
    Schema(SchemaArgs),
    /// Compare a copy with its source: every record, settings, consumer groups
    Verify(Box<VerifyArgs>),
    /// One simulated cluster on loopback ports, for tests and benches
    #[command(hide = true)]
    Sandbox(SandboxArgs),
}

/// How results are written to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_command_lines_name_the_argument() {
        let check = |line: &str, expected: &str| {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(expected), "{line}: {error}");
        };
        check("kferry sync --source a:1", "--target");
        check("kferry sync --source a:1 --target b:1 --start soon", "2025-01-31T14:00:00Z");
        check("kferry sync --source a:1 --target b:1 --topics a(", "at character");
        check("kferry sync --source a:1 --target b:1 --name a/b", "--name");
        check("kferry sync --source a:1 --target b:1 --same-partition maybe", "--same-partition");
        check("kferry demo --seconds 0", "--seconds");
        check("kferry demo --seconds 3 --keep-running", "--keep-running");
        check("kferry inspect x --show-values", "--records");
        check("kferry verify --source a:1 --target b:1", "--state");
        check("kferry fly", "fly");
    }
}
