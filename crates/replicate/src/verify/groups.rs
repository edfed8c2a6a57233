//! Where consumer groups stand on the target, against where the offset map says that they belong.

use std::collections::BTreeMap;
use std::time::Duration;

use forward::{SourceOffset, TargetOffset};
use kafka_client::{Client, ClientError, TopicPartition};
use tokio::time::sleep;

use super::Context;
use super::books::{Answer, BooksError, LaneView, Question};
use super::partition::{segments, unexpected};
use super::report::{DIFFERENCES_MAX, GroupDifference, GroupsReport};
use crate::groups::{is_readers, list_with_offsets};

/// Between two looks at groups that are off: a running sync may just be carrying them over.
const PAUSE: Duration = Duration::from_secs(1);

/// A group on a source partition.
type Place = (String, TopicPartition);

/// Where a position belongs.
enum Belongs {
    At(TargetOffset),
    Ahead,
    Unknown,
}

/// Compares all groups. Those that are off are looked at `looks` times in all.
pub(super) async fn compare(context: &Context, looks: u32) -> Option<GroupsReport> {
    let mut report = GroupsReport::default();
    let taken_over = match context.books.ask(Question::Groups).await {
        Ok(Answer::Groups(None)) => return None,
        Ok(Answer::Groups(Some(taken_over))) => taken_over,
        Ok(other) => return Some(failed(unexpected(&other).to_string())),
        Err(error) => return Some(failed(format!("the state: {error}"))),
    };
    let mut first = BTreeMap::new();
    for look in 1..=looks.max(1) {
        report = match one_look(context, &taken_over, &mut first).await {
            Ok(report) => report,
            Err(error) => return Some(failed(error)),
        };
        if report.off == 0 || look == looks || context.stop.is_cancelled() {
            break;
        }
        sleep(PAUSE).await;
    }
    Some(report)
}

fn failed(error: String) -> GroupsReport {
    GroupsReport { error: Some(error), ..GroupsReport::default() }
}

/// `first` keeps where each position belonged when it was seen first: a group that moves may lag by a look.
async fn one_look(
    context: &Context,
    taken_over: &[String],
    first: &mut BTreeMap<Place, i64>,
) -> Result<GroupsReport, String> {
    let mut report = GroupsReport::default();
    let books = |error: BooksError| format!("the state: {error}");
    let groups = list_with_offsets(&context.source).await;
    let groups = groups.map_err(|error| format!("source: {error}"))?;
    let groups: Vec<String> = groups.into_iter().collect();
    let on_source = positions(&context.source, groups.clone()).await;
    let on_source = on_source.map_err(|error| format!("source: {error}"))?;
    // Later than the positions: what they stand on is known by now.
    let lanes = super::lanes(context.books.as_ref()).await.map_err(books)?;
    let mut shares: BTreeMap<TopicPartition, usize> = BTreeMap::new();
    lanes.iter().for_each(|lane| *shares.entry(super::target_of(lane)).or_default() += 1);
    let lanes: BTreeMap<_, _> = lanes.into_iter().map(|lane| (source_of(&lane), lane)).collect();
    let on_target = positions(&context.target, groups).await;
    let on_target = on_target.map_err(|error| format!("target: {error}"))?;
    for ((group, at), offset) in on_source {
        let Some(lane) = lanes.get(&at).filter(|lane| context.is_wanted(&lane.lane)) else {
            continue;
        };
        if taken_over.contains(&group) {
            report.taken_over += 1;
            continue;
        }
        // One offset cannot stand for two source partitions: such groups are not carried over.
        if shares.get(&super::target_of(lane)).is_some_and(|count| *count > 1) {
            report.unknown += 1;
            continue;
        }
        let expected = match belongs(context, lane, SourceOffset(offset)).await.map_err(books)? {
            Belongs::At(expected) => expected,
            Belongs::Ahead => {
                report.ahead_of_copy += 1;
                continue;
            }
            Belongs::Unknown => {
                report.unknown += 1;
                continue;
            }
        };
        let target = super::target_of(lane);
        let found = on_target.get(&(group.clone(), target)).copied();
        let place = (group, at);
        let since = *first.entry(place.clone()).or_insert(expected.0);
        let is_on_its_way =
            found.is_some_and(|found| since.min(expected.0) <= found && found <= expected.0);
        let is_equal = match found {
            Some(found) if found == expected.0 || (since != expected.0 && is_on_its_way) => true,
            Some(found) => is_same_record(context, lane, found, expected).await.map_err(books)?,
            None => false,
        };
        if is_equal {
            report.equal += 1;
            continue;
        }
        report.off += 1;
        if report.differences.len() < DIFFERENCES_MAX {
            let (group, at) = place;
            report.differences.push(GroupDifference {
                group,
                source_topic: at.topic,
                source_partition: at.partition,
                source_offset: offset,
                expected: expected.0,
                found,
                off_by: found.map(|found| found - expected.0),
            });
        }
    }
    Ok(report)
}

fn source_of(lane: &LaneView) -> TopicPartition {
    TopicPartition::new(lane.lane.source_topic.clone(), lane.lane.source_partition)
}

async fn positions(
    client: &Client,
    groups: Vec<String>,
) -> Result<BTreeMap<Place, i64>, ClientError> {
    let answers = client.offset_fetch_groups(groups, false).await?;
    let mut positions = BTreeMap::new();
    for (group, answer) in answers {
        // A group that the end does not know has no positions there.
        for (at, committed) in answer.unwrap_or_default() {
            if let Ok(committed) = committed
                && committed.offset >= 0
                && is_readers(&committed)
            {
                positions.insert((group.clone(), at), committed.offset);
            }
        }
    }
    Ok(positions)
}

/// The rule of group sync: the first copied record at or after the position, else where the next one will be.
async fn belongs(
    context: &Context,
    lane: &LaneView,
    offset: SourceOffset,
) -> Result<Belongs, BooksError> {
    if lane.map_start.is_some_and(|start| offset < start) {
        return Ok(Belongs::Unknown);
    }
    if offset > lane.source_next {
        return Ok(Belongs::Ahead);
    }
    let found = segments(context.books.as_ref(), lane, offset, 1).await?;
    Ok(match found.first() {
        Some(segment) => Belongs::At(segment.target_at_or_after(offset)),
        None if lane.target_next.0 >= 0 => Belongs::At(lane.target_next),
        None => Belongs::Unknown,
    })
}

/// Whether a reader at `found` gets the same copied record first as one at `expected`: others' records may lie between.
async fn is_same_record(
    context: &Context,
    lane: &LaneView,
    found: i64,
    expected: TargetOffset,
) -> Result<bool, BooksError> {
    if found > expected.0 {
        return Ok(false);
    }
    let question = Question::AtTarget { lane: lane.lane.clone(), target: TargetOffset(found) };
    match context.books.ask(question).await? {
        Answer::Segments(segments) => Ok(segments.first().map_or(found < expected.0, |segment| {
            let first = segment.target_start.max(TargetOffset(found));
            first >= expected
        })),
        other => Err(unexpected(&other)),
    }
}
