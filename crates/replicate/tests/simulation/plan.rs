//! What one seed's world looks like before anything happens in it.

use std::time::Duration;

use kafka_client::ClientLimits;
use kafka_sim::{Cluster, ClusterConfig, Release};
use replicate::spec::{StartPosition, SyncMode, TaskSpec, WorkerThreads};

/// The time both clusters show in the beginning, ms since 1970.
pub(crate) const START_MS: i64 = 1_700_000_000_000;

/// As by default: longer than a run.
const NO_CHECK_MS: i64 = 600_000;

/// One topic.
#[derive(Clone, Debug)]
pub(crate) struct TopicPlan {
    pub(crate) name: String,
    pub(crate) partitions: usize,
    pub(crate) is_compacted: bool,
    /// Its producers write in transactions.
    pub(crate) is_transactional: bool,
    /// The broker stamps its batches.
    pub(crate) is_stamped: bool,
    /// Its records are this much older than the clock.
    pub(crate) age_ms: i64,
    /// Others write to it on the target.
    pub(crate) has_foreign: bool,
    /// `min.insync.replicas`.
    pub(crate) min_isr: usize,
}

impl TopicPlan {
    pub(crate) fn draw(random: &mut fastrand::Rng, index: usize) -> Self {
        const YEAR_MS: i64 = 365 * 86_400_000;
        let is_compacted = random.u8(0..4) == 0;
        Self {
            name: format!("t{index}"),
            partitions: random.usize(1..=3),
            is_compacted,
            is_transactional: random.bool(),
            is_stamped: random.u8(0..6) == 0,
            age_ms: if random.u8(0..3) == 0 { random.i64(1..20) * YEAR_MS } else { 0 },
            has_foreign: random.u8(0..3) == 0,
            min_isr: random.usize(1..=2),
        }
    }

    pub(crate) fn configs(&self) -> Vec<(&'static str, &'static str)> {
        let mut configs = vec![("retention.ms", "-1")];
        if self.is_compacted {
            configs.push(("cleanup.policy", "compact"));
        }
        if self.is_stamped {
            configs.push(("message.timestamp.type", "LogAppendTime"));
        }
        if self.min_isr == 2 {
            configs.push(("min.insync.replicas", "2"));
        }
        configs
    }
}

/// The world of one seed.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) topics: Vec<TopicPlan>,
    pub(crate) spec: TaskSpec,
    pub(crate) client: ClientLimits,
    /// Steps of writing and breaking.
    pub(crate) steps: usize,
    /// Bursts in each partition before the task begins.
    pub(crate) backlog: usize,
    /// How long the brokers' side of a given up connection may live.
    pub(crate) linger_ms_max: u64,
    /// 0 to 3: how much goes wrong.
    pub(crate) meanness: u8,
    /// The journal may be set back to an older copy.
    pub(crate) sets_back: bool,
    /// Groups are synced, and move.
    pub(crate) has_groups: bool,
    /// How often the target looks for producers to be forgotten.
    pub(crate) expiry_check_ms: i64,
}

impl Plan {
    /// Whether producers of records of now may be forgotten: by a clock of the target that jumps over days. Only one batch at a
    /// time is safe then, and the copy, whose clock does not jump, cannot know. So nothing is refused in such worlds.
    pub(crate) fn may_jump_days(&self) -> bool {
        self.meanness == 0
    }

    pub(crate) fn draw(random: &mut fastrand::Rng) -> Self {
        let topics = (0..random.usize(1..=3)).map(|index| TopicPlan::draw(random, index)).collect();
        let mut spec = TaskSpec::new("sim".parse().unwrap());
        spec.start =
            if random.u8(0..4) == 0 { StartPosition::Latest } else { StartPosition::Earliest };
        spec.once = random.u8(0..8) == 0;
        spec.limits.concurrency_max = random.usize(1..=3);
        spec.worker_threads = WorkerThreads::Shuffled;
        spec.limits.discovery_interval = Duration::from_secs(2);
        spec.limits.metadata_interval = Duration::from_secs(7);
        spec.limits.fetch_partition_bytes_max = *pick(random, &[200, 700, 3_000, 1 << 20]);
        spec.limits.produce_timeout = Duration::from_millis(random.u64(500..4_000));
        spec.limits.map_segments_max = *pick(random, &[1, 3, 4096]);
        spec.limits.produce_requests_max = *pick(random, &[1, 5]);
        spec.limits.coalesce_below_bytes = *pick(random, &[0, 300, 64 << 10]);
        spec.limits.coalesce_packed_below_bytes = *pick(random, &[0, 64 << 10]);
        spec.limits.coalesced_bytes_max = *pick(random, &[700, 512 << 10]);
        let mut client = ClientLimits::default();
        client.connect_timeout = Duration::from_secs(3);
        client.request_timeout = Duration::from_millis(random.u64(2_000..8_000));
        client.retry_time_max = Duration::from_secs(20);
        if client.request_timeout.as_millis() % 2 == 0 {
            // In half of the worlds: no way is long here.
            spec.limits.read_ahead_from = Duration::ZERO;
        }
        let has_groups = random.u8(0..3) == 0;
        if has_groups {
            spec.sync = SyncMode::MetadataDataOffsets;
            spec.limits.group_interval = Duration::from_millis(random.u64(500..2_000));
        }
        // A journal that was set back has forgotten what it wrote to groups.
        let sets_back =
            !has_groups && random.u8(0..12) == 0 && spec.start == StartPosition::Earliest;
        // Groups stay where they are when source partitions share one of the target.
        spec.same_partition = has_groups || sets_back || random.u8(0..4) > 0;
        Self {
            topics,
            spec,
            client,
            steps: random.usize(20..90),
            backlog: random.usize(0..6),
            linger_ms_max: *pick(random, &[0, 50, 1_000, 8_000]),
            meanness: random.u8(0..4),
            sets_back,
            has_groups,
            expiry_check_ms: *pick(random, &[1_000, 10_000, NO_CHECK_MS, NO_CHECK_MS]),
        }
    }
}

/// Two clusters of three brokers.
pub(crate) fn clusters(random: &mut fastrand::Rng, plan: &Plan) -> (Cluster, Cluster) {
    let mut cluster = |id: &str| {
        Cluster::new(ClusterConfig {
            cluster_id: id.to_owned(),
            brokers: 3,
            replication_default: 3,
            release: *pick(random, &[Release::V4_2, Release::V4_2, Release::V3_9, Release::V2_8]),
            seed: random.u64(..),
            start_time_ms: Some(START_MS),
            marker_delay: Duration::from_millis(random.u64(0..40)),
            leader_delay: Duration::from_millis(random.u64(0..200)),
            election_delay: Duration::from_millis(random.u64(0..1_500)),
            service_time_max: Duration::from_millis(random.u64(0..8)),
            producer_expiry_check_ms: plan.expiry_check_ms,
            fetch_session_slots: *pick(random, &[1, 1_000]),
            ..ClusterConfig::default()
        })
    };
    (cluster("source"), cluster("target"))
}

pub(crate) fn pick<'a, T>(random: &mut fastrand::Rng, from: &'a [T]) -> &'a T {
    &from[random.usize(..from.len())]
}
