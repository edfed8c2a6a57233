use forward::{Ordinal, Runs, Segment};

use super::*;
use crate::journal::{JournalWrite, LaneProgress, MemoryJournal};

fn lane(source_partition: i32, target_partition: i32) -> LaneKey {
    LaneKey {
        source_topic: "orders".into(),
        source_partition,
        target_topic: "copy".into(),
        target_partition,
    }
}

async fn add(journal: &MemoryJournal, lane: LaneKey, map: &[(i64, i64, i64)], start: Option<i64>) {
    let segments: Vec<Segment> = map
        .iter()
        .map(|&(source, target, len)| Segment {
            source_start: SourceOffset(source),
            target_start: TargetOffset(target),
            len,
        })
        .collect();
    let last = segments.last().copied();
    let record = LaneRecord {
        lane: lane.clone(),
        source_topic_id: None,
        target_topic_id: None,
        transactional_id: "kferry-t".into(),
        settled: true,
        epochs: Vec::new(),
        runs: Runs::default(),
        acked: LaneProgress {
            ordinal: Ordinal(0),
            source_next: last.map_or(SourceOffset(0), |last| last.source_end()),
            target_next: last.map_or(TargetOffset(-1), |last| last.target_end()),
        },
        source_epoch: -1,
        source_epochs: crate::journal::SourceEpochs::default(),
        map_start: start.map(SourceOffset),
        outputs: crate::journal::Outputs::default(),
    };
    let writes =
        vec![JournalWrite::Lane(Box::new(record)), JournalWrite::Segments { lane, segments }];
    journal.write(writes).await.unwrap();
}

async fn journal() -> MemoryJournal {
    let journal = MemoryJournal::new();
    add(&journal, lane(0, 0), &[(10, 100, 5), (20, 105, 5)], None).await;
    add(&journal, lane(1, 1), &[(50, 8, 2)], Some(50)).await;
    add(&journal, lane(2, 1), &[(0, 2, 3)], None).await;
    add(&journal, lane(3, 3), &[], None).await;
    journal
}

#[track_caller]
fn check(found: &Place, expected: &str) {
    let text = match found {
        Place::Record { source, target } => format!("record {} {}", source.offset, target.offset),
        Place::Next { source, target } => format!("next {} {}", source.offset, target.offset),
        Place::NotCopied { source, target } => format!("end {} {}", source.offset, target.offset),
        Place::BeforeMap { source, .. } => format!("before {}", source.offset),
    };
    assert_eq!(text, expected);
}

async fn ask(from: End, topic: &str, partition: i32, offset: i64) -> Result<Vec<Place>, String> {
    let at = At { topic: topic.into(), partition, offset };
    find(&journal().await, &Question { from, at }).await.map_err(|error| error.to_string())
}

#[tokio::test]
async fn both_ways() {
    for (from, topic, partition, offset, expected) in [
        (End::Source, "orders", 0, 12, "record 12 102"),
        (End::Source, "orders", 0, 15, "next 20 105"),
        (End::Source, "orders", 0, 0, "next 10 100"),
        (End::Source, "orders", 0, 25, "end 25 110"),
        (End::Source, "orders", 1, 49, "before 50"),
        (End::Source, "orders", 1, 50, "record 50 8"),
        (End::Source, "orders", 3, 0, "end 0 -1"),
        (End::Target, "copy", 0, 104, "record 14 104"),
        (End::Target, "copy", 0, 3, "next 10 100"),
        (End::Target, "copy", 0, 110, "end 25 110"),
        (End::Target, "copy", 1, 9, "record 51 9"),
        (End::Target, "copy", 1, 4, "record 2 4"),
    ] {
        let found = ask(from, topic, partition, offset).await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        check(&found[0], expected);
    }
    // Two source partitions share the target partition.
    let found = ask(End::Target, "copy", 1, 0).await.unwrap();
    check(&found[0], "before 50");
    check(&found[1], "next 0 2");
}

#[tokio::test]
async fn unknown_names_come_with_the_known_ones() {
    let topic = ask(End::Source, "copy", 0, 0).await.unwrap_err();
    assert_eq!(topic, "no source topic copy in the state; there are topics orders");
    let partition = ask(End::Target, "copy", 2, 0).await.unwrap_err();
    assert_eq!(
        partition,
        "no partition 2 of target topic copy in the state; there are partitions 0, 1, 3"
    );
}
