use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn matched(window: &[u64], source: &[(i64, u64)]) -> Found {
    let prints = (100..).zip(window);
    let prints = prints.map(|(at, hash)| Print { target: TargetOffset(at), hash: *hash });
    let mut content = ContentMatch::new(prints.collect());
    for (offset, hash) in source {
        content.see(SourceOffset(*offset), *hash);
    }
    content.finish()
}

#[track_caller]
fn check(window: &[u64], source: &[u64], expected: Option<i64>) {
    let source: Vec<_> = (0..).zip(source.iter().copied()).collect();
    match (matched(window, &source), expected) {
        (Found::At { source_next, .. }, Some(expected)) => assert_eq!(source_next.0, expected),
        (Found::At { source_next, .. }, None) => panic!("{source_next:?} was a guess"),
        (found, Some(_)) => panic!("{found:?}"),
        (_, None) => {}
    }
}

#[test]
fn one_place_is_an_answer_and_two_are_none() {
    check(&[1, 2, 3], &[1, 2, 3, 4], Some(3));
    check(&[1, 2, 3], &[9, 9, 1, 2, 3], Some(5));
    check(&[1], &[4, 1, 4], Some(2));
    check(&[1], &[1, 4, 1], None);
    check(&[7, 7], &[7, 7, 7, 7], None);
    check(&[6, 7, 7], &[6, 7, 7, 7], Some(3));
    check(&[1, 2, 3], &[4, 5, 6], None);
    check(&[], &[1], None);
}

#[test]
fn part_of_the_window_needs_a_reason_and_enough_records() {
    let all: Vec<u64> = (0..20).collect();
    // Retention took the first ones from the source.
    check(&all, &all[12..], Some(8));
    check(&all, &all[13..], None);
    // Something else stands where they should be: a second copy, or somebody else's records.
    let other: Vec<u64> = [&[77], &all[10..]].concat();
    check(&all, &other, None);
    let source: Vec<_> = (50..).zip(all[10..].iter().copied()).collect();
    let compacted = [&[(45, 77)], &source[..]].concat();
    let Found::At { source_next, segments } = matched(&all, &compacted) else { panic!() };
    assert_eq!(source_next, SourceOffset(60));
    let expected =
        Segment { source_start: SourceOffset(50), target_start: TargetOffset(110), len: 10 };
    assert_eq!(segments, [expected]);
}

#[test]
fn everything_that_is_copied_counts() {
    let record = |timestamp, key: Option<&'static str>| Record {
        offset: 5,
        timestamp,
        key: key.map(|key| Bytes::from_static(key.as_bytes())),
        value: Some(Bytes::from_static(b"v")),
        headers: Vec::new(),
    };
    let hash = |record: Record| content_hash(&record, true);
    assert_ne!(hash(record(1, None)), hash(record(1, Some(""))));
    assert_ne!(hash(record(1, None)), hash(record(2, None)));
    assert_eq!(content_hash(&record(1, None), false), content_hash(&record(2, None), false));
    assert_eq!(hash(record(1, None)), hash(Record { offset: 9, ..record(1, None) }));
}

proptest! {
    /// However often contents repeat: the answer is right, or there is none.
    #[test]
    fn never_wrong_over_repeated_contents(
        source in proptest::collection::vec(0u64..3, 1..60),
        copied in 1usize..60,
        window in 1usize..20,
    ) {
        let copied = copied.min(source.len());
        let tail = &source[copied.saturating_sub(window)..copied];
        let numbered: Vec<_> = (0..).zip(source.iter().copied()).collect();
        if let Found::At { source_next, .. } = matched(tail, &numbered) {
            prop_assert_eq!(source_next.0, i64::try_from(copied).unwrap());
        }
    }

    /// Retention and compaction of the source: never wrong, and found where enough is left.
    #[test]
    fn never_wrong_over_a_thinned_source(
        kept in proptest::collection::vec(proptest::bool::weighted(0.8), 1..80),
        start in 0usize..40,
        copied in 1usize..80,
        window in 1usize..30,
    ) {
        let copied = copied.min(kept.len());
        let all: Vec<(i64, u64)> = (0..).zip(1000..).take(kept.len()).collect();
        let tail: Vec<u64> =
            all[copied.saturating_sub(window)..copied].iter().map(|(_, hash)| *hash).collect();
        let left: Vec<_> =
            all.iter().zip(&kept).skip(start).filter(|(_, kept)| **kept).map(|(pair, _)| *pair).collect();
        let found = matched(&tail, &left);
        let agreed = (start..copied).rev().take(tail.len()).take_while(|at| kept[*at]).count();
        match found {
            Found::At { source_next, segments } => {
                prop_assert_eq!(source_next.0, i64::try_from(copied).unwrap());
                let records: i64 = segments.iter().map(|segment| segment.len).sum();
                prop_assert_eq!(records, i64::try_from(agreed).unwrap());
                let first = i64::try_from(copied - tail.len()).unwrap();
                for segment in segments {
                    prop_assert_eq!(segment.target_start.0 - 100, segment.source_start.0 - first);
                }
            }
            _ => prop_assert!(agreed < AGREED_MIN && agreed < tail.len()),
        }
    }
}
