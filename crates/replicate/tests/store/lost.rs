//! Stores that are gone, or older than the target: the target's own records tell where to go on, or the copy stops.

use kafka_wire::record::{BatchOptions, Record};
use replicate::event::Event;
use replicate::spec::UnknownTarget;

use crate::copy::{Kind, TOPIC, World, in_runtime};
use crate::disk::{Disk, Loss, Rule};

fn new_disk() -> Disk {
    Disk::new(Vec::new(), Rule::Never)
}

async fn run_to_the_end(world: &World, disk: &Disk, what: &str) {
    let report = world.run(disk).await.unwrap().unwrap();
    assert!(report.is_complete(), "{what}: {:#?}", world.events.lock().unwrap());
}

/// Where the map of each partition begins, as the events say.
fn map_starts(world: &World) -> Vec<i64> {
    let mut starts = vec![0; world.expected.len()];
    for event in world.events.lock().unwrap().iter() {
        if let Event::LaneAdopted { partition, map_start, .. } = event {
            starts[usize::try_from(*partition).unwrap()] = *map_start;
        }
    }
    starts
}

/// Why partitions stopped, with the cure.
fn stops(world: &World) -> Vec<String> {
    let events = world.events.lock().unwrap();
    let stops = events.iter().filter_map(|event| match event {
        Event::LaneStopped { cause, cure, .. } => {
            Some(format!("{cause}; {}", cure.as_deref().unwrap_or_default()))
        }
        _ => None,
    });
    stops.collect()
}

fn values(world: &World) -> Vec<String> {
    let records = world.target.records(TOPIC, 0).unwrap();
    let value = |record: &Record| String::from_utf8(record.value.clone().unwrap().to_vec());
    records.iter().map(|record| value(record).unwrap()).collect()
}

/// The process dies at some moment and the state directory is gone: before, everything was there twice.
#[test]
fn a_lost_state_doubles_nothing() {
    for at in (20..160).step_by(13) {
        in_runtime(async {
            let mut world = World::new();
            drop(world.run(&Disk::new(Vec::new(), Rule::DeadFrom(at))).await);
            world.append(0, Kind::Plain, 3);
            world.append(1, Kind::Gaps, 3);
            let disk = new_disk();
            let what = format!("lost at operation {at}");
            run_to_the_end(&world, &disk, &what).await;
            world.check_from(&disk, &map_starts(&world), &what).await;
        });
    }
}

#[test]
fn a_state_older_than_the_target_goes_on_exactly() {
    for at in (18..140).step_by(13) {
        in_runtime(async {
            let mut world = World::new();
            let disk = new_disk();
            run_to_the_end(&world, &disk, "first").await;
            let backup = disk.image(at.min(disk.op_count()), Loss::Nothing);
            let backup = Disk::new(backup, Rule::Never);
            // More runs, and another producer epoch, that the backup does not know.
            for kind in [Kind::Gaps, Kind::Plain, Kind::Aborted, Kind::Plain] {
                world.append(0, kind, 4);
                world.append(1, kind, 4);
            }
            run_to_the_end(&world, &disk, "second").await;
            world.append(0, Kind::Plain, 3);
            let what = format!("backup of operation {at}");
            run_to_the_end(&world, &backup, &what).await;
            world.check_from(&backup, &map_starts(&world), &what).await;
        });
    }
}

#[test]
fn a_topic_with_the_records_of_others_is_appended_to() {
    in_runtime(async {
        let world = World::new();
        world.target.create_topic(TOPIC, 2, &[]).unwrap();
        for _ in 0..5 {
            world.write_beside(0);
            world.write_beside(1);
        }
        let disk = new_disk();
        run_to_the_end(&world, &disk, "foreign").await;
        world.check(&disk, "foreign").await;
    });
}

#[test]
fn records_that_the_source_has_lost_stop_the_copy_unless_told_otherwise() {
    in_runtime(async {
        let mut world = World::empty(1);
        world.append(0, Kind::Plain, 3);
        run_to_the_end(&world, &new_disk(), "first").await;
        world.append(0, Kind::Plain, 2);
        world.source.delete_records(TOPIC, 0, 3).unwrap();
        let report = world.run(&new_disk()).await.unwrap().unwrap();
        assert_eq!(report.stopped, 1);
        let told = stops(&world).join("\n");
        for part in ["last record is not in the source", "restore the state", "--on-unknown-target"]
        {
            assert!(told.contains(part), "{told}");
        }
        assert_eq!(values(&world), ["0-0", "0-1", "0-2"]);
        world.spec.on_unknown_target = UnknownTarget::Append;
        run_to_the_end(&world, &new_disk(), "append").await;
        assert_eq!(values(&world), ["0-0", "0-1", "0-2", "0-3", "0-4"]);
    });
}

#[test]
fn repeated_contents_are_no_place() {
    in_runtime(async {
        let world = World::empty(1);
        let record = Record {
            offset: 0,
            timestamp: 1_700_000_000_000,
            key: None,
            value: Some(bytes::Bytes::from_static(b"same")),
            headers: Vec::new(),
        };
        let append = || {
            let options = BatchOptions::default();
            world.source.append_records(TOPIC, 0, &options, std::slice::from_ref(&record)).unwrap();
        };
        (0..5).for_each(|_| append());
        run_to_the_end(&world, &new_disk(), "first").await;
        append();
        let report = world.run(&new_disk()).await.unwrap().unwrap();
        assert_eq!(report.stopped, 1);
        assert!(stops(&world).join("\n").contains("at 2 places"), "{:?}", stops(&world));
        assert_eq!(values(&world).len(), 5);
    });
}

/// Another task, or a transactional id that the target has forgotten: the content alone is no proof of a whole copy.
#[test]
fn the_content_of_an_unknown_producer_needs_the_operators_word() {
    in_runtime(async {
        let mut world = World::new();
        run_to_the_end(&world, &new_disk(), "first").await;
        world.append(0, Kind::Plain, 3);
        world.spec.name = "other".parse().unwrap();
        let report = world.run(&new_disk()).await.unwrap().unwrap();
        assert_eq!(report.stopped, 2, "{:#?}", world.events.lock().unwrap());
        assert!(stops(&world)[0].contains("--on-unknown-target adopt"), "{:?}", stops(&world));
        world.spec.on_unknown_target = UnknownTarget::Adopt;
        let disk = new_disk();
        run_to_the_end(&world, &disk, "adopt").await;
        world.check_from(&disk, &map_starts(&world), "adopt").await;
    });
}
