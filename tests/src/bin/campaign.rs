//! `cargo xtask campaign`: the fault campaign with its command line.

use anyhow::Result;
use clap::Parser;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;
use tests::campaign::{Plan, run};

/// Breaks everything that can break around a running `kferry sync` between two three-broker clusters, and judges the copy.
///
/// Exit codes: 0 nothing lost, doubled, out of order or changed; 1 a finding, or the bench itself failed.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask campaign")]
struct Arguments {
    /// How long faults happen, at least.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Decides which faults happen, in which order; random when it is not given.
    #[arg(long)]
    seed: Option<u64>,
    /// Go on until kferry was killed as often as this.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    kills_kferry: u64,
    /// Go on until brokers were killed as often as this.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    kills_broker: u64,
}

fn say(line: &str) {
    // A reader that went away is no reason to stop.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn campaign() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let plan = Plan {
        time: Duration::from_secs(60 * arguments.minutes),
        seed: arguments.seed.unwrap_or_else(|| fastrand::u64(0..1_000_000)),
        kills_of_kferry: arguments.kills_kferry,
        kills_of_brokers: arguments.kills_broker,
    };
    let report = run(&plan, &mut say)?;
    say(&report.to_string());
    Ok(if report.findings().is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn main() -> ExitCode {
    campaign().unwrap_or_else(|error| {
        eprintln!("campaign: {error:#}");
        ExitCode::FAILURE
    })
}
