//! A report on standard output, and how far the comparison is on standard error.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use replicate::verify::report::{Difference, Kind, PartitionReport, Report, Tally};
use serde::Serialize;

use super::Document;
use crate::output::{
    Output, table,
    text::{self, Paint},
};

/// Differences that are shown; the report has more of them.
const SHOWN_MAX: usize = 20;

/// Between two words about how far it is.
const PACE: Duration = Duration::from_secs(5);

/// How far all partitions together are.
pub(super) struct Progress {
    output: Output,
    state: Mutex<Watched>,
}

struct Watched {
    told: Instant,
    tallies: BTreeMap<(String, i32), Tally>,
}

impl Progress {
    pub(super) fn new(output: &Output) -> Self {
        let watched = Watched { told: Instant::now(), tallies: BTreeMap::new() };
        Self { output: output.clone(), state: Mutex::new(watched) }
    }

    pub(super) fn note(&self, report: &PartitionReport) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.tallies.insert((report.source_topic.clone(), report.source_partition), report.tally);
        if state.told.elapsed() < PACE {
            return;
        }
        state.told = Instant::now();
        let mut total = Tally::default();
        state.tallies.values().for_each(|tally| total.add(tally));
        self.output.note(&format!(
            "compared {} records, {}, {} differences so far",
            text::count(total.records),
            text::bytes(total.bytes),
            text::count(total.differences())
        ));
    }
}

/// What a difference is, in words.
pub(super) fn told(kind: &Kind) -> String {
    match kind {
        Kind::Missing => "missing on the target".to_owned(),
        Kind::Extra => "written by this task, not on the source".to_owned(),
        Kind::Changed { parts } => {
            let parts: Vec<_> = parts.iter().map(|part| part.name()).collect();
            format!("changed: {}", parts.join(", "))
        }
        Kind::OutOfOrder => "out of order".to_owned(),
        Kind::WrongPartition { found_partition, found_offset } => {
            format!("in the wrong partition: {found_partition} at {found_offset}")
        }
    }
}

/// What was counted and is no difference, in words; only what there is.
pub(super) fn remarks(report: &Report) -> Vec<String> {
    let totals = &report.totals;
    let counted = [
        (totals.foreign, "records of other writers on the target"),
        (
            totals.expired_on_source,
            "copied records that the source has deleted by age or size since",
        ),
        (
            totals.expired_on_target,
            "copied records that the target has deleted by age or size since",
        ),
        (
            totals.cleaned_on_source,
            "copied records that compaction may have removed from the source since",
        ),
        (
            totals.cleaned_on_target,
            "records that compaction may have removed from the target: cleaned, not proven to be copied",
        ),
        (totals.aborted_batches, "batches of aborted transactions, which are not copied"),
        (totals.offsets_before, "source offsets before the first one that this task copied"),
        (totals.offsets_behind, "source offsets that were not copied yet"),
    ];
    let mut remarks: Vec<String> = counted
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{} {what}", text::count(count)))
        .collect();
    if let Some(groups) = &report.groups {
        let counted = [
            (groups.taken_over, "group positions that somebody else has moved on the target"),
            (groups.ahead_of_copy, "group positions ahead of what is copied"),
            (groups.unknown, "group positions whose place is not known"),
        ];
        let counted = counted.into_iter().filter(|(count, _)| *count > 0);
        remarks.extend(counted.map(|(count, what)| format!("{} {what}", text::count(count))));
    }
    remarks
}

/// Everything that was found.
pub(super) fn all(document: &Document<'_>, is_behind_bad: bool, output: &Output) {
    let report = document.report;
    if output.is_json() {
        lines(document, output);
        return;
    }
    let paint = Paint::stdout();
    output.text(&table_of(report));
    for topic in &report.topics {
        let name = text::safe(&topic.source_topic);
        if let Some((source, target)) = topic.partition_counts {
            output.text(&format!(
                "{name}: {source} partitions on the source, {target} on the target"
            ));
        }
        for setting in &topic.settings {
            let shown =
                |value: &Option<String>| value.as_deref().map_or_else(|| "-".into(), text::safe);
            let (source, target) = (shown(&setting.source), shown(&setting.target));
            output.text(&format!(
                "{name}: {} is {source} on the source, {target} on the target",
                text::safe(&setting.name)
            ));
        }
    }
    let found = report
        .partitions
        .iter()
        .flat_map(|partition| partition.differences.iter().map(move |found| (partition, found)));
    for (partition, found) in found.take(SHOWN_MAX) {
        output.text(&paint.bad(&line(partition, found)));
    }
    let more = report.totals.differences().saturating_sub(u64::try_from(SHOWN_MAX).unwrap_or(0));
    if more > 0 {
        output.text(&format!("and {} more; --report FILE has them", text::count(more)));
    }
    for off in report.groups.iter().flat_map(|groups| &groups.differences).take(SHOWN_MAX) {
        let found = off.found.map_or_else(|| "nowhere".to_owned(), |at| at.to_string());
        let by = off.off_by.map(|by| format!(" (off by {by:+})")).unwrap_or_default();
        output.text(&paint.bad(&format!(
            "group {}: {}:{}@{} belongs at target {}, stands at {found}{by}",
            text::safe(&off.group),
            text::safe(&off.source_topic),
            off.source_partition,
            off.source_offset,
            off.expected
        )));
    }
    for error in report.errors() {
        output.text(&paint.bad(&format!("not compared: {}", text::safe(&error))));
    }
    for remark in remarks(report) {
        output.text(&paint.dim(&remark));
    }
    let behind = report.totals.offsets_behind;
    if document.is_equal {
        let yet = if behind > 0 && !is_behind_bad { ", as far as it has come" } else { "" };
        output.text(&paint.good(&format!("the copy is equal{yet}")));
    }
}

fn table_of(report: &Report) -> String {
    let mut topics: BTreeMap<&str, (usize, Tally)> = BTreeMap::new();
    for partition in &report.partitions {
        let (count, tally) = topics.entry(&partition.source_topic).or_default();
        *count += 1;
        tally.add(&partition.tally);
    }
    let headings = ["topic", "partitions", "records compared", "bytes", "differences"];
    let mut table = table::new(&headings, &[1, 2, 3, 4]);
    for (name, (count, tally)) in topics {
        table.add_row(vec![
            text::safe(name),
            count.to_string(),
            text::count(tally.records),
            text::bytes(tally.bytes),
            text::count(tally.differences()),
        ]);
    }
    table::lines(&table).join("\n")
}

fn line(partition: &PartitionReport, found: &Difference) -> String {
    let offset = |offset: Option<i64>| offset.map_or_else(|| "-".to_owned(), |at| at.to_string());
    format!(
        "{}:{} source {} target {}: {}",
        text::safe(&partition.source_topic),
        partition.source_partition,
        offset(found.source_offset),
        offset(found.target_offset),
        told(&found.kind)
    )
}

/// One object per difference, and one with the counts.
fn lines(document: &Document<'_>, output: &Output) {
    #[derive(Serialize)]
    struct Line<'a> {
        r#type: &'static str,
        topic: &'a str,
        partition: i32,
        target_topic: &'a str,
        target_partition: i32,
        #[serde(flatten)]
        difference: &'a Difference,
    }
    let report = document.report;
    for partition in &report.partitions {
        for difference in &partition.differences {
            output.json(&Line {
                r#type: "difference",
                topic: &partition.source_topic,
                partition: partition.source_partition,
                target_topic: &partition.target_topic,
                target_partition: partition.target_partition,
                difference,
            });
        }
    }
    let errors: Vec<_> = report.errors().collect();
    output.json(&serde_json::json!({
        "type": "verified",
        "equal": document.is_equal,
        "finished": report.is_finished,
        "differences": document.differences,
        "kferry": document.kferry,
        "task": report.task,
        "source_cluster_id": report.source_cluster_id,
        "target_cluster_id": report.target_cluster_id,
        "started_ms": report.started_ms,
        "ended_ms": report.ended_ms,
        "partitions": report.partitions.len(),
        "totals": report.totals,
        "topics": report.topics,
        "groups": report.groups,
        "errors": errors,
    }));
}
