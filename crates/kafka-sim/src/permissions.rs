//! Rights: everything is allowed but what a test denies, per user.
//!
//! A stand-in for an authorizer: enough to meet every authorization error a broker can give (P13).

use kafka_wire::ErrorCode;

/// The operations of Kafka's ACLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are Kafka's own AclOperation names")]
pub enum Operation {
    Read,
    Write,
    Create,
    Delete,
    Alter,
    Describe,
    ClusterAction,
    DescribeConfigs,
    AlterConfigs,
    IdempotentWrite,
}

impl Operation {
    /// The code of `AclOperation`, which is also the bit in `authorized_operations`.
    const fn code(self) -> i32 {
        match self {
            Self::Read => 3,
            Self::Write => 4,
            Self::Create => 5,
            Self::Delete => 6,
            Self::Alter => 7,
            Self::Describe => 8,
            Self::ClusterAction => 9,
            Self::DescribeConfigs => 10,
            Self::AlterConfigs => 11,
            Self::IdempotentWrite => 12,
        }
    }
}

/// What an operation is done to; the name `*` stands for every name of the kind.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Resource {
    /// A topic.
    Topic(String),
    /// A consumer group.
    Group(String),
    /// A transactional id.
    TransactionalId(String),
    /// The cluster itself.
    Cluster,
}

impl Resource {
    fn covers(&self, other: &Self) -> bool {
        let matches = |pattern: &str, name: &str| pattern == "*" || pattern == name;
        match (self, other) {
            (Self::Topic(pattern), Self::Topic(name))
            | (Self::Group(pattern), Self::Group(name))
            | (Self::TransactionalId(pattern), Self::TransactionalId(name)) => {
                matches(pattern, name)
            }
            (Self::Cluster, Self::Cluster) => true,
            _ => false,
        }
    }

    /// The error of a denied operation.
    const fn refusal(&self) -> ErrorCode {
        match self {
            Self::Topic(_) => ErrorCode::TOPIC_AUTHORIZATION_FAILED,
            Self::Group(_) => ErrorCode::GROUP_AUTHORIZATION_FAILED,
            Self::TransactionalId(_) => ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
            Self::Cluster => ErrorCode::CLUSTER_AUTHORIZATION_FAILED,
        }
    }

    const fn operations(&self) -> &'static [Operation] {
        use Operation as O;
        match self {
            Self::Topic(_) => &[
                O::Read,
                O::Write,
                O::Create,
                O::Delete,
                O::Alter,
                O::Describe,
                O::DescribeConfigs,
                O::AlterConfigs,
            ],
            Self::Group(_) => &[O::Read, O::Delete, O::Describe],
            Self::TransactionalId(_) => &[O::Write, O::Describe],
            Self::Cluster => &[
                O::Create,
                O::Alter,
                O::Describe,
                O::ClusterAction,
                O::DescribeConfigs,
                O::AlterConfigs,
                O::IdempotentWrite,
            ],
        }
    }
}

/// What is denied to whom.
#[derive(Debug, Default)]
pub(crate) struct Permissions {
    /// User (`*`: everybody), operation, resource.
    denied: Vec<(String, Operation, Resource)>,
}

impl Permissions {
    pub(crate) fn deny(&mut self, user: &str, operation: Operation, resource: Resource) {
        self.denied.push((user.to_owned(), operation, resource));
    }

    pub(crate) fn allow_all(&mut self) {
        self.denied.clear();
    }

    pub(crate) fn allows(&self, user: &str, operation: Operation, resource: &Resource) -> bool {
        self.denied.is_empty()
            || !self.denied.iter().any(|(who, what, pattern)| {
                (who == "*" || who == user) && *what == operation && pattern.covers(resource)
            })
    }

    /// # Errors
    /// The authorization error of the resource's kind.
    pub(crate) fn check(
        &self,
        user: &str,
        operation: Operation,
        resource: &Resource,
    ) -> Result<(), ErrorCode> {
        if self.allows(user, operation, resource) { Ok(()) } else { Err(resource.refusal()) }
    }

    pub(crate) fn check_topic(
        &self,
        user: &str,
        operation: Operation,
        topic: &str,
    ) -> Result<(), ErrorCode> {
        if self.denied.is_empty() {
            Ok(())
        } else {
            self.check(user, operation, &Resource::Topic(topic.to_owned()))
        }
    }

    /// The bits of `authorized_operations` (KIP-430).
    pub(crate) fn bits(&self, user: &str, resource: &Resource) -> i32 {
        let allowed = resource
            .operations()
            .iter()
            .filter(|operation| self.allows(user, **operation, resource));
        allowed.fold(0, |bits, operation| bits | 1 << operation.code())
    }
}
