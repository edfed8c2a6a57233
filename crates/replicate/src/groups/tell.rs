//! The events of group sync, made in one place; what would be said again and again is said once.

use std::collections::BTreeSet;

use kafka_client::TopicPartition;

use super::plan::{Adopted, Claimed};
use super::routes::TopicRoute;
use super::state::Rewind;
use crate::event::{Event, EventSink};
use crate::spec::TaskName;

/// Refusals remembered so that they are not told again; beyond this all are forgotten.
const TOLD_MAX: usize = 10_000;

/// Tells what happened to groups of one task.
pub(super) struct Teller {
    task: TaskName,
    sink: EventSink,
    /// Refusals that were told: group and cause.
    told: BTreeSet<(String, String)>,
    topics: BTreeSet<String>,
    /// Causes for which groups were skipped.
    skips: BTreeSet<&'static str>,
}

impl Teller {
    pub(super) fn new(task: TaskName, sink: EventSink) -> Self {
        let (told, topics, skips) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        Self { task, sink, told, topics, skips }
    }

    fn task(&self) -> TaskName {
        self.task.clone()
    }

    pub(super) fn failed(&self, cause: String) {
        (self.sink)(Event::GroupSyncFailed { task: self.task(), cause });
    }

    pub(super) fn created(&self, group: &str, partition_count: usize) {
        let group = group.to_owned();
        (self.sink)(Event::GroupCreated { task: self.task(), group, partition_count });
    }

    pub(super) fn adopted(&self, group: &str, adopted: Adopted) {
        let TopicPartition { topic, partition } = adopted.at;
        (self.sink)(Event::GroupAdopted {
            task: self.task(),
            group: group.to_owned(),
            topic,
            partition,
            former_offset: adopted.former,
            target_offset: adopted.target,
        });
    }

    pub(super) fn taken_over(&self, group: &str, claimed: Claimed) {
        let (topic, partition) = claimed.at.map(|at| (at.topic, at.partition)).unzip();
        (self.sink)(Event::GroupTakenOver {
            task: self.task(),
            group: group.to_owned(),
            topic,
            partition,
            written: claimed.written,
            found: claimed.found,
            reason: claimed.reason,
        });
    }

    pub(super) fn returned(&self, group: &str) {
        (self.sink)(Event::GroupReturned { task: self.task(), group: group.to_owned() });
    }

    pub(super) fn rewound(&self, group: &str, rewind: Rewind) {
        let TopicPartition { topic, partition } = rewind.at;
        (self.sink)(Event::GroupRewound {
            task: self.task(),
            group: group.to_owned(),
            topic,
            partition,
            from: rewind.from,
            to: rewind.to,
        });
    }

    pub(super) fn deleted(&self, group: &str) {
        (self.sink)(Event::GroupDeleted { task: self.task(), group: group.to_owned() });
    }

    pub(super) fn before_map(&self, group: &str, at: &TopicPartition, offset: i64, from: i64) {
        (self.sink)(Event::GroupBeforeMap {
            task: self.task(),
            group: group.to_owned(),
            topic: at.topic.clone(),
            partition: at.partition,
            offset,
            valid_from: from,
        });
    }

    pub(super) fn topic_refused(&mut self, topic: &str, route: &TopicRoute) {
        if self.topics.insert(topic.to_owned()) {
            (self.sink)(Event::GroupTopicRefused {
                task: self.task(),
                topic: topic.to_owned(),
                target_topic: route.target_topic.clone(),
                source_count: route.source_count,
                target_count: route.target_count,
            });
        }
    }

    /// A refusal, told once until the group is accepted again.
    pub(super) fn refused(&mut self, group: &str, at: Option<&TopicPartition>, cause: String) {
        if self.told.len() >= TOLD_MAX {
            self.told.clear();
        }
        if self.told.insert((group.to_owned(), cause.clone())) {
            (self.sink)(Event::GroupRefused {
                task: self.task(),
                group: group.to_owned(),
                topic: at.map(|at| at.topic.clone()),
                partition: at.map(|at| at.partition),
                cause,
            });
        }
    }

    /// The group's offsets were accepted: a later refusal is news.
    pub(super) fn is_accepted(&mut self, group: &str) {
        let first = (group.to_owned(), String::new());
        while let Some(told) = self.told.range(first.clone()..).next().cloned()
            && told.0 == group
        {
            self.told.remove(&told);
        }
    }

    /// Groups that are not made on the target; told once per cause.
    pub(super) fn skipped(&mut self, groups: Vec<String>, cause: &'static str) {
        let count = groups.len();
        if let Some(group) = groups.into_iter().next()
            && self.skips.insert(cause)
        {
            let cause = cause.to_owned();
            (self.sink)(Event::GroupsSkipped { task: self.task(), group, count, cause });
        }
    }
}
