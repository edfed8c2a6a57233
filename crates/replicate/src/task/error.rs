//! Why a task cannot start or go on.

use std::fmt;

use kafka_client::ClientError;
use thiserror::Error;

use crate::journal::JournalError;
use crate::spec::SpecError;

/// Which end of the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The cluster that is copied.
    Source,
    /// The cluster it is copied to.
    Target,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

/// Why a task cannot start or go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TaskError {
    /// The settings do not go together.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A cluster cannot be asked.
    #[error("{role}: {error}")]
    Client {
        /// Which one.
        role: Role,
        /// Why.
        error: ClientError,
    },
    /// Source and target are one cluster: the copy would feed on itself.
    #[error("source and target are the same cluster ({cluster_id})")]
    SameCluster {
        /// Its id.
        cluster_id: String,
    },
    /// The state cannot be read or written: without it nothing may be sent.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A record failed, and the rule says that the task ends there.
    #[error("record {topic}-{partition} at offset {offset}: {cause}")]
    Record {
        /// Topic on the source.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The record's offset.
        offset: i64,
        /// Where in the rule, why, and what to do about it.
        cause: String,
    },
    /// The schema that outputs are written by cannot be had.
    #[error("registry of the target: {cause}")]
    Registry {
        /// Why.
        cause: String,
        /// What an operator can do.
        cure: String,
    },
    /// A lookup table that follows a topic cannot be read, or takes too much memory.
    #[error("table {table}: {topic}: {cause}")]
    Table {
        /// Its name.
        table: String,
        /// Its topic, and where that is.
        topic: String,
        /// Why.
        cause: String,
        /// What to do about it.
        cure: String,
    },
    /// The state is that of a task of the other kind.
    #[error("the state belongs to a task that {had}, this one {has}")]
    OtherKind {
        /// What the former task does.
        had: &'static str,
        /// What this one does.
        has: &'static str,
    },
    /// A worker ended by itself: a fault of this program.
    #[error("a worker ended unexpectedly: {cause}")]
    Worker {
        /// What the runtime says.
        cause: String,
    },
}

impl TaskError {
    /// Wraps a client error with the end it came from.
    pub(crate) fn client(role: Role) -> impl Fn(ClientError) -> Self {
        move |error| Self::Client { role, error }
    }

    /// What an operator can do.
    #[must_use]
    pub fn cure(&self) -> Option<String> {
        match self {
            Self::Client { error, .. } => error.cure(),
            Self::Journal(error) => error.cure(),
            Self::SameCluster { .. } => Some(
                "name two different clusters as --source and --target, or rename the topics"
                    .to_owned(),
            ),
            Self::Spec(_) => None,
            Self::Record { .. } => Some(
                "all before it is on the target; mend the rule, or choose another failure policy, and run again: the task begins at this record"
                    .to_owned(),
            ),
            Self::Registry { cure, .. } => Some(cure.clone()),
            Self::Table { cure, .. } => Some(cure.clone()),
            Self::OtherKind { .. } => Some("give the task another name, or another state directory".to_owned()),
            Self::Worker { .. } => Some(
                "run again: the copy goes on where it was; please report this with the log"
                    .to_owned(),
            ),
        }
    }
}
