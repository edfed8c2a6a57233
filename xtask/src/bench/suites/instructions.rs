//! Instructions for each step on the way of a batch, counted by valgrind: they move with the code, not with the machine's load.

use crate::bench::Bench;
use crate::bench::report::{Column, Row, Suite, Table};
use crate::bench::stats::Spread;
use crate::output::line;
use anyhow::{Context, Result, bail};
use std::path::Path;
use std::process::Command;
use xtask::workspace::{cargo, target_directory};

/// The program that takes the steps.
const EXAMPLE: &str = "instructions";
/// The steps by the example's names.
const STEPS: [(&str, &str); 6] = [
    ("patch", "header patched"),
    ("split", "1 MiB of 64 KiB batches split, per batch"),
    ("decide", "batch judged"),
    ("merge", "two 1 KiB batches merged"),
    ("fetch", "Fetch answer of 100 partitions read, per partition"),
    ("produce", "Produce of 16 batches written, per batch"),
];
/// The difference of these two has neither the start of the process nor what is made ready.
const COUNTS: [u32; 2] = [1600, 9600];

pub(in crate::bench) fn run(_bench: &Bench) -> Result<Suite> {
    let mut suite = Suite::new(
        "instructions",
        "Instructions of one step each, by callgrind: the difference between two counts of repetitions, release build. They \
         depend on code and compiler only: compare them with docs/performance.md.",
    );
    if Command::new("valgrind").arg("--version").output().is_err() {
        suite
            .notes
            .push("not measured: valgrind is not installed (`apt install valgrind`)".to_owned());
        return Ok(suite);
    }
    let build = ["build", "--release", "--locked", "-p", "forward", "--example", EXAMPLE];
    if !cargo().args(build).status()?.success() {
        bail!("building {EXAMPLE} failed");
    }
    let program = target_directory().join("release").join("examples").join(EXAMPLE);
    let mut rows = Vec::new();
    for (step, name) in STEPS {
        let [few, many] = COUNTS.map(|count| count_instructions(&program, step, count));
        let taken = (many? - few?) / f64::from(COUNTS[1] - COUNTS[0]);
        line(format_args!("{name}: {taken:.0}"));
        rows.push(Row { name: name.to_owned(), values: vec![Spread::of([taken])] });
    }
    let columns = vec![Column { name: "instructions", digits: 0 }];
    suite.tables.push(Table { title: "step".to_owned(), columns, rows, plot: None });
    Ok(suite)
}

fn count_instructions(program: &Path, step: &str, count: u32) -> Result<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([step, &count.to_string()])
        .output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("valgrind of {step} said:\n{said}");
    }
    collected(&said).with_context(|| format!("no count in what valgrind said:\n{said}"))
}

/// `==12== Collected : 123456`
fn collected(said: &str) -> Option<f64> {
    let line = said.lines().find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::collected;

    #[test]
    fn reads_valgrind() {
        assert_eq!(collected("==1== Events    : Ir\n==1== Collected : 5170\n"), Some(5170.0));
        assert_eq!(collected("==1== Events"), None);
    }
}
