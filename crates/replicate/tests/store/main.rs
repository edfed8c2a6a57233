//! What the store survives: death between any two of its writes, sectors that did not reach the disk, a full disk.
//!
//! `disk` records what redb does to its file and makes of any moment the file that a machine would find afterwards.
//! `journal` looks at the store alone, `copy` at whole tasks on simulated clusters, `full` at a disk without space, `map` at the offset map.
//! All moments are tried; with `KFERRY_STORE_SEEDS=n` each of them with `n` patterns of lost sectors.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod copy;
mod disk;
mod full;
mod journal;
mod map;

/// Patterns of lost sectors per moment, or what the quick loop has time for.
fn seeds(quick: u64) -> u64 {
    std::env::var("KFERRY_STORE_SEEDS").map_or(quick, |text| text.parse().unwrap())
}
