//! FindCoordinator.

use kafka_wire::ErrorCode;
use kafka_wire::messages::BrokerId;
use kafka_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use kafka_wire::messages::find_coordinator_response::{Coordinator, FindCoordinatorResponse};

use super::{Peer, text};
use crate::permissions::{Operation, Resource};
use crate::state::State;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// From this version several keys are asked at once (KIP-699).
const BATCHED_VERSION: i16 = 4;

pub(super) fn find(
    peer: &Peer,
    version: i16,
    request: &FindCoordinatorRequest,
) -> FindCoordinatorResponse {
    let state = peer.cluster.state();
    if version >= BATCHED_VERSION {
        let found = request.coordinator_keys.iter().map(|key| {
            let answer = Coordinator::default().with_key(key.clone());
            match look(peer, &state, request.key_type, key) {
                Ok((id, host, port)) => {
                    answer.with_node_id(BrokerId(id)).with_host(text(host)).with_port(port)
                }
                Err(code) => {
                    answer.with_error_code(code.0).with_node_id(BrokerId(-1)).with_port(-1)
                }
            }
        });
        return FindCoordinatorResponse::default().with_coordinators(found.collect());
    }
    let answer = FindCoordinatorResponse::default();
    match look(peer, &state, request.key_type, &request.key) {
        Ok((id, host, port)) => {
            answer.with_node_id(BrokerId(id)).with_host(text(host)).with_port(port)
        }
        Err(code) => answer.with_error_code(code.0).with_node_id(BrokerId(-1)).with_port(-1),
    }
}

fn look(peer: &Peer, state: &State, kind: i8, key: &str) -> Result<(i32, String, i32), ErrorCode> {
    let resource = match kind {
        GROUP => Resource::Group(key.to_owned()),
        TRANSACTION => Resource::TransactionalId(key.to_owned()),
        _ => return Err(ErrorCode::INVALID_REQUEST),
    };
    state.permissions.check(peer.user(), Operation::Describe, &resource)?;
    let id = state.coordinator(key).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
    let broker = state.brokers.get(&id).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)?;
    let address = peer.address_of(broker);
    Ok((id, address.host.clone(), i32::from(address.port)))
}

/// Whether this broker coordinates the key.
///
/// # Errors
/// NOT_COORDINATOR.
pub(super) fn check(peer: &Peer, state: &State, key: &str) -> Result<(), ErrorCode> {
    if state.coordinator(key) == Some(peer.broker) {
        Ok(())
    } else {
        Err(ErrorCode::NOT_COORDINATOR)
    }
}
