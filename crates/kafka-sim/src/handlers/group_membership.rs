//! JoinGroup, SyncGroup, Heartbeat, LeaveGroup: enough of the classic protocol that real members live.

use std::collections::HashMap;
use std::time::Duration;

use bytes::Bytes;
use kafka_wire::ErrorCode;
use kafka_wire::messages::heartbeat_request::HeartbeatRequest;
use kafka_wire::messages::heartbeat_response::HeartbeatResponse;
use kafka_wire::messages::join_group_request::JoinGroupRequest;
use kafka_wire::messages::join_group_response::{JoinGroupResponse, JoinGroupResponseMember};
use kafka_wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use kafka_wire::messages::leave_group_response::{LeaveGroupResponse, MemberResponse};
use kafka_wire::messages::sync_group_request::SyncGroupRequest;
use kafka_wire::messages::sync_group_response::SyncGroupResponse;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::{Peer, coordinators, text};
use crate::groups::{Group, GroupPhase, Member};
use crate::permissions::{Operation, Resource};
use crate::state::State;

fn admit(peer: &Peer, state: &State, group: &str) -> Result<(), ErrorCode> {
    state.permissions.check(peer.user(), Operation::Read, &Resource::Group(group.to_owned()))?;
    if group.is_empty() {
        return Err(ErrorCode::INVALID_GROUP_ID);
    }
    coordinators::check(peer, state, group)
}

fn millis(value: i32) -> Duration {
    Duration::from_millis(u64::try_from(value).unwrap_or(0))
}

/// A member that waits for its rebalance to complete.
struct Joining {
    member_id: String,
    changes: watch::Receiver<u64>,
    deadline: Instant,
}

pub(super) async fn join(
    peer: &Peer,
    version: i16,
    request: JoinGroupRequest,
) -> JoinGroupResponse {
    let failed = |code: ErrorCode, member: &str| {
        JoinGroupResponse::default()
            .with_error_code(code.0)
            .with_generation_id(-1)
            .with_member_id(text(member))
            .with_protocol_name((version < 7).then(|| text("")))
    };
    let mut joining = match enter(peer, version, &request) {
        Ok(joining) => joining,
        Err((code, member)) => return failed(code, &member),
    };
    loop {
        let waited = timeout_at(joining.deadline, joining.changes.changed()).await;
        let mut state = peer.cluster.state();
        let Some(group) = state.groups.get(&request.group_id) else {
            return failed(ErrorCode::UNKNOWN_MEMBER_ID, &joining.member_id);
        };
        if waited.is_err() {
            group.try_complete_join(true);
        }
        if !group.members.contains_key(&joining.member_id) {
            return failed(ErrorCode::UNKNOWN_MEMBER_ID, &joining.member_id);
        }
        if group.phase != GroupPhase::PreparingRebalance {
            return joined(version, group, &joining.member_id);
        }
    }
}

/// Registers the member and starts the rebalance.
fn enter(
    peer: &Peer,
    version: i16,
    request: &JoinGroupRequest,
) -> Result<Joining, (ErrorCode, String)> {
    let given = request.member_id.to_string();
    let mut state = peer.cluster.state();
    admit(peer, &state, &request.group_id).map_err(|code| (code, given.clone()))?;
    let fresh = format!("{}-{:032x}", peer.client_id, state.random.u128(..));
    let group = state.groups.get_or_create(&request.group_id);
    let refuse = |code: ErrorCode| Err((code, given.clone()));
    let session = millis(request.session_timeout_ms);
    if session.is_zero() || request.protocols.is_empty() {
        return refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    }
    if !group.members.is_empty() && group.protocol_type != request.protocol_type.as_str() {
        return refuse(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
    }
    let is_static = request.group_instance_id.is_some();
    let member_id = match given.as_str() {
        // KIP-394: the member comes again with the id it is given here.
        "" if version >= 4 && !is_static => return Err((ErrorCode::MEMBER_ID_REQUIRED, fresh)),
        "" => fresh,
        known => known.to_owned(),
    };
    let rebalance = if version >= 1 { millis(request.rebalance_timeout_ms) } else { session };
    let member = Member {
        client_id: peer.client_id.clone(),
        instance_id: request.group_instance_id.as_ref().map(ToString::to_string),
        session_timeout: session,
        rebalance_timeout: rebalance,
        seen: Instant::now(),
        protocols: request
            .protocols
            .iter()
            .map(|known| (known.name.to_string(), known.metadata.clone()))
            .collect(),
        assignment: Bytes::new(),
        joined: true,
    };
    group.members.insert(member_id.clone(), member);
    group.protocol_type = request.protocol_type.to_string();
    let mut changes = group.changes.subscribe();
    if group.phase != GroupPhase::PreparingRebalance {
        group.enter(GroupPhase::PreparingRebalance);
    }
    group.try_complete_join(false);
    let longest =
        group.members.values().map(|member| member.rebalance_timeout).max().unwrap_or(rebalance);
    changes.mark_changed();
    Ok(Joining { member_id, changes, deadline: Instant::now() + longest })
}

fn joined(version: i16, group: &Group, member_id: &str) -> JoinGroupResponse {
    let metadata = |member: &Member| {
        let found = member.protocols.iter().find(|(name, _)| *name == group.protocol);
        found.map(|(_, bytes)| bytes.clone()).unwrap_or_default()
    };
    let members = group.members.iter().filter(|_| group.leader == member_id).map(|(id, member)| {
        JoinGroupResponseMember::default()
            .with_member_id(text(id.clone()))
            .with_group_instance_id(member.instance_id.clone().filter(|_| version >= 5).map(text))
            .with_metadata(metadata(member))
    });
    JoinGroupResponse::default()
        .with_generation_id(group.generation)
        .with_protocol_type((version >= 7).then(|| text(group.protocol_type.clone())))
        .with_protocol_name(Some(text(group.protocol.clone())))
        .with_leader(text(group.leader.clone()))
        .with_member_id(text(member_id))
        .with_members(members.collect())
}

pub(super) async fn sync(peer: &Peer, request: SyncGroupRequest) -> SyncGroupResponse {
    let given: HashMap<String, Bytes> = request
        .assignments
        .iter()
        .map(|assignment| (assignment.member_id.to_string(), assignment.assignment.clone()))
        .collect();
    let failed = |code: ErrorCode| SyncGroupResponse::default().with_error_code(code.0);
    let mut changes = {
        let mut state = peer.cluster.state();
        if let Err(code) = admit(peer, &state, &request.group_id) {
            return failed(code);
        }
        let Some(group) = state.groups.get(&request.group_id) else {
            return failed(ErrorCode::UNKNOWN_MEMBER_ID);
        };
        let leads =
            group.leader == request.member_id.as_str() && group.generation == request.generation_id;
        if leads && group.phase == GroupPhase::CompletingRebalance {
            for (id, member) in &mut group.members {
                member.assignment = given.get(id).cloned().unwrap_or_default();
            }
            group.enter(GroupPhase::Stable);
        }
        let mut changes = group.changes.subscribe();
        changes.mark_changed();
        changes
    };
    loop {
        let _ = changes.changed().await;
        let mut state = peer.cluster.state();
        let Some(group) = state.groups.get(&request.group_id) else {
            return failed(ErrorCode::UNKNOWN_MEMBER_ID);
        };
        if let Err(code) = group.check_member(&request.member_id, request.generation_id) {
            return failed(code);
        }
        match group.phase {
            GroupPhase::PreparingRebalance | GroupPhase::Empty => {
                return failed(ErrorCode::REBALANCE_IN_PROGRESS);
            }
            GroupPhase::CompletingRebalance => {}
            GroupPhase::Stable => {
                let assignment = group
                    .members
                    .get(request.member_id.as_str())
                    .map(|member| member.assignment.clone());
                return SyncGroupResponse::default()
                    .with_protocol_type(Some(text(group.protocol_type.clone())))
                    .with_protocol_name(Some(text(group.protocol.clone())))
                    .with_assignment(assignment.unwrap_or_default());
            }
        }
    }
}

pub(super) fn heartbeat(peer: &Peer, request: &HeartbeatRequest) -> HeartbeatResponse {
    let mut state = peer.cluster.state();
    let beat = admit(peer, &state, &request.group_id).and_then(|()| {
        let group = state.groups.get(&request.group_id).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
        group.check_member(&request.member_id, request.generation_id)?;
        let rebalancing = group.phase == GroupPhase::PreparingRebalance;
        if rebalancing { Err(ErrorCode::REBALANCE_IN_PROGRESS) } else { Ok(()) }
    });
    HeartbeatResponse::default().with_error_code(super::code(&beat))
}

pub(super) fn leave(peer: &Peer, version: i16, request: &LeaveGroupRequest) -> LeaveGroupResponse {
    let mut state = peer.cluster.state();
    if let Err(code) = admit(peer, &state, &request.group_id) {
        return LeaveGroupResponse::default().with_error_code(code.0);
    }
    if version < 3 {
        let left = leave_one(&mut state, &request.group_id, &request.member_id, None);
        return LeaveGroupResponse::default().with_error_code(super::code(&left));
    }
    let members = request.members.iter().map(|member| {
        let MemberIdentity { member_id, group_instance_id, .. } = member;
        let left =
            leave_one(&mut state, &request.group_id, member_id, group_instance_id.as_deref());
        MemberResponse::default()
            .with_member_id(member_id.clone())
            .with_group_instance_id(group_instance_id.clone())
            .with_error_code(super::code(&left))
    });
    LeaveGroupResponse::default().with_members(members.collect())
}

fn leave_one(
    state: &mut State,
    group: &str,
    member: &str,
    instance: Option<&str>,
) -> Result<(), ErrorCode> {
    let group = state.groups.get(group).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
    let id = match instance {
        Some(instance) => {
            let found = group
                .members
                .iter()
                .find(|(_, member)| member.instance_id.as_deref() == Some(instance));
            found.map(|(id, _)| id.clone())
        }
        None => Some(member.to_owned()),
    };
    id.and_then(|id| group.members.remove(&id)).ok_or(ErrorCode::UNKNOWN_MEMBER_ID)?;
    group.member_left();
    Ok(())
}
