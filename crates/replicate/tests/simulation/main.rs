//! A whole task between two simulated clusters under everything that goes wrong, one history per seed.
//!
//! [`world`] draws a world from a seed, lets a real task copy while [`chaos`] breaks both clusters, the connections, the
//! journal and the task itself, heals everything, waits until the copy has caught up, and hands what lies in the logs to the
//! [`oracle`]. Nothing but the seed decides: the same seed gives the same trace.
//!
//! `SIM_SEED=7 cargo test -p replicate --test simulation -- seeds --nocapture` replays one seed with its trace;
//! `cargo xtask sim` runs many.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test program, outside of test functions"
)]

mod chaos;
mod group_oracle;
mod group_story;
mod groups;
mod history;
mod journal;
mod oracle;
mod plan;
#[cfg(feature = "planted")]
mod planted;
mod stories;
mod task;
mod trace;
mod verified;
mod wire;
mod workload;
mod world;

use std::time::Instant;

/// Seeds of the quick run.
const QUICK_SEEDS: u64 = 40;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// The seeds from `SIM_FROM`, `SIM_SEEDS` of them and each `SIM_STEP`th; or `SIM_SEED` alone, told step by step.
#[test]
fn seeds() {
    let alone = number("SIM_SEED");
    let from = alone.or_else(|| number("SIM_FROM")).unwrap_or(0);
    let count = alone.map_or_else(|| number("SIM_SEEDS").unwrap_or(QUICK_SEEDS), |_| 1);
    let step = number("SIM_STEP").unwrap_or(1);
    let started = Instant::now();
    let mut failed = 0_u64;
    for index in 0..count {
        let seed = from + index * step;
        let outcome = world::run(seed, alone.is_some());
        if !outcome.findings.is_empty() {
            failed += 1;
            let shown: Vec<_> = outcome.findings.iter().take(4).map(String::as_str).collect();
            println!("sim: seed {seed} failed: {:?}: {}", outcome.kinds, shown.join("; "));
        }
        if alone.is_some() {
            println!("sim: seed {seed} {}", outcome.summary);
        }
        if (index + 1) % 100 == 0 || index + 1 == count {
            println!(
                "sim: done {} failed {failed} in {:.1} s",
                index + 1,
                started.elapsed().as_secs_f64()
            );
        }
    }
    assert_eq!(failed, 0, "seeds failed, of {count} from {from}");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in [1, 2, 3, 5, 8] {
        let (first, second) = (world::run(seed, false), world::run(seed, false));
        assert_eq!(first.summary, second.summary, "seed {seed}");
        assert_eq!(first.trace_hash, second.trace_hash, "seed {seed}");
    }
}
