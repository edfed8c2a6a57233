//! `cargo xtask`: the one entry to everything that builds, checks, measures and releases kferry.

mod kafka_command;
mod output;

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
