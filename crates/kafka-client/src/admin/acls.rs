//! DescribeAcls, CreateAcls, DeleteAcls (KIP-140). Any broker answers: it writes to ZooKeeper itself, or forwards to the controller.

use kafka_wire::{
    ErrorCode,
    messages::{
        ApiKey, CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest,
        create_acls_request::AclCreation, delete_acls_request::DeleteAclsFilter,
        delete_acls_response::DeleteAclsMatchingAcl,
    },
};

use super::{
    acl_types::{Acl, AclFilter, AclOperation, AclPattern, AclPermission, AclResource},
    text,
};
use crate::{
    CallOptions, Client, ClientError, TopicError,
    client::route::{Repeat, Target, nothing_done, whole},
};

/// "Any" in every field of a filter.
const ANY: i8 = 1;

impl Client {
    /// The ACLs that `filter` names. Needs DESCRIBE on the cluster.
    ///
    /// # Errors
    /// When no broker answers, or it refuses: `SECURITY_DISABLED` without an authorizer, `CLUSTER_AUTHORIZATION_FAILED` without
    /// the right. [`ClientError::Unsupported`] before Kafka 2.0, whose requests do not know patterns.
    pub async fn describe_acls(&self, filter: &AclFilter) -> Result<Vec<Acl>, ClientError> {
        let request = DescribeAclsRequest::default()
            .with_resource_type_filter(filter.resource.map_or(ANY, AclResource::code))
            .with_resource_name_filter(filter.name.as_deref().map(text))
            .with_pattern_type_filter(filter.pattern.map_or(ANY, AclPattern::code))
            .with_principal_filter(filter.principal.as_deref().map(text))
            .with_host_filter(filter.host.as_deref().map(text))
            .with_operation(filter.operation.map_or(ANY, AclOperation::code))
            .with_permission_type(filter.permission.map_or(ANY, AclPermission::code));
        let (response, _) = self
            .ask::<DescribeAclsRequest>(
                Target::Any,
                Repeat::Safe,
                CallOptions::default(),
                |_, _| Ok(request.clone()),
                |response| ErrorCode(response.error_code),
            )
            .await?;
        whole(ApiKey::DescribeAcls, "", response.error_code, response.error_message.as_deref())?;
        let mut acls = Vec::new();
        for resource in response.resources {
            for acl in resource.acls {
                acls.push(Acl {
                    resource: AclResource::from_code(resource.resource_type),
                    name: resource.resource_name.to_string(),
                    pattern: AclPattern::from_code(resource.pattern_type),
                    principal: acl.principal.to_string(),
                    host: acl.host.to_string(),
                    operation: AclOperation::from_code(acl.operation),
                    permission: AclPermission::from_code(acl.permission_type),
                });
            }
        }
        Ok(acls)
    }

    /// Makes ACLs; one that is there already counts as made. Needs ALTER on the cluster.
    ///
    /// # Errors
    /// When no broker answers; otherwise each ACL has its own result, in the order in which they were given.
    /// [`ClientError::AnswerUnknown`] may mean that they exist now.
    pub async fn create_acls(
        &self,
        acls: &[Acl],
    ) -> Result<Vec<Result<(), TopicError>>, ClientError> {
        let creation = |acl: &Acl| {
            AclCreation::default()
                .with_resource_type(acl.resource.code())
                .with_resource_name(text(&acl.name))
                .with_resource_pattern_type(acl.pattern.code())
                .with_principal(text(&acl.principal))
                .with_host(text(&acl.host))
                .with_operation(acl.operation.code())
                .with_permission_type(acl.permission.code())
        };
        let request =
            CreateAclsRequest::default().with_creations(acls.iter().map(creation).collect());
        let (response, _) = self
            .ask::<CreateAclsRequest>(
                Target::Any,
                Repeat::Safe,
                CallOptions::default(),
                |_, _| Ok(request.clone()),
                |response| nothing_done(response.results.iter().map(|result| result.error_code)),
            )
            .await?;
        let results = response
            .results
            .iter()
            .map(|result| TopicError::check(result.error_code, result.error_message.as_deref()));
        Ok(one_each(acls.len(), results))
    }

    /// Deletes the ACLs that each filter names, and gives them back; none is no error. Needs ALTER on the cluster.
    ///
    /// # Errors
    /// When no broker answers; otherwise each filter has its own result, in the order in which they were given.
    /// [`ClientError::AnswerUnknown`] may mean that they are gone now.
    pub async fn delete_acls(
        &self,
        filters: &[AclFilter],
    ) -> Result<Vec<Result<Vec<Acl>, TopicError>>, ClientError> {
        let wanted = |filter: &AclFilter| {
            DeleteAclsFilter::default()
                .with_resource_type_filter(filter.resource.map_or(ANY, AclResource::code))
                .with_resource_name_filter(filter.name.as_deref().map(text))
                .with_pattern_type_filter(filter.pattern.map_or(ANY, AclPattern::code))
                .with_principal_filter(filter.principal.as_deref().map(text))
                .with_host_filter(filter.host.as_deref().map(text))
                .with_operation(filter.operation.map_or(ANY, AclOperation::code))
                .with_permission_type(filter.permission.map_or(ANY, AclPermission::code))
        };
        let request =
            DeleteAclsRequest::default().with_filters(filters.iter().map(wanted).collect());
        let (response, _) = self
            .ask::<DeleteAclsRequest>(
                Target::Any,
                Repeat::Safe,
                CallOptions::default(),
                |_, _| Ok(request.clone()),
                |response| nothing_done(response.filter_results.iter().map(|it| it.error_code)),
            )
            .await?;
        let results = response.filter_results.into_iter().map(|result| {
            TopicError::check(result.error_code, result.error_message.as_deref())?;
            result.matching_acls.into_iter().map(deleted).collect()
        });
        Ok(one_each(filters.len(), results))
    }
}

/// An ACL that was deleted, or why it was not.
fn deleted(found: DeleteAclsMatchingAcl) -> Result<Acl, TopicError> {
    TopicError::check(found.error_code, found.error_message.as_deref())?;
    Ok(Acl {
        resource: AclResource::from_code(found.resource_type),
        name: found.resource_name.to_string(),
        pattern: AclPattern::from_code(found.pattern_type),
        principal: found.principal.to_string(),
        host: found.host.to_string(),
        operation: AclOperation::from_code(found.operation),
        permission: AclPermission::from_code(found.permission_type),
    })
}

/// One result for each that was asked; what the broker says nothing about failed unexpectedly.
fn one_each<T>(
    count: usize,
    results: impl Iterator<Item = Result<T, TopicError>>,
) -> Vec<Result<T, TopicError>> {
    let mut results: Vec<_> = results.take(count).collect();
    results.resize_with(count, || Err(TopicError::from(ErrorCode::UNKNOWN_SERVER_ERROR)));
    results
}
