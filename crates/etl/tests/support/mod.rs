//! Reads the examples with a YAML reader that is not ours, runs them, and compares bytes.

mod run;

use std::collections::BTreeMap;

use serde::Deserialize;

/// One example of the reference.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Example {
    id: String,
    #[serde(rename = "says")]
    _says: String,
    cases: Vec<Case>,
}

/// A rule, a message, and what must come of it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Case {
    spec: Option<String>,
    template: Option<String>,
    import: Option<String>,
    generate: Option<Generate>,

    #[serde(rename = "in")]
    input: Option<String>,
    in_hex: Option<String>,
    in_null: bool,
    key: Option<String>,
    headers: Vec<(String, String)>,
    topic: Option<String>,
    partition: i32,
    offset: i64,
    timestamp_ms: i64,
    now: Option<String>,
    multiplier: Option<u32>,

    out: Option<Texts>,
    out_hex: Option<String>,
    out_null: bool,
    out_topic: Option<String>,
    out_key: Option<String>,
    out_headers: Option<Vec<(String, String)>>,
    dropped: Option<String>,
    error: Option<String>,
    error_path: Option<String>,
    error_offset: Option<usize>,
    config: Option<String>,
    config_path: Option<String>,
    failure: Option<String>,
    dlq_headers: BTreeMap<String, String>,
    steps: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

#[derive(Debug, Deserialize)]
struct Generate {
    sample: String,
    selections: Vec<Selection>,
    regex: String,
}

#[derive(Debug, Deserialize)]
struct Selection {
    start: usize,
    end: usize,
    name: String,
}

/// The examples of one file.
pub(crate) struct Examples(Vec<Example>);

impl Examples {
    pub(crate) fn read(text: &str) -> Self {
        Self(serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}")))
    }

    /// The ids in the order of the file.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.0.iter().map(|example| example.id.as_str()).collect()
    }
}

/// Runs all cases of one example.
pub(crate) fn check(examples: &Examples, id: &str) {
    let example = examples.0.iter().find(|example| example.id == id);
    let example = example.expect("an example with this id");
    assert!(!example.cases.is_empty(), "{id} has no case");
    for (index, case) in example.cases.iter().enumerate() {
        run::case(case, &format!("{id}, case {index}"));
    }
}
