//! Several tasks in one process: what one more of them costs.

use crate::bench::Bench;
use crate::bench::process::measure;
use crate::bench::report::{Column, Row, Suite, Table};
use crate::bench::samples::Sample;
use crate::bench::sandbox::{Fill, Sandbox};
use crate::bench::stats::Spread;
use crate::output::line;
use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const COUNTS: [u32; 4] = [1, 10, 50, 150];
const PARTITIONS: u32 = 4;
const BATCH_BYTES: u32 = 64 << 10;
const WITHIN: Duration = Duration::from_secs(600);

pub(in crate::bench) fn run(bench: &Bench) -> Result<Suite> {
    let mut suite = Suite::new(
        "tasks",
        format!(
            "Sandboxes, one process with 1 to 150 tasks (`sync -f FILE --once`), each with its topic of {PARTITIONS} partitions in 64 KiB \
             batches, {} MB over all: the same bytes, cut among more tasks.",
            bench.bytes / 1_000_000
        ),
    );
    let mut rows = Vec::new();
    for count in COUNTS {
        let name = if count == 1 { "1 task".to_owned() } else { format!("{count} tasks") };
        let mut samples = Vec::new();
        for _ in 0..bench.rounds {
            let sample = one(bench, count).with_context(|| name.clone())?;
            line(format_args!("{name}: {:.2?}", sample.cost));
            samples.push(sample);
        }
        let spread = |value: fn(&Sample) -> f64| Spread::of(samples.iter().map(value));
        let values = vec![
            spread(|sample| sample.cost.peak_mib),
            spread(Sample::rate),
            spread(Sample::cpu),
            spread(|sample| sample.cost.elapsed),
        ];
        rows.push(Row { name, values });
    }
    let columns = vec![
        Column { name: "peak MiB", digits: 1 },
        Column { name: "MB/s", digits: 0 },
        Column { name: "CPU-s/GB", digits: 3 },
        Column { name: "seconds", digits: 2 },
    ];
    suite.tables.push(Table { title: "shape".to_owned(), columns, rows, plot: Some(0) });
    Ok(suite)
}

fn one(bench: &Bench, count: u32) -> Result<Sample> {
    let bytes = bench.bytes / u64::from(count);
    let fill = Fill { partitions: PARTITIONS, bytes, batch_bytes: BATCH_BYTES, codec: "none" };
    let specs: Vec<String> = (0..count).map(|task| fill.spec(&format!("bench-{task}"))).collect();
    let fills: Vec<&str> = specs.iter().flat_map(|spec| ["--fill", spec]).collect();
    let source = Sandbox::start(&bench.binary, "source", &fills)?;
    let target = Sandbox::start(&bench.binary, "target", &["--discard"])?;
    let directory = TempDir::new()?;
    let file = directory.path().join("tasks.yaml");
    fs::write(&file, tasks(&source.address, &target.address, count)?)?;
    let output = directory.path().join("output");
    let mut command = Command::new(&bench.binary);
    command
        .args(["sync", "--once", "--output", "json", "--log", "warn", "-f"])
        .arg(&file)
        .stdin(Stdio::null())
        .stdout(File::create(&output)?)
        .stderr(File::options().append(true).open(&output)?);
    let cost = measure(&mut command, WITHIN)
        .with_context(|| format!("kferry said:\n{}", said(&output)))?;
    Ok(Sample { cost, bytes: bytes * u64::from(count) })
}

fn tasks(source: &str, target: &str, count: u32) -> Result<String> {
    let mut text = "tasks:\n".to_owned();
    for task in 0..count {
        writeln!(
            text,
            "  - {{ name: task-{task}, source: \"{source}\", target: \"{target}\", topics: bench-{task}, state: state/{task} }}"
        )?;
    }
    Ok(text)
}

fn said(output: &Path) -> String {
    let text = fs::read_to_string(output).unwrap_or_default();
    text.lines().take(20).collect::<Vec<_>>().join("\n")
}
