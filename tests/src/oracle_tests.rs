//! The judge itself: it works on every release, and it finds what differs.

use crate::java::{Dataset, Isolation, Oracle, compare};
use crate::segments;
use xtask::kafka::{KafkaCluster, Options, Release};

const RELEASES: [Release; 6] = [
    Release::V0_11_0_3,
    Release::V1_1_1,
    Release::V2_8_2,
    Release::V3_9_1,
    Release::V4_1_1,
    Release::V4_2_0,
];

#[test]
fn oracle_writes_and_reads_on_every_release() {
    for release in RELEASES {
        let cluster = KafkaCluster::start(release, Options::default()).unwrap();
        let oracle = Oracle::for_cluster(&cluster).unwrap();
        works(&cluster, &oracle);
        compaction_and_transactions(&oracle);
    }
}

fn works(cluster: &KafkaCluster, oracle: &Oracle) {
    oracle.create_topic("a", 3, &[("retention.ms", "-1")]).unwrap();
    oracle.create_topic("b", 3, &[("message.timestamp.type", "LogAppendTime")]).unwrap();
    oracle.create_topic("c", 3, &[]).unwrap();
    for codec in ["none", "gzip", "snappy", "lz4"] {
        for topic in ["a", "b", "c"] {
            assert_eq!(
                oracle.produce(topic, &Dataset::mixed(200).with("codec", codec)).unwrap(),
                200
            );
        }
    }
    let same = compare(oracle, "a", oracle, "c").unwrap();
    assert_eq!(same.iter().map(|partition| partition.count).sum::<u64>(), 800);
    // Times differ, and one more record is found.
    assert!(
        compare(oracle, "a", oracle, "b").unwrap_err().to_string().contains("record 0 differs")
    );
    oracle.produce("c", &Dataset::mixed(1).with("partition", 2)).unwrap();
    let error = compare(oracle, "a", oracle, "c").unwrap_err().to_string();
    assert!(error.starts_with("a-2: ") && error.contains("too many"), "{error}");

    let configs = oracle.topic_configs("a").unwrap();
    assert_eq!(configs["retention.ms"].value.as_deref(), Some("-1"));
    oracle.set_topic_config("a", "segment.bytes", "1048576").unwrap();
    let configs = oracle.topic_configs("a").unwrap();
    assert_eq!(configs["segment.bytes"].value.as_deref(), Some("1048576"));
    assert_eq!(configs["retention.ms"].value.as_deref(), Some("-1"));

    let before = oracle.offsets("a").unwrap()[1].1;
    oracle.produce_raw_headers("a", 1, 7).unwrap();
    assert_eq!(oracle.offsets("a").unwrap()[1], (0, before + 7));
    let stored = segments::batches(cluster.broker(0).data_directory(), "a", 1).unwrap();
    assert_eq!(stored.iter().map(|batch| i64::from(batch.record_count)).sum::<i64>(), before + 7);

    oracle.commit("g", "a", &[(0, 3), (2, 5)]).unwrap();
    assert_eq!(oracle.committed("g", "a").unwrap(), [(0, 3), (2, 5)].into());
    if cluster.release() >= Release::V1_1_1 {
        oracle.grow_topic("b", 5).unwrap();
        oracle.delete_records("a", 0, 10).unwrap();
        assert_eq!(oracle.offsets("a").unwrap()[0].0, 10);
    }
    oracle.delete_topic("b").unwrap();
    assert!(oracle.call("nonsense", &[]).unwrap_err().to_string().contains("nonsense"));
}

fn compaction_and_transactions(oracle: &Oracle) {
    oracle.create_topic("compacted", 2, &[]).unwrap();
    oracle.produce("compacted", &Dataset::keyed(600, 20).with("flush_every", 50)).unwrap();
    oracle.compact("compacted").unwrap();
    let found = oracle.dump("compacted", Isolation::ReadUncommitted).unwrap();
    let gaps = found[0].records.windows(2).any(|pair| pair[1].offset > pair[0].offset + 1);
    assert!(gaps && found[0].count < 300, "{} records", found[0].count);

    oracle.create_topic("txn", 1, &[]).unwrap();
    for (id, end, first) in
        [("t1", "commit", 0), ("t2", "abort", 10), ("t3", "commit", 20), ("t4", "open", 30)]
    {
        let dataset = Dataset::plain(10, 50).with("first", first).with("txn", id).with("end", end);
        oracle.produce("txn", &dataset).unwrap();
    }
    let count = |isolation| oracle.digest("txn", isolation).unwrap()[0].count;
    assert_eq!((count(Isolation::ReadCommitted), count(Isolation::ReadUncommitted)), (20, 40));
    oracle.end_transaction("t4", "commit").unwrap();
    assert_eq!(count(Isolation::ReadCommitted), 30);
}
