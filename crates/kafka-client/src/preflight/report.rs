//! What a preflight found, step by step.

use std::{fmt, time::Duration};

use serde::{Serialize, Serializer};

/// Which end of a replication the connection is meant for; decides which permissions are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It is read from.
    Source,
    /// It is written to.
    Target,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

/// One kind of step, in the order in which they are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepKind {
    /// A bootstrap host name becomes IP addresses.
    Resolve,
    /// A TCP connection to a bootstrap address.
    Reach,
    /// The TLS handshake on it.
    Tls,
    /// Authentication.
    Sasl,
    /// What the broker speaks, and which releases that means.
    ApiVersions,
    /// The cluster and its brokers.
    Metadata,
    /// One discovered broker, reached and negotiated with.
    Broker,
    /// One operation that the role needs.
    Permission,
}

impl fmt::Display for StepKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolve",
            Self::Reach => "reach",
            Self::Tls => "tls",
            Self::Sasl => "sasl",
            Self::ApiVersions => "api versions",
            Self::Metadata => "metadata",
            Self::Broker => "broker",
            Self::Permission => "permission",
        })
    }
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
#[non_exhaustive]
pub enum Outcome {
    /// As it should.
    Passed {
        /// What was seen.
        detail: String,
    },
    /// Not as it should, and replication can work all the same.
    Warned {
        /// What was seen.
        cause: String,
        /// What to do about it.
        #[serde(skip_serializing_if = "Option::is_none")]
        cure: Option<String>,
    },
    /// Replication cannot work.
    Failed {
        /// Why.
        cause: String,
        /// What to do about it.
        #[serde(skip_serializing_if = "Option::is_none")]
        cure: Option<String>,
    },
    /// The broker gives no way to tell without changing something.
    Unknown {
        /// Why.
        cause: String,
    },
}

/// One step and its result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Step {
    /// What was tried.
    #[serde(rename = "step")]
    pub kind: StepKind,
    /// On what: an address, a broker, an operation.
    pub subject: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// How long it took.
    #[serde(rename = "elapsed_ms", serialize_with = "as_millis")]
    pub elapsed: Duration,
}

fn as_millis<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(value.as_millis()).unwrap_or(u64::MAX))
}

impl Step {
    /// The connection cannot be used because of this step.
    #[must_use]
    pub fn is_failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed { .. })
    }
}

/// A broker that its cluster names and that does not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct AbsentBroker {
    /// Its id.
    pub broker_id: i32,
    /// Its address, and why.
    pub cause: String,
    /// What to do about it.
    pub cure: Option<String>,
}

/// All steps that were taken. A step that later ones depend on is the last one when it failed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The steps in order.
    pub steps: Vec<Step>,
    /// The cluster's id, when it told one.
    pub cluster_id: Option<String>,
    /// Brokers that do not answer now, where not every one has to.
    pub absent: Vec<AbsentBroker>,
}

impl Report {
    /// No step failed.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.failures().next().is_none()
    }

    /// The steps that failed.
    pub fn failures(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(|step| step.is_failed())
    }
}
