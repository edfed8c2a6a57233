//! The mirror written with the franz-go client (`xtask/peers/franz-mirror`).

use super::Job;
use crate::bench::process::measure;
use crate::bench::samples::Sample;
use crate::run::read;
use anyhow::{Context, Result};
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use xtask::workspace::{root, target_directory};

const COPY_WITHIN: Duration = Duration::from_secs(900);

/// The built program.
#[derive(Debug)]
pub(crate) struct Franz(PathBuf);

impl Franz {
    /// Builds it.
    ///
    /// # Errors
    /// When Go is not there, or its modules cannot be fetched.
    pub(crate) fn build() -> Result<Self> {
        let program = target_directory().join("bench").join("franz-mirror");
        let mut build = Command::new("go");
        build.current_dir(root().join("xtask/peers/franz-mirror")).env("CGO_ENABLED", "0");
        read(build.args(["build", "-trimpath", "-o"]).arg(&program).arg("."))
            .context("building franz-mirror (Go is needed)")?;
        Ok(Self(program))
    }

    pub(super) fn copy(&self, job: &Job<'_>) -> Result<Sample> {
        let directory = TempDir::new()?;
        let output = directory.path().join("output");
        let mut command = Command::new(&self.0);
        command
            .args(["--source", &job.clusters.source.bootstrap()])
            .args(["--target", &job.clusters.target.bootstrap()])
            .args(["--topic", job.topic, "--codec", job.data.codec])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&output)?);
        let cost = measure(&mut command, COPY_WITHIN).with_context(|| {
            format!("it said:\n{}", std::fs::read_to_string(&output).unwrap_or_default())
        })?;
        Ok(Sample { cost, bytes: job.data.bytes })
    }
}
