//! What real brokers answered (the P-n tables), asked of the simulated ones in raw requests.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod p01_sequences;
mod p02_pipelines;
mod p03_expiry;
mod p04_headers;
mod p05_refused;
mod p06_log_append_time;
mod p07_group_offsets;
mod p08_parity;
mod p09_truncation;
mod p10_topic_ids;
mod p12_sessions;
mod p13_permissions;
mod p14_fence;
mod p15_failover;
mod protocol;
mod sasl;
mod tcp;
mod versions;
mod wire;
