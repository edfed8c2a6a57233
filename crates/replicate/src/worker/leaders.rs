//! Who leads what, on both ends, and topics that are gone or are others by now.

use std::collections::BTreeSet;
use std::sync::Arc;

use kafka_client::{Client, ClientError, ClusterMetadata, TopicMetadata, TopicQuery};
use kafka_wire::ErrorCode;
use tokio::time::sleep;

use super::{Done, LaneId, Sign, Worker, backoff};
use crate::event::Event;
use crate::lane::{Duty, Lane, Phase};

/// How often in a row a topic must be missing before it counts as deleted, which takes some seconds: a broker that has just
/// started, or a controller that has just been elected, may not know it yet.
const MISSING_MAX: u32 = 10;

/// One end's metadata: asked for once, however many lanes want it.
#[derive(Debug, Default)]
pub(super) struct Refresh {
    is_wanted: bool,
    is_running: bool,
    /// What the task saw when it gave the lanes is good enough; who finds it wrong asks anew.
    may_be_known: bool,
    failures: u32,
    /// Topics that were missing in the last answers, by how often.
    missing: std::collections::HashMap<String, u32>,
}

impl Refresh {
    pub(super) fn want(&mut self) {
        self.is_wanted = true;
        self.may_be_known = false;
    }

    /// Lanes are new: the task has just looked at their topics.
    pub(super) fn want_known(&mut self) {
        self.may_be_known |= !self.is_wanted;
        self.is_wanted = true;
    }

    fn take(&mut self) -> bool {
        let start = self.is_wanted && !self.is_running;
        if start {
            self.is_wanted = false;
            self.is_running = true;
        }
        start
    }
}

impl Worker {
    /// Asks for the leaders of all lanes where that was wanted.
    pub(super) fn refresh_metadata(&mut self) {
        if self.source_metadata.take() {
            let topics = self.topics(Duty::Write, |lane| &lane.key.source_topic);
            let client = self.ctx.source.clone();
            let failures = self.source_metadata.failures;
            let may_be_known = std::mem::take(&mut self.source_metadata.may_be_known);
            self.start(async move {
                pause_after(failures).await;
                Done::SourceMetadata(look(&client, topics, may_be_known).await)
            });
        }
        if self.target_metadata.take() {
            let topics = self.topics(Duty::Read, |lane| &lane.key.target_topic);
            let client = self.ctx.target.clone();
            let failures = self.target_metadata.failures;
            let may_be_known = std::mem::take(&mut self.target_metadata.may_be_known);
            self.start(async move {
                pause_after(failures).await;
                Done::TargetMetadata(look(&client, topics, may_be_known).await)
            });
        }
    }

    /// The topics of lanes that are at work, but of those of one kind.
    fn topics(&self, but: Duty, name: impl Fn(&Lane) -> &String) -> TopicQuery {
        let is_wanted = |lane: &&Lane| lane.phase != Phase::Stopped && lane.duty() != but;
        let lanes = self.lanes.iter().filter(is_wanted);
        let names: BTreeSet<&String> = lanes.map(name).collect();
        TopicQuery::Named(names.into_iter().cloned().collect())
    }

    pub(super) fn source_metadata(&mut self, result: Result<Arc<ClusterMetadata>, ClientError>) {
        self.source_metadata.is_running = false;
        let metadata = match result {
            Ok(metadata) => metadata,
            Err(error) => return self.metadata_failed(true, &error),
        };
        let mut has_unknown = false;
        for id in 0..self.lanes.len() {
            let lane = &self.lanes[id];
            if lane.phase == Phase::Stopped || lane.duty() == Duty::Write {
                continue;
            }
            let topic = metadata.topics.get(&lane.key.source_topic).map(AsRef::as_ref);
            if is_missing(topic) {
                self.lanes[id].want_comparison();
                has_unknown |= !self.source_missing(id);
                continue;
            }
            self.source_metadata.missing.remove(&self.lanes[id].key.source_topic);
            let Some(topic) = topic else { continue };
            if self.is_recreated(id, topic) || self.lanes[id].is_asking {
                continue;
            }
            let leader = leader_of(topic, self.lanes[id].key.source_partition);
            has_unknown |= leader.0 < 0;
            self.lead_source(id, leader);
        }
        self.source_metadata.failures =
            if has_unknown { self.source_metadata.failures + 1 } else { 0 };
        self.source_metadata.is_wanted |= has_unknown;
    }

    /// The lane's source topic is not in the metadata. True when the lane is given up.
    fn source_missing(&mut self, id: LaneId) -> bool {
        let topic = self.lanes[id].key.source_topic.clone();
        let partition = self.lanes[id].key.source_partition;
        let is_first = self.by_source.get(topic.as_str()).and_then(|lanes| lanes.keys().next())
            == Some(&partition);
        let count = self.source_metadata.missing.entry(topic.clone()).or_default();
        *count += u32::from(is_first);
        if *count < MISSING_MAX {
            return false;
        }
        if is_first {
            let target_topic = self.lanes[id].key.target_topic.clone();
            self.emit(Event::TopicDeleted { task: self.ctx.task.clone(), topic, target_topic });
        }
        self.stop_lane(
            id,
            "the source topic does not exist any more".to_owned(),
            "nothing, if it was deleted on purpose: the target topic is kept",
        );
        true
    }

    /// Whether the source topic is another one than the lane began with (BF-17).
    fn is_recreated(&mut self, id: LaneId, topic: &TopicMetadata) -> bool {
        let lane = &mut self.lanes[id];
        match (lane.source_topic_id, topic.topic_id) {
            (Some(known), Some(found)) if known != found => {
                if lane.turn.is_none() && !lane.is_asking {
                    self.ask_bounds(id, Sign::Refused);
                }
                true
            }
            (None, Some(found)) => {
                lane.source_topic_id = Some(found);
                false
            }
            _ => false,
        }
    }

    pub(super) fn target_metadata(&mut self, result: Result<Arc<ClusterMetadata>, ClientError>) {
        self.target_metadata.is_running = false;
        let metadata = match result {
            Ok(metadata) => metadata,
            Err(error) => return self.metadata_failed(false, &error),
        };
        let mut has_unknown = false;
        for id in 0..self.lanes.len() {
            let lane = &mut self.lanes[id];
            if lane.phase == Phase::Stopped || lane.duty() == Duty::Read {
                continue;
            }
            let Some(topic) = metadata.topics.get(&lane.key.target_topic) else {
                has_unknown = true;
                continue;
            };
            if let (Some(known), Some(found)) = (lane.target_topic_id, topic.topic_id)
                && known != found
            {
                self.stop_lane(
                    id,
                    format!("the target topic was deleted and created again (topic id {known} became {found})"),
                    "start a task with another name or state directory to copy into the new topic",
                );
                continue;
            }
            lane.target_topic_id = lane.target_topic_id.or(topic.topic_id);
            lane.target_leader = leader_of(topic, lane.key.target_partition);
            has_unknown |= lane.target_leader.0 < 0;
            if lane.phase == Phase::Opening {
                let leader = lane.target_leader.0;
                self.connect_target_ahead(leader);
            }
            self.enqueue(id);
        }
        self.target_metadata.failures =
            if has_unknown { self.target_metadata.failures + 1 } else { 0 };
        self.target_metadata.is_wanted |= has_unknown;
    }

    fn metadata_failed(&mut self, is_source: bool, error: &ClientError) {
        let refresh = if is_source { &mut self.source_metadata } else { &mut self.target_metadata };
        refresh.failures = refresh.failures.saturating_add(1);
        refresh.is_wanted = true;
        self.unavailable(is_source, None, &error.to_string(), error.cure());
    }
}

async fn look(
    client: &Client,
    topics: TopicQuery,
    may_be_known: bool,
) -> Result<Arc<ClusterMetadata>, ClientError> {
    if may_be_known { client.metadata(topics).await } else { client.refresh_metadata(topics).await }
}

async fn pause_after(failures: u32) {
    if failures > 0 {
        sleep(backoff(failures)).await;
    }
}

fn is_missing(topic: Option<&TopicMetadata>) -> bool {
    topic.is_none_or(|topic| {
        matches!(topic.error, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION | ErrorCode::UNKNOWN_TOPIC_ID)
    })
}

/// The leader of a partition and its epoch; −1 while there is none.
fn leader_of(topic: &TopicMetadata, partition: i32) -> (i32, i32) {
    let found = topic.partition(partition);
    found.map_or((-1, -1), |found| (found.leader_id, found.leader_epoch))
}
