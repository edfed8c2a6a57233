//! Asks the target where a lane stands: producer id, fence, committed tail.
//!
//! One way serves every case, and it is the careful one. `InitProducerId` under the lane's transactional id
//! raises the epoch; an empty aborted transaction writes one control record with that epoch, and from then
//! on the broker refuses whatever an older connection of ours may still deliver (P14). The tail is complete when
//! that marker lies below the high watermark: neither a stale leader nor a stale high watermark
//! can show it (P16). Then the last of our headers says what has to be sent again, from sequence 0 of the new
//! epoch. Raising the epoch without the fence would double records (P2).
//!
//! The fence only holds for the producer id that its marker carries. The coordinator may answer with *another* id than the
//! lane's records have: it forgets a transactional id that had no transaction for a week
//! (`transactional.id.expiration.ms`), an epoch may be used up, transactional ids may be forbidden now or have been until now.
//! Then the former id is fenced by a marker by hand (WriteTxnMarkers, which few users may write), or else we wait longer
//! than an unanswered request can live.
//!
//! The tail is read with ListOffsets latest, naming the leader epoch, and Fetch up to it. DescribeProducers is
//! not asked: what it shows may vanish with the next failover (P15).

mod adopt;
mod parting;
mod scan;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use forward::planted::{Bug, has};
use forward::{EpochBase, Ordinal, Runs, Tail, TailStart, TargetOffset, TargetTraits, read_tail};
use kafka_client::{Client, ClientError, Isolation, OffsetSpec, ProducerIdentity, TopicPartition};
use kafka_wire::record::{Batch, BatchError, BatchHeader, RecordLimits, split};
use kafka_wire::{ErrorCode, Uuid};
use thiserror::Error;
use tokio::time::{Instant, sleep};

use crate::journal::{JournalError, LaneProgress, SourceEpochs};
use crate::lane::{Duty, Lane, Recovered};
use crate::tail_fetch::fetch_once;

pub(crate) use adopt::{Adopted, Standing};
pub(crate) use parting::{Comparison, Parted, by_epochs};
pub(crate) use scan::offset;

/// How long a fence may take until its marker is seen, elections included (P18: at most 4.3 s seen with a
/// broker session of 2 s; the default session is 9 s).
const MARKER_TIMEOUT: Duration = Duration::from_secs(40);

/// Abandoned fences are aborted by the coordinator after this time; they hold no data (P20).
const TRANSACTION_TIMEOUT: Duration = Duration::from_secs(60);

/// What a lane knows when the target is asked.
#[derive(Debug)]
pub(crate) struct Opening {
    source_client: Client,
    source: TopicPartition,
    target: TopicPartition,
    traits: TargetTraits,
    limits: RecordLimits,
    /// Nothing was sent by this process: the journal is all that is known.
    is_first: bool,
    /// Where no fence is allowed we wait for so long. P2 saw requests of dead connections appended after 270 ms on loopback; a
    /// paused broker adds its pause.
    request_lifetime: Duration,
    /// What the transactional id gave when this process asked first.
    first_identity: Arc<OnceLock<ProducerIdentity>>,
    transactional_id: String,
    epochs: Vec<EpochBase>,
    runs: Runs,
    acked: LaneProgress,
    is_dirty: bool,
    /// What is written is not what the source has: it cannot be looked for there.
    is_made: bool,
    source_topic_id: Option<Uuid>,
    source_epochs: SourceEpochs,
}

/// How a lane opened.
#[derive(Debug)]
pub(crate) struct Opened {
    /// Producer and tail.
    pub(crate) recovered: Recovered,
    /// The guarantee.
    pub(crate) fence: Fence,
    /// Whether the journal is to be believed.
    pub(crate) standing: Standing,
}

/// Which guarantee a lane opened with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fence {
    /// Nobody can have written before: none was needed.
    NotNeeded,
    /// The marker of this epoch is in the log below the high watermark.
    Marker(ProducerIdentity),
    /// The lane's former producer cannot be fenced off: we waited longer than a request lives.
    Hold,
}

/// Why the target could not be asked. All but one end by themselves.
#[derive(Debug, Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{target}: the target broker answered {code}")]
    Code { target: TopicPartition, code: ErrorCode },
    #[error(
        "{target}: the fence of producer epoch {producer_epoch} was not seen in the log in time"
    )]
    NoMarker { target: TopicPartition, producer_epoch: i16 },
    #[error("{target}: the log ends at {end}, but could be read up to {reached} only")]
    Short { target: TopicPartition, reached: i64, end: i64 },
    #[error(
        "{target}: the log ends at {end}, below offset {acked} that this broker had acknowledged"
    )]
    Behind { target: TopicPartition, end: i64, acked: TargetOffset },
    #[error("{target}: a batch in the target's own log cannot be read: {error}")]
    Corrupt { target: TopicPartition, error: BatchError },
    #[error(transparent)]
    Journal(#[from] JournalError),
}

impl Opening {
    /// `source` is asked only when the journal does not say where the lane stands.
    pub(crate) fn of(lane: &Lane, source: Client, request_lifetime: Duration) -> Self {
        Self {
            source_client: source,
            source: TopicPartition::new(lane.key.source_topic.clone(), lane.key.source_partition),
            traits: lane.traits,
            limits: lane.limits(),
            is_first: !lane.was_opened(),
            request_lifetime,
            first_identity: lane.first_identity(),
            target: TopicPartition::new(lane.key.target_topic.clone(), lane.key.target_partition),
            transactional_id: lane.transactional_id.clone(),
            epochs: lane.epochs().to_vec(),
            runs: lane.runs().clone(),
            acked: lane.acked(),
            is_dirty: lane.is_dirty,
            is_made: lane.duty() == Duty::Write,
            source_topic_id: lane.source_topic_id,
            source_epochs: lane.source_epochs().clone(),
        }
    }

    /// Opens a producer for the lane and says how far the target is.
    pub(crate) async fn open(self, client: &Client) -> Result<Opened, OpenError> {
        let (identity, is_transactional) = self.identity(client).await?;
        self.first_identity.get_or_init(|| identity);
        let end = self.end(client).await?;
        if end < self.acked.target_next.0 {
            return Err(OpenError::Behind {
                target: self.target,
                end,
                acked: self.acked.target_next,
            });
        }
        let fence = self.guard(client, identity, is_transactional, end).await?;
        let tail = self.tail(client, end, fence).await?;
        let ProducerIdentity { producer_id, producer_epoch, .. } = identity;
        let standing = if self.is_first {
            self.standing(client, identity, &tail).await?
        } else {
            Standing::Journaled
        };
        Ok(Opened { recovered: Recovered { producer_id, producer_epoch, tail }, fence, standing })
    }

    /// Makes sure that nothing of an earlier epoch can still be appended.
    async fn guard(
        &self,
        client: &Client,
        identity: ProducerIdentity,
        is_transactional: bool,
        end: i64,
    ) -> Result<Fence, OpenError> {
        let former = self.epochs.last();
        let is_untouched = !self.is_dirty
            && (identity.producer_epoch == 0
                || (former.is_some() && end == self.acked.target_next.0));
        if is_untouched || has(Bug::NoFence) {
            return Ok(Fence::NotNeeded);
        }
        match former {
            Some(former) if former.producer_id != identity.producer_id => {
                self.fence_by_hand(client, former).await
            }
            _ if is_transactional => self.fence(client, identity).await,
            _ => {
                sleep(self.request_lifetime).await;
                Ok(Fence::Hold)
            }
        }
    }

    /// A producer id under the lane's transactional id, or a plain one where those are forbidden.
    async fn identity(&self, client: &Client) -> Result<(ProducerIdentity, bool), OpenError> {
        match client.init_producer_id(Some(&self.transactional_id), TRANSACTION_TIMEOUT).await {
            Ok(identity) => Ok((identity, true)),
            Err(error)
                if error.code() == Some(ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED) =>
            {
                Ok((client.init_producer_id(None, TRANSACTION_TIMEOUT).await?, false))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes an empty aborted transaction: one control record of the new epoch (P14).
    async fn fence(&self, client: &Client, identity: ProducerIdentity) -> Result<Fence, OpenError> {
        let partitions = vec![self.target.clone()];
        let answers =
            client.add_partitions_to_txn(&self.transactional_id, identity, partitions).await?;
        if let Some(code) = answers.into_values().find_map(Result::err) {
            return Err(OpenError::Code { target: self.target.clone(), code });
        }
        client.end_txn(&self.transactional_id, identity, false).await?;
        Ok(Fence::Marker(identity))
    }

    /// Shuts the lane's former producer out, whose id we were not given again: by a marker where the cluster lets us
    /// write one, else by waiting.
    async fn fence_by_hand(&self, client: &Client, former: &EpochBase) -> Result<Fence, OpenError> {
        if let Some(producer_epoch) = former.producer_epoch.checked_add(1) {
            let raised = ProducerIdentity { producer_id: former.producer_id, producer_epoch };
            let partitions = vec![self.target.clone()];
            let answers = client.write_abort_markers(raised, partitions).await;
            if let Ok(answers) = answers
                && answers.into_values().all(|answer| answer.is_ok())
            {
                return Ok(Fence::Marker(raised));
            }
        }
        sleep(self.request_lifetime).await;
        Ok(Fence::Hold)
    }

    /// The committed end of the target partition. Read uncommitted: else a foreign open transaction
    /// would hide our own records (P20).
    async fn end(&self, client: &Client) -> Result<i64, OpenError> {
        self.offset(client, OffsetSpec::Latest).await
    }

    async fn offset(&self, client: &Client, spec: OffsetSpec) -> Result<i64, OpenError> {
        let asked = vec![(self.target.clone(), spec)];
        let mut answer = client.list_offsets(asked, Isolation::ReadUncommitted).await?;
        match answer.remove(&self.target) {
            Some(Ok(listed)) => Ok(listed.offset),
            Some(Err(code)) => Err(OpenError::Code { target: self.target.clone(), code }),
            None => Err(OpenError::Code {
                target: self.target.clone(),
                code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION,
            }),
        }
    }

    /// Reads the headers behind the last acknowledged record; after a fence, until its marker is there.
    async fn tail(
        &self,
        client: &Client,
        end_before: i64,
        fence: Fence,
    ) -> Result<Tail, OpenError> {
        let from =
            if self.acked.target_next.0 >= 0 { self.acked.target_next.0 } else { end_before };
        let start = TailStart { ordinal: self.acked.ordinal, target: TargetOffset(from) };
        let mut epochs = self.epochs.clone();
        if let Fence::Marker(identity) = fence {
            // The marker's epoch; no data of it can be there yet.
            epochs.push(EpochBase {
                producer_id: identity.producer_id,
                producer_epoch: identity.producer_epoch,
                ordinal_base: Ordinal(i64::MAX),
            });
        }
        let deadline = Instant::now() + MARKER_TIMEOUT;
        let mut headers = Vec::new();
        let mut pause = Duration::from_millis(5);
        loop {
            let end = self.end(client).await?;
            let reached = self.read_headers(client, from, end, &mut headers).await?;
            let tail = read_tail(&headers, &epochs, &self.runs, start);
            let is_complete = match fence {
                Fence::Marker(_) => tail.marker_seen || has(Bug::TailWithoutMarker),
                // No marker will tell: all that the leader calls committed must have been seen.
                Fence::NotNeeded | Fence::Hold => reached >= end,
            };
            if is_complete {
                return Ok(tail);
            }
            if Instant::now() >= deadline {
                let target = self.target.clone();
                return Err(match fence {
                    Fence::Marker(ProducerIdentity { producer_epoch, .. }) => {
                        OpenError::NoMarker { target, producer_epoch }
                    }
                    Fence::NotNeeded | Fence::Hold => OpenError::Short { target, reached, end },
                });
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    /// Adds the headers of all batches from the last one known up to `end`, and says how far the log could be read.
    async fn read_headers(
        &self,
        client: &Client,
        from: i64,
        end: i64,
        headers: &mut Vec<BatchHeader>,
    ) -> Result<i64, OpenError> {
        let mut next = headers.last().map_or(from, BatchHeader::next_offset);
        while next < end {
            let fetched =
                fetch_once(client, &self.target, next, Isolation::ReadUncommitted).await?;
            if fetched.error == ErrorCode::OFFSET_OUT_OF_RANGE {
                // Retention of the target went over it: what is gone cannot be looked at any more.
                let earliest = self.offset(client, OffsetSpec::Earliest).await?;
                if earliest > next {
                    next = earliest;
                    continue;
                }
            }
            fetched
                .error
                .ok()
                .map_err(|code| OpenError::Code { target: self.target.clone(), code })?;
            let before = next;
            for batch in split(fetched.records) {
                match batch
                    .map_err(|error| OpenError::Corrupt { target: self.target.clone(), error })?
                {
                    Batch::V2(batch) if batch.header.next_offset() > next => {
                        next = batch.header.next_offset();
                        headers.push(batch.header);
                    }
                    batch => next = next.max(batch.next_offset()),
                }
            }
            if next == before {
                // A follower that became leader may not know the high watermark yet: come again (P15).
                break;
            }
        }
        Ok(next)
    }
}
