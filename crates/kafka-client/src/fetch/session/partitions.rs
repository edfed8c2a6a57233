//! What the broker keeps of our partitions. Ten thousand of them are gone through for every request, and hardly one has changed.

use std::{collections::BTreeMap, sync::Arc};

use kafka_wire::{Uuid, fetch::ForgottenPartition};

use super::Known;

/// The partitions of a session.
#[derive(Clone, Debug, Default)]
pub(super) struct Partitions {
    topics: BTreeMap<Arc<str>, BTreeMap<i32, Noted>>,
    count: usize,
    round: u64,
    /// Partitions noted in this round.
    noted: usize,
}

#[derive(Clone, Copy, Debug)]
struct Noted {
    known: Known,
    round: u64,
}

impl Partitions {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn clear(&mut self) {
        self.topics.clear();
        self.count = 0;
    }

    pub(super) fn contains(&self, topic: &str, partition: i32) -> bool {
        self.topics.get(topic).is_some_and(|topic| topic.contains_key(&partition))
    }

    /// The name of a topic, shared.
    pub(super) fn name(&self, topic: &str) -> Option<&Arc<str>> {
        self.topics.get_key_value(topic).map(|(name, _)| name)
    }

    pub(super) fn topic_ids(&self) -> impl Iterator<Item = Uuid> + '_ {
        self.topics.values().flat_map(BTreeMap::values).map(|noted| noted.known.topic_id)
    }

    /// From here on every partition is to be noted again; [`Self::drop_unnoted`] drops the others.
    pub(super) fn begin_round(&mut self) {
        self.round += 1;
        self.noted = 0;
    }

    /// Notes a partition; gives what was known of it before.
    pub(super) fn note(&mut self, topic: &Arc<str>, partition: i32, known: Known) -> Option<Known> {
        let new = Noted { known, round: self.round };
        let partitions = match self.topics.get_mut(topic) {
            Some(partitions) => partitions,
            None => self.topics.entry(Arc::clone(topic)).or_default(),
        };
        let before = partitions.insert(partition, new);
        self.count += usize::from(before.is_none());
        self.noted += usize::from(before.is_none_or(|before| before.round != self.round));
        before.map(|before| before.known)
    }

    /// Forgets what was not noted since the round began, and puts it behind what is in `dropped`.
    pub(super) fn drop_unnoted(&mut self, dropped: &mut Vec<ForgottenPartition>) {
        if self.noted == self.count {
            return;
        }
        let round = self.round;
        for (topic, partitions) in &mut self.topics {
            let gone = partitions.extract_if(.., |_, noted| noted.round != round);
            dropped.extend(gone.map(|(partition, noted)| {
                self.count -= 1;
                let topic_id = noted.known.topic_id;
                ForgottenPartition { topic: Arc::clone(topic), topic_id, partition }
            }));
        }
        self.topics.retain(|_, partitions| !partitions.is_empty());
    }
}
