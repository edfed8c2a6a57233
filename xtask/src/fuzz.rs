//! `cargo xtask fuzz`: every target for a while, on nightly, with the seeds of the repository.

use crate::output::line;
use crate::run::{Tally, check, read};
use anyhow::{Context, Result, bail};
use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use xtask::workspace::{root, target_directory};

const TOOLCHAIN: &str = "nightly";
const TARGET: &str = "x86_64-unknown-linux-gnu";
const CARGO_FUZZ: &str = "0.13.2";
const INPUT_BYTES_MAX: u32 = 16 * 1024;
const RSS_MIB_MAX: u32 = 2048;
/// Seconds for one input: none of our decoders has business that long.
const INPUT_SECONDS_MAX: u32 = 20;

/// Runs `targets` (all when empty), each for `seconds`, as many side by side as there are processors.
pub(crate) fn run(seconds: u32, targets: &[String]) -> Result<Tally> {
    let known = registered()?;
    let unknown: Vec<&String> = targets.iter().filter(|target| !known.contains(target)).collect();
    if !unknown.is_empty() {
        bail!("no fuzz target is called {unknown:?}; known: {}", known.join(" "));
    }
    let wanted = if targets.is_empty() { known } else { targets.to_vec() };
    if wanted.is_empty() {
        bail!("there is no fuzz target");
    }
    install()?;
    let directory = target_directory().join("fuzz");
    let mut build = Command::new("cargo");
    build.current_dir(root()).args([
        &format!("+{TOOLCHAIN}"),
        "fuzz",
        "build",
        "--target",
        TARGET,
        "--target-dir",
    ]);
    check(build.arg(&directory))?;

    let queue = Mutex::new(wanted.into_iter().collect::<VecDeque<_>>());
    let tally = Mutex::new(Tally::default());
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(target) = next else { break };
                    let result = one(&target, seconds);
                    let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                    match result {
                        Ok(summary) => {
                            tally.passed += 1;
                            line(format_args!("fuzz {target}: {summary}"));
                        }
                        Err(error) => {
                            tally.failed += 1;
                            line(format_args!("fuzz {target}: FAILED: {error:#}"));
                        }
                    }
                }
            });
        }
    });
    Ok(tally.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// The targets that `fuzz/Cargo.toml` names.
pub(crate) fn registered() -> Result<Vec<String>> {
    let path = root().join("fuzz").join("Cargo.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    Ok(bins(&text))
}

fn bins(manifest: &str) -> Vec<String> {
    let sections = manifest.split("[[bin]]").skip(1);
    let name = |section: &str| {
        let value = section.lines().find_map(|line| line.strip_prefix("name = "))?;
        Some(value.trim().trim_matches('"').to_owned())
    };
    sections.filter_map(name).collect()
}

fn install() -> Result<()> {
    let toolchains = read(Command::new("rustup").args(["toolchain", "list"]))?;
    if !toolchains.lines().any(|line| line.starts_with(TOOLCHAIN)) {
        check(Command::new("rustup").args([
            "toolchain",
            "install",
            "--profile",
            "minimal",
            TOOLCHAIN,
        ]))?;
    }
    let version = read(Command::new("cargo").args(["fuzz", "--version"]));
    if version.is_err() {
        check(Command::new("cargo").args([
            "install",
            "--quiet",
            "--locked",
            "cargo-fuzz",
            "--version",
            CARGO_FUZZ,
        ]))?;
    }
    Ok(())
}

/// Runs one target; the seeds are only read, what libFuzzer finds goes to the build directory.
fn one(target: &str, seconds: u32) -> Result<String> {
    let work = target_directory().join("fuzz");
    let corpus = work.join("corpus").join(target);
    let findings = work.join("artifacts").join(target);
    fs::create_dir_all(&corpus)?;
    fs::create_dir_all(&findings)?;
    let program = work.join(TARGET).join("release").join(target);
    let mut command = Command::new(program);
    command.current_dir(root()).env("ASAN_OPTIONS", "detect_odr_violation=0").arg(&corpus);
    let seeds = root().join("fuzz").join("corpus").join(target);
    if seeds.is_dir() {
        command.arg(seeds);
    }
    command
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={INPUT_BYTES_MAX}"))
        .arg(format!("-rss_limit_mb={RSS_MIB_MAX}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .args(["-print_final_stats=1", "-verbosity=1"])
        .stdin(Stdio::null());
    let output = command.output().with_context(|| format!("running the fuzz target {target}"))?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let log = findings.join("log.txt");
        fs::write(&log, &output.stderr)?;
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(40)..].join("\n");
        bail!("{} (log: {}):\n{tail}", output.status, log.display());
    }
    let stat = |name: &str| -> Option<u64> {
        text.lines().find_map(|line| line.strip_prefix(name))?.trim().parse().ok()
    };
    let runs =
        stat("stat::number_of_executed_units:").context("libFuzzer printed no statistics")?;
    let rss = stat("stat::peak_rss_mb:").unwrap_or(0);
    if runs < 100 {
        bail!("only {runs} inputs in {seconds} s: the target does not do its work");
    }
    let known = count(&corpus)?;
    Ok(format!("ok, {runs} inputs in {seconds} s, {known} in the corpus, peak {rss} MiB"))
}

fn count(directory: &PathBuf) -> Result<usize> {
    Ok(fs::read_dir(directory)?.count())
}

#[cfg(test)]
mod tests {
    use super::bins;

    #[test]
    fn finds_targets_in_the_manifest() {
        let check = |text: &str, expected: &[&str]| assert_eq!(bins(text), expected, "{text}");
        check("", &[]);
        check(
            "name = \"fuzz\"\n[[bin]]\nname = \"a\"\npath = \"x\"\n\n[[bin]]\npath = \"y\"\nname = \"b\"\n",
            &["a", "b"],
        );
    }
}
