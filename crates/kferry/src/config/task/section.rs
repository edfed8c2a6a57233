//! A task as it stands in a file. The schema, `docs/task.md` and what is read all come from these types.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{self, value::MapAccessDeserializer},
};
use serde_saphyr::Spanned;

use super::process::ProcessSection;
use crate::config::connection::ConnectionSection;

/// Text with its place.
pub(super) type Text = Spanned<String>;

/// What a task file holds: one task, or a list of them.
#[derive(JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "TaskFile")]
#[expect(dead_code, reason = "only its schema is used: errors of untagged types have no place")]
pub(super) enum EitherSection {
    /// One task.
    One(Box<TaskSection>),
    /// Several.
    Many(ListSection),
}

/// Several tasks that run in one process.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Tasks")]
pub(super) struct ListSection {
    /// The tasks, each with a name, a state and a pace of its own.
    #[schemars(with = "Vec<TaskSection>", length(min = 1))]
    pub(super) tasks: Spanned<Vec<Spanned<TaskSection>>>,
    /// Memory for record batches on their way, from 4MiB on, which all tasks share; 16MiB, and up to 256MiB where brokers are far away,
    /// without it.
    #[serde(default)]
    #[schemars(schema_with = "size")]
    pub(super) buffer: Option<Text>,
}

/// One task.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Task")]
pub(super) struct TaskSection {
    /// Name of the task: letters, digits, `_`, `-`, `.`, up to 64. It is part of its transactional ids on the target.
    #[serde(default)]
    #[schemars(with = "String", regex(pattern = r"^[A-Za-z0-9_.-]{1,64}$"), extend("default" = "sync"))]
    pub(super) name: Option<Text>,
    /// Cluster to read from: a connection, the path of a connection file, or `HOST:PORT[,HOST:PORT…]`.
    #[schemars(with = "Endpoint")]
    pub(super) source: Spanned<Endpoint>,
    /// Cluster to write to, likewise.
    #[schemars(with = "Endpoint")]
    pub(super) target: Spanned<Endpoint>,
    /// A rule that records are processed by, and the topics they are read from and written to; without it topics are copied.
    #[serde(default)]
    #[schemars(with = "ProcessSection")]
    pub(super) process: Option<ProcessSection>,
    /// What to carry over: topics with their settings, or also records, or also where consumer groups stand.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["metadata", "metadata_data", "metadata_data_offsets"], "default" = "metadata_data"))]
    pub(super) sync: Option<Text>,
    /// Only topics whose whole name matches this regular expression; all topics without it. Only with `sync: metadata_data`.
    #[serde(default)]
    #[schemars(with = "String", extend("format" = "regex"))]
    pub(super) topics: Option<Text>,
    /// Only topics whose whole name matches one of these regular expressions, or `topics`. Only with `sync: metadata_data`.
    #[serde(default)]
    #[schemars(with = "Vec<String>", extend("default" = []))]
    pub(super) include: Vec<Text>,
    /// No topics whose whole name matches one of these regular expressions. Only with `sync: metadata_data`.
    #[serde(default)]
    #[schemars(with = "Vec<String>", extend("default" = []))]
    pub(super) exclude: Vec<Text>,
    /// What topics are called on the target; as on the source without it. With it, source and target may be one cluster.
    #[serde(default)]
    #[schemars(with = "RenameSection")]
    pub(super) rename: Option<Spanned<RenameSection>>,
    /// Where a partition begins that the state does not know: `earliest`, `latest`, or a time (RFC 3339 or milliseconds since
    /// 1970). Not with `sync: metadata`.
    #[serde(default)]
    #[schemars(schema_with = "scalar", extend("default" = "earliest"))]
    pub(super) start: Option<Text>,
    /// Records keep their partition number; with `false` they go to the number modulo the target's count.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = true))]
    pub(super) same_partition: Option<bool>,
    /// Settings of topics that were created: with `once` only unlimited retention follows the source, and other differences are told;
    /// with `follow` all that a new topic would get follow.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["once", "follow"], "default" = "once"))]
    pub(super) config_sync: Option<Text>,
    /// Which ACLs follow the source: none, those of the topics that are copied, or also those of consumer groups and transactional
    /// ids.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["none", "topics", "all"], "default" = "none"))]
    pub(super) acl_sync: Option<Text>,
    /// The right to write to topics: with `withhold` nobody gets it on the target, with `copy` it follows the source like every
    /// other right.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["withhold", "copy"], "default" = "withhold"))]
    pub(super) acl_write: Option<Text>,
    /// Copy up to the end offsets seen at the start, then stop.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = false))]
    pub(super) once: Option<bool>,
    /// Records that the target refuses (too large, no key for a compacted topic, timestamp out of range): stop their partition, or
    /// leave exactly them out and name them.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["stop", "skip"], "default" = "stop"))]
    pub(super) on_refused_record: Option<Text>,
    /// Records that the source deleted before they were copied: stop their partition, or name them and go on.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["stop", "continue"], "default" = "continue"))]
    pub(super) on_retention: Option<Text>,
    /// Copied records that the source has lost since: stop their partition, or name them, keep them on the target and go on.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["stop", "continue"], "default" = "stop"))]
    pub(super) on_truncation: Option<Text>,
    /// A source topic that was deleted and created again: stop its copy, let the new records follow on the same target topic, or copy
    /// them to a new one, `NAME.ID`, where `ID` is the beginning of the new topic's id.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["stop", "continue", "new_topic"], "default" = "stop"))]
    pub(super) on_recreated: Option<Text>,
    /// Where the target may hold a copy that the state does not know: stop, begin behind it, or count records of the source as
    /// copied.
    #[serde(default)]
    #[schemars(with = "String", extend("enum" = ["stop", "append", "adopt"], "default" = "stop"))]
    pub(super) on_unknown_target: Option<Text>,
    /// Directory of what must not be forgotten, relative to this file; `kferry-state/NAME` in the working directory without it.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(super) state: Option<Text>,
    /// Read no more than so many bytes of record batches per second; no limit without it.
    #[serde(default)]
    #[schemars(schema_with = "size")]
    pub(super) max_bytes_per_second: Option<Text>,
    /// Read no more than so many records per second; no limit without it.
    #[serde(default)]
    #[schemars(with = "u64", range(min = 1))]
    pub(super) max_records_per_second: Option<Text>,
    /// Merge small batches where a partition cannot keep up with them; with `false` every batch that the target takes travels as
    /// it is.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = true))]
    pub(super) merge_batches: Option<bool>,
    /// Memory for record batches on their way, from 4MiB on; 16MiB, and up to 256MiB where brokers are far away, without it. In a list it
    /// stands beside `tasks`.
    #[serde(default)]
    #[schemars(schema_with = "size")]
    pub(super) buffer: Option<Text>,
    /// Most workers; never more than there are partitions or cores.
    #[serde(default)]
    #[schemars(with = "u64", range(min = 1), extend("default" = 20))]
    pub(super) concurrency: Option<Text>,
    /// For how long a request of a lost connection may still reach the target's log, up to 1h.
    #[serde(default)]
    #[schemars(schema_with = "duration", extend("default" = "30s"))]
    pub(super) request_lifetime: Option<Text>,
    /// Time between two comparisons of topic settings and partition counts, from 5s on.
    #[serde(default)]
    #[schemars(schema_with = "duration", extend("default" = "3m"))]
    pub(super) metadata_interval: Option<Text>,
    /// Time between two looks for new topics and partitions.
    #[serde(default)]
    #[schemars(schema_with = "duration", extend("default" = "10s"))]
    pub(super) discovery_interval: Option<Text>,
    /// Time between two looks at the source's consumer groups, from 500ms on.
    #[serde(default)]
    #[schemars(schema_with = "duration", extend("default" = "2s"))]
    pub(super) group_interval: Option<Text>,
    /// Time after which an unchanged group offset is committed again, from 1m on; shorter than the target's
    /// `offsets.retention.minutes`.
    #[serde(default)]
    #[schemars(schema_with = "duration", extend("default" = "24h"))]
    pub(super) group_keep_alive: Option<Text>,
    /// Show how far the copy has come as consumer group `kferry-NAME` on the source, where any tool for lag sees it.
    #[serde(default)]
    #[schemars(with = "bool", extend("default" = true))]
    pub(super) position_group: Option<bool>,
}

/// What topics are called on the target.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rename")]
pub(super) struct RenameSection {
    /// Goes before the name.
    #[serde(default)]
    #[schemars(with = "String", extend("default" = ""))]
    pub(super) prefix: Option<Text>,
    /// Goes behind the name.
    #[serde(default)]
    #[schemars(with = "String", extend("default" = ""))]
    pub(super) suffix: Option<Text>,
    /// A topic whose whole name matches this regular expression is called `to`, between prefix and suffix.
    #[serde(default)]
    #[schemars(with = "String", extend("format" = "regex"))]
    pub(super) r#match: Option<Text>,
    /// What such a topic is called; `$1` and `${name}` stand for groups of `match`.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(super) to: Option<Text>,
}

fn scalar(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "integer"] })
}

fn size(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "integer"], "examples": ["500kB", "20MB", "64MiB"] })
}

fn duration(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "integer"], "examples": ["500ms", "30s", "5m", "24h"] })
}

/// One end of a task.
pub(super) enum Endpoint {
    /// Addresses, or the path of a connection file.
    Text(String),
    /// The connection itself.
    Inline(Box<ConnectionSection>),
    /// Neither: told with the place, which an error of the visitor would not have.
    Other,
}

impl JsonSchema for Endpoint {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Endpoint".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let inline = generator.subschema_for::<ConnectionSection>();
        json_schema!({ "anyOf": [{ "type": "string" }, inline] })
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EndpointVisitor)
    }
}

struct EndpointVisitor;

impl<'de> de::Visitor<'de> for EndpointVisitor {
    type Value = Endpoint;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HOST:PORT, the path of a connection file, or a connection with bootstrap")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Endpoint::Text(text.to_owned()))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Endpoint::Other)
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Endpoint::Other)
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(Endpoint::Other)
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(Endpoint::Other)
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Endpoint::Other)
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<de::IgnoredAny>()?.is_some() {}
        Ok(Endpoint::Other)
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        let section = ConnectionSection::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Endpoint::Inline(Box::new(section)))
    }
}
