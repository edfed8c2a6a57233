//! Automation of the workspace: what `cargo xtask` does, and the real brokers that the tests start.
//!
//! The library part is [`kafka`] (used by the integration tests as well); the verbs are in the binary.

pub mod kafka;
pub mod schema;
pub mod workspace;
