//! A plan in words and as JSON.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use kafka_client::Acl;

use replicate::{
    acls::LeaveReason,
    plan::{AclPlan, Action, Finding, GroupPlan, Plan, TopicPlan},
};
use serde::Serialize;

use crate::{
    config::TaskSetup,
    output::{Output, table, text, text::Paint},
};

/// Groups named in one line.
const GROUPS_MAX: usize = 20;

/// ACLs of one kind that are shown.
const ACLS_MAX: usize = 50;

/// A finding with its words.
#[derive(Serialize)]
struct Told<'a> {
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cure: Option<String>,
    #[serde(flatten)]
    finding: &'a Finding,
}

pub(super) fn show(plan: &Plan, setup: &TaskSetup, output: &Output) {
    if output.is_json() {
        json(plan, output);
        return;
    }
    let cluster = |name: &str, id: &Option<String>| match id {
        Some(id) => format!("{} (cluster {})", text::safe(name), text::safe(id)),
        None => text::safe(name),
    };
    output.text(&format!(
        "{}: {} from {} to {}",
        plan.task,
        plan.sync,
        cluster(&setup.source.config.name, &plan.source_cluster),
        cluster(&setup.target.config.name, &plan.target_cluster),
    ));
    for line in topics(&plan.topics).into_iter().chain(settings(&plan.topics)) {
        output.text(&line);
    }
    if let Some(groups) = &plan.groups {
        output.text(&group_line(groups));
    }
    for line in plan.acls.iter().flat_map(acls) {
        output.text(&line);
    }
    if plan.sync.copies_data() {
        output.text(&volume(plan));
    }
    findings(plan, output);
}

fn json(plan: &Plan, output: &Output) {
    #[derive(Serialize)]
    struct Line<'a> {
        r#type: &'static str,
        blocked: bool,
        #[serde(flatten)]
        plan: &'a Plan,
    }
    let line = Line { r#type: "plan", blocked: plan.is_blocked(), plan };
    let told = |finding| Told {
        message: Finding::to_string(finding),
        cure: finding.problem.cure(),
        finding,
    };
    let findings: Vec<_> = plan.findings.iter().map(told).collect();
    match (serde_json::to_value(line), serde_json::to_value(findings)) {
        (Ok(mut line), Ok(findings)) => {
            line["findings"] = findings;
            output.json(&line);
        }
        (Err(error), _) | (_, Err(error)) => {
            tracing::error!(%error, "a plan could not be written as JSON");
        }
    }
}

fn topics(topics: &[TopicPlan]) -> Vec<String> {
    if topics.is_empty() {
        return Vec::new();
    }
    let headings = ["", "topic", "partitions", "replicas", "records", "bytes, about"];
    let mut table = table::new(&headings, &[2, 3, 4, 5]);
    for topic in topics {
        let (action, partitions, replicas) = match &topic.action {
            Action::Create { partitions, replication_factor, .. } => (
                "create",
                partitions.to_string(),
                match replication_factor {
                    -1 => "default".to_owned(),
                    count => count.to_string(),
                },
            ),
            Action::Grow { from, to } => ("grow", format!("{from} to {to}"), String::new()),
            Action::Keep { partitions } => ("keep", partitions.to_string(), String::new()),
            _ => ("refuse", topic.source_partitions.to_string(), String::new()),
        };
        let mut name = text::safe(&topic.topic);
        if topic.topic != topic.target_topic {
            let _ = write!(name, " as {}", text::safe(&topic.target_topic));
        }
        let bytes = topic.bytes_estimated.map_or_else(|| "unknown".to_owned(), text::bytes);
        let records = text::count(topic.records);
        table.add_row(vec![action.to_owned(), name, partitions, replicas, records, bytes]);
    }
    table::lines(&table)
}

/// The settings of topics that are made, and what is not as the source has it.
fn settings(topics: &[TopicPlan]) -> Vec<String> {
    let mut lines = Vec::new();
    for topic in topics {
        let Action::Create { settings, skipped, .. } = &topic.action else { continue };
        let name = text::safe(&topic.target_topic);
        let settings: Vec<_> =
            settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        lines.push(format!("{name}: {}", text::safe(&settings.join(" "))));
        for skipped in skipped {
            let value = skipped.value.as_deref().unwrap_or("?");
            let setting = text::safe(&format!("{}={value}", skipped.key));
            lines.push(format!(
                "{name}: not {setting}: {}",
                text::safe(&skipped.reason.to_string())
            ));
        }
    }
    lines
}

fn group_line(groups: &GroupPlan) -> String {
    let named: Vec<_> =
        groups.make_known.iter().take(GROUPS_MAX).map(|group| text::safe(group)).collect();
    let more = if groups.make_known.len() > GROUPS_MAX { ", and more" } else { "" };
    let names =
        if named.is_empty() { String::new() } else { format!(": {}{more}", named.join(", ")) };
    format!(
        "groups: {} are there, {} to be made known{names}",
        groups.existing.len(),
        if groups.auto_create { groups.make_known.len() } else { 0 },
    )
}

/// ACLs that are made, removed, and that do not travel.
fn acls(plan: &AclPlan) -> Vec<String> {
    let mut lines = vec![format!(
        "ACLs: {} are there, {} to be made, {} to be removed; {} give the right to write, which is withheld",
        plan.existing,
        plan.make.len(),
        plan.remove.len(),
        plan.withheld.len()
    )];
    acl_lines(&mut lines, "make", &plan.make);
    acl_lines(&mut lines, "remove", &plan.remove);
    acl_lines(&mut lines, "withhold", &plan.withheld);
    let mut reasons: BTreeMap<LeaveReason, Vec<&Acl>> = BTreeMap::new();
    for left in &plan.left_out {
        reasons.entry(left.reason).or_default().push(&left.acl);
    }
    for (reason, left) in reasons {
        lines.push(format!("! {} ACLs left out: {reason}", left.len()));
        acl_lines(&mut lines, "leave", left);
    }
    lines
}

fn acl_lines<'a>(
    lines: &mut Vec<String>,
    action: &str,
    acls: impl IntoIterator<Item = &'a Acl, IntoIter: ExactSizeIterator>,
) {
    let acls = acls.into_iter();
    let more = acls.len().saturating_sub(ACLS_MAX);
    for acl in acls.take(ACLS_MAX) {
        lines.push(format!("  {action:<8} {}", text::safe(&acl.to_string())));
    }
    if more > 0 {
        lines.push(format!("  {action:<8} {more} more"));
    }
}

fn volume(plan: &Plan) -> String {
    let mut line = format!("to copy: {} records", text::count(plan.records));
    match plan.bytes_estimated {
        Some(bytes) => {
            let _ = write!(line, ", about {} (estimated from samples)", text::bytes(bytes));
        }
        None => line.push_str(", of unknown size (nothing could be sampled)"),
    }
    if let Some(seconds) = plan.eta_s {
        let _ =
            write!(line, ", {} at the rate limit", text::duration(Duration::from_secs(seconds)));
    }
    line
}

fn findings(plan: &Plan, output: &Output) {
    let paint = Paint::stdout();
    for finding in &plan.findings {
        let mark = if finding.blocks { paint.bad("✗") } else { paint.odd("!") };
        output.text(&format!("{mark} {}", text::safe(&finding.to_string())));
        if let Some(cure) = finding.problem.cure() {
            output.text(&format!("  cure: {}", text::safe(&cure)));
        }
    }
    let blocking = plan.findings.iter().filter(|finding| finding.blocks).count();
    output.text(&match blocking {
        0 => paint.good("nothing is in the way"),
        1 => paint.bad("1 finding has to be put right first"),
        count => paint.bad(&format!("{count} findings have to be put right first")),
    });
}
