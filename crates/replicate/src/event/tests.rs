use super::*;

fn task() -> TaskName {
    "orders".parse().unwrap()
}

#[track_caller]
fn check(event: &Event, level: Level, text: &str, json: &str) {
    assert_eq!(event.to_string(), text);
    assert_eq!(event.level(), level);
    assert_eq!(serde_json::to_string(event).unwrap(), json);
    assert_eq!(event.task().as_str(), "orders");
}

#[test]
fn a_created_topic_is_information() {
    let event = Event::TopicCreated {
        task: task(),
        topic: "a".into(),
        target_topic: "a".into(),
        partition_count: 3,
        replication_factor: -1,
    };
    check(
        &event,
        Level::Info,
        "topic a created with 3 partitions, the target's default of replicas",
        r#"{"event":"topic_created","task":"orders","topic":"a","target_topic":"a","partition_count":3,"replication_factor":-1}"#,
    );
    assert_eq!(event.cure(), None);
}

#[test]
fn a_skipped_topic_names_reason_and_cure() {
    let reason =
        SkipReason::TooFewPartitions { source_count: 4, target_count: 2, cause: "no API".into() };
    let event =
        Event::TopicSkipped { task: task(), topic: "a".into(), target_topic: "a".into(), reason };
    check(
        &event,
        Level::Error,
        "topic a is not copied: it has 4 partitions, the target 2, and cannot grow: no API",
        r#"{"event":"topic_skipped","task":"orders","topic":"a","target_topic":"a","reason":"too_few_partitions","source_count":4,"target_count":2,"cause":"no API"}"#,
    );
    assert!(event.cure().unwrap().contains("--same-partition false"));
}

#[test]
fn a_lost_range_names_first_and_last_offset() {
    let event = Event::RetentionOvertook {
        task: task(),
        topic: "a".into(),
        partition: 1,
        lost: 5..10,
        action: "went on",
    };
    check(
        &event,
        Level::Error,
        "a-1: the source deleted offsets 5 to 9 (5 at most) before they were copied: went on",
        r#"{"event":"retention_overtook","task":"orders","topic":"a","partition":1,"lost":{"first":5,"last":9,"count":5},"action":"went on"}"#,
    );
}

/// Operators look events up by their names.
#[test]
fn every_event_is_in_the_documentation() {
    let (code, page) = (include_str!("../event.rs"), include_str!("../../../../docs/events.md"));
    let (_, variants) = code.split_once("pub enum Event {").unwrap();
    let mut count = 0;
    for name in variants.lines().take_while(|line| *line != "}") {
        let name = name.strip_prefix("    ").and_then(|line| line.strip_suffix(" {"));
        let Some(name) = name.filter(|name| name.starts_with(char::is_uppercase)) else { continue };
        let mut snake = String::new();
        for char in name.chars() {
            if char.is_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.extend(char.to_lowercase());
        }
        assert!(page.contains(&format!("| `{snake}` |")), "{snake}");
        count += 1;
    }
    assert!(count > 40, "{count}");
}
