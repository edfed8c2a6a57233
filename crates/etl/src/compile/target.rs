//! Output, key, route and headers.

use super::Compiler;
use crate::{
    error::{ErrorCode, Place},
    output::Format,
    pattern,
    rule::{self, HeaderEdit, KeyRule, Rule, SchemaFormat},
    shape::Glob,
    target::{Edit, Key, Route, Target},
    text_template::TextTemplate,
};

impl Compiler<'_> {
    pub(super) fn output(&mut self, rule: &Rule) -> Format {
        match &rule.output {
            rule::Output::Json => Format::Json,
            rule::Output::JsonSchema { .. } => {
                self.refuse_multi(rule, "JSON with a schema");
                Format::JsonSchema
            }
            rule::Output::Avro { .. } => {
                self.refuse_multi(rule, "Avro");
                Format::Schema(SchemaFormat::Avro)
            }
            rule::Output::Protobuf { .. } => {
                self.refuse_multi(rule, "Protobuf");
                Format::Schema(SchemaFormat::Protobuf)
            }
            rule::Output::Original { translate_schema_id } => {
                Format::Original { translate: *translate_schema_id }
            }
            rule::Output::Row(row) => {
                if row.with_keys {
                    for (name, text) in [
                        ("kv_delimiter", &row.kv_delimiter),
                        ("entry_delimiter", &row.entry_delimiter),
                    ] {
                        if text.is_empty() {
                            let path = format!("output.row.{name}");
                            self.error(
                                path,
                                ErrorCode::RowDelimiterNone,
                                "keys and values need delimiters",
                            );
                        }
                    }
                }
                Format::Row(row.clone())
            }
        }
    }

    fn refuse_multi(&mut self, rule: &Rule, format: &str) {
        if rule.chains.iter().any(is_multi) {
            let cause =
                format!("an array of documents cannot be written as {format}; use output: each");
            self.error("output.format", ErrorCode::TemplateValue, cause);
        }
    }

    pub(super) fn target(&mut self, rule: &Rule) -> Target {
        let key = rule.key.as_ref().and_then(|key| self.key(key));
        let route = rule.route.as_ref().and_then(|route| self.route(route));
        let mut edits = Vec::new();
        for (index, edit) in rule.headers.iter().enumerate() {
            let path = format!("headers[{index}]");
            edits.extend(
                self.edit(edit, &path)
                    .map(|edit| (Place::new(path, format!("header[{index}]")), edit)),
            );
        }
        Target {
            metadata: rule.metadata_fields.clone(),
            key: key.map(|key| (Place::new("key", "key"), key)),
            route: route.map(|route| (Place::new("route", "route"), route)),
            edits,
        }
    }

    fn key(&mut self, key: &KeyRule) -> Option<Key> {
        Some(match key {
            KeyRule::Null => Key::Null,
            KeyRule::Fields { from, json, separator } => {
                Key::Fields { from: from.clone(), json: *json, separator: separator.clone() }
            }
            KeyRule::JsonPath { path, json } => {
                let compiled = self.jsonpath(path, "key.from")?;
                if !compiled.is_definite() && !compiled.has_function() && !json {
                    let cause = format!("{path:?} may lead to several places");
                    self.error("key.from", ErrorCode::JsonpathNotDefinite, cause);
                }
                Key::Path { path: compiled, json: *json }
            }
        })
    }

    fn template(&mut self, text: &str, path: &str) -> Option<TextTemplate> {
        let compiled =
            TextTemplate::compile(text).map_err(|cause| (ErrorCode::TemplateText, cause));
        self.keep(path, compiled)
    }

    fn route(&mut self, route: &rule::Route) -> Option<Route> {
        let topic = self.template(&route.topic, "route.topic");
        let rename = match &route.rename {
            None => None,
            Some((regex, new)) => {
                let regex = self.regex(regex, "route.rename.regex")?;
                let pieces = self.keep("route.rename.new", pattern::replacement(new, &regex))?;
                Some((regex, pieces))
            }
        };
        Some(Route { topic: topic?, rename })
    }

    fn edit(&mut self, edit: &HeaderEdit, path: &str) -> Option<Edit> {
        Some(match edit {
            HeaderEdit::Set { name, value } => {
                let value = self.template(value, &format!("{path}.value"))?;
                Edit::Set { name: name.clone(), value }
            }
            HeaderEdit::Drop { pattern } => Edit::Drop(Glob::new(pattern)),
            HeaderEdit::FromField { name, field, remove } => {
                Edit::FromField { name: name.clone(), field: field.clone(), remove: *remove }
            }
        })
    }
}

/// Whether a chain makes one array of all elements.
fn is_multi(chain: &rule::Chain) -> bool {
    let rule::ChainBody::Process(process) = &chain.body else { return false };
    matches!(
        process.analyse.mode,
        rule::AnalyseMode::JsonArray { output: rule::ArrayOutput::Multi, .. }
    )
}
