//! Requests to answers: one file per family of requests.
//!
//! Handlers read and change the state under its lock; only Produce, Fetch, JoinGroup and SyncGroup
//! wait. What a broker does with a request it does not know is decided here: ApiVersions is
//! answered in its version 0, anything else closes the connection.

mod acls;
mod api_versions;
mod cluster_info;
mod configs;
mod coordinators;
mod describe_configs_v0;
mod fetch;
mod fetch_answer;
mod group_membership;
mod groups;
mod list_offsets;
mod metadata;
mod offsets;
mod produce;
mod producers;
mod records;
mod sasl;
mod topics;
mod transactions;

use bytes::Bytes;
use kafka_client::BrokerAddress;
use kafka_wire::ErrorCode;
use kafka_wire::message::{RequestPreamble, decode_request, encode_response};
use kafka_wire::messages::{ApiKey, RequestKind, ResponseKind};
use kafka_wire::protocol::StrBytes;

use crate::broker::Listener;
use crate::cluster::Cluster;
use crate::release::Release;
use crate::sasl::Authentication;
use crate::state::Broker;

pub(crate) use self::topics::check_name as check_topic_name;

/// Who is at the other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) cluster: Cluster,
    pub(crate) broker: i32,
    pub(crate) listener: Listener,
    pub(crate) authentication: Authentication,
    pub(crate) client_id: String,
    /// Counts the connections of the cluster.
    pub(crate) connection: u64,
}

/// What a request is answered with.
#[derive(Debug)]
pub(crate) enum Reply {
    /// These bytes, in order: one frame.
    Chunks(Vec<Bytes>),
    /// Nothing (acks=0).
    Nothing,
    /// The connection is closed.
    Close,
}

impl Peer {
    pub(crate) fn new(cluster: Cluster, broker: i32, listener: Listener) -> Self {
        let authentication = Authentication::new(cluster.config().sasl.is_some());
        let connection = {
            let mut state = cluster.state();
            state.connection_count += 1;
            state.connection_count
        };
        Self { cluster, broker, listener, authentication, client_id: String::new(), connection }
    }

    fn release(&self) -> Release {
        self.cluster.config().release
    }

    fn user(&self) -> &str {
        self.authentication.user()
    }

    /// The address of a broker as clients of this listener see it.
    fn address_of<'a>(&self, broker: &'a Broker) -> &'a BrokerAddress {
        match self.listener {
            Listener::Memory => &broker.memory,
            Listener::Tcp => broker.tcp.as_ref().unwrap_or(&broker.memory),
        }
    }
}

/// A string for an answer.
pub(crate) fn text(value: impl Into<String>) -> StrBytes {
    StrBytes::from_string(value.into())
}

/// The code of a result, for answers that carry one per item.
pub(crate) fn code<T>(result: &Result<T, ErrorCode>) -> i16 {
    result.as_ref().err().map_or(0, |code| code.0)
}

/// Carries out one request.
pub(crate) async fn handle(peer: &mut Peer, frame: Bytes) -> Reply {
    if let Some(answer) = peer.authentication.raw_token(&frame) {
        return answer;
    }
    let Ok(preamble) = RequestPreamble::parse(&frame) else { return Reply::Close };
    let Ok(api_key) = ApiKey::try_from(preamble.api_key) else { return Reply::Close };
    let version = preamble.api_version;
    let offered =
        peer.release().versions(api_key).is_some_and(|(min, max)| (min..=max).contains(&version));
    if !offered {
        return if api_key == ApiKey::ApiVersions {
            api_versions::unsupported(peer, preamble)
        } else {
            Reply::Close
        };
    }
    if !peer.authentication.permits(api_key) {
        return Reply::Close;
    }
    if api_key == ApiKey::DescribeConfigs && version == 0 {
        return describe_configs_v0::handle(peer, preamble.correlation_id, frame);
    }
    let Ok((header, _, request)) = decode_request(frame) else {
        tracing::debug!(
            api_key = preamble.api_key,
            api_version = version,
            "request not understood"
        );
        return Reply::Close;
    };
    if let Some(client_id) = &header.client_id {
        peer.client_id = client_id.to_string();
    }
    *peer.cluster.state().requests.entry(preamble.api_key).or_default() += 1;
    let correlation = preamble.correlation_id;
    match request {
        RequestKind::Produce(request) => produce::handle(peer, correlation, version, request).await,
        RequestKind::Fetch(request) => fetch::handle(peer, correlation, version, request).await,
        other => match answer(peer, version, other).await {
            Some(response) => encoded(correlation, api_key, version, &response),
            None => Reply::Close,
        },
    }
}

/// One frame of an ordinary answer.
pub(crate) fn encoded(
    correlation: i32,
    api_key: ApiKey,
    version: i16,
    response: &ResponseKind,
) -> Reply {
    match encode_response(correlation, api_key, version, response) {
        Ok(frame) => Reply::Chunks(vec![frame]),
        Err(cause) => {
            tracing::error!(?api_key, version, %cause, "answer not encoded");
            Reply::Close
        }
    }
}

async fn answer(peer: &mut Peer, version: i16, request: RequestKind) -> Option<ResponseKind> {
    use RequestKind as Q;
    use ResponseKind as A;
    Some(match request {
        Q::ApiVersions(_) => A::ApiVersions(api_versions::handle(peer)),
        Q::Metadata(request) => A::Metadata(metadata::handle(peer, version, &request)),
        Q::DescribeCluster(request) => A::DescribeCluster(cluster_info::describe(peer, &request)),
        Q::ListOffsets(request) => A::ListOffsets(list_offsets::handle(peer, version, &request)),
        Q::OffsetForLeaderEpoch(request) => {
            A::OffsetForLeaderEpoch(records::offset_for_epoch(peer, &request))
        }
        Q::DescribeAcls(request) => A::DescribeAcls(acls::describe(peer, &request)),
        Q::CreateAcls(request) => A::CreateAcls(acls::create(peer, &request)),
        Q::DeleteAcls(request) => A::DeleteAcls(acls::delete(peer, &request)),
        Q::DeleteRecords(request) => A::DeleteRecords(records::delete(peer, &request)),
        Q::CreateTopics(request) => A::CreateTopics(topics::create(peer, version, &request)),
        Q::DeleteTopics(request) => A::DeleteTopics(topics::delete(peer, version, &request)),
        Q::CreatePartitions(request) => {
            A::CreatePartitions(topics::create_partitions(peer, &request))
        }
        Q::DescribeConfigs(request) => A::DescribeConfigs(configs::describe(peer, &request)),
        Q::AlterConfigs(request) => A::AlterConfigs(configs::alter(peer, &request)),
        Q::IncrementalAlterConfigs(request) => {
            A::IncrementalAlterConfigs(configs::alter_incrementally(peer, &request))
        }
        Q::FindCoordinator(request) => {
            A::FindCoordinator(coordinators::find(peer, version, &request))
        }
        Q::OffsetCommit(request) => A::OffsetCommit(offsets::commit(peer, &request)),
        Q::OffsetFetch(request) => A::OffsetFetch(offsets::fetch(peer, version, &request)),
        Q::ListGroups(request) => A::ListGroups(groups::list(peer, &request)),
        Q::DescribeGroups(request) => A::DescribeGroups(groups::describe(peer, version, &request)),
        Q::DeleteGroups(request) => A::DeleteGroups(groups::delete(peer, &request)),
        Q::JoinGroup(request) => A::JoinGroup(group_membership::join(peer, version, request).await),
        Q::SyncGroup(request) => A::SyncGroup(group_membership::sync(peer, request).await),
        Q::Heartbeat(request) => A::Heartbeat(group_membership::heartbeat(peer, &request)),
        Q::LeaveGroup(request) => A::LeaveGroup(group_membership::leave(peer, version, &request)),
        Q::InitProducerId(request) => A::InitProducerId(producers::init(peer, version, &request)),
        Q::DescribeProducers(request) => A::DescribeProducers(producers::describe(peer, &request)),
        Q::AddPartitionsToTxn(request) => {
            A::AddPartitionsToTxn(transactions::add_partitions(peer, version, &request))
        }
        Q::AddOffsetsToTxn(request) => {
            A::AddOffsetsToTxn(transactions::add_offsets(peer, version, &request))
        }
        Q::EndTxn(request) => A::EndTxn(transactions::end(peer, version, &request)),
        Q::TxnOffsetCommit(request) => {
            A::TxnOffsetCommit(transactions::commit_offsets(peer, version, &request))
        }
        Q::WriteTxnMarkers(request) => {
            A::WriteTxnMarkers(transactions::write_markers(peer, &request))
        }
        Q::SaslHandshake(request) => A::SaslHandshake(sasl::handshake(peer, version, &request)),
        Q::SaslAuthenticate(request) => A::SaslAuthenticate(sasl::authenticate(peer, &request)),
        _ => return None,
    })
}
