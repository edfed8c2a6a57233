//! The one-shot calls: each finds the broker in charge, retries what is retriable, and answers item by item.

mod acl_types;
mod acls;
mod cluster;
mod config_types;
mod configs;
mod group_batches;
mod groups;
mod leader_epochs;
mod list_offsets;
mod markers;
mod offset_commit;
mod offset_fetch;
mod partitions;
mod producers;
mod records;
mod topics;
mod transactions;

use kafka_wire::{
    messages::{GroupId, TopicName, TransactionalId},
    protocol::StrBytes,
};

pub use self::{
    acl_types::{
        ACL_WILDCARD, Acl, AclFilter, AclOperation, AclPattern, AclPermission, AclResource,
    },
    cluster::ClusterDescription,
    config_types::{ConfigChange, ConfigEntry, ConfigSource},
    groups::{DescribedGroup, GroupMember, ListedGroup},
    leader_epochs::EpochEnd,
    list_offsets::{ListedOffset, OffsetSpec},
    offset_commit::OffsetToCommit,
    offset_fetch::{Committed, CommittedOffset},
    producers::ActiveProducer,
    topics::NewTopic,
    transactions::ProducerIdentity,
};

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

fn topic_name(value: &str) -> TopicName {
    TopicName(text(value))
}

fn group_id(value: &str) -> GroupId {
    GroupId(text(value))
}

fn transactional_id(value: &str) -> TransactionalId {
    TransactionalId(text(value))
}

fn millis(duration: std::time::Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
