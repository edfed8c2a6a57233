//! The process under test: started, killed, started again; it leaves all it says in one file.

use anyhow::{Context, Result, bail};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use xtask::workspace::kferry_binary;

/// The user that kferry logs in as; its rights are what the campaign grants.
pub(super) const USER: &str = "kferry";
/// What kferry writes on standard output, over all its lives.
pub(super) const EVENTS: &str = "events.jsonl";
/// The same for standard error.
pub(super) const LOG: &str = "kferry.log";
const FIRST_PASSWORD: &str = "kferry-password";

/// `kferry sync` between the two clusters, running or not.
#[derive(Debug)]
pub(super) struct Subject {
    directory: PathBuf,
    child: Option<Child>,
}

impl Subject {
    /// Writes the connection files.
    pub(super) fn prepare(directory: &Path, source: &str, target: &str) -> Result<Self> {
        let subject = Self { directory: directory.to_owned(), child: None };
        for (name, bootstrap) in [("source", source), ("target", target)] {
            write_password(directory, name, FIRST_PASSWORD)?;
            let text = format!(
                "name: {name}\nbootstrap: [{}]\nsasl:\n  mechanism: SCRAM-SHA-256\n  username: {USER}\n  password: {{ file: {} }}\n",
                bootstrap
                    .split(',')
                    .map(|address| format!("{address:?}"))
                    .collect::<Vec<_>>()
                    .join(", "),
                password_file(directory, name).display(),
            );
            fs::write(directory.join(format!("{name}.yaml")), text)?;
        }
        Ok(subject)
    }

    fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    fn log(&self, name: &str) -> Result<File> {
        let path = self.directory.join(name);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        file.with_context(|| format!("opening {}", path.display()))
    }

    fn command(&self, more: &[&str]) -> Vec<String> {
        let mut words = vec![kferry_binary().display().to_string(), "sync".to_owned()];
        for (flag, file) in
            [("--source", "source.yaml"), ("--target", "target.yaml"), ("--state", "state")]
        {
            words.extend([flag.to_owned(), self.file(file)]);
        }
        // With the default wait after each kill, old records would hardly travel between two of them.
        words.extend(["--request-lifetime", "2", "--output", "json"].map(str::to_owned));
        words.extend(more.iter().map(|word| (*word).to_owned()));
        words
    }

    fn spawn(&self, program: &str, arguments: &[String]) -> Result<Child> {
        let mut errors = self.log(LOG)?;
        writeln!(errors, "==== started")?;
        let mut events = self.log(EVENTS)?;
        // A killed process may have left half a line.
        writeln!(events)?;
        Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(events)
            .stderr(errors)
            .spawn()
            .with_context(|| format!("starting {program}"))
    }

    /// Starts the endless copy.
    pub(super) fn start(&mut self) -> Result<()> {
        let words = self.command(&[]);
        self.child = Some(self.spawn(&words[0], &words[1..])?);
        Ok(())
    }

    /// Starts it such that its files cannot grow: the disk is full for it (`EFBIG` instead of `ENOSPC`: a limit needs no
    /// mount and harms nobody else).
    pub(super) fn start_with_full_disk(&mut self) -> Result<()> {
        let state = self.directory.join("state").join("task.redb");
        // Half of what the state has: hardly a write that fits. The unit is 512 bytes, of some shells 1024.
        let limit = fs::metadata(state).map_or(0, |metadata| metadata.len() / 2 / 512);
        // The signal of the limit kills unless it is ignored; then the write fails.
        let script = r#"trap '' XFSZ; ulimit -f "$1"; shift; exec "$@""#;
        let mut child = Command::new("sh")
            .args(["-c", script, "sh", &limit.to_string()])
            .args(self.command(&[]))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting sh")?;
        // The limit counts for its logs too: they go through pipes.
        let mut errors = self.log(LOG)?;
        writeln!(errors, "==== started with a full disk")?;
        forward(child.stdout.take(), self.log(EVENTS)?);
        forward(child.stderr.take(), errors);
        self.child = Some(child);
        Ok(())
    }

    /// `kill -9`; false when it was not running any more.
    pub(super) fn kill(&mut self) -> Result<bool> {
        let Some(mut child) = self.child.take() else { return Ok(false) };
        let was_running = child.try_wait()?.is_none();
        if was_running {
            child.kill()?;
        }
        child.wait()?;
        Ok(was_running)
    }

    /// How it ended, if it has ended by itself.
    pub(super) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        let Some(child) = self.child.as_mut() else { return Ok(None) };
        let status = child.try_wait()?;
        if status.is_some() {
            self.child = None;
        }
        Ok(status)
    }

    /// `kferry sync --once`, again while it fails, until it succeeds.
    pub(super) fn finish(&self, within: Duration) -> Result<u64> {
        let deadline = Instant::now() + within;
        let words = self.command(&["--once"]);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let mut child = self.spawn(&words[0], &words[1..])?;
            let status = loop {
                if let Some(status) = child.try_wait()? {
                    break status;
                }
                if Instant::now() > deadline {
                    child.kill()?;
                    child.wait()?;
                    bail!("`kferry sync --once` did not end within {within:?}");
                }
                thread::sleep(Duration::from_millis(50));
            };
            if status.success() {
                return Ok(attempts);
            }
            if attempts == 3 {
                bail!("`kferry sync --once` ended with {status}, three times");
            }
        }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        // Nobody to tell; it ends with the brokers at the latest.
        let _ = self.kill();
    }
}

/// Appends to a log what comes through a pipe, until its writer ends.
fn forward(pipe: Option<impl Read + Send + 'static>, mut log: File) {
    if let Some(mut pipe) = pipe {
        // An error means that the writer or the log is gone: nothing more to keep.
        thread::spawn(move || io::copy(&mut pipe, &mut log));
    }
}

fn password_file(directory: &Path, cluster: &str) -> PathBuf {
    directory.join(format!("{cluster}.password"))
}

/// What kferry finds as its password at the next start.
pub(super) fn write_password(directory: &Path, cluster: &str, password: &str) -> Result<()> {
    Ok(fs::write(password_file(directory, cluster), password)?)
}
