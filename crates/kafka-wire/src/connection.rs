//! One connection to one broker as a state machine: no socket, no clock.
//!
//! It is fed whole frames and the time, and gives bytes to send, deadlines and events:
//! versions are negotiated, SASL rounds are run (and run again before the session ends, KIP-368), then requests go
//! out in the order of [`Connection::send`] and answers are matched to them in that order, because that is how
//! brokers answer. Every request ends in exactly one event. What the answers mean is left to the caller.
//!
//! # Source
//! `NetworkClient`, `InFlightRequests` and `SaslClientAuthenticator` in Apache Kafka.

mod error;
mod handshake;
mod in_flight;
mod sniff;
mod throttle;

use std::{
    collections::VecDeque,
    mem,
    time::{Duration, Instant},
};

use bytes::Bytes;

pub use self::{
    error::{ConnectionError, Failure, HandshakeStep},
    sniff::{PeerKind, recognise},
};
use self::{
    handshake::{Handshake, Step},
    in_flight::InFlight,
};
use crate::{
    frame::FrameLimits, message::response_correlation_id, sasl::Credentials,
    versions::BrokerVersions,
};

/// Frames of a peer that has not proved anything yet stay below this: no broker needs more for versions and tokens.
const HANDSHAKE_FRAME_BYTES_MAX: usize = 1 << 20;

/// No broker may silence us longer than this with one answer.
const THROTTLE_MAX: Duration = Duration::from_secs(60);

/// What a connection is told at its start.
#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    /// Kafka's `client.id`.
    pub client_id: String,
    /// Sent as client software version (KIP-511); letters, digits, dots and dashes.
    pub software_version: String,
    /// What to prove with SASL, if the listener wants it.
    pub credentials: Option<Credentials>,
    /// Time for version negotiation and SASL together.
    pub handshake_timeout: Duration,
    /// Requests sent and not yet answered.
    pub in_flight_max: usize,
    /// Largest response frame once the peer is known, in bytes.
    pub frame_bytes_max: usize,
}

/// One request on its way: encoded, numbered, with its deadline.
#[derive(Clone, Debug)]
pub struct Request {
    /// The caller's name for it; comes back in the event.
    pub token: u64,
    /// As encoded in the frame.
    pub correlation_id: i32,
    /// As encoded in the frame.
    pub api_key: i16,
    /// As encoded in the frame.
    pub api_version: i16,
    /// The whole frame with its length, in pieces.
    pub chunks: Vec<Bytes>,
    /// When it fails if there is no answer, sent or not.
    pub deadline: Instant,
}

/// What happened, in order.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Negotiation and authentication are done; [`Connection::versions`] is there.
    Ready,
    /// The answer to a request.
    Answered {
        /// The request's token.
        token: u64,
        /// The response frame, correlation id first, without the length.
        frame: Bytes,
    },
    /// A request ended without an answer.
    Failed {
        /// The request's token.
        token: u64,
        /// Whether the broker may have carried it out, and why it failed.
        failure: Failure,
    },
    /// The last event: the transport is to be closed.
    Closed(ConnectionError),
}

#[derive(Debug)]
enum Phase {
    /// Negotiating and authenticating; for the first time or again (KIP-368).
    Handshake(Handshake),
    Ready,
    Closed,
}

/// The machine. See the module's text.
#[derive(Debug)]
pub struct Connection {
    settings: ConnectionSettings,
    phase: Phase,
    versions: Option<BrokerVersions>,
    queue: VecDeque<Request>,
    in_flight: InFlight,
    events: VecDeque<Event>,
    throttled_until: Option<Instant>,
    reauthenticate_at: Option<Instant>,
    answered: u64,
}

impl Connection {
    /// A connection whose transport has just been opened: the first [`Self::poll_transmit`] gives ApiVersions.
    #[must_use]
    pub fn new(settings: ConnectionSettings, now: Instant) -> Self {
        let handshake = Handshake::first(&settings, now);
        let mut this = Self {
            in_flight: InFlight::default(),
            phase: Phase::Ready,
            versions: None,
            queue: VecDeque::new(),
            events: VecDeque::new(),
            throttled_until: None,
            reauthenticate_at: None,
            answered: 0,
            settings,
        };
        match handshake {
            Ok(handshake) => this.phase = Phase::Handshake(handshake),
            Err(error) => this.close(error),
        }
        this
    }

    /// The broker's versions, once negotiated.
    #[must_use]
    pub fn versions(&self) -> Option<&BrokerVersions> {
        self.versions.as_ref()
    }

    /// Whether requests may flow (or wait for a throttle or a renewed authentication).
    #[must_use]
    pub fn is_ready(&self) -> bool {
        match &self.phase {
            Phase::Ready => true,
            Phase::Handshake(handshake) => handshake.is_renewal(),
            Phase::Closed => false,
        }
    }

    /// Whether [`Event::Closed`] has been given or waits to be taken.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Requests that wait to be sent.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Requests that wait for their answer.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// How large the next frame may be.
    #[must_use]
    pub fn frame_limits(&self) -> FrameLimits {
        let frame_bytes_max = if self.is_ready() {
            self.settings.frame_bytes_max
        } else {
            HANDSHAKE_FRAME_BYTES_MAX.min(self.settings.frame_bytes_max)
        };
        FrameLimits { frame_bytes_max }
    }

    /// Takes a request; it is sent after all that came before it. The caller bounds [`Self::queued`].
    pub fn send(&mut self, request: Request) {
        if self.is_closed() {
            self.events.push_back(Event::Failed {
                token: request.token,
                failure: Failure::NotSent(ConnectionError::ShutDown),
            });
            return;
        }
        self.queue.push_back(request);
    }

    /// Takes one whole frame, without its length.
    pub fn handle_input(&mut self, frame: Bytes, now: Instant) {
        match mem::replace(&mut self.phase, Phase::Ready) {
            Phase::Closed => self.phase = Phase::Closed,
            Phase::Ready => self.handle_answer(frame, now),
            // While answers of before a renewal are under way, frames belong to them.
            Phase::Handshake(handshake) if !self.in_flight.is_empty() => {
                self.phase = Phase::Handshake(handshake);
                self.handle_answer(frame, now);
            }
            Phase::Handshake(mut handshake) => {
                match handshake.handle_input(&self.settings, frame) {
                    Ok(Step::Continue) => self.phase = Phase::Handshake(handshake),
                    Ok(Step::Done { session_lifetime }) => {
                        // A little before the broker would close it: time for the answers under way (KIP-368).
                        self.reauthenticate_at = session_lifetime
                            .and_then(|lifetime| now.checked_add(lifetime.mul_f32(0.85)));
                        let renewal = handshake.is_renewal();
                        if let Some(versions) = handshake.take_versions() {
                            self.versions = Some(versions);
                        }
                        if !renewal {
                            self.events.push_back(Event::Ready);
                        }
                    }
                    Err(error) => self.close(error),
                }
            }
        }
    }

    /// The transport saw bytes that cannot be a frame; `first` is the front of the unread input.
    pub fn handle_bad_frame(&mut self, error: crate::frame::FrameError, first: &[u8]) {
        let error = match recognise(first) {
            Some(peer) if !self.is_ready() || self.answered == 0 => {
                ConnectionError::WrongPeer(peer)
            }
            _ => ConnectionError::Frame(error),
        };
        self.close(error);
    }

    /// The transport ended: by the peer (`cause` is `None`) or by an error.
    pub fn handle_transport_closed(&mut self, cause: Option<&str>) {
        let error = match &self.phase {
            Phase::Closed => return,
            Phase::Handshake(handshake) => handshake.closed_by_peer(cause),
            // An orderly close there is a SASL listener's; a transport that failed may be anything.
            Phase::Ready
                if cause.is_none()
                    && self.answered == 0
                    && !self.in_flight.is_empty()
                    && self.settings.credentials.is_none() =>
            {
                ConnectionError::ClosedAtFirstRequest
            }
            Phase::Ready => ConnectionError::ClosedByPeer { cause: cause.map(Into::into) },
        };
        self.close(error);
    }

    /// Ends the connection from our side: everything that waits fails.
    pub fn shut_down(&mut self) {
        self.close(ConnectionError::ShutDown);
    }

    /// Lets time pass: deadlines, throttles and renewals are looked at.
    pub fn handle_timeout(&mut self, now: Instant) {
        if let Phase::Handshake(handshake) = &self.phase
            && now >= handshake.deadline()
        {
            let error = ConnectionError::HandshakeTimedOut {
                step: handshake.step(),
                after: self.settings.handshake_timeout,
            };
            self.close(error);
        }
        if let Some(overdue) = self.in_flight.overdue(now) {
            // Brokers answer in order: nothing behind a lost answer can arrive either.
            self.close(ConnectionError::RequestTimedOut { api_key: overdue });
        }
        if self.throttled_until.is_some_and(|until| now >= until) {
            self.throttled_until = None;
        }
        self.expire_queue(now);
    }

    /// When to call [`Self::handle_timeout`] next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let handshake = match &self.phase {
            Phase::Handshake(handshake) => Some(handshake.deadline()),
            _ => None,
        };
        let queue = self.queue.iter().map(|request| request.deadline).min();
        // A throttle matters only to what waits behind it, a renewal also to an idle connection.
        let throttled = self.throttled_until.filter(|_| !self.queue.is_empty());
        let renewal = self.reauthenticate_at.filter(|_| matches!(self.phase, Phase::Ready));
        [handshake, self.in_flight.earliest_deadline(), queue, throttled, renewal]
            .into_iter()
            .flatten()
            .min()
    }

    /// The next frame to write, in pieces; to be asked until it says `None`, after every other call.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Vec<Bytes>> {
        self.begin_renewal(now);
        match &mut self.phase {
            Phase::Closed => None,
            Phase::Handshake(_) if !self.in_flight.is_empty() => None,
            Phase::Handshake(handshake) => handshake.poll_transmit(),
            Phase::Ready => {
                let held = self.throttled_until.is_some_and(|until| now < until);
                if held || self.in_flight.len() >= self.settings.in_flight_max {
                    return None;
                }
                let mut request = self.queue.pop_front()?;
                let chunks = mem::take(&mut request.chunks);
                self.in_flight.sent(&request, now);
                Some(chunks)
            }
        }
    }

    /// The next event; to be asked until it says `None`, after every other call.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The least time that an answer took: how far away the broker is, once it had one without work before it.
    #[must_use]
    pub fn fastest_answer(&self) -> Option<Duration> {
        self.in_flight.fastest()
    }

    fn handle_answer(&mut self, frame: Bytes, now: Instant) {
        let found = match response_correlation_id(&frame) {
            Ok(found) => found,
            Err(error) => return self.close(ConnectionError::Message(error.to_string())),
        };
        let sent = match self.in_flight.handle_reply(found, now) {
            Ok(sent) => sent,
            Err(error) => return self.close(error),
        };
        self.answered += 1;
        let throttle =
            throttle::throttle_time(sent.api_key, sent.api_version, &frame).min(THROTTLE_MAX);
        if !throttle.is_zero() {
            self.throttled_until = self.throttled_until.max(now.checked_add(throttle));
        }
        self.events.push_back(Event::Answered { token: sent.token, frame });
    }

    /// Starts the renewal of the authentication when its time has come (KIP-368).
    fn begin_renewal(&mut self, now: Instant) {
        let due = matches!(self.phase, Phase::Ready)
            && self.reauthenticate_at.is_some_and(|at| now >= at);
        if !due {
            return;
        }
        self.reauthenticate_at = None;
        let Some(versions) = &self.versions else { return };
        match Handshake::renewal(&self.settings, versions, now) {
            Ok(handshake) => self.phase = Phase::Handshake(handshake),
            Err(error) => self.close(error),
        }
    }

    fn expire_queue(&mut self, now: Instant) {
        if self.queue.iter().all(|request| now < request.deadline) {
            return;
        }
        let (late, kept) = mem::take(&mut self.queue)
            .into_iter()
            .partition::<VecDeque<_>, _>(|request| now >= request.deadline);
        self.queue = kept;
        for request in late {
            let failure =
                Failure::NotSent(ConnectionError::RequestTimedOut { api_key: request.api_key });
            self.events.push_back(Event::Failed { token: request.token, failure });
        }
    }

    /// Fails everything in order, oldest first, and says so.
    fn close(&mut self, error: ConnectionError) {
        if self.is_closed() {
            return;
        }
        self.phase = Phase::Closed;
        for token in self.in_flight.drain() {
            self.events
                .push_back(Event::Failed { token, failure: Failure::Unknown(error.clone()) });
        }
        for request in self.queue.drain(..) {
            self.events.push_back(Event::Failed {
                token: request.token,
                failure: Failure::NotSent(error.clone()),
            });
        }
        self.events.push_back(Event::Closed(error));
    }
}

#[cfg(test)]
mod tests;
