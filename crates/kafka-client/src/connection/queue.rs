//! Answers of many requests into one queue: a caller that has hundreds under way needs neither a future nor a channel for each.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use kafka_wire::{
    connection::{ConnectionError, Failure},
    message::decode_response,
    messages::{ApiKey, FetchRequest},
    produce::{ProduceScratch, ProduceTopic},
};
use tokio::sync::mpsc::{self, error::SendError};

use super::{
    BrokerConnection, Command, Reply, Shared,
    produce::{self, ProduceAck},
};
use crate::{
    ClientError,
    fetch::{FetchError, FetchPartition, FetchSession, FetchSettings, FetchedPartition},
};

/// Where answers come in, each with the tag that its request was given.
#[derive(Debug)]
pub struct AnswerQueue {
    sender: mpsc::UnboundedSender<Answer>,
    receiver: mpsc::UnboundedReceiver<Answer>,
    produce_scratch: ProduceScratch,
    fetch_scratch: BytesMut,
}

impl Default for AnswerQueue {
    fn default() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        Self {
            sender,
            receiver,
            produce_scratch: ProduceScratch::default(),
            fetch_scratch: BytesMut::new(),
        }
    }
}

impl AnswerQueue {
    /// The next answer. Every request that was given a tag gets one, so this waits for ever only when none is under way.
    pub async fn next(&mut self) -> Answer {
        let answer = self.receiver.recv().await;
        answer.expect("the queue holds a sender itself")
    }

    /// An answer that is there already.
    pub fn try_next(&mut self) -> Option<Answer> {
        self.receiver.try_recv().ok()
    }
}

/// How a request ended.
#[derive(Debug)]
pub struct Answer {
    /// The tag that the request was given.
    pub tag: u64,
    api: ApiKey,
    version: i16,
    result: Result<Bytes, ClientError>,
    shared: Arc<Shared>,
}

impl Answer {
    /// As the answer to the fetch that `session` asked: what came goes behind what is in `found`.
    ///
    /// # Errors
    /// As [`BrokerConnection::call`] and [`FetchSession::handle`].
    pub fn fetched(
        self,
        session: &mut FetchSession,
        found: &mut Vec<FetchedPartition>,
    ) -> Result<(), FetchError> {
        let frame = self.result?;
        if session.handle_frame(self.version, &frame, found)? {
            return Ok(());
        }
        let (_, response) = decode_response::<FetchRequest>(self.version, frame)
            .map_err(|error| self.shared.bad_message(self.api, self.version, error))?;
        found.append(&mut session.handle(response)?);
        Ok(())
    }

    /// As the answer to a produce request with these topics: one ack per partition, behind those in `acks`.
    ///
    /// # Errors
    /// As [`BrokerConnection::call`].
    pub fn produced(
        self,
        topics: &[ProduceTopic],
        acks: &mut Vec<ProduceAck>,
    ) -> Result<(), ClientError> {
        let frame = self.result?;
        produce::read_acks(&self.shared, self.version, frame, topics, acks)
    }
}

/// The place in a queue of an answer that is to come.
#[derive(Debug)]
pub(super) struct Place {
    tag: u64,
    api: ApiKey,
    version: i16,
    shared: Arc<Shared>,
    sender: Option<mpsc::UnboundedSender<Answer>>,
}

impl Place {
    pub(super) fn fill(mut self, reply: Reply) {
        let result = reply
            .map_err(|failure| ClientError::of_failure(&self.shared.address, self.api, failure));
        self.give(result);
    }

    fn give(&mut self, result: Result<Bytes, ClientError>) {
        if let Some(sender) = self.sender.take() {
            let shared = Arc::clone(&self.shared);
            let (tag, api, version) = (self.tag, self.api, self.version);
            // Nobody may wait any more.
            drop(sender.send(Answer { tag, api, version, result, shared }));
        }
    }
}

impl Drop for Place {
    /// A connection whose task died, with the runtime, still ends what it was asked.
    fn drop(&mut self) {
        if self.sender.is_none() {
            return;
        }
        let failure = Failure::Unknown(ConnectionError::ShutDown);
        let error = ClientError::of_failure(&self.shared.address, self.api, failure);
        self.give(Err(error));
    }
}

impl BrokerConnection {
    /// Sends a fetch of `session` from all `wanted` partitions. Its answer comes to `queue` with `tag`; a refusal to send comes there, too.
    pub fn fetch_to(
        &self,
        session: &mut FetchSession,
        settings: &FetchSettings,
        wanted: &[FetchPartition],
        queue: &mut AnswerQueue,
        tag: u64,
    ) {
        let Shared { client_id, versions, limits, spare, .. } = &*self.shared;
        let id = self.next_correlation_id();
        let (frame, version) = session.request_frame(
            &mut queue.fetch_scratch,
            (id, client_id),
            versions,
            settings,
            wanted,
        );
        let mut chunks = spare.take().unwrap_or_default();
        chunks.push(frame);
        let timeout = limits.request_timeout;
        self.send_to(ApiKey::Fetch, Ok((version, id, chunks)), timeout, queue, tag);
    }

    /// [`BrokerConnection::produce`] with the answer to `queue`; a refusal to send comes there, too.
    pub fn produce_to(
        &self,
        acks: i16,
        timeout: Duration,
        topics: &[ProduceTopic],
        queue: &mut AnswerQueue,
        tag: u64,
    ) {
        if let Some(chunks) = self.shared.spare.take() {
            queue.produce_scratch.reuse(chunks);
        }
        let encoded = self.encode_produce(&mut queue.produce_scratch, acks, timeout, topics);
        self.send_to(ApiKey::Produce, encoded, produce::patience(timeout), queue, tag);
    }

    fn send_to(
        &self,
        api: ApiKey,
        encoded: Result<(i16, i32, Vec<Bytes>), ClientError>,
        timeout: Duration,
        queue: &AnswerQueue,
        tag: u64,
    ) {
        let (shared, sender) = (Arc::clone(&self.shared), Some(queue.sender.clone()));
        match encoded {
            Ok((version, correlation_id, chunks)) => {
                let place = Place { tag, api, version, shared, sender };
                self.hand_over(api, version, correlation_id, chunks, timeout, place);
            }
            Err(error) => {
                let mut place = Place { tag, api, version: 0, shared, sender };
                place.give(Err(error));
            }
        }
    }

    fn hand_over(
        &self,
        api: ApiKey,
        version: i16,
        correlation_id: i32,
        chunks: Vec<Bytes>,
        timeout: Duration,
        mut place: Place,
    ) {
        match self.admit(api, version, correlation_id, chunks, timeout) {
            Ok(request) => {
                if let Err(SendError(Command::Queue(_, mut place))) =
                    self.commands.send(Command::Queue(request, place))
                {
                    self.dismiss();
                    place.give(Err(self.not_sent(api)));
                }
            }
            Err(error) => place.give(Err(error)),
        }
    }
}
