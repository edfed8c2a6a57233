//! Histories by chance: elections that lose records, records, deaths and restarts of the task, in any order. The model knows
//! what the target must have.

use std::time::Duration;

use kafka_sim::Release;
use replicate::spec::LossPolicy;
use tokio::time::sleep;

use crate::world::World;

/// Histories per release.
const COUNT: u64 = 100;

/// What the target must have: all that was copied, and behind it, from where the two part, what the source has.
fn expected(copied: &[i64], history: &[i64], source: &[i64]) -> (Vec<i64>, Vec<i64>, usize) {
    let kept = history.iter().zip(source).take_while(|(a, b)| a == b).count();
    let target = copied.iter().chain(&source[kept..]).copied().collect();
    (target, source.to_vec(), kept)
}

async fn run_history(release: Release, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let world = World::new(release, LossPolicy::Continue);
    let mut next_value = 0;
    // What the target had when the histories were last compared, and which source history that was.
    let (mut copied, mut history): (Vec<i64>, Vec<i64>) = Default::default();
    let mut told = 0;
    for _ in 0..random.usize(1..5) {
        // The task reads for a while, and ends in some way: nothing changes below it meanwhile.
        let count = random.i64(0..20);
        world.append(next_value..next_value + count);
        next_value += count;
        let source = world.in_source();
        let (whole, ..) = expected(&copied, &history, &source);
        let run = world.run(false);
        if random.bool() {
            world.wait_for_copies(whole.len()).await;
            sleep(Duration::from_millis(random.u64(0..2500))).await;
        } else {
            sleep(Duration::from_millis(random.u64(0..120))).await;
        }
        if random.bool() {
            run.kill().await
        } else {
            run.stop().await
        }
        let found = world.copied();
        assert_eq!(found[..], whole[..found.len()], "seed {seed} on {release}");
        assert!(found.len() >= copied.len(), "seed {seed} on {release}");
        if told_count(&world) > told || found.len() > copied.len() {
            let kept = history.iter().zip(&source).take_while(|(a, b)| a == b).count();
            let new = found.len() - copied.len();
            // A cut that was told, or records behind it: the target follows this history now.
            history = source[..kept + new].to_vec();
            copied = found;
            told = told_count(&world);
        }
        for _ in 0..random.usize(0..4) {
            let end = world.source.end_offset("t", 0).unwrap();
            world.source.truncate("t", 0, random.i64(0..=end)).unwrap();
            let count = random.i64(0..12);
            world.append(next_value..next_value + count);
            next_value += count;
        }
    }
    let (whole, source, kept) = expected(&copied, &history, &world.in_source());
    world.run(true).task.await.unwrap().unwrap();
    assert_eq!(world.copied(), whole, "seed {seed} on {release}");
    if kept < history.len() {
        let lost = (i64::try_from(kept).unwrap(), i64::try_from(history.len()).unwrap());
        let last = world.losses().last().copied();
        assert_eq!(last, Some(("truncated", lost.0, lost.1)), "seed {seed} on {release}");
    } else {
        assert_eq!(told_count(&world), told, "seed {seed} on {release}");
    }
    let count = told_count(&world);
    world.run(true).task.await.unwrap().unwrap();
    assert_eq!(world.copied(), whole, "seed {seed} on {release}");
    assert_eq!(told_count(&world), count, "seed {seed} on {release}");
    assert_eq!(world.in_source(), source);
}

fn told_count(world: &World) -> usize {
    world.losses().len()
}

#[tokio::test(start_paused = true)]
async fn random_histories_end_with_what_the_source_has_on_1_1() {
    for seed in 0..COUNT {
        run_history(Release::V1_1, seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn random_histories_end_with_what_the_source_has_on_2_8() {
    for seed in 0..COUNT {
        run_history(Release::V2_8, COUNT + seed).await;
    }
}

#[tokio::test(start_paused = true)]
async fn random_histories_end_with_what_the_source_has_on_4_2() {
    for seed in 0..COUNT {
        run_history(Release::V4_2, 2 * COUNT + seed).await;
    }
}
