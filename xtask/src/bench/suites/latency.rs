//! Latency at a fixed rate, counted from the moment a record was meant to be sent: a stall counts for every record that it
//! held up, not only for the one that met it.

use crate::bench::Bench;
use crate::bench::batch;
use crate::bench::kferry::{Following, Route};
use crate::bench::report::{Bound, Column, Goal, Row, Suite, Table};
use crate::bench::sandbox::Sandbox;
use crate::bench::stats::{Distribution, Spread};
use crate::bench::wire::Wire;
use crate::output::line;
use anyhow::{Context, Result, bail};
use std::thread;
use std::time::{Duration, Instant};

const PARTITIONS: u32 = 4;
/// One batch each millisecond: 10 MB/s.
const INTERVAL: Duration = Duration::from_millis(1);
const RECORDS: usize = 10;
const RECORD_BYTES: usize = 1000;
/// Not measured: connections, first batches that travel alone.
const WARM_UP: Duration = Duration::from_secs(3);
const MEASURED: Duration = Duration::from_secs(10);
const ARRIVES_WITHIN: Duration = Duration::from_secs(30);
const SHARES: [(f64, &str); 3] = [(0.5, "p50 ms"), (0.99, "p99 ms"), (0.999, "p99.9 ms")];

/// Milliseconds from the due time of every batch, in their order.
#[derive(Debug)]
struct Seen {
    acknowledged: Vec<f64>,
    visible: Vec<f64>,
}

pub(in crate::bench) fn run(bench: &Bench) -> Result<Suite> {
    let mut suite = Suite::new(
        "latency",
        format!(
            "10 MB/s: a batch of {RECORDS} records of {RECORD_BYTES} bytes each millisecond, in turn over {PARTITIONS} partitions, for {} s, \
             between sandboxes. Each batch goes to the source and, at the same moment, to another topic of the target itself \
             (`direct`); a reader waits for each at the target. Times count from the moment a batch was due. `added` is formed batch by \
             batch: visible through kferry less visible directly, so it holds the source's own append too.",
            MEASURED.as_secs()
        ),
    );
    let names = ["direct, acknowledged", "direct, visible", "through kferry, visible", "added"];
    let mut quantiles: [[Vec<f64>; SHARES.len()]; 4] = Default::default();
    for round in 0..bench.rounds {
        let [direct, through] = one(bench)?;
        let added: Vec<f64> = through
            .visible
            .iter()
            .zip(&direct.visible)
            .map(|(through, direct)| through - direct)
            .collect();
        let all = [direct.acknowledged, direct.visible, through.visible, added];
        for ((name, values), quantiles) in names.iter().zip(&all).zip(&mut quantiles) {
            let distribution = Distribution::of(values);
            let shares = SHARES.map(|(share, _)| distribution.quantile(share));
            line(format_args!("round {}: {name}: {shares:.2?} ms", round + 1));
            for (quantiles, value) in quantiles.iter_mut().zip(shares) {
                quantiles.push(value);
            }
        }
    }
    let rows: Vec<Row> = names
        .into_iter()
        .zip(quantiles)
        .map(|(name, values)| Row { name: name.to_owned(), values: values.map(Spread::of).into() })
        .collect();
    let p99 =
        rows.last().and_then(|row| row.values.get(1)).map_or(f64::NAN, |spread| spread.median);
    suite.goals.push(Goal::new("added latency at 10 MB/s, p99", p99, Bound::AtMost(5.0), "ms"));
    suite.tables.push(Table {
        title: "from the due time".to_owned(),
        columns: SHARES.map(|(_, name)| Column { name, digits: 2 }).into(),
        rows,
        plot: Some(1),
    });
    Ok(suite)
}

/// The same load at the same moments directly and through kferry.
fn one(bench: &Bench) -> Result<[Seen; 2]> {
    let source = Sandbox::start(&bench.binary, "source", &["--fill", "load:4:4:1:none"])?;
    let target =
        Sandbox::start(&bench.binary, "target", &["--discard", "--fill", "direct:4:4:1:none"])?;
    let route = Route { source: &source.address, target: &target.address, topics: "load" };
    let mut sync = Following::start(&bench.binary, route)?;
    sync.until_copied(&source.address, &target.address, &["load"], PARTITIONS)?;
    let begin = Instant::now() + Duration::from_millis(100);
    let (from, to) = (source.address.clone(), target.address.clone());
    let through = thread::spawn(move || load(&from, &to, "load", begin));
    let direct = load(&target.address, &target.address, "direct", begin).context("direct")?;
    let through = through.join().ok().context("a load panicked")?.context("through kferry")?;
    Ok([direct, through])
}

/// Produces to one cluster and reads from the other. Each record carries the time it was due, in microseconds from the start.
fn load(to: &str, from: &str, topic: &str, begin: Instant) -> Result<Seen> {
    let mut reader = Wire::connect(from)?;
    let ends = reader.end_offsets(topic, PARTITIONS)?;
    let mut offsets = ends
        .into_iter()
        .map(|end| end.context("no such partition"))
        .collect::<Result<Vec<i64>>>()?;
    let mut sender = Wire::connect(to)?;
    let mut receiver = sender.twin()?;
    let count = u32::try_from((WARM_UP + MEASURED).as_millis() / INTERVAL.as_millis())?;
    let name = topic.to_owned();
    let sending = thread::spawn(move || -> Result<()> {
        for index in 0..count {
            let due = INTERVAL * index;
            let batch = batch::encode(&values(due)?)?;
            thread::sleep((begin + due).saturating_duration_since(Instant::now()));
            sender.send_produce(&name, index % PARTITIONS, &batch)?;
        }
        Ok(())
    });
    let receiving = thread::spawn(move || -> Result<Vec<f64>> {
        let mut acknowledged = Vec::new();
        for index in 0..count {
            receiver.receive_produced()?;
            let due = INTERVAL * index;
            if due >= WARM_UP {
                acknowledged.push(milliseconds(begin.elapsed().saturating_sub(due)));
            }
        }
        Ok(acknowledged)
    });
    let visible = read(&mut reader, topic, &mut offsets, begin, usize::try_from(count)?)?;
    sending.join().ok().context("the sender panicked")??;
    let acknowledged = receiving.join().ok().context("the receiver panicked")??;
    Ok(Seen { acknowledged, visible })
}

fn values(due: Duration) -> Result<Vec<Vec<u8>>> {
    let mut value = u64::try_from(due.as_micros())?.to_be_bytes().to_vec();
    value.resize(RECORD_BYTES, b'x');
    Ok(vec![value; RECORDS])
}

/// Reads until every batch has been seen whole: one that is missing would be the latest of all.
fn read(
    reader: &mut Wire,
    topic: &str,
    offsets: &mut [i64],
    begin: Instant,
    count: usize,
) -> Result<Vec<f64>> {
    let mut visible = vec![f64::NAN; count];
    let mut missing = count * RECORDS;
    while missing > 0 {
        if begin.elapsed() > WARM_UP + MEASURED + ARRIVES_WITHIN {
            bail!("{missing} records did not come");
        }
        let found = reader.fetch(topic, offsets)?;
        let now = begin.elapsed();
        for records in found {
            batch::values(&records, |value| {
                let due = value.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
                let due = Duration::from_micros(due);
                let index = due.as_micros() / INTERVAL.as_micros();
                missing = missing.saturating_sub(1);
                if let Some(visible) =
                    usize::try_from(index).ok().and_then(|index| visible.get_mut(index))
                {
                    *visible = milliseconds(now.saturating_sub(due));
                }
            })?;
        }
    }
    let warm = WARM_UP.as_micros() / INTERVAL.as_micros();
    Ok(visible.split_off(usize::try_from(warm)?))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
