//! The tokio side of the Kafka protocol: connections, TLS, metadata, fetch sessions and admin calls.
//!
//! Decisions about bytes and protocol state are made in `kafka-wire`; here are sockets, deadlines, caches and
//! retries. Whether an error ends a task, and what to do about a lost answer, is left to the callers: every result
//! is typed, item by item.

mod address;
mod admin;
mod client;
mod config;
mod connect;
mod connection;
mod error;
pub mod fetch;
mod metadata;
pub mod preflight;
mod types;

pub use self::{
    address::{AddressError, BrokerAddress},
    admin::{
        ACL_WILDCARD, Acl, AclFilter, AclOperation, AclPattern, AclPermission, AclResource,
        ActiveProducer, ClusterDescription, Committed, CommittedOffset, ConfigChange, ConfigEntry,
        ConfigSource, DescribedGroup, EpochEnd, GroupMember, ListedGroup, ListedOffset, NewTopic,
        OffsetSpec, OffsetToCommit, ProducerIdentity,
    },
    client::{Client, CoordinatorKind},
    config::{ClientLimits, ConnectionConfig, TlsConfig, TlsIdentity},
    connect::{
        BoxFuture, ConnectError, ConnectStep, Connector, Stream, TcpConnector, TlsConnector,
        TlsFailure,
    },
    connection::{Answer, AnswerQueue, BrokerConnection, CallOptions, ProduceAck},
    error::ClientError,
    fetch::{
        AbortedTransaction, FetchError, FetchPartition, FetchSession, FetchSessionError,
        FetchSettings, FetchedPartition,
    },
    metadata::{BrokerNode, ClusterMetadata, PartitionMetadata, TopicMetadata, TopicQuery},
    types::{Isolation, TopicError, TopicPartition},
};
