//! `kferry plan`: what a sync would do, and what is in its way.

pub(crate) mod ends;
mod show;

use replicate::plan::{self, Finding, Plan, Problem};

use self::ends::{Ends, State};
use crate::{
    cli::PlanArgs,
    config::{self, TaskSetup},
    failure::Failure,
    output::Output,
};

/// Plans each task of the command line.
///
/// # Errors
/// A [`Failure`] when a cluster cannot be asked, and one that is told already when something is in the way.
pub(crate) async fn run(args: PlanArgs, output: &Output) -> Result<(), Failure> {
    let mut is_blocked = false;
    for setup in config::task::copies(&args.task)? {
        let plan = plan(&setup, output).await?;
        is_blocked |= plan.is_blocked();
        show::show(&plan, &setup, output);
    }
    if is_blocked { Err(Failure::found()) } else { Ok(()) }
}

async fn plan(setup: &TaskSetup, output: &Output) -> Result<Plan, Failure> {
    let ends = Ends::reach(setup, true, output).await?;
    let state = State::open(&setup.state)?;
    let failed = |error: replicate::task::TaskError| {
        Failure::failed(format!("task {}", setup.spec.name))
            .because(&error)
            .maybe_cure(error.cure())
    };
    let mut plan = plan::plan(&setup.spec, &ends.source, &ends.target, state.journal())
        .await
        .map_err(failed)?;
    if matches!(state, State::InUse) {
        plan.findings.push(Finding::new(None, Problem::StateInUse));
    }
    plan.findings.extend(ends.denied.iter().cloned().map(|problem| Finding::new(None, problem)));
    // What is in the way comes first.
    plan.findings.sort_by_key(|finding| !finding.blocks);
    ends.close().await;
    Ok(plan)
}
