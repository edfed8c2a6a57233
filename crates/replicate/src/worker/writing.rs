//! The target side: one pipeline per target broker, one batch of every ready lane in each request, and
//! what the answers mean.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use forward::planted::{Bug, strikes};
use kafka_client::{BrokerConnection, ClientError, ProduceAck};
use kafka_wire::ErrorCode;
use tokio::time::{Instant, sleep, sleep_until};

use super::denials::End;
use super::distance::{factor_of, round_trip_of, times};
use super::packing::{Acks, Packing};
use super::requests::Produce;
use super::{Done, LaneId, Worker, backoff};
use crate::event::Event;
use crate::lane::{Phase, Recovered};
use crate::recover::{Fence, OpenError, Opened, Standing};
use crate::spec::UnknownTarget;

/// Bytes under way per connection.
const WINDOW_BYTES: usize = 16 << 20;

/// Failures in a row from which each further one is told: a leader election costs a few.
const RETRIES_TOLD_FROM: u32 = 5;

/// `acks=all`: a batch is ours until all in-sync replicas have it.
const ACKS_ALL: i16 = -1;

/// One target broker of a worker.
#[derive(Debug, Default)]
pub(super) struct TargetBroker {
    connection: Option<BrokerConnection>,
    is_busy: bool,
    failures: u32,
    requests: usize,
    bytes: usize,
    /// Number of the next request to be sent, and of the next whose end is handled: jobs may end in any
    /// order, but a lane must hear its answers in the order of its batches.
    next_sent: u64,
    next_ended: u64,
    /// Ends that came before their turn.
    early: BTreeMap<u64, Ended>,
    /// Lanes with a batch to send, longest waiting first.
    pub(super) queue: VecDeque<LaneId>,
}

impl TargetBroker {
    pub(super) fn failures(&self) -> u32 {
        self.failures
    }
}

/// A produce request that is answered, or lost.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) number: u64,
    pub(super) connection: BrokerConnection,
    pub(super) bytes: usize,
    pub(super) lanes: Vec<LaneId>,
    pub(super) result: Result<Vec<ProduceAck>, ClientError>,
}

impl Worker {
    /// By how much the windows grow for the target broker that is farthest away.
    pub(super) fn target_factor(&self) -> u32 {
        let connections = self.targets.values().map(|broker| broker.connection.as_ref());
        connections.map(factor_of).max().unwrap_or(1)
    }

    /// How far away that broker is.
    pub(super) fn target_round_trip(&self) -> Duration {
        let connections = self.targets.values().map(|broker| broker.connection.as_ref());
        connections.map(round_trip_of).max().unwrap_or_default()
    }

    /// Puts a lane that can send into the queue of its target broker.
    pub(super) fn enqueue(&mut self, id: LaneId) {
        let lane = &mut self.lanes[id];
        if lane.is_queued || !lane.can_send() || lane.target_leader.0 < 0 {
            return;
        }
        lane.is_queued = true;
        self.targets.entry(lane.target_leader.0).or_default().queue.push_back(id);
    }

    /// Sends whatever the windows have room for.
    pub(super) fn pump_targets(&mut self) {
        if self.is_closing {
            return;
        }
        let mut able = std::mem::take(&mut self.able);
        let is_able = |broker: &TargetBroker| !broker.queue.is_empty() && !broker.is_busy;
        able.extend(self.targets.iter().filter(|(_, broker)| is_able(broker)).map(|(id, _)| *id));
        for id in able.drain(..) {
            self.pump_target(id);
        }
        self.able = able;
    }

    fn pump_target(&mut self, id: i32) {
        loop {
            let Some(broker) = self.targets.get_mut(&id) else { return };
            let Some(connection) =
                broker.connection.clone().filter(|connection| !connection.is_closed())
            else {
                return self.connect_target(id);
            };
            let factor = factor_of(Some(&connection));
            if broker.queue.is_empty()
                || broker.requests >= times(self.ctx.limits.produce_requests_max, factor)
                || broker.bytes >= times(WINDOW_BYTES, factor)
            {
                return;
            }
            let packing = self.pack(id);
            if packing.lanes.is_empty() {
                return;
            }
            self.send(id, &connection, packing);
        }
    }

    /// Connects to a broker that a lane is going to send to.
    pub(super) fn connect_target_ahead(&mut self, id: i32) {
        if id < 0 {
            return;
        }
        let broker = self.targets.entry(id).or_default();
        if broker.connection.is_none() && !broker.is_busy {
            self.connect_target(id);
        }
    }

    fn connect_target(&mut self, id: i32) {
        let Some(broker) = self.targets.get_mut(&id) else { return };
        broker.connection = None;
        broker.is_busy = true;
        let client = self.ctx.target.clone();
        self.start(async move {
            Done::TargetConnected { broker: id, result: client.dedicated(id).await }
        });
    }

    pub(super) fn target_connected(
        &mut self,
        id: i32,
        result: Result<BrokerConnection, ClientError>,
    ) {
        let Some(broker) = self.targets.get_mut(&id) else { return };
        match result {
            Ok(connection) => {
                broker.connection = Some(connection);
                broker.is_busy = false;
            }
            Err(error) => {
                self.unavailable(false, Some(id), &error.to_string(), error.cure());
                self.rest_target(id);
            }
        }
    }

    /// Leaves the broker alone for a while; its waiting lanes may have other leaders by then.
    fn rest_target(&mut self, id: i32) {
        self.target_metadata.want();
        let Some(broker) = self.targets.get_mut(&id) else { return };
        broker.is_busy = true;
        broker.failures = broker.failures.saturating_add(1);
        let pause = backoff(broker.failures);
        let waiting: Vec<LaneId> = broker.queue.drain(..).collect();
        for lane in waiting {
            self.lanes[lane].is_queued = false;
        }
        self.start(async move {
            sleep(pause).await;
            Done::TargetRested { broker: id }
        });
    }

    pub(super) fn target_rested(&mut self, id: i32) {
        if let Some(broker) = self.targets.get_mut(&id) {
            broker.is_busy = false;
        }
        for lane in 0..self.lanes.len() {
            self.enqueue(lane);
        }
    }

    fn send(&mut self, id: i32, connection: &BrokerConnection, mut packing: Packing) {
        let (lanes, bytes) = (std::mem::take(&mut packing.lanes), packing.bytes);
        let topics = self.topics_of(packing);
        let Some(broker) = self.targets.get_mut(&id) else { return };
        broker.requests += 1;
        broker.bytes += bytes;
        let number = broker.next_sent;
        broker.next_sent += 1;
        let sender = connection.clone();
        let produce = Produce { broker: id, number, connection: sender, bytes, lanes, topics };
        let timeout = self.ctx.limits.produce_timeout;
        self.requests.send(produce, ACKS_ALL, timeout);
    }

    /// Hands the answer of a produce request, and of those that waited for it, to their lanes.
    pub(super) fn produced(&mut self, id: i32, ended: Ended) {
        let Some(broker) = self.targets.get_mut(&id) else { return };
        if ended.number != broker.next_ended {
            broker.early.insert(ended.number, ended);
            return;
        }
        self.settle_request(id, ended);
        while let Some(broker) = self.targets.get_mut(&id)
            && let Some(ended) = broker.early.remove(&broker.next_ended)
        {
            self.settle_request(id, ended);
        }
    }

    /// The answer of the oldest request without one.
    fn settle_request(&mut self, id: i32, ended: Ended) {
        let Some(broker) = self.targets.get_mut(&id) else { return };
        broker.next_ended += 1;
        broker.requests = broker.requests.saturating_sub(1);
        broker.bytes = broker.bytes.saturating_sub(ended.bytes);
        let acks = match ended.result {
            Ok(acks) => self.acknowledged(id, &ended.lanes, acks),
            Err(error) => {
                self.lost(id, &ended.connection, &ended.lanes, &error);
                Vec::new()
            }
        };
        for lane in &ended.lanes {
            self.settle(*lane);
            self.enqueue(*lane);
            self.note_state(*lane);
            self.keep_room(*lane);
        }
        self.requests.reuse(ended.lanes, acks);
    }

    /// Returns the acks' room.
    fn acknowledged(
        &mut self,
        id: i32,
        lanes: &[LaneId],
        mut acks: Vec<ProduceAck>,
    ) -> Vec<ProduceAck> {
        if let [first, second, ..] = &mut acks[..]
            && strikes(Bug::AckOfOtherLane)
        {
            std::mem::swap(&mut first.base_offset, &mut second.base_offset);
        }
        if let Some(broker) = self.targets.get_mut(&id) {
            broker.failures = 0;
        }
        let mut acks = Acks::new(acks);
        for lane_id in lanes {
            let lane = &self.lanes[*lane_id];
            match acks.find(&lane.target_name, lane.key.target_partition) {
                Some(ack) if ack.error.is_ok() => self.acknowledge(*lane_id, ack.base_offset),
                Some(ack) => self.refused(*lane_id, ack),
                None => {
                    self.lanes[*lane_id]
                        .status
                        .set_error(Some("the target's answer left the partition out".to_owned()));
                    self.lanes[*lane_id].interrupt();
                }
            }
        }
        acks.room()
    }

    fn acknowledge(&mut self, id: LaneId, base_offset: i64) {
        let lane = &mut self.lanes[id];
        if lane.phase != Phase::Running {
            // Something before this batch failed, or the lane was stopped: only the tail is to be believed.
            return lane.interrupt();
        }
        let before = lane.buffered_bytes();
        match lane.acknowledge(base_offset) {
            Ok(foreign) => {
                self.unflushed_bytes += before.saturating_sub(lane.buffered_bytes());
                self.allowed(id, End::Target);
                let lane = &mut self.lanes[id];
                let is_foreign = foreign > 0 && !self.ctx.shares_partitions;
                if is_foreign && !std::mem::replace(&mut lane.knows_foreign_writes, true) {
                    let event = Event::ForeignWrites {
                        task: self.ctx.task.clone(),
                        topic: lane.key.target_topic.clone(),
                        partition: lane.key.target_partition,
                        offset: base_offset,
                        count: foreign,
                    };
                    self.emit(event);
                }
                self.output_moved(id);
            }
            Err(fault) => {
                lane.status.set_error(Some(fault.to_string()));
                lane.begin_settling();
            }
        }
    }

    /// The connection died or the answer did not come: nobody knows what was appended.
    fn lost(
        &mut self,
        id: i32,
        connection: &BrokerConnection,
        lanes: &[LaneId],
        error: &ClientError,
    ) {
        self.unavailable(false, Some(id), &error.to_string(), error.cure());
        self.target_metadata.want();
        // A reset leaves the fewest requests alive on the broker (P2).
        connection.close();
        if let Some(broker) = self.targets.get_mut(&id) {
            broker.failures = broker.failures.saturating_add(1);
            broker.connection = broker.connection.take().filter(|current| !current.is_closed());
        }
        let until = Instant::now() + self.ctx.limits.request_lifetime;
        for lane in lanes {
            let lane = &mut self.lanes[*lane];
            lane.status.set_error(Some(error.to_string()));
            lane.expect_strays(until);
            lane.interrupt();
        }
    }

    /// Lets an interrupted lane go on once nothing of it is under way.
    fn settle(&mut self, id: LaneId) {
        if self.lanes[id].try_settle() {
            self.rest(id);
        }
    }

    /// The target said where a lane stands.
    pub(super) fn opened(&mut self, id: LaneId, result: Result<Opened, OpenError>) {
        let lane = &mut self.lanes[id];
        if lane.phase != Phase::Opening {
            return;
        }
        match result {
            Ok(opened) => self.resume(id, opened),
            Err(error) if is_denied(&error) => {
                lane.phase = Phase::Waiting;
                let cure = "grant WRITE and DESCRIBE on the transactional id prefix `kferry-` and READ and WRITE on the topic";
                if self.denied(id, End::Target, error.to_string(), cure) {
                    self.rest(id);
                }
            }
            Err(error) => {
                lane.phase = Phase::Waiting;
                lane.failures = lane.failures.saturating_add(1);
                let (failures, text) = (lane.failures, error.to_string());
                lane.status.set_state(crate::progress::LaneState::Retrying);
                lane.status.set_error(Some(text.clone()));
                let pause = self.rest(id);
                if failures >= RETRIES_TOLD_FROM {
                    let lane = &self.lanes[id];
                    self.emit(Event::LaneRetrying {
                        task: self.ctx.task.clone(),
                        topic: lane.key.source_topic.clone(),
                        partition: lane.key.source_partition,
                        cause: text,
                        attempt: failures,
                        backoff_ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
                    });
                }
            }
        }
    }

    /// Takes up what the target holds and the journal does not know. False when the lane stopped over it.
    fn adopt(&mut self, id: LaneId, standing: Standing, recovered: &mut Recovered) -> bool {
        let (adopted, cause) = match (standing, self.ctx.on_unknown_target) {
            (Standing::Journaled, _) => return true,
            (Standing::Adopted(adopted), _) => (Some(adopted), String::new()),
            (Standing::Unknown { cause, content: Some(adopted) }, UnknownTarget::Adopt) => {
                (Some(adopted), cause)
            }
            (Standing::Unknown { cause, .. }, UnknownTarget::Append) => (None, cause),
            (Standing::Unknown { cause, .. }, _) => {
                self.stop_lane(
                    id,
                    cause,
                    "restore the state directory, or empty the target topic; if those records are a finished copy of this source, run with --on-unknown-target adopt; if they are something else, with --on-unknown-target append",
                );
                return false;
            }
        };
        let lane = &mut self.lanes[id];
        let (task, topic) = (self.ctx.task.clone(), lane.key.source_topic.clone());
        let partition = lane.key.source_partition;
        let event = match adopted {
            Some(adopted) => {
                lane.adopt(&adopted, &mut recovered.tail);
                let first = adopted.segments.first();
                Event::LaneAdopted {
                    task,
                    topic,
                    partition,
                    offset: adopted.source_next.0,
                    target_offset: recovered.tail.target_next.0,
                    map_start: first.map_or(adopted.source_next, |first| first.source_start).0,
                }
            }
            None => Event::GuaranteeChanged {
                task,
                topic,
                partition,
                guarantee: "records that the target holds already may be there twice, as --on-unknown-target append allows",
                cause,
            },
        };
        self.emit(event);
        true
    }

    fn resume(&mut self, id: LaneId, opened: Opened) {
        let Opened { mut recovered, fence, standing } = opened;
        if !self.adopt(id, standing, &mut recovered) {
            return;
        }
        let lane = &mut self.lanes[id];
        let was_dirty = lane.is_dirty;
        let before = lane.acked();
        match lane.recovered(recovered) {
            Ok(()) => {
                let (lane, after) = (&self.lanes[id], self.lanes[id].acked());
                let (task, topic) = (self.ctx.task.clone(), lane.key.source_topic.clone());
                let partition = lane.key.source_partition;
                if fence == Fence::Hold {
                    self.emit(Event::GuaranteeChanged {
                        task: task.clone(),
                        topic: topic.clone(),
                        partition,
                        guarantee: "waited longer than an unanswered request can live, then asked the target's log",
                        cause: "the lane's former producer id is not ours to fence off: the target forbids transactional ids, or has forgotten this one".to_owned(),
                    });
                }
                if was_dirty {
                    lane.status.recovered();
                    self.emit(Event::LaneRecovered {
                        task,
                        topic,
                        partition,
                        offset: self.told_offset(id, after.source_next).0,
                        target_offset: after.target_next.0,
                        fenced: matches!(fence, Fence::Marker(_)),
                        found_count: after.ordinal.since(before.ordinal),
                    });
                }
                if self.lanes[id].take_awaiting() {
                    self.source_metadata.want();
                }
                self.await_strays(id);
                self.output_moved(id);
                self.journal_new_runs(&[id]);
                self.note_state(id);
            }
            Err(fault) => self.stop_lane(
                id,
                fault.to_string(),
                "somebody else wrote under this lane's producer, or the state directory is not the one of this target",
            ),
        }
    }
}

impl Worker {
    /// Lets old batches travel once requests from before the fence are dead: the target forgets it by the next of them (P3).
    fn await_strays(&mut self, id: LaneId) {
        let Some(until) = self.lanes[id].strays_until() else { return };
        self.start(async move {
            sleep_until(until).await;
            Done::StraysDead { lane: id, until }
        });
    }
}

fn is_denied(error: &OpenError) -> bool {
    let code = match error {
        OpenError::Client(error) => error.code(),
        OpenError::Code { code, .. } => Some(*code),
        _ => None,
    };
    matches!(
        code,
        Some(
            ErrorCode::TOPIC_AUTHORIZATION_FAILED
                | ErrorCode::CLUSTER_AUTHORIZATION_FAILED
                | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED
        )
    )
}
