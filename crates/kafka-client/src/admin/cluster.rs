//! DescribeCluster, or Metadata where that is missing (before 2.8).

use std::collections::BTreeMap;

use kafka_wire::{
    ErrorCode,
    messages::{ApiKey, DescribeClusterRequest},
};

use crate::{
    BrokerAddress, BrokerNode, CallOptions, Client, ClientError, TopicQuery,
    client::route::{Repeat, Target, whole},
};

/// A cluster without its topics.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClusterDescription {
    /// The cluster's id.
    pub cluster_id: Option<String>,
    /// The controller; -1 if there is none at the moment.
    pub controller_id: i32,
    /// Brokers by id.
    pub brokers: BTreeMap<i32, BrokerNode>,
    /// What we may do with the cluster (KIP-430), bits by operation code; none before 2.8.
    pub authorized_operations: Option<i32>,
}

impl Client {
    /// Identity and brokers of the cluster, and what we may do with it.
    ///
    /// # Errors
    /// When no broker answers, or refuses.
    pub async fn describe_cluster(&self) -> Result<ClusterDescription, ClientError> {
        let connection = self.any_broker().await?;
        if connection.version_for::<DescribeClusterRequest>(None).is_err() {
            let metadata = self.refresh_metadata(TopicQuery::Named(Vec::new())).await?;
            return Ok(ClusterDescription {
                cluster_id: metadata.cluster_id.clone(),
                controller_id: metadata.controller_id,
                brokers: metadata.brokers.clone(),
                authorized_operations: None,
            });
        }
        let (response, _) = self
            .ask::<DescribeClusterRequest>(
                Target::Any,
                Repeat::Safe,
                CallOptions::default(),
                |_, _| {
                    Ok(DescribeClusterRequest::default()
                        .with_include_cluster_authorized_operations(true))
                },
                |response| ErrorCode(response.error_code),
            )
            .await?;
        whole(ApiKey::DescribeCluster, "", response.error_code, response.error_message.as_deref())?;
        let brokers = response.brokers.into_iter().filter_map(|broker| {
            let address =
                BrokerAddress::new(broker.host.to_string(), u16::try_from(broker.port).ok()?);
            let id = broker.broker_id.0;
            Some((id, BrokerNode { id, address, rack: broker.rack.map(|rack| rack.to_string()) }))
        });
        Ok(ClusterDescription {
            cluster_id: Some(response.cluster_id.to_string()),
            controller_id: response.controller_id.0,
            brokers: brokers.collect(),
            authorized_operations: Some(response.cluster_authorized_operations)
                .filter(|bits| *bits != i32::MIN),
        })
    }
}
