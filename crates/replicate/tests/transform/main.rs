//! Tasks with a rule against two simulated clusters: what is written, what becomes of records that fail, and that all of it is
//! there once, in order, whatever dies. Time is virtual.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of their functions")]

mod chance;
mod policies;
mod registry;
mod shapes;
mod source;
mod tables;
mod world;
