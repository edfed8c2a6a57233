//! Open connections: one shared per broker, and a pause after a failed attempt.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::time::{Instant, sleep_until};

use super::retry::Backoff;
use crate::{
    BrokerAddress, ClientError, ConnectionConfig,
    connect::Connector,
    connection::{BrokerConnection, FramePool, open},
};

/// The id under which the connection to a bootstrap address is kept.
const BOOTSTRAP: i32 = -1;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Pool {
    connector: Arc<dyn Connector>,
    slots: Mutex<BTreeMap<i32, Arc<Slot>>>,
    /// Receive buffers of all connections.
    frames: Arc<FramePool>,
}

/// What is known about the way to one broker.
#[derive(Debug, Default)]
struct Slot {
    /// The open connection, if any; only looked at for a moment.
    current: Mutex<Option<BrokerConnection>>,
    /// Held while connecting, so that many callers make one attempt.
    attempt: tokio::sync::Mutex<Failures>,
}

/// Attempts that failed in a row, and when the next one may be made.
#[derive(Debug, Default)]
struct Failures {
    backoff: Option<Backoff>,
    not_before: Option<Instant>,
}

impl Pool {
    pub(super) fn new(connector: Arc<dyn Connector>) -> Self {
        Self { connector, slots: Mutex::default(), frames: Arc::default() }
    }

    /// The shared connection to a broker; waits out the pause after a failure.
    pub(super) async fn shared(
        &self,
        config: &ConnectionConfig,
        broker_id: i32,
        address: &BrokerAddress,
    ) -> Result<BrokerConnection, ClientError> {
        let slot = self.slot(broker_id);
        if let Some(connection) = slot.usable(address) {
            return Ok(connection);
        }
        let mut failures = slot.attempt.lock().await;
        if let Some(connection) = slot.usable(address) {
            return Ok(connection);
        }
        let connection = self.attempt(&mut failures, config, broker_id, address).await?;
        slot.put(connection.clone());
        Ok(connection)
    }

    /// A new connection for one caller; shares the pauses.
    pub(super) async fn dedicated(
        &self,
        config: &ConnectionConfig,
        broker_id: i32,
        address: &BrokerAddress,
    ) -> Result<BrokerConnection, ClientError> {
        let slot = self.slot(broker_id);
        // Waits its turn after a failure, but does not hold up others while it connects.
        slot.attempt.lock().await.wait().await;
        let opened = open(&*self.connector, config, address, broker_id, &self.frames).await;
        if opened.is_err() {
            slot.attempt.lock().await.note(config);
        }
        opened
    }

    /// A connection to the first bootstrap address that answers.
    pub(super) async fn bootstrap(
        &self,
        config: &ConnectionConfig,
    ) -> Result<BrokerConnection, ClientError> {
        let slot = self.slot(BOOTSTRAP);
        let mut failures = slot.attempt.lock().await;
        if let Some(connection) = slot.open_one() {
            return Ok(connection);
        }
        failures.wait().await;
        let mut addresses: Vec<_> = config.bootstrap.iter().collect();
        fastrand::shuffle(&mut addresses);
        let mut last = None;
        for address in addresses {
            match open(&*self.connector, config, address, BOOTSTRAP, &self.frames).await {
                Ok(connection) => {
                    failures.clear();
                    slot.put(connection.clone());
                    return Ok(connection);
                }
                Err(error) => last = Some(error),
            }
        }
        failures.note(config);
        let last = last.unwrap_or_else(|| {
            ClientError::InvalidArgument("no bootstrap address given".to_owned())
        });
        Err(ClientError::Bootstrap { name: config.name.clone(), last: Box::new(last) })
    }

    /// Any connection that is open.
    pub(super) fn any_open(&self) -> Option<BrokerConnection> {
        let slots: Vec<_> = self.lock().values().cloned().collect();
        slots.iter().find_map(|slot| slot.open_one())
    }

    pub(super) fn close(&self) {
        for slot in std::mem::take(&mut *self.lock()).into_values() {
            if let Some(connection) = slot.open_one() {
                connection.close();
            }
        }
    }

    async fn attempt(
        &self,
        failures: &mut Failures,
        config: &ConnectionConfig,
        broker_id: i32,
        address: &BrokerAddress,
    ) -> Result<BrokerConnection, ClientError> {
        failures.wait().await;
        let opened = open(&*self.connector, config, address, broker_id, &self.frames).await;
        if opened.is_ok() {
            failures.clear();
        } else {
            failures.note(config);
        }
        opened
    }

    fn slot(&self, broker_id: i32) -> Arc<Slot> {
        Arc::clone(self.lock().entry(broker_id).or_default())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<i32, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// The open connection, if it leads to where the broker listens now.
    fn usable(&self, address: &BrokerAddress) -> Option<BrokerConnection> {
        self.open_one().filter(|connection| connection.address() == address)
    }

    fn open_one(&self) -> Option<BrokerConnection> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|connection| !connection.is_closed()).cloned()
    }

    fn put(&self, connection: BrokerConnection) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = Some(connection);
    }
}

impl Failures {
    /// Waits until another attempt may be made; at most the longest back-off.
    async fn wait(&self) {
        if let Some(at) = self.not_before {
            sleep_until(at).await;
        }
    }

    fn note(&mut self, config: &ConnectionConfig) {
        let pause = self.backoff.get_or_insert_with(|| Backoff::new(&config.limits)).step();
        self.not_before = Some(Instant::now() + pause);
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}
