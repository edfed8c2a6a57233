//! The JSON Schema of rules says what the reader takes: held against every rule of the examples, and against the reader's own text.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;

use etl::Rule;
use serde_json::Value;

const FILES: [&str; 2] =
    [include_str!("../testdata/examples.yaml"), include_str!("../testdata/cases.yaml")];
const PAGE: &str = include_str!("../../../docs/etl.md");
const READER: [&str; 3] = [
    include_str!("../src/rule/read.rs"),
    include_str!("../src/rule/read_chain.rs"),
    include_str!("../src/rule/read_op.rs"),
];

/// As much of JSON Schema as the schema uses; another keyword ends the test.
struct Validator(Value);

impl Validator {
    fn new() -> Self {
        Self(serde_json::from_str(Rule::JSON_SCHEMA).unwrap())
    }

    fn check(&self, value: &Value) -> Result<(), String> {
        self.node(&self.0, value, "")
    }

    fn node(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let schema = schema.as_object().unwrap();
        for (keyword, wanted) in schema {
            let holds = match keyword.as_str() {
                "$schema" | "$defs" | "title" | "description" | "default" | "properties" => true,
                "$ref" => {
                    let pointer = wanted.as_str().unwrap().trim_start_matches('#');
                    self.node(self.0.pointer(pointer).unwrap(), value, at)?;
                    true
                }
                "type" => match wanted {
                    Value::Array(names) => names.iter().any(|name| is_type(value, name)),
                    name => is_type(value, name),
                },
                "enum" => wanted.as_array().unwrap().contains(value),
                "const" => wanted == value,
                "anyOf" => {
                    let ways = wanted.as_array().unwrap();
                    let failures: Vec<String> =
                        ways.iter().filter_map(|way| self.node(way, value, at).err()).collect();
                    if failures.len() == ways.len() {
                        return Err(format!("{at}: none of: {}", failures.join(" / ")));
                    }
                    true
                }
                "required" => wanted
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|name| value.get(name.as_str().unwrap()).is_some()),
                "additionalProperties" => {
                    self.members(wanted, schema.get("properties"), value, at)?;
                    true
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.node(wanted, item, &format!("{at}[{index}]"))?;
                    }
                    true
                }
                "minItems" => value
                    .as_array()
                    .is_none_or(|items| items.len() as u64 >= wanted.as_u64().unwrap()),
                "maxItems" => value
                    .as_array()
                    .is_none_or(|items| items.len() as u64 <= wanted.as_u64().unwrap()),
                "minimum" => value.as_i64().is_none_or(|number| number >= wanted.as_i64().unwrap()),
                "pattern" => {
                    let pattern = regex::Regex::new(wanted.as_str().unwrap()).unwrap();
                    value.as_str().is_none_or(|text| pattern.is_match(text))
                }
                other => panic!("the keyword {other} is not known here"),
            };
            if !holds {
                return Err(format!("{at}: {value} does not meet {keyword} {wanted}"));
            }
        }
        Ok(())
    }

    fn members(
        &self,
        others: &Value,
        known: Option<&Value>,
        value: &Value,
        at: &str,
    ) -> Result<(), String> {
        for (name, member) in value.as_object().into_iter().flatten() {
            let at = format!("{at}.{name}");
            match (known.and_then(|known| known.get(name)), others) {
                (Some(schema), _) => self.node(schema, member, &at)?,
                (None, Value::Bool(true)) => {}
                (None, Value::Bool(false)) => return Err(format!("{at}: there is no such field")),
                (None, schema) => self.node(schema, member, &at)?,
            }
        }
        Ok(())
    }
}

fn is_type(value: &Value, name: &Value) -> bool {
    match name.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("the type {other} is not known here"),
    }
}

/// The texts of all rules of the examples, with the error that the reader must find.
fn rules() -> Vec<(String, Option<String>)> {
    let mut rules = Vec::new();
    for file in FILES {
        let examples: Vec<Value> = serde_saphyr::from_str(file).unwrap();
        for case in examples.iter().flat_map(|example| example["cases"].as_array().unwrap()) {
            let text = match (case["template"].as_str(), case["spec"].as_str()) {
                (Some(template), _) => template.to_owned(),
                (None, Some(spec)) => {
                    format!("apiVersion: etl/v1\nspec:\n  {}", spec.replace('\n', "\n  "))
                }
                (None, None) => continue,
            };
            rules.push((text, case["config"].as_str().map(str::to_owned)));
        }
    }
    rules
}

#[test]
fn every_rule_that_is_read_is_valid_and_so_is_what_is_written() {
    let validator = Validator::new();
    let blocks = PAGE.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let all = rules().into_iter().map(|(text, _)| text).chain(blocks.map(str::to_owned));
    let mut read = 0;
    for text in all {
        let Ok(rule) = Rule::parse(&text) else { continue };
        read += 1;
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        validator.check(&value).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let json = rule.to_json();
        let written: Value = serde_json::from_str(&json).unwrap();
        validator.check(&written).unwrap_or_else(|error| panic!("{error}\n{json}"));
    }
    assert!(read > 200, "{read}");
}

#[test]
fn what_is_wrong_in_shape_is_refused() {
    let validator = Validator::new();
    // Values that are wrong only together with others are for the compiler.
    let shapes = ["template_unknown_field", "template_version", "template_missing_field"];
    let mut refused = BTreeSet::new();
    for (text, config) in rules() {
        let Some(code) = config.filter(|code| shapes.contains(&code.as_str())) else { continue };
        let value: Value = serde_saphyr::from_str(&text).unwrap();
        assert!(validator.check(&value).is_err(), "{code}\n{text}");
        refused.insert(code);
    }
    assert!(refused.len() >= 2, "{refused:?}");
    for spec in [
        "chains: [{analyse: {mode: xml}}]",
        "chains: [{analyse: {mode: json, delimiter: comma}}]",
        "chains: [{kind: flatten, depth: 1}]",
        "chains: [{analyse: {mode: json}, rows: [{key: a, ops: [{op: shout}]}]}]",
        "chains: [{analyse: {mode: json}, rows: [{key: a, ops: [{op: trim, old: b}]}]}]",
        "chains: {analyse: {mode: json}}",
        "guard: {empty: ignore}",
        "filter: {rules: [{key: a}]}",
        "failure: {policy: retry}",
        "failure: {policy: dlq, dlq: {}}",
        "headers: [{value: b}]",
    ] {
        let text = format!("{{apiVersion: etl/v1, spec: {{{spec}}}}}");
        assert!(Rule::parse(&text).is_err(), "{spec}");
        assert!(validator.check(&serde_saphyr::from_str(&text).unwrap()).is_err(), "{spec}");
    }
}

#[test]
fn every_field_that_the_reader_asks_for_is_in_the_schema() {
    fn names(schema: &Value, found: &mut BTreeSet<String>) {
        if let Some(members) = schema["properties"].as_object() {
            found.extend(members.keys().cloned());
        }
        match schema {
            Value::Object(members) => members.values().for_each(|inner| names(inner, found)),
            Value::Array(items) => items.iter().for_each(|inner| names(inner, found)),
            _ => {}
        }
    }
    let mut known = BTreeSet::new();
    names(&Validator::new().0, &mut known);
    let asks = regex::Regex::new(
        r#"\.(?:node|has|text|word|text_or|needed|flag|integer|count|character|choice|list|texts|inner|pairs)\(\s*"([A-Za-z_]+)""#,
    )
    .unwrap();
    let text = READER.concat();
    let asked: BTreeSet<String> =
        asks.captures_iter(&text).map(|found| found[1].to_owned()).collect();
    assert!(asked.len() > 60, "{}", asked.len());
    let missing: Vec<&String> = asked.difference(&known).collect();
    assert!(missing.is_empty(), "not in the schema: {missing:?}");
    // `all`, `any` and `not` are looked for in another way.
    let surplus: BTreeSet<&str> = known.difference(&asked).map(String::as_str).collect();
    assert_eq!(surplus, BTreeSet::from(["all", "any", "not"]), "in the schema, but not read");
}
