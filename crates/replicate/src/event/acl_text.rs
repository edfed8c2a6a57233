//! Events about ACLs in words.

use std::fmt;

use super::Event;
use crate::acls::LeaveReason;

/// The first few ACLs of an event.
struct Named<'a>(usize, &'a [String]);

/// ACLs in one line.
const SHOWN_MAX: usize = 5;

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, acls) = self;
        let shown = acls.len().min(SHOWN_MAX);
        f.write_str(&acls[..shown].join("; "))?;
        if *count > shown { write!(f, "; and {} more", count - shown) } else { Ok(()) }
    }
}

/// `1 ACL`, `2 ACLs`.
struct Count(usize);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0, if self.0 == 1 { "ACL" } else { "ACLs" })
    }
}

impl Event {
    /// The events about ACLs.
    pub(super) fn fmt_acls(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AclsCreated { count, acls, .. } => {
                write!(f, "{} made on the target: {}", Count(*count), Named(*count, acls))
            }
            Self::AclsRemoved { count, acls, .. } => write!(
                f,
                "{} of ours removed from the target, since the source no longer has what they came from: {}",
                Count(*count),
                Named(*count, acls)
            ),
            Self::AclsWithheld { count, acls, .. } => write!(
                f,
                "the right to write to topics is not given on the target, which {} of the source would give: {}",
                Count(*count),
                Named(*count, acls)
            ),
            Self::AclsLeftOut { reason, count, acls, .. } => {
                write!(f, "{} left out, {reason}: {}", Count(*count), Named(*count, acls))
            }
            Self::AclRefused { acl, cause, action, .. } => {
                write!(f, "the target refused {acl}: {cause}; {action}")
            }
            Self::AclSyncFailed { cluster, cause, .. } => {
                if let Some(cluster) = cluster {
                    write!(f, "{cluster}: ")?;
                }
                write!(f, "ACLs could not be synced, the rest goes on: {cause}")
            }
            _ => self.fmt_group(f),
        }
    }

    /// What an operator can do about an event of ACLs.
    pub(super) fn acl_cure(&self) -> Option<String> {
        let text = match self {
            Self::AclSyncFailed { cure, .. } => return cure.clone(),
            Self::AclsWithheld { .. } => {
                "nothing while the target is a copy; to let these write there, set acl_write to copy"
            }
            Self::AclsLeftOut { reason, .. } => match reason {
                LeaveReason::Wildcard => {
                    "give the right on the target by hand, on the topics that are meant"
                }
                LeaveReason::Partly => {
                    "copy all topics that it names, or give the right on the target by hand"
                }
                LeaveReason::Renamed => {
                    "rename with a prefix only, or give the right on the target by hand"
                }
                LeaveReason::Unknown => "make it on the target by hand, if it is needed there",
            },
            Self::AclRefused { .. } => "see to what the answer says, or make it by hand",
            _ => return self.group_cure().map(ToOwned::to_owned),
        };
        Some(text.to_owned())
    }
}
