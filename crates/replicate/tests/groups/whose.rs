//! Groups that others use on the target, and what must not be taken for that.

use std::time::Duration;

use kafka_client::CoordinatorKind;
use kafka_sim::{Cluster, Fault, FaultAction, Release};
use kafka_wire::messages::{ApiKey, GroupId};
use replicate::event::{Event, TakeOver};
use replicate::progress::GroupState;

use crate::world::{Member, World, client, commit, text};

#[tokio::test(start_paused = true)]
async fn a_group_with_members_is_never_moved() {
    for release in [Release::V0_11, Release::V2_8, Release::V4_2] {
        let world = World::of(Release::V4_2, release);
        world.source.create_topic("a", 1, &[]).unwrap();
        world.write("a", 0, 0..10);
        commit(&world.source, "g", "a", 0, 3).await;
        commit(&world.source, "other", "a", 0, 3).await;
        let running = world.start();
        world.reaches("g", "a", 0, 3).await;
        let member = Member::join(&world.target, "g").await;
        commit(&world.source, "g", "a", 0, 6).await;
        world.event(|e| matches!(e, Event::GroupTakenOver { reason: TakeOver::Members, .. })).await;
        // It stops that group alone.
        commit(&world.source, "other", "a", 0, 8).await;
        world.reaches("other", "a", 0, 8).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(world.at_target("g", "a", 0), 3);
        running.becomes("g", GroupState::TakenOver).await;
        // It moved nothing, so it gives the group back.
        member.leave().await;
        world.reaches("g", "a", 0, 6).await;
        running.stop().await;
        let events = world.take_events();
        let taken = |e: &&Event| matches!(e, Event::GroupTakenOver { .. });
        assert_eq!(events.iter().filter(taken).count(), 1, "{release}: told once");
        assert!(events.iter().any(|e| matches!(e, Event::GroupReturned { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_was_moved_by_hand_stays_taken_over() {
    let world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 0, 0..10);
    commit(&world.source, "g", "a", 0, 3).await;
    let running = world.start();
    world.reaches("g", "a", 0, 3).await;
    commit(&world.target, "g", "a", 0, 1).await;
    let moved = |e: &Event| {
        matches!(e, Event::GroupTakenOver { reason: TakeOver::Moved, written: 3, found: 1, .. })
    };
    world.event(moved).await;
    commit(&world.source, "g", "a", 0, 9).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(world.at_target("g", "a", 0), 1);
    // A restart neither forgets nor tells it again.
    running.stop().await;
    let running = world.start();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(world.at_target("g", "a", 0), 1);
    running.becomes("g", GroupState::TakenOver).await;
    assert_eq!(world.take_events().iter().filter(|event| moved(event)).count(), 1);
    // Put back by hand, it is followed again.
    commit(&world.target, "g", "a", 0, 3).await;
    world.reaches("g", "a", 0, 9).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_and_a_kill_are_not_taken_for_somebody_else() {
    let world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 0, 0..100);
    commit(&world.source, "g", "a", 0, 1).await;
    let mut running = world.start();
    world.reaches("g", "a", 0, 1).await;
    for offset in 2..30 {
        if offset % 3 == 0 {
            world.target.add_fault(Fault::once(ApiKey::OffsetCommit, FaultAction::LoseAnswer));
        }
        commit(&world.source, "g", "a", 0, offset).await;
        world.reaches("g", "a", 0, offset).await;
        if offset % 4 == 0 {
            // Right after the target took it, at some point of the look.
            running.kill().await;
            running = world.start();
        }
    }
    running.stop().await;
    let events = world.take_events();
    let taken = |e: &&Event| matches!(e, Event::GroupTakenOver { .. } | Event::GroupAdopted { .. });
    assert_eq!(events.iter().find(taken), None);
}

#[tokio::test(start_paused = true)]
async fn unchanged_offsets_are_kept_alive() {
    let mut world = World::new();
    world.spec.limits.group_keep_alive = Duration::from_secs(3600);
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 0, 0..10);
    commit(&world.source, "g", "a", 0, 3).await;
    let running = world.start();
    world.reaches("g", "a", 0, 3).await;
    let written = |world: &World| world.target.committed_offset("g", "a", 0).unwrap().committed_ms;
    let first = written(&world);
    tokio::time::sleep(Duration::from_secs(3500)).await;
    assert_eq!(written(&world), first);
    tokio::time::sleep(Duration::from_secs(200)).await;
    let second = written(&world);
    assert!(second - first >= 3_600_000, "{}", second - first);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_group_is_told_once_and_kept() {
    let world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 0, 0..10);
    commit(&world.source, "g", "a", 0, 3).await;
    let running = world.start();
    world.reaches("g", "a", 0, 3).await;
    delete(&world.source, "g").await;
    world.event(|e| matches!(e, Event::GroupDeleted { .. })).await;
    running.stop().await;
    let running = world.start();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(world.at_target("g", "a", 0), 3);
    let deleted = |e: &&Event| matches!(e, Event::GroupDeleted { .. });
    assert_eq!(world.take_events().iter().filter(deleted).count(), 1);
    // Made again on the source, also further back, it is followed.
    commit(&world.source, "g", "a", 0, 1).await;
    world.reaches("g", "a", 0, 1).await;
    running.stop().await;
}

async fn delete(cluster: &Cluster, group: &str) {
    let client = client(cluster);
    let connection = client.coordinator(CoordinatorKind::Group, group).await.unwrap();
    let request = kafka_wire::messages::DeleteGroupsRequest::default()
        .with_groups_names(vec![GroupId(text(group))]);
    assert_eq!(connection.call(request).await.unwrap().results[0].error_code, 0);
}
