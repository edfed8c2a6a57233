//! `kferry sync`.

use clap::Args;

use super::{Format, TaskArgs};

const SYNC_EXAMPLES: &str = "\
Examples:
  Copy all topics with their history, and go on until Ctrl-C:
    kferry sync --source old:9092 --target new:9092

  Copy the topics whose whole name matches, once, and stop at the end offsets seen at the start:
    kferry sync --source old:9092 --target new:9092 --topics 'orders\\..*' --once

  From a moment on, with TLS and SASL described in files:
    kferry sync --source source.yaml --target target.yaml --start 2025-01-31T00:00:00Z

  Tasks described in a file (docs/task.md); --check validates it and connects to nothing:
    kferry sync -f tasks.yaml --check
    kferry sync -f tasks.yaml

  As line-delimited JSON for another program:
    kferry sync --source old:9092 --target new:9092 --output json

A connection file:
    name: orders-eu
    kind: direct                    # or cross_network
    bootstrap: [broker1:9093, broker2:9093]
    tls: {ca: ca.pem}               # also cert, key, server_name, verify; paths are relative to this file
    sasl:
      mechanism: SCRAM-SHA-512      # PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER
      username: kferry
      password: {env: KAFKA_PASSWORD}   # or {file: PATH}; never the password itself

Stop with Ctrl-C: what is under way is settled and the position is stored. The same command continues from there.
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.";

/// `kferry sync`.
#[derive(Debug, Args)]
#[command(after_help = SYNC_EXAMPLES)]
pub(crate) struct SyncArgs {
    /// What to copy.
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    /// Copy up to the end offsets seen at the start, then stop
    #[arg(long)]
    pub(crate) once: bool,
    /// Validate the file, with all that it refers to, and connect to nothing
    #[arg(long)]
    pub(crate) check: bool,
    /// Answer Prometheus on this address, such as 127.0.0.1:9404, at /metrics; anyone who reaches it may read it
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) metrics: Option<String>,
    /// Form of what is written to standard output
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Format,
}
