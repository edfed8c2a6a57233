//! The report as one page that needs nothing else: no script, no font, no picture from elsewhere.

use std::fmt::Write as _;

use replicate::verify::report::{GroupsReport, PartitionReport, Report};

use super::{Document, show};
use crate::output::text;

/// Differences on the page; the JSON has more of them.
const SHOWN_MAX: usize = 50_000;

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1b1f24;background:#fff}\
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}\
.verdict{padding:.8rem 1rem;border-radius:.4rem;font-weight:600}\
.good{background:#e3f5e6;color:#14532d}.bad{background:#fde8e8;color:#7f1d1d}\
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}\
th,td{text-align:left;padding:.25rem .8rem .25rem 0;border-bottom:1px solid #d9dde2;vertical-align:top}\
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.2rem}dt{color:#57606a}dd{margin:0}\
@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#15181c}th,td{border-color:#343a42}\
.good{background:#143d22;color:#d3f5dc}.bad{background:#4c1616;color:#fbdcdc}dt{color:#9aa4af}}";

/// Text between tags and in attributes.
fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text::safe(text).chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            other => out.push(other),
        }
    }
    out
}

/// A page under construction.
struct Page(String);

impl Page {
    fn add(&mut self, html: &str) {
        self.0.push_str(html);
    }

    fn fact(&mut self, name: &str, value: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "<dt>{}</dt><dd>{}</dd>", safe(name), safe(value));
    }

    /// A table; columns from `numbers` on are numbers.
    fn table(
        &mut self,
        headings: &[&str],
        numbers: usize,
        rows: impl Iterator<Item = Vec<String>>,
    ) {
        let class = |index: usize| if index >= numbers { " class=\"n\"" } else { "" };
        self.add("<div class=\"wide\"><table><thead><tr>");
        for (index, heading) in headings.iter().enumerate() {
            let _ = write!(self.0, "<th{}>{}</th>", class(index), safe(heading));
        }
        self.add("</tr></thead><tbody>");
        for row in rows {
            self.add("<tr>");
            for (index, cell) in row.iter().enumerate() {
                let _ = write!(self.0, "<td{}>{}</td>", class(index), safe(cell));
            }
            self.add("</tr>");
        }
        self.add("</tbody></table></div>");
    }
}

/// The whole page.
pub(super) fn render(document: &Document<'_>) -> String {
    let report = document.report;
    let mut page = Page(String::new());
    page.add("<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.add("<meta name=\"viewport\" content=\"width=device-width\"><title>kferry verify</title>");
    page.add(&format!("<style>{STYLE}</style></head><body><h1>Copy compared with its source</h1>"));
    verdict(&mut page, document);
    facts(&mut page, document);
    let remarks = show::remarks(report);
    if !remarks.is_empty() {
        page.add("<h2>Counted, and no differences</h2><ul>");
        remarks.iter().for_each(|remark| page.add(&format!("<li>{}</li>", safe(remark))));
        page.add("</ul>");
    }
    if report.errors().next().is_some() {
        page.add("<h2>Not compared</h2><ul>");
        report.errors().for_each(|error| page.add(&format!("<li>{}</li>", safe(&error))));
        page.add("</ul>");
    }
    differences(&mut page, report);
    topics(&mut page, report);
    if let Some(groups) = &report.groups {
        self::groups(&mut page, groups);
    }
    page.add("<h2>Partitions</h2>");
    let headings = [
        "topic",
        "target",
        "state",
        "from offset",
        "to offset",
        "records",
        "bytes",
        "as they are",
        "differences",
    ];
    page.table(&headings, 3, report.partitions.iter().map(partition));
    page.add("</body></html>\n");
    page.0
}

fn verdict(page: &mut Page, document: &Document<'_>) {
    let report = document.report;
    let behind = report.totals.offsets_behind;
    let (class, words) = if document.is_equal && behind > 0 {
        (
            "good",
            format!(
                "Equal, as far as it has come: {} source offsets were not copied yet",
                text::count(behind)
            ),
        )
    } else if document.is_equal {
        ("good", "Equal".to_owned())
    } else if !report.is_finished {
        ("bad", "Ended before everything was compared".to_owned())
    } else if document.differences == 0 && report.errors().next().is_some() {
        ("bad", "Not everything could be compared".to_owned())
    } else if document.differences == 0 {
        ("bad", "Not everything is copied yet".to_owned())
    } else {
        ("bad", format!("{} differences", text::count(document.differences)))
    };
    page.add(&format!("<p class=\"verdict {class}\">{}</p>", safe(&words)));
}

fn facts(page: &mut Page, document: &Document<'_>) {
    let (report, totals) = (document.report, &document.report.totals);
    let or_none =
        |text: &Option<String>| text.clone().unwrap_or_else(|| "without an id".to_owned());
    page.add("<dl>");
    page.fact("task", report.task.as_deref().unwrap_or("-"));
    page.fact("topics", document.topics_asked.unwrap_or("all that the task has copied"));
    page.fact("source cluster", &or_none(&report.source_cluster_id));
    page.fact("target cluster", &or_none(&report.target_cluster_id));
    page.fact("began", &text::timestamp(report.started_ms));
    page.fact("ended", &text::timestamp(report.ended_ms));
    page.fact("kferry", document.kferry);
    page.fact("compared", "every record: key, value, headers with their order, timestamp, partition, order; settings, partition counts, group positions");
    page.fact("records compared", &text::count(totals.records));
    page.fact("bytes read from the source", &text::bytes(totals.bytes));
    for (name, count) in [
        ("missing", totals.missing),
        ("extra", totals.extra),
        ("changed", totals.changed),
        ("out of order", totals.out_of_order),
        ("in the wrong partition", totals.wrong_partition),
        ("groups off", report.groups.as_ref().map_or(0, |groups| groups.off)),
    ] {
        page.fact(name, &text::count(count));
    }
    page.add("</dl>");
}

fn differences(page: &mut Page, report: &Report) {
    let named: usize = report.partitions.iter().map(|found| found.differences.len()).sum();
    if report.totals.differences() == 0 {
        return;
    }
    page.add("<h2>Differences</h2>");
    let offset = |offset: Option<i64>| offset.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let rows = report.partitions.iter().flat_map(|partition| {
        partition.differences.iter().map(move |found| {
            vec![
                format!("{}:{}", partition.source_topic, partition.source_partition),
                show::told(&found.kind),
                offset(found.source_offset),
                offset(found.target_offset),
            ]
        })
    });
    page.table(&["partition", "what", "source offset", "target offset"], 2, rows.take(SHOWN_MAX));
    let shown = u64::try_from(named.min(SHOWN_MAX)).unwrap_or(0);
    let more = report.totals.differences().saturating_sub(shown);
    if more > 0 {
        page.add(&format!("<p>{} more are counted and not listed here.</p>", text::count(more)));
    }
}

fn topics(page: &mut Page, report: &Report) {
    let rows = report.topics.iter().flat_map(|topic| {
        let counts = topic.partition_counts.iter().map(|(source, target)| {
            ["number of partitions".to_owned(), source.to_string(), target.to_string()]
        });
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let settings = topic.settings.iter().map(move |setting| {
            [setting.name.clone(), shown(&setting.source), shown(&setting.target)]
        });
        let name = topic.source_topic.clone();
        counts
            .chain(settings)
            .map(move |[what, source, target]| vec![name.clone(), what, source, target])
    });
    let rows: Vec<_> = rows.collect();
    if !rows.is_empty() {
        page.add("<h2>Topics that differ</h2>");
        page.table(&["topic", "setting", "source", "target"], 9, rows.into_iter());
    }
}

fn groups(page: &mut Page, groups: &GroupsReport) {
    page.add("<h2>Consumer groups</h2>");
    page.add(&format!(
        "<p>{} positions are where they belong, {} are off.</p>",
        text::count(groups.equal),
        text::count(groups.off)
    ));
    if groups.differences.is_empty() {
        return;
    }
    let headings = ["group", "partition", "source offset", "belongs at", "stands at", "off by"];
    let number = |number: Option<i64>| number.map_or_else(|| "-".to_owned(), |at| at.to_string());
    let rows = groups.differences.iter().map(|off| {
        vec![
            off.group.clone(),
            format!("{}:{}", off.source_topic, off.source_partition),
            off.source_offset.to_string(),
            off.expected.to_string(),
            number(off.found),
            number(off.off_by),
        ]
    });
    page.table(&headings, 2, rows);
}

fn partition(found: &PartitionReport) -> Vec<String> {
    let state = match (&found.error, found.is_done) {
        (Some(_), _) => "not compared to its end",
        (None, true) => "compared",
        (None, false) => "in part",
    };
    let tally = &found.tally;
    vec![
        format!("{}:{}", found.source_topic, found.source_partition),
        format!("{}:{}", found.target_topic, found.target_partition),
        state.to_owned(),
        found.source_start.to_string(),
        found.source_next.to_string(),
        text::count(tally.records),
        text::bytes(tally.bytes),
        text::count(tally.batches_as_is),
        text::count(tally.differences()),
    ]
}

#[cfg(test)]
mod tests {
    use replicate::verify::report::{Difference, Kind, Part};

    use super::*;

    #[test]
    fn names_from_the_network_are_text_and_nothing_comes_from_elsewhere() {
        let difference = Difference {
            source_offset: Some(3),
            target_offset: None,
            kind: Kind::Changed { parts: vec![Part::Key, Part::Headers] },
            contents: Default::default(),
        };
        let mut report = Report { task: Some("<script>".into()), ..Report::default() };
        report.totals.changed = 2;
        report.partitions.push(PartitionReport {
            source_topic: "a\"><img src=x>".into(),
            error: Some("<b>".into()),
            differences: vec![difference],
            ..PartitionReport::default()
        });
        let document = Document {
            kferry: "0",
            is_equal: false,
            differences: 2,
            topics_asked: None,
            report: &report,
        };
        let page = render(&document);
        for wrong in ["<script", "<img", "<b>", "http", "url(", "src="] {
            let is_text = page.contains(&wrong.replace('<', "&lt;")) && !page.contains(wrong);
            assert!(!page.contains(wrong) || is_text || wrong == "src=", "{wrong}");
        }
        assert!(page.contains("changed: key, headers") && page.contains("1 more are counted"));
        assert!(page.starts_with("<!doctype html>") && page.ends_with("</body></html>\n"));
    }
}
