//! Several changes of the source between two looks at it, and deaths of the task in between: the cut is where the two
//! histories part.

use std::time::Duration;

use kafka_sim::Release;
use replicate::spec::LossPolicy;
use tokio::time::sleep;

use crate::world::{RELEASES, World, for_all};

fn continued(release: Release) -> World {
    World::new(release, LossPolicy::Continue)
}

/// Values that were copied, then those of the source from `cut` on.
async fn check_continued(world: &World, copied: &[i64], cut: usize) {
    world.run(true).task.await.unwrap().unwrap();
    let source = world.in_source();
    world.check_copied(copied.iter().chain(&source[cut..]).copied());
    let (cut, end) = (i64::try_from(cut).unwrap(), i64::try_from(copied.len()).unwrap());
    world.check_losses(&[("truncated", cut, end)]);
    // Once.
    world.run(true).task.await.unwrap().unwrap();
    world.check_losses(&[("truncated", cut, end)]);
    world.check_copied(copied.iter().chain(&source[usize::try_from(cut).unwrap()..]).copied());
}

#[tokio::test(start_paused = true)]
async fn elections_between_two_looks_are_cut_where_the_first_common_record_is() {
    for release in RELEASES {
        for is_killed in [false, true] {
            for (first, second) in [(8, 4), (6, 7), (4, 8), (6, 6)] {
                let world = continued(release);
                world.append(0..6);
                world.source.truncate("t", 0, 6).unwrap();
                world.append(6..10);
                let run = world.run(false);
                world.wait_for_copies(10).await;
                if is_killed {
                    run.kill().await
                } else {
                    run.stop().await
                }
                world.source.truncate("t", 0, first).unwrap();
                world.append(100..105);
                world.source.truncate("t", 0, second).unwrap();
                world.append(200..220);
                let cut = usize::try_from(first.min(second)).unwrap();
                check_continued(&world, &(0..10).collect::<Vec<_>>(), cut).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_log_that_grew_to_any_length_is_noticed_by_a_run_to_its_end() {
    for release in RELEASES {
        for is_killed in [false, true] {
            for count in 0..8 {
                let world = continued(release);
                world.append(0..10);
                let run = world.run(false);
                world.wait_for_copies(10).await;
                if is_killed {
                    run.kill().await
                } else {
                    run.stop().await
                }
                world.source.truncate("t", 0, 6).unwrap();
                world.append(100..100 + count);
                check_continued(&world, &(0..10).collect::<Vec<_>>(), 6).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_death_and_then_a_cut_is_told_as_the_cut() {
    for release in RELEASES {
        for pause in 0..30 {
            for (cut, count) in [(6, 0), (6, 2), (6, 40), (0, 3)] {
                let world = continued(release);
                world.append(0..5);
                let run = world.run(false);
                world.wait_for_copies(5).await;
                world.source.truncate("t", 0, 5).unwrap();
                world.append(5..20);
                sleep(Duration::from_millis(pause * 37)).await;
                run.kill().await;
                let copied = world.copied();
                world.source.truncate("t", 0, cut).unwrap();
                world.append(100..100 + count);
                world.run(true).task.await.unwrap().unwrap();
                let kept = usize::try_from(cut).unwrap().min(copied.len());
                let source = world.in_source();
                world.check_copied(copied.iter().chain(&source[kept..]).copied());
                let end = i64::try_from(copied.len()).unwrap();
                if end > cut {
                    world.check_losses(&[("truncated", cut, end)]);
                } else {
                    world.check_losses(&[]);
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_death_and_then_another_topic_is_told_as_another_topic() {
    for count in [0, 3, 10, 30] {
        for_all(async |world| {
            let has_ids = world.release >= Release::V2_8;
            world.append(0..10);
            let run = world.run(false);
            world.wait_for_copies(10).await;
            run.kill().await;
            world.recreate(100..100 + count);
            for _ in 0..2 {
                world.run(true).task.await.unwrap().unwrap();
            }
            let expected = if has_ids { ("recreated", 0, 0) } else { ("truncated", 0, 10) };
            if world.is_stopped() {
                world.check_losses(&[expected, expected]);
                world.check_copied(0..10);
            } else {
                world.check_losses(&[expected]);
                world.check_copied((0..10).chain(100..100 + count));
            }
        })
        .await;
    }
}

/// Retention took what both histories had and what only one had: what is gone contradicts nothing.
#[tokio::test(start_paused = true)]
async fn a_cut_below_the_start_of_the_log_is_told_from_the_start() {
    for release in RELEASES {
        let world = continued(release);
        world.append(0..10);
        let run = world.run(false);
        world.wait_for_copies(10).await;
        run.stop().await;
        world.source.truncate("t", 0, 6).unwrap();
        world.append(100..120);
        world.source.delete_records("t", 0, 8).unwrap();
        world.run(true).task.await.unwrap().unwrap();
        world.check_losses(&[("truncated", 8, 10)]);
        world.check_copied((0..10).chain(102..120));
    }
}

/// On releases whose brokers do not tell: the log grows beyond our position while we read it.
#[tokio::test(start_paused = true)]
async fn a_log_that_is_cut_and_grows_at_once_is_told_while_it_is_read() {
    for_all(async |world| {
        world.append(0..10);
        let run = world.run(false);
        world.wait_for_copies(10).await;
        sleep(Duration::from_secs(2)).await;
        world.source.truncate("t", 0, 6).unwrap();
        world.append(100..120);
        world.wait_for_event().await;
        if world.is_stopped() {
            world.wait_for_stop().await;
            world.check_copied(0..10);
        } else {
            world.wait_for_copies(30).await;
            world.check_copied((0..10).chain(100..120));
        }
        run.stop().await;
        world.check_losses(&[("truncated", 6, 10)]);
    })
    .await;
}

/// Only new leaders, nothing lost: nothing is told.
#[tokio::test(start_paused = true)]
async fn elections_without_a_loss_are_silent() {
    for release in RELEASES {
        let world = World::new(release, LossPolicy::Stop);
        let run = world.run(false);
        for round in 0..50 {
            world.append(round * 3..round * 3 + 3);
            let end = world.source.end_offset("t", 0).unwrap();
            world.source.truncate("t", 0, end).unwrap();
        }
        world.wait_for_copies(150).await;
        run.kill().await;
        world.run(true).task.await.unwrap().unwrap();
        world.check_losses(&[]);
        world.check_copied(0..150);
    }
}

/// Further back than the records that are compared first.
#[tokio::test(start_paused = true)]
async fn a_deep_cut_is_found_by_content() {
    for cut in [17, 900] {
        let world = continued(Release::V1_1);
        world.append(0..1200);
        let run = world.run(false);
        world.wait_for_copies(1200).await;
        run.stop().await;
        world.source.truncate("t", 0, cut).unwrap();
        world.append(5000..6500);
        let copied: Vec<i64> = (0..1200).collect();
        check_continued(&world, &copied, usize::try_from(cut).unwrap()).await;
    }
}
