//! DescribeCluster: the cluster's name, controller and brokers.

use kafka_wire::messages::BrokerId;
use kafka_wire::messages::describe_cluster_request::DescribeClusterRequest;
use kafka_wire::messages::describe_cluster_response::{
    DescribeClusterBroker, DescribeClusterResponse,
};

use super::{Peer, text};
use crate::permissions::{Operation, Resource};

/// Answers without any right; the bits are 0 then (P13).
pub(super) fn describe(peer: &Peer, request: &DescribeClusterRequest) -> DescribeClusterResponse {
    let state = peer.cluster.state();
    let brokers = state.brokers.values().filter(|broker| broker.up).map(|broker| {
        let address = peer.address_of(broker);
        DescribeClusterBroker::default()
            .with_broker_id(BrokerId(broker.id))
            .with_host(text(address.host.clone()))
            .with_port(i32::from(address.port))
            .with_rack(broker.rack.clone().map(text))
    });
    let allowed = state.permissions.allows(peer.user(), Operation::Describe, &Resource::Cluster);
    let bits = match request.include_cluster_authorized_operations {
        false => i32::MIN,
        true if allowed => state.permissions.bits(peer.user(), &Resource::Cluster),
        true => 0,
    };
    DescribeClusterResponse::default()
        .with_cluster_id(text(peer.cluster.config().cluster_id.clone()))
        .with_controller_id(BrokerId(state.controller().unwrap_or(-1)))
        .with_brokers(brokers.collect())
        .with_cluster_authorized_operations(bits)
        .with_endpoint_type(request.endpoint_type)
}
