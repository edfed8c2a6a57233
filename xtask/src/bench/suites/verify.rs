//! How fast a copy is compared with its source.

use crate::bench::Bench;
use crate::bench::process::{Cost, measure};
use crate::bench::real::{Dataset, RELEASE, RealClusters};
use crate::bench::report::{Bound, Column, Goal, Row, Suite, Table};
use crate::bench::stats::Spread;
use crate::output::line;
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use xtask::kafka::Options;

const TOPIC: &str = "verified";
const CODECS: [&str; 2] = ["none", "lz4"];
const BATCH_BYTES: u32 = 256 << 10;
const WITHIN: Duration = Duration::from_secs(600);

pub(in crate::bench) fn run(bench: &Bench) -> Result<Suite> {
    let mut suite = Suite::new(
        "verify",
        format!(
            "Kafka {RELEASE}, one broker on each side, 4 partitions of 256 KiB batches, {} MB of plain records, copied as they are; then \
             `kferry verify` of them. Bytes are those of the batches on one side, as they are stored; both sides are read.",
            bench.bytes / 1_000_000
        ),
    );
    let clusters = RealClusters::start(&Options::default())?;
    let mut rows = Vec::new();
    for codec in CODECS {
        let name = format!("256 KiB, {codec}");
        let samples = one(bench, &clusters, codec).with_context(|| name.clone())?;
        let spread = |value: &dyn Fn(&(f64, Cost)) -> f64| Spread::of(samples.iter().map(value));
        let per_core = spread(&|(megabytes, cost)| megabytes / cost.cpu());
        let bound = Bound::AtLeast(200.0);
        suite.goals.push(Goal::new(format!("{name}: per core"), per_core.median, bound, "MB/s"));
        let values = vec![
            per_core,
            spread(&|(megabytes, cost)| megabytes / cost.elapsed),
            spread(&|(_, cost)| cost.peak_mib),
        ];
        rows.push(Row { name, values });
    }
    let columns = vec![
        Column { name: "MB/s per core", digits: 0 },
        Column { name: "MB/s", digits: 0 },
        Column { name: "peak MiB", digits: 1 },
    ];
    suite.tables.push(Table {
        title: "batches as they are".to_owned(),
        columns,
        rows,
        plot: Some(0),
    });
    Ok(suite)
}

/// Megabytes on one side and the cost of each comparison.
fn one(bench: &Bench, clusters: &RealClusters, codec: &'static str) -> Result<Vec<(f64, Cost)>> {
    let topic = format!("{TOPIC}-{codec}");
    let data = Dataset {
        partitions: 4,
        batch_bytes: BATCH_BYTES,
        record_bytes: 1000,
        codec,
        bytes: bench.bytes,
    };
    let stored = clusters.fill(&topic, data)?;
    let directory = TempDir::new()?;
    let output = directory.path().join("output");
    let ran = |verb: &str, more: &[&str]| -> Result<Cost> {
        let mut command = command(bench, clusters, directory.path(), verb)?;
        let cost = measure(command.args(["--topics", &topic]).args(more), WITHIN);
        cost.with_context(|| format!("kferry {verb} said:\n{}", said(&output)))
    };
    ran("sync", &["--once"])?;
    let megabytes = f64::from(u32::try_from(stored / 1000)?) / 1000.0;
    let mut samples = Vec::new();
    for round in 0..bench.rounds {
        let cost = ran("verify", &["--complete"])?;
        line(format_args!("round {}: {codec}: {:.0} MB in {cost:.2?}", round + 1, megabytes));
        samples.push((megabytes, cost));
    }
    clusters.forget(&topic, data.partitions)?;
    Ok(samples)
}

fn command(
    bench: &Bench,
    clusters: &RealClusters,
    directory: &Path,
    verb: &str,
) -> Result<Command> {
    let output = directory.join("output");
    let mut command = Command::new(&bench.binary);
    command
        .args([verb, "--source", &clusters.source.bootstrap()])
        .args(["--target", &clusters.target.bootstrap()])
        .arg("--state")
        .arg(directory.join("state"))
        .args(["--output", "json", "--log", "warn"])
        .stdin(Stdio::null())
        .stdout(File::create(&output)?)
        .stderr(File::options().append(true).open(&output)?);
    Ok(command)
}

fn said(output: &Path) -> String {
    let text = fs::read_to_string(output).unwrap_or_default();
    text.lines().take(20).collect::<Vec<_>>().join("\n")
}
