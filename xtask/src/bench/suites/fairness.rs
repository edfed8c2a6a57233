//! One partition that floods beside calm ones: what the flood does to the time that the others' records take.

use crate::bench::Bench;
use crate::bench::batch;
use crate::bench::kferry::{Following, Route};
use crate::bench::report::{Bound, Column, Goal, Row, Suite, Table};
use crate::bench::sandbox::{Fill, Sandbox};
use crate::bench::stats::{Distribution, Spread};
use crate::bench::wire::Wire;
use crate::output::line;
use anyhow::{Context, Result, bail};
use std::thread;
use std::time::{Duration, Instant};

const CALM_PARTITIONS: u32 = 8;
/// 100 records per second and partition.
const INTERVAL: Duration = Duration::from_micros(1250);
const VALUE_BYTES: usize = 100;
const WARM_UP: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(10);
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);
/// More than can be copied meanwhile; replayed, so that it costs no memory.
const FLOOD: Fill =
    Fill { partitions: 1, bytes: 40_000_000_000, batch_bytes: 64 << 10, codec: "none" };

pub(in crate::bench) fn run(bench: &Bench) -> Result<Suite> {
    let mut suite = Suite::new(
        "fairness",
        format!(
            "Sandboxes, {CALM_PARTITIONS} partitions with 100 single records per second each, for {} s after {} s of warm-up: time from \
             the moment a record was due until the target shows it. Then the same beside one partition of 64 KiB batches that is \
             copied as fast as it goes, and beside the same copied by another process of kferry: what the machine and the sandboxes cost \
             the calm ones with nothing in common in kferry.",
            MEASURED.as_secs(),
            WARM_UP.as_secs()
        ),
    );
    // Median and p99, alone, beside the flood and beside another process; the flood's rates.
    let mut found: [Vec<f64>; 8] = Default::default();
    for _ in 0..bench.rounds {
        let (alone, _) = one(bench, &["calm"]).context("without the flood")?;
        let (beside, rate) = one(bench, &["calm|flood"]).context("with the flood")?;
        let (apart, other) =
            one(bench, &["calm", "flood"]).context("with the flood in another process")?;
        let all = [
            alone.quantile(0.5),
            alone.quantile(0.99),
            beside.quantile(0.5),
            beside.quantile(0.99),
            apart.quantile(0.5),
            apart.quantile(0.99),
            rate,
            other,
        ];
        line(format_args!(
            "p50, p99 alone, beside the flood, beside another process; MB/s of either: {all:.2?}"
        ));
        for (values, value) in found.iter_mut().zip(all) {
            values.push(value);
        }
    }
    let [alone_50, alone_99, beside_50, beside_99, apart_50, apart_99, rate, other] = found;
    let ratios = [Spread::ratio(&beside_50, &alone_50), Spread::ratio(&beside_99, &alone_99)];
    let shared = [Spread::ratio(&beside_50, &apart_50), Spread::ratio(&beside_99, &apart_99)];
    suite.goals.push(Goal::new(
        "p99 beside the flood against p99 alone",
        ratios[1].median,
        Bound::AtMost(2.0),
        "x",
    ));
    let row = |name: &str, p50: Spread, p99: Spread, rate: Spread| Row {
        name: name.to_owned(),
        values: vec![p50, p99, rate],
    };
    let none = || Spread::of([]);
    let ([ratio_50, ratio_99], [shared_50, shared_99]) = (ratios, shared);
    suite.tables.push(Table {
        title: "from the due time".to_owned(),
        columns: vec![
            Column { name: "p50 ms", digits: 2 },
            Column { name: "p99 ms", digits: 2 },
            Column { name: "flood MB/s", digits: 0 },
        ],
        rows: vec![
            row("alone", Spread::of(alone_50), Spread::of(alone_99), none()),
            row("beside the flood", Spread::of(beside_50), Spread::of(beside_99), Spread::of(rate)),
            row("other process", Spread::of(apart_50), Spread::of(apart_99), Spread::of(other)),
            row("beside / alone", ratio_50, ratio_99, none()),
            row("beside / other process", shared_50, shared_99, none()),
        ],
        plot: Some(1),
    });
    Ok(suite)
}

/// Arrivals of the calm records in milliseconds, and MB/s of the flood, with a process for each of `topics`, of which the first copies
/// the calm ones.
fn one(bench: &Bench, topics: &[&str]) -> Result<(Distribution, f64)> {
    let calm = format!("calm:{CALM_PARTITIONS}:{CALM_PARTITIONS}:1:none");
    let fills = ["--fill", &calm, "--fill", &FLOOD.spec("flood")];
    let source = Sandbox::start(&bench.binary, "source", &fills)?;
    let target = Sandbox::start(&bench.binary, "target", &["--discard"])?;
    let start = |topics: &&str| {
        let route = Route { source: &source.address, target: &target.address, topics };
        Following::start(&bench.binary, route)
    };
    let mut syncs = topics.iter().map(start).collect::<Result<Vec<_>>>()?;
    let sync = syncs.first_mut().context("no topics")?;
    while Wire::connect(&target.address)?.end_offsets("calm", 1)? == [None] {
        thread::sleep(Duration::from_millis(5));
        if sync.process.has_ended()? || sync.process.begin().elapsed() > ARRIVES_WITHIN {
            bail!("kferry made no topic");
        }
    }
    let begin = Instant::now();
    let arrivals = calm_load(&source.address, &target.address, begin)?;
    let seconds = sync.process.begin().elapsed().as_secs_f64();
    Ok((Distribution::of(&arrivals), flooded(&source, &target)? / seconds))
}

/// Megabytes of the flood that the target has.
#[expect(clippy::cast_precision_loss, reason = "a share for people to read")]
fn flooded(source: &Sandbox, target: &Sandbox) -> Result<f64> {
    let end = |at: &Sandbox| -> Result<Option<i64>> {
        Ok(Wire::connect(&at.address)?.end_offsets("flood", 1)?.first().copied().flatten())
    };
    let (Some(all), Some(copied)) = (end(source)?, end(target)?) else { return Ok(f64::NAN) };
    if copied >= all {
        bail!("the flood ended before the measurement did");
    }
    Ok(copied as f64 / all as f64 * FLOOD.bytes as f64 / 1e6)
}

/// Writes at fixed moments whatever comes back, and reads on the other side. Each record carries the time at which it was due.
fn calm_load(to: &str, from: &str, begin: Instant) -> Result<Vec<f64>> {
    let mut reader = Wire::connect(from)?;
    let mut offsets = vec![0; usize::try_from(CALM_PARTITIONS)?];
    let mut sender = Wire::connect(to)?;
    let mut receiver = sender.twin()?;
    let count = u32::try_from((WARM_UP + MEASURED).as_micros() / INTERVAL.as_micros())?;
    let sending = thread::spawn(move || -> Result<()> {
        for index in 0..count {
            let due = INTERVAL * index;
            let mut value = index.to_be_bytes().to_vec();
            value.resize(VALUE_BYTES, b'x');
            let batch = batch::encode(&[value])?;
            thread::sleep((begin + due).saturating_duration_since(Instant::now()));
            sender.send_produce("calm", index % CALM_PARTITIONS, &batch)?;
        }
        Ok(())
    });
    let receiving = thread::spawn(move || -> Result<()> {
        (0..count).try_for_each(|_| receiver.receive_produced())
    });
    let mut arrivals = Vec::new();
    let mut missing = count;
    while missing > 0 {
        if begin.elapsed() > WARM_UP + MEASURED + ARRIVES_WITHIN {
            bail!("{missing} records did not come");
        }
        let found = reader.fetch("calm", &mut offsets)?;
        let now = begin.elapsed();
        for records in found {
            batch::values(&records, |value| {
                // What the topic was filled with is of another size.
                let index = value.first_chunk().filter(|_| value.len() == VALUE_BYTES);
                let Some(due) = index.map(|bytes| INTERVAL * u32::from_be_bytes(*bytes)) else {
                    return;
                };
                missing = missing.saturating_sub(1);
                if due >= WARM_UP {
                    arrivals.push(now.saturating_sub(due).as_secs_f64() * 1000.0);
                }
            })?;
        }
    }
    sending.join().ok().context("the sender panicked")??;
    receiving.join().ok().context("the receiver panicked")??;
    Ok(arrivals)
}
