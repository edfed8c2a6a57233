//! One partition over a long way: kferry and the raw relay through the same delaying proxy.

use crate::bench::Bench;
use crate::bench::kferry::{Following, Route};
use crate::bench::proxy::{Proxy, Way};
use crate::bench::relay::Ends;
use crate::bench::report::{Bound, Column, Goal, Row, Suite, Table};
use crate::bench::sandbox::{Fill, Sandbox};
use crate::bench::stats::Spread;
use crate::output::line;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::time::Duration;

/// Round trips, and bytes per second in each direction; without a number as many as the machine's loopback carries.
const WAYS: [(u64, Option<u32>); 6] = [
    (0, None),
    (10, None),
    (50, None),
    (100, None),
    (100, Some(125_000_000)),
    (100, Some(1_250_000_000)),
];
const GOAL_MS: u64 = 100;

/// What is under way is at most the buffer, and what passes in a round trip at most what is under way.
const LARGE_BUFFER: [&str; 2] = ["--buffer", "512MB"];

/// Where the long way is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Far {
    Source,
    Target,
}

impl Far {
    const fn name(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }
}

pub(in crate::bench) fn run(bench: &Bench) -> Result<Suite> {
    let mut suite = Suite::new(
        "distance",
        "One partition of 256 KiB batches between sandboxes, a proxy in front of one of them that holds every byte back by half the \
         round trip and passes on what the loopback carries, or what a link of 1 or 10 Gbit/s would. Rates count from the first byte at \
         the target to the last. The relay streams: it never waits for an answer.",
    );
    let mut rows = Vec::new();
    for far in [Far::Source, Far::Target] {
        for (milliseconds, bytes_per_second) in WAYS {
            let way = Way { delay: Duration::from_micros(milliseconds * 500), bytes_per_second };
            let name = name(milliseconds, bytes_per_second, far);
            let (mut relays, mut copies, mut large) = (Vec::new(), Vec::new(), Vec::new());
            for round in 0..bench.rounds {
                let relay = relay_rate(bench.bytes, way, far)?;
                let copy = copy_rate(bench, way, far, &[]).with_context(|| name.clone())?;
                let wide =
                    copy_rate(bench, way, far, &LARGE_BUFFER).with_context(|| name.clone())?;
                line(format_args!(
                    "round {}: {name}: kferry {copy:.0} MB/s, {wide:.0} with {}, relay {relay:.0}",
                    round + 1,
                    LARGE_BUFFER.join(" "),
                ));
                relays.push(relay);
                copies.push(copy);
                large.push(wide);
            }
            let share = Spread::ratio(&copies, &relays);
            let wide_share = Spread::ratio(&large, &relays);
            if milliseconds == GOAL_MS {
                let what = format!("{name}: rate against the relay");
                suite.goals.push(Goal::new(what, share.median, Bound::AtLeast(0.8), "x"));
            }
            let rates = [copies, large, relays].map(Spread::of);
            rows.push(Row { name, values: [&rates[..], &[share, wide_share]].concat() });
        }
    }
    let columns = vec![
        Column { name: "kferry MB/s", digits: 0 },
        Column { name: "with --buffer 512MB", digits: 0 },
        Column { name: "relay MB/s", digits: 0 },
        Column { name: "x relay", digits: 2 },
        Column { name: "large buffer x relay", digits: 2 },
    ];
    suite.tables.push(Table { title: "round trip".to_owned(), columns, rows, plot: Some(4) });
    Ok(suite)
}

fn name(milliseconds: u64, bytes_per_second: Option<u32>, far: Far) -> String {
    let link = bytes_per_second.map_or_else(String::new, |bytes| {
        format!(", {} Gbit/s", u64::from(bytes) * 8 / 1_000_000_000)
    });
    format!("{milliseconds} ms to the {}{link}", far.name())
}

fn relay_rate(bytes: u64, way: Way, far: Far) -> Result<f64> {
    let ends = Ends::listen()?;
    let (mut source, mut target) = (ends.source.local_addr()?, ends.target.local_addr()?);
    let through = |end: &mut SocketAddr| -> Result<()> {
        let proxy = Proxy::start(way)?;
        proxy.forward_to(&end.to_string())?;
        *end = proxy.address();
        Ok(())
    };
    match far {
        Far::Source => through(&mut source)?,
        Far::Target => through(&mut target)?,
    }
    let (_, seconds) = ends.run_timed(bytes, source, target)?;
    Ok(megabytes(bytes) / seconds)
}

fn copy_rate(bench: &Bench, way: Way, far: Far, options: &[&str]) -> Result<f64> {
    let proxy = Proxy::start(way)?;
    let advertised = proxy.address().to_string();
    let fill = Fill { partitions: 1, bytes: bench.bytes, batch_bytes: 256 << 10, codec: "none" };
    let spec = fill.spec("bench");
    let mut source = vec!["--fill", &spec];
    let mut target = vec!["--discard"];
    match far {
        Far::Source => source.extend(["--advertise", &advertised]),
        Far::Target => target.extend(["--advertise", &advertised]),
    }
    let source = Sandbox::start(&bench.binary, "source", &source)?;
    let target = Sandbox::start(&bench.binary, "target", &target)?;
    let (mut from, mut to) = (source.address.as_str(), target.address.as_str());
    let end = if far == Far::Source { &mut from } else { &mut to };
    proxy.forward_to(end)?;
    *end = &advertised;
    let route = Route { source: from, target: to, topics: "bench" };
    let mut sync = Following::start_with(&bench.binary, route, options)?;
    let copied = sync.until_copied(&source.address, &target.address, &["bench"], 1)?;
    Ok(megabytes(bench.bytes) / (copied.last - copied.first).as_secs_f64())
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}
