//! What becomes of records that fail.

use replicate::event::Event;
use replicate::task::TaskError;

use crate::world::{DEAD, DLQ, OUT, World, rule, wait_for};

fn with_poison(rule: String) -> World {
    let mut world = World::new(rule, 2);
    world.append(0, 5);
    world.append_poison(0, 2);
    world.append(0, 5);
    world.append_poison(1, 1);
    world.append(1, 4);
    world
}

#[tokio::test(start_paused = true)]
async fn failed_records_are_left_out_and_told_once_a_minute() {
    let world = with_poison(rule(", failure: {policy: discard}"));
    let report = world.once().await.unwrap();
    world.check("left out");
    let partitions = &report.progress.topics[0].partitions;
    let failed: Vec<u64> = partitions.iter().map(|one| one.records_failed).collect();
    assert_eq!(failed, [2, 1]);
    assert_eq!(partitions[0].drop_reasons.get("discarded"), Some(&2));
    let is_told = |event: &&Event| matches!(event, Event::RecordFailed { .. });
    let told: Vec<Event> = world.events().iter().filter(is_told).cloned().collect();
    // One per worker at most.
    assert!((1..=2).contains(&told.len()), "{told:?}");
    let Event::RecordFailed { code, step, action, .. } = &told[0] else { unreachable!() };
    assert_eq!(
        (*code, step.as_str(), *action),
        ("json_syntax", "chains[0].analyse", "it was left out")
    );
}

#[tokio::test(start_paused = true)]
async fn failed_records_go_to_a_topic_of_their_own() {
    let world = with_poison(rule(DLQ));
    let report = world.once().await.unwrap();
    assert!(report.is_complete());
    world.check("dead letters");
    assert_eq!(world.dead_letters().len(), 3);
    let dead: u64 = report.progress.topics[0].partitions.iter().map(|one| one.dead_letters).sum();
    assert_eq!(dead, 3);
    let record = &world.records(DEAD).concat()[0];
    let reason =
        record.headers.iter().find(|header| header.key == "__connect.errors.exception.class.name");
    assert_eq!(reason.unwrap().value.as_deref(), Some(&b"json_syntax"[..]));
}

#[tokio::test(start_paused = true)]
async fn the_task_ends_at_the_record_and_begins_there_again() {
    let mut world = with_poison(rule(""));
    // The other partition has no poison before the end is told.
    let error = world.once().await.unwrap_err();
    let TaskError::Record { topic, partition, offset, cause } = &error else { panic!("{error}") };
    assert_eq!(topic, "in");
    assert!(cause.contains("chains[0].analyse") && cause.contains("json_syntax"), "{cause}");
    assert!(matches!((partition, offset), (0, 5) | (1, 0)), "{error}");
    assert!(error.cure().unwrap().contains("begins at this record"));
    // A second run meets a poison record again; nothing is written twice meanwhile.
    assert!(matches!(world.once().await.unwrap_err(), TaskError::Record { .. }));
    let mut made: Vec<_> = world.made().into_iter().flatten().collect();
    let before = made.len();
    made.dedup();
    assert_eq!(made.len(), before);
    // With another policy it goes on.
    world.rule = rule(", failure: {policy: discard}");
    world.once().await.unwrap();
    world.check("went on");
}

#[tokio::test(start_paused = true)]
async fn all_before_the_record_is_written_when_the_task_ends() {
    let mut world = World::new(rule(""), 1);
    world.append(0, 40);
    world.append_values(
        0,
        &[r#"{"id":40}"#.to_owned(), "poison".to_owned(), r#"{"id":42}"#.to_owned()],
    );
    let error = world.once().await.unwrap_err();
    assert!(matches!(error, TaskError::Record { partition: 0, offset: 41, .. }), "{error}");
    assert_eq!(world.made()[0].len(), 41);
    let failed = world.events().into_iter().any(|event| matches!(event, Event::TaskFailed { .. }));
    assert!(failed);
}

#[tokio::test(start_paused = true)]
async fn failed_records_pass_as_they_came() {
    let world = with_poison(rule(", failure: {policy: pass_raw}"));
    world.once().await.unwrap();
    let records = world.records(OUT).concat();
    let raw: Vec<_> = records.iter().filter(|record| !record.headers.is_empty()).collect();
    assert_eq!(raw.len(), 3);
    for record in raw {
        assert!(record.value.as_ref().unwrap().starts_with(b"poison"));
        assert_eq!(record.headers[0].key, "__etl.error");
        assert_eq!(record.headers[0].value.as_deref(), Some(&b"json_syntax"[..]));
    }
    assert_eq!(records.len(), 17);
}

#[tokio::test(start_paused = true)]
async fn records_that_the_target_would_refuse_are_failures_of_their_own() {
    let mut world = World::new(rule(DLQ), 1);
    world.target.create_topic(OUT, 1, &[("max.message.bytes", "1000")]).unwrap();
    world.append(0, 3);
    world.append_values(0, &[format!(r#"{{"id":3,"text":"poison {}"}}"#, "x".repeat(2000))]);
    world.append(0, 3);
    world.once().await.unwrap();
    assert_eq!(world.made()[0].len(), 6);
    let dead = world.records(DEAD).concat();
    assert_eq!(dead.len(), 1);
    let reason =
        dead[0].headers.iter().find(|header| header.key == "__connect.errors.exception.class.name");
    assert_eq!(reason.unwrap().value.as_deref(), Some(&b"record_too_large"[..]));
}

#[tokio::test(start_paused = true)]
async fn a_missing_topic_for_dead_letters_is_waited_for() {
    let mut world = with_poison(rule(DLQ));
    world.may_create = false;
    let run = world.run(false);
    let is_told = |event: &Event| matches!(event, Event::OutputTopicUnavailable { .. });
    wait_for("it is told", || world.events().iter().any(is_told)).await;
    assert!(world.dead_letters().is_empty());
    world.target.create_topic(DEAD, 1, &[]).unwrap();
    let (expected, _) = world.expected();
    wait_for("it goes on", || world.made().concat().len() == expected.len()).await;
    wait_for("dead letters come", || world.dead_letters().len() == 3).await;
    run.stop().await;
    world.check("went on");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_to_end_does_not_wait_for_a_topic_for_ever() {
    let mut world = with_poison(rule(DLQ));
    world.may_create = false;
    let report = world.once().await.unwrap();
    assert_eq!((report.stopped, report.is_complete()), (2, false));
    assert!(world.events().iter().any(|event| matches!(event, Event::LaneStopped { .. })));
    // Nothing is lost by it.
    world.target.create_topic(DEAD, 1, &[]).unwrap();
    world.once().await.unwrap();
    world.check("went on");
}
