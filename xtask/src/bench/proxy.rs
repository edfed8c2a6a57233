//! A TCP proxy in front of one address that makes the way longer, or narrower.
//!
//! A delay holds every piece of bytes back by the same time and throttles nothing: what came in at one pace goes out at that
//! pace. Two threads for each direction of a connection: one reads and stamps, the other waits and writes.

use super::requests::{FrameReader, Requests};
use anyhow::{Context, Result};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

const PIECE_BYTES: usize = 64 << 10;
/// Pieces under way in one direction of a connection: at most 256 MiB, more than any delay here needs.
const PIECES_MAX: usize = 4096;
/// Pieces that wait in front of a narrow way.
const PIECES_NARROW: usize = 4;

/// What the way is like.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Way {
    /// Half of the round trip.
    pub(super) delay: Duration,
    /// Bytes per second in each direction of a connection.
    pub(super) bytes_per_second: Option<u32>,
}

impl Way {
    /// Pieces under way in one direction of a connection.
    fn pieces_max(self) -> usize {
        let Some(rate) = self.bytes_per_second else { return PIECES_MAX };
        // What the way itself holds, and little more: its sender feels that it is narrow.
        let held = u128::from(rate) * self.delay.as_micros() / 1_000_000;
        let pieces = usize::try_from(held).unwrap_or(usize::MAX).div_ceil(PIECE_BYTES);
        (PIECES_NARROW + pieces).min(PIECES_MAX)
    }
}

/// Listens until the process ends; connections end with their peers.
#[derive(Debug)]
pub(super) struct Proxy {
    address: SocketAddr,
    upstream: Arc<OnceLock<SocketAddr>>,
    requests: Requests,
}

impl Proxy {
    /// Listens; who connects waits for [`Self::forward_to`].
    pub(super) fn start(way: Way) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let upstream = Arc::new(OnceLock::new());
        let known = Arc::clone(&upstream);
        let requests = Requests::default();
        let seen = requests.clone();
        thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                // A peer that cannot be reached is a connection that ends at once.
                let _ = connect(client, *known.wait(), way, &seen);
            }
        });
        Ok(Self { address, upstream, requests })
    }

    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What passed, for Kafka's protocol without encryption.
    pub(super) const fn requests(&self) -> &Requests {
        &self.requests
    }

    /// Names the other end, once.
    pub(super) fn forward_to(&self, address: &str) -> Result<()> {
        let address = address.parse().with_context(|| format!("{address:?} is no address"))?;
        self.upstream.set(address).ok().context("the other end is known already")
    }
}

fn connect(client: TcpStream, upstream: SocketAddr, way: Way, requests: &Requests) -> Result<()> {
    let server = TcpStream::connect(upstream)?;
    for socket in [&client, &server] {
        socket.set_nodelay(true)?;
    }
    let there = (client.try_clone()?, server.try_clone()?, Some(requests.reader()));
    for (from, to, reader) in [there, (server, client, None)] {
        let (sender, receiver) = sync_channel(way.pieces_max());
        let (spare, used) = channel();
        thread::spawn(move || read(from, &sender, &used, reader));
        thread::spawn(move || write(to, &receiver, &spare, way));
    }
    Ok(())
}

/// When it came, and the first so many bytes of a buffer.
type Piece = (Instant, Vec<u8>, usize);

/// Buffers are `used` again: the proxy shares the machine with what is measured.
fn read(
    mut from: TcpStream,
    sender: &SyncSender<Piece>,
    used: &Receiver<Vec<u8>>,
    mut reader: Option<FrameReader>,
) {
    loop {
        let mut buffer = used.try_recv().unwrap_or_else(|_| vec![0; PIECE_BYTES]);
        match from.read(&mut buffer) {
            Ok(count) if count > 0 => {
                if let Some(reader) = &mut reader {
                    reader.see(&buffer[..count]);
                }
                if sender.send((Instant::now(), buffer, count)).is_err() {
                    // The other side is gone: no more is wanted.
                    let _ = from.shutdown(Shutdown::Both);
                    return;
                }
            }
            // The end, or an error: passed on by the channel's end, behind what is still under way.
            _ => return,
        }
    }
}

fn write(mut to: TcpStream, receiver: &Receiver<Piece>, spare: &Sender<Vec<u8>>, way: Way) {
    let mut free_at = Instant::now();
    while let Ok((came, buffer, count)) = receiver.recv() {
        let bytes = &buffer[..count];
        sleep_until(came + way.delay);
        if let Some(rate) = way.bytes_per_second {
            free_at =
                free_at.max(Instant::now() - Duration::from_millis(20)) + lasts(bytes.len(), rate);
            sleep_until(free_at);
        }
        if to.write_all(bytes).is_err() {
            break;
        }
        // Nobody reads any more where nobody takes it.
        let _ = spare.send(buffer);
    }
    let _ = to.shutdown(Shutdown::Write);
}

/// How long `bytes` take at this rate.
#[expect(clippy::cast_precision_loss, reason = "a piece has at most 64 KiB")]
fn lasts(bytes: usize, bytes_per_second: u32) -> Duration {
    Duration::from_secs_f64(bytes as f64 / f64::from(bytes_per_second))
}

fn sleep_until(time: Instant) {
    thread::sleep(time.saturating_duration_since(Instant::now()));
}

#[cfg(test)]
mod tests {
    use super::{Proxy, Way};
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::thread;
    use std::time::{Duration, Instant};

    /// An echo behind a proxy.
    fn echo(way: Way) -> TcpStream {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let proxy = Proxy::start(way).unwrap();
        proxy.forward_to(&listener.local_addr().unwrap().to_string()).unwrap();
        thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut back = socket.try_clone().unwrap();
            std::io::copy(&mut socket, &mut back).unwrap();
        });
        TcpStream::connect(proxy.address()).unwrap()
    }

    /// Sends `bytes` and takes as many back; how long that took.
    fn exchange(socket: &TcpStream, bytes: usize) -> Duration {
        let sent: Vec<u8> = (0..bytes).map(|index| u8::try_from(index % 251).unwrap()).collect();
        let begin = Instant::now();
        let mut to = socket.try_clone().unwrap();
        let copy = sent.clone();
        let sender = thread::spawn(move || to.write_all(&copy).unwrap());
        let mut back = vec![0; bytes];
        let mut from = socket;
        from.read_exact(&mut back).unwrap();
        sender.join().unwrap();
        assert!(back == sent, "the bytes are others");
        begin.elapsed()
    }

    #[test]
    fn delays_and_does_not_throttle() {
        let socket = echo(Way { delay: Duration::from_millis(100), bytes_per_second: None });
        let one = exchange(&socket, 1);
        assert!(one >= Duration::from_millis(200), "{one:?}");
        // 8 MiB are 128 pieces: held back one after the other they would take 12 s.
        let many = exchange(&socket, 8 << 20);
        assert!(many >= Duration::from_millis(200) && many < Duration::from_secs(6), "{many:?}");
    }

    #[test]
    fn throttles() {
        let way = Way { delay: Duration::ZERO, bytes_per_second: Some(1_000_000) };
        // Half a second each way, at the same time; the first pieces may come at once.
        let took = exchange(&echo(way), 500_000);
        assert!(took >= Duration::from_millis(400), "{took:?}");
    }

    #[test]
    fn a_long_and_narrow_way_is_full() {
        let way = Way { delay: Duration::from_millis(100), bytes_per_second: Some(5_000_000) };
        // What is under way does not slow it down: 200 ms, and 0.4 s in each direction at the same time.
        let took = exchange(&echo(way), 2_000_000);
        assert!(took >= Duration::from_millis(550), "{took:?}");
        assert!(took < Duration::from_millis(2_000), "{took:?}");
    }

    #[test]
    fn an_end_reaches_the_other_side() {
        let socket = echo(Way::default());
        assert!(exchange(&socket, 10) < Duration::from_secs(5));
        socket.shutdown(std::net::Shutdown::Write).unwrap();
        let mut from = &socket;
        assert_eq!(from.read(&mut [0; 1]).unwrap(), 0);
    }
}
