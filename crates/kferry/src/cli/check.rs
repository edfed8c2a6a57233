//! `kferry check`.

use clap::{Args, ValueEnum};
use replicate::spec::{AclSync, TopicPattern};

use super::{Format, SyncArg};

const CHECK_EXAMPLES: &str = "\
Examples:
  kferry check broker1:9092
  kferry check target.yaml --as target
  kferry check source.yaml --as source --output json
  kferry check target.yaml --as target --acl-sync topics

Each step prints its result: resolve, reach, tls, sasl, api versions, metadata, every broker, every permission.
The first failure names the step, the broker, the cause and the cure. Nothing is changed on the cluster: permissions
are asked for, or tried with requests that the broker validates and does not carry out.
Exit codes: 0 all passed, 1 a step failed, 2 wrong usage or configuration.";

/// Which end of a sync a connection is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// It is read from
    Source,
    /// It is written to
    Target,
}

/// `kferry check`.
#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArgs {
    /// Cluster to check: HOST:PORT[,HOST:PORT…] or a connection file
    #[arg(value_name = "CONNECTION")]
    pub(crate) connection: String,
    /// The end of a sync it is meant for; decides which permissions are needed
    #[arg(long = "as", value_name = "ROLE", default_value = "source")]
    pub(crate) role: RoleArg,
    /// What is to be carried over: with metadata_data_offsets, permissions on consumer groups are looked at as well
    #[arg(long, value_name = "WHAT", default_value = "metadata_data")]
    pub(crate) sync: SyncArg,
    /// Which ACLs are to be carried over: with topics or all, the permissions on ACLs are looked at as well
    #[arg(long, value_name = "none|topics|all", default_value = "none")]
    pub(crate) acl_sync: AclSync,
    /// Only the permissions on topics whose whole name matches this regular expression matter
    #[arg(long, value_name = "REGEX")]
    pub(crate) topics: Option<TopicPattern>,
    /// Form of what is written to standard output
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Format,
}
