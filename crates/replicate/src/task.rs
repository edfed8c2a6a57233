//! The life of one task: who the clusters are, which topics travel, where each partition begins, workers,
//! schedule, end.
//!
//! What must never happen: a lane that begins anywhere but where the journal, or else the task's start
//! position, says; two clusters that are one; an end that leaves the journal behind the target.

mod balance;
mod error;
mod seeds;
mod threads;
mod transform;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use kafka_client::{Client, TopicQuery};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

pub use error::{Role, TaskError};
pub(crate) use seeds::{lane_starts, load_map_starts, map_start_name, map_start_of};

use crate::budget::ByteBudget;
use crate::event::{Event, EventSink};
use crate::groups::{Board, GroupSync, Routes, TopicRoute};
use crate::journal::{Claim, Journal, JournalError, LaneKey, LaneRecord, TaskIdentity};
use crate::lane::LaneSeed;
use crate::pace::Pace;
use crate::progress::{LaneState, LaneStatus, Progress};
use crate::spec::TaskSpec;
use crate::tables::Tables;
use crate::topics::survey::{Wanted, one_cluster};
use crate::topics::{SyncedTopic, TopicSync};
use crate::worker::{Command, Sink, Worker, WorkerContext};

/// How often the progress is published, at most.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// Lanes whose progress is collected in one [`PROGRESS_INTERVAL`]: with more of them it is published less often.
const PROGRESS_LANES: usize = 1000;

/// Lanes that are taken up together: what both clusters and the journal are asked about them lies in memory meanwhile.
const LANES_AT_ONCE: usize = 1000;

/// Lanes of one task that ask the target for its tail at the same time.
const OPENINGS_MAX: usize = 64;

/// How long a task that is to end waits for a right that was taken away.
const DENIAL_TIME_MAX: Duration = Duration::from_mins(1);

/// One replication task, ready to run.
pub struct Task {
    /// What is asked for.
    pub spec: TaskSpec,
    /// The cluster that is copied.
    pub source: Client,
    /// The cluster it is copied to.
    pub target: Client,
    /// What must not be forgotten.
    pub journal: Arc<dyn Journal>,
    /// Where events go.
    pub sink: EventSink,
    /// Where progress is published.
    pub progress: watch::Sender<Arc<Progress>>,
    /// Ends the task cleanly.
    pub shutdown: CancellationToken,
}

/// How a task ended.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct TaskReport {
    /// The last progress.
    pub progress: Arc<Progress>,
    /// Topics in scope.
    pub topic_count: usize,
    /// Lanes that stopped and need an operator; the events say why.
    pub stopped: u64,
    /// Topics in scope that do not travel; the events say why.
    pub skipped: usize,
    /// Whether the task was told to end before it was done.
    pub is_interrupted: bool,
}

impl TaskReport {
    /// Whether everything that was asked for is on the target.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.stopped == 0
            && self.skipped == 0
            && !self.is_interrupted
            && self.progress.unfinished_groups().next().is_none()
    }
}

impl Task {
    /// Runs until done (`once`) or until `shutdown`.
    ///
    /// # Errors
    /// [`TaskError`] when the task cannot start or cannot go on. A topic or partition that cannot
    /// be copied is no error: it stops alone, and events and report tell.
    pub async fn run(self) -> Result<TaskReport, TaskError> {
        let budget = self.spec.limits.budget();
        self.run_within(budget).await
    }

    /// As [`Self::run`], with a budget that other tasks of this process draw on as well.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn run_within(mut self, budget: ByteBudget) -> Result<TaskReport, TaskError> {
        self.sink = once_per_topic(self.sink);
        let task = self.spec.name.clone();
        let sink = Arc::clone(&self.sink);
        let result = Running::start(self, budget).await;
        let result = match result {
            Ok(running) => running.run().await,
            Err(error) => Err(error),
        };
        if let Err(error) = &result {
            sink(Event::TaskFailed { task, cause: error.to_string(), cure: error.cure() });
        }
        result
    }
}

/// A task at work.
struct Running {
    task: Task,
    ctx: Arc<WorkerContext>,
    topics: TopicSync,
    /// Lanes the journal knew at the start and that were not taken up yet.
    journaled: BTreeMap<LaneKey, LaneRecord>,
    lanes: Vec<Arc<LaneStatus>>,
    known: BTreeSet<Arc<LaneKey>>,
    workers: Vec<mpsc::UnboundedSender<Command>>,
    loads: Vec<balance::Load>,
    /// The worker of each lane.
    placed: Vec<usize>,
    /// What each lane had copied when the load was looked at last.
    copied: Vec<u64>,
    /// Looks in a row at which one lane flooded the others of its worker.
    flood_looks: u32,
    /// What group sync must know of topics and lanes.
    routes: Arc<Routes>,
    /// Where group sync shows its progress.
    board: Arc<Board>,
    /// Asks group sync for a last look; none when groups do not travel.
    last_call: Option<mpsc::UnboundedSender<oneshot::Sender<()>>>,
    /// Source offsets from which on lanes know where they are on the target, where that is not everywhere.
    map_starts: BTreeMap<String, i64>,
    /// Lookup tables that follow topics.
    tables: Tables,
    running: JoinSet<Result<(), JournalError>>,
    stop_workers: CancellationToken,
    started: Instant,
    topic_names: BTreeSet<String>,
}

impl Running {
    /// Finds out who the clusters are and takes the journal.
    async fn start(task: Task, budget: ByteBudget) -> Result<Self, TaskError> {
        task.spec.validate()?;
        let nothing = || TopicQuery::Named(Vec::new());
        let (source, target) = tokio::try_join!(
            async {
                task.source.metadata(nothing()).await.map_err(TaskError::client(Role::Source))
            },
            async {
                task.target.metadata(nothing()).await.map_err(TaskError::client(Role::Target))
            },
        )?;
        let is_one_cluster =
            one_cluster(&task.spec, source.cluster_id.as_ref(), target.cluster_id.as_ref())?;
        let identity = TaskIdentity {
            task: task.spec.name.to_string(),
            source_cluster_id: source.cluster_id.clone(),
            target_cluster_id: target.cluster_id.clone(),
        };
        let claim = task.journal.claim(identity).await?;
        transform::check_kind(&task).await?;
        let journaled = task.journal.load_lanes().await?;
        let map_starts = load_map_starts(task.journal.as_ref()).await?;
        let routes = Arc::<Routes>::default();
        // Where several source partitions share one, offsets are nobody's (BF-37).
        if task.spec.same_partition {
            for known in task.journal.load_topics().await? {
                routes.remember_topic(&known.source_topic, &known.target_topic);
            }
        }
        (task.sink)(Event::TaskStarted {
            task: task.spec.name.clone(),
            source_cluster: source.cluster_id.clone(),
            target_cluster: target.cluster_id.clone(),
            sync: task.spec.sync,
            continued: claim == Claim::Continued,
        });
        let topics = TopicSync::new(
            task.spec.clone(),
            task.source.clone(),
            task.target.clone(),
            Arc::clone(&task.journal),
            Arc::clone(&task.sink),
        )
        .within_one_cluster(is_one_cluster);
        let ctx = Arc::new(WorkerContext {
            task: task.spec.name.clone(),
            source: task.source.clone(),
            target: task.target.clone(),
            journal: Arc::clone(&task.journal),
            sink: Sink(Arc::clone(&task.sink)),
            budget,
            pace: Pace::new(task.spec.limits.rate),
            limits: task.spec.limits.clone(),
            refused_record: task.spec.refused_record,
            source_policies: task.spec.source_policies,
            on_unknown_target: task.spec.on_unknown_target,
            denial_time_max: task.spec.once.then_some(DENIAL_TIME_MAX),
            openings: Arc::new(Semaphore::new(OPENINGS_MAX)),
            changed: Notify::new(),
            routes: Arc::clone(&routes),
            shares_partitions: !task.spec.same_partition || task.spec.transform.is_some(),
            transform: task.spec.transform.clone(),
            failure: OnceLock::new(),
        });
        let clients = (&task.source, &task.target);
        let tables = Tables::start(&task.spec, clients, &task.sink, ctx.denial_time_max);
        Ok(Self {
            task,
            ctx,
            topics,
            tables,
            journaled: journaled.into_iter().map(|record| (record.lane.clone(), record)).collect(),
            lanes: Vec::new(),
            known: BTreeSet::new(),
            workers: Vec::new(),
            loads: Vec::new(),
            placed: Vec::new(),
            copied: Vec::new(),
            flood_looks: 0,
            routes,
            board: Arc::default(),
            last_call: None,
            map_starts,
            running: JoinSet::new(),
            stop_workers: CancellationToken::new(),
            started: Instant::now(),
            topic_names: BTreeSet::new(),
        })
    }

    async fn run(mut self) -> Result<TaskReport, TaskError> {
        let shutdown = self.task.shutdown.clone();
        let first = tokio::select! {
            biased;
            () = shutdown.cancelled() => None,
            wanted = async {
                transform::fetch_schema(&self.task).await?;
                self.topics.begin().await
            } => Some(wanted?),
        };
        let is_interrupted = match first {
            None => true,
            Some(wanted) => {
                let copied = tokio::select! {
                    biased;
                    () = shutdown.cancelled() => Ok(true),
                    result = self.copy(wanted) => result,
                };
                match copied {
                    Ok(is_interrupted) => is_interrupted,
                    Err(error @ (TaskError::Record { .. } | TaskError::Table { .. })) => {
                        // What was acknowledged meanwhile is not forgotten.
                        self.end_workers().await?;
                        return Err(error);
                    }
                    Err(error) => return Err(error),
                }
            }
        };
        let is_interrupted = is_interrupted && self.task.spec.once;
        self.finish(is_interrupted).await
    }

    /// Copies until done; true when that is never.
    async fn copy(&mut self, mut wanted: Vec<Wanted>) -> Result<bool, TaskError> {
        let copies_data = self.task.spec.sync.copies_data();
        self.read_tables().await?;
        loop {
            let topics = self.topics.bring_some(&mut wanted).await?;
            self.note_topics(&topics);
            if copies_data {
                self.take_up(topics).await?;
            }
            if wanted.is_empty() {
                break;
            }
        }
        self.start_groups();
        let limits = self.task.spec.limits.clone();
        let mut discovery = every(limits.discovery_interval);
        let mut schedule = every(limits.metadata_interval);
        let mut progress = every(PROGRESS_INTERVAL);
        let mut balance = every(balance::BALANCE_INTERVAL);
        loop {
            let ctx = Arc::clone(&self.ctx);
            let changed = ctx.changed.notified();
            if let Some(failure) = ctx.failure.get() {
                return Err(transform::ended_by(failure));
            }
            if self.is_done() {
                self.finish_groups().await?;
                return Ok(false);
            }
            tokio::select! {
                biased;
                () = changed => {}
                _ = progress.tick() => {
                    self.publish();
                    let intervals = self.lanes.len().div_ceil(PROGRESS_LANES).clamp(1, 20);
                    let intervals = u32::try_from(intervals).unwrap_or(1);
                    progress.reset_after(PROGRESS_INTERVAL * intervals);
                }
                Some(ended) = self.running.join_next() => worker_ended(ended)?,
                error = self.tables.failed() => return Err(error),
                _ = balance.tick() => self.balance()?,
                _ = discovery.tick(), if !self.task.spec.once => {
                    let topics = self.topics.discover().await?;
                    self.note_topics(&topics);
                    if copies_data {
                        self.take_up(topics).await?;
                    }
                }
                _ = schedule.tick(), if !self.task.spec.once => {
                    let topics = self.topics.scheduled().await?;
                    self.note_topics(&topics);
                    if copies_data {
                        self.take_up(topics).await?;
                    }
                }
            }
        }
    }

    fn note_topics(&mut self, topics: &[SyncedTopic]) {
        self.topic_names.extend(topics.iter().map(|topic| topic.source.name.clone()));
        for topic in topics {
            let source_count = i32::try_from(topic.source.partitions.len()).unwrap_or(i32::MAX);
            let target_count = topic.target_partitions;
            let is_moved = |partition: i32| {
                let lane = self.lane_of(&topic.source.name, partition, &topic.target_name);
                lane.is_some_and(|lane| lane.target_partition != partition)
            };
            let is_fan_in = !self.task.spec.same_partition
                && (source_count > target_count || (0..source_count).any(is_moved));
            let target_topic = topic.target_name.clone();
            let route = TopicRoute { target_topic, source_count, target_count, is_fan_in };
            self.routes.set_topic(&topic.source.name, route);
        }
    }

    /// Starts group sync beside the workers, if groups travel.
    fn start_groups(&mut self) {
        if self.task.spec.transform.is_some() {
            return;
        }
        let Task { spec, source, target, journal, sink, .. } = &self.task;
        let clients = (source.clone(), target.clone());
        let (routes, board) = (Arc::clone(&self.routes), Arc::clone(&self.board));
        let sync =
            GroupSync::new(spec, clients, Arc::clone(journal), routes, board, Arc::clone(sink));
        if let Some(sync) = sync {
            let (last_call, calls) = mpsc::unbounded_channel();
            self.last_call = Some(last_call);
            self.running.spawn(sync.run(calls, self.stop_workers.clone()));
        }
    }

    /// Everything is copied: groups are carried over once more.
    async fn finish_groups(&mut self) -> Result<(), TaskError> {
        let Some(last_call) = &self.last_call else { return Ok(()) };
        let (reply, mut done) = oneshot::channel();
        // Group sync that is gone has failed; its error comes by `join_next`.
        let _ = last_call.send(reply);
        loop {
            tokio::select! {
                _ = &mut done => return Ok(()),
                Some(ended) = self.running.join_next() => worker_ended(ended)?,
            }
        }
    }

    /// Whether nothing is left to do: only ever with `once`.
    fn is_done(&self) -> bool {
        self.task.spec.once
            && self
                .lanes
                .iter()
                .all(|lane| matches!(lane.snapshot().state, LaneState::Done | LaneState::Stopped))
    }

    /// Hands lanes that are not copied yet to the workers.
    async fn take_up(&mut self, topics: Vec<SyncedTopic>) -> Result<(), TaskError> {
        let mut candidates = self.candidates(topics);
        while !candidates.is_empty() {
            let rest = candidates.split_off(candidates.len().min(LANES_AT_ONCE));
            let seeds = self.seeds(std::mem::replace(&mut candidates, rest)).await?;
            self.begin(seeds)?;
        }
        Ok(())
    }

    /// Hands new lanes to the workers.
    fn begin(&mut self, seeds: Vec<(LaneSeed, Arc<LaneStatus>)>) -> Result<(), TaskError> {
        if seeds.is_empty() {
            return Ok(());
        }
        self.start_first_workers(seeds.len())?;
        let count = self.workers.len();
        let mut shares: Vec<(Vec<_>, Vec<_>)> = (0..count).map(|_| Default::default()).collect();
        for (seed, status) in seeds {
            let valid_from = self.map_starts.get(&map_start_name(&status.key)).copied();
            let worker = self.lanes.len() % count;
            let (seeds, statuses) = &mut shares[worker];
            self.placed.push(worker);
            seeds.push(seed);
            statuses.push((Arc::clone(&status), valid_from));
            self.lanes.push(status);
        }
        for (worker, (seeds, statuses)) in shares.into_iter().enumerate() {
            // A worker that is gone has failed; its error comes by `join_next`.
            let _ = self.workers[worker].send(Command::Add(seeds));
            self.routes.add_lanes(worker, statuses);
        }
        self.publish();
        Ok(())
    }

    /// Starts one more worker and returns its number. The first gets all lanes; others take over from those that have too much to do.
    fn start_worker(&mut self) -> Result<usize, TaskError> {
        let (commands, inbox) = mpsc::unbounded_channel();
        self.routes.add_worker(commands.clone());
        self.workers.push(commands);
        let worker = Worker::new(Arc::clone(&self.ctx));
        let (threads, stop) = (self.task.spec.worker_threads, self.stop_workers.clone());
        let metrics = threads::start(threads, worker, inbox, stop, &mut self.running)?;
        self.loads.push(balance::Load::new(metrics));
        Ok(self.workers.len() - 1)
    }

    fn publish(&self) {
        let (groups, elapsed) = (self.board.read(), self.started.elapsed());
        // In place, unless somebody still looks at the former one: with thousands of lanes a second one weighs.
        self.task.progress.send_modify(|progress| {
            let progress = Arc::make_mut(progress);
            progress.update(&self.lanes, groups, elapsed);
            progress.tables = self.tables.progress();
        });
    }

    /// Lets the workers write their last word.
    async fn end_workers(&mut self) -> Result<(), TaskError> {
        self.stop_workers.cancel();
        while let Some(ended) = self.running.join_next().await {
            worker_ended(ended)?;
        }
        self.publish();
        Ok(())
    }

    async fn finish(mut self, is_interrupted: bool) -> Result<TaskReport, TaskError> {
        self.end_workers().await?;
        let progress = Arc::clone(&self.task.progress.borrow());
        let report = TaskReport {
            topic_count: self.topic_names.len(),
            stopped: progress.total.stopped,
            skipped: self.topics.skipped_count(),
            is_interrupted,
            progress,
        };
        (self.task.sink)(Event::TaskFinished {
            task: self.task.spec.name.clone(),
            topic_count: report.topic_count,
            record_count: report.progress.total.records,
            bytes: report.progress.total.bytes,
            elapsed_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
        Ok(report)
    }
}

fn worker_ended(
    ended: Result<Result<(), JournalError>, tokio::task::JoinError>,
) -> Result<(), TaskError> {
    match ended {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.into()),
        Err(error) => Err(TaskError::Worker { cause: error.to_string() }),
    }
}

/// Says once that a topic is gone or is another one: each of its partitions and the topic sync find out by themselves.
fn once_per_topic(sink: EventSink) -> EventSink {
    let told = Mutex::new(BTreeSet::new());
    Arc::new(move |event| {
        let about = match &event {
            Event::TopicDeleted { topic, .. } => Some((topic.clone(), None)),
            Event::TopicRecreated { topic, found_id, .. } => {
                Some((topic.clone(), Some(found_id.clone())))
            }
            _ => None,
        };
        let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
        if about.is_none_or(|about| told.insert(about)) {
            drop(told);
            sink(event);
        }
    })
}

/// Ticks from one period from now on; a late tick is not made up for.
fn every(period: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval_at(Instant::now() + period, period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
