//! A lane against a source and a target in plain code: whatever is lost on the way, the target ends
//! up with every record once and in order.
//!
//! The target of the model appends, checks epochs and sequences as brokers do (P1), and answers; the model
//! loses answers and requests, kills the process between any two steps, and lets the source compact under
//! a restart. What is journaled survives, nothing else does.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use forward::{
    AbortedFilter, Ordinal, SourceOffset, TailStart, TargetOffset, TargetTraits, read_tail,
};
use kafka_wire::record::{BatchHeader, BatchOptions, Record, RecordLimits, encode_batch};
use proptest::prelude::*;

use super::*;
use crate::budget::ByteBudget;

/// Small enough that merged batches are full now and then.
const COALESCING: Coalescing = Coalescing {
    below_bytes: 1 << 16,
    packed_below_bytes: 0,
    merged_bytes_max: 300,
    under_way_max: 3,
};

/// A target partition with one producer.
#[derive(Default)]
struct Target {
    log: Vec<BatchHeader>,
    values: Vec<Bytes>,
    producer_epoch: i16,
    next_sequence: Option<i32>,
}

impl Target {
    fn end(&self) -> i64 {
        self.log.last().map_or(0, BatchHeader::next_offset)
    }

    /// Appends as a broker does; the base offset, or nothing when refused.
    fn append(&mut self, header: &Bytes, payload: &Bytes) -> Option<i64> {
        let whole: Bytes = [&header[..], &payload[..]].concat().into();
        let batch = BatchV2::parse(whole).unwrap();
        batch.verify_crc().unwrap();
        assert_eq!(
            i64::from(batch.header.record_count),
            i64::from(batch.header.last_offset_delta) + 1,
            "gap sent"
        );
        if batch.header.producer_epoch != self.producer_epoch {
            return None;
        }
        // A producer that the partition has never seen may begin anywhere (P1, P2); after a fence it may not.
        let expected = match (self.next_sequence, self.producer_epoch) {
            (Some(next), _) => next,
            (None, 0) => batch.header.base_sequence,
            (None, _) => 0,
        };
        if batch.header.base_sequence != expected {
            return None;
        }
        self.next_sequence = Some(batch.header.base_sequence + batch.header.record_count);
        let base = self.end();
        for record in batch.records(&RecordLimits::default()).unwrap() {
            self.values.push(record.value.unwrap());
        }
        self.log.push(BatchHeader { base_offset: base, ..batch.header });
        Some(base)
    }

    /// A new epoch and its marker.
    fn fence(&mut self) {
        self.producer_epoch += 1;
        self.next_sequence = None;
        let base = self.end();
        let marker = BatchHeader {
            base_offset: base,
            producer_id: 7,
            producer_epoch: self.producer_epoch,
            attributes: kafka_wire::record::Attributes(0).with_control().with_transactional(),
            last_offset_delta: 0,
            record_count: 1,
            ..template()
        };
        self.log.push(marker);
    }
}

fn template() -> BatchHeader {
    let record = Record { offset: 0, timestamp: 0, key: None, value: None, headers: Vec::new() };
    BatchHeader::parse(&encode_batch(&BatchOptions::default(), &[record]).unwrap()).unwrap()
}

fn record(offset: i64) -> Record {
    let value = Some(Bytes::from(offset.to_string()));
    Record {
        offset,
        timestamp: offset,
        key: Some(Bytes::from_static(b"k")),
        value,
        headers: Vec::new(),
    }
}

fn batch_of(offsets: &[i64]) -> Bytes {
    let records: Vec<Record> = offsets.iter().map(|offset| record(*offset)).collect();
    encode_batch(&BatchOptions { base_offset: offsets[0], ..BatchOptions::default() }, &records)
        .unwrap()
}

/// Source batches with random sizes, and gaps between and inside them.
fn source(random: &mut fastrand::Rng) -> Vec<Vec<i64>> {
    let mut batches = Vec::new();
    let mut next = random.i64(0..50);
    for _ in 0..random.usize(1..30) {
        let mut offsets = Vec::new();
        for _ in 0..random.i64(1..6) {
            offsets.push(next);
            next += if random.u8(0..8) == 0 { random.i64(2..5) } else { 1 };
        }
        batches.push(offsets);
        if random.u8(0..4) == 0 {
            next += random.i64(1..4);
        }
    }
    batches
}

fn key() -> LaneKey {
    LaneKey {
        source_topic: "t".to_owned(),
        source_partition: 0,
        target_topic: "t".to_owned(),
        target_partition: 0,
    }
}

/// The world around a lane.
struct World {
    random: fastrand::Rng,
    source: Vec<Vec<i64>>,
    target: Target,
    journal: LaneRecord,
    lane: Lane,
    /// Answers on the way to the lane, oldest first: a base offset or a failure.
    answers: VecDeque<Option<i64>>,
    lease: SharedLease,
}

impl World {
    fn new(seed: u64, lease: SharedLease) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let source = source(&mut random);
        let journal = LaneRecord {
            lane: key(),
            source_topic_id: None,
            target_topic_id: None,
            transactional_id: "kferry-test".to_owned(),
            settled: true,
            epochs: Vec::new(),
            runs: Runs::default(),
            acked: LaneProgress {
                ordinal: Ordinal(0),
                source_next: SourceOffset(0),
                target_next: TargetOffset(-1),
            },
            source_epoch: -1,
            source_epochs: SourceEpochs::default(),
            map_start: None,
            outputs: Outputs::default(),
        };
        let lane = Self::lane(&journal);
        Self {
            random,
            source,
            target: Target::default(),
            journal,
            lane,
            answers: VecDeque::new(),
            lease,
        }
    }

    fn lane(journal: &LaneRecord) -> Lane {
        let seed = LaneSeed {
            must_check: false,
            duty: Duty::Copy,
            writers: Vec::new(),
            record: journal.clone(),
            map_end: None,
            traits: TargetTraits::default(),
            end: None,
            status: LaneStatus::new(key()),
        };
        Lane::new(seed, RecordLimits::default(), COALESCING, 16)
    }

    /// A fetch at the lane's position: a few batches, as they are in the source now.
    fn fetch(&mut self) {
        if !self.lane.wants_data(usize::MAX) {
            return;
        }
        let position = self.lane.position().0.0;
        let count = self.random.usize(1..4);
        let found: Vec<&Vec<i64>> = self
            .source
            .iter()
            .filter(|offsets| offsets.last().is_some_and(|last| *last >= position))
            .take(count)
            .collect();
        let blob: Vec<u8> = found.iter().flat_map(|offsets| batch_of(offsets).to_vec()).collect();
        self.lane.accept(blob.into(), &mut AbortedFilter::new([]), &self.lease).unwrap();
    }

    fn journal(&mut self) {
        if self.lane.epochs().is_empty() {
            return;
        }
        let barriers = self.lane.take_barriers();
        self.journal = self.lane.record(false);
        for barrier in barriers {
            self.lane.journal_done(barrier);
        }
    }

    /// Sends one batch; the request or its answer may be lost.
    fn send(&mut self) {
        if self.random.bool() {
            self.lane.prepare_batch();
        }
        let Some((header, payload)) = self.lane.next_batch(&mut BytesMut::new()) else { return };
        let answer = match self.random.u8(0..20) {
            0 => None,
            1 => {
                let _ = self.target.append(&header, &payload);
                None
            }
            _ => self.target.append(&header, &payload),
        };
        self.answers.push_back(answer);
    }

    fn answer(&mut self) {
        match self.answers.pop_front() {
            Some(Some(base)) if self.lane.phase == Phase::Running => {
                self.lane.acknowledge(base).unwrap();
            }
            Some(_) => self.lane.interrupt(),
            None => {}
        }
        self.lane.try_settle();
    }

    fn open(&mut self) {
        if !self.lane.needs_producer() && self.lane.phase != Phase::Waiting {
            return;
        }
        let acked = self.lane.acked();
        let from = if acked.target_next.0 < 0 { self.target.end() } else { acked.target_next.0 };
        if self.lane.is_dirty || self.target.producer_epoch > 0 {
            self.target.fence();
        }
        let mut epochs = self.lane.epochs().to_vec();
        epochs.push(EpochBase {
            producer_id: 7,
            producer_epoch: self.target.producer_epoch,
            ordinal_base: Ordinal(i64::MAX),
        });
        let headers: Vec<&BatchHeader> =
            self.target.log.iter().filter(|header| header.next_offset() > from).collect();
        let start = TailStart { ordinal: acked.ordinal, target: TargetOffset(from) };
        let tail = read_tail(headers, &epochs, self.lane.runs(), start);
        let recovered =
            Recovered { producer_id: 7, producer_epoch: self.target.producer_epoch, tail };
        self.lane.recovered(recovered).unwrap();
    }

    /// The process dies: what is not journaled is gone. The source may have been compacted meanwhile.
    fn crash(&mut self) {
        self.answers.clear();
        self.lane = Self::lane(&self.journal);
    }

    fn step(&mut self) {
        match self.random.u8(0..100) {
            0..20 => self.fetch(),
            20..40 => self.journal(),
            40..70 => self.send(),
            70..90 => self.answer(),
            90..97 => self.open(),
            _ => self.crash(),
        }
    }

    fn run_to_the_end(&mut self) {
        for _ in 0..10_000 {
            self.step();
            let is_read =
                self.source.iter().flatten().all(|offset| *offset < self.lane.position().0.0);
            if is_read
                && self.lane.ready.is_empty()
                && self.lane.in_flight.is_empty()
                && self.answers.is_empty()
            {
                return;
            }
        }
        panic!("the lane did not come to its end: {:?}", self.lane);
    }
}

async fn lease() -> SharedLease {
    let budget = ByteBudget::new(1 << 20);
    budget.share(budget.reserve(1).await)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// Whatever is lost and whenever the process dies: every record once, in order.
    #[test]
    fn every_record_once_and_in_order(seed in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut world = World::new(seed, runtime.block_on(lease()));
        world.run_to_the_end();
        let expected: Vec<Bytes> =
            world.source.iter().flatten().map(|offset| Bytes::from(offset.to_string())).collect();
        prop_assert_eq!(&world.target.values, &expected);
    }
}

/// Compaction took the last records below the end of a task that copies once: the batch behind the end tells.
#[tokio::test]
async fn a_gap_below_the_end_is_read_over() {
    let lease = lease().await;
    let mut lane = World::new(0, lease.clone()).lane;
    lane.end = Some(SourceOffset(10));
    lane.position = SourceOffset(8);
    lane.accept(batch_of(&[12, 13]), &mut AbortedFilter::new([]), &lease).unwrap();
    assert_eq!(lane.position().0, SourceOffset(10));
    assert_eq!(lane.acked().source_next, SourceOffset(10));
    assert!(lane.is_done());
}

/// A lane that had read ahead over gaps and had no producer yet when the process died.
#[tokio::test]
async fn what_was_only_planned_is_planned_anew() {
    let lease = lease().await;
    let mut world = World::new(0, lease.clone());
    for offsets in [[3, 4], [8, 9]] {
        world.lane.accept(batch_of(&offsets), &mut AbortedFilter::new([]), &lease).unwrap();
    }
    let record = world.lane.record(true);
    assert_eq!(record.runs.count(), 2);
    let mut lane = World::lane(&record);
    lane.accept(batch_of(&[4, 5]), &mut AbortedFilter::new([]), &lease).unwrap();
    assert_eq!(lane.runs().source_of(Ordinal(0)), Some(SourceOffset(4)));
}

/// The end comes while a lane waits to ask the target, which has what was sent: its place on the source stays known.
#[tokio::test]
async fn an_end_while_the_lane_waits_keeps_the_runs() {
    let lease = lease().await;
    let mut world = World::new(0, lease.clone());
    world.lane.accept(batch_of(&[3, 4]), &mut AbortedFilter::new([]), &lease).unwrap();
    world.open();
    world.journal();
    world.lane.next_batch(&mut BytesMut::new()).unwrap();
    world.lane.interrupt();
    assert!(world.lane.try_settle());
    assert!(!world.lane.close());
    assert_eq!(world.lane.record(false).runs.source_of(Ordinal(0)), Some(SourceOffset(3)));
}

/// Behind a fence, records that would make the target forget it wait until no older request can live; a clean end before that
/// is none.
#[tokio::test]
async fn old_batches_wait_for_strays() {
    let lease = lease().await;
    let mut world = World::new(0, lease.clone());
    let until = Instant::now() + Duration::from_secs(30);
    world.lane.accept(batch_of(&[3, 4]), &mut AbortedFilter::new([]), &lease).unwrap();
    world.lane.expect_strays(until);
    world.open();
    world.journal();
    assert!(!world.lane.can_send(), "a batch of 1970");
    world.lane.forget_strays(until - Duration::from_secs(1));
    assert!(!world.lane.can_send(), "an earlier wait ended");
    assert!(!world.lane.close());
    world.lane.set_producer_memory(Duration::MAX);
    assert!(world.lane.can_send(), "the target remembers the fence");
    world.lane.set_producer_memory(Duration::from_secs(3600));
    world.lane.forget_strays(until);
    assert!(world.lane.can_send());
}

/// What waits together goes as one batch, up to the limit, and books as one.
#[tokio::test]
async fn neighbours_that_wait_are_merged() {
    let mut world = waiting(&[0, 2, 4, 90]).await;
    let bytes = world.lane.buffered_bytes();
    assert!(world.lane.prepare_batch() > 100);
    assert!(world.lane.buffered_bytes() < bytes);
    let (header, payload) = world.lane.next_batch(&mut BytesMut::new()).unwrap();
    let base = world.target.append(&header, &payload).unwrap();
    world.lane.acknowledge(base).unwrap();
    assert_eq!(world.target.log.len(), 1);
    assert_eq!(world.target.values, ["0", "1", "2", "3", "4", "5", "90", "91"]);
    assert_eq!(world.lane.acked().source_next, SourceOffset(92));
    assert_eq!(world.lane.buffered_bytes(), 0);
}

/// As many batches as may be under way go as they are; more than that are merged, and also those that wait for each other
/// because the target forgets their producer.
#[tokio::test]
async fn a_lane_that_keeps_up_merges_nothing() {
    let sent = async |memory| {
        let mut world = waiting(&[0, 2, 4]).await;
        world.lane.set_producer_memory(memory);
        while !world.lane.ready.is_empty() {
            world.lane.prepare_batch();
            let (header, payload) = world.lane.next_batch(&mut BytesMut::new()).unwrap();
            let base = world.target.append(&header, &payload).unwrap();
            world.lane.acknowledge(base).unwrap();
        }
        world.target.log.iter().map(|header| header.record_count).collect::<Vec<i32>>()
    };
    assert_eq!(sent(Duration::MAX).await, [2, 2, 2]);
    assert_eq!(sent(Duration::ZERO).await, [2, 4]);
}

/// An open lane with batches of two records that wait to be sent.
async fn waiting(firsts: &[i64]) -> World {
    let lease = lease().await;
    let mut world = World::new(0, lease.clone());
    for first in firsts {
        let blob = batch_of(&[*first, first + 1]);
        world.lane.accept(blob, &mut AbortedFilter::new([]), &lease).unwrap();
    }
    world.open();
    world.journal();
    world
}
