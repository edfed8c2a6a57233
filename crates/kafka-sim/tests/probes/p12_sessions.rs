//! P12: fetch sessions.

use std::time::Duration;

use kafka_sim::{Cluster, ClusterConfig, Release};
use kafka_wire::messages::fetch_request::{FetchPartition, FetchRequest};
use kafka_wire::messages::fetch_response::FetchResponse;
use kafka_wire::{ErrorCode, Uuid};

use crate::wire::{FetchOptions, Wire, batch, fetch_request};

const VERSION: i16 = 12;

fn small_cache(slots: usize) -> Cluster {
    let config =
        ClusterConfig { fetch_session_slots: slots, ..ClusterConfig::release(Release::V4_2) };
    let cluster = Cluster::new(config);
    cluster.create_topic("t", 5, &[]).unwrap();
    cluster
}

/// Asks with session id and epoch for the first `partitions` partitions.
async fn ask(wire: &mut Wire, session: (i32, i32), partitions: i32) -> FetchResponse {
    let mut request: FetchRequest =
        fetch_request("t", Uuid::nil(), 0, &FetchOptions { session, ..FetchOptions::default() });
    request.topics[0].partitions = (0..partitions)
        .map(|index| {
            FetchPartition::default()
                .with_partition(index)
                .with_current_leader_epoch(-1)
                .with_last_fetched_epoch(-1)
                .with_partition_max_bytes(1000)
        })
        .collect();
    if partitions == 0 {
        request.topics.clear();
    }
    wire.call(VERSION, request).await
}

fn code(response: &FetchResponse) -> ErrorCode {
    ErrorCode(response.error_code)
}

#[tokio::test(start_paused = true)]
async fn p12_slots_are_limited_and_kept_for_two_minutes() {
    let cluster = small_cache(3);
    let mut wire = Wire::to(&cluster).await;
    let mut granted = Vec::new();
    for _ in 0..3 {
        granted.push(ask(&mut wire, (0, 0), 1).await.session_id);
    }
    assert!(granted.iter().all(|id| *id != 0));
    for partitions in [1, 5] {
        let refused = ask(&mut wire, (0, 0), partitions).await;
        assert_eq!((code(&refused), refused.session_id), (ErrorCode::NONE, 0));
        assert_eq!(refused.responses[0].partitions.len(), usize::try_from(partitions).unwrap());
    }
    tokio::time::sleep(Duration::from_secs(125)).await;
    assert_ne!(ask(&mut wire, (0, 0), 5).await.session_id, 0);
    let mut gone = 0;
    for id in granted {
        gone += usize::from(
            code(&ask(&mut wire, (id, 1), 0).await) == ErrorCode::FETCH_SESSION_ID_NOT_FOUND,
        );
    }
    assert_eq!(gone, 1);
}

#[tokio::test(start_paused = true)]
async fn p12_epochs_must_follow_each_other() {
    let cluster = small_cache(3);
    let mut wire = Wire::to(&cluster).await;
    let id = ask(&mut wire, (0, 0), 2).await.session_id;
    assert_eq!(code(&ask(&mut wire, (id, 1), 0).await), ErrorCode::NONE);
    assert_eq!(code(&ask(&mut wire, (id, 1), 0).await), ErrorCode::INVALID_FETCH_SESSION_EPOCH);
    assert_eq!(code(&ask(&mut wire, (id, 2), 0).await), ErrorCode::NONE, "the session survives");
    assert_eq!(code(&ask(&mut wire, (id ^ 1, 1), 0).await), ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn p12_a_session_tells_only_news() {
    let cluster = small_cache(3);
    let mut wire = Wire::to(&cluster).await;
    let full = ask(&mut wire, (0, 0), 3).await;
    assert_eq!(full.responses[0].partitions.len(), 3);
    let id = full.session_id;
    assert!(ask(&mut wire, (id, 1), 0).await.responses.is_empty());
    wire.produce("t", 1, batch(2)).await;
    let news = ask(&mut wire, (id, 2), 0).await;
    assert_eq!(news.responses.len(), 1);
    let partitions = &news.responses[0].partitions;
    assert_eq!(
        (partitions.len(), partitions[0].partition_index, partitions[0].high_watermark),
        (1, 1, 2)
    );
    // Not advanced by the client: it comes again. Then a partition more is asked, and told.
    assert_eq!(ask(&mut wire, (id, 3), 0).await.responses[0].partitions.len(), 1);
    let more = ask(&mut wire, (id, 4), 5).await;
    let mut told: Vec<i32> = more
        .responses
        .iter()
        .flat_map(|topic| &topic.partitions)
        .map(|p| p.partition_index)
        .collect();
    told.sort_unstable();
    assert_eq!(told, [1, 3, 4]);
}
