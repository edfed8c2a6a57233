//! Fetch: sessions, long poll, isolation, truncation seen by epochs, topic ids.
//!
//! Source: `KafkaApis.handleFetchRequest`, `ReplicaManager.readFromLog`, `Partition.readRecords`;
//! P9 (diverging epochs), P10 (deleted and recreated topics), P12 (sessions).

use std::sync::Arc;
use std::time::Duration;

use kafka_wire::messages::fetch_request::FetchRequest;
use kafka_wire::{ErrorCode, Uuid};
use tokio::time::{Instant, timeout_at};

use super::fetch_answer::{self, FetchAnswer, PartitionAnswer};
use super::{Peer, Reply};
use crate::fetch_sessions::{Asked, Context, Told};
use crate::log::Slices;
use crate::partition::{Partition, Waiter};
use crate::permissions::Operation;
use crate::state::State;

/// From this version topics are named by their ids (KIP-516).
const TOPIC_ID_VERSION: i16 = 13;

pub(super) async fn handle(
    peer: &Peer,
    correlation: i32,
    version: i16,
    request: FetchRequest,
) -> Reply {
    let by_id = version >= TOPIC_ID_VERSION;
    let opened = peer.open_session(&request, by_id);
    let (context, asked) = match opened {
        Ok(opened) => opened,
        Err(code) => {
            let answer = FetchAnswer { error: code, session_id: 0, partitions: Vec::new(), by_id };
            return Reply::Chunks(fetch_answer::encode(correlation, version, answer));
        }
    };
    let read = Read::new(peer, version, &request);
    let partitions = read.poll(&asked, &request).await;
    let (session_id, partitions) = peer.note_session(context, asked, partitions, by_id);
    let answer = FetchAnswer { error: ErrorCode::NONE, session_id, partitions, by_id };
    Reply::Chunks(fetch_answer::encode(correlation, version, answer))
}

impl Peer {
    fn open_session(
        &self,
        request: &FetchRequest,
        by_id: bool,
    ) -> Result<(Context, Vec<Asked>), ErrorCode> {
        let mut state = self.cluster.state();
        let State { brokers, .. } = &mut *state;
        // The sessions leave the state for a moment, so that ids can be resolved meanwhile.
        let broker = brokers.get_mut(&self.broker).ok_or(ErrorCode::BROKER_NOT_AVAILABLE)?;
        let mut sessions = std::mem::take(&mut broker.sessions);
        let opened = sessions.open(request, by_id, |id| state.topic_name(id).map(str::to_owned));
        if let Some(broker) = state.brokers.get_mut(&self.broker) {
            broker.sessions = sessions;
        }
        opened
    }

    /// Remembers what is told, and leaves out what a session already knows.
    fn note_session(
        &self,
        context: Context,
        mut asked: Vec<Asked>,
        partitions: Vec<PartitionAnswer>,
        by_id: bool,
    ) -> (i32, Vec<PartitionAnswer>) {
        let mut state = self.cluster.state();
        let State { brokers, random, .. } = &mut *state;
        let Some(broker) = brokers.get_mut(&self.broker) else { return (0, partitions) };
        match context {
            Context::Sessionless => (0, partitions),
            Context::Full => {
                for (asked, answer) in asked.iter_mut().zip(&partitions) {
                    asked.note(told(answer));
                }
                (
                    broker.sessions.create(
                        asked,
                        by_id,
                        self.cluster.config().fetch_session_slots,
                        random,
                    ),
                    partitions,
                )
            }
            Context::Incremental(id) => {
                let news = asked
                    .iter()
                    .zip(partitions)
                    .filter(|(asked, answer)| broker.sessions.tell(id, asked, told(answer)));
                let news = news.map(|(_, answer)| answer).collect();
                (id, news)
            }
        }
    }
}

fn told(answer: &PartitionAnswer) -> Told {
    Told {
        high_watermark: answer.high_watermark,
        log_start: answer.log_start_offset,
        has_data: answer.records.size_bytes > 0,
        is_error: !answer.error.is_ok(),
        diverging: answer.diverging.is_some(),
    }
}

/// How one request reads.
struct Read<'a> {
    peer: &'a Peer,
    version: i16,
    committed: bool,
    bytes_max: usize,
    bytes_min: usize,
}

impl<'a> Read<'a> {
    fn new(peer: &'a Peer, version: i16, request: &FetchRequest) -> Self {
        let limit = peer.cluster.config().fetch_bytes_max;
        let bytes_max = usize::try_from(request.max_bytes).unwrap_or(0).min(limit);
        let bytes_min = usize::try_from(request.min_bytes).unwrap_or(0).min(bytes_max);
        Self { peer, version, committed: request.isolation_level == 1, bytes_max, bytes_min }
    }

    /// Reads when there is enough, or something to tell at once, or the time is over.
    async fn poll(&self, asked: &[Asked], request: &FetchRequest) -> Vec<PartitionAnswer> {
        let wait = Duration::from_millis(u64::try_from(request.max_wait_ms).unwrap_or(0));
        let deadline = Instant::now() + wait;
        loop {
            let waiter = {
                let mut state = self.peer.cluster.state();
                let answers = self.read_all(&mut state, asked);
                let found: usize = answers.iter().map(|answer| answer.records.size_bytes).sum();
                let urgent = answers
                    .iter()
                    .any(|answer| !answer.error.is_ok() || answer.diverging.is_some());
                if urgent
                    || found >= self.bytes_min
                    || asked.is_empty()
                    || Instant::now() >= deadline
                {
                    return answers;
                }
                let waiter = Waiter::new(self.bytes_min - found);
                for asked in asked {
                    if let Ok(partition) = state.partition(&asked.topic, asked.partition) {
                        partition.wait(&waiter);
                    }
                }
                waiter
            };
            let _ = timeout_at(deadline, waiter.woken()).await;
            waiter.finish();
        }
    }

    fn read_all(&self, state: &mut State, asked: &[Asked]) -> Vec<PartitionAnswer> {
        let mut budget = self.bytes_max;
        let mut first = true;
        let mut answers = Vec::with_capacity(asked.len());
        for asked in asked {
            let answer = match self.read(state, asked, budget, first) {
                Ok(answer) => answer,
                Err(code) => self.failed(state, asked, code),
            };
            budget = budget.saturating_sub(answer.records.size_bytes);
            first &= answer.records.size_bytes == 0;
            answers.push(answer);
        }
        answers
    }

    fn read(
        &self,
        state: &mut State,
        asked: &Asked,
        budget: usize,
        first: bool,
    ) -> Result<PartitionAnswer, ErrorCode> {
        if self.version >= TOPIC_ID_VERSION {
            check_id(state, asked)?;
        }
        state.permissions.check_topic(self.peer.user(), Operation::Read, &asked.topic)?;
        let partition = state.led_partition(
            self.peer.broker,
            &asked.topic,
            asked.partition,
            asked.current_leader_epoch,
        )?;
        let mut answer = PartitionAnswer::of(asked, partition);
        if let Some(diverging) = diverging(partition, asked)? {
            answer.diverging = Some(diverging);
            return Ok(answer);
        }
        if asked.fetch_offset < partition.log.start_offset()
            || asked.fetch_offset > partition.log.end_offset()
        {
            return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
        }
        let upper = if self.committed { answer.last_stable_offset } else { answer.high_watermark };
        let bytes_max = asked.bytes_max.min(budget);
        answer.records = partition.log.read(asked.fetch_offset, upper, bytes_max, first);
        if self.committed {
            let reached =
                read_end(partition, asked.fetch_offset, answer.records.size_bytes).min(upper);
            answer.aborted = Some(partition.log.aborted_between(asked.fetch_offset, reached));
        }
        Ok(answer)
    }

    fn failed(&self, state: &mut State, asked: &Asked, code: ErrorCode) -> PartitionAnswer {
        let moved =
            code == ErrorCode::NOT_LEADER_OR_FOLLOWER || code == ErrorCode::FENCED_LEADER_EPOCH;
        let partition = state.partition(&asked.topic, asked.partition).ok();
        let leader = partition.filter(|_| moved && self.version >= 12);
        PartitionAnswer {
            topic: Arc::clone(&asked.topic),
            topic_id: asked.topic_id,
            partition: asked.partition,
            error: code,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            aborted: None,
            diverging: None,
            current_leader: leader
                .map(|partition| (partition.leader.unwrap_or(-1), partition.leader_epoch)),
            records: Slices::default(),
        }
    }
}

impl PartitionAnswer {
    fn of(asked: &Asked, partition: &Partition) -> Self {
        // A fresh leader answers OK, with a high watermark below what it acknowledged (P15).
        let known = partition.fetch_bound.unwrap_or(i64::MAX);
        Self {
            topic: Arc::clone(&asked.topic),
            topic_id: asked.topic_id,
            partition: asked.partition,
            error: ErrorCode::NONE,
            high_watermark: partition.high_watermark().min(known),
            last_stable_offset: partition.last_stable_offset().min(known),
            log_start_offset: partition.log.start_offset(),
            aborted: None,
            diverging: None,
            current_leader: None,
            records: Slices::default(),
        }
    }
}

/// P10: an id without a name is unknown; a name that has got another id is inconsistent.
fn check_id(state: &State, asked: &Asked) -> Result<(), ErrorCode> {
    if asked.topic_id == Uuid::nil() || asked.topic.is_empty() {
        return Err(ErrorCode::UNKNOWN_TOPIC_ID);
    }
    match state.topics.get(&*asked.topic) {
        None => Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        Some(topic) if topic.id != asked.topic_id => Err(ErrorCode::INCONSISTENT_TOPIC_ID),
        Some(_) => Ok(()),
    }
}

/// Whether the reader's last epoch shows that the log was cut behind it (P9).
fn diverging(partition: &Partition, asked: &Asked) -> Result<Option<(i32, i64)>, ErrorCode> {
    if asked.last_fetched_epoch < 0 {
        return Ok(None);
    }
    let (epoch, end) = partition.log.end_of_epoch(asked.last_fetched_epoch);
    if epoch < 0 || end < 0 {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    let diverges = epoch < asked.last_fetched_epoch || end < asked.fetch_offset;
    Ok(diverges.then_some((epoch, end)))
}

/// The offset after the last entry that a read of `bytes` from `offset` touched.
fn read_end(partition: &Partition, offset: i64, bytes: usize) -> i64 {
    let mut left = bytes;
    let mut end = offset;
    for entry in partition.log.entries_from(offset) {
        if left == 0 {
            break;
        }
        left = left.saturating_sub(entry.size_bytes());
        end = entry.last_offset + 1;
    }
    end
}
