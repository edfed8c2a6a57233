//! A rule as a template tree; the mirror of `read`.

use super::{
    Condition, Failure, FilterMode, FilterRule, Guard, GuardAction, HeaderEdit, KeyRule,
    OnUnknownTopic, Output, Route, RowOutput, Rule,
    node::Node,
    read::{DELIMITERS, FILTER_MODES, METADATA_FIELDS},
    write_chain,
};

pub(super) fn template(rule: &Rule) -> Node {
    let mut spec = vec![
        ("guard", guard(&rule.guard)),
        ("sample", sample(rule.sample.as_deref())),
        ("chains", Node::list(rule.chains.iter().map(write_chain::chain))),
        ("filter", filter(rule)),
        ("metadata_fields", metadata_fields(rule)),
        ("output", output(&rule.output)),
        ("failure", failure(&rule.failure)),
    ];
    if let Some(rule) = &rule.key {
        spec.push(("key", key(rule)));
    }
    if let Some(rule) = &rule.route {
        spec.push(("route", route(rule)));
    }
    if !rule.headers.is_empty() {
        spec.push(("headers", Node::list(rule.headers.iter().map(header_edit))));
    }
    let metadata = Node::map(vec![
        ("name", Node::text(&rule.name)),
        ("description", Node::text(&rule.description)),
        ("revision", number(rule.revision)),
    ]);
    Node::map(vec![
        ("apiVersion", Node::text("etl/v1")),
        ("kind", Node::text("EtlTemplate")),
        ("metadata", metadata),
        ("spec", Node::map(spec)),
    ])
}

pub(super) fn flag(value: bool) -> Node {
    Node::plain(if value { "true" } else { "false" })
}

pub(super) fn number(value: impl ToString) -> Node {
    Node::plain(value.to_string())
}

/// The word that stands for `value`.
pub(super) fn word<T: PartialEq>(choices: &[(&str, T)], value: &T) -> Node {
    Node::text(choices.iter().find(|(_, known)| known == value).map_or("", |(word, _)| word))
}

pub(super) fn either(value: bool, yes: &str, no: &str) -> Node {
    Node::text(if value { yes } else { no })
}

/// A delimiter by its name where it has one. A literal text that is a name cannot be written; nobody separates with `tab`.
pub(super) fn delimiter(text: &str) -> Node {
    Node::text(
        DELIMITERS.iter().find(|(_, literal)| *literal == text).map_or(text, |(name, _)| name),
    )
}

fn guard(guard: &Guard) -> Node {
    let action = |action: GuardAction| {
        Node::text(match action {
            GuardAction::Fail => "fail",
            GuardAction::Pass => "pass",
            GuardAction::Drop => "drop",
        })
    };
    Node::map(vec![
        ("tombstone", action(guard.tombstone)),
        ("empty", action(guard.empty)),
        ("charset", Node::text(&guard.charset)),
        ("invalid", either(guard.replace_invalid, "replace", "fail")),
    ])
}

fn sample(content: Option<&str>) -> Node {
    match content {
        None => Node::map(vec![("source", Node::text("topic"))]),
        Some(content) => {
            Node::map(vec![("source", Node::text("custom")), ("content", Node::text(content))])
        }
    }
}

fn filter(rule: &Rule) -> Node {
    Node::map(vec![
        ("enabled", flag(rule.filter.enabled)),
        ("logic", either(rule.filter.any, "any", "all")),
        ("rules", Node::list(rule.filter.rules.iter().map(condition))),
    ])
}

pub(super) fn condition(condition: &Condition) -> Node {
    let list = |items: &[Condition]| Node::list(items.iter().map(self::condition));
    match condition {
        Condition::All(items) => Node::map(vec![("all", list(items))]),
        Condition::Any(items) => Node::map(vec![("any", list(items))]),
        Condition::Not(inner) => Node::map(vec![("not", self::condition(inner))]),
        Condition::Rule(rule) => test(rule),
    }
}

fn test(rule: &FilterRule) -> Node {
    let mut members = Vec::new();
    if !matches!(rule.mode, FilterMode::Tombstone | FilterMode::TopicMatches)
        || !rule.key.is_empty()
    {
        members.push(("key", Node::text(&rule.key)));
    }
    members.push(("mode", word(&FILTER_MODES, &rule.mode)));
    if let Some(value) = &rule.value {
        members.push(("value", Node::text(value)));
    }
    if !rule.values.is_empty() {
        members.push(("values", Node::texts(&rule.values)));
    }
    Node::map(members)
}

fn metadata_fields(rule: &Rule) -> Node {
    let metadata = &rule.metadata_fields;
    let placement = match (metadata.in_value, metadata.in_headers) {
        (true, true) => "both",
        (false, true) => "headers",
        _ => "value",
    };
    Node::map(vec![
        ("keep", flag(metadata.keep)),
        ("placement", Node::text(placement)),
        ("prefix", Node::text(&metadata.prefix)),
        ("fields", Node::list(metadata.fields.iter().map(|field| word(&METADATA_FIELDS, field)))),
    ])
}

fn output(output: &Output) -> Node {
    let row = |row: &RowOutput| {
        let mut members = vec![
            ("content", either(row.with_keys, "key_value", "value")),
            ("kv_delimiter", delimiter(&row.kv_delimiter)),
            ("entry_delimiter", delimiter(&row.entry_delimiter)),
        ];
        if row.quote_csv {
            members.push(("quote", Node::text("csv")));
        }
        Node::map(members)
    };
    match output {
        Output::Json => Node::map(vec![("format", Node::text("json"))]),
        Output::Avro { subject } => {
            Node::map(vec![("format", Node::text("avro")), ("subject", Node::text(subject))])
        }
        Output::Protobuf { subject, message } => {
            let mut members =
                vec![("format", Node::text("protobuf")), ("subject", Node::text(subject))];
            members.extend(message.iter().map(|message| ("message", Node::text(message))));
            Node::map(members)
        }
        Output::JsonSchema { subject } => {
            Node::map(vec![("format", Node::text("json_schema")), ("subject", Node::text(subject))])
        }
        Output::Original { translate_schema_id } => {
            let mut members = vec![("format", Node::text("original"))];
            if *translate_schema_id {
                members.push(("translate_schema_id", flag(true)));
            }
            Node::map(members)
        }
        Output::Row(parameters) => {
            Node::map(vec![("format", Node::text("row")), ("row", row(parameters))])
        }
    }
}

fn failure(failure: &Failure) -> Node {
    let policy = |name: &str| Node::map(vec![("policy", Node::text(name))]);
    match failure {
        Failure::Discard => policy("discard"),
        Failure::Retain => policy("retain"),
        Failure::PassRaw => policy("pass_raw"),
        Failure::Dlq(dlq) => {
            let inner = Node::map(vec![
                ("connection", Node::text(&dlq.connection)),
                ("topic", Node::text(&dlq.topic)),
                ("format", either(dlq.envelope, "envelope", "raw")),
                ("retry_interval_ms", number(dlq.retry_interval_ms)),
                ("max_retry_attempts", number(dlq.max_retry_attempts)),
            ]);
            Node::map(vec![("policy", Node::text("dlq")), ("dlq", inner)])
        }
    }
}

fn key(rule: &KeyRule) -> Node {
    match rule {
        KeyRule::Null => Node::plain("null"),
        KeyRule::Fields { from, json, separator } => {
            let mut members =
                vec![("from", Node::texts(from)), ("format", either(*json, "json", "string"))];
            if separator != "|" {
                members.push(("separator", Node::text(separator)));
            }
            Node::map(members)
        }
        KeyRule::JsonPath { path, json } => {
            Node::map(vec![("from", Node::text(path)), ("format", either(*json, "json", "string"))])
        }
    }
}

fn route(route: &Route) -> Node {
    let policies = [
        ("fail", OnUnknownTopic::Fail),
        ("create", OnUnknownTopic::Create),
        ("dlq", OnUnknownTopic::Dlq),
    ];
    let mut members = vec![("topic", Node::text(&route.topic))];
    if let Some((regex, new)) = &route.rename {
        members.push((
            "rename",
            Node::map(vec![("regex", Node::text(regex)), ("new", Node::text(new))]),
        ));
    }
    members.push(("on_unknown", word(&policies, &route.on_unknown)));
    Node::map(members)
}

fn header_edit(edit: &HeaderEdit) -> Node {
    match edit {
        HeaderEdit::Set { name, value } => {
            Node::map(vec![("set", Node::text(name)), ("value", Node::text(value))])
        }
        HeaderEdit::Drop { pattern } => Node::map(vec![("drop", Node::text(pattern))]),
        HeaderEdit::FromField { name, field, remove } => Node::map(vec![
            ("from_field", Node::text(field)),
            ("name", Node::text(name)),
            ("remove", flag(*remove)),
        ]),
    }
}
