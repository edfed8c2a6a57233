//! Walks a source partition and its copy side by side, segment by segment of the offset map. No I/O: it says what it
//! needs next.
//!
//! Batches that travelled as they are have the same bytes behind the header on both ends, and are compared so, without
//! decompression. All others (rebuilt, merged, cut, compressed anew by the target) are compared record by record.
//!
//! Inside a segment each source offset has one target offset. Source records outside of all segments were never
//! copied; target records outside are those of others, or ones that this task wrote twice.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use forward::content::content_hash;
use forward::{Segment, SourceOffset, TargetOffset};
use kafka_wire::record::{Batch, BatchV2, Record, RecordLimits};

use super::report::{Contents, DIFFERENCES_MAX, Difference, Kind, Part, Tally};
use super::side::{Front, Side, Unpacked, Unreadable};

/// What the walk waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// Batches of the source, or the news that there are none left.
    Source,
    /// Batches of the target, likewise.
    Target,
    /// The segments from the one that holds this source offset, or the next one, on.
    Segments(SourceOffset),
    /// Nothing: all is compared.
    Nothing,
}

/// What is known of both ends beside their records.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// The first offset that the source still has.
    pub(super) source_start: i64,
    /// The first offset that the target still has.
    pub(super) target_start: i64,
    /// The source removes records by their keys.
    pub(super) is_source_compacted: bool,
    /// The target does.
    pub(super) is_target_compacted: bool,
    /// The times on the target are its own.
    pub(super) has_own_times: bool,
    /// The task's producers.
    pub(super) producers: Arc<BTreeSet<i64>>,
    /// Those of them that write other copies to the same partition.
    pub(super) other_producers: BTreeSet<i64>,
}

impl Facts {
    /// Whether this producer writes nothing here but copies of the source partition.
    fn is_ours(&self, producer_id: i64) -> bool {
        self.producers.contains(&producer_id) && !self.other_producers.contains(&producer_id)
    }
}

/// The walk over one partition.
#[derive(Debug)]
pub(super) struct Walk {
    pub(super) facts: Facts,
    source: Side,
    target: Side,
    /// What counts of each end.
    source_range: Range<i64>,
    target_range: Range<i64>,
    /// The segment at hand and those behind it.
    segments: VecDeque<Segment>,
    /// No segment begins at or behind what is there.
    is_map_ended: bool,
    /// Behind the last segment that was done with.
    mapped_next: SourceOffset,
    /// Source offsets that belong on no target (aborted batches, markers), from the segment at hand on; neighbours are one.
    left_behind: VecDeque<Range<i64>>,
    limits: RecordLimits,
    pub(super) tally: Tally,
    pub(super) differences: Vec<Difference>,
}

/// A front's offset; behind everything when the end is reached.
fn offset(front: Front) -> i64 {
    match front {
        Front::At(offset) => offset,
        Front::Unknown | Front::Ended => i64::MAX,
    }
}

impl Walk {
    pub(super) fn new(
        facts: Facts,
        source_range: Range<i64>,
        target_range: Range<i64>,
        limits: RecordLimits,
    ) -> Self {
        Self {
            facts,
            source: Side::new("source"),
            target: Side::new("target"),
            mapped_next: SourceOffset(source_range.start),
            source_range,
            target_range,
            segments: VecDeque::new(),
            is_map_ended: false,
            left_behind: VecDeque::new(),
            limits,
            tally: Tally::default(),
            differences: Vec::new(),
        }
    }

    /// A committed batch of the source.
    pub(super) fn push_source(&mut self, batch: Batch) -> Result<(), Unreadable> {
        self.tally.bytes += u64::try_from(batch.size_bytes()).unwrap_or(0);
        self.source.push(batch, &self.source_range)
    }

    /// A batch of the source whose transaction was aborted.
    pub(super) fn push_aborted(&mut self, batch: &Batch) {
        self.tally.aborted_batches += 1;
        self.push_control(batch);
    }

    /// A marker of the source.
    pub(super) fn push_control(&mut self, batch: &Batch) {
        let (start, end) = (batch.base_offset(), batch.next_offset());
        match self.left_behind.back_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => self.left_behind.push_back(start..end),
        }
    }

    /// A batch of the target without control records.
    pub(super) fn push_target(&mut self, batch: Batch) -> Result<(), Unreadable> {
        self.target.push(batch, &self.target_range)
    }

    /// The source has no more.
    pub(super) fn end_source(&mut self) {
        self.source.end();
    }

    /// The target has no more.
    pub(super) fn end_target(&mut self) {
        self.target.end();
    }

    /// The answer to [`Need::Segments`], and whether none follow.
    pub(super) fn push_segments(&mut self, segments: Vec<Segment>, is_last: bool) {
        self.is_map_ended = is_last;
        self.segments.extend(segments);
    }

    /// Behind what was compared on both ends, when nothing is waiting there: −1 for an end that has nothing waiting.
    pub(super) fn fronts(&mut self) -> Result<(i64, i64), Unreadable> {
        let waiting = |front| if let Front::At(offset) = front { offset } else { -1 };
        Ok((waiting(self.source.front(&self.limits)?), waiting(self.target.front(&self.limits)?)))
    }

    /// Compares what is there and says what is needed to go on.
    pub(super) fn advance(&mut self) -> Result<Need, Unreadable> {
        loop {
            let segment = self.segments.front().copied();
            if segment.is_none() && !self.is_map_ended {
                return Ok(Need::Segments(self.mapped_next));
            }
            let source = self.source.front(&self.limits)?;
            let target = self.target.front(&self.limits)?;
            match (source, target) {
                (Front::Unknown, _) => return Ok(Need::Source),
                (_, Front::Unknown) => return Ok(Need::Target),
                (Front::Ended, Front::Ended) => return Ok(Need::Nothing),
                _ => {}
            }
            self.step(segment, offset(source), offset(target))?;
        }
    }

    /// One pair, one record that has no partner, or the next segment. `i64::MAX` stands for an end without records.
    fn step(
        &mut self,
        segment: Option<Segment>,
        source: i64,
        target: i64,
    ) -> Result<(), Unreadable> {
        let Some(segment) = segment else {
            return if source == i64::MAX { self.unmapped() } else { self.missing(None) };
        };
        let is_source_in = source < segment.source_end().0;
        let is_target_in = target < segment.target_end().0;
        if source < segment.source_start.0 {
            return self.missing(None);
        }
        if target < segment.target_start.0 {
            return self.unmapped();
        }
        match (is_source_in, is_target_in) {
            (false, false) => {
                self.segments.pop_front();
                self.mapped_next = segment.source_end();
                while self.left_behind.front().is_some_and(|range| range.end <= self.mapped_next.0)
                {
                    self.left_behind.pop_front();
                }
                Ok(())
            }
            (true, false) => {
                let at = segment.target_at_or_after(SourceOffset(source));
                self.missing(Some(at))
            }
            (false, true) => self.surplus(segment.source_at_or_after(TargetOffset(target))),
            (true, true) => {
                let expected = segment.target_at_or_after(SourceOffset(source));
                if target < expected.0 {
                    self.surplus(segment.source_at_or_after(TargetOffset(target)))
                } else if target > expected.0 {
                    self.missing(Some(expected))
                } else {
                    self.pair(&segment)
                }
            }
        }
    }

    /// The source's front is not where it belongs.
    fn missing(&mut self, expected: Option<TargetOffset>) -> Result<(), Unreadable> {
        let Some(Unpacked { record, .. }) = self.source.take(&self.limits)? else { return Ok(()) };
        match expected {
            Some(at) if at.0 < self.facts.target_start => self.tally.expired_on_target += 1,
            Some(_) if self.facts.is_target_compacted => self.tally.cleaned_on_target += 1,
            _ => {
                self.tally.missing += 1;
                self.tell((Some(&record), None), Some(record.offset), expected, Kind::Missing);
            }
        }
        Ok(())
    }

    /// The target's front is a copy of the record at `source`, which the source does not show.
    fn surplus(&mut self, source: SourceOffset) -> Result<(), Unreadable> {
        let Some(Unpacked { record, .. }) = self.target.take(&self.limits)? else { return Ok(()) };
        let is_left_behind = self.left_behind.iter().any(|range| range.contains(&source.0));
        if source.0 < self.facts.source_start {
            self.tally.expired_on_source += 1;
        } else if self.facts.is_source_compacted && !is_left_behind {
            self.tally.cleaned_on_source += 1;
        } else {
            let at = TargetOffset(record.offset);
            self.tally.extra += 1;
            self.tell((None, Some(&record)), Some(source.0), Some(at), Kind::Extra);
        }
        Ok(())
    }

    /// The target's front is no copy that the map knows.
    fn unmapped(&mut self) -> Result<(), Unreadable> {
        let Some(Unpacked { record, producer_id }) = self.target.take(&self.limits)? else {
            return Ok(());
        };
        if self.facts.is_ours(producer_id) {
            let at = TargetOffset(record.offset);
            self.tally.extra += 1;
            self.tell((None, Some(&record)), None, Some(at), Kind::Extra);
        } else {
            self.tally.foreign += 1;
        }
        Ok(())
    }

    /// Both fronts are the same record, by the map.
    fn pair(&mut self, segment: &Segment) -> Result<(), Unreadable> {
        if let (Some(source), Some(target)) = (self.source.whole(), self.target.whole())
            && source.header.next_offset() <= segment.source_end().0
            && self.is_as_it_was(source, target)
        {
            self.tally.records += u64::try_from(source.header.record_count).unwrap_or(0);
            self.tally.batches_as_is += 1;
            self.source.skip_whole();
            self.target.skip_whole();
            return Ok(());
        }
        let (Some(source), Some(target)) =
            (self.source.take(&self.limits)?, self.target.take(&self.limits)?)
        else {
            return Ok(());
        };
        self.tally.records += 1;
        let (source, target) = (source.record, target.record);
        let parts = self.changed(&source, &target);
        if !parts.is_empty() {
            self.tally.changed += 1;
            let at = Some(TargetOffset(target.offset));
            let records = (Some(&source), Some(&target));
            self.tell(records, Some(source.offset), at, Kind::Changed { parts });
        }
        Ok(())
    }

    /// Whether the target's batch holds the very records of the source's, seen from the bytes alone. False says nothing.
    fn is_as_it_was(&self, source: &BatchV2, target: &BatchV2) -> bool {
        let (a, b) = (&source.header, &target.header);
        let has_same_times = self.facts.has_own_times
            || a.base_timestamp == b.base_timestamp
                && a.max_timestamp == b.max_timestamp
                && a.attributes.is_log_append_time() == b.attributes.is_log_append_time();
        has_same_times
            && a.record_count == b.record_count
            && a.attributes.codec() == b.attributes.codec()
            && !a.attributes.has_delete_horizon()
            && !b.attributes.has_delete_horizon()
            && source.payload() == target.payload()
    }

    fn changed(&self, source: &Record, target: &Record) -> Vec<Part> {
        let parts = [
            (Part::Key, source.key != target.key),
            (Part::Value, source.value != target.value),
            (Part::Headers, source.headers != target.headers),
            (Part::Timestamp, !self.facts.has_own_times && source.timestamp != target.timestamp),
        ];
        parts.into_iter().filter_map(|(part, differs)| differs.then_some(part)).collect()
    }

    fn tell(
        &mut self,
        (source, target): (Option<&Record>, Option<&Record>),
        source_offset: Option<i64>,
        target_offset: Option<TargetOffset>,
        kind: Kind,
    ) {
        if self.differences.len() >= DIFFERENCES_MAX {
            return;
        }
        let hash = |record: &Record| content_hash(record, !self.facts.has_own_times);
        self.differences.push(Difference {
            source_offset,
            target_offset: target_offset.map(|at| at.0),
            kind,
            contents: Contents { source: source.map(hash), target: target.map(hash) },
        });
    }
}

/// Two copies of one batch through the walk, for benches: how many bytes were compared.
#[doc(hidden)]
#[must_use]
pub fn compare_for_bench(batches: &[(Bytes, Bytes)], records: i64) -> u64 {
    let range = 0..i64::MAX;
    let mut walk = Walk::new(Facts::default(), range.clone(), range, RecordLimits::default());
    let whole =
        Segment { source_start: SourceOffset(0), target_start: TargetOffset(0), len: records };
    walk.push_segments(vec![whole], true);
    for (source, target) in batches {
        for (bytes, is_source) in [(source, true), (target, false)] {
            for batch in kafka_wire::record::split(bytes.clone()).flatten() {
                let pushed =
                    if is_source { walk.push_source(batch) } else { walk.push_target(batch) };
                if pushed.is_err() {
                    return 0;
                }
            }
        }
        if walk.advance().is_err() {
            return 0;
        }
    }
    if walk.differences.is_empty() { walk.tally.bytes } else { 0 }
}

#[cfg(test)]
mod tests;
