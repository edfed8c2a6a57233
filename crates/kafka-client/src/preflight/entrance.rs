//! The way in: one bootstrap address after the other, resolved, reached, and talked to.

use std::{sync::Arc, time::Duration};

use kafka_wire::connection::{ConnectionError, HandshakeStep};
use tokio::time::{Instant, timeout};

use super::{Outcome, StepKind, Steps, cause, joined, probe};
use crate::{
    BrokerAddress, ClientError, ConnectionConfig,
    connect::{ConnectError, ConnectStep, Connector, dns::Dns},
    connection::{self, BrokerConnection},
};

/// How far one address let us in.
struct Way {
    kind: StepKind,
    outcome: Outcome,
    elapsed: Duration,
}

/// Tries the bootstrap addresses; tells whether any of them can be used.
///
/// The steps of the first address that works are reported, the others with one line each; when none works, all steps of
/// all of them are.
pub(super) async fn check(
    config: &ConnectionConfig,
    connector: &Arc<dyn Connector>,
    steps: &mut Steps<'_>,
) -> bool {
    let mut ways: Vec<(&BrokerAddress, Vec<Way>)> = Vec::new();
    let mut entered = false;
    for address in &config.bootstrap {
        let (way, is_open) = walk(config, connector, address).await;
        entered |= is_open;
        ways.push((address, way));
    }
    for (address, way) in ways {
        for Way { kind, outcome, elapsed } in way {
            // One address is enough to find every broker, so that another one that fails is no reason to stop.
            let outcome = match outcome {
                Outcome::Failed { cause, cure } if entered => Outcome::Warned { cause, cure },
                other => other,
            };
            steps.end(kind, &address.to_string(), outcome, elapsed);
        }
    }
    if !entered && config.bootstrap.len() > 1 {
        tracing::debug!(
            cluster = config.name,
            addresses = joined(&config.bootstrap),
            "no bootstrap address can be used"
        );
    }
    entered
}

async fn walk(
    config: &ConnectionConfig,
    connector: &Arc<dyn Connector>,
    address: &BrokerAddress,
) -> (Vec<Way>, bool) {
    let mut way = Vec::new();
    let limit = config.limits.connect_timeout;
    // Asked apart from connecting to show the addresses; a connector with names of its own is believed without.
    let started = Instant::now();
    let ips = timeout(limit, Dns::default().resolve(address)).await.unwrap_or(Ok(Vec::new()));
    let ips = ips.map(|ips| ips.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    let resolved = started.elapsed();
    let started = Instant::now();
    let stream = timeout(limit, connector.connect(address)).await.unwrap_or_else(|_| {
        Err(ConnectError::TimedOut {
            address: address.clone(),
            step: ConnectStep::Tcp,
            after: limit,
        })
    });
    let failed = match stream {
        Ok(stream) => {
            drop(stream);
            None
        }
        Err(error) => Some(error),
    };
    // With TLS both are one attempt; its time is told with the handshake.
    let reached = if config.tls.is_some() { Duration::ZERO } else { started.elapsed() };
    let stopped_at = failed.as_ref().map(|error| step_of(error, config));
    if stopped_at != Some(StepKind::Resolve) {
        way_passed(
            &mut way,
            StepKind::Resolve,
            ips.unwrap_or_else(|_| "known to the connector".to_owned()),
            resolved,
        );
        if stopped_at != Some(StepKind::Reach) {
            way_passed(&mut way, StepKind::Reach, "connected".to_owned(), reached);
        }
    }
    if let Some(error) = failed {
        way.push(refused(config, address, error.into(), started).await);
        return (way, false);
    }
    if config.tls.is_some() {
        way_passed(&mut way, StepKind::Tls, tls_detail(config), started.elapsed());
    }
    let started = Instant::now();
    match connection::open(&**connector, config, address, -1, &Arc::default()).await {
        Ok(connection) => {
            if let Some(credentials) = &config.sasl {
                let detail = format!("{} as {}", credentials.mechanism, credentials.username);
                way_passed(&mut way, StepKind::Sasl, detail, started.elapsed());
            }
            let entered = versions(&connection, &mut way, started);
            connection.close();
            (way, entered)
        }
        Err(error) => {
            way.push(refused(config, address, error, started).await);
            (way, false)
        }
    }
}

fn way_passed(way: &mut Vec<Way>, kind: StepKind, detail: String, elapsed: Duration) {
    way.push(Way { kind, outcome: Outcome::Passed { detail }, elapsed });
}

fn tls_detail(config: &ConnectionConfig) -> String {
    match &config.tls {
        Some(tls) if !tls.verify => "handshake done, certificate NOT verified".to_owned(),
        Some(tls) if tls.identity.is_some() => "certificate verified, ours offered".to_owned(),
        _ => "certificate verified".to_owned(),
    }
}

fn versions(connection: &BrokerConnection, way: &mut Vec<Way>, since: Instant) -> bool {
    let outcome = match connection.versions().check_supported() {
        Ok(()) => {
            Outcome::Passed { detail: format!("Kafka {}", connection.versions().release_range()) }
        }
        Err(error) => {
            Outcome::Failed { cause: error.to_string(), cure: Some(super::TOO_OLD.to_owned()) }
        }
    };
    let entered = matches!(outcome, Outcome::Passed { .. });
    way.push(Way { kind: StepKind::ApiVersions, outcome, elapsed: since.elapsed() });
    entered
}

/// The step that ended with this error; asks the peer once more in another way when that can tell the cause.
async fn refused(
    config: &ConnectionConfig,
    address: &BrokerAddress,
    error: ClientError,
    since: Instant,
) -> Way {
    let elapsed = since.elapsed();
    let (kind, told) = match &error {
        ClientError::Connect(error) => {
            (step_of(error, config), probe::other_side_of_tls(config, address, error).await)
        }
        ClientError::Handshake { error, .. } => {
            (step_of_handshake(error), probe::other_side_of_plain(config, address, error).await)
        }
        _ => (StepKind::ApiVersions, None),
    };
    let outcome =
        told.unwrap_or_else(|| Outcome::Failed { cause: cause(&error), cure: error.cure() });
    Way { kind, outcome, elapsed }
}

fn step_of(error: &ConnectError, config: &ConnectionConfig) -> StepKind {
    match error {
        ConnectError::Dns { .. } | ConnectError::TimedOut { step: ConnectStep::Dns, .. } => {
            StepKind::Resolve
        }
        ConnectError::TlsHandshake { .. }
        | ConnectError::TlsConfig { .. }
        | ConnectError::TlsCpu { .. }
        | ConnectError::TimedOut { step: ConnectStep::Tls, .. } => StepKind::Tls,
        ConnectError::TimedOut { step: ConnectStep::Sasl, .. } if config.sasl.is_some() => {
            StepKind::Sasl
        }
        ConnectError::TimedOut { step: ConnectStep::ApiVersions, .. } => StepKind::ApiVersions,
        _ => StepKind::Reach,
    }
}

fn step_of_handshake(error: &ConnectionError) -> StepKind {
    match error {
        ConnectionError::ClosedAtSasl { .. }
        | ConnectionError::ClosedAtFirstRequest
        | ConnectionError::MechanismRefused { .. }
        | ConnectionError::SaslNotExpected { .. }
        | ConnectionError::AuthenticationFailed { .. }
        | ConnectionError::HandshakeTimedOut {
            step: HandshakeStep::SaslHandshake | HandshakeStep::SaslAuthenticate,
            ..
        } => StepKind::Sasl,
        _ => StepKind::ApiVersions,
    }
}
