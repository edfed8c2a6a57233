//! One change of the source at a time.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use kafka_sim::Release;
use kafka_wire::record::{BatchOptions, Record};
use replicate::spec::LossPolicy;
use tokio::time::sleep;

use crate::world::{RELEASES, TOPIC, World, for_all, wait_for};

#[tokio::test(start_paused = true)]
async fn a_truncated_log_is_told_and_cut() {
    for_all(async |world| {
        world.append(0..10);
        let run = world.run(false);
        world.wait_for_copies(10).await;
        world.source.truncate(TOPIC, 0, 6).unwrap();
        if world.is_stopped() {
            world.wait_for_stop().await;
            world.append(100..103);
            sleep(Duration::from_secs(30)).await;
            world.check_copied(0..10);
        } else {
            world.wait_for_event().await;
            world.append(100..103);
            world.wait_for_copies(13).await;
            world.check_copied((0..10).chain(100..103));
        }
        world.check_losses(&[("truncated", 6, 10)]);
        run.stop().await;
        if !world.is_stopped() {
            assert_eq!((world.mapped(5).await, world.mapped(6).await), (Some(5), Some(10)));
            let run = world.run(true);
            run.task.await.unwrap().unwrap();
            world.check_losses(&[("truncated", 6, 10)]);
            world.check_copied((0..10).chain(100..103));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_log_truncated_while_we_were_down_is_told_at_the_start() {
    for once in [false, true] {
        for_all(async |world| {
            world.append(0..10);
            let run = world.run(false);
            world.wait_for_copies(10).await;
            run.stop().await;
            world.source.truncate(TOPIC, 0, 6).unwrap();
            let run = world.run(once);
            world.wait_for_event().await;
            if world.is_stopped() {
                world.wait_for_stop().await;
            }
            if once {
                run.task.await.unwrap().unwrap();
            } else {
                run.stop().await;
            }
            world.check_losses(&[("truncated", 6, 10)]);
            world.append(100..103);
            if !world.is_stopped() {
                world.run(true).task.await.unwrap().unwrap();
                world.check_copied((0..10).chain(100..103));
                assert_eq!(world.mapped(6).await, Some(10));
                world.check_losses(&[("truncated", 6, 10)]);
            }
        })
        .await;
    }
}

/// The quiet form: the log has grown beyond our position again. Only leader epochs tell, or the content.
#[tokio::test(start_paused = true)]
async fn a_log_that_grew_again_while_we_were_down_is_told() {
    for release in RELEASES {
        let world = World::new(release, LossPolicy::Continue);
        world.append(0..10);
        let run = world.run(false);
        world.wait_for_copies(10).await;
        run.stop().await;
        world.source.truncate(TOPIC, 0, 6).unwrap();
        world.append(100..120);
        world.run(true).task.await.unwrap().unwrap();
        world.check_losses(&[("truncated", 6, 10)]);
        world.check_copied((0..10).chain(100..120));
        assert_eq!(world.mapped(6).await, Some(10));
    }
}

#[tokio::test(start_paused = true)]
async fn a_kill_around_the_cut_is_harmless() {
    for pause in 0..40 {
        let world = World::new(Release::V4_2, LossPolicy::Continue);
        world.append(0..10);
        let run = world.run(false);
        world.wait_for_copies(10).await;
        // The progress is durable.
        sleep(Duration::from_secs(3)).await;
        world.source.truncate(TOPIC, 0, 6).unwrap();
        world.append(100..103);
        sleep(Duration::from_millis(pause * 25)).await;
        run.kill().await;
        world.run(true).task.await.unwrap().unwrap();
        world.check_copied((0..10).chain(100..103));
        assert_eq!(world.mapped(5).await, Some(5));
        // The fence after the kill may have taken an offset.
        let at = world.mapped(6).await.unwrap();
        let records = world.target.records(TOPIC, 0).unwrap();
        let found = records.into_iter().find(|record| record.offset == at).unwrap();
        assert_eq!(found.value.unwrap(), "100");
        assert!(world.losses().iter().all(|loss| *loss == ("truncated", 6, 10)));
    }
}

#[tokio::test(start_paused = true)]
async fn retention_that_overtakes_is_told_with_its_range() {
    for_all(async |world| {
        world.append(0..10);
        let run = world.run(false);
        world.wait_for_copies(10).await;
        run.stop().await;
        world.append(10..20);
        world.source.delete_records(TOPIC, 0, 15).unwrap();
        let run = world.run(false);
        if world.is_stopped() {
            world.wait_for_stop().await;
            world.check_copied(0..10);
        } else {
            world.wait_for_copies(15).await;
            world.check_copied((0..10).chain(15..20));
        }
        world.check_losses(&[("retention", 10, 15)]);
        run.stop().await;
        if world.is_stopped() {
            let world = World { policy: LossPolicy::Continue, events: Arc::default(), ..world };
            world.run(true).task.await.unwrap().unwrap();
            world.check_losses(&[("retention", 10, 15)]);
            world.check_copied((0..10).chain(15..20));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_recreated_topic_is_told_once() {
    for_all(async |world| {
        // Releases before 2.8 have no topic ids: a log with nothing in common is a truncation to nothing there.
        let has_ids = world.release >= Release::V2_8;
        world.append(0..10);
        let run = world.run(false);
        world.wait_for_copies(10).await;
        world.recreate(100..103);
        world.wait_for_event().await;
        if world.is_stopped() {
            world.wait_for_stop().await;
            world.check_copied(0..10);
        } else {
            world.wait_for_copies(13).await;
            world.append(103..105);
            world.wait_for_copies(15).await;
            world.check_copied((0..10).chain(100..105));
        }
        run.stop().await;
        world.check_losses(&[if has_ids { ("recreated", 0, 0) } else { ("truncated", 0, 10) }]);
        if !world.is_stopped() {
            assert_eq!(world.mapped(0).await, Some(10));
            world.run(true).task.await.unwrap().unwrap();
            assert_eq!(world.losses().len(), 1);
            world.check_copied((0..10).chain(100..105));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_recreated_while_we_were_down_is_told_at_the_start() {
    for count in [3, 10, 30] {
        for once in [false, true] {
            for_all(async |world| {
                let has_ids = world.release >= Release::V2_8;
                world.append(0..10);
                let run = world.run(false);
                world.wait_for_copies(10).await;
                run.stop().await;
                world.recreate(100..100 + count);
                let run = world.run(once);
                world.wait_for_event().await;
                if world.is_stopped() {
                    world.wait_for_stop().await;
                    world.check_copied(0..10);
                } else {
                    world.wait_for_copies(usize::try_from(10 + count).unwrap()).await;
                    world.check_copied((0..10).chain(100..100 + count));
                }
                run.stop().await;
                world.check_losses(&[if has_ids {
                    ("recreated", 0, 0)
                } else {
                    ("truncated", 0, 10)
                }]);
            })
            .await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_is_added_is_copied_from_its_first_record() {
    let world = World::new(Release::V4_2, LossPolicy::Stop);
    world.append(0..3);
    let run = world.run(false);
    world.wait_for_copies(3).await;
    world.source.grow_topic(TOPIC, 2);
    let record = Record {
        offset: 0,
        timestamp: world.source.now_ms(),
        key: None,
        value: Some(Bytes::from_static(b"new")),
        headers: Vec::new(),
    };
    world.source.append_records(TOPIC, 1, &BatchOptions::default(), &[record]).unwrap();
    wait_for("the new partition's record arrives", || {
        world.target.records(TOPIC, 1).is_ok_and(|records| records.len() == 1)
    })
    .await;
    run.stop().await;
    world.check_losses(&[]);
}
