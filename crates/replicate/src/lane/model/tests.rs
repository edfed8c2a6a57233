//! The lane and its model, led through the same random history: reads with gaps, aborted and control batches, lost requests
//! and answers, other writers, journal writes at any moment, kills, sequences about to wrap.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::{Bytes, BytesMut};
use forward::{
    AbortedFilter, EpochBase, Lookup, Ordinal, Segment, SourceOffset, TailStart, TargetOffset,
    TargetTraits, read_tail,
};
use kafka_wire::record::{
    Attributes, BatchHeader, BatchOptions, BatchV2, Record, RecordLimits, encode_batch,
};
use proptest::prelude::*;

use super::{Mirror, Piece, Saved, Slot, State};
use crate::budget::{ByteBudget, SharedLease};
use crate::journal::{LaneKey, LaneProgress, LaneRecord, SourceEpochs};
use crate::lane::{Coalescing, Duty, Lane, LaneSeed, Phase, Recovered};
use crate::progress::LaneStatus;

/// Some batches are too large to be merged, and merged ones are soon full.
const COALESCING: Coalescing = Coalescing {
    below_bytes: 110,
    packed_below_bytes: 110,
    merged_bytes_max: 200,
    under_way_max: 2,
};

/// Ours, and that of somebody else.
const PRODUCER_ID: i64 = 7;
const FOREIGN_ID: i64 = 55;

fn encode(offsets: &[i64], change: impl FnOnce(&mut BatchOptions)) -> Bytes {
    let record = |offset: &i64| Record {
        offset: *offset,
        timestamp: *offset,
        key: None,
        value: Some(Bytes::from(offset.to_string())),
        headers: Vec::new(),
    };
    let records: Vec<Record> = offsets.iter().map(record).collect();
    let mut options = BatchOptions { base_offset: offsets[0], ..BatchOptions::default() };
    change(&mut options);
    encode_batch(&options, &records).unwrap()
}

/// A target partition, with the checks of a broker (P1, P5).
#[derive(Default)]
struct Log {
    headers: Vec<BatchHeader>,
    slots: Vec<Slot>,
    producer_epoch: i16,
    next_sequence: Option<i64>,
}

impl Log {
    fn push(&mut self, header: BatchHeader, slots: impl IntoIterator<Item = Slot>) -> i64 {
        let base = i64::try_from(self.slots.len()).unwrap();
        self.headers.push(BatchHeader { base_offset: base, ..header });
        self.slots.extend(slots);
        base
    }

    fn append(&mut self, batch: &BatchV2) -> Option<i64> {
        let header = batch.header;
        let expected = self.next_sequence.unwrap_or_default();
        if header.producer_epoch != self.producer_epoch
            || i64::from(header.base_sequence) != expected % (1 << 31)
        {
            return None;
        }
        let sources = sources(batch);
        self.next_sequence = Some(expected + i64::from(header.record_count));
        Some(self.push(header, sources.into_iter().map(Slot::Copy)))
    }

    fn foreign(&mut self, count: usize) {
        let offsets: Vec<i64> = (0..).take(count).collect();
        let bytes = encode(&offsets, |options| options.producer_id = FOREIGN_ID);
        self.push(BatchHeader::parse(&bytes).unwrap(), offsets.iter().map(|_| Slot::Foreign));
    }

    fn fence(&mut self) {
        self.producer_epoch += 1;
        self.next_sequence = None;
        let header = BatchHeader {
            producer_id: PRODUCER_ID,
            producer_epoch: self.producer_epoch,
            attributes: Attributes(0).with_control().with_transactional(),
            ..BatchHeader::parse(&encode(&[0], |_| ())).unwrap()
        };
        self.push(header, [Slot::Marker]);
    }
}

/// The source offsets that the records of a batch name.
fn sources(batch: &BatchV2) -> Vec<i64> {
    batch.verify_crc().unwrap();
    let records = batch.records(&RecordLimits::default()).unwrap();
    let number = |record: Record| std::str::from_utf8(&record.value.unwrap()).unwrap().parse();
    records.into_iter().map(|record| number(record).unwrap()).collect()
}

/// One place of the source, as bytes and as the model sees it; the producer id is that of an aborted transaction.
struct Place {
    bytes: Bytes,
    piece: Piece,
    aborted: Option<i64>,
}

fn source(random: &mut fastrand::Rng) -> Vec<Place> {
    let mut next = random.i64(0..50);
    let mut places = Vec::new();
    for number in 0..random.i64(1..30) {
        let mut offsets = vec![next];
        for _ in 1..random.i64(1..6) {
            let gap = if random.u8(0..8) == 0 { random.i64(2..5) } else { 1 };
            offsets.push(offsets.last().unwrap() + gap);
        }
        // Compaction may have taken the last records of the batch.
        let missing = if random.u8(0..6) == 0 { random.i64(1..3) } else { 0 };
        next = offsets.last().unwrap() + missing + 1;
        let last_offset_delta = i32::try_from(next - 1 - offsets[0]).unwrap();
        let aborted = (random.u8(0..5) == 0).then_some(1000 + number);
        let bytes = encode(&offsets, |options| {
            options.transactional = aborted.is_some();
            options.producer_id = aborted.unwrap_or(-1);
            options.last_offset_delta = Some(last_offset_delta);
        });
        let piece = Piece { offsets, next, is_visible: aborted.is_none() };
        places.push(Place { bytes, piece, aborted });
        if random.u8(0..4) == 0 {
            next += random.i64(1..4);
        }
    }
    places
}

/// What comes of a request.
#[derive(Clone, Copy)]
enum Answer {
    At(i64),
    Lost,
    Refused,
}

/// Both, and the world around them.
struct Pair {
    random: fastrand::Rng,
    source: Vec<Place>,
    log: Log,
    lane: Lane,
    mirror: Mirror,
    saved: (LaneRecord, Saved),
    /// Answers on the way, oldest first.
    answers: VecDeque<Answer>,
    /// Records that the target refused.
    refused: BTreeSet<i64>,
    /// The offset map as the journal has it.
    stored: BTreeMap<i64, Segment>,
    lease: SharedLease,
}

fn key() -> LaneKey {
    LaneKey {
        source_topic: "t".to_owned(),
        source_partition: 0,
        target_topic: "t".to_owned(),
        target_partition: 0,
    }
}

fn lane(record: &LaneRecord, map_end: Option<Segment>) -> Lane {
    let (record, traits) = (record.clone(), TargetTraits::default());
    let seed = LaneSeed {
        record,
        map_end,
        traits,
        end: None,
        must_check: false,
        duty: Duty::Copy,
        writers: Vec::new(),
        status: LaneStatus::new(key()),
    };
    Lane::new(seed, RecordLimits::default(), COALESCING, 4)
}

impl Pair {
    fn new(seed: u64, lease: SharedLease) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let source = source(&mut random);
        let start = random.i64(0..60);
        let acked = LaneProgress {
            ordinal: Ordinal(0),
            source_next: SourceOffset(start),
            target_next: TargetOffset(-1),
        };
        let record = LaneRecord {
            lane: key(),
            source_topic_id: None,
            target_topic_id: None,
            transactional_id: "kferry-test".to_owned(),
            settled: true,
            epochs: Vec::new(),
            runs: forward::Runs::default(),
            acked,
            source_epoch: -1,
            source_epochs: SourceEpochs::default(),
            map_start: None,
            outputs: crate::journal::Outputs::default(),
        };
        let saved = Saved { done: start, ..Saved::default() };
        Self {
            random,
            source,
            log: Log::default(),
            lane: lane(&record, None),
            mirror: Mirror::new(&saved),
            saved: (record, saved),
            answers: VecDeque::new(),
            refused: BTreeSet::new(),
            stored: BTreeMap::new(),
            lease,
        }
    }

    fn read(&mut self) {
        assert_eq!(self.lane.wants_data(usize::MAX), self.mirror.wants_data());
        if !self.mirror.wants_data() {
            return;
        }
        let count = self.random.usize(1..4);
        let position = self.mirror.position;
        let ahead = self.source.iter().filter(|place| place.piece.next > position);
        let places: Vec<&Place> = ahead.take(count).collect();
        let bytes: Vec<u8> = places.iter().flat_map(|place| place.bytes.to_vec()).collect();
        let aborted =
            places.iter().filter_map(|place| Some((place.aborted?, place.piece.offsets[0])));
        self.lane.accept(bytes.into(), &mut AbortedFilter::new(aborted), &self.lease).unwrap();
        let pieces: Vec<Piece> = places.iter().map(|place| place.piece.clone()).collect();
        self.mirror.read(&pieces);
    }

    fn save(&mut self) {
        if self.lane.epochs().is_empty() {
            return;
        }
        for segment in self.lane.drain_map() {
            self.stored.insert(segment.source_start.0, segment);
        }
        let barriers = self.lane.take_barriers();
        self.saved = (self.lane.record(false), self.mirror.save());
        for barrier in barriers {
            self.lane.journal_done(barrier);
        }
    }

    fn send(&mut self) {
        let front_count = |lane: &Lane| lane.ready.front().map_or(0, |front| front.count);
        let before = front_count(&self.lane);
        if self.random.u8(0..4) > 0 {
            self.lane.prepare_batch();
        }
        let after = front_count(&self.lane);
        if after > before {
            self.mirror.merge(usize::try_from(after).unwrap());
        }
        let allowed = self.mirror.sendable().cloned();
        let Some((header, payload)) = self.lane.next_batch(&mut BytesMut::new()) else { return };
        let batch = BatchV2::parse([&header[..], &payload[..]].concat().into()).unwrap();
        let (sent, allowed) = (sources(&batch), allowed.expect("the model may not send").offsets);
        assert_eq!(sent, allowed[..sent.len().min(allowed.len())]);
        assert_eq!(i64::from(batch.header.base_sequence), self.mirror.sequence % (1 << 31));
        self.mirror.cut(sent.len());
        self.mirror.send();
        let answer = match self.random.u8(0..30) {
            0 => Answer::Lost,
            1 => {
                self.log.append(&batch);
                Answer::Lost
            }
            2 => Answer::Refused,
            _ => self.log.append(&batch).map_or(Answer::Lost, Answer::At),
        };
        self.answers.push_back(answer);
    }

    /// The target refuses the oldest batch for what is in it.
    fn refuse(&mut self) {
        self.lane.interrupt();
        self.mirror.fail();
        let is_cut = match self.random.u8(0..3) {
            0 => self.lane.split_refused(),
            1 => self.lane.halve_refused(),
            _ => false,
        };
        if !is_cut {
            let count = usize::try_from(self.lane.refused_front().unwrap().count).unwrap();
            let indexes = (0..count).filter(|_| self.random.bool()).collect();
            let offsets = self.lane.leave_out_refused(indexes);
            let offsets: Vec<i64> = offsets.into_iter().map(|offset| offset.0).collect();
            self.mirror.leave_out(&offsets);
            self.refused.extend(offsets);
        }
    }

    fn answer(&mut self) {
        match self.answers.pop_front() {
            Some(Answer::Refused) if self.mirror.state == State::Running => self.refuse(),
            Some(Answer::At(base)) if self.mirror.state == State::Running => {
                self.lane.acknowledge(base).unwrap();
                self.mirror.acknowledge(base);
            }
            Some(_) => {
                self.lane.interrupt();
                self.mirror.fail();
            }
            None => {}
        }
        self.lane.try_settle();
        self.mirror.settle();
    }

    fn ask(&mut self) {
        let must = self.lane.needs_producer() || self.lane.phase == Phase::Waiting;
        assert_eq!(must, self.mirror.must_ask());
        if !must {
            return;
        }
        let acked = self.lane.acked();
        let end = i64::try_from(self.log.slots.len()).unwrap();
        let from = if acked.target_next.0 < 0 { end } else { acked.target_next.0 };
        if self.mirror.target_next.is_none() {
            self.mirror.target_next = Some(end);
        }
        if self.lane.is_dirty || self.log.producer_epoch > 0 {
            self.log.fence();
        }
        let producer_epoch = self.log.producer_epoch;
        let mut epochs = self.lane.epochs().to_vec();
        let ordinal_base = Ordinal(i64::MAX);
        epochs.push(EpochBase { producer_id: PRODUCER_ID, producer_epoch, ordinal_base });
        let headers = self.log.headers.iter().filter(|header| header.next_offset() > from);
        let start = TailStart { ordinal: acked.ordinal, target: TargetOffset(from) };
        let tail = read_tail(headers, &epochs, self.lane.runs(), start);
        self.lane.recovered(Recovered { producer_id: PRODUCER_ID, producer_epoch, tail }).unwrap();
        self.mirror.look(&self.log.slots, &self.saved.1);
        if self.random.bool() {
            self.age();
        }
    }

    /// As if so many records had been sent in this epoch already that its sequences are about to wrap.
    fn age(&mut self) {
        let count = (1 << 31) - self.random.i64(1..20);
        let epoch = self.lane.epochs.last_mut().unwrap();
        epoch.ordinal_base = epoch.ordinal_base.plus(-count);
        self.mirror.sequence = count;
        self.log.next_sequence = Some(count);
    }

    fn kill(&mut self) {
        self.answers.clear();
        self.lane = lane(&self.saved.0, self.stored.values().next_back().copied());
        self.mirror = Mirror::new(&self.saved.1);
    }

    fn step(&mut self) {
        match self.random.u8(0..100) {
            0..20 => self.read(),
            20..40 => self.save(),
            40..65 => self.send(),
            65..85 => self.answer(),
            85..92 => self.ask(),
            92..96 => self.log.foreign(2),
            _ => self.kill(),
        }
        self.compare();
    }

    fn compare(&self) {
        let (lane, mirror) = (&self.lane, &self.mirror);
        assert_eq!(lane.position().0.0, mirror.position, "position");
        assert_eq!(lane.acked().source_next.0, mirror.done, "done");
        let count = |pending: &VecDeque<super::Pending>| -> usize {
            pending.iter().map(|pending| pending.offsets.len()).sum()
        };
        let waiting: i64 = lane.ready.iter().map(|outgoing| outgoing.count).sum();
        assert_eq!(usize::try_from(waiting), Ok(count(&mirror.waiting)), "waiting");
        assert_eq!(lane.in_flight.len(), mirror.under_way.len(), "under way");
        let phase = match mirror.state {
            State::Idle => Phase::Idle,
            State::Running => Phase::Running,
            State::Settling => Phase::Settling,
            State::Asking => Phase::Waiting,
        };
        assert_eq!(lane.phase, phase);
        let Some(target_next) = mirror.target_next.filter(|_| phase != Phase::Idle) else { return };
        assert_eq!(lane.acked().target_next.0, target_next, "target");
        self.compare_maps();
    }

    fn compare_maps(&self) {
        let (map, mirror) = (&self.lane.map, &self.mirror);
        for source in mirror.began..mirror.position + 3 {
            let found = match map.translate(SourceOffset(source)) {
                Lookup::At(target) => Some(target.0),
                Lookup::Beyond => None,
                Lookup::Evicted => continue,
            };
            assert_eq!(found, mirror.translate(source), "target of source offset {source}");
        }
        let first = mirror.copies.first().map_or(i64::MAX, |(_, target)| *target);
        for target in first..mirror.target_next.unwrap_or_default() + 3 {
            let found = match map.translate_back(TargetOffset(target)) {
                Lookup::At(source) => Some(source.0),
                Lookup::Beyond => None,
                Lookup::Evicted => continue,
            };
            assert_eq!(found, mirror.translate_back(target), "source of target offset {target}");
        }
    }

    fn run_to_the_end(&mut self) {
        for _ in 0..20_000 {
            self.step();
            let end = self.source.last().map_or(0, |place| place.piece.next);
            let is_idle = self.mirror.under_way.is_empty() && self.mirror.waiting.is_empty();
            let is_calm = matches!(self.mirror.state, State::Running | State::Idle);
            if self.mirror.position >= end && is_idle && is_calm {
                return;
            }
        }
        panic!("the copy did not come to its end: {:?}", self.lane);
    }

    /// Every visible record from the start on, once and in order; and the stored map tells where each one is.
    fn judge(&mut self, start: i64) {
        self.save();
        let visible = self.source.iter().filter(|place| place.piece.is_visible);
        let offsets = visible.flat_map(|place| place.piece.offsets.iter().copied());
        let expected: Vec<i64> = offsets.filter(|offset| *offset >= start).collect();
        let copies: Vec<(i64, i64)> = (0..)
            .zip(&self.log.slots)
            .filter_map(|(at, slot)| match slot {
                Slot::Copy(source) => Some((*source, at)),
                Slot::Foreign | Slot::Marker => None,
            })
            .collect();
        let copied: Vec<i64> = copies.iter().map(|(source, _)| *source).collect();
        // Refused once, such a record may pass after a restart.
        let expected: Vec<i64> = expected
            .into_iter()
            .filter(|offset| !self.refused.contains(offset) || copied.contains(offset))
            .collect();
        assert_eq!(copied, expected);
        for (source, target) in copies {
            let (_, segment) = self.stored.range(..=source).next_back().expect("a stored segment");
            assert!(source < segment.source_end().0, "{source} is in no stored segment");
            assert_eq!(segment.target_at_or_after(SourceOffset(source)).0, target);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    /// The lane does what its model does, whatever happens.
    #[test]
    fn the_lane_is_its_model(seed in any::<u64>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let budget = ByteBudget::new(1 << 20);
        let lease = budget.share(runtime.block_on(budget.reserve(1)));
        let mut pair = Pair::new(seed, lease);
        let start = pair.mirror.done;
        pair.run_to_the_end();
        pair.judge(start);
    }
}
