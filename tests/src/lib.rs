//! Behaviour tests: one integration crate, one binary, so that everything links once.
//!
//! Tests of real brokers stand behind the feature `real-kafka`: `cargo xtask integration` runs them.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "helpers of tests, outside of their functions"
    )
)]

pub mod campaign;
pub mod java;
pub mod segments;

#[cfg(test)]
mod behaviour;

#[cfg(all(test, feature = "real-kafka"))]
mod oracle_tests;

#[cfg(all(test, feature = "real-kafka"))]
mod acceptance;
