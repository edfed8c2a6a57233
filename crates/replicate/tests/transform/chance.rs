//! Deaths, cut connections and leaders that move, at random; whatever happens, each good record comes once times the copies, each
//! poison record once among the dead letters, and order is kept.

use std::time::Duration;

use replicate::spec::Partitioning;
use tokio::time::sleep;

use crate::world::{DLQ, OUT, World, rule};

const COUNT: u64 = 60;

async fn run_history(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let partitions = random.i32(1..4);
    let mut world = World::new(rule(DLQ), usize::try_from(partitions).unwrap());
    world.copies = random.u32(1..4);
    world.partitioning =
        [Partitioning::Keep, Partitioning::Key, Partitioning::Spread][random.usize(..3)];
    if random.bool() {
        let count = random.usize(usize::try_from(partitions).unwrap()..6);
        world.target.create_topic(OUT, count, &[]).unwrap();
    }
    for _ in 0..random.usize(2..8) {
        for _ in 0..random.usize(0..12) {
            let partition = random.i32(0..partitions);
            if random.u8(..4) == 0 {
                world.append_poison(partition, random.i64(1..3));
            } else {
                world.append(partition, random.i64(1..30));
            }
        }
        let run = world.run(random.u8(..4) == 0);
        for _ in 0..random.usize(..4) {
            sleep(Duration::from_millis(random.u64(0..200))).await;
            let broker = random.choice(world.target.broker_ids()).unwrap();
            match random.u8(..3) {
                0 => world.target.cut_connections(broker),
                1 => {
                    let broker = random.choice(world.source.broker_ids()).unwrap();
                    world.source.cut_connections(broker);
                }
                _ => {
                    let partition = random.i32(0..partitions);
                    let _ = world.target.move_leader(OUT, partition, broker);
                }
            }
        }
        sleep(Duration::from_millis(random.u64(0..1500))).await;
        if run.task.is_finished() {
            run.task.await.unwrap().unwrap();
        } else if random.u8(..3) > 0 {
            run.kill().await;
        } else {
            run.stop().await;
        }
    }
    let report = world.once().await.unwrap();
    assert!(report.is_complete(), "seed {seed}: {:?}", world.events().last());
    world.check(&format!("seed {seed}"));
}

#[tokio::test(start_paused = true)]
async fn every_record_comes_once_whatever_dies() {
    for seed in 0..COUNT {
        run_history(seed).await;
    }
}
