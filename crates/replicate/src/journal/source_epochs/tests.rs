use proptest::prelude::*;

use super::*;

/// A log as pairs of epoch and record; equal pairs at equal offsets are the same record.
type Log = Vec<(i32, u32)>;

/// What a broker answers: the largest epoch not above the one asked for, and where it ends.
fn ask(log: &Log, latest: i32, epoch: i32) -> EpochEnd {
    if epoch > latest {
        return EpochEnd { leader_epoch: -1, end_offset: -1 };
    }
    let end = log.iter().position(|(found, _)| *found > epoch).unwrap_or(log.len());
    let floor = log[..end].last().map(|(found, _)| *found);
    let end_offset = i64::try_from(end).unwrap();
    // Below the first epoch Kafka answers the one asked for, with the log's start.
    EpochEnd { leader_epoch: floor.unwrap_or(epoch), end_offset }
}

fn parting(read: &Log, source: &Log, latest: i32) -> SourceOffset {
    let mut epochs = SourceEpochs::default();
    for (offset, (epoch, _)) in (0..).zip(read) {
        epochs.note(*epoch, SourceOffset(offset));
    }
    let mut walk = epochs.walk(SourceOffset(i64::try_from(read.len()).unwrap()));
    while let Some(epoch) = walk.question() {
        if let Some(cut) = walk.answer(ask(source, latest, epoch)) {
            return cut;
        }
    }
    walk.end()
}

#[test]
fn the_last_epoch_alone_says_too_much() {
    // Read: epoch 0 up to 6, then epoch 2. The source: epoch 0 up to 3, epoch 1 up to 9.
    let read: Log = (0..6).map(|n| (0, n)).chain((6..12).map(|n| (2, n))).collect();
    let source: Log = (0..3).map(|n| (0, n)).chain((13..19).map(|n| (1, n))).collect();
    assert_eq!(ask(&source, 3, 2), EpochEnd { leader_epoch: 1, end_offset: 9 });
    assert_eq!(parting(&read, &source, 3), SourceOffset(3));
}

#[test]
fn what_is_not_known_ends_the_walk() {
    let mut epochs = SourceEpochs::default();
    assert!(epochs.note(4, SourceOffset(0)));
    assert!(!epochs.note(4, SourceOffset(5)));
    assert!(epochs.note(-1, SourceOffset(8)));
    assert!(epochs.note(6, SourceOffset(9)));
    assert_eq!((epochs.at(SourceOffset(7)), epochs.at(SourceOffset(8))), (4, -1));
    let mut walk = epochs.walk(SourceOffset(12));
    assert_eq!(walk.question(), Some(6));
    assert_eq!(walk.answer(EpochEnd { leader_epoch: 5, end_offset: 10 }), None);
    assert_eq!((walk.question(), walk.end()), (None, SourceOffset(9)));
    epochs.forget(SourceOffset(8));
    assert_eq!((epochs.last(), epochs.at(SourceOffset(6))), (-1, 4));
}

#[test]
fn only_the_last_epochs_are_kept() {
    let mut epochs = SourceEpochs::default();
    for epoch in 0..40 {
        epochs.note(epoch, SourceOffset(i64::from(epoch) * 10));
    }
    assert_eq!((epochs.list.len(), epochs.list[0].epoch), (SOURCE_EPOCHS_MAX, 8));
}

proptest! {
    /// Replicas that follow each other, are cut, and lead in turn: the walk finds where any two of their logs part.
    #[test]
    fn finds_where_two_logs_part(steps in prop::collection::vec((0..3usize, 0..3usize, 0..6usize, 1..5usize), 1..12)) {
        let mut logs: [Log; 3] = Default::default();
        let mut latest = [0; 3];
        let mut record = 0;
        for (epoch, (leader, follower, kept, count)) in (0i32..).zip(steps) {
            // A replica comes back with a part of its log, leads, and writes.
            let cut = logs[leader].len().min(kept * 2);
            logs[leader].truncate(cut);
            for _ in 0..count {
                record += 1;
                logs[leader].push((epoch, record));
            }
            latest[leader] = epoch;
            if follower != leader {
                logs[follower] = logs[leader].clone();
                latest[follower] = epoch;
            }
        }
        for read in &logs {
            for (source, latest) in logs.iter().zip(latest) {
                let common = read.iter().zip(source).take_while(|(a, b)| a == b).count();
                prop_assert_eq!(parting(read, source, latest).0, i64::try_from(common).unwrap());
            }
        }
    }
}
