//! What a campaign did, and what the judge found.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::subject;

/// What the judge says about one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The topic.
    pub topic: String,
    /// Records that the source shows (committed ones).
    pub source: u64,
    /// Records on the target.
    pub target: u64,
    /// The source has them, the target does not.
    pub lost: u64,
    /// The target has them once more than the source.
    pub doubled: u64,
    /// They stand behind a record that they precede on the source.
    pub disordered: u64,
    /// Timestamp, key, value or headers differ.
    pub changed: u64,
    /// The source never showed them: records of aborted transactions, for example.
    pub foreign: u64,
    /// Some of the records in question.
    pub examples: Vec<String>,
}

impl Verdict {
    /// Whether the copy of the topic is exact.
    pub const fn is_clean(&self) -> bool {
        self.lost + self.doubled + self.disordered + self.changed + self.foreign == 0
    }
}

/// A campaign's whole result.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The seed of its choices.
    pub seed: u64,
    /// How long faults happened.
    pub time: Duration,
    /// What was done, how often.
    pub faults: BTreeMap<&'static str, u64>,
    /// What the load did: lines of topic, records, records failed, transactions committed and aborted, producers renewed.
    pub load: Vec<Vec<String>>,
    /// Events that kferry told, by name.
    pub events: BTreeMap<String, u64>,
    /// Why partitions stopped meanwhile (each reason once); a restart takes them up again.
    pub stops: Vec<String>,
    /// Topic by topic.
    pub verdicts: Vec<Verdict>,
    /// Other faults of kferry, in words.
    pub complaints: Vec<String>,
    /// Where state and logs are, while they are kept.
    pub directories: Vec<PathBuf>,
}

impl Report {
    /// What is wrong; nothing when the copy is exact.
    pub fn findings(&self) -> Vec<String> {
        let bad = self.verdicts.iter().filter(|verdict| !verdict.is_clean());
        let bad = bad.map(|verdict| format!("{} is not the same on both sides", verdict.topic));
        let empty = self.verdicts.iter().filter(|verdict| verdict.source == 0);
        let empty =
            empty.map(|verdict| format!("{} has no records: nothing was shown", verdict.topic));
        bad.chain(empty).chain(self.complaints.iter().cloned()).collect()
    }

    pub(super) fn count(&mut self, fault: &'static str) {
        *self.faults.entry(fault).or_default() += 1;
    }

    pub(super) fn times(&self, fault: &str) -> u64 {
        self.faults.get(fault).copied().unwrap_or_default()
    }

    /// Reads what kferry wrote: events by name, reasons of stopped partitions, panics.
    pub(super) fn read_logs(&mut self, directory: &Path) {
        let read = |name: &str| {
            let bytes = std::fs::read(directory.join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        for line in read(subject::EVENTS).lines() {
            // A killed process leaves half a line.
            let Ok(line) = serde_json::from_str::<serde_json::Value>(line) else { continue };
            let Some(event) = line["event"].as_str() else { continue };
            *self.events.entry(event.to_owned()).or_default() += 1;
            if event == "lane_stopped" {
                let cause = line["cause"].as_str().unwrap_or_default().to_owned();
                if self.stops.len() < 10 && !self.stops.contains(&cause) {
                    self.stops.push(cause);
                }
            }
        }
        let log = read(subject::LOG);
        let panics = log.lines().filter(|line| line.contains("panicked at"));
        self.complaints.extend(panics.map(|line| format!("kferry panicked: {line}")));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nseed {}, faults for {:.0} s", self.seed, self.time.as_secs_f64())?;
        for (fault, count) in &self.faults {
            writeln!(f, "{count:>8}  {fault}")?;
        }
        writeln!(f, "\n{:>8}  what kferry told", "events")?;
        for (event, count) in &self.events {
            writeln!(f, "{count:>8}  {event}")?;
        }
        for cause in &self.stops {
            writeln!(f, "          stopped: {cause}")?;
        }
        writeln!(f, "\nload: topic, records, failed, transactions committed, aborted, producers")?;
        for line in &self.load {
            writeln!(f, "  {}", line.join(" "))?;
        }
        writeln!(
            f,
            "\n{:<14} {:>9} {:>9} {:>6} {:>8} {:>13} {:>8} {:>8}",
            "topic", "source", "target", "lost", "doubled", "out of order", "changed", "foreign"
        )?;
        let mut all = Verdict { topic: "all".into(), ..Verdict::default() };
        for verdict in &self.verdicts {
            all.source += verdict.source;
            all.target += verdict.target;
            all.lost += verdict.lost;
            all.doubled += verdict.doubled;
            all.disordered += verdict.disordered;
            all.changed += verdict.changed;
            all.foreign += verdict.foreign;
        }
        for verdict in self.verdicts.iter().chain([&all]) {
            writeln!(
                f,
                "{:<14} {:>9} {:>9} {:>6} {:>8} {:>13} {:>8} {:>8}",
                verdict.topic,
                verdict.source,
                verdict.target,
                verdict.lost,
                verdict.doubled,
                verdict.disordered,
                verdict.changed,
                verdict.foreign
            )?;
            for example in &verdict.examples {
                writeln!(f, "    {example}")?;
            }
        }
        let findings = self.findings();
        for finding in &findings {
            writeln!(f, "FINDING: {finding}")?;
        }
        for directory in &self.directories {
            writeln!(f, "kept: {}", directory.display())?;
        }
        let result = if findings.is_empty() { "no finding" } else { "FAILED" };
        write!(f, "{result}, seed {}", self.seed)
    }
}

#[cfg(test)]
mod tests {
    use super::{Report, Verdict};

    #[test]
    fn one_lost_record_is_a_finding() {
        let verdict = |lost| Verdict {
            topic: "t".into(),
            source: 5,
            target: 5 - lost,
            lost,
            ..Verdict::default()
        };
        let check = |lost, findings: usize| {
            let report = Report { verdicts: vec![verdict(lost)], ..Report::default() };
            assert_eq!(report.findings().len(), findings, "{report}");
        };
        check(0, 0);
        check(1, 1);
        let empty = Report { verdicts: vec![Verdict::default()], ..Report::default() };
        assert_eq!(empty.findings().len(), 1, "a campaign without records shows nothing");
    }
}
