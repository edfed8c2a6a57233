//! The store alone: whatever the moment, it opens, and holds what some prefix of the calls wrote, with all that were
//! acknowledged.

use forward::{EpochBase, Ordinal, Runs, Segment, SourceOffset, TargetOffset};
use futures_util::future::join_all;
use replicate::journal::{
    Journal, JournalWrite, LaneKey, LaneProgress, LaneRecord, MapQuery, MemoryJournal,
    SourceEpochs, TaskIdentity, TopicRecord,
};

use crate::disk::{Disk, Loss, Rule};
use crate::seeds;

const LANES: i32 = 3;

fn key(partition: i32) -> LaneKey {
    LaneKey {
        source_topic: "orders".into(),
        source_partition: partition,
        target_topic: "orders".into(),
        target_partition: partition,
    }
}

fn lane(partition: i32, ordinal: i64) -> JournalWrite {
    let mut runs = Runs::default();
    for run in 0..ordinal {
        runs.push(Ordinal(run), SourceOffset(2 * run)).unwrap();
    }
    JournalWrite::Lane(Box::new(LaneRecord {
        lane: key(partition),
        source_topic_id: None,
        target_topic_id: None,
        transactional_id: format!("kferry-t-orders-{partition}"),
        settled: ordinal % 2 == 0,
        epochs: vec![EpochBase { producer_id: 7, producer_epoch: 1, ordinal_base: Ordinal(0) }],
        runs,
        acked: LaneProgress {
            ordinal: Ordinal(ordinal),
            source_next: SourceOffset(2 * ordinal),
            target_next: TargetOffset(ordinal),
        },
        source_epoch: -1,
        source_epochs: SourceEpochs::default(),
        map_start: None,
        outputs: replicate::journal::Outputs::default(),
    }))
}

fn segments(partition: i32, first: i64, count: i64) -> JournalWrite {
    let segment = |index: i64| Segment {
        source_start: SourceOffset(3 * index),
        target_start: TargetOffset(2 * index),
        len: 2,
    };
    JournalWrite::Segments {
        lane: key(partition),
        segments: (first..first + count).map(segment).collect(),
    }
}

fn note(value: i64) -> JournalWrite {
    JournalWrite::Note { name: "calls".into(), value: value.to_string() }
}

/// The calls of a short life: new lanes, progress, growing maps, one lane removed. Each leaves its number in a note,
/// so that no two states are equal.
fn calls() -> Vec<Vec<JournalWrite>> {
    let mut calls = vec![vec![
        JournalWrite::Topic(TopicRecord {
            source_topic: "orders".into(),
            source_topic_id: None,
            target_topic: "orders".into(),
            initial_partitions: LANES,
        }),
        lane(0, 0),
        lane(1, 0),
        lane(2, 0),
    ]];
    calls.push(vec![lane(0, 1), lane(1, 1)]);
    calls.push(vec![lane(0, 2), segments(0, 0, 2)]);
    calls.push(vec![lane(1, 4), segments(1, 0, 300), lane(2, 1), segments(2, 0, 1)]);
    calls.push(vec![lane(0, 3), segments(0, 1, 3)]);
    calls.push(vec![JournalWrite::RemoveLane(key(1))]);
    calls.push(vec![lane(2, 40), segments(2, 1, 400)]);
    calls.push(vec![lane(1, 1), segments(1, 5, 2)]);
    calls.push(vec![lane(0, 4), segments(0, 4, 1)]);
    for (number, call) in (0..).zip(&mut calls) {
        call.push(note(number));
    }
    calls
}

/// Everything that can be asked of a journal.
async fn contents(journal: &dyn Journal) -> String {
    let mut text = String::new();
    text += &format!("{:?}", journal.load_lanes().await.unwrap());
    text += &format!("{:?}", journal.load_topics().await.unwrap());
    text += &format!("{:?}", journal.load_note("calls".into()).await.unwrap());
    for partition in 0..LANES {
        text += &format!("{:?}", journal.load_map(key(partition), 1000).await.unwrap());
        for offset in (0..30).step_by(4) {
            for query in
                [MapQuery::Source(SourceOffset(offset)), MapQuery::Target(TargetOffset(offset))]
            {
                text += &format!("{:?}", journal.query_map(key(partition), query).await.unwrap());
            }
        }
    }
    text
}

fn identity() -> TaskIdentity {
    TaskIdentity { task: "t".into(), source_cluster_id: None, target_cluster_id: None }
}

/// The contents after no call, the first, the first two and so on.
async fn prefixes() -> Vec<String> {
    let memory = MemoryJournal::new();
    let mut prefixes = vec![contents(&memory).await];
    for call in calls() {
        memory.write(call).await.unwrap();
        prefixes.push(contents(&memory).await);
    }
    prefixes
}

/// A life on a new disk; by operation count when each call was acknowledged. `together` calls wait at a time.
async fn life(together: usize) -> (Disk, Vec<usize>) {
    let disk = Disk::new(Vec::new(), Rule::Never);
    let journal = disk.journal().unwrap();
    journal.claim(identity()).await.unwrap();
    let mut acknowledged = Vec::new();
    for calls in calls().chunks(together) {
        for result in join_all(calls.iter().map(|call| journal.write(call.clone()))).await {
            result.unwrap();
            acknowledged.push(disk.op_count());
        }
    }
    drop(journal);
    (disk, acknowledged)
}

/// Opens what a death before operation `at` left and compares.
async fn check(disk: &Disk, acknowledged: &[usize], prefixes: &[String], at: usize, loss: Loss) {
    let least = acknowledged.iter().filter(|done| **done <= at).count();
    let image = disk.image(at, loss);
    let journal = Disk::new(image, Rule::Never)
        .journal()
        .unwrap_or_else(|error| panic!("operation {at}, {loss:?}: {error}"));
    journal.claim(identity()).await.unwrap();
    let found = contents(&journal).await;
    assert!(
        prefixes[least..].contains(&found),
        "operation {at}, {loss:?}: {least} calls were acknowledged; {:?} of {} are there",
        prefixes.iter().position(|prefix| *prefix == found),
        acknowledged.len()
    );
    // And it goes on.
    journal.write(vec![note(99)]).await.unwrap();
    assert_eq!(journal.load_note("calls".into()).await.unwrap().as_deref(), Some("99"));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

#[test]
fn death_between_any_two_operations_leaves_a_prefix_of_the_calls() {
    runtime().block_on(async {
        let prefixes = prefixes().await;
        for together in [1, 4] {
            let (disk, acknowledged) = life(together).await;
            for at in 0..=disk.op_count() {
                check(&disk, &acknowledged, &prefixes, at, Loss::Nothing).await;
                check(&disk, &acknowledged, &prefixes, at, Loss::Everything).await;
                for seed in 0..seeds(1) {
                    check(&disk, &acknowledged, &prefixes, at, Loss::Torn(seed)).await;
                }
            }
        }
    });
}

#[test]
fn death_while_the_store_repairs_itself_loses_nothing_either() {
    runtime().block_on(async {
        let prefixes = prefixes().await;
        let (disk, acknowledged) = life(1).await;
        let step = if seeds(0) == 0 { 7 } else { 1 };
        for at in (0..=disk.op_count()).step_by(step) {
            let least = acknowledged.iter().filter(|done| **done <= at).count();
            let again = Disk::new(disk.image(at, Loss::Torn(at as u64)), Rule::Never);
            drop(again.journal().unwrap());
            for second in 0..=again.op_count() {
                let image = again.image(second, Loss::Torn(second as u64));
                let journal = Disk::new(image, Rule::Never).journal().unwrap();
                let found = contents(&journal).await;
                assert!(prefixes[least..].contains(&found), "operations {at}, {second}");
            }
        }
    });
}

/// What the trait promises, and what the lanes rely on.
#[test]
fn calls_take_effect_in_the_order_in_which_they_were_made() {
    runtime().block_on(async {
        let journal = Disk::new(Vec::new(), Rule::Never).journal().unwrap();
        let calls: Vec<_> = (0..200).map(|number| journal.write(vec![note(number)])).collect();
        join_all(calls).await.into_iter().for_each(Result::unwrap);
        assert_eq!(journal.load_note("calls".into()).await.unwrap().as_deref(), Some("199"));
    });
}
