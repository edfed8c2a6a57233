//! The template: everything around the chains.

use super::{
    Condition, Dlq, Failure, Filter, FilterMode, FilterRule, Guard, GuardAction, HeaderEdit,
    KeyRule, MetadataField, MetadataFields, OnUnknownTopic, Output, Route, RowOutput, Rule,
    fields::{Fields, join},
    node::{Kind, Node},
    read_chain,
};
use crate::error::{ErrorCode, RuleError};

/// Condition trees nested deeper are refused.
const CONDITION_DEPTH_MAX: usize = 16;

pub(super) fn template(node: &Node) -> (Rule, Vec<RuleError>) {
    let mut errors = Vec::new();
    let mut top = Fields::open(node, "", &mut errors);
    match top.text("apiVersion").as_deref() {
        Some("etl/v1") => {}
        Some(other) => {
            top.error("apiVersion", ErrorCode::TemplateVersion, format!("{other:?} is not known"));
            return (Rule::default(), errors);
        }
        None => top.error("apiVersion", ErrorCode::TemplateVersion, "`apiVersion` is missing"),
    }
    if let Some(kind) = top.text("kind").filter(|kind| kind != "EtlTemplate") {
        top.error("kind", ErrorCode::TemplateVersion, format!("{kind:?} is not known"));
    }
    let mut rule = Rule::default();
    {
        let mut metadata = top.inner("metadata");
        rule.name = metadata.text_or("name", "");
        rule.description = metadata.text_or("description", "");
        rule.revision = metadata.count("revision", 0);
        metadata.finish();
    }
    let spec = top.node("spec");
    top.finish();
    match spec {
        Some(spec) => read_spec(spec, &mut rule, &mut errors),
        None => errors.push(RuleError::new(
            "spec",
            ErrorCode::TemplateMissingField,
            "`spec` is missing",
        )),
    }
    (rule, errors)
}

/// Paths inside the spec begin with its members, without `spec.`; only a member that does not exist is named with it.
fn read_spec(node: &Node, rule: &mut Rule, errors: &mut Vec<RuleError>) {
    let mut spec = Fields::open(node, "", errors);
    rule.guard = guard(&mut spec.inner("guard"));
    rule.sample = sample(&mut spec.inner("sample"));
    let chains = spec.list("chains");
    rule.filter = filter(&mut spec.inner("filter"));
    rule.metadata_fields = metadata_fields(&mut spec.inner("metadata_fields"));
    rule.output = output(&mut spec.inner("output"));
    rule.failure = failure(&mut spec.inner("failure"));
    if spec.has("key") {
        rule.key = Some(key(&mut spec));
    }
    if spec.node("route").is_some() {
        rule.route = Some(route(&mut spec.inner("route")));
    }
    let headers = spec.list("headers");
    spec.finish_as(Some("spec"));
    rule.chains = read_chain::chains(chains, errors);
    for (index, node) in headers.iter().enumerate() {
        let mut fields = Fields::open(node, format!("headers[{index}]"), errors);
        rule.headers.extend(header_edit(&mut fields));
        fields.finish();
    }
}

fn guard(fields: &mut Fields<'_, '_>) -> Guard {
    let actions =
        [("pass", GuardAction::Pass), ("drop", GuardAction::Drop), ("fail", GuardAction::Fail)];
    let guard = Guard {
        tombstone: fields.choice("tombstone", &actions).unwrap_or(GuardAction::Pass),
        empty: fields.choice("empty", &actions).unwrap_or(GuardAction::Fail),
        charset: fields.text_or("charset", "utf-8"),
        replace_invalid: fields
            .choice("invalid", &[("fail", false), ("replace", true)])
            .unwrap_or(false),
    };
    fields.finish();
    guard
}

fn sample(fields: &mut Fields<'_, '_>) -> Option<String> {
    let custom = fields.choice("source", &[("topic", false), ("custom", true)]).unwrap_or(false);
    let content = fields.text("content");
    fields.finish();
    custom.then(|| content.unwrap_or_default())
}

fn filter(fields: &mut Fields<'_, '_>) -> Filter {
    // Rules without the word are meant to be used.
    let enabled = fields.flag("enabled", fields.has("rules"));
    let any = fields.choice("logic", &[("all", false), ("any", true)]).unwrap_or(false);
    let nodes = fields.list("rules");
    fields.finish();
    let read = |(index, node)| condition(node, &format!("filter.rules[{index}]"), fields.errors, 0);
    Filter { enabled, any, rules: nodes.iter().enumerate().filter_map(read).collect() }
}

/// Reads a condition: one test, or `all`, `any`, `not`.
pub(super) fn condition(
    node: &Node,
    path: &str,
    errors: &mut Vec<RuleError>,
    depth: usize,
) -> Option<Condition> {
    if depth > CONDITION_DEPTH_MAX {
        errors.push(RuleError::new(
            path,
            ErrorCode::TemplateLimit,
            "conditions are nested too deep",
        ));
        return None;
    }
    for name in ["all", "any"] {
        if let Some(inner) = node.get(name) {
            let path = join(path, name);
            let Kind::List(items) = &inner.kind else {
                errors.push(RuleError::new(path, ErrorCode::TemplateType, "expected a list"));
                return None;
            };
            let mut conditions = Vec::new();
            for (index, item) in items.iter().enumerate() {
                conditions.extend(condition(item, &format!("{path}[{index}]"), errors, depth + 1));
            }
            return Some(if name == "all" {
                Condition::All(conditions)
            } else {
                Condition::Any(conditions)
            });
        }
    }
    if let Some(inner) = node.get("not") {
        let path = join(path, "not");
        let one = match &inner.kind {
            Kind::List(items) if items.len() == 1 => &items[0],
            _ => inner,
        };
        return condition(one, &path, errors, depth + 1)
            .map(|inner| Condition::Not(Box::new(inner)));
    }
    let mut fields = Fields::open(node, path, errors);
    let rule = test(&mut fields);
    fields.finish();
    rule.map(Condition::Rule)
}

pub(super) const FILTER_MODES: [(&str, FilterMode); 15] = [
    ("prefix", FilterMode::Prefix),
    ("suffix", FilterMode::Suffix),
    ("contains", FilterMode::Contains),
    ("except", FilterMode::Except),
    ("number", FilterMode::Number),
    ("ip", FilterMode::Ip),
    ("not_null", FilterMode::NotNull),
    ("equals", FilterMode::Equals),
    ("in", FilterMode::In),
    ("regex", FilterMode::Regex),
    ("exists", FilterMode::Exists),
    ("is_null", FilterMode::IsNull),
    ("tombstone", FilterMode::Tombstone),
    ("topic_matches", FilterMode::TopicMatches),
    ("header", FilterMode::Header),
];

fn test(fields: &mut Fields<'_, '_>) -> Option<FilterRule> {
    if !fields.has("mode") {
        fields.error("mode", ErrorCode::TemplateMissingField, "`mode` is missing");
    }
    let mode = fields.choice("mode", &FILTER_MODES);
    let keyless = matches!(mode, Some(FilterMode::Tombstone | FilterMode::TopicMatches));
    let key = if keyless { fields.text_or("key", "") } else { fields.needed("key") };
    let value = fields.has("value").then(|| fields.word("value")).flatten();
    let values = fields.texts("values");
    Some(FilterRule { key, mode: mode?, value, values })
}

fn metadata_fields(fields: &mut Fields<'_, '_>) -> MetadataFields {
    let default = MetadataFields::default();
    let keep = fields.flag("keep", false);
    let places = [("value", (true, false)), ("headers", (false, true)), ("both", (true, true))];
    let (in_value, in_headers) = fields.choice("placement", &places).unwrap_or((true, false));
    let prefix = fields.text_or("prefix", &default.prefix);
    let names = fields.texts("fields");
    let has_fields = fields.has("fields");
    let read = |name: &String| fields.choose("fields", name, &METADATA_FIELDS);
    let list: Vec<MetadataField> = names.iter().filter_map(read).collect();
    fields.finish();
    MetadataFields {
        keep,
        in_value,
        in_headers,
        prefix,
        fields: if has_fields { list } else { default.fields },
    }
}

pub(super) const METADATA_FIELDS: [(&str, MetadataField); 5] = [
    ("topic", MetadataField::Topic),
    ("partition", MetadataField::Partition),
    ("offset", MetadataField::Offset),
    ("timestamp", MetadataField::Timestamp),
    ("key", MetadataField::Key),
];

/// A delimiter by its name, or the literal text.
pub(super) fn delimiter(text: &str) -> String {
    let known = DELIMITERS.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    known.map_or(text, |(_, literal)| literal).to_owned()
}

pub(super) const DELIMITERS: [(&str, &str); 7] = [
    ("none", ""),
    ("space", " "),
    ("tab", "\t"),
    ("comma", ","),
    ("semicolon", ";"),
    ("pipe", "|"),
    ("colon", ":"),
];

fn output(fields: &mut Fields<'_, '_>) -> Output {
    #[derive(Clone, Copy)]
    enum Format {
        Json,
        Row,
        Avro,
        Protobuf,
        JsonSchema,
        Original,
    }
    let formats = [
        ("json", Format::Json),
        ("row", Format::Row),
        ("avro", Format::Avro),
        ("protobuf", Format::Protobuf),
        ("json_schema", Format::JsonSchema),
        ("original", Format::Original),
    ];
    let format = fields.choice("format", &formats).unwrap_or(Format::Json);
    let row = {
        let mut inner = fields.inner("row");
        let with_keys =
            inner.choice("content", &[("value", false), ("key_value", true)]).unwrap_or(false);
        let row = RowOutput {
            with_keys,
            kv_delimiter: delimiter(&inner.text_or("kv_delimiter", "none")),
            entry_delimiter: delimiter(&inner.text_or("entry_delimiter", "none")),
            quote_csv: inner.choice("quote", &[("none", false), ("csv", true)]).unwrap_or(false),
        };
        inner.finish();
        row
    };
    let has_subject = matches!(format, Format::Avro | Format::Protobuf | Format::JsonSchema);
    let subject = if has_subject { fields.needed("subject") } else { String::new() };
    let message = fields.text("message");
    let translate_schema_id = fields.flag("translate_schema_id", false);
    fields.finish();
    match format {
        Format::Avro => Output::Avro { subject },
        Format::Protobuf => Output::Protobuf { subject, message },
        Format::Json => Output::Json,
        Format::Row => Output::Row(row),
        Format::JsonSchema => Output::JsonSchema { subject },
        Format::Original => Output::Original { translate_schema_id },
    }
}

fn failure(fields: &mut Fields<'_, '_>) -> Failure {
    let names = [("discard", 0), ("retain", 1), ("pass_raw", 2), ("dlq", 3)];
    let policy = fields.choice("policy", &names).unwrap_or(1);
    let failure = match policy {
        0 => Failure::Discard,
        1 => Failure::Retain,
        2 => Failure::PassRaw,
        _ => {
            let mut inner = fields.inner("dlq");
            let dlq = Dlq {
                connection: inner.text_or("connection", "target"),
                topic: inner.needed("topic"),
                envelope: inner
                    .choice("format", &[("raw", false), ("envelope", true)])
                    .unwrap_or(false),
                retry_interval_ms: inner.count("retry_interval_ms", 1000),
                max_retry_attempts: inner.count("max_retry_attempts", 5),
            };
            inner.finish();
            Failure::Dlq(dlq)
        }
    };
    // Settings of a policy that is not chosen may stay in the template.
    if policy != 3 {
        let _ = fields.node("dlq");
    }
    fields.finish();
    failure
}

fn key(spec: &mut Fields<'_, '_>) -> KeyRule {
    let Some(node) = spec.node("key") else { return KeyRule::Null };
    let mut fields = Fields::open(node, "key", spec.errors);
    let json = fields.choice("format", &[("string", false), ("json", true)]).unwrap_or(false);
    let separator = fields.text_or("separator", "|");
    let from = fields.texts("from");
    let is_list = matches!(node.get("from").map(|node| &node.kind), Some(Kind::List(_)));
    if !fields.has("from") {
        fields.error("from", ErrorCode::TemplateMissingField, "`from` is missing");
    }
    fields.finish();
    match <[String; 1]>::try_from(from) {
        Ok([path]) if path.starts_with('$') && !is_list => KeyRule::JsonPath { path, json },
        Ok([field]) => KeyRule::Fields { from: vec![field], json, separator },
        Err(from) if from.is_empty() => KeyRule::Null,
        Err(from) => KeyRule::Fields { from, json, separator },
    }
}

fn route(fields: &mut Fields<'_, '_>) -> Route {
    let rename = fields.node("rename").is_some().then(|| {
        let mut inner = fields.inner("rename");
        let rename = (inner.needed("regex"), inner.text_or("new", ""));
        inner.finish();
        rename
    });
    let policies = [
        ("fail", OnUnknownTopic::Fail),
        ("create", OnUnknownTopic::Create),
        ("dlq", OnUnknownTopic::Dlq),
    ];
    let route = Route {
        topic: fields.text_or("topic", "${topic}"),
        rename,
        on_unknown: fields.choice("on_unknown", &policies).unwrap_or_default(),
    };
    fields.finish();
    route
}

fn header_edit(fields: &mut Fields<'_, '_>) -> Option<HeaderEdit> {
    if fields.has("set") {
        return Some(HeaderEdit::Set {
            name: fields.needed("set"),
            value: fields.text_or("value", ""),
        });
    }
    if fields.has("drop") {
        return Some(HeaderEdit::Drop { pattern: fields.needed("drop") });
    }
    if fields.has("from_field") {
        let field = fields.needed("from_field");
        let name = fields.text_or("name", &field);
        return Some(HeaderEdit::FromField { name, field, remove: fields.flag("remove", false) });
    }
    fields.error("", ErrorCode::TemplateMissingField, "expected one of set, drop, from_field");
    None
}
