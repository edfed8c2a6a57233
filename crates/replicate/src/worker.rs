//! A set of lanes on one task of the runtime: fetches from every source broker, produces to every target
//! broker, and never shares a lane with anybody.
//!
//! The worker owns its lanes and its connections, so there is no lock on the way of a batch. Whatever takes
//! time (a connection, a fetch, an answer, a journal write, the question for the tail) is a job; the loop
//! waits for the next job to end, lets the lane it belongs to decide, and starts what that made
//! possible. `reading` knows the source, `writing` the target, `leaders` who leads what, `books` the journal.

mod ahead;
mod books;
mod denials;
mod distance;
mod leaders;
mod moving;
mod packing;
mod portions;
mod reading;
mod refusals;
mod requests;
mod transform;
mod translating;
mod truth;
mod writing;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use forward::SourceOffset;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use kafka_client::{BrokerConnection, Client, ClientError, ClusterMetadata, FetchSessionError};
use kafka_wire::protocol::StrBytes;
use kafka_wire::record::RecordLimits;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, interval_at, sleep};
use tokio_util::sync::CancellationToken;

use crate::budget::{ByteBudget, Lease};
use crate::event::{Event, EventSink};
use crate::groups::Routes;
use crate::journal::{Journal, JournalError, LaneKey};
use crate::lane::{Barrier, Duty, Lane, LaneSeed, Phase, Room, Translated};
use crate::pace::Pace;
use crate::progress::{LaneState, LaneStatus};
use crate::recover::{OpenError, Opened, Opening};
use crate::registry::Unresolved;
use crate::spec::{
    RefusedRecordPolicy, SourcePolicies, TaskLimits, TaskName, Transform, UnknownTarget,
};
use denials::End;
pub(crate) use moving::Destination;
use reading::SourceBroker;
pub(crate) use transform::RecordFailure;
pub(crate) use truth::{Sign, action_of};
use writing::TargetBroker;

/// How often progress is journaled.
const FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// Acknowledged bytes after which progress is journaled early: what a restart reads again of the target. Less would only write
/// more often where a second carries more than that.
const FLUSH_BYTES: usize = 256 << 20;

/// How long a clean end waits for answers under way.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(1500);

/// Lanes whose room is kept for others.
const ROOMS_MAX: usize = 16;

/// The back-off between two tries of the same thing.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// What all workers of a task share.
#[derive(Debug)]
pub(crate) struct WorkerContext {
    pub(crate) task: TaskName,
    pub(crate) source: Client,
    pub(crate) target: Client,
    pub(crate) journal: Arc<dyn Journal>,
    pub(crate) sink: Sink,
    pub(crate) budget: ByteBudget,
    pub(crate) pace: Pace,
    pub(crate) limits: TaskLimits,
    pub(crate) refused_record: RefusedRecordPolicy,
    pub(crate) source_policies: SourcePolicies,
    pub(crate) on_unknown_target: UnknownTarget,
    /// How long a lane waits for a right that it does not have; for ever without.
    pub(crate) denial_time_max: Option<Duration>,
    /// Lanes of one task that ask the target for its tail at the same time.
    pub(crate) openings: Arc<Semaphore>,
    /// Woken when a lane is done or stopped.
    pub(crate) changed: Notify,
    /// Which worker has which lane.
    pub(crate) routes: Arc<Routes>,
    /// Several lanes of the task may write to one partition: who else writes there cannot be told.
    pub(crate) shares_partitions: bool,
    /// What becomes of records; without it they are copied.
    pub(crate) transform: Option<Transform>,
    /// The record at which the task ends, as its rule says.
    pub(crate) failure: OnceLock<RecordFailure>,
}

/// The event sink, printable.
#[derive(Clone)]
pub(crate) struct Sink(pub(crate) EventSink);

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sink")
    }
}

/// What the task asks of a worker.
#[derive(Debug)]
pub(crate) enum Command {
    /// Take these lanes up.
    Add(Vec<LaneSeed>),
    /// Hand these lanes over as soon as nothing of them is under way.
    Release { lanes: Vec<LaneKey>, destination: Destination },
    /// Go on with this lane, which another worker had.
    Take(Box<Lane>),
    /// Say where these source offsets lie on the target; one answer per question, in order.
    Translate {
        asked: Vec<(LaneKey, SourceOffset)>,
        reply: oneshot::Sender<Vec<Option<Translated>>>,
    },
}

/// Index of a lane in its worker.
type LaneId = usize;

/// A job under way.
type Job = Pin<Box<dyn Future<Output = Done> + Send>>;

/// A job's end.
enum Done {
    SourceConnected {
        broker: i32,
        result: Result<BrokerConnection, ClientError>,
    },
    TargetConnected {
        broker: i32,
        result: Result<BrokerConnection, ClientError>,
    },
    SourceRested {
        broker: i32,
    },
    TargetRested {
        broker: i32,
    },
    Reserved {
        broker: i32,
        lease: Lease,
    },
    MayOpen {
        turn: OwnedSemaphorePermit,
    },
    Opened {
        lane: LaneId,
        result: Result<Opened, OpenError>,
    },
    Rested {
        lane: LaneId,
    },
    StraysDead {
        lane: LaneId,
        until: Instant,
    },
    MayRead {
        lane: LaneId,
    },
    Bounds {
        lane: LaneId,
        sign: Sign,
        result: Result<truth::Bounds, OpenError>,
    },
    Compared {
        lane: LaneId,
        latest: SourceOffset,
        end: SourceOffset,
        sign: Sign,
        result: Result<SourceOffset, OpenError>,
    },
    Journaled {
        barriers: Vec<(LaneId, Barrier)>,
        result: Result<(), JournalError>,
    },
    OutputTopic {
        topic: usize,
        result: Result<transform::Found, ClientError>,
    },
    Schema {
        id: u32,
        result: Result<(), Unresolved>,
    },
    SourceMetadata(Result<Arc<ClusterMetadata>, ClientError>),
    TargetMetadata(Result<Arc<ClusterMetadata>, ClientError>),
}

/// See the module's documentation.
pub(crate) struct Worker {
    ctx: Arc<WorkerContext>,
    lanes: Vec<Lane>,
    by_source: HashMap<Arc<str>, BTreeMap<i32, LaneId>>,
    /// The target partitions of the lanes, each with its slot.
    target_slots: HashMap<StrBytes, BTreeMap<i32, usize>>,
    packed: packing::Packed,
    sources: BTreeMap<i32, SourceBroker>,
    targets: BTreeMap<i32, TargetBroker>,
    source_metadata: leaders::Refresh,
    target_metadata: leaders::Refresh,
    jobs: FuturesUnordered<Job>,
    requests: requests::Requests,
    /// Lanes that wait for their turn to ask the target where they stand.
    opening: VecDeque<LaneId>,
    unflushed_bytes: usize,
    /// Room for the brokers that can be given something to do.
    able: Vec<i32>,
    /// Room of lanes that have nothing on their way.
    rooms: Vec<Room>,
    /// Lanes that turn when all that they read is settled.
    turning: BTreeSet<LaneId>,
    denials: denials::Denials,
    leaving: moving::Leaving,
    transforms: Option<Box<transform::Transforms>>,
    is_closing: bool,
    /// The journal failed: nothing more may be sent.
    journal_error: Option<JournalError>,
    /// Writes to the journal under way.
    journal_writes: usize,
}

impl Worker {
    pub(crate) fn new(ctx: Arc<WorkerContext>) -> Self {
        let transforms = ctx.transform.clone().map(transform::Transforms::new).map(Box::new);
        Self {
            ctx,
            lanes: Vec::new(),
            by_source: HashMap::new(),
            target_slots: HashMap::new(),
            packed: packing::Packed::default(),
            sources: BTreeMap::new(),
            targets: BTreeMap::new(),
            source_metadata: leaders::Refresh::default(),
            target_metadata: leaders::Refresh::default(),
            jobs: FuturesUnordered::new(),
            requests: requests::Requests::default(),
            opening: VecDeque::new(),
            unflushed_bytes: 0,
            able: Vec::new(),
            rooms: Vec::new(),
            turning: BTreeSet::new(),
            denials: denials::Denials::default(),
            leaving: moving::Leaving::default(),
            transforms,
            is_closing: false,
            journal_error: None,
            journal_writes: 0,
        }
    }

    /// Works until `shutdown`, then lets answers under way arrive and writes the last word to the journal.
    ///
    /// # Errors
    /// The journal's: without it nothing may be sent.
    pub(crate) async fn run(
        mut self,
        mut commands: mpsc::UnboundedReceiver<Command>,
        shutdown: CancellationToken,
    ) -> Result<(), JournalError> {
        let mut flush = interval_at(Instant::now() + FLUSH_INTERVAL, FLUSH_INTERVAL);
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                answer = self.requests.answers.next() => self.answered(answer),
                Some(done) = self.jobs.next() => self.handle(done),
                command = commands.recv() => match command {
                    Some(command) => self.obey(command),
                    None => break,
                },
                _ = flush.tick() => self.flush(),
                () = std::future::ready(()), if self.has_input() => {}
            }
            if let Some(error) = self.journal_error.take() {
                return Err(error);
            }
            self.advance();
        }
        // Lanes on their way to this worker get their last word too; later ones stay with who has them.
        commands.close();
        while let Ok(command) = commands.try_recv() {
            if let Command::Take(lane) = command {
                self.place(*lane);
            }
        }
        self.close().await
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Add(seeds) => self.add(seeds),
            Command::Release { lanes, destination } => self.release(&lanes, &destination),
            Command::Take(lane) => self.take_over(*lane),
            // Who asked may have gone away.
            Command::Translate { asked, reply } => drop(reply.send(self.translate(&asked))),
        }
    }

    /// Starts everything that has become possible.
    fn advance(&mut self) {
        if self.unflushed_bytes >= FLUSH_BYTES {
            self.flush();
        }
        self.turn_lanes();
        self.hand_over();
        self.refresh_metadata();
        self.pump_transforms();
        self.pump_sources();
        self.pump_targets();
    }

    fn add(&mut self, seeds: Vec<LaneSeed>) {
        self.lanes.reserve(seeds.len());
        for mut seed in seeds {
            let (writers, traits) = (std::mem::take(&mut seed.writers), seed.traits);
            self.add_lane(seed);
            for record in writers {
                let status = LaneStatus::new(record.lane.clone());
                self.add_lane(LaneSeed { traits, ..LaneSeed::of_writer(record, status) });
            }
        }
        self.source_metadata.want_known();
        self.target_metadata.want_known();
    }

    fn add_lane(&mut self, seed: LaneSeed) {
        let mut lane = self.make_lane(seed);
        if lane.is_dirty {
            // The process before this one may have died a moment ago.
            lane.expect_strays(Instant::now() + self.ctx.limits.request_lifetime);
        }
        let id = self.place(lane);
        self.add_to_transforms(id);
        self.open_if_needed(id);
        self.note_state(id);
    }

    fn make_lane(&self, seed: LaneSeed) -> Lane {
        let limits = RecordLimits {
            decompressed_bytes_max: self.ctx.limits.decompressed_bytes_max,
            ..RecordLimits::default()
        };
        let coalescing = self.ctx.limits.coalescing();
        let mut lane = Lane::new(seed, limits, coalescing, self.ctx.limits.map_segments_max);
        lane.set_producer_memory(self.ctx.limits.producer_memory);
        lane
    }

    fn handle(&mut self, done: Done) {
        match done {
            Done::SourceConnected { broker, result } => self.source_connected(broker, result),
            Done::TargetConnected { broker, result } => self.target_connected(broker, result),
            Done::SourceRested { broker } => self.source_rested(broker),
            Done::TargetRested { broker } => self.target_rested(broker),
            Done::Reserved { broker, lease } => self.fetch(broker, lease),
            Done::MayOpen { turn } => self.may_open(turn),
            Done::Opened { lane, result } => self.opened(lane, result),
            Done::Rested { lane } => self.open(lane),
            Done::StraysDead { lane, until } => {
                self.lanes[lane].forget_strays(until);
                self.enqueue(lane);
            }
            Done::MayRead { lane } => self.may_read(lane),
            Done::Bounds { lane, sign, result } => self.bounds(lane, sign, result),
            Done::Compared { lane, latest, end, sign, result } => {
                self.compared(lane, (latest, end, sign), result);
            }
            Done::Journaled { barriers, result } => self.journaled(barriers, result),
            Done::OutputTopic { topic, result } => self.output_topic(topic, result),
            Done::Schema { id, result } => self.schema_asked(id, result),
            Done::SourceMetadata(result) => self.source_metadata(result),
            Done::TargetMetadata(result) => self.target_metadata(result),
        }
    }

    /// Begins a job.
    fn start(&self, job: impl Future<Output = Done> + Send + 'static) {
        self.jobs.push(Box::pin(job));
    }

    /// Begins a job whose first step must happen now, before any other job's.
    fn start_in_order(&self, job: impl Future<Output = Done> + Send + 'static) {
        let mut job: Job = Box::pin(job);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match job.as_mut().poll(&mut context) {
            Poll::Ready(done) => self.jobs.push(Box::pin(std::future::ready(done))),
            // `FuturesUnordered` polls a new future with its own waker; the one used here is not needed.
            Poll::Pending => self.jobs.push(job),
        }
    }

    fn emit(&self, event: Event) {
        (self.ctx.sink.0)(event);
    }

    /// Opens the lane's producer when it has something to send or must learn where it stands.
    fn open_if_needed(&mut self, id: LaneId) {
        if self.lanes[id].needs_producer() && !self.is_closing {
            self.open(id);
        }
    }

    /// Asks the target where the lane stands.
    fn open(&mut self, id: LaneId) {
        let lane = &mut self.lanes[id];
        if self.is_closing || !matches!(lane.phase, Phase::Idle | Phase::Waiting) {
            return;
        }
        lane.phase = Phase::Opening;
        let leader = lane.target_leader.0;
        // It is needed as soon as the answer is there.
        self.connect_target_ahead(leader);
        self.opening.push_back(id);
        if self.opening.len() == 1 {
            self.await_opening();
        }
    }

    /// Waits until one more lane may ask. What a lane must say is gathered then, not before: thousands may wait.
    fn await_opening(&self) {
        let openings = Arc::clone(&self.ctx.openings);
        self.start(async move {
            let turn = openings.acquire_owned().await;
            Done::MayOpen { turn: turn.expect("the semaphore of a task is never closed") }
        });
    }

    /// Asks for the lanes that have waited longest, as many as may.
    fn may_open(&mut self, turn: OwnedSemaphorePermit) {
        let mut turn = Some(turn);
        while let Some(id) = self.opening.pop_front() {
            let lane = &self.lanes[id];
            if self.is_closing || lane.phase != Phase::Opening {
                continue;
            }
            let Some(turn) =
                turn.take().or_else(|| Arc::clone(&self.ctx.openings).try_acquire_owned().ok())
            else {
                self.opening.push_front(id);
                return self.await_opening();
            };
            let source = self.ctx.source.clone();
            let opening = Opening::of(lane, source, self.ctx.limits.request_lifetime);
            let ctx = Arc::clone(&self.ctx);
            self.start(async move {
                let result = opening.open(&ctx.target).await;
                drop(turn);
                Done::Opened { lane: id, result }
            });
        }
    }

    /// Lets an interrupted lane rest before the target is asked.
    fn rest(&self, id: LaneId) -> Duration {
        let denied = self.denials.pause(id, End::Target);
        let pause = denied.unwrap_or_else(|| backoff(self.lanes[id].failures));
        self.start(async move {
            sleep(pause).await;
            Done::Rested { lane: id }
        });
        pause
    }

    /// Stops a lane for good and says why.
    fn stop_lane(&mut self, id: LaneId, cause: String, cure: &str) {
        let lane = &mut self.lanes[id];
        if lane.phase == Phase::Stopped {
            return;
        }
        let offset = lane.front_source_offset();
        lane.stop();
        if lane.duty() == Duty::Write {
            return self.stop_reader_of(id, &cause, cure);
        }
        lane.status.set_error(Some(cause.clone()));
        let event = Event::LaneStopped {
            task: self.ctx.task.clone(),
            topic: lane.key.source_topic.clone(),
            partition: lane.key.source_partition,
            offset: offset.0,
            cause,
            cure: Some(cure.to_owned()),
        };
        self.emit(event);
        self.ctx.changed.notify_waiters();
    }

    /// Keeps the room of a lane that has nothing on its way for the next one that has.
    fn keep_room(&mut self, id: LaneId) {
        if let Some(room) = self.lanes[id].take_room()
            && self.rooms.len() < ROOMS_MAX
        {
            self.rooms.push(room);
        }
    }

    /// Shows the lane's state and tells the task when nothing is left to do.
    fn note_state(&self, id: LaneId) {
        let lane = &self.lanes[id];
        if lane.phase == Phase::Stopped {
            return;
        }
        if lane.is_done() {
            lane.status.set_state(LaneState::Done);
            self.ctx.changed.notify_waiters();
        }
    }
}

/// The pause before try number `failures` + 1, with jitter so that lanes do not come all at once.
pub(crate) fn backoff(failures: u32) -> Duration {
    let pause =
        BACKOFF_MIN.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(BACKOFF_MAX);
    pause.mul_f64(0.5 + fastrand::f64() / 2.0)
}

/// The error of a fetch session as a reason to start it anew.
fn is_session_lost(error: &FetchSessionError) -> bool {
    matches!(error, FetchSessionError::Reset { .. })
}
