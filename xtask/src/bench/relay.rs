//! The yardstick: a process that reads one loopback socket and writes to another, and does nothing else.

use super::process::{Cost, measure};
use anyhow::{Context, Result};
use std::env;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

const BUFFER_BYTES: usize = 1 << 20;
/// A buffer that starts elsewhere in a page costs the kernel's copy up to a quarter more, and would flatter us.
const PAGE_BYTES: usize = 4096;

/// Feeds `bytes` through a relay process and measures that process alone.
pub(super) fn run(bytes: u64) -> Result<Cost> {
    let source = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut command = Command::new(env::current_exe()?);
    command
        .arg("relay")
        .arg(source.local_addr()?.to_string())
        .arg(target.local_addr()?.to_string());
    let feeder = thread::spawn(move || -> Result<()> {
        let (mut socket, _) = source.accept()?;
        let block = vec![0x5a; BUFFER_BYTES];
        let mut left = bytes;
        while left > 0 {
            let part = usize::try_from(left).unwrap_or(usize::MAX).min(block.len());
            socket.write_all(&block[..part])?;
            left -= u64::try_from(part)?;
        }
        Ok(())
    });
    let sink = thread::spawn(move || -> Result<u64> {
        let (mut socket, _) = target.accept()?;
        let mut block = vec![0; BUFFER_BYTES];
        let mut total = 0;
        loop {
            match socket.read(&mut block)? {
                0 => return Ok(total),
                count => total += u64::try_from(count)?,
            }
        }
    });
    let cost = measure(command.stdin(Stdio::null()), Duration::from_secs(300))?;
    feeder.join().ok().context("the feeder panicked")??;
    let received = sink.join().ok().context("the sink panicked")??;
    anyhow::ensure!(received == bytes, "the relay passed {received} of {bytes} bytes");
    Ok(cost)
}

/// The process itself (`cargo xtask relay`, hidden).
pub(crate) fn relay(source: SocketAddr, target: SocketAddr) -> Result<()> {
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
