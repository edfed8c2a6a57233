//! What the source's ACLs are on the target: pure.
//!
//! Exact or not at all: an ACL of the target never gives a right on a topic that the source's ACL does not give it on, as far as copies
//! go; what cannot be said exactly is left out and told. A DENY travels in any case, topic by topic if need be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Bound::{Included, Unbounded};

use kafka_client::{ACL_WILDCARD, Acl, AclOperation, AclPattern, AclPermission, AclResource};
use serde::Serialize;

use crate::spec::{AclSync, AclWrite, Rename};
use crate::topics::names::{NAME_CHARS_MAX, target_name};

/// What `ALL` on a topic means without `WRITE` (`AclEntry.supportedOperations` in Apache Kafka).
const ALL_BUT_WRITE: [AclOperation; 7] = [
    AclOperation::Read,
    AclOperation::Create,
    AclOperation::Delete,
    AclOperation::Alter,
    AclOperation::Describe,
    AclOperation::DescribeConfigs,
    AclOperation::AlterConfigs,
];

/// Why an ACL is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LeaveReason {
    /// It allows something on `*`, which would name what is no copy on the target.
    Wildcard,
    /// Some topics of the source that it names do not travel.
    Partly,
    /// The topics that it names are renamed in a way that no prefix says.
    Renamed,
    /// It has an operation, pattern or permission that is not known here.
    Unknown,
}

impl fmt::Display for LeaveReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wildcard => "on the target the name * stands for more than what is copied",
            Self::Partly => "some topics that it names do not travel",
            Self::Renamed => "the topics that it names are renamed in a way that no prefix says",
            Self::Unknown => "it has an operation, pattern or permission that is not known here",
        })
    }
}

/// What a task knows of topics when it looks at ACLs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope<'a> {
    pub(crate) sync: AclSync,
    pub(crate) write: AclWrite,
    pub(crate) rename: &'a Rename,
    /// Topics that travel, by source name, with their names on the target.
    pub(crate) travelling: &'a BTreeMap<String, String>,
    /// Topics of the source that an ACL may name: all that are neither internal nor copies.
    pub(crate) visible: &'a BTreeSet<String>,
}

/// What is wanted on the target.
#[derive(Debug, Default)]
pub(crate) struct Desired {
    /// ACLs of the target with those of the source that they come from.
    pub(crate) wanted: BTreeMap<Acl, BTreeSet<Acl>>,
    /// ACLs of the source of which the right to write does not travel.
    pub(crate) withheld: BTreeSet<Acl>,
    /// ACLs of the source that do not travel.
    pub(crate) left_out: BTreeSet<(LeaveReason, Acl)>,
}

/// The names of the target that an ACL is about there.
enum Named {
    /// It names nothing that travels.
    Nothing,
    /// These patterns.
    As(Vec<(String, AclPattern)>),
    LeftOut(LeaveReason),
}

impl Desired {
    /// What `acls` of the source are on the target.
    pub(crate) fn of<'a>(acls: impl IntoIterator<Item = &'a Acl>, scope: &Scope<'_>) -> Self {
        let mut desired = Self::default();
        for acl in acls {
            desired.add(acl, scope);
        }
        desired
    }

    fn add(&mut self, acl: &Acl, scope: &Scope<'_>) {
        let named = match acl.resource {
            AclResource::Topic => scope.topics(acl),
            AclResource::Group | AclResource::TransactionalId if scope.sync == AclSync::All => {
                by_its_name(acl)
            }
            _ => Named::Nothing,
        };
        let patterns = match named {
            Named::Nothing => return,
            Named::LeftOut(reason) => {
                self.left_out.insert((reason, acl.clone()));
                return;
            }
            Named::As(patterns) => patterns,
        };
        let is_withheld = scope.withholds(acl);
        if is_withheld {
            self.withheld.insert(acl.clone());
        }
        let operations = match acl.operation {
            AclOperation::Write if is_withheld => &[][..],
            AclOperation::All if is_withheld => &ALL_BUT_WRITE[..],
            ref operation => std::slice::from_ref(operation),
        };
        for (name, pattern) in patterns {
            for operation in operations {
                let (name, operation) = (name.clone(), *operation);
                let wanted = Acl { name, pattern, operation, ..acl.clone() };
                self.wanted.entry(wanted).or_default().insert(acl.clone());
            }
        }
    }
}

fn is_unknown(acl: &Acl) -> bool {
    matches!(acl.pattern, AclPattern::Other(_))
        || matches!(acl.operation, AclOperation::Other(_))
        || matches!(acl.permission, AclPermission::Other(_))
}

/// Groups and transactional ids are called the same on both clusters.
fn by_its_name(acl: &Acl) -> Named {
    if is_unknown(acl) {
        Named::LeftOut(LeaveReason::Unknown)
    } else if acl.is_wildcard() && acl.permission == AclPermission::Allow {
        Named::LeftOut(LeaveReason::Wildcard)
    } else {
        Named::As(vec![(acl.name.clone(), acl.pattern)])
    }
}

impl Scope<'_> {
    /// Whether this gives a right to write that nobody is to have on the target.
    fn withholds(&self, acl: &Acl) -> bool {
        self.write == AclWrite::Withhold
            && acl.resource == AclResource::Topic
            && acl.permission == AclPermission::Allow
            && matches!(acl.operation, AclOperation::Write | AclOperation::All)
    }

    /// What an ACL of topics is about on the target.
    fn topics(&self, acl: &Acl) -> Named {
        if is_unknown(acl) {
            return Named::LeftOut(LeaveReason::Unknown);
        }
        let prefix = match acl.pattern {
            AclPattern::Literal if acl.name == ACL_WILDCARD => "",
            AclPattern::Literal => {
                let target = self.travelling.get(&acl.name);
                return target.map_or(Named::Nothing, |target| {
                    Named::As(vec![(target.clone(), AclPattern::Literal)])
                });
            }
            _ => acl.name.as_str(),
        };
        let mut named = self.travelling_from(prefix);
        let Some(first) = named.next() else { return Named::Nothing };
        // What does not travel at all need not be said exactly.
        if acl.operation == AclOperation::Write && self.withholds(acl) {
            return Named::As(Vec::new());
        }
        match (self.pattern(prefix), acl.permission) {
            (Ok(pattern), AclPermission::Allow) if pattern.0 == ACL_WILDCARD => {
                Named::LeftOut(LeaveReason::Wildcard)
            }
            (Ok(pattern), _) => Named::As(vec![pattern]),
            (Err(reason), AclPermission::Allow) => Named::LeftOut(reason),
            (Err(_), _) => {
                let literal = |(_, target): (_, &String)| (target.clone(), AclPattern::Literal);
                Named::As(std::iter::once(first).chain(named).map(literal).collect())
            }
        }
    }

    /// Topics that travel and whose names begin so, with their names on the target.
    fn travelling_from<'a>(
        &'a self,
        prefix: &str,
    ) -> impl Iterator<Item = (&'a String, &'a String)> {
        self.travelling
            .range::<str, _>((Included(prefix), Unbounded))
            .take_while(move |(name, _)| name.starts_with(prefix))
    }

    /// The pattern of the target that names what topics beginning with `prefix` are called there, if one does.
    fn pattern(&self, prefix: &str) -> Result<(String, AclPattern), LeaveReason> {
        let mut visible = self
            .visible
            .range::<str, _>((Included(prefix), Unbounded))
            .take_while(|name| name.starts_with(prefix));
        if visible.any(|name| !self.travelling.contains_key(name)) {
            return Err(LeaveReason::Partly);
        }
        let Rename { prefix: before, suffix, replace, names } = self.rename;
        let name = format!("{before}{prefix}");
        let mut named = self.travelling_from(prefix);
        let is_pure = suffix.is_empty()
            && replace.is_none()
            && names.is_empty()
            && name.chars().count() <= NAME_CHARS_MAX
            // A topic keeps the name that it got first, whatever renaming is asked for later.
            && named.all(|(name, target)| target_name(name, self.rename) == *target);
        if !is_pure {
            return Err(LeaveReason::Renamed);
        }
        Ok(if name.is_empty() {
            (ACL_WILDCARD.to_owned(), AclPattern::Literal)
        } else {
            (name, AclPattern::Prefixed)
        })
    }
}
