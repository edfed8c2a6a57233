//! Real brokers: kferry, a franz-go mirror, `MirrorMaker` 2 and the raw relay copy the same topics, one after the other in each
//! round. `peers` has large batches of every codec, `small` has small ones.

use crate::bench::Bench;
use crate::bench::peers::{Franz, Job, MirrorMaker, Tool};
use crate::bench::real::{Dataset, RELEASE, RealClusters};
use crate::bench::report::{Bound, Column, Goal, Row, Suite, Table};
use crate::bench::samples::{Series, columns};
use anyhow::Result;
use xtask::kafka::Options;

const PARTITIONS: u32 = 4;
const KIB: u32 = 1024;
const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

/// How many times less CPU than each peer, for one kind of data.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Wanted {
    franz: Option<f64>,
    mirror_maker: Option<f64>,
    relay: Option<f64>,
}

pub(in crate::bench) fn large(bench: &Bench) -> Result<Suite> {
    let data = CODECS.map(|codec| Dataset {
        partitions: PARTITIONS,
        batch_bytes: 256 * KIB,
        record_bytes: 1000,
        codec,
        bytes: bench.bytes,
    });
    run(bench, "peers", &data, |data| match data.codec {
        "none" => Wanted { franz: Some(4.0), mirror_maker: Some(15.0), relay: Some(1.7) },
        "lz4" => Wanted { franz: Some(15.0), mirror_maker: Some(40.0), relay: None },
        "zstd" => Wanted { franz: Some(30.0), mirror_maker: Some(40.0), relay: None },
        "gzip" => Wanted { franz: Some(30.0), mirror_maker: Some(150.0), relay: None },
        _ => Wanted { franz: None, mirror_maker: None, relay: None },
    })
}

pub(in crate::bench) fn small(bench: &Bench) -> Result<Suite> {
    // A batch of 1 KiB holds ten records; the single records are ten times as large.
    let sizes = [(16 * KIB, 1000), (4 * KIB, 1000), (KIB, 100), (0, 1000)];
    let data: Vec<Dataset> = sizes
        .into_iter()
        .flat_map(|(batch_bytes, record_bytes)| {
            ["none", "lz4"].map(|codec| Dataset {
                partitions: PARTITIONS,
                batch_bytes,
                record_bytes,
                codec,
                // Each takes long: a fifth is enough.
                bytes: bench.bytes / 5,
            })
        })
        .collect();
    let wanted = Wanted { franz: Some(2.5), mirror_maker: Some(8.0), relay: None };
    run(bench, "small", &data, |_| wanted)
}

fn run(
    bench: &Bench,
    name: &str,
    data: &[Dataset],
    wanted: impl Fn(&Dataset) -> Wanted,
) -> Result<Suite> {
    let mut suite = Suite::new(
        name,
        format!(
            "Kafka {RELEASE}, one broker on each side, {PARTITIONS} partitions, loopback, no TLS; every tool copies the same topic in turn. A \
             GB is 10^9 bytes of record values before compression. MirrorMaker 2 counts from its first record on the target to the last; the \
             others count whole, start and end included."
        ),
    );
    let tools = tools(bench, &mut suite);
    let clusters = RealClusters::start(&Options::default())?;
    let mut all: Vec<Vec<Series>> = vec![vec![Series::default(); tools.len()]; data.len()];
    let mut stored = Vec::new();
    for (index, data) in data.iter().enumerate() {
        stored.push(clusters.fill(&format!("{name}-{index}"), *data)?);
    }
    for round in 0..bench.rounds {
        for (index, data) in data.iter().enumerate() {
            let topic = format!("{name}-{index}");
            let job = Job {
                clusters: &clusters,
                topic: &topic,
                data: *data,
                stored_bytes: stored[index],
            };
            for (tool, series) in tools.iter().zip(&mut all[index]) {
                let sample = tool.copy(&job)?;
                bench.progress(round, &data.name(), tool.name(), sample.cpu());
                series.0.push(sample);
            }
        }
    }
    for (data, series) in data.iter().zip(&all) {
        findings(&mut suite, data, &tools, series, wanted(data));
    }
    Ok(suite)
}

/// The relay and kferry always, the peers where they can be had.
fn tools<'a>(bench: &'a Bench, suite: &mut Suite) -> Vec<Tool<'a>> {
    let mut tools = vec![Tool::Relay, Tool::Kferry(&bench.binary)];
    match Franz::build() {
        Ok(franz) => tools.push(Tool::Franz(franz)),
        Err(error) => suite.notes.push(format!("left out: franz-go mirror: {error:#}")),
    }
    match MirrorMaker::fetch() {
        Ok(mirror_maker) => tools.push(Tool::MirrorMaker(mirror_maker)),
        Err(error) => suite.notes.push(format!("left out: MirrorMaker 2: {error:#}")),
    }
    tools
}

fn findings(suite: &mut Suite, data: &Dataset, tools: &[Tool<'_>], all: &[Series], wanted: Wanted) {
    let name = data.name();
    let (Some(relay), Some(ours)) = (all.first(), all.get(1)) else { return };
    let rows =
        tools.iter().zip(all).map(|(tool, series)| series.row(tool.name().to_owned(), relay));
    let rows = rows.collect();
    suite.tables.push(Table { title: name.clone(), columns: columns(), rows, plot: Some(0) });
    if let Some(bound) = wanted.relay {
        let measured = ours.cpu_over(relay).median;
        let what = format!("{name}: CPU against the relay");
        suite.goals.push(Goal::new(what, measured, Bound::AtMost(bound), "x"));
    }
    let mut rows = Vec::new();
    for (tool, peer) in tools.iter().zip(all).skip(2) {
        let (less, faster) = (peer.cpu_over(ours), ours.rate_over(peer));
        let bound = match tool {
            Tool::Franz(_) => wanted.franz,
            _ => wanted.mirror_maker,
        };
        if let Some(bound) = bound {
            let what = format!("{name}: times less CPU than {}", tool.name());
            suite.goals.push(Goal::new(what, less.median, Bound::AtLeast(bound), "x"));
        }
        let what = format!("{name}: rate against {}", tool.name());
        suite.goals.push(Goal::new(what, faster.median, Bound::AtLeast(1.0), "x"));
        rows.push(Row { name: tool.name().to_owned(), values: vec![less, faster] });
    }
    let title = format!("{name}: kferry against");
    let columns = vec![
        Column { name: "times less CPU", digits: 1 },
        Column { name: "times the rate", digits: 2 },
    ];
    suite.tables.push(Table { title, columns, rows, plot: None });
}
