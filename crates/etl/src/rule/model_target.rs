//! The parts of a rule behind the chains: filter, metadata, output, failure, key, route, headers.

/// `filter`: only documents that meet the rules are written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Whether it is used.
    pub enabled: bool,
    /// Whether one rule is enough.
    pub any: bool,
    /// The rules.
    pub rules: Vec<Condition>,
}

/// A condition on a record and its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// All of them.
    All(Vec<Self>),
    /// One of them.
    Any(Vec<Self>),
    /// Not this.
    Not(Box<Self>),
    /// A single test.
    Rule(FilterRule),
}

/// A single test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterRule {
    /// Flat key, or JSONPath; for `header` the name of the header; not used by `tombstone` and `topic_matches`.
    pub key: String,
    /// The test.
    pub mode: FilterMode,
    /// What the test compares with.
    pub value: Option<String>,
    /// What `in` compares with.
    pub values: Vec<String>,
}

/// Kind of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum FilterMode {
    Prefix,
    Suffix,
    Contains,
    Except,
    Number,
    Ip,
    NotNull,
    Equals,
    In,
    Regex,
    Exists,
    IsNull,
    Tombstone,
    TopicMatches,
    Header,
}

/// `metadata_fields`: where the record came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataFields {
    /// Whether they are added.
    pub keep: bool,
    /// Whether they stand in the value.
    pub in_value: bool,
    /// Whether they stand in the headers.
    pub in_headers: bool,
    /// Begins each name.
    pub prefix: String,
    /// Which ones, in order.
    pub fields: Vec<MetadataField>,
}

impl Default for MetadataFields {
    fn default() -> Self {
        Self {
            keep: false,
            in_value: true,
            in_headers: false,
            prefix: "__source_".to_owned(),
            fields: vec![MetadataField::Topic, MetadataField::Partition, MetadataField::Offset],
        }
    }
}

/// Something about the source record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum MetadataField {
    Topic,
    Partition,
    Offset,
    /// Milliseconds since 1970.
    Timestamp,
    /// As text; as base64 under the name with `_b64` when it is not UTF-8.
    Key,
}

/// `output`: how the document becomes bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Output {
    /// Compact JSON.
    #[default]
    Json,
    /// Values, or keys and values, between delimiters.
    Row(RowOutput),
    /// Avro in the framing of schema registries, with the schema of this subject
    /// ([`Compiled::set_target_schema`](crate::Compiled::set_target_schema)).
    Avro {
        /// Subject in the registry of the target.
        subject: String,
    },
    /// Protobuf in the framing of schema registries, with the schema of this subject
    /// ([`Compiled::set_target_schema`](crate::Compiled::set_target_schema)).
    Protobuf {
        /// Subject in the registry of the target.
        subject: String,
        /// Full name of the message; `None`: the first one of the schema.
        message: Option<String>,
    },
    /// JSON in the framing of schema registries, with the schema of this subject
    /// ([`Compiled::set_target_schema_id`](crate::Compiled::set_target_schema_id)).
    JsonSchema {
        /// Subject in the registry of the target.
        subject: String,
    },
    /// The bytes that the rule read; for rules that only filter, route or sample.
    Original {
        /// Whether the schema id in them is replaced by that of the target's registry
        /// ([`Compiled::translate_schema_id`](crate::Compiled::translate_schema_id)).
        translate_schema_id: bool,
    },
}

/// Parameters of ROW output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowOutput {
    /// Whether keys are written, too.
    pub with_keys: bool,
    /// Between key and value.
    pub kv_delimiter: String,
    /// Between entries.
    pub entry_delimiter: String,
    /// Whether fields are quoted as RFC 4180 says.
    pub quote_csv: bool,
}

/// `failure`: what happens to a record that fails.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Failure {
    /// The record is left out, the task goes on.
    Discard,
    /// The task stops at the record.
    #[default]
    Retain,
    /// The original bytes go to the target, with the header `__etl.error`.
    PassRaw,
    /// The record goes to a topic of its own, with the reason in headers.
    Dlq(Dlq),
}

/// Where dead letters go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dlq {
    /// Name of the connection, `target` for that of the task.
    pub connection: String,
    /// Topic.
    pub topic: String,
    /// Whether the value is a JSON envelope instead of the original bytes.
    pub envelope: bool,
    /// Between attempts to write.
    pub retry_interval_ms: u64,
    /// Attempts after the first.
    pub max_retry_attempts: u64,
}

/// `key`: the key of the output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRule {
    /// No key.
    Null,
    /// Made from these fields of the document.
    Fields {
        /// Flat keys.
        from: Vec<String>,
        /// Whether the key is a JSON object, also of one field; else the text of the fields, joined by `separator`.
        json: bool,
        /// Between the texts of several fields.
        separator: String,
    },
    /// What a JSONPath leads to, as text or JSON.
    JsonPath {
        /// The path.
        path: String,
        /// Whether the key is JSON.
        json: bool,
    },
}

/// `route`: the topic of the output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Route {
    /// Text with `${topic}`, `${partition}`, `${field:name}`, `${header:name}`, `${ts:pattern}`.
    pub topic: String,
    /// Expression and replacement, applied to the result.
    pub rename: Option<(String, String)>,
    /// What the task does when the topic does not exist.
    pub on_unknown: OnUnknownTopic,
}

/// What the task does when a routed topic does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnUnknownTopic {
    /// The record fails.
    #[default]
    Fail,
    /// The topic is created.
    Create,
    /// The record is a dead letter.
    Dlq,
}

/// One change of the headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderEdit {
    /// Sets a header, in place of all of that name; the value is a text as in [`Route::topic`].
    Set {
        /// Name of the header.
        name: String,
        /// Text.
        value: String,
    },
    /// Removes the headers whose name fits the pattern.
    Drop {
        /// Pattern (`*` any text, `?` one character).
        pattern: String,
    },
    /// Sets a header from a field of the document.
    FromField {
        /// Name of the header.
        name: String,
        /// Flat key.
        field: String,
        /// Whether the field is taken out of the document.
        remove: bool,
    },
}
