//! The events of topic sync, made in one place.

use kafka_wire::Uuid;

use crate::event::{ConfigSkipReason, Event, EventSink, FidelityCause, SkipReason};
use crate::journal::TopicRecord;
use crate::spec::{RecreatedPolicy, TaskName};
use crate::topic_config::Difference;
use crate::worker::action_of;

use super::create::Made;
use super::plan::{Creation, Growth};

/// Tells what happened to topics of one task.
#[derive(Clone)]
pub(crate) struct Teller {
    task: TaskName,
    sink: EventSink,
}

impl Teller {
    pub(crate) fn new(task: TaskName, sink: EventSink) -> Self {
        Self { task, sink }
    }

    fn task(&self) -> TaskName {
        self.task.clone()
    }

    pub(crate) fn sync_failed(&self, topic: Option<String>, cause: String) {
        (self.sink)(Event::MetadataSyncFailed { task: self.task(), topic, cause });
    }

    pub(crate) fn renamed(&self, topic: &str, target_topic: &str) {
        let (topic, target_topic) = (topic.to_owned(), target_topic.to_owned());
        (self.sink)(Event::TopicRenamed { task: self.task(), topic, target_topic });
    }

    pub(crate) fn recreated(
        &self,
        record: &TopicRecord,
        former: Uuid,
        found: Uuid,
        policy: RecreatedPolicy,
    ) {
        (self.sink)(Event::TopicRecreated {
            task: self.task(),
            topic: record.source_topic.clone(),
            target_topic: record.target_topic.clone(),
            former_id: Some(former.to_string()),
            found_id: Some(found.to_string()),
            action: action_of(policy),
        });
    }

    pub(crate) fn deleted(&self, topic: &str, target_topic: &str) {
        let (topic, target_topic) = (topic.to_owned(), target_topic.to_owned());
        (self.sink)(Event::TopicDeleted { task: self.task(), topic, target_topic });
    }

    pub(crate) fn skipped(&self, topic: &str, target_topic: &str, reason: SkipReason) {
        let (topic, target_topic) = (topic.to_owned(), target_topic.to_owned());
        (self.sink)(Event::TopicSkipped { task: self.task(), topic, target_topic, reason });
    }

    /// A topic was created, or was there by then; with the settings that the target refuses.
    pub(crate) fn made(&self, made: &Made) {
        if !made.existed {
            self.created(&made.creation);
        }
        for ((key, value), cause) in &made.refused {
            let reason = ConfigSkipReason::Refused { cause: cause.clone() };
            let Creation { topic, new, .. } = &made.creation;
            self.config_skipped(topic, &new.name, key, Some(value.clone()), reason);
        }
    }

    /// A topic was created, with what is not as the source has it.
    pub(crate) fn created(&self, creation: &Creation) {
        (self.sink)(Event::TopicCreated {
            task: self.task(),
            topic: creation.topic.clone(),
            target_topic: creation.new.name.clone(),
            partition_count: creation.new.partitions,
            replication_factor: creation.new.replication_factor,
        });
        if creation.is_reduced() {
            (self.sink)(Event::ReplicationReduced {
                task: self.task(),
                topic: creation.topic.clone(),
                source_factor: creation.source_replicas,
                target_brokers: creation.target_brokers,
            });
        }
        for skipped in &creation.skipped {
            let value = skipped.value.clone();
            self.config_skipped(
                &creation.topic,
                &creation.new.name,
                &skipped.key,
                value,
                skipped.reason.clone(),
            );
        }
    }

    pub(crate) fn config_skipped(
        &self,
        topic: &str,
        target_topic: &str,
        key: &str,
        value: Option<String>,
        reason: ConfigSkipReason,
    ) {
        let (topic, target_topic, key) =
            (topic.to_owned(), target_topic.to_owned(), key.to_owned());
        (self.sink)(Event::ConfigSkipped {
            task: self.task(),
            topic,
            target_topic,
            key,
            value,
            reason,
        });
    }

    pub(crate) fn grown(&self, growth: &Growth) {
        let (topic, target_topic) = (growth.topic.clone(), growth.target_name.clone());
        let (from, to) = (growth.from, growth.to);
        (self.sink)(Event::PartitionsAdded { task: self.task(), topic, target_topic, from, to });
    }

    pub(crate) fn growth_refused(&self, growth: &Growth, cause: String) {
        let (topic, target_topic) = (growth.topic.clone(), growth.target_name.clone());
        let (wanted, found) = (growth.to, growth.from);
        (self.sink)(Event::PartitionsRefused {
            task: self.task(),
            topic,
            target_topic,
            wanted,
            found,
            cause,
        });
    }

    pub(crate) fn fidelity_loss(
        &self,
        topic: &str,
        target_topic: &str,
        cause: FidelityCause,
        setting: String,
    ) {
        let (topic, target_topic) = (topic.to_owned(), target_topic.to_owned());
        (self.sink)(Event::FidelityLoss { task: self.task(), topic, target_topic, cause, setting });
    }

    pub(crate) fn drift(&self, topic: &str, target_topic: &str, difference: Difference) {
        (self.sink)(Event::ConfigDrift {
            task: self.task(),
            topic: topic.to_owned(),
            target_topic: target_topic.to_owned(),
            key: difference.key,
            source_value: difference.source,
            target_value: difference.target,
        });
    }

    pub(crate) fn config_applied(&self, topic: &str, target_topic: &str, difference: Difference) {
        (self.sink)(Event::ConfigApplied {
            task: self.task(),
            topic: topic.to_owned(),
            target_topic: target_topic.to_owned(),
            key: difference.key,
            from: difference.target,
            to: difference.source.unwrap_or_default(),
        });
    }
}
