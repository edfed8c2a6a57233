//! Consumer groups between two simulated clusters: each rule of group sync, with whole tasks on virtual time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, outside of their functions"
)]

mod chaos;
mod follow;
mod scope;
mod whose;
mod world;
