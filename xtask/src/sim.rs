//! `cargo xtask sim`: whole tasks between two simulated clusters, many seeds, over all cores.

use crate::output::line;
use crate::run::{Tally, check, read};
use anyhow::{Context, Result, bail};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::{Duration, Instant};
use xtask::workspace::{cargo, root};

/// Seeds of the step in `cargo xtask ci`.
pub(crate) const CI_SEEDS: u64 = 2_000;

/// How often progress is shown.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);

/// See `cargo xtask sim --help`.
#[derive(Debug, clap::Args)]
pub(crate) struct SimArguments {
    /// How many seeds.
    #[arg(long, default_value_t = CI_SEEDS)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Replay this seed alone and show its trace.
    #[arg(long)]
    seed: Option<u64>,
    /// Plant each known bug in turn and show which rule of the oracle catches it.
    #[arg(long)]
    planted: bool,
}

pub(crate) fn run(arguments: &SimArguments) -> Result<Tally> {
    if arguments.planted {
        return planted(Build::Test);
    }
    match arguments.seed {
        Some(seed) => replay(seed),
        None if arguments.seeds > CI_SEEDS => {
            seeds(Build::Release, arguments.from, arguments.seeds)
        }
        None => seeds(Build::Test, arguments.from, arguments.seeds),
    }
}

/// The seeds of the step in `cargo xtask ci`, and the planted bugs.
pub(crate) fn ci() -> Result<Tally> {
    let mut tally = seeds(Build::Test, 0, CI_SEEDS)?;
    tally += planted(Build::Test)?;
    Ok(tally)
}

/// How the simulation is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Build {
    /// As `cargo xtask test` has built it already: some 2,000 seeds run in less time than an optimised build takes.
    Test,
    /// Optimised: several times the seeds in the same time.
    Release,
}

/// What one of the processes says.
enum Said {
    Failed(String),
    Done { index: usize, count: u64 },
    Ended { index: usize, is_ok: bool },
}

fn seeds(build: Build, from: u64, count: u64) -> Result<Tally> {
    let program = program(build, &[])?;
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let processes = u64::try_from(cores)?.min(count.max(1));
    let started = Instant::now();
    line(format_args!("{count} seeds from {from} in {processes} processes"));
    let (sender, said) = channel();
    let mut children = Vec::new();
    for index in 0..processes {
        let mut command = seeds_command(&program);
        command
            .env("SIM_FROM", (from + index).to_string())
            .env("SIM_STEP", processes.to_string())
            .env("SIM_SEEDS", ((count + processes - 1 - index) / processes).to_string());
        children.push(follow(&mut command, usize::try_from(index)?, sender.clone())?);
    }
    drop(sender);
    let tally = watch(&said, children.len(), count, started);
    for mut child in children {
        child.wait()?;
    }
    let tally = tally?;
    let seconds = started.elapsed().as_secs_f64();
    let per_thousand = seconds * 1_000.0 / f64::from(u32::try_from(count.max(1))?);
    line(format_args!("{seconds:.0} s, {per_thousand:.1} s for 1000 seeds"));
    Ok(tally)
}

fn watch(
    said: &std::sync::mpsc::Receiver<Said>,
    processes: usize,
    count: u64,
    started: Instant,
) -> Result<Tally> {
    let mut done = vec![0_u64; processes];
    let (mut failed, mut died) = (0, 0);
    let mut shown = Instant::now();
    for said in said {
        match said {
            Said::Failed(what) => {
                failed += 1;
                line(&what);
                if let Some(seed) = what.split(' ').nth(2) {
                    line(format_args!("     replay: cargo xtask sim --seed {seed}"));
                }
            }
            Said::Done { index, count } => done[index] = count,
            // A failed seed fails the process as well.
            Said::Ended { index, is_ok } => died += u64::from(!is_ok && done[index] == 0),
        }
        if shown.elapsed() >= PROGRESS_INTERVAL {
            shown = Instant::now();
            let all: u64 = done.iter().sum();
            line(format_args!(
                "{all} of {count}, {failed} failed, {:.0} s",
                started.elapsed().as_secs_f64()
            ));
        }
    }
    let all: u64 = done.iter().sum();
    if died > 0 || all != count {
        bail!("{all} of {count} seeds were run: a process of the simulation died");
    }
    Ok(Tally { passed: all - failed, failed })
}

/// Starts a process and tells what it says.
fn follow(
    command: &mut Command,
    index: usize,
    sender: Sender<Said>,
) -> Result<std::process::Child> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().context("starting the simulation")?;
    let output = child.stdout.take().context("no output")?;
    thread::spawn(move || {
        let mut is_ok = false;
        for text in BufReader::new(output).lines().map_while(Result::ok) {
            is_ok |= text.starts_with("test result: ok");
            let Some(said) = heard(&text, index) else { continue };
            if sender.send(said).is_err() {
                return;
            }
        }
        let _ = sender.send(Said::Ended { index, is_ok });
    });
    Ok(child)
}

/// Reads `sim: seed 7 failed: …` and `sim: done 100 failed 0 in 3.1 s`.
fn heard(text: &str, index: usize) -> Option<Said> {
    let rest = text.strip_prefix("sim: ")?;
    if let Some(rest) = rest.strip_prefix("done ") {
        let count = rest.split(' ').next()?.parse().ok()?;
        return Some(Said::Done { index, count });
    }
    rest.contains(" failed: ").then(|| Said::Failed(text.to_owned()))
}

fn replay(seed: u64) -> Result<Tally> {
    let program = program(Build::Test, &[])?;
    let result = check(seeds_command(&program).env("SIM_SEED", seed.to_string()));
    Ok(match result {
        Ok(()) => Tally { passed: 1, failed: 0 },
        Err(_) => Tally { passed: 0, failed: 1 },
    })
}

fn planted(build: Build) -> Result<Tally> {
    let program = program(build, &["--features", "replicate/planted"])?;
    let mut command = Command::new(program);
    command.current_dir(root().join("crates/replicate"));
    crate::run::tests(
        command.args(["planted", "--nocapture"]).env("RUST_BACKTRACE", "0"),
        Duration::from_secs(20 * 60),
    )
}

fn seeds_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root().join("crates/replicate")).env("RUST_BACKTRACE", "0");
    command.args(["seeds", "--exact", "--nocapture"]);
    command
}

/// Builds the test program `simulation` of `replicate`, as part of the whole workspace: that keeps the features of
/// all dependencies as `cargo xtask test` has them.
fn program(build: Build, features: &[&str]) -> Result<PathBuf> {
    let arguments = [
        "test",
        "--quiet",
        "--locked",
        "--workspace",
        "--test=simulation",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ];
    let release: &[&str] = if build == Build::Release { &["--release"] } else { &[] };
    line("building the simulation");
    for text in read(cargo().args(arguments).args(release).args(features))?.lines() {
        let message: serde_json::Value = serde_json::from_str(text)?;
        if message["target"]["name"] == "simulation"
            && let Some(executable) = message["executable"].as_str()
        {
            return Ok(PathBuf::from(executable));
        }
    }
    bail!("cargo built no test program `simulation`")
}
