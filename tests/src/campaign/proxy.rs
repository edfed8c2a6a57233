//! A TCP proxy in front of one broker that does to connections what networks do: cut, reset, stall, delay, swallow.
//!
//! Two threads per connection, one per direction, each with one buffer: bytes pass in order and are never changed, so whatever
//! a peer sees is something that a network can do.

use anyhow::{Context, Result};
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

const BUFFER_BYTES: usize = 16 << 10;
/// How often a waiting thread looks whether the rules have changed.
const LOOK: Duration = Duration::from_millis(10);
/// How long a swallowed connection stays open at the broker, as a lost route leaves it.
const SWALLOWED_FOR: Duration = Duration::from_secs(20);

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Both ends see an orderly end of stream (FIN).
    Fin,
    /// Both ends see a reset (RST); what was under way is lost.
    Reset,
}

/// Which way bytes flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the broker: requests.
    Requests,
    /// From the broker to the client: answers.
    Answers,
}

impl Direction {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Requests, Self::Answers];

    const fn index(self) -> usize {
        match self {
            Self::Requests => 0,
            Self::Answers => 1,
        }
    }
}

/// A proxy in front of one broker; ends when dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    upstream: Mutex<Option<SocketAddr>>,
    links: Mutex<Vec<Weak<Link>>>,
    /// By direction; for connections that begin later as well.
    rules: [Mutex<Rules>; 2],
    is_closed: AtomicBool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rules {
    stalled_until: Option<Instant>,
    delay: Duration,
    delayed_until: Option<Instant>,
}

/// One connection through the proxy.
#[derive(Debug)]
struct Link {
    client: TcpStream,
    broker: TcpStream,
    /// Both threads end as soon as they see it.
    is_dead: AtomicBool,
    /// The client hears nothing more, the broker goes on being served with what was sent.
    is_swallowed: AtomicBool,
    /// By direction: bytes that still pass before the connection is cut.
    left: [Mutex<Option<(u64, Cut)>>; 2],
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Proxy {
    /// Listens on a free loopback port; connections are refused (accepted and cut) until [`Self::forward_to`].
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("binding a proxy")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let accepting = Arc::clone(&shared);
        thread::Builder::new()
            .name("proxy".into())
            .spawn(move || accept(&listener, &accepting))
            .context("starting the proxy's thread")?;
        Ok(Self { address, shared })
    }

    /// Where clients connect.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Names the broker.
    pub fn forward_to(&self, broker: SocketAddr) {
        *lock(&self.shared.upstream) = Some(broker);
    }

    /// How many connections pass now.
    pub fn connection_count(&self) -> usize {
        self.links().len()
    }

    /// Ends all connections at once.
    pub fn cut(&self, how: Cut) {
        for link in self.links() {
            link.cut(how);
        }
    }

    /// Ends each present connection after `bytes` more in one direction: usually in the middle of a frame.
    pub fn cut_after(&self, direction: Direction, bytes: u64, how: Cut) {
        for link in self.links() {
            *lock(&link.left[direction.index()]) = Some((bytes, how));
        }
    }

    /// Lets nothing pass in one direction for a time; then everything goes on where it stood.
    pub fn stall(&self, direction: Direction, time: Duration) {
        lock(&self.shared.rules[direction.index()]).stalled_until = Some(Instant::now() + time);
    }

    /// Holds each piece of bytes in one direction back by `delay`, for `time`.
    pub fn delay(&self, direction: Direction, delay: Duration, time: Duration) {
        let mut rules = lock(&self.shared.rules[direction.index()]);
        rules.delay = delay;
        rules.delayed_until = Some(Instant::now() + time);
    }

    /// Silences all present connections as a lost route does: the client hears nothing more and is never told; the broker
    /// gets, late, all that was sent before, and what it answers is thrown away (P2). New connections pass.
    pub fn swallow(&self) {
        for link in self.links() {
            link.is_swallowed.store(true, Ordering::SeqCst);
        }
    }

    /// Ends stalls and delays.
    pub fn heal(&self) {
        for rules in &self.shared.rules {
            *lock(rules) = Rules::default();
        }
    }

    fn links(&self) -> Vec<Arc<Link>> {
        let mut links = lock(&self.shared.links);
        links.retain(|link| link.strong_count() > 0);
        links.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.is_closed.store(true, Ordering::SeqCst);
        self.cut(Cut::Reset);
        // Wakes the accepting thread; if that fails it has ended already.
        let _ = TcpStream::connect(self.address);
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.is_closed.load(Ordering::SeqCst) {
            return;
        }
        let Ok(client) = client else { continue };
        let Some(upstream) = *lock(&shared.upstream) else { continue };
        // A dead broker refuses on loopback at once; the client then sees its connection closed, as behind any proxy.
        let Ok(broker) = TcpStream::connect(upstream) else {
            linger_zero(&client);
            continue;
        };
        // A failure means that the connection is gone already.
        let _ = open(shared, client, broker);
    }
}

fn open(shared: &Arc<Shared>, client: TcpStream, broker: TcpStream) -> Result<()> {
    for socket in [&client, &broker] {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(LOOK))?;
        socket.set_write_timeout(Some(LOOK))?;
    }
    let link = Arc::new(Link {
        client,
        broker,
        is_dead: AtomicBool::new(false),
        is_swallowed: AtomicBool::new(false),
        left: Default::default(),
    });
    lock(&shared.links).push(Arc::downgrade(&link));
    for direction in Direction::ALL {
        let (shared, link) = (Arc::clone(shared), Arc::clone(&link));
        thread::Builder::new()
            .name("proxy pump".into())
            .spawn(move || link.pump(direction, &shared))
            .context("starting a pump")?;
    }
    Ok(())
}

/// Closing the socket then sends RST.
fn linger_zero(socket: &TcpStream) {
    // Fails only on a socket that is gone.
    let _ = rustix::net::sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}

fn is_timeout(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

impl Link {
    fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::SeqCst)
    }

    fn is_swallowed(&self) -> bool {
        self.is_swallowed.load(Ordering::SeqCst)
    }

    fn cut(&self, how: Cut) {
        match how {
            Cut::Fin => {
                let _ = self.client.shutdown(Shutdown::Both);
                let _ = self.broker.shutdown(Shutdown::Both);
            }
            // Sent when the last of the threads lets go of the sockets.
            Cut::Reset => {
                linger_zero(&self.client);
                linger_zero(&self.broker);
            }
        }
        self.is_dead.store(true, Ordering::SeqCst);
    }

    fn pump(&self, direction: Direction, shared: &Shared) {
        let (mut from, to) = match direction {
            Direction::Requests => (&self.client, &self.broker),
            Direction::Answers => (&self.broker, &self.client),
        };
        let mut buffer = [0; BUFFER_BYTES];
        while !self.is_dead() {
            if !self.wait_for_leave(&shared.rules[direction.index()]) {
                return;
            }
            let count = match from.read(&mut buffer) {
                Ok(0) => return self.ended(to),
                Ok(count) => count,
                Err(error) if is_timeout(error.kind()) => continue,
                Err(_) if self.is_swallowed() => return self.ended(to),
                Err(_) => return self.cut(Cut::Reset),
            };
            if !self.wait_for_leave(&shared.rules[direction.index()]) {
                return;
            }
            if self.is_swallowed() {
                match direction {
                    Direction::Answers => continue,
                    // Late, as from the buffers along a line that nobody listens on.
                    Direction::Requests => thread::sleep(20 * LOOK),
                }
            }
            if !self.pass(direction, to, &buffer[..count]) {
                return;
            }
        }
    }

    /// Waits while the direction is stalled, and for its delay. False when the connection died meanwhile.
    fn wait_for_leave(&self, rules: &Mutex<Rules>) -> bool {
        let begin = Instant::now();
        loop {
            let Rules { stalled_until, delay, delayed_until } = *lock(rules);
            let now = Instant::now();
            let is_before = |until: Option<Instant>| until.is_some_and(|until| now < until);
            let is_stalled = is_before(stalled_until);
            let delay = if is_before(delayed_until) { delay } else { Duration::ZERO };
            if self.is_dead() {
                return false;
            }
            if !is_stalled && now >= begin + delay {
                return true;
            }
            thread::sleep(LOOK.min(Duration::from_millis(2)));
        }
    }

    /// Writes, up to the place of a cut that was asked for. False when the connection is over.
    fn pass(&self, direction: Direction, mut to: &TcpStream, bytes: &[u8]) -> bool {
        let cut = {
            let mut left = lock(&self.left[direction.index()]);
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            match &mut *left {
                Some((left, _)) if *left > length => {
                    *left -= length;
                    None
                }
                cut => *cut,
            }
        };
        let count = cut.map_or(bytes.len(), |(left, _)| {
            usize::try_from(left).unwrap_or(bytes.len()).min(bytes.len())
        });
        let mut rest = &bytes[..count];
        while !rest.is_empty() {
            if self.is_dead() {
                return false;
            }
            match to.write(rest) {
                Ok(written) => rest = &rest[written..],
                Err(error) if is_timeout(error.kind()) => {}
                Err(_) => {
                    self.cut(Cut::Reset);
                    return false;
                }
            }
        }
        if let Some((_, how)) = cut {
            self.cut(how);
        }
        cut.is_none()
    }

    /// One side has ended its stream: the other side is told, except where the route is lost; there it finds out later.
    fn ended(&self, to: &TcpStream) {
        if self.is_swallowed() {
            let until = Instant::now() + SWALLOWED_FOR;
            while !self.is_dead() && Instant::now() < until {
                thread::sleep(LOOK);
            }
            self.cut(Cut::Reset);
        } else {
            let _ = to.shutdown(Shutdown::Write);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cut, Direction, Proxy};
    use std::io::{ErrorKind, Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    struct Ends {
        proxy: Proxy,
        listener: TcpListener,
    }

    impl Ends {
        fn new() -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let proxy = Proxy::start().unwrap();
            proxy.forward_to(listener.local_addr().unwrap());
            Self { proxy, listener }
        }

        /// Client and broker of a new connection.
        fn connect(&self) -> (TcpStream, TcpStream) {
            let client = TcpStream::connect(self.proxy.address()).unwrap();
            let (broker, _) = self.listener.accept().unwrap();
            for socket in [&client, &broker] {
                socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            }
            (client, broker)
        }
    }

    #[track_caller]
    fn passes(from: &mut TcpStream, to: &mut TcpStream, text: &[u8]) {
        from.write_all(text).unwrap();
        let mut found = vec![0; text.len()];
        to.read_exact(&mut found).unwrap();
        assert_eq!(found, text);
    }

    #[test]
    fn bytes_pass_both_ways() {
        let ends = Ends::new();
        let (mut client, mut broker) = ends.connect();
        passes(&mut client, &mut broker, b"request");
        passes(&mut broker, &mut client, &[7; 100_000]);
        assert_eq!(ends.proxy.connection_count(), 1);
        drop(client);
        assert_eq!(broker.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn cuts_are_seen_as_what_they_are() {
        let ends = Ends::new();
        let (mut client, mut broker) = ends.connect();
        passes(&mut client, &mut broker, b"x");
        ends.proxy.cut(Cut::Fin);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        let (mut client, mut broker) = ends.connect();
        passes(&mut client, &mut broker, b"x");
        ends.proxy.cut(Cut::Reset);
        for socket in [&mut client, &mut broker] {
            assert_eq!(socket.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
    }

    #[test]
    fn a_frame_is_cut_at_the_byte() {
        let ends = Ends::new();
        let (mut client, mut broker) = ends.connect();
        passes(&mut client, &mut broker, b"x");
        ends.proxy.cut_after(Direction::Requests, 3, Cut::Fin);
        client.write_all(b"abcdef").unwrap();
        let mut found = Vec::new();
        // An end or a reset, both after three bytes.
        let _ = broker.read_to_end(&mut found);
        assert_eq!(found, b"abc");
    }

    #[test]
    fn a_stall_holds_one_direction() {
        let ends = Ends::new();
        let (mut client, mut broker) = ends.connect();
        let begin = Instant::now();
        ends.proxy.stall(Direction::Answers, Duration::from_millis(300));
        passes(&mut client, &mut broker, b"request");
        passes(&mut broker, &mut client, b"answer");
        assert!(begin.elapsed() >= Duration::from_millis(300));
    }

    #[test]
    fn a_swallowed_connection_still_feeds_the_broker() {
        let ends = Ends::new();
        let (mut client, mut broker) = ends.connect();
        passes(&mut client, &mut broker, b"x");
        client.write_all(b"request").unwrap();
        ends.proxy.swallow();
        drop(client);
        let mut found = [0; 7];
        broker.read_exact(&mut found).unwrap();
        assert_eq!(&found, b"request");
        broker.write_all(b"answer").unwrap();
        // A new connection passes meanwhile.
        let (mut client, mut broker) = ends.connect();
        passes(&mut client, &mut broker, b"new");
        passes(&mut broker, &mut client, b"new too");
    }
}
