//! Compares a copy with what was copied: every record of every partition, settings, and where groups stand.
//!
//! It asks the task's state where each record must be, reads both ends as they are, and trusts nothing that the copy
//! itself was made by: which transactions count, what is in a batch and in which order is found out anew. What cannot be
//! told apart is counted under its own name and never called equal: records that a compacted topic may have cleaned,
//! records that an end has deleted by age, records of others.
//!
//! Memory does not depend on the size of a partition: each partition that is under way holds a few answers of a few MiB,
//! the batch that is being unpacked, and a bounded list of differences.

pub mod books;
mod committed;
mod groups;
mod pairing;
mod partition;
pub(crate) mod reading;
pub mod report;
mod side;
mod topics;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::{NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::stream::{self, StreamExt as _};
use kafka_client::{Client, ClientError, Isolation, OffsetSpec, TopicPartition, TopicQuery};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use self::books::{Answer, Books, BooksError, LANES_MAX, LaneView, Question};
pub use self::committed::{CommittedFilter, Seen};
use self::report::{Contents, DIFFERENCES_TOTAL_MAX, PartitionReport, Report};
use self::topics::Found;
#[doc(hidden)]
pub use self::walk::compare_for_bench;
use crate::journal::LaneKey;
use crate::pace::{Pace, RateLimit};
use crate::spec::TopicSelection;

/// Told of how far each partition has come.
pub type Note = Arc<dyn Fn(&PartitionReport) + Send + Sync>;

/// A comparison, ready to run.
pub struct Verify {
    /// The cluster that was copied.
    pub source: Client,
    /// The cluster it was copied to.
    pub target: Client,
    /// The state of the task.
    pub books: Arc<dyn Books>,
    /// Source topics to compare.
    pub topics: TopicSelection,
    /// Bytes to read from each end in a second.
    pub bytes_per_second: Option<NonZeroU64>,
    /// Partitions that are compared at a time.
    pub concurrency: NonZeroUsize,
    /// How often groups that are off are looked at, a second apart.
    pub group_looks: u32,
    /// What an earlier run has found already.
    pub found: Vec<PartitionReport>,
    /// Told of each partition now and then, and at its end.
    pub note: Note,
    /// Ends it early.
    pub stop: CancellationToken,
}

impl fmt::Debug for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verify").field("topics", &self.topics).finish_non_exhaustive()
    }
}

/// Why nothing can be compared.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// The state does not answer.
    #[error("the state: {0}")]
    Books(#[from] BooksError),
    /// No task has begun on the state, or none of its topics is asked for.
    #[error("{0}")]
    Empty(String),
    /// The task makes no copy.
    #[error("the task processes records by a rule: there is no copy to compare")]
    Processes,
    /// An end is not the one that the state is about.
    #[error("the state is about {role} cluster {stored}, this is {found}")]
    OtherCluster {
        /// Which end.
        role: &'static str,
        /// The cluster id in the state.
        stored: String,
        /// The cluster id found.
        found: String,
    },
    /// An end does not answer.
    #[error("{role}: {error}")]
    Client {
        /// Which end.
        role: &'static str,
        /// What it says.
        error: ClientError,
    },
}

impl VerifyError {
    /// What to do about it.
    #[must_use]
    pub fn cure(&self) -> Option<String> {
        match self {
            Self::Books(error) => error.cure.clone(),
            Self::Empty(_) => Some(
                "give the --state, and --topics, of a sync that has copied something".to_owned(),
            ),
            Self::Processes => Some("see what the rule makes of messages: kferry etl test -f RULE --fetch CONNECTION TOPIC".to_owned()),
            Self::OtherCluster { .. } => {
                Some("give the clusters of the sync whose state this is".to_owned())
            }
            Self::Client { error, .. } => error.cure(),
        }
    }
}

/// What all partitions share.
struct Context {
    source: Client,
    target: Client,
    books: Arc<dyn Books>,
    topics: TopicSelection,
    source_pace: Pace,
    target_pace: Pace,
    note: Note,
    stop: CancellationToken,
}

impl Context {
    fn is_wanted(&self, lane: &LaneKey) -> bool {
        self.topics.matches(&lane.source_topic)
    }
}

impl Verify {
    /// Compares everything, or what can be until told to stop.
    ///
    /// # Errors
    /// [`VerifyError`] when nothing can be compared; what concerns one partition is in the report.
    pub async fn run(self) -> Result<Report, VerifyError> {
        let mut report = Report { started_ms: now_ms(), ..Report::default() };
        self.check_clusters(&mut report).await?;
        let pace = || {
            Pace::new(RateLimit {
                bytes_per_second: self.bytes_per_second,
                records_per_second: None,
            })
        };
        let context = Context {
            source: self.source,
            target: self.target,
            books: self.books,
            topics: self.topics,
            source_pace: pace(),
            target_pace: pace(),
            note: self.note,
            stop: self.stop,
        };
        let (lanes, ends) = settled(&context).await?;
        if lanes.is_empty() {
            let what = "the state knows no copied partition of the topics asked for";
            return Err(VerifyError::Empty(what.to_owned()));
        }
        let pairs: BTreeSet<_> = lanes
            .iter()
            .map(|lane| (lane.lane.source_topic.clone(), lane.lane.target_topic.clone()))
            .collect();
        let pairs: Vec<_> = pairs.into_iter().collect();
        let topics = topics::look(&context.source, &context.target, &pairs)
            .await
            .map_err(|(role, error)| VerifyError::Client { role, error })?;
        let producers = lanes.iter().flat_map(|lane| lane.producers.iter().copied());
        let producers: Arc<BTreeSet<i64>> = Arc::new(producers.collect());
        let mut shared = shared(&lanes);
        let mut known: BTreeMap<LaneKey, PartitionReport> =
            self.found.into_iter().map(|found| (key_of(&found), found)).collect();
        let mut work = stream::iter(&lanes)
            .map(|lane| {
                let found =
                    &topics[&(lane.lane.source_topic.clone(), lane.lane.target_topic.clone())];
                let facts = walk::Facts {
                    producers: Arc::clone(&producers),
                    other_producers: shared.remove(&lane.lane).unwrap_or_default(),
                    ..found.facts.clone()
                };
                let known = known.remove(&lane.lane);
                one(&context, (lane, ends.get(&lane.lane).copied()), found, facts, known)
            })
            .buffer_unordered(self.concurrency.get());
        while let Some(partition) = work.next().await {
            report.partitions.push(partition);
        }
        drop(work);
        report.partitions.sort_by_cached_key(key_of);
        report.topics = topics.into_values().map(|found| found.report).collect();
        report.topics.retain(|topic| {
            topic.error.is_some() || topic.partition_counts.is_some() || !topic.settings.is_empty()
        });
        if !context.stop.is_cancelled() {
            report.groups = groups::compare(&context, self.group_looks).await;
        }
        report.is_finished = !context.stop.is_cancelled();
        finish(&mut report);
        Ok(report)
    }

    async fn check_clusters(&self, report: &mut Report) -> Result<(), VerifyError> {
        let identity = match self.books.ask(Question::Task).await? {
            Answer::Task(Some(identity)) => identity,
            Answer::Task(None) => {
                return Err(VerifyError::Empty("no sync has begun on the state".to_owned()));
            }
            other => return Err(partition::unexpected(&other).into()),
        };
        for (role, client, stored) in [
            ("source", &self.source, &identity.source_cluster_id),
            ("target", &self.target, &identity.target_cluster_id),
        ] {
            let metadata = client.refresh_metadata(TopicQuery::Named(Vec::new())).await;
            let found = metadata.map_err(|error| VerifyError::Client { role, error })?;
            let found = found.cluster_id.clone();
            if let (Some(stored), Some(found)) = (stored, &found)
                && stored != found
            {
                let (stored, found) = (stored.clone(), found.clone());
                return Err(VerifyError::OtherCluster { role, stored, found });
            }
            match role {
                "source" => report.source_cluster_id = found,
                _ => report.target_cluster_id = found,
            }
        }
        report.task = Some(identity.task);
        Ok(())
    }
}

/// One partition, unless an earlier run has done it.
async fn one(
    context: &Context,
    (lane, target_end): (&LaneView, Option<i64>),
    found: &Found,
    facts: walk::Facts,
    known: Option<PartitionReport>,
) -> PartitionReport {
    let mut report = known.unwrap_or_else(|| PartitionReport {
        source_topic: lane.lane.source_topic.clone(),
        source_partition: lane.lane.source_partition,
        target_topic: lane.lane.target_topic.clone(),
        target_partition: lane.lane.target_partition,
        ..PartitionReport::default()
    });
    if report.is_done || context.stop.is_cancelled() {
        return report;
    }
    let is_other =
        matches!((&lane.source_topic_id, &found.source_id), (Some(a), Some(b)) if a != b);
    report.error = match &found.report.error {
        Some(error) if found.is_gone => Some(error.clone()),
        _ if is_other => {
            Some("the source topic was deleted and created again since it was copied".to_owned())
        }
        _ => None,
    };
    if report.error.is_none() {
        partition::compare(context, (lane, target_end), facts, &mut report).await;
    }
    report
}

/// The lanes that are asked for and, of those that were ended cleanly and rest, the ends of their target partitions:
/// whatever is there of them beyond what the state knows is too much. Elsewhere it may be under way.
async fn settled(
    context: &Context,
) -> Result<(Vec<LaneView>, BTreeMap<LaneKey, i64>), VerifyError> {
    let books = context.books.as_ref();
    let before = lanes(books).await?;
    if before.iter().any(|lane| lane.lane.target_partition < 0) {
        return Err(VerifyError::Processes);
    }
    let wanted = before.iter().filter(|lane| lane.is_settled && context.is_wanted(&lane.lane));
    let wanted: Vec<_> = wanted.map(target_of).collect();
    let mut listed = BTreeMap::new();
    for portion in wanted.chunks(LANES_MAX) {
        let asked = portion.iter().map(|at| (at.clone(), OffsetSpec::Latest)).collect();
        let answer = context.target.list_offsets(asked, Isolation::ReadUncommitted).await;
        listed.extend(answer.map_err(|error| VerifyError::Client { role: "target", error })?);
    }
    let mut after = lanes(books).await?;
    after.retain(|lane| context.is_wanted(&lane.lane));
    let before: BTreeMap<_, _> = before.into_iter().map(|lane| (lane.lane.clone(), lane)).collect();
    // A sync that began meanwhile has said so in its state before it sent anything.
    let rests = |lane: &&LaneView| lane.is_settled && before.get(&lane.lane) == Some(*lane);
    let ends = after.iter().filter(rests).filter_map(|lane| {
        let end = listed.get(&target_of(lane))?.as_ref().ok()?;
        Some((lane.lane.clone(), end.offset))
    });
    let ends = ends.collect();
    Ok((after, ends))
}

fn target_of(lane: &LaneView) -> TopicPartition {
    TopicPartition::new(lane.lane.target_topic.clone(), lane.lane.target_partition)
}

/// All lanes of the state.
async fn lanes(books: &dyn Books) -> Result<Vec<LaneView>, BooksError> {
    let mut lanes: Vec<LaneView> = Vec::new();
    loop {
        let after = lanes.last().map(|lane| lane.lane.clone());
        match books.ask(Question::Lanes { after }).await? {
            Answer::Lanes(found) => {
                let is_last = found.len() < LANES_MAX;
                lanes.extend(found);
                if is_last {
                    return Ok(lanes);
                }
            }
            other => return Err(partition::unexpected(&other)),
        }
    }
}

/// The producers of lanes that share their target partition with others, by lane.
fn shared(lanes: &[LaneView]) -> BTreeMap<LaneKey, BTreeSet<i64>> {
    let target = |lane: &LaneView| (lane.lane.target_topic.clone(), lane.lane.target_partition);
    let mut by_target: BTreeMap<_, Vec<&LaneView>> = BTreeMap::new();
    for lane in lanes {
        by_target.entry(target(lane)).or_default().push(lane);
    }
    let mut shared = BTreeMap::new();
    for sharing in by_target.values().filter(|sharing| sharing.len() > 1) {
        for lane in sharing {
            let others = sharing.iter().filter(|other| other.lane != lane.lane);
            let others = others.flat_map(|other| other.producers.iter().copied());
            shared.insert(lane.lane.clone(), others.collect());
        }
    }
    shared
}

fn key_of(report: &PartitionReport) -> LaneKey {
    LaneKey {
        source_topic: report.source_topic.clone(),
        source_partition: report.source_partition,
        target_topic: report.target_topic.clone(),
        target_partition: report.target_partition,
    }
}

/// Joins what belongs together over partitions, adds up, and drops what only that needed.
fn finish(report: &mut Report) {
    let mut by_topic: BTreeMap<String, Vec<&mut PartitionReport>> = BTreeMap::new();
    for partition in &mut report.partitions {
        by_topic.entry(partition.target_topic.clone()).or_default().push(partition);
    }
    by_topic.values_mut().for_each(|partitions| pairing::across(partitions));
    let mut left = DIFFERENCES_TOTAL_MAX;
    for partition in &mut report.partitions {
        partition.differences.truncate(left);
        left -= partition.differences.len();
        partition.differences.iter_mut().for_each(|found| found.contents = Contents::default());
        report.totals.add(&partition.tally);
    }
    report.ended_ms = now_ms();
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
