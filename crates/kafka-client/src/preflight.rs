//! Validates a connection before it is used: step by step, every broker, every permission.
//!
//! A failure names the step, the broker, the cause and the cure. Nothing is changed on the cluster: permissions are
//! read from what brokers say (KIP-430), or probed with requests that are validated and not carried out, or that
//! name things which do not exist: brokers check rights before existence (broker-probes P13).

mod acls;
mod brokers;
mod entrance;
mod groups;
mod permissions;
mod probe;
mod report;

use std::{fmt, sync::Arc, time::Duration};

use tokio::time::Instant;

pub use self::report::{AbsentBroker, Outcome, Report, Role, Step, StepKind};
use crate::{
    BrokerAddress, Client, ClientError, ConnectionConfig,
    connect::{Connector, TcpConnector, TlsConnector},
};

/// How long one step goes on retrying what brokers call retriable: a check is for people who wait.
const RETRY_TIME_MAX: Duration = Duration::from_secs(5);

/// What to do about a broker that cannot be replicated from or to.
const TOO_OLD: &str = "use a broker of release 0.11 or later: earlier ones have no record format with producer ids and headers";

/// Decides by name which topics count.
pub type TopicFilter = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// What to validate.
#[derive(Clone)]
#[non_exhaustive]
pub struct Options {
    /// The end that the connection is meant for.
    pub role: Role,
    /// Whether permissions are looked at; without it the steps end with the brokers.
    pub permissions: bool,
    /// Whether every broker must answer; without it one is enough, and the others may come later.
    pub every_broker: bool,
    /// Whether permissions on consumer groups are looked at as well.
    pub groups: bool,
    /// Whether permissions on ACLs are looked at as well.
    pub acls: bool,
    /// Topics whose permissions matter; without it all that are not internal.
    pub topics: Option<TopicFilter>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("role", &self.role)
            .field("permissions", &self.permissions)
            .field("every_broker", &self.every_broker)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// Everything: for a user who asks.
    #[must_use]
    pub fn full(role: Role) -> Self {
        Self {
            role,
            permissions: true,
            every_broker: true,
            groups: false,
            acls: false,
            topics: None,
        }
    }

    /// Up to the brokers, and without those that are down: for the start of a replication.
    #[must_use]
    pub fn reach(role: Role) -> Self {
        Self { permissions: false, every_broker: false, ..Self::full(role) }
    }

    /// Consumer groups are to be carried over as well.
    #[must_use]
    pub fn with_groups(mut self) -> Self {
        self.groups = true;
        self
    }

    /// ACLs are to be carried over as well.
    #[must_use]
    pub fn with_acls(mut self) -> Self {
        self.acls = true;
        self
    }

    /// Only topics with these names matter.
    #[must_use]
    pub fn with_topics(mut self, topics: TopicFilter) -> Self {
        self.topics = Some(topics);
        self
    }
}

/// Hears of every step as it ends.
pub type OnStep<'a> = &'a mut (dyn FnMut(&Step) + Send);

/// Validates a connection over TCP or TLS, as its configuration says.
pub async fn run(config: &ConnectionConfig, options: &Options, on_step: OnStep<'_>) -> Report {
    let connector: Arc<dyn Connector> = match &config.tls {
        None => Arc::new(TcpConnector::new()),
        Some(tls) => match TlsConnector::new(tls) {
            Ok(connector) => Arc::new(connector),
            Err(error) => {
                let mut steps = Steps::new(on_step);
                let outcome = Outcome::Failed { cause: error.to_string(), cure: error.cure() };
                steps.end(StepKind::Tls, &config.name, outcome, Duration::ZERO);
                return steps.report;
            }
        },
    };
    run_with(config, connector, options, on_step).await
}

/// Validates a connection over streams of any kind.
pub async fn run_with(
    config: &ConnectionConfig,
    connector: Arc<dyn Connector>,
    options: &Options,
    on_step: OnStep<'_>,
) -> Report {
    let mut config = config.clone();
    config.limits.retry_time_max = config.limits.retry_time_max.min(RETRY_TIME_MAX);
    let mut steps = Steps::new(on_step);
    if entrance::check(&config, &connector, &mut steps).await {
        let client = Client::with_connector(config, connector);
        if let Some(cluster) = brokers::check(&client, options, &mut steps).await
            && options.permissions
        {
            permissions::check(&client, &cluster, options, &mut steps).await;
            if options.groups {
                groups::check(&client, options.role, &mut steps).await;
            }
            if options.acls {
                acls::check(&client, options.role, &mut steps).await;
            }
        }
        client.close().await;
    }
    steps.report
}

/// Collects steps and tells of each.
struct Steps<'a> {
    report: Report,
    on_step: OnStep<'a>,
}

impl<'a> Steps<'a> {
    fn new(on_step: OnStep<'a>) -> Self {
        Self { report: Report::default(), on_step }
    }

    fn end(&mut self, kind: StepKind, subject: &str, outcome: Outcome, elapsed: Duration) {
        let step = Step { kind, subject: subject.to_owned(), outcome, elapsed };
        (self.on_step)(&step);
        self.report.steps.push(step);
    }

    fn passed(&mut self, kind: StepKind, subject: &str, detail: impl Into<String>, since: Instant) {
        self.end(kind, subject, Outcome::Passed { detail: detail.into() }, since.elapsed());
    }

    fn failed(&mut self, kind: StepKind, subject: &str, error: &ClientError, since: Instant) {
        self.end(
            kind,
            subject,
            Outcome::Failed { cause: cause(error), cure: error.cure() },
            since.elapsed(),
        );
    }
}

/// The innermost error: how often it was tried and in whose name says nothing here.
fn cause(error: &ClientError) -> String {
    match error {
        ClientError::Bootstrap { last, .. } | ClientError::OutOfTime { last, .. } => cause(last),
        ClientError::Handshake { error, .. }
        | ClientError::AnswerUnknown { error, .. }
        | ClientError::NotSent { error, .. } => error.to_string(),
        // The subject of the step says where.
        ClientError::Connect(error) => {
            let text = error.to_string();
            let prefix = error.address().map(|address| format!("{address}: ")).unwrap_or_default();
            text.strip_prefix(&prefix).map(ToOwned::to_owned).unwrap_or(text)
        }
        other => other.to_string(),
    }
}

fn joined(addresses: &[BrokerAddress]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}
