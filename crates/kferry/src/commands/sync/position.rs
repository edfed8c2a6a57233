//! How far the copy has come, as a consumer group on the source: `kferry-TASK`. Any tool that shows the lag of groups shows
//! the lag of the copy. Nothing reads it back: what counts is the state.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kafka_client::{Client, OffsetToCommit, TopicPartition};
use kafka_wire::{ErrorCode, Retry};
use replicate::progress::{POSITION_MARK, Progress};
use tokio::{sync::watch, task::JoinHandle, time};

/// Between two commits.
const INTERVAL: Duration = Duration::from_secs(5);

/// Offsets of one request.
const OFFSETS_MAX: usize = 2000;

/// How long the last commit may take.
const LAST_TIME_MAX: Duration = Duration::from_secs(2);

/// What the source must not take from us more than once.
#[derive(Debug)]
struct Refused(String);

/// The group of one task.
struct Group {
    name: String,
    task: String,
    source: Client,
    committed: BTreeMap<TopicPartition, i64>,
    /// A source that does not answer is told once.
    is_failing: bool,
}

/// Commits until it is told to end.
pub(super) struct Position {
    stop: watch::Sender<bool>,
    work: JoinHandle<()>,
}

impl Position {
    /// Follows `progress`.
    pub(super) fn start(
        task: &str,
        source: &Client,
        progress: watch::Receiver<Arc<Progress>>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let group = Group {
            name: format!("kferry-{task}"),
            task: task.to_owned(),
            source: source.clone(),
            committed: BTreeMap::new(),
            is_failing: false,
        };
        Self { stop, work: tokio::spawn(follow(group, progress, stopped)) }
    }

    /// Commits once more and ends.
    pub(super) async fn finish(mut self) {
        let _ended = self.stop.send(true);
        if time::timeout(LAST_TIME_MAX, &mut self.work).await.is_err() {
            self.work.abort();
        }
    }
}

async fn follow(
    mut group: Group,
    progress: watch::Receiver<Arc<Progress>>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        // A sender that is gone is an end, too.
        let is_last = tokio::select! {
            () = time::sleep(INTERVAL) => false,
            _ = stopped.wait_for(|stop| *stop) => true,
        };
        let seen = Arc::clone(&progress.borrow());
        if let Err(Refused(cause)) = group.commit(&seen).await {
            tracing::warn!(
                task = %group.task,
                "the position of the copy is not shown as group {} on the source: {cause}; allow READ on that group there, or say --position-group false",
                group.name
            );
            return;
        }
        if is_last {
            return;
        }
    }
}

impl Group {
    /// Commits what has moved since.
    async fn commit(&mut self, progress: &Progress) -> Result<(), Refused> {
        let mut moved = Vec::new();
        for topic in &progress.topics {
            for partition in topic.partitions.iter().filter(|found| found.position >= 0) {
                let at = TopicPartition::new(topic.topic.clone(), partition.partition);
                if self.committed.get(&at) != Some(&partition.position) {
                    moved.push((at, partition.position));
                }
            }
        }
        for portion in moved.chunks(OFFSETS_MAX) {
            let offsets = portion.iter().map(|(at, offset)| OffsetToCommit {
                at: at.clone(),
                offset: *offset,
                metadata: Some(POSITION_MARK.to_owned()),
            });
            let answer = match self.source.offset_commit(&self.name, offsets.collect()).await {
                Ok(answer) => answer,
                Err(error) if error.retry() == Retry::Never => {
                    return Err(Refused(error.to_string()));
                }
                Err(error) => {
                    if !std::mem::replace(&mut self.is_failing, true) {
                        tracing::debug!(task = %self.task, %error, "the position was not committed; it is tried again");
                    }
                    return Ok(());
                }
            };
            self.is_failing = false;
            for (at, offset) in portion {
                match answer.get(at) {
                    Some(Ok(())) => _ = self.committed.insert(at.clone(), *offset),
                    Some(Err(
                        code @ (ErrorCode::GROUP_AUTHORIZATION_FAILED
                        | ErrorCode::UNKNOWN_MEMBER_ID),
                    )) => {
                        return Err(Refused(code.to_string()));
                    }
                    // A topic that is gone or denied shows in other ways.
                    Some(Err(_)) | None => {}
                }
            }
        }
        Ok(())
    }
}
