//! The offset map against a plain list: whatever the source is made of, whoever writes to the target beside us, and
//! however often the task dies, the stored map answers for every offset, both ways.

use std::time::Duration;

use crate::copy::{Kind, World, in_runtime};
use crate::disk::{Disk, Loss, Rule};
use crate::seeds;

const LIVES: usize = 4;

async fn history(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut world = World::empty(2);
    let mut disk = Disk::new(Vec::new(), Rule::Never);
    let kinds = [Kind::Plain, Kind::Plain, Kind::Plain, Kind::Gaps, Kind::Committed, Kind::Aborted];
    for life in 0..LIVES {
        for _ in 0..random.usize(4..20) {
            let kind = kinds[random.usize(0..kinds.len())];
            world.append(random.usize(0..2), kind, random.i64(1..5));
        }
        let is_last = life + 1 == LIVES;
        disk.set_rule(if is_last { Rule::Never } else { Rule::DeadFrom(random.usize(14..80)) });
        let beside = async {
            loop {
                tokio::time::sleep(Duration::from_millis(random.u64(50..900))).await;
                world.write_beside(random.usize(0..2));
            }
        };
        let ended = tokio::select! {
            ended = world.run(&disk) => ended,
            () = beside => None,
        };
        if let Some(ended) = ended {
            assert!(ended.unwrap().is_complete(), "seed {seed}");
        }
        let loss = [Loss::Nothing, Loss::Everything, Loss::Torn(seed)][random.usize(0..3)];
        if !is_last {
            disk = Disk::new(disk.image(disk.op_count(), loss), Rule::Never);
        }
    }
    world.check(&disk, &format!("seed {seed}")).await;
}

#[test]
fn the_stored_map_is_exact_for_every_offset_both_ways() {
    for seed in 0..seeds(1) * 8 {
        in_runtime(history(seed));
    }
}
