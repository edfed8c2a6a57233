//! Where the copy stands when only the target's log tells: its last records are looked for in the source.
//!
//! A lost journal takes with it which source offset each record had. What is left is content: the records themselves
//! with their times. The last records of the target, as far back as the caller read them (the *window*), are compared
//! with every record of the source from where they could begin. One place fits, or none, or several; only one is an
//! answer, and what is not certain is said ([`Found`]), never guessed. Records are compared, not batches: a
//! rebuilt batch holds the same records, and a target may compress anew (P4).
//!
//! Which target records may be ours is left to the caller (the headers name the producer, P4), and so is what follows.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use kafka_wire::record::Record;

use crate::{Segment, SourceOffset, TargetOffset};

/// Records in a row that must agree when the source no longer has all of the window.
///
/// The window's older records may be gone from the source (retention, compaction). Then the rest decides, and a
/// rest of one record could be another one with the same content.
pub const AGREED_MIN: usize = 8;

/// One record of the target's tail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Print {
    /// Its target offset.
    pub target: TargetOffset,
    /// [`content_hash`] of it.
    pub hash: u64,
}

/// What the source says to the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// The window's last record is at exactly one place of the source.
    At {
        /// The source offset behind it: where the copy goes on.
        source_next: SourceOffset,
        /// Which target records are which source records, as far as they agree.
        segments: Vec<Segment>,
    },
    /// It could be at several places.
    Ambiguous {
        /// Source offset of the first one.
        first: SourceOffset,
        /// How many there are.
        count: usize,
    },
    /// One place has the last records, but not enough of those before them.
    Contradicted {
        /// Source offset of the last record.
        at: SourceOffset,
        /// How many records agree.
        agreed: usize,
    },
    /// The source does not have the last record.
    Nowhere,
}

/// One place that fits, wholly or in part.
#[derive(Clone, Debug)]
struct Place {
    at: SourceOffset,
    agreed: usize,
    /// What comes before the agreeing records was removed from the source: nothing contradicts.
    is_cut: bool,
    segments: Vec<Segment>,
}

/// Compares a window with the source, record by record.
#[derive(Debug)]
pub struct ContentMatch {
    window: Vec<Print>,
    /// The last source records, at most one more than the window has.
    recent: VecDeque<(SourceOffset, u64)>,
    /// Places with the whole window, and with a part of it: the first of each, and how many.
    whole: (Option<Place>, usize),
    part: (Option<Place>, usize),
}

impl ContentMatch {
    /// A comparison with `window`: the last records of the target that may be ours, in log order.
    #[must_use]
    pub fn new(window: Vec<Print>) -> Self {
        Self { window, recent: VecDeque::new(), whole: (None, 0), part: (None, 0) }
    }

    /// The next record of the source that a copy would hold: in order, without aborted ones.
    pub fn see(&mut self, source: SourceOffset, hash: u64) {
        self.recent.push_back((source, hash));
        if self.recent.len() > self.window.len() + 1 {
            self.recent.pop_front();
        }
        if self.window.last().is_none_or(|last| last.hash != hash) {
            return;
        }
        let place = self.place(source);
        let list = if place.agreed == self.window.len() { &mut self.whole } else { &mut self.part };
        list.0.get_or_insert(place);
        list.1 += 1;
    }

    /// How well the window fits when its last record is the one just seen.
    fn place(&self, at: SourceOffset) -> Place {
        let pairs = self.window.iter().rev().zip(self.recent.iter().rev());
        let agreed = pairs.take_while(|(print, seen)| print.hash == seen.1).count();
        let begin = self.recent.len() - agreed;
        let before = begin.checked_sub(1).map(|index| self.recent[index].0);
        let is_cut = match (before, self.recent.get(begin)) {
            (Some(before), Some((first, _))) => first.since(before) > 1,
            _ => true,
        };
        let mut segments: Vec<Segment> = Vec::new();
        let prints = &self.window[self.window.len() - agreed..];
        for (print, (source, _)) in prints.iter().zip(self.recent.range(begin..)) {
            let next = Segment { source_start: *source, target_start: print.target, len: 1 };
            match segments.last_mut() {
                Some(last) if last.continues_with(&next) => last.len += 1,
                _ => segments.push(next),
            }
        }
        Place { at, agreed, is_cut, segments }
    }

    /// The answer, when the whole source was seen.
    #[must_use]
    pub fn finish(self) -> Found {
        let found =
            |place: Place| Found::At { source_next: place.at.plus(1), segments: place.segments };
        match (self.whole, self.part) {
            ((Some(place), 1), _) => found(place),
            ((Some(place), count), _) => Found::Ambiguous { first: place.at, count },
            ((None, _), (None, _)) => Found::Nowhere,
            ((None, _), (Some(place), 1)) if place.is_cut && place.agreed >= AGREED_MIN => {
                found(place)
            }
            ((None, _), (Some(place), 1)) => {
                Found::Contradicted { at: place.at, agreed: place.agreed }
            }
            ((None, _), (Some(place), count)) => Found::Ambiguous { first: place.at, count },
        }
    }
}

/// A hash of everything that a copy keeps: key, value, headers and, unless the target stamps its own (BF-5), the time.
#[must_use]
pub fn content_hash(record: &Record, with_time: bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    if with_time {
        record.timestamp.hash(&mut hasher);
    }
    record.key.hash(&mut hasher);
    record.value.hash(&mut hasher);
    for header in &record.headers {
        header.key.hash(&mut hasher);
        header.value.hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests;
