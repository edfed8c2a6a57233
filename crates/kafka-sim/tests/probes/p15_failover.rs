//! P11, P15, P19, P21: leaders that move, sleep, lag or lack replicas; faults on demand.

use std::time::Duration;

use kafka_sim::{Cluster, ClusterConfig, Fault, FaultAction, Release};
use kafka_wire::ErrorCode;
use kafka_wire::messages::ApiKey;
use kafka_wire::messages::metadata_request::MetadataRequest;
use kafka_wire::messages::produce_request::ProduceRequest;

use crate::wire::{ListOptions, NOW_MS, Wire, batch, cluster, produce_request, sequenced};

fn three_brokers() -> Cluster {
    let config = ClusterConfig {
        brokers: 3,
        start_time_ms: Some(NOW_MS),
        ..ClusterConfig::release(Release::V4_2)
    };
    let cluster = Cluster::new(config);
    cluster.create_replicated_topic("t", 1, 3, &[("min.insync.replicas", "2")]).unwrap();
    cluster
}

#[tokio::test(start_paused = true)]
async fn p15_state_is_complete_on_the_new_leader() {
    let cluster = three_brokers();
    let old_leader = cluster.leader("t", 0).unwrap();
    let mut wire = Wire::to_broker(&cluster, old_leader).await;
    assert_eq!(wire.produce("t", 0, sequenced(9, 0, 0, 3)).await.0, ErrorCode::NONE);
    cluster.kill_broker(old_leader);
    assert!(wire.frame().await.is_none(), "connections are cut");
    let leader = cluster.leader("t", 0).unwrap();
    assert_ne!(leader, old_leader);
    let mut wire = Wire::to_broker(&cluster, leader).await;
    assert_eq!(
        wire.produce("t", 0, sequenced(9, 0, 0, 3)).await,
        (ErrorCode::NONE, 0),
        "the repeat is recognised"
    );
    assert_eq!(
        wire.produce("t", 0, sequenced(9, 0, 6, 3)).await.0,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER
    );
    let metadata = wire.call(12, MetadataRequest::default().with_topics(None)).await;
    assert_eq!(metadata.brokers.len(), 2);
    let partition = &metadata.topics[0].partitions[0];
    assert_eq!(
        (partition.leader_id.0, partition.leader_epoch, partition.isr_nodes.len()),
        (leader, 1, 2)
    );
    let fenced =
        wire.list_offset("t", -1, ListOptions { leader_epoch: 0, ..ListOptions::default() }).await;
    assert_eq!(fenced.0, ErrorCode::FENCED_LEADER_EPOCH);
}

#[tokio::test(start_paused = true)]
async fn p17_an_old_leader_says_so_and_names_the_new_one() {
    let cluster = three_brokers();
    let old = cluster.leader("t", 0).unwrap();
    let new = old % 3 + 1;
    cluster.move_leader("t", 0, new).unwrap();
    let mut wire = Wire::to_broker(&cluster, old).await;
    let response =
        wire.call::<ProduceRequest>(11, produce_request(None, &[("t", 0, batch(1))])).await;
    let answer = &response.responses[0].partition_responses[0];
    assert_eq!(ErrorCode(answer.error_code), ErrorCode::NOT_LEADER_OR_FOLLOWER);
    assert_eq!((answer.current_leader.leader_id.0, answer.current_leader.leader_epoch), (new, 1));
}

#[tokio::test(start_paused = true)]
async fn p15_a_batch_above_the_high_watermark_times_out_and_stays() {
    let cluster = three_brokers();
    cluster.hold_high_watermark("t", 0, Some(0)).unwrap();
    let leader = cluster.leader("t", 0).unwrap();
    let mut wire = Wire::to_broker(&cluster, leader).await;
    for _ in 0..2 {
        // A repeat waits as the first one did: never OK before the commit.
        assert_eq!(
            wire.produce("t", 0, sequenced(9, 0, 0, 3)).await.0,
            ErrorCode::REQUEST_TIMED_OUT
        );
    }
    assert_eq!(cluster.end_offset("t", 0).unwrap(), 3, "appended, not committed");
    assert_eq!(wire.list_offset("t", -1, ListOptions::default()).await.1, 0);
    let waiting = async { wire.produce("t", 0, sequenced(9, 0, 0, 3)).await };
    let releasing = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        cluster.hold_high_watermark("t", 0, None).unwrap();
    };
    assert_eq!(tokio::join!(waiting, releasing).0, (ErrorCode::NONE, 0));
}

#[tokio::test(start_paused = true)]
async fn p15_a_fresh_leader_hides_its_offsets() {
    let cluster = cluster(Release::V4_2);
    cluster.hide_offsets("t", 0, true).unwrap();
    let mut wire = Wire::to(&cluster).await;
    assert_eq!(
        wire.list_offset("t", -1, ListOptions::default()).await.0,
        ErrorCode::OFFSET_NOT_AVAILABLE
    );
    assert_eq!(wire.list_offset("t", -2, ListOptions::default()).await.0, ErrorCode::NONE);
    cluster.hide_offsets("t", 0, false).unwrap();
    assert_eq!(wire.list_offset("t", -1, ListOptions::default()).await.0, ErrorCode::NONE);
}

#[tokio::test(start_paused = true)]
async fn p19_too_few_replicas_are_refused_before_the_sequence_is_looked_at() {
    let cluster = three_brokers();
    let leader = cluster.leader("t", 0).unwrap();
    let mut wire = Wire::to_broker(&cluster, leader).await;
    wire.produce("t", 0, sequenced(9, 0, 0, 3)).await;
    for id in (1..=3).filter(|id| *id != leader) {
        cluster.kill_broker(id);
    }
    for sequence in [0, 3, 99] {
        let (code, _) = wire.produce("t", 0, sequenced(9, 0, sequence, 3)).await;
        assert_eq!(code, ErrorCode::NOT_ENOUGH_REPLICAS);
    }
    cluster.start_broker(leader % 3 + 1);
    assert_eq!(wire.produce("t", 0, sequenced(9, 0, 3, 3)).await, (ErrorCode::NONE, 3));
}

#[tokio::test(start_paused = true)]
async fn p15_a_sleeping_broker_answers_when_it_wakes_up() {
    let cluster = cluster(Release::V4_2);
    let mut wire = Wire::to(&cluster).await;
    cluster.pause_broker(1, true);
    let version = wire.produce_version();
    wire.send(version, &produce_request(None, &[("t", 0, batch(1))])).await;
    let silent = tokio::time::timeout(Duration::from_secs(60), wire.frame()).await;
    assert!(silent.is_err(), "the broker's own timeout does not run");
    assert_eq!(cluster.end_offset("t", 0).unwrap(), 0);
    cluster.pause_broker(1, false);
    assert!(wire.receive::<ProduceRequest>(version).await.is_some());
    assert_eq!(cluster.end_offset("t", 0).unwrap(), 1);
}

/// What a fault does to one produce: (answer came, batch appended).
async fn with_fault(action: FaultAction) -> (bool, bool) {
    let cluster = cluster(Release::V4_2);
    cluster.add_fault(Fault::once(ApiKey::Produce, action));
    let mut wire = Wire::to(&cluster).await;
    let version = wire.produce_version();
    wire.send(version, &produce_request(None, &[("t", 0, batch(1))])).await;
    let answer = tokio::time::timeout(Duration::from_secs(5), wire.frame()).await;
    (matches!(answer, Ok(Some(_))), cluster.end_offset("t", 0).unwrap() == 1)
}

#[tokio::test(start_paused = true)]
async fn faults_do_what_they_say() {
    assert_eq!(with_fault(FaultAction::LoseAnswer).await, (false, true));
    assert_eq!(with_fault(FaultAction::CutBefore).await, (false, false));
    assert_eq!(with_fault(FaultAction::CutAfterBytes(7)).await, (false, true));
    assert_eq!(with_fault(FaultAction::Hang).await, (false, true));
    assert_eq!(with_fault(FaultAction::Delay(Duration::from_secs(2))).await, (true, true));
    assert_eq!(with_fault(FaultAction::Duplicate).await, (true, true));
}

#[tokio::test(start_paused = true)]
async fn refusals_are_counted() {
    let cluster = cluster(Release::V4_2);
    cluster.refuse_produce("t", 0, ErrorCode::KAFKA_STORAGE_ERROR, 2);
    let mut wire = Wire::to(&cluster).await;
    let mut codes = Vec::new();
    for _ in 0..3 {
        codes.push(wire.produce("t", 0, batch(1)).await.0);
    }
    assert_eq!(
        codes,
        [ErrorCode::KAFKA_STORAGE_ERROR, ErrorCode::KAFKA_STORAGE_ERROR, ErrorCode::NONE]
    );
}
