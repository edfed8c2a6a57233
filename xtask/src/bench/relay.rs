//! The yardstick: a process that reads one loopback socket and writes to another, and does nothing else.

use super::process::{Cost, measure};
use anyhow::{Context, Result};
use std::env;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const BUFFER_BYTES: usize = 1 << 20;
/// A buffer that starts elsewhere in a page costs the kernel's copy up to a quarter more, and would flatter us.
const PAGE_BYTES: usize = 4096;

/// Feeds `bytes` through a relay process and measures that process alone.
pub(super) fn run(bytes: u64) -> Result<Cost> {
    let ends = Ends::listen()?;
    let (source, target) = (ends.source.local_addr()?, ends.target.local_addr()?);
    ends.run(bytes, source, target)
}

/// The two sockets that a relay connects to.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) source: TcpListener,
    pub(super) target: TcpListener,
}

impl Ends {
    pub(super) fn listen() -> Result<Self> {
        let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
        Ok(Self { source: listen()?, target: listen()? })
    }

    /// As [`run`], with a relay that finds the two ends at these addresses.
    fn run(self, bytes: u64, source: SocketAddr, target: SocketAddr) -> Result<Cost> {
        self.run_timed(bytes, source, target).map(|(cost, _)| cost)
    }

    /// The same, and the seconds from the first byte that came out to the last: over a long way the relay ends before that.
    pub(super) fn run_timed(
        self,
        bytes: u64,
        source: SocketAddr,
        target: SocketAddr,
    ) -> Result<(Cost, f64)> {
        let mut command = Command::new(env::current_exe()?);
        command.arg("relay").arg(source.to_string()).arg(target.to_string());
        let feeder = thread::spawn(move || feed(&self.source, bytes));
        let sink = thread::spawn(move || drain(&self.target));
        let cost = measure(command.stdin(Stdio::null()), Duration::from_secs(300))?;
        feeder.join().ok().context("the feeder panicked")??;
        let (received, seconds) = sink.join().ok().context("the sink panicked")??;
        anyhow::ensure!(received == bytes, "the relay passed {received} of {bytes} bytes");
        Ok((cost, seconds))
    }
}

fn feed(listener: &TcpListener, bytes: u64) -> Result<()> {
    let (mut socket, _) = listener.accept()?;
    let block = vec![0x5a; BUFFER_BYTES];
    let mut left = bytes;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
        socket.write_all(&block[..part])?;
        left -= u64::try_from(part)?;
    }
    Ok(())
}

/// Counts what comes, and the seconds from its first byte to its last.
fn drain(listener: &TcpListener) -> Result<(u64, f64)> {
    let (mut socket, _) = listener.accept()?;
    let mut block = vec![0; BUFFER_BYTES];
    let mut total = 0;
    let mut first = None;
    loop {
        let count = socket.read(&mut block)?;
        let first = first.get_or_insert_with(Instant::now);
        match count {
            0 => return Ok((total, first.elapsed().as_secs_f64())),
            count => total += u64::try_from(count)?,
        }
    }
}

/// The process itself (`cargo xtask relay`, hidden).
pub(super) fn relay(source: SocketAddr, target: SocketAddr) -> Result<()> {
    let mut source = TcpStream::connect(source)?;
    let mut target = TcpStream::connect(target)?;
    let mut memory = vec![0; BUFFER_BYTES + PAGE_BYTES];
    let start = memory.as_ptr().align_offset(PAGE_BYTES);
    let buffer =
        memory.get_mut(start..start + BUFFER_BYTES).context("the buffer cannot be aligned")?;
    loop {
        match source.read(buffer)? {
            0 => return Ok(()),
            count => target.write_all(&buffer[..count])?,
        }
    }
}
