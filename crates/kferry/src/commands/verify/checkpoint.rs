//! How far a comparison has come, in a file.
//!
//! It is written anew when something was noted and at least [`INTERVAL`] has passed, into a file beside it that then takes its
//! place. It holds hashes of records that differ, for a later run that finds them elsewhere, so only its owner may read it.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use replicate::{
    journal::TaskIdentity,
    verify::{
        books::{Answer, Books as _, Question},
        report::PartitionReport,
    },
};
use serde::{Deserialize, Serialize};

use super::state::StateBooks;
use crate::failure::Failure;

/// Between two writes.
const INTERVAL: Duration = Duration::from_secs(5);

/// The form of the file.
const FORM: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Contents {
    kferry_verify: u32,
    task: Option<TaskIdentity>,
    topics: Option<String>,
    partitions: Vec<PartitionReport>,
}

/// The file, and what belongs into it.
pub(super) struct Checkpoint {
    file: PathBuf,
    task: Option<TaskIdentity>,
    topics: Option<String>,
    state: Mutex<State>,
}

struct State {
    partitions: BTreeMap<(String, i32), PartitionReport>,
    written: Instant,
    /// A failed write is told once.
    is_failing: bool,
}

fn failed(file: &Path) -> Failure {
    Failure::failed(format!("--resume {}", file.display()))
}

impl Checkpoint {
    /// Takes up what an earlier run noted, if there was one.
    ///
    /// # Errors
    /// A [`Failure`] when the file is about something else, or cannot be read or written.
    pub(super) async fn open(
        file: &Path,
        books: &StateBooks,
        topics: Option<String>,
    ) -> Result<Self, Failure> {
        let task = match books.ask(Question::Task).await {
            Ok(Answer::Task(task)) => task,
            Ok(_) => None,
            Err(error) => {
                return Err(Failure::failed("verify")
                    .because(&error)
                    .maybe_cure(error.cure.clone()));
            }
        };
        let partitions = match fs::read(file) {
            Ok(bytes) => read(file, &bytes, task.as_ref(), topics.as_deref())?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(failed(file).because(&error)),
        };
        let partitions = partitions.into_iter().map(|found| (key(&found), found)).collect();
        let state = State { partitions, written: Instant::now(), is_failing: false };
        let checkpoint = Self { file: file.to_path_buf(), task, topics, state: Mutex::new(state) };
        checkpoint.write()?;
        Ok(checkpoint)
    }

    /// What earlier runs found.
    pub(super) fn found(&self) -> Vec<PartitionReport> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.partitions.values().cloned().collect()
    }

    /// Notes how far a partition has come.
    pub(super) fn note(&self, report: &PartitionReport) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.partitions.insert(key(report), report.clone());
        if state.written.elapsed() < INTERVAL {
            return;
        }
        state.written = Instant::now();
        let result = self.put(&state);
        let is_failing = result.is_err();
        if let Err(error) = result
            && !state.is_failing
        {
            let file = self.file.display();
            tracing::warn!(%error, "--resume {file} cannot be written: a later run goes on from an earlier place");
        }
        state.is_failing = is_failing;
    }

    /// Writes everything that was noted.
    ///
    /// # Errors
    /// A [`Failure`] with what the system says.
    pub(super) fn write(&self) -> Result<(), Failure> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.put(&state).map_err(|error| {
            let failure = failed(&self.file).because(&error);
            failure.cure("give a file in a directory that exists and that this user may write to")
        })
    }

    fn put(&self, state: &State) -> io::Result<()> {
        let contents = Contents {
            kferry_verify: FORM,
            task: self.task.clone(),
            topics: self.topics.clone(),
            partitions: state.partitions.values().cloned().collect(),
        };
        let mut beside = self.file.as_os_str().to_owned();
        beside.push(".new");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&beside)?;
        file.write_all(&serde_json::to_vec(&contents)?)?;
        file.sync_all()?;
        fs::rename(&beside, &self.file)
    }
}

fn key(report: &PartitionReport) -> (String, i32) {
    (report.source_topic.clone(), report.source_partition)
}

fn read(
    file: &Path,
    bytes: &[u8],
    task: Option<&TaskIdentity>,
    topics: Option<&str>,
) -> Result<Vec<PartitionReport>, Failure> {
    let contents: Contents = serde_json::from_slice(bytes).map_err(|error| {
        let failure = failed(file).because(&error);
        failure.cure("this is no checkpoint of `kferry verify`: give another file, or delete it to begin anew")
    })?;
    if contents.kferry_verify != FORM {
        let what = format!("--resume {}: another release of kferry wrote it", file.display());
        return Err(
            Failure::failed(what).cure("use that release, or delete the file to begin anew")
        );
    }
    let other = if contents.task.as_ref() != task {
        "another task or other clusters"
    } else if contents.topics.as_deref() != topics {
        "another --topics"
    } else {
        return Ok(contents.partitions);
    };
    let what = format!("--resume {}: it is about {other}", file.display());
    Err(Failure::failed(what).cure("give another file, or delete it to begin anew"))
}
