//! The comparison of a copy with its source: each planted difference is found under its name and place, and nothing is found
//! where there is nothing. Time is virtual.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod equal;
mod planted;
mod resumed;
mod world;
