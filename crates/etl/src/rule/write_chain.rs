//! Chains, rows and ops as template trees; the mirror of `read_chain` and `read_op`.

use super::{
    Analyse, AnalyseMode, ArrayOutput, Chain, ChainBody, DateInput, Op, Operate, Process, Row,
    RowsMode, SchemaFormat,
    node::Node,
    read_chain::{ON_MISSING, TYPES},
    read_op::{HASHES, REDACTIONS},
    write::{condition, delimiter, either, flag, number, word},
};

pub(super) fn chain(chain: &Chain) -> Node {
    let mut members = Vec::new();
    if let Some(when) = &chain.when {
        members.push(("when", condition(when)));
    }
    let kind = |name: &str| ("kind", Node::text(name));
    match &chain.body {
        ChainBody::Process(process) => members.extend(self::process(process)),
        ChainBody::Flatten { separator, depth_max } => {
            members.extend([kind("flatten"), ("separator", Node::text(separator))]);
            members.extend(depth_max.map(|depth| ("max_depth", number(depth))));
        }
        ChainBody::Unflatten { separator } => {
            members.extend([kind("unflatten"), ("separator", Node::text(separator))]);
        }
        ChainBody::Keep { fields } => {
            members.extend([kind("keep"), ("fields", Node::texts(fields))])
        }
        ChainBody::Drop { fields } => {
            members.extend([kind("drop"), ("fields", Node::texts(fields))])
        }
        ChainBody::Sample { percent, by_key } => {
            members.extend([
                kind("sample"),
                ("percent", Node::text(percent)),
                ("by_key", flag(*by_key)),
            ]);
        }
        ChainBody::Dedupe { key, window_ms, keys_max } => members.extend([
            kind("dedupe"),
            ("key", Node::texts(key)),
            ("window_ms", number(window_ms)),
            ("max_keys", number(keys_max)),
        ]),
        ChainBody::Throttle { records_per_second } => {
            members.extend([kind("throttle"), ("records_per_second", number(records_per_second))]);
        }
        ChainBody::Lookup { table, key, fields, on_missing } => members.extend([
            kind("lookup"),
            ("table", Node::text(table)),
            ("key", Node::text(key)),
            (
                "fields",
                Node::map(
                    fields
                        .iter()
                        .map(|(name, column)| (name.as_str(), Node::text(column)))
                        .collect(),
                ),
            ),
            ("on_missing", word(&ON_MISSING, on_missing)),
        ]),
        ChainBody::Decode { format } => {
            let name = match format {
                SchemaFormat::Avro => "avro",
                SchemaFormat::Json => "json",
                SchemaFormat::Protobuf => "protobuf",
            };
            members.extend([kind("decode"), ("format", Node::text(name))]);
        }
    }
    Node::map(members)
}

fn process(process: &Process) -> Vec<(&'static str, Node)> {
    let mut members = vec![("analyse", analyse(&process.analyse))];
    if let Some(secondary) = &process.secondary {
        let text = &secondary.delimiter;
        let inner = vec![
            ("delimiter", if secondary.is_regex { Node::text(text) } else { delimiter(text) }),
            ("regex", flag(secondary.is_regex)),
            ("keep_original", flag(secondary.keep_original)),
        ];
        members.push(("secondary", Node::map(inner)));
    }
    members.push(("rows_mode", either(process.rows_mode == RowsMode::Project, "project", "patch")));
    members.push(("rows", Node::list(process.rows.iter().map(row))));
    members
}

fn analyse(analyse: &Analyse) -> Node {
    let mut members = Vec::new();
    match &analyse.mode {
        AnalyseMode::Json => members.push(("mode", Node::text("json"))),
        AnalyseMode::Source => members.push(("mode", Node::text("source"))),
        AnalyseMode::Delimiter(mode) => {
            members.extend([
                ("mode", Node::text("delimiter")),
                ("delimiter", delimiter(&mode.delimiter)),
            ]);
            members.extend(mode.collapse.then(|| ("collapse", flag(true))));
            members.extend(
                (!mode.columns.is_empty()).then(|| ("columns", Node::texts(&mode.columns))),
            );
            members.extend(mode.quote.map(|quote| ("quote", Node::text(quote))));
            members.extend(mode.strip_eol.then(|| ("strip_eol", flag(true))));
        }
        AnalyseMode::Regex { regex, no_match_empty } => members.extend([
            ("mode", Node::text("regex")),
            ("regex", Node::text(regex)),
            ("no_match", either(*no_match_empty, "empty", "fail")),
        ]),
        AnalyseMode::JsonArray { output, path } => {
            let outputs = [
                ("single", ArrayOutput::Single),
                ("multi", ArrayOutput::Multi),
                ("each", ArrayOutput::Each),
            ];
            members
                .extend([("mode", Node::text("json_array")), ("output", word(&outputs, output))]);
            members.extend(path.as_ref().map(|path| ("path", Node::text(path))));
        }
    }
    members.extend(analyse.input.as_ref().map(|input| ("input", Node::text(input))));
    Node::map(members)
}

fn row(row: &Row) -> Node {
    let mut members = vec![("key", Node::text(&row.key))];
    let operate = |name: &str| ("operate", Node::text(name));
    match &row.operate {
        Operate::Mapping(from) => members.extend([operate("mapping"), ("value", Node::text(from))]),
        Operate::JsonPath(path) => {
            members.extend([operate("jsonpath"), ("value", Node::text(path))])
        }
        Operate::SystemTime => members.push(operate("system_time")),
        Operate::Custom(text) => members.extend([operate("custom"), ("value", Node::text(text))]),
        Operate::Header(name) => members.extend([operate("header"), ("value", Node::text(name))]),
        Operate::Delete => members.push(operate("delete")),
        Operate::RenameFrom(from) => members.push(("rename_from", Node::text(from))),
    }
    members.push(("type", word(&TYPES, &row.value_type)));
    members.extend(row.truncate.then(|| ("round", Node::text("trunc"))));
    members.push(("on_missing", word(&ON_MISSING, &row.on_missing)));
    if let Some(when) = &row.when {
        members.push(("when", condition(when)));
    }
    if !row.ops.is_empty() {
        members.push(("ops", Node::list(row.ops.iter().map(op))));
    }
    Node::map(members)
}

fn op(op: &Op) -> Node {
    let mut members = vec![("op", Node::text(op.name()))];
    match op {
        Op::Trim
        | Op::Lowercase
        | Op::Uppercase
        | Op::UrlEncode
        | Op::Base64Encode
        | Op::Base64Decode
        | Op::JsonEncode
        | Op::JsonDecode => {}
        Op::Replace { old, new } | Op::JsonPathReplace { old, new } => {
            members.extend([("old", Node::text(old)), ("new", Node::text(new))]);
        }
        Op::Substr { start, end } => {
            members.push(("start", number(start)));
            members.extend(end.map(|end| ("end", number(end))));
        }
        Op::Date { format, input, zone, input_zone } => {
            let input = match input {
                DateInput::Auto => Node::text("auto"),
                DateInput::Unix => Node::text("unix"),
                DateInput::Patterns(patterns) => Node::texts(patterns),
            };
            members.extend([
                ("format", Node::text(format)),
                ("input", input),
                ("zone", Node::text(zone)),
            ]);
            members.extend(input_zone.as_ref().map(|zone| ("input_zone", Node::text(zone))));
        }
        Op::RegexReplace { regex, new } => {
            members.extend([("regex", Node::text(regex)), ("new", Node::text(new))])
        }
        Op::Split { delimiter: text, is_regex } => {
            members.push(("delimiter", if *is_regex { Node::text(text) } else { delimiter(text) }));
            members.push(("is_regex", flag(*is_regex)));
        }
        Op::Kv { delimiter: text, separator, keep_original_key } => members.extend([
            ("delimiter", delimiter(text)),
            ("regex", delimiter(separator)),
            ("keep_original_key", flag(*keep_original_key)),
        ]),
        Op::UrlDecode { charset } => members.push(("charset", Node::text(charset))),
        Op::Default { value } => members.push(("value", Node::text(value))),
        Op::Hash { algorithm, secret } => {
            members.push(("alg", word(&HASHES, algorithm)));
            members.extend(secret.as_ref().map(|secret| ("secret", Node::text(secret))));
        }
        Op::Mask { keep_first, keep_last, character } => members.extend([
            ("keep_first", number(keep_first)),
            ("keep_last", number(keep_last)),
            ("char", Node::text(*character)),
        ]),
        Op::Redact { kinds, new } => members.extend([
            ("kinds", Node::list(kinds.iter().map(|kind| word(&REDACTIONS, kind)))),
            ("new", Node::text(new)),
        ]),
        Op::Math { expression } => members.push(("expr", Node::text(expression))),
    }
    Node::map(members)
}
