//! Chains and rows.

use super::{
    Analyse, AnalyseMode, ArrayOutput, Chain, ChainBody, Condition, DelimiterMode, OnMissing,
    Operate, Process, Row, RowsMode, SchemaFormat, Secondary, ValueType,
    fields::{Fields, join},
    node::Node,
    read, read_op,
};
use crate::error::{ErrorCode, RuleError};

const CHAINS_MAX: usize = 100;
const ROWS_MAX: usize = 2_000;

pub(super) fn chains(nodes: &[Node], errors: &mut Vec<RuleError>) -> Vec<Chain> {
    if nodes.len() > CHAINS_MAX {
        errors.push(RuleError::new(
            "chains",
            ErrorCode::TemplateLimit,
            format!("more than {CHAINS_MAX} chains"),
        ));
    }
    let mut chains = Vec::new();
    for (index, node) in nodes.iter().take(CHAINS_MAX).enumerate() {
        let mut fields = Fields::open(node, format!("chains[{index}]"), errors);
        let chain = chain(&mut fields);
        fields.finish();
        chains.push(chain);
    }
    chains
}

fn when(fields: &mut Fields<'_, '_>) -> Option<Condition> {
    let node = fields.node("when")?;
    let path = join(&fields.path, "when");
    read::condition(node, &path, fields.errors, 0)
}

pub(super) const ON_MISSING: [(&str, OnMissing); 3] =
    [("null", OnMissing::Null), ("skip", OnMissing::Skip), ("fail", OnMissing::Fail)];

fn chain(fields: &mut Fields<'_, '_>) -> Chain {
    let when = when(fields);
    let kind = fields.text_or("kind", "process");
    let body = match kind.as_str() {
        "process" => ChainBody::Process(process(fields)),
        "flatten" => ChainBody::Flatten {
            separator: fields.text_or("separator", "."),
            depth_max: fields.has("max_depth").then(|| fields.count("max_depth", 0)),
        },
        "unflatten" => ChainBody::Unflatten { separator: fields.text_or("separator", ".") },
        "keep" => ChainBody::Keep { fields: fields.texts("fields") },
        "drop" => ChainBody::Drop { fields: fields.texts("fields") },
        "sample" => ChainBody::Sample {
            percent: fields.needed("percent"),
            by_key: fields.flag("by_key", false),
        },
        "dedupe" => ChainBody::Dedupe {
            key: fields.texts("key"),
            window_ms: fields.count("window_ms", 60_000),
            keys_max: fields.count("max_keys", 100_000),
        },
        "throttle" => {
            ChainBody::Throttle { records_per_second: fields.count("records_per_second", 0) }
        }
        "lookup" => ChainBody::Lookup {
            table: fields.needed("table"),
            key: fields.needed("key"),
            fields: fields.pairs("fields"),
            on_missing: fields.choice("on_missing", &ON_MISSING).unwrap_or_default(),
        },
        "decode" => {
            let formats = [
                ("avro", SchemaFormat::Avro),
                ("protobuf", SchemaFormat::Protobuf),
                ("json", SchemaFormat::Json),
            ];
            ChainBody::Decode {
                format: fields.choice("format", &formats).unwrap_or(SchemaFormat::Avro),
            }
        }
        other => {
            let known =
                "process, flatten, unflatten, keep, drop, sample, dedupe, throttle, lookup, decode";
            fields.error("kind", ErrorCode::TemplateValue, format!("{other:?} is none of {known}"));
            ChainBody::Keep { fields: vec!["*".to_owned()] }
        }
    };
    Chain { when, body }
}

fn process(fields: &mut Fields<'_, '_>) -> Process {
    if !fields.has("analyse") {
        fields.error("analyse", ErrorCode::TemplateMissingField, "`analyse` is missing");
    }
    let analyse = analyse(&mut fields.inner("analyse"));
    let secondary = fields.node("secondary").is_some().then(|| {
        let mut inner = fields.inner("secondary");
        let is_regex = inner.flag("regex", false);
        let delimiter = inner.needed("delimiter");
        let secondary = Secondary {
            delimiter: if is_regex { delimiter } else { read::delimiter(&delimiter) },
            is_regex,
            keep_original: inner.flag("keep_original", true),
        };
        inner.finish();
        secondary
    });
    let modes = [("project", RowsMode::Project), ("patch", RowsMode::Patch)];
    let rows_mode = fields.choice("rows_mode", &modes).unwrap_or_default();
    let nodes = fields.list("rows");
    if nodes.len() > ROWS_MAX {
        fields.error("rows", ErrorCode::TemplateLimit, format!("more than {ROWS_MAX} rows"));
    }
    let mut rows = Vec::new();
    for (index, node) in nodes.iter().take(ROWS_MAX).enumerate() {
        let path = format!("{}.rows[{index}]", fields.path);
        let mut inner = Fields::open(node, path, fields.errors);
        let row = row(&mut inner);
        inner.finish();
        rows.push(row);
    }
    Process { analyse, secondary, rows_mode, rows }
}

fn analyse(fields: &mut Fields<'_, '_>) -> Analyse {
    let input = fields.text("input");
    let outputs = [
        ("single", ArrayOutput::Single),
        ("multi", ArrayOutput::Multi),
        ("each", ArrayOutput::Each),
    ];
    let mode = match fields.text_or("mode", "json").as_str() {
        "json" => AnalyseMode::Json,
        "source" => AnalyseMode::Source,
        "delimiter" => AnalyseMode::Delimiter(DelimiterMode {
            delimiter: read::delimiter(&fields.needed("delimiter")),
            collapse: fields.flag("collapse", false),
            columns: fields.texts("columns"),
            quote: fields.character("quote"),
            strip_eol: fields.flag("strip_eol", false),
        }),
        "regex" => AnalyseMode::Regex {
            regex: fields.needed("regex"),
            no_match_empty: fields
                .choice("no_match", &[("fail", false), ("empty", true)])
                .unwrap_or(false),
        },
        "json_array" => AnalyseMode::JsonArray {
            output: fields.choice("output", &outputs).unwrap_or_default(),
            path: fields.text("path"),
        },
        other => {
            let cause = format!("{other:?} is none of json, delimiter, regex, json_array, source");
            fields.error("mode", ErrorCode::TemplateValue, cause);
            AnalyseMode::Json
        }
    };
    fields.finish();
    Analyse { mode, input }
}

pub(super) const TYPES: [(&str, ValueType); 7] = [
    ("original", ValueType::Original),
    ("string", ValueType::String),
    ("int64", ValueType::Int64),
    ("float64", ValueType::Float64),
    ("boolean", ValueType::Boolean),
    ("map", ValueType::Map),
    ("array", ValueType::Array),
];

fn row(fields: &mut Fields<'_, '_>) -> Row {
    let key = fields.needed("key");
    let value = fields.text("value");
    let rename_from = fields.text("rename_from");
    let name = fields.text("operate");
    let name =
        name.unwrap_or_else(|| if rename_from.is_some() { "rename" } else { "mapping" }.to_owned());
    let operate = match (name.as_str(), rename_from) {
        ("rename", Some(from)) => Operate::RenameFrom(from),
        // A row that only names a key takes the field of that key.
        ("mapping", _) => Operate::Mapping(value.unwrap_or_else(|| key.clone())),
        ("jsonpath", _) => Operate::JsonPath(value.unwrap_or_default()),
        ("system_time", _) => Operate::SystemTime,
        ("custom", _) => Operate::Custom(value.unwrap_or_default()),
        ("header", _) => Operate::Header(value.unwrap_or_else(|| key.clone())),
        ("delete", _) => Operate::Delete,
        (other, _) => {
            let known = "mapping, jsonpath, system_time, custom, header, delete";
            fields.error(
                "operate",
                ErrorCode::TemplateValue,
                format!("{other:?} is none of {known}"),
            );
            Operate::Delete
        }
    };
    let value_type = fields.choice("type", &TYPES).unwrap_or_default();
    let truncate = fields.choice("round", &[("exact", false), ("trunc", true)]).unwrap_or(false);
    let on_missing = fields.choice("on_missing", &ON_MISSING).unwrap_or_default();
    let when = when(fields);
    let ops = read_op::ops(fields);
    Row { key, operate, value_type, truncate, on_missing, ops, when }
}
