//! Our cost alone: null brokers on both sides, beside the raw relay in the same minutes.

use crate::bench::kferry::{Route, sync_once};
use crate::bench::report::{Bound, Goal, Suite, Table};
use crate::bench::samples::{RATIO, Sample, Series, columns};
use crate::bench::sandbox::{Fill, Sandbox};
use crate::bench::{Bench, relay};
use anyhow::{Context, Result};

const PARTITIONS: u32 = 4;
const KIB: u32 = 1024;
/// Almost a MiB: with its headers a batch of a whole MiB is larger than what brokers take by default, and would be cut.
const LARGEST: u32 = 1_000_000;
/// Batches from this size on are held to the goal.
const GOAL_FROM_BYTES: u32 = 64 * KIB;

/// The codec must not matter where batches stay as they are: one size shows it.
const CASES: [(u32, &str); 10] = [
    (LARGEST, "none"),
    (256 * KIB, "none"),
    (64 * KIB, "none"),
    (16 * KIB, "none"),
    (4 * KIB, "none"),
    (KIB, "none"),
    (256 * KIB, "gzip"),
    (256 * KIB, "snappy"),
    (256 * KIB, "lz4"),
    (256 * KIB, "zstd"),
];

pub(in crate::bench) fn run(bench: &Bench) -> Result<Suite> {
    let mut relays: Vec<Series> = vec![Series::default(); CASES.len()];
    let mut copies = relays.clone();
    for round in 0..bench.rounds {
        for (index, (batch_bytes, codec)) in CASES.into_iter().enumerate() {
            let name = name(batch_bytes, codec);
            let before = relay::run(bench.bytes)?;
            let fill = Fill { partitions: PARTITIONS, bytes: bench.bytes, batch_bytes, codec };
            let sample = copy(bench, fill).with_context(|| name.clone())?;
            // Before and after: a machine that becomes busier meanwhile disturbs both sides of the ratio alike.
            let cost = before.and(&relay::run(bench.bytes)?);
            let yardstick = Sample { cost, bytes: 2 * bench.bytes };
            bench.progress(round, &name, "raw relay", yardstick.cpu());
            bench.progress(round, &name, "kferry", sample.cpu());
            relays[index].0.push(yardstick);
            copies[index].0.push(sample);
        }
    }
    Ok(report(&relays, &copies))
}

/// Source filled in memory, target that forgets what it acknowledges: both new for each round.
fn copy(bench: &Bench, fill: Fill) -> Result<Sample> {
    let source = Sandbox::start(&bench.binary, "source", &["--fill", &fill.spec("bench")])?;
    let target = Sandbox::start(&bench.binary, "target", &["--discard"])?;
    let route = Route { source: &source.address, target: &target.address, topics: "bench" };
    let copied = sync_once(&bench.binary, route)?;
    Ok(Sample { cost: copied.cost, bytes: copied.bytes })
}

fn report(relays: &[Series], copies: &[Series]) -> Suite {
    let mut suite = Suite::new(
        "null",
        format!(
            "Sandboxes without a disk on both sides, {PARTITIONS} partitions, each process by itself; a GB is 10^9 bytes on the wire. \
             Start, recovery and state of the process are included."
        ),
    );
    let mut rows = Vec::new();
    let mut relay = Series::default();
    for (((batch_bytes, codec), yardstick), copies) in CASES.into_iter().zip(relays).zip(copies) {
        relay.0.extend(&yardstick.0);
        rows.push(copies.row(name(batch_bytes, codec), yardstick));
        if batch_bytes >= GOAL_FROM_BYTES {
            let ratio = copies.cpu_over(yardstick).median;
            let what = format!("{}: CPU per GB against the relay", name(batch_bytes, codec));
            suite.goals.push(Goal::new(what, ratio, Bound::AtMost(1.3), "x"));
            let what = format!("{}: user CPU-s per GB", name(batch_bytes, codec));
            suite.goals.push(Goal::new(
                what,
                copies.user().median,
                Bound::AtMost(0.05),
                "CPU-s/GB",
            ));
        }
    }
    rows.push(relay.row("raw relay".to_owned(), &relay));
    let title = "batches, codec".to_owned();
    suite.tables.push(Table { title, columns: columns(), rows, plot: Some(RATIO) });
    suite
}

fn name(batch_bytes: u32, codec: &str) -> String {
    match batch_bytes {
        LARGEST => format!("1 MB, {codec}"),
        bytes => format!("{} KiB, {codec}", bytes / KIB),
    }
}
