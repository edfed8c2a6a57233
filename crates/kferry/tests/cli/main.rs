//! The built binary, as a user meets it: exit codes, words on both streams, and what must never be on them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers too"
)]

mod check;
mod config;
mod demo;
mod etl;
mod etl_registry;
mod etl_run;
mod etl_tools;
mod import;
mod inspect;
mod metrics;
mod offsets;
mod pair;
mod plan;
mod position;
mod support;
mod sync;
mod task_file;
mod usage;
mod verify;
