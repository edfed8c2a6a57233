//! InitProducerId, AddPartitionsToTxn, EndTxn: producer ids, and the fence that is an empty transaction.

use std::{collections::BTreeMap, time::Duration};

use kafka_wire::{
    ErrorCode,
    messages::{
        AddPartitionsToTxnRequest, ApiKey, EndTxnRequest, InitProducerIdRequest, ProducerId,
        add_partitions_to_txn_request::AddPartitionsToTxnTopic,
    },
};

use super::{millis, topic_name, transactional_id};
use crate::{
    CallOptions, Client, ClientError, CoordinatorKind, TopicPartition,
    client::route::{Repeat, Target, by_topic, whole},
};

/// Clients use AddPartitionsToTxn up to here; later versions are for brokers.
const ADD_PARTITIONS_VERSION_MAX: i16 = 3;
/// EndTxn v5 raises the epoch by itself (KIP-890): up to here it does not.
const END_TXN_VERSION_MAX: i16 = 4;

/// A producer id with its epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProducerIdentity {
    /// Given by the cluster.
    pub producer_id: i64,
    /// Raised with every InitProducerId of the same transactional id.
    pub producer_epoch: i16,
}

impl Client {
    /// A producer id: a new one, or the one of a transactional id with its epoch raised.
    ///
    /// `timeout` is the transaction's; the coordinator aborts what stays open longer. Waits through
    /// COORDINATOR_LOAD_IN_PROGRESS, CONCURRENT_TRANSACTIONS and coordinators that move (broker-probes P18).
    ///
    /// # Errors
    /// When no coordinator answers within `retry_time_max`, or refuses.
    pub async fn init_producer_id(
        &self,
        id: Option<&str>,
        timeout: Duration,
    ) -> Result<ProducerIdentity, ClientError> {
        let target = match id {
            Some(id) => Target::Coordinator(CoordinatorKind::Transaction, id),
            None => Target::Any,
        };
        let request = InitProducerIdRequest::default()
            .with_transactional_id(id.map(transactional_id))
            .with_transaction_timeout_ms(millis(timeout))
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let (response, _) = self
            .ask::<InitProducerIdRequest>(
                target,
                Repeat::Safe,
                CallOptions::default(),
                |_, _| Ok(request.clone()),
                |response| ErrorCode(response.error_code),
            )
            .await?;
        whole(ApiKey::InitProducerId, id.unwrap_or_default(), response.error_code, None)?;
        Ok(ProducerIdentity {
            producer_id: response.producer_id.0,
            producer_epoch: response.producer_epoch,
        })
    }

    /// Adds partitions to the transaction of this producer; begins it if none is open.
    ///
    /// CONCURRENT_TRANSACTIONS (the last transaction is still being ended) is waited for: when this succeeds, the
    /// markers of the transaction before are written (broker-probes P14).
    ///
    /// # Errors
    /// When the coordinator does not answer; otherwise each partition has its code.
    pub async fn add_partitions_to_txn(
        &self,
        id: &str,
        identity: ProducerIdentity,
        partitions: Vec<TopicPartition>,
    ) -> Result<BTreeMap<TopicPartition, Result<(), ErrorCode>>, ClientError> {
        let mut results: BTreeMap<_, _> = partitions
            .iter()
            .map(|at| (at.clone(), Err(ErrorCode::UNKNOWN_SERVER_ERROR)))
            .collect();
        let topics = by_topic(partitions.into_iter().map(|at| (at, ()))).into_iter().map(
            |(name, partitions)| {
                AddPartitionsToTxnTopic::default()
                    .with_name(topic_name(&name))
                    .with_partitions(partitions.into_iter().map(|(index, ())| index).collect())
            },
        );
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(transactional_id(id))
            .with_v3_and_below_producer_id(ProducerId(identity.producer_id))
            .with_v3_and_below_producer_epoch(identity.producer_epoch)
            .with_v3_and_below_topics(topics.collect());
        let (response, _) = self
            .ask::<AddPartitionsToTxnRequest>(
                Target::Coordinator(CoordinatorKind::Transaction, id),
                Repeat::Safe,
                CallOptions { timeout: None, version_max: Some(ADD_PARTITIONS_VERSION_MAX) },
                |_, _| Ok(request.clone()),
                |response| {
                    let codes = response
                        .results_by_topic_v3_and_below
                        .iter()
                        .flat_map(|topic| &topic.results_by_partition);
                    codes
                        .map(|partition| ErrorCode(partition.partition_error_code))
                        .find(|code| is_coordination(*code))
                        .unwrap_or(ErrorCode::NONE)
                },
            )
            .await?;
        for topic in response.results_by_topic_v3_and_below {
            for partition in topic.results_by_partition {
                let at = TopicPartition::new(topic.name.to_string(), partition.partition_index);
                results.insert(at, ErrorCode(partition.partition_error_code).ok());
            }
        }
        Ok(results)
    }

    /// Ends the transaction of this producer. The answer comes before the markers are written (broker-probes P14).
    ///
    /// # Errors
    /// When the coordinator does not answer within `retry_time_max`, or refuses.
    pub async fn end_txn(
        &self,
        id: &str,
        identity: ProducerIdentity,
        commit: bool,
    ) -> Result<(), ClientError> {
        let request = EndTxnRequest::default()
            .with_transactional_id(transactional_id(id))
            .with_producer_id(ProducerId(identity.producer_id))
            .with_producer_epoch(identity.producer_epoch)
            .with_committed(commit);
        let (response, _) = self
            .ask::<EndTxnRequest>(
                Target::Coordinator(CoordinatorKind::Transaction, id),
                Repeat::Safe,
                CallOptions { timeout: None, version_max: Some(END_TXN_VERSION_MAX) },
                |_, _| Ok(request.clone()),
                |response| ErrorCode(response.error_code),
            )
            .await?;
        whole(ApiKey::EndTxn, id, response.error_code, None)
    }
}

/// Codes of a coordinator that ends by itself, for the whole request.
fn is_coordination(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::NOT_COORDINATOR
            | ErrorCode::COORDINATOR_NOT_AVAILABLE
            | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
            | ErrorCode::CONCURRENT_TRANSACTIONS
    )
}
