//! An ACL: who may, or may not, do what to which resource (KIP-11, patterns KIP-290).
//!
//! The names are Kafka's own (`ResourceType`, `PatternType`, `AclOperation`, `AclPermissionType`). What a newer broker may have
//! beside them is kept as its number, so that it is told and never taken for something else.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Makes an enum of Kafka's names and numbers.
macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $code:literal $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        #[expect(missing_docs, reason = "the names are Kafka's own")]
        pub enum $name {
            $($variant,)*
            Other(i8),
        }

        impl $name {
            /// From the number on the wire.
            #[must_use]
            pub fn from_code(code: i8) -> Self {
                match code {
                    $($code => Self::$variant,)*
                    other => Self::Other(other),
                }
            }

            /// The number on the wire.
            #[must_use]
            pub fn code(self) -> i8 {
                match self {
                    $(Self::$variant => $code,)*
                    Self::Other(code) => code,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$variant => f.write_str($text),)*
                    Self::Other(code) => write!(f, "UNKNOWN ({code})"),
                }
            }
        }
    };
}

codes! {
    /// What an ACL is about.
    AclResource {
        Topic = 2 "topic",
        Group = 3 "group",
        Cluster = 4 "cluster",
        TransactionalId = 5 "transactional id",
        DelegationToken = 6 "delegation token",
        User = 7 "user",
    }
}

codes! {
    /// How the resource's name is meant.
    AclPattern {
        Literal = 3 "LITERAL",
        Prefixed = 4 "PREFIXED",
    }
}

codes! {
    /// What may be done, or not.
    AclOperation {
        All = 2 "ALL",
        Read = 3 "READ",
        Write = 4 "WRITE",
        Create = 5 "CREATE",
        Delete = 6 "DELETE",
        Alter = 7 "ALTER",
        Describe = 8 "DESCRIBE",
        ClusterAction = 9 "CLUSTER_ACTION",
        DescribeConfigs = 10 "DESCRIBE_CONFIGS",
        AlterConfigs = 11 "ALTER_CONFIGS",
        IdempotentWrite = 12 "IDEMPOTENT_WRITE",
        CreateTokens = 13 "CREATE_TOKENS",
        DescribeTokens = 14 "DESCRIBE_TOKENS",
        TwoPhaseCommit = 15 "TWO_PHASE_COMMIT",
    }
}

codes! {
    /// Whether it may be done.
    AclPermission {
        Deny = 2 "DENY",
        Allow = 3 "ALLOW",
    }
}

/// The name that stands, in a literal pattern, for all names.
pub const ACL_WILDCARD: &str = "*";

/// One ACL.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Acl {
    /// What it is about.
    pub resource: AclResource,
    /// Its name, or the beginning of names.
    pub name: String,
    /// Which of the two.
    pub pattern: AclPattern,
    /// Who: `User:alice`.
    pub principal: String,
    /// From where; `*` for everywhere.
    pub host: String,
    /// What is done.
    pub operation: AclOperation,
    /// Whether it may be done.
    pub permission: AclPermission,
}

impl Acl {
    /// Whether it is about all resources of its kind by the name `*`.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.pattern == AclPattern::Literal && self.name == ACL_WILDCARD
    }
}

/// `ALLOW READ on topic orders to User:alice`, with what is not the usual.
impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} on {} {}", self.permission, self.operation, self.resource, self.name)?;
        if self.pattern != AclPattern::Literal {
            write!(f, " ({})", self.pattern)?;
        }
        write!(f, " to {}", self.principal)?;
        if self.host == ACL_WILDCARD { Ok(()) } else { write!(f, " from {}", self.host) }
    }
}

/// Which ACLs are meant: those that have everything that is named here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AclFilter {
    /// What they are about.
    pub resource: Option<AclResource>,
    /// The name, as it is written.
    pub name: Option<String>,
    /// How the name is meant.
    pub pattern: Option<AclPattern>,
    /// Who.
    pub principal: Option<String>,
    /// From where.
    pub host: Option<String>,
    /// What is done.
    pub operation: Option<AclOperation>,
    /// Whether it may be done.
    pub permission: Option<AclPermission>,
}

impl AclFilter {
    /// All ACLs.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// This one and no other.
    #[must_use]
    pub fn exactly(acl: &Acl) -> Self {
        Self {
            resource: Some(acl.resource),
            name: Some(acl.name.clone()),
            pattern: Some(acl.pattern),
            principal: Some(acl.principal.clone()),
            host: Some(acl.host.clone()),
            operation: Some(acl.operation),
            permission: Some(acl.permission),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn acls_are_sentences() {
        let mut acl = Acl {
            resource: AclResource::Topic,
            name: "orders".to_owned(),
            pattern: AclPattern::Literal,
            principal: "User:alice".to_owned(),
            host: "*".to_owned(),
            operation: AclOperation::Read,
            permission: AclPermission::Allow,
        };
        assert_eq!(acl.to_string(), "ALLOW READ on topic orders to User:alice");
        acl.pattern = AclPattern::Prefixed;
        acl.host = "10.0.0.1".to_owned();
        acl.permission = AclPermission::Deny;
        acl.operation = AclOperation::from_code(99);
        let text = "DENY UNKNOWN (99) on topic orders (PREFIXED) to User:alice from 10.0.0.1";
        assert_eq!(acl.to_string(), text);
    }

    #[test]
    fn numbers_are_kafkas() {
        for code in 2..=15 {
            let operation = AclOperation::from_code(code);
            assert!(!matches!(operation, AclOperation::Other(_)), "{code}");
            assert_eq!(operation.code(), code);
        }
        assert_eq!(AclResource::from_code(5), AclResource::TransactionalId);
        assert_eq!(AclPattern::from_code(4).to_string(), "PREFIXED");
        assert_eq!(AclPermission::from_code(3), AclPermission::Allow);
        assert_eq!(AclPermission::from_code(0).code(), 0);
    }
}
