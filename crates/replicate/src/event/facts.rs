//! What every event has: how much it matters, and its task.

use std::ops::Range;

use serde::{Serialize, Serializer};

use super::{ConfigSkipReason, Event, Level};
use crate::registry::Away;
use crate::spec::TaskName;

impl Event {
    pub(crate) fn registry_unavailable(task: &TaskName, away: &Away) -> Self {
        Self::RegistryUnavailable {
            task: task.clone(),
            registry: away.registry,
            cause: away.error.to_string(),
            cure: away.error.cure(),
        }
    }

    /// How much it matters.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Self::TaskStarted { .. }
            | Self::TaskFinished { .. }
            | Self::TopicCreated { .. }
            | Self::PartitionsAdded { .. }
            | Self::ConfigApplied { .. }
            | Self::AclsCreated { .. }
            | Self::AclsRemoved { .. }
            | Self::AclsWithheld { .. }
            | Self::ClusterAvailable { .. }
            | Self::BatchRebuilt { .. }
            | Self::LaneStarted { .. }
            | Self::LaneAllowed { .. }
            | Self::GroupCreated { .. }
            | Self::GroupReturned { .. }
            | Self::GroupRewound { .. }
            | Self::TableRead { .. }
            | Self::LaneRecovered { .. } => Level::Info,
            Self::ConfigSkipped {
                reason: ConfigSkipReason::ClusterOnly | ConfigSkipReason::Obsolete,
                ..
            } => Level::Info,
            Self::TaskFailed { .. }
            | Self::TopicSkipped { .. }
            | Self::TopicRecreated { .. }
            | Self::Truncated { .. }
            | Self::RetentionOvertook { .. }
            | Self::GroupTopicRefused { .. }
            | Self::LaneDenied { .. }
            | Self::LaneStopped { .. } => Level::Error,
            _ => Level::Warn,
        }
    }

    /// The task it happened in.
    #[must_use]
    pub fn task(&self) -> &TaskName {
        match self {
            Self::TaskStarted { task, .. }
            | Self::TaskFinished { task, .. }
            | Self::TaskFailed { task, .. }
            | Self::TopicCreated { task, .. }
            | Self::ReplicationReduced { task, .. }
            | Self::TopicRenamed { task, .. }
            | Self::TopicSkipped { task, .. }
            | Self::PartitionsAdded { task, .. }
            | Self::PartitionsRefused { task, .. }
            | Self::ConfigSkipped { task, .. }
            | Self::ConfigApplied { task, .. }
            | Self::ConfigDrift { task, .. }
            | Self::FidelityLoss { task, .. }
            | Self::TopicDeleted { task, .. }
            | Self::TopicRecreated { task, .. }
            | Self::MetadataSyncFailed { task, .. }
            | Self::AclsCreated { task, .. }
            | Self::AclsRemoved { task, .. }
            | Self::AclsWithheld { task, .. }
            | Self::AclsLeftOut { task, .. }
            | Self::AclRefused { task, .. }
            | Self::AclSyncFailed { task, .. }
            | Self::LaneStarted { task, .. }
            | Self::LaneRecovered { task, .. }
            | Self::LaneAdopted { task, .. }
            | Self::LaneStopped { task, .. }
            | Self::LaneRetrying { task, .. }
            | Self::LaneDenied { task, .. }
            | Self::LaneAllowed { task, .. }
            | Self::ClusterUnavailable { task, .. }
            | Self::ClusterAvailable { task, .. }
            | Self::Truncated { task, .. }
            | Self::RetentionOvertook { task, .. }
            | Self::ForeignWrites { task, .. }
            | Self::BatchRebuilt { task, .. }
            | Self::RecordsSkipped { task, .. }
            | Self::GuaranteeChanged { task, .. }
            | Self::GroupCreated { task, .. }
            | Self::GroupAdopted { task, .. }
            | Self::GroupTakenOver { task, .. }
            | Self::GroupReturned { task, .. }
            | Self::GroupRewound { task, .. }
            | Self::GroupDeleted { task, .. }
            | Self::GroupBeforeMap { task, .. }
            | Self::GroupMapStarted { task, .. }
            | Self::GroupTopicRefused { task, .. }
            | Self::GroupRefused { task, .. }
            | Self::GroupsSkipped { task, .. }
            | Self::RecordFailed { task, .. }
            | Self::OutputTopicUnavailable { task, .. }
            | Self::RegistryUnavailable { task, .. }
            | Self::TableRead { task, .. }
            | Self::TableUnavailable { task, .. }
            | Self::TableReread { task, .. }
            | Self::TableRowSkipped { task, .. }
            | Self::OutputsUncertain { task, .. }
            | Self::GroupSyncFailed { task, .. } => task,
        }
    }
}

/// A range as an object with names, since ranges of offsets exclude their end.
pub(super) fn range<S: Serializer>(range: &Range<i64>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Offsets {
        first: i64,
        last: i64,
        count: i64,
    }
    let count = range.end.saturating_sub(range.start).max(0);
    Offsets { first: range.start, last: range.end.saturating_sub(1), count }.serialize(serializer)
}
