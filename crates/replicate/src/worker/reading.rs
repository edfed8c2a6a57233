//! The source side: one fetch session per source broker, and what its answers mean.

use std::collections::BTreeSet;
use std::sync::Arc;

use forward::AbortedFilter;
use kafka_client::{
    Answer, BrokerConnection, ClientError, FetchError, FetchPartition, FetchSession, FetchSettings,
    FetchedPartition, Isolation,
};
use kafka_wire::ErrorCode;
use kafka_wire::messages::ApiKey;
use kafka_wire::record::{Batch, split};
use tokio::time::sleep;

use super::ahead::{Ahead, piece_bytes};
use super::denials::End;
use super::distance::{factor_of, round_trip_of, times};
use super::portions::Portions;
use super::requests::Pending;
use super::{Done, LaneId, Sign, Worker, WorkerContext, backoff, is_session_lost};
use crate::budget::{ByteBudget, Lease, SharedLease};
use crate::event::Event;
use crate::lane::{Lane, Phase};

/// Bytes read ahead per lane and not yet acknowledged.
const LANE_BUFFER_BYTES_MAX: usize = 4 << 20;

/// The first version of Fetch whose answers name a diverging epoch.
const DIVERGING_VERSION: i16 = 12;

/// How long the source may wait while lanes of the same broker only lack room: they get it any moment.
const SHORT_WAIT_MS: i32 = 5;

/// How many times as long as otherwise a source may wait that had nothing new twice in a row: it answers at once when it has, and
/// each question costs a look at every lane. Other lanes that come or may be read again wait for its answer.
const QUIET_WAIT_FACTOR: i32 = 3;
const QUIET_ANSWERS: u32 = 2;

/// Room for so many partitions is kept from one fetch to the next.
const KEPT_PARTITIONS: usize = 256;

/// What a source broker's fetching is doing.
#[derive(Debug, Default, PartialEq, Eq)]
enum Reading {
    /// Nothing under way.
    #[default]
    Ready,
    /// A connection, a share of the budget, an answer, or the end of a back-off is awaited.
    Busy,
}

/// One source broker of a worker.
#[derive(Debug, Default)]
pub(super) struct SourceBroker {
    connection: Option<BrokerConnection>,
    session: FetchSession,
    state: Reading,
    failures: u32,
    /// The windows of a broker far away open while its answers are full: what is asked for is reserved, and a broker that only
    /// waits for new records must not keep it from others.
    opened: u32,
    /// Answers in a row without news.
    quiet_answers: u32,
    /// Its lanes that had bytes to send when it was asked last.
    crowd: usize,
    /// Its lanes that had more to read than they were asked for, when it was asked last.
    behind: usize,
    /// Bytes that the next fetch reserves.
    reserve: usize,
    /// Bytes of an answer that is full.
    full: usize,
    /// Lanes whose source partition it leads.
    pub(super) lanes: BTreeSet<LaneId>,
    /// What is read ahead of the answer under way.
    pub(super) ahead: Ahead,
}

impl SourceBroker {
    pub(super) fn connection(&self) -> Option<&BrokerConnection> {
        self.connection.as_ref()
    }

    /// Whether it says that its log is not the one that was read (KIP-595: a diverging epoch).
    fn tells_of_losses(&self) -> bool {
        let versions = self.connection.as_ref().map(BrokerConnection::versions);
        versions.is_some_and(|versions| versions.highest(ApiKey::Fetch) >= Some(DIVERGING_VERSION))
    }

    /// Bytes that one of its lanes may have read ahead: more over a long way at either end, but not all that the others need too.
    pub(super) fn read_ahead_bytes(&self, target_factor: u32, budget: &ByteBudget) -> usize {
        let far = times(LANE_BUFFER_BYTES_MAX, self.factor().max(target_factor));
        let share = budget.total_bytes() / 4 * 3 / self.crowd.max(1);
        far.min(share).max(LANE_BUFFER_BYTES_MAX)
    }

    fn factor(&self) -> u32 {
        factor_of(self.connection.as_ref())
    }

    /// Bytes of one answer, and of one partition in it.
    fn answer_bytes(&self, ctx: &WorkerContext) -> (i32, i32) {
        let limits = &ctx.limits;
        if self.lane_ahead(limits).is_some() {
            return piece_bytes(limits);
        }
        let factor = self.opened.max(1);
        // While the half of the budget is on its way to the target, the other half is read.
        let most = i32::try_from(ctx.budget.total_bytes() / 2).unwrap_or(i32::MAX);
        let far = |bytes: i32| {
            let wanted = bytes.saturating_mul(i32::try_from(factor).unwrap_or(1));
            wanted.min(most).max(bytes)
        };
        (far(limits.fetch_bytes_max), far(limits.fetch_partition_bytes_max))
    }

    /// An answer held `bytes`.
    fn note_answer(&mut self, bytes: usize, ctx: &WorkerContext) {
        self.opened = if bytes >= self.full / 4 * 3 {
            self.opened.max(1).saturating_mul(2).min(self.factor())
        } else if bytes < self.full / 2 {
            1
        } else {
            self.opened
        };
        // What was read is what the next fetch is likely to need, if the windows have not changed.
        let (bytes_max, _) = self.answer_bytes(ctx);
        let bytes_max = usize::try_from(bytes_max).unwrap_or(0);
        self.reserve = self.reserve.clamp(bytes_max, 2 * bytes_max);
    }

    /// Its lanes whose copy is to be compared with the source before they are read on.
    fn unsure(&self, lanes: &mut [Lane], bytes_max: usize) -> Vec<LaneId> {
        let tells = self.tells_of_losses();
        let is_unsure = |id: &LaneId| {
            let lane = &mut lanes[*id];
            lane.wants_data(bytes_max) && lane.needs_comparison(tells)
        };
        self.lanes.iter().copied().filter(is_unsure).collect()
    }
}

impl Worker {
    /// The source partition of a lane is led by `leader` now.
    pub(super) fn lead_source(&mut self, id: LaneId, leader: (i32, i32)) {
        let lane = &mut self.lanes[id];
        if let Some(former) = self.sources.get_mut(&lane.source_leader.0)
            && lane.source_leader.0 != leader.0
        {
            former.lanes.remove(&id);
        }
        lane.source_leader = leader;
        if leader.0 >= 0 {
            self.sources.entry(leader.0).or_default().lanes.insert(id);
        }
    }

    /// Asks every source broker that is not asked already and has lanes with room.
    pub(super) fn pump_sources(&mut self) {
        if self.is_closing {
            return;
        }
        let target_factor = self.target_factor();
        let mut able = std::mem::take(&mut self.able);
        for (id, broker) in &self.sources {
            let bytes_max = broker.read_ahead_bytes(target_factor, &self.ctx.budget);
            if broker.state == Reading::Ready
                && !broker.ahead.is_under_way()
                && broker.lanes.iter().any(|id| self.wants_data(*id, bytes_max))
            {
                able.push(*id);
            }
        }
        for id in able.drain(..) {
            self.pump_source(id);
        }
        self.able = able;
    }

    fn wants_data(&self, id: LaneId, bytes_max: usize) -> bool {
        self.lanes[id].wants_data(bytes_max) && !self.denials.rests(id, End::Source)
    }

    fn pump_source(&mut self, id: i32) {
        let Some(broker) = self.sources.get_mut(&id) else { return };
        broker.state = Reading::Busy;
        match &broker.connection {
            Some(connection) if !connection.is_closed() => {
                let pace = self.ctx.pace.clone();
                let bytes = usize::try_from(broker.answer_bytes(&self.ctx).0).unwrap_or(0);
                let bytes = i32::try_from(bytes.max(broker.reserve)).unwrap_or(i32::MAX);
                let bytes = usize::try_from(pace.fetch_bytes(bytes)).unwrap_or(0);
                let budget = self.ctx.budget.clone();
                if pace.is_ready()
                    && let Some(lease) = budget.try_reserve(bytes)
                {
                    return self.fetch(id, lease);
                }
                self.start(async move {
                    pace.ready().await;
                    Done::Reserved { broker: id, lease: budget.reserve(bytes).await }
                });
            }
            _ => {
                broker.connection = None;
                broker.ahead.void();
                broker.session = FetchSession::new();
                let client = self.ctx.source.clone();
                self.start(async move {
                    Done::SourceConnected { broker: id, result: client.dedicated(id).await }
                });
            }
        }
    }

    pub(super) fn source_connected(
        &mut self,
        id: i32,
        result: Result<BrokerConnection, ClientError>,
    ) {
        let Some(broker) = self.sources.get_mut(&id) else { return };
        match result {
            Ok(connection) => {
                broker.connection = Some(connection);
                broker.state = Reading::Ready;
            }
            Err(error) => self.source_failed(id, &error.to_string(), error.cure()),
        }
    }

    /// The broker cannot be used now: look for other leaders, and come back after a while.
    pub(super) fn source_failed(&mut self, id: i32, cause: &str, cure: Option<String>) {
        self.unavailable(true, Some(id), cause, cure);
        self.source_metadata.want();
        let Some(broker) = self.sources.get_mut(&id) else { return };
        broker.connection = None;
        broker.ahead.void();
        broker.failures = broker.failures.saturating_add(1);
        broker.state = Reading::Busy;
        let pause = backoff(broker.failures);
        self.start(async move {
            sleep(pause).await;
            Done::SourceRested { broker: id }
        });
    }

    pub(super) fn source_rested(&mut self, id: i32) {
        if let Some(broker) = self.sources.get_mut(&id) {
            broker.state = Reading::Ready;
        }
    }

    /// Sends the next fetch; `lease` is its share of the budget.
    pub(super) fn fetch(&mut self, id: i32, lease: Lease) {
        let target_factor = self.target_factor();
        let Some(broker) = self.sources.get_mut(&id) else { return };
        broker.state = Reading::Ready;
        let Some(connection) = broker.connection.clone() else { return };
        let lane_bytes_max = broker.read_ahead_bytes(target_factor, &self.ctx.budget);
        for unsure in broker.unsure(&mut self.lanes, lane_bytes_max) {
            self.ask_bounds(unsure, Sign::Unsure(-1));
        }
        let limits = &self.ctx.limits;
        let Some(broker) = self.sources.get_mut(&id) else { return };
        let (bytes_max, partition_bytes_max) = broker.answer_bytes(&self.ctx);
        let mut portions = Portions::new(bytes_max, partition_bytes_max, broker.behind);
        broker.behind = 0;
        let mut wanted = std::mem::take(&mut self.requests.wanted);
        wanted.clear();
        let mut lacks_room = false;
        broker.crowd = 0;
        for id in &broker.lanes {
            let lane = &mut self.lanes[*id];
            broker.crowd += usize::from(lane.buffered_bytes() > 0);
            if self.denials.rests(*id, End::Source) {
                continue;
            }
            if !lane.wants_data(lane_bytes_max) {
                lacks_room |= lane.phase != Phase::Stopped && lane.buffered_bytes() > 0;
                continue;
            }
            if lane.has_more() {
                lane.asked_bytes = portions.of(lane.batch_bytes);
                broker.behind += 1;
            } else if lane.asked_bytes == 0 {
                lane.asked_bytes = partition_bytes_max;
            }
            lane.note_asked();
            lacks_room |= lane.only_checks();
            let (position, last_fetched_epoch) = lane.position();
            wanted.push(FetchPartition {
                topic: Arc::clone(&lane.source_name),
                topic_id: lane.source_topic_id,
                partition: lane.key.source_partition,
                offset: position.0,
                leader_epoch: lane.source_leader.1,
                last_fetched_epoch,
                bytes_max: lane.asked_bytes,
            });
        }
        let bytes_max = i32::try_from(lease.bytes()).unwrap_or(i32::MAX).min(portions.total());
        broker.reserve = usize::try_from(portions.total()).unwrap_or(0);
        broker.full = portions.full().min(lease.bytes());
        if wanted.is_empty() || self.is_closing {
            self.requests.wanted = wanted;
            return;
        }
        let wait = i32::try_from(limits.fetch_wait.as_millis()).unwrap_or(i32::MAX);
        let max_wait_ms = if lacks_room {
            wait.min(SHORT_WAIT_MS)
        } else if broker.quiet_answers >= QUIET_ANSWERS {
            wait.saturating_mul(QUIET_WAIT_FACTOR)
        } else {
            wait
        };
        let settings = FetchSettings {
            max_wait_ms,
            min_bytes: 1,
            bytes_max: self.ctx.pace.fetch_bytes(bytes_max),
            isolation: Isolation::ReadCommitted,
            ..FetchSettings::default()
        };
        broker.state = Reading::Busy;
        let tag = self.requests.note(Pending::Fetch { broker: id, lease });
        let answers = &mut self.requests.answers;
        connection.fetch_to(&mut broker.session, &settings, &wanted, answers, tag);
        if wanted.capacity() <= KEPT_PARTITIONS {
            self.requests.wanted = wanted;
        }
        self.begin_ahead(id);
    }

    /// Hands a fetch answer to its lanes.
    pub(super) fn fetched(&mut self, id: i32, lease: Lease, answer: Answer) {
        let Some(broker) = self.sources.get_mut(&id) else { return };
        broker.state = Reading::Ready;
        let mut fetched = std::mem::take(&mut self.requests.fetched);
        match answer.fetched(&mut broker.session, &mut fetched) {
            Ok(()) => self.take_partitions(id, lease, &mut fetched),
            Err(FetchError::Session(error)) if is_session_lost(&error) => {}
            Err(FetchError::Client(error)) => {
                self.source_failed(id, &error.to_string(), error.cure());
            }
            Err(error) => self.source_failed(id, &error.to_string(), None),
        }
        fetched.clear();
        if fetched.capacity() <= KEPT_PARTITIONS {
            self.requests.fetched = fetched;
        }
    }

    /// Hands what came from partitions to their lanes.
    pub(super) fn take_partitions(
        &mut self,
        id: i32,
        mut lease: Lease,
        partitions: &mut Vec<FetchedPartition>,
    ) {
        let target_round_trip = self.target_round_trip();
        let Some(broker) = self.sources.get_mut(&id) else { return };
        broker.failures = 0;
        broker.quiet_answers =
            if partitions.is_empty() { broker.quiet_answers.saturating_add(1) } else { 0 };
        let tells = broker.tells_of_losses();
        let bytes = partitions.iter().map(|partition| partition.records.len()).sum();
        lease.shrink(bytes);
        broker.note_answer(bytes, &self.ctx);
        let round_trip = round_trip_of(broker.connection()) + target_round_trip;
        if round_trip >= self.ctx.limits.read_ahead_from {
            self.ctx.budget.note_far(bytes, round_trip);
        }
        let pace = &self.ctx.pace;
        pace.spend(bytes, if pace.counts_records() { records_of(partitions) } else { 0 });
        let lease = self.ctx.budget.share(lease);
        let mut touched = std::mem::take(&mut self.requests.touched);
        for partition in partitions.drain(..) {
            let lanes = self.by_source.get(&*partition.topic);
            if let Some(id) = lanes.and_then(|lanes| lanes.get(&partition.partition)).copied() {
                self.take_partition(id, tells, partition, &lease);
                touched.push(id);
            }
        }
        self.journal_new_runs(&touched);
        for id in touched.drain(..) {
            self.open_if_needed(id);
            self.enqueue(id);
            if self.lanes[id].has_input() {
                self.wake_reader(id);
            }
            self.note_state(id);
            self.keep_room(id);
        }
        if touched.capacity() <= KEPT_PARTITIONS {
            self.requests.touched = touched;
        }
        self.follow_ahead(id);
    }

    /// `tells`: the broker tells when its log is not the one that was read.
    fn take_partition(
        &mut self,
        id: LaneId,
        tells: bool,
        fetched: FetchedPartition,
        lease: &SharedLease,
    ) {
        let lane = &mut self.lanes[id];
        if lane.phase == Phase::Stopped
            || lane.turn.is_some()
            || lane.is_asking
            || !lane.expects_answer()
        {
            return;
        }
        if !fetched.error.is_ok() {
            return self.fetch_refused(id, fetched.error);
        }
        self.allowed(id, End::Source);
        if let Some((_, end_offset)) = fetched.diverging_epoch {
            return self.ask_bounds(id, Sign::Diverged(end_offset));
        }
        if !tells && let Some(epoch) = self.lanes[id].unknown_epoch(&fetched.records) {
            return self.ask_bounds(id, Sign::Unsure(epoch));
        }
        let lane = &mut self.lanes[id];
        let end = if fetched.last_stable_offset >= 0 {
            fetched.last_stable_offset
        } else {
            fetched.high_watermark
        };
        lane.status.set_source(fetched.log_start_offset, end);
        let aborted =
            fetched.aborted.iter().map(|aborted| (aborted.producer_id, aborted.first_offset));
        let mut filter = AbortedFilter::new(aborted);
        if lane.lacks_room()
            && let Some(room) = self.rooms.pop()
        {
            lane.give_room(room);
        }
        if let Err(fault) = lane.accept(fetched.records, &mut filter, lease) {
            self.stop_lane(
                id,
                fault.to_string(),
                "look at the batch with `kferry inspect`; a damaged replica is repaired on the source",
            );
        }
    }

    /// A partition of a fetch answer carries an error.
    fn fetch_refused(&mut self, id: LaneId, code: ErrorCode) {
        self.lanes[id].status.set_error(Some(format!("the source answered {code} to a fetch")));
        match code {
            ErrorCode::OFFSET_OUT_OF_RANGE => self.ask_bounds(id, Sign::Refused),
            ErrorCode::TOPIC_AUTHORIZATION_FAILED => self.read_denied(id, code),
            _ => {
                self.lanes[id].want_comparison();
                // Until the metadata names a leader the lane is not fetched, so this cannot spin.
                self.lead_source(id, (-1, -1));
                self.source_metadata.want();
            }
        }
    }

    /// Says that an end of the copy cannot be reached, once per series of failures.
    pub(super) fn unavailable(
        &self,
        is_source: bool,
        broker_id: Option<i32>,
        cause: &str,
        cure: Option<String>,
    ) {
        let failures = match (is_source, broker_id) {
            (true, Some(id)) => self.sources.get(&id).map_or(0, |broker| broker.failures),
            (false, Some(id)) => {
                self.targets.get(&id).map_or(0, super::writing::TargetBroker::failures)
            }
            _ => 0,
        };
        if failures == 0 {
            self.emit(Event::ClusterUnavailable {
                task: self.ctx.task.clone(),
                cluster: if is_source { "source" } else { "target" },
                broker_id,
                cause: cause.to_owned(),
                cure,
            });
        }
    }
}

fn records_of(partitions: &[FetchedPartition]) -> u64 {
    let batches = partitions.iter().flat_map(|partition| split(partition.records.clone()));
    let count = |batch: Batch| match batch {
        Batch::V2(batch) => u64::try_from(batch.header.record_count).unwrap_or(0),
        Batch::Legacy(_) => 1,
    };
    batches.map_while(Result::ok).map(count).sum()
}
