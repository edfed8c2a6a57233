//! `cargo xtask bench`: what a copied gigabyte costs our process, beside a raw relay of as many bytes in the same minutes.
//!
//! Only ratios of one run mean something: single figures move with the machine and what else it does. Cases are interleaved
//! with the relay round by round, and medians are compared.

mod process;
mod relay;

use crate::dist;
use crate::output::line;
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use process::{Cost, Guard, measure};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use xtask::kafka::{KafkaCluster, Options, Release};

pub(crate) use relay::relay;

const PARTITIONS: u32 = 4;
const SYNC_TIMEOUT: Duration = Duration::from_secs(600);
const SANDBOX_START: Duration = Duration::from_secs(60);

/// What to measure.
#[derive(Debug, Args)]
pub(crate) struct BenchArguments {
    /// Rounds; medians are shown.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Megabytes (10^6 bytes) of records for each case and round.
    #[arg(long, default_value_t = 1000)]
    megabytes: u64,
    /// Clusters between which to copy: sandboxes without a disk, or real brokers (needs a JDK and Maven).
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["sandbox", "real"])]
    clusters: Vec<Clusters>,
    /// File to write the results to, as JSON.
    #[arg(long)]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Clusters {
    Sandbox,
    Real,
}

/// One kind of data on one kind of clusters.
#[derive(Clone, Copy, Debug)]
struct Case {
    clusters: Clusters,
    batch_bytes: u32,
    codec: &'static str,
}

const CASES: [Case; 5] = [
    Case { clusters: Clusters::Sandbox, batch_bytes: 262_144, codec: "none" },
    Case { clusters: Clusters::Sandbox, batch_bytes: 16_384, codec: "none" },
    Case { clusters: Clusters::Real, batch_bytes: 262_144, codec: "none" },
    Case { clusters: Clusters::Real, batch_bytes: 262_144, codec: "lz4" },
    Case { clusters: Clusters::Real, batch_bytes: 16_384, codec: "none" },
];

impl Case {
    fn name(self) -> String {
        let clusters = if self.clusters == Clusters::Sandbox { "sandbox" } else { "real" };
        format!("{clusters}, {} KiB, {}", self.batch_bytes / 1024, self.codec)
    }
}

/// One measurement: the process, and the bytes it moved.
#[derive(Clone, Copy, Debug)]
struct Sample {
    cost: Cost,
    bytes: u64,
}

impl Sample {
    #[expect(clippy::cast_precision_loss, reason = "a quotient shown with three digits")]
    fn gigabytes(&self) -> f64 {
        self.bytes as f64 / 1e9
    }

    fn cpu(&self) -> f64 {
        self.cost.cpu() / self.gigabytes()
    }

    fn user(&self) -> f64 {
        self.cost.user / self.gigabytes()
    }

    fn rate(&self) -> f64 {
        self.gigabytes() * 1000.0 / self.cost.elapsed
    }
}

pub(crate) fn run(arguments: &BenchArguments) -> Result<()> {
    let binary = dist::binary_under_test()?;
    let bytes = arguments.megabytes * 1_000_000;
    let cases: Vec<Case> =
        CASES.into_iter().filter(|case| arguments.clusters.contains(&case.clusters)).collect();
    let real = if arguments.clusters.contains(&Clusters::Real) {
        Some(RealClusters::start(&cases, arguments.rounds, bytes)?)
    } else {
        None
    };
    let mut relays = Vec::new();
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); cases.len()];
    for round in 0..arguments.rounds {
        for (index, case) in cases.iter().enumerate() {
            let yardstick = Sample { cost: relay::run(bytes)?, bytes };
            relays.push(yardstick);
            let sample = match (case.clusters, &real) {
                (Clusters::Real, Some(real)) => real.copy(&binary, index, round),
                _ => copy_between_sandboxes(&binary, *case, bytes),
            };
            let sample = sample.with_context(|| case.name())?;
            line(format_args!(
                "round {}: {}: {:.3} CPU-s/GB, relay {:.3}",
                round + 1,
                case.name(),
                sample.cpu(),
                yardstick.cpu()
            ));
            samples[index].push(sample);
        }
    }
    report(arguments, &cases, &samples, &relays)
}

fn report(
    arguments: &BenchArguments,
    cases: &[Case],
    samples: &[Vec<Sample>],
    relays: &[Sample],
) -> Result<()> {
    let yardstick = median(relays, Sample::cpu);
    line("");
    line(format_args!(
        "{:<26} {:>9} {:>9} {:>7} {:>8} {:>9}",
        "medians", "CPU-s/GB", "user", "relay x", "MB/s", "peak MiB"
    ));
    line(format_args!(
        "{:<26} {yardstick:>9.3} {:>9.3} {:>7.2} {:>8.0} {:>9.1}",
        "raw relay",
        median(relays, Sample::user),
        1.0,
        median(relays, Sample::rate),
        median(relays, |sample| sample.cost.peak_mib)
    ));
    let mut results = Vec::new();
    for (case, samples) in cases.iter().zip(samples) {
        let (cpu, user, rate) = (
            median(samples, Sample::cpu),
            median(samples, Sample::user),
            median(samples, Sample::rate),
        );
        let peak = median(samples, |sample| sample.cost.peak_mib);
        let ratio = cpu / yardstick;
        line(format_args!(
            "{:<26} {cpu:>9.3} {user:>9.3} {ratio:>7.2} {rate:>8.0} {peak:>9.1}",
            case.name()
        ));
        results.push(json!({
            "case": case.name(),
            "cpu_seconds_per_gb": cpu,
            "user_seconds_per_gb": user,
            "times_relay": ratio,
            "megabytes_per_second": rate,
            "peak_mib": peak,
            "rounds_cpu_seconds_per_gb": samples.iter().map(Sample::cpu).collect::<Vec<_>>(),
        }));
    }
    if let Some(path) = &arguments.report {
        let report: Value = json!({
            "rounds": arguments.rounds,
            "megabytes": arguments.megabytes,
            "relay_cpu_seconds_per_gb": yardstick,
            "cases": results,
        });
        fs::write(path, serde_json::to_string_pretty(&report)? + "\n")
            .with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

fn median(samples: &[Sample], value: impl Fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(value).collect();
    values.sort_unstable_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

/// Copies one topic to the end it has, in a fresh process with a fresh state.
fn sync(binary: &Path, source: &str, target: &str, topic: &str) -> Result<Cost> {
    let state = TempDir::new()?;
    let output = state.path().join("output");
    let mut command = Command::new(binary);
    command
        .args([
            "sync", "--once", "--source", source, "--target", target, "--topics", topic, "--name",
            topic,
        ])
        .args(["--output", "json", "--log", "warn", "--state"])
        .arg(state.path().join("state"))
        .stdin(Stdio::null())
        .stdout(File::create(&output)?)
        .stderr(File::options().append(true).open(&output)?);
    measure(&mut command, SYNC_TIMEOUT).with_context(|| {
        let text = fs::read_to_string(&output).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        format!("kferry sync said:\n{}", lines[lines.len().saturating_sub(20)..].join("\n"))
    })
}

/// Source filled in memory, target that forgets what it acknowledges: both new for each round.
fn copy_between_sandboxes(binary: &Path, case: Case, bytes: u64) -> Result<Sample> {
    let directory = TempDir::new()?;
    let fill = format!("bench:{PARTITIONS}:{bytes}:{}:{}", case.batch_bytes, case.codec);
    let (_source, source_address) =
        sandbox(binary, directory.path(), "source", &["--fill", &fill])?;
    let (_target, target_address) = sandbox(binary, directory.path(), "target", &["--discard"])?;
    let cost = sync(binary, &source_address, &target_address, "bench")?;
    Ok(Sample { cost, bytes })
}

fn sandbox(binary: &Path, directory: &Path, name: &str, extra: &[&str]) -> Result<(Guard, String)> {
    let port_file = directory.join(format!("{name}.port"));
    let log = File::create(directory.join(format!("{name}.log")))?;
    let mut command = Command::new(binary);
    command.args(["sandbox", "--cluster-id", name, "--port-file"]).arg(&port_file).args(extra);
    let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
    let mut guard = Guard(child);
    let deadline = Instant::now() + SANDBOX_START;
    loop {
        // It appears whole, under its name, once the cluster listens.
        match fs::read_to_string(&port_file) {
            Ok(text) => return Ok((guard, text.trim().to_owned())),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
        if guard.0.try_wait()?.is_some() || Instant::now() > deadline {
            let said =
                fs::read_to_string(directory.join(format!("{name}.log"))).unwrap_or_default();
            bail!("the sandbox did not start:\n{said}");
        }
    }
}

/// Two brokers and, on the source, one topic for each case and round: the target never has the topic yet.
struct RealClusters {
    source: KafkaCluster,
    target: KafkaCluster,
}

impl RealClusters {
    fn start(cases: &[Case], rounds: usize, bytes: u64) -> Result<Self> {
        let release = Release::V4_2_0;
        let source = KafkaCluster::start(release, Options::default())?;
        let target = KafkaCluster::start(release, Options::default())?;
        for (index, case) in
            cases.iter().enumerate().filter(|(_, case)| case.clusters == Clusters::Real)
        {
            for round in 0..rounds {
                fill(&source, &topic(index, round), *case, bytes)
                    .with_context(|| format!("filling {}", case.name()))?;
            }
        }
        Ok(Self { source, target })
    }

    fn copy(&self, binary: &Path, case: usize, round: usize) -> Result<Sample> {
        let topic = topic(case, round);
        let bytes = stored_bytes(&self.source, &topic)?;
        let cost = sync(binary, &self.source.bootstrap(), &self.target.bootstrap(), &topic)?;
        Ok(Sample { cost, bytes })
    }
}

fn topic(case: usize, round: usize) -> String {
    format!("bench-{case}-{round}")
}

fn fill(cluster: &KafkaCluster, topic: &str, case: Case, bytes: u64) -> Result<()> {
    let (partitions, records) = (PARTITIONS.to_string(), (bytes / 1000).to_string());
    let bootstrap = cluster.bootstrap();
    cluster.tool(
        "org.apache.kafka.tools.TopicCommand",
        &[
            "--bootstrap-server",
            &bootstrap,
            "--create",
            "--topic",
            topic,
            "--partitions",
            &partitions,
        ],
    )?;
    cluster.tool(
        "org.apache.kafka.tools.ProducerPerformance",
        &[
            "--topic",
            topic,
            "--num-records",
            &records,
            "--record-size",
            "1000",
            "--throughput",
            "-1",
            "--producer-props",
            &format!("bootstrap.servers={bootstrap}"),
            &format!("batch.size={}", case.batch_bytes),
            "linger.ms=100",
            &format!("compression.type={}", case.codec),
        ],
    )?;
    Ok(())
}

/// The size of a topic's log files: what goes over the wire.
fn stored_bytes(cluster: &KafkaCluster, topic: &str) -> Result<u64> {
    let mut total = 0;
    for partition in 0..PARTITIONS {
        let directory = cluster.broker(0).data_directory().join(format!("{topic}-{partition}"));
        for entry in
            fs::read_dir(&directory).with_context(|| format!("reading {}", directory.display()))?
        {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "log") {
                total += entry.metadata()?.len();
            }
        }
    }
    Ok(total)
}
