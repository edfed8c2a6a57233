use std::io::{Read, Seek, SeekFrom, Write};
use std::time::Instant;

use forward::{EpochBase, Ordinal, Run, Runs, SourceOffset, TargetOffset};
use kafka_wire::Uuid;
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::journal::{LaneProgress, MemoryJournal, SourceEpochs};

fn directory() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("below").join("state.redb");
    (directory, path)
}

fn key(partition: i32) -> LaneKey {
    LaneKey {
        source_topic: "orders".into(),
        source_partition: partition,
        target_topic: "orders".into(),
        target_partition: partition,
    }
}

fn lane(partition: i32, ordinal: i64) -> LaneRecord {
    LaneRecord {
        lane: key(partition),
        source_topic_id: Some(Uuid::from_u128(7)),
        target_topic_id: None,
        transactional_id: format!("kferry-t-orders-{partition}"),
        settled: false,
        epochs: vec![EpochBase { producer_id: 4000, producer_epoch: 2, ordinal_base: Ordinal(5) }],
        runs: Runs::load([Run { ordinal_start: Ordinal(0), source_start: SourceOffset(9) }])
            .unwrap(),
        acked: LaneProgress {
            ordinal: Ordinal(ordinal),
            source_next: SourceOffset(ordinal + 9),
            target_next: TargetOffset(ordinal),
        },
        source_epoch: -1,
        source_epochs: SourceEpochs::default(),
        map_start: None,
        outputs: crate::journal::Outputs::default(),
    }
}

fn segment(source: i64, target: i64, len: i64) -> Segment {
    Segment { source_start: SourceOffset(source), target_start: TargetOffset(target), len }
}

fn identity() -> TaskIdentity {
    TaskIdentity {
        task: "t".into(),
        source_cluster_id: Some("a".into()),
        target_cluster_id: Some("b".into()),
    }
}

fn topic() -> TopicRecord {
    TopicRecord {
        source_topic: "orders".into(),
        source_topic_id: Some(Uuid::from_u128(7)),
        target_topic: "orders".into(),
        initial_partitions: 3,
    }
}

#[tokio::test]
async fn remembers_after_reopening() {
    let (_directory, path) = directory();
    let writes = vec![
        JournalWrite::Lane(Box::new(lane(1, 3))),
        JournalWrite::Lane(Box::new(lane(0, 2))),
        JournalWrite::Lane(Box::new(lane(1, 4))),
        JournalWrite::Topic(topic()),
        JournalWrite::Note { name: "begun".into(), value: "yes".into() },
        JournalWrite::Segments {
            lane: key(0),
            segments: vec![segment(0, 0, 5), segment(10, 5, 5)],
        },
        JournalWrite::Segments { lane: key(0), segments: vec![segment(10, 5, 8)] },
    ];
    {
        let journal = RedbJournal::open(&path).unwrap();
        assert_eq!(journal.claim(identity()).await.unwrap(), Claim::New);
        journal.write(writes).await.unwrap();
    }
    let journal = RedbJournal::open(&path).unwrap();
    assert_eq!(journal.claim(identity()).await.unwrap(), Claim::Continued);
    assert_eq!(journal.load_lanes().await.unwrap(), [lane(0, 2), lane(1, 4)]);
    assert_eq!(journal.load_topics().await.unwrap(), [topic()]);
    assert_eq!(journal.load_note("begun".into()).await.unwrap().as_deref(), Some("yes"));
    assert_eq!(journal.load_note("other".into()).await.unwrap(), None);
    let all = vec![segment(0, 0, 5), segment(10, 5, 8)];
    assert_eq!(journal.load_map(key(0), 10).await.unwrap(), (all.clone(), false));
    assert_eq!(journal.load_map(key(0), 1).await.unwrap(), (all[1..].to_vec(), true));
    assert_eq!(journal.load_map(key(1), 10).await.unwrap(), (vec![], false));
}

#[tokio::test]
async fn another_task_or_cluster_is_refused() {
    let (_directory, path) = directory();
    let journal = RedbJournal::open(&path).unwrap();
    journal.claim(identity()).await.unwrap();
    let error = journal.claim(TaskIdentity { task: "u".into(), ..identity() }).await.unwrap_err();
    assert_eq!(error.to_string(), r#"the state belongs to task "t", not to "u""#);
    let other = TaskIdentity { target_cluster_id: Some("c".into()), ..identity() };
    let error = journal.claim(other).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"the state belongs to the target cluster "b", but the target is now cluster "c""#
    );
    let unknown = TaskIdentity { source_cluster_id: None, ..identity() };
    assert_eq!(journal.claim(unknown).await.unwrap(), Claim::Continued);
}

#[test]
fn a_second_opening_is_refused() {
    let (_directory, path) = directory();
    let first = RedbJournal::open(&path).unwrap();
    let error = RedbJournal::open(&path).unwrap_err();
    assert!(
        matches!(&error, JournalError::AlreadyOpen { path: found } if *found == path),
        "{error}"
    );
    assert!(error.cure().is_some());
    drop(first);
    RedbJournal::open(&path).unwrap();
}

#[test]
fn a_foreign_file_is_an_error_value() {
    for contents in [&b"not a database"[..], &[1; 8192], b"redb\x1A\x0A\xA9\x0D\x0A"] {
        let (_directory, path) = directory();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        let error = RedbJournal::open(&path).unwrap_err();
        let is_typed = matches!(error, JournalError::Open { .. } | JournalError::Damaged { .. });
        assert!(is_typed, "{error}");
    }
}

/// Killed while it made the file: `state file could not be opened: magic number mismatch`, for ever.
#[test]
fn a_file_whose_making_was_interrupted_is_made_again() {
    for contents in [vec![0; 1 << 20], vec![0; 5], [&[0; 9][..], &[7; 300], &[0; 8192]].concat()] {
        let (_directory, path) = directory();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        drop(RedbJournal::open(&path).unwrap());
        RedbJournal::open(&path).unwrap();
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_an_error_value() {
    let (_directory, path) = directory();
    fs::write(path.parent().unwrap(), "a file").unwrap();
    let error = RedbJournal::open(&path).unwrap_err();
    assert!(matches!(error, JournalError::Directory { .. }), "{error}");
}

#[test]
fn a_newer_format_is_refused() {
    let (_directory, path) = directory();
    drop(RedbJournal::open(&path).unwrap());
    let database = redb::Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    let table = redb::TableDefinition::<'_, &str, &str>::new("meta");
    transaction.open_table(table).unwrap().insert("format", "99").unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = RedbJournal::open(&path).unwrap_err();
    assert!(matches!(error, JournalError::Format { found: 99, known: 1, .. }), "{error}");
    assert!(error.cure().unwrap().contains("newer"));
}

#[tokio::test]
async fn a_damaged_file_is_never_a_panic() {
    let (_directory, path) = directory();
    {
        let journal = RedbJournal::open(&path).unwrap();
        for partition in 0..200 {
            journal.write(vec![JournalWrite::Lane(Box::new(lane(partition, 1)))]).await.unwrap();
        }
    }
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        fs::write(&path, &whole).unwrap();
        let mut file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let mut bytes = [0; 64];
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        let count = file.read(&mut bytes).unwrap();
        bytes.iter_mut().for_each(|byte| *byte ^= 0x5a);
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(&bytes[..count]).unwrap();
        drop(file);
        // Any answer will do, but it is an answer: the thread lives on.
        if let Ok(journal) = RedbJournal::open(&path) {
            let _ = journal.load_lanes().await;
            let _ = journal.write(vec![JournalWrite::Lane(Box::new(lane(0, 2)))]).await;
            assert!(!matches!(journal.load_topics().await, Err(JournalError::Closed)));
        }
    }
}

#[tokio::test]
async fn a_removed_lane_takes_its_map_along() {
    let (_directory, path) = directory();
    let journal = RedbJournal::open(&path).unwrap();
    for partition in 0..2 {
        let segments = vec![segment(0, 0, 5), segment(10, 5, 5)];
        let segments = JournalWrite::Segments { lane: key(partition), segments };
        journal
            .write(vec![JournalWrite::Lane(Box::new(lane(partition, 1))), segments])
            .await
            .unwrap();
    }
    journal.write(vec![JournalWrite::RemoveLane(key(0))]).await.unwrap();
    assert_eq!(journal.load_lanes().await.unwrap(), [lane(1, 1)]);
    assert_eq!(journal.load_map(key(0), 10).await.unwrap(), (vec![], false));
    assert_eq!(journal.query_map(key(0), MapQuery::Target(TargetOffset(0))).await.unwrap(), None);
    assert_eq!(journal.load_map(key(1), 10).await.unwrap().0.len(), 2);
}

/// Both journals forget the same: whole segments, and the rest of the one that holds the cut.
#[tokio::test]
async fn a_cut_map_forgets_the_source_offsets_from_there() {
    let (_directory, path) = directory();
    for (from, kept) in [
        (i64::MIN, vec![]),
        (0, vec![]),
        (3, vec![segment(0, 0, 3)]),
        (5, vec![segment(0, 0, 5)]),
        (8, vec![segment(0, 0, 5)]),
        (12, vec![segment(0, 0, 5), segment(10, 7, 2)]),
        (99, vec![segment(0, 0, 5), segment(10, 7, 5)]),
    ] {
        let stored = RedbJournal::open(&path).unwrap();
        let journals: [&dyn Journal; 2] = [&stored, &MemoryJournal::new()];
        for journal in journals {
            let segments = vec![segment(0, 0, 5), segment(10, 7, 5)];
            let segments = JournalWrite::Segments { lane: key(0), segments };
            let cut = JournalWrite::CutMap { lane: key(0), from: SourceOffset(from) };
            journal.write(vec![JournalWrite::RemoveLane(key(0)), segments, cut]).await.unwrap();
            assert_eq!(journal.load_map(key(0), 10).await.unwrap(), (kept.clone(), false));
            // The target's way, too, and new segments follow.
            let next = segment(from.max(0), 20, 1);
            let segments = JournalWrite::Segments { lane: key(0), segments: vec![next] };
            journal.write(vec![segments]).await.unwrap();
            for target in [0, 2, 5, 8, 11, 15, 20] {
                let held = kept.iter().chain([&next]).find(|held| held.target_end().0 > target);
                let query = MapQuery::Target(TargetOffset(target));
                let found = journal.query_map(key(0), query).await.unwrap();
                assert_eq!(found, held.copied(), "cut at {from}, target offset {target}");
            }
        }
    }
}

/// Two hundred writers that wait for the disk together cost far fewer syncs than two hundred.
#[tokio::test]
async fn concurrent_writers_share_transactions() {
    let (_directory, path) = directory();
    let journal = Arc::new(RedbJournal::open(&path).unwrap());
    let started = Instant::now();
    for partition in 0..20 {
        journal.write(vec![JournalWrite::Lane(Box::new(lane(partition, 1)))]).await.unwrap();
    }
    let one_by_one = started.elapsed();
    let started = Instant::now();
    let writers: Vec<_> = (0..2000)
        .map(|partition| {
            let journal = Arc::clone(&journal);
            tokio::spawn(async move {
                journal.write(vec![JournalWrite::Lane(Box::new(lane(partition, 2)))]).await
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap().unwrap();
    }
    let together = started.elapsed();
    assert_eq!(journal.load_lanes().await.unwrap().len(), 2000);
    assert!(together < one_by_one * 50, "20 in turn: {one_by_one:?}, 2000 together: {together:?}");
}

#[test]
fn what_was_queued_is_written_before_the_file_closes() {
    let (_directory, path) = directory();
    let journal = RedbJournal::open(&path).unwrap();
    drop(journal.write(vec![JournalWrite::Lane(Box::new(lane(0, 1)))]));
    drop(journal);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let journal = RedbJournal::open(&path).unwrap();
    assert_eq!(runtime.block_on(journal.load_lanes()).unwrap(), [lane(0, 1)]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// The file answers questions to the map as the memory does, and as the map itself would.
    #[test]
    fn file_and_memory_agree(steps in proptest::collection::vec((0i64..3, 0i64..3, 1i64..4), 1..20)) {
        let (_directory, path) = directory();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let file = RedbJournal::open(&path).unwrap();
        let memory = MemoryJournal::new();
        let (mut source, mut target) = (0, 0);
        let mut segments = Vec::new();
        for (source_gap, target_gap, len) in steps {
            source += source_gap;
            target += target_gap;
            segments.push(segment(source, target, len));
            source += len;
            target += len;
        }
        runtime.block_on(async {
            for journal in [&file as &dyn Journal, &memory] {
                for lane in [key(0), key(1)] {
                    journal.write(vec![JournalWrite::Segments { lane, segments: segments.clone() }]).await.unwrap();
                }
            }
            for offset in -1..source.max(target) + 2 {
                for query in [MapQuery::Source(SourceOffset(offset)), MapQuery::Target(TargetOffset(offset))] {
                    let expected = segments.iter().copied().find(|segment| match query {
                        MapQuery::Source(offset) => segment.source_end() > offset,
                        MapQuery::Target(offset) => segment.target_end() > offset,
                    });
                    assert_eq!(file.query_map(key(0), query).await.unwrap(), expected, "{query:?}");
                    assert_eq!(memory.query_map(key(0), query).await.unwrap(), expected, "{query:?}");
                }
            }
        });
    }
}
