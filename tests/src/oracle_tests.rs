//! The judge itself: it works on every release, and it finds what differs.

use crate::java::{Dataset, Isolation, Oracle, compare};
use crate::segments;
use std::time::{Duration, Instant};
use xtask::kafka::{Flavour, KafkaCluster, Options, Release};

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

#[test]
fn killed_broker_returns_with_its_data() {
    // ZooKeeper keeps a dead broker's registration for a while; a quorum of three goes on without one.
    for (release, brokers) in [(Release::V1_1_1, 1), (Release::V4_2_0, 3)] {
        let cluster =
            KafkaCluster::start(release, Options::new(brokers, Flavour::default())).unwrap();
        let oracle = Oracle::for_cluster(&cluster).unwrap();
        oracle.create_topic("t", 1, &[]).unwrap();
        oracle.produce("t", &Dataset::mixed(50)).unwrap();
        let before = oracle.digest("t", Isolation::ReadUncommitted).unwrap();
        let last = cluster.broker(brokers - 1);
        let address = last.address();
        last.kill().unwrap();
        assert!(!last.is_running().unwrap());
        cluster.wait_ready().unwrap();
        last.restart().unwrap();
        assert_eq!(last.address(), address);
        // A broker that died forgets how far its log was committed and shows less for a moment (P15).
        let deadline = Instant::now() + Duration::from_secs(60);
        while oracle.digest("t", Isolation::ReadUncommitted).unwrap() != before {
            assert!(Instant::now() < deadline, "{release} did not come back with its data");
        }
    }
}

#[test]
fn sasl_users_and_certificates_are_accepted() {
    for release in [Release::V0_11_0_3, Release::V4_2_0] {
        let options = Options::new(1, "sasl-tls+acl".parse().unwrap());
        let cluster = KafkaCluster::start(release, options).unwrap();
        let admin = Oracle::for_cluster(&cluster).unwrap();
        admin.create_topic("t", 1, &[]).unwrap();
        admin.produce("t", &Dataset::mixed(5)).unwrap();
        let mechanisms = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];
        let clients = mechanisms.map(|mechanism| client(&cluster, mechanism, "kferry-password"));
        for client in &clients {
            // Known to the broker, but not allowed until somebody grants it.
            let error = client.digest("t", Isolation::ReadCommitted).unwrap_err();
            assert!(format!("{error:#}").contains("no topic t"), "{release}: {error:#}");
        }
        for operation in ["READ", "DESCRIBE"] {
            admin.allow("User:kferry", operation, "TOPIC", "t", "LITERAL").unwrap();
        }
        for client in &clients {
            assert_eq!(client.digest("t", Isolation::ReadCommitted).unwrap()[0].count, 5);
        }
        // A client of 0.11 goes on trying after a refused login.
        if release > Release::V0_11_0_3 {
            let wrong = client(&cluster, "SCRAM-SHA-512", "wrong");
            let error = wrong.digest("t", Isolation::ReadCommitted).unwrap_err();
            assert!(format!("{error:#}").contains("uthentication"), "{release}: {error:#}");
        }
    }
}

/// A client of the listener that asks for SASL inside TLS.
fn client(cluster: &KafkaCluster, mechanism: &str, password: &str) -> Oracle {
    let module = if mechanism == "PLAIN" { "plain.Plain" } else { "scram.Scram" };
    let login = format!(
        "org.apache.kafka.common.security.{module}LoginModule required username=\"kferry\" password=\"{password}\";"
    );
    let trust = cluster.certificates().unwrap().trust_store().display().to_string();
    let properties = [
        ("security.protocol", "SASL_SSL"),
        ("sasl.mechanism", mechanism),
        ("sasl.jaas.config", &login),
        ("ssl.truststore.type", "PKCS12"),
        ("ssl.truststore.location", &trust),
        ("ssl.truststore.password", "kferry-test"),
    ];
    Oracle::start(cluster.release(), &cluster.bootstrap(), &properties).unwrap()
}
