//! P9: truncation seen by Fetch.

use kafka_sim::{Cluster, ClusterConfig, Release};
use kafka_wire::messages::offset_for_leader_epoch_request::{
    OffsetForLeaderEpochRequest, OffsetForLeaderPartition, OffsetForLeaderTopic,
};
use kafka_wire::{ErrorCode, Uuid};

use crate::wire::{FetchOptions, MODERN, Wire, batch, cluster, topic_name};

/// Epoch 0 ends at 10, epoch 2 at 15.
async fn two_epochs(release: Release) -> Cluster {
    let cluster = cluster(release);
    Wire::to(&cluster).await.produce("t", 0, batch(10)).await;
    for _ in 0..2 {
        cluster.move_leader("t", 0, 1).unwrap();
    }
    Wire::to(&cluster).await.produce("t", 0, batch(5)).await;
    cluster
}

/// (error, diverging epoch and its end, whether records came)
async fn fetch(
    cluster: &Cluster,
    offset: i64,
    last_fetched_epoch: i32,
    leader_epoch: i32,
) -> (ErrorCode, (i32, i64), bool) {
    let mut wire = Wire::to(cluster).await;
    let options = FetchOptions {
        version: Some(12),
        last_fetched_epoch,
        leader_epoch,
        ..FetchOptions::default()
    };
    let answer = wire.fetch("t", Uuid::nil(), offset, options).await;
    let diverging = (answer.diverging_epoch.epoch, answer.diverging_epoch.end_offset);
    (
        ErrorCode(answer.error_code),
        diverging,
        answer.records.is_some_and(|records| !records.is_empty()),
    )
}

#[tokio::test(start_paused = true)]
async fn p9_diverging_epochs() {
    const NOT: (i32, i64) = (-1, -1);
    for release in MODERN {
        let cluster = two_epochs(release).await;
        let cases = [
            (12, 0, (ErrorCode::NONE, (0, 10), false)),
            (12, 1, (ErrorCode::NONE, (0, 10), false)),
            (10, 0, (ErrorCode::NONE, NOT, true)),
            (12, 2, (ErrorCode::NONE, NOT, true)),
            // Past the end: this is how a truncation shows itself.
            (99, 2, (ErrorCode::NONE, (2, 15), false)),
            (99, -1, (ErrorCode::OFFSET_OUT_OF_RANGE, NOT, false)),
            (12, 7, (ErrorCode::OFFSET_OUT_OF_RANGE, NOT, false)),
        ];
        for (offset, epoch, expected) in cases {
            assert_eq!(
                fetch(&cluster, offset, epoch, -1).await,
                expected,
                "{release}: {offset} after epoch {epoch}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p9_leader_epochs_are_compared() {
    for release in MODERN {
        let cluster = two_epochs(release).await;
        for (epoch, expected) in [
            (1, ErrorCode::FENCED_LEADER_EPOCH),
            (2, ErrorCode::NONE),
            (3, ErrorCode::UNKNOWN_LEADER_EPOCH),
        ] {
            assert_eq!(fetch(&cluster, 12, -1, epoch).await.0, expected, "{release}: {epoch}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p9_offset_for_leader_epoch() {
    let cluster = two_epochs(Release::V4_2).await;
    let mut wire = Wire::to(&cluster).await;
    for (epoch, expected) in [(0, (0, 10)), (1, (0, 10)), (2, (2, 15)), (9, (-1, -1))] {
        let partition = OffsetForLeaderPartition::default()
            .with_partition(0)
            .with_leader_epoch(epoch)
            .with_current_leader_epoch(-1);
        let topic = OffsetForLeaderTopic::default()
            .with_topic(topic_name("t"))
            .with_partitions(vec![partition]);
        let response =
            wire.call(4, OffsetForLeaderEpochRequest::default().with_topics(vec![topic])).await;
        let found = &response.topics[0].partitions[0];
        assert_eq!(
            (found.error_code, (found.leader_epoch, found.end_offset)),
            (0, expected),
            "epoch {epoch}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn p9_an_unclean_election_truncates() {
    let cluster = Cluster::new(ClusterConfig::default());
    cluster.create_topic("t", 1, &[]).unwrap();
    for _ in 0..3 {
        Wire::to(&cluster).await.produce("t", 0, batch(5)).await;
    }
    cluster.truncate("t", 0, 10).unwrap();
    assert_eq!(fetch(&cluster, 15, 0, -1).await, (ErrorCode::NONE, (0, 10), false));
}
