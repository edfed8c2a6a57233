use kafka_wire::compression::Compression;
use kafka_wire::record::{BatchOptions, ControlRecord, encode_control_batch, legacy};
use proptest::prelude::*;

use super::*;
use crate::testing::{batch, record};

const AS_IS: Decision = Decision::AsIs;

fn traits(log_append_time: bool) -> TargetTraits {
    TargetTraits { log_append_time, ..TargetTraits::default() }
}

#[track_caller]
fn check(batch: BatchV2, position: i64, expected: Decision) {
    check_with(batch, position, &traits(false), expected);
}

#[track_caller]
fn check_with(batch: BatchV2, position: i64, target: &TargetTraits, expected: Decision) {
    let mut aborted = AbortedFilter::default();
    let found = decide(&Batch::V2(batch), SourceOffset(position), &mut aborted, target);
    assert_eq!(found.unwrap(), expected);
}

fn marker(offset: i64, producer_id: i64, kind: ControlKind) -> Batch {
    let options = BatchOptions {
        base_offset: offset,
        producer_id,
        producer_epoch: 0,
        transactional: true,
        control: true,
        ..BatchOptions::default()
    };
    let control = ControlRecord { kind, coordinator_epoch: 0, timestamp: 0 };
    Batch::V2(BatchV2::parse(encode_control_batch(&options, control).unwrap()).unwrap())
}

fn transactional(offsets: &[i64], producer_id: i64) -> Batch {
    Batch::V2(batch(offsets, |options| {
        options.producer_id = producer_id;
        options.producer_epoch = 0;
        options.base_sequence = 0;
        options.transactional = true;
    }))
}

#[test]
fn an_ordinary_batch_passes() {
    check(batch(&[10, 11, 12], |_| {}), 0, AS_IS);
    check(batch(&[10, 11, 12], |_| {}), 10, AS_IS);
}

#[test]
fn the_position_cuts() {
    check(batch(&[10, 11, 12], |_| {}), 11, Decision::Rebuild(RebuildReason::BeforePosition));
    check(batch(&[10, 11, 12], |_| {}), 12, Decision::Rebuild(RebuildReason::BeforePosition));
    check(batch(&[10, 11, 12], |_| {}), 13, Decision::Drop(DropReason::BeforePosition));
}

#[test]
fn gaps_are_rebuilt() {
    check(batch(&[10, 12], |_| {}), 0, Decision::Rebuild(RebuildReason::Gaps));
    let with_end_gap = batch(&[10, 11], |options| options.last_offset_delta = Some(5));
    check(with_end_gap, 0, Decision::Rebuild(RebuildReason::Gaps));
}

#[test]
fn an_emptied_batch_is_dropped() {
    let options =
        BatchOptions { base_offset: 10, last_offset_delta: Some(4), ..BatchOptions::default() };
    let bytes = kafka_wire::record::encode_batch(&options, &[]).unwrap();
    let empty = BatchV2::parse(bytes).unwrap();
    check(empty.clone(), 0, Decision::Drop(DropReason::Empty));
    check(empty.clone(), 12, Decision::Drop(DropReason::Empty));
    check(empty, 15, Decision::Drop(DropReason::BeforePosition));
}

#[test]
fn delete_horizons_are_rebuilt() {
    let source = batch(&[10, 11], |options| options.delete_horizon = Some(1));
    check(source, 0, Decision::Rebuild(RebuildReason::DeleteHorizon));
}

#[test]
fn broker_times_survive_unless_the_target_stamps_anew() {
    let source = || batch(&[10, 11], |options| options.log_append_time = Some(1));
    check(source(), 0, Decision::Rebuild(RebuildReason::LogAppendTime));
    check_with(source(), 0, &traits(true), AS_IS);
    check_with(batch(&[10], |_| {}), 0, &traits(true), AS_IS);
}

#[test]
fn old_formats_are_rebuilt() {
    for (position, expected) in [
        (0, Decision::Rebuild(RebuildReason::LegacyFormat)),
        (11, Decision::Rebuild(RebuildReason::LegacyFormat)),
        (12, Decision::Drop(DropReason::BeforePosition)),
    ] {
        let blob = legacy::encode(1, Compression::Gzip, &[record(10), record(11)]).unwrap();
        let entry = kafka_wire::record::split(blob).next().unwrap().unwrap();
        let found =
            decide(&entry, SourceOffset(position), &mut AbortedFilter::default(), &traits(false));
        assert_eq!(found.unwrap(), expected);
    }
}

/// Judges a log in which producer 1 aborts 10..12 and commits 14.., and producer 2 commits.
#[track_caller]
fn check_log(batches: &[Batch], aborted: &[(i64, i64)], position: i64, expected: &[Decision]) {
    let mut filter = AbortedFilter::new(aborted.iter().copied());
    let found: Vec<_> = batches
        .iter()
        .map(|batch| decide(batch, SourceOffset(position), &mut filter, &traits(false)).unwrap())
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn aborted_transactions_are_dropped_until_their_marker() {
    let log = [
        transactional(&[8], 1),
        marker(9, 1, ControlKind::Commit),
        transactional(&[10, 11], 1),
        transactional(&[12], 2),
        marker(13, 1, ControlKind::Abort),
        transactional(&[14], 1),
        marker(15, 2, ControlKind::Commit),
    ];
    let control = Decision::Drop(DropReason::Control);
    let aborted = Decision::Drop(DropReason::Aborted);
    check_log(&log, &[(1, 10)], 0, &[AS_IS, control, aborted, AS_IS, control, AS_IS, control]);
    check_log(&log, &[], 0, &[AS_IS, control, AS_IS, AS_IS, control, AS_IS, control]);
}

#[test]
fn a_marker_before_the_position_still_ends_its_transaction() {
    let log = [transactional(&[10], 1), marker(11, 1, ControlKind::Abort), transactional(&[12], 1)];
    let past = Decision::Drop(DropReason::BeforePosition);
    check_log(&log, &[(1, 10)], 12, &[past, past, AS_IS]);
}

#[test]
fn plain_batches_of_the_same_producer_are_not_aborted() {
    let plain = Batch::V2(batch(&[10], |options| {
        options.producer_id = 1;
        options.producer_epoch = 0;
        options.base_sequence = 0;
    }));
    check_log(&[plain], &[(1, 5)], 0, &[AS_IS]);
}

/// A transaction in a made-up log.
#[derive(Clone, Debug)]
struct Transaction {
    producer_id: i64,
    batches: Vec<i64>,
    is_aborted: bool,
}

proptest! {
    /// Exactly the records of committed transactions pass, however transactions interleave and wherever
    /// the reading begins.
    #[test]
    fn committed_records_pass(
        transactions in proptest::collection::vec((0i64..4, 1usize..4, any::<bool>()), 1..12),
        start in 0usize..12,
    ) {
        // Batches of at most one open transaction per producer, dealt round-robin over the producers.
        let mut log = Vec::new();
        let mut aborted = Vec::new();
        let mut expected = Vec::new();
        let mut queues: Vec<Vec<Transaction>> = vec![Vec::new(); 4];
        for (producer_id, batches, is_aborted) in transactions {
            let queue = &mut queues[usize::try_from(producer_id).unwrap()];
            queue.push(Transaction { producer_id, batches: vec![1; batches], is_aborted });
        }
        let mut open: Vec<Option<(Transaction, i64)>> = vec![None; 4];
        let mut offset = 0;
        while queues.iter().any(|queue| !queue.is_empty()) || open.iter().any(Option::is_some) {
            for (queue, slot) in queues.iter_mut().zip(&mut open) {
                if slot.is_none() && !queue.is_empty() {
                    *slot = Some((queue.remove(0), offset));
                }
                let Some((transaction, first)) = slot else { continue };
                if transaction.batches.pop().is_some() {
                    log.push(transactional(&[offset], transaction.producer_id));
                    expected.push(!transaction.is_aborted);
                } else {
                    let kind = if transaction.is_aborted { ControlKind::Abort } else { ControlKind::Commit };
                    log.push(marker(offset, transaction.producer_id, kind));
                    expected.push(false);
                    if transaction.is_aborted {
                        aborted.push((transaction.producer_id, *first, offset));
                    }
                    *slot = None;
                }
                offset += 1;
            }
        }
        let start = start.min(log.len());
        // As a broker answers: transactions whose marker lies at or behind the fetch offset.
        let listed = aborted.iter().filter(|(_, _, end)| *end >= start as i64).map(|&(id, first, _)| (id, first));
        let mut filter = AbortedFilter::new(listed);
        for (batch, passes) in log.iter().zip(expected).skip(start) {
            let decision = decide(batch, SourceOffset(start as i64), &mut filter, &traits(false)).unwrap();
            prop_assert_eq!(decision == AS_IS, passes);
        }
    }
}
