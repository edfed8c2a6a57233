//! DescribeAcls, CreateAcls, DeleteAcls.

use std::collections::BTreeMap;

use kafka_client::{Acl, AclOperation, AclPattern, AclPermission, AclResource};
use kafka_wire::ErrorCode;
use kafka_wire::messages::create_acls_request::{AclCreation, CreateAclsRequest};
use kafka_wire::messages::create_acls_response::{AclCreationResult, CreateAclsResponse};
use kafka_wire::messages::delete_acls_request::DeleteAclsRequest;
use kafka_wire::messages::delete_acls_response::{
    DeleteAclsFilterResult, DeleteAclsMatchingAcl, DeleteAclsResponse,
};
use kafka_wire::messages::describe_acls_request::DescribeAclsRequest;
use kafka_wire::messages::describe_acls_response::{
    AclDescription, DescribeAclsResource, DescribeAclsResponse,
};

use super::{Peer, text};
use crate::acls::{self, Filter};
use crate::permissions::{Operation, Resource};
use crate::state::State;

/// Why all of a request is refused.
type Refused = (ErrorCode, String);

/// The right comes before everything else, and before that the authorizer.
fn check(peer: &Peer, state: &State, operation: Operation) -> Result<(), Refused> {
    if !peer.cluster.config().authorizer {
        let message = "No Authorizer is configured.".to_owned();
        return Err((ErrorCode::SECURITY_DISABLED, message));
    }
    let allowed = state.permissions.check(peer.user(), operation, &Resource::Cluster);
    // As Kafka says it: another text for each request.
    allowed.map_err(|code| {
        let number: u64 = state.requests.values().sum();
        (
            code,
            format!(
                "Request Request(connectionId={}-{number}) is not authorized.",
                peer.connection
            ),
        )
    })
}

pub(super) fn describe(peer: &Peer, request: &DescribeAclsRequest) -> DescribeAclsResponse {
    let state = peer.cluster.state();
    let filter = Filter {
        resource: request.resource_type_filter,
        name: request.resource_name_filter.as_deref(),
        pattern: request.pattern_type_filter,
        principal: request.principal_filter.as_deref(),
        host: request.host_filter.as_deref(),
        operation: request.operation,
        permission: request.permission_type,
    };
    let checked = check(peer, &state, Operation::Describe).and_then(|()| filter.check());
    if let Err((code, message)) = checked {
        return DescribeAclsResponse::default()
            .with_error_code(code.0)
            .with_error_message(Some(text(message)));
    }
    let mut resources: BTreeMap<_, Vec<AclDescription>> = BTreeMap::new();
    for acl in state.acls.matching(&filter) {
        let entry = AclDescription::default()
            .with_principal(text(acl.principal))
            .with_host(text(acl.host))
            .with_operation(acl.operation.code())
            .with_permission_type(acl.permission.code());
        resources.entry((acl.resource, acl.name, acl.pattern)).or_default().push(entry);
    }
    let resources = resources.into_iter().map(|((resource, name, pattern), acls)| {
        DescribeAclsResource::default()
            .with_resource_type(resource.code())
            .with_resource_name(text(name))
            .with_pattern_type(pattern.code())
            .with_acls(acls)
    });
    DescribeAclsResponse::default().with_resources(resources.collect())
}

pub(super) fn create(peer: &Peer, request: &CreateAclsRequest) -> CreateAclsResponse {
    let mut state = peer.cluster.state();
    let allowed = check(peer, &state, Operation::Alter);
    let results = request.creations.iter().map(|creation| {
        let acl = wanted(creation);
        match allowed.clone().and_then(|()| acls::check(&acl)) {
            Ok(()) => {
                state.acls.known.insert(acl);
                AclCreationResult::default()
            }
            Err((code, message)) => AclCreationResult::default()
                .with_error_code(code.0)
                .with_error_message(Some(text(message))),
        }
    });
    CreateAclsResponse::default().with_results(results.collect())
}

fn wanted(creation: &AclCreation) -> Acl {
    Acl {
        resource: AclResource::from_code(creation.resource_type),
        name: creation.resource_name.to_string(),
        pattern: AclPattern::from_code(creation.resource_pattern_type),
        principal: creation.principal.to_string(),
        host: creation.host.to_string(),
        operation: AclOperation::from_code(creation.operation),
        permission: AclPermission::from_code(creation.permission_type),
    }
}

pub(super) fn delete(peer: &Peer, request: &DeleteAclsRequest) -> DeleteAclsResponse {
    let mut state = peer.cluster.state();
    let allowed = check(peer, &state, Operation::Alter);
    let results = request.filters.iter().map(|wanted| {
        let filter = Filter {
            resource: wanted.resource_type_filter,
            name: wanted.resource_name_filter.as_deref(),
            pattern: wanted.pattern_type_filter,
            principal: wanted.principal_filter.as_deref(),
            host: wanted.host_filter.as_deref(),
            operation: wanted.operation,
            permission: wanted.permission_type,
        };
        if let Err((code, message)) = allowed.clone().and_then(|()| filter.check()) {
            return DeleteAclsFilterResult::default()
                .with_error_code(code.0)
                .with_error_message(Some(text(message)));
        }
        let gone = state.acls.matching(&filter);
        for acl in &gone {
            state.acls.known.remove(acl);
        }
        DeleteAclsFilterResult::default()
            .with_matching_acls(gone.into_iter().map(matching).collect())
    });
    DeleteAclsResponse::default().with_filter_results(results.collect())
}

fn matching(acl: Acl) -> DeleteAclsMatchingAcl {
    DeleteAclsMatchingAcl::default()
        .with_resource_type(acl.resource.code())
        .with_resource_name(text(acl.name))
        .with_pattern_type(acl.pattern.code())
        .with_principal(text(acl.principal))
        .with_host(text(acl.host))
        .with_operation(acl.operation.code())
        .with_permission_type(acl.permission.code())
}
