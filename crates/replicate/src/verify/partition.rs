//! One partition through the walk: where it begins, what is read, what is noted for a later run.

use std::ops::Range;

use forward::SourceOffset;
use kafka_client::{Isolation, OffsetSpec, TopicPartition};
use kafka_wire::record::RecordLimits;

use super::books::{Answer, Books, BooksError, LaneView, Question, SEGMENTS_MAX};
use super::committed::Seen;
use super::reading::{Piece, ReadError, Reading, bound};
use super::report::PartitionReport;
use super::side::Unreadable;
use super::walk::{Facts, Need, Walk};
use super::{Context, pairing};

/// Bytes of the source between two notes of how far the comparison has come.
const NOTE_BYTES: u64 = 32 << 20;

/// Where on both ends a comparison begins.
struct Begin {
    source: i64,
    target: i64,
}

/// Compares one partition, from where `report` stands, and keeps it up to date. The target is looked at up to
/// `target_end`, or to the last copy that the state knows.
pub(super) async fn compare(
    context: &Context,
    (lane, target_end): (&LaneView, Option<i64>),
    facts: Facts,
    report: &mut PartitionReport,
) {
    match run(context, (lane, target_end), facts, report).await {
        Ok(()) => report.error = None,
        Err(error) => report.error = Some(error),
    }
    (context.note)(report);
}

async fn run(
    context: &Context,
    (lane, target_end): (&LaneView, Option<i64>),
    mut facts: Facts,
    report: &mut PartitionReport,
) -> Result<(), String> {
    let key = &lane.lane;
    let source = TopicPartition::new(key.source_topic.clone(), key.source_partition);
    let target = TopicPartition::new(key.target_topic.clone(), key.target_partition);
    let on_source = |error: ReadError| format!("source {source}: {error}");
    let on_target = |error: ReadError| format!("target {target}: {error}");
    let committed = Isolation::ReadCommitted;
    let all = Isolation::ReadUncommitted;
    let (start, end) = tokio::try_join!(
        bound(&context.source, &source, OffsetSpec::Earliest, committed),
        bound(&context.source, &source, OffsetSpec::Latest, committed),
    )
    .map_err(on_source)?;
    facts.source_start = start;
    facts.target_start =
        bound(&context.target, &target, OffsetSpec::Earliest, all).await.map_err(on_target)?;
    let source_end = lane.source_next.0.max(report.source_next);
    let begin = if report.source_next > 0 || report.target_next > 0 {
        Begin { source: report.source_next, target: report.target_next }
    } else {
        let begin = begin(context.books.as_ref(), lane, &facts, report).await.map_err(told)?;
        report.source_start = begin.source;
        begin
    };
    report.source_end = source_end;
    report.tally.offsets_behind = count(source_end.max(start)..end);
    let target_end = lane.target_next.0.max(begin.target).max(target_end.unwrap_or(-1));
    let mut comparison = Comparison {
        context,
        lane,
        walk: Walk::new(
            facts,
            begin.source..source_end,
            begin.target..target_end,
            RecordLimits::default(),
        ),
        source: Reading::new(
            &context.source,
            source.clone(),
            committed,
            &context.source_pace,
            begin.source..source_end,
        ),
        target: Reading::new(
            &context.target,
            target.clone(),
            all,
            &context.target_pace,
            begin.target..target_end,
        ),
    };
    comparison.walk.tally = report.tally;
    comparison.walk.differences = std::mem::take(&mut report.differences);
    let result = comparison.work(report).await;
    comparison.show(report);
    result.map_err(|fault| match fault {
        Fault::Source(error) => on_source(error),
        Fault::Target(error) => on_target(error),
        Fault::Batch(error) => error.to_string(),
        Fault::Books(error) => told(error),
    })
}

/// What ends a comparison early.
enum Fault {
    Source(ReadError),
    Target(ReadError),
    Batch(Unreadable),
    Books(BooksError),
}

impl From<Unreadable> for Fault {
    fn from(error: Unreadable) -> Self {
        Self::Batch(error)
    }
}

fn told(error: BooksError) -> String {
    format!("the state: {error}")
}

fn count(range: Range<i64>) -> u64 {
    u64::try_from(range.end.saturating_sub(range.start)).unwrap_or(0)
}

/// Finds the first place that both ends still have, and counts what lies before.
async fn begin(
    books: &dyn Books,
    lane: &LaneView,
    facts: &Facts,
    report: &mut PartitionReport,
) -> Result<Begin, BooksError> {
    let tally = &mut report.tally;
    let first = segments(books, lane, SourceOffset(i64::MIN), 1).await?.first().copied();
    let known = lane.map_start.or(lane.start);
    let copied = first.map_or(lane.source_next, |segment| segment.source_start);
    // A topic that was made anew may begin before the place where the former one began.
    let start = known.map_or(copied, |known| known.min(copied)).min(lane.source_next);
    tally.offsets_before = count(facts.source_start..start.0.max(facts.source_start));
    let nothing =
        Begin { source: start.0.max(facts.source_start), target: lane.target_next.0.max(0) };
    let mut from = start;
    let mut last_end = None;
    loop {
        let found = segments(books, lane, from, SEGMENTS_MAX).await?;
        for segment in &found {
            let on_source = (facts.source_start - segment.source_start.0).clamp(0, segment.len);
            let on_target = (facts.target_start - segment.target_start.0).clamp(0, segment.len);
            let gone = on_source.max(on_target);
            if on_source >= on_target {
                tally.expired_on_source += u64::try_from(on_source).unwrap_or(0);
            } else {
                tally.expired_on_source += u64::try_from(on_source).unwrap_or(0);
                tally.expired_on_target += u64::try_from(on_target - on_source).unwrap_or(0);
            }
            if gone < segment.len {
                // Nothing is gone so far: what lies before the first copied record is looked at as well.
                let is_whole = gone == 0 && last_end.is_none();
                let source = if is_whole { nothing.source } else { segment.source_start.0 + gone };
                return Ok(Begin { source, target: segment.target_start.0 + gone });
            }
            last_end = Some(segment.source_end());
        }
        match found.last() {
            Some(last) if found.len() == SEGMENTS_MAX => from = last.source_end(),
            _ => break,
        }
    }
    let source = last_end.map_or(nothing.source, |end| end.0.max(nothing.source));
    Ok(Begin { source, ..nothing })
}

pub(super) async fn segments(
    books: &dyn Books,
    lane: &LaneView,
    from: SourceOffset,
    count_max: usize,
) -> Result<Vec<forward::Segment>, BooksError> {
    let question = Question::Segments { lane: lane.lane.clone(), from, count_max };
    match books.ask(question).await? {
        Answer::Segments(segments) => Ok(segments),
        other => Err(unexpected(&other)),
    }
}

pub(super) fn unexpected(answer: &Answer) -> BooksError {
    BooksError {
        message: format!("the sync that holds the state answers something else: {answer:?}"),
        cure: Some("run the same release of kferry for both".to_owned()),
    }
}

struct Comparison<'a> {
    context: &'a Context,
    lane: &'a LaneView,
    walk: Walk,
    source: Reading,
    target: Reading,
}

impl Comparison<'_> {
    /// Works to the end, or until told to stop.
    async fn work(&mut self, report: &mut PartitionReport) -> Result<(), Fault> {
        let mut noted_bytes = self.walk.tally.bytes;
        while !self.context.stop.is_cancelled() {
            match self.walk.advance()? {
                Need::Nothing => {
                    report.is_done = true;
                    break;
                }
                Need::Source => self.read_source().await?,
                Need::Target => self.read_target().await?,
                Need::Segments(from) => {
                    let books = self.context.books.as_ref();
                    let found = segments(books, self.lane, from, SEGMENTS_MAX).await;
                    let found = found.map_err(Fault::Books)?;
                    let is_last = found.len() < SEGMENTS_MAX;
                    self.walk.push_segments(found, is_last);
                }
            }
            if self.walk.tally.bytes - noted_bytes >= NOTE_BYTES {
                noted_bytes = self.walk.tally.bytes;
                self.show(report);
                (self.context.note)(report);
            }
        }
        Ok(())
    }

    async fn read_source(&mut self) -> Result<(), Fault> {
        match self.source.next().await.map_err(Fault::Source)? {
            Piece::End => self.walk.end_source(),
            Piece::StartsAt(start) => self.walk.facts.source_start = start,
            Piece::Batches(batches) => {
                for (batch, seen) in batches {
                    match seen {
                        Seen::Control => self.walk.push_control(&batch),
                        Seen::Aborted => self.walk.push_aborted(&batch),
                        Seen::Committed => self.walk.push_source(batch)?,
                    }
                }
            }
        }
        Ok(())
    }

    async fn read_target(&mut self) -> Result<(), Fault> {
        match self.target.next().await.map_err(Fault::Target)? {
            Piece::End => self.walk.end_target(),
            Piece::StartsAt(start) => self.walk.facts.target_start = start,
            Piece::Batches(batches) => {
                for (batch, seen) in batches {
                    if seen != Seen::Control {
                        self.walk.push_target(batch)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Brings the report to where the comparison stands.
    fn show(&mut self, report: &mut PartitionReport) {
        report.tally = self.walk.tally;
        report.differences.clone_from(&self.walk.differences);
        // Before a batch that cannot be unpacked the place stays where it was noted last.
        if let Ok((source, target)) = self.walk.fronts() {
            report.source_next = if source >= 0 { source } else { self.source.position() };
            report.target_next = if target >= 0 { target } else { self.target.position() };
        }
        if report.is_done {
            pairing::within(report);
        }
    }
}
