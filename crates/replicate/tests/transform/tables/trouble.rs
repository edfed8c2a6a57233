//! What may be in the way of a table: it is waited for, told, and nothing is processed without it.

use std::time::Duration;

use kafka_sim::{Operation, Resource};
use kafka_wire::messages::ApiKey;
use replicate::event::{Event, Level};
use replicate::task::TaskError;
use tokio::time::sleep;

use super::{USERS, followed, is_unavailable, names, set, told, use_of, world};
use crate::world::{World, wait_for};

/// Nothing is made while the table cannot be read; it is told once, and goes on by itself.
async fn waits_for_it(world: &World, begin: impl Fn(&World), words: (&str, &str)) {
    use_of(world, 0, "a");
    let run = world.run(false);
    wait_for("it is told", || told(world, is_unavailable).len() == 1).await;
    sleep(Duration::from_secs(300)).await;
    assert!(names(world).is_empty());
    let events = told(world, is_unavailable);
    assert_eq!(events.len(), 1, "{events:?}");
    let event = &events[0];
    assert_eq!(event.level(), Level::Warn);
    assert!(event.to_string().contains(words.0), "{event}");
    assert!(event.cure().unwrap().contains(words.1), "{:?}", event.cure());
    begin(world);
    wait_for("it goes on", || names(world) == [(0, Some("Ann".to_owned()))]).await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_missing_is_waited_for() {
    let world = world("fail", "");
    assert!(world.source.delete_topic(USERS));
    let create = |world: &World| {
        world.source.create_topic(USERS, 2, &[]).unwrap();
        set(&world.source, "a", Some("Ann"));
    };
    waits_for_it(&world, create, ("topic users cannot be read", "create the topic users")).await;
}

#[tokio::test(start_paused = true)]
async fn rights_that_are_missing_are_waited_for() {
    for operation in [Operation::Read, Operation::Describe] {
        let world = world("fail", "");
        set(&world.source, "a", Some("Ann"));
        world.source.deny("*", operation, Resource::Topic(USERS.to_owned()));
        let words = ("cannot be read", "grant DESCRIBE and READ on");
        waits_for_it(&world, |world| world.source.allow_all(), words).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_to_end_does_not_wait_for_ever() {
    let world = world("fail", "");
    assert!(world.source.delete_topic(USERS));
    use_of(&world, 0, "a");
    let error = world.once().await.unwrap_err();
    let TaskError::Table { table, .. } = &error else { panic!("{error}") };
    assert_eq!(table, "users");
    assert!(error.to_string().contains("topic users on the source"), "{error}");
    assert!(error.cure().unwrap().contains("create the topic"));
    assert!(names(&world).is_empty());
    world.source.create_topic(USERS, 1, &[]).unwrap();
    set(&world.source, "b", Some("Bo"));
    let error = world.once().await.unwrap_err();
    assert!(matches!(error, TaskError::Record { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn brokers_that_are_away_are_told() {
    let world = world("null", "");
    set(&world.source, "a", Some("Ann"));
    let run = world.run(false);
    followed(&world, 1).await;
    let brokers = world.source.broker_ids();
    for broker in &brokers {
        world.source.pause_broker(*broker, true);
    }
    wait_for("it is told", || told(&world, is_unavailable).len() == 1).await;
    for broker in &brokers {
        world.source.pause_broker(*broker, false);
    }
    let is_read = |event: &Event| matches!(event, Event::TableRead { .. });
    wait_for("it goes on", || told(&world, is_read).len() == 2).await;
    set(&world.source, "b", Some("Bo"));
    followed(&world, 2).await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn too_many_rows_end_the_task() {
    let mut world = world("null", "");
    world.tables[0].bytes_max = 10_000;
    for key in 0..20 {
        set(&world.source, &format!("u{key}"), Some("Ann"));
    }
    use_of(&world, 0, "u1");
    let run = world.run(false);
    wait_for("it is made", || names(&world).len() == 1).await;
    // The same rows, again and again, take no more.
    for round in 0..500 {
        set(&world.source, &format!("u{}", round % 20), Some("Bob"));
    }
    sleep(Duration::from_secs(5)).await;
    assert!(!run.task.is_finished());
    for key in 20..500 {
        set(&world.source, &format!("u{key}"), Some("Ann"));
    }
    wait_for("the task ends", || run.task.is_finished()).await;
    let error = run.task.await.unwrap().unwrap_err();
    assert!(error.to_string().contains("more than 10000 bytes"), "{error}");
    assert!(error.cure().unwrap().contains("max_bytes"));
    // So it does while it begins.
    let error = world.once().await.unwrap_err();
    assert!(matches!(error, TaskError::Table { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_table_that_follows_asks_little() {
    let world = world("null", "");
    set(&world.source, "a", Some("Ann"));
    let run = world.run(false);
    followed(&world, 1).await;
    let asked = |world: &World| world.source.request_count(ApiKey::ListOffsets);
    let before = asked(&world);
    sleep(Duration::from_secs(60)).await;
    let brokers = u64::try_from(world.source.broker_ids().len()).unwrap();
    let per_minute = asked(&world) - before;
    assert!(per_minute <= 130 * brokers, "{per_minute}");
    run.stop().await;
}
