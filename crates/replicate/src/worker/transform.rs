//! Tasks with a rule: what a lane reads is decoded and processed here, and written by lanes of its own (ADR 0016).
//!
//! A reader takes one batch after the other. Its outputs are gathered per target partition, and leave as batches of the lanes
//! there (outlets). A batch of the source is done when all that came of it is acknowledged, and batches are done in their order; so
//! the reader's position never passes anything that is not on the target. After a restart the outlets say what the target has,
//! and what is read again up to there is not written again.

mod failure;
mod outlets;
mod partition;
mod schemas;
mod topics;
mod uncertain;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use forward::{Ordinal, SourceOffset};
use jiff::Timestamp;
use kafka_wire::record::{BatchError, Record, RecordLimits, RecordWalker};

use self::failure::{Told, headers_of};
use self::outlets::{Emission, Outlet, Refusal};
use self::topics::{Topic, TopicId};
use super::{LaneId, Worker};
use crate::budget::SharedLease;
use crate::lane::{Duty, Input, Lane, Phase};
use crate::spec::Transform;

pub(crate) use self::failure::RecordFailure;
pub(super) use self::topics::Found;

/// Bytes of records that are processed before answers are looked at again.
const STEP_BYTES: usize = 256 << 10;

/// What a reader may have written and not acknowledged, at least.
const READER_OUTPUT_BYTES_MIN: usize = 1 << 20;

/// What a worker keeps for its task's rule.
#[derive(Debug)]
pub(super) struct Transforms {
    spec: Transform,
    scratch: etl::Scratch,
    state: State,
}

/// Readers, outlets and topics.
#[derive(Debug, Default)]
struct State {
    readers: HashMap<LaneId, Reader>,
    /// The reader of each outlet.
    owners: HashMap<LaneId, LaneId>,
    topics: Vec<Topic>,
    /// Readers that may have something to do, longest waiting first.
    queue: VecDeque<LaneId>,
    told: HashMap<etl::ErrorCode, Told>,
    /// Schemas that are being asked for.
    asked: HashSet<u32>,
}

/// A lane that reads for the rule.
#[derive(Debug)]
struct Reader {
    /// The topic of outputs that the rule does not route.
    topic: TopicId,
    outlets: HashMap<(TopicId, i32), Outlet>,
    /// Whether every outlet has said what the target has.
    is_placed: bool,
    input: Option<Decoding>,
    /// Batches of the source that are not done, oldest first.
    pending: VecDeque<Pending>,
    /// The share of the budget of what was read last.
    lease: Option<SharedLease>,
    is_queued: bool,
    /// Nothing more is taken: a record failed, and the rule says that the task ends there.
    has_failed: bool,
    /// The record that waited for a schema last, and its id.
    awaited: Option<(i64, u32)>,
}

/// A batch whose records are being processed.
#[derive(Debug)]
struct Decoding {
    walker: RecordWalker,
    from: SourceOffset,
    compression: kafka_wire::compression::Compression,
    /// A record that waits for something.
    held: Option<Record>,
}

/// A batch of the source that was taken.
#[derive(Debug, Default)]
struct Pending {
    /// Its records that were ours.
    count: u64,
    /// Whether all of them are processed.
    is_complete: bool,
    /// What must be acknowledged.
    needs: Vec<(LaneId, Ordinal)>,
    /// The task ends here, inside the batch.
    failure: Option<Box<RecordFailure>>,
}

/// What became of a record.
enum Outcome {
    Done,
    /// It must be processed again when the topic that it goes to, or its schema, is known.
    Wait,
    /// The task ends before it.
    Fail(Box<RecordFailure>),
}

impl Decoding {
    fn new(input: &Input, limits: &RecordLimits) -> Result<Self, BatchError> {
        input.batch.verify_crc()?;
        Ok(Self {
            walker: input.batch.walk(limits)?,
            from: input.from,
            compression: input.batch.header.compression()?,
            held: None,
        })
    }

    fn next(&mut self) -> Option<Result<Record, BatchError>> {
        match self.held.take() {
            Some(held) => Some(Ok(held)),
            None => {
                let from = self.from.0;
                self.walker
                    .find(|record| record.as_ref().map_or(true, |record| record.offset >= from))
            }
        }
    }
}

impl Transforms {
    pub(super) fn new(spec: Transform) -> Self {
        Self { spec, scratch: etl::Scratch::new(), state: State::default() }
    }
}

impl State {
    /// Has a reader looked at.
    fn enqueue(&mut self, id: LaneId) {
        if let Some(reader) = self.readers.get_mut(&id)
            && !std::mem::replace(&mut reader.is_queued, true)
        {
            self.queue.push_back(id);
        }
    }
}

impl Worker {
    /// Whether readers wait to be looked at.
    pub(super) fn has_input(&self) -> bool {
        self.transforms.as_ref().is_some_and(|transforms| !transforms.state.queue.is_empty())
    }

    /// Takes up a lane of a task with a rule.
    pub(super) fn add_to_transforms(&mut self, id: LaneId) {
        let Some(transforms) = &mut self.transforms else { return };
        let lane = &self.lanes[id];
        let state = &mut transforms.state;
        match lane.duty() {
            Duty::Copy => {}
            Duty::Read => {
                let topic = state.topic_id(&lane.key.target_topic);
                state.readers.insert(id, Reader::new(topic));
                state.enqueue(id);
            }
            Duty::Write => {
                let lanes = self.by_source.get(&lane.source_name);
                let reader = lanes.and_then(|lanes| lanes.get(&lane.key.source_partition)).copied();
                let topic = state.topic_id(&lane.key.target_topic);
                if let Some(reader) = reader
                    && let Some(found) = state.readers.get_mut(&reader)
                {
                    found.outlets.insert((topic, lane.key.target_partition), Outlet::new(id));
                    state.owners.insert(id, reader);
                }
            }
        }
    }

    /// Something changed for a lane: its reader may go on.
    pub(super) fn wake_reader(&mut self, id: LaneId) {
        let Some(transforms) = &mut self.transforms else { return };
        let state = &mut transforms.state;
        let reader = state.owners.get(&id).copied().unwrap_or(id);
        state.enqueue(reader);
    }

    /// An outlet's progress, or its end, is its reader's.
    pub(super) fn output_moved(&mut self, id: LaneId) {
        if self.lanes[id].duty() != Duty::Write {
            return;
        }
        let Some(mut transforms) = self.transforms.take() else { return };
        if let Some(reader) = transforms.state.owners.get(&id).copied() {
            self.settle_inputs(&mut transforms.state, reader);
            transforms.state.enqueue(reader);
        }
        self.transforms = Some(transforms);
    }

    /// What an event says of a lane's place: one that writes counts its own outputs, which tells nobody anything.
    pub(super) fn told_offset(&self, id: LaneId, offset: SourceOffset) -> SourceOffset {
        let lane = &self.lanes[id];
        if lane.duty() != Duty::Write {
            return offset;
        }
        let owners = self.transforms.as_ref().map(|transforms| &transforms.state.owners);
        let reader = owners.and_then(|owners| owners.get(&id));
        let read = reader.map_or(offset, |reader| self.lanes[*reader].acked().source_next);
        lane.written().map_or(read, |(place, _)| place.offset)
    }

    /// What a lane writes for cannot go on without it.
    pub(super) fn stop_reader_of(&mut self, id: LaneId, cause: &str, cure: &str) {
        let Some(transforms) = &self.transforms else { return };
        let Some(reader) = transforms.state.owners.get(&id).copied() else { return };
        let key = &self.lanes[id].key;
        let cause = format!("{}-{}: {cause}", key.target_topic, key.target_partition);
        self.stop_lane(reader, cause, cure);
    }

    /// Lets the reader that has waited longest process some records.
    pub(super) fn pump_transforms(&mut self) {
        if self.is_closing {
            return;
        }
        let Some(mut transforms) = self.transforms.take() else { return };
        if let Some(id) = transforms.state.queue.pop_front() {
            self.step(&mut transforms, id);
        }
        self.transforms = Some(transforms);
    }

    fn step(&mut self, transforms: &mut Transforms, id: LaneId) {
        let Some(reader) = transforms.state.readers.get_mut(&id) else { return };
        reader.is_queued = false;
        let was_placed = reader.is_placed;
        if self.lanes[id].phase == Phase::Stopped
            || reader.has_failed
            || !reader.try_place(&self.lanes)
        {
            return;
        }
        if !was_placed {
            self.tell_uncertain(&transforms.spec, &transforms.state, id);
        }
        let has_more = self.process_some(transforms, id);
        let state = &mut transforms.state;
        if has_more {
            state.enqueue(id);
        } else if let Some(reader) = state.readers.get_mut(&id) {
            // Nothing more is there to come with it.
            if let Err(fault) = reader.flush_all(&mut self.lanes) {
                return self.stop_lane(id, fault, failure::CORRUPT_CURE);
            }
        }
        self.send_outputs(state, id);
        self.settle_inputs(state, id);
    }

    /// Processes records of a reader up to the bound of one step. True when it could go on at once.
    fn process_some(&mut self, transforms: &mut Transforms, id: LaneId) -> bool {
        let mut left = STEP_BYTES;
        loop {
            let Some(reader) = transforms.state.readers.get_mut(&id) else { return false };
            let limits = self.lanes[id].limits();
            if reader.input.is_none() {
                let Some(input) = self.lanes[id].take_input() else { return false };
                reader.pending.push_back(Pending::default());
                reader.lease = Some(input.lease.clone());
                match Decoding::new(&input, &limits) {
                    Ok(decoding) => reader.input = Some(decoding),
                    Err(error) => return self.undecodable(id, &error),
                }
            }
            if reader.output_bytes(&self.lanes) >= self.output_bytes_max(&transforms.state) {
                // The next acknowledgement wakes it.
                return false;
            }
            let Some(reader) = transforms.state.readers.get_mut(&id) else { return false };
            let Some(input) = &mut reader.input else { return false };
            let record = match input.next() {
                Some(Ok(record)) => record,
                Some(Err(error)) => return self.undecodable(id, &error),
                None => {
                    reader.input = None;
                    reader.complete(&self.lanes);
                    continue;
                }
            };
            let size = failure::size_of(&record);
            match self.process(transforms, id, &record) {
                Outcome::Done => transforms.state.count(id),
                Outcome::Wait => {
                    transforms.state.hold(id, record);
                    return false;
                }
                Outcome::Fail(failure) => {
                    transforms.state.fail(id, failure, &self.lanes);
                    return false;
                }
            }
            left = left.saturating_sub(size);
            if left == 0 {
                return true;
            }
        }
    }

    /// One record through the rule.
    fn process(&mut self, transforms: &mut Transforms, id: LaneId, record: &Record) -> Outcome {
        let Transforms { spec, scratch, state } = transforms;
        let key = Arc::clone(&self.lanes[id].key);
        let headers = match headers_of(record) {
            Ok(headers) => headers,
            Err(error) => {
                let bare = failure::view(record, &[], &key);
                return self.record_failed(spec, state, id, &bare, &error);
            }
        };
        let view = failure::view(record, &headers, &key);
        let mut error = match spec.rule.apply(&view, Timestamp::now(), scratch) {
            Ok(outputs) => {
                let emissions = outputs.records.iter().map(Emission::of);
                match self.write_all(spec, state, id, record.offset, emissions) {
                    Ok(Outcome::Done) => {
                        let written =
                            outputs.records.iter().map(|output| u64::from(output.copies)).sum();
                        let status = &self.lanes[id].status;
                        status.written(written);
                        if let Some(reason) = outputs.dropped {
                            status.left_out(1, failure::name_of(reason));
                        }
                        return Outcome::Done;
                    }
                    Ok(outcome) => return outcome,
                    Err(Refusal { error, to_dead_letters: false }) => *error,
                    Err(Refusal { error, to_dead_letters: true }) => {
                        return self.dead_letter(spec, state, id, &view, &error);
                    }
                }
            }
            Err(error) => error,
        };
        if self.awaits_schema(spec, state, id, record, &mut error) {
            return Outcome::Wait;
        }
        self.record_failed(spec, state, id, &view, &error)
    }

    /// Bytes of outputs that one reader may have on their way: with all readers together about what the budget holds.
    fn output_bytes_max(&self, state: &State) -> usize {
        let share = self.ctx.budget.total_bytes() / state.readers.len().max(1);
        share.max(READER_OUTPUT_BYTES_MIN)
    }

    /// What the source sent cannot be read: always false.
    fn undecodable(&mut self, id: LaneId, error: &BatchError) -> bool {
        self.stop_lane(id, error.to_string(), failure::CORRUPT_CURE);
        false
    }

    /// Journals where new batches end, and has them sent.
    fn send_outputs(&mut self, state: &mut State, id: LaneId) {
        let Some(reader) = state.readers.get_mut(&id) else { return };
        let touched: Vec<LaneId> = reader
            .outlets
            .values_mut()
            .filter_map(|outlet| std::mem::take(&mut outlet.has_news).then_some(outlet.lane))
            .collect();
        self.journal_new_runs(&touched);
        for lane in touched {
            self.open_if_needed(lane);
            self.enqueue(lane);
        }
    }

    /// Books the batches of the source of which everything is on the target.
    fn settle_inputs(&mut self, state: &mut State, id: LaneId) {
        let Some(reader) = state.readers.get_mut(&id) else { return };
        while let Some(front) = reader.pending.front() {
            let is_on_target =
                |(lane, ordinal): &(LaneId, Ordinal)| self.lanes[*lane].acked().ordinal >= *ordinal;
            if !front.is_complete || !front.needs.iter().all(is_on_target) {
                break;
            }
            let Some(front) = reader.pending.pop_front() else { break };
            match front.failure {
                None => self.lanes[id].input_done(front.count),
                Some(failure) => {
                    self.lanes[id].input_ends_at(SourceOffset(failure.offset));
                    return self.end_task(id, *failure);
                }
            }
        }
        self.note_state(id);
    }
}

impl Reader {
    fn new(topic: TopicId) -> Self {
        Self {
            topic,
            outlets: HashMap::new(),
            is_placed: false,
            input: None,
            pending: VecDeque::new(),
            lease: None,
            is_queued: false,
            has_failed: false,
            awaited: None,
        }
    }

    /// Whether it is known what the target has of every outlet.
    fn try_place(&mut self, lanes: &[Lane]) -> bool {
        if !self.is_placed {
            self.is_placed = self.outlets.values().all(|outlet| lanes[outlet.lane].is_placed());
            if self.is_placed {
                for outlet in self.outlets.values_mut() {
                    outlet.written = lanes[outlet.lane].written();
                }
            }
        }
        self.is_placed
    }

    fn output_bytes(&self, lanes: &[Lane]) -> usize {
        self.outlets.values().map(|outlet| outlet.size_bytes(&lanes[outlet.lane])).sum()
    }

    /// Whether a record waits for something.
    fn holds_record(&self) -> bool {
        self.input.as_ref().is_some_and(|input| input.held.is_some())
    }

    /// All records of the batch that was taken last are processed.
    fn complete(&mut self, lanes: &[Lane]) {
        let Some(last) = self.pending.back_mut() else { return };
        last.is_complete = true;
        for outlet in self.outlets.values_mut().filter(|outlet| outlet.is_touched) {
            outlet.is_touched = false;
            last.needs.push((outlet.lane, outlet.end(&lanes[outlet.lane])));
        }
    }
}

impl State {
    /// One more record is processed.
    fn count(&mut self, id: LaneId) {
        let last = self.readers.get_mut(&id).and_then(|reader| reader.pending.back_mut());
        if let Some(last) = last {
            last.count += 1;
        }
    }

    fn hold(&mut self, id: LaneId, record: Record) {
        if let Some(input) = self.readers.get_mut(&id).and_then(|reader| reader.input.as_mut()) {
            input.held = Some(record);
        }
    }

    /// Nothing is taken behind a record that ends the task.
    fn fail(&mut self, id: LaneId, failure: Box<RecordFailure>, lanes: &[Lane]) {
        let Some(reader) = self.readers.get_mut(&id) else { return };
        reader.has_failed = true;
        reader.input = None;
        reader.complete(lanes);
        if let Some(last) = reader.pending.back_mut() {
            last.failure = Some(failure);
        }
    }
}
