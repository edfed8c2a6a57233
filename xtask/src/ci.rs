//! `cargo xtask ci`: all that decides about a change, in one run, to the end.

use crate::output::line;
use crate::run::Tally;
use crate::{dist, fuzz, lint, sim, testing, tidy};
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// Seconds for each fuzz target.
const FUZZ_SECONDS: u32 = 30;

type Step = (&'static str, fn() -> Result<Tally>);

/// Cheap steps first. Integration uses the binary of dist; later steps run even when an earlier one fails, so that one run shows
/// everything.
const STEPS: [Step; 7] = [
    ("tidy", || tidy::run(false)),
    ("lint", lint::run),
    ("test", testing::test),
    ("sim", sim::ci),
    ("dist", dist::run),
    ("integration", || testing::integration(&[], 1)),
    ("fuzz", || fuzz::run(FUZZ_SECONDS, &[])),
];

pub(crate) fn run() -> Result<()> {
    let mut report: Vec<(&str, Duration, String)> = Vec::new();
    let mut total = Tally::default();
    for (name, step) in STEPS {
        line(format_args!("==> {name}"));
        let begin = Instant::now();
        let result = step();
        let elapsed = begin.elapsed();
        let outcome = match result {
            Ok(tally) => {
                total += tally;
                if tally == Tally::default() { "ok".to_owned() } else { tally.to_string() }
            }
            Err(error) => {
                total.failed += 1;
                eprintln!("xtask {name}: {error:#}");
                "FAILED".to_owned()
            }
        };
        line(format_args!("<== {name}: {outcome} after {:.0} s", elapsed.as_secs_f64()));
        report.push((name, elapsed, outcome));
    }
    line("");
    for (name, elapsed, outcome) in &report {
        line(format_args!("{name:<12} {:>6.0} s  {outcome}", elapsed.as_secs_f64()));
    }
    let all: Duration = report.iter().map(|(_, elapsed, _)| *elapsed).sum();
    line(format_args!("{:<12} {:>6.0} s", "all", all.as_secs_f64()));
    line(total);
    if total.failed > 0 {
        bail!("{} failed", total.failed);
    }
    Ok(())
}
