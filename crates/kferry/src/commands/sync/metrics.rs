//! `--metrics`: what the tasks of this process do, as Prometheus reads it.
//!
//! Series are bounded whatever the clusters hold: [`PARTITIONS_MAX`] partitions, [`TOPICS_MAX`] topics and [`GROUPS_MAX`] groups
//! of a task have series of their own; the others are in the task's sums, and `kferry_series_left_out` says how many they are.

mod http;
mod lag;
mod text;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use replicate::{
    budget::ByteBudget,
    event::{Event, Level},
    progress::{GroupState, LaneState, PartitionProgress, Progress},
};
use tokio::sync::watch;

pub(crate) use self::http::Served;
use self::{
    lag::LagClock,
    text::{Exposition, Kind, Labels},
};
use crate::failure::Failure;

/// Partitions, topics and groups of one task that have series of their own.
const PARTITIONS_MAX: usize = 1000;
const TOPICS_MAX: usize = 1000;
const GROUPS_MAX: usize = 1000;

/// What a rule made of records: name, help, and where it is counted.
type Processed = (&'static str, &'static str, fn(&PartitionProgress) -> u64);
const PROCESSED: [Processed; 3] = [
    ("kferry_records_written_total", "Records that the rule of the task made.", |partition| {
        partition.records_written
    }),
    ("kferry_records_failed_total", "Records that it could not process.", |partition| {
        partition.records_failed
    }),
    (
        "kferry_dead_letters_total",
        "Those of them that went to the topic for dead letters.",
        |partition| partition.dead_letters,
    ),
];

/// The states in which a partition and a group can be.
const LANE_STATES: [LaneState; 6] = [
    LaneState::Starting,
    LaneState::Running,
    LaneState::Retrying,
    LaneState::Done,
    LaneState::Stopped,
    LaneState::Denied,
];

/// All tasks of the process.
#[derive(Default)]
pub(crate) struct Metrics {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tasks: BTreeMap<String, TaskState>,
    /// The budget of bytes in flight.
    budget: Option<ByteBudget>,
}

struct TaskState {
    progress: watch::Receiver<Arc<Progress>>,
    lag: LagClock,
    events: BTreeMap<(Level, String), u64>,
    is_running: bool,
}

impl Metrics {
    /// Answers on `address` until the value it returns is dropped.
    ///
    /// # Errors
    /// A [`Failure`] when the address cannot be listened on.
    pub(crate) async fn serve(self: &Arc<Self>, address: &str) -> Result<Served, Failure> {
        http::serve(address, Arc::clone(self)).await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A budget that tasks draw on.
    pub(crate) fn set_budget(&self, budget: ByteBudget) {
        self.state().budget = Some(budget);
    }

    /// A task begins; its progress is followed until its sender is gone.
    pub(crate) fn begin(self: &Arc<Self>, task: &str, progress: watch::Receiver<Arc<Progress>>) {
        let state = TaskState {
            progress: progress.clone(),
            lag: LagClock::default(),
            events: BTreeMap::new(),
            is_running: true,
        };
        self.state().tasks.insert(task.to_owned(), state);
        let (metrics, task) = (Arc::clone(self), task.to_owned());
        tokio::spawn(async move {
            let mut progress = progress;
            while progress.changed().await.is_ok() {
                let seen = Arc::clone(&progress.borrow_and_update());
                if let Some(state) = metrics.state().tasks.get_mut(&task) {
                    state.lag.see(&seen, Instant::now());
                }
            }
        });
    }

    /// A task has ended.
    pub(crate) fn end(&self, task: &str) {
        if let Some(state) = self.state().tasks.get_mut(task) {
            state.is_running = false;
        }
    }

    /// Something happened in a task.
    pub(crate) fn count(&self, event: &Event) {
        if let Some(state) = self.state().tasks.get_mut(event.task().as_str()) {
            let key = (event.level(), name_of(event));
            *state.events.entry(key).or_default() += 1;
        }
    }

    /// Everything as it stands.
    fn render(&self) -> String {
        let state = self.state();
        let mut out = Exposition::default();
        out.family("kferry_build_info", Kind::Gauge, "The release of kferry; always 1.");
        out.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
        if let Some(budget) = &state.budget {
            let bytes = budget.total_bytes();
            let used = bytes.saturating_sub(budget.free_bytes());
            out.family(
                "kferry_buffer_bytes",
                Kind::Gauge,
                "Memory for record batches on their way: --buffer, or what it has become over a long way.",
            );
            out.sample(&[], number(bytes));
            out.family("kferry_buffer_used_bytes", Kind::Gauge, "What of it is reserved for fetches under way and batches without an acknowledgement.");
            out.sample(&[], number(used));
        }
        let tasks: Vec<Seen<'_>> =
            state.tasks.iter().map(|(name, task)| Seen::of(name, task)).collect();
        totals(&mut out, &tasks);
        batches(&mut out, &tasks);
        states(&mut out, &tasks);
        topics(&mut out, &tasks);
        partitions(&mut out, &tasks);
        groups(&mut out, &tasks);
        left_out(&mut out, &tasks);
        out.into_text()
    }
}

/// The event's name as in the JSON output.
fn name_of(event: &Event) -> String {
    let value = serde_json::to_value(event).unwrap_or_default();
    value["event"].as_str().unwrap_or("other").to_owned()
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
fn number(value: usize) -> f64 {
    value as f64
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
fn count(value: u64) -> f64 {
    value as f64
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus has no other numbers")]
fn offset(value: i64) -> f64 {
    value as f64
}

/// One task at the moment of the question.
struct Seen<'a> {
    name: &'a str,
    task: &'a TaskState,
    progress: Arc<Progress>,
    now: Instant,
}

impl<'a> Seen<'a> {
    fn of(name: &'a str, task: &'a TaskState) -> Self {
        let progress = Arc::clone(&task.progress.borrow());
        Self { name, task, progress, now: Instant::now() }
    }

    fn all(&self) -> impl Iterator<Item = (&str, &PartitionProgress)> {
        let topics = self.progress.topics.iter();
        topics.flat_map(|topic| {
            topic.partitions.iter().map(move |partition| (topic.topic.as_str(), partition))
        })
    }

    fn sum(&self, of: impl Fn(&PartitionProgress) -> u64) -> f64 {
        count(self.all().map(|(_, partition)| of(partition)).sum())
    }

    fn lag_seconds(&self, topic: &str, partition: &PartitionProgress) -> f64 {
        self.task.lag.seconds(topic, partition, self.now)
    }

    /// Bytes that are still to come, from the mean size of those that came; nothing while none came.
    fn lag_bytes(&self) -> f64 {
        let total = &self.progress.total;
        if total.records == 0 {
            return 0.0;
        }
        offset(total.lag_records) * count(total.bytes) / count(total.records)
    }
}

/// One value per task.
fn per_task(
    out: &mut Exposition,
    tasks: &[Seen<'_>],
    (name, kind, help): (&str, Kind, &str),
    of: impl Fn(&Seen<'_>) -> f64,
) {
    out.family(name, kind, help);
    for task in tasks {
        out.sample(&[("task", task.name)], of(task));
    }
}

fn totals(out: &mut Exposition, tasks: &[Seen<'_>]) {
    use Kind::{Counter, Gauge};
    per_task(out, tasks, ("kferry_task_running", Gauge, "Whether the task is at work."), |seen| {
        f64::from(u8::from(seen.task.is_running))
    });
    per_task(
        out,
        tasks,
        ("kferry_task_elapsed_seconds", Gauge, "How long the task has been at work."),
        |seen| seen.progress.elapsed.as_secs_f64(),
    );
    per_task(
        out,
        tasks,
        (
            "kferry_records_copied_total",
            Counter,
            "Records that the target has acknowledged, since the process started.",
        ),
        |seen| count(seen.progress.total.records),
    );
    per_task(
        out,
        tasks,
        ("kferry_bytes_copied_total", Counter, "Bytes of the batches that carried them."),
        |seen| count(seen.progress.total.bytes),
    );
    per_task(
        out,
        tasks,
        (
            "kferry_records_dropped_total",
            Counter,
            "Records that are not copied: aborted, control, empty, refused.",
        ),
        |seen| seen.sum(|partition| partition.records_dropped),
    );
    for (name, help, of) in PROCESSED {
        per_task(out, tasks, (name, Counter, help), |seen| seen.sum(of));
    }
    per_task(
        out,
        tasks,
        (
            "kferry_recoveries_total",
            Counter,
            "How often a partition asked the target's log after an interruption.",
        ),
        |seen| seen.sum(|partition| partition.recoveries),
    );
    per_task(
        out,
        tasks,
        ("kferry_lag_records", Gauge, "Source offsets that are not copied yet."),
        |seen| offset(seen.progress.total.lag_records),
    );
    per_task(
        out,
        tasks,
        (
            "kferry_lag_bytes",
            Gauge,
            "Bytes that are not copied yet, estimated from the mean size of the records copied so far.",
        ),
        |seen| seen.lag_bytes(),
    );
    per_task(
        out,
        tasks,
        ("kferry_lag_seconds", Gauge, "The greatest kferry_partition_lag_seconds of the task."),
        |seen| {
            seen.all()
                .map(|(topic, partition)| seen.lag_seconds(topic, partition))
                .fold(0.0, f64::max)
        },
    );
    out.family(
        "kferry_events_total",
        Counter,
        "Events, by name and level; level error needs an operator.",
    );
    for seen in tasks {
        for ((level, name), times) in &seen.task.events {
            let level = match level {
                Level::Info => "info",
                Level::Warn => "warn",
                Level::Error => "error",
            };
            out.sample(&[("task", seen.name), ("level", level), ("event", name)], count(*times));
        }
    }
}

fn batches(out: &mut Exposition, tasks: &[Seen<'_>]) {
    per_task(
        out,
        tasks,
        ("kferry_batches_as_is_total", Kind::Counter, "Batches whose payload passed untouched."),
        |seen| seen.sum(|partition| partition.batches_as_is),
    );
    let mut by_reason = |name, help, of: fn(&PartitionProgress, &str, u64) -> u64| {
        out.family(name, Kind::Counter, help);
        for seen in tasks {
            let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
            for (_, partition) in seen.all() {
                for (reason, times) in &partition.reasons {
                    *sums.entry(reason).or_default() += of(partition, reason, *times);
                }
            }
            for (reason, times) in sums.into_iter().filter(|(_, times)| *times > 0) {
                out.sample(&[("task", seen.name), ("reason", reason)], count(times));
            }
        }
    };
    let dropped = |partition: &PartitionProgress, reason: &str, _| {
        partition.drop_reasons.get(reason).copied().unwrap_or_default()
    };
    by_reason(
        "kferry_batches_rebuilt_total",
        "Batches that were decoded and encoded again, by reason.",
        |partition, reason, times| {
            times - partition.drop_reasons.get(reason).copied().unwrap_or_default()
        },
    );
    by_reason("kferry_batches_dropped_total", "Batches that were not copied, by reason.", dropped);
}

fn states(out: &mut Exposition, tasks: &[Seen<'_>]) {
    out.family(
        "kferry_partitions",
        Kind::Gauge,
        "Partitions, by what they are doing; stopped and denied need an operator.",
    );
    for seen in tasks {
        for state in LANE_STATES {
            let word = match state {
                LaneState::Starting => "starting",
                LaneState::Running => "running",
                LaneState::Retrying => "retrying",
                LaneState::Done => "done",
                LaneState::Stopped => "stopped",
                LaneState::Denied => "denied",
            };
            let found = seen.all().filter(|(_, partition)| partition.state == state).count();
            out.sample(&[("task", seen.name), ("state", word)], number(found));
        }
    }
}

fn topics(out: &mut Exposition, tasks: &[Seen<'_>]) {
    let mut per_topic = |name, kind, help, of: fn(&PartitionProgress) -> f64| {
        out.family(name, kind, help);
        for seen in tasks {
            for topic in seen.progress.topics.iter().take(TOPICS_MAX) {
                let labels = [("task", seen.name), ("topic", &topic.topic)];
                out.sample(&labels, topic.partitions.iter().map(of).sum());
            }
        }
    };
    per_topic(
        "kferry_topic_records_copied_total",
        Kind::Counter,
        "Records of the topic that the target has acknowledged.",
        |partition| count(partition.records_copied),
    );
    per_topic(
        "kferry_topic_bytes_copied_total",
        Kind::Counter,
        "Bytes of the batches that carried them.",
        |partition| count(partition.bytes_copied),
    );
    per_topic(
        "kferry_topic_lag_records",
        Kind::Gauge,
        "Source offsets of the topic that are not copied yet.",
        |partition| offset(partition.lag_records),
    );
}

fn partitions(out: &mut Exposition, tasks: &[Seen<'_>]) {
    type Of = fn(&Seen<'_>, &str, &PartitionProgress) -> f64;
    let mut per_partition = |name, help, of: Of| {
        out.family(name, Kind::Gauge, help);
        for seen in tasks {
            for (topic, partition) in seen.all().take(PARTITIONS_MAX) {
                let index = partition.partition.to_string();
                let labels: Labels<'_> =
                    &[("task", seen.name), ("topic", topic), ("partition", &index)];
                out.sample(labels, of(seen, topic, partition));
            }
        }
    };
    per_partition(
        "kferry_partition_position",
        "The source offset below which everything is on the target; -1 while unknown.",
        |_, _, found| offset(found.position),
    );
    per_partition(
        "kferry_partition_source_end",
        "The source's end as readers of committed data see it; -1 while unknown.",
        |_, _, found| offset(found.source_end),
    );
    per_partition(
        "kferry_partition_source_start",
        "The first offset that the source still has; -1 while unknown.",
        |_, _, found| offset(found.source_start),
    );
    per_partition(
        "kferry_partition_target_end",
        "The target offset behind the last acknowledged record; -1 before the first one.",
        |_, _, found| offset(found.target_end),
    );
    per_partition(
        "kferry_partition_lag_records",
        "Source offsets that are not copied yet.",
        |_, _, found| offset(found.lag_records),
    );
    per_partition(
        "kferry_partition_lag_seconds",
        "For how long this process has known of the oldest source offset that is not copied yet.",
        |seen, topic, found| seen.lag_seconds(topic, found),
    );
}

fn groups(out: &mut Exposition, tasks: &[Seen<'_>]) {
    out.family(
        "kferry_groups",
        Kind::Gauge,
        "Consumer groups, by what the sync of their offsets is doing.",
    );
    for seen in tasks {
        let mut by_state: BTreeMap<GroupState, usize> = BTreeMap::new();
        seen.progress
            .groups
            .iter()
            .for_each(|group| *by_state.entry(group.state).or_default() += 1);
        for (state, found) in by_state {
            let word = serde_json::to_value(state).unwrap_or_default();
            let labels = [("task", seen.name), ("state", word.as_str().unwrap_or("other"))];
            out.sample(&labels, number(found));
        }
    }
    out.family(
        "kferry_group_lag_records",
        Kind::Gauge,
        "Source offsets that the group has not read on the source.",
    );
    for seen in tasks {
        for group in seen.progress.groups.iter().take(GROUPS_MAX) {
            out.sample(&[("task", seen.name), ("group", &group.group)], offset(group.lag_records));
        }
    }
}

fn left_out(out: &mut Exposition, tasks: &[Seen<'_>]) {
    out.family(
        "kferry_series_left_out",
        Kind::Gauge,
        "Partitions, topics and groups without series of their own: they are in the sums only.",
    );
    for seen in tasks {
        for (of, found, most) in [
            ("partitions", seen.all().count(), PARTITIONS_MAX),
            ("topics", seen.progress.topics.len(), TOPICS_MAX),
            ("groups", seen.progress.groups.len(), GROUPS_MAX),
        ] {
            out.sample(&[("task", seen.name), ("of", of)], number(found.saturating_sub(most)));
        }
    }
}
