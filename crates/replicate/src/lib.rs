//! One replication task: plan, copy, recover, report.
//!
//! `replicate` joins the client, which talks to brokers, and `forward`, which turns source batches into
//! target batches. It owns what is in between: which topics travel and how they are made on the target, what is
//! remembered durably, and what is told. It knows nothing of a control plane: that hands over a [`spec`]
//! and receives [`event`]s.

pub mod acls;
pub mod event;
pub mod journal;
pub mod offsets;
pub mod spec;

pub mod budget;
pub mod drift;
mod groups;
mod lane;
mod pace;
pub mod plan;
pub mod progress;
mod recover;
pub mod registry;
mod tables;
mod tail_fetch;
pub mod task;
mod topic_config;
pub mod topics;
pub mod verify;
mod worker;
