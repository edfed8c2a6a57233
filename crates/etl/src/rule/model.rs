//! The parts of a rule. Field names are those of the template file.

use super::{Condition, Failure, Filter, HeaderEdit, KeyRule, MetadataFields, Op, Output, Route};

/// A processing rule (`apiVersion: etl/v1`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rule {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.description`.
    pub description: String,
    /// `metadata.revision`.
    pub revision: u64,
    /// What happens to values that cannot be parsed at all.
    pub guard: Guard,
    /// Text that the editor previews with; `None`: the first message of the source topic.
    pub sample: Option<String>,
    /// Steps in order; the output of one is the input of the next.
    pub chains: Vec<Chain>,
    /// Which documents are written.
    pub filter: Filter,
    /// Members that say where the record came from.
    pub metadata_fields: MetadataFields,
    /// How the document becomes bytes.
    pub output: Output,
    /// What happens to records that fail.
    pub failure: Failure,
    /// The key of the output; `None`: as it came.
    pub key: Option<KeyRule>,
    /// The topic of the output; `None`: the topic of the task.
    pub route: Option<Route>,
    /// Changes of the headers, in order.
    pub headers: Vec<HeaderEdit>,
}

/// What a guard does with a tombstone or an empty value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GuardAction {
    /// The record fails.
    Fail,
    /// The record goes on untouched.
    #[default]
    Pass,
    /// The record is left out.
    Drop,
}

/// `guard`: before anything is parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// Records without a value.
    pub tombstone: GuardAction,
    /// Values of zero bytes.
    pub empty: GuardAction,
    /// Charset of the value, such as `utf-8` or `gbk`.
    pub charset: String,
    /// Whether bytes that are not of the charset become U+FFFD instead of failing the record.
    pub replace_invalid: bool,
}

impl Default for Guard {
    fn default() -> Self {
        Self {
            tombstone: GuardAction::Pass,
            empty: GuardAction::Fail,
            charset: "utf-8".to_owned(),
            replace_invalid: false,
        }
    }
}

/// One step of `chains`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// The step is left out for records that do not meet this.
    pub when: Option<Condition>,
    /// What is done.
    pub body: ChainBody,
}

/// What a step of `chains` does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChainBody {
    /// `kind: process`, the default: parse, then rows.
    Process(Process),
    /// `kind: flatten`: nested maps become keys joined by `separator`.
    Flatten {
        /// Between the names.
        separator: String,
        /// Levels that are flattened; `None`: all.
        depth_max: Option<u64>,
    },
    /// `kind: unflatten`: keys with `separator` become nested maps.
    Unflatten {
        /// Between the names.
        separator: String,
    },
    /// `kind: keep`: only fields whose key fits one of the patterns (`*` any text, `?` one character).
    Keep {
        /// Patterns.
        fields: Vec<String>,
    },
    /// `kind: drop`: no fields whose key fits one of the patterns.
    Drop {
        /// Patterns.
        fields: Vec<String>,
    },
    /// `kind: sample`: a share of the records.
    Sample {
        /// Share in percent, a decimal number from 0 to 100.
        percent: String,
        /// Whether records of one key stay together.
        by_key: bool,
    },
    /// `kind: dedupe`: records whose key was seen within the window are left out. Best effort: the memory is bounded
    /// and lost on restart.
    Dedupe {
        /// Fields that make the key; empty: the record's key.
        key: Vec<String>,
        /// How long a key is remembered.
        window_ms: u64,
        /// How many keys are remembered; the oldest go first.
        keys_max: u64,
    },
    /// `kind: throttle`: records above the rate are left out.
    Throttle {
        /// Records each second, for each source partition.
        records_per_second: u64,
    },
    /// `kind: lookup`: members from a table.
    Lookup {
        /// Name of the table.
        table: String,
        /// Field that holds the key.
        key: String,
        /// New field and the column that it takes.
        fields: Vec<(String, String)>,
        /// What a key that the table does not have means.
        on_missing: OnMissing,
    },
    /// `kind: decode`: Confluent framing and a schema of the registry; for chain 1.
    Decode {
        /// Format of the schemas.
        format: SchemaFormat,
    },
}

/// Format of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaFormat {
    /// Apache Avro.
    Avro,
    /// JSON with a JSON Schema.
    Json,
    /// Protocol Buffers.
    Protobuf,
}

impl SchemaFormat {
    /// The name of the format, as people write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avro => "Avro",
            Self::Json => "JSON",
            Self::Protobuf => "Protobuf",
        }
    }
}

/// Parse, then rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// How the input is read.
    pub analyse: Analyse,
    /// Key-value pairs inside the values; `None`: off.
    pub secondary: Option<Secondary>,
    /// Whether fields that no row names stay.
    pub rows_mode: RowsMode,
    /// The fields of the result, in order. Empty: the whole parse result.
    pub rows: Vec<Row>,
}

/// `analyse`: how the input becomes keys and values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Analyse {
    /// The parsing mode.
    pub mode: AnalyseMode,
    /// Field or JSONPath that is parsed; `None`: the message, or the result of the chain before.
    pub input: Option<String>,
}

/// Parsing mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnalyseMode {
    /// A JSON object.
    Json,
    /// Text cut at a delimiter.
    Delimiter(DelimiterMode),
    /// Text matched by an expression (RE2).
    Regex {
        /// The expression.
        regex: String,
        /// Whether no match gives an empty document instead of an error.
        no_match_empty: bool,
    },
    /// A JSON array of objects; for chain 1.
    JsonArray {
        /// What becomes of the elements.
        output: ArrayOutput,
        /// JSONPath of the array inside the message; `None`: the message.
        path: Option<String>,
    },
    /// The result of the chain before.
    Source,
}

/// Parameters of the mode `delimiter`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DelimiterMode {
    /// Literal delimiter.
    pub delimiter: String,
    /// Runs of the delimiter count as one.
    pub collapse: bool,
    /// Names of the fields in order; more fields keep their index.
    pub columns: Vec<String>,
    /// Quote character of RFC 4180.
    pub quote: Option<char>,
    /// One line end at the end of the text is taken off.
    pub strip_eol: bool,
}

/// What becomes of the elements of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ArrayOutput {
    /// The first element is one record, the others are not written.
    #[default]
    Single,
    /// One record that holds an array.
    Multi,
    /// One record for each element.
    Each,
}

/// `secondary`: values parsed again as key and value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secondary {
    /// Delimiter between key and value, or an expression.
    pub delimiter: String,
    /// Whether `delimiter` is an expression.
    pub is_regex: bool,
    /// Whether the values that were split stay, and prefix the new keys.
    pub keep_original: bool,
}

/// What the rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RowsMode {
    /// The result.
    #[default]
    Project,
    /// Changes of the parse result.
    Patch,
}

/// One row: a field of the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Key of the field.
    pub key: String,
    /// Where the value comes from.
    pub operate: Operate,
    /// Type of the value at the end.
    pub value_type: ValueType,
    /// Whether a fraction is cut off when the type is an integer.
    pub truncate: bool,
    /// What a missing source means.
    pub on_missing: OnMissing,
    /// Changes of the value, in order.
    pub ops: Vec<Op>,
    /// The row is left out for records that do not meet this.
    pub when: Option<Condition>,
}

/// Where the value of a row comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operate {
    /// `mapping`: the field of this key.
    Mapping(String),
    /// `jsonpath`: what the path leads to.
    JsonPath(String),
    /// `system_time`: milliseconds since 1970.
    SystemTime,
    /// `custom`: this text.
    Custom(String),
    /// `header`: the last header of this name, as text.
    Header(String),
    /// `delete`: no field; in patch mode.
    Delete,
    /// `rename_from`: the field of this key, in its place; in patch mode.
    RenameFrom(String),
}

/// Type of a row's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ValueType {
    /// As it is.
    #[default]
    Original,
    String,
    Int64,
    Float64,
    Boolean,
    Map,
    Array,
}

/// What a missing field means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnMissing {
    /// The value is null.
    #[default]
    Null,
    /// The row is left out.
    Skip,
    /// The record fails.
    Fail,
}
