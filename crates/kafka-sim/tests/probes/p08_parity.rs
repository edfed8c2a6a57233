//! P8: offset parity: fillers and DeleteRecords, gaps by markers.

use kafka_sim::{Cluster, Release};
use kafka_wire::messages::ProducerId;
use kafka_wire::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use kafka_wire::messages::write_txn_markers_request::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use kafka_wire::{ErrorCode, Uuid};

use crate::wire::{FetchOptions, Wire, batch, cluster, topic_name};

async fn delete_records(cluster: &Cluster, topic: &str, offset: i64) -> (ErrorCode, i64) {
    let mut wire = Wire::to(cluster).await;
    let partition = DeleteRecordsPartition::default().with_partition_index(0).with_offset(offset);
    let topic =
        DeleteRecordsTopic::default().with_name(topic_name(topic)).with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]).with_timeout_ms(1000);
    let response = wire.call_highest(request).await;
    let partition = &response.topics[0].partitions[0];
    (ErrorCode(partition.error_code), partition.low_watermark)
}

#[tokio::test(start_paused = true)]
async fn p8_delete_records_moves_the_start() {
    for release in Release::ALL {
        let cluster = cluster(release);
        let mut wire = Wire::to(&cluster).await;
        wire.produce("t", 0, batch(10)).await;
        assert_eq!(delete_records(&cluster, "t", 4).await, (ErrorCode::NONE, 4), "{release}");
        let id = cluster.topic_id("t").unwrap();
        let whole = wire.fetch("t", id, 4, FetchOptions::default()).await;
        assert_eq!(
            (whole.error_code, whole.records.unwrap().len()),
            (0, batch(10).len()),
            "the whole batch"
        );
        let below = wire.fetch("t", id, 3, FetchOptions::default()).await;
        assert_eq!(ErrorCode(below.error_code), ErrorCode::OFFSET_OUT_OF_RANGE);
        assert_eq!(delete_records(&cluster, "t", -1).await, (ErrorCode::NONE, 10));
        assert_eq!(delete_records(&cluster, "t", 11).await.0, ErrorCode::OFFSET_OUT_OF_RANGE);
        assert_eq!(wire.produce("t", 0, batch(1)).await, (ErrorCode::NONE, 10));
    }
}

#[tokio::test(start_paused = true)]
async fn p8_delete_records_needs_a_policy_that_deletes() {
    let cluster = cluster(Release::V4_2);
    cluster.create_topic("compacted", 1, &[("cleanup.policy", "compact")]).unwrap();
    cluster.create_topic("both", 1, &[("cleanup.policy", "compact,delete")]).unwrap();
    for topic in ["compacted", "both"] {
        Wire::to(&cluster).await.produce(topic, 0, batch(3)).await;
    }
    assert_eq!(delete_records(&cluster, "compacted", 1).await.0, ErrorCode::POLICY_VIOLATION);
    assert_eq!(delete_records(&cluster, "both", 1).await, (ErrorCode::NONE, 1));
}

#[tokio::test(start_paused = true)]
async fn p8_many_gaps_by_markers_of_a_producer_never_seen() {
    let cluster = cluster(Release::V4_2);
    let mut wire = Wire::to(&cluster).await;
    let markers = (0..1000).map(|_| {
        let topic = WritableTxnMarkerTopic::default()
            .with_name(topic_name("t"))
            .with_partition_indexes(vec![0]);
        WritableTxnMarker::default()
            .with_producer_id(ProducerId(4242))
            .with_producer_epoch(0)
            .with_topics(vec![topic])
    });
    let response =
        wire.call(1, WriteTxnMarkersRequest::default().with_markers(markers.collect())).await;
    assert!(response.markers.iter().all(|marker| marker.topics[0].partitions[0].error_code == 0));
    assert_eq!(cluster.end_offset("t", 0).unwrap(), 1000);
    assert!(cluster.records("t", 0).unwrap().is_empty());
    assert_eq!(cluster.log("t", 0).unwrap()[0].len(), 78, "bytes of a control batch");
    assert_eq!(wire.produce("t", 0, batch(1)).await, (ErrorCode::NONE, 1000));
    let read = wire
        .fetch("t", Uuid::nil(), 0, FetchOptions { version: Some(12), ..FetchOptions::default() })
        .await;
    assert_eq!(read.high_watermark, 1001);
}
