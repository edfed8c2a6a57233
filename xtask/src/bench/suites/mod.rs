//! What is measured, one file for each suite.

pub(super) mod distance;
pub(super) mod latency;
pub(super) mod memory;
pub(super) mod null;
pub(super) mod partitions;
pub(super) mod peers;
pub(super) mod tls;
