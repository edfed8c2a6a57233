//! Java processes in process groups of their own, and the watchdog that ends them when we are killed.

use super::{Release, class_path};
use crate::workspace;
use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What to run: one Java main class with its arguments.
#[derive(Debug, Clone)]
pub(super) struct JavaCommand {
    pub(super) release: Release,
    pub(super) jvm_options: Vec<OsString>,
    pub(super) main_class: String,
    pub(super) arguments: Vec<OsString>,
}

impl JavaCommand {
    fn build(&self) -> Result<Command> {
        let mut command = Command::new(workspace::jdk_tool("java"));
        command
            .args(self.release.jvm_options())
            .args(["-XX:+UseSerialGC", "-XX:-UsePerfData", "-Djava.net.preferIPv4Stack=true"])
            .args(&self.jvm_options)
            .arg("-cp")
            .arg(class_path(self.release)?)
            .arg(&self.main_class)
            .args(&self.arguments)
            .stdin(Stdio::null());
        Ok(command)
    }

    /// Runs to the end and returns what it printed.
    pub(super) fn run(&self) -> Result<String> {
        let output = self.build()?.output().context("running java (a JDK is needed)")?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        if !output.status.success() {
            bail!(
                "{} of Kafka {} ended with {}:\n{text}",
                self.main_class,
                self.release,
                output.status
            );
        }
        Ok(text)
    }

    /// Starts it in a process group of its own, output appended to `log`.
    fn spawn(&self, log: &Path) -> Result<Child> {
        let file = OpenOptions::new().create(true).append(true).open(log);
        let file = file.with_context(|| format!("opening {}", log.display()))?;
        let errors = file.try_clone()?;
        self.build()?
            .stdout(file)
            .stderr(errors)
            .process_group(0)
            .spawn()
            .context("starting java (a JDK is needed)")
    }
}

/// A server process that can be killed and started again.
#[derive(Debug)]
pub(super) struct Server {
    command: JavaCommand,
    log: PathBuf,
    child: Mutex<Option<Child>>,
}

impl Server {
    pub(super) const fn new(command: JavaCommand, log: PathBuf) -> Self {
        Self { command, log, child: Mutex::new(None) }
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn start(&self, watchdog: &Watchdog) -> Result<()> {
        let mut child = self.child();
        if child.is_some() {
            bail!("the process is running already");
        }
        let started = self.command.spawn(&self.log)?;
        watchdog.guard(started.id());
        *child = Some(started);
        Ok(())
    }

    /// The process id while it runs.
    pub(super) fn id(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// Sends `signal` to the process group; without effect when it does not run.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        if let Some(child) = self.child().as_ref() {
            kill_process_group(pid(child)?, signal)?;
        }
        Ok(())
    }

    /// `kill -9` and wait until it is gone.
    pub(super) fn kill(&self) -> Result<()> {
        let mut slot = self.child();
        if let Some(mut child) = slot.take() {
            // It may have died by itself: then there is nobody to signal.
            let _ = kill_process_group(pid(&child)?, Signal::KILL);
            child.wait()?;
        }
        Ok(())
    }

    /// Asks it to stop and waits; kills it at the deadline.
    pub(super) fn stop(&self, within: Duration) -> Result<()> {
        self.signal(Signal::TERM)?;
        let deadline = Instant::now() + within;
        while self.exited()?.is_none() {
            if Instant::now() > deadline {
                return self.kill();
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// How it ended, once it has.
    pub(super) fn exited(&self) -> Result<Option<ExitStatus>> {
        let mut slot = self.child();
        let Some(child) = slot.as_mut() else { return Ok(None) };
        let status = child.try_wait()?;
        if status.is_some() {
            *slot = None;
        }
        Ok(status)
    }

    /// Everything it has printed, over all its lives.
    pub(super) fn log_text(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The last `count` lines of its output.
    pub(super) fn log_tail(&self, count: usize) -> String {
        let text = self.log_text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing to tell anybody in a destructor; the watchdog is behind us.
        let _ = self.kill();
    }
}

fn pid(child: &Child) -> Result<Pid> {
    let id = i32::try_from(child.id())?;
    Pid::from_raw(id).context("process id 0")
}

/// A shell that kills our process groups and removes our directory when its standard input closes: that is when we
/// end, however we end (a destructor does not run on `kill -9` or Ctrl-C).
#[derive(Debug)]
pub(super) struct Watchdog {
    shell: Child,
    input: Mutex<Option<ChildStdin>>,
}

const WATCHDOG: &str = r#"
trap '' INT TERM HUP
groups=
while read -r line; do groups="$groups $line"; done
for group in $groups; do kill -s KILL -- "-$group"; done
if [ -n "$1" ]; then sleep 1; rm -rf "$1"; fi
"#;

impl Watchdog {
    /// Starts it; `directory` is removed at the end.
    pub(super) fn start(directory: Option<&Path>) -> Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", WATCHDOG, "kferry-watchdog"])
            .arg(directory.unwrap_or_else(|| Path::new("")))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("starting sh")?;
        let input = Mutex::new(shell.stdin.take());
        Ok(Self { shell, input })
    }

    fn guard(&self, process_group: u32) {
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(input) = input.as_mut() {
            // Fails only when somebody killed the watchdog; the destructors still work then.
            let _ = writeln!(input, "{process_group}");
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        // The groups are dead by now, and a number could come back to somebody else's: end it before it looks.
        let _ = self.shell.kill();
        let _ = self.shell.wait();
    }
}

/// An empty file at `path`.
pub(super) fn touch(path: &Path) -> Result<()> {
    File::create(path).with_context(|| format!("creating {}", path.display()))?;
    Ok(())
}
