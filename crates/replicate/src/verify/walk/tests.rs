//! The walk alone: what the simulations cannot easily make.

use kafka_wire::compression::Compression;
use kafka_wire::record::{BatchOptions, encode_batch, split};
use proptest::prelude::*;

use super::*;

fn record(offset: i64) -> Record {
    Record {
        offset,
        timestamp: 1000 + offset,
        key: None,
        value: Some(Bytes::from(format!("v{offset}"))),
        headers: Vec::new(),
    }
}

/// Records with these numbers at consecutive offsets from `base` on, in batches of `size`.
fn batches(base: i64, numbers: &[i64], size: usize, codec: Compression) -> Vec<Batch> {
    let mut next = base;
    let mut made = Vec::new();
    for chunk in numbers.chunks(size.max(1)) {
        let options = BatchOptions { base_offset: next, compression: codec, ..Default::default() };
        let records: Vec<_> = chunk
            .iter()
            .zip(next..)
            .map(|(number, offset)| Record { offset, ..record(*number) })
            .collect();
        next += i64::try_from(chunk.len()).unwrap();
        let bytes = encode_batch(&options, &records).unwrap();
        made.extend(split(bytes).map(Result::unwrap));
    }
    made
}

/// Walks with one batch at a time.
fn walk(source: Vec<Batch>, target: Vec<Batch>, segments: Vec<Segment>) -> Walk {
    let facts = Facts { producers: Arc::new(BTreeSet::from([-1])), ..Facts::default() };
    let mut walk = Walk::new(facts, 0..1000, 0..1000, RecordLimits::default());
    let (mut source, mut target) = (source.into_iter(), target.into_iter());
    let mut segments = segments.into_iter().peekable();
    loop {
        match walk.advance().unwrap() {
            Need::Nothing => return walk,
            Need::Source => match source.next() {
                Some(batch) => walk.push_source(batch).unwrap(),
                None => walk.end_source(),
            },
            Need::Target => match target.next() {
                Some(batch) => walk.push_target(batch).unwrap(),
                None => walk.end_target(),
            },
            Need::Segments(_) => {
                let next = segments.next().into_iter().collect();
                walk.push_segments(next, segments.peek().is_none());
            }
        }
    }
}

fn segment(source: i64, target: i64, len: i64) -> Segment {
    Segment { source_start: SourceOffset(source), target_start: TargetOffset(target), len }
}

fn shown(walk: &Walk) -> Vec<(Option<i64>, Option<i64>, &'static str)> {
    let shown = |found: &Difference| (found.source_offset, found.target_offset, found.kind.name());
    walk.differences.iter().map(shown).collect()
}

#[test]
fn records_that_were_never_copied_are_missing_without_a_place() {
    let source = batches(0, &[0, 1, 2, 3, 4], 5, Compression::None);
    let target = batches(0, &[0, 1, 4], 3, Compression::None);
    let walk = walk(source, target, vec![segment(0, 0, 2), segment(4, 2, 1)]);
    assert_eq!(shown(&walk), [(Some(2), None, "missing"), (Some(3), None, "missing")]);
}

#[test]
fn a_map_that_is_off_by_one_is_seen() {
    let numbers: Vec<i64> = (0..10).collect();
    let source = batches(0, &numbers, 5, Compression::Zstd);
    let target = batches(0, &numbers, 5, Compression::Zstd);
    let walk = walk(source, target, vec![segment(0, 1, 10)]);
    assert_eq!(walk.tally.changed, 9);
    assert_eq!((walk.tally.missing, walk.tally.extra), (1, 1));
}

#[test]
fn a_map_that_goes_back_is_seen() {
    let source = batches(0, &[0, 1, 2, 3], 1, Compression::None);
    let target = batches(0, &[2, 3, 0, 1], 1, Compression::None);
    let walk = walk(source, target, vec![segment(0, 2, 2), segment(2, 0, 2)]);
    assert!(walk.tally.differences() > 0, "{walk:?}");
}

proptest! {
    /// However both ends cut and compress the records, and wherever they lie: what is equal is found equal, and one
    /// record that is changed is found at its place.
    #[test]
    fn what_differs_is_found_and_nothing_else(
        count in 1_i64..60,
        sizes in (1_usize..9, 1_usize..9),
        codecs in (0_u8..5, 0_u8..5),
        base in 0_i64..50,
        gap in 0_i64..3,
        cut in 0_i64..60,
        broken in proptest::option::of(0_i64..60),
    ) {
        let codec = |id| Compression::from_id(id).unwrap();
        let numbers: Vec<i64> = (0..count).collect();
        let cut = cut.min(count);
        let source = batches(0, &numbers, sizes.0, codec(codecs.0));
        let (first, second) = numbers.split_at(usize::try_from(cut).unwrap());
        let mut altered = second.to_vec();
        let broken = broken.filter(|at| *at >= cut && *at < count);
        if let Some(at) = broken {
            altered[usize::try_from(at - cut).unwrap()] += 100;
        }
        let behind = base + cut + gap;
        let mut target = batches(base, first, sizes.1, codec(codecs.1));
        target.extend(batches(behind, &altered, sizes.1, codec(codecs.1)));
        let mut segments = vec![segment(0, base, cut), segment(cut, behind, count - cut)];
        segments.retain(|segment| segment.len > 0);
        let walk = walk(source, target, segments);
        let expected: Vec<_> = broken
            .map(|at| (Some(at), Some(behind + at - cut), "changed"))
            .into_iter()
            .collect();
        prop_assert_eq!(shown(&walk), expected);
        prop_assert_eq!(walk.tally.records, u64::try_from(count).unwrap());
    }
}
