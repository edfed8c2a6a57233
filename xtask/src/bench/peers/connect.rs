//! The transforms of Kafka Connect, in memory (`xtask/peers/connect-smt`).

use crate::bench::real::RELEASE;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;
use xtask::kafka::fetch_mirror_maker;
use xtask::workspace::{jdk_tool, root};

/// What the chain makes of the first message: the part of the rule that it can express.
pub(crate) const CONNECT_FIRST_OUTPUT: &str = r#"{"id":"req-00000000","user":0,"status":200,"path":"/api/v1/items/0?q=café","region":"eu-west-0","time":"2026-03-01 10:00:33"}"#;

/// The jars: Connect's runtime, which `MirrorMaker` 2 runs in, brings its transforms.
#[derive(Debug)]
pub(crate) struct Connect(PathBuf);

impl Connect {
    /// # Errors
    /// When a JDK or Maven are missing.
    pub(crate) fn fetch() -> Result<Self> {
        Ok(Self(fetch_mirror_maker(RELEASE)?))
    }

    /// Its chain on so many bytes of `messages`.
    pub(crate) fn command(&self, messages: &Path, bytes: u64) -> Command {
        let mut command = Command::new(jdk_tool("java"));
        command
            // One collector thread, as the others have one thread.
            .args(["-XX:+UseSerialGC", "-Xmx512m", "-cp"])
            .arg(self.0.join("*"))
            .arg(root().join("xtask/peers/connect-smt/ConnectSmt.java"))
            .arg(messages)
            .arg(bytes.to_string());
        command
    }
}
