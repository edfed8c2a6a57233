//! Memory while a target is slower than its source, and the time from a start to the first record.

use crate::bench::Bench;
use crate::bench::kferry::{Following, Route};
use crate::bench::proxy::{Proxy, Way};
use crate::bench::report::{Bound, Column, Curves, Goal, Row, Suite, Table};
use crate::bench::sandbox::{Fill, Sandbox};
use crate::bench::stats::{Spread, slope};
use crate::bench::wire::Wire;
use crate::output::line;
use anyhow::{Result, bail};
use std::thread;
use std::time::Duration;

const PARTITIONS: u32 = 100;
const BATCH_BYTES: u32 = 64 << 10;
const TARGET_BYTES_PER_SECOND: u32 = 20_000_000;
const STARTS: usize = 5;

pub(in crate::bench) fn run(bench: &Bench) -> Result<Suite> {
    let mut suite = Suite::new(
        "memory",
        format!(
            "Sandboxes, {PARTITIONS} partitions of 64 KiB batches, a proxy in front of the target that lets {} MB/s pass on each \
             connection: resident memory each second. Then the time from the start of the process, with an empty state, to the first \
             record on a target that is not slowed down.",
            TARGET_BYTES_PER_SECOND / 1_000_000
        ),
    );
    slow_target(bench, &mut suite)?;
    starts(bench, &mut suite)?;
    Ok(suite)
}

fn slow_target(bench: &Bench, suite: &mut Suite) -> Result<()> {
    let proxy = Proxy::start(Way {
        delay: Duration::ZERO,
        bytes_per_second: Some(TARGET_BYTES_PER_SECOND),
    })?;
    let advertised = proxy.address().to_string();
    // As many times what can pass, so that the source never ends first.
    let bytes = bench.time.as_secs() * u64::from(TARGET_BYTES_PER_SECOND) * 4;
    let fill = Fill { partitions: PARTITIONS, bytes, batch_bytes: BATCH_BYTES, codec: "none" };
    let source = Sandbox::start(&bench.binary, "source", &["--fill", &fill.spec("bench")])?;
    let target =
        Sandbox::start(&bench.binary, "target", &["--discard", "--advertise", &advertised])?;
    proxy.forward_to(&target.address)?;
    let route = Route { source: &source.address, target: &advertised, topics: "bench" };
    let sync = Following::start(&bench.binary, route)?;
    let mut points = Vec::new();
    while sync.process.begin().elapsed() < bench.time {
        thread::sleep(Duration::from_secs(1));
        points.push((sync.process.begin().elapsed().as_secs_f64(), sync.process.resident_mib()?));
    }
    let cost = sync.process.cost()?;
    let copied: i64 = Wire::connect(&target.address)?
        .end_offsets("bench", PARTITIONS)?
        .into_iter()
        .flatten()
        .sum();
    if copied == 0 {
        bail!("nothing was copied");
    }
    // What fills at the start is no leak.
    let later = &points[points.len() / 4..];
    let per_minute = slope(later) * 60.0;
    line(format_args!(
        "slow target: peak {:.1} MiB, {per_minute:+.2} MiB per minute",
        cost.peak_mib
    ));
    suite.goals.push(Goal::new(
        "slow target: peak resident memory",
        cost.peak_mib,
        Bound::AtMost(64.0),
        "MiB",
    ));
    suite.goals.push(Goal::new(
        "slow target: growth after the first quarter of the time",
        per_minute,
        Bound::AtMost(1.0),
        "MiB/min",
    ));
    let minutes = bench.time.as_secs_f64() / 60.0;
    suite.curves.push(Curves {
        title: format!("resident memory over {minutes} minutes"),
        x: "s",
        y: "MiB",
        curves: vec![("kferry".to_owned(), points)],
    });
    Ok(())
}

fn starts(bench: &Bench, suite: &mut Suite) -> Result<()> {
    let mut milliseconds = Vec::new();
    for _ in 0..bench.rounds.max(STARTS) {
        let fill =
            Fill { partitions: 4, bytes: 100_000_000, batch_bytes: BATCH_BYTES, codec: "none" };
        let source = Sandbox::start(&bench.binary, "source", &["--fill", &fill.spec("bench")])?;
        let target = Sandbox::start(&bench.binary, "target", &["--discard"])?;
        let mut wire = Wire::connect(&target.address)?;
        let route = Route { source: &source.address, target: &target.address, topics: "bench" };
        let sync = Following::start(&bench.binary, route)?;
        let begin = sync.process.begin();
        while !wire.end_offsets("bench", 4)?.iter().flatten().any(|end| *end > 0) {
            if begin.elapsed() > Duration::from_secs(30) {
                bail!("no record after 30 s");
            }
            thread::sleep(Duration::from_millis(1));
        }
        milliseconds.push(begin.elapsed().as_secs_f64() * 1000.0);
    }
    let spread = Spread::of(milliseconds);
    line(format_args!("start to first record: {:.0} ms", spread.median));
    suite.goals.push(Goal::new(
        "start to first copied record",
        spread.median,
        Bound::AtMost(200.0),
        "ms",
    ));
    let columns = vec![Column { name: "ms", digits: 0 }];
    let rows = vec![Row { name: "start to first copied record".to_owned(), values: vec![spread] }];
    suite.tables.push(Table { title: "start".to_owned(), columns, rows, plot: None });
    Ok(())
}
