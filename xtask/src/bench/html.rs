//! A report as one page that needs nothing else: no script, no network.

use super::report::{Curves, Report, Suite, Table, cell};
use super::svg;
use std::fmt::Write as _;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}\
table{border-collapse:collapse;margin:1rem 0}th,td{padding:.25rem .8rem;text-align:right;border-bottom:1px solid #ddd}\
th:first-child,td:first-child{text-align:left}.holds{color:#06703a}.missed{color:#b00020;font-weight:600}\
.note{color:#555}svg{max-width:100%;height:auto}";

pub(super) fn page(report: &Report) -> String {
    let mut page =
        String::from("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    let _ = write!(page, "<title>kferry bench</title><style>{STYLE}</style></head><body>");
    let machine = &report.machine;
    let _ = write!(
        page,
        "<h1>kferry bench</h1><p>{}, {} CPUs ({}), Linux {}, load before the start {}. {} rounds, {} MB per case and round. \
         Medians; the lowest and highest round in parentheses. Ratios are formed within each round and travel between machines; single \
         figures do not.</p>",
        escape(&machine.started),
        machine.cpus,
        escape(&machine.cpu_model),
        escape(&machine.kernel),
        escape(&machine.load_before),
        report.rounds,
        report.megabytes
    );
    goals(&mut page, report);
    for suite in &report.suites {
        section(&mut page, suite);
    }
    page.push_str("</body></html>\n");
    page
}

fn goals(page: &mut String, report: &Report) {
    page.push_str("<h2>Goals</h2><table><tr><th>suite</th><th>what</th><th>measured</th><th>wanted</th><th></th></tr>");
    for suite in &report.suites {
        for goal in &suite.goals {
            let verdict = goal.verdict();
            let class = verdict.split(' ').next().unwrap_or("");
            let _ = write!(
                page,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"{class}\">{verdict}</td></tr>",
                escape(&suite.name),
                escape(&goal.what),
                escape(&goal.found()),
                escape(&goal.wanted())
            );
        }
    }
    page.push_str("</table>");
}

fn section(page: &mut String, suite: &Suite) {
    let _ = write!(page, "<h2>{}</h2><p>{}</p>", escape(&suite.name), escape(&suite.about));
    for table in &suite.tables {
        html_table(page, table);
    }
    for Curves { title, x, y, curves } in &suite.curves {
        let _ = write!(page, "<h3>{}</h3>{}", escape(title), svg::curves(x, y, curves));
    }
    for note in &suite.notes {
        let _ = write!(page, "<p class=\"note\">{}</p>", escape(note));
    }
}

fn html_table(page: &mut String, table: &Table) {
    let _ = write!(page, "<table><tr><th>{}</th>", escape(&table.title));
    for column in &table.columns {
        let _ = write!(page, "<th>{}</th>", escape(column.name));
    }
    page.push_str("</tr>");
    for row in &table.rows {
        let _ = write!(page, "<tr><td>{}</td>", escape(&row.name));
        for (value, column) in row.values.iter().zip(&table.columns) {
            let _ = write!(page, "<td>{}</td>", cell(value, column.digits));
        }
        page.push_str("</tr>");
    }
    page.push_str("</table>");
    if let Some(column) = table.plot
        && let Some(named) = table.columns.get(column)
    {
        let bars =
            table.rows.iter().filter_map(|row| Some((row.name.as_str(), row.values.get(column)?)));
        page.push_str(&svg::bars(named.name, &bars.collect::<Vec<_>>()));
    }
}

/// Text that may stand in an element or an attribute.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::super::report::{Bound, Column, Curves, Goal, Machine, Report, Row, Suite, Table};
    use super::super::stats::Spread;
    use super::page;

    #[test]
    fn the_page_stands_alone() {
        let mut suite = Suite::new("null", "A < B.");
        suite.tables.push(Table {
            title: "case".to_owned(),
            columns: vec![Column { name: "CPU-s/GB", digits: 2 }],
            rows: vec![Row { name: "a & b".to_owned(), values: vec![Spread::of([1.0, 2.0])] }],
            plot: Some(0),
        });
        suite.curves.push(Curves {
            title: "memory".to_owned(),
            x: "s",
            y: "MiB",
            curves: vec![("kferry".to_owned(), vec![(0.0, 1.0), (1.0, 2.0)])],
        });
        suite.goals.push(Goal::new("relay", 1.5, Bound::AtMost(1.3), "x"));
        let machine = Machine {
            cpus: 2,
            cpu_model: "x".to_owned(),
            kernel: "6".to_owned(),
            started: "now".to_owned(),
            load_before: "0".to_owned(),
        };
        let page = page(&Report { machine, rounds: 2, megabytes: 1, suites: vec![suite] });
        for expected in
            ["A &lt; B.", "a &amp; b", "<svg", "missed", "at most 1.3 x", "1.50 (1.00-2.00)"]
        {
            assert!(page.contains(expected), "{expected}");
        }
        for unwanted in ["http://", "https://", "<script", "src="] {
            // The namespace of SVG is not needed inside HTML.
            assert!(!page.contains(unwanted), "{unwanted}");
        }
    }
}
