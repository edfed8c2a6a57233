//! Every shape of record that a topic can hold arrives equal.

use xtask::kafka::Release;

use super::pair::Pair;
use super::sync_once;
use crate::java::{Dataset, Isolation};

const CODECS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

#[test]
fn every_shape_arrives_equal_and_untouched() {
    let pair = Pair::start(Release::V4_2_0, Release::V4_1_1);
    // Long before it is written to: metadata names leaders that do not know of it yet.
    pair.from.create_topic("wide", 50, &[]).unwrap();
    for codec in CODECS {
        let topic = format!("shape-{codec}");
        pair.from.create_topic(&topic, 3, &[]).unwrap();
        pair.from.produce(&topic, &Dataset::mixed(600).with("codec", codec)).unwrap();
        pair.from.produce_raw_headers(&topic, 1, 5).unwrap();
    }
    pair.from.create_topic("large", 2, &[("max.message.bytes", "3000000")]).unwrap();
    let large = Dataset::plain(12, 1_000_000)
        .with("content", "random")
        .with("client.max.request.size", 3_000_000);
    pair.from.produce("large", &large).unwrap();
    pair.from
        .create_topic(
            "empty",
            2,
            &[("retention.ms", "1234567"), ("cleanup.policy", "compact,delete")],
        )
        .unwrap();
    pair.from.produce("wide", &Dataset::keyed(2000, 500)).unwrap();

    let configs = pair.from.topic_configs("empty").unwrap();
    assert_eq!(
        configs["cleanup.policy"].value.as_deref(),
        Some("compact,delete"),
        "the source itself"
    );

    let state = tempfile::tempdir().unwrap();
    let (source, target) = (pair.source.bootstrap(), pair.target.bootstrap());
    // Merged batches hold the same records, but are not the source's any more.
    let untouched = ["--merge-batches", "false"];
    sync_once(&source, &target, state.path(), &untouched);

    for codec in CODECS {
        assert_eq!(pair.equal(&format!("shape-{codec}")), 605);
        pair.untouched(&format!("shape-{codec}"), 3);
    }
    assert_eq!(pair.equal("large"), 12);
    pair.untouched("large", 2);
    assert_eq!(pair.equal("empty"), 0);
    let configs = pair.to.topic_configs("empty").unwrap();
    assert_eq!(configs["retention.ms"].value.as_deref(), Some("1234567"));
    assert_eq!(configs["cleanup.policy"].value.as_deref(), Some("compact,delete"));
    assert_eq!(pair.equal("wide"), 2000);

    // A rerun goes on: only what is new is copied.
    pair.from
        .produce("shape-lz4", &Dataset::mixed(100).with("first", 600).with("codec", "lz4"))
        .unwrap();
    sync_once(&source, &target, state.path(), &untouched);
    assert_eq!(pair.equal("shape-lz4"), 705);
    pair.untouched("shape-lz4", 3);
    readers_of_committed_data_see_the_same(&pair);
}

/// Compaction gaps, transactions, log append times.
fn readers_of_committed_data_see_the_same(pair: &Pair) {
    pair.from.create_topic("gaps", 2, &[]).unwrap();
    pair.from
        .produce("gaps", &Dataset::keyed(600, 20).with("flush_every", 50).with("codec", "zstd"))
        .unwrap();
    pair.from.compact("gaps").unwrap();

    pair.from.create_topic("transactions", 1, &[]).unwrap();
    for (id, end, first) in
        [("t1", "commit", 0), ("t2", "abort", 10), ("t3", "commit", 20), ("t4", "open", 30)]
    {
        let dataset = Dataset::plain(10, 50).with("first", first).with("txn", id).with("end", end);
        pair.from.produce("transactions", &dataset).unwrap();
    }

    pair.from
        .create_topic("broker-time", 1, &[("message.timestamp.type", "LogAppendTime")])
        .unwrap();
    pair.from.produce("broker-time", &Dataset::mixed(300).with("codec", "gzip")).unwrap();

    let state = tempfile::tempdir().unwrap();
    let more = ["--topics", "gaps|transactions|broker-time", "--name", "committed"];
    let (source, target) = (pair.source.bootstrap(), pair.target.bootstrap());
    sync_once(&source, &target, state.path(), &more);

    let found = pair.from.dump("gaps", Isolation::ReadCommitted).unwrap();
    assert!(
        found[0].records.windows(2).any(|pair| pair[1].offset > pair[0].offset + 1),
        "the source has no gaps"
    );
    pair.equal("gaps");
    assert_eq!(pair.equal("transactions"), 20);
    assert_eq!(pair.equal("broker-time"), 300);

    // The open transaction ends; its records come with the next run.
    pair.from.end_transaction("t4", "commit").unwrap();
    sync_once(&source, &target, state.path(), &more);
    assert_eq!(pair.equal("transactions"), 30);
}
