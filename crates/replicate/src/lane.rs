//! One source partition on its way to one target partition: what is known, what is under way, what is
//! safe.
//!
//! A lane is a plain struct without I/O. Its worker feeds it fetched batches ([`Lane::accept`]), asks it for
//! the next batch to send ([`Lane::next_batch`]), and tells it every answer ([`Lane::acknowledge`],
//! [`Lane::interrupt`], [`Lane::recovered`]). It leaves to the worker which connection is used, and to
//! `recover` how the target is asked.
//!
//! What must never happen: a batch sent before its run is journaled; two batches under way before the
//! first one of an epoch is acknowledged, or while the target may have forgotten the producer (a failed first batch
//! followed by others is silent loss, P2, P3); a
//! batch sent again with the same sequence but other bytes (P2).

mod accept;
mod advance;
mod coalesce;
mod duty;
mod moving;
mod planted;
mod remembered;
mod repair;
mod room;
mod settle;
mod translate;
mod turn;

use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

use bytes::{BufMut as _, Bytes, BytesMut};
use forward::planted::{Bug, has};
use forward::{
    EpochBase, OffsetMap, Ordinal, RebuildReason, Runs, Segment, SourceOffset, TargetOffset,
    TargetTraits, patched_header,
};
use kafka_client::ProducerIdentity;
use kafka_wire::Uuid;
use kafka_wire::protocol::StrBytes;
use kafka_wire::record::{BatchV2, RecordLimits};
use tokio::time::Instant;

pub(crate) use accept::Barrier;
pub(crate) use coalesce::Coalescing;
pub(crate) use duty::{Duty, Input};
use repair::Repair;
pub(crate) use room::Room;
pub(crate) use settle::Recovered;
pub(crate) use translate::Translated;
pub(crate) use turn::Turn;

use crate::budget::SharedLease;
use crate::journal::{LaneKey, LaneProgress, LaneRecord, Outputs, SourceEpochs};
use crate::progress::{LaneState, LaneStatus};

/// New room for headers, which are cut off one after the other.
const SCRATCH_BYTES: usize = 4096;

/// Where a lane stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It knows where to read and has no producer yet; it asks for one when its first batch is ready.
    Idle,
    /// The target is being asked: producer id, fence, tail. Nothing is sent.
    Opening,
    /// Batches travel.
    Running,
    /// An answer went wrong: nothing more is sent until everything under way is answered or dead.
    Settling,
    /// Settled after an interruption; waits for its back-off before the target is asked.
    Waiting,
    /// It needs an operator, or its topic is gone.
    Stopped,
}

/// One batch on its way.
#[derive(Debug)]
pub(crate) struct Outgoing {
    /// As the source had it, or as rebuilt.
    pub(crate) batch: BatchV2,
    /// The ordinal of its first record.
    pub(crate) ordinal: Ordinal,
    /// How many records it has.
    pub(crate) count: i64,
    /// The source offset of its first record.
    pub(crate) source_start: SourceOffset,
    /// The source offset behind it.
    pub(crate) source_next: SourceOffset,
    /// Why it was rebuilt, if it was.
    pub(crate) rebuilt: Option<RebuildReason>,
    /// Gives the bytes of the frame back to the budget when the frame's last batch is gone.
    lease: SharedLease,
    /// Those of other frames whose batches were merged into this one.
    leases: Vec<SharedLease>,
    /// It is not merged with its neighbours (any more): it was sent before, or cut, or it was tried in vain.
    is_final: bool,
}

impl Outgoing {
    pub(crate) fn end(&self) -> Ordinal {
        self.ordinal.plus(self.count)
    }

    pub(crate) fn size_bytes(&self) -> usize {
        self.batch.bytes.len()
    }
}

/// What a lane is born with.
#[derive(Debug)]
pub(crate) struct LaneSeed {
    /// What the journal knows, or the first record that was written to it.
    pub(crate) record: LaneRecord,
    /// The youngest segment of the journal's offset map: what is copied next may belong to it.
    pub(crate) map_end: Option<Segment>,
    /// The target topic as it is now.
    pub(crate) traits: TargetTraits,
    /// Stop when everything below this source offset is copied (`--once`).
    pub(crate) end: Option<SourceOffset>,
    /// The source must be asked once even if everything seems to be copied: it is not what was copied.
    pub(crate) must_check: bool,
    /// What it does.
    pub(crate) duty: Duty,
    /// Lanes that write what is made of what it reads, as the journal knows them.
    pub(crate) writers: Vec<LaneRecord>,
    /// Shown to others.
    pub(crate) status: Arc<LaneStatus>,
}

/// One source partition on its way to one target partition.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) key: Arc<LaneKey>,
    /// The topics' names once more, to be shared.
    pub(crate) source_name: Arc<str>,
    pub(crate) target_name: StrBytes,
    /// Names the target partition within the worker: lanes may share one.
    pub(crate) target_slot: usize,
    pub(crate) status: Arc<LaneStatus>,
    pub(crate) traits: TargetTraits,
    pub(crate) phase: Phase,
    duty: Duty,
    outputs: Outputs,
    /// The leader of each end, −1 while unknown, and its epoch.
    pub(crate) source_leader: (i32, i32),
    pub(crate) target_leader: (i32, i32),
    pub(crate) source_topic_id: Option<Uuid>,
    pub(crate) target_topic_id: Option<Uuid>,
    pub(crate) transactional_id: String,
    /// Whether records may be on the target that the journal does not know: the tail decides.
    pub(crate) is_dirty: bool,
    /// Interruptions without an acknowledgement in between, for the back-off.
    pub(crate) failures: u32,
    /// Whether the lane waits in the queue of its target broker.
    pub(crate) is_queued: bool,
    /// Whether the event about other writers was raised.
    pub(crate) knows_foreign_writes: bool,
    /// It goes to another worker once all that it read is settled; until then nothing more is read.
    pub(crate) is_leaving: bool,
    /// What the lane does once all that it read is settled; until then nothing more is read.
    pub(crate) turn: Option<Turn>,
    /// Whether the source is being asked what became of its log.
    pub(crate) is_asking: bool,
    /// The source is asked once the target said where the lane stands.
    awaits_opening: bool,
    /// What was copied must be compared with the source before more is read, where its brokers do not tell of changes.
    must_compare: bool,
    /// A leader epoch behind the last one that was read, whose log was compared.
    compared_epoch: i32,
    limits: RecordLimits,
    coalescing: Coalescing,
    /// Whether the target said where the lane stands since this process began.
    was_opened: bool,
    first_identity: Arc<OnceLock<ProducerIdentity>>,
    /// Bytes that the source was last asked for.
    pub(crate) asked_bytes: i32,
    /// The largest batch of the last answer that held any.
    pub(crate) batch_bytes: usize,
    advance: advance::Advance,
    /// Where the source was last asked to read: an answer for another position is of no use.
    asked: SourceOffset,
    /// What lies before was copied by a task whose state was lost: the map does not know it.
    map_start: Option<SourceOffset>,
    end: Option<SourceOffset>,
    must_check: bool,
    /// The next source offset to read.
    position: SourceOffset,
    /// The leader epochs of what was read, up to `position`.
    source_epochs: SourceEpochs,
    /// The tail moved the position behind what the journal knew, and nothing was read since: an older journal may lack the epochs.
    is_epoch_doubtful: bool,
    next_ordinal: Ordinal,
    runs: Runs,
    map: OffsetMap,
    epochs: Vec<EpochBase>,
    ready: VecDeque<Outgoing>,
    in_flight: VecDeque<Outgoing>,
    /// Requests that carry a batch of this lane and have neither an answer nor a dead connection.
    unanswered: usize,
    /// The oldest unacknowledged batch was refused as it is: what is done to it before it travels again.
    repair: Option<Repair>,
    /// Batches larger than this are cut: the target has refused one.
    split_above: Option<usize>,
    buffered_bytes: usize,
    /// Journal writes under way: nothing from these ordinals on may be sent.
    barriers: Vec<(Barrier, Ordinal)>,
    /// Barriers whose journal write was not begun yet.
    unwritten: Vec<Barrier>,
    barrier_count: u64,
    /// Whether the current epoch has had an acknowledgement.
    is_proven: bool,
    /// Largest timestamp of the batch that was acknowledged last.
    acked_ms: i64,
    /// The target remembers a producer for so long after the time of its newest record.
    memory_ms: i64,
    /// Until then requests of lost connections may still be appended, where nothing refuses them.
    strays_until: Option<Instant>,
    acked: LaneProgress,
    /// What `acked` was when the journal last heard of it.
    journaled: LaneProgress,
}

impl Lane {
    /// A lane that goes on from `seed.record`.
    pub(crate) fn new(
        seed: LaneSeed,
        limits: RecordLimits,
        coalescing: Coalescing,
        map_segments_max: usize,
    ) -> Self {
        let LaneSeed { record, map_end, traits, end, must_check, duty, status, writers: _ } = seed;
        let is_dirty = !record.settled && !record.epochs.is_empty();
        let acked = record.acked;
        let mut runs = record.runs;
        let mut outputs = record.outputs;
        if !is_dirty {
            // Nothing behind `acked` was sent. What was planned is read again, and the source may have changed meanwhile.
            runs.truncate(acked.ordinal);
            outputs.cuts.retain(|cut| cut.ordinal <= acked.ordinal);
        }
        let source_epochs = epochs_of(record.source_epochs, &acked, record.source_epoch, is_dirty);
        status.set_position(acked.source_next.0);
        if let Some(start) = record.map_start {
            status.set_map_start(start.0);
        }
        Self {
            source_name: record.lane.source_topic.as_str().into(),
            target_name: StrBytes::from_string(record.lane.target_topic.clone()),
            target_slot: 0,
            key: Arc::clone(&status.key),
            status,
            traits,
            // Nobody has to be asked before something is read.
            phase: if duty == Duty::Read { Phase::Running } else { Phase::Idle },
            duty,
            outputs,
            source_leader: (-1, -1),
            target_leader: (-1, -1),
            source_topic_id: record.source_topic_id,
            target_topic_id: record.target_topic_id,
            transactional_id: record.transactional_id,
            is_dirty,
            failures: 0,
            is_queued: false,
            knows_foreign_writes: false,
            is_leaving: false,
            turn: None,
            is_asking: false,
            awaits_opening: false,
            must_compare: duty == Duty::Copy && (is_dirty || acked.ordinal > Ordinal(0)),
            compared_epoch: -1,
            limits,
            coalescing,
            was_opened: false,
            first_identity: Arc::default(),
            asked_bytes: 0,
            batch_bytes: 0,
            advance: advance::Advance::default(),
            asked: acked.source_next,
            map_start: record.map_start,
            end,
            must_check,
            position: acked.source_next,
            source_epochs,
            is_epoch_doubtful: false,
            next_ordinal: acked.ordinal,
            runs,
            map: OffsetMap::resume(
                map_end,
                acked.source_next,
                acked.target_next.max(TargetOffset(0)),
                map_segments_max,
            ),
            epochs: record.epochs,
            ready: VecDeque::new(),
            in_flight: VecDeque::new(),
            unanswered: 0,
            repair: None,
            split_above: None,
            buffered_bytes: 0,
            barriers: Vec::new(),
            unwritten: Vec::new(),
            barrier_count: 0,
            is_proven: false,
            acked_ms: i64::MIN,
            memory_ms: remembered::DEFAULT_MS,
            strays_until: None,
            acked,
            journaled: acked,
        }
    }

    /// Whether the source may be asked for more: the position is certain and the buffer has room.
    pub(crate) fn wants_data(&self, buffer_bytes_max: usize) -> bool {
        let is_certain = match self.phase {
            Phase::Stopped => false,
            Phase::Running => true,
            // After a restart a dirty lane learns its position from the tail; others read ahead.
            _ => !self.is_dirty || self.has_unsent_or_sent(),
        };
        is_certain
            && self.turn.is_none()
            && !self.is_asking
            && !self.is_leaving
            && self.buffered_bytes < buffer_bytes_max
            && (self.must_check || !self.has_read_all())
    }

    fn has_unsent_or_sent(&self) -> bool {
        !self.ready.is_empty() || !self.in_flight.is_empty()
    }

    fn has_read_all(&self) -> bool {
        self.end.is_some_and(|end| self.position >= end) && !has(Bug::IgnoreEnd)
    }

    /// Whether everything that was asked for is on the target.
    pub(crate) fn is_done(&self) -> bool {
        let is_certain = self.turn.is_none() && !self.is_asking && !self.must_check;
        is_certain && self.has_read_all() && !self.has_unsent_or_sent()
    }

    /// The next source offset to read and the leader epoch of what was read before it.
    pub(crate) fn position(&self) -> (SourceOffset, i32) {
        (self.position, self.source_epochs.last())
    }

    /// Goes on at a later source offset: what lies between is lost and told by an event.
    pub(crate) fn skip_to(&mut self, offset: SourceOffset) {
        self.must_check = false;
        // Nobody has seen which epochs wrote what lies between.
        self.source_epochs.note(-1, self.position);
        self.position = self.position.max(offset.plus(i64::from(has(Bug::SkipTooFar))));
        self.advance_position();
    }

    /// Whether only the source's answer is awaited, and no record.
    pub(crate) fn only_checks(&self) -> bool {
        self.must_check && self.has_read_all()
    }

    pub(crate) fn source_epochs(&self) -> &SourceEpochs {
        &self.source_epochs
    }

    /// Whether the last known epoch may not be that of what was copied last.
    pub(crate) fn is_epoch_doubtful(&self) -> bool {
        self.is_epoch_doubtful
    }

    /// The youngest segments of the offset map, in order.
    pub(crate) fn map_segments(&self) -> Vec<Segment> {
        self.map.segments().copied().collect()
    }

    /// The source does not know the leader epoch of what was read: it is asked without one.
    pub(crate) fn forget_epoch(&mut self) {
        self.source_epochs.forget(self.position);
    }

    pub(crate) fn buffered_bytes(&self) -> usize {
        self.buffered_bytes
    }

    /// Whether a request with a batch of this lane has no answer yet.
    pub(crate) fn is_waiting_for_answers(&self) -> bool {
        self.unanswered > 0
    }

    pub(crate) fn acked(&self) -> LaneProgress {
        self.acked
    }

    pub(crate) fn runs(&self) -> &Runs {
        &self.runs
    }

    pub(crate) fn epochs(&self) -> &[EpochBase] {
        &self.epochs
    }

    pub(crate) fn limits(&self) -> RecordLimits {
        self.limits
    }

    /// Whether the target said where the lane stands since this process began.
    pub(crate) fn was_opened(&self) -> bool {
        self.was_opened
    }

    /// What the lane's transactional id gave when this process asked first; set by who asks.
    pub(crate) fn first_identity(&self) -> Arc<OnceLock<ProducerIdentity>> {
        Arc::clone(&self.first_identity)
    }

    /// The source is asked for what comes at the lane's position.
    pub(crate) fn note_asked(&mut self) {
        self.asked = self.position;
    }

    /// Whether the source has more than was read; it may, where that is not known.
    pub(crate) fn has_more(&self) -> bool {
        let end = self.status.source_end();
        end < 0 || end > self.position.0
    }

    /// Whether an answer of the source is about the lane's position: it may have moved since the question.
    pub(crate) fn expects_answer(&self) -> bool {
        self.asked == self.position
    }

    /// Whether a batch waits that only lacks a producer, or is known to come, or the target must say where the lane stands.
    pub(crate) fn needs_producer(&self) -> bool {
        let will_send = self.duty != Duty::Read && self.end.is_some_and(|end| self.position < end);
        let is_needed = self.is_dirty || self.awaits_opening || will_send || !self.ready.is_empty();
        self.phase == Phase::Idle && is_needed
    }

    /// Whether [`Lane::next_batch`] would return a batch.
    pub(crate) fn can_send(&self) -> bool {
        let Some(front) = self.ready.front() else { return false };
        self.phase == Phase::Running
            && self.duty != Duty::Read
            && !self.must_wait_for_strays(front)
            && self.is_journaled(front)
            && (self.in_flight.is_empty()
                || has(Bug::SecondBeforeProven)
                || self.is_proven && self.is_remembered())
    }

    /// Whether the journal knows the runs of a batch.
    fn is_journaled(&self, outgoing: &Outgoing) -> bool {
        self.barriers.iter().all(|(_, ordinal)| outgoing.end() <= *ordinal)
            || has(Bug::ForgetBarrier)
    }

    /// Readies what [`Lane::next_batch`] would return, and gives its size.
    pub(crate) fn prepare_batch(&mut self) -> usize {
        if self.can_send() {
            self.coalesce();
        }
        self.next_batch_bytes()
    }

    /// The size of what [`Lane::next_batch`] would return.
    pub(crate) fn next_batch_bytes(&self) -> usize {
        self.ready.front().map_or(0, Outgoing::size_bytes)
    }

    /// Takes the next batch under way: its patched header, written to `scratch` and cut off it, and its untouched payload.
    pub(crate) fn next_batch(&mut self, scratch: &mut BytesMut) -> Option<(Bytes, Bytes)> {
        if !self.can_send() {
            return None;
        }
        let epoch = self.epochs.last()?;
        let mut outgoing = self.ready.pop_front()?;
        // Whatever comes of it, it travels with the same cuts again.
        outgoing.is_final = true;
        let batch = self.batch_of(&outgoing);
        let header = patched_header(&batch.header, &epoch.stamp(outgoing.ordinal));
        let payload = batch.payload();
        self.in_flight.push_back(outgoing);
        self.unanswered += 1;
        if scratch.capacity() < header.len() {
            scratch.reserve(SCRATCH_BYTES);
        }
        scratch.put_slice(&header);
        Some((scratch.split().freeze(), payload))
    }

    /// What the journal must know before the lane can be taken up again, as it stands now.
    pub(crate) fn record(&self, settled: bool) -> LaneRecord {
        LaneRecord {
            lane: LaneKey::clone(&self.key),
            source_topic_id: self.source_topic_id,
            target_topic_id: self.target_topic_id,
            transactional_id: self.transactional_id.clone(),
            settled,
            epochs: self.epochs.clone(),
            runs: self.runs.clone(),
            acked: self.acked,
            source_epoch: self.source_epochs.at(self.acked.source_next.plus(-1)),
            source_epochs: self.source_epochs.clone(),
            map_start: self.map_start,
            outputs: self.outputs.clone(),
        }
    }

    /// Ends a lane whose topic is no more and whose copy is whole as it is: nobody has to look after it.
    pub(crate) fn retire(&mut self) {
        self.stop();
        let position = self.acked.source_next.0;
        self.status.set_source(position, position);
        self.status.retire();
        self.status.set_error(None);
        self.status.set_state(LaneState::Done);
    }

    /// Ends the lane; what waits or is under way is forgotten and will be asked from the tail.
    pub(crate) fn stop(&mut self) {
        self.phase = Phase::Stopped;
        self.ready.clear();
        self.in_flight.clear();
        self.barriers.clear();
        self.buffered_bytes = 0;
        self.status.set_state(LaneState::Stopped);
    }
}

/// The epochs that the journal has. A record of an older version knows only the last one; what a dirty lane read beyond
/// the journaled progress is settled by the tail.
fn epochs_of(
    mut epochs: SourceEpochs,
    acked: &LaneProgress,
    last: i32,
    is_dirty: bool,
) -> SourceEpochs {
    if epochs == SourceEpochs::default() && last >= 0 && !is_dirty {
        epochs.note(last, acked.source_next.plus(-1));
    }
    if !is_dirty {
        epochs.truncate(acked.source_next);
    }
    epochs
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
