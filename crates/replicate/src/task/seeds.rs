//! Where each partition's copy begins and, with `once`, where it ends.

use std::collections::BTreeMap;
use std::sync::Arc;

use forward::planted::{Bug, has};
use forward::{Ordinal, SourceOffset, TargetOffset};
use kafka_client::{Isolation, OffsetSpec, TopicPartition};
use kafka_wire::ErrorCode;

use super::transform::NO_PARTITION;
use super::{Role, Running, TaskError};
use crate::event::Event;
use crate::journal::{
    Journal, JournalError, JournalWrite, LaneKey, LaneProgress, LaneRecord, SourceEpochs,
};
use crate::lane::{Duty, LaneSeed};
use crate::progress::{LaneState, LaneStatus};
use crate::spec::StartPosition;
use crate::topics::SyncedTopic;

/// The journal's note of lanes whose target partition held records when they began: a JSON object from lane to the
/// lane's first source offset. Where older source offsets lie on the target is not known to this task.
const MAP_STARTS: &str = "map_starts";

/// The journal's note of where lanes began: a JSON object from lane to its first source offset. Whoever compares the copy
/// learns from it that nothing is missing before the first copied record.
const LANE_STARTS: &str = "lane_starts";

/// Where the lanes began that were noted, by their names in the note.
pub(crate) async fn lane_starts(
    journal: &dyn Journal,
) -> Result<BTreeMap<String, i64>, JournalError> {
    let note = journal.load_note(LANE_STARTS.to_owned()).await?;
    // Without it the first copied record counts as the start.
    Ok(note.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// How a lane is called in that note.
pub(crate) fn map_start_name(lane: &LaneKey) -> String {
    format!("{}/{}", lane.source_topic, lane.source_partition)
}

/// What the journal knows of where offset maps begin.
pub(crate) async fn load_map_starts(
    journal: &dyn Journal,
) -> Result<BTreeMap<String, i64>, JournalError> {
    let note = journal.load_note(MAP_STARTS.to_owned()).await?;
    // The note is ours; one that cannot be read is as good as none, and offsets before a start are then the first
    // copied record's.
    Ok(note.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
}

/// Where the offset map of `lane` begins, when its target partition held records before.
pub(crate) async fn map_start_of(
    journal: &dyn Journal,
    lane: &LaneKey,
) -> Result<Option<i64>, JournalError> {
    Ok(load_map_starts(journal).await?.get(&map_start_name(lane)).copied())
}

/// What the source answered for each partition.
type Listed = BTreeMap<TopicPartition, Result<i64, ErrorCode>>;

/// A partition that is not copied yet.
pub(super) struct Candidate {
    key: LaneKey,
    topic: Arc<SyncedTopic>,
    /// There before the task began: the start position applies.
    is_initial: bool,
}

impl Candidate {
    fn at(&self) -> TopicPartition {
        TopicPartition::new(self.key.source_topic.clone(), self.key.source_partition)
    }

    fn target(&self) -> TopicPartition {
        TopicPartition::new(self.key.target_topic.clone(), self.key.target_partition)
    }
}

impl Running {
    /// Lanes for `candidates`, each durable in the journal.
    pub(super) async fn seeds(
        &mut self,
        candidates: Vec<Candidate>,
    ) -> Result<Vec<(LaneSeed, Arc<LaneStatus>)>, TaskError> {
        let (starts, ends, occupied) = tokio::try_join!(
            self.starts(&candidates),
            self.ends(&candidates),
            self.occupied(&candidates),
        )?;
        let mut seeds = Vec::new();
        let mut writes = Vec::new();
        let mut begun = BTreeMap::new();
        for candidate in candidates {
            let at = candidate.at();
            let status = LaneStatus::new(candidate.key.clone());
            self.known.insert(Arc::clone(&status.key));
            let end = match ends.get(&at) {
                Some(Err(code)) => {
                    self.refuse(&candidate, &status, *code);
                    continue;
                }
                Some(Ok(end)) => Some(SourceOffset(*end)),
                None => None,
            };
            let mut map_end = None;
            let record = match self.journaled.remove(&candidate.key) {
                Some(record) => {
                    let (youngest, _) =
                        self.task.journal.load_map(candidate.key.clone(), 1).await?;
                    map_end = youngest.first().copied();
                    record
                }
                None => match starts.get(&at) {
                    Some(Ok(start)) => {
                        let record = self.new_record(
                            &candidate,
                            SourceOffset(*start + i64::from(has(Bug::StartOffByOne))),
                        );
                        writes.push(JournalWrite::Lane(Box::new(record.clone())));
                        begun.insert(map_start_name(&candidate.key), *start);
                        if let Some(end) = occupied.get(&candidate.target()) {
                            self.note_map_start(&candidate, *start, *end);
                        }
                        record
                    }
                    Some(Err(code)) => {
                        self.refuse(&candidate, &status, *code);
                        continue;
                    }
                    None => continue,
                },
            };
            (self.task.sink)(Event::LaneStarted {
                task: self.task.spec.name.clone(),
                topic: candidate.key.source_topic.clone(),
                partition: candidate.key.source_partition,
                target_topic: candidate.key.target_topic.clone(),
                target_partition: candidate.key.target_partition,
                offset: record.acked.source_next.0,
            });
            let found_id = candidate.topic.source.topic_id;
            let is_other = matches!((record.source_topic_id, found_id), (Some(known), Some(found)) if known != found);
            // With `once` too: the log may have been cut and have grown again, with nothing new to read.
            let has_read =
                !record.epochs.is_empty() || record.source_epochs != SourceEpochs::default();
            let must_check =
                is_other || end.is_some_and(|end| has_read || end < record.acked.source_next);
            let traits = candidate.topic.target_traits;
            let duty = self.duty();
            let writers = match duty {
                Duty::Copy | Duty::Write => Vec::new(),
                Duty::Read => self.take_writers(&candidate.key),
            };
            seeds.push((
                LaneSeed {
                    record,
                    map_end,
                    traits,
                    end,
                    must_check,
                    duty,
                    writers,
                    status: Arc::clone(&status),
                },
                status,
            ));
        }
        if !writes.is_empty() {
            let mut noted = lane_starts(&*self.task.journal).await?;
            noted.extend(begun);
            let value = serde_json::to_string(&noted).unwrap_or_default();
            writes.push(JournalWrite::Note { name: LANE_STARTS.to_owned(), value });
            if !occupied.is_empty() {
                let value = serde_json::to_string(&self.map_starts).unwrap_or_default();
                writes.push(JournalWrite::Note { name: MAP_STARTS.to_owned(), value });
            }
            self.task.journal.write(writes).await?;
        }
        Ok(seeds)
    }

    /// Target partitions of new lanes that hold records already, or may, with their ends (−1 when unknown).
    async fn occupied(
        &self,
        candidates: &[Candidate],
    ) -> Result<BTreeMap<TopicPartition, i64>, TaskError> {
        let new: Vec<_> = candidates
            .iter()
            .filter(|candidate| !self.journaled.contains_key(&candidate.key))
            .filter(|candidate| candidate.key.target_partition != NO_PARTITION)
            .map(Candidate::target)
            .collect();
        if new.is_empty() {
            return Ok(BTreeMap::new());
        }
        let ask = |spec: OffsetSpec| {
            let asked = new.iter().map(|at| (at.clone(), spec)).collect();
            self.task.target.list_offsets(asked, Isolation::ReadUncommitted)
        };
        let (starts, ends) = tokio::try_join!(ask(OffsetSpec::Earliest), ask(OffsetSpec::Latest))
            .map_err(TaskError::client(Role::Target))?;
        let mut occupied = BTreeMap::new();
        for at in new {
            let start = starts.get(&at).and_then(|found| found.as_ref().ok());
            let end = ends.get(&at).and_then(|found| found.as_ref().ok());
            let is_empty =
                matches!((start, end), (Some(start), Some(end)) if start.offset == end.offset);
            if !is_empty {
                occupied.insert(at, end.map_or(-1, |end| end.offset));
            }
        }
        Ok(occupied)
    }

    /// Offsets of groups before the lane's start are not known on the target.
    fn note_map_start(&mut self, candidate: &Candidate, start: i64, target_end: i64) {
        self.map_starts.insert(map_start_name(&candidate.key), start);
        if self.task.spec.sync == crate::spec::SyncMode::MetadataDataOffsets {
            (self.task.sink)(Event::GroupMapStarted {
                task: self.task.spec.name.clone(),
                topic: candidate.key.source_topic.clone(),
                partition: candidate.key.source_partition,
                offset: start,
                target_offset: target_end,
            });
        }
    }

    /// The lane of a source partition, taken up or journaled.
    pub(super) fn lane_of(
        &self,
        topic: &str,
        partition: i32,
        target_topic: &str,
    ) -> Option<&LaneKey> {
        let first = LaneKey {
            source_topic: topic.to_owned(),
            source_partition: partition,
            target_topic: target_topic.to_owned(),
            target_partition: i32::MIN,
        };
        let last = LaneKey { target_partition: i32::MAX, ..first.clone() };
        if has(Bug::MovePartitions) {
            return None;
        }
        let taken_up = self.known.range::<LaneKey, _>(&first..=&last).next().map(AsRef::as_ref);
        taken_up.or_else(|| self.journaled.range(first..=last).next().map(|(key, _)| key))
    }

    /// All partitions of `topics` that have no lane yet.
    pub(super) fn candidates(&self, topics: Vec<SyncedTopic>) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for topic in topics {
            let topic = Arc::new(topic);
            for partition in &topic.source.partitions {
                let source_partition = partition.partition;
                let target_partition = if self.duty() == Duty::Read {
                    NO_PARTITION
                } else if self.task.spec.same_partition {
                    source_partition
                } else {
                    // A partition stays where its copy began, also when the target topic has grown since.
                    self.lane_of(&topic.source.name, source_partition, &topic.target_name)
                        .map_or_else(
                            || source_partition.rem_euclid(topic.target_partitions.max(1)),
                            |known| known.target_partition,
                        )
                };
                let key = LaneKey {
                    source_topic: topic.source.name.clone(),
                    source_partition,
                    target_topic: topic.target_name.clone(),
                    target_partition,
                };
                if target_partition < topic.target_partitions && !self.known.contains(&key) {
                    let is_initial = source_partition < topic.initial_partitions;
                    candidates.push(Candidate { key, topic: Arc::clone(&topic), is_initial });
                }
            }
        }
        candidates
    }

    /// The first offset of every lane that the journal does not know.
    async fn starts(&self, candidates: &[Candidate]) -> Result<Listed, TaskError> {
        let asked: Vec<_> = candidates
            .iter()
            .filter(|candidate| !self.journaled.contains_key(&candidate.key))
            .map(|candidate| {
                let spec = match self.task.spec.start {
                    StartPosition::Latest
                        if candidate.is_initial || has(Bug::NewPartitionAtLatest) =>
                    {
                        OffsetSpec::Latest
                    }
                    StartPosition::Timestamp(time) if candidate.is_initial => {
                        OffsetSpec::Timestamp(time)
                    }
                    _ => OffsetSpec::Earliest,
                };
                (candidate.at(), spec)
            })
            .collect();
        let mut listed = self.list(asked).await?;
        // No record at or after the time: the next one to come is the first (BF-29).
        let later: Vec<_> = listed
            .iter()
            .filter(|(_, offset)| matches!(offset, Ok(-1)))
            .map(|(at, _)| (at.clone(), OffsetSpec::Latest))
            .collect();
        listed.extend(self.list(later).await?);
        Ok(listed)
    }

    /// With `once`: the end of every partition as readers of committed data see it now.
    async fn ends(&self, candidates: &[Candidate]) -> Result<Listed, TaskError> {
        if !self.task.spec.once {
            return Ok(Listed::new());
        }
        self.list(candidates.iter().map(|candidate| (candidate.at(), OffsetSpec::Latest)).collect())
            .await
    }

    async fn list(&self, asked: Vec<(TopicPartition, OffsetSpec)>) -> Result<Listed, TaskError> {
        if asked.is_empty() {
            return Ok(Listed::new());
        }
        // Behind the last stable offset lie open transactions: they are still to come.
        let answer = self
            .task
            .source
            .list_offsets(asked, Isolation::ReadCommitted)
            .await
            .map_err(TaskError::client(Role::Source))?;
        Ok(answer
            .into_iter()
            .map(|(at, listed)| (at, listed.map(|listed| listed.offset)))
            .collect())
    }

    fn new_record(&self, candidate: &Candidate, start: SourceOffset) -> LaneRecord {
        let key = &candidate.key;
        LaneRecord {
            lane: key.clone(),
            source_topic_id: candidate.topic.source.topic_id,
            target_topic_id: None,
            transactional_id: format!(
                "kferry-{}-{}-{}",
                self.task.spec.name, key.source_topic, key.source_partition
            ),
            settled: true,
            epochs: Vec::new(),
            runs: forward::Runs::default(),
            acked: LaneProgress {
                ordinal: Ordinal(0),
                source_next: start,
                target_next: TargetOffset(-1),
            },
            source_epoch: -1,
            source_epochs: SourceEpochs::default(),
            map_start: None,
            outputs: crate::journal::Outputs::default(),
        }
    }

    /// The source does not say where the partition begins or ends: it stops alone.
    fn refuse(&mut self, candidate: &Candidate, status: &Arc<LaneStatus>, code: ErrorCode) {
        let cause = format!("the source answered {code} to the question for its offsets");
        status.set_state(LaneState::Stopped);
        status.set_error(Some(cause.clone()));
        self.lanes.push(Arc::clone(status));
        (self.task.sink)(Event::LaneStopped {
            task: self.task.spec.name.clone(),
            topic: candidate.key.source_topic.clone(),
            partition: candidate.key.source_partition,
            offset: -1,
            cause,
            cure: Some("grant DESCRIBE and READ on the topic, or see to the partition's leader, then run again".to_owned()),
        });
    }
}
