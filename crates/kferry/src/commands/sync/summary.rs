//! What a task has done, at its end.

use std::{collections::BTreeMap, fmt::Write as _};

use replicate::{
    progress::{GroupProgress, GroupState, Progress, TableProgress, TopicProgress},
    task::TaskReport,
};
use serde::Serialize;

use crate::{
    failure::Failure,
    output::{Output, table, text},
};

/// Groups named in the last line.
const GROUPS_TOLD_MAX: usize = 5;

/// One topic in the end.
#[derive(Debug, Default, Serialize)]
struct TopicSummary {
    topic: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_topic: Option<String>,
    partitions: usize,
    records: u64,
    bytes: u64,
    batches_as_is: u64,
    batches_rebuilt: u64,
    records_dropped: u64,
    /// Batches that were rebuilt or dropped, by reason.
    reasons: BTreeMap<&'static str, u64>,
    lag_records: i64,
    /// What a rule made of the records, where there is one.
    #[serde(flatten, skip_serializing_if = "Processed::is_none")]
    processed: Processed,
    /// Partitions that need an operator, with what stopped them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stopped: Vec<String>,
}

/// What a rule made of records.
#[derive(Debug, Default, Serialize, PartialEq, Eq)]
struct Processed {
    /// Records that it made.
    records_written: u64,
    /// Records that it could not process.
    records_failed: u64,
    /// Those of them that went to the topic for dead letters.
    dead_letters: u64,
}

impl Processed {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

#[derive(Debug, Serialize)]
struct Summary<'a> {
    r#type: &'static str,
    task: &'a str,
    complete: bool,
    interrupted: bool,
    topics: Vec<TopicSummary>,
    /// Consumer groups in scope, when their offsets are synced.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    groups: &'a [GroupProgress],
    /// Lookup tables that follow topics.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    tables: &'a [TableProgress],
    skipped_topics: usize,
    records: u64,
    bytes: u64,
    elapsed_ms: u64,
    bytes_per_second: u64,
    records_per_second: u64,
}

/// Writes the summary to standard output; with the task's name in the text when there are several.
pub(super) fn show(task: &str, is_one_of_several: bool, report: &TaskReport, output: &Output) {
    let progress = &report.progress;
    let topics: Vec<_> = progress.topics.iter().map(topic).collect();
    let summary = Summary {
        r#type: "result",
        task,
        complete: report.is_complete(),
        interrupted: report.is_interrupted,
        records: topics.iter().map(|topic| topic.records).sum(),
        bytes: topics.iter().map(|topic| topic.bytes).sum(),
        topics,
        groups: &progress.groups,
        tables: &progress.tables,
        skipped_topics: report.skipped,
        elapsed_ms: u64::try_from(progress.elapsed.as_millis()).unwrap_or(u64::MAX),
        bytes_per_second: 0,
        records_per_second: 0,
    };
    let summary = with_rates(summary);
    output.json(&summary);
    if !output.is_json() {
        if is_one_of_several {
            output.text(&format!("{task}:"));
        }
        for line in lines(&summary, progress) {
            output.text(&line);
        }
    }
}

/// Whether the task did what was asked for.
///
/// # Errors
/// A [`Failure`] that names what is missing.
pub(super) fn verdict(report: &TaskReport, once: bool) -> Result<(), Failure> {
    // A sync that goes on carries groups over later; one that ends does not.
    let groups: Vec<_> =
        if once { report.progress.unfinished_groups().collect() } else { Vec::new() };
    if report.stopped == 0 && (report.skipped == 0 || !once) && groups.is_empty() {
        return Ok(());
    }
    let mut parts = Vec::new();
    if report.stopped > 0 {
        parts.push(format!("{} partitions stopped", report.stopped));
    }
    if report.skipped > 0 {
        parts.push(format!("{} topics were not copied", report.skipped));
    }
    if !groups.is_empty() {
        let named: Vec<_> = groups.iter().take(GROUPS_TOLD_MAX).map(|group| why(group)).collect();
        let more = if groups.len() > GROUPS_TOLD_MAX { "; and more" } else { "" };
        let count = groups.len();
        parts.push(format!("{count} groups were not carried over: {}{more}", named.join("; ")));
    }
    if report.stopped == 0 && report.skipped == 0 {
        return Err(Failure::failed(parts.join(", ")).cure(
            "run the same command again: a group is held until the records before its offset are copied",
        ));
    }
    Err(Failure::failed(parts.join(", "))
        .cure("the events above say why; the same command continues once that is put right"))
}

/// A group's name, its state, and the first partition that has it.
fn why(group: &GroupProgress) -> String {
    let mut line = format!("{} {}", text::safe(&group.group), group.state);
    if let Some(at) = group.partitions.iter().find(|at| at.state == group.state) {
        let topic = text::safe(&at.topic);
        let _ = write!(line, " ({topic}-{} at source offset {})", at.partition, at.source_offset);
    }
    line
}

fn topic(topic: &TopicProgress) -> TopicSummary {
    let mut summary = TopicSummary {
        topic: topic.topic.clone(),
        partitions: topic.partitions.len(),
        ..TopicSummary::default()
    };
    summary.target_topic = (topic.target_topic != topic.topic).then(|| topic.target_topic.clone());
    for partition in &topic.partitions {
        summary.records += partition.records_copied;
        summary.bytes += partition.bytes_copied;
        summary.batches_as_is += partition.batches_as_is;
        summary.batches_rebuilt += partition.batches_rebuilt;
        summary.records_dropped += partition.records_dropped;
        summary.lag_records += partition.lag_records;
        summary.processed.records_written += partition.records_written;
        summary.processed.records_failed += partition.records_failed;
        summary.processed.dead_letters += partition.dead_letters;
        for (reason, count) in &partition.reasons {
            *summary.reasons.entry(*reason).or_default() += *count;
        }
        if partition.state == replicate::progress::LaneState::Stopped {
            let cause = partition.last_error.as_deref().unwrap_or("unknown cause");
            summary.stopped.push(format!(
                "partition {} at offset {}: {cause}",
                partition.partition, partition.position
            ));
        }
    }
    summary
}

fn with_rates(mut summary: Summary<'_>) -> Summary<'_> {
    let per_second = |count: u64| {
        u64::try_from(u128::from(count) * 1000 / u128::from(summary.elapsed_ms.max(1)))
            .unwrap_or(u64::MAX)
    };
    (summary.bytes_per_second, summary.records_per_second) =
        (per_second(summary.bytes), per_second(summary.records));
    summary
}

fn lines(summary: &Summary<'_>, progress: &Progress) -> Vec<String> {
    let mut table = table::new(
        &["topic", "partitions", "records", "bytes", "as is", "rebuilt", "dropped", "lag"],
        &[1, 2, 3, 4, 5, 6, 7],
    );
    for topic in &summary.topics {
        table.add_row(vec![
            text::safe(&topic.topic),
            topic.partitions.to_string(),
            text::count(topic.records),
            text::bytes(topic.bytes),
            text::count(topic.batches_as_is),
            text::count(topic.batches_rebuilt),
            text::count(topic.records_dropped),
            text::count(topic.lag_records),
        ]);
    }
    let mut lines = if summary.topics.is_empty() { Vec::new() } else { table::lines(&table) };
    for topic in &summary.topics {
        lines.extend(processed_line(topic));
        lines.extend(topic.stopped.iter().map(|stopped| {
            format!("{}: stopped: {}", text::safe(&topic.topic), text::safe(stopped))
        }));
    }
    lines.extend(group_lines(summary.groups));
    lines.push(format!(
        "{} records, {} in {}: {}/s, {} records/s",
        text::count(summary.records),
        text::bytes(summary.bytes),
        text::duration(progress.elapsed),
        text::bytes(summary.bytes_per_second),
        text::count(summary.records_per_second),
    ));
    lines
}

/// What a rule made of a topic's records.
fn processed_line(topic: &TopicSummary) -> Option<String> {
    let Processed { records_written, records_failed, dead_letters } = topic.processed;
    let name = text::safe(&topic.topic);
    let mut line = format!("{name}: {} records written", text::count(records_written));
    if records_failed > 0 {
        let _ = write!(line, ", {} failed", text::count(records_failed));
    }
    if dead_letters > 0 {
        let _ = write!(line, ", {} of them to dead letters", text::count(dead_letters));
    }
    Some(line).filter(|_| !topic.processed.is_none())
}

/// How many groups are carried over, and by name those that are not.
fn group_lines(groups: &[GroupProgress]) -> Vec<String> {
    const NAMED_MAX: usize = 20;
    if groups.is_empty() {
        return Vec::new();
    }
    let is_synced =
        |group: &&GroupProgress| matches!(group.state, GroupState::Synced | GroupState::Known);
    let synced = groups.iter().filter(is_synced).count();
    let mut lines = vec![format!("{synced} of {} groups carried over", groups.len())];
    let others = groups.iter().filter(|group| !is_synced(group));
    lines.extend(others.take(NAMED_MAX).map(|group| format!("group {}", why(group))));
    if groups.len() - synced > NAMED_MAX {
        lines.push(format!("and {} more", groups.len() - synced - NAMED_MAX));
    }
    lines
}
