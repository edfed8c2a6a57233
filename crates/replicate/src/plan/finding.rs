//! What a plan finds in its way, in words.

use std::fmt;

use serde::Serialize;

use crate::event::SkipReason;

/// Something that is in the way, or that is not as the source has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// Whether it has to be put right before the task is started.
    pub blocks: bool,
    /// Topic on the source, when it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Its name on the target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target_topic: Option<String>,
    /// What was found.
    #[serde(flatten)]
    pub problem: Problem,
}

impl Finding {
    /// What was found about a topic (source name, target name), or about all of it.
    #[must_use]
    pub fn new(topic: Option<(&str, &str)>, problem: Problem) -> Self {
        Self {
            blocks: problem.blocks(),
            topic: topic.map(|(topic, _)| topic.to_owned()),
            target_topic: topic.map(|(_, target)| target.to_owned()),
            problem,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(topic) = &self.topic {
            write!(f, "{topic}: ")?;
        }
        write!(f, "{}", self.problem)
    }
}

/// What a plan can find.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Problem {
    /// Source and target are one cluster.
    SameCluster {
        /// Its id.
        cluster_id: String,
    },
    /// No topic of the source is in scope.
    NothingInScope,
    /// A right that the task needs is denied.
    PermissionMissing {
        /// Which end.
        role: String,
        /// Which right, on what.
        permission: String,
        /// What the cluster says.
        cause: String,
        /// What to do.
        #[serde(skip)]
        remedy: Option<String>,
        /// Whether the task cannot do without it, whatever there is to be done.
        #[serde(skip)]
        is_needed: bool,
    },
    /// The topic does not travel.
    TopicRefused {
        /// Why.
        #[serde(flatten)]
        reason: SkipReason,
    },
    /// The source takes larger batches than the target.
    MaxMessageBytes {
        /// `max.message.bytes` on the source.
        source: i32,
        /// The same on the target.
        target: i32,
    },
    /// The target overwrites the records' times.
    LogAppendTime,
    /// The target compacts and the source does not: records without a key are refused, others disappear.
    CompactsOthers {
        /// The setting.
        setting: String,
    },
    /// The target asks for more in-sync replicas than the topic has: it refuses every write.
    MinInsyncReplicas {
        /// `min.insync.replicas` on the target.
        wanted: i64,
        /// Replicas of the topic.
        replicas: i16,
    },
    /// The target deletes by age what the source still has.
    RetentionTooShort {
        /// `retention.ms` on the target.
        target_ms: i64,
        /// The same on the source, if it can be read.
        source_ms: Option<i64>,
        /// Records to be copied that are older than the target keeps them, at most.
        records: u64,
    },
    /// The target compresses records anew.
    Recompresses {
        /// The setting.
        setting: String,
    },
    /// The topic gets another number of replicas than it has on the source.
    FewerReplicas {
        /// Replicas on the source.
        source: i16,
        /// Brokers of the target.
        target_brokers: usize,
    },
    /// The topic's name is cut on the target.
    Renamed,
    /// The target topic cannot grow: several source partitions share a target partition.
    PartitionsShared {
        /// Partitions on the source.
        source: i32,
        /// Partitions on the target.
        target: i32,
        /// Why it cannot grow.
        cause: String,
    },
    /// Partitions that cannot be looked into now: they are missing in the sums.
    PartitionsUnreadable {
        /// How many.
        count: usize,
        /// What the source says of the first.
        cause: String,
    },
    /// The groups of one end cannot be listed.
    GroupsUnreadable {
        /// Which end.
        role: String,
        /// Why.
        cause: String,
    },
    /// The offsets of a group cannot be read.
    GroupUnreadable {
        /// The group.
        group: String,
        /// Why.
        cause: String,
    },
    /// The ACLs of one end cannot be read; none is brought over.
    AclsUnreadable {
        /// Which end.
        role: String,
        /// Why.
        cause: String,
        /// What to do.
        #[serde(skip)]
        remedy: Option<String>,
    },
    /// Groups that the target lacks and that may not be made there.
    GroupsNotMade {
        /// How many.
        count: usize,
    },
    /// The task's state is in use by another process and was not looked at: planned as if nothing was copied yet.
    StateInUse,
}

impl Problem {
    /// Whether it has to be put right before the task is started.
    #[must_use]
    pub fn blocks(&self) -> bool {
        match self {
            Self::PermissionMissing { is_needed, .. } => *is_needed,
            Self::SameCluster { .. }
            | Self::TopicRefused { .. }
            | Self::MaxMessageBytes { .. }
            | Self::LogAppendTime
            | Self::CompactsOthers { .. }
            | Self::MinInsyncReplicas { .. }
            | Self::RetentionTooShort { .. } => true,
            Self::NothingInScope
            | Self::Recompresses { .. }
            | Self::FewerReplicas { .. }
            | Self::Renamed
            | Self::PartitionsShared { .. }
            | Self::PartitionsUnreadable { .. }
            | Self::GroupsUnreadable { .. }
            | Self::GroupUnreadable { .. }
            | Self::AclsUnreadable { .. }
            | Self::GroupsNotMade { .. }
            | Self::StateInUse => false,
        }
    }

    /// What an operator can do about it.
    #[must_use]
    pub fn cure(&self) -> Option<String> {
        let cure = match self {
            Self::SameCluster { .. } => "name two different clusters, or rename the topics",
            Self::NothingInScope => {
                "look at the topic expression, and at what the source lets us see"
            }
            Self::PermissionMissing { remedy, .. } | Self::AclsUnreadable { remedy, .. } => {
                return remedy.clone();
            }
            Self::TopicRefused { reason } => match reason {
                SkipReason::NameCollision { .. } => {
                    "rename one of the topics, or leave it out with a topic expression"
                }
                SkipReason::SameTopic => "rename it, or leave it out with a topic expression",
                SkipReason::TooFewPartitions { .. } => {
                    "add the partitions on the target, or set same_partition to false"
                }
                SkipReason::CreateRefused { .. } => {
                    "create the topic on the target, or put right what its answer says"
                }
                SkipReason::SourceUnreadable { .. } => "allow DESCRIBE on the topic at the source",
                SkipReason::TargetUnreadable { .. } => "allow DESCRIBE on the topic at the target",
                SkipReason::NotReady { .. } => return None,
            },
            Self::MaxMessageBytes { .. } => {
                "raise max.message.bytes of the target topic to the source's"
            }
            Self::LogAppendTime => "set message.timestamp.type=CreateTime on the target topic",
            Self::CompactsOthers { .. } => "set cleanup.policy=delete on the target topic",
            Self::MinInsyncReplicas { .. } => {
                "lower min.insync.replicas of the target topic, or give it more replicas"
            }
            Self::RetentionTooShort { .. } => {
                "raise retention.ms of the target topic, or start later"
            }
            Self::Recompresses { .. } => {
                "set compression.type=producer on the target topic, unless that is wanted"
            }
            Self::GroupsUnreadable { .. } | Self::GroupUnreadable { .. } => {
                "allow DESCRIBE on consumer groups"
            }
            Self::GroupsNotMade { .. } => {
                "set group_auto_create to true for the target, unless that is wanted"
            }
            Self::StateInUse => "ask the running sync for its progress, or stop it first",
            Self::FewerReplicas { .. }
            | Self::Renamed
            | Self::PartitionsShared { .. }
            | Self::PartitionsUnreadable { .. } => return None,
        };
        Some(cure.to_owned())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SameCluster { cluster_id } => write!(
                f,
                "source and target are the same cluster ({cluster_id}): the copy would feed on itself"
            ),
            Self::NothingInScope => write!(f, "the source shows no topic in scope"),
            Self::PermissionMissing { role, permission, cause, .. } => {
                write!(f, "{role}: {permission}: {cause}")
            }
            Self::TopicRefused { reason } => reason.fmt(f),
            Self::MaxMessageBytes { source, target } => write!(
                f,
                "the source takes batches of {source} bytes, the target of {target} (max.message.bytes): larger records stop their partition"
            ),
            Self::LogAppendTime => write!(
                f,
                "the target overwrites the records' times (message.timestamp.type=LogAppendTime)"
            ),
            Self::CompactsOthers { setting } => write!(
                f,
                "the target compacts ({setting}), the source does not: records without a key are refused, and of those with one only the last stays"
            ),
            Self::MinInsyncReplicas { wanted, replicas } => write!(
                f,
                "the target asks for {wanted} in-sync replicas (min.insync.replicas), the topic has {replicas}: every write is refused"
            ),
            Self::RetentionTooShort { target_ms, source_ms, records } => {
                write!(
                    f,
                    "the target keeps records for {target_ms} ms (retention.ms), the source "
                )?;
                match source_ms {
                    Some(-1) => write!(f, "for ever")?,
                    Some(source_ms) => write!(f, "for {source_ms} ms")?,
                    None => write!(f, "longer")?,
                }
                write!(
                    f,
                    ": up to {records} records to be copied are older and would be deleted at once"
                )
            }
            Self::Recompresses { setting } => {
                write!(f, "the target compresses records anew ({setting})")
            }
            Self::FewerReplicas { source, target_brokers } => write!(
                f,
                "{source} replicas on the source; the target has {target_brokers} {} and gives its default",
                if *target_brokers == 1 { "broker" } else { "brokers" }
            ),
            Self::Renamed => write!(f, "its name is cut to 128 characters on the target"),
            Self::PartitionsShared { source, target, cause } => write!(
                f,
                "{source} partitions share the {target} of the target, which cannot be given more: {cause}"
            ),
            Self::PartitionsUnreadable { count, cause } => write!(
                f,
                "{count} partitions cannot be looked into now ({cause}) and are missing in the sums"
            ),
            Self::GroupsUnreadable { role, cause } => {
                write!(f, "the {role}'s consumer groups cannot be listed: {cause}")
            }
            Self::GroupUnreadable { group, cause } => {
                write!(f, "the offsets of group {group} cannot be read: {cause}")
            }
            Self::AclsUnreadable { role, cause, .. } => {
                write!(f, "the {role}'s ACLs cannot be read, none is brought over: {cause}")
            }
            Self::GroupsNotMade { count } => write!(
                f,
                "{count} groups that the target lacks are not made there (group_auto_create is off)"
            ),
            Self::StateInUse => write!(
                f,
                "the state is in use by another process: planned as if nothing was copied yet"
            ),
        }
    }
}
