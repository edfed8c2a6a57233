//! One table: rounds of looking where its topic ends, and reading up to there.

use std::collections::BTreeMap;
use std::time::Duration;

use etl::{SharedTable, TableRows};
use kafka_client::{
    Client, ClientError, Isolation, OffsetSpec, TopicMetadata, TopicPartition, TopicQuery,
};
use kafka_wire::{ErrorCode, Uuid};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::apply::{self, BadRow, Into};
use super::cause::Trouble;
use super::truth::Partition;
use super::{Board, Context};
use crate::event::Event;
use crate::pace::{Pace, RateLimit};
use crate::progress::{TableProgress, TableState};
use crate::spec::{TableTopic, Transform};
use crate::task::TaskError;
use crate::verify::Seen;
use crate::verify::reading::{Piece, Reading};

/// Time between two looks at the topic's ends.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// How long a cluster may take for an answer until that is told.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// What is in the way, and records that are no rows, are told so often at most.
const TELL_INTERVAL: Duration = Duration::from_mins(1);

/// Records that are applied before others get their turn.
const APPLY_AT_ONCE: usize = 500;

/// Why a round did not come to its end.
enum Halt {
    Trouble(Trouble),
    /// All that was read counts no more.
    Anew(String),
    /// The rows are too many.
    Full,
    /// A leader is moving: the next round asks the new one.
    Again,
}

impl From<Trouble> for Halt {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// Something in the way since a while.
struct Since {
    begun: Instant,
    told: Instant,
    trouble: Trouble,
}

pub(super) struct Follower {
    context: Context,
    table: TableTopic,
    client: Client,
    rule: Transform,
    board: Board,
    /// Sent when the table was read for the first time.
    is_read: Option<oneshot::Sender<()>>,
    topic_id: Option<Uuid>,
    partitions: BTreeMap<i32, Partition>,
    /// Rows that will take the place of the table's when the topic is read up to its ends.
    anew: Option<TableRows>,
    trouble: Option<Since>,
    skipped: u64,
    /// Records that were no rows since one was told.
    untold: u64,
    told_row: Option<Instant>,
}

impl Follower {
    pub(super) fn new(
        context: Context,
        table: TableTopic,
        client: Client,
        rule: Transform,
        board: Board,
        is_read: oneshot::Sender<()>,
    ) -> Self {
        let follower = Self {
            context,
            table,
            client,
            rule,
            board,
            is_read: Some(is_read),
            topic_id: None,
            partitions: BTreeMap::new(),
            anew: Some(TableRows::new()),
            trouble: None,
            skipped: 0,
            untold: 0,
            told_row: None,
        };
        follower.show(TableState::Reading);
        follower
    }

    /// Follows the topic until that is no longer possible.
    pub(super) async fn run(mut self) -> TaskError {
        let rule = self.rule.clone();
        let Some(table) = rule.rule.table(&self.table.table) else {
            // Nothing looks anything up in it.
            drop(self.is_read.take());
            return std::future::pending().await;
        };
        loop {
            match self.round(table).await {
                Ok(()) => self.came_through(table),
                Err(Halt::Again) => {}
                Err(Halt::Full) => return self.full(),
                Err(Halt::Anew(cause)) => self.begin_anew(cause),
                Err(Halt::Trouble(trouble)) => {
                    if let Some(error) = self.held_up(trouble) {
                        return error;
                    }
                }
            }
            sleep(LOOK_INTERVAL).await;
        }
    }

    /// Reads up to where the topic ends now.
    async fn round(&mut self, table: &SharedTable) -> Result<(), Halt> {
        let topic = self.look().await?;
        self.meet(&topic).await?;
        self.find_ends().await?;
        for index in self.partitions.keys().copied().collect::<Vec<_>>() {
            self.check(index).await?;
            self.read(table, index).await?;
        }
        Ok(())
    }

    /// The topic as the cluster has it now.
    async fn look(&self) -> Result<std::sync::Arc<TopicMetadata>, Trouble> {
        let name = &self.table.topic;
        let asked = self.client.refresh_metadata(TopicQuery::Named(vec![name.clone()]));
        let metadata = self.answer(asked).await?;
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let topic = metadata.topics.get(name).ok_or_else(|| Trouble::code(&self.table, unknown))?;
        topic.error.ok().map_err(|code| Trouble::code(&self.table, code))?;
        if topic.partitions.is_empty() {
            return Err(Trouble::code(&self.table, unknown));
        }
        Ok(std::sync::Arc::clone(topic))
    }

    /// Waits for an answer of the cluster. The client tries for a minute, which is long for who does not know why nothing happens.
    async fn answer<T>(
        &self,
        asked: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, Trouble> {
        match timeout(ANSWER_TIME_MAX, asked).await {
            Ok(answer) => answer.map_err(|error| Trouble::client(&self.table, &error)),
            Err(_) => Err(Trouble::silence(&self.table, ANSWER_TIME_MAX)),
        }
    }

    /// Takes up partitions that are new. Another topic of the name is read from its beginning.
    async fn meet(&mut self, topic: &TopicMetadata) -> Result<(), Halt> {
        let is_other = self.topic_id.is_some() && self.topic_id != topic.topic_id;
        let count = topic.partitions.len();
        if is_other || count < self.partitions.len() {
            self.topic_id = topic.topic_id;
            return Err(Halt::Anew("the topic was deleted and created again".to_owned()));
        }
        self.topic_id = topic.topic_id;
        let indexes = topic.partitions.iter().map(|partition| partition.partition);
        let fresh: Vec<_> = indexes.filter(|index| !self.partitions.contains_key(index)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        for (index, start) in self.bounds(fresh, OffsetSpec::Earliest).await? {
            self.partitions.insert(index, Partition::new(start));
        }
        Ok(())
    }

    /// Sees where the partitions end for readers of committed records.
    async fn find_ends(&mut self) -> Result<(), Trouble> {
        let indexes = self.partitions.keys().copied().collect();
        for (index, end) in self.bounds(indexes, OffsetSpec::Latest).await? {
            if let Some(partition) = self.partitions.get_mut(&index) {
                partition.end = end;
            }
        }
        let state = if self.anew.is_some() { TableState::Reading } else { TableState::Following };
        self.show(state);
        Ok(())
    }

    async fn bounds(
        &self,
        indexes: Vec<i32>,
        spec: OffsetSpec,
    ) -> Result<Vec<(i32, i64)>, Trouble> {
        let asked = indexes.into_iter().map(|index| (self.at(index), spec)).collect();
        let answers =
            self.answer(self.client.list_offsets(asked, Isolation::ReadCommitted)).await?;
        let bound = |(at, answer): (TopicPartition, Result<kafka_client::ListedOffset, _>)| {
            let listed = answer.map_err(|code| Trouble::code(&self.table, code))?;
            Ok((at.partition, listed.offset))
        };
        answers.into_iter().map(bound).collect()
    }

    /// The leader's epoch as the client knows it now.
    async fn leader_epoch(&self, index: i32) -> Result<i32, Trouble> {
        let name = &self.table.topic;
        let metadata = self.client.metadata(TopicQuery::Named(vec![name.clone()])).await;
        let metadata = metadata.map_err(|error| Trouble::client(&self.table, &error))?;
        Ok(metadata.partition(name, index).map_or(-1, |partition| partition.leader_epoch))
    }

    /// Makes sure that what was read of a partition still is in its log.
    async fn check(&mut self, index: i32) -> Result<(), Halt> {
        let epoch = self.leader_epoch(index).await?;
        let at = self.at(index);
        let Some(partition) = self.partitions.get_mut(&index) else { return Ok(()) };
        let is_lost = partition.is_lost(&self.client, &at, epoch).await;
        if is_lost.map_err(|error| Trouble::client(&self.table, &error))? {
            let cause = format!(
                "partition {index} lost records that were read, before offset {}",
                partition.offset
            );
            return Err(Halt::Anew(cause));
        }
        Ok(())
    }

    /// Reads a partition up to the end that was seen.
    async fn read(&mut self, table: &SharedTable, index: i32) -> Result<(), Halt> {
        let Some(partition) = self.partitions.get(&index).cloned() else { return Ok(()) };
        let range = partition.offset..partition.end;
        let pace = Pace::new(RateLimit::default());
        let committed = Isolation::ReadCommitted;
        let mut reading = Reading::new(&self.client, self.at(index), committed, &pace, range);
        loop {
            let piece = reading.next().await;
            let piece = piece.map_err(|error| Trouble::read(&self.table, index, &error))?;
            // What came from a leader of which it is not known whether it has all that was read before is not taken.
            if self.leader_epoch(index).await? != partition.sure_under {
                return Err(Halt::Again);
            }
            let batches = match piece {
                Piece::End => break,
                Piece::StartsAt(start) if self.is_begun(index) => {
                    let cause = format!(
                        "partition {index} lost records before offset {start} that were not read yet"
                    );
                    return Err(Halt::Anew(cause));
                }
                Piece::StartsAt(_) => continue,
                Piece::Batches(batches) => batches,
            };
            for (batch, seen) in batches {
                let from = self.partitions.get(&index).map_or(0, |partition| partition.offset);
                if seen == Seen::Committed {
                    let records = apply::records(&batch, from).map_err(|error| {
                        let error = crate::verify::reading::ReadError::Batch {
                            offset: batch.base_offset(),
                            error,
                        };
                        Trouble::read(&self.table, index, &error)
                    })?;
                    self.apply(table, index, &records).await?;
                }
                self.passed(index, batch.next_offset(), epoch_of(&batch));
            }
        }
        self.passed(index, partition.end, -1);
        Ok(())
    }

    fn is_begun(&self, index: i32) -> bool {
        self.partitions.get(&index).is_some_and(|partition| partition.is_begun)
    }

    /// All before `offset` is read.
    fn passed(&mut self, index: i32, offset: i64, epoch: i32) {
        let Some(partition) = self.partitions.get_mut(&index) else { return };
        if offset > partition.offset {
            partition.offset = offset;
            partition.is_begun = true;
        }
        partition.epoch = partition.epoch.max(epoch);
    }

    async fn apply(
        &mut self,
        table: &SharedTable,
        index: i32,
        records: &[kafka_wire::record::Record],
    ) -> Result<(), Halt> {
        for some in records.chunks(APPLY_AT_ONCE) {
            for record in some {
                let mut into = match &mut self.anew {
                    Some(rows) => Into::Anew(table, rows),
                    None => Into::Table(table),
                };
                let applied = apply::apply(record, &mut into);
                if into.bytes() > self.table.bytes_max {
                    return Err(Halt::Full);
                }
                if let Err(bad) = applied {
                    self.skip(index, bad);
                }
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn at(&self, index: i32) -> TopicPartition {
        TopicPartition::new(self.table.topic.clone(), index)
    }
}

fn epoch_of(batch: &kafka_wire::record::Batch) -> i32 {
    match batch {
        kafka_wire::record::Batch::V2(batch) => batch.header.partition_leader_epoch,
        kafka_wire::record::Batch::Legacy(_) => -1,
    }
}

/// What is told, and shown.
impl Follower {
    /// A round came to its end: the table is what its topic says.
    fn came_through(&mut self, table: &SharedTable) {
        let was_anew = self.anew.take();
        let is_news = was_anew.is_some() || self.trouble.is_some();
        if let Some(rows) = was_anew {
            table.replace(rows);
        }
        self.trouble = None;
        self.show(TableState::Following);
        if is_news {
            (self.context.sink)(Event::TableRead {
                task: self.context.task.clone(),
                table: self.table.table.clone(),
                topic: self.table.topic.clone(),
                rows: table.len(),
            });
        }
        if let Some(is_read) = self.is_read.take() {
            // Nobody waits when the task ends at this moment.
            let _ = is_read.send(());
        }
    }

    fn begin_anew(&mut self, cause: String) {
        self.partitions.clear();
        self.anew = Some(TableRows::new());
        (self.context.sink)(Event::TableReread {
            task: self.context.task.clone(),
            table: self.table.table.clone(),
            topic: self.table.topic.clone(),
            cause,
        });
        self.show(TableState::Reading);
    }

    /// Something is in the way. With a task that is to end, not for ever.
    fn held_up(&mut self, trouble: Trouble) -> Option<TaskError> {
        let now = Instant::now();
        let since = self.trouble.as_ref();
        let begun = since.map_or(now, |since| since.begun);
        let is_told =
            since.is_some_and(|since| since.trouble == trouble || now < since.told + TELL_INTERVAL);
        if let Some(patience) = self.context.patience
            && self.anew.is_some()
            && begun.elapsed() >= patience
        {
            return Some(self.error(trouble));
        }
        let told = since.filter(|_| is_told).map_or(now, |since| since.told);
        if !is_told {
            (self.context.sink)(Event::TableUnavailable {
                task: self.context.task.clone(),
                table: self.table.table.clone(),
                topic: self.table.topic.clone(),
                cause: trouble.cause.clone(),
                cure: trouble.cure.clone(),
            });
        }
        self.show(TableState::Waiting);
        self.trouble = Some(Since { begun, told, trouble });
        None
    }

    fn full(&self) -> TaskError {
        let max = self.table.bytes_max;
        let rows = self.anew.as_ref().map_or_else(
            || self.rule.rule.table(&self.table.table).map_or(0, SharedTable::len),
            TableRows::len,
        );
        self.error(Trouble {
            cause: format!("its {rows} rows take more than {max} bytes of memory"),
            cure: "give the table more with max_bytes, or put less into its topic".to_owned(),
        })
    }

    fn error(&self, Trouble { cause, cure }: Trouble) -> TaskError {
        TaskError::Table {
            table: self.table.table.clone(),
            topic: super::place(&self.table),
            cause,
            cure,
        }
    }

    /// A record that is no row is left out.
    fn skip(&mut self, index: i32, bad: BadRow) {
        self.skipped += 1;
        self.untold += 1;
        let now = Instant::now();
        if self.told_row.is_some_and(|told| now < told + TELL_INTERVAL) {
            return;
        }
        self.told_row = Some(now);
        (self.context.sink)(Event::TableRowSkipped {
            task: self.context.task.clone(),
            table: self.table.table.clone(),
            topic: self.table.topic.clone(),
            partition: index,
            offset: bad.offset,
            cause: bad.cause,
            count: std::mem::take(&mut self.untold),
        });
    }

    fn show(&self, state: TableState) {
        let held = self.rule.rule.table(&self.table.table);
        let lag = |one: &Partition| (one.end - one.offset).max(0);
        let progress = TableProgress {
            table: self.table.table.clone(),
            topic: self.table.topic.clone(),
            state,
            rows: held.map_or(0, SharedTable::len),
            bytes: held.map_or(0, SharedTable::bytes),
            lag_records: self.partitions.values().map(lag).sum(),
            rows_skipped: self.skipped,
        };
        *self.board.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = progress;
    }
}
