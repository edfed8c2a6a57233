//! The client of one cluster: whom to ask, over which connection, and when to ask again.

mod cache;
mod coordinators;
mod pool;
pub(crate) mod retry;
pub(crate) mod route;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

pub use self::coordinators::CoordinatorKind;
use self::{cache::MetadataCache, coordinators::Coordinators, pool::Pool, retry::Attempts};
use crate::{
    ClientError, ClusterMetadata, ConnectionConfig, TopicQuery,
    connect::{Connector, TcpConnector, TlsConnector},
    connection::BrokerConnection,
};

/// A client of one cluster; clones share connections and caches.
#[derive(Clone, Debug)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: ConnectionConfig,
    pool: Pool,
    cache: MetadataCache,
    coordinators: Coordinators,
    closed: AtomicBool,
}

impl Client {
    /// A client over TCP, or TLS if the configuration says so. Opens nothing yet.
    ///
    /// # Errors
    /// [`ClientError::Connect`] for TLS settings that cannot be used, [`ClientError::InvalidArgument`] without
    /// any bootstrap address.
    pub fn new(config: ConnectionConfig) -> Result<Self, ClientError> {
        if config.bootstrap.is_empty() {
            return Err(ClientError::InvalidArgument("no bootstrap address given".to_owned()));
        }
        let connector: Arc<dyn Connector> = match &config.tls {
            None => Arc::new(TcpConnector::new()),
            Some(tls) => Arc::new(TlsConnector::new(tls)?),
        };
        Ok(Self::with_connector(config, connector))
    }

    /// A client over streams of another kind; the configuration's TLS part is the connector's business then.
    #[must_use]
    pub fn with_connector(config: ConnectionConfig, connector: Arc<dyn Connector>) -> Self {
        let inner = Inner {
            pool: Pool::new(connector),
            cache: MetadataCache::default(),
            coordinators: Coordinators::default(),
            closed: AtomicBool::new(false),
            config,
        };
        Self { inner: Arc::new(inner) }
    }

    /// What the client was made from.
    #[must_use]
    pub fn config(&self) -> &ConnectionConfig {
        &self.inner.config
    }

    /// Closes the shared connections; calls under way fail, later ones too.
    pub async fn close(&self) {
        self.inner.closed.store(true, Ordering::Release);
        self.inner.pool.close();
    }

    /// Metadata of these topics, from the cache if it is younger than `metadata_age_max` and complete.
    ///
    /// # Errors
    /// When no broker answers within `retry_time_max`. Errors of topics and partitions are in the answer.
    pub async fn metadata(&self, topics: TopicQuery) -> Result<Arc<ClusterMetadata>, ClientError> {
        match self.inner.cache.fresh(&topics, self.limits().metadata_age_max) {
            Some(found) => Ok(found),
            None => self.refresh_metadata(topics).await,
        }
    }

    /// Metadata of these topics, asked now; many callers at a time share one request. Never creates a topic.
    ///
    /// # Errors
    /// As [`Self::metadata`].
    pub async fn refresh_metadata(
        &self,
        topics: TopicQuery,
    ) -> Result<Arc<ClusterMetadata>, ClientError> {
        let mut attempts = self.attempts();
        loop {
            match cache::refresh(self, &topics).await {
                Ok(found) => return Ok(found),
                Err(error) => attempts.pause(error).await?,
            }
        }
    }

    /// The shared connection to a broker, opened if need be.
    ///
    /// # Errors
    /// [`ClientError::UnknownBroker`] when the cluster does not name it; why it cannot be reached otherwise.
    pub async fn broker(&self, broker_id: i32) -> Result<BrokerConnection, ClientError> {
        let address = self.address_of(broker_id).await?;
        self.inner.pool.shared(&self.inner.config, broker_id, &address).await
    }

    /// A connection to a broker for the caller alone.
    ///
    /// # Errors
    /// As [`Self::broker`].
    pub async fn dedicated(&self, broker_id: i32) -> Result<BrokerConnection, ClientError> {
        let address = self.address_of(broker_id).await?;
        self.inner.pool.dedicated(&self.inner.config, broker_id, &address).await
    }

    /// A connection to whichever broker answers: an open one, then the known ones, then the bootstrap addresses.
    ///
    /// # Errors
    /// [`ClientError::Bootstrap`] when none does.
    pub async fn any_broker(&self) -> Result<BrokerConnection, ClientError> {
        self.check_open()?;
        if let Some(connection) = self.inner.pool.any_open() {
            return Ok(connection);
        }
        let mut known = self.inner.cache.brokers();
        fastrand::shuffle(&mut known);
        for node in known {
            if let Ok(connection) =
                self.inner.pool.shared(&self.inner.config, node.id, &node.address).await
            {
                return Ok(connection);
            }
        }
        self.inner.pool.bootstrap(&self.inner.config).await
    }

    /// The connection for calls that only the controller answers (with KRaft every broker forwards them).
    ///
    /// # Errors
    /// [`ClientError::NoController`] and those of [`Self::broker`].
    pub async fn controller(&self) -> Result<BrokerConnection, ClientError> {
        let mut id = self.inner.cache.controller();
        if id.is_none() {
            id = self
                .refresh_metadata(TopicQuery::Named(Vec::new()))
                .await
                .map(|found| found.controller_id)
                .ok();
        }
        match id {
            Some(id) if id >= 0 => self.broker(id).await,
            _ => Err(ClientError::NoController),
        }
    }

    /// The connection to the coordinator of a group or of a transactional id; remembered until it proves wrong.
    ///
    /// # Errors
    /// Why it could not be found within `retry_time_max`, or not be reached.
    pub async fn coordinator(
        &self,
        kind: CoordinatorKind,
        key: &str,
    ) -> Result<BrokerConnection, ClientError> {
        let mut attempts = self.attempts();
        loop {
            match coordinators::find(self, kind, key).await {
                Ok(connection) => return Ok(connection),
                Err(error) => attempts.pause(error).await?,
            }
        }
    }

    fn check_open(&self) -> Result<(), ClientError> {
        if self.inner.closed.load(Ordering::Acquire) { Err(ClientError::Closed) } else { Ok(()) }
    }

    pub(crate) fn limits(&self) -> &crate::ClientLimits {
        &self.inner.config.limits
    }

    /// A new count of tries for one public call.
    pub(crate) fn attempts(&self) -> Attempts {
        Attempts::new(self.limits())
    }

    async fn address_of(&self, broker_id: i32) -> Result<crate::BrokerAddress, ClientError> {
        self.check_open()?;
        if let Some(address) = self.inner.cache.address(broker_id) {
            return Ok(address);
        }
        let found = self.refresh_metadata(TopicQuery::Named(Vec::new())).await?;
        let node = found.brokers.get(&broker_id).ok_or(ClientError::UnknownBroker { broker_id })?;
        Ok(node.address.clone())
    }
}
