//! Reading ahead: fetches from where the answers before them are likely to end, so that a long way is full (ADR 0018).
//!
//! One answer per round trip passes at most its own size in that time, and the next question needs the offset behind its last batch. So
//! where a source is far away and a worker has one lane of it, further fetches follow the one under way, each from a guessed offset, on the
//! same connection: the broker works on them one after the other while the answers before them still travel.
//!
//! A guess only ever brings bytes. Its answer is taken when the lane has read everything up to it, under the same leader epoch and topic id,
//! with nothing unusual in it; batches that were read already are skipped as in any answer (BF-20). Otherwise it is void, with all that
//! follow it, and the lane is read on from its own position. Guesses travel without a session, which stays as it is.

use std::collections::VecDeque;
use std::sync::Arc;

use forward::SourceOffset;
use forward::planted::{Bug, has};
use kafka_client::{
    Answer, FetchError, FetchPartition, FetchSession, FetchSettings, FetchedPartition, Isolation,
};
use kafka_wire::messages::ApiKey;

use super::denials::End;
use super::portions::Portions;
use super::reading::SourceBroker;
use super::{LaneId, Worker};
use crate::budget::Lease;
use crate::lane::Phase;
use crate::spec::TaskLimits;

/// Guesses under way to one broker.
const GUESSES_MAX: usize = 128;

/// Bytes of one answer: many of them are under way, so none has to be large, and small ones are still in the processor's cache when they
/// are sent on.
const PIECE_BYTES_MAX: i32 = 2 << 20;

/// Parts of the budget that one answer may take.
const PIECES: usize = 8;

/// The first version of Fetch that names topics by their ids.
const TOPIC_ID_VERSION: i16 = 13;

/// A guess that went too far makes later ones shorter, in 64ths of what an answer is likely to bring. One that falls short costs a batch or two
/// that are read twice, one that goes too far costs all answers under way.
const SLACK_STEP: i64 = 4;
const SLACK_MAX: i64 = 32;

/// The fetches under way behind the one whose answer comes next.
#[derive(Debug)]
pub(super) struct Ahead {
    /// Answers of an earlier generation are void.
    generation: u64,
    /// Where those of this one begin, oldest first.
    guesses: VecDeque<SourceOffset>,
    /// Whom they are for.
    lane: LaneId,
    /// The leader of its source partition when they were asked, and its epoch.
    leader: (i32, i32),
    /// The lane's position after the last answer that was taken; none before the first.
    reached: Option<SourceOffset>,
    /// Where the next one begins.
    next: SourceOffset,
    /// By how much guesses are shorter than what is likely.
    slack: i64,
    /// For further guesses.
    sessions: Vec<FetchSession>,
}

impl Default for Ahead {
    fn default() -> Self {
        Self {
            generation: 0,
            guesses: VecDeque::new(),
            lane: 0,
            leader: (-1, -1),
            reached: None,
            next: SourceOffset(0),
            slack: 0,
            sessions: Vec::new(),
        }
    }
}

impl Ahead {
    /// Whether an answer is awaited that is likely to be the next one.
    pub(super) fn is_under_way(&self) -> bool {
        !self.guesses.is_empty()
    }

    /// Nothing that is under way counts any more.
    pub(super) fn void(&mut self) {
        self.generation += 1;
        self.guesses.clear();
        self.reached = None;
    }

    /// What an answer that is likely to bring `offsets` certainly brings.
    fn step(&self, offsets: i64) -> i64 {
        (offsets - offsets * self.slack / 64).max(1)
    }
}

/// A guess under way.
#[derive(Debug)]
pub(super) struct Guess {
    broker: i32,
    lease: Lease,
    pub(super) session: FetchSession,
    generation: u64,
}

impl Worker {
    /// A fetch from the lanes' own positions was sent: the next ones follow it.
    pub(super) fn begin_ahead(&mut self, id: i32) {
        let Some(broker) = self.sources.get_mut(&id) else { return };
        broker.ahead.void();
        let Some(lane_id) = broker.lane_ahead(&self.ctx.limits) else { return };
        let lane = &self.lanes[lane_id];
        let Some(offsets) = lane.likely_advance(lane.asked_bytes) else { return };
        let ahead = &mut broker.ahead;
        (ahead.lane, ahead.leader) = (lane_id, lane.source_leader);
        ahead.next = lane.position().0.plus(ahead.step(offsets));
        self.read_ahead(id);
    }

    /// Sends as many guesses as there is room for.
    fn read_ahead(&mut self, id: i32) {
        while self.guess(id).is_some() {}
    }

    /// Sends one guess; none where there is nothing to guess or no room.
    fn guess(&mut self, id: i32) -> Option<()> {
        let target_factor = self.target_factor();
        let limits = &self.ctx.limits;
        let broker = self.sources.get_mut(&id)?;
        let lane_id = broker.lane_ahead(limits)?;
        let read_ahead_bytes = broker.read_ahead_bytes(target_factor, &self.ctx.budget);
        let lane = &self.lanes[lane_id];
        let ahead = &mut broker.ahead;
        let may_guess = !self.is_closing
            && ahead.guesses.len() < GUESSES_MAX
            && (ahead.lane, ahead.leader) == (lane_id, lane.source_leader)
            && lane.source_leader.1 >= 0
            && lane.source_topic_id.is_some()
            && lane.wants_data(read_ahead_bytes)
            && ahead.next < lane.readable_end()
            && !self.denials.rests(lane_id, End::Source)
            && self.ctx.pace.is_ready();
        if !may_guess {
            return None;
        }
        let (bytes_max, partition_bytes_max) = piece_bytes(limits);
        let mut portions = Portions::new(bytes_max, partition_bytes_max, 1);
        let bytes = portions.of(lane.batch_bytes);
        if self.ctx.pace.fetch_bytes(bytes) < bytes {
            return None;
        }
        let offsets = ahead.step(lane.likely_advance(bytes)?);
        let lease = self.ctx.budget.try_reserve(usize::try_from(bytes).unwrap_or(0))?;
        let wanted = FetchPartition {
            topic: Arc::clone(&lane.source_name),
            topic_id: lane.source_topic_id,
            partition: lane.key.source_partition,
            offset: ahead.next.0,
            leader_epoch: lane.source_leader.1,
            last_fetched_epoch: lane.position().1,
            bytes_max: bytes,
        };
        let settings = FetchSettings {
            // What is not there any more is not waited for.
            max_wait_ms: 0,
            min_bytes: 1,
            bytes_max: bytes,
            isolation: Isolation::ReadCommitted,
            ..FetchSettings::default()
        };
        let session = ahead.sessions.pop().unwrap_or_else(FetchSession::without);
        ahead.guesses.push_back(ahead.next);
        ahead.next = ahead.next.plus(offsets);
        let generation = ahead.generation;
        let connection = broker.connection()?.clone();
        let guess = Guess { broker: id, lease, session, generation };
        self.requests.guess(&connection, guess, &settings, &[wanted]);
        Some(())
    }

    /// The answer to a guess.
    pub(super) fn guessed(&mut self, guess: Guess, answer: Answer) {
        let Guess { broker: id, lease, mut session, generation } = guess;
        let mut fetched = std::mem::take(&mut self.requests.fetched);
        let result = answer.fetched(&mut session, &mut fetched);
        if let Some(broker) = self.sources.get_mut(&id)
            && broker.ahead.generation == generation
        {
            broker.ahead.sessions.push(session);
            let offset = broker.ahead.guesses.pop_front();
            match result {
                Ok(()) if self.is_right(id, offset, &fetched) => {
                    self.take_partitions(id, lease, &mut fetched);
                }
                Err(FetchError::Client(error)) => {
                    self.source_failed(id, &error.to_string(), error.cure());
                }
                // What it is about shows when the lane is read from its own position.
                Ok(()) | Err(_) => self.void_ahead(id),
            }
        }
        fetched.clear();
        self.requests.fetched = fetched;
    }

    fn void_ahead(&mut self, id: i32) {
        if let Some(broker) = self.sources.get_mut(&id) {
            broker.ahead.void();
        }
    }

    /// Whether what was `found` from `offset` on is what the lane reads next. Notes that it is asked for, then.
    fn is_right(
        &mut self,
        id: i32,
        offset: Option<SourceOffset>,
        found: &[FetchedPartition],
    ) -> bool {
        let (Some(broker), Some(offset), [found]) = (self.sources.get(&id), offset, found) else {
            return false;
        };
        let ahead = &broker.ahead;
        let lanes = self.by_source.get(&*found.topic);
        let lane_id = lanes.and_then(|lanes| lanes.get(&found.partition)).copied();
        let lane = &mut self.lanes[ahead.lane];
        let position = lane.position().0;
        let is_right = lane_id == Some(ahead.lane)
            && broker.lanes.contains(&ahead.lane)
            && lane.source_leader == ahead.leader
            && ahead.reached == Some(position)
            && (offset <= position || has(Bug::GuessBehindGap))
            && lane.phase != Phase::Stopped
            && found.error.is_ok()
            && found.diverging_epoch.is_none()
            && found.preferred_read_replica.is_none();
        if is_right {
            lane.note_asked();
        }
        is_right
    }

    /// An answer was taken: whether the guesses behind it still count, and further ones.
    pub(super) fn follow_ahead(&mut self, id: i32) {
        let Some(broker) = self.sources.get_mut(&id) else { return };
        let ahead = &mut broker.ahead;
        let Some(next) = ahead.guesses.front().copied() else { return };
        let position = self.lanes[ahead.lane].position().0;
        ahead.reached = Some(position);
        if next > position && !has(Bug::GuessBehindGap) {
            ahead.slack = (ahead.slack + SLACK_STEP).min(SLACK_MAX);
            return ahead.void();
        }
        self.read_ahead(id);
    }
}

impl SourceBroker {
    /// Its only lane here, where answers are read ahead.
    pub(super) fn lane_ahead(&self, limits: &TaskLimits) -> Option<LaneId> {
        let connection = self.connection()?;
        let is_far = connection.round_trip() >= limits.read_ahead_from;
        // By their ids, or another topic of the same name could answer.
        let has_ids = connection.versions().highest(ApiKey::Fetch) >= Some(TOPIC_ID_VERSION);
        self.lanes.first().copied().filter(|_| self.lanes.len() == 1 && is_far && has_ids)
    }
}

/// Bytes of one answer of many that are under way, and of its only partition.
pub(super) fn piece_bytes(limits: &TaskLimits) -> (i32, i32) {
    let share = i32::try_from(limits.in_flight_bytes_max / PIECES).unwrap_or(i32::MAX);
    let times = (share.min(PIECE_BYTES_MAX) / limits.fetch_bytes_max.max(1)).max(1);
    let of = |bytes: i32| bytes.saturating_mul(times);
    (of(limits.fetch_bytes_max), of(limits.fetch_partition_bytes_max))
}
