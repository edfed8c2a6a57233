//! The process under test: `kferry sync`, to the end of a topic or for as long as it is measured.

use super::process::{Cost, Running, measure};
use super::wire::Wire;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const SYNC_WITHIN: Duration = Duration::from_secs(900);
const LOOK: Duration = Duration::from_millis(5);

/// From where to where; each end is an address or a connection file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route<'a> {
    pub(super) source: &'a str,
    pub(super) target: &'a str,
    pub(super) topics: &'a str,
}

/// One copy of everything a topic holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copied {
    pub(super) cost: Cost,
    /// Bytes of the batches as they were read.
    pub(super) bytes: u64,
}

/// Copies up to the present end, in a fresh process with a fresh state.
pub(super) fn sync_once(binary: &Path, route: Route<'_>) -> Result<Copied> {
    let directory = TempDir::new()?;
    let (mut command, output) = command(binary, route, directory.path())?;
    let cost = measure(command.arg("--once"), SYNC_WITHIN)
        .with_context(|| format!("kferry sync said:\n{}", tail(&output)))?;
    let text = fs::read_to_string(&output)?;
    let result = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let bytes =
        result.filter(|line| line["type"] == "result").find_map(|line| line["bytes"].as_u64());
    Ok(Copied { cost, bytes: bytes.context("kferry sync gave no result")? })
}

/// When the target had its first record, and when it had all.
#[derive(Clone, Copy, Debug)]
pub(super) struct Progress {
    pub(super) first: Instant,
    pub(super) last: Instant,
}

/// A sync that goes on until it is stopped.
#[derive(Debug)]
pub(super) struct Following {
    pub(super) process: Running,
    output: PathBuf,
    _directory: TempDir,
}

impl Following {
    pub(super) fn start(binary: &Path, route: Route<'_>) -> Result<Self> {
        Self::start_with(binary, route, &[])
    }

    /// With further arguments.
    pub(super) fn start_with(binary: &Path, route: Route<'_>, options: &[&str]) -> Result<Self> {
        let directory = TempDir::new()?;
        let (mut command, output) = command(binary, route, directory.path())?;
        command.args(options);
        Ok(Self { process: Running::spawn(&mut command)?, output, _directory: directory })
    }

    /// Waits until the target has as many records in every partition as the source had at the start. Both are looked at from
    /// aside, not through a proxy.
    pub(super) fn until_copied(
        &mut self,
        source: &str,
        target: &str,
        topics: &[&str],
        partitions: u32,
    ) -> Result<Progress> {
        let (mut source, mut target) = (Wire::connect(source)?, Wire::connect(target)?);
        let mut left = Vec::new();
        for topic in topics {
            left.push((*topic, source.end_offsets(topic, partitions)?));
        }
        let (begin, mut first) = (Instant::now(), None);
        while let Some((topic, wanted)) = left.last() {
            let there = target.end_offsets(topic, partitions)?;
            if first.is_none() && there.iter().flatten().any(|end| *end > 0) {
                first = Some(Instant::now());
            }
            if wanted.iter().zip(&there).all(|(wanted, there)| there >= wanted) {
                left.pop();
                continue;
            }
            if self.process.has_ended()? || begin.elapsed() > SYNC_WITHIN {
                bail!("{topic} is not copied; kferry sync said:\n{}", self.said());
            }
            thread::sleep(LOOK);
        }
        let last = Instant::now();
        Ok(Progress { first: first.unwrap_or(last), last })
    }

    fn said(&self) -> String {
        tail(&self.output)
    }
}

fn command(binary: &Path, route: Route<'_>, directory: &Path) -> Result<(Command, PathBuf)> {
    let output = directory.join("output");
    let mut command = Command::new(binary);
    command
        .args(["sync", "--source", route.source, "--target", route.target])
        .args(["--topics", route.topics, "--output", "json", "--log", "warn", "--state"])
        .arg(directory.join("state"))
        .stdin(Stdio::null())
        .stdout(File::create(&output)?)
        .stderr(File::options().append(true).open(&output)?);
    Ok((command, output))
}

fn tail(output: &Path) -> String {
    let text = fs::read_to_string(output).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}
