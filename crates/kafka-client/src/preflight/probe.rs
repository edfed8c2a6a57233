//! Asks a port in the other way when it did not answer as the configuration says: TLS on a plain port, and the reverse.
//!
//! A plain Kafka listener takes a TLS greeting for a frame of 369 MB and closes without a word; a TLS listener may close
//! on plain bytes just so. One more connection tells the two from a broken broker.

use std::{sync::Arc, time::Duration};

use kafka_wire::connection::ConnectionError;
use tokio::time::timeout;

use super::Outcome;
use crate::{
    BrokerAddress, ConnectionConfig, TlsConfig,
    connect::{ConnectError, Connector, TcpConnector, TlsConnector, TlsFailure},
    connection,
};

/// A peer that would talk in the other way does so at once.
const PATIENCE: Duration = Duration::from_secs(3);

/// After a TLS handshake that ended oddly: does a plain Kafka broker answer there?
pub(super) async fn other_side_of_tls(
    config: &ConnectionConfig,
    address: &BrokerAddress,
    error: &ConnectError,
) -> Option<Outcome> {
    let is_odd = match error {
        ConnectError::TlsHandshake { failure, .. } => {
            matches!(failure, TlsFailure::PeerClosed | TlsFailure::Other(_))
        }
        ConnectError::TimedOut { .. } => config.tls.is_some(),
        _ => false,
    };
    if !is_odd {
        return None;
    }
    let mut plain = ConnectionConfig::new(vec![address.clone()]);
    plain.limits.connect_timeout = PATIENCE.min(config.limits.connect_timeout);
    let connector: Arc<dyn Connector> = Arc::new(TcpConnector::new());
    let connection =
        connection::open(&*connector, &plain, address, -1, &Arc::default()).await.ok()?;
    connection.close();
    Some(Outcome::Failed {
        cause: "the peer speaks Kafka on this port, but without TLS".to_owned(),
        cure: TlsFailure::PlainPeer.cure(),
    })
}

/// After a plain connection that was closed or not answered at the first request: does the port speak TLS?
pub(super) async fn other_side_of_plain(
    config: &ConnectionConfig,
    address: &BrokerAddress,
    error: &ConnectionError,
) -> Option<Outcome> {
    let is_odd = matches!(
        error,
        ConnectionError::ClosedAtApiVersions { .. }
            | ConnectionError::ClosedByPeer { .. }
            | ConnectionError::Frame(_)
            | ConnectionError::HandshakeTimedOut { .. }
    );
    if !is_odd || config.tls.is_some() {
        return None;
    }
    let tls = TlsConfig { verify: false, ..TlsConfig::default() };
    let connector = TlsConnector::new(&tls).ok()?;
    let speaks_tls = match timeout(PATIENCE, connector.connect(address)).await.ok()? {
        Ok(_) => true,
        Err(ConnectError::TlsHandshake { failure, .. }) => !matches!(
            failure,
            TlsFailure::PlainPeer | TlsFailure::PeerClosed | TlsFailure::Other(_)
        ),
        Err(_) => false,
    };
    speaks_tls.then(|| Outcome::Failed {
        cause: "the peer speaks TLS on this port, the connection is configured without it"
            .to_owned(),
        cure: Some("add `tls` to this connection, or use the broker's plain port".to_owned()),
    })
}
