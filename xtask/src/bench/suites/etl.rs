//! Tasks with a rule between null brokers, and the same rule in loops without any network.

use crate::bench::Bench;
use crate::bench::messages::{FIRST_OUTPUT, LESSER_RULES, Messages, RULE, template};
use crate::bench::peers::{Benthos, CONNECT_FIRST_OUTPUT, Connect};
use crate::bench::process::{Cost, measure};
use crate::bench::report::{Bound, Column, Goal, Row, Suite, Table};
use crate::bench::samples::{Sample, Series};
use crate::bench::sandbox::{Fill, Sandbox};
use crate::bench::stats::Spread;
use crate::dist;
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const PARTITIONS: u32 = 4;
const KIB: u32 = 1024;
const WITHIN: Duration = Duration::from_secs(900);
/// MB of 1 KB JSON records per CPU-second.
const GOAL: f64 = 150.0;
/// What is slow gets a part of the bytes, and costs as much per GB.
const PART_OF_SLOW: u64 = 4;

const CASES: [(u32, &str); 6] = [
    (256 * KIB, "none"),
    (64 * KIB, "none"),
    (16 * KIB, "none"),
    (256 * KIB, "lz4"),
    (64 * KIB, "lz4"),
    (16 * KIB, "lz4"),
];
const LESSER_CASE: (u32, &str) = (64 * KIB, "none");

/// Without network: who, and what is done.
const LOOPS: [&str; 6] = [
    "the rule of kferry, a loop in memory",
    "serde_json to Value, a loop in memory",
    "serde_json to types, a loop in memory",
    "Bloblang mapping, a loop in memory",
    "Bloblang mapping, a stream in memory",
    "Kafka Connect's transforms without zone and filter, a loop in memory",
];
/// What all others are set beside.
const YARDSTICK: usize = 1;

pub(in crate::bench) fn run(bench: &Bench) -> Result<Suite> {
    let directory = TempDir::new()?;
    let messages = Messages::write(directory.path())?;
    let world = World {
        bench,
        loops: dist::example("etl", "loops")?,
        benthos: Benthos::build(),
        connect: Connect::fetch(),
        messages: &messages,
    };
    let mut loops = vec![Series::default(); LOOPS.len()];
    let mut full = vec![Series::default(); CASES.len()];
    let mut lesser = vec![Series::default(); LESSER_RULES.len()];
    for round in 0..bench.rounds {
        for (index, name) in LOOPS.into_iter().enumerate() {
            let Some(sample) = world.in_memory(index).with_context(|| name)? else { continue };
            bench.progress(round, "no network", name, sample.cpu());
            loops[index].0.push(sample);
        }
        for (index, (batch_bytes, codec)) in CASES.into_iter().enumerate() {
            let name = name(batch_bytes, codec);
            let sample = world.task(RULE, batch_bytes, codec).with_context(|| name.clone())?;
            bench.progress(round, &name, "kferry", sample.cpu());
            full[index].0.push(sample);
        }
        for (index, (name, rule)) in LESSER_RULES.into_iter().enumerate() {
            let sample = world.task(rule, LESSER_CASE.0, LESSER_CASE.1).context(name)?;
            bench.progress(round, name, "kferry", sample.cpu());
            lesser[index].0.push(sample);
        }
    }
    let mut suite = report(&loops, &full, &lesser);
    if let Err(error) = &world.benthos {
        suite.notes.push(format!("no libraries of Redpanda Connect: {error:#}"));
    }
    if let Err(error) = &world.connect {
        suite.notes.push(format!("no transforms of Kafka Connect: {error:#}"));
    }
    Ok(suite)
}

struct World<'a> {
    bench: &'a Bench,
    loops: PathBuf,
    benthos: Result<Benthos>,
    connect: Result<Connect>,
    messages: &'a Messages,
}

impl World<'_> {
    /// One loop; `None` where the program for it could not be built.
    fn in_memory(&self, index: usize) -> Result<Option<Sample>> {
        let directory = TempDir::new()?;
        let rule = directory.path().join("rule.yaml");
        fs::write(&rule, template(RULE))?;
        let (bytes, messages) = (self.bench.bytes, &self.messages.path);
        let straight = |what: &Path| {
            let mut command = Command::new(&self.loops);
            command.arg(what).arg(messages).arg(bytes.to_string());
            command
        };
        let part = bytes / PART_OF_SLOW;
        let mut command = match (index, &self.benthos, &self.connect) {
            (0, _, _) => straight(&rule),
            (1, _, _) => straight(Path::new("value")),
            (2, _, _) => straight(Path::new("typed")),
            (3 | 4, Ok(benthos), _) => benthos.command(messages, part, index == 4),
            (5, _, Ok(connect)) => connect.command(messages, part),
            _ => return Ok(None),
        };
        let (mut cost, output) = measured(&mut command, directory.path())?;
        let first = output.lines().nth(1).unwrap_or_default();
        let wanted = if index == 5 { CONNECT_FIRST_OUTPUT } else { FIRST_OUTPUT };
        ensure!(same(first, wanted), "it made {first} where {wanted} is right");
        let tally: Value = serde_json::from_str(output.lines().next().unwrap_or_default())?;
        // A JVM says what it took after it was warm.
        if let (Some(user), Some(elapsed)) = (tally["cpu"].as_f64(), tally["elapsed"].as_f64()) {
            cost = Cost { user, system: 0.0, elapsed, ..cost };
        }
        ensure!(tally["records"] == tally["written"], "not every record came out: {tally}");
        let bytes = tally["bytes"].as_u64().context("it gave no bytes")?;
        Ok(Some(Sample { cost, bytes }))
    }

    /// A whole task in a process of its own, source and target new for each.
    fn task(&self, rule: &str, batch_bytes: u32, codec: &'static str) -> Result<Sample> {
        let fill = Fill { partitions: PARTITIONS, bytes: self.bench.bytes, batch_bytes, codec };
        let spec = fill.spec_of("bench", &self.messages.path);
        let source = Sandbox::start(&self.bench.binary, "source", &["--fill", &spec])?;
        let target = Sandbox::start(&self.bench.binary, "target", &["--discard"])?;
        let directory = TempDir::new()?;
        let file = directory.path().join("task.yaml");
        fs::write(directory.path().join("rule.yaml"), template(rule))?;
        let task = format!(
            "name: bench\nsource: {}\ntarget: {}\nstate: state\nprocess: {{rule: rule.yaml, topics: {{bench: made}}}}\n",
            source.address, target.address
        );
        fs::write(&file, task)?;
        let mut command = Command::new(&self.bench.binary);
        command.args(["etl", "run", "--once", "--output", "json", "--log", "warn", "-f"]);
        let (cost, output) = measured(command.arg(&file), directory.path())?;
        let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut results = lines.filter(|line| line["type"] == "result");
        let result = results.next().with_context(|| format!("no result in {output}"))?;
        let records = result["topics"][0]["records"].as_u64().context("no count of records")?;
        ensure!(result["topics"][0]["records_failed"].as_u64().unwrap_or(0) == 0, "{result}");
        Ok(Sample { cost, bytes: self.messages.bytes_of(records) })
    }
}

/// What it took, and what it said.
fn measured(command: &mut Command, directory: &Path) -> Result<(Cost, String)> {
    let output = directory.join("output");
    command
        .stdin(Stdio::null())
        .stdout(File::create(&output)?)
        .stderr(File::options().append(true).open(&output)?);
    let cost = measure(command, WITHIN);
    let text = fs::read_to_string(&output)?;
    Ok((cost.with_context(|| format!("it said:\n{text}"))?, text))
}

/// The same members; Go's maps know no order.
fn same(found: &str, wanted: &str) -> bool {
    let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
    parse(found).is_some_and(|found| Some(found) == parse(wanted))
}

fn report(loops: &[Series], full: &[Series], lesser: &[Series]) -> Suite {
    let mut suite = Suite::new(
        "etl",
        format!(
            "1 KB JSON records. Tasks: `etl run --once` between sandboxes without a disk, {PARTITIONS} partitions, the whole process; a GB is 10^9 bytes \
             of record values that were read. Loops: the same rule on the same messages in memory, without records, batches and network. \
             MB/s per core is what one CPU-second processes."
        ),
    );
    let yardstick = &loops[YARDSTICK];
    let mut rows = Vec::new();
    for ((batch_bytes, codec), series) in CASES.into_iter().zip(full) {
        let name = name(batch_bytes, codec);
        let per_core = per_core(series).median;
        let what = format!("{name}: six fields, a date and a filter, per core");
        suite.goals.push(Goal::new(what, per_core, Bound::AtLeast(GOAL), "MB/s"));
        rows.push(row(name, series, yardstick));
    }
    suite.tables.push(table("tasks: batches, codec", rows));
    let rows = LESSER_RULES.into_iter().zip(lesser);
    let rows = rows.map(|((name, _), series)| row(name.to_owned(), series, yardstick)).collect();
    suite.tables.push(table("tasks: rules that need less, 64 KiB, none", rows));
    let rows = LOOPS.into_iter().zip(loops);
    let rows = rows.map(|(name, series)| row(name.to_owned(), series, yardstick)).collect();
    suite.tables.push(table("no network", rows));
    suite
}

fn table(title: &str, rows: Vec<Row>) -> Table {
    let columns = vec![
        Column { name: "MB/s per core", digits: 0 },
        Column { name: "CPU-s/GB", digits: 2 },
        Column { name: "of this user", digits: 2 },
        Column { name: "x loop to Value", digits: 2 },
        Column { name: "MB/s", digits: 0 },
        Column { name: "peak MiB", digits: 0 },
    ];
    Table { title: title.to_owned(), columns, rows, plot: Some(0) }
}

/// MB that a CPU-second processes.
fn per_core(series: &Series) -> Spread {
    Spread::of(series.0.iter().map(|sample| 1000.0 / sample.cpu()))
}

fn row(name: String, series: &Series, yardstick: &Series) -> Row {
    let spread = |value: fn(&Sample) -> f64| Spread::of(series.0.iter().map(value));
    let values = vec![
        per_core(series),
        spread(Sample::cpu),
        series.user(),
        // As a rate: more is better, as in the first column.
        yardstick.cpu_over(series),
        spread(Sample::rate),
        spread(|sample| sample.cost.peak_mib),
    ];
    Row { name, values }
}

fn name(batch_bytes: u32, codec: &str) -> String {
    format!("{} KiB, {codec}", batch_bytes / KIB)
}

#[cfg(test)]
mod tests {
    use super::same;

    #[test]
    fn outputs_compare_by_their_members() {
        assert!(same(r#"{"a":1,"b":"é"}"#, r#"{"b":"\u00e9","a":1}"#));
        assert!(!same(r#"{"a":1}"#, r#"{"a":2}"#));
        assert!(!same("", ""));
    }
}
