//! Everything a cluster knows, behind one lock: brokers, topics, groups, transactions, rights.
//!
//! Nothing here waits or does I/O; requests that wait register a `Waiter` and come back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use kafka_client::BrokerAddress;
use kafka_wire::{ErrorCode, Uuid};
use tokio::time::Instant;

use crate::access::GroupRequest;
use crate::acls::Acls;
use crate::config::ClusterConfig;
use crate::faults::FaultRules;
use crate::fetch_sessions::FetchSessions;
use crate::groups::Groups;
use crate::partition::{Expiry, Partition};
use crate::permissions::Permissions;
use crate::signal::Signal;
use crate::topic_config::{LogSettings, Overrides};
use crate::transactions::Transactions;

/// How many producer ids a broker takes at a time (P1: after a restart it goes on at the next block).
const PRODUCER_ID_BLOCK: i64 = 1000;

/// One broker.
#[derive(Debug)]
pub(crate) struct Broker {
    pub(crate) id: i32,
    /// Where in-memory connections find it.
    pub(crate) memory: BrokerAddress,
    /// Where TCP connections find it, while the cluster listens.
    pub(crate) tcp: Option<BrokerAddress>,
    pub(crate) rack: Option<String>,
    pub(crate) up: bool,
    /// A paused broker keeps its connections and answers nothing (SIGSTOP).
    pub(crate) paused: Signal<bool>,
    /// Raised to cut every connection made before.
    pub(crate) cuts: Signal<u64>,
    pub(crate) sessions: FetchSessions,
    producer_ids: std::ops::Range<i64>,
}

/// One topic.
#[derive(Debug)]
pub(crate) struct Topic {
    pub(crate) id: Uuid,
    pub(crate) partitions: Vec<Partition>,
    pub(crate) overrides: Overrides,
    pub(crate) settings: Arc<LogSettings>,
    pub(crate) is_internal: bool,
    /// Before this its partitions have no leaders.
    pub(crate) leaders_at: Instant,
}

/// All state of a cluster.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) brokers: BTreeMap<i32, Broker>,
    pub(crate) topics: BTreeMap<String, Topic>,
    names: HashMap<Uuid, String>,
    /// Topics whose deletion runs, with its end.
    pub(crate) deleting: BTreeMap<String, Instant>,
    pub(crate) groups: Groups,
    /// What was asked of groups, while somebody wants to know.
    pub(crate) group_requests: Option<Vec<GroupRequest>>,
    /// Connections made so far.
    pub(crate) connection_count: u64,
    pub(crate) transactions: Transactions,
    pub(crate) permissions: Permissions,
    pub(crate) acls: Acls,
    pub(crate) faults: FaultRules,
    /// How many requests of each API were understood.
    pub(crate) requests: BTreeMap<i16, u64>,
    pub(crate) random: fastrand::Rng,
    pub(crate) broker_configs: Overrides,
    next_producer_block: i64,
}

impl State {
    pub(crate) fn new(config: &ClusterConfig) -> Self {
        let brokers = (1..)
            .take(config.brokers.max(1))
            .map(|id: i32| (id, Broker::new(id, config)))
            .collect();
        Self {
            brokers,
            topics: BTreeMap::new(),
            names: HashMap::new(),
            deleting: BTreeMap::new(),
            groups: Groups::default(),
            group_requests: None,
            connection_count: 0,
            transactions: Transactions::default(),
            permissions: Permissions::default(),
            acls: Acls::default(),
            faults: FaultRules::default(),
            requests: BTreeMap::new(),
            random: fastrand::Rng::with_seed(config.seed),
            broker_configs: config.topic_defaults.iter().cloned().collect(),
            next_producer_block: 0,
        }
    }

    /// The lowest live broker plays the controller.
    pub(crate) fn controller(&self) -> Option<i32> {
        self.live_brokers().next()
    }

    pub(crate) fn live_brokers(&self) -> impl Iterator<Item = i32> {
        self.brokers.values().filter(|broker| broker.up).map(|broker| broker.id)
    }

    /// The broker that coordinates a group or transactional id.
    pub(crate) fn coordinator(&self, key: &str) -> Option<i32> {
        let live: Vec<i32> = self.live_brokers().collect();
        let hash =
            key.bytes().fold(0_usize, |hash, byte| hash.wrapping_mul(31).wrapping_add(byte.into()));
        (!live.is_empty()).then(|| live[hash % live.len()])
    }

    pub(crate) fn topic_name(&self, id: Uuid) -> Option<&str> {
        self.names.get(&id).map(String::as_str)
    }

    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION.
    pub(crate) fn partition(
        &mut self,
        topic: &str,
        partition: i32,
    ) -> Result<&mut Partition, ErrorCode> {
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let topic = self.topics.get_mut(topic).ok_or(unknown)?;
        let index = usize::try_from(partition).map_err(|_| unknown)?;
        topic.partitions.get_mut(index).ok_or(unknown)
    }

    /// The partition, if `broker` leads it and agrees with the client's leader epoch (-1: none).
    ///
    /// # Errors
    /// UNKNOWN_TOPIC_OR_PARTITION, NOT_LEADER_OR_FOLLOWER, FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH.
    pub(crate) fn led_partition(
        &mut self,
        broker: i32,
        topic: &str,
        partition: i32,
        leader_epoch: i32,
    ) -> Result<&mut Partition, ErrorCode> {
        let ready = self.topics.get(topic).is_none_or(|topic| topic.leaders_at <= Instant::now());
        let found = self.partition(topic, partition)?;
        found.check_epoch(leader_epoch)?;
        if found.leader == Some(broker) && ready {
            Ok(found)
        } else {
            Err(ErrorCode::NOT_LEADER_OR_FOLLOWER)
        }
    }

    /// Adds a topic whose name, counts and configuration have been checked.
    pub(crate) fn add_topic(
        &mut self,
        config: &ClusterConfig,
        name: &str,
        assignments: Vec<Vec<i32>>,
        overrides: Overrides,
        now_ms: i64,
    ) -> Uuid {
        let id = Uuid::from_u128(self.random.u128(1..));
        let settings = Arc::new(LogSettings::new(config.release, &self.broker_configs, &overrides));
        let live: Vec<i32> = self.live_brokers().collect();
        let partitions = assignments
            .into_iter()
            .map(|replicas| new_partition(replicas, &live, now_ms))
            .collect();
        let leaders_at = Instant::now() + config.leader_delay;
        let is_internal = name.starts_with("__");
        self.names.insert(id, name.to_owned());
        self.topics.insert(
            name.to_owned(),
            Topic { id, partitions, overrides, settings, is_internal, leaders_at },
        );
        id
    }

    /// Lets a topic grow.
    pub(crate) fn add_partitions(&mut self, name: &str, assignments: Vec<Vec<i32>>, now_ms: i64) {
        let live: Vec<i32> = self.live_brokers().collect();
        if let Some(topic) = self.topics.get_mut(name) {
            topic.partitions.extend(
                assignments.into_iter().map(|replicas| new_partition(replicas, &live, now_ms)),
            );
        }
    }

    /// Replica lists for `count` new partitions, leaders in turn.
    pub(crate) fn assign(
        &mut self,
        first: usize,
        count: usize,
        replication: usize,
    ) -> Vec<Vec<i32>> {
        let live: Vec<i32> = self.live_brokers().collect();
        let pick = |partition: usize| {
            (0..replication).map(|index| live[(partition + index) % live.len()]).collect()
        };
        if live.is_empty() { Vec::new() } else { (first..first + count).map(pick).collect() }
    }

    /// Removes a topic at once; who waits on it is woken, its offsets are forgotten.
    pub(crate) fn remove_topic(&mut self, name: &str) -> bool {
        let Some(mut topic) = self.topics.remove(name) else { return false };
        self.names.remove(&topic.id);
        for partition in &mut topic.partitions {
            partition.wake_all();
        }
        self.groups.forget_topic(name);
        self.transactions.forget_topic(name);
        true
    }

    /// Whether a deletion of this name still runs.
    pub(crate) fn is_deleting(&mut self, name: &str) -> bool {
        let now = Instant::now();
        self.deleting.retain(|_, until| *until > now);
        self.deleting.contains_key(name)
    }

    /// Recomputes what the overrides of a topic mean.
    pub(crate) fn set_overrides(
        &mut self,
        config: &ClusterConfig,
        name: &str,
        overrides: Overrides,
    ) {
        if let Some(topic) = self.topics.get_mut(name) {
            topic.settings =
                Arc::new(LogSettings::new(config.release, &self.broker_configs, &overrides));
            topic.overrides = overrides;
        }
    }

    /// A producer id never given before, from the block of `broker`.
    pub(crate) fn allocate_producer_id(&mut self, broker: i32) -> i64 {
        let next_block = self.next_producer_block;
        let Some(broker) = self.brokers.get_mut(&broker) else { return next_block };
        if let Some(id) = broker.producer_ids.next() {
            return id;
        }
        self.next_producer_block += PRODUCER_ID_BLOCK;
        broker.producer_ids = next_block + 1..next_block + PRODUCER_ID_BLOCK;
        next_block
    }

    /// Gives leaders to partitions without a live one, where a live in-sync replica exists.
    pub(crate) fn elect_leaders(&mut self) {
        let up: Vec<i32> = self.live_brokers().collect();
        for partition in self.topics.values_mut().flat_map(|topic| &mut topic.partitions) {
            if partition.leader.is_some_and(|leader| up.contains(&leader)) {
                continue;
            }
            let next = partition
                .replicas
                .iter()
                .find(|id| up.contains(id) && partition.isr.contains(id))
                .copied();
            match next {
                Some(leader) => partition.lead(leader),
                None => partition.leader = None,
            }
        }
    }

    /// Takes a broker down: connections cut, sessions gone, out of the ISR. Leaders are elected later.
    pub(crate) fn kill_broker(&mut self, id: i32) {
        let Some(broker) = self.brokers.get_mut(&id) else { return };
        broker.up = false;
        broker.sessions = FetchSessions::default();
        broker.producer_ids = 0..0;
        broker.cut_connections();
        for partition in self.topics.values_mut().flat_map(|topic| &mut topic.partitions) {
            // The last in-sync replica stays in the ISR, as with a real controller.
            if partition.isr.len() > 1 {
                partition.isr.retain(|replica| *replica != id);
            }
            partition.wake_all();
        }
    }

    /// Brings a broker back: it rejoins every ISR and forgets expired producers of what it leads.
    pub(crate) fn start_broker(&mut self, id: i32, now_ms: i64, expiry: Expiry) {
        let Some(broker) = self.brokers.get_mut(&id) else { return };
        broker.up = true;
        broker.paused.update(|paused| *paused = false);
        for partition in self.topics.values_mut().flat_map(|topic| &mut topic.partitions) {
            if partition.replicas.contains(&id) && !partition.isr.contains(&id) {
                partition.isr.push(id);
            }
            if partition.replicas == [id] {
                partition.reload_producers(now_ms, expiry);
            }
        }
        self.elect_leaders();
    }
}

fn new_partition(replicas: Vec<i32>, live: &[i32], now_ms: i64) -> Partition {
    let mut partition = Partition::new(replicas, now_ms);
    partition.isr.retain(|id| live.contains(id));
    partition.leader = partition.isr.first().copied();
    partition
}

impl Broker {
    fn new(id: i32, config: &ClusterConfig) -> Self {
        // The port tells brokers apart even where a client maps all host names to one.
        let port = u16::try_from(9092 + id).unwrap_or(9092);
        Self {
            id,
            memory: BrokerAddress { host: format!("broker-{id}.{}", config.cluster_id), port },
            tcp: None,
            rack: None,
            up: true,
            paused: Signal::new(false),
            cuts: Signal::new(0),
            sessions: FetchSessions::default(),
            producer_ids: 0..0,
        }
    }

    pub(crate) fn cut_connections(&self) {
        self.cuts.update(|cuts| *cuts += 1);
    }
}
