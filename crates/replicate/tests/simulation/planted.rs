//! Every planted bug turns the simulation red, within a bounded number of seeds.

use forward::planted::{Bug, plant};

use crate::world;

/// Seeds that are tried for one bug.
const SEEDS_MAX: u64 = 1_000;

/// `SIM_BUG` names the only ones that are planted, by a part of their names.
fn is_wanted(only: Option<&str>, bug: Bug) -> bool {
    only.is_none_or(|only| format!("{bug:?}").contains(only))
}

#[test]
fn planted_bugs_are_caught() {
    let mut missed = Vec::new();
    let only = std::env::var("SIM_BUG").ok();
    for bug in Bug::ALL.into_iter().filter(|bug| is_wanted(only.as_deref(), *bug)) {
        let caught = (0..SEEDS_MAX).find_map(|seed| {
            plant(Some(bug));
            let outcome = world::run(seed, false);
            plant(None);
            if outcome.kinds.is_empty() {
                return None;
            }
            // What is red anyway says nothing about the bug.
            let healthy = world::run(seed, false);
            assert!(healthy.kinds.is_empty(), "seed {seed}: {}", healthy.findings.join("; "));
            Some((seed, outcome))
        });
        match caught {
            Some((seed, outcome)) => {
                println!(
                    "sim: planted {bug:?}: caught by {:?} at seed {seed}: {}",
                    outcome.kinds, outcome.findings[0]
                );
            }
            None => {
                println!("sim: planted {bug:?}: not caught in {SEEDS_MAX} seeds");
                missed.push(bug);
            }
        }
    }
    assert_eq!(missed, [], "bugs that the oracle does not see");
}
