//! Running commands: shown, never silent, results counted.

use anyhow::{Context, Result, bail};
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::ops::AddAssign;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// The command as a shell would read it, without its environment.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Runs to the end with our own output.
pub(crate) fn check(command: &mut Command) -> Result<()> {
    let text = shown(command);
    eprintln!("$ {text}");
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("running {text}"))?;
    if !status.success() {
        bail!("`{text}` ended with {status}");
    }
    Ok(())
}

/// Runs to the end and returns its standard output; what it says on standard error is shown when it fails.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let text = shown(command);
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("running {text}"))?;
    if !output.status.success() {
        bail!(
            "`{text}` ended with {}:\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs Rust test programs (or a `cargo test` of them), shows their output as it comes, and counts results.
///
/// # Errors
/// When it does not end in time, or fails without a failed test (it does not compile, or a test program died).
pub(crate) fn tests(command: &mut Command, within: Duration) -> Result<Tally> {
    let text = shown(command);
    let shortened: String = text.chars().take(300).collect();
    eprintln!("$ {shortened}");
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut child = spawned.with_context(|| format!("running {shortened}"))?;
    let tally = follow(&mut child, within).with_context(|| shortened.clone());
    if tally.is_err() {
        // A hanging test program must not outlive us; its own children notice that it has gone.
        let _ = child.kill();
    }
    let status = child.wait()?;
    let tally = tally?;
    if !status.success() && tally.failed == 0 {
        bail!(
            "`{shortened}` ended with {status} and no failed test: it did not compile, or it died"
        );
    }
    Ok(tally)
}

fn follow(child: &mut Child, within: Duration) -> Result<Tally> {
    let output = child.stdout.take().context("no output")?;
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
    let deadline = Instant::now() + within;
    let mut tally = Tally::default();
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                writeln!(std::io::stdout(), "{line}")?;
                tally += results(&line).unwrap_or_default();
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(tally),
            Err(RecvTimeoutError::Timeout) => {
                bail!("not finished after {within:?}; {tally} until then")
            }
        }
    }
}

/// Reads `test result: ok. 12 passed; 0 failed; …`.
fn results(line: &str) -> Option<Tally> {
    let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut tally = Tally::default();
    for part in counts.split("; ") {
        match part.split_once(' ') {
            Some((count, "passed")) => tally.passed = count.parse().ok()?,
            Some((count, "failed")) => tally.failed = count.parse().ok()?,
            _ => {}
        }
    }
    Some(tally)
}

#[cfg(test)]
mod tests {
    use super::{Tally, results};

    fn check(line: &str, expected: Option<(u64, u64)>) {
        assert_eq!(
            results(line),
            expected.map(|(passed, failed)| Tally { passed, failed }),
            "{line}"
        );
    }

    #[test]
    fn reads_result_lines() {
        check(
            "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s",
            Some((12, 0)),
        );
        check("test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured", Some((3, 2)));
        check("test a ... ok", None);
        check("running 3 tests", None);
    }
}
