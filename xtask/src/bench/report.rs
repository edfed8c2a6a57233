//! What a run found: tables, goals and curves; as text, as JSON, and (in [`super::html`]) as a page.

use super::stats::Spread;
use crate::output::line;
use serde::Serialize;
use std::fmt::Write as _;

/// A whole run.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) machine: Machine,
    pub(super) rounds: usize,
    pub(super) megabytes: u64,
    pub(super) suites: Vec<Suite>,
}

/// Where it ran; figures of different machines do not compare, ratios do.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    pub(super) cpus: usize,
    pub(super) cpu_model: String,
    pub(super) kernel: String,
    pub(super) started: String,
    /// Runnable processes over the minute before the start: what else the machine did.
    pub(super) load_before: String,
}

/// One suite's findings.
#[derive(Debug, Default, Serialize)]
pub(super) struct Suite {
    pub(super) name: String,
    /// What was done, in sentences.
    pub(super) about: String,
    pub(super) tables: Vec<Table>,
    pub(super) curves: Vec<Curves>,
    pub(super) goals: Vec<Goal>,
    /// What a reader must know, such as a peer that is missing.
    pub(super) notes: Vec<String>,
    pub(super) seconds: f64,
}

/// Rows of measurements.
#[derive(Debug, Serialize)]
pub(super) struct Table {
    pub(super) title: String,
    /// Name and digits after the point.
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
    /// The column that is plotted.
    pub(super) plot: Option<usize>,
}

#[derive(Debug, Serialize)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) digits: usize,
}

#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) values: Vec<Spread>,
}

/// Several curves in one plot.
#[derive(Debug, Serialize)]
pub(super) struct Curves {
    pub(super) title: String,
    pub(super) x: &'static str,
    pub(super) y: &'static str,
    pub(super) curves: Vec<(String, Vec<(f64, f64)>)>,
}

/// A measured value beside what it should be.
#[derive(Debug, Serialize)]
pub(super) struct Goal {
    pub(super) what: String,
    pub(super) measured: f64,
    pub(super) bound: Bound,
    pub(super) unit: &'static str,
    pub(super) holds: bool,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Goal {
    pub(super) fn new(
        what: impl Into<String>,
        measured: f64,
        bound: Bound,
        unit: &'static str,
    ) -> Self {
        let holds = match bound {
            Bound::AtMost(bound) => measured <= bound,
            Bound::AtLeast(bound) => measured >= bound,
        };
        Self { what: what.into(), measured, bound, unit, holds }
    }

    pub(super) fn wanted(&self) -> String {
        match self.bound {
            Bound::AtMost(bound) => format!("at most {bound} {}", self.unit),
            Bound::AtLeast(bound) => format!("at least {bound} {}", self.unit),
        }
    }

    pub(super) fn found(&self) -> String {
        format!("{} {}", number(self.measured, 2), self.unit)
    }

    pub(super) const fn verdict(&self) -> &'static str {
        if self.measured.is_nan() {
            "not measured"
        } else if self.holds {
            "holds"
        } else {
            "missed"
        }
    }
}

impl Suite {
    pub(super) fn new(name: &str, about: impl Into<String>) -> Self {
        Self { name: name.to_owned(), about: about.into(), ..Self::default() }
    }

    /// Shows it on the terminal.
    pub(super) fn print(&self) {
        line(format_args!("\n== {} ({:.0} s)\n{}", self.name, self.seconds, self.about));
        for table in &self.tables {
            line(format_args!("\n{}", table.text()));
        }
        if !self.goals.is_empty() {
            line("");
        }
        for goal in &self.goals {
            let (what, found, wanted) = (&goal.what, goal.found(), goal.wanted());
            line(format_args!("{:<12} {what}: {found} ({wanted})", goal.verdict()));
        }
        for note in &self.notes {
            line(format_args!("note: {note}"));
        }
    }
}

impl Table {
    fn text(&self) -> String {
        let width = self.rows.iter().map(|row| row.name.chars().count()).max().unwrap_or(0);
        let width = width.max(self.title.chars().count());
        let mut text = format!("{:<width$}", self.title);
        for column in &self.columns {
            let _ = write!(text, " {:>22}", column.name);
        }
        for row in &self.rows {
            let _ = write!(text, "\n{:<width$}", row.name);
            for (value, column) in row.values.iter().zip(&self.columns) {
                let _ = write!(text, " {:>22}", cell(value, column.digits));
            }
        }
        text
    }
}

/// `1.20 (1.10-1.40)`; the range only when there is one.
pub(super) fn cell(value: &Spread, digits: usize) -> String {
    let median = number(value.median, digits);
    if value.rounds.len() < 2 {
        return median;
    }
    format!("{median} ({}-{})", number(value.low, digits), number(value.high, digits))
}

fn number(value: f64, digits: usize) -> String {
    if value.is_nan() { "-".to_owned() } else { format!("{value:.digits$}") }
}

#[cfg(test)]
mod tests {
    use super::{Bound, Column, Goal, Row, Spread, Table};

    #[test]
    fn goals() {
        let check = |measured, bound, expected: &str| {
            assert_eq!(Goal::new("x", measured, bound, "x").verdict(), expected, "{measured}");
        };
        check(1.3, Bound::AtMost(1.3), "holds");
        check(1.31, Bound::AtMost(1.3), "missed");
        check(4.0, Bound::AtLeast(4.0), "holds");
        check(3.9, Bound::AtLeast(4.0), "missed");
        check(f64::NAN, Bound::AtLeast(4.0), "not measured");
    }

    #[test]
    fn tables() {
        let table = Table {
            title: "case".to_owned(),
            columns: vec![Column { name: "CPU", digits: 2 }, Column { name: "rate", digits: 0 }],
            rows: vec![Row {
                name: "relay".to_owned(),
                values: vec![Spread::of([1.0, 2.0, 1.5]), Spread::of([])],
            }],
            plot: None,
        };
        let text = table.text();
        assert!(text.contains("1.50 (1.00-2.00)"), "{text}");
        assert!(text.ends_with(" -"), "{text}");
    }
}
