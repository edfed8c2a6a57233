//! What a simulated cluster is made of: size, release, limits, users.

use std::time::Duration;

use crate::release::Release;

/// Settings of a [`Cluster`](crate::Cluster). Start from `ClusterConfig::default()` and change what the test is about.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// Name of the cluster as Metadata and DescribeCluster show it.
    pub cluster_id: String,
    /// How many brokers; their ids are 1 to this number.
    pub brokers: usize,
    /// Whose behaviour and request versions the brokers follow.
    pub release: Release,
    /// Seed of everything random (ids of topics, members, sessions; faults with a probability).
    pub seed: u64,
    /// Wall clock at creation in milliseconds since 1970; `None`: the real time. Afterwards it advances with `tokio::time`.
    pub start_time_ms: Option<i64>,
    /// Whether Metadata may create unknown topics (`auto.create.topics.enable`).
    pub auto_create: bool,
    /// `num.partitions`: used where a request says -1.
    pub partitions_default: i32,
    /// `default.replication.factor`: used where a request says -1.
    pub replication_default: i16,
    /// Topic settings (topic key names) that the brokers' own configuration files set: shown with source `STATIC_BROKER_CONFIG`.
    pub topic_defaults: Vec<(String, String)>,
    /// SASL users; `None`: no authentication is asked.
    pub sasl: Option<SaslUsers>,
    /// Whether there is an authorizer that keeps ACLs; without one they are refused (`SECURITY_DISABLED`).
    pub authorizer: bool,
    /// Whether produced records are walked as a broker does. Off only for benchmarks: headers and checksums are then trusted.
    pub validate_records: bool,
    /// Fetch session slots per broker (KIP-227, `max.incremental.fetch.session.cache.slots`).
    pub fetch_session_slots: usize,
    /// How long after the EndTxn answer the markers are written (P14: the answer comes first).
    pub marker_delay: Duration,
    /// How long a deletion runs: the topic is refused meanwhile, and cannot be created again (P10).
    pub delete_delay: Duration,
    /// How long a new topic has no leaders (CreateTopics answers before they are elected).
    pub leader_delay: Duration,
    /// How long partitions of a killed broker stay without a leader.
    pub election_delay: Duration,
    /// How long a request may lie before it is looked at, and its answer before it is sent; how long each time
    /// is drawn from the seed. Requests behind it on the connection wait as well (P11).
    pub service_time_max: Duration,
    /// `producer.id.expiration.ms`; `None`: one day from 3.9 on, seven days before (P3).
    pub producer_expiry_ms: Option<i64>,
    /// `producer.id.expiration.check.interval.ms`.
    pub producer_expiry_check_ms: i64,
    /// Oldest batches are dropped when a partition holds more than this, whatever its retention says: bounds the memory of long runs.
    pub partition_bytes_max: Option<u64>,
    /// `fetch.max.bytes` of the broker.
    pub fetch_bytes_max: usize,
    /// `socket.request.max.bytes`: a larger frame closes the connection.
    pub request_bytes_max: usize,
    /// Bytes that may wait in each direction of an in-memory connection.
    pub duplex_bytes: usize,
}

/// Users and mechanisms of a cluster that asks for SASL.
#[derive(Clone, Debug, Default)]
pub struct SaslUsers {
    /// Kafka's names of the mechanisms offered, such as `PLAIN` or `SCRAM-SHA-256`.
    pub mechanisms: Vec<String>,
    /// User names and passwords.
    pub users: Vec<(String, String)>,
}

impl Default for ClusterConfig {
    fn default() -> Self {
        Self {
            cluster_id: "kafka-sim".to_owned(),
            brokers: 1,
            release: Release::V4_2,
            seed: 1,
            start_time_ms: None,
            auto_create: false,
            partitions_default: 1,
            replication_default: 1,
            topic_defaults: Vec::new(),
            sasl: None,
            authorizer: false,
            validate_records: true,
            fetch_session_slots: 1000,
            marker_delay: Duration::from_millis(5),
            delete_delay: Duration::ZERO,
            leader_delay: Duration::ZERO,
            election_delay: Duration::ZERO,
            service_time_max: Duration::ZERO,
            producer_expiry_ms: None,
            producer_expiry_check_ms: 600_000,
            partition_bytes_max: None,
            fetch_bytes_max: 55 << 20,
            request_bytes_max: 100 << 20,
            duplex_bytes: 1 << 20,
        }
    }
}

impl ClusterConfig {
    /// One broker of `release`, the rest as by default.
    #[must_use]
    pub fn release(release: Release) -> Self {
        Self { release, ..Self::default() }
    }

    pub(crate) fn producer_expiry(&self) -> i64 {
        const DAY_MS: i64 = 86_400_000;
        self.producer_expiry_ms.unwrap_or(if self.release >= Release::V3_9 {
            DAY_MS
        } else {
            7 * DAY_MS
        })
    }
}
