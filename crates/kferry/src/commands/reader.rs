//! Reads a partition from one offset to its end, batch by batch: for `inspect`, and for the demo's comparison.

use bytes::Bytes;
use kafka_client::{
    AbortedTransaction, BrokerConnection, CallOptions, Client, ClientError, FetchPartition,
    FetchSession, FetchSettings, FetchedPartition, Isolation, ListedOffset, OffsetSpec,
    TopicPartition, TopicQuery,
};
use kafka_wire::{ErrorCode, Uuid};

use crate::failure::Failure;

/// Bytes of one answer.
const FETCH_BYTES: i32 = 4 << 20;
/// How often a partition is asked for again when its leader moves meanwhile.
const TRIES: u32 = 5;

/// A partition being read.
pub(crate) struct Reader {
    client: Client,
    at: TopicPartition,
    topic_id: Option<Uuid>,
    connection: Option<BrokerConnection>,
    isolation: Isolation,
    /// The first offset that the partition has.
    pub(crate) start: i64,
    /// The end as it was when it was looked for last.
    pub(crate) end: i64,
    /// The offset to read next.
    pub(crate) offset: i64,
}

/// What one fetch brought.
pub(crate) struct Fetched {
    /// Batches, perhaps beginning before the offset asked for.
    pub(crate) records: Bytes,
    /// Transactions to leave out, when reading committed.
    pub(crate) aborted: Vec<AbortedTransaction>,
}

impl Reader {
    /// Finds the partition and its bounds.
    ///
    /// # Errors
    /// A [`Failure`] when it does not exist or cannot be asked.
    pub(crate) async fn new(
        client: &Client,
        at: TopicPartition,
        isolation: Isolation,
    ) -> Result<Self, Failure> {
        let failed = |error: &ClientError| {
            Failure::failed(at.to_string()).because(error).maybe_cure(error.cure())
        };
        let metadata = client
            .refresh_metadata(TopicQuery::Named(vec![at.topic.clone()]))
            .await
            .map_err(|error| failed(&error))?;
        let topic_id = match metadata.topics.get(&at.topic) {
            Some(topic) if topic.error.is_ok() && topic.partition(at.partition).is_some() => {
                topic.topic_id
            }
            Some(topic) if topic.error.is_ok() => {
                return Err(Failure::failed(format!(
                    "{at}: the topic has {} partitions, from 0 on",
                    topic.partitions.len()
                )));
            }
            Some(topic) => {
                return Err(Failure::failed(format!(
                    "{}: {}: {}",
                    at.topic,
                    topic.error,
                    topic.error.meaning()
                )));
            }
            None => {
                return Err(Failure::failed(format!(
                    "{}: the topic is not known to the cluster",
                    at.topic
                )));
            }
        };
        let start = bound(client, &at, OffsetSpec::Earliest, isolation).await?;
        let end = bound(client, &at, OffsetSpec::Latest, isolation).await?;
        Ok(Self {
            client: client.clone(),
            at,
            topic_id,
            connection: None,
            isolation,
            start,
            end,
            offset: start,
        })
    }

    /// Looks where the end is by now.
    ///
    /// # Errors
    /// A [`Failure`] when the partition cannot be asked.
    pub(crate) async fn look_for_more(&mut self) -> Result<(), Failure> {
        self.end = bound(&self.client, &self.at, OffsetSpec::Latest, self.isolation).await?;
        Ok(())
    }

    /// The next batches; nothing at the end.
    ///
    /// # Errors
    /// A [`Failure`] when the partition cannot be read.
    pub(crate) async fn next(&mut self) -> Result<Option<Fetched>, Failure> {
        if self.offset >= self.end {
            return Ok(None);
        }
        let mut tries = 0;
        loop {
            let error = match self.fetch().await {
                Ok(fetched) if fetched.error.is_ok() => {
                    return Ok(Some(Fetched {
                        records: fetched.records,
                        aborted: fetched.aborted,
                    }));
                }
                Ok(fetched) => refused(&self.at, fetched.error),
                Err(error) => {
                    Failure::failed(self.at.to_string()).because(&error).maybe_cure(error.cure())
                }
            };
            tries += 1;
            if tries >= TRIES {
                return Err(error);
            }
            self.connection = None;
        }
    }

    async fn fetch(&mut self) -> Result<FetchedPartition, ClientError> {
        let metadata = self.client.metadata(TopicQuery::Named(vec![self.at.topic.clone()])).await?;
        let partition = metadata.partition(&self.at.topic, self.at.partition);
        let leader = partition.map(|partition| partition.leader_id).filter(|id| *id >= 0);
        let Some(leader) = leader else {
            return Err(ClientError::NoLeader {
                at: self.at.clone(),
                code: ErrorCode::LEADER_NOT_AVAILABLE,
            });
        };
        let connection = match self.connection.take() {
            Some(connection) if !connection.is_closed() => connection,
            _ => self.client.dedicated(leader).await?,
        };
        let wanted = FetchPartition {
            topic: self.at.topic.as_str().into(),
            topic_id: self.topic_id,
            partition: self.at.partition,
            offset: self.offset,
            leader_epoch: -1,
            last_fetched_epoch: -1,
            bytes_max: FETCH_BYTES,
        };
        let settings = FetchSettings {
            bytes_max: FETCH_BYTES,
            isolation: self.isolation,
            ..FetchSettings::default()
        };
        let mut session = FetchSession::new();
        let (request, version) =
            session.request(connection.versions(), &settings, std::slice::from_ref(&wanted));
        let response = connection
            .call_with(
                request,
                CallOptions { version_max: Some(version), ..CallOptions::default() },
            )
            .await?;
        let mut partitions = session
            .handle(response)
            .map_err(|error| ClientError::InvalidArgument(error.to_string()))?;
        self.connection = Some(connection);
        partitions.pop().ok_or_else(|| {
            ClientError::InvalidArgument(format!("{}: the answer is empty", self.at))
        })
    }
}

async fn bound(
    client: &Client,
    at: &TopicPartition,
    spec: OffsetSpec,
    isolation: Isolation,
) -> Result<i64, Failure> {
    let listed = client
        .list_offsets(vec![(at.clone(), spec)], isolation)
        .await
        .map_err(|error| Failure::failed(at.to_string()).because(&error))?;
    match listed.get(at) {
        Some(Ok(ListedOffset { offset, .. })) => Ok(*offset),
        Some(Err(code)) => Err(refused(at, *code)),
        None => Err(Failure::failed(format!("{at}: the broker says nothing about its offsets"))),
    }
}

fn refused(at: &TopicPartition, code: ErrorCode) -> Failure {
    Failure::failed(format!("{at}: {code}: {}", code.meaning()))
}
