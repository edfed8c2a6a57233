//! Plain TCP.

use std::{
    collections::VecDeque,
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use socket2::{SockRef, TcpKeepalive};
use tokio::{net::TcpStream, time::sleep};

use super::{BoxFuture, ConnectError, Connector, Stream, dns::Dns};
use crate::address::BrokerAddress;

/// While one IP address is silent this long, the next is tried beside it (RFC 8305).
const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Opens plain TCP streams: no delay, keep-alive, and closed with a reset.
///
/// A reset (`SO_LINGER` 0) throws away what the broker has not read yet, so that as few requests as possible
/// are still carried out after we gave a connection up (broker-probes P2).
#[derive(Debug, Default)]
pub struct TcpConnector {
    dns: Dns,
}

impl TcpConnector {
    /// A connector with the system's resolver settings.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) async fn open(&self, address: &BrokerAddress) -> Result<TcpStream, ConnectError> {
        let ips = self.dns.resolve(address).await?;
        let stream = connect_any(address, ips).await?;
        tune(&stream).map_err(|error| ConnectError::Tcp {
            address: address.clone(),
            socket: stream.peer_addr().ok(),
            kind: error.kind(),
            message: error.to_string(),
        })?;
        Ok(stream)
    }
}

impl Connector for TcpConnector {
    fn connect<'a>(
        &'a self,
        address: &'a BrokerAddress,
    ) -> BoxFuture<'a, Result<Box<dyn Stream>, ConnectError>> {
        Box::pin(async move {
            let stream = self.open(address).await?;
            Ok(Box::new(stream) as Box<dyn Stream>)
        })
    }
}

/// The first of the addresses that answers; a silent one does not hold up the next.
async fn connect_any(address: &BrokerAddress, ips: Vec<IpAddr>) -> Result<TcpStream, ConnectError> {
    let mut waiting: VecDeque<IpAddr> = ips.into();
    let mut running = FuturesUnordered::new();
    let mut last = ConnectError::Tcp {
        address: address.clone(),
        socket: None,
        kind: io::ErrorKind::AddrNotAvailable,
        message: "the host has no IP address".to_owned(),
    };
    loop {
        if let Some(ip) = waiting.pop_front() {
            let socket = SocketAddr::new(ip, address.port);
            running.push(async move { (socket, TcpStream::connect(socket).await) });
        }
        let more = !waiting.is_empty();
        tokio::select! {
            ended = running.next() => match ended {
                Some((_, Ok(stream))) => return Ok(stream),
                Some((socket, Err(error))) => {
                    last = ConnectError::Tcp {
                        address: address.clone(),
                        socket: Some(socket),
                        kind: error.kind(),
                        message: error.to_string(),
                    };
                }
                None => return Err(last),
            },
            () = sleep(NEXT_ADDRESS_AFTER), if more => {}
        }
    }
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    socket.set_linger(Some(Duration::ZERO))?;
    socket.set_tcp_keepalive(
        &TcpKeepalive::new()
            .with_time(Duration::from_secs(60))
            .with_interval(Duration::from_secs(10))
            .with_retries(3),
    )
}
