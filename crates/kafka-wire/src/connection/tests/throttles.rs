//! Throttle times: where they stand, and what they do.

use std::time::Duration;

use super::{super::throttle::throttle_time, peer::Peer};
use crate::{
    message::encode_response,
    messages::{
        ApiKey, BrokerId, FetchResponse, HeartbeatResponse, MetadataResponse, ProduceResponse,
        ResponseKind, TopicName,
        produce_response::{
            BatchIndexAndErrorMessage, LeaderIdAndEpoch, NodeEndpoint, PartitionProduceResponse,
            TopicProduceResponse,
        },
    },
    protocol::StrBytes,
};

fn produce(version: i16) -> ResponseKind {
    let mut partition = PartitionProduceResponse::default().with_index(3).with_base_offset(7);
    if version >= 8 {
        let record = BatchIndexAndErrorMessage::default()
            .with_batch_index(1)
            .with_batch_index_error_message(Some(StrBytes::from_static_str("bad")));
        partition = partition
            .with_record_errors(vec![record])
            .with_error_message(Some(StrBytes::from_static_str("worse")));
    }
    if version >= 10 {
        partition.current_leader =
            LeaderIdAndEpoch::default().with_leader_id(BrokerId(2)).with_leader_epoch(9);
    }
    let mut topic = TopicProduceResponse::default()
        .with_partition_responses(vec![partition.clone(), partition]);
    if version >= 13 {
        topic.topic_id = crate::Uuid::from_u128(5);
    } else {
        topic.name = TopicName(StrBytes::from_static_str("topic"));
    }
    let mut response = ProduceResponse::default()
        .with_responses(vec![topic.clone(), topic])
        .with_throttle_time_ms(1234);
    if version >= 10 {
        response.node_endpoints =
            vec![NodeEndpoint::default().with_node_id(BrokerId(2)).with_port(9092)];
    }
    ResponseKind::Produce(response)
}

fn check(api: ApiKey, version: i16, response: &ResponseKind, expected_ms: u64) {
    let frame = encode_response(1, api, version, response).unwrap().slice(4..);
    let found = throttle_time(api as i16, version, &frame);
    assert_eq!(found, Duration::from_millis(expected_ms), "{api:?} v{version}");
    for end in 0..frame.len() {
        // Never past the end; what comes out of a cut frame does not matter, it is refused elsewhere.
        _ = throttle_time(api as i16, version, &frame[..end]);
    }
}

#[test]
fn throttle_times_are_found() {
    for version in 3..=13 {
        check(ApiKey::Produce, version, &produce(version), if version >= 6 { 1234 } else { 0 });
    }
    let fetch = ResponseKind::Fetch(FetchResponse::default().with_throttle_time_ms(77));
    for version in 4..=17 {
        check(ApiKey::Fetch, version, &fetch, if version >= 8 { 77 } else { 0 });
    }
    let metadata = ResponseKind::Metadata(MetadataResponse::default().with_throttle_time_ms(5));
    for version in 4..=12 {
        check(ApiKey::Metadata, version, &metadata, if version >= 6 { 5 } else { 0 });
    }
    let heartbeat = ResponseKind::Heartbeat(HeartbeatResponse::default().with_throttle_time_ms(5));
    check(ApiKey::Heartbeat, 4, &heartbeat, 0);
    let negative = ResponseKind::Fetch(FetchResponse::default().with_throttle_time_ms(-5));
    check(ApiKey::Fetch, 12, &negative, 0);
}

/// KIP-219: nothing is sent before the time is over.
#[test]
fn throttles_are_obeyed() {
    let mut peer = Peer::ready();
    let send = |peer: &mut Peer, token: u64| {
        peer.machine.send(super::super::Request {
            token,
            correlation_id: i32::try_from(token).unwrap(),
            api_key: ApiKey::Fetch as i16,
            api_version: 12,
            chunks: vec![bytes::Bytes::from_static(&[0, 0, 0, 8, 0, 1, 0, 12, 0, 0, 0, 0])],
            deadline: peer.now + Duration::from_secs(30),
        });
    };
    send(&mut peer, 0);
    assert!(peer.frame().is_some());
    let response = ResponseKind::Fetch(FetchResponse::default().with_throttle_time_ms(500));
    peer.input(encode_response(0, ApiKey::Fetch, 12, &response).unwrap().slice(4..));
    send(&mut peer, 1);
    assert!(peer.frame().is_none());
    assert_eq!(peer.machine.poll_timeout(), Some(peer.now + Duration::from_millis(500)));
    peer.pass(Duration::from_millis(499));
    assert!(peer.frame().is_none());
    peer.pass(Duration::from_millis(1));
    assert!(peer.frame().is_some());
}
