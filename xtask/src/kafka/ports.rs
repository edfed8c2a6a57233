//! Ports that nobody else takes: not another test process, and not the kernel for an outgoing connection.

use anyhow::{Context, Result, bail};
use std::env;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::net::{Ipv4Addr, TcpListener};

/// Below the kernel's ephemeral range (32768 and up), so a killed broker finds its port free again at restart.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port of the loopback address, ours until dropped.
#[derive(Debug)]
pub(super) struct Port {
    number: u16,
    /// Other processes of ours skip a port whose file is locked; the lock ends with the process at the latest.
    _lock: File,
}

impl Port {
    pub(super) const fn number(&self) -> u16 {
        self.number
    }

    /// Reserves a free port.
    pub(super) fn reserve() -> Result<Self> {
        let directory = env::temp_dir().join("kferry-ports");
        fs::create_dir_all(&directory)
            .with_context(|| format!("creating {}", directory.display()))?;
        let start = fastrand::u16(RANGE);
        for number in (start..RANGE.end).chain(RANGE.start..start) {
            let path = directory.join(number.to_string());
            let lock = OpenOptions::new().create(true).append(true).open(&path);
            let lock = lock.with_context(|| format!("opening {}", path.display()))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error).context("locking a port"),
            }
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
        bail!("no free port in {RANGE:?}")
    }
}
