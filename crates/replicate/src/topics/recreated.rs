//! Source topics that were deleted and created again, as the metadata shows them: the lanes find it out by themselves, but only a look at
//! the topics tells where the new one is to go.

use kafka_client::ClusterMetadata;
use kafka_wire::Uuid;

use super::TopicSync;
use super::names::{NAME_CHARS_MAX, is_internal, target_name};
use crate::journal::{JournalWrite, TopicRecord};
use crate::spec::RecreatedPolicy;
use crate::task::TaskError;

/// Characters of a topic id that tell a new topic from the former ones.
const ID_CHARS: usize = 8;

impl TopicSync {
    /// Takes note of known topics that have another id now, before anything is done about them.
    pub(super) async fn note_recreated(
        &mut self,
        source: &ClusterMetadata,
    ) -> Result<(), TaskError> {
        let policy = self.spec.source_policies.recreated;
        if policy == RecreatedPolicy::Stop {
            return Ok(());
        }
        let mut writes = Vec::new();
        for record in self.records.values_mut() {
            let Some(topic) = source.topics.get(&record.source_topic) else { continue };
            let (Some(former), Some(found)) = (record.source_topic_id, topic.topic_id) else {
                continue;
            };
            if former == found || !topic.error.is_ok() || is_internal(topic) {
                continue;
            }
            record.source_topic_id = Some(found);
            if policy == RecreatedPolicy::NewTopic {
                let name = new_name(&target_name(&record.source_topic, &self.spec.rename), found);
                self.tell.recreated(record, former, found, policy);
                self.tell.renamed(&record.source_topic, &name);
                // All of it is new.
                *record =
                    TopicRecord { target_topic: name, initial_partitions: 0, ..record.clone() };
            }
            writes.push(JournalWrite::Topic(record.clone()));
        }
        if !writes.is_empty() {
            self.journal.write(writes).await?;
        }
        Ok(())
    }
}

/// The name on the target of a topic that has the name of a former one: the same again after a restart.
fn new_name(name: &str, id: Uuid) -> String {
    let id: String = id_text(id).chars().take(ID_CHARS).collect();
    let kept: String = name.chars().take(NAME_CHARS_MAX - ID_CHARS - 1).collect();
    format!("{kept}.{id}")
}

/// The id in letters that topic names may have.
fn id_text(id: Uuid) -> String {
    id.to_string().chars().filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_legal_and_not_too_long() {
        let id = Uuid::from_u128(0x1234_5678_9abc_def0_1234_5678_9abc_def0);
        assert_eq!(new_name("orders", id), "orders.12345678");
        let long = new_name(&"x".repeat(128), id);
        assert_eq!((long.len(), long.ends_with(".12345678")), (128, true));
    }
}
