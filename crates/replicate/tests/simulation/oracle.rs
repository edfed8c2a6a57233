//! The judge: compares what was written to the source with what lies on the target, record by record.
//!
//! In the manner of Jepsen's Kafka checker, every record carries an id of its own. The oracle is a pure function of the history and
//! of what was read from the target and from the journal's offset map in the end; it knows nothing of how the copy works.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use kafka_wire::record::Record;

use crate::history::{At, FOREIGN, Fate, History, LaneStory, Written, id_of};

/// What was read in the end.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// All data records of each target partition, in log order.
    pub(crate) target: BTreeMap<At, Vec<Record>>,
    /// Offsets of the records that each source partition still has.
    pub(crate) source_kept: BTreeMap<At, BTreeSet<i64>>,
    /// By source partition.
    pub(crate) lanes: BTreeMap<At, LaneSeen>,
}

/// One lane as the journal shows it.
#[derive(Debug)]
pub(crate) struct LaneSeen {
    pub(crate) target: At,
    /// For each source offset: the target offset of the first record at or after it, if any.
    pub(crate) to_target: Vec<(i64, Option<i64>)>,
    /// The same the other way.
    pub(crate) to_source: Vec<(i64, Option<i64>)>,
    /// The copy of everything there was came to its end.
    pub(crate) is_caught_up: bool,
    /// Why it stands still, if it says so.
    pub(crate) stopped: Option<String>,
    pub(crate) last_error: Option<String>,
}

/// Something that must never be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    pub(crate) at: At,
    pub(crate) what: String,
}

/// Which rule was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Lost,
    Duplicated,
    Reordered,
    CrossPartition,
    Changed,
    /// Aborted, or from before the start position: nothing that belongs there.
    Unwanted,
    /// A record that nobody wrote.
    Unknown,
    ForeignDamaged,
    MapWrong,
    Stopped,
    WrongStart,
    /// An event told a loss that is none.
    ToldWrong,
    /// A task that runs once ended before its end.
    EndedEarly,
    NeverCaughtUp,
    TaskFailed,
    /// A group stands behind records that it has not read, or beyond what the target has.
    GroupAhead,
    /// A group was given an older commit than before.
    GroupBack,
    /// A group stands before records that it has read, or on a guess.
    GroupWrong,
    /// A group with members was to be moved.
    GroupInUse,
    /// A group of somebody else was moved.
    GroupOverwritten,
    /// A group does not stand where its source's does.
    GroupMissing,
    /// A group that nobody touched was taken for somebody else's.
    GroupToldWrong,
    /// The comparison that operators have finds what the judge does not.
    Verify,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}-{}: {}", self.kind, self.at.0, self.at.1, self.what)
    }
}

/// A record of the source that lies on the target.
struct Copied {
    source: i64,
    target: i64,
}

/// All that is wrong, in no particular order.
pub(crate) fn judge(history: &History, seen: &Seen) -> Vec<Finding> {
    let mut findings = Vec::new();
    let written: HashMap<u64, (&At, &Written)> = history
        .source
        .iter()
        .chain(&history.foreign)
        .flat_map(|(at, records)| records.iter().map(move |written| (written.id, (at, written))))
        .collect();
    let mut copied: BTreeMap<&At, Vec<Copied>> = BTreeMap::new();
    for (at, records) in &seen.target {
        let mut say = |kind, what| findings.push(Finding { kind, at: at.clone(), what });
        let mut foreign = Vec::new();
        let mut met = BTreeSet::new();
        for record in records {
            let found = id_of(record).and_then(|id| written.get(&id));
            let Some((from, original)) = found else {
                say(
                    Kind::Unknown,
                    format!("target offset {} holds a record that nobody wrote", record.offset),
                );
                continue;
            };
            let is_foreign = original.id & FOREIGN != 0;
            if let Some(what) = difference(&original.record, record) {
                let kind = if is_foreign { Kind::ForeignDamaged } else { Kind::Changed };
                say(
                    kind,
                    format!(
                        "record {} at target offset {}: {what}",
                        name(from, original),
                        record.offset
                    ),
                );
            }
            if is_foreign {
                foreign.push((*from, original.id));
                continue;
            }
            let lane = seen.lanes.get(*from);
            if lane.is_none_or(|lane| lane.target != *at) {
                say(
                    Kind::CrossPartition,
                    format!("record {} at target offset {}", name(from, original), record.offset),
                );
                continue;
            }
            if !met.insert(original.id) {
                say(
                    Kind::Duplicated,
                    format!(
                        "record {} again at target offset {}",
                        name(from, original),
                        record.offset
                    ),
                );
                continue;
            }
            let start = history.lanes.get(*from).and_then(|story| story.start).unwrap_or(0);
            if original.fate != Fate::Committed || original.offset < start {
                say(
                    Kind::Unwanted,
                    format!(
                        "record {} ({:?}) at target offset {}, the copy begins at {start}",
                        name(from, original),
                        original.fate,
                        record.offset
                    ),
                );
                continue;
            }
            let list = copied.entry(*from).or_default();
            if let Some(last) = list.last().filter(|last| last.source > original.offset) {
                say(
                    Kind::Reordered,
                    format!(
                        "record {} at target offset {} behind source offset {}",
                        name(from, original),
                        record.offset,
                        last.source
                    ),
                );
                continue;
            }
            list.push(Copied { source: original.offset, target: record.offset });
        }
        let expected: Vec<_> =
            history.foreign.get(at).into_iter().flatten().map(|written| (at, written.id)).collect();
        if foreign != expected {
            say(
                Kind::ForeignDamaged,
                format!(
                    "{} records of others are there, {} were written",
                    foreign.len(),
                    expected.len()
                ),
            );
        }
    }
    for (at, records) in &history.source {
        let copied = copied.remove(at).unwrap_or_default();
        judge_lane(history, seen, at, records, &copied, &mut findings);
    }
    findings
}

fn judge_lane(
    history: &History,
    seen: &Seen,
    at: &At,
    written: &[Written],
    copied: &[Copied],
    findings: &mut Vec<Finding>,
) {
    let nothing = LaneStory::default();
    let story = history.lanes.get(at).unwrap_or(&nothing);
    let mut say = |kind, what: String| findings.push(Finding { kind, at: at.clone(), what });
    let Some(lane) = seen.lanes.get(at) else {
        return say(Kind::NeverCaughtUp, "the journal does not know the partition".to_owned());
    };
    let may_stop = |cause: &str| {
        history.was_set_back
            && (cause.contains("the journal does not know which source offset")
                || cause.contains("the state is older than the target"))
    };
    let mut is_excused = false;
    if let Some(cause) = &lane.stopped {
        is_excused = may_stop(cause);
        if !is_excused {
            say(Kind::Stopped, cause.clone());
        }
    } else if !lane.is_caught_up {
        say(Kind::NeverCaughtUp, format!("last error: {:?}", lane.last_error));
    }
    for cause in story.stops.iter().filter(|cause| !may_stop(cause)) {
        say(Kind::Stopped, cause.clone());
    }
    let start = story.start.unwrap_or(0);
    let have: BTreeSet<i64> = copied.iter().map(|copied| copied.source).collect();
    let last = have.last().copied();
    let kept = seen.source_kept.get(at);
    let is_due = |written: &&Written| {
        written.fate == Fate::Committed
            && written.offset >= start
            && (!history.compacted.contains(&at.0)
                || kept.is_some_and(|kept| kept.contains(&written.offset)))
            && !story.told_lost.iter().any(|lost| lost.contains(&written.offset))
            // A lane that stands still for a legal reason is judged up to where it stands.
            && (!is_excused || last.is_some_and(|last| written.offset < last))
    };
    let lost: Vec<i64> = written
        .iter()
        .filter(is_due)
        .map(|written| written.offset)
        .filter(|offset| !have.contains(offset))
        .collect();
    if let Some(first) = lost.first() {
        say(Kind::Lost, format!("{} records from source offset {first} on", lost.len()));
    }
    let told = |offset: &&i64| story.told_lost.iter().any(|lost| lost.contains(offset));
    if let Some(offset) = have.iter().find(told) {
        say(
            Kind::ToldWrong,
            format!("source offset {offset} was told as lost and is on the target"),
        );
    }
    // A lane that found its place by the records themselves has a map from there on.
    if is_excused || history.was_set_back {
        return;
    }
    let mut wrong = lane.to_target.iter().filter_map(|(source, found)| {
        let index = copied.partition_point(|copied| copied.source < *source);
        let expected = copied.get(index).map(|copied| copied.target);
        (*found != expected).then_some((source, found, expected))
    });
    if let Some((source, found, expected)) = wrong.next() {
        say(
            Kind::MapWrong,
            format!(
                "source offset {source} is mapped to {found:?}, not to {expected:?}; {} more",
                wrong.count()
            ),
        );
    }
    let mut wrong = lane.to_source.iter().filter_map(|(target, found)| {
        let index = copied.partition_point(|copied| copied.target < *target);
        let expected = copied.get(index).map(|copied| copied.source);
        (*found != expected).then_some((target, found, expected))
    });
    if let Some((target, found, expected)) = wrong.next() {
        say(
            Kind::MapWrong,
            format!(
                "target offset {target} is mapped back to {found:?}, not to {expected:?}; {} more",
                wrong.count()
            ),
        );
    }
}

/// What differs between a record as written and as found, apart from its offset.
fn difference(written: &Record, found: &Record) -> Option<String> {
    if written.key != found.key {
        return Some("another key".to_owned());
    }
    if written.value != found.value {
        return Some("another value".to_owned());
    }
    if written.headers != found.headers {
        return Some("other headers".to_owned());
    }
    (written.timestamp != found.timestamp)
        .then(|| format!("timestamp {}, written with {}", found.timestamp, written.timestamp))
}

fn name(at: &At, written: &Written) -> String {
    format!("{}-{}@{}", at.0, at.1, written.offset)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(id: u64, offset: i64) -> Record {
        let value = Some(Bytes::copy_from_slice(&id.to_be_bytes()));
        Record { offset, timestamp: 5, key: None, value, headers: Vec::new() }
    }

    fn at() -> At {
        ("t".to_owned(), 0)
    }

    /// Source records 0..5 at offsets 0, 1, 2, 4, 5; record 3 was aborted; one record of somebody else.
    fn world() -> (History, Seen) {
        let mut history = History::default();
        let written =
            |id: u64, offset: i64, fate| Written { id, offset, record: record(id, offset), fate };
        let source = [(0, 0), (1, 1), (2, 2), (3, 4), (4, 5)];
        let fate = |id| if id == 3 { Fate::Aborted } else { Fate::Committed };
        history
            .source
            .insert(at(), source.map(|(id, offset)| written(id, offset, fate(id))).into());
        history.foreign.insert(at(), vec![written(FOREIGN, 2, Fate::Committed)]);
        let mut seen = Seen::default();
        let target = [(0, 0), (1, 1), (FOREIGN, 2), (2, 3), (4, 4)];
        seen.target.insert(at(), target.map(|(id, offset)| record(id, offset)).into());
        seen.source_kept.insert(at(), [0, 1, 2, 5].into());
        let to_target = [0, 1, 3, 4, 4, 4].map(Some).into_iter().enumerate();
        let to_source = [0, 1, 2, 2, 5].map(Some).into_iter().enumerate();
        let lane = LaneSeen {
            target: at(),
            to_target: to_target
                .map(|(offset, found)| (i64::try_from(offset).unwrap(), found))
                .collect(),
            to_source: to_source
                .map(|(offset, found)| (i64::try_from(offset).unwrap(), found))
                .collect(),
            is_caught_up: true,
            stopped: None,
            last_error: None,
        };
        seen.lanes.insert(at(), lane);
        (history, seen)
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut History, &mut Seen), expected: &[Kind]) {
        let (mut history, mut seen) = world();
        change(&mut history, &mut seen);
        let kinds: Vec<Kind> = judge(&history, &seen).iter().map(|finding| finding.kind).collect();
        assert_eq!(kinds, expected);
    }

    fn target(seen: &mut Seen) -> &mut Vec<Record> {
        seen.target.get_mut(&at()).unwrap()
    }

    fn lane(seen: &mut Seen) -> &mut LaneSeen {
        seen.lanes.get_mut(&at()).unwrap()
    }

    #[test]
    fn an_exact_copy_is_right() {
        check(|_, _| {}, &[]);
    }

    #[test]
    fn each_rule_has_its_own_finding() {
        check(|_, seen| drop(target(seen).pop()), &[Kind::Lost, Kind::MapWrong, Kind::MapWrong]);
        check(|_, seen| target(seen).push(record(4, 5)), &[Kind::Duplicated]);
        check(|_, seen| target(seen)[0].timestamp = 6, &[Kind::Changed]);
        check(|_, seen| target(seen)[2].timestamp = 6, &[Kind::ForeignDamaged]);
        check(|_, seen| drop(target(seen).remove(2)), &[Kind::ForeignDamaged]);
        check(|_, seen| target(seen).push(record(3, 5)), &[Kind::Unwanted]);
        check(|_, seen| target(seen).push(record(99, 5)), &[Kind::Unknown]);
        check(|_, seen| lane(seen).to_target[3].1 = Some(3), &[Kind::MapWrong]);
        check(|_, seen| lane(seen).to_source[2].1 = Some(1), &[Kind::MapWrong]);
        check(|_, seen| lane(seen).is_caught_up = false, &[Kind::NeverCaughtUp]);
        check(|_, seen| lane(seen).stopped = Some("no".to_owned()), &[Kind::Stopped]);
        check(
            |_, seen| {
                let other = record(0, 0);
                seen.target.insert(("t".to_owned(), 1), vec![other]);
            },
            &[Kind::CrossPartition],
        );
        check(
            |history, _| history.lanes.entry(at()).or_default().start = Some(1),
            &[Kind::Unwanted, Kind::MapWrong, Kind::MapWrong],
        );
    }

    #[test]
    fn two_records_in_the_wrong_order_are_told_once() {
        let swap = |_: &mut History, seen: &mut Seen| {
            let list = target(seen);
            let (first, second) = (list[0].offset, list[1].offset);
            list.swap(0, 1);
            (list[0].offset, list[1].offset) = (first, second);
        };
        let kinds = {
            let (mut history, mut seen) = world();
            swap(&mut history, &mut seen);
            judge(&history, &seen).iter().map(|finding| finding.kind).collect::<Vec<_>>()
        };
        assert!(kinds.contains(&Kind::Reordered), "{kinds:?}");
    }

    #[test]
    fn a_lane_may_stand_still_only_where_the_journal_was_set_back() {
        let stop = |history: &mut History, seen: &mut Seen| {
            history.was_set_back = true;
            let cause = "the journal does not know which source offset record 4 had";
            lane(seen).stopped = Some(cause.to_owned());
            target(seen).pop();
        };
        check(stop, &[]);
        check(
            |history, seen| {
                stop(history, seen);
                // In front of where it stands nothing may be missing.
                target(seen).remove(1);
            },
            &[Kind::Lost],
        );
    }
}
