//! What both clusters show of ACLs, and what must be done: asked and decided in one place, for the sync that does it and for the plan
//! that only tells.

use std::collections::{BTreeMap, BTreeSet};

use kafka_client::{Acl, AclFilter, AclPermission, Client, ClusterMetadata, TopicQuery};

use super::LookError;
use super::own::Own;
use super::translate::{Desired, Scope};
use crate::spec::TaskSpec;
use crate::task::Role;
use crate::topics::names::is_internal;

/// What was found, and what must be done.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// What is wanted and what is not.
    pub(crate) desired: Desired,
    /// ACLs that the target lacks, in the order in which they are to be made: what is denied first.
    pub(crate) make: Vec<Acl>,
    /// Our ACLs that come from nothing on the source any more, in the order in which they are to be removed: what is denied last.
    pub(crate) remove: Vec<Acl>,
    /// Those of them that the target shows.
    pub(crate) shown: BTreeSet<Acl>,
    /// What our other ACLs come from now.
    pub(crate) sources: BTreeMap<Acl, BTreeSet<Acl>>,
}

/// Looks at both clusters. Changes nothing.
///
/// # Errors
/// [`LookError::Client`] when one of them does not answer, or refuses.
pub(crate) async fn survey(
    spec: &TaskSpec,
    (source, target): (&Client, &Client),
    travelling: &BTreeMap<String, String>,
    own: &Own,
    is_one_cluster: bool,
) -> Result<Survey, LookError> {
    let failed = |role: Role| move |error| LookError::Client(role, error);
    let there = target.describe_acls(&AclFilter::any()).await.map_err(failed(Role::Target))?;
    let mut here = list(source).await?;
    let metadata = source.metadata(TopicQuery::All).await.map_err(failed(Role::Source))?;
    let visible = visible(&metadata, travelling, is_one_cluster);
    let scope = Scope {
        sync: spec.acl_sync,
        write: spec.acl_write,
        rename: &spec.rename,
        travelling,
        visible: &visible,
    };
    let desired = Desired::of(&here, &scope);
    if !orphans(own, &desired, &here).is_empty() {
        // A broker that is behind may not show an ACL yet: nothing is removed because of one answer.
        here.extend(list(source).await?);
    }
    let there: BTreeSet<_> = there.into_iter().collect();
    let mut make: Vec<_> =
        desired.wanted.keys().filter(|acl| !there.contains(*acl)).cloned().collect();
    make.sort_by_key(|acl| acl.permission != AclPermission::Deny);
    let mut remove = orphans(own, &desired, &here);
    remove.sort_by_key(|acl| acl.permission == AclPermission::Deny);
    let shown = remove.iter().filter(|acl| there.contains(*acl)).cloned().collect();
    let mut sources = own.acls.clone();
    sources.retain(|acl, from| {
        match desired.wanted.get(acl) {
            Some(now) => from.clone_from(now),
            None => from.retain(|acl| here.contains(acl)),
        }
        !from.is_empty()
    });
    Ok(Survey { desired, make, remove, shown, sources })
}

async fn list(source: &Client) -> Result<BTreeSet<Acl>, LookError> {
    let listed = source.describe_acls(&AclFilter::any()).await;
    let listed = listed.map_err(|error| LookError::Client(Role::Source, error))?;
    Ok(listed.into_iter().collect())
}

/// Our ACLs that come from nothing that `here` has: neither now nor by what is remembered of them.
fn orphans(own: &Own, desired: &Desired, here: &BTreeSet<Acl>) -> Vec<Acl> {
    let is_orphan = |(acl, from): &(&Acl, &BTreeSet<Acl>)| {
        !desired.wanted.contains_key(*acl) && from.is_disjoint(here)
    };
    own.acls.iter().filter(is_orphan).map(|(acl, _)| acl.clone()).collect()
}

/// Topics of the source that an ACL may name. Within one cluster copies are none of them.
fn visible(
    metadata: &ClusterMetadata,
    travelling: &BTreeMap<String, String>,
    is_one_cluster: bool,
) -> BTreeSet<String> {
    let copies: BTreeSet<_> =
        if is_one_cluster { travelling.values().collect() } else { BTreeSet::new() };
    let topics = metadata.topics.values().filter(|topic| !is_internal(topic));
    topics.map(|topic| topic.name.clone()).filter(|name| !copies.contains(name)).collect()
}
