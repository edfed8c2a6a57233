//! Where an offset of one end lies on the other, asked of a task's journal.
//!
//! The journal knows every record that was acknowledged up to its last word, at most about a second ago in a running
//! task. What it cannot know is said, not guessed ([`Place`]).

use std::collections::BTreeMap;

use forward::{SourceOffset, TargetOffset};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::journal::{Journal, JournalError, LaneKey, LaneRecord, MapQuery};
use crate::task::map_start_of;

/// Partitions and topics that an error names at most.
const NAMED_MAX: usize = 20;

/// Which end a question is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The cluster that is copied.
    Source,
    /// The cluster it is copied to.
    Target,
}

/// One place in a partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct At {
    /// The topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// The offset there.
    pub offset: i64,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The end that `at` is on.
    pub from: End,
    /// The place asked about.
    pub at: At,
}

/// What the journal says to it, for one source partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "place", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Place {
    /// The record there is this one.
    Record {
        /// Its place on the source.
        source: At,
        /// Its place on the target.
        target: At,
    },
    /// No copied record is there (a gap, another writer's record, a marker); the next copied one is this one.
    Next {
        /// Its place on the source.
        source: At,
        /// Its place on the target.
        target: At,
    },
    /// Nothing at or behind it has been copied yet.
    NotCopied {
        /// The source offset that is copied next: all before are on the target.
        source: At,
        /// The target offset that the next record gets at the earliest, -1 before the first record.
        target: At,
    },
    /// Where records before `source` lie is not known: they were there before this task's state began.
    BeforeMap {
        /// The first source offset that is known.
        source: At,
        /// The other end, without an offset.
        target_topic: String,
        /// Its partition.
        target_partition: i32,
    },
}

/// Why there is no answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OffsetsError {
    /// The journal has no such topic on that end.
    #[error("no {} topic {topic} in the state; there {known}", .from.name())]
    UnknownTopic {
        /// The end that was asked.
        from: End,
        /// The topic asked for.
        topic: String,
        /// Those that are there, in words.
        known: String,
    },
    /// The topic has no such partition.
    #[error("no partition {partition} of {} topic {topic} in the state; there {known}", .from.name())]
    UnknownPartition {
        /// The end that was asked.
        from: End,
        /// The topic.
        topic: String,
        /// The partition asked for.
        partition: i32,
        /// Those that are there, in words.
        known: String,
    },
    /// The task makes no copy: a record of the source has no one place on the target.
    #[error("the task processes records by a rule: a source record has no one place on the target")]
    Processes,
    /// The journal cannot be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl End {
    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }

    fn of(self, lane: &LaneKey) -> (&str, i32) {
        match self {
            Self::Source => (&lane.source_topic, lane.source_partition),
            Self::Target => (&lane.target_topic, lane.target_partition),
        }
    }
}

/// Answers a question from the journal: one answer for each source partition that goes to the place asked about,
/// or the one that has a record exactly there.
///
/// # Errors
/// [`OffsetsError`]; unknown names come with those that are known.
pub async fn find(journal: &dyn Journal, question: &Question) -> Result<Vec<Place>, OffsetsError> {
    let lanes = journal.load_lanes().await?;
    if lanes.iter().any(|record| record.lane.target_partition < 0) {
        return Err(OffsetsError::Processes);
    }
    let wanted = (question.at.topic.as_str(), question.at.partition);
    let found: Vec<&LaneRecord> =
        lanes.iter().filter(|record| question.from.of(&record.lane) == wanted).collect();
    if found.is_empty() {
        return Err(unknown(&lanes, question));
    }
    let mut places = Vec::new();
    for record in found {
        places.push(place(journal, record, question).await?);
    }
    let exact = places.iter().position(|place| matches!(place, Place::Record { .. }));
    Ok(match exact {
        Some(index) => vec![places.swap_remove(index)],
        None => places,
    })
}

async fn place(
    journal: &dyn Journal,
    record: &LaneRecord,
    question: &Question,
) -> Result<Place, JournalError> {
    let lane = &record.lane;
    let source =
        |offset| At { topic: lane.source_topic.clone(), partition: lane.source_partition, offset };
    let target =
        |offset| At { topic: lane.target_topic.clone(), partition: lane.target_partition, offset };
    let noted = map_start_of(journal, lane).await?;
    let map_start = record.map_start.map(|start| start.0).max(noted);
    let asked = question.at.offset;
    let before = |source_start| Place::BeforeMap {
        source: source(source_start),
        target_topic: lane.target_topic.clone(),
        target_partition: lane.target_partition,
    };
    if let Some(start) = map_start
        && question.from == End::Source
        && asked < start
    {
        return Ok(before(start));
    }
    let query = match question.from {
        End::Source => MapQuery::Source(SourceOffset(asked)),
        End::Target => MapQuery::Target(TargetOffset(asked)),
    };
    let Some(segment) = journal.query_map(lane.clone(), query).await? else {
        let (next, end) = (record.acked.source_next.0, record.acked.target_next.0);
        return Ok(Place::NotCopied { source: source(next), target: target(end) });
    };
    let (at_source, at_target, is_record) = match question.from {
        End::Source => {
            let at = segment.target_at_or_after(SourceOffset(asked));
            let is_record = asked >= segment.source_start.0;
            (asked.max(segment.source_start.0), at.0, is_record)
        }
        End::Target => {
            let at = segment.source_at_or_after(TargetOffset(asked));
            let is_record = asked >= segment.target_start.0;
            (at.0, asked.max(segment.target_start.0), is_record)
        }
    };
    if let Some(start) = map_start
        && !is_record
        && question.from == End::Target
        && at_source <= start
    {
        // Records before the first one known may be copies of what came before it.
        return Ok(before(start));
    }
    let (source, target) = (source(at_source), target(at_target));
    Ok(if is_record { Place::Record { source, target } } else { Place::Next { source, target } })
}

fn unknown(lanes: &[LaneRecord], question: &Question) -> OffsetsError {
    let from = question.from;
    let mut known: BTreeMap<&str, Vec<i32>> = BTreeMap::new();
    for (topic, partition) in lanes.iter().map(|record| from.of(&record.lane)) {
        known.entry(topic).or_default().push(partition);
    }
    let topic = question.at.topic.clone();
    match known.get_mut(question.at.topic.as_str()) {
        Some(partitions) => {
            partitions.sort_unstable();
            partitions.dedup();
            let partition = question.at.partition;
            let known = words("partitions", partitions.iter().map(ToString::to_string));
            OffsetsError::UnknownPartition { from, topic, partition, known }
        }
        None => {
            let known = words("topics", known.keys().map(|topic| (*topic).to_owned()));
            OffsetsError::UnknownTopic { from, topic, known }
        }
    }
}

fn words(what: &str, names: impl ExactSizeIterator<Item = String>) -> String {
    let count = names.len();
    if count == 0 {
        return format!("are no {what}");
    }
    let named: Vec<String> = names.take(NAMED_MAX).collect();
    let more =
        if count > NAMED_MAX { format!(" and {} more", count - NAMED_MAX) } else { String::new() };
    format!("are {what} {}{more}", named.join(", "))
}

#[cfg(test)]
mod tests;
