//! What is measured, one file for each suite.

pub(super) mod catch_up;
pub(super) mod distance;
pub(super) mod etl;
pub(super) mod fairness;
pub(super) mod instructions;
pub(super) mod latency;
pub(super) mod memory;
pub(super) mod metadata;
pub(super) mod null;
pub(super) mod partitions;
pub(super) mod peers;
pub(super) mod tasks;
pub(super) mod tls;
pub(super) mod verify;
