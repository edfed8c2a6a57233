//! Child processes whose cost is read: at their end, or while they run.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::fs;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

/// How often a process is looked at from outside.
const LOOK: Duration = Duration::from_millis(10);

/// What one process took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cost {
    /// CPU time in user code, seconds.
    pub(super) user: f64,
    /// CPU time in the kernel, seconds.
    pub(super) system: f64,
    /// Wall clock, seconds.
    pub(super) elapsed: f64,
    /// Peak resident memory in MiB; seen from outside every few milliseconds.
    pub(super) peak_mib: f64,
}

impl Cost {
    pub(super) fn cpu(&self) -> f64 {
        self.user + self.system
    }

    /// Two processes together.
    pub(super) fn and(&self, other: &Self) -> Self {
        Self {
            user: self.user + other.user,
            system: self.system + other.system,
            elapsed: self.elapsed + other.elapsed,
            peak_mib: self.peak_mib.max(other.peak_mib),
        }
    }

    /// What was taken since an earlier look at the same process.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        Self {
            user: self.user - earlier.user,
            system: self.system - earlier.system,
            elapsed: self.elapsed - earlier.elapsed,
            peak_mib: self.peak_mib,
        }
    }
}

/// A process that is killed when this is dropped before it has ended.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    begin: Instant,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    pub(super) fn spawn(command: &mut Command) -> Result<Self> {
        let begin = Instant::now();
        let child = command
            .spawn()
            .with_context(|| format!("starting {}", command.get_program().display()))?;
        Ok(Self { child, begin })
    }

    pub(super) const fn begin(&self) -> Instant {
        self.begin
    }

    pub(super) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// What it has taken up to now.
    pub(super) fn cost(&self) -> Result<Cost> {
        let id = self.child.id();
        let elapsed = self.begin.elapsed().as_secs_f64();
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).context("it has ended")?;
        let (user, system) = cpu(&stat).with_context(|| format!("reading {stat:?}"))?;
        let status = fs::read_to_string(format!("/proc/{id}/status"))?;
        let peak_mib = kib(&status, "VmHWM:").unwrap_or(0.0) / 1024.0;
        Ok(Cost { user, system, elapsed, peak_mib })
    }

    /// Its resident memory now, in MiB.
    pub(super) fn resident_mib(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        Ok(kib(&status, "VmRSS:").context("it has ended")? / 1024.0)
    }

    fn pid(&self) -> Result<Pid> {
        Pid::from_raw(i32::try_from(self.child.id())?).context("process id 0")
    }

    /// Waits until it has ended and reads the cost while it is not yet reaped.
    fn finish(mut self, within: Duration) -> Result<Cost> {
        let pid = self.pid()?;
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        // A process that has ended has no memory any more: the last look before counts.
        let mut peak_mib = 0.0_f64;
        while waitid(WaitId::Pid(pid), options)?.is_none() {
            if self.begin.elapsed() > within {
                bail!("not finished after {within:?}");
            }
            peak_mib = peak_mib.max(self.cost()?.peak_mib);
            thread::sleep(LOOK);
        }
        let cost = Cost { peak_mib, ..self.cost()? };
        let status = self.child.wait()?;
        if !status.success() {
            bail!("it ended with {status}");
        }
        Ok(cost)
    }
}

/// Runs to the end.
pub(super) fn measure(command: &mut Command, within: Duration) -> Result<Cost> {
    Running::spawn(command)?
        .finish(within)
        .with_context(|| format!("running {}", command.get_program().display()))
}

/// User and kernel seconds from `/proc/PID/stat`. The name in parentheses may hold anything; fields count from behind it.
/// The unit is 10 ms on every Linux (`USER_HZ`).
fn cpu(stat: &str) -> Option<(f64, f64)> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let mut seconds = || Some(fields.next()?.parse::<f64>().ok()? / 100.0);
    Some((seconds()?, seconds()?))
}

/// A value of `/proc/PID/status` in KiB.
fn kib(status: &str, name: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{cpu, kib, measure};
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn reads_proc() {
        let stat = "12 (a) b) S 1 12 12 0 -1 4194304 100 0 0 0 150 250 0 0 20 0 1 0 1 2 3";
        assert_eq!(cpu(stat), Some((1.5, 2.5)));
        assert_eq!(cpu("12 (a)"), None);
        assert_eq!(kib("Name:\tx\nVmHWM:\t   2048 kB\n", "VmHWM:"), Some(2048.0));
    }

    #[test]
    fn measures_what_a_child_took() {
        let mut busy = Command::new("sh");
        busy.args(["-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done"]);
        let cost = measure(&mut busy, Duration::from_secs(60)).unwrap();
        assert!(cost.cpu() > 0.0 && cost.elapsed > 0.0 && cost.peak_mib > 0.0, "{cost:?}");
        let error = measure(Command::new("sh").args(["-c", "exit 3"]), Duration::from_secs(60));
        assert!(format!("{:#}", error.unwrap_err()).contains('3'));
    }
}
