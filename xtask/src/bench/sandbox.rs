//! Null brokers: `kferry sandbox` in processes of their own. The source replays a few batches from memory, the target
//! acknowledges and forgets.

use super::process::Running;
use anyhow::{Result, bail};
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const START_WITHIN: Duration = Duration::from_secs(60);

/// A simulated cluster that listens; ends when dropped.
#[derive(Debug)]
pub(super) struct Sandbox {
    pub(super) address: String,
    _process: Running,
    _directory: TempDir,
}

impl Sandbox {
    /// Starts it; `extra` are arguments beside those that every sandbox has.
    pub(super) fn start(binary: &Path, name: &str, extra: &[&str]) -> Result<Self> {
        let directory = TempDir::new()?;
        let port_file = directory.path().join("port");
        let log_file = directory.path().join("log");
        let log = File::create(&log_file)?;
        let mut command = Command::new(binary);
        command.args(["sandbox", "--cluster-id", name, "--port-file"]).arg(&port_file).args(extra);
        let mut process =
            Running::spawn(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log))?;
        let deadline = Instant::now() + START_WITHIN;
        loop {
            // It appears whole, under its name, once the cluster listens.
            match fs::read_to_string(&port_file) {
                Ok(text) => {
                    let address = text.trim().to_owned();
                    return Ok(Self { address, _process: process, _directory: directory });
                }
                Err(_) => thread::sleep(Duration::from_millis(5)),
            }
            if process.has_ended()? || Instant::now() > deadline {
                let said = fs::read_to_string(&log_file).unwrap_or_default();
                bail!("the sandbox did not start:\n{said}");
            }
        }
    }
}

/// What a source sandbox is filled with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fill {
    pub(super) partitions: u32,
    /// Plain bytes over all partitions.
    pub(super) bytes: u64,
    /// Plain bytes of each batch; up to 1 KiB it is a single record.
    pub(super) batch_bytes: u32,
    pub(super) codec: &'static str,
}

impl Fill {
    /// The argument that asks for it.
    pub(super) fn spec(&self, topic: &str) -> String {
        format!("{topic}:{}:{}:{}:{}", self.partitions, self.bytes, self.batch_bytes, self.codec)
    }

    /// The same with the lines of a file for values.
    pub(super) fn spec_of(&self, topic: &str, values: &Path) -> String {
        format!("{}:{}", self.spec(topic), values.display())
    }
}
