//! Lookup tables that follow a topic.

mod changed;
mod trouble;

use bytes::Bytes;
use kafka_sim::Cluster;
use kafka_wire::messages::ApiKey;
use kafka_wire::record::{BatchOptions, Record};
use replicate::event::Event;
use replicate::progress::TableProgress;
use replicate::spec::{TABLE_BYTES_MAX, TableTopic};
use replicate::task::Role;

use crate::world::{IN, OUT, World, wait_for};

const USERS: &str = "users";

/// A rule that gives each record the name of its user.
fn rule(on_missing: &str, more: &str) -> String {
    format!(
        "{{apiVersion: etl/v1, kind: EtlTemplate, spec: {{chains: [{{analyse: {{mode: json}}}}, \
         {{kind: lookup, table: users, key: user, fields: [name], on_missing: {on_missing}}}], \
         metadata_fields: {{keep: true}}{more}}}}}"
    )
}

fn users(from: Role) -> TableTopic {
    TableTopic {
        table: "users".to_owned(),
        topic: USERS.to_owned(),
        from,
        bytes_max: TABLE_BYTES_MAX,
    }
}

/// A world with a table of two partitions.
fn world(on_missing: &str, more: &str) -> World {
    let mut world = World::new(rule(on_missing, more), 1);
    world.tables = vec![users(Role::Source)];
    world.source.create_topic(USERS, 2, &[("cleanup.policy", "compact")]).unwrap();
    world
}

fn partition(key: &str) -> i32 {
    i32::from(key.as_bytes().last().is_some_and(|byte| byte % 2 == 1))
}

/// Key and value of a record.
type Row<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

fn write(cluster: &Cluster, at: i32, options: &BatchOptions, rows: &[Row<'_>]) {
    let now = cluster.now_ms();
    let records: Vec<Record> = (0..)
        .zip(rows)
        .map(|(offset, (key, value))| Record {
            offset,
            timestamp: now,
            key: key.map(Bytes::copy_from_slice),
            value: value.map(Bytes::copy_from_slice),
            headers: Vec::new(),
        })
        .collect();
    cluster.append_records(USERS, at, options, &records).unwrap();
}

/// Sets a user's name; without one the row goes.
fn set(cluster: &Cluster, key: &str, name: Option<&str>) {
    let value = name.map(|name| format!(r#"{{"name":"{name}","other":[1]}}"#));
    let row = (Some(key.as_bytes()), value.as_ref().map(String::as_bytes));
    write(cluster, partition(key), &BatchOptions::default(), &[row]);
}

/// One record of a user.
fn use_of(world: &World, id: i64, key: &str) {
    world.append_values(0, &[format!(r#"{{"id":{id},"user":"{key}"}}"#)]);
}

/// The names that the outputs have, in order, with their ids.
fn names(world: &World) -> Vec<(i64, Option<String>)> {
    let read = |record: &Record| {
        let value: serde_json::Value =
            serde_json::from_slice(record.value.as_ref().unwrap()).unwrap();
        (value["id"].as_i64().unwrap(), value["name"].as_str().map(ToOwned::to_owned))
    };
    world.records(OUT).concat().iter().map(read).collect()
}

fn table(world: &World) -> TableProgress {
    world.progress.lock().unwrap().tables.first().cloned().unwrap_or_default()
}

/// Waits until the table of a task under way has read all of its topic that is there now.
async fn followed(world: &World, rows: usize) {
    // What is shown may be older than what was just written: it counts from the look after the next on.
    let looks = |world: &World| world.source.request_count(ApiKey::ListOffsets);
    let asked = looks(world) + 3 * world.source.broker_ids().len() as u64;
    let has = |world: &World| {
        let table = table(world);
        looks(world) > asked && (table.rows, table.lag_records) == (rows, 0)
    };
    wait_for("the table follows", || has(world)).await;
}

fn told(world: &World, is_it: impl Fn(&Event) -> bool) -> Vec<Event> {
    world.events().into_iter().filter(is_it).collect()
}

fn is_unavailable(event: &Event) -> bool {
    matches!(event, Event::TableUnavailable { .. })
}

#[tokio::test(start_paused = true)]
async fn a_table_is_read_before_the_first_record() {
    for from in [Role::Source, Role::Target] {
        let mut world = world("fail", "");
        world.tables = vec![users(from)];
        let cluster = if from == Role::Target { &world.target } else { &world.source };
        if from == Role::Target {
            cluster.create_topic(USERS, 2, &[]).unwrap();
        }
        for key in 0..100 {
            set(cluster, &format!("u{key}"), Some("old"));
            set(cluster, &format!("u{key}"), Some(&format!("n{key}")));
        }
        for key in 0..100 {
            use_of(&world, key, &format!("u{key}"));
        }
        let report = world.once().await.unwrap();
        assert!(report.is_complete());
        let expected: Vec<_> = (0..100).map(|key| (key, Some(format!("n{key}")))).collect();
        assert_eq!(names(&world), expected);
        let table = &report.progress.tables[0];
        assert_eq!((table.rows, table.lag_records, table.rows_skipped), (100, 0, 0));
        assert!(table.bytes > 0);
        let read = told(&world, |event| matches!(event, Event::TableRead { .. }));
        assert!(matches!(read[..], [Event::TableRead { rows: 100, .. }]), "{read:?}");
        // It needs no group, and reads each record once.
        assert!(told(&world, is_unavailable).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn changes_are_followed() {
    let world = world("null", "");
    set(&world.source, "a", Some("Ann"));
    let run = world.run(false);
    use_of(&world, 0, "a");
    use_of(&world, 1, "b");
    wait_for("both are made", || names(&world).len() == 2).await;
    set(&world.source, "b", Some("Bo"));
    set(&world.source, "a", Some("Anna"));
    followed(&world, 2).await;
    use_of(&world, 2, "a");
    use_of(&world, 3, "b");
    wait_for("both are made", || names(&world).len() == 4).await;
    set(&world.source, "a", None);
    followed(&world, 1).await;
    use_of(&world, 4, "a");
    wait_for("it is made", || names(&world).len() == 5).await;
    run.stop().await;
    let name = |text: &str| Some(text.to_owned());
    assert_eq!(
        names(&world),
        [(0, name("Ann")), (1, None), (2, name("Anna")), (3, name("Bo")), (4, None)]
    );
}

#[tokio::test(start_paused = true)]
async fn only_committed_rows_count() {
    let world = world("null", "");
    for (round, commits) in [(0, true), (1, false), (2, true), (3, false)] {
        let options = BatchOptions {
            producer_id: 9,
            producer_epoch: 0,
            base_sequence: round * 2,
            transactional: true,
            ..BatchOptions::default()
        };
        let value = format!(r#"{{"name":"round {round}"}}"#);
        let row = (Some(&b"a"[..]), Some(value.as_bytes()));
        let other = (Some(&b"c"[..]), (!commits).then_some(value.as_bytes()));
        write(&world.source, 1, &options, &[row, other]);
        world.source.write_marker(USERS, 1, 9, 0, commits).unwrap();
    }
    use_of(&world, 0, "a");
    use_of(&world, 1, "c");
    // Open: nobody knows yet what becomes of it.
    let options = BatchOptions {
        producer_id: 9,
        producer_epoch: 0,
        base_sequence: 8,
        transactional: true,
        ..BatchOptions::default()
    };
    let late = (Some(&b"a"[..]), Some(&br#"{"name":"late"}"#[..]));
    write(&world.source, 1, &options, &[late]);
    world.once().await.unwrap();
    assert_eq!(names(&world), [(0, Some("round 2".to_owned())), (1, None)]);
    let run = world.run(false);
    followed(&world, 1).await;
    world.source.write_marker(USERS, 1, 9, 0, true).unwrap();
    let mut id = 1;
    wait_for("it is committed", || {
        id += 1;
        use_of(&world, id, "a");
        names(&world).last().is_some_and(|(_, name)| name.as_deref() == Some("late"))
    })
    .await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_no_row_is_told_and_takes_its_key_along() {
    let world = world("null", "");
    set(&world.source, "a", Some("Ann"));
    set(&world.source, "c", Some("Cid"));
    let bad: [Row<'_>; 7] = [
        (None, Some(br#"{"name":"nobody"}"#)),
        (None, None),
        (Some(b"\xff\xfe"), Some(br#"{"name":"nobody"}"#)),
        (Some(b"a"), Some(b"no json")),
        (Some(b"e"), Some(b"[1]")),
        (Some(b"g"), Some(b"\xff")),
        (Some(b""), Some(br#"{"name":"empty key"}"#)),
    ];
    write(&world.source, 1, &BatchOptions::default(), &bad);
    for (id, key) in (0..).zip(["a", "c", "e", ""]) {
        use_of(&world, id, key);
    }
    let report = world.once().await.unwrap();
    let name = |text: &str| Some(text.to_owned());
    assert_eq!(names(&world), [(0, None), (1, name("Cid")), (2, None), (3, name("empty key"))]);
    assert_eq!(report.progress.tables[0].rows_skipped, 6);
    let told = told(&world, |event| matches!(event, Event::TableRowSkipped { .. }));
    let [event @ Event::TableRowSkipped { offset: 2, partition: 1, count: 1, .. }] = &told[..]
    else {
        panic!("{told:?}")
    };
    assert!(event.to_string().contains("users-1 offset 2") && event.cure().is_some(), "{event}");
}

#[tokio::test(start_paused = true)]
async fn new_partitions_and_moved_leaders_are_followed() {
    let world = world("null", "");
    set(&world.source, "a", Some("Ann"));
    let run = world.run(false);
    followed(&world, 1).await;
    world.source.grow_topic(USERS, 3);
    let row = (Some(&b"late"[..]), Some(&br#"{"name":"third"}"#[..]));
    write(&world.source, 2, &BatchOptions::default(), &[row]);
    followed(&world, 2).await;
    for broker in world.source.broker_ids() {
        for partition in 0..3 {
            world.source.move_leader(USERS, partition, broker).unwrap();
        }
        let key = format!("b{broker}");
        set(&world.source, &key, Some("Bo"));
        followed(&world, 3 + usize::try_from(broker).unwrap() - 1).await;
    }
    assert!(told(&world, |event| matches!(event, Event::TableReread { .. })).is_empty());
    use_of(&world, 0, "a");
    use_of(&world, 1, "late");
    wait_for("both are made", || names(&world).len() == 2).await;
    run.stop().await;
    let name = |text: &str| Some(text.to_owned());
    assert_eq!(names(&world), [(0, name("Ann")), (1, name("third"))]);
    assert_eq!(world.source.topics().iter().filter(|(topic, _)| topic == IN).count(), 1);
}
