//! The cluster as its metadata shows it, and every broker of it.

use std::sync::Arc;

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::Instant;

use super::{Outcome, StepKind, Steps, cause};
use crate::{BrokerNode, Client, ClientError, ClusterMetadata, TopicQuery};

/// Asks for metadata and reaches every broker, all at once; nothing when that did not work.
pub(super) async fn check(client: &Client, steps: &mut Steps<'_>) -> Option<Arc<ClusterMetadata>> {
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
    if cluster.brokers.is_empty() {
        let cause = "the cluster names no broker".to_owned();
        let cure = Some("wait until the brokers have started, then try again".to_owned());
        steps.end(StepKind::Metadata, &name, Outcome::Failed { cause, cure }, started.elapsed());
        return None;
    }
    let detail = format!(
        "cluster {}, {} {}, {} topics",
        cluster.cluster_id.as_deref().unwrap_or("without an id"),
        cluster.brokers.len(),
        if cluster.brokers.len() == 1 { "broker" } else { "brokers" },
        cluster.topics.values().filter(|topic| !topic.is_internal).count(),
    );
    steps.passed(StepKind::Metadata, &name, detail, started);
    let mut all = true;
    let mut asked: FuturesUnordered<_> =
        cluster.brokers.values().map(|node| reach(client, node)).collect();
    while let Some((node, outcome, started)) = asked.next().await {
        all &= matches!(outcome, Outcome::Passed { .. });
        steps.end(
            StepKind::Broker,
            &format!("{} at {}", node.id, node.address),
            outcome,
            started.elapsed(),
        );
    }
    drop(asked);
    all.then_some(cluster)
}

async fn reach<'a>(client: &Client, node: &'a BrokerNode) -> (&'a BrokerNode, Outcome, Instant) {
    let started = Instant::now();
    let outcome = match client.broker(node.id).await {
        Ok(connection) => match connection.versions().check_supported() {
            Ok(()) => Outcome::Passed {
                detail: format!("Kafka {}", connection.versions().release_range()),
            },
            Err(error) => {
                Outcome::Failed { cause: error.to_string(), cure: Some(super::TOO_OLD.to_owned()) }
            }
        },
        Err(error) => {
            Outcome::Failed { cause: cause(&error), cure: Some(advertised(error.cure())) }
        }
    };
    (node, outcome, started)
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
            matches!(error, ConnectionError::ClosedAtFirstRequest { .. })
        }
        _ => false,
    }
}
