//! A whole instance: how soon its topics, records and groups are on the target, and what it costs to keep them so while nothing
//! changes.

use crate::bench::Bench;
use crate::bench::batch;
use crate::bench::process::{Cost, Running};
use crate::bench::proxy::{Proxy, Way};
use crate::bench::real::RELEASE;
use crate::bench::report::{Bound, Column, Goal, Row, Suite, Table};
use crate::bench::requests::{Requests, api_name};
use crate::bench::stats::Spread;
use crate::bench::wire::Wire;
use crate::output::line;
use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use xtask::kafka::{KafkaCluster, Options};

const TOPICS: usize = 1_000;
const PARTITIONS: u32 = 5;
const GROUPS: usize = 500;
/// Topics on which each group has offsets.
const TOPICS_OF_A_GROUP: usize = 2;
/// Records in each partition, and where groups stand among them.
const RECORDS: usize = 10;
const COMMITTED: i64 = 5;
const TOPICS_IN_A_REQUEST: usize = 50;
/// How long a new topic or coordinator may take.
const READY_WITHIN: Duration = Duration::from_secs(60);
const SYNC_WITHIN: Duration = Duration::from_secs(600);
/// What is left to do after the first sync (journal, first looks) is over by then.
const SETTLED_AFTER: Duration = Duration::from_secs(20);
/// One whole interval between two comparisons of all settings.
const STEADY: Duration = Duration::from_secs(180);

/// A cluster and who asks it what.
struct End {
    cluster: KafkaCluster,
    proxy: Proxy,
}

/// What one run showed.
#[derive(Debug)]
struct Found {
    initial_seconds: f64,
    /// CPU of the first sync.
    initial: Cost,
    /// Percent of one core.
    steady_percent: f64,
    requests_per_second: f64,
    resident_mib: f64,
}

pub(in crate::bench) fn run(bench: &Bench) -> Result<Suite> {
    let mut suite = Suite::new(
        "metadata",
        format!(
            "One Kafka {RELEASE} broker on each side, {TOPICS} topics of {PARTITIONS} partitions with {RECORDS} records each, {GROUPS} groups with \
             offsets in {} partitions each; `sync --sync metadata_data_offsets` with no other setting. First until the target has every \
             topic, record and offset; then {} s in which nothing changes. Requests are counted by proxies on both ways.",
            TOPICS_OF_A_GROUP * PARTITIONS as usize,
            STEADY.as_secs()
        ),
    );
    let mut all = Vec::new();
    for _ in 0..bench.rounds {
        let (found, requests) = one(bench)?;
        suite.notes.push(format!("requests while nothing changes: {requests}"));
        all.push(found);
    }
    let spread = |value: fn(&Found) -> f64| Spread::of(all.iter().map(value));
    let values = vec![
        spread(|found| found.initial_seconds),
        spread(|found| found.initial.cpu()),
        spread(|found| found.initial.peak_mib),
        spread(|found| found.steady_percent),
        spread(|found| found.requests_per_second),
        spread(|found| found.resident_mib),
    ];
    let goals = [
        ("initial sync", 0, 60.0, "s"),
        ("nothing changes: CPU", 3, 2.0, "% of a core"),
        ("nothing changes: requests", 4, 5.0, "per second"),
    ];
    for (what, index, bound, unit) in goals {
        let measured = values.get(index).map_or(f64::NAN, |value| value.median);
        suite.goals.push(Goal::new(what, measured, Bound::AtMost(bound), unit));
    }
    let columns = vec![
        Column { name: "initial sync s", digits: 1 },
        Column { name: "its CPU s", digits: 1 },
        Column { name: "its peak MiB", digits: 1 },
        Column { name: "steady % of a core", digits: 2 },
        Column { name: "steady requests/s", digits: 2 },
        Column { name: "steady MiB", digits: 1 },
    ];
    let rows = vec![Row { name: format!("{TOPICS} topics, {GROUPS} groups"), values }];
    suite.tables.push(Table { title: "instance".to_owned(), columns, rows, plot: None });
    Ok(suite)
}

impl End {
    fn start() -> Result<Self> {
        let proxy = Proxy::start(Way::default())?;
        // Index files are made in full size, 10 MB each: with 10,000 of them their removal takes minutes.
        let mut options = Options::default()
            .advertise(0, &proxy.address().to_string())
            .property("log.index.size.max.bytes", "65536");
        options.heap_mib = 1024;
        let cluster = KafkaCluster::start(RELEASE, options)?;
        proxy.forward_to(&cluster.broker(0).address())?;
        Ok(Self { cluster, proxy })
    }

    /// Past the proxy: what is looked at is not counted.
    fn wire(&self) -> Result<Wire> {
        Wire::connect(&self.cluster.internal_bootstrap())
    }
}

fn topics() -> Vec<String> {
    (0..TOPICS).map(|number| format!("topic-{number:04}")).collect()
}

/// Topics on which a group has offsets: every topic has some group.
fn topics_of(group: usize, topics: &[String]) -> Vec<String> {
    let own = topics.iter().cycle().skip(group * TOPICS_OF_A_GROUP);
    own.take(TOPICS_OF_A_GROUP).cloned().collect()
}

fn group_name(number: usize) -> String {
    format!("group-{number:03}")
}

fn fill(source: &End, topics: &[String]) -> Result<()> {
    let mut wire = source.wire()?;
    for portion in topics.chunks(TOPICS_IN_A_REQUEST) {
        wire.create_topics(portion, PARTITIONS)?;
    }
    let values: Vec<Vec<u8>> =
        (0..RECORDS).map(|number| format!("value {number}").into_bytes()).collect();
    let batch = batch::encode(&values)?;
    for topic in topics {
        for partition in 0..PARTITIONS {
            // A new partition is known before it is led.
            patiently(|| wire.produce(topic, partition, &batch))?;
        }
    }
    for number in 0..GROUPS {
        let own = topics_of(number, topics);
        let group = group_name(number);
        // The first question has the broker make its topic for offsets.
        patiently(|| {
            wire.find_coordinator(&group)?;
            wire.commit(&group, &own, PARTITIONS, COMMITTED)
        })?;
    }
    Ok(())
}

/// Until it succeeds, or has failed for too long.
fn patiently(mut attempt: impl FnMut() -> Result<()>) -> Result<()> {
    let begin = Instant::now();
    loop {
        match attempt() {
            Err(_) if begin.elapsed() < READY_WITHIN => thread::sleep(Duration::from_millis(50)),
            result => return result,
        }
    }
}

fn one(bench: &Bench) -> Result<(Found, String)> {
    let (source, target) = (End::start()?, End::start()?);
    let topics = topics();
    fill(&source, &topics).context("filling the source")?;
    line("the source is filled");
    let directory = TempDir::new()?;
    let (mut command, output) = command(bench, &source, &target, &directory)?;
    let mut sync = Running::spawn(&mut command)?;
    wait_until_there(&mut sync, &target, &topics)
        .with_context(|| format!("kferry said:\n{}", tail(&output)))?;
    let initial_seconds = sync.begin().elapsed().as_secs_f64();
    let initial = sync.cost()?;
    line(format_args!("everything is there after {initial_seconds:.1} s"));
    thread::sleep(SETTLED_AFTER);
    let (cost, counts) = (sync.cost()?, counted(&source, &target));
    thread::sleep(STEADY);
    let taken = sync.cost()?.since(&cost);
    let mut requests = counted(&source, &target);
    for (api, count) in &mut requests {
        *count -= counts.get(api).copied().unwrap_or(0);
    }
    let resident_mib = sync.resident_mib()?;
    let all: u64 = requests.values().sum();
    let per_second =
        |count: u64| -> Result<f64> { Ok(f64::from(u32::try_from(count)?) / taken.elapsed) };
    let mut shares: Vec<String> = Vec::new();
    for ((end, api), count) in requests {
        if count > 0 {
            shares.push(format!("{end} {} {:.3}/s", api_name(api), per_second(count)?));
        }
    }
    let found = Found {
        initial_seconds,
        initial,
        steady_percent: taken.cpu() / taken.elapsed * 100.0,
        requests_per_second: per_second(all)?,
        resident_mib,
    };
    let shares = shares.join(", ");
    // Before the brokers end, which takes a while with so many files.
    line(format_args!("{found:.2?}\n{shares}"));
    Ok((found, shares))
}

fn counted(source: &End, target: &End) -> BTreeMap<(&'static str, i16), u64> {
    let of = |name, requests: &Requests| {
        requests.counts().into_iter().map(move |(api, count)| ((name, api), count))
    };
    of("source", source.proxy.requests()).chain(of("target", target.proxy.requests())).collect()
}

fn command(
    bench: &Bench,
    source: &End,
    target: &End,
    directory: &TempDir,
) -> Result<(Command, PathBuf)> {
    let output = directory.path().join("output");
    let mut command = Command::new(&bench.binary);
    command
        .args(["sync", "--sync", "metadata_data_offsets", "--output", "json", "--log", "warn"])
        .args(["--source", &source.proxy.address().to_string()])
        .args(["--target", &target.proxy.address().to_string()])
        .arg("--state")
        .arg(directory.path().join("state"))
        .stdin(Stdio::null())
        .stdout(File::create(&output)?)
        .stderr(File::options().append(true).open(&output)?);
    Ok((command, output))
}

/// Waits until the target has every record and every offset.
fn wait_until_there(sync: &mut Running, target: &End, topics: &[String]) -> Result<()> {
    let mut wire = target.wire()?;
    let mut alive = |what: &str| -> Result<()> {
        if sync.has_ended()? || sync.begin().elapsed() > SYNC_WITHIN {
            bail!("{what} is not there");
        }
        thread::sleep(Duration::from_millis(50));
        Ok(())
    };
    let records = i64::try_from(RECORDS)?;
    for topic in topics {
        let is_there = |end: &Option<i64>| end.is_some_and(|end| end >= records);
        while !wire.end_offsets(topic, PARTITIONS)?.iter().all(is_there) {
            alive(topic)?;
        }
    }
    let wanted = TOPICS_OF_A_GROUP * usize::try_from(PARTITIONS)?;
    for number in 0..GROUPS {
        let own = topics_of(number, topics);
        while wire.committed(&group_name(number), &own, PARTITIONS)? < wanted {
            alive(&group_name(number))?;
        }
    }
    Ok(())
}

fn tail(output: &PathBuf) -> String {
    let text = fs::read_to_string(output).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines.get(lines.len().saturating_sub(20)..).unwrap_or_default().join("\n")
}
