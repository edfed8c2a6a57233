//! A backlog while the source is written to: how long until the target has caught up.

use crate::bench::Bench;
use crate::bench::batch;
use crate::bench::kferry::{Following, Route};
use crate::bench::report::{Column, Row, Suite, Table};
use crate::bench::sandbox::{Fill, Sandbox};
use crate::bench::stats::Spread;
use crate::bench::wire::Wire;
use crate::output::line;
use anyhow::{Context, Result, bail};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const PARTITIONS: u32 = 4;
const BATCH_BYTES: u32 = 64 << 10;
/// 10 MB/s while the backlog is copied.
const INTERVAL: Duration = Duration::from_millis(10);
const RECORDS: usize = 100;
const RECORD_BYTES: usize = 1000;
const WITHIN: Duration = Duration::from_secs(300);
const LOOK: Duration = Duration::from_millis(2);

pub(in crate::bench) fn run(bench: &Bench) -> Result<Suite> {
    let mut suite = Suite::new(
        "catch-up",
        format!(
            "Sandboxes, {PARTITIONS} partitions with a backlog of {} MB in 64 KiB batches, and 10 MB/s written meanwhile: seconds from the \
             start of the process until the target has all that the source had a moment before.",
            bench.bytes / 1_000_000
        ),
    );
    let (mut seconds, mut rates, mut peaks) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let (took, rate, peak) = one(bench)?;
        line(format_args!("caught up after {took:.2} s, {rate:.0} MB/s, {peak:.0} MiB"));
        seconds.push(took);
        rates.push(rate);
        peaks.push(peak);
    }
    let values = [seconds, rates, peaks].map(Spread::of).into();
    suite.tables.push(Table {
        title: "backlog".to_owned(),
        columns: vec![
            Column { name: "caught up after s", digits: 2 },
            Column { name: "MB/s", digits: 0 },
            Column { name: "peak MiB", digits: 1 },
        ],
        rows: vec![Row { name: "while 10 MB/s are written".to_owned(), values }],
        plot: None,
    });
    Ok(suite)
}

/// Seconds, MB/s (backlog and what was written meanwhile), MiB.
#[expect(clippy::cast_precision_loss, reason = "a rate for people to read")]
fn one(bench: &Bench) -> Result<(f64, f64, f64)> {
    let fill = Fill {
        partitions: PARTITIONS,
        bytes: bench.bytes,
        batch_bytes: BATCH_BYTES,
        codec: "none",
    };
    let source = Sandbox::start(&bench.binary, "source", &["--fill", &fill.spec("bench")])?;
    let target = Sandbox::start(&bench.binary, "target", &["--discard"])?;
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, to) = (Arc::clone(&stop), source.address.clone());
    let writing = thread::spawn(move || write(&to, &stopped));
    let route = Route { source: &source.address, target: &target.address, topics: "bench" };
    let mut sync = Following::start(&bench.binary, route)?;
    let caught_up = until_equal(&mut sync, &source, &target);
    stop.store(true, Ordering::Relaxed);
    let written = writing.join().ok().context("the writer panicked")??;
    let took = (caught_up? - sync.process.begin()).as_secs_f64();
    let bytes = bench.bytes + written;
    Ok((took, bytes as f64 / 1e6 / took, sync.process.cost()?.peak_mib))
}

fn until_equal(sync: &mut Following, source: &Sandbox, target: &Sandbox) -> Result<Instant> {
    let (mut source, mut target) =
        (Wire::connect(&source.address)?, Wire::connect(&target.address)?);
    loop {
        let wanted = source.end_offsets("bench", PARTITIONS)?;
        let there = target.end_offsets("bench", PARTITIONS)?;
        if wanted.iter().zip(&there).all(|(wanted, there)| there >= wanted) {
            return Ok(Instant::now());
        }
        if sync.process.has_ended()? || sync.process.begin().elapsed() > WITHIN {
            bail!("it did not catch up");
        }
        thread::sleep(LOOK);
    }
}

/// Writes until told to stop; gives the bytes.
fn write(to: &str, stop: &AtomicBool) -> Result<u64> {
    let mut wire = Wire::connect(to)?;
    let (begin, mut written) = (Instant::now(), 0);
    let values = vec![vec![b'x'; RECORD_BYTES]; RECORDS];
    for index in 0_u32.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let batch = batch::encode(&values)?;
        thread::sleep((begin + INTERVAL * index).saturating_duration_since(Instant::now()));
        wire.produce("bench", index % PARTITIONS, &batch)?;
        written += u64::try_from(batch.len())?;
    }
    Ok(written)
}
