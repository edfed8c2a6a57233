//! What the task has done before, as far as its journal tells.

use std::collections::BTreeMap;

use crate::acls::{LookError, Own};
use crate::journal::Journal;
use crate::task::TaskError;
use crate::topics::BEGUN;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Source topics with their names on the target.
    pub(crate) names: BTreeMap<String, String>,
    /// Partitions that were there when the task began, by source topic.
    initial: BTreeMap<String, i32>,
    /// Whether the task has begun: what appears later is copied from its first offset.
    begun: bool,
    /// ACLs of the target that the task made.
    acls: Own,
    /// Why they are not known.
    acls_unreadable: Option<LookError>,
    /// The source offset to be read next, by topic and partition.
    positions: BTreeMap<(String, i32), i64>,
}

impl Known {
    pub(crate) async fn load(journal: Option<&dyn Journal>) -> Result<Self, TaskError> {
        let Some(journal) = journal else { return Ok(Self::default()) };
        let mut known =
            Self { begun: journal.load_note(BEGUN.to_owned()).await?.is_some(), ..Self::default() };
        match Own::load(journal).await {
            Ok(own) => known.acls = own,
            Err(LookError::Journal(error)) => return Err(error.into()),
            Err(error) => known.acls_unreadable = Some(error),
        }
        for topic in journal.load_topics().await? {
            known.initial.insert(topic.source_topic.clone(), topic.initial_partitions);
            known.names.insert(topic.source_topic, topic.target_topic);
        }
        for record in journal.load_lanes().await? {
            let at = (record.lane.source_topic, record.lane.source_partition);
            known.positions.insert(at, record.acked.source_next.0);
        }
        Ok(known)
    }

    /// ACLs of the target that the task made.
    pub(crate) fn own_acls(&self) -> Result<&Own, &LookError> {
        self.acls_unreadable.as_ref().map_or(Ok(&self.acls), Err)
    }

    pub(super) fn position(&self, topic: &str, partition: i32) -> Option<i64> {
        self.positions.get(&(topic.to_owned(), partition)).copied()
    }

    /// Whether a partition without a position begins at its first offset, wherever the task starts (BF-30).
    pub(super) fn is_late(&self, topic: &str, partition: i32) -> bool {
        self.begun && self.initial.get(topic).is_none_or(|initial| partition >= *initial)
    }
}
