//! `cargo xtask test` and `cargo xtask integration`.

use crate::dist;
use crate::run::{Tally, check, read, tests};
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use xtask::kafka::{Release, fetch};
use xtask::workspace::{cargo, root};

const TEST_TIMEOUT: Duration = Duration::from_secs(20 * 60);
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(40 * 60);

/// Everything that needs neither network nor Java.
pub(crate) fn test() -> Result<Tally> {
    tests(
        cargo().args(["test", "--quiet", "--locked", "--workspace", "--no-fail-fast"]),
        TEST_TIMEOUT,
    )
}

/// The tests that start real brokers, with the binary that `dist` builds, or `KFERRY_BIN`. `filters` are parts of test names.
pub(crate) fn integration(filters: &[String], threads: usize) -> Result<Tally> {
    for release in Release::ALL {
        fetch(release)?;
    }
    let binary = dist::binary_under_test()?;
    // What the tests crate has without the feature belongs to `test`; it is not run again here.
    let others: BTreeSet<String> = names(&test_program(&[])?, &[])?.into_iter().collect();
    let program = test_program(&["--features", "tests/real-kafka"])?;
    let names: Vec<String> =
        names(&program, filters)?.into_iter().filter(|name| !others.contains(name)).collect();
    if names.is_empty() {
        bail!("no test of real brokers matches {filters:?}");
    }
    let mut command = Command::new(program);
    command.current_dir(root().join("tests")).env("KFERRY_BIN", binary).arg("--exact").args(names);
    tests(command.arg(format!("--test-threads={threads}")), INTEGRATION_TIMEOUT)
}

/// Runs the campaign of the tests crate with the binary that `dist` builds, or `KFERRY_BIN`.
pub(crate) fn campaign(arguments: &[String]) -> Result<()> {
    fetch(Release::V4_2_0)?;
    let binary = dist::binary_under_test()?;
    let run = ["run", "--quiet", "--locked", "--package", "tests", "--bin", "campaign", "--"];
    check(cargo().args(run).args(arguments).env("KFERRY_BIN", binary))
}

/// Builds the tests crate as part of the whole workspace, which keeps the features of all dependencies as `test` has
/// them, and returns its test program.
fn test_program(features: &[&str]) -> Result<PathBuf> {
    let arguments = [
        "test",
        "--quiet",
        "--locked",
        "--workspace",
        "--no-run",
        "--message-format=json-render-diagnostics",
    ];
    let output = read(cargo().args(arguments).args(features))?;
    for line in output.lines() {
        let message: serde_json::Value = serde_json::from_str(line)?;
        let is_test = message["profile"]["test"].as_bool() == Some(true);
        if is_test
            && message["target"]["name"] == "tests"
            && let Some(executable) = message["executable"].as_str()
        {
            return Ok(PathBuf::from(executable));
        }
    }
    bail!("cargo built no test program of the crate `tests`")
}

fn names(program: &PathBuf, filters: &[String]) -> Result<Vec<String>> {
    let list = read(Command::new(program).args(["--list", "--format=terse"]).args(filters));
    let list = list.with_context(|| format!("listing the tests of {}", program.display()))?;
    Ok(list.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}
