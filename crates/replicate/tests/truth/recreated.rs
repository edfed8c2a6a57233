//! Another topic under the name that is copied to a topic of its own.

use kafka_sim::Release;
use kafka_wire::record::Record;
use replicate::spec::{LossPolicy, RecreatedPolicy};

use crate::world::{RELEASES, TOPIC, World, wait_for};

fn worlds() -> impl Iterator<Item = World> {
    // Older brokers have no ids: there it looks like a truncation.
    let with_ids = RELEASES.into_iter().filter(|release| *release > Release::V2_8);
    with_ids.map(|release| World {
        recreated: Some(RecreatedPolicy::NewTopic),
        ..World::new(release, LossPolicy::Stop)
    })
}

/// The values of the target topics other than the first, by name.
fn others(world: &World) -> Vec<(String, Vec<i64>)> {
    let topics = world.target.topics().into_iter().filter(|(name, _)| name != TOPIC);
    let value = |record: Record| {
        String::from_utf8(record.value.unwrap().to_vec()).unwrap().parse().unwrap()
    };
    topics
        .map(|(name, _)| {
            let records = world.target.records(&name, 0).unwrap();
            (name, records.into_iter().map(value).collect())
        })
        .collect()
}

fn is(world: &World, expected: &[&[i64]]) -> bool {
    let mut found: Vec<Vec<i64>> = others(world).into_iter().map(|(_, values)| values).collect();
    found.sort();
    found == expected
}

#[tokio::test(start_paused = true)]
async fn a_recreated_topic_is_copied_to_a_topic_of_its_own() {
    for world in worlds() {
        world.append(0..10);
        let run = world.run(false);
        world.wait_for_copies(10).await;
        world.recreate(20..23);
        wait_for("the new topic is copied", || is(&world, &[&[20, 21, 22]])).await;
        world.append(23..25);
        wait_for("it goes on", || is(&world, &[&[20, 21, 22, 23, 24]])).await;
        run.kill().await;
        world.append(25..26);
        // Once more, while no task runs.
        let report = world.run(true).task.await.unwrap().unwrap();
        assert!(report.is_complete());
        world.recreate(30..32);
        let report = world.run(true).task.await.unwrap().unwrap();
        assert!(report.is_complete(), "{:?}", world.events.lock().unwrap().last());
        world.run(true).task.await.unwrap().unwrap();
        assert!(is(&world, &[&[20, 21, 22, 23, 24, 25], &[30, 31]]), "{:?}", others(&world));
        world.check_copied(0..10);
        world.check_losses(&[("recreated", 0, 0), ("recreated", 0, 0)]);
        let names: Vec<String> = others(&world).into_iter().map(|(name, _)| name).collect();
        assert!(names.iter().all(|name| name.starts_with("t.") && name.len() == 10), "{names:?}");
    }
}
