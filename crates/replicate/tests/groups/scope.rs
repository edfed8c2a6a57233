//! Which groups and topics are touched, and which are refused or skipped.

use std::time::Duration;

use kafka_sim::{Operation, Release, Resource};
use replicate::event::Event;
use replicate::progress::GroupState;
use replicate::spec::{SyncMode, TopicSelection};

use crate::world::{World, commit, commit_with};

#[tokio::test(start_paused = true)]
async fn out_of_scope_topics_are_ignored_and_long_names_follow() {
    let world = World::new();
    let long = "x".repeat(140);
    world.source.create_topic(&long, 1, &[]).unwrap();
    world.source.create_topic("__internal", 1, &[]).unwrap();
    world.write(&long, 0, 0..10);
    commit(&world.source, "g", &long, 0, 4).await;
    commit(&world.source, "g", "__internal", 0, 0).await;
    commit(&world.source, "inside", "__internal", 0, 0).await;
    let running = world.start();
    world.reaches("g", &long[..128], 0, 4).await;
    assert_eq!(running.state("inside"), None);
    assert_eq!(world.at_target("inside", "__internal", 0), -1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn fan_in_is_refused_loudly() {
    let mut world = World::of(Release::V4_2, Release::V0_11);
    world.spec.same_partition = false;
    world.source.create_topic("a", 4, &[]).unwrap();
    world.source.create_topic("b", 1, &[]).unwrap();
    world.target.create_topic("a", 2, &[]).unwrap();
    world.write("a", 3, 0..10);
    world.write("b", 0, 0..10);
    commit(&world.source, "g", "a", 3, 4).await;
    commit(&world.source, "h", "b", 0, 4).await;
    let running = world.start();
    world.reaches("h", "b", 0, 4).await;
    let refused =
        |e: &Event| matches!(e, Event::GroupTopicRefused { source_count: 4, target_count: 2, .. });
    world.event(refused).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    running.becomes("g", GroupState::Refused).await;
    assert_eq!(world.at_target("g", "a", 1), -1);
    running.stop().await;
    assert_eq!(world.take_events().iter().filter(|event| refused(event)).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_look_of_a_once_task_comes_after_the_copy() {
    let mut world = World::new();
    world.spec.limits.group_interval = Duration::from_secs(3600);
    world.source.create_topic("a", 1, &[]).unwrap();
    for value in 0..200 {
        world.write("a", 0, value..value + 1);
    }
    commit(&world.source, "g", "a", 0, 200).await;
    let report = world.once().await;
    assert_eq!(world.at_target("g", "a", 0), 200);
    assert_eq!(report.progress.groups[0].state, GroupState::Synced);
    assert!(report.is_complete());

    // Beyond all that was copied: held, and that is no success.
    commit(&world.source, "g", "a", 0, 300).await;
    let report = world.once().await;
    assert_eq!(report.progress.groups[0].state, GroupState::Held);
    assert!(!report.is_complete());
    assert_eq!(report.progress.unfinished_groups().count(), 1);
}

#[tokio::test(start_paused = true)]
async fn structure_alone_is_made_known_and_existing_groups_are_left_alone() {
    for (sync, offsets) in [(SyncMode::Metadata, [-1, 2]), (SyncMode::MetadataData, [-1, 2])] {
        let mut world = World::new();
        world.spec.sync = sync;
        world.source.create_topic("a", 2, &[]).unwrap();
        world.target.create_topic("a", 2, &[]).unwrap();
        world.write("a", 0, 0..10);
        for group in ["new", "there"] {
            commit(&world.source, group, "a", 0, 4).await;
        }
        commit(&world.target, "there", "a", 0, 2).await;
        world.once().await;
        let made = world.target.committed_offset("new", "a", 0).map(|found| found.offset);
        assert_eq!(made, Some(offsets[0]), "{sync}");
        assert_eq!(world.at_target("there", "a", 0), offsets[1]);
        assert_eq!(world.target.committed_offset("new", "a", 1), None);
        let created = |e: &&Event| matches!(e, Event::GroupCreated { group, .. } if group == "new");
        assert_eq!(world.take_events().iter().filter(created).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn groups_that_may_not_be_made_are_skipped_with_one_event() {
    // Without DESCRIBE a broker does not tell who coordinates a group; with it, the commit is what is refused.
    let denied = [&[][..], &[Operation::Read], &[Operation::Read, Operation::Describe]];
    for sync in [SyncMode::MetadataData, SyncMode::MetadataDataOffsets] {
        for operations in denied {
            let mut world = World::new();
            world.spec.sync = sync;
            world.spec.limits.metadata_interval = Duration::from_secs(5);
            world.spec.group_auto_create = !operations.is_empty();
            world.source.create_topic("a", 1, &[]).unwrap();
            world.write("a", 0, 0..10);
            for group in ["g1", "g2"] {
                for operation in operations {
                    let resource = Resource::Group(group.to_owned());
                    world.target.deny("ANONYMOUS", *operation, resource);
                }
                commit(&world.source, group, "a", 0, 4).await;
            }
            let running = world.start();
            world.event(|e| matches!(e, Event::GroupsSkipped { count: 2, .. })).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
            running.stop().await;
            assert_eq!(world.target.committed_offset("g1", "a", 0), None);
            let events = world.take_events();
            let told =
                |e: &&Event| matches!(e, Event::GroupsSkipped { .. } | Event::GroupRefused { .. });
            assert_eq!(events.iter().filter(told).count(), 1, "{events:#?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pattern_touches_no_groups() {
    let mut world = World::new();
    world.spec.sync = SyncMode::MetadataData;
    world.spec.topics = TopicSelection::Regex("a".parse().unwrap());
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 0, 0..10);
    commit(&world.source, "g", "a", 0, 4).await;
    world.once().await;
    assert_eq!(world.target.committed_offset("g", "a", 0), None);
}

#[tokio::test(start_paused = true)]
async fn a_text_too_long_for_the_target_stops_that_group_alone() {
    let world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 0, 0..10);
    commit_with(&world.source, "g", "a", 0, 4, Some("m")).await;
    commit(&world.source, "h", "a", 0, 4).await;
    world.target.deny("ANONYMOUS", Operation::Read, Resource::Group("g".to_owned()));
    world.target.create_topic("a", 1, &[]).unwrap();
    commit(&world.target, "h", "a", 0, 0).await;
    let running = world.start();
    world.reaches("h", "a", 0, 4).await;
    world.event(|e| matches!(e, Event::GroupsSkipped { .. })).await;
    // Allowed later, it follows by itself.
    world.target.allow_all();
    world.reaches("g", "a", 0, 4).await;
    running.stop().await;
}
