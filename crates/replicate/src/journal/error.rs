//! What can go wrong with a journal, and what to do about it.

use std::path::PathBuf;
use std::sync::Arc;

use thiserror::Error;

/// Why the journal could not do what was asked. Cheap to clone: one failed transaction answers many writers.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum JournalError {
    /// Another process, or another task in this one, holds the file.
    #[error("state file {} is in use by another process", .path.display())]
    AlreadyOpen {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be created or opened.
    #[error("state file {} could not be opened: {cause}", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system or the store says.
        cause: Arc<redb::Error>,
    },
    /// The directory for the file could not be made.
    #[error("state directory {} could not be created: {cause}", .path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        cause: Arc<std::io::Error>,
    },
    /// Reading or writing failed: disk full, file removed, device error.
    #[error("state file {} could not be {action}: {cause}", .path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// What was tried: prepared, read or written.
        action: &'static str,
        /// What the system or the store says.
        cause: Arc<redb::Error>,
    },
    /// The file's contents contradict themselves.
    #[error("state file {} is damaged: {what}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong where.
        what: String,
    },
    /// The file was written by another release.
    #[error("state file {} has format {found}, this release knows format {known}", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// The format's number in the file.
        found: u64,
        /// The format's number of this release.
        known: u64,
    },
    /// The journal belongs to a task of another name.
    #[error("the state belongs to task {stored:?}, not to {found:?}")]
    OtherTask {
        /// The name in the journal.
        stored: String,
        /// The name of the task that asked.
        found: String,
    },
    /// The journal is about another cluster.
    #[error(
        "the state belongs to the {role} cluster {stored:?}, but the {role} is now cluster {found:?}"
    )]
    OtherCluster {
        /// `source` or `target`.
        role: &'static str,
        /// The cluster id in the journal.
        stored: String,
        /// The cluster id now.
        found: String,
    },
    /// The journal's thread has ended, after an earlier failure or at the end of the process.
    #[error("the state file is closed")]
    Closed,
}

impl JournalError {
    /// What an operator can do.
    #[must_use]
    pub fn cure(&self) -> Option<String> {
        let text = match self {
            Self::AlreadyOpen { .. } => "end the other process, or choose another state directory",
            Self::Open { .. } | Self::Directory { .. } => {
                "check that the state directory exists, is writable, has free space and holds no foreign file of this name"
            }
            Self::Storage { .. } => {
                "check free space and permissions of the state directory, then start again: nothing is lost"
            }
            Self::Damaged { .. } => {
                "restore the file from a backup, or move it away and start the task as a new one"
            }
            Self::Format { found, known, .. } if found > known => {
                "use the newer release that wrote the file"
            }
            Self::Format { .. } => "use the older release that wrote the file",
            Self::OtherTask { .. } | Self::OtherCluster { .. } => {
                "choose another state directory for this task, or connect it to the clusters it began with"
            }
            Self::Closed => "start again",
        };
        Some(text.to_owned())
    }
}
