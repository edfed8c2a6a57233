//! `kferry verify`: a copy compared with its source, told as text, as JSON and as a page.

mod checkpoint;
mod page;
mod show;
mod state;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use kafka_client::preflight::Role;
use replicate::{
    spec::TopicSelection,
    verify::{
        Verify,
        report::{PartitionReport, Report},
    },
};
use serde::Serialize;

use self::{checkpoint::Checkpoint, state::StateBooks};
use crate::{cli::VerifyArgs, commands::sync, config, failure::Failure, output::Output, signals};

/// How often groups that are off are looked at: a running sync carries a commit over within five seconds.
const GROUP_LOOKS: u32 = 12;

/// A report with what only the program knows.
#[derive(Serialize)]
struct Document<'a> {
    kferry: &'static str,
    is_equal: bool,
    differences: u64,
    /// The expression of `--topics`.
    topics_asked: Option<&'a str>,
    #[serde(flatten)]
    report: &'a Report,
}

/// Compares and tells.
///
/// # Errors
/// A [`Failure`] when something differs, or when nothing could be compared.
pub(crate) async fn run(args: VerifyArgs, output: &Output) -> Result<(), Failure> {
    let Some(state) = &args.state else { return Err(without_state()) };
    let source = config::connection("--source", &args.source)?;
    let target = config::connection("--target", &args.target)?;
    let books = StateBooks::new(state)?;
    let group_looks = if books.is_held() { GROUP_LOOKS } else { 1 };
    let asked = args.topics.as_ref().map(|topics| topics.as_str().to_owned());
    let checkpoint = match &args.resume {
        Some(file) => Some(Arc::new(Checkpoint::open(file, &books, asked.clone()).await?)),
        None => None,
    };
    // Before hours of reading, not after them.
    let files = args.report.as_deref().map(Files::beside).transpose()?;
    let stop = signals::shutdown_token(output)?;
    let (source, target) = tokio::try_join!(
        sync::reach("--source", Role::Source, &source, output),
        sync::reach("--target", Role::Target, &target, output)
    )?;
    let (source, target) = (source.client, target.client);
    let notes = checkpoint.clone();
    let progress = show::Progress::new(output);
    let verify = Verify {
        source: source.clone(),
        target: target.clone(),
        books: Arc::new(books),
        topics: args.topics.clone().map_or(TopicSelection::All, TopicSelection::Regex),
        bytes_per_second: args.max_bytes_per_second,
        concurrency: args.concurrency,
        group_looks,
        found: checkpoint.as_deref().map(Checkpoint::found).unwrap_or_default(),
        note: Arc::new(move |report: &PartitionReport| {
            progress.note(report);
            if let Some(notes) = &notes {
                notes.note(report);
            }
        }),
        stop,
    };
    let result = verify.run().await;
    source.close().await;
    target.close().await;
    let report = result
        .map_err(|error| Failure::failed("verify").because(&error).maybe_cure(error.cure()))?;
    if let Some(checkpoint) = &checkpoint {
        checkpoint.write()?;
    }
    let behind = args.complete && report.totals.offsets_behind > 0;
    let document = Document {
        kferry: env!("CARGO_PKG_VERSION"),
        is_equal: report.is_equal() && !behind,
        differences: report.differences(),
        topics_asked: asked.as_deref(),
        report: &report,
    };
    if let Some(files) = &files {
        files.write(&document)?;
    }
    show::all(&document, args.complete, output);
    if document.is_equal { Ok(()) } else { Err(verdict(&document, behind, args.resume.as_deref())) }
}

fn without_state() -> Failure {
    Failure::usage("--without-state: without the state of a sync nothing says which record is the copy of which; pairing records by content alone is not built")
        .cure("give the --state of the sync that made the copy; if it is lost, let `kferry sync` take up the copy once (it finds its place by content) and verify with the state that it makes")
}

/// Why the exit code is 1.
fn verdict(document: &Document<'_>, behind: bool, resume: Option<&Path>) -> Failure {
    let report = document.report;
    if !report.is_finished {
        let failure = Failure::failed("ended before everything was compared");
        return match resume {
            Some(_) => failure.cure("run the same command again: it goes on where this run ended"),
            None => failure.cure("with --resume FILE a later run goes on where this one ended"),
        };
    }
    let errors = report.errors().count();
    match (document.differences, errors) {
        (0, 0) if behind => Failure::failed("not everything is copied yet")
            .cure("let the sync catch up, or leave out --complete"),
        (0, count) => {
            Failure::failed(format!("{count} topics, partitions or groups could not be compared"))
                .cure("see the reasons above; --resume FILE keeps what is done")
        }
        (count, 0) => Failure::failed(format!("{count} differences")),
        (count, errors) => Failure::failed(format!(
            "{count} differences, and {errors} topics, partitions or groups that could not be compared"
        )),
    }
}

/// Where the report goes.
struct Files {
    json: PathBuf,
    page: PathBuf,
}

impl Files {
    /// Makes sure that both can be written.
    fn beside(json: &Path) -> Result<Self, Failure> {
        let page = json.with_extension("html");
        if page == json {
            return Err(Failure::usage(format!(
                "--report {}: the JSON needs another ending than the page",
                json.display()
            ))
            .cure("give a name such as verify.json"));
        }
        let files = Self { json: json.to_path_buf(), page };
        for file in [&files.json, &files.page] {
            let opened = fs::OpenOptions::new().append(true).create(true).open(file);
            opened.map_err(|error| unwritable(file, &error))?;
        }
        Ok(files)
    }

    fn write(&self, document: &Document<'_>) -> Result<(), Failure> {
        let mut text = serde_json::to_vec_pretty(document)
            .map_err(|error| Failure::failed("the report").because(&error))?;
        text.push(b'\n');
        fs::write(&self.json, text).map_err(|error| unwritable(&self.json, &error))?;
        fs::write(&self.page, page::render(document))
            .map_err(|error| unwritable(&self.page, &error))
    }
}

fn unwritable(file: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("--report {}", file.display()))
        .because(error)
        .cure("give a file in a directory that exists and that this user may write to")
}
