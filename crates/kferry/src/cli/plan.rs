//! `kferry plan` and `kferry diff`.

use clap::Args;

use super::{Format, TaskArgs};

const PLAN_EXAMPLES: &str = "\
Examples:
  kferry plan --source old:9092 --target new:9092
  kferry plan -f tasks.yaml
  kferry plan -f tasks.yaml --output json

What `kferry sync` would do with the same arguments: topics it makes, with partitions and settings, and what the target thinks
of them; groups it makes known; ACLs it makes, removes and withholds; records to copy; and what is in the way. Nothing is changed on either cluster: the target only
validates. Sizes are estimated from samples.
Exit codes: 0 nothing is in the way, 1 failed, 2 wrong usage or configuration, 3 something has to be put right first.";

const DIFF_EXAMPLES: &str = "\
Examples:
  kferry diff --source old:9092 --target new:9092
  kferry diff -f tasks.yaml --output json

Compares the topics of a task as they are now: those that the target lacks, partition counts, settings; and ACLs, where the task
syncs them or with --acls. Records are not looked at. Nothing is changed.
Exit codes: 0 no difference, 1 failed, 2 wrong usage or configuration, 3 something differs.";

/// `kferry plan`.
#[derive(Debug, Args)]
#[command(after_help = PLAN_EXAMPLES)]
pub(crate) struct PlanArgs {
    /// What to plan.
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    /// Form of what is written to standard output
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Format,
}

/// `kferry diff`.
#[derive(Debug, Args)]
#[command(after_help = DIFF_EXAMPLES)]
pub(crate) struct DiffArgs {
    /// What to compare.
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    /// Compare ACLs, too, of topics, consumer groups and transactional ids, also where the task does not sync them
    #[arg(long)]
    pub(crate) acls: bool,
    /// Form of what is written to standard output
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Format,
}
