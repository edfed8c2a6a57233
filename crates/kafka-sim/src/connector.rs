//! In-memory streams to the brokers, for clients in the same process.

use kafka_client::{BoxFuture, BrokerAddress, ConnectError, Connector, Stream};
use std::io;

use crate::broker::{Listener, serve};
use crate::cluster::Cluster;

/// Connects to the in-memory addresses of one cluster.
#[derive(Clone, Debug)]
pub(crate) struct MemoryConnector {
    cluster: Cluster,
}

impl MemoryConnector {
    pub(crate) fn new(cluster: Cluster) -> Self {
        Self { cluster }
    }

    fn open(&self, address: &BrokerAddress) -> Result<Box<dyn Stream>, ConnectError> {
        let refused = |message: &str| ConnectError::Tcp {
            address: address.clone(),
            socket: None,
            kind: io::ErrorKind::ConnectionRefused,
            message: message.to_owned(),
        };
        let broker = {
            let state = self.cluster.state();
            let found = state.brokers.values().find(|broker| broker.memory == *address);
            match found {
                None => return Err(refused("no simulated broker has this address")),
                Some(broker) if !broker.up => {
                    return Err(refused("connection refused (the simulated broker is down)"));
                }
                Some(broker) => broker.id,
            }
        };
        let (ours, mut theirs) = tokio::io::duplex(self.cluster.config().duplex_bytes);
        let cluster = self.cluster.clone();
        tokio::spawn(async move { serve(cluster, broker, Listener::Memory, &mut theirs).await });
        Ok(Box::new(ours))
    }
}

impl Connector for MemoryConnector {
    fn connect<'a>(
        &'a self,
        address: &'a BrokerAddress,
    ) -> BoxFuture<'a, Result<Box<dyn Stream>, ConnectError>> {
        Box::pin(async move { self.open(address) })
    }
}
