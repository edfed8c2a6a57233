//! `kferry diff`: where source and target differ now.

use replicate::drift::{self, Drift, TopicDifference};
use serde::Serialize;

use crate::{
    cli::DiffArgs,
    commands::plan::ends::{Ends, State},
    config::{self, TaskSetup},
    failure::Failure,
    output::{Output, text},
};

/// Compares each task of the command line.
///
/// # Errors
/// A [`Failure`] when a cluster cannot be asked, and one that is told already when something differs.
pub(crate) async fn run(args: DiffArgs, output: &Output) -> Result<(), Failure> {
    let mut differs = false;
    for setup in config::task::tasks(&args.task)? {
        let drift = compare(&setup, output).await?;
        differs |= !drift.differences.is_empty();
        show(&drift, output);
    }
    if differs { Err(Failure::found()) } else { Ok(()) }
}

async fn compare(setup: &TaskSetup, output: &Output) -> Result<Drift, Failure> {
    let ends = Ends::reach(setup, false, output).await?;
    let state = State::open(&setup.state)?;
    let drift = drift::drift(&setup.spec, &ends.source, &ends.target, state.journal()).await;
    ends.close().await;
    drift.map_err(|error| {
        Failure::failed(format!("task {}", setup.spec.name))
            .because(&error)
            .maybe_cure(error.cure())
    })
}

fn show(drift: &Drift, output: &Output) {
    #[derive(Serialize)]
    struct Line<'a> {
        r#type: &'static str,
        message: String,
        #[serde(flatten)]
        difference: &'a TopicDifference,
    }
    for difference in &drift.differences {
        let message = difference.to_string();
        output.text(&text::safe(&message));
        output.json(&Line { r#type: "difference", message, difference });
    }
    let (task, topics, count) = (&drift.task, drift.topics, drift.differences.len());
    output.json(&serde_json::json!({
        "type": "result", "task": task, "equal": count == 0, "topics": topics, "differences": count,
    }));
    output.text(&match count {
        0 => format!("{task}: {topics} topics, no difference"),
        1 => format!("{task}: {topics} topics, 1 difference"),
        count => format!("{task}: {topics} topics, {count} differences"),
    });
}
