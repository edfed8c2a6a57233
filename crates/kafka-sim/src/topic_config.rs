//! Topic configuration: which keys a release knows, their defaults, what a broker refuses, and the values the log acts on.
//!
//! Source: `LogConfig` and `TopicConfig` in Apache Kafka.

use std::collections::BTreeMap;

use kafka_wire::compression::Compression;

use crate::release::Release;

/// What values a key takes, as `ConfigDef` checks them.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Long {
        min: i64,
    },
    Int {
        min: i64,
    },
    Double,
    Bool,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A comma-separated list of these words.
    ListOf(&'static [&'static str]),
    /// Anything.
    Text,
}

/// One topic key of Kafka.
#[derive(Debug)]
struct Key {
    name: &'static str,
    kind: Kind,
    default: &'static str,
    since: Release,
    until: Release,
}

const LONG_MAX: &str = "9223372036854775807";
const OLD: Release = Release::V0_11;
const NEW: Release = Release::V4_2;

const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    since: Release,
    until: Release,
) -> Key {
    Key { name, kind, default, since, until }
}

#[rustfmt::skip]
const KEYS: &[Key] = &[
    key("cleanup.policy", Kind::ListOf(&["delete", "compact"]), "delete", OLD, NEW),
    key("compression.gzip.level", Kind::Int { min: -1 }, "-1", Release::V3_9, NEW),
    key("compression.lz4.level", Kind::Int { min: 1 }, "9", Release::V3_9, NEW),
    key("compression.type", Kind::OneOf(&["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]), "producer", OLD, NEW),
    key("compression.zstd.level", Kind::Int { min: -131_072 }, "3", Release::V3_9, NEW),
    key("delete.retention.ms", Kind::Long { min: 0 }, "86400000", OLD, NEW),
    key("file.delete.delay.ms", Kind::Long { min: 0 }, "60000", OLD, NEW),
    key("flush.messages", Kind::Long { min: 1 }, LONG_MAX, OLD, NEW),
    key("flush.ms", Kind::Long { min: 0 }, LONG_MAX, OLD, NEW),
    key("follower.replication.throttled.replicas", Kind::Text, "", OLD, NEW),
    key("index.interval.bytes", Kind::Int { min: 0 }, "4096", OLD, NEW),
    key("leader.replication.throttled.replicas", Kind::Text, "", OLD, NEW),
    key("local.retention.bytes", Kind::Long { min: -2 }, "-2", Release::V3_9, NEW),
    key("local.retention.ms", Kind::Long { min: -2 }, "-2", Release::V3_9, NEW),
    key("max.compaction.lag.ms", Kind::Long { min: 1 }, LONG_MAX, Release::V2_8, NEW),
    key("max.message.bytes", Kind::Int { min: 0 }, "1048588", OLD, NEW),
    key("message.downconversion.enable", Kind::Bool, "true", Release::V2_8, Release::V3_9),
    key("message.format.version", Kind::Text, "", OLD, Release::V3_9),
    key("message.timestamp.after.max.ms", Kind::Long { min: 0 }, LONG_MAX, Release::V3_9, NEW),
    key("message.timestamp.before.max.ms", Kind::Long { min: 0 }, LONG_MAX, Release::V3_9, NEW),
    key("message.timestamp.difference.max.ms", Kind::Long { min: 0 }, LONG_MAX, OLD, Release::V3_9),
    key("message.timestamp.type", Kind::OneOf(&["CreateTime", "LogAppendTime"]), "CreateTime", OLD, NEW),
    key("min.cleanable.dirty.ratio", Kind::Double, "0.5", OLD, NEW),
    key("min.compaction.lag.ms", Kind::Long { min: 0 }, "0", OLD, NEW),
    key("min.insync.replicas", Kind::Int { min: 1 }, "1", OLD, NEW),
    key("preallocate", Kind::Bool, "false", OLD, NEW),
    key("remote.log.copy.disable", Kind::Bool, "false", Release::V3_9, NEW),
    key("remote.log.delete.on.disable", Kind::Bool, "false", Release::V3_9, NEW),
    key("remote.storage.enable", Kind::Bool, "false", Release::V3_9, NEW),
    key("retention.bytes", Kind::Long { min: -1 }, "-1", OLD, NEW),
    key("retention.ms", Kind::Long { min: -1 }, "604800000", OLD, NEW),
    key("segment.bytes", Kind::Int { min: 14 }, "1073741824", OLD, NEW),
    key("segment.index.bytes", Kind::Int { min: 4 }, "10485760", OLD, NEW),
    key("segment.jitter.ms", Kind::Long { min: 0 }, "0", OLD, NEW),
    key("segment.ms", Kind::Long { min: 1 }, "604800000", OLD, NEW),
    key("unclean.leader.election.enable", Kind::Bool, "false", OLD, NEW),
];

impl Key {
    fn known_to(&self, release: Release) -> bool {
        self.since <= release && release <= self.until
    }

    /// The broker's own default: a few moved between releases.
    fn default_of(&self, release: Release) -> &'static str {
        match self.name {
            "max.message.bytes" if release <= Release::V1_1 => "1000012",
            "message.timestamp.after.max.ms" if release >= Release::V4_1 => "3600000",
            "message.format.version" => match release {
                Release::V0_11 => "0.11.0-IV2",
                Release::V1_1 => "1.1-IV0",
                Release::V2_8 => "2.8-IV1",
                _ => "3.0-IV1",
            },
            _ => self.default,
        }
    }

    fn check(&self, value: &str, release: Release) -> Result<(), String> {
        let refuse = |why: &str| {
            Err(format!("Invalid value {value} for configuration {}: {why}", self.name))
        };
        let number = |min: i64, max: i64, kind: &str| match value.trim().parse::<i64>() {
            Ok(number) if number < min => refuse(&format!("Value must be at least {min}")),
            Ok(number) if number > max => refuse(&format!("Not a number of type {kind}")),
            Ok(_) => Ok(()),
            Err(_) => refuse(&format!("Not a number of type {kind}")),
        };
        match self.kind {
            // KIP-1030 raised the lower bound of segment.bytes to 1 MiB.
            Kind::Int { .. } if self.name == "segment.bytes" && release >= Release::V4_1 => {
                number(1 << 20, i64::from(i32::MAX), "INT")
            }
            Kind::Int { min } => number(min, i64::from(i32::MAX), "INT"),
            Kind::Long { min } => number(min, i64::MAX, "LONG"),
            Kind::Double => match value.trim().parse::<f64>() {
                Ok(number) if (0.0..=1.0).contains(&number) => Ok(()),
                Ok(_) => refuse("Value must be between 0 and 1"),
                Err(_) => refuse("Not a number of type DOUBLE"),
            },
            Kind::Bool => match value.trim().to_ascii_lowercase().as_str() {
                "true" | "false" => Ok(()),
                _ => refuse("Expected value to be either true or false"),
            },
            Kind::OneOf(words)
                if self.name == "compression.type"
                    && value == "zstd"
                    && release <= Release::V1_1 =>
            {
                refuse(&format!("String must be one of: {}", words.join(", ")))
            }
            Kind::OneOf(words) if words.contains(&value) => Ok(()),
            Kind::OneOf(words) => refuse(&format!("String must be one of: {}", words.join(", "))),
            Kind::ListOf(words) => {
                let parts: Vec<&str> =
                    value.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
                if parts.is_empty() || parts.iter().any(|part| !words.contains(part)) {
                    return refuse(&format!("String must be one of: {}", words.join(", ")));
                }
                Ok(())
            }
            Kind::Text => Ok(()),
        }
    }

    /// `ConfigEntry.ConfigType` code as DescribeConfigs v3 shows it.
    fn type_code(&self) -> i8 {
        match self.kind {
            Kind::Bool => 1,
            Kind::OneOf(_) | Kind::Text => 2,
            Kind::Int { .. } => 3,
            Kind::Long { .. } => 5,
            Kind::Double => 6,
            Kind::ListOf(_) => 7,
        }
    }
}

/// Where a value comes from: the codes of `DescribeConfigsResponse.ConfigSource`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    DynamicTopic,
    StaticBroker,
    Default,
}

impl Source {
    pub(crate) const fn code(self) -> i8 {
        match self {
            Self::DynamicTopic => 1,
            Self::StaticBroker => 4,
            Self::Default => 5,
        }
    }
}

/// One line of a DescribeConfigs answer.
#[derive(Debug)]
pub(crate) struct Described {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) source: Source,
    pub(crate) type_code: i8,
}

/// Overrides of one topic: what CreateTopics and the alter requests set.
pub(crate) type Overrides = BTreeMap<String, String>;

/// Refuses what a broker refuses with INVALID_CONFIG; the message is the broker's.
pub(crate) fn check(release: Release, overrides: &Overrides) -> Result<(), String> {
    for (name, value) in overrides {
        match find(release, name) {
            None => return Err(format!("Unknown topic config name: {name}")),
            Some(key) => key.check(value, release)?,
        }
    }
    Ok(())
}

fn find(release: Release, name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name && key.known_to(release))
}

/// Whether a key takes a list, so that APPEND and SUBTRACT make sense.
pub(crate) fn is_list(release: Release, name: &str) -> bool {
    find(release, name).is_some_and(|key| {
        matches!(key.kind, Kind::ListOf(_)) || name.ends_with("throttled.replicas")
    })
}

/// All keys of a topic with value and source, in the broker's (alphabetical) order.
pub(crate) fn describe(release: Release, broker: &Overrides, topic: &Overrides) -> Vec<Described> {
    KEYS.iter()
        .filter(|key| key.known_to(release))
        .map(|key| {
            let (value, source) = match (topic.get(key.name), broker.get(key.name)) {
                (Some(value), _) => (value.clone(), Source::DynamicTopic),
                (None, Some(value)) => (value.clone(), Source::StaticBroker),
                (None, None) => (key.default_of(release).to_owned(), Source::Default),
            };
            Described { name: key.name, value, source, type_code: key.type_code() }
        })
        .collect()
}

/// The parsed values that the log acts on.
#[derive(Clone, Debug)]
pub(crate) struct LogSettings {
    /// `None`: `compression.type=producer`.
    pub(crate) compression: Option<Compression>,
    pub(crate) log_append_time: bool,
    pub(crate) compacted: bool,
    pub(crate) deletes: bool,
    pub(crate) message_bytes_max: usize,
    pub(crate) segment_bytes: u64,
    pub(crate) retention_bytes: Option<u64>,
    pub(crate) retention_ms: Option<i64>,
    pub(crate) min_isr: usize,
    pub(crate) timestamp_before_max_ms: i64,
    pub(crate) timestamp_after_max_ms: i64,
}

impl LogSettings {
    /// Values in force. The overrides have passed [`check`]; what does not parse all the same counts as the default.
    pub(crate) fn new(release: Release, broker: &Overrides, topic: &Overrides) -> Self {
        let text = |name: &str| -> &str {
            let default = || find(release, name).map_or("", |key| key.default_of(release));
            topic.get(name).or_else(|| broker.get(name)).map_or_else(default, String::as_str)
        };
        let number = |name: &str| text(name).trim().parse::<i64>().unwrap_or(-1);
        let difference = if release <= Release::V2_8 {
            number("message.timestamp.difference.max.ms")
        } else {
            i64::MAX
        };
        let bound = |name: &str| {
            if release >= Release::V3_9 { number(name).min(difference) } else { difference }
        };
        let policy = text("cleanup.policy");
        Self {
            compression: match text("compression.type") {
                "uncompressed" => Some(Compression::None),
                "gzip" => Some(Compression::Gzip),
                "snappy" => Some(Compression::Snappy),
                "lz4" => Some(Compression::Lz4),
                "zstd" => Some(Compression::Zstd),
                _ => None,
            },
            log_append_time: text("message.timestamp.type") == "LogAppendTime",
            compacted: policy.contains("compact"),
            deletes: policy.contains("delete"),
            message_bytes_max: usize::try_from(number("max.message.bytes")).unwrap_or(0),
            segment_bytes: u64::try_from(number("segment.bytes")).unwrap_or(1 << 30),
            retention_bytes: u64::try_from(number("retention.bytes")).ok(),
            retention_ms: Some(number("retention.ms")).filter(|ms| *ms >= 0),
            min_isr: usize::try_from(number("min.insync.replicas")).unwrap_or(1),
            timestamp_before_max_ms: bound("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: bound("message.timestamp.after.max.ms"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_pair(release: Release, name: &str, value: &str, expected: Result<(), &str>) {
        let overrides = Overrides::from([(name.to_owned(), value.to_owned())]);
        match (check(release, &overrides), expected) {
            (Ok(()), Ok(())) => {}
            (Err(found), Err(part)) => assert!(found.contains(part), "{found}"),
            (found, expected) => {
                panic!("{release} {name}={value}: {found:?}, expected {expected:?}")
            }
        }
    }

    #[test]
    fn refuses_what_a_broker_refuses() {
        check_pair(Release::V4_2, "retention.ms", "-1", Ok(()));
        check_pair(Release::V4_2, "retention.ms", "-2", Err("at least -1"));
        check_pair(Release::V4_2, "retention.ms", "soon", Err("Not a number"));
        check_pair(Release::V4_2, "retention.sm", "1", Err("Unknown topic config name"));
        check_pair(
            Release::V4_2,
            "message.format.version",
            "3.0",
            Err("Unknown topic config name"),
        );
        check_pair(Release::V2_8, "message.format.version", "2.0", Ok(()));
        check_pair(Release::V2_8, "message.timestamp.after.max.ms", "1", Err("Unknown"));
        check_pair(Release::V4_2, "segment.bytes", "1000", Err("at least 1048576"));
        check_pair(Release::V3_9, "segment.bytes", "1000", Ok(()));
        check_pair(Release::V1_1, "compression.type", "zstd", Err("must be one of"));
        check_pair(Release::V2_8, "compression.type", "zstd", Ok(()));
        check_pair(Release::V2_8, "cleanup.policy", "compact,delete", Ok(()));
        check_pair(Release::V2_8, "cleanup.policy", "compact,drop", Err("must be one of"));
    }

    #[test]
    fn the_window_for_future_timestamps_came_with_4_0() {
        let none = Overrides::new();
        assert_eq!(LogSettings::new(Release::V4_2, &none, &none).timestamp_after_max_ms, 3_600_000);
        assert_eq!(LogSettings::new(Release::V3_9, &none, &none).timestamp_after_max_ms, i64::MAX);
        assert_eq!(LogSettings::new(Release::V2_8, &none, &none).timestamp_after_max_ms, i64::MAX);
    }
}
