//! A source that is not what was read any more.

use replicate::event::Event;
use replicate::spec::{LossPolicy, SourcePolicies};

use crate::world::{IN, World, rule, wait_for};

fn losses(world: &World) -> Vec<(&'static str, i64, i64)> {
    let loss = |event: &Event| match event {
        Event::Truncated { lost, .. } => Some(("truncated", lost.start, lost.end)),
        Event::RetentionOvertook { lost, .. } => Some(("retention", lost.start, lost.end)),
        Event::TopicRecreated { .. } => Some(("recreated", 0, 0)),
        _ => None,
    };
    world.events().iter().filter_map(loss).collect()
}

fn ids(world: &World) -> Vec<i64> {
    world.made().concat().iter().map(|one| one.id).collect()
}

fn all_go_on() -> SourcePolicies {
    SourcePolicies {
        retention: LossPolicy::Continue,
        truncation: LossPolicy::Continue,
        recreated: LossPolicy::Continue.into(),
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_source_lost_is_told_and_the_new_records_follow() {
    let mut world = World::new(rule(""), 1);
    world.policies = all_go_on();
    for _ in 0..10 {
        world.append(0, 1);
    }
    let run = world.run(false);
    wait_for("all is made", || ids(&world).len() == 10).await;
    world.source.truncate(IN, 0, 6).unwrap();
    for _ in 0..4 {
        world.append(0, 1);
    }
    wait_for("the new ones follow", || ids(&world).len() == 14).await;
    run.stop().await;
    assert_eq!(ids(&world), (0..14).collect::<Vec<_>>());
    assert_eq!(losses(&world), [("truncated", 6, 10)]);
}

#[tokio::test(start_paused = true)]
async fn another_topic_of_the_name_follows_also_after_a_death() {
    let mut world = World::new(rule(""), 1);
    world.policies = all_go_on();
    world.append(0, 10);
    let run = world.run(false);
    wait_for("all is made", || ids(&world).len() == 10).await;
    assert!(world.source.delete_topic(IN));
    world.source.create_topic(IN, 1, &[]).unwrap();
    world.append(0, 3);
    wait_for("the new ones follow", || ids(&world).len() == 13).await;
    run.kill().await;
    world.append(0, 3);
    // Offsets that the former topic had are new ones now.
    world.once().await.unwrap();
    assert_eq!(ids(&world), (0..16).collect::<Vec<_>>());
    assert_eq!(losses(&world), [("recreated", 0, 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_truncated_source_stops_its_partition() {
    let mut world = World::new(rule(""), 1);
    world.append(0, 1);
    world.append(0, 1);
    world.once().await.unwrap();
    world.source.truncate(IN, 0, 1).unwrap();
    let report = world.once().await.unwrap();
    assert_eq!(report.stopped, 1);
    assert_eq!(losses(&world), [("truncated", 1, 2)]);
}
