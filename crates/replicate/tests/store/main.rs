//! What the store survives: death between any two of its writes, sectors that did not reach the disk, a full disk.
//!
//! `disk` records what redb does to its file and makes of any moment the file that a machine would find afterwards.
//! `journal` looks at the store alone, `copy` at whole tasks on simulated clusters, `full` at a disk without space, `map` at the offset map, `lost` at stores
//! that are gone or older than the target.
//! With `KFERRY_STORE_SEEDS=n` every moment is tried, each with `n` patterns of lost sectors; the quick loop takes every
//! moment of the store alone and every third one of a copy.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod copy;
mod disk;
mod full;
mod journal;
mod lost;
mod map;

/// Patterns of lost sectors per moment, or what the quick loop has time for.
fn seeds(quick: u64) -> u64 {
    std::env::var("KFERRY_STORE_SEEDS").map_or(quick, |text| text.parse().unwrap())
}

/// How far apart the moments are at which a copy dies.
fn step() -> usize {
    if seeds(0) == 0 { 3 } else { 1 }
}
