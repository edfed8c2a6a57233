//! P14 and P20: fences without data, transactions, last stable offset.

use std::time::Duration;

use kafka_sim::{Cluster, Release};
use kafka_wire::messages::ProducerId;
use kafka_wire::messages::produce_request::ProduceRequest;
use kafka_wire::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use kafka_wire::record::{BatchOptions, encode_batch, split};
use kafka_wire::{ErrorCode, Uuid};

use crate::wire::{
    FetchOptions, ListOptions, Wire, batch, cluster, produce_request, producer_options, records,
    sequenced, topic_name,
};

const ID: &str = "kferry-lane";

/// InitProducerId as often as it takes.
async fn init(wire: &mut Wire) -> (i64, i16) {
    loop {
        match wire.init_producer(Some(ID)).await {
            (ErrorCode::CONCURRENT_TRANSACTIONS, ..) => {
                tokio::time::sleep(Duration::from_millis(1)).await
            }
            (code, id, epoch) => {
                assert_eq!(code, ErrorCode::NONE);
                return (id, epoch);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p14_a_fence_without_data() {
    for release in Release::ALL {
        let cluster = cluster(release);
        let mut wire = Wire::to(&cluster).await;
        let (id, epoch) = init(&mut wire).await;
        // Plain idempotent batches under the id of a transactional producer.
        assert_eq!(
            wire.produce("t", 0, sequenced(id, epoch, 0, 3)).await,
            (ErrorCode::NONE, 0),
            "{release}"
        );
        let fenced = init(&mut wire).await;
        assert_eq!(fenced, (id, epoch + 1), "{release}");
        assert_eq!(wire.add_partition(ID, fenced, "t").await, ErrorCode::NONE);
        assert_eq!(wire.end_txn(ID, fenced, false).await, ErrorCode::NONE);
        // The answer comes before the marker; until then the id is busy.
        assert_eq!(cluster.end_offset("t", 0).unwrap(), 3, "{release}");
        assert_eq!(
            wire.add_partition(ID, fenced, "t").await,
            ErrorCode::CONCURRENT_TRANSACTIONS,
            "{release}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(cluster.end_offset("t", 0).unwrap(), 4, "{release}: one control record");
        let old = wire.produce("t", 0, sequenced(id, epoch, 3, 3)).await.0;
        assert_eq!(old, ErrorCode::INVALID_PRODUCER_EPOCH, "{release}");
        let repeat = wire.produce("t", 0, sequenced(id, epoch, 0, 3)).await.0;
        assert_eq!(repeat, ErrorCode::INVALID_PRODUCER_EPOCH, "{release}: also a repeat");
        let wrong = wire.produce("t", 0, sequenced(id, epoch + 1, 3, 3)).await.0;
        assert_eq!(wrong, ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER, "{release}");
        assert_eq!(
            wire.produce("t", 0, sequenced(id, epoch + 1, 0, 3)).await,
            (ErrorCode::NONE, 4),
            "{release}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn p14_a_marker_by_hand_is_the_same_fence() {
    let cluster = cluster(Release::V4_2);
    let mut wire = Wire::to(&cluster).await;
    wire.produce("t", 0, sequenced(500, 0, 0, 3)).await;
    let topic = WritableTxnMarkerTopic::default()
        .with_name(topic_name("t"))
        .with_partition_indexes(vec![0]);
    let marker = WritableTxnMarker::default()
        .with_producer_id(ProducerId(500))
        .with_producer_epoch(1)
        .with_topics(vec![topic]);
    let response = wire.call(1, WriteTxnMarkersRequest::default().with_markers(vec![marker])).await;
    assert_eq!(response.markers[0].topics[0].partitions[0].error_code, 0);
    assert_eq!(
        wire.produce("t", 0, sequenced(500, 0, 3, 1)).await.0,
        ErrorCode::INVALID_PRODUCER_EPOCH
    );
    assert_eq!(wire.produce("t", 0, sequenced(500, 1, 0, 1)).await, (ErrorCode::NONE, 4));
}

#[tokio::test(start_paused = true)]
async fn p14_stale_producers_are_fenced_by_the_coordinator() {
    let cluster = cluster(Release::V4_2);
    let mut wire = Wire::to(&cluster).await;
    let old = init(&mut wire).await;
    let new = init(&mut wire).await;
    assert_eq!(wire.add_partition(ID, old, "t").await, ErrorCode::PRODUCER_FENCED);
    assert_eq!(
        wire.end_txn(ID, new, false).await,
        ErrorCode::INVALID_TXN_STATE,
        "nothing was begun"
    );
    assert_eq!(wire.add_partition(ID, new, "t").await, ErrorCode::NONE);
    // Whoever takes over aborts what is open, then gets the epoch after the abort's.
    assert_eq!(wire.init_producer(Some(ID)).await.0, ErrorCode::CONCURRENT_TRANSACTIONS);
    assert_eq!(init(&mut wire).await, (new.0, new.1 + 2));
    assert_eq!(cluster.end_offset("t", 0).unwrap(), 1);
}

/// A transactional batch of `id` in an open transaction.
async fn produce_transactional(
    wire: &mut Wire,
    producer: (i64, i16),
    sequence: i32,
) -> (ErrorCode, i64) {
    let options =
        BatchOptions { transactional: true, ..producer_options(producer.0, producer.1, sequence) };
    let batch = encode_batch(&options, &records(3)).unwrap();
    let version = wire.produce_version();
    let response =
        wire.call::<ProduceRequest>(version, produce_request(Some(ID), &[("t", 0, batch)])).await;
    let answer = &response.responses[0].partition_responses[0];
    (ErrorCode(answer.error_code), answer.base_offset)
}

async fn committed_end(wire: &mut Wire) -> i64 {
    wire.list_offset("t", -1, ListOptions { committed: true, ..ListOptions::default() }).await.1
}

async fn transaction(cluster: &Cluster, commit: bool) -> Wire {
    let mut wire = Wire::to(cluster).await;
    let producer = init(&mut wire).await;
    assert_eq!(wire.add_partition(ID, producer, "t").await, ErrorCode::NONE);
    assert_eq!(produce_transactional(&mut wire, producer, 0).await, (ErrorCode::NONE, 0));
    assert_eq!(wire.produce("t", 0, batch(2)).await, (ErrorCode::NONE, 3));
    assert_eq!(wire.list_offset("t", -1, ListOptions::default()).await.1, 5);
    assert_eq!(
        committed_end(&mut wire).await,
        0,
        "plain records stand behind the open transaction"
    );
    assert_eq!(wire.end_txn(ID, producer, commit).await, ErrorCode::NONE);
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert_eq!(committed_end(&mut wire).await, 6);
    wire
}

#[tokio::test(start_paused = true)]
async fn p20_an_aborted_transaction_is_named_to_committed_readers() {
    for release in Release::ALL {
        for commit in [true, false] {
            let cluster = cluster(release);
            let mut wire = transaction(&cluster, commit).await;
            let id = cluster.topic_id("t").unwrap();
            let options = FetchOptions { committed: true, ..FetchOptions::default() };
            let read = wire.fetch("t", id, 0, options).await;
            let aborted: Vec<i64> =
                read.aborted_transactions.unwrap().iter().map(|found| found.first_offset).collect();
            assert_eq!(aborted, if commit { vec![] } else { vec![0] }, "{release}");
            assert_eq!((read.high_watermark, read.last_stable_offset), (6, 6));
            let batches: Vec<_> = split(read.records.unwrap()).collect::<Result<_, _>>().unwrap();
            assert_eq!(batches.len(), 3);
            let later = wire.fetch("t", id, 6, options).await;
            assert_eq!(later.aborted_transactions.unwrap().len(), 0);
            let everything = wire.fetch("t", id, 0, FetchOptions::default()).await;
            assert!(everything.aborted_transactions.is_none());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p20_an_abandoned_transaction_is_aborted_after_its_timeout() {
    let cluster = cluster(Release::V4_2);
    let mut wire = Wire::to(&cluster).await;
    let producer = init(&mut wire).await;
    wire.add_partition(ID, producer, "t").await;
    produce_transactional(&mut wire, producer, 0).await;
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert_eq!(cluster.last_stable_offset("t", 0).unwrap(), 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(cluster.last_stable_offset("t", 0).unwrap(), 4);
    assert_eq!(cluster.producers("t", 0).unwrap()[0].producer_epoch, producer.1 + 1);
    assert_eq!(wire.end_txn(ID, producer, true).await, ErrorCode::PRODUCER_FENCED);
}

#[tokio::test(start_paused = true)]
async fn p20_transactional_batches_outside_of_a_transaction() {
    for release in Release::ALL {
        let cluster = cluster(release);
        let mut wire = Wire::to(&cluster).await;
        let producer = init(&mut wire).await;
        let (code, _) = produce_transactional(&mut wire, producer, 0).await;
        let expected =
            if release >= Release::V3_9 { ErrorCode::INVALID_TXN_STATE } else { ErrorCode::NONE };
        assert_eq!(code, expected, "{release}");
        let pinned = if release >= Release::V3_9 { None } else { Some(0) };
        let state = cluster.producers("t", 0).unwrap();
        assert_eq!(state.first().and_then(|found| found.transaction_start), pinned, "{release}");
    }
}

#[tokio::test(start_paused = true)]
async fn p14_the_tail_shows_the_marker() {
    let cluster = cluster(Release::V4_2);
    cluster.write_marker("t", 0, 77, 3, false).unwrap();
    let mut wire = Wire::to(&cluster).await;
    let read = wire
        .fetch("t", Uuid::nil(), 0, FetchOptions { version: Some(12), ..FetchOptions::default() })
        .await;
    let batches: Vec<_> = split(read.records.unwrap()).collect::<Result<_, _>>().unwrap();
    let kafka_wire::record::Batch::V2(marker) = &batches[0] else { panic!("not a v2 batch") };
    assert!(marker.header.attributes.is_control() && marker.header.attributes.is_transactional());
    assert_eq!(
        (marker.header.producer_id, marker.header.producer_epoch, marker.header.base_sequence),
        (77, 3, -1)
    );
    marker.verify_crc().unwrap();
    assert!(marker.control().unwrap().is_some());
}
