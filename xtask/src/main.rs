//! `cargo xtask`: the one entry to everything that builds, checks, measures and releases kferry.

mod banned;
mod bench;
mod ci;
mod dist;
mod fuzz;
mod golden;
mod kafka_command;
mod lint;
mod output;
mod run;
mod sim;
mod testing;
mod tidy;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    about = "Everything that builds, checks, measures and releases kferry"
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Everything that decides about a change: tidy, lint, test, sim, dist, integration, fuzz.
    Ci,
    /// Check what no compiler checks: arrows between crates, file sizes, banned words, forms, links.
    Tidy {
        /// Rewrite what is derived: docs/kips.md, the targets in fuzz/Cargo.toml.
        #[arg(long)]
        fix: bool,
    },
    /// Form, clippy and documentation, warnings are errors.
    Lint,
    /// All tests that need neither network nor Java.
    Test,
    /// Whole tasks between simulated clusters under faults, one history per seed.
    Sim(sim::SimArguments),
    /// The tests on real brokers (needs a JDK and Maven).
    Integration {
        /// Parts of test names; all when none is given.
        filters: Vec<String>,
        /// How many tests side by side.
        #[arg(long, default_value_t = 1)]
        threads: usize,
    },
    /// Run the fuzz targets (installs the nightly toolchain and cargo-fuzz where missing).
    Fuzz {
        /// Seconds for each target.
        #[arg(long, default_value_t = 30)]
        seconds: u32,
        /// Targets; all when none is given.
        targets: Vec<String>,
    },
    /// Recapture the frames of real clients and brokers into crates/kafka-wire/testdata/golden (needs a JDK and Maven).
    Golden {
        /// Releases; all supported ones when none is given.
        releases: Vec<xtask::kafka::Release>,
    },
    /// What kferry costs, beside a raw relay and other mirrors in the same run; writes a page and JSON.
    Bench(bench::BenchArguments),
    /// The yardstick of `bench`.
    #[command(hide = true)]
    Relay {
        source: std::net::SocketAddr,
        target: std::net::SocketAddr,
        #[arg(long)]
        ca: Option<std::path::PathBuf>,
    },
    /// Break everything that can break around a running sync, for as long as one likes (needs a JDK and Maven).
    #[command(disable_help_flag = true)]
    Campaign {
        /// Arguments of the campaign; `--help` shows them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Build the static binary and prove that it is one.
    Dist,
    /// Fetch or start a real Kafka release (needs a JDK and Maven).
    #[command(subcommand)]
    Kafka(kafka_command::KafkaVerb),
    /// Generate the tables of the structural check from Kafka's message schemas (needs a JDK and Maven).
    Schema {
        /// Change nothing: fail when the committed tables are not up to date.
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().verb {
        Verb::Ci => ci::run(),
        Verb::Tidy { fix } => tidy::run(fix).map(drop),
        Verb::Lint => lint::run().map(drop),
        Verb::Test => testing::test().and_then(conclude),
        Verb::Sim(arguments) => sim::run(&arguments).and_then(conclude),
        Verb::Integration { filters, threads } => {
            testing::integration(&filters, threads).and_then(conclude)
        }
        Verb::Fuzz { seconds, targets } => fuzz::run(seconds, &targets).and_then(conclude),
        Verb::Golden { releases } => golden::run(&releases),
        Verb::Bench(arguments) => bench::run(&arguments),
        Verb::Relay { source, target, ca } => bench::relay(source, target, ca.as_deref()),
        Verb::Campaign { arguments } => testing::campaign(&arguments),
        Verb::Dist => dist::run().map(drop),
        Verb::Kafka(verb) => kafka_command::run(verb),
        Verb::Schema { check } => xtask::schema::run(check),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// One line for all test programs together.
fn conclude(tally: run::Tally) -> anyhow::Result<()> {
    output::line(tally);
    if tally.failed > 0 { anyhow::bail!("{} failed", tally.failed) } else { Ok(()) }
}
