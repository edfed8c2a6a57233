//! From an address to a usable connection: stream, versions, SASL, all within one deadline.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize},
};

use kafka_wire::connection::{Connection, ConnectionSettings};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

use super::{
    BrokerConnection, Shared, driver::Driver, receive::FramePool, round_trip::RoundTrip,
    spare::SpareLists,
};
use crate::{
    ClientError,
    address::BrokerAddress,
    config::ConnectionConfig,
    connect::{ConnectError, ConnectStep, Connector},
};

/// Opens a connection and starts its task. `broker_id` is -1 for a bootstrap address.
pub(crate) async fn open(
    connector: &dyn Connector,
    config: &ConnectionConfig,
    address: &BrokerAddress,
    broker_id: i32,
    frames: &Arc<FramePool>,
) -> Result<BrokerConnection, ClientError> {
    let limits = &config.limits;
    let deadline = Instant::now() + limits.connect_timeout;
    let stream = timeout_at(deadline, connector.connect(address)).await.map_err(|_| {
        ConnectError::TimedOut {
            address: address.clone(),
            step: ConnectStep::Stream,
            after: limits.connect_timeout,
        }
    })??;
    let now = Instant::now();
    // The versions are asked for, and SASL takes two exchanges or more.
    let exchanges = if config.sasl.is_some() { 3 } else { 1 };
    let machine = Connection::new(
        ConnectionSettings {
            client_id: config.client_id.clone(),
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
            credentials: config.credentials(),
            handshake_timeout: deadline.saturating_duration_since(now),
            in_flight_max: limits.in_flight_max,
            frame_bytes_max: limits.frame_bytes_max,
        },
        now.into_std(),
    );
    let (commands, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let closed = Arc::new(AtomicBool::new(false));
    let spare = Arc::<SpareLists>::default();
    let round_trip = Arc::<RoundTrip>::default();
    let has_identity = config.tls.as_ref().is_some_and(|tls| tls.identity.is_some());
    let mut driver = Driver::new(
        stream,
        machine,
        receiver,
        Arc::clone(&waiting),
        Arc::clone(&closed),
        has_identity,
        (Arc::clone(frames), Arc::clone(&spare), Arc::clone(&round_trip)),
    );
    if let Err(error) = driver.make_ready().await {
        let address = address.clone();
        // With TLS 1.3 a broker refuses our certificate only after the handshake.
        return Err(match driver.tls_failure {
            Some(failure) => ConnectError::TlsHandshake { address, failure }.into(),
            None => ClientError::Handshake { address, error },
        });
    }
    round_trip.note(now.elapsed() / exchanges);
    let versions = driver.machine().versions().cloned().unwrap_or_default();
    tracing::debug!(%address, broker_id, release = %versions.release_range(), "connected");
    tokio::spawn(driver.run());
    Ok(BrokerConnection {
        shared: Arc::new(Shared {
            broker_id,
            address: address.clone(),
            versions,
            round_trip,
            client_id: config.client_id.clone(),
            limits: limits.clone(),
            correlation_id: AtomicI32::new(0),
            token: AtomicU64::new(0),
            waiting,
            closed,
            spare,
        }),
        commands,
    })
}
