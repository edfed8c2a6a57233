//! The events of ACL sync: each is told once, and again when it has changed or has been well in between.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher as _};

use kafka_client::{Acl, AclPermission, AclResource, TopicError};

use super::translate::{Desired, LeaveReason};
use super::{LookError, code_cure};
use crate::event::{Event, EventSink};
use crate::spec::TaskName;
use crate::task::Role;

/// ACLs named in one event.
const NAMED_MAX: usize = 100;

/// Tells what happened to ACLs of one task.
pub(super) struct Teller {
    task: TaskName,
    sink: EventSink,
    /// What was told and was still so at the last look that went well.
    told: BTreeSet<u64>,
    /// What is so at this look.
    seen: BTreeSet<u64>,
}

impl Teller {
    pub(super) fn new(task: TaskName, sink: EventSink) -> Self {
        Self { task, sink, told: BTreeSet::new(), seen: BTreeSet::new() }
    }

    /// A look has ended. What was not seen at one that went well may be told again.
    pub(super) fn end_look(&mut self, went_well: bool) {
        let seen = std::mem::take(&mut self.seen);
        if went_well {
            self.told = seen;
        } else {
            self.told.extend(seen);
        }
    }

    /// Tells what is about `key`, unless that was told.
    fn once(&mut self, key: &impl Hash, event: Event) {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let key = hasher.finish();
        if self.seen.insert(key) && !self.told.contains(&key) {
            (self.sink)(event);
        }
    }

    pub(super) fn failed(&mut self, error: &LookError) {
        let event = Event::AclSyncFailed {
            task: self.task.clone(),
            cluster: error.cluster(),
            cause: error.to_string(),
            cure: error.cure(),
        };
        self.once(&error.to_string(), event);
    }

    /// What does not travel.
    pub(super) fn limits(&mut self, desired: &Desired) {
        if !desired.withheld.is_empty() {
            let (count, acls) = named(&desired.withheld);
            let event = Event::AclsWithheld { task: self.task.clone(), count, acls };
            self.once(&("withheld", &desired.withheld), event);
        }
        let mut left_out: BTreeMap<LeaveReason, Vec<&Acl>> = BTreeMap::new();
        for (reason, acl) in &desired.left_out {
            left_out.entry(*reason).or_default().push(acl);
        }
        for (reason, left) in left_out {
            let (count, acls) = named(left.iter().copied());
            let event = Event::AclsLeftOut { task: self.task.clone(), reason, count, acls };
            self.once(&("left out", reason.to_string(), left), event);
        }
    }

    pub(super) fn created(&self, made: &[&Acl]) {
        if !made.is_empty() {
            let (count, acls) = named(made.iter().copied());
            (self.sink)(Event::AclsCreated { task: self.task.clone(), count, acls });
        }
    }

    pub(super) fn removed(&self, gone: &[Acl]) {
        if !gone.is_empty() {
            let (count, acls) = named(gone);
            (self.sink)(Event::AclsRemoved { task: self.task.clone(), count, acls });
        }
    }

    /// What the target refuses: one event when it refuses all of it, else one for each ACL.
    pub(super) fn refused(&mut self, refused: &[(Acl, TopicError)]) {
        for (acl, error) in refused {
            let task = self.task.clone();
            if let Some(cure) = code_cure(Role::Target, error.code) {
                // The broker's own words are about the request and another text each time.
                let (cluster, cause, cure) = (Some("target"), error.code.to_string(), Some(cure));
                let event = Event::AclSyncFailed { task, cluster, cause, cure };
                self.once(&("target", error.code.0), event);
            } else {
                let (text, cause, action) = (acl.to_string(), error.to_string(), action(acl));
                let event = Event::AclRefused { task, acl: text, cause, action };
                self.once(&(acl, error.code.0), event);
            }
        }
    }
}

/// What is done about an ACL that the target refuses.
fn action(acl: &Acl) -> &'static str {
    match (acl.permission, acl.resource) {
        (AclPermission::Deny, AclResource::Topic) => {
            "nothing more is allowed on topics until the target takes it"
        }
        (AclPermission::Deny, AclResource::Group) => {
            "nothing more is allowed on groups until the target takes it"
        }
        (AclPermission::Deny, _) => {
            "nothing more is allowed on transactional ids until the target takes it"
        }
        _ => "the others are made or removed, and it is tried again",
    }
}

/// How many, and the first of them in words.
fn named<'a>(acls: impl IntoIterator<Item = &'a Acl>) -> (usize, Vec<String>) {
    let mut acls = acls.into_iter();
    let texts: Vec<_> = acls.by_ref().take(NAMED_MAX).map(ToString::to_string).collect();
    (texts.len() + acls.count(), texts)
}
