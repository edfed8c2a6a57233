//! Events in words: one line for people, and what they can do about it.

use std::fmt;
use std::ops::Range;

use super::{ConfigSkipReason, Event, FidelityCause, SkipReason};

/// `offsets 5 to 9 (5 records at most)`.
struct Lost<'a>(&'a Range<i64>);

impl fmt::Display for Lost<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Range { start, end } = self.0;
        write!(
            f,
            "offsets {start} to {} ({} at most)",
            end.saturating_sub(1),
            end.saturating_sub(*start)
        )
    }
}

/// ` as NAME`, when the target calls the topic otherwise.
struct Renamed<'a>(&'a str, &'a str);

impl fmt::Display for Renamed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == self.1 { Ok(()) } else { write!(f, " as {}", self.1) }
    }
}

/// A value that may be missing.
fn value(value: &Option<String>) -> &str {
    value.as_deref().unwrap_or("nothing")
}

impl fmt::Display for SkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameCollision { other } => {
                write!(
                    f,
                    "its name on the target (at most 128 characters) is taken by source topic {other}"
                )
            }
            Self::SameTopic => f.write_str(
                "source and target are one cluster, and renaming leaves its name as it is",
            ),
            Self::TooFewPartitions { source_count, target_count, cause } => {
                write!(
                    f,
                    "it has {source_count} partitions, the target {target_count}, and cannot grow: {cause}"
                )
            }
            Self::CreateRefused { cause } => write!(f, "the target refused to create it: {cause}"),
            Self::NotReady { cause } => write!(f, "it did not become ready on the target: {cause}"),
            Self::SourceUnreadable { cause } => write!(f, "the source does not show it: {cause}"),
            Self::TargetUnreadable { cause } => write!(f, "the target does not show it: {cause}"),
        }
    }
}

impl fmt::Display for ConfigSkipReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { cause } => write!(f, "the target refused it: {cause}"),
            Self::ClusterOnly => f.write_str("it has a meaning on its own cluster only"),
            Self::Obsolete => f.write_str("the target's release no longer has it"),
            Self::KeepsRecordTimes => {
                f.write_str("records keep their times, which it would overwrite")
            }
            Self::Clamped { to } => write!(f, "the target has fewer replicas, {to} was written"),
            Self::Invalid { to } => write!(f, "the value is none, the default {to} was written"),
        }
    }
}

impl fmt::Display for FidelityCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TargetLogAppendTime => "the target stamps records with its own time",
            Self::TargetRecompresses => "the target compresses records anew",
            Self::TargetCompacts => "the target compacts the topic, the source does not",
        })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TaskStarted { task, source_cluster, target_cluster, sync, continued } => {
                let verb = if *continued { "continued" } else { "started" };
                let (source, target) = (value(source_cluster), value(target_cluster));
                write!(f, "task {task} {verb}: {sync} from cluster {source} to {target}")
            }
            Self::TaskFinished { task, topic_count, record_count, bytes, elapsed_ms } => write!(
                f,
                "task {task} finished: {topic_count} topics, {record_count} records, {bytes} bytes in {elapsed_ms} ms"
            ),
            Self::TaskFailed { task, cause, .. } => write!(f, "task {task} failed: {cause}"),
            Self::MetadataSyncFailed { topic: None, cause, .. } => {
                write!(f, "topics could not be compared: {cause}")
            }
            Self::MetadataSyncFailed { topic: Some(topic), cause, .. } => {
                write!(f, "topic {topic} could not be compared: {cause}")
            }
            Self::ClusterUnavailable { cluster, broker_id, cause, .. } => match broker_id {
                Some(id) => {
                    write!(f, "{cluster} broker {id} does not answer, trying again: {cause}")
                }
                None => write!(f, "the {cluster} does not answer, trying again: {cause}"),
            },
            Self::ClusterAvailable { cluster, broker_id, elapsed_ms, .. } => match broker_id {
                Some(id) => write!(f, "{cluster} broker {id} answers again after {elapsed_ms} ms"),
                None => write!(f, "the {cluster} answers again after {elapsed_ms} ms"),
            },
            _ => self.fmt_topic(f),
        }
    }
}

impl Event {
    /// The events about a topic; those about a partition are left to the next.
    fn fmt_topic(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TopicCreated {
                topic, target_topic, partition_count, replication_factor, ..
            } => {
                let name = Renamed(topic, target_topic);
                write!(f, "topic {topic} created{name} with {partition_count} partitions, ")?;
                match replication_factor {
                    -1 => f.write_str("the target's default of replicas"),
                    factor => write!(f, "{factor} replicas"),
                }
            }
            Self::ReplicationReduced { topic, source_factor, target_brokers, .. } => write!(
                f,
                "topic {topic} has {source_factor} replicas, the target {target_brokers} brokers: its default was used"
            ),
            Self::TopicRenamed { topic, target_topic, .. } => {
                write!(f, "topic {topic} is called {target_topic} on the target")
            }
            Self::TopicSkipped { topic, reason, .. } => {
                write!(f, "topic {topic} is not copied: {reason}")
            }
            Self::PartitionsAdded { target_topic, from, to, .. } => {
                write!(f, "target topic {target_topic} grew from {from} to {to} partitions")
            }
            Self::PartitionsRefused { target_topic, wanted, found, cause, .. } => {
                write!(
                    f,
                    "target topic {target_topic} keeps {found} partitions instead of {wanted}: {cause}"
                )
            }
            Self::ConfigSkipped { topic, key, value: found, reason, .. } => {
                write!(f, "topic {topic}: {key}={} was not taken over: {reason}", value(found))
            }
            Self::ConfigApplied { target_topic, key, from, to, .. } => {
                write!(f, "target topic {target_topic}: {key} changed from {} to {to}", value(from))
            }
            Self::ConfigDrift { topic, key, source_value, target_value, .. } => {
                let (source, target) = (value(source_value), value(target_value));
                write!(
                    f,
                    "topic {topic}: {key} is {source} on the source and {target} on the target"
                )
            }
            Self::FidelityLoss { topic, cause, setting, .. } => {
                write!(f, "topic {topic} does not arrive unchanged: {cause} ({setting})")
            }
            Self::TopicDeleted { topic, .. } => {
                write!(
                    f,
                    "source topic {topic} was deleted; the target topic is kept, its copy has stopped"
                )
            }
            Self::TopicRecreated { topic, former_id, found_id, action, .. } => {
                let (former, found) = (value(former_id), value(found_id));
                write!(
                    f,
                    "source topic {topic} was deleted and created again (id {former}, now {found}): {action}"
                )
            }
            _ => self.fmt_partition(f),
        }
    }

    /// The events about a partition.
    fn fmt_partition(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LaneStarted {
                topic, partition, target_topic, target_partition, offset, ..
            } => {
                write!(
                    f,
                    "{topic}-{partition} is copied to {target_topic}-{target_partition} from offset {offset} on"
                )
            }
            Self::LaneRecovered { topic, partition, offset, fenced, found_count, .. } => {
                let fence = if *fenced { ", older requests fenced off" } else { "" };
                write!(f, "{topic}-{partition} goes on at offset {offset}{fence}")?;
                if *found_count > 0 {
                    write!(f, "; {found_count} records had arrived unnoticed")
                } else {
                    Ok(())
                }
            }
            Self::LaneAdopted { topic, partition, offset, map_start, .. } => {
                write!(
                    f,
                    "{topic}-{partition}: the state did not know what the target holds; it is the source's up to offset {}, the copy goes on at {offset}; the offset map begins at source offset {map_start}",
                    offset - 1
                )
            }
            Self::LaneStopped { topic, partition, offset, cause, .. } => {
                write!(f, "{topic}-{partition} stopped before offset {offset}: {cause}")
            }
            Self::LaneDenied { topic, partition, cluster, cause, .. } => write!(
                f,
                "{topic}-{partition} waits for a right on the {cluster}: {cause}; tried again until it is given"
            ),
            Self::LaneAllowed { topic, partition, cluster, elapsed_ms, .. } => write!(
                f,
                "{topic}-{partition} goes on: the {cluster} allows again what it denied for {elapsed_ms} ms"
            ),
            Self::LaneRetrying { topic, partition, cause, attempt, backoff_ms, .. } => {
                write!(
                    f,
                    "{topic}-{partition} waits {backoff_ms} ms after attempt {attempt}: {cause}"
                )
            }
            Self::Truncated { topic, partition, lost, action, .. } => {
                write!(
                    f,
                    "{topic}-{partition}: the source lost {} that were copied: {action}",
                    Lost(lost)
                )
            }
            Self::RetentionOvertook { topic, partition, lost, action, .. } => {
                write!(
                    f,
                    "{topic}-{partition}: the source deleted {} before they were copied: {action}",
                    Lost(lost)
                )
            }
            Self::ForeignWrites { topic, partition, offset, count, .. } => {
                write!(
                    f,
                    "target {topic}-{partition}: others wrote {count} offsets before {offset}"
                )
            }
            Self::BatchRebuilt { topic, partition, offset, reason, cause, .. } => {
                write!(
                    f,
                    "{topic}-{partition}: the batch at offset {offset} was rebuilt ({reason})"
                )?;
                cause.as_ref().map_or(Ok(()), |cause| write!(f, ": {cause}"))
            }
            Self::RecordsSkipped { topic, partition, count, offsets, cause, .. } => {
                write!(
                    f,
                    "{topic}-{partition}: {count} records were left out, at offsets {offsets:?}"
                )?;
                if offsets.len() < *count {
                    write!(f, " and more")?;
                }
                write!(f, ": {cause}")
            }
            Self::GuaranteeChanged { topic, partition, guarantee, cause, .. } => {
                write!(
                    f,
                    "{topic}-{partition}: protection against doubled records is now {guarantee}: {cause}"
                )
            }
            Self::RecordFailed {
                topic,
                partition,
                offset,
                step,
                cause,
                code,
                count,
                action,
                ..
            } => {
                write!(
                    f,
                    "{topic}-{partition} offset {offset}: {step}: {cause} ({code}): {action}"
                )?;
                if *count > 1 { write!(f, "; {count} like it since the last word") } else { Ok(()) }
            }
            Self::OutputTopicUnavailable { target_topic, cause, .. } => {
                write!(
                    f,
                    "the target topic {target_topic} cannot be written: {cause}; tried again until it can"
                )
            }
            Self::RegistryUnavailable { registry, cause, .. } => {
                write!(
                    f,
                    "the schema registry of the {registry} gives no answer: {cause}; records that need it wait"
                )
            }
            _ => self.fmt_tables(f),
        }
    }

    /// What an operator can do, if there is anything.
    #[must_use]
    pub fn cure(&self) -> Option<String> {
        let text = match self {
            Self::TaskFailed { cure, .. }
            | Self::LaneStopped { cure, .. }
            | Self::ClusterUnavailable { cure, .. } => {
                return cure.clone();
            }
            Self::LaneDenied { cure, .. } => cure.as_str(),
            Self::RecordsSkipped { cure, .. } => cure,
            Self::RecordFailed { cure, .. } | Self::RegistryUnavailable { cure, .. } => {
                cure.as_str()
            }
            Self::OutputTopicUnavailable { .. } => {
                "create the topic, or grant DESCRIBE and WRITE on it and CREATE if the task is to make it"
            }
            Self::LaneRetrying { .. } => {
                "nothing if it ends by itself within minutes; else see to what the cause names: it is tried again until then"
            }
            Self::GuaranteeChanged { .. } => {
                "allow WRITE and DESCRIBE on the transactional id prefix `kferry-` at the target"
            }
            Self::TopicSkipped { reason, .. } => match reason {
                SkipReason::NameCollision { .. } => {
                    "copy one of the two topics in a task of its own"
                }
                SkipReason::SameTopic => "rename it, or leave it out with a topic expression",
                SkipReason::TooFewPartitions { .. } => {
                    "give the target topic more partitions, or start the task with --same-partition false"
                }
                SkipReason::CreateRefused { .. } => {
                    "create the topic on the target by hand, or grant CREATE"
                }
                SkipReason::NotReady { .. } => "check that the target's brokers are up",
                SkipReason::SourceUnreadable { .. } => {
                    "check its name, or grant DESCRIBE and READ on it at the source"
                }
                SkipReason::TargetUnreadable { .. } => {
                    "grant DESCRIBE, READ and WRITE on the topic at the target"
                }
            },
            Self::PartitionsRefused { .. } => {
                "add the partitions on the target by hand, or grant ALTER on the topic"
            }
            Self::ConfigSkipped { reason: ConfigSkipReason::Refused { .. }, .. } => {
                "set the key on the target by hand if it matters"
            }
            Self::ConfigDrift { .. } => "set the key on one of the clusters if both should agree",
            Self::FidelityLoss { .. } => {
                "change the setting on the target topic if readers depend on it"
            }
            Self::TopicRecreated { .. } => {
                "let the new topic follow on the same target topic (--on-recreated continue), copy it to a topic of its own (--on-recreated new_topic), or start a new task for it"
            }
            Self::Truncated { .. } => "compare the named offsets on both sides",
            Self::RetentionOvertook { .. } => {
                "lengthen retention on the source until the copy has caught up"
            }
            Self::ForeignWrites { .. } => {
                "make sure that the other writer is meant to write to this topic"
            }
            Self::MetadataSyncFailed { .. } => {
                "grant DESCRIBE_CONFIGS, DESCRIBE and ALTER_CONFIGS if they are missing"
            }
            _ => return self.table_cure(),
        };
        Some(text.to_owned())
    }
}
