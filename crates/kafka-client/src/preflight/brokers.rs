//! The cluster as its metadata shows it, and every broker of it.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt, stream::FuturesUnordered};
use kafka_wire::Retry;
use tokio::time::Instant;

use super::{AbsentBroker, Options, Outcome, StepKind, Steps, cause};
use crate::{
    BrokerNode, Client, ClientError, ClusterMetadata, TopicQuery,
    connect::{ConnectError, TlsFailure},
};

/// Asks for metadata and reaches every broker, all at once; nothing when that did not work.
pub(super) async fn check(
    client: &Client,
    options: &Options,
    steps: &mut Steps<'_>,
) -> Option<Arc<ClusterMetadata>> {
    let started = Instant::now();
    let name = client.config().name.clone();
    let cluster = match client.refresh_metadata(TopicQuery::All).await {
        Ok(cluster) => cluster,
        Err(error) => {
            let kind = if is_sasl(&error) { StepKind::Sasl } else { StepKind::Metadata };
            steps.failed(kind, &name, &error, started);
            return None;
        }
    };
    steps.report.cluster_id.clone_from(&cluster.cluster_id);
    let detail = format!(
        "cluster {}, {} {}, {} topics",
        cluster.cluster_id.as_deref().unwrap_or("without an id"),
        cluster.brokers.len(),
        if cluster.brokers.len() == 1 { "broker" } else { "brokers" },
        cluster.topics.values().filter(|topic| !topic.is_internal).count(),
    );
    steps.passed(StepKind::Metadata, &name, detail, started);
    let mut asked: FuturesUnordered<_> =
        cluster.brokers.values().map(|node| reach(client, node)).collect();
    let mut ends = Vec::new();
    while let Some(end) = asked.next().await {
        ends.push(end);
    }
    drop(asked);
    let has_one = ends.iter().any(|end| end.failure.is_none());
    let mut all = true;
    for end in ends {
        let subject = format!("{} at {}", end.node.id, end.node.address);
        let outcome = match end.failure {
            None => Outcome::Passed { detail: end.detail },
            Some(Failure { cause, cure, may_pass }) => {
                if has_one && may_pass && !options.every_broker {
                    let absent = AbsentBroker {
                        broker_id: end.node.id,
                        cause: format!("{}: {cause}", end.node.address),
                        cure: cure.clone(),
                    };
                    steps.report.absent.push(absent);
                    Outcome::Warned { cause, cure }
                } else {
                    all = false;
                    Outcome::Failed { cause, cure }
                }
            }
        };
        steps.end(StepKind::Broker, &subject, outcome, end.elapsed);
    }
    all.then_some(cluster)
}

/// How the attempt to reach one broker ended.
struct End<'a> {
    node: &'a BrokerNode,
    detail: String,
    failure: Option<Failure>,
    elapsed: Duration,
}

struct Failure {
    cause: String,
    cure: Option<String>,
    /// The broker may be down, and may come back: nobody has to change the configuration.
    may_pass: bool,
}

async fn reach<'a>(client: &Client, node: &'a BrokerNode) -> End<'a> {
    let started = Instant::now();
    let mut detail = String::new();
    let failure = match client.broker(node.id).await {
        Ok(connection) => match connection.versions().check_supported() {
            Ok(()) => {
                detail = format!("Kafka {}", connection.versions().release_range());
                None
            }
            Err(error) => Some(Failure {
                cause: error.to_string(),
                cure: Some(super::TOO_OLD.to_owned()),
                may_pass: false,
            }),
        },
        Err(error) => Some(Failure {
            cause: cause(&error),
            may_pass: may_pass(&error),
            cure: Some(advertised(error.cure())),
        }),
    };
    End { node, detail, failure, elapsed: started.elapsed() }
}

/// Whether the same attempt can succeed later: not where names, certificates or credentials are wrong.
fn may_pass(error: &ClientError) -> bool {
    match error {
        ClientError::OutOfTime { last, .. } | ClientError::Bootstrap { last, .. } => may_pass(last),
        ClientError::Connect(ConnectError::TlsHandshake { failure, .. }) => {
            matches!(failure, TlsFailure::PeerClosed)
        }
        error => error.retry() != Retry::Never,
    }
}

/// The bootstrap address worked: what differs is the address that the broker advertises.
fn advertised(cure: Option<String>) -> String {
    let text = "this is the address the broker itself advertises (advertised.listeners): it must be reachable from here";
    cure.map_or_else(|| text.to_owned(), |cure| format!("{cure}; {text}"))
}

/// A listener that wants SASL closes at the first request.
fn is_sasl(error: &ClientError) -> bool {
    use kafka_wire::connection::ConnectionError;
    match error {
        ClientError::Bootstrap { last, .. } | ClientError::OutOfTime { last, .. } => is_sasl(last),
        ClientError::AnswerUnknown { error, .. }
        | ClientError::NotSent { error, .. }
        | ClientError::Handshake { error, .. } => {
            matches!(error, ConnectionError::ClosedAtFirstRequest)
        }
        _ => false,
    }
}
