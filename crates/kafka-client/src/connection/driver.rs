//! The task of one connection: moves bytes between the stream and the state machine, and answers to their callers.
//!
//! It is one hand-written future instead of a `select!` over several: the stream needs no lock to be read and
//! written at once, and nothing is lost when a step stops half way.

use std::{
    collections::{HashMap, VecDeque},
    future::Future,
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Instant as StdInstant,
};

use bytes::{Buf, Bytes};
use kafka_wire::connection::{Connection, ConnectionError, Event};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, Sleep, sleep_until},
};

use super::{
    Command, Reply,
    queue::Place,
    receive::{FramePool, Receiver},
    round_trip::RoundTrip,
    spare::SpareLists,
};
use crate::connect::{Stream, TlsFailure, verify::failure_of};

/// Pieces given to one vectored write.
const WRITE_PIECES: usize = 64;
/// Bytes taken from the machine before they are written: what lies beyond counts as not sent.
const WRITE_AHEAD_BYTES: usize = 1 << 20;
/// Rounds before other tasks get their turn.
const ROUNDS_MAX: usize = 64;

/// Where an answer goes.
enum Caller {
    Waits(oneshot::Sender<Reply>),
    Queue(Place),
}

/// See the module's text.
pub(super) struct Driver {
    stream: Box<dyn Stream>,
    machine: Connection,
    commands: mpsc::UnboundedReceiver<Command>,
    commands_ended: bool,
    replies: HashMap<u64, Caller>,
    waiting: Arc<AtomicUsize>,
    closed: Arc<AtomicBool>,
    input: Receiver,
    output: VecDeque<Bytes>,
    output_bytes: usize,
    flush: bool,
    write_error: Option<io::Error>,
    timer: Pin<Box<Sleep>>,
    armed: Option<StdInstant>,
    has_identity: bool,
    spare: Arc<SpareLists>,
    round_trip: Arc<RoundTrip>,
    /// Why TLS failed after its handshake, if it did.
    pub(super) tls_failure: Option<TlsFailure>,
}

impl Driver {
    pub(super) fn new(
        stream: Box<dyn Stream>,
        machine: Connection,
        commands: mpsc::UnboundedReceiver<Command>,
        waiting: Arc<AtomicUsize>,
        closed: Arc<AtomicBool>,
        has_identity: bool,
        (frames, spare, round_trip): (Arc<FramePool>, Arc<SpareLists>, Arc<RoundTrip>),
    ) -> Self {
        Self {
            stream,
            machine,
            commands,
            commands_ended: false,
            replies: HashMap::new(),
            waiting,
            closed,
            input: Receiver::new(frames),
            output: VecDeque::new(),
            output_bytes: 0,
            flush: false,
            write_error: None,
            timer: Box::pin(sleep_until(Instant::now())),
            armed: None,
            has_identity,
            spare,
            round_trip,
            tls_failure: None,
        }
    }

    pub(super) fn machine(&self) -> &Connection {
        &self.machine
    }

    /// Works until the machine is ready for requests.
    pub(super) async fn make_ready(&mut self) -> Result<(), ConnectionError> {
        std::future::poll_fn(|cx| self.poll_work(cx, true)).await
    }

    /// Works until the connection ends, or until nobody needs it any more.
    pub(super) async fn run(mut self) {
        let end = std::future::poll_fn(|cx| self.poll_work(cx, false)).await;
        self.closed.store(true, Ordering::Release);
        if let Err(error) = end {
            tracing::debug!(%error, "connection ended");
        }
        // What was handed over meanwhile fails like the rest: its place for the answer is dropped by `drain`.
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            self.take(command);
        }
        _ = self.dispatch();
    }

    /// One turn: `Ok` when ready (or idle for ever), `Err` when closed.
    fn poll_work(
        &mut self,
        cx: &mut Context<'_>,
        until_ready: bool,
    ) -> Poll<Result<(), ConnectionError>> {
        for _ in 0..ROUNDS_MAX {
            let mut progress = self.take_commands(cx);
            progress |= self.poll_timer(cx);
            progress |= self.poll_write(cx);
            progress |= self.poll_read(cx);
            match self.dispatch() {
                Some(Ok(())) if until_ready => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(error)),
                _ => {}
            }
            if !progress {
                if self.is_abandoned() {
                    return Poll::Ready(Ok(()));
                }
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn is_abandoned(&self) -> bool {
        self.commands_ended && self.machine.queued() == 0 && self.machine.in_flight() == 0
    }

    fn take_commands(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        while !self.commands_ended {
            match self.commands.poll_recv(cx) {
                Poll::Ready(Some(command)) => self.take(command),
                Poll::Ready(None) => self.commands_ended = true,
                Poll::Pending => break,
            }
            progress = true;
        }
        progress
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Send(request, reply) => {
                self.replies.insert(request.token, Caller::Waits(reply));
                self.machine.send(request);
            }
            Command::Queue(request, place) => {
                self.replies.insert(request.token, Caller::Queue(place));
                self.machine.send(request);
            }
            Command::Close => self.machine.shut_down(),
        }
    }

    /// Sets the timer to the machine's next deadline and tells the machine when it passes.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        let deadline = self.machine.poll_timeout();
        let Some(at) = deadline else {
            self.armed = None;
            return false;
        };
        if self.armed != deadline {
            self.timer.as_mut().reset(Instant::from_std(at));
            self.armed = deadline;
        }
        if self.timer.as_mut().poll(cx).is_pending() {
            return false;
        }
        self.armed = None;
        self.machine.handle_timeout(now());
        true
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        loop {
            while self.output_bytes < WRITE_AHEAD_BYTES && self.write_error.is_none() {
                let Some(mut chunks) = self.machine.poll_transmit(now()) else { break };
                self.output_bytes += chunks.iter().map(Bytes::len).sum::<usize>();
                self.output.extend(chunks.drain(..).filter(|chunk| !chunk.is_empty()));
                self.spare.give_back(chunks);
                self.flush = true;
                progress = true;
            }
            match self.poll_write_some(cx) {
                Poll::Pending => return progress,
                Poll::Ready(Ok(0)) => return progress,
                Poll::Ready(Ok(_)) => progress = true,
                Poll::Ready(Err(error)) => {
                    // Answers, or the reason, may still be there to read.
                    self.output.clear();
                    self.output_bytes = 0;
                    self.flush = false;
                    self.write_error = Some(error);
                    return true;
                }
            }
        }
    }

    /// Writes or flushes once; `0` when there is nothing to do.
    fn poll_write_some(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut stream = Pin::new(&mut *self.stream);
        if self.output.is_empty() {
            if self.flush {
                ready!(stream.poll_flush(cx))?;
                self.flush = false;
            }
            return Poll::Ready(Ok(0));
        }
        let mut slices = [IoSlice::new(&[]); WRITE_PIECES];
        let mut count = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.output) {
            *slice = IoSlice::new(chunk);
            count += 1;
        }
        let written = ready!(stream.as_mut().poll_write_vectored(cx, &slices[..count]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.output_bytes = self.output_bytes.saturating_sub(written);
        let mut rest = written;
        while rest > 0 {
            let Some(front) = self.output.front_mut() else { break };
            if rest < front.len() {
                front.advance(rest);
                break;
            }
            rest -= front.len();
            self.output.pop_front();
        }
        Poll::Ready(Ok(written))
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> bool {
        if self.machine.is_closed() {
            return false;
        }
        let limits = self.machine.frame_limits();
        let read = self.input.poll_read(&mut *self.stream, &limits, cx);
        match read {
            Poll::Pending => match self.write_error.take() {
                Some(error) => self.transport_closed(Some(&error)),
                None => return false,
            },
            Poll::Ready(Ok(0)) => {
                let error = self.write_error.take();
                self.transport_closed(error.as_ref());
            }
            Poll::Ready(Ok(_)) => self.take_frames(),
            Poll::Ready(Err(error)) => self.transport_closed(Some(&error)),
        }
        true
    }

    fn take_frames(&mut self) {
        while !self.machine.is_closed() {
            match self.input.next_frame(&self.machine.frame_limits()) {
                Ok(Some(frame)) => self.machine.handle_input(frame, now()),
                Ok(None) => {
                    if let Some(took) = self.machine.fastest_answer() {
                        self.round_trip.note(took);
                    }
                    return;
                }
                Err(error) => self.machine.handle_bad_frame(error, self.input.first_bytes()),
            }
        }
    }

    fn transport_closed(&mut self, error: Option<&io::Error>) {
        self.tls_failure = error.and_then(|error| failure_of(error, self.has_identity));
        let cause = error.map(ToString::to_string);
        self.machine.handle_transport_closed(cause.as_deref());
    }

    /// Hands events to their callers. `Some(Ok)` when the machine became ready, `Some(Err)` when it closed.
    fn dispatch(&mut self) -> Option<Result<(), ConnectionError>> {
        let mut outcome = None;
        while let Some(event) = self.machine.poll_event() {
            match event {
                Event::Ready => outcome = Some(Ok(())),
                Event::Answered { token, frame } => self.reply(token, Ok(frame)),
                Event::Failed { token, failure } => self.reply(token, Err(failure)),
                Event::Closed(error) => {
                    self.closed.store(true, Ordering::Release);
                    outcome = Some(Err(error));
                }
                _ => {}
            }
        }
        outcome
    }

    fn reply(&mut self, token: u64, reply: Reply) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
        match self.replies.remove(&token) {
            // When nobody waits any more, the answer has kept the order; that was its use.
            Some(Caller::Waits(waiting)) => _ = waiting.send(reply),
            Some(Caller::Queue(place)) => place.fill(reply),
            None => {}
        }
    }
}

fn now() -> StdInstant {
    Instant::now().into_std()
}
