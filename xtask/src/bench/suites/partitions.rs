//! Many partitions: memory while copying, CPU while nothing happens, and how soon a record in any of them arrives.

use crate::bench::Bench;
use crate::bench::batch;
use crate::bench::kferry::{Following, Route};
use crate::bench::report::{Bound, Column, Goal, Row, Suite, Table};
use crate::bench::sandbox::{Fill, Sandbox};
use crate::bench::stats::Spread;
use crate::bench::wire::Wire;
use crate::output::line;
use anyhow::{Context, Result, bail};
use std::thread;
use std::time::{Duration, Instant};

/// Topics and partitions of each.
const SHAPES: [(u32, u32); 4] = [(1, 1), (1, 100), (10, 100), (100, 100)];
const BATCH_BYTES: u32 = 16 << 10;
const IDLE: Duration = Duration::from_secs(30);
/// Whatever a sync does after its last record (journal, progress) is over when it takes less than this for a second.
const QUIET: f64 = 0.02;
const QUIET_WITHIN: Duration = Duration::from_secs(60);
const PROBES: usize = 20;
const ARRIVES_WITHIN: Duration = Duration::from_secs(60);

/// What one sync showed.
#[derive(Clone, Copy, Debug)]
struct Found {
    peak_mib: f64,
    idle_mib: f64,
    copy_seconds: f64,
    /// Percent of one core.
    idle_percent: f64,
    arrival_ms: f64,
    latest_ms: f64,
}

pub(in crate::bench) fn run(bench: &Bench) -> Result<Suite> {
    let mut suite = Suite::new(
        "partitions",
        format!(
            "Sandboxes (a real broker with 10,000 partitions wants more files and memory than a small machine has), up to 100 topics of \
             100 partitions, 16 KiB batches, {} MB over all, as fast as it goes. Then {} s of silence. Then {PROBES} single records, one \
             after the other, to random partitions of the source.",
            bench.bytes / 1_000_000,
            IDLE.as_secs()
        ),
    );
    let mut rows = Vec::new();
    for (topics, partitions) in SHAPES {
        let count = topics * partitions;
        let name =
            if count == 1 { "1 partition".to_owned() } else { format!("{count} partitions") };
        let mut all = Vec::new();
        for _ in 0..bench.rounds {
            let found = one(bench, topics, partitions).with_context(|| name.clone())?;
            line(format_args!("{name}: {found:.1?}"));
            all.push(found);
        }
        let spread = |value: fn(&Found) -> f64| Spread::of(all.iter().map(value));
        let values = vec![
            spread(|found| found.peak_mib),
            spread(|found| found.idle_mib),
            spread(|found| found.copy_seconds),
            spread(|found| found.idle_percent),
            spread(|found| found.arrival_ms),
            spread(|found| found.latest_ms),
        ];
        if count == 10_000 {
            let mut goal = |what: &str, index: usize, bound, unit| {
                let measured = values.get(index).map_or(f64::NAN, |value| value.median);
                suite.goals.push(Goal::new(format!("{name}: {what}"), measured, bound, unit));
            };
            goal("peak resident memory", 0, Bound::AtMost(64.0), "MiB");
            goal("idle CPU", 3, Bound::AtMost(1.0), "% of a core");
            goal("latest of the single records", 5, Bound::AtMost(1000.0), "ms");
        }
        rows.push(Row { name, values });
    }
    let columns = vec![
        Column { name: "peak MiB", digits: 1 },
        Column { name: "MiB when idle", digits: 1 },
        Column { name: "copied after s", digits: 1 },
        Column { name: "idle % of a core", digits: 2 },
        Column { name: "arrival ms, median", digits: 1 },
        Column { name: "arrival ms, latest", digits: 1 },
    ];
    suite.tables.push(Table { title: "shape".to_owned(), columns, rows, plot: Some(0) });
    Ok(suite)
}

fn one(bench: &Bench, topics: u32, partitions: u32) -> Result<Found> {
    let names: Vec<String> = (0..topics).map(|index| format!("bench-{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let bytes = bench.bytes / u64::from(topics);
    let fill = Fill { partitions, bytes, batch_bytes: BATCH_BYTES, codec: "none" };
    let fills: Vec<String> = names.iter().map(|name| fill.spec(name)).collect();
    let fills: Vec<&str> = fills.iter().flat_map(|spec| ["--fill", spec]).collect();
    let source = Sandbox::start(&bench.binary, "source", &fills)?;
    let target = Sandbox::start(&bench.binary, "target", &["--discard"])?;
    let route = Route { source: &source.address, target: &target.address, topics: "bench-.*" };
    let mut sync = Following::start(&bench.binary, route)?;
    let copied = sync.until_copied(&source.address, &target.address, &names, partitions)?;
    let peak_mib = sync.process.cost()?.peak_mib;
    let copy_seconds = (copied.last - sync.process.begin()).as_secs_f64();
    wait_until_quiet(&sync)?;
    let before = sync.process.cost()?;
    thread::sleep(IDLE);
    let idle = sync.process.cost()?.since(&before);
    let idle_mib = sync.process.resident_mib()?;
    let arrivals = arrivals(&source, &target, &names, partitions)?;
    Ok(Found {
        peak_mib,
        idle_mib,
        copy_seconds,
        idle_percent: idle.cpu() / idle.elapsed * 100.0,
        arrival_ms: arrivals.median,
        latest_ms: arrivals.high,
    })
}

fn wait_until_quiet(sync: &Following) -> Result<()> {
    let begin = Instant::now();
    loop {
        let before = sync.process.cost()?;
        thread::sleep(Duration::from_secs(1));
        let taken = sync.process.cost()?.since(&before);
        if taken.cpu() <= QUIET || begin.elapsed() > QUIET_WITHIN {
            return Ok(());
        }
    }
}

/// Milliseconds from before the record is sent to the source until the target shows it.
fn arrivals(source: &Sandbox, target: &Sandbox, names: &[&str], partitions: u32) -> Result<Spread> {
    let (mut source, mut target) =
        (Wire::connect(&source.address)?, Wire::connect(&target.address)?);
    let mut random = fastrand::Rng::with_seed(7);
    let mut arrivals = Vec::new();
    for _ in 0..PROBES {
        let topic = random.choice(names).context("no topics")?;
        let partition = random.u32(..partitions);
        let index = usize::try_from(partition)?;
        let end = |wire: &mut Wire| -> Result<Option<i64>> {
            Ok(wire.end_offsets(topic, partitions)?.get(index).copied().flatten())
        };
        let before = end(&mut target)?;
        let batch = batch::encode(&[b"probe".to_vec()])?;
        let begin = Instant::now();
        source.produce(topic, partition, &batch)?;
        while end(&mut target)? == before {
            if begin.elapsed() > ARRIVES_WITHIN {
                bail!("{topic}-{partition}: not there after {ARRIVES_WITHIN:?}");
            }
            thread::sleep(Duration::from_millis(1));
        }
        arrivals.push(begin.elapsed().as_secs_f64() * 1000.0);
    }
    Ok(Spread::of(arrivals))
}
