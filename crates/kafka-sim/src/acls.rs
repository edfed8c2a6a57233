//! The ACLs of a cluster with an authorizer, and which of them a filter names.
//!
//! They are kept and shown, not enforced: what a user may not do is said with [`Cluster::deny`](crate::Cluster::deny).

use std::collections::BTreeSet;

use kafka_client::{Acl, AclOperation, AclPattern, AclPermission, AclResource};
use kafka_wire::ErrorCode;

/// Every value will do.
const ANY: i8 = 1;
/// Pattern types that only filters have.
const PATTERN_MATCH: i8 = 2;

/// The ACLs of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Acls {
    pub(crate) known: BTreeSet<Acl>,
}

/// A filter as the requests carry it (`AclBindingFilter` in Apache Kafka).
#[derive(Debug)]
pub(crate) struct Filter<'a> {
    pub(crate) resource: i8,
    pub(crate) name: Option<&'a str>,
    pub(crate) pattern: i8,
    pub(crate) principal: Option<&'a str>,
    pub(crate) host: Option<&'a str>,
    pub(crate) operation: i8,
    pub(crate) permission: i8,
}

impl Filter<'_> {
    /// Whether every value is one that a filter can have.
    pub(crate) fn check(&self) -> Result<(), (ErrorCode, String)> {
        let is_known = self.resource > 0
            && self.operation > 0
            && self.permission > 0
            && (ANY..=AclPattern::Prefixed.code()).contains(&self.pattern);
        if is_known {
            Ok(())
        } else {
            Err((ErrorCode::INVALID_REQUEST, "The AclBindingFilter contains UNKNOWN".to_owned()))
        }
    }

    /// `ResourcePatternFilter.matches` and `AccessControlEntryFilter.matches`.
    fn matches(&self, acl: &Acl) -> bool {
        let code = |wanted: i8, found: i8| wanted == ANY || wanted == found;
        let text = |wanted: Option<&str>, found: &str| wanted.is_none_or(|wanted| wanted == found);
        code(self.resource, acl.resource.code())
            && self.matches_name(acl)
            && text(self.principal, &acl.principal)
            && text(self.host, &acl.host)
            && code(self.operation, acl.operation.code())
            && code(self.permission, acl.permission.code())
    }

    fn matches_name(&self, acl: &Acl) -> bool {
        if ![ANY, PATTERN_MATCH, acl.pattern.code()].contains(&self.pattern) {
            return false;
        }
        let Some(name) = self.name else { return true };
        if self.pattern != PATTERN_MATCH {
            return name == acl.name;
        }
        match acl.pattern {
            AclPattern::Prefixed => name.starts_with(&acl.name),
            _ => name == acl.name || acl.is_wildcard(),
        }
    }
}

impl Acls {
    pub(crate) fn matching(&self, filter: &Filter<'_>) -> Vec<Acl> {
        self.known.iter().filter(|acl| filter.matches(acl)).cloned().collect()
    }
}

/// What a broker finds wrong with an ACL that is to be made (`AclApis`, `AclControlManager.validateNewAcl`).
pub(crate) fn check(acl: &Acl) -> Result<(), (ErrorCode, String)> {
    let wrong = |message: &str| Err((ErrorCode::INVALID_REQUEST, message.to_owned()));
    if acl.resource == AclResource::Cluster && acl.name != "kafka-cluster" {
        return wrong("The only valid name for the CLUSTER resource is kafka-cluster");
    }
    if acl.name.is_empty() {
        return wrong("Invalid empty resource name");
    }
    let is_unknown = matches!(acl.resource, AclResource::Other(_))
        || matches!(acl.pattern, AclPattern::Other(_))
        || matches!(acl.operation, AclOperation::Other(_))
        || matches!(acl.permission, AclPermission::Other(_));
    if is_unknown {
        return wrong("CreatableAcls contain unknown elements");
    }
    if !acl.principal.contains(':') {
        return wrong("Could not parse principal (no colon is present)");
    }
    Ok(())
}
