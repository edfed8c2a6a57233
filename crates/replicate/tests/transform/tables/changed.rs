//! A topic that is not what was read of it any more, and a process that dies.

use std::time::Duration;

use replicate::event::Event;
use replicate::spec::Partitioning;
use tokio::time::sleep;

use super::{USERS, followed, names, set, table, told, use_of, world};
use crate::world::{DLQ, World, wait_for};

fn rereads(world: &World) -> Vec<String> {
    let told = told(world, |event| matches!(event, Event::TableReread { .. }));
    told.iter().map(ToString::to_string).collect()
}

/// The table reads three rows, something happens to its topic, and it has `rows` then. A name that is left says the same.
async fn is_read_anew(change: impl Fn(&World), rows: usize, words: &str) {
    let world = world("null", "");
    for key in ["a", "c", "e"] {
        set(&world.source, key, Some(key));
    }
    let run = world.run(false);
    followed(&world, 3).await;
    change(&world);
    wait_for("it is told", || rereads(&world).len() == 1).await;
    followed(&world, rows).await;
    assert!(rereads(&world)[0].contains(words), "{:?}", rereads(&world));
    for (id, key) in (0..).zip(["a", "c", "e", "i"]) {
        use_of(&world, id, key);
    }
    wait_for("all is made", || names(&world).len() == 4).await;
    let live: Vec<_> = names(&world).into_iter().map(|(_, name)| name).collect();
    run.stop().await;
    // A task that begins now has the same rows.
    for (id, key) in (4..).zip(["a", "c", "e", "i"]) {
        use_of(&world, id, key);
    }
    world.once().await.unwrap();
    let fresh: Vec<_> = names(&world).into_iter().skip(4).map(|(_, name)| name).collect();
    assert_eq!(live, fresh);
    assert_eq!(live.iter().flatten().count(), rows);
}

#[tokio::test(start_paused = true)]
async fn another_topic_of_the_name_is_read_from_its_beginning() {
    let change = |world: &World| {
        assert!(world.source.delete_topic(USERS));
        world.source.create_topic(USERS, 2, &[]).unwrap();
        for key in ["a", "i"] {
            set(&world.source, key, Some("other"));
            set(&world.source, key, Some("new"));
        }
    };
    is_read_anew(change, 2, "created again").await;
}

#[tokio::test(start_paused = true)]
async fn lost_records_are_no_rows() {
    let change = |world: &World| world.source.truncate(USERS, 1, 1).unwrap();
    is_read_anew(change, 1, "partition 1 lost records").await;
}

#[tokio::test(start_paused = true)]
async fn lost_records_that_others_follow_are_no_rows() {
    let change = |world: &World| {
        world.source.truncate(USERS, 1, 1).unwrap();
        for _ in 0..5 {
            set(&world.source, "i", Some("new"));
        }
    };
    is_read_anew(change, 2, "partition 1 lost records").await;
}

#[tokio::test(start_paused = true)]
async fn records_that_were_deleted_unread_may_have_removed_rows() {
    let change = |world: &World| {
        for key in ["a", "c", "e"] {
            set(&world.source, key, None);
        }
        for _ in 0..2 {
            set(&world.source, "i", Some("new"));
        }
        world.source.delete_records(USERS, 1, 7).unwrap();
    };
    is_read_anew(change, 1, "not read yet").await;
}

#[tokio::test(start_paused = true)]
async fn rows_serve_while_their_topic_is_away() {
    let world = world("null", "");
    set(&world.source, "a", Some("Ann"));
    let run = world.run(false);
    followed(&world, 1).await;
    assert!(world.source.delete_topic(USERS));
    wait_for("it is told", || told(&world, super::is_unavailable).len() == 1).await;
    use_of(&world, 0, "a");
    wait_for("it is made", || names(&world) == [(0, Some("Ann".to_owned()))]).await;
    world.source.create_topic(USERS, 1, &[]).unwrap();
    wait_for("it is read anew", || table(&world).rows == 0).await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn compaction_changes_nothing() {
    let world = world("null", "");
    let run = world.run(false);
    for round in 0..20 {
        for key in ["a", "c", "e"] {
            set(&world.source, key, Some(&format!("{key}{round}")));
        }
        sleep(Duration::from_millis(200)).await;
        world.source.compact(USERS, 1).unwrap();
    }
    followed(&world, 3).await;
    use_of(&world, 0, "c");
    wait_for("it is made", || names(&world) == [(0, Some("c19".to_owned()))]).await;
    run.stop().await;
    assert!(rereads(&world).is_empty());
    use_of(&world, 1, "e");
    world.once().await.unwrap();
    assert_eq!(names(&world)[1], (1, Some("e19".to_owned())));
}

/// Deaths among records whose rows change: with outputs that the table does not move, each comes once, with some name that the
/// table had.
#[tokio::test(start_paused = true)]
async fn each_record_comes_once_whatever_dies() {
    for seed in 0..20 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = world("null", "");
        world.partitioning = [Partitioning::Keep, Partitioning::Spread][random.usize(..2)];
        let mut next = 0;
        for round in 0..random.usize(3..8) {
            for _ in 0..random.usize(1..30) {
                use_of(&world, next, "a");
                next += 1;
            }
            set(&world.source, "a", random.bool().then_some(format!("round {round}")).as_deref());
            let run = world.run(false);
            sleep(Duration::from_millis(random.u64(0..1500))).await;
            set(&world.source, "a", Some("late"));
            sleep(Duration::from_millis(random.u64(0..1500))).await;
            if random.u8(..3) > 0 {
                run.kill().await;
            } else {
                run.stop().await;
            }
        }
        world.once().await.unwrap();
        world.check(&format!("seed {seed}"));
        assert!(told(&world, |event| matches!(event, Event::OutputsUncertain { .. })).is_empty());
    }
}

/// A rule whose table decides what is a dead letter says of which records it is not sure after a death.
#[tokio::test(start_paused = true)]
async fn what_a_death_leaves_uncertain_is_told() {
    let is_uncertain = |event: &Event| matches!(event, Event::OutputsUncertain { .. });
    let mut found = 0;
    for seed in 0..10 {
        let mut random = fastrand::Rng::with_seed(seed);
        let world = world("fail", DLQ);
        set(&world.source, "a", Some("Ann"));
        for id in 0..200 {
            use_of(&world, id, "a");
        }
        let run = world.run(false);
        wait_for("some are made", || !names(&world).is_empty()).await;
        sleep(Duration::from_millis(random.u64(0..5))).await;
        run.kill().await;
        world.once().await.unwrap();
        for event in told(&world, is_uncertain) {
            let Event::OutputsUncertain { partition: 0, offsets, .. } = &event else {
                panic!("{event}")
            };
            assert!(offsets.start < offsets.end && offsets.end <= 200, "{event}");
            assert!(event.cure().is_some());
            found += 1;
        }
        // Nothing changed, so nothing came twice.
        world.check(&format!("seed {seed}"));
    }
    assert!(found > 0, "no death left anything uncertain");
}

const KEYS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// What the topic says of each key, by its last record.
fn said(world: &World) -> Vec<Option<String>> {
    let mut rows = std::collections::BTreeMap::new();
    for partition in 0..2 {
        for record in world.source.records(USERS, partition).unwrap() {
            let name = record.value.map(|value| {
                let value: serde_json::Value = serde_json::from_slice(&value).unwrap();
                value["name"].as_str().unwrap().to_owned()
            });
            rows.insert(record.key.unwrap().to_vec(), name);
        }
    }
    KEYS.iter().map(|key| rows.get(key.as_bytes()).cloned().flatten()).collect()
}

/// One thing that happens to the table's topic.
fn happens(world: &World, random: &mut fastrand::Rng) {
    let partition = random.i32(0..2);
    let broker = random.choice(world.source.broker_ids()).unwrap();
    let end = i64::try_from(world.source.records(USERS, partition).unwrap().len()).unwrap();
    match random.u8(..12) {
        0 => world.source.cut_connections(broker),
        1 | 2 => _ = world.source.move_leader(USERS, partition, broker),
        3 => _ = world.source.compact(USERS, partition),
        4 if end > 0 => world.source.truncate(USERS, partition, random.i64(0..end)).unwrap(),
        5 if random.bool() => {
            assert!(world.source.delete_topic(USERS));
            world.source.create_topic(USERS, 2, &[]).unwrap();
        }
        _ => {
            let name = format!("{}", random.u32(..));
            let key = random.choice(KEYS).unwrap();
            set(&world.source, key, (random.u8(..4) > 0).then_some(name.as_str()));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_table_is_what_its_topic_says_whatever_happens() {
    let mut anew = 0;
    for seed in 0..40 {
        let mut random = fastrand::Rng::with_seed(seed);
        let world = world("null", "");
        let run = world.run(false);
        for _ in 0..random.usize(20..80) {
            happens(&world, &mut random);
            if random.u8(..3) == 0 {
                sleep(Duration::from_millis(random.u64(0..700))).await;
            }
        }
        let said = said(&world);
        followed(&world, said.iter().flatten().count()).await;
        for (id, key) in (0..).zip(KEYS) {
            use_of(&world, id, key);
        }
        wait_for("all is made", || names(&world).len() == KEYS.len()).await;
        let held: Vec<_> = names(&world).into_iter().map(|(_, name)| name).collect();
        run.stop().await;
        assert_eq!(held, said, "seed {seed}");
        anew += rereads(&world).len();
    }
    assert!(anew > 20, "{anew}");
}
