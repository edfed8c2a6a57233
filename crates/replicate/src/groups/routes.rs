//! Which source partitions go where, and who knows their offsets: shared between the task, which changes it, and
//! group sync, which looks.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use forward::SourceOffset;
use kafka_client::TopicPartition;
use tokio::sync::{mpsc, oneshot};

use crate::journal::LaneKey;
use crate::lane::Translated;
use crate::progress::LaneStatus;
use crate::worker::Command;

/// A topic that travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicRoute {
    /// Its name on the target.
    pub(crate) target_topic: String,
    /// Partitions on the source.
    pub(crate) source_count: i32,
    /// Partitions on the target.
    pub(crate) target_count: i32,
    /// Whether several source partitions share a target partition (BF-37).
    pub(crate) is_fan_in: bool,
}

/// A partition that is copied.
#[derive(Clone, Debug)]
pub(super) struct LaneRoute {
    worker: usize,
    status: Arc<LaneStatus>,
    /// Source offsets before this one lie somewhere on the target, but nobody knows where.
    valid_from: Option<i64>,
}

impl LaneRoute {
    pub(super) fn key(&self) -> &LaneKey {
        &self.status.key
    }

    /// Source offsets before this one lie somewhere on the target, but nobody knows where.
    pub(super) fn valid_from(&self) -> Option<i64> {
        self.valid_from.max(self.status.map_start())
    }

    /// Whether the target holds records of which it is not known yet whether they are the lane's.
    pub(super) fn is_unplaced(&self) -> bool {
        self.valid_from.is_some() && !self.status.is_placed()
    }

    /// The source's end as its readers see it, −1 while unknown.
    pub(super) fn source_end(&self) -> i64 {
        self.status.source_end()
    }
}

/// The routes at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    topics: BTreeMap<String, TopicRoute>,
    /// Source topics by target topic, those included that travelled before and cannot now.
    by_target: BTreeMap<String, String>,
    lanes: BTreeMap<TopicPartition, LaneRoute>,
    workers: Vec<mpsc::UnboundedSender<Command>>,
}

/// The routes of one task.
#[derive(Debug, Default)]
pub(crate) struct Routes {
    current: Mutex<Arc<Snapshot>>,
}

impl Routes {
    fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut current));
    }

    /// A topic travels, or has changed.
    pub(crate) fn set_topic(&self, topic: &str, route: TopicRoute) {
        self.change(|routes| {
            routes.by_target.insert(route.target_topic.clone(), topic.to_owned());
            routes.topics.insert(topic.to_owned(), route);
        });
    }

    /// A topic travelled before. Should it not travel now, what others do to its offsets still counts.
    pub(crate) fn remember_topic(&self, topic: &str, target_topic: &str) {
        self.change(|routes| {
            routes.by_target.insert(target_topic.to_owned(), topic.to_owned());
        });
    }

    /// A worker began; they are numbered from 0 in the order of these calls.
    pub(crate) fn add_worker(&self, commands: mpsc::UnboundedSender<Command>) {
        self.change(|routes| routes.workers.push(commands));
    }

    /// Lanes were handed to a worker. Offsets before `valid_from` of a lane are not known on the target.
    pub(crate) fn add_lanes(
        &self,
        worker: usize,
        lanes: impl IntoIterator<Item = (Arc<LaneStatus>, Option<i64>)>,
    ) {
        self.change(|routes| {
            for (status, valid_from) in lanes {
                let key = &status.key;
                let at = TopicPartition::new(key.source_topic.clone(), key.source_partition);
                routes.lanes.insert(at, LaneRoute { worker, status, valid_from });
            }
        });
    }

    /// Another worker has the lane now.
    pub(crate) fn move_lane(&self, key: &LaneKey, worker: usize) {
        let at = TopicPartition::new(key.source_topic.clone(), key.source_partition);
        self.change(|routes| {
            if let Some(lane) = routes.lanes.get_mut(&at).filter(|lane| *lane.key() == *key) {
                lane.worker = worker;
            }
        });
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Snapshot {
    pub(super) fn topics(&self) -> impl Iterator<Item = (&String, &TopicRoute)> {
        self.topics.iter()
    }

    pub(super) fn topic(&self, topic: &str) -> Option<&TopicRoute> {
        self.topics.get(topic)
    }

    pub(super) fn lane(&self, at: &TopicPartition) -> Option<&LaneRoute> {
        self.lanes.get(at)
    }

    /// The partition that this one goes to; none out of scope.
    pub(super) fn target_of(&self, at: &TopicPartition) -> Option<TopicPartition> {
        let route = self.topics.get(&at.topic)?;
        let partition = if route.is_fan_in {
            at.partition.rem_euclid(route.target_count.max(1))
        } else {
            at.partition
        };
        (partition < route.target_count)
            .then(|| TopicPartition::new(route.target_topic.clone(), partition))
    }

    /// The only source partition that goes to this one, or went there; none out of scope and where several do.
    pub(super) fn source_of(&self, target: &TopicPartition) -> Option<TopicPartition> {
        let topic = self.by_target.get(&target.topic)?;
        let is_only = self
            .topics
            .get(topic)
            .is_none_or(|route| !route.is_fan_in && target.partition < route.source_count);
        is_only.then(|| TopicPartition::new(topic.clone(), target.partition))
    }

    /// Asks the workers. No answer where a lane is unknown or its worker is gone.
    pub(super) async fn translate(
        &self,
        asked: &[(TopicPartition, i64)],
    ) -> Vec<Option<Translated>> {
        let mut by_worker: BTreeMap<usize, Vec<(usize, LaneKey, SourceOffset)>> = BTreeMap::new();
        for (index, (at, offset)) in asked.iter().enumerate() {
            if let Some(lane) = self.lanes.get(at) {
                let question = (index, lane.key().clone(), SourceOffset(*offset));
                by_worker.entry(lane.worker).or_default().push(question);
            }
        }
        let mut answers = vec![None; asked.len()];
        let mut waiting = Vec::new();
        for (worker, questions) in by_worker {
            let Some(worker) = self.workers.get(worker) else { continue };
            let (reply, answer) = oneshot::channel();
            let mut indexes = Vec::with_capacity(questions.len());
            let mut asked = Vec::with_capacity(questions.len());
            for (index, key, offset) in questions {
                indexes.push(index);
                asked.push((key, offset));
            }
            // A worker that is gone has failed, or the task ends.
            if worker.send(Command::Translate { asked, reply }).is_ok() {
                waiting.push((indexes, answer));
            }
        }
        for (indexes, answer) in waiting {
            for (index, found) in indexes.into_iter().zip(answer.await.unwrap_or_default()) {
                answers[index] = found;
            }
        }
        answers
    }
}
