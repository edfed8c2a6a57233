use proptest::prelude::*;

use super::*;

fn runs(pairs: &[(i64, i64)]) -> Runs {
    let run = |&(ordinal, source)| Run {
        ordinal_start: Ordinal(ordinal),
        source_start: SourceOffset(source),
    };
    Runs::load(pairs.iter().map(run)).unwrap()
}

#[test]
fn an_ordinary_partition_needs_one_run() {
    let mut runs = Runs::default();
    assert!(runs.push(Ordinal(0), SourceOffset(500)).unwrap());
    for batch in 1..100 {
        assert!(!runs.push(Ordinal(batch * 10), SourceOffset(500 + batch * 10)).unwrap());
    }
    assert_eq!(runs.count(), 1);
    assert_eq!(runs.source_of(Ordinal(42)), Some(SourceOffset(542)));
    assert_eq!(runs.next_source_after(Ordinal(42)), Some(SourceOffset(543)));
}

#[test]
fn a_gap_begins_a_run() {
    let mut runs = runs(&[(0, 500)]);
    assert!(runs.push(Ordinal(10), SourceOffset(511)).unwrap());
    assert_eq!(runs.source_of(Ordinal(9)), Some(SourceOffset(509)));
    assert_eq!(runs.source_of(Ordinal(10)), Some(SourceOffset(511)));
    assert_eq!(runs.source_of(Ordinal(-1)), None);
}

#[test]
fn going_back_is_an_error() {
    let mut runs = runs(&[(0, 500), (10, 511)]);
    runs.push(Ordinal(9), SourceOffset(600)).unwrap_err();
    runs.push(Ordinal(20), SourceOffset(520)).unwrap_err();
    assert_eq!(runs.count(), 2);
}

#[test]
fn compaction_between_two_readings_shifts_nothing() {
    // Planned: ordinals 0..10 at 500.., 10.. at 511. The target has 12 records; 513 vanished meanwhile.
    let mut runs = runs(&[(0, 500), (10, 511), (14, 530)]);
    let last = Ordinal(11);
    assert_eq!(runs.next_source_after(last), Some(SourceOffset(513)));
    runs.truncate(Ordinal(12));
    assert!(runs.push(Ordinal(12), SourceOffset(514)).unwrap());
    assert_eq!(runs.source_of(Ordinal(11)), Some(SourceOffset(512)));
    assert_eq!(runs.source_of(Ordinal(12)), Some(SourceOffset(514)));
}

#[test]
fn a_plan_for_the_same_ordinal_is_replaced() {
    let mut runs = runs(&[(0, 500), (10, 511)]);
    assert!(runs.push(Ordinal(10), SourceOffset(515)).unwrap());
    assert_eq!(runs.as_slice().len(), 2);
    assert_eq!(runs.source_of(Ordinal(10)), Some(SourceOffset(515)));
}

#[test]
fn pruning_keeps_the_last_acknowledged() {
    let mut runs = runs(&[(0, 500), (10, 511), (20, 600)]);
    runs.prune(Ordinal(19));
    assert_eq!(runs.source_of(Ordinal(19)), Some(SourceOffset(520)));
    assert_eq!(runs.source_of(Ordinal(9)), None);
    runs.prune(Ordinal(20));
    assert_eq!(runs.count(), 1);
}

#[test]
fn segments_follow_the_runs() {
    let runs = runs(&[(0, 500), (10, 511), (12, 600)]);
    let found: Vec<_> = runs
        .segments(Ordinal(8), 6, TargetOffset(70))
        .map(|segment| (segment.source_start.0, segment.target_start.0, segment.len))
        .collect();
    assert_eq!(found, [(508, 70, 2), (511, 72, 2), (600, 74, 2)]);
    assert_eq!(runs.segments(Ordinal(-5), 3, TargetOffset(0)).count(), 0);
    assert_eq!(runs.segments(Ordinal(5), 0, TargetOffset(0)).count(), 0);
}

proptest! {
    /// Runs answer for each record what was pushed for it, also after pruning.
    #[test]
    fn equals_the_naive_table(steps in proptest::collection::vec(1i64..3, 1..60), keep in 0usize..60) {
        let mut runs = Runs::default();
        let mut offsets = Vec::new();
        let mut offset = 100;
        for (ordinal, step) in (0i64..).zip(steps) {
            offset += step;
            offsets.push(offset);
            runs.push(Ordinal(ordinal), SourceOffset(offset)).unwrap();
        }
        let keep = keep.min(offsets.len() - 1);
        runs.prune(Ordinal(keep as i64));
        for (index, offset) in offsets.iter().enumerate().skip(keep) {
            prop_assert_eq!(runs.source_of(Ordinal(index as i64)), Some(SourceOffset(*offset)));
        }
        let count = (offsets.len() - keep) as i64;
        let covered: Vec<_> = runs
            .segments(Ordinal(keep as i64), count, TargetOffset(0))
            .flat_map(|segment| segment.source_start.0..segment.source_end().0)
            .collect();
        prop_assert_eq!(&covered[..], &offsets[keep..]);
        prop_assert_eq!(Runs::load(runs.as_slice().iter().copied()).unwrap(), runs);
    }
}
