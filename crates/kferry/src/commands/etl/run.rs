//! `kferry etl run`: tasks that process records.

use crate::{
    cli::RunArgs,
    commands::sync::{self, Run},
    config,
    failure::Failure,
    output::Output,
};

/// Runs the tasks of a file until done or told to stop.
///
/// # Errors
/// A usage [`Failure`] for what is wrong with the file; otherwise what stopped a task.
pub(super) async fn run(args: &RunArgs, output: &Output) -> Result<(), Failure> {
    let setups = config::task::load(&args.file)?;
    if let Some(copies) = setups.iter().find(|setup| setup.spec.transform.is_none()) {
        let (file, name) = (args.file.display(), copies.spec.name.as_str());
        return Err(Failure::usage(format!("{file}: task {name} has no process: it copies"))
            .cure("name a rule and topics under process, or run the file with: kferry sync -f"));
    }
    let run = Run { once: args.once, check: args.check, metrics: args.metrics.as_deref() };
    sync::run_all(setups, &run, output).await
}
