//! Which source offset carries which ordinal, before anything is sent.
//!
//! A **run** is a stretch of source offsets without a gap: inside it,
//! `source offset = source_start + (ordinal - ordinal_start)`. A run lasts until the next one begins, so an
//! ordinary partition needs a single one for its whole life. A run is journaled before its first batch
//! is sent. If the process dies, the target's tail says how far the ordinals came, and the run says
//! which source offset that was. Counting the records again would not: compaction may have removed some
//! in between (BF-25).

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Ordinal, Segment, SourceOffset, TargetOffset};

/// The beginning of a stretch of source offsets without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Run {
    /// The ordinal of the run's first record.
    pub ordinal_start: Ordinal,
    /// The source offset of the run's first record.
    pub source_start: SourceOffset,
}

impl Run {
    /// The source offset of `ordinal`, as if the run had no end.
    fn source_of(&self, ordinal: Ordinal) -> SourceOffset {
        self.source_start.plus(ordinal.since(self.ordinal_start))
    }
}

/// Ordinals and source offsets must both grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("record {ordinal} at source offset {source_offset} does not follow the run that begins with record {} at source offset {}", .last.ordinal_start, .last.source_start)]
pub struct RunError {
    /// The ordinal that was to be added.
    pub ordinal: Ordinal,
    /// Its source offset.
    pub source_offset: SourceOffset,
    /// The last run there is.
    pub last: Run,
}

/// The runs of one lane, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Runs {
    runs: Vec<Run>,
}

impl Runs {
    /// The runs read back from the journal, oldest first.
    ///
    /// # Errors
    /// [`RunError`] when they do not grow in both directions.
    pub fn load(runs: impl IntoIterator<Item = Run>) -> Result<Self, RunError> {
        let mut loaded = Self::default();
        for run in runs {
            loaded.push(run.ordinal_start, run.source_start)?;
        }
        Ok(loaded)
    }

    /// Says that the record `ordinal` is the one at source offset `source`, and that the records after
    /// it follow without a gap until the next `push`.
    ///
    /// Returns `true` when this began a new run: it must be durable before the record is sent.
    ///
    /// # Errors
    /// [`RunError`] when `ordinal` or `source` does not lie behind what is known. What was planned but
    /// never acknowledged is forgotten with [`Runs::truncate`] first.
    pub fn push(&mut self, ordinal: Ordinal, source: SourceOffset) -> Result<bool, RunError> {
        if let Some(last) = self.runs.last() {
            if ordinal < last.ordinal_start || source < last.source_of(ordinal) {
                return Err(RunError { ordinal, source_offset: source, last: *last });
            }
            if source == last.source_of(ordinal) {
                return Ok(false);
            }
            if ordinal == last.ordinal_start {
                // Nothing lies between: the earlier plan for this ordinal held no record.
                self.runs.pop();
            }
        }
        self.runs.push(Run { ordinal_start: ordinal, source_start: source });
        Ok(true)
    }

    /// The source offset of the record `ordinal`; none when it lies before the first run.
    #[must_use]
    pub fn source_of(&self, ordinal: Ordinal) -> Option<SourceOffset> {
        self.run_of(ordinal).map(|run| run.source_of(ordinal))
    }

    /// The first source offset behind the record `ordinal`: where to read on when it is the last one that
    /// the target has.
    #[must_use]
    pub fn next_source_after(&self, ordinal: Ordinal) -> Option<SourceOffset> {
        self.source_of(ordinal).map(|source| source.plus(1))
    }

    /// The offset map segments of the `count` records from `first` on, when the target put the first of
    /// them at `target`. Empty when `first` lies before the first run.
    pub fn segments(
        &self,
        first: Ordinal,
        count: i64,
        target: TargetOffset,
    ) -> impl Iterator<Item = Segment> + '_ {
        let end = first.plus(count.max(0));
        let runs = self.index_of(first).map_or(&[][..], |index| &self.runs[index..]);
        let mut ordinal = first;
        let mut following = runs.iter().peekable();
        std::iter::from_fn(move || {
            let run = following.next().filter(|_| ordinal < end)?;
            let run_end = following.peek().map_or(end, |next| next.ordinal_start.min(end));
            let segment = Segment {
                source_start: run.source_of(ordinal),
                target_start: target.plus(ordinal.since(first)),
                len: run_end.since(ordinal),
            };
            ordinal = run_end;
            Some(segment)
        })
    }

    /// Forgets what lies before the run of `ordinal`; `ordinal` itself and all later ones stay known.
    /// Pass the last acknowledged ordinal.
    pub fn prune(&mut self, ordinal: Ordinal) {
        if let Some(index) = self.index_of(ordinal) {
            self.runs.drain(..index);
        }
    }

    /// Forgets what was planned for `ordinal` and later. Needed after an interruption: the source is read
    /// again behind the last acknowledged record, and by then it may have lost some of the planned ones.
    pub fn truncate(&mut self, ordinal: Ordinal) {
        let keep = self.runs.partition_point(|run| run.ordinal_start < ordinal);
        self.runs.truncate(keep);
    }

    /// The runs, oldest first, as the journal keeps them.
    #[must_use]
    pub fn as_slice(&self) -> &[Run] {
        &self.runs
    }

    /// How many runs are held.
    #[must_use]
    pub fn count(&self) -> usize {
        self.runs.len()
    }

    fn index_of(&self, ordinal: Ordinal) -> Option<usize> {
        self.runs.partition_point(|run| run.ordinal_start <= ordinal).checked_sub(1)
    }

    fn run_of(&self, ordinal: Ordinal) -> Option<&Run> {
        self.index_of(ordinal).and_then(|index| self.runs.get(index))
    }
}

#[cfg(test)]
mod tests;
