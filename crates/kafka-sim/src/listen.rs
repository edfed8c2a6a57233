//! The same cluster on loopback TCP, one ephemeral port per broker.

use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use kafka_client::BrokerAddress;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::broker::{Listener, serve};
use crate::cluster::Cluster;

const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// A cluster whose brokers listen on loopback. Listening ends with [`shutdown`](Self::shutdown) or with the value.
#[derive(Debug)]
pub struct ListeningCluster {
    cluster: Cluster,
    addresses: Vec<BrokerAddress>,
    tasks: Vec<JoinHandle<()>>,
}

impl Cluster {
    /// Opens a loopback port for every broker. Clients that come by TCP are told these addresses.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn listen(&self) -> io::Result<ListeningCluster> {
        let ids: Vec<i32> = self.state().brokers.keys().copied().collect();
        let mut listening =
            ListeningCluster { cluster: self.clone(), addresses: Vec::new(), tasks: Vec::new() };
        for id in ids {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            let port = listener.local_addr()?.port();
            let address = BrokerAddress { host: Ipv4Addr::LOCALHOST.to_string(), port };
            if let Some(broker) = self.state().brokers.get_mut(&id) {
                broker.tcp = Some(address.clone());
            }
            listening.addresses.push(address);
            listening.tasks.push(tokio::spawn(accept(self.clone(), id, listener)));
        }
        Ok(listening)
    }
}

impl ListeningCluster {
    /// The addresses of all brokers as a bootstrap list, `127.0.0.1:PORT,…`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    /// The address of each broker, in the order of their ids.
    #[must_use]
    pub fn addresses(&self) -> &[BrokerAddress] {
        &self.addresses
    }

    /// Tells clients that come by TCP to find `broker` elsewhere: at a relay in front of it.
    pub fn advertise(&self, broker: i32, address: BrokerAddress) {
        if let Some(broker) = self.cluster.state().brokers.get_mut(&broker) {
            broker.tcp = Some(address);
        }
    }

    /// Stops listening and cuts all connections.
    pub fn shutdown(self) {}
}

impl Drop for ListeningCluster {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
        for broker in self.cluster.state().brokers.values_mut() {
            broker.tcp = None;
            broker.cut_connections();
        }
    }
}

async fn accept(cluster: Cluster, broker: i32, listener: TcpListener) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file handles: others must close theirs first.
            tokio::time::sleep(ACCEPT_RETRY).await;
            continue;
        };
        tokio::spawn(converse(cluster.clone(), broker, stream));
    }
}

async fn converse(cluster: Cluster, broker: i32, mut stream: TcpStream) {
    // Without this small answers wait for the peer's delayed acknowledgement.
    let _ = stream.set_nodelay(true);
    if serve(cluster, broker, Listener::Tcp, &mut stream).await {
        // A killed broker's machine answers with a reset.
        let _ = stream.set_zero_linger();
    }
}
