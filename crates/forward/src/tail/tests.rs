use kafka_wire::record::Attributes;

use super::*;
use crate::testing::batch;
use crate::{Run, SourceOffset};

/// Batches in a target log, one after the other.
struct Log {
    headers: Vec<BatchHeader>,
    end: i64,
}

impl Log {
    fn new(end: i64) -> Self {
        Self { headers: Vec::new(), end }
    }

    fn push(
        mut self,
        producer_id: i64,
        producer_epoch: i16,
        base_sequence: i32,
        count: i32,
    ) -> Self {
        let mut header = batch(&[0], |_| {}).header;
        header.base_offset = self.end;
        header.last_offset_delta = count - 1;
        header.record_count = count;
        header.producer_id = producer_id;
        header.producer_epoch = producer_epoch;
        header.base_sequence = base_sequence;
        self.end += i64::from(count);
        self.headers.push(header);
        self
    }

    fn marker(self, producer_id: i64, producer_epoch: i16) -> Self {
        let mut log = self.push(producer_id, producer_epoch, -1, 1);
        log.headers.last_mut().unwrap().attributes =
            Attributes::default().with_transactional().with_control();
        log
    }
}

const OURS: i64 = 7;

fn epochs() -> [EpochBase; 2] {
    [
        EpochBase { producer_id: OURS, producer_epoch: 0, ordinal_base: Ordinal(0) },
        EpochBase { producer_id: OURS, producer_epoch: 1, ordinal_base: Ordinal(100) },
    ]
}

fn read(log: &Log, ordinal: i64, target: i64) -> Tail {
    let runs = Runs::load([
        Run { ordinal_start: Ordinal(0), source_start: SourceOffset(1000) },
        Run { ordinal_start: Ordinal(105), source_start: SourceOffset(2000) },
    ])
    .unwrap();
    let start = TailStart { ordinal: Ordinal(ordinal), target: TargetOffset(target) };
    read_tail(&log.headers, &epochs(), &runs, start)
}

fn pairs(tail: &Tail) -> Vec<(i64, i64, i64)> {
    tail.segments
        .iter()
        .map(|segment| (segment.source_start.0, segment.target_start.0, segment.len))
        .collect()
}

#[test]
fn an_empty_tail_changes_nothing() {
    let tail = read(&Log::new(50), 100, 50);
    assert_eq!((tail.ordinal_next, tail.target_next), (Ordinal(100), TargetOffset(50)));
    assert!(tail.segments.is_empty() && tail.faults.is_empty() && !tail.marker_seen);
}

#[test]
fn our_batches_count_and_foreign_ones_do_not() {
    let log =
        Log::new(50).push(OURS, 1, 0, 3).push(99, 0, 0, 10).push(OURS, 1, 3, 4).push(-1, -1, -1, 2);
    let tail = read(&log, 100, 50);
    assert_eq!((tail.ordinal_next, tail.target_next), (Ordinal(107), TargetOffset(69)));
    assert_eq!(tail.foreign_count, 2);
    assert_eq!(tail.faults, []);
    assert_eq!(pairs(&tail), [(1100, 50, 3), (1103, 63, 2), (2000, 65, 2)]);
}

#[test]
fn the_fence_is_seen_by_its_own_epoch() {
    let log = Log::new(50).push(OURS, 0, 98, 2).marker(OURS, 0).marker(99, 1);
    assert!(!read(&log, 98, 50).marker_seen);
    let tail = read(&log.marker(OURS, 1), 98, 50);
    assert!(tail.marker_seen);
    assert_eq!((tail.ordinal_next, tail.target_next), (Ordinal(100), TargetOffset(55)));
}

#[test]
fn what_compaction_emptied_still_counts() {
    let mut log = Log::new(50).push(OURS, 1, 0, 5);
    log.headers[0].record_count = 0;
    assert_eq!(read(&log, 100, 50).ordinal_next, Ordinal(105));
}

#[test]
fn a_hole_is_told() {
    let tail = read(&Log::new(50).push(OURS, 1, 3, 2), 100, 50);
    let expected =
        TailFault::Missing { at: TargetOffset(50), expected: Ordinal(100), found: Ordinal(103) };
    assert_eq!(tail.faults, [expected]);
    assert_eq!(tail.ordinal_next, Ordinal(105));
}

#[test]
fn a_repeat_is_told_and_mapped_once() {
    let tail = read(&Log::new(50).push(OURS, 1, 0, 3).push(OURS, 1, 0, 3), 100, 50);
    let expected =
        TailFault::Doubled { at: TargetOffset(53), expected: Ordinal(103), found: Ordinal(100) };
    assert_eq!(tail.faults, [expected]);
    assert_eq!(pairs(&tail), [(1100, 50, 3)]);
}

#[test]
fn what_was_acknowledged_before_is_passed_over() {
    let log = Log::new(50).push(OURS, 1, 0, 3).push(OURS, 1, 3, 2);
    let tail = read(&log, 103, 53);
    assert_eq!(tail.faults, []);
    assert_eq!(tail.ordinal_next, Ordinal(105));
    assert_eq!(pairs(&tail), [(1103, 53, 2)]);
}

#[test]
fn sequences_wrap() {
    let base = (1i64 << 31) - 2;
    let epoch = EpochBase { producer_id: OURS, producer_epoch: 0, ordinal_base: Ordinal(0) };
    let log = Log::new(50).push(OURS, 0, i32::MAX - 1, 5).push(OURS, 0, 3, 1);
    let runs =
        Runs::load([Run { ordinal_start: Ordinal(0), source_start: SourceOffset(0) }]).unwrap();
    let start = TailStart { ordinal: Ordinal(base), target: TargetOffset(50) };
    let tail = read_tail(&log.headers, &[epoch], &runs, start);
    assert_eq!(tail.faults, []);
    assert_eq!(tail.ordinal_next, Ordinal(base + 6));
}
