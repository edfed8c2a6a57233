//! One connection to one broker, as callers see it.
//!
//! Calls are encoded and queued at once, in the order in which they are made; the future only waits. A task per
//! connection ([`driver`]) moves the bytes. When the last handle is dropped, the task ends after what is under way.

mod call;
mod driver;
mod open;
mod produce;
mod queue;
mod receive;
mod round_trip;
mod spare;

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use kafka_wire::{
    connection::{ConnectionError, Failure, Request},
    messages::ApiKey,
    protocol,
    versions::BrokerVersions,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

pub use self::{
    call::CallOptions,
    produce::ProduceAck,
    queue::{Answer, AnswerQueue},
};
pub(crate) use self::{open::open, receive::FramePool};
use self::{round_trip::RoundTrip, spare::SpareLists};
use crate::{ClientError, ClientLimits, address::BrokerAddress};

/// How a request ended: its response frame, or why there is none.
type Reply = Result<Bytes, Failure>;

/// What a handle hands to the connection's task.
enum Command {
    /// A request, with the place where its answer goes.
    Send(Request, oneshot::Sender<Reply>),
    /// The same, with a place in a queue.
    Queue(Request, queue::Place),
    /// End the connection now.
    Close,
}

/// What handles and the task have in common.
#[derive(Debug)]
struct Shared {
    broker_id: i32,
    address: BrokerAddress,
    versions: BrokerVersions,
    round_trip: Arc<RoundTrip>,
    client_id: String,
    limits: ClientLimits,
    correlation_id: AtomicI32,
    token: AtomicU64,
    /// Requests handed over and not yet ended.
    waiting: Arc<AtomicUsize>,
    closed: Arc<AtomicBool>,
    spare: Arc<SpareLists>,
}

/// A handle to one connection; clones share it.
#[derive(Clone, Debug)]
pub struct BrokerConnection {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
}

impl BrokerConnection {
    /// The broker's id; -1 when it was reached by a bootstrap address and is not known yet.
    #[must_use]
    pub fn broker_id(&self) -> i32 {
        self.shared.broker_id
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &BrokerAddress {
        &self.shared.address
    }

    /// What this broker offers.
    #[must_use]
    pub fn versions(&self) -> &BrokerVersions {
        &self.shared.versions
    }

    /// The least time that an exchange with the broker took, those of opening the connection included: how far away the broker is. A busy
    /// broker, or a busy thread of ours, makes the first ones look long.
    #[must_use]
    pub fn round_trip(&self) -> Duration {
        self.shared.round_trip.get()
    }

    /// Whether the connection has ended; every further call fails.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.closed.load(Ordering::Acquire) || self.commands.is_closed()
    }

    /// Ends the connection with a reset: what is under way fails with "answer unknown".
    pub fn close(&self) {
        self.shared.closed.store(true, Ordering::Release);
        _ = self.commands.send(Command::Close);
    }

    /// Sends a request in the highest version that both sides know. It is queued now, not at the first poll.
    ///
    /// # Errors
    /// [`ClientError::Unsupported`], [`ClientError::NotSent`], [`ClientError::AnswerUnknown`],
    /// [`ClientError::QueueFull`], [`ClientError::Message`].
    pub fn call<R: protocol::Request>(
        &self,
        request: R,
    ) -> impl Future<Output = Result<R::Response, ClientError>> + Send + 'static + use<R> {
        self.call_with(request, CallOptions::default())
    }

    /// The version in which `R` would be sent, at most `version_max`.
    ///
    /// # Errors
    /// [`ClientError::Unsupported`] when there is none.
    pub fn version_for<R: protocol::Request>(
        &self,
        version_max: Option<i16>,
    ) -> Result<i16, ClientError> {
        let api = call::api_of::<R>()?;
        let versions = &self.shared.versions;
        let version = match version_max {
            Some(max) => versions.highest_capped(api, max),
            None => versions.highest(api),
        };
        version.ok_or_else(|| self.unsupported(api, None))
    }

    pub(crate) fn unsupported(&self, api: ApiKey, version_min: Option<i16>) -> ClientError {
        let release = self.shared.versions.release_range();
        ClientError::Unsupported { address: self.shared.address.clone(), api, version_min, release }
    }

    pub(crate) fn limits(&self) -> &ClientLimits {
        &self.shared.limits
    }

    /// Counts a request in, unless too many wait.
    fn admit(
        &self,
        api: ApiKey,
        api_version: i16,
        correlation_id: i32,
        chunks: Vec<Bytes>,
        timeout: Duration,
    ) -> Result<Request, ClientError> {
        let limit = self.shared.limits.queue_max;
        if self.shared.waiting.fetch_add(1, Ordering::AcqRel) >= limit {
            self.dismiss();
            return Err(ClientError::QueueFull {
                address: self.shared.address.clone(),
                api,
                limit,
            });
        }
        Ok(Request {
            token: self.shared.token.fetch_add(1, Ordering::Relaxed),
            correlation_id,
            api_key: api as i16,
            api_version,
            chunks,
            deadline: (Instant::now() + timeout).into_std(),
        })
    }

    /// A request that was counted in is not under way after all.
    fn dismiss(&self) {
        self.shared.waiting.fetch_sub(1, Ordering::AcqRel);
    }

    fn next_correlation_id(&self) -> i32 {
        // Never negative: those belong to the handshake.
        self.shared.correlation_id.fetch_add(1, Ordering::Relaxed) & i32::MAX
    }

    /// Queues one encoded request; the future waits for its frame.
    fn submit(
        &self,
        api: ApiKey,
        api_version: i16,
        correlation_id: i32,
        chunks: Vec<Bytes>,
        timeout: Duration,
    ) -> impl Future<Output = Result<Bytes, ClientError>> + Send + 'static + use<> {
        let (reply, answer) = oneshot::channel();
        let refused = match self.admit(api, api_version, correlation_id, chunks, timeout) {
            Ok(request) => self.commands.send(Command::Send(request, reply)).is_err().then(|| {
                self.dismiss();
                self.not_sent(api)
            }),
            Err(error) => Some(error),
        };
        let shared = Arc::clone(&self.shared);
        async move {
            if let Some(error) = refused {
                return Err(error);
            }
            // The task ends every request; without an answer it died itself, with the runtime.
            let reply = answer.await.unwrap_or(Err(Failure::Unknown(ConnectionError::ShutDown)));
            reply.map_err(|failure| ClientError::of_failure(&shared.address, api, failure))
        }
    }

    fn not_sent(&self, api: ApiKey) -> ClientError {
        ClientError::NotSent {
            address: self.shared.address.clone(),
            api,
            error: ConnectionError::ShutDown,
        }
    }
}

impl Shared {
    fn bad_message(&self, api: ApiKey, version: i16, error: impl ToString) -> ClientError {
        ClientError::Message {
            address: self.address.clone(),
            api,
            version,
            message: error.to_string(),
        }
    }
}
