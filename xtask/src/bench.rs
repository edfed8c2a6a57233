//! `cargo xtask bench`: what kferry costs, beside a raw relay and beside its peers, in the same minutes.
//!
//! Only ratios of one run mean something: single figures move with the machine and with what else it does. Whatever is
//! compared runs interleaved, round by round; ratios are formed within a round, and medians and ranges are shown. A goal
//! that is missed is reported and never fails the command: no machine is quiet enough for that.

mod batch;
mod html;
mod kferry;
mod messages;
mod peers;
mod process;
mod proxy;
mod real;
mod relay;
mod report;
mod requests;
mod samples;
mod sandbox;
mod stats;
mod suites;
mod svg;
mod tls_relay;
mod wire;

use crate::dist;
use crate::output::line;
use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use report::{Machine, Report, Suite};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};
use xtask::workspace::target_directory;

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// Suites, repeatable. Without one: null, which takes a few minutes
    #[arg(long = "suite", value_enum, value_delimiter = ',')]
    suites: Vec<SuiteName>,
    /// Rounds; medians are shown
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Megabytes (10^6 bytes) of plain records for each case and round
    #[arg(long, default_value_t = 500)]
    megabytes: u64,
    /// Minutes for which memory is watched; 10 for the full claim
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// Page to write the results to; a JSON file of the same name lies beside it [default: target/bench/report.html]
    #[arg(long)]
    report: Option<PathBuf>,
}

/// A suite on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SuiteName {
    /// Every suite
    All,
    /// Null brokers: our cost alone, beside the raw relay
    Null,
    /// Real brokers: the franz-go mirror (needs Go), MirrorMaker 2 and the relay, on every codec (needs a JDK and Maven)
    Peers,
    /// The same with small batches down to single records
    Small,
    /// One partition over 0 to 100 ms of round trip
    Distance,
    /// 1 to 10,000 partitions: memory, idle CPU, arrival of single records
    Partitions,
    /// A slow target: memory over --minutes; start to first record
    Memory,
    /// 10 MB/s: quantiles of the time to the target
    Latency,
    /// TLS on both sides, beside a relay with TLS (needs a JDK and Maven)
    Tls,
    /// One partition that floods beside calm ones: what it does to their latency
    Fairness,
    /// 1 to 150 tasks in one process
    Tasks,
    /// A backlog while the source is written to
    CatchUp,
    /// An instance of 1,000 topics and 500 groups: first sync, then CPU and requests while nothing changes (needs a JDK and Maven)
    Metadata,
    /// `kferry verify` of batches that were copied as they are (needs a JDK and Maven)
    Verify,
    /// Tasks with a rule: 1 KB JSON records processed between null brokers, beside loops in memory (needs Go, a JDK and Maven for some of them)
    Etl,
    /// Instructions of each step on the way of a batch (needs valgrind)
    Instructions,
}

impl SuiteName {
    const ALL: [Self; 15] = [
        Self::Null,
        Self::Peers,
        Self::Small,
        Self::Distance,
        Self::Partitions,
        Self::Memory,
        Self::Latency,
        Self::Tls,
        Self::Fairness,
        Self::Tasks,
        Self::CatchUp,
        Self::Metadata,
        Self::Verify,
        Self::Etl,
        Self::Instructions,
    ];

    fn run(self, bench: &Bench) -> Result<Suite> {
        match self {
            Self::Null => suites::null::run(bench),
            Self::Peers => suites::peers::large(bench),
            Self::Small => suites::peers::small(bench),
            Self::Distance => suites::distance::run(bench),
            Self::Partitions => suites::partitions::run(bench),
            Self::Memory => suites::memory::run(bench),
            Self::Latency => suites::latency::run(bench),
            Self::Tls => suites::tls::run(bench),
            Self::Fairness => suites::fairness::run(bench),
            Self::Tasks => suites::tasks::run(bench),
            Self::CatchUp => suites::catch_up::run(bench),
            Self::Metadata => suites::metadata::run(bench),
            Self::Verify => suites::verify::run(bench),
            Self::Etl => suites::etl::run(bench),
            Self::Instructions => suites::instructions::run(bench),
            Self::All => anyhow::bail!("not a suite by itself"),
        }
    }
}

/// What every suite needs.
#[derive(Debug)]
struct Bench {
    binary: PathBuf,
    rounds: usize,
    bytes: u64,
    /// How long memory is watched.
    time: Duration,
}

impl Bench {
    #[expect(clippy::unused_self, reason = "suites talk to the bench only")]
    fn progress(&self, round: usize, case: &str, tool: &str, cpu: f64) {
        line(format_args!("round {}: {case}: {tool}: {cpu:.3} CPU-s/GB", round + 1));
    }
}

/// One of the yardsticks: reads from `source`, writes to `target`, with TLS on both when there is a CA to trust.
pub(crate) fn relay(source: SocketAddr, target: SocketAddr, ca: Option<&Path>) -> Result<()> {
    match ca {
        Some(ca) => tls_relay::relay(source, target, ca),
        None => relay::relay(source, target),
    }
}

pub(crate) fn run(arguments: &BenchArguments) -> Result<()> {
    let bench = Bench {
        binary: dist::binary_under_test()?,
        rounds: arguments.rounds.max(1),
        bytes: arguments.megabytes.max(1) * 1_000_000,
        time: Duration::try_from_secs_f64(arguments.minutes * 60.0)?,
    };
    let page = match &arguments.report {
        Some(path) => path.clone(),
        None => target_directory().join("bench").join("report.html"),
    };
    let mut report = Report {
        machine: machine()?,
        rounds: bench.rounds,
        megabytes: arguments.megabytes,
        suites: Vec::new(),
    };
    for name in chosen(&arguments.suites) {
        let begin = Instant::now();
        let mut suite = name.run(&bench).with_context(|| format!("suite {name:?}"))?;
        suite.seconds = begin.elapsed().as_secs_f64();
        suite.print();
        report.suites.push(suite);
        // After each suite: what is measured is not lost when a later one fails.
        write(&page, &report)?;
    }
    line(format_args!("\n{}", page.display()));
    Ok(())
}

fn chosen(suites: &[SuiteName]) -> Vec<SuiteName> {
    if suites.is_empty() {
        vec![SuiteName::Null]
    } else if suites.contains(&SuiteName::All) {
        SuiteName::ALL.to_vec()
    } else {
        suites.to_vec()
    }
}

fn write(page: &Path, report: &Report) -> Result<()> {
    if let Some(directory) = page.parent() {
        fs::create_dir_all(directory)?;
    }
    fs::write(page, html::page(report)).with_context(|| format!("writing {}", page.display()))?;
    let json = page.with_extension("json");
    fs::write(&json, serde_json::to_string_pretty(report)? + "\n")
        .with_context(|| format!("writing {}", json.display()))
}

fn machine() -> Result<Machine> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let started = crate::run::read(std::process::Command::new("date").arg("-u"))?;
    Ok(Machine {
        cpus: thread::available_parallelism()?.get(),
        cpu_model: model.map_or("unknown", |(_, model)| model).to_owned(),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        started: started.trim().to_owned(),
        load_before: read("/proc/loadavg").split(' ').next().unwrap_or("").to_owned(),
    })
}
