//! The `kferry` binary against real brokers, judged by Kafka's own Java client.

mod acls;
mod crash;
mod etl;
mod groups;
mod lost;
mod metadata;
mod pair;
mod plan;
mod refused;
mod releases;
mod rename;
mod running;
mod security;
mod shapes;
mod truth;
mod verify;

use std::path::Path;
use std::process::{Command, Output, Stdio};

use xtask::workspace::kferry_binary;

/// The binary under test with its arguments; output is captured.
pub(crate) fn kferry(arguments: &[&str]) -> Command {
    let mut command = Command::new(kferry_binary());
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a run printed, for failure messages.
pub(crate) fn text(output: &Output) -> String {
    format!(
        "{}\n--- stdout\n{}\n--- stderr\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// `kferry sync --once` to its successful end.
#[track_caller]
pub(crate) fn sync_once(source: &str, target: &str, state: &Path, more: &[&str]) -> Output {
    let state = state.to_str().unwrap();
    let mut arguments =
        vec!["sync", "--source", source, "--target", target, "--state", state, "--once"];
    arguments.extend(more);
    let output = kferry(&arguments).output().unwrap();
    // Shown when the test fails later.
    eprintln!("{}", text(&output));
    assert_eq!(output.status.code(), Some(0), "kferry sync failed");
    output
}
