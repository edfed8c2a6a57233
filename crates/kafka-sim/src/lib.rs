//! A Kafka cluster in memory that speaks Kafka's protocol.
//!
//! It stands in for real brokers in tests and in the demo: several brokers with leaders, logs with
//! real validation of batches, producer state, groups, transactions, configuration and rights, over
//! in-memory streams ([`Cluster::connector`]) or loopback TCP ([`Cluster::listen`]). It refuses what
//! a broker of the chosen [`Release`] refuses; what it was built from are answers of real brokers
//! (P-n in the comments). Time is `tokio::time`, so that a test with paused time runs at once;
//! chance comes from a seed. Tests reach behind the protocol by [`Cluster`]'s own methods.

mod access;
mod acls;
mod broker;
mod clock;
mod cluster;
mod compaction;
mod config;
mod connector;
mod faults;
mod fetch_sessions;
mod groups;
mod handlers;
mod listen;
mod log;
mod partition;
mod permissions;
mod producer_state;
mod registry;
mod release;
mod sasl;
mod signal;
mod state;
mod topic_config;
mod transactions;
mod validate;

pub use self::{
    access::{AccessError, GroupRequest, GroupRequestKind, ProducerSummary},
    cluster::Cluster,
    config::{ClusterConfig, SaslUsers},
    faults::{Fault, FaultAction},
    groups::CommittedOffset,
    listen::ListeningCluster,
    permissions::{Operation, Resource},
    registry::{RegistryFault, SchemaRegistry},
    release::Release,
};
