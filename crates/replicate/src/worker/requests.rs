//! Fetches and produce requests under way: what their answers are about. They come by the thousand, so they are no jobs: nothing is
//! allocated for one but its entry here.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use kafka_client::{
    Answer, AnswerQueue, BrokerConnection, FetchPartition, FetchSettings, FetchedPartition,
    ProduceAck,
};
use kafka_wire::produce::ProduceTopic;
use tokio::time::{Instant, timeout_at};

use super::ahead::Guess;
use super::writing::Ended;
use super::{LaneId, Worker};
use crate::budget::Lease;

/// Answers that are handled in a row before what they made possible is started: what they free leaves in one request.
const ANSWERS_MAX: usize = 32;

/// Requests and what is reused from one to the next.
#[derive(Debug, Default)]
pub(super) struct Requests {
    pub(super) answers: AnswerQueue,
    pending: HashMap<u64, Pending>,
    next_tag: u64,
    /// Room for acks, and for the lanes and topics of a request.
    pub(super) acks: Vec<ProduceAck>,
    pub(super) lanes: Vec<Vec<LaneId>>,
    pub(super) topics: Vec<Vec<ProduceTopic>>,
    /// Room for what fetches ask and bring, and for the lanes that it is for.
    pub(super) wanted: Vec<FetchPartition>,
    pub(super) fetched: Vec<FetchedPartition>,
    pub(super) touched: Vec<LaneId>,
}

/// A request under way.
#[derive(Debug)]
pub(super) enum Pending {
    Fetch { broker: i32, lease: Lease },
    Guess(Guess),
    Produce(Produce),
}

#[derive(Debug)]
pub(super) struct Produce {
    pub(super) broker: i32,
    pub(super) number: u64,
    pub(super) connection: BrokerConnection,
    pub(super) bytes: usize,
    pub(super) lanes: Vec<LaneId>,
    pub(super) topics: Vec<ProduceTopic>,
}

impl Requests {
    /// Notes what the request with the returned tag is about.
    pub(super) fn note(&mut self, pending: Pending) -> u64 {
        let tag = self.next_tag;
        self.next_tag += 1;
        self.pending.insert(tag, pending);
        tag
    }

    /// Sends a fetch from a guessed offset.
    pub(super) fn guess(
        &mut self,
        connection: &BrokerConnection,
        guess: Guess,
        settings: &FetchSettings,
        wanted: &[FetchPartition],
    ) {
        let tag = self.note(Pending::Guess(guess));
        if let Some(Pending::Guess(guess)) = self.pending.get_mut(&tag) {
            connection.fetch_to(&mut guess.session, settings, wanted, &mut self.answers, tag);
        }
    }

    /// Sends a produce request.
    pub(super) fn send(&mut self, produce: Produce, acks: i16, timeout: Duration) {
        let tag = self.note(Pending::Produce(produce));
        if let Some(Pending::Produce(produce)) = self.pending.get(&tag) {
            let Produce { connection, topics, .. } = produce;
            connection.produce_to(acks, timeout, topics, &mut self.answers, tag);
        }
    }

    /// Takes the room of a request that is settled back.
    pub(super) fn reuse(&mut self, mut lanes: Vec<LaneId>, mut acks: Vec<ProduceAck>) {
        lanes.clear();
        acks.clear();
        self.lanes.push(lanes);
        self.acks = acks;
    }
}

impl Worker {
    /// Hands an answer, and those that are there already, to whom they are about.
    pub(super) fn answered(&mut self, answer: Answer) {
        self.take_answer(answer);
        for _ in 1..ANSWERS_MAX {
            let Some(answer) = self.requests.answers.try_next() else { return };
            self.take_answer(answer);
        }
    }

    fn take_answer(&mut self, answer: Answer) {
        match self.requests.pending.remove(&answer.tag) {
            Some(Pending::Fetch { broker, lease }) => {
                self.fetched(broker, lease, answer);
            }
            Some(Pending::Guess(guess)) => self.guessed(guess, answer),
            Some(Pending::Produce(produce)) => {
                let Produce { broker, number, connection, bytes, lanes, mut topics } = produce;
                let mut acks = std::mem::take(&mut self.requests.acks);
                let result = answer.produced(&topics, &mut acks).map(|()| acks);
                topics.iter_mut().for_each(|topic| topic.partitions.clear());
                self.requests.topics.push(topics);
                self.produced(broker, Ended { number, connection, bytes, lanes, result });
            }
            None => {}
        }
    }

    /// Waits until something ends, for a time.
    pub(super) async fn end_next(&mut self, deadline: Option<Instant>) -> bool {
        let next = async {
            tokio::select! {
                biased;
                answer = self.requests.answers.next() => Some(Err(answer)),
                done = self.jobs.next(), if !self.jobs.is_empty() => done.map(Ok),
            }
        };
        let next = match deadline {
            Some(deadline) => timeout_at(deadline, next).await.ok().flatten(),
            None => next.await,
        };
        match next {
            Some(Ok(done)) => self.handle(done),
            Some(Err(answer)) => self.answered(answer),
            None => return false,
        }
        true
    }
}
