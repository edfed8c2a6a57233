//! Groups under faults: at no time does one stand on a record where the source's group never stood, in the end each stands
//! where its source does, and nobody is taken for a stranger.

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_client::{Client, OffsetToCommit, TopicPartition};
use kafka_sim::{Fault, FaultAction};
use kafka_wire::messages::ApiKey;
use replicate::event::Event;

use crate::world::{Running, World, client, value_at};

const PARTITIONS: i32 = 2;
const GROUPS: usize = 4;
const ROUNDS: usize = 40;

const APIS: [ApiKey; 6] = [
    ApiKey::OffsetCommit,
    ApiKey::OffsetFetch,
    ApiKey::ListGroups,
    ApiKey::FindCoordinator,
    ApiKey::Produce,
    ApiKey::Fetch,
];

/// Every offset that each group has had on the source, by partition; the last one is where it stands.
type History = BTreeMap<(String, i32), Vec<i64>>;

/// One random mishap.
fn mishap(world: &World, random: &mut fastrand::Rng) {
    let cluster = if random.bool() { &world.source } else { &world.target };
    let actions = [
        FaultAction::LoseAnswer,
        FaultAction::CutBefore,
        FaultAction::CutAfterBytes(random.usize(..40)),
        FaultAction::Delay(Duration::from_millis(random.u64(..3_000))),
    ];
    match random.u32(..6) {
        0 => cluster.cut_connections(random.i32(1..=2)),
        1 => {
            let broker = random.i32(1..=2);
            if cluster.broker_ids().len() == 2 {
                cluster.kill_broker(broker);
                cluster.start_broker(broker);
            }
        }
        _ => {
            let api_key = APIS[random.usize(..APIS.len())];
            let action = actions[random.usize(..actions.len())];
            cluster.add_fault(Fault { skip: random.u32(..3), ..Fault::once(api_key, action) });
        }
    }
}

async fn commit(
    source: &Client,
    history: &mut History,
    group: &str,
    at: TopicPartition,
    offset: i64,
) {
    let wanted = OffsetToCommit { at: at.clone(), offset, metadata: None };
    // Faults hit this client too; an answer that is lost may stand for a commit.
    history.entry((group.to_owned(), at.partition)).or_default().push(offset);
    loop {
        let done = source.offset_commit(group, vec![wanted.clone()]).await;
        if done.is_ok_and(|done| done[&at].is_ok()) {
            return;
        }
    }
}

/// The value of the record on which a group stands whose offset is `offset` of the source.
fn expected(world: &World, partition: i32, offset: i64) -> Option<String> {
    value_at(&world.source, "a", partition, offset)
}

/// Nobody stands on a record where its source never stood.
fn check_places(world: &World, history: &History, seed: u64) {
    for ((group, partition), offsets) in history {
        let target = world.at_target(group, "a", *partition);
        if target < 0 {
            continue;
        }
        let Some(found) = value_at(&world.target, "a", *partition, target) else { continue };
        let places = offsets.iter().filter_map(|offset| expected(world, *partition, *offset));
        let is_known = places.into_iter().any(|place| place == found);
        assert!(is_known, "seed {seed}: {group} stands on {found} of partition {partition}");
    }
}

fn is_there(world: &World, history: &History) -> bool {
    history.iter().all(|((group, partition), offsets)| {
        let target = world.at_target(group, "a", *partition);
        let wanted = offsets.last().and_then(|offset| expected(world, *partition, *offset));
        target >= 0 && value_at(&world.target, "a", *partition, target) == wanted
    })
}

async fn run(seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let world = World::new();
    world.source.create_topic("a", 2, &[]).unwrap();
    let admin = client(&world.source);
    let mut history = History::new();
    let mut values = [0_i64; 2];
    let mut running: Running = world.start();
    for _ in 0..ROUNDS {
        for _ in 0..random.u32(..3) {
            mishap(&world, &mut random);
        }
        let partition = random.i32(0..PARTITIONS);
        let value = &mut values[usize::try_from(partition).unwrap()];
        let count = random.i64(1..8);
        world.write("a", partition, *value..*value + count);
        *value += count;
        let end = world.source.end_offset("a", partition).unwrap();
        let group = format!("g{}", random.usize(..GROUPS));
        let at = TopicPartition::new("a", partition);
        commit(&admin, &mut history, &group, at, random.i64(0..=end)).await;
        tokio::time::sleep(Duration::from_millis(random.u64(..2_000))).await;
        check_places(&world, &history, seed);
        if random.u32(..8) == 0 {
            running.kill().await;
            running = world.start();
        }
    }
    world.source.clear_faults();
    world.target.clear_faults();
    for _ in 0..600 {
        if is_there(&world, &history) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(is_there(&world, &history), "seed {seed}: {:#?}", world.take_events());
    running.stop().await;
    let events = world.take_events();
    let stranger =
        |event: &&Event| matches!(event, Event::GroupTakenOver { .. } | Event::GroupAdopted { .. });
    assert_eq!(events.iter().find(stranger), None, "seed {seed}");
}

#[tokio::test(start_paused = true)]
async fn groups_survive_faults_and_kills() {
    for seed in 0..6 {
        run(seed).await;
    }
}
