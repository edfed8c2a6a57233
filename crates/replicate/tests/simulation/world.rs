//! One run: two clusters, the writers, the task in all its lives, and the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use kafka_sim::{Cluster, Operation, Resource};
use kafka_wire::record::Record;
use replicate::journal::{Journal as _, LaneRecord, MapQuery};
use replicate::progress::{LaneState, Progress};
use replicate::task::TaskReport;
use tokio::time::{Instant, sleep};

use crate::chaos::Undo;
use crate::group_oracle;
use crate::groups::GroupWorld;
use crate::history::At;
use crate::journal::Disk;
use crate::oracle::{self, Finding, Kind, LaneSeen, Seen};
use crate::plan::{Plan, TopicPlan, clusters};
use crate::stories::Stories;
use crate::task::{Birth, Events, Life, sink};
use crate::trace::Trace;
use crate::verified;
use crate::wire::Wires;
use crate::workload::{Side, Workload, partitions_of};

/// How long the copy may take to catch up once everything is healed: the longest waits of the copy (a fence that
/// takes its time, an abandoned transaction) follow each other a few times at most.
const CATCH_UP: Duration = Duration::from_secs(400);

/// What came of one seed.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) findings: Vec<String>,
    pub(crate) kinds: BTreeSet<Kind>,
    pub(crate) trace_hash: u64,
    pub(crate) summary: String,
}

/// Runs the history of one seed to its end; shows its trace if asked.
pub(crate) fn run(seed: u64, is_shown: bool) -> Outcome {
    // Jitter and shuffles of the client and the task draw from the thread's generator.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let outcome = runtime.block_on(async { World::new(seed, is_shown).run().await });
    drop(runtime);
    outcome
}

/// Everything there is.
pub(crate) struct World {
    pub(crate) random: fastrand::Rng,
    pub(crate) plan: Plan,
    pub(crate) trace: Trace,
    pub(crate) source: Cluster,
    pub(crate) target: Cluster,
    pub(crate) disk: Disk,
    pub(crate) workload: Workload,
    pub(crate) topics: Vec<TopicPlan>,
    pub(crate) life: Option<Life>,
    /// When the task is started again, if it is down.
    pub(crate) rebirth: Instant,
    pub(crate) undos: Vec<(Instant, Undo)>,
    pub(crate) lives: u64,
    pub(crate) kills: u64,
    pub(crate) groups: GroupWorld,
    /// What the last life that ended by itself had done.
    done: Option<Arc<Progress>>,
    events: Events,
    pub(crate) stories: Arc<Mutex<Stories>>,
    findings: Vec<Finding>,
}

impl World {
    fn new(seed: u64, is_shown: bool) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let plan = Plan::draw(&mut random);
        let trace = Trace::new(is_shown);
        trace.line(|| format!("seed {seed}: {plan:?}"));
        let (source, target) = clusters(&mut random, &plan);
        let workload = Workload::new(source.clone(), target.clone());
        Self {
            disk: Disk::new(random.u64(..)),
            random,
            topics: Vec::new(),
            trace,
            source,
            target,
            workload,
            life: None,
            rebirth: Instant::now(),
            undos: Vec::new(),
            lives: 0,
            kills: 0,
            groups: GroupWorld::default(),
            done: None,
            events: Events::default(),
            stories: Arc::default(),
            findings: Vec::new(),
            plan,
        }
    }

    async fn run(mut self) -> Outcome {
        for topic in self.plan.topics.clone() {
            self.add_topic(topic);
        }
        if self.plan.has_groups {
            self.target.watch_groups();
        }
        for _ in 0..self.plan.backlog * self.topics.len() {
            self.write(Side::Source);
        }
        for _ in 0..self.plan.steps {
            self.pause().await;
            self.undo_due(false);
            self.watch_over_task().await;
            if self.plan.has_groups && self.random.u8(0..3) == 0 {
                self.group_step();
            }
            self.step().await;
        }
        self.heal().await;
        let is_caught_up = self.catch_up().await;
        if self.plan.has_groups && is_caught_up {
            self.settle_groups().await;
        }
        self.end(is_caught_up).await
    }

    /// Mostly short, sometimes long.
    async fn pause(&mut self) {
        let max = match self.random.u8(0..10) {
            0..5 => 20,
            5..8 => 200,
            8 => 1_000,
            _ => 4_000,
        };
        let millis = self.random.u64(0..=max);
        if millis > 0 {
            sleep(Duration::from_millis(millis)).await;
        }
    }

    async fn step(&mut self) {
        match self.random.u8(0..100) {
            0..35 => self.write(Side::Source),
            35..50 => {
                if let Some(text) = self.workload.end_transaction(&mut self.random) {
                    self.trace.line(|| text);
                }
            }
            50..57 => self.write(Side::Foreign),
            57..59 => self.compact(),
            59 => self.delete_records(),
            60..62 => self.grow(),
            _ => {
                if self.random.u8(0..4) <= self.plan.meanness {
                    self.break_something().await;
                }
            }
        }
    }

    pub(crate) fn write(&mut self, side: Side) {
        let topics: Vec<TopicPlan> = self
            .topics
            .iter()
            .filter(|topic| side == Side::Source || topic.has_foreign)
            .cloned()
            .collect();
        if topics.is_empty() {
            return;
        }
        let topic = &topics[self.random.usize(..topics.len())];
        let text = self.workload.burst(&mut self.random, side, topic);
        self.trace.line(|| text);
    }

    fn compact(&mut self) {
        let topics: Vec<_> = self.topics.iter().filter(|topic| topic.is_compacted).collect();
        if topics.is_empty() {
            return;
        }
        let name = topics[self.random.usize(..topics.len())].name.clone();
        let partition = self.random.i32(0..partitions_of(&self.source, &name));
        let count = self.source.compact(&name, partition).unwrap();
        self.trace.line(|| format!("compaction of {name}-{partition} removes {count} records"));
    }

    /// Retention takes the beginning of a source partition, copied or not.
    fn delete_records(&mut self) {
        let name = self.topics[self.random.usize(..self.topics.len())].name.clone();
        let partition = self.random.i32(0..partitions_of(&self.source, &name));
        let start = self.source.start_offset(&name, partition).unwrap();
        let end = self.source.last_stable_offset(&name, partition).unwrap();
        let offset = self.random.i64(start..=end.max(start));
        self.source.delete_records(&name, partition, offset).unwrap();
        self.trace.line(|| format!("retention takes {name}-{partition} up to {offset}"));
    }

    /// A new topic, or new partitions of an old one.
    fn grow(&mut self) {
        if !self.plan.spec.same_partition && self.random.bool() {
            self.trace.line(|| "the target's topics may be given more partitions".to_owned());
            self.target.allow_all();
        }
        if self.topics.len() < 4 && self.random.bool() {
            let topic = TopicPlan::draw(&mut self.random, self.topics.len());
            self.add_topic(topic);
            return;
        }
        let name = self.topics[self.random.usize(..self.topics.len())].name.clone();
        let count = partitions_of(&self.source, &name);
        if count < 4 {
            self.source.grow_topic(&name, usize::try_from(count).unwrap() + 1);
            self.trace.line(|| format!("source topic {name} grows to {} partitions", count + 1));
            self.note_late(&name, count);
        }
    }

    fn add_topic(&mut self, topic: TopicPlan) {
        let made = self.source.create_topic(&topic.name, topic.partitions, &topic.configs());
        // Too few brokers are up.
        if made.is_err() {
            return;
        }
        self.trace.line(|| format!("source topic {topic:?}"));
        if !self.plan.spec.same_partition && self.random.u8(0..4) > 0 {
            self.add_narrow_target(&topic);
        }
        if topic.is_compacted {
            self.workload.history.compacted.insert(topic.name.clone());
        }
        for partition in 0..i32::try_from(topic.partitions).unwrap() {
            self.note_late(&topic.name, partition);
            self.workload.history.source.entry((topic.name.clone(), partition)).or_default();
        }
        self.topics.push(topic);
    }

    /// The target has the topic already, with fewer partitions, and mostly may not be given more.
    fn add_narrow_target(&mut self, topic: &TopicPlan) {
        let count = self.random.usize(1..=topic.partitions);
        // The copy keeps the times of records, whatever the source does.
        let configs = TopicPlan { is_stamped: false, ..topic.clone() };
        if self.target.create_topic(&topic.name, count, &configs.configs()).is_ok() {
            self.trace.line(|| format!("target topic {} of {count} partitions", topic.name));
            if self.random.u8(0..4) > 0 {
                let resource = Resource::Topic(topic.name.clone());
                self.target.deny("ANONYMOUS", Operation::Alter, resource);
            }
        }
    }

    fn note_late(&mut self, topic: &str, partition: i32) {
        let at = (topic.to_owned(), partition);
        self.workload.history.source.entry(at.clone()).or_default();
        let mut stories = self.stories.lock().unwrap();
        if self.lives == 0 {
            stories.early.insert(at);
        } else if !self.lanes().is_empty() {
            stories.late.insert(at);
        }
    }

    /// What the journal has durably of all lanes.
    pub(crate) fn lanes(&self) -> Vec<LaneRecord> {
        self.disk.state().load_lanes().now_or_never().unwrap().unwrap()
    }

    /// Starts the task when it is down and its time has come; looks after one that ended by itself.
    pub(crate) async fn watch_over_task(&mut self) {
        if self.life.as_ref().is_some_and(Life::is_over)
            && let Some(life) = self.life.take()
        {
            match life.end().await {
                // Clusters that cannot be reached and a full disk end a task; whoever runs it starts it again.
                Ok(report) => self.task_done(&report),
                Err(cause) => {
                    if cause.contains("ended unexpectedly") || cause.contains("died") {
                        let at = (String::new(), 0);
                        self.findings.push(Finding {
                            kind: Kind::TaskFailed,
                            at,
                            what: cause.clone(),
                        });
                    }
                    self.trace.line(|| format!("the task failed: {cause}"));
                }
            }
            self.rebirth = Instant::now() + Duration::from_millis(self.random.u64(0..2_000));
        }
        if self.life.is_none() && Instant::now() >= self.rebirth {
            self.begin_life();
        }
    }

    /// A task that runs once has come to its end: everything that was there when it began is copied.
    fn task_done(&mut self, report: &TaskReport) {
        self.trace.line(|| format!("the task is done, complete: {}", report.is_complete()));
        self.done = Some(Arc::clone(&report.progress));
        let at_birth = self.stories.lock().unwrap().at_birth.clone();
        for topic in report.progress.topics.iter().filter(|_| report.is_complete()) {
            for lane in &topic.partitions {
                let at = (topic.topic.clone(), lane.partition);
                let due = at_birth.get(&at).copied().unwrap_or(0);
                if lane.position < due {
                    let what = format!("at source offset {}, before {due}", lane.position);
                    self.findings.push(Finding { kind: Kind::EndedEarly, at, what });
                }
            }
        }
    }

    fn begin_life(&mut self) {
        self.lives += 1;
        self.trace.line(|| format!("the task starts, life {}", self.lives));
        let at_birth = self.last_stable_offsets();
        let starts = at_birth
            .keys()
            .map(|at| (at.clone(), self.source.start_offset(&at.0, at.1).unwrap_or(0)));
        {
            let mut stories = self.stories.lock().unwrap();
            stories.starts_at_birth = starts.collect();
            stories.at_birth = at_birth;
        }
        let note = self.note_of_events();
        self.life = Some(Life::begin(Birth {
            spec: &self.plan.spec,
            limits: &self.plan.client,
            source: &self.source,
            target: &self.target,
            journal: self.disk.open(),
            sink: sink(&self.events, &self.trace, note),
            wires: Wires::new(self.random.u64(..), self.plan.linger_ms_max),
        }));
    }

    fn last_stable_offsets(&self) -> BTreeMap<At, i64> {
        let mut ends = BTreeMap::new();
        for at in self.workload.history.source.keys() {
            if let Ok(end) = self.source.last_stable_offset(&at.0, at.1) {
                ends.insert(at.clone(), end);
            }
        }
        ends
    }

    /// Takes back everything that goes wrong by itself, and ends what is under way.
    async fn heal(&mut self) {
        self.trace.line(|| "everything is healed".to_owned());
        self.undo_due(true);
        for cluster in [&self.source, &self.target] {
            cluster.clear_faults();
        }
        self.disk.set_full(false);
        self.disk.set_delay(0);
        self.workload.end_all(&mut self.random);
        if self.life.is_none() {
            self.rebirth = Instant::now();
        }
        self.watch_over_task().await;
    }

    /// Waits until everything on the source is copied; false when that takes too long.
    async fn catch_up(&mut self) -> bool {
        let deadline = Instant::now() + CATCH_UP;
        while Instant::now() < deadline {
            self.watch_over_task().await;
            if self.is_caught_up() {
                return true;
            }
            sleep(Duration::from_millis(200)).await;
        }
        false
    }

    /// Whether every lane is at the end of its partition, or stands still for good.
    fn is_caught_up(&self) -> bool {
        let live = self.life.as_ref().map(Life::progress);
        let Some(progress) = live.or_else(|| self.done.clone()) else { return false };
        self.last_stable_offsets().into_iter().all(|(at, end)| {
            progress.topics.iter().filter(|topic| topic.topic == at.0).any(|topic| {
                topic.partitions.iter().any(|lane| {
                    let is_there = lane.position >= end || lane.state == LaneState::Stopped;
                    lane.partition == at.1 && is_there
                })
            })
        })
    }

    async fn end(mut self, is_caught_up: bool) -> Outcome {
        let mut states = BTreeMap::new();
        let live = self.life.as_ref().map(Life::progress);
        for topic in live.or_else(|| self.done.clone()).iter().flat_map(|progress| &progress.topics)
        {
            for lane in &topic.partitions {
                states.insert((topic.topic.clone(), lane.partition), lane.clone());
            }
        }
        if let Some(life) = self.life.take() {
            life.shut_down();
            if let Err(cause) = life.end().await {
                let at = (String::new(), 0);
                self.findings.push(Finding { kind: Kind::TaskFailed, at, what: cause });
            }
        }
        let verified = verified::findings(&self.source, &self.target, self.disk.state()).await;
        let mut seen = self.read_logs();
        for record in self.lanes() {
            let at = (record.lane.source_topic.clone(), record.lane.source_partition);
            let target = (record.lane.target_topic.clone(), record.lane.target_partition);
            let status = states.get(&at);
            let is_stopped = status.is_some_and(|lane| lane.state == LaneState::Stopped);
            let last_error = status.and_then(|lane| lane.last_error.clone());
            let lane = LaneSeen {
                to_target: self.map_to_target(&record),
                to_source: self.map_to_source(&record),
                target,
                is_caught_up,
                stopped: is_stopped.then(|| last_error.clone().unwrap_or_default()),
                last_error,
            };
            seen.lanes.insert(at, lane);
        }
        let stories = std::mem::take(&mut *self.stories.lock().unwrap());
        self.workload.history.lanes = stories.lanes;
        if self.plan.has_groups {
            self.drain_group_requests();
            let history = &self.workload.history;
            let groups = self.groups_seen(group_oracle::copied(history, &seen.target));
            self.findings.extend(group_oracle::judge(history, &history.lanes, &groups));
        }
        self.findings.extend(stories.wrong);
        self.findings.extend(oracle::judge(&self.workload.history, &seen));
        if self.findings.is_empty() {
            self.findings.extend(verified);
        }
        self.outcome(&seen)
    }

    fn outcome(self, seen: &Seen) -> Outcome {
        let copied: usize = seen.target.values().map(Vec::len).sum();
        let summary = format!(
            "{} records on the target after {} lives, {} kills, {} events, {} ms",
            copied,
            self.lives,
            self.kills,
            self.events.lock().unwrap().len(),
            self.trace.elapsed_ms(),
        );
        for finding in &self.findings {
            self.trace.line(|| finding.to_string());
        }
        Outcome {
            findings: self.findings.iter().map(ToString::to_string).collect(),
            kinds: self.findings.iter().map(|finding| finding.kind).collect(),
            trace_hash: self.trace.hash(),
            summary,
        }
    }

    fn read_logs(&self) -> Seen {
        let mut seen = Seen::default();
        for (topic, count) in self.target.topics() {
            for partition in 0..i32::try_from(count).unwrap() {
                for batch in self.target.log(&topic, partition).unwrap() {
                    self.trace.bytes(&batch);
                }
            }
        }
        seen.target = self.read_targets();
        for at in self.workload.history.source.keys() {
            let records = self.source.records(&at.0, at.1).unwrap_or_default();
            seen.source_kept
                .insert(at.clone(), records.iter().map(|record| record.offset).collect());
        }
        seen
    }

    /// All records of each target partition.
    pub(crate) fn read_targets(&self) -> BTreeMap<At, Vec<Record>> {
        let mut found = BTreeMap::new();
        for (topic, count) in self.target.topics() {
            for partition in 0..i32::try_from(count).unwrap() {
                let records = self.target.records(&topic, partition).unwrap();
                found.insert((topic.clone(), partition), records);
            }
        }
        found
    }

    fn map_to_target(&self, record: &LaneRecord) -> Vec<(i64, Option<i64>)> {
        let (lane, state) = (&record.lane, self.disk.state());
        let end = self.source.end_offset(&lane.source_topic, lane.source_partition).unwrap_or(0);
        let ask = |offset: i64| {
            let source = forward::SourceOffset(offset);
            let found = state.query_map(lane.clone(), MapQuery::Source(source));
            let segment = found.now_or_never().unwrap().unwrap();
            (offset, segment.map(|segment| segment.target_at_or_after(source).0))
        };
        (0..=end).map(ask).collect()
    }

    fn map_to_source(&self, record: &LaneRecord) -> Vec<(i64, Option<i64>)> {
        let (lane, state) = (&record.lane, self.disk.state());
        let end = self.target.end_offset(&lane.target_topic, lane.target_partition).unwrap_or(0);
        let ask = |offset: i64| {
            let target = forward::TargetOffset(offset);
            let found = state.query_map(lane.clone(), MapQuery::Target(target));
            let segment = found.now_or_never().unwrap().unwrap();
            (offset, segment.map(|segment| segment.source_at_or_after(target).0))
        };
        (0..=end).map(ask).collect()
    }
}
