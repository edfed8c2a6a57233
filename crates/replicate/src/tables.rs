//! Lookup tables that follow a topic: read before the first record is processed, and kept up to date from then on (ADR 0021).
//!
//! A table holds one row for each key of its topic: what the last committed record of that key says. It is in memory only, so a
//! start reads the topic from its beginning, and no group is needed. Whenever the log turns out not to be what was read (the topic was
//! made again, records were lost or deleted before they were read), all of it is read anew, and the rows that the table has serve
//! until that is done.

mod apply;
mod cause;
mod follow;
mod truth;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kafka_client::Client;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use self::follow::Follower;
use crate::event::EventSink;
use crate::progress::TableProgress;
use crate::spec::{TableTopic, TaskName, TaskSpec};
use crate::task::{Role, TaskError};

/// What a follower needs to know of its task.
#[derive(Clone)]
struct Context {
    task: TaskName,
    sink: EventSink,
    /// How long a table may take to be readable; for ever where the task has no end.
    patience: Option<Duration>,
}

/// Where a follower shows how far it has come.
type Board = Arc<Mutex<TableProgress>>;

/// The followers of a task's tables. They end with it.
#[derive(Default)]
pub(crate) struct Tables {
    running: JoinSet<TaskError>,
    boards: Vec<Board>,
    unread: Vec<oneshot::Receiver<()>>,
}

impl Tables {
    /// Begins to read the tables of a task.
    pub(crate) fn start(
        spec: &TaskSpec,
        (source, target): (&Client, &Client),
        sink: &EventSink,
        patience: Option<Duration>,
    ) -> Self {
        let mut tables = Self::default();
        let Some(transform) = &spec.transform else { return tables };
        for table in &transform.tables {
            let context = Context { task: spec.name.clone(), sink: Arc::clone(sink), patience };
            let client = match table.from {
                Role::Source => source,
                Role::Target => target,
            };
            let board = Board::default();
            let (is_read, unread) = oneshot::channel();
            let (client, rule) = (client.clone(), transform.clone());
            let follower =
                Follower::new(context, table.clone(), client, rule, Arc::clone(&board), is_read);
            tables.running.spawn(follower.run());
            tables.boards.push(board);
            tables.unread.push(unread);
        }
        tables
    }

    /// Waits until all are read up to where their topics ended when the task began.
    ///
    /// # Errors
    /// Why one of them never will be.
    pub(crate) async fn read(&mut self) -> Result<(), TaskError> {
        while let Some(unread) = self.unread.last_mut() {
            tokio::select! {
                biased;
                error = Self::ended(&mut self.running) => return Err(error),
                // A follower that is gone has failed, which shows at the next look.
                _ = unread => {}
            }
            self.unread.pop();
        }
        Ok(())
    }

    /// Waits for a follower that cannot go on.
    pub(crate) async fn failed(&mut self) -> TaskError {
        Self::ended(&mut self.running).await
    }

    async fn ended(running: &mut JoinSet<TaskError>) -> TaskError {
        match running.join_next().await {
            None => std::future::pending().await,
            Some(Ok(error)) => error,
            Some(Err(error)) => TaskError::Worker { cause: error.to_string() },
        }
    }

    /// How far each has come.
    pub(crate) fn progress(&self) -> Vec<TableProgress> {
        let look = |board: &Board| board.lock().unwrap_or_else(PoisonError::into_inner).clone();
        self.boards.iter().map(look).collect()
    }
}

/// Where a table's topic is, in words.
fn place(table: &TableTopic) -> String {
    format!("topic {} on the {}", table.topic, table.from)
}
