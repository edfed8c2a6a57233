//! `kferry diff`: where source and target differ now.

use replicate::{
    drift::{self, Drift},
    spec::AclSync,
};
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
    for mut setup in config::task::copies(&args.task)? {
        if args.acls {
            setup.spec.acl_sync = AclSync::All;
        }
        let drift = compare(&setup, output).await?;
        differs |= !drift.is_equal();
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
    struct Line<'a, D> {
        r#type: &'static str,
        message: String,
        #[serde(flatten)]
        difference: &'a D,
    }
    fn line<D: Serialize + ToString>(difference: &D, output: &Output) {
        let message = difference.to_string();
        output.text(&text::safe(&message));
        output.json(&Line { r#type: "difference", message, difference });
    }
    drift.differences.iter().for_each(|difference| line(difference, output));
    drift.acls.iter().for_each(|difference| line(difference, output));
    let (task, topics) = (&drift.task, drift.topics);
    let count = drift.differences.len() + drift.acls.len();
    output.json(&serde_json::json!({
        "type": "result", "task": task, "equal": count == 0, "topics": topics, "differences": count,
    }));
    output.text(&match count {
        0 => format!("{task}: {topics} topics, no difference"),
        1 => format!("{task}: {topics} topics, 1 difference"),
        count => format!("{task}: {topics} topics, {count} differences"),
    });
}
