//! The connections of one life of the task, and what becomes of them when it dies.
//!
//! A process that is killed, a dead route or a middlebox leaves the broker's side of a connection behind: requests that were
//! written are still carried out, one after the other, however long after (P2). So a wire that is given up does not always close
//! the stream to the broker; for a while it may keep it open and silent.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use kafka_client::{BoxFuture, BrokerAddress, ConnectError, Connector, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// All connections of one life of the task.
#[derive(Debug)]
pub(crate) struct Wires {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    random: fastrand::Rng,
    linger_ms_max: u64,
    open: Vec<Weak<Wire>>,
    is_dead: bool,
}

impl Wires {
    /// Broker sides of given up connections live at most `linger_ms_max` longer.
    pub(crate) fn new(seed: u64, linger_ms_max: u64) -> Arc<Self> {
        let random = fastrand::Rng::with_seed(seed);
        let inner = Inner { random, linger_ms_max, open: Vec::new(), is_dead: false };
        Arc::new(Self { inner: Mutex::new(inner) })
    }

    pub(crate) fn connector(self: &Arc<Self>, inner: Arc<dyn Connector>) -> Arc<dyn Connector> {
        Arc::new(WireConnector { wires: Arc::clone(self), inner })
    }

    /// The process dies: nothing more is read or written, and no connection is made any more.
    pub(crate) fn kill(&self) {
        self.lock().is_dead = true;
        self.cut(1.0);
    }

    /// Gives up about this share of the connections. Gives how many.
    pub(crate) fn cut(&self, share: f64) -> usize {
        let wires: Vec<_> = self.lock().open.iter().filter_map(Weak::upgrade).collect();
        let mut count = 0;
        for wire in wires {
            if self.lock().random.f64() < share {
                count += 1;
                wire.give_up(self);
            }
        }
        count
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// How long the broker's side of a connection that is given up now lives; mostly not at all.
    fn linger(&self) -> Option<Duration> {
        let mut inner = self.lock();
        let max = inner.linger_ms_max;
        (max > 0 && inner.random.bool()).then(|| Duration::from_millis(inner.random.u64(0..=max)))
    }
}

#[derive(Debug)]
struct WireConnector {
    wires: Arc<Wires>,
    inner: Arc<dyn Connector>,
}

impl Connector for WireConnector {
    fn connect<'a>(
        &'a self,
        address: &'a BrokerAddress,
    ) -> BoxFuture<'a, Result<Box<dyn Stream>, ConnectError>> {
        Box::pin(async move {
            if self.wires.lock().is_dead {
                return Err(ConnectError::Tcp {
                    address: address.clone(),
                    socket: None,
                    kind: io::ErrorKind::ConnectionRefused,
                    message: "the process was killed".to_owned(),
                });
            }
            let stream = self.inner.connect(address).await?;
            let wire = Arc::new(Wire {
                state: Mutex::new(WireState { stream: Some(stream), waker: None }),
            });
            let mut inner = self.wires.lock();
            inner.open.retain(|known| known.strong_count() > 0);
            inner.open.push(Arc::downgrade(&wire));
            drop(inner);
            Ok(Box::new(Held { wire, wires: Arc::clone(&self.wires) }) as Box<dyn Stream>)
        })
    }
}

struct Wire {
    state: Mutex<WireState>,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

struct WireState {
    /// None once it is given up.
    stream: Option<Box<dyn Stream>>,
    waker: Option<Waker>,
}

impl Wire {
    fn give_up(&self, wires: &Wires) {
        let (stream, waker) = {
            let mut state = self.state.lock().unwrap();
            (state.stream.take(), state.waker.take())
        };
        if let Some(waker) = waker {
            waker.wake();
        }
        if let (Some(stream), Some(linger)) = (stream, wires.linger())
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move {
                tokio::time::sleep(linger).await;
                drop(stream);
            });
        }
    }

    fn with<T>(
        &self,
        cx: &mut Context<'_>,
        gone: T,
        act: impl FnOnce(Pin<&mut Box<dyn Stream>>, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let mut state = self.state.lock().unwrap();
        let WireState { stream, waker } = &mut *state;
        match stream {
            Some(stream) => {
                *waker = Some(cx.waker().clone());
                act(Pin::new(stream), cx)
            }
            None => Poll::Ready(gone),
        }
    }
}

/// What the client holds.
struct Held {
    wire: Arc<Wire>,
    wires: Arc<Wires>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.wire.give_up(&self.wires);
    }
}

fn broken<T>() -> io::Result<T> {
    Err(io::ErrorKind::BrokenPipe.into())
}

impl AsyncRead for Held {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.wire.with(cx, Ok(()), |stream, cx| stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Held {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.wire.with(cx, broken(), |stream, cx| stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.wire.with(cx, broken(), |stream, cx| stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.with(cx, broken(), AsyncWrite::poll_flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.with(cx, Ok(()), AsyncWrite::poll_shutdown)
    }
}
