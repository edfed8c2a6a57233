//! A child process whose whole cost is read at its end.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use std::fs;
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

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
}

/// Kills the process when dropped before it has ended.
#[derive(Debug)]
pub(super) struct Guard(pub(super) Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs to the end and reads the cost from the process that has ended but is not yet reaped.
pub(super) fn measure(command: &mut Command, within: Duration) -> Result<Cost> {
    let begin = Instant::now();
    let child =
        command.spawn().with_context(|| format!("starting {}", command.get_program().display()))?;
    let mut child = Guard(child);
    let id = child.0.id();
    let pid = Pid::from_raw(i32::try_from(id)?).context("process id 0")?;
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let mut peak_kib = 0.0_f64;
    while waitid(WaitId::Pid(pid), options)?.is_none() {
        if begin.elapsed() > within {
            bail!("not finished after {within:?}");
        }
        if let Ok(status) = fs::read_to_string(format!("/proc/{id}/status")) {
            peak_kib = peak_kib.max(high_water(&status).unwrap_or(0.0));
        }
        thread::sleep(Duration::from_millis(10));
    }
    let elapsed = begin.elapsed().as_secs_f64();
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    let (user, system) = cpu(&stat).with_context(|| format!("reading {stat:?}"))?;
    let status = child.0.wait()?;
    if !status.success() {
        bail!("{} ended with {status}", command.get_program().display());
    }
    Ok(Cost { user, system, elapsed, peak_mib: peak_kib / 1024.0 })
}

/// User and kernel seconds from `/proc/PID/stat`. The name in parentheses may hold anything; fields count from behind it.
/// The unit is 10 ms on every Linux (`USER_HZ`).
fn cpu(stat: &str) -> Option<(f64, f64)> {
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ').skip(11);
    let mut seconds = || Some(fields.next()?.parse::<f64>().ok()? / 100.0);
    Some((seconds()?, seconds()?))
}

/// `VmHWM` in KiB.
fn high_water(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{cpu, high_water};

    #[test]
    fn reads_proc() {
        let stat = "12 (a) b) S 1 12 12 0 -1 4194304 100 0 0 0 150 250 0 0 20 0 1 0 1 2 3";
        assert_eq!(cpu(stat), Some((1.5, 2.5)));
        assert_eq!(cpu("12 (a)"), None);
        assert_eq!(high_water("Name:\tx\nVmHWM:\t   2048 kB\n"), Some(2048.0));
    }
}
