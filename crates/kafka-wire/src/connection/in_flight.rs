//! Requests sent on one connection and not yet answered, oldest first: brokers answer in order.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{ConnectionError, Request};

/// What has to be remembered of a request to understand its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) token: u64,
    pub(super) correlation_id: i32,
    pub(super) api_key: i16,
    pub(super) api_version: i16,
    deadline: Instant,
    at: Instant,
}

/// See the module's text. Bounded by the connection's `in_flight_max`.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    sent: VecDeque<Sent>,
    fastest: Option<Duration>,
}

impl InFlight {
    pub(super) fn len(&self) -> usize {
        self.sent.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    pub(super) fn sent(&mut self, request: &Request, now: Instant) {
        self.sent.push_back(Sent {
            token: request.token,
            correlation_id: request.correlation_id,
            api_key: request.api_key,
            api_version: request.api_version,
            deadline: request.deadline,
            at: now,
        });
    }

    /// Takes the correlation id `found` on the wire and gives the request it answers.
    pub(super) fn handle_reply(
        &mut self,
        found: i32,
        now: Instant,
    ) -> Result<Sent, ConnectionError> {
        match self.sent.front() {
            Some(sent) if sent.correlation_id == found => {
                let sent = *sent;
                self.sent.pop_front();
                let took = now.saturating_duration_since(sent.at);
                self.fastest = Some(self.fastest.map_or(took, |fastest| fastest.min(took)));
                Ok(sent)
            }
            // The oldest request stays: it fails with the connection.
            head => Err(ConnectionError::OutOfOrder {
                expected: head.map(|sent| sent.correlation_id),
                found,
            }),
        }
    }

    /// The least time from a request to its answer.
    pub(super) fn fastest(&self) -> Option<Duration> {
        self.fastest
    }

    pub(super) fn earliest_deadline(&self) -> Option<Instant> {
        self.sent.iter().map(|sent| sent.deadline).min()
    }

    /// The API of a request whose time is over.
    pub(super) fn overdue(&self, now: Instant) -> Option<i16> {
        self.sent.iter().find(|sent| now >= sent.deadline).map(|sent| sent.api_key)
    }

    /// Empties the queue: the tokens, oldest first.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = u64> + '_ {
        self.sent.drain(..).map(|sent| sent.token)
    }
}
