//! The regular comparison of configurations: unlimited retention follows, or all that a new topic would get; what does not is
//! reported.

use kafka_client::{ClusterMetadata, ConfigChange};

use super::TopicSync;
use super::pairs::{PAIRS_MAX, Pairs};
use super::plan::replica_count;
use crate::task::TaskError;
use crate::topic_config::{Difference, TopicConfig, compare_as, fitted};

impl TopicSync {
    /// Compares the configurations of all topics that travel.
    pub(super) async fn compare_configs(&mut self) -> Result<(), TaskError> {
        if self.spec.transform.is_some() {
            // Another kind of records is in the target's topics: their settings are their own.
            return Ok(());
        }
        let topics: Vec<_> = self
            .synced
            .iter()
            .map(|(name, synced)| (name.clone(), synced.target_name.clone()))
            .collect();
        for portion in topics.chunks(PAIRS_MAX) {
            self.compare_portion(portion).await?;
        }
        Ok(())
    }

    async fn compare_portion(&mut self, topics: &[(String, String)]) -> Result<(), TaskError> {
        let Pairs { sources, targets, found } =
            Pairs::ask(&self.source, &self.target, topics).await?;
        let (sources, targets) = (self.readable(sources), self.readable(targets));
        for (name, target_name) in topics {
            if let (Some(source), Some(target)) = (sources.get(name), targets.get(target_name)) {
                self.compare_topic(name, target_name, source, target, &found).await;
            }
        }
        Ok(())
    }

    async fn compare_topic(
        &mut self,
        name: &str,
        target_name: &str,
        source: &TopicConfig,
        target: &TopicConfig,
        found: &ClusterMetadata,
    ) {
        let replicas = found.topics.get(target_name).map_or(0, |topic| replica_count(topic));
        let (follow, drift) = compare_as(
            source,
            target,
            replicas,
            (self.spec.sync.copies_data(), self.spec.config_sync),
        );
        for difference in follow {
            self.follow(name, target_name, difference, replicas).await;
        }
        for difference in drift {
            let told = (
                name.to_owned(),
                difference.key.clone(),
                difference.source.clone(),
                difference.target.clone(),
            );
            if self.told.insert(told) {
                self.tell.drift(name, target_name, difference);
            }
        }
        self.tell_fidelity(name, target_name, source, target);
    }

    /// Brings one value over.
    async fn follow(
        &mut self,
        name: &str,
        target_name: &str,
        mut difference: Difference,
        replicas: i16,
    ) {
        let key = &difference.key;
        difference.source = difference.source.map(|value| fitted(key, &value, replicas));
        let change =
            ConfigChange { name: difference.key.clone(), value: difference.source.clone() };
        let changes = vec![(target_name.to_owned(), vec![change])];
        let cause = match self.target.alter_topic_configs(changes, false).await {
            Ok(answers) => match answers.get(target_name) {
                Some(Ok(())) => return self.tell.config_applied(name, target_name, difference),
                Some(Err(error)) => error.to_string(),
                None => "the target did not answer for it".to_owned(),
            },
            Err(error) => error.to_string(),
        };
        let told =
            (name.to_owned(), difference.key.clone(), difference.source.clone(), difference.target);
        if self.told.insert(told) {
            let cause = format!("{} could not be set: {cause}", difference.key);
            self.tell.sync_failed(Some(name.to_owned()), cause);
        }
    }
}
