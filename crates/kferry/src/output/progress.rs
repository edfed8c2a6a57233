//! Live progress: bars on a terminal, a plain line now and then elsewhere, objects with `--output json`.
//!
//! The task publishes snapshots; this module only looks at them, so a slow terminal never slows a copy.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use replicate::progress::{GroupState, LaneState, Progress, TableProgress, TopicProgress};
use serde::Serialize;
use tokio::{sync::watch, task::JoinHandle, time};
use tokio_util::sync::CancellationToken;

use super::{Output, text};

/// Topics with a bar of their own; the others are in the total.
const BARS_MAX: usize = 12;
/// Between two redraws.
const REDRAW: Duration = Duration::from_millis(200);
/// Between two plain lines or two objects.
const LINE: Duration = Duration::from_secs(3);
/// How fast rates forget: after this time an old rate weighs a third.
const RATE_MEMORY_S: f64 = 3.0;
/// A bar's length: thousandths, so that small steps are seen and no count overflows.
const PARTS: u64 = 1000;

/// The display of one running task.
pub(crate) struct Display {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Display {
    /// Starts to show what `progress` publishes.
    pub(crate) fn start(
        output: &Output,
        task: &str,
        progress: watch::Receiver<Arc<Progress>>,
    ) -> Self {
        let stop = CancellationToken::new();
        let shower = Shower {
            output: output.clone(),
            task: task.to_owned(),
            progress,
            rates: Rates::default(),
            bars: Bars::default(),
        };
        let task = tokio::spawn(shower.run(stop.clone()));
        Self { stop, task }
    }

    /// Shows the last state and takes the bars away.
    pub(crate) async fn finish(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::debug!(%error, "the progress display ended early");
        }
    }
}

struct Shower {
    output: Output,
    task: String,
    progress: watch::Receiver<Arc<Progress>>,
    rates: Rates,
    bars: Bars,
}

impl Shower {
    async fn run(mut self, stop: CancellationToken) {
        let mut ticks = time::interval(if self.output.is_live() { REDRAW } else { LINE });
        ticks.set_missed_tick_behavior(time::MissedTickBehavior::Delay);
        let mut last = None;
        loop {
            let stopping = tokio::select! {
                _ = ticks.tick() => false,
                () = stop.cancelled() => true,
            };
            let progress = Arc::clone(&self.progress.borrow_and_update());
            let view = self.rates.view(&progress, Instant::now());
            if self.output.is_live() {
                self.bars.draw(&self.output, &view);
            } else if last.as_ref().is_none_or(|last| view.has_news(last))
                && !view.topics.is_empty()
            {
                self.write(&view);
                last = Some(view);
            }
            if stopping {
                self.bars.clear();
                return;
            }
        }
    }

    fn write(&self, view: &View) {
        #[derive(Serialize)]
        struct Line<'a> {
            r#type: &'static str,
            task: &'a str,
            #[serde(flatten)]
            view: &'a View,
        }
        if self.output.is_json() {
            self.output.json(&Line { r#type: "progress", task: &self.task, view });
        } else {
            self.output.note(&format!(
                "{}: {} topics, {}",
                self.task,
                view.topics.len(),
                view.total.sentence()
            ));
        }
    }
}

/// One line of the display: a topic or the total.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Row {
    /// Topic name; empty in the total.
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    partitions: usize,
    /// Partitions that need an operator.
    stopped: usize,
    /// Partitions that wait for a right.
    #[serde(skip_serializing_if = "is_zero")]
    denied: usize,
    /// What is denied, with the cure.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Offsets behind us out of those the source holds, in percent.
    percent: f64,
    records: u64,
    bytes: u64,
    lag_records: i64,
    records_per_second: f64,
    bytes_per_second: f64,
    /// Until the lag is gone at the present pace; unknown while nothing moves.
    #[serde(skip_serializing_if = "Option::is_none")]
    eta_s: Option<u64>,
}

/// The whole display at one moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct View {
    total: Row,
    topics: Vec<Row>,
    /// Consumer groups by what their sync is doing.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    groups: BTreeMap<GroupState, usize>,
    /// Lookup tables that follow topics.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tables: Vec<TableProgress>,
    elapsed_ms: u64,
}

impl View {
    fn has_news(&self, last: &Self) -> bool {
        let facts =
            |row: &Row| (row.partitions, row.stopped, row.denied, row.records, row.lag_records);
        facts(&self.total) != facts(&last.total)
            || self.groups != last.groups
            || self.tables != last.tables
    }
}

impl Row {
    fn sentence(&self) -> String {
        let mut parts = vec![
            format!("{:.1} %", self.percent),
            format!("{} records", text::count(self.records)),
            format!("{}/s", text::bytes(whole(self.bytes_per_second))),
            format!("{} records/s", text::count(whole(self.records_per_second))),
            format!("lag {}", text::count(self.lag_records)),
        ];
        if let Some(eta) = self.eta_s {
            parts.push(format!("ETA {}", text::duration(Duration::from_secs(eta))));
        }
        if self.stopped > 0 {
            parts.push(format!("{} of {} partitions stopped", self.stopped, self.partitions));
        }
        if self.denied > 0 {
            parts.push(format!("{} of {} wait for a right", self.denied, self.partitions));
        }
        if let Some(error) = &self.error {
            parts.push(text::safe(error));
        }
        parts.join(", ")
    }

    fn parts(&self) -> u64 {
        whole(self.percent * 10.0).min(PARTS)
    }
}

/// What a rate is computed from.
#[derive(Debug, Clone, Copy)]
struct Mark {
    at: Instant,
    records: u64,
    bytes: u64,
    records_per_second: f64,
    bytes_per_second: f64,
}

/// Smoothed rates per topic, and in total under the empty name.
#[derive(Debug, Default)]
struct Rates {
    marks: BTreeMap<String, Mark>,
}

impl Rates {
    fn view(&mut self, progress: &Progress, now: Instant) -> View {
        let mut topics: Vec<Row> = progress.topics.iter().map(row).collect();
        let mut total = total(&topics, progress);
        for row in topics.iter_mut().chain([&mut total]) {
            self.rate(row, now);
        }
        View {
            total,
            topics,
            groups: count_groups(progress),
            tables: progress.tables.clone(),
            elapsed_ms: u64::try_from(progress.elapsed.as_millis()).unwrap_or(u64::MAX),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
    fn rate(&mut self, row: &mut Row, now: Instant) {
        let fresh = Mark {
            at: now,
            records: row.records,
            bytes: row.bytes,
            records_per_second: 0.0,
            bytes_per_second: 0.0,
        };
        let mark = self.marks.entry(row.name.clone()).or_insert(fresh);
        let seconds = now.saturating_duration_since(mark.at).as_secs_f64();
        if seconds > 0.0 {
            let keep = (-seconds / RATE_MEMORY_S).exp();
            let smooth = |old: f64, new: u64| old * keep + (new as f64 / seconds) * (1.0 - keep);
            *mark = Mark {
                records_per_second: smooth(
                    mark.records_per_second,
                    row.records.saturating_sub(mark.records),
                ),
                bytes_per_second: smooth(
                    mark.bytes_per_second,
                    row.bytes.saturating_sub(mark.bytes),
                ),
                ..fresh
            };
        }
        row.records_per_second = rounded(mark.records_per_second);
        row.bytes_per_second = rounded(mark.bytes_per_second);
        row.eta_s = (row.lag_records > 0 && mark.records_per_second >= 1.0)
            .then(|| whole(row.lag_records as f64 / mark.records_per_second));
    }
}

fn count_groups(progress: &Progress) -> BTreeMap<GroupState, usize> {
    let mut groups = BTreeMap::new();
    for group in progress.groups.iter() {
        *groups.entry(group.state).or_default() += 1;
    }
    groups
}

fn row(topic: &TopicProgress) -> Row {
    let partitions = &topic.partitions;
    let known = || {
        partitions.iter().filter(|partition| partition.position >= 0 && partition.source_end >= 0)
    };
    let start = |partition: i64| partition.max(0);
    let done: i64 =
        known().map(|partition| (partition.position - start(partition.source_start)).max(0)).sum();
    let all: i64 = known()
        .map(|partition| (partition.source_end - start(partition.source_start)).max(0))
        .sum();
    let mut denied = partitions.iter().filter(|partition| partition.state == LaneState::Denied);
    Row {
        name: topic.topic.clone(),
        denied: denied.clone().count(),
        error: denied.next().and_then(|partition| partition.last_error.clone()),
        partitions: partitions.len(),
        stopped: partitions
            .iter()
            .filter(|partition| partition.state == LaneState::Stopped)
            .count(),
        percent: percent(done, all),
        records: partitions.iter().map(|partition| partition.records_copied).sum(),
        bytes: partitions.iter().map(|partition| partition.bytes_copied).sum(),
        lag_records: partitions.iter().map(|partition| partition.lag_records).sum(),
        ..Row::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

#[expect(clippy::cast_precision_loss, reason = "a percentage for people to read")]
fn total(topics: &[Row], progress: &Progress) -> Row {
    let (mut done, mut all) = (0.0, 0.0);
    for (topic, row) in progress.topics.iter().zip(topics) {
        let offsets: i64 = topic
            .partitions
            .iter()
            .filter(|p| p.source_end >= 0)
            .map(|p| (p.source_end - p.source_start.max(0)).max(0))
            .sum();
        done += offsets as f64 * row.percent / 100.0;
        all += offsets as f64;
    }
    Row {
        partitions: topics.iter().map(|row| row.partitions).sum(),
        stopped: topics.iter().map(|row| row.stopped).sum(),
        denied: topics.iter().map(|row| row.denied).sum(),
        error: topics.iter().find_map(|row| row.error.clone()),
        percent: if all > 0.0 { rounded(done / all * 100.0) } else { 100.0 },
        records: topics.iter().map(|row| row.records).sum(),
        bytes: topics.iter().map(|row| row.bytes).sum(),
        lag_records: topics.iter().map(|row| row.lag_records).sum(),
        ..Row::default()
    }
}

/// Never 100 while something is missing.
#[expect(clippy::cast_precision_loss, reason = "a percentage for people to read")]
fn percent(done: i64, all: i64) -> f64 {
    if done >= all {
        return 100.0;
    }
    rounded(done as f64 / all as f64 * 100.0).min(99.9)
}

fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "saturating, and for people to read"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

/// The bars on the terminal.
#[derive(Default)]
struct Bars {
    total: Option<ProgressBar>,
    topics: BTreeMap<String, ProgressBar>,
}

impl Bars {
    fn draw(&mut self, output: &Output, view: &View) {
        if view.topics.is_empty() {
            return;
        }
        let total = self.total.get_or_insert_with(|| output.bars().add(bar()));
        // Topics that still move come first; a topic keeps its bar so that nothing jumps.
        let moving = |row: &&Row| row.lag_records > 0 || row.records_per_second >= 1.0;
        for row in view.topics.iter().filter(moving).chain(&view.topics) {
            if self.topics.len() >= BARS_MAX {
                break;
            }
            let add = || output.bars().insert_before(total, bar());
            self.topics.entry(row.name.clone()).or_insert_with(add);
        }
        for row in &view.topics {
            if let Some(bar) = self.topics.get(&row.name) {
                update(bar, &text::safe(&row.name), row);
            }
        }
        let hidden = view.topics.len().saturating_sub(self.topics.len());
        let name =
            if hidden == 0 { "total".to_owned() } else { format!("total (+{hidden} more topics)") };
        update(total, &name, &view.total);
    }

    fn clear(&mut self) {
        for bar in self.topics.values().chain(self.total.as_ref()) {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let colour = super::colour_wanted();
    let template = if colour {
        "{prefix:28} {bar:24.cyan/dim} {wide_msg}"
    } else {
        "{prefix:28} {bar:24} {wide_msg}"
    };
    let style = ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("━━─");
    ProgressBar::new(PARTS).with_style(style)
}

fn update(bar: &ProgressBar, name: &str, row: &Row) {
    bar.set_prefix(shortened(name, 28));
    bar.set_position(row.parts());
    bar.set_message(row.sentence());
}

/// At most `width` characters, the middle left out: names often differ at their ends.
fn shortened(name: &str, width: usize) -> String {
    let count = name.chars().count();
    if count <= width {
        return name.to_owned();
    }
    let head = width / 2;
    let tail = width - head - 1;
    name.chars().take(head).chain(['…']).chain(name.chars().skip(count - tail)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages() {
        let check = |done, all, expected: f64| {
            assert!(
                (percent(done, all) - expected).abs() < 0.001,
                "{done} of {all}: {}",
                percent(done, all)
            )
        };
        check(0, 0, 100.0);
        check(0, 10, 0.0);
        check(5, 10, 50.0);
        check(999_999, 1_000_000, 99.9);
        check(10, 10, 100.0);
        check(i64::MAX, i64::MAX, 100.0);
    }

    #[test]
    fn rates_are_smoothed_and_give_an_eta() {
        let mut rates = Rates::default();
        let start = Instant::now();
        let mut row = Row { records: 0, bytes: 0, lag_records: 1000, ..Row::default() };
        rates.rate(&mut row, start);
        assert_eq!(row.eta_s, None);
        for second in 1..60 {
            row.records += 100;
            row.bytes += 10_000;
            rates.rate(&mut row, start + Duration::from_secs(second));
        }
        assert!((row.records_per_second - 100.0).abs() < 1.0, "{row:?}");
        assert!((row.bytes_per_second - 10_000.0).abs() < 100.0, "{row:?}");
        assert_eq!(row.eta_s, Some(10));
    }

    #[test]
    fn sentences() {
        let row = Row {
            percent: 99.9,
            records: 1_234_567,
            bytes_per_second: 1.5e6,
            records_per_second: 1000.0,
            lag_records: 12,
            eta_s: Some(65),
            partitions: 3,
            stopped: 1,
            ..Row::default()
        };
        assert_eq!(
            row.sentence(),
            "99.9 %, 1,234,567 records, 1.5 MB/s, 1,000 records/s, lag 12, ETA 1 min 5 s, 1 of 3 partitions stopped"
        );
    }

    #[test]
    fn long_names_keep_both_ends() {
        assert_eq!(shortened("abc", 5), "abc");
        assert_eq!(shortened("abcdefgh", 5), "ab…gh");
    }
}
