//! Which configuration a target topic gets: the rules alone, without asking anybody.
//!
//! Only what somebody set on the source topic itself travels (BF-38), and seven keys that decide how a topic behaves:
//! those are written in any case, from the topic, else from the source broker, else from a table of defaults. Some keys
//! mean something on their own cluster only, and a few would change or refuse records on their way.

use std::collections::{BTreeMap, BTreeSet};

use kafka_client::ConfigEntry;

use crate::event::{ConfigSkipReason, FidelityCause};
use crate::spec::ConfigSync;

/// Bounds on record times: the largest value switches them off.
const UNLIMITED: &str = "9223372036854775807";

const CLEANUP_POLICY: &str = "cleanup.policy";
const COMPRESSION_TYPE: &str = "compression.type";
const MAX_MESSAGE_BYTES: &str = "max.message.bytes";
const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";
const RETENTION_BYTES: &str = "retention.bytes";
const RETENTION_MS: &str = "retention.ms";
const TIMESTAMP_TYPE: &str = "message.timestamp.type";
const TIMESTAMP_BEFORE: &str = "message.timestamp.before.max.ms";
const TIMESTAMP_AFTER: &str = "message.timestamp.after.max.ms";
const TIMESTAMP_DIFFERENCE: &str = "message.timestamp.difference.max.ms";
const FORMAT_VERSION: &str = "message.format.version";

/// What a value must look like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Number,
    Bool,
    Policy,
}

/// A key that every created topic gets, and its value when the source has none.
struct Always {
    key: &'static str,
    kind: Kind,
    default: Option<&'static str>,
}

const fn always(key: &'static str, kind: Kind, default: Option<&'static str>) -> Always {
    Always { key, kind, default }
}

/// The documented defaults. `retention.bytes` without a value is left to the target broker.
const ALWAYS: [Always; 7] = [
    always(RETENTION_MS, Kind::Number, Some("604800000")),
    always(CLEANUP_POLICY, Kind::Policy, Some("delete")),
    always(MIN_INSYNC_REPLICAS, Kind::Number, Some("1")),
    always("unclean.leader.election.enable", Kind::Bool, Some("false")),
    always("segment.ms", Kind::Number, Some("604800000")),
    always(RETENTION_BYTES, Kind::Number, None),
    always(MAX_MESSAGE_BYTES, Kind::Number, Some("1048588")),
];

/// Keys that name brokers or storage of their own cluster: Kafka's, by name and prefix, and those of vendors.
const CLUSTER_ONLY: [&str; 2] =
    ["leader.replication.throttled.replicas", "follower.replication.throttled.replicas"];
const CLUSTER_ONLY_PREFIXES: [&str; 7] =
    ["remote.", "local.retention.", "confluent.", "redpanda.", "automq.", "diskless.", "inkless."];

/// The configuration of a topic as its cluster shows it: key, value, and whether it was set on the topic itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TopicConfig {
    entries: BTreeMap<String, (Option<String>, bool)>,
}

impl TopicConfig {
    pub(crate) fn new(entries: impl IntoIterator<Item = ConfigEntry>) -> Self {
        let entry =
            |entry: ConfigEntry| (entry.name, (entry.value, entry.source.is_topic_override()));
        Self { entries: entries.into_iter().map(entry).collect() }
    }

    /// The value in force, whoever set it.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.entries.get(key).and_then(|(value, _)| value.as_deref())
    }

    /// What was set on the topic itself.
    fn overrides(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        self.entries
            .iter()
            .filter(|(_, (_, is_own))| *is_own)
            .map(|(key, (value, _))| (key.as_str(), value.as_deref()))
    }

    /// Whether the topic compacts.
    pub(crate) fn is_compacted(&self) -> bool {
        self.value(CLEANUP_POLICY)
            .is_some_and(|policy| policy.split(',').any(|word| word.trim() == "compact"))
    }

    /// Whether its broker stamps records with its own time.
    pub(crate) fn is_log_append_time(&self) -> bool {
        self.value(TIMESTAMP_TYPE) == Some("LogAppendTime")
    }

    /// Its largest batch in bytes.
    pub(crate) fn max_message_bytes(&self) -> Option<i32> {
        self.value(MAX_MESSAGE_BYTES)?.parse().ok()
    }
}

/// What matters about the target cluster when a topic is configured for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TargetDefaults {
    /// The broker's configuration, by broker key; empty when it may not be read.
    pub(crate) broker: BTreeMap<String, String>,
    /// Whether it is Kafka 3.0 or later, which writes format v2 alone and ignores `message.format.version`.
    pub(crate) is_v3: bool,
}

/// A key of the source that the target topic does not get as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Skipped {
    pub(crate) key: String,
    pub(crate) value: Option<String>,
    pub(crate) reason: ConfigSkipReason,
}

/// What a new topic gets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Planned {
    pub(crate) configs: BTreeMap<String, String>,
    pub(crate) skipped: Vec<Skipped>,
}

/// The configuration of a new topic with `replicas` replicas on the target. `source` is empty when it cannot be read.
pub(crate) fn plan(
    source: &TopicConfig,
    target: &TargetDefaults,
    replicas: i16,
    copies_data: bool,
) -> Planned {
    let mut planned = Planned::default();
    for (key, value) in source.overrides() {
        if ALWAYS.iter().any(|always| always.key == key) {
            continue;
        }
        let (reason, value) = match (skip_reason(key, value, target, copies_data), value) {
            (None, Some(value)) => {
                planned.configs.insert(key.to_owned(), value.to_owned());
                continue;
            }
            (None, None) => {
                let cause = "the source does not show its value".to_owned();
                (ConfigSkipReason::Refused { cause }, None)
            }
            (Some(reason), value) => (reason, value),
        };
        planned.skipped.push(Skipped {
            key: key.to_owned(),
            value: value.map(str::to_owned),
            reason,
        });
    }
    for always in &ALWAYS {
        planned.add_always(always, source.value(always.key), replicas);
    }
    if copies_data {
        planned.protect_records(source, target);
    }
    planned
}

/// Why a key that was set on the source topic stays there, if it does.
fn skip_reason(
    key: &str,
    value: Option<&str>,
    target: &TargetDefaults,
    copies_data: bool,
) -> Option<ConfigSkipReason> {
    if is_cluster_only(key) {
        Some(ConfigSkipReason::ClusterOnly)
    } else if key == FORMAT_VERSION && target.is_v3 {
        Some(ConfigSkipReason::Obsolete)
    } else if copies_data && is_hostile_to_times(key, value) {
        Some(ConfigSkipReason::KeepsRecordTimes)
    } else {
        None
    }
}

fn is_cluster_only(key: &str) -> bool {
    CLUSTER_ONLY.contains(&key)
        || CLUSTER_ONLY_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// Settings that were right for records as they were written, and would overwrite (BF-5) or refuse (BF-6) their
/// times when they arrive as history.
fn is_hostile_to_times(key: &str, value: Option<&str>) -> bool {
    match key {
        TIMESTAMP_TYPE => value == Some("LogAppendTime"),
        TIMESTAMP_BEFORE | TIMESTAMP_DIFFERENCE => value != Some(UNLIMITED),
        _ => false,
    }
}

impl Kind {
    fn accepts(self, value: &str) -> bool {
        let value = value.trim();
        match self {
            Self::Number => value.parse::<i64>().is_ok(),
            Self::Bool => value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false"),
            Self::Policy => {
                value.split(',').all(|word| matches!(word.trim(), "delete" | "compact"))
            }
        }
    }
}

impl Planned {
    /// One of the keys that every topic gets.
    fn add_always(&mut self, always: &Always, value: Option<&str>, replicas: i16) {
        let key = always.key.to_owned();
        let valid = value.filter(|value| always.kind.accepts(value)).map(str::trim);
        if let (Some(found), None) = (value, valid) {
            let to = always.default.unwrap_or("the target's own").to_owned();
            let reason = ConfigSkipReason::Invalid { to };
            self.skipped.push(Skipped { key: key.clone(), value: Some(found.to_owned()), reason });
        }
        let Some(chosen) = valid.or(always.default) else { return };
        let is_too_many = always.key == MIN_INSYNC_REPLICAS
            && chosen.parse::<i64>().is_ok_and(|wanted| wanted > i64::from(replicas.max(1)));
        if is_too_many {
            let to = replicas.max(1).to_string();
            let reason = ConfigSkipReason::Clamped { to: to.clone() };
            self.skipped.push(Skipped { key: key.clone(), value: Some(chosen.to_owned()), reason });
            self.configs.insert(key, to);
        } else {
            self.configs.insert(key, chosen.to_owned());
        }
    }

    /// Where the target's own defaults would stamp, compress or refuse records, the topic gets settings under which
    /// they arrive as they are.
    fn protect_records(&mut self, source: &TopicConfig, target: &TargetDefaults) {
        let after = source.value(TIMESTAMP_AFTER).unwrap_or(UNLIMITED);
        for (key, broker_key, wanted) in [
            (TIMESTAMP_TYPE, "log.message.timestamp.type", "CreateTime"),
            (COMPRESSION_TYPE, COMPRESSION_TYPE, "producer"),
            (TIMESTAMP_BEFORE, "log.message.timestamp.before.max.ms", UNLIMITED),
            (TIMESTAMP_AFTER, "log.message.timestamp.after.max.ms", after),
            (TIMESTAMP_DIFFERENCE, "log.message.timestamp.difference.max.ms", UNLIMITED),
        ] {
            if target.broker.get(broker_key).is_some_and(|default| default != wanted) {
                self.configs.entry(key.to_owned()).or_insert_with(|| wanted.to_owned());
            }
        }
    }
}

/// What the target topic's settings do to records that arrive, with the setting that does it.
pub(crate) fn fidelity(source: &TopicConfig, target: &TopicConfig) -> Vec<(FidelityCause, String)> {
    let mut losses = Vec::new();
    if target.is_log_append_time() {
        losses
            .push((FidelityCause::TargetLogAppendTime, format!("{TIMESTAMP_TYPE}=LogAppendTime")));
    }
    if let Some(codec) = target.value(COMPRESSION_TYPE)
        && codec != "producer"
        && source.value(COMPRESSION_TYPE) != Some(codec)
    {
        losses.push((FidelityCause::TargetRecompresses, format!("{COMPRESSION_TYPE}={codec}")));
    }
    if target.is_compacted() && source.value(CLEANUP_POLICY).is_some() && !source.is_compacted() {
        let policy = target.value(CLEANUP_POLICY).unwrap_or_default();
        losses.push((FidelityCause::TargetCompacts, format!("{CLEANUP_POLICY}={policy}")));
    }
    losses
}

/// A key in which source and target differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) key: String,
    pub(crate) source: Option<String>,
    pub(crate) target: Option<String>,
}

/// Keys in which the target topic no longer is what the source topic is: (those that always follow, others).
pub(crate) fn compare(
    source: &TopicConfig,
    target: &TopicConfig,
    replicas: i16,
    copies_data: bool,
) -> (Vec<Difference>, Vec<Difference>) {
    compare_as(source, target, replicas, (copies_data, ConfigSync::Once))
}

/// The same: (those to bring over, those to report), for tasks that copy data or not, and under this policy.
pub(crate) fn compare_as(
    source: &TopicConfig,
    target: &TopicConfig,
    replicas: i16,
    (copies_data, policy): (bool, ConfigSync),
) -> (Vec<Difference>, Vec<Difference>) {
    let mut keys: BTreeSet<&str> =
        source.overrides().chain(target.overrides()).map(|(key, _)| key).collect();
    keys.extend(ALWAYS.iter().map(|always| always.key));
    let differs = keys.into_iter().filter_map(|key| {
        // A key that one side does not know cannot be compared.
        let (ours, theirs) = (source.value(key)?, target.value(key)?);
        let is_same = ours.trim() == theirs.trim()
            || is_cluster_only(key)
            || key == FORMAT_VERSION
            || (copies_data && is_protection(key, theirs))
            || (key == MIN_INSYNC_REPLICAS && is_clamped(ours, theirs, replicas));
        let difference = || Difference {
            key: key.into(),
            source: Some(ours.into()),
            target: Some(theirs.into()),
        };
        (!is_same).then(difference)
    });
    differs.partition(|difference| {
        let value = difference.source.as_deref();
        let is_unlimited = matches!(difference.key.as_str(), RETENTION_MS | RETENTION_BYTES)
            && value == Some("-1");
        is_unlimited || policy == ConfigSync::Follow && is_fit(&difference.key, value, copies_data)
    })
}

/// Whether a value of the source is one that a new topic would be given.
fn is_fit(key: &str, value: Option<&str>, copies_data: bool) -> bool {
    let always = ALWAYS.iter().find(|always| always.key == key);
    let is_valid = always.is_none_or(|always| value.is_some_and(|it| always.kind.accepts(it)));
    is_valid && skip_reason(key, value, &TargetDefaults::default(), copies_data).is_none()
}

/// What a target topic with `replicas` replicas is given of a value of the source.
pub(crate) fn fitted(key: &str, value: &str, replicas: i16) -> String {
    let most = i64::from(replicas.max(1));
    match value.trim().parse::<i64>() {
        Ok(wanted) if key == MIN_INSYNC_REPLICAS && wanted > most => most.to_string(),
        _ => value.trim().to_owned(),
    }
}

/// Whether the target's value is one under which records arrive as they are.
fn is_protection(key: &str, value: &str) -> bool {
    match key {
        TIMESTAMP_TYPE => value == "CreateTime",
        COMPRESSION_TYPE => value == "producer",
        TIMESTAMP_BEFORE | TIMESTAMP_AFTER | TIMESTAMP_DIFFERENCE => value == UNLIMITED,
        _ => false,
    }
}

/// Whether the target asks for as many replicas as it has because the source asks for more.
fn is_clamped(source: &str, target: &str, replicas: i16) -> bool {
    let (Ok(source), Ok(target)) = (source.parse::<i64>(), target.parse::<i64>()) else {
        return false;
    };
    target < source && target == i64::from(replicas)
}

#[cfg(test)]
mod tests;
