//! `kferry offsets`: where an offset of one end lies on the other.

pub(crate) mod socket;

use std::path::{Path, PathBuf};

use replicate::{
    journal::{JournalError, RedbJournal},
    offsets::{At, End, Place, Question, find},
};
use serde::Serialize;

use self::socket::Ask;
pub(crate) use self::socket::{is_served, serve};
use crate::{
    cli::{FromArg, OffsetsArgs},
    commands::sync::STATE_FILE,
    failure::Failure,
    output::{Output, text},
};

/// Answers from the state file, or from the sync that holds it.
///
/// # Errors
/// A [`Failure`] that says what is wrong with the state, or which names it knows.
pub(crate) async fn run(args: OffsetsArgs, output: &Output) -> Result<(), Failure> {
    let at = args.at;
    let Some(offset) = at.offset else {
        return Err(Failure::usage(format!("{}:{}: no offset", at.topic, at.partition))
            .cure("say which one: TOPIC:PARTITION@OFFSET, such as orders:0@1234"));
    };
    let from = match args.from {
        FromArg::Source => End::Source,
        FromArg::Target => End::Target,
    };
    let at = At { topic: at.topic, partition: at.partition, offset };
    let question = Question { from, at };
    for place in ask(&args.state, &question).await? {
        output.json(&Line { r#type: "offset", asked: &question, place: &place });
        output.text(&told(&question, &place));
    }
    Ok(())
}

async fn ask(state: &Path, question: &Question) -> Result<Vec<Place>, Failure> {
    let flag = || format!("--state {}", state.display());
    let file = state_file(state)?;
    let journal = match RedbJournal::open(&file) {
        Ok(journal) => journal,
        Err(JournalError::AlreadyOpen { .. }) => return ask_running(state, question).await,
        Err(error) => {
            return Err(Failure::failed(flag()).because(&error).maybe_cure(error.cure()));
        }
    };
    find(&journal, question).await.map_err(|error| Failure::failed(flag()).because(&error))
}

/// The file in a state directory, which is not made when it is not there.
///
/// # Errors
/// A [`Failure`] when there is none.
pub(crate) fn state_file(state: &Path) -> Result<PathBuf, Failure> {
    let file = state.join(STATE_FILE);
    if file.exists() {
        return Ok(file);
    }
    let what = if state.is_dir() { "holds no state" } else { "does not exist" };
    Err(Failure::failed(format!("--state {}: the directory {what}", state.display())).cure(
        "give the directory that `kferry sync` has as --state (./kferry-state/NAME by default)",
    ))
}

/// Another process holds the state: it answers.
async fn ask_running(state: &Path, question: &Question) -> Result<Vec<Place>, Failure> {
    match socket::ask(state, &Ask::Place(question.clone())).await {
        Ok(socket::Answer::Places(places)) => Ok(places),
        Ok(socket::Answer::Books(_)) => Err(Failure::failed(format!("--state {}: the sync answers something else", state.display()))),
        Ok(socket::Answer::Error(what)) => Err(Failure::failed(format!("--state {}: {what}", state.display()))),
        Err(error) => Err(Failure::failed(format!(
            "--state {}: another process uses the state and does not answer",
            state.display()
        ))
        .because(&error)
        .cure("run this as the user who runs the sync; a sync that is just starting or ending answers a moment later or earlier")),
    }
}

#[derive(Serialize)]
struct Line<'a> {
    r#type: &'static str,
    asked: &'a Question,
    #[serde(flatten)]
    place: &'a Place,
}

fn told(question: &Question, place: &Place) -> String {
    let at = |at: &At| format!("{}:{}@{}", text::safe(&at.topic), at.partition, at.offset);
    let asked = format!("{} {}", question.from.name(), at(&question.at));
    match place {
        Place::Record { source, target } => {
            format!("source {} = target {}", at(source), at(target))
        }
        Place::Next { source, target } => format!(
            "{asked} is no copied record; the next one is source {} = target {}",
            at(source),
            at(target)
        ),
        Place::NotCopied { source, .. } => {
            format!(
                "{asked} is not copied yet; the next record to be copied is at or behind source {}",
                at(source)
            )
        }
        Place::BeforeMap { source, .. } => format!(
            "{asked} lies before what this state knows; that begins with source {}",
            at(source)
        ),
        _ => asked,
    }
}
