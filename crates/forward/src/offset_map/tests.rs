use proptest::prelude::*;

use super::*;

fn segment(source: i64, target: i64, len: i64) -> Segment {
    Segment { source_start: SourceOffset(source), target_start: TargetOffset(target), len }
}

fn map(segments: &[(i64, i64, i64)]) -> OffsetMap {
    let mut map = OffsetMap::new(SourceOffset(0), TargetOffset(0), 100);
    for &(source, target, len) in segments {
        map.append(segment(source, target, len)).unwrap();
    }
    map
}

#[track_caller]
fn check(map: &OffsetMap, source: i64, expected: Lookup<i64>) {
    let found = match map.translate(SourceOffset(source)) {
        Lookup::At(target) => Lookup::At(target.0),
        Lookup::Beyond => Lookup::Beyond,
        Lookup::Evicted => Lookup::Evicted,
    };
    assert_eq!(found, expected, "source offset {source}");
}

#[test]
fn what_the_source_lost_is_forgotten() {
    let mut map = map(&[(10, 100, 5), (20, 105, 5), (25, 200, 5)]);
    drop(map.drain());
    map.cut(SourceOffset(22));
    assert_eq!((map.source_next().0, map.target_next().0), (22, 205));
    assert_eq!(
        map.segments().copied().collect::<Vec<_>>(),
        [segment(10, 100, 5), segment(20, 105, 2)]
    );
    check(&map, 21, Lookup::At(106));
    check(&map, 22, Lookup::At(205));
    check(&map, 23, Lookup::Beyond);
    map.append(segment(22, 300, 1)).unwrap();
    check(&map, 22, Lookup::At(300));
    assert_eq!(map.drain(), [segment(22, 300, 1)]);
    map.cut(SourceOffset(i64::MIN));
    map.advance(SourceOffset(0), TargetOffset(301));
    check(&map, 0, Lookup::At(301));
    check(&map, 1, Lookup::Beyond);
}

#[test]
fn neighbours_merge() {
    let map = map(&[(10, 0, 5), (15, 5, 5), (20, 10, 1)]);
    assert_eq!(map.segments().copied().collect::<Vec<_>>(), [segment(10, 0, 11)]);
}

#[test]
fn gaps_answer_with_the_next_record() {
    let map = map(&[(10, 100, 5), (20, 105, 5), (25, 200, 5)]);
    check(&map, 0, Lookup::At(100));
    check(&map, 14, Lookup::At(104));
    check(&map, 15, Lookup::At(105));
    check(&map, 19, Lookup::At(105));
    check(&map, 24, Lookup::At(109));
    check(&map, 25, Lookup::At(200));
    check(&map, 30, Lookup::At(205));
    check(&map, 31, Lookup::Beyond);
    assert_eq!(map.translate_back(TargetOffset(150)), Lookup::At(SourceOffset(25)));
    assert_eq!(map.translate_back(TargetOffset(205)), Lookup::At(SourceOffset(30)));
    assert_eq!(map.translate_back(TargetOffset(206)), Lookup::Beyond);
}

#[test]
fn nothing_copied_yet_means_the_start() {
    let map = OffsetMap::new(SourceOffset(50), TargetOffset(7), 4);
    check(&map, 0, Lookup::At(7));
    check(&map, 50, Lookup::At(7));
    check(&map, 51, Lookup::Beyond);
}

#[test]
fn a_read_end_without_records_moves_the_end() {
    let mut map = map(&[(0, 0, 5)]);
    map.advance(SourceOffset(9), TargetOffset(6));
    check(&map, 7, Lookup::At(6));
    check(&map, 10, Lookup::Beyond);
}

#[test]
fn known_ground_may_be_read_again() {
    let mut map = map(&[(10, 0, 5), (20, 5, 5)]);
    map.append(segment(12, 2, 3)).unwrap();
    map.append(segment(22, 7, 6)).unwrap();
    assert_eq!(map.segments().copied().collect::<Vec<_>>(), [segment(10, 0, 5), segment(20, 5, 8)]);
}

#[test]
fn contradictions_are_errors() {
    let mut map = map(&[(10, 0, 5), (20, 5, 5)]);
    for (source, target, len) in [(12, 3, 1), (25, 4, 1), (24, 10, 1), (16, 5, 2), (12, 2, 5)] {
        let before = map.clone();
        map.append(segment(source, target, len)).unwrap_err();
        assert_eq!(map, before);
    }
}

#[test]
fn drained_once_then_only_what_changed() {
    let mut map = map(&[(0, 0, 5), (10, 5, 5)]);
    assert_eq!(map.drain(), [segment(0, 0, 5), segment(10, 5, 5)]);
    assert!(!map.has_changed());
    assert_eq!(map.drain(), []);
    map.append(segment(15, 10, 1)).unwrap();
    map.append(segment(20, 11, 1)).unwrap();
    assert_eq!(map.drain(), [segment(10, 5, 6), segment(20, 11, 1)]);
}

#[test]
fn old_segments_leave_after_they_were_drained() {
    let mut map = OffsetMap::new(SourceOffset(0), TargetOffset(0), 2);
    for index in 0..5 {
        map.append(segment(index * 10, index, 1)).unwrap();
    }
    assert_eq!(map.segments().count(), 5);
    map.drain();
    assert_eq!(map.segments().count(), 2);
    check(&map, 30, Lookup::At(3));
    check(&map, 29, Lookup::Evicted);
    assert_eq!(map.translate_back(TargetOffset(2)), Lookup::Evicted);
}

#[test]
fn the_journals_youngest_segment_grows_on() {
    let mut map = OffsetMap::resume(Some(segment(20, 5, 5)), SourceOffset(25), TargetOffset(10), 4);
    assert_eq!(map.drain(), []);
    check(&map, 19, Lookup::Evicted);
    map.append(segment(25, 10, 2)).unwrap();
    assert_eq!(map.drain(), [segment(20, 5, 7)]);
    let map = OffsetMap::resume(None, SourceOffset(25), TargetOffset(10), 4);
    check(&map, 19, Lookup::At(10));
}

#[test]
fn loads_what_the_journal_kept() {
    let segments = [segment(10, 0, 5), segment(20, 5, 5)];
    let mut map = OffsetMap::load(segments, true, SourceOffset(30), TargetOffset(12), 4).unwrap();
    assert_eq!(map.drain(), []);
    check(&map, 9, Lookup::Evicted);
    check(&map, 28, Lookup::At(12));
    map.append(segment(30, 12, 1)).unwrap();
    assert_eq!(map.drain(), [segment(30, 12, 1)]);
    OffsetMap::load([segments[1], segments[0]], false, SourceOffset(0), TargetOffset(0), 4)
        .unwrap_err();
}

/// One step of the lane that feeds a map.
#[derive(Clone, Debug)]
enum Step {
    /// `len` records after `source_gap` missing source offsets, `target_gap` foreign target offsets before them.
    Ack {
        source_gap: i64,
        target_gap: i64,
        len: i64,
    },
    /// The last `count` records are reported once more.
    Again {
        count: usize,
    },
    /// Source offsets without a record.
    Advance {
        source_gap: i64,
    },
    Drain,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let gap = || prop_oneof![4 => Just(0i64), 1 => 1i64..4];
    let step = prop_oneof![
        6 => (gap(), gap(), 1i64..5).prop_map(|(source_gap, target_gap, len)| Step::Ack { source_gap, target_gap, len }),
        1 => (1usize..6).prop_map(|count| Step::Again { count }),
        1 => (1i64..4).prop_map(|source_gap| Step::Advance { source_gap }),
        1 => Just(Step::Drain),
    ];
    proptest::collection::vec(step, 0..40)
}

proptest! {
    /// The map answers like a plain list of (source, target) pairs, both ways; what it evicted is answered
    /// the same by what it drained.
    #[test]
    fn equals_the_naive_list(steps in steps(), segments_max in 1usize..5) {
        let mut pairs: Vec<(i64, i64)> = Vec::new();
        let (mut source, mut target) = (100i64, 7i64);
        let mut map = OffsetMap::new(SourceOffset(source), TargetOffset(target), segments_max);
        let mut journal = std::collections::BTreeMap::new();
        for step in steps {
            match step {
                Step::Ack { source_gap, target_gap, len } => {
                    source += source_gap;
                    target += target_gap;
                    map.append(segment(source, target, len)).unwrap();
                    pairs.extend((0..len).map(|index| (source + index, target + index)));
                    source += len;
                    target += len;
                }
                Step::Again { count } => {
                    for &(source, target) in pairs.iter().rev().take(count) {
                        let is_held = map.segments().next().is_some_and(|first| first.source_start.0 <= source);
                        prop_assert_eq!(map.append(segment(source, target, 1)).is_ok(), is_held);
                    }
                }
                Step::Advance { source_gap } => {
                    source += source_gap;
                    map.advance(SourceOffset(source), TargetOffset(target));
                }
                Step::Drain => journal.extend(map.drain().into_iter().map(|segment| (segment.source_start, segment))),
            }
        }
        journal.extend(map.drain().into_iter().map(|segment| (segment.source_start, segment)));
        let full = OffsetMap::load(
            journal.into_values(), false, SourceOffset(source), TargetOffset(target), usize::MAX,
        ).unwrap();
        for asked in 95..source + 3 {
            let next = pairs.iter().find(|pair| pair.0 >= asked).map_or(target, |pair| pair.1);
            let expected = if asked > source { Lookup::Beyond } else { Lookup::At(TargetOffset(next)) };
            let found = map.translate(SourceOffset(asked));
            prop_assert!(found == expected || found == Lookup::Evicted, "{asked}: {found:?}, not {expected:?}");
            prop_assert_eq!(full.translate(SourceOffset(asked)), expected);
        }
        for asked in 0..target + 3 {
            let next = pairs.iter().find(|pair| pair.1 >= asked).map_or(source, |pair| pair.0);
            let expected = if asked > target { Lookup::Beyond } else { Lookup::At(SourceOffset(next)) };
            let found = map.translate_back(TargetOffset(asked));
            prop_assert!(found == expected || found == Lookup::Evicted, "{asked}: {found:?}, not {expected:?}");
            prop_assert_eq!(full.translate_back(TargetOffset(asked)), expected);
        }
    }
}
