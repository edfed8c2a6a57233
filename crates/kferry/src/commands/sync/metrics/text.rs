//! The Prometheus text exposition, version 0.0.4.

use std::fmt::Write as _;

/// Names and values of labels.
pub(super) type Labels<'a> = &'a [(&'a str, &'a str)];

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// It only rises, while the process lives.
    Counter,
    /// It rises and falls.
    Gauge,
}

/// A page under construction: families in order, each with its samples.
#[derive(Debug, Default)]
pub(super) struct Exposition {
    text: String,
    name: String,
}

impl Exposition {
    /// Begins a metric; `name` has its unit, and `_total` for a counter.
    pub(super) fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        name.clone_into(&mut self.name);
        // Writing to a string cannot fail.
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One value of the metric that was begun last.
    pub(super) fn sample(&mut self, labels: Labels<'_>, value: f64) {
        self.text.push_str(&self.name);
        for (index, (name, value)) in labels.iter().enumerate() {
            let open = if index == 0 { '{' } else { ',' };
            let _ = write!(self.text, "{open}{name}=\"");
            for character in value.chars() {
                match character {
                    '\\' => self.text.push_str("\\\\"),
                    '"' => self.text.push_str("\\\""),
                    '\n' => self.text.push_str("\\n"),
                    other => self.text.push(other),
                }
            }
            self.text.push('"');
        }
        let close = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn label_values_are_escaped() {
        let mut out = Exposition::default();
        out.family("a_total", Kind::Counter, "Help.");
        out.sample(&[("group", "x\"y\\z\n"), ("b", "ü")], 3.0);
        out.sample(&[], 0.5);
        let expected = "# HELP a_total Help.\n# TYPE a_total counter\na_total{group=\"x\\\"y\\\\z\\n\",b=\"ü\"} 3\na_total 0.5\n";
        assert_eq!(out.into_text(), expected);
    }
}
