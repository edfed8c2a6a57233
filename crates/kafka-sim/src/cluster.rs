//! The cluster as its users hold it: a cheap handle on shared state.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use kafka_client::{BrokerAddress, Connector};

use crate::clock::Clock;
use crate::config::ClusterConfig;
use crate::connector::MemoryConnector;
use crate::partition::Expiry;
use crate::state::State;

/// How long a coordinator waits before it tries a marker again whose partition has no leader.
const MARKER_RETRY: Duration = Duration::from_millis(20);

/// A Kafka cluster in memory. Clones are handles on the same cluster.
#[derive(Clone, Debug)]
pub struct Cluster {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: ClusterConfig,
    pub(crate) clock: Clock,
    state: Mutex<State>,
}

impl Cluster {
    /// A cluster with all brokers up and no topics.
    #[must_use]
    pub fn new(config: ClusterConfig) -> Self {
        let state = Mutex::new(State::new(&config));
        let clock = Clock::new(config.start_time_ms);
        Self { shared: Arc::new(Shared { config, clock, state }) }
    }

    /// What it was made from.
    #[must_use]
    pub fn config(&self) -> &ClusterConfig {
        &self.shared.config
    }

    /// Opens in-memory streams to the addresses of [`bootstrap`](Self::bootstrap).
    ///
    /// Connecting needs a tokio runtime: each connection is a task of it.
    #[must_use]
    pub fn connector(&self) -> Arc<dyn Connector> {
        Arc::new(MemoryConnector::new(self.clone()))
    }

    /// The in-memory addresses of all brokers, live or not.
    #[must_use]
    pub fn bootstrap(&self) -> Vec<BrokerAddress> {
        self.state().brokers.values().map(|broker| broker.memory.clone()).collect()
    }

    /// The wall clock of the brokers, ms since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.shared.clock.now_ms()
    }

    /// Makes the wall clock of the brokers show `now_ms`; it goes on from there.
    pub fn set_clock(&self, now_ms: i64) {
        self.shared.clock.set(now_ms);
    }

    /// The state; never held over an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn expiry(&self) -> Expiry {
        let config = self.config();
        Expiry { expiry_ms: config.producer_expiry(), check_ms: config.producer_expiry_check_ms }
    }

    /// Writes the markers of a decided transaction after the configured delay.
    pub(crate) fn write_markers_later(&self, transactional_id: &str) {
        let delay = self.config().marker_delay;
        if delay.is_zero() && self.write_markers(transactional_id) {
            return;
        }
        let (shared, id) = (Arc::downgrade(&self.shared), transactional_id.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            while let Some(cluster) = Self::upgrade(&shared) {
                if cluster.write_markers(&id) {
                    break;
                }
                drop(cluster);
                tokio::time::sleep(MARKER_RETRY).await;
            }
        });
    }

    /// Writes what markers can be written now; `true` when the transaction is complete.
    fn write_markers(&self, transactional_id: &str) -> bool {
        let now_ms = self.now_ms();
        let mut state = self.state();
        let Some((marker, partitions)) = state.transactions.pending_markers(transactional_id)
        else {
            return true;
        };
        for (topic, index) in partitions {
            let stands = match state.partition(&topic, index) {
                // A partition without a leader is waited for (P18).
                Ok(partition) if partition.leader.is_none() => false,
                // A marker that is refused because its producer was fenced is as good as written.
                Ok(partition) => partition.write_marker(&marker, now_ms).map_or(true, |_| true),
                Err(_) => true,
            };
            if stands {
                state.transactions.marker_written(transactional_id, &topic, index);
            }
        }
        let Some(groups) = state.transactions.try_complete(transactional_id) else { return false };
        for group in groups {
            state.groups.settle(&group, marker.producer_id, marker.commit);
        }
        true
    }

    /// Aborts the transaction that has just begun if it is still open after its timeout (P20).
    pub(crate) fn time_transaction(&self, state: &State, transactional_id: &str) {
        let Some(known) = state.transactions.get(transactional_id) else { return };
        let (timeout, round) = (known.timeout, known.round);
        let (shared, id) = (Arc::downgrade(&self.shared), transactional_id.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(timeout).await;
            let Some(cluster) = Self::upgrade(&shared) else { return };
            let timed_out = cluster.state().transactions.time_out(&id, round);
            if timed_out {
                cluster.write_markers_later(&id);
            }
        });
    }

    /// Elects leaders for what a dead broker led, after the configured delay.
    pub(crate) fn elect_later(&self) {
        let delay = self.config().election_delay;
        if delay.is_zero() {
            return self.state().elect_leaders();
        }
        let shared = Arc::downgrade(&self.shared);
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            if let Some(cluster) = Self::upgrade(&shared) {
                cluster.state().elect_leaders();
            }
        });
    }

    fn upgrade(shared: &Weak<Shared>) -> Option<Self> {
        shared.upgrade().map(|shared| Self { shared })
    }
}
