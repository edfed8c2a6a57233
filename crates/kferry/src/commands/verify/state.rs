//! The state of a sync, read while nobody or somebody else holds it.

use std::path::{Path, PathBuf};

use replicate::{
    journal::{JournalError, RedbJournal},
    verify::books::{Books, BooksError, BooksFuture, Question, answer},
};

use crate::{
    commands::{
        offsets::socket::{self, Answer, Ask},
        sync::STATE_FILE,
    },
    failure::Failure,
};

/// A state directory. Its file is opened for each question alone, so that a sync can start meanwhile; while one runs,
/// the sync answers.
#[derive(Debug)]
pub(super) struct StateBooks {
    directory: PathBuf,
}

impl StateBooks {
    pub(super) fn new(directory: &Path) -> Result<Self, Failure> {
        crate::commands::offsets::state_file(directory)?;
        Ok(Self { directory: directory.to_path_buf() })
    }

    /// Whether a sync runs on it, or something else holds it.
    pub(super) fn is_held(&self) -> bool {
        let opened = RedbJournal::open(self.directory.join(STATE_FILE));
        matches!(opened, Err(JournalError::AlreadyOpen { .. }))
    }

    async fn find(
        &self,
        question: Question,
    ) -> Result<replicate::verify::books::Answer, BooksError> {
        match RedbJournal::open(self.directory.join(STATE_FILE)) {
            Ok(journal) => Ok(answer(&journal, question).await?),
            Err(JournalError::AlreadyOpen { .. }) => self.ask_running(question).await,
            Err(error) => Err(error.into()),
        }
    }

    async fn ask_running(
        &self,
        question: Question,
    ) -> Result<replicate::verify::books::Answer, BooksError> {
        let error = |message: String| BooksError {
            message: format!("--state {}: {message}", self.directory.display()),
            cure: Some(
                "run this as the user who runs the sync, with the same release of kferry"
                    .to_owned(),
            ),
        };
        match socket::ask(&self.directory, &Ask::Books(question)).await {
            Ok(Answer::Books(answer)) => Ok(answer),
            Ok(Answer::Error(what)) => Err(error(what)),
            Ok(Answer::Places(_)) => Err(error("the sync answers something else".to_owned())),
            Err(cause) => {
                Err(error(format!("another process uses the state and does not answer: {cause}")))
            }
        }
    }
}

/// Tries of one question, and the pause between them: a sync that is just starting or ending holds the file and has no socket.
const TRIES: u32 = 20;
const PAUSE: std::time::Duration = std::time::Duration::from_millis(250);

impl Books for StateBooks {
    fn ask(&self, question: Question) -> BooksFuture<'_> {
        Box::pin(async move {
            let mut tries = 1;
            loop {
                match self.find(question.clone()).await {
                    Err(_) if tries < TRIES => tokio::time::sleep(PAUSE).await,
                    result => return result,
                }
                tries += 1;
            }
        })
    }
}
