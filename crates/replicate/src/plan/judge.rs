//! What the settings of a target topic would do to the copy.

use std::collections::BTreeMap;

use kafka_client::{ConfigEntry, ConfigSource};

use super::finding::Problem;
use crate::event::FidelityCause;
use crate::spec::SyncMode;
use crate::topic_config::{TopicConfig, fidelity};

/// Settings of topics, and what brokers call their defaults for them.
const BROKER_KEYS: [(&str, &str); 6] = [
    ("cleanup.policy", "log.cleanup.policy"),
    ("compression.type", "compression.type"),
    ("max.message.bytes", "message.max.bytes"),
    ("message.timestamp.type", "log.message.timestamp.type"),
    ("min.insync.replicas", "min.insync.replicas"),
    ("retention.ms", "log.retention.ms"),
];

/// What holds for a topic on the target, now or once it is made.
#[derive(Debug)]
pub(super) struct Effective {
    pub(super) config: TopicConfig,
    /// Its replicas, as far as that is known.
    pub(super) replicas: Option<i16>,
}

impl Effective {
    /// What will hold for a topic with these settings.
    pub(super) fn of_new(
        settings: &BTreeMap<String, String>,
        broker: &BTreeMap<String, String>,
        replicas: Option<i16>,
    ) -> Self {
        let default = |(key, broker_key): (&str, &str)| {
            let value = broker.get(broker_key).filter(|_| !settings.contains_key(key))?;
            Some(entry(key, value, ConfigSource::StaticBroker))
        };
        let own = settings.iter().map(|(key, value)| entry(key, value, ConfigSource::Topic));
        let config = TopicConfig::new(BROKER_KEYS.into_iter().filter_map(default).chain(own));
        Self { config, replicas }
    }

    fn number(&self, key: &str) -> Option<i64> {
        self.config.value(key)?.trim().parse().ok()
    }

    /// How long it keeps records; none when that is for ever.
    pub(super) fn retention_ms(&self) -> Option<i64> {
        let deletes = self.config.value("cleanup.policy").is_none_or(|it| it.contains("delete"));
        self.number("retention.ms").filter(|ms| deletes && *ms >= 0)
    }
}

fn entry(name: &str, value: &str, source: ConfigSource) -> ConfigEntry {
    let (name, value) = (name.to_owned(), Some(value.to_owned()));
    ConfigEntry { name, value, source, is_sensitive: false, read_only: false }
}

/// What stands in the way of records that arrive under `target`.
pub(super) fn judge(source: &TopicConfig, target: &Effective, sync: SyncMode) -> Vec<Problem> {
    if !sync.copies_data() {
        return Vec::new();
    }
    let mut problems = Vec::new();
    if let (Some(ours), Some(theirs)) =
        (source.max_message_bytes(), target.config.max_message_bytes())
        && ours > theirs
    {
        problems.push(Problem::MaxMessageBytes { source: ours, target: theirs });
    }
    if let (Some(wanted), Some(replicas)) = (target.number("min.insync.replicas"), target.replicas)
        && wanted > i64::from(replicas)
    {
        problems.push(Problem::MinInsyncReplicas { wanted, replicas });
    }
    for (cause, setting) in fidelity(source, &target.config) {
        problems.push(match cause {
            FidelityCause::TargetLogAppendTime => Problem::LogAppendTime,
            FidelityCause::TargetCompacts => Problem::CompactsOthers { setting },
            FidelityCause::TargetRecompresses => Problem::Recompresses { setting },
        });
    }
    problems
}
