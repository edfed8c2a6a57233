//! The kferry command line.
//!
//! This crate turns arguments and files into what the libraries take, shows what they report, and maps the end of it
//! to an exit code. What is copied, and how, is decided in `replicate` and below.

mod cli;
mod commands;
mod config;
mod failure;
mod logging;
mod output;
mod runtime;
mod signals;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    cli::{Cli, Command, Format},
    failure::{EXIT_DONE, Failure},
    output::Output,
    runtime::Work,
};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = match &cli.command {
        Command::Sync(args) => args.output,
        Command::Plan(args) => args.output,
        Command::Diff(args) => args.output,
        Command::Check(args) => args.output,
        Command::Demo(args) => args.output,
        Command::Etl(args) => args.format(),
        Command::Inspect(args) => args.output,
        Command::Offsets(args) => args.output,
        Command::Verify(args) => args.output,
        Command::Import(_) | Command::Schema(_) | Command::Sandbox(_) => Format::Text,
    };
    let output = Output::new(format);
    match run(cli, &output) {
        Ok(()) => ExitCode::from(EXIT_DONE),
        Err(failure) => {
            failure.tell(&output, None);
            failure.exit()
        }
    }
}

fn run(cli: Cli, output: &Output) -> Result<(), Failure> {
    logging::start(&cli.log, output)?;
    let work = match cli.command {
        Command::Demo(_) | Command::Sandbox(_) => Work::Serve,
        _ => Work::Watch,
    };
    let runtime = runtime::build(work)?;
    let result = runtime.block_on(async {
        match cli.command {
            Command::Sync(args) => commands::sync::run(*args, output).await,
            Command::Plan(args) => commands::plan::run(*args, output).await,
            Command::Diff(args) => commands::diff::run(*args, output).await,
            Command::Check(args) => commands::check::run(args, output).await,
            Command::Demo(args) => commands::demo::run(args, output).await,
            Command::Etl(args) => commands::etl::run(*args, output).await,
            Command::Import(args) => commands::import::run(&args, output),
            Command::Inspect(args) => commands::inspect::run(args, output).await,
            Command::Offsets(args) => commands::offsets::run(args, output).await,
            Command::Schema(args) => commands::schema::run(&args, output),
            Command::Verify(args) => commands::verify::run(*args, output).await,
            Command::Sandbox(args) => commands::sandbox::run(args, output).await,
        }
    });
    // What still runs is background work whose result nobody waits for any more.
    runtime.shutdown_background();
    result
}
