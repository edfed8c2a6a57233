//! Offsets follow the source, exactly.

use std::time::Duration;

use kafka_client::{CoordinatorKind, OffsetToCommit, TopicPartition};
use kafka_sim::{Cluster, Release};
use kafka_wire::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequest, TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_wire::messages::{
    AddOffsetsToTxnRequest, ApiKey, EndTxnRequest, GroupId, ProducerId, TopicName, TransactionalId,
};
use kafka_wire::record::BatchOptions;
use replicate::event::Event;
use replicate::journal::MemoryJournal;
use replicate::progress::GroupState;
use replicate::spec::StartPosition;

use crate::world::{World, client, commit, commit_with, text, value_at, write};

#[tokio::test(start_paused = true)]
async fn offsets_follow_between_all_releases() {
    for source in Release::ALL {
        for target in [Release::V0_11, Release::V2_8, Release::V4_2] {
            let world = World::of(source, target);
            world.source.create_topic("a", 2, &[]).unwrap();
            world.write("a", 0, 0..10);
            world.write("a", 1, 0..10);
            commit_with(&world.source, "g", "a", 0, 4, Some("note")).await;
            commit(&world.source, "g", "a", 1, 10).await;
            let running = world.start();
            world.reaches("g", "a", 0, 4).await;
            world.reaches("g", "a", 1, 10).await;
            let found = world.target.committed_offset("g", "a", 0).unwrap();
            assert_eq!((found.leader_epoch, found.metadata.as_str()), (-1, "note"), "{target}");
            commit(&world.source, "g", "a", 0, 7).await;
            world.reaches("g", "a", 0, 7).await;
            // Back again, and with another text alone.
            commit(&world.source, "g", "a", 0, 2).await;
            world.reaches("g", "a", 0, 2).await;
            commit_with(&world.source, "g", "a", 0, 2, Some("other")).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            assert_eq!(world.target.committed_offset("g", "a", 0).unwrap().metadata, "other");
            running.becomes("g", GroupState::Synced).await;
            running.stop().await;
            let events = world.take_events();
            let told = |test: fn(&Event) -> bool| events.iter().filter(|e| test(e)).count();
            assert_eq!(told(|e| matches!(e, Event::GroupRewound { from: 7, to: 2, .. })), 1);
            assert_eq!(told(|e| matches!(e, Event::GroupCreated { partition_count: 2, .. })), 1);
        }
    }
}

/// Aborted transactions, compaction, another writer on the target, and a kill in between: each offset lands on the
/// record with the same value.
#[tokio::test(start_paused = true)]
async fn every_offset_lands_on_its_record_with_gaps_and_strangers() {
    for is_killed in [false, true] {
        let mut world = World::new();
        world.spec.limits.map_segments_max = 4;
        world.source.create_topic("a", 1, &[]).unwrap();
        let writes = |from: i64| {
            for round in from..from + 20 {
                let value = round * 10;
                if round % 3 == 0 {
                    let options = BatchOptions {
                        producer_id: 77,
                        producer_epoch: 0,
                        base_sequence: i32::try_from(round / 3 * 5).unwrap(),
                        transactional: true,
                        ..BatchOptions::default()
                    };
                    write(&world.source, "a", 0, value..value + 5, &options);
                    let commits = round % 2 == 0;
                    world.source.write_marker("a", 0, 77, 0, commits).unwrap();
                } else {
                    world.write("a", 0, value..value + 5);
                }
            }
        };
        writes(0);
        let running = world.start();
        let stranger = |count: i64| {
            write(&world.target, "a", 0, 90_000..90_000 + count, &BatchOptions::default())
        };
        let copied = |values: i64| {
            let records = world.target.records("a", 0).unwrap_or_default();
            let ours =
                records.iter().filter(|record| !record.key.as_ref().unwrap().starts_with(b"k9000"));
            i64::try_from(ours.count()).unwrap() >= values
        };
        while world.target.topics().is_empty() || !copied(1) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stranger(3);
        let running = if is_killed {
            running.kill().await;
            stranger(1);
            world.start()
        } else {
            running
        };
        writes(20);
        stranger(2);
        let end = world.source.end_offset("a", 0).unwrap();
        let committed: Vec<_> = {
            let records = world.source.records("a", 0).unwrap();
            let aborted = |value: i64| value / 10 % 6 == 3;
            records
                .into_iter()
                .filter(|record| {
                    let key = String::from_utf8(record.key.clone().unwrap().to_vec()).unwrap();
                    !aborted(key[1..].parse().unwrap())
                })
                .collect()
        };
        for offset in 0..=end {
            commit(&world.source, &format!("g{offset}"), "a", 0, offset).await;
        }
        let mut waits_left = 600;
        for offset in 0..=end {
            let group = format!("g{offset}");
            let expected = committed
                .iter()
                .find(|record| record.offset >= offset)
                .map(|record| String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap());
            running.becomes(&group, GroupState::Synced).await;
            let at_target = || value_at(&world.target, "a", 0, world.at_target(&group, "a", 0));
            let mut found = at_target();
            // At the end of what is copied until more is: behind a kill that is half a minute, for old records.
            while expected.is_some() && found.is_none() && waits_left > 0 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                waits_left -= 1;
                found = at_target();
            }
            if expected.is_some() {
                assert_eq!(found, expected, "source offset {offset}, killed {is_killed}");
            } else {
                // Behind the last record: only strangers may follow.
                let is_stranger = found.as_ref().is_none_or(|value| value.starts_with("a-0-9000"));
                assert!(
                    is_stranger,
                    "offset {offset}: {} is {found:?}",
                    world.at_target(&group, "a", 0)
                );
            }
        }
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_offset_beyond_the_copy_is_held() {
    let world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 0, 0..10);
    commit(&world.source, "g", "a", 0, 5).await;
    let running = world.start();
    world.reaches("g", "a", 0, 5).await;
    commit(&world.source, "g", "a", 0, 15).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(world.at_target("g", "a", 0), 5);
    running.becomes("g", GroupState::Held).await;
    // The group runs ahead of the copy all the time: it is followed one step behind.
    world.write("a", 0, 10..16);
    commit(&world.source, "g", "a", 0, 30).await;
    world.reaches("g", "a", 0, 15).await;
    running.becomes("g", GroupState::Held).await;
    world.write("a", 0, 16..40);
    world.reaches("g", "a", 0, 30).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_group_before_the_copied_range_maps_to_the_first_copied_record() {
    let mut world = World::new();
    world.spec.start = StartPosition::Latest;
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 0, 0..10);
    commit(&world.source, "g", "a", 0, 3).await;
    let running = world.start();
    // Nothing is copied yet: the first record will be at the target's end.
    world.reaches("g", "a", 0, 0).await;
    world.write("a", 0, 10..20);
    commit(&world.source, "g", "a", 0, 14).await;
    world.reaches("g", "a", 0, 4).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_was_made_again_reports_groups_before_its_map() {
    let mut world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 0, 0..10);
    commit(&world.source, "g", "a", 0, 3).await;
    world.once().await;
    assert_eq!(world.at_target("g", "a", 0), 3);
    world.take_events();
    // The state is lost, and with it the map.
    world.journal = MemoryJournal::new();
    world.spec.start = StartPosition::Latest;
    commit(&world.source, "g", "a", 0, 5).await;
    let running = world.start();
    world
        .event(|event| matches!(event, Event::GroupBeforeMap { offset: 5, valid_from: 10, .. }))
        .await;
    running.becomes("g", GroupState::Unknown).await;
    assert_eq!(world.at_target("g", "a", 0), 3, "nothing is guessed");
    // Once it has read up to the known range it is exact again, and the former task's commit is no obstacle.
    world.write("a", 0, 10..20);
    commit(&world.source, "g", "a", 0, 12).await;
    running.becomes("g", GroupState::Synced).await;
    let found = world.at_target("g", "a", 0);
    assert_eq!(value_at(&world.target, "a", 0, found).as_deref(), Some("a-0-12"));
    running.stop().await;
    let events = world.take_events();
    let started =
        |e: &&Event| matches!(e, Event::GroupMapStarted { offset: 10, target_offset: 10, .. });
    assert_eq!(events.iter().filter(started).count(), 1);
    let before = |e: &&Event| matches!(e, Event::GroupBeforeMap { .. });
    assert_eq!(events.iter().filter(before).count(), 1);
    let adopted = |e: &&Event| matches!(e, Event::GroupAdopted { former_offset: 3, .. });
    assert_eq!(events.iter().filter(adopted).count(), 1, "{events:#?}");
}

/// An open transaction is about to commit another offset: the former one stands until it ends (BF-36).
#[tokio::test(start_paused = true)]
async fn pending_transactional_commits_are_waited_for() {
    let world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 0, 0..10);
    commit(&world.source, "g", "a", 0, 3).await;
    let running = world.start();
    world.reaches("g", "a", 0, 3).await;
    let admin = client(&world.source);
    let timeout = Duration::from_secs(60);
    let producer = admin.init_producer_id(Some("app"), timeout).await.unwrap();
    let coordinator = admin.coordinator(CoordinatorKind::Transaction, "app").await.unwrap();
    let add = AddOffsetsToTxnRequest::default()
        .with_transactional_id(TransactionalId(text("app")))
        .with_producer_id(ProducerId(producer.producer_id))
        .with_producer_epoch(producer.producer_epoch)
        .with_group_id(GroupId(text("g")));
    assert_eq!(coordinator.call(add).await.unwrap().error_code, 0);
    let partition =
        TxnOffsetCommitRequestPartition::default().with_partition_index(0).with_committed_offset(8);
    let topic = TxnOffsetCommitRequestTopic::default()
        .with_name(TopicName(text("a")))
        .with_partitions(vec![partition]);
    let pending = TxnOffsetCommitRequest::default()
        .with_transactional_id(TransactionalId(text("app")))
        .with_group_id(GroupId(text("g")))
        .with_producer_id(ProducerId(producer.producer_id))
        .with_producer_epoch(producer.producer_epoch)
        .with_generation_id(-1)
        .with_topics(vec![topic]);
    let group = admin.coordinator(CoordinatorKind::Group, "g").await.unwrap();
    let answer = group.call(pending).await.unwrap();
    assert_eq!(answer.topics[0].partitions[0].error_code, 0);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(world.at_target("g", "a", 0), 3);
    running.becomes("g", GroupState::Synced).await;
    let end = EndTxnRequest::default()
        .with_transactional_id(TransactionalId(text("app")))
        .with_producer_id(ProducerId(producer.producer_id))
        .with_producer_epoch(producer.producer_epoch)
        .with_committed(true);
    assert_eq!(coordinator.call(end).await.unwrap().error_code, 0);
    world.reaches("g", "a", 0, 8).await;
    running.stop().await;
}

/// A thousand groups cost a few requests per look.
#[tokio::test(start_paused = true)]
async fn many_groups_are_followed_without_a_storm() {
    let world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    for value in 0..10 {
        world.write("a", 0, value * 100..value * 100 + 100);
    }
    let admin = client(&world.source);
    for group in 0..1000 {
        let at = TopicPartition::new("a", 0);
        let offset = OffsetToCommit { at, offset: group, metadata: None };
        admin.offset_commit(&format!("g{group}"), vec![offset]).await.unwrap();
    }
    let running = world.start();
    for group in 0..1000 {
        world.reaches(&format!("g{group}"), "a", 0, group).await;
    }
    let apis = [
        ApiKey::ListGroups,
        ApiKey::DescribeGroups,
        ApiKey::FindCoordinator,
        ApiKey::OffsetFetch,
        ApiKey::OffsetCommit,
    ];
    let counts = |cluster: &Cluster| apis.map(|api| cluster.request_count(api));
    let (source, target) = (counts(&world.source), counts(&world.target));
    // One commit per group, and one of -1 before it where its records were not there yet.
    assert!((1000..=2000).contains(&target[4]), "{target:?}");
    tokio::time::sleep(Duration::from_secs(100)).await;
    let since =
        |now: [u64; 5], before: [u64; 5]| [0, 1, 2, 3, 4].map(|index| now[index] - before[index]);
    // 200 looks at two brokers with 500 groups each, and 10 at the target.
    let at_source = since(counts(&world.source), source);
    let at_target = since(counts(&world.target), target);
    assert_eq!((at_source[1], at_source[2], at_source[4]), (0, 0, 0), "{at_source:?}");
    assert!(at_source[0] <= 2 * 201 && at_source[3] <= 6 * 201, "{at_source:?}");
    assert_eq!((at_target[1], at_target[2], at_target[4]), (0, 0, 0), "{at_target:?}");
    assert!(at_target[0] <= 2 * 11 && at_target[3] <= 6 * 11, "{at_target:?}");
    running.stop().await;
}
