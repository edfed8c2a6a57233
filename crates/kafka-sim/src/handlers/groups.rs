//! ListGroups, DescribeGroups, DeleteGroups.

use bytes::Bytes;
use kafka_wire::ErrorCode;
use kafka_wire::messages::GroupId;
use kafka_wire::messages::delete_groups_request::DeleteGroupsRequest;
use kafka_wire::messages::delete_groups_response::{DeletableGroupResult, DeleteGroupsResponse};
use kafka_wire::messages::describe_groups_request::DescribeGroupsRequest;
use kafka_wire::messages::describe_groups_response::{
    DescribeGroupsResponse, DescribedGroup, DescribedGroupMember,
};
use kafka_wire::messages::list_groups_request::ListGroupsRequest;
use kafka_wire::messages::list_groups_response::{ListGroupsResponse, ListedGroup};

use super::{Peer, coordinators, text};
use crate::groups::{Group, GroupPhase, Member};
use crate::permissions::{Operation, Resource};
use crate::state::State;

/// Lists the groups that this broker coordinates.
pub(super) fn list(peer: &Peer, request: &ListGroupsRequest) -> ListGroupsResponse {
    let mut state = peer.cluster.state();
    let names: Vec<String> = state.groups.iter().map(|(name, _)| name.clone()).collect();
    let mut listed = Vec::new();
    for name in names {
        let hidden = !state.permissions.allows(
            peer.user(),
            Operation::Describe,
            &Resource::Group(name.clone()),
        );
        if hidden || coordinators::check(peer, &state, &name).is_err() {
            continue;
        }
        let Some(group) = state.groups.get(&name) else { continue };
        let matches = |filter: &[kafka_wire::protocol::StrBytes], value: &str| {
            filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
        };
        if matches(&request.states_filter, group.phase.name())
            && matches(&request.types_filter, "classic")
        {
            let entry = ListedGroup::default()
                .with_group_id(GroupId(text(name)))
                .with_protocol_type(text(group.protocol_type.clone()))
                .with_group_state(text(group.phase.name()))
                .with_group_type(text("classic"));
            listed.push(entry);
        }
    }
    ListGroupsResponse::default().with_groups(listed)
}

pub(super) fn describe(
    peer: &Peer,
    version: i16,
    request: &DescribeGroupsRequest,
) -> DescribeGroupsResponse {
    let mut state = peer.cluster.state();
    let groups = request.groups.iter().map(|id| {
        let answer = DescribedGroup::default()
            .with_group_id(id.clone())
            .with_authorized_operations(i32::MIN);
        let resource = Resource::Group(id.to_string());
        let allowed = state
            .permissions
            .check(peer.user(), Operation::Describe, &resource)
            .and_then(|()| coordinators::check(peer, &state, id));
        if let Err(code) = allowed {
            return answer.with_error_code(code.0);
        }
        let bits = if request.include_authorized_operations {
            state.permissions.bits(peer.user(), &resource)
        } else {
            i32::MIN
        };
        let answer = answer.with_authorized_operations(bits);
        match state.groups.get(id) {
            Some(group) => describe_one(answer, group),
            // KIP-1043: from v6 an unknown group is an error.
            None if version >= 6 => answer
                .with_error_code(ErrorCode::GROUP_ID_NOT_FOUND.0)
                .with_error_message(Some(text(format!("Group {} not found.", id.as_str()))))
                .with_group_state(text("Dead")),
            None => answer.with_group_state(text("Dead")),
        }
    });
    DescribeGroupsResponse::default().with_groups(groups.collect())
}

fn describe_one(answer: DescribedGroup, group: &Group) -> DescribedGroup {
    let stable = group.phase == GroupPhase::Stable;
    let members =
        group.members.iter().map(|(id, member)| describe_member(id, member, group, stable));
    answer
        .with_group_state(text(group.phase.name()))
        .with_protocol_type(text(group.protocol_type.clone()))
        .with_protocol_data(text(if stable { group.protocol.clone() } else { String::new() }))
        .with_members(members.collect())
}

fn describe_member(id: &str, member: &Member, group: &Group, stable: bool) -> DescribedGroupMember {
    let metadata = member
        .protocols
        .iter()
        .find(|(name, _)| *name == group.protocol)
        .map(|(_, bytes)| bytes.clone());
    DescribedGroupMember::default()
        .with_member_id(text(id))
        .with_group_instance_id(member.instance_id.clone().map(text))
        .with_client_id(text(member.client_id.clone()))
        .with_client_host(text("/127.0.0.1"))
        .with_member_metadata(metadata.filter(|_| stable).unwrap_or_default())
        .with_member_assignment(if stable { member.assignment.clone() } else { Bytes::new() })
}

pub(super) fn delete(peer: &Peer, request: &DeleteGroupsRequest) -> DeleteGroupsResponse {
    let mut state = peer.cluster.state();
    let results = request.groups_names.iter().map(|id| {
        let deleted = delete_one(peer, &mut state, id);
        DeletableGroupResult::default()
            .with_group_id(id.clone())
            .with_error_code(super::code(&deleted))
    });
    DeleteGroupsResponse::default().with_results(results.collect())
}

fn delete_one(peer: &Peer, state: &mut State, id: &GroupId) -> Result<(), ErrorCode> {
    state.permissions.check(peer.user(), Operation::Delete, &Resource::Group(id.to_string()))?;
    coordinators::check(peer, state, id)?;
    let group = state.groups.get(id).ok_or(ErrorCode::GROUP_ID_NOT_FOUND)?;
    if group.phase != GroupPhase::Empty {
        return Err(ErrorCode::NON_EMPTY_GROUP);
    }
    state.groups.remove(id);
    Ok(())
}
