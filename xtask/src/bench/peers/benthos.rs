//! The libraries that Redpanda Connect is made of, in memory (`xtask/peers/benthos-rule`).

use crate::run::read;
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::workspace::{root, target_directory};

/// The built program.
#[derive(Debug)]
pub(crate) struct Benthos(PathBuf);

impl Benthos {
    /// Builds it.
    ///
    /// # Errors
    /// When Go is not there, or its modules cannot be fetched.
    pub(crate) fn build() -> Result<Self> {
        let program = target_directory().join("bench").join("benthos-rule");
        let mut build = Command::new("go");
        build.current_dir(root().join("xtask/peers/benthos-rule")).env("CGO_ENABLED", "0");
        read(build.args(["build", "-trimpath", "-o"]).arg(&program).arg("."))
            .context("building benthos-rule (Go is needed)")?;
        Ok(Self(program))
    }

    /// Its mapping on so many bytes of `messages`: alone, or as the processor of a stream.
    pub(crate) fn command(&self, messages: &Path, bytes: u64, is_stream: bool) -> Command {
        let mut command = Command::new(&self.0);
        command
            .arg("--mapping")
            .arg(root().join("xtask/peers/benthos-rule/rule.blobl"))
            .arg("--messages")
            .arg(messages)
            .args(["--bytes", &bytes.to_string()]);
        if is_stream {
            command.arg("--stream");
        }
        command
    }
}
