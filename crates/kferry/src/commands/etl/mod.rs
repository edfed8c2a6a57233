//! `kferry etl`: rules of record processing, with a task and without.

mod convert;
mod preview;
mod regex;
mod rule_file;
mod run;
mod sample;
mod show;
mod suggest;
mod test;
mod topic;

use crate::{
    cli::{EtlArgs, EtlCommand},
    failure::Failure,
    output::Output,
};

/// Does what is asked about a rule.
///
/// # Errors
/// A [`Failure`]: the rule or the command line is wrong, or a message fails.
pub(crate) async fn run(args: EtlArgs, output: &Output) -> Result<(), Failure> {
    match args.command {
        EtlCommand::Run(args) => run::run(&args, output).await,
        EtlCommand::Test(args) => test::run(&args, output).await,
        EtlCommand::Preview(args) => preview::run(&args, output).await,
        EtlCommand::Regex(args) => regex::run(&args, output),
        EtlCommand::Import(args) => convert::import(&args, output),
        EtlCommand::Export(args) => convert::export(&args, output),
    }
}
