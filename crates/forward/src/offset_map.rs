//! The exact map between source offsets and target offsets of one lane, both ways.
//!
//! It is made of the target broker's own acknowledgements, so writers beside us cost no accuracy. Its
//! size grows with gaps, not with records: neighbours merge while both sides run without one. Inside a gap the
//! answer is the next record, which is what a consumer's committed offset means.
//!
//! Only the youngest segments stay in memory. Each one goes to the journal first ([`OffsetMap::drain`]), and
//! what lies before those kept is answered with [`Lookup::Evicted`]: ask the journal.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::planted::{self, Bug};
use crate::{SourceOffset, TargetOffset};

/// `len` records at consecutive offsets on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Segment {
    /// Source offset of the first record.
    pub source_start: SourceOffset,
    /// Target offset of the first record.
    pub target_start: TargetOffset,
    /// Number of records, above 0.
    pub len: i64,
}

impl Segment {
    /// The source offset behind the last record.
    #[must_use]
    pub const fn source_end(&self) -> SourceOffset {
        self.source_start.plus(self.len)
    }

    /// The target offset behind the last record.
    #[must_use]
    pub const fn target_end(&self) -> TargetOffset {
        self.target_start.plus(self.len)
    }

    /// The target offset of the first record at or after `source`, which must lie before the end.
    #[must_use]
    pub fn target_at_or_after(&self, source: SourceOffset) -> TargetOffset {
        let distance = source.since(self.source_start);
        self.target_start.plus(if planted::has(Bug::TranslateInGap) {
            distance
        } else {
            distance.max(0)
        })
    }

    /// The source offset of the first record at or after `target`, which must lie before the end.
    #[must_use]
    pub fn source_at_or_after(&self, target: TargetOffset) -> SourceOffset {
        self.source_start.plus(target.since(self.target_start).max(0))
    }

    /// Whether the first record of `next` follows the last of `self` on both sides.
    #[must_use]
    pub fn continues_with(&self, next: &Self) -> bool {
        self.source_end() == next.source_start && self.target_end() == next.target_start
    }
}

/// What the map knows of an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    /// The offset, on the other side, of the first record at or after the one asked for; when all
    /// copied records lie before it, the offset that the next one gets at the earliest.
    At(T),
    /// It lies beyond what has been copied: to be held until it has.
    Beyond,
    /// It lies in segments that only the journal still has.
    Evicted,
}

/// A segment contradicts what the map knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "{} records from source offset {} at target offset {} do not fit an offset map that ends at source offset {source_next}, target offset {target_next}",
    .segment.len, .segment.source_start, .segment.target_start
)]
pub struct MapConflict {
    /// The segment that was to be added.
    pub segment: Segment,
    /// Where the map ends on the source.
    pub source_next: SourceOffset,
    /// Where the map ends on the target.
    pub target_next: TargetOffset,
}

/// The offset map of one lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetMap {
    segments: VecDeque<Segment>,
    source_next: SourceOffset,
    target_next: TargetOffset,
    /// Segments from this index on have changed since the last drain.
    changed_from: usize,
    /// Segments before the first one in memory exist in the journal.
    has_evicted: bool,
    /// Behind the last record that was evicted since the map was made.
    evicted_end: Option<SourceOffset>,
    segments_max: usize,
}

impl OffsetMap {
    /// A map that begins at a lane's start position and at the end of its target partition.
    /// At most `segments_max` drained segments (at least one) stay in memory.
    #[must_use]
    pub fn new(
        source_start: SourceOffset,
        target_start: TargetOffset,
        segments_max: usize,
    ) -> Self {
        Self {
            segments: VecDeque::new(),
            source_next: source_start,
            target_next: target_start,
            changed_from: 0,
            has_evicted: false,
            evicted_end: None,
            segments_max: segments_max.max(1),
        }
    }

    /// A map that goes on from what the journal has: its youngest `segments` in order, whether there
    /// are older ones (`has_older`), and the end on both sides, which may lie behind the last segment.
    ///
    /// # Errors
    /// [`MapConflict`] when the segments do not grow on both sides.
    pub fn load(
        segments: impl IntoIterator<Item = Segment>,
        has_older: bool,
        source_next: SourceOffset,
        target_next: TargetOffset,
        segments_max: usize,
    ) -> Result<Self, MapConflict> {
        let mut map = Self::new(SourceOffset(i64::MIN), TargetOffset(i64::MIN), segments_max);
        for segment in segments {
            map.append(segment)?;
        }
        map.advance(source_next, target_next);
        map.changed_from = map.segments.len();
        map.has_evicted = has_older;
        map.evict();
        Ok(map)
    }

    /// As [`OffsetMap::load`] with only the journal's youngest segment, which goes on growing; the others are asked
    /// of the journal. A segment that does not lie before the end is left out.
    #[must_use]
    pub fn resume(
        youngest: Option<Segment>,
        source_next: SourceOffset,
        target_next: TargetOffset,
        segments_max: usize,
    ) -> Self {
        let mut map = Self::new(source_next, target_next, segments_max);
        map.has_evicted = youngest.is_some();
        map.segments.extend(youngest.filter(|segment| {
            segment.source_end() <= source_next && segment.target_end() <= target_next
        }));
        map.changed_from = map.segments.len();
        map
    }

    /// Adds acknowledged records behind those known. What the map has already is skipped when it agrees,
    /// so that the tail of the target can be read again over known ground.
    ///
    /// # Errors
    /// [`MapConflict`] when the segment contradicts the map; the map is then unchanged, except for
    /// records before the contradiction that were new.
    pub fn append(&mut self, segment: Segment) -> Result<(), MapConflict> {
        let mut rest = segment;
        while rest.len > 0 {
            if rest.source_start >= self.source_next && rest.target_start >= self.target_next {
                self.push_new(rest);
                break;
            }
            let conflict = MapConflict {
                segment,
                source_next: self.source_next,
                target_next: self.target_next,
            };
            let index =
                self.segments.partition_point(|known| known.source_end() <= rest.source_start);
            let known = self.segments.get(index).ok_or(conflict)?;
            if rest.source_start < known.source_start
                || known.target_at_or_after(rest.source_start) != rest.target_start
            {
                return Err(conflict);
            }
            let agreed = rest.len.min(known.source_end().since(rest.source_start));
            rest = Segment {
                source_start: rest.source_start.plus(agreed),
                target_start: rest.target_start.plus(agreed),
                len: rest.len - agreed,
            };
        }
        Ok(())
    }

    /// Says that everything before `source_next` is copied or has no record to copy, and that whatever
    /// comes next gets `target_next` at the earliest. Never moves back.
    pub fn advance(&mut self, source_next: SourceOffset, target_next: TargetOffset) {
        self.source_next = self.source_next.max(source_next);
        self.target_next = self.target_next.max(target_next);
    }

    /// Forgets the source offsets from `from` on: the source has lost them and may give them to other records. What the
    /// target has of them stays there, so its offsets are not used again.
    pub fn cut(&mut self, from: SourceOffset) {
        while self.segments.back().is_some_and(|last| last.source_start >= from) {
            self.segments.pop_back();
        }
        if let Some(last) = self.segments.back_mut()
            && last.source_end() > from
        {
            last.len = from.since(last.source_start);
        }
        self.changed_from = self.changed_from.min(self.segments.len());
        self.source_next = self.source_next.min(from);
        self.evicted_end = self.evicted_end.map(|end| end.min(from));
    }

    /// Where the next record is expected on the source.
    #[must_use]
    pub const fn source_next(&self) -> SourceOffset {
        self.source_next
    }

    /// The target offset that the next record gets at the earliest.
    #[must_use]
    pub const fn target_next(&self) -> TargetOffset {
        self.target_next
    }

    /// The target offset of the first record at or after `source`.
    #[must_use]
    pub fn translate(&self, source: SourceOffset) -> Lookup<TargetOffset> {
        if source > self.source_next {
            return Lookup::Beyond;
        }
        let index = self.segments.partition_point(|known| known.source_end() <= source);
        match self.segments.get(index) {
            None if self.segments.is_empty() && self.has_evicted => Lookup::Evicted,
            None => Lookup::At(self.target_next),
            Some(first) if index == 0 && self.has_evicted && source < first.source_start => {
                Lookup::Evicted
            }
            Some(known) => Lookup::At(known.target_at_or_after(source)),
        }
    }

    /// The source offset of the first copied record at or after `target`.
    #[must_use]
    pub fn translate_back(&self, target: TargetOffset) -> Lookup<SourceOffset> {
        if target > self.target_next {
            return Lookup::Beyond;
        }
        let index = self.segments.partition_point(|known| known.target_end() <= target);
        match self.segments.get(index) {
            None if self.segments.is_empty() && self.has_evicted => Lookup::Evicted,
            None => Lookup::At(self.source_next),
            Some(first) if index == 0 && self.has_evicted && target < first.target_start => {
                Lookup::Evicted
            }
            Some(known) => Lookup::At(known.source_at_or_after(target)),
        }
    }

    /// The segments that are new or have grown since the last call, for the journal: one that has grown
    /// keeps its `source_start`, by which the journal replaces it. Frees old segments beyond the bound.
    pub fn drain(&mut self) -> Vec<Segment> {
        let mut changed: Vec<Segment> =
            self.segments.iter().skip(self.changed_from).copied().collect();
        if planted::has(Bug::MapOffByOne) {
            changed.iter_mut().for_each(|segment| segment.target_start = segment.target_end());
        }
        self.changed_from = self.segments.len();
        self.evict();
        changed
    }

    /// Whether [`OffsetMap::drain`] would return anything.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.changed_from < self.segments.len()
    }

    /// How many drained segments stay in memory at most.
    #[must_use]
    pub const fn segments_max(&self) -> usize {
        self.segments_max
    }

    /// Behind the last record that was evicted since the map was made: records before it are in the journal as soon as what
    /// was drained is durable.
    #[must_use]
    pub const fn evicted_end(&self) -> Option<SourceOffset> {
        self.evicted_end
    }

    /// The segments in memory, oldest first.
    pub fn segments(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter()
    }

    fn push_new(&mut self, segment: Segment) {
        self.source_next = segment.source_end();
        self.target_next = segment.target_end();
        let last_index = self.segments.len().saturating_sub(1);
        match self.segments.back_mut() {
            Some(last) if last.continues_with(&segment) => {
                last.len = last.len.saturating_add(segment.len);
                self.changed_from = self.changed_from.min(last_index);
            }
            _ => self.segments.push_back(segment),
        }
    }

    /// Frees the oldest drained segments beyond the bound.
    fn evict(&mut self) {
        while self.segments.len() > self.segments_max && self.changed_from > 0 {
            self.evicted_end = self.segments.pop_front().map(|evicted| evicted.source_end());
            self.changed_from -= 1;
            self.has_evicted = true;
        }
    }
}

#[cfg(test)]
mod tests;
