//! What a comparison asks of a task's state: read only, in portions, so that a running task can answer it too.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use forward::{Segment, SourceOffset, TargetOffset};
use kafka_wire::Uuid;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::journal::{Journal, JournalError, LaneKey, LaneRecord, MapQuery, TaskIdentity};
use crate::task::{lane_starts, load_map_starts};

/// Segments, and lanes, of one answer at most.
pub const SEGMENTS_MAX: usize = 1024;
/// See [`SEGMENTS_MAX`].
pub const LANES_MAX: usize = 2048;

/// One question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "books", rename_all = "snake_case")]
pub enum Question {
    /// Whose state it is.
    Task,
    /// Lanes behind this one, in the order of their keys.
    Lanes {
        /// The last one of the answer before.
        after: Option<LaneKey>,
    },
    /// The segments of a lane's offset map, from the one that holds this source offset, or the next one, on.
    Segments {
        /// The lane.
        lane: LaneKey,
        /// The first source offset of interest.
        from: SourceOffset,
        /// How many at most.
        count_max: usize,
    },
    /// The segment that holds this target offset, or the next one.
    AtTarget {
        /// The lane.
        lane: LaneKey,
        /// The target offset.
        target: TargetOffset,
    },
    /// The groups that somebody else has on the target.
    Groups,
}

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Question::Task`]; nothing when no task has begun.
    Task(Option<TaskIdentity>),
    /// To [`Question::Lanes`]; fewer than [`LANES_MAX`] are the last ones.
    Lanes(Vec<LaneView>),
    /// To [`Question::Segments`] and [`Question::AtTarget`]; fewer than asked for are the last ones.
    Segments(Vec<Segment>),
    /// To [`Question::Groups`]: those that somebody else has on the target; nothing when the task carries no group offsets.
    Groups(Option<Vec<String>>),
}

/// What matters of a lane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneView {
    /// Which lane.
    pub lane: LaneKey,
    /// The source topic's id when it began, as text.
    pub source_topic_id: Option<String>,
    /// The first source offset that it was to copy, if that was noted.
    pub start: Option<SourceOffset>,
    /// The first source offset whose place is known, if older ones may be on the target.
    pub map_start: Option<SourceOffset>,
    /// Behind what is copied.
    pub source_next: SourceOffset,
    /// Behind the last copy; −1 before the first.
    pub target_next: TargetOffset,
    /// The producer that writes it.
    pub producers: Vec<i64>,
    /// The target has nothing of the lane that the state does not know: it was ended cleanly.
    pub is_settled: bool,
}

/// Why the books do not answer.
#[derive(Clone, Debug, Error)]
#[error("{message}")]
pub struct BooksError {
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub cure: Option<String>,
}

impl From<JournalError> for BooksError {
    fn from(error: JournalError) -> Self {
        Self { message: error.to_string(), cure: error.cure() }
    }
}

/// A future of [`Books`].
pub type BooksFuture<'a> = Pin<Box<dyn Future<Output = Result<Answer, BooksError>> + Send + 'a>>;

/// Somebody who can read a task's state.
pub trait Books: fmt::Debug + Send + Sync {
    /// Answers.
    ///
    /// # Errors
    /// [`BooksError`].
    fn ask(&self, question: Question) -> BooksFuture<'_>;
}

impl<J: Journal> Books for J {
    fn ask(&self, question: Question) -> BooksFuture<'_> {
        Box::pin(async move { Ok(answer(self, question).await?) })
    }
}

/// Answers from a journal.
///
/// # Errors
/// [`JournalError`].
pub async fn answer(journal: &dyn Journal, question: Question) -> Result<Answer, JournalError> {
    Ok(match question {
        Question::Task => Answer::Task(journal.load_identity().await?),
        Question::Lanes { after } => {
            let lanes = journal.load_lanes().await?;
            let starts = lane_starts(journal).await?;
            let map_starts = load_map_starts(journal).await?;
            let behind =
                |record: &&LaneRecord| after.as_ref().is_none_or(|after| record.lane > *after);
            let view = |record: &LaneRecord| {
                let name = crate::task::map_start_name(&record.lane);
                let noted = map_starts.get(&name).copied().map(SourceOffset);
                view(record, starts.get(&name).copied(), noted)
            };
            Answer::Lanes(lanes.iter().filter(behind).take(LANES_MAX).map(view).collect())
        }
        Question::Segments { lane, from, count_max } => {
            let mut segments = Vec::new();
            let mut next = from;
            while segments.len() < count_max.min(SEGMENTS_MAX) {
                let query = MapQuery::Source(next);
                let Some(found) = journal.query_map(lane.clone(), query).await? else { break };
                next = found.source_end();
                segments.push(found);
            }
            Answer::Segments(segments)
        }
        Question::AtTarget { lane, target } => {
            let found = journal.query_map(lane, MapQuery::Target(target)).await?;
            Answer::Segments(found.into_iter().collect())
        }
        Question::Groups => {
            let groups = journal.load_groups().await?;
            let has_any = !groups.is_empty();
            let taken_over = groups.into_iter().filter(|record| record.taken_over);
            Answer::Groups(has_any.then(|| taken_over.map(|record| record.group).collect()))
        }
    })
}

fn view(record: &LaneRecord, start: Option<i64>, noted: Option<SourceOffset>) -> LaneView {
    let mut producers: Vec<i64> = record.epochs.iter().map(|epoch| epoch.producer_id).collect();
    producers.dedup();
    LaneView {
        lane: record.lane.clone(),
        source_topic_id: record.source_topic_id.map(text_of),
        start: start.map(SourceOffset),
        map_start: record.map_start.max(noted),
        source_next: record.acked.source_next,
        target_next: record.acked.target_next,
        producers,
        is_settled: record.settled,
    }
}

/// A topic id as text.
pub(super) fn text_of(id: Uuid) -> String {
    format!("{id}")
}
