//! Reads a stretch of one end's log, one answer ahead of who compares it.

use std::ops::Range;
use std::time::Duration;

use kafka_client::{Client, ClientError, Isolation, OffsetSpec, TopicPartition, TopicQuery};
use kafka_wire::record::{Batch, BatchError, split};
use kafka_wire::{ErrorCode, Retry};
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::committed::{CommittedFilter, Seen};
use crate::pace::Pace;
use crate::tail_fetch::{Tailed, fetch_up_to};

/// Bytes of one answer; a larger batch still comes whole (BF-21).
const ANSWER_BYTES: i32 = 2 << 20;

/// How often a question is asked again where the answer may change by itself, with growing pauses: about a minute.
const TRIES_MAX: u32 = 24;
const PAUSE: Duration = Duration::from_millis(200);

/// Why a log cannot be read.
#[derive(Debug, Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{code}: {}", .code.meaning())]
    Code { code: ErrorCode },
    #[error("at offset {offset}: {error}")]
    Batch { offset: i64, error: BatchError },
    #[error("the broker sends nothing from offset {0} on, and says that there is more")]
    Nothing(i64),
}

impl ReadError {
    fn may_pass(&self) -> bool {
        match self {
            Self::Client(error) => error.retry() != Retry::Never,
            Self::Code { code } => code.retry() != Retry::Never,
            Self::Batch { .. } | Self::Nothing(_) => false,
        }
    }
}

/// The next piece of an end.
#[derive(Debug)]
pub(crate) enum Piece {
    /// Batches with what a reader of committed records makes of them.
    Batches(Vec<(Batch, Seen)>),
    /// What comes next was deleted by age or size: this is the first offset that is left.
    StartsAt(i64),
    /// Nothing is left of the range.
    End,
}

/// One end of a partition, being read.
pub(crate) struct Reading {
    client: Client,
    at: TopicPartition,
    isolation: Isolation,
    pace: Pace,
    range: Range<i64>,
    /// The answer that is on its way.
    ahead: Option<JoinHandle<Result<Tailed, ReadError>>>,
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some(ahead) = &self.ahead {
            ahead.abort();
        }
    }
}

impl Reading {
    pub(crate) fn new(
        client: &Client,
        at: TopicPartition,
        isolation: Isolation,
        pace: &Pace,
        range: Range<i64>,
    ) -> Self {
        Self { client: client.clone(), at, isolation, pace: pace.clone(), range, ahead: None }
    }

    /// Where the next question begins: all before was handed out.
    pub(crate) fn position(&self) -> i64 {
        self.range.start.min(self.range.end)
    }

    /// The next batches.
    pub(crate) async fn next(&mut self) -> Result<Piece, ReadError> {
        let mut empty_count = 0;
        while self.range.start < self.range.end {
            let fetched = self.fetch().await?;
            if fetched.error == ErrorCode::OFFSET_OUT_OF_RANGE {
                let start = self.bound(OffsetSpec::Earliest).await?;
                if start <= self.range.start {
                    // The log ends before: what was behind is lost.
                    return Ok(self.ended());
                }
                self.range.start = start;
                return Ok(Piece::StartsAt(start));
            }
            fetched.error.ok().map_err(|code| ReadError::Code { code })?;
            let batches = self.batches(fetched)?;
            if !batches.is_empty() {
                return Ok(Piece::Batches(batches));
            }
            if self.range.start >= self.range.end {
                break;
            }
            empty_count += 1;
            if empty_count > TRIES_MAX {
                let end = self.bound(OffsetSpec::Latest).await?;
                if end <= self.range.start {
                    return Ok(self.ended());
                }
                return Err(ReadError::Nothing(self.range.start));
            }
            // A fresh leader may not know its high watermark yet (P15).
            sleep(PAUSE).await;
        }
        Ok(self.ended())
    }

    fn ended(&mut self) -> Piece {
        self.range.start = self.range.end;
        Piece::End
    }

    /// The answer that was asked for ahead; the next one is asked for at once.
    async fn fetch(&mut self) -> Result<Tailed, ReadError> {
        let ahead = self.ahead.take().unwrap_or_else(|| self.ask());
        let result = ahead.await;
        result.unwrap_or_else(|error| {
            let cause = format!("the reader ended unexpectedly: {error}");
            Err(ClientError::InvalidArgument(cause).into())
        })
    }

    fn ask(&self) -> JoinHandle<Result<Tailed, ReadError>> {
        let (client, at, isolation) = (self.client.clone(), self.at.clone(), self.isolation);
        let (pace, offset) = (self.pace.clone(), self.range.start);
        tokio::spawn(async move {
            let mut tries = 0;
            loop {
                pace.ready().await;
                let bytes_max = pace.fetch_bytes(ANSWER_BYTES);
                let answer = fetch_up_to(&client, &at, offset, isolation, bytes_max).await;
                let error = match answer {
                    Ok(tailed) => {
                        pace.spend(tailed.records.len(), 0);
                        let is_told = tailed.error == ErrorCode::OFFSET_OUT_OF_RANGE;
                        if is_told || tailed.error.is_ok() {
                            return Ok(tailed);
                        }
                        ReadError::Code { code: tailed.error }
                    }
                    Err(error) => error.into(),
                };
                tries += 1;
                if tries > TRIES_MAX || !error.may_pass() {
                    return Err(error);
                }
                sleep(PAUSE * tries.min(15)).await;
                // Its own errors show in the next answer.
                let _ = client.refresh_metadata(TopicQuery::Named(vec![at.topic.clone()])).await;
            }
        })
    }

    fn batches(&mut self, fetched: Tailed) -> Result<Vec<(Batch, Seen)>, ReadError> {
        let mut filter = CommittedFilter::new(fetched.aborted);
        let mut batches = Vec::new();
        for batch in split(fetched.records) {
            let offset = self.range.start;
            let wrong = |error| ReadError::Batch { offset, error };
            let batch = batch.map_err(wrong)?;
            if batch.base_offset() >= self.range.end && !matches!(batch, Batch::Legacy(_)) {
                // Compaction took all that was left of the range.
                self.range.start = self.range.end;
                break;
            }
            let seen = filter.see(&batch).map_err(wrong)?;
            if batch.next_offset() <= self.range.start {
                continue;
            }
            self.range.start = batch.next_offset();
            batches.push((batch, seen));
        }
        if !batches.is_empty() && self.range.start < self.range.end {
            self.ahead = Some(self.ask());
        }
        Ok(batches)
    }

    async fn bound(&self, spec: OffsetSpec) -> Result<i64, ReadError> {
        bound(&self.client, &self.at, spec, self.isolation).await
    }
}

/// What ListOffsets says of one partition.
pub(crate) async fn bound(
    client: &Client,
    at: &TopicPartition,
    spec: OffsetSpec,
    isolation: Isolation,
) -> Result<i64, ReadError> {
    let mut answer = client.list_offsets(vec![(at.clone(), spec)], isolation).await?;
    match answer.remove(at) {
        Some(Ok(listed)) => Ok(listed.offset),
        Some(Err(code)) => Err(ReadError::Code { code }),
        None => Err(ReadError::Code { code: ErrorCode::UNKNOWN_TOPIC_OR_PARTITION }),
    }
}
