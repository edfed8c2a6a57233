//! A comparison that was ended early goes on where it was.

use std::sync::{Arc, Mutex};

use kafka_wire::record::{BatchOptions, Record};
use replicate::verify::report::PartitionReport;

use crate::world::{TOPIC, World, lines, record};

/// 80 MB in one partition, in batches of one MB each, and a changed byte before and behind every place where it may end.
async fn large() -> World {
    let world = World::new();
    for index in 0..80 {
        let value = vec![u8::try_from(index).unwrap(); 1_000_000];
        let record = Record { value: Some(value.into()), ..record(index) };
        world.source.append_records(TOPIC, 0, &BatchOptions::default(), &[record]).unwrap();
    }
    world.copy().await;
    for offset in [1, 78] {
        world.alter_record(0, offset, |record| record.key = None);
    }
    world
}

#[tokio::test(start_paused = true)]
async fn goes_on_from_its_notes() {
    let world = large().await;
    let mut verify = world.verify();
    let (stop, noted) = (verify.stop.clone(), Arc::new(Mutex::new(Vec::<PartitionReport>::new())));
    let notes = Arc::clone(&noted);
    verify.note = Arc::new(move |report| {
        // As through a file.
        let text = serde_json::to_string(report).unwrap();
        let mut notes = notes.lock().unwrap();
        notes.retain(|known| known.source_partition != report.source_partition);
        notes.push(serde_json::from_str(&text).unwrap());
        if report.source_next > 0 {
            stop.cancel();
        }
    });
    let report = verify.run().await.unwrap();
    assert!(!report.is_finished && !report.is_equal());
    assert_eq!(lines(&report), ["t-0 1 1 changed key"]);
    let mut verify = world.verify();
    verify.found = noted.lock().unwrap().clone();
    let begun = verify.found.iter().find(|found| found.source_partition == 0).unwrap();
    assert!(begun.source_next > 10 && begun.source_next < 70, "{begun:?}");
    let report = verify.run().await.unwrap();
    assert!(report.is_finished);
    assert_eq!(lines(&report), ["t-0 1 1 changed key", "t-0 78 78 changed key"]);
    assert_eq!((report.totals.records, report.totals.changed), (80, 2));
}

#[tokio::test(start_paused = true)]
async fn reads_no_faster_than_it_may() {
    let world = large().await;
    let mut verify = world.verify();
    verify.bytes_per_second = std::num::NonZeroU64::new(4_000_000);
    let start = tokio::time::Instant::now();
    let report = verify.run().await.unwrap();
    assert_eq!(report.totals.records, 80);
    let elapsed = start.elapsed().as_secs();
    assert!((15..30).contains(&elapsed), "{elapsed} s");
}
