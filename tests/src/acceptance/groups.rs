//! Consumer groups stand on the target on exactly the right record, are left to those who use them there, and move over and
//! back.

mod failover;
mod whose;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};

use kafka_client::{Client, ConnectionConfig, OffsetToCommit, TopicPartition};
use xtask::kafka::{KafkaCluster, Options, Release};

use super::running::{Sync, eventually};
use crate::java::{Dataset, Isolation, Oracle, Partition, Record};

/// Groups, each with an offset in every partition of both topics.
const GROUPS: usize = 250;
const PARTITIONS: i32 = 4;
const TOPICS: [&str; 2] = ["txn", "compacted"];

/// Times of the records that others write to the target: no record of the source has one of them.
const STRANGER_TIMES: std::ops::Range<i64> = 1_600_000_000_000..1_601_000_000_000;

/// One target partition's records as a group would get them, and the source's with the same numbering of topics.
type Dumps = BTreeMap<&'static str, Vec<Partition>>;

pub(super) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

pub(super) fn client(cluster: &KafkaCluster) -> Client {
    Client::new(ConnectionConfig::plain(&cluster.bootstrap()).unwrap()).unwrap()
}

fn dumps(oracle: &Oracle) -> Dumps {
    TOPICS
        .into_iter()
        .map(|topic| (topic, oracle.dump(topic, Isolation::ReadCommitted).unwrap()))
        .collect()
}

/// Transactions of `records` records each; three of ten are aborted.
fn transactions(oracle: &Oracle, numbers: std::ops::Range<u64>, records: u64) {
    for number in numbers {
        let end = if matches!(number % 10, 2 | 5 | 6) { "abort" } else { "commit" };
        let dataset = Dataset::plain(records, 60)
            .with("first", number * records)
            .with("txn", format!("t{}", number % 4))
            .with("end", end);
        oracle.produce("txn", &dataset).unwrap();
    }
}

/// A random offset in each partition, its end included.
fn random_offsets(sources: &Dumps) -> Vec<(TopicPartition, i64)> {
    let mut offsets = Vec::new();
    for (topic, partitions) in sources {
        for partition in partitions {
            let offset = fastrand::i64(0..=partition.end);
            offsets.push((TopicPartition::new(*topic, partition.partition), offset));
        }
    }
    offsets
}

/// Commits for all groups; gives what was committed.
async fn commit_all(
    client: &Client,
    sources: &Dumps,
) -> BTreeMap<String, Vec<(TopicPartition, i64)>> {
    let mut committed = BTreeMap::new();
    for number in 0..GROUPS {
        let group = format!("group-{number:03}");
        let offsets = random_offsets(sources);
        let wanted = offsets
            .iter()
            .map(|(at, offset)| OffsetToCommit { at: at.clone(), offset: *offset, metadata: None })
            .collect();
        let done = client.offset_commit(&group, wanted).await.unwrap();
        assert!(done.values().all(Result::is_ok), "{done:?}");
        committed.insert(group, offsets);
    }
    committed
}

fn first_at(partition: &Partition, offset: i64) -> Option<&Record> {
    partition.records.iter().find(|record| record.offset >= offset)
}

/// What is wrong with where the groups stand on the target.
fn misplaced(
    committed: &BTreeMap<String, Vec<(TopicPartition, i64)>>,
    found: &BTreeMap<String, BTreeMap<TopicPartition, i64>>,
    sources: &Dumps,
    targets: &Dumps,
) -> Vec<String> {
    let mut wrong = Vec::new();
    for (group, offsets) in committed {
        for (at, offset) in offsets {
            let partition = usize::try_from(at.partition).unwrap();
            let topic = at.topic.as_str();
            let expected = first_at(&sources[topic][partition], *offset);
            let Some(target) = found.get(group).and_then(|offsets| offsets.get(at)) else {
                wrong.push(format!("{group} has nothing at {at}"));
                continue;
            };
            let landed = first_at(&targets[topic][partition], *target);
            let is_right = match (expected, landed) {
                (Some(expected), Some(landed)) => {
                    (expected.timestamp, &expected.key, &expected.value)
                        == (landed.timestamp, &landed.key, &landed.value)
                }
                // Behind the last record: only what others wrote may follow.
                (None, landed) => {
                    landed.is_none_or(|landed| STRANGER_TIMES.contains(&landed.timestamp))
                }
                (Some(_), None) => false,
            };
            if !is_right {
                wrong.push(format!(
                    "{group}, {at}: source {offset} is {expected:?}, target {target} is {landed:?}"
                ));
            }
        }
    }
    wrong
}

/// Waits until all groups stand on their records.
fn check_all(
    runtime: &tokio::runtime::Runtime,
    target: &Client,
    oracles: (&Oracle, &Oracle),
    committed: &BTreeMap<String, Vec<(TopicPartition, i64)>>,
) {
    let sources = dumps(oracles.0);
    let mut last = Vec::new();
    let is_right = eventually(60, || {
        let groups = committed.keys().cloned().collect();
        let fetched = runtime.block_on(target.offset_fetch_groups(groups, false)).unwrap();
        let found = fetched
            .into_iter()
            .map(|(group, offsets)| {
                let offsets = offsets.unwrap().into_iter();
                (group, offsets.map(|(at, found)| (at, found.unwrap().offset)).collect())
            })
            .collect();
        let targets = dumps(oracles.1);
        last = misplaced(committed, &found, &sources, &targets);
        last.is_empty()
    });
    let checked: usize = committed.values().map(Vec::len).sum();
    let gaps: BTreeMap<_, _> = sources
        .iter()
        .map(|(topic, partitions)| {
            let missing = |partition: &Partition| {
                partition.end - i64::try_from(partition.records.len()).unwrap()
            };
            (topic, partitions.iter().map(missing).sum::<i64>())
        })
        .collect();
    eprintln!(
        "{checked} offsets checked, {} wrong; offsets without a record: {gaps:?}",
        last.len()
    );
    assert!(is_right, "{} of {checked} wrong, such as {:#?}", last.len(), last.first());
}

/// Writes to the target's topics until told to stop.
fn strangers(target: &KafkaCluster, stop: &AtomicBool) -> u64 {
    let oracle = Oracle::for_cluster(target).unwrap();
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let present: BTreeSet<String> = oracle.topics().unwrap().into_iter().collect();
        for topic in TOPICS.iter().filter(|topic| present.contains(**topic)) {
            let dataset =
                Dataset::plain(8, 20).with("first", count).with("timestamp", STRANGER_TIMES.start);
            count += oracle.produce(topic, &dataset).unwrap();
        }
    }
    count
}

#[test]
fn every_group_lands_on_its_record_with_gaps_strangers_and_a_kill() {
    let source = KafkaCluster::start(Release::V4_2_0, Options::default()).unwrap();
    // The target must not clean away the records that are looked for.
    let options = Options::default().property("log.cleaner.enable", "false");
    let target = KafkaCluster::start(Release::V4_2_0, options).unwrap();
    let (from, to) = (Oracle::for_cluster(&source).unwrap(), Oracle::for_cluster(&target).unwrap());
    let runtime = runtime();
    let partitions = u32::try_from(PARTITIONS).unwrap();
    for topic in TOPICS {
        from.create_topic(topic, partitions, &[]).unwrap();
    }
    let keyed = Dataset::keyed(4_000, 80).with("flush_every", 50);
    from.produce("compacted", &keyed).unwrap();
    from.compact("compacted").unwrap();
    transactions(&from, 0..40, 100);

    let state = tempfile::tempdir().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| strangers(&target, &stop));
        // Whatever fails: the writer must end.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let (ours, theirs) = (client(&source), client(&target));
            let sync = Sync::start(&source.bootstrap(), &target.bootstrap(), state.path(), &[]);
            let committed = runtime.block_on(commit_all(&ours, &dumps(&from)));
            check_all(&runtime, &theirs, (&from, &to), &committed);
            sync.kill();

            transactions(&from, 40..60, 100);
            from.produce("compacted", &Dataset::plain(1_000, 60).with("first", 100_000)).unwrap();
            let committed = runtime.block_on(commit_all(&ours, &dumps(&from)));
            let sync = Sync::start(&source.bootstrap(), &target.bootstrap(), state.path(), &[]);
            check_all(&runtime, &theirs, (&from, &to), &committed);
            let events = sync.stop();
            let strange = |event: &&serde_json::Value| event["event"] == "group_taken_over";
            assert_eq!(events.iter().find(strange), None);
        }));
        stop.store(true, Ordering::Relaxed);
        let count = writer.join().unwrap();
        eprintln!("others wrote {count} records to the target meanwhile");
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
        assert!(count > 100, "the others were idle");
    });
}
