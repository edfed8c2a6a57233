//! Where nothing differs, nothing is found.

use std::time::Duration;

use kafka_sim::Release;
use kafka_wire::compression::Compression;
use kafka_wire::record::BatchOptions;
use replicate::journal::MemoryJournal;
use replicate::spec::LossPolicy;
use replicate::verify::VerifyError;
use tokio::time::sleep;

use crate::world::{PER_BATCH, TOPIC, World, record};

fn batch(world: &World, options: &BatchOptions, from: i64, count: i64) {
    let records: Vec<_> = (from..from + count).map(record).collect();
    world.source.append_records(TOPIC, 0, options, &records).unwrap();
}

#[tokio::test(start_paused = true)]
async fn batches_as_they_are() {
    for release in [Release::V1_1, Release::V2_8, Release::V3_9, Release::V4_2] {
        let mut world = World::of(release, &[]);
        world.spec.limits.coalesce_below_bytes = 0;
        world.spec.limits.coalesce_packed_below_bytes = 0;
        world.fill(10);
        world.copy().await;
        let report = world.equal(100).await;
        assert_eq!(report.totals.batches_as_is, 20, "nothing had to be unpacked");
        assert!(report.totals.bytes > 0);
        assert_eq!(report.task.as_deref(), Some("verify"));
        assert_eq!(report.target_cluster_id.as_deref(), Some("target"));
    }
}

#[tokio::test(start_paused = true)]
async fn merged_batches() {
    let world = World::new();
    for _ in 0..400 {
        batch(&world, &BatchOptions::default(), world.source.end_offset(TOPIC, 0).unwrap(), 1);
    }
    world.copy().await;
    let target = world.target.log(TOPIC, 0).unwrap().len();
    assert!(target < 200, "{target} batches");
    let report = world.equal(400).await;
    assert!(report.totals.batches_as_is < 200);
}

#[tokio::test(start_paused = true)]
async fn aborted_transactions_stay_behind() {
    let world = World::new();
    for round in 0..10 {
        let options = BatchOptions {
            producer_id: 9,
            producer_epoch: 0,
            base_sequence: i32::try_from(round * 3).unwrap(),
            transactional: true,
            compression: Compression::Lz4,
            ..BatchOptions::default()
        };
        batch(&world, &options, round * 10, 3);
        batch(&world, &BatchOptions::default(), round * 10 + 5, 4);
        world.source.write_marker(TOPIC, 0, 9, 0, round % 3 == 0).unwrap();
    }
    world.copy().await;
    let report = world.equal(4 * 3 + 10 * 4).await;
    assert_eq!(report.totals.aborted_batches, 6);
}

#[tokio::test(start_paused = true)]
async fn compaction_before_and_after_the_copy() {
    let world = World::of(Release::V4_2, &[("cleanup.policy", "compact")]);
    world.fill(20);
    let removed = world.source.compact(TOPIC, 0).unwrap();
    assert!(removed > 0);
    world.copy().await;
    let kept = world.source.records(TOPIC, 0).unwrap().len();
    world.equal(u64::try_from(kept).unwrap() + 100).await;
    // Further cleaning of either side is not a difference, and not called equal.
    world.fill(10);
    world.copy().await;
    let cleaned = world.target.compact(TOPIC, 1).unwrap();
    assert!(cleaned > 0);
    let report = world.report().await;
    assert!(report.is_equal(), "{report:#?}");
    assert_eq!(report.totals.cleaned_on_target, u64::try_from(cleaned).unwrap());
    let cleaned = world.source.compact(TOPIC, 0).unwrap();
    assert!(cleaned > 0);
    let report = world.report().await;
    assert!(report.is_equal(), "{report:#?}");
    assert_eq!(report.totals.cleaned_on_source, u64::try_from(cleaned).unwrap());
}

#[tokio::test(start_paused = true)]
async fn retention_on_either_side() {
    let world = World::new();
    world.fill(10);
    world.copy().await;
    world.source.delete_records(TOPIC, 0, 12).unwrap();
    world.target.delete_records(TOPIC, 1, 23).unwrap();
    let report = world.equal(100 - 12 - 23).await;
    let totals = report.totals;
    assert_eq!((totals.expired_on_source, totals.expired_on_target), (12, 23));
    world.source.delete_records(TOPIC, 0, 50).unwrap();
    world.equal(50 - 23).await;
}

#[tokio::test(start_paused = true)]
async fn other_writers_are_counted() {
    let world = World::new();
    for round in 0..5 {
        world.fill(1);
        world.copy().await;
        let records = [record(5000 + round)];
        world.target.append_records(TOPIC, 0, &BatchOptions::default(), &records).unwrap();
    }
    let report = world.equal(50).await;
    assert_eq!(report.totals.foreign, 5);
}

#[tokio::test(start_paused = true)]
async fn restarts_and_deaths_in_the_middle() {
    for pause in [0, 5, 40, 200] {
        let world = World::new();
        for round in 1..=6 {
            world.fill(30);
            let run = world.start(false);
            sleep(Duration::from_millis(pause)).await;
            if round % 2 == 0 { run.kill().await } else { run.stop().await }
        }
        // What the state knows by now is equal, whatever the deaths have left behind it.
        if let Ok(report) = world.verify().run().await {
            assert!(report.is_equal(), "{report:#?}");
        }
        world.copy().await;
        world.equal(6 * 30 * 10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn while_the_copy_runs() {
    let world = World::new();
    world.fill(20);
    world.source.commit_offset("mover", TOPIC, 0, 3, "");
    let run = world.start(false);
    world.copied(60).await;
    let mut compared = 0;
    for round in 0..20 {
        world.fill(10);
        world.source.commit_offset("mover", TOPIC, 0, 4 + round * 7, "");
        let report = world.report().await;
        assert!(report.is_equal(), "{report:#?}");
        compared += report.totals.records;
        sleep(Duration::from_millis(70)).await;
    }
    assert!(compared > 1000, "{compared}");
    run.stop().await;
    world.copy().await;
    world.equal(220 * u64::try_from(PER_BATCH).unwrap() * 2).await;
}

#[tokio::test(start_paused = true)]
async fn append_times_of_the_source_and_of_the_target() {
    let world = World::of(Release::V4_2, &[("message.timestamp.type", "LogAppendTime")]);
    let options =
        BatchOptions { log_append_time: Some(1_760_000_000_000), ..BatchOptions::default() };
    batch(&world, &options, 0, 20);
    world.copy().await;
    world.equal(20).await;
    let world = World::new();
    world.fill(2);
    world.target.create_topic(TOPIC, 2, &[("message.timestamp.type", "LogAppendTime")]).unwrap();
    world.copy().await;
    let report = world.report().await;
    assert_eq!(report.totals.differences(), 0, "{report:#?}");
    assert_eq!(report.totals.records, 20);
}

#[tokio::test(start_paused = true)]
async fn a_start_behind_history_and_an_end_behind_the_copy() {
    let mut world = World::new();
    world.spec.start = replicate::spec::StartPosition::Latest;
    world.fill(3);
    let run = world.start(false);
    sleep(Duration::from_secs(3)).await;
    world.fill(2);
    world.copied(10).await;
    run.stop().await;
    world.fill(4);
    let report = world.equal(20).await;
    assert_eq!((report.totals.offsets_before, report.totals.offsets_behind), (30, 40));
}

#[tokio::test(start_paused = true)]
async fn several_source_partitions_in_one() {
    let mut world = World::new();
    world.spec.same_partition = false;
    world.target.create_topic(TOPIC, 1, &[]).unwrap();
    world.target.deny("*", kafka_sim::Operation::Alter, kafka_sim::Resource::Topic(TOPIC.into()));
    world.fill(10);
    world.source.commit_offset("readers", TOPIC, 1, 7, "");
    world.source.commit_offset("good", "other", 0, 1, "");
    world.source.create_topic("other", 1, &[]).unwrap();
    world.source.append_records("other", 0, &BatchOptions::default(), &[record(0)]).unwrap();
    let _refused = world.start(true).task.await.unwrap();
    let report = world.report().await;
    assert_eq!((report.totals.differences(), report.totals.records), (0, 101), "{report:#?}");
    let groups = report.groups.as_ref().unwrap();
    assert_eq!((groups.off, groups.equal, groups.unknown), (0, 1, 1), "{report:#?}");
    // Each one's copies are the other's foreign records.
    assert!(report.totals.foreign >= 50, "{report:#?}");
    // The counts differ, as they were meant to.
    assert_eq!(report.topics[0].partition_counts, Some((2, 1)));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_was_made_anew_and_went_on() {
    let mut world = World::new();
    world.spec.source_policies.recreated = LossPolicy::Continue.into();
    world.fill(4);
    world.copy().await;
    world.source.delete_topic(TOPIC);
    world.source.create_topic(TOPIC, 2, &[]).unwrap();
    world.fill(6);
    world.copy().await;
    world.equal(60).await;
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_found_its_place_without_its_state() {
    let mut world = World::new();
    world.fill(10);
    world.copy().await;
    world.journal = MemoryJournal::new();
    world.fill(10);
    world.copy().await;
    let report = world.report().await;
    assert!(report.is_equal(), "{report:#?}");
    let totals = &report.totals;
    assert_eq!(totals.records + totals.offsets_before, 200, "{report:#?}");
    assert!(totals.records >= 100, "{report:#?}");
}

#[tokio::test(start_paused = true)]
async fn settings_that_may_not_be_read() {
    let world = World::new();
    world.fill(4);
    world.copy().await;
    world.target.deny(
        "*",
        kafka_sim::Operation::DescribeConfigs,
        kafka_sim::Resource::Topic(TOPIC.into()),
    );
    let report = world.report().await;
    assert_eq!((report.totals.differences(), report.totals.records), (0, 40), "{report:#?}");
    let errors: Vec<_> = report.errors().collect();
    assert!(errors.len() == 1 && errors[0].contains("settings on the target"), "{errors:?}");
    assert!(!report.is_equal());
    world.target.allow_all();
    world.target.delete_topic(TOPIC);
    let report = world.report().await;
    let errors: Vec<_> = report.errors().collect();
    assert!(errors.len() == 1 && errors[0].contains("no topic"), "{errors:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_state_of_these_clusters_is_said() {
    let world = World::new();
    let error = world.verify().run().await.unwrap_err();
    assert!(matches!(error, VerifyError::Empty(_)), "{error}");
    world.fill(1);
    world.copy().await;
    let mut verify = world.verify();
    std::mem::swap(&mut verify.source, &mut verify.target);
    let error = verify.run().await.unwrap_err();
    assert!(matches!(error, VerifyError::OtherCluster { .. }), "{error}");
    let mut verify = world.verify();
    verify.topics = replicate::spec::TopicSelection::Regex("other".parse().unwrap());
    let error = verify.run().await.unwrap_err();
    assert!(matches!(error, VerifyError::Empty(_)), "{error}");
    world.source.delete_topic(TOPIC);
    world.source.create_topic(TOPIC, 2, &[]).unwrap();
    let report = world.report().await;
    assert!(report.errors().any(|error| error.contains("created again")), "{report:#?}");
}
