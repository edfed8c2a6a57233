//! JSON messages of about 1 KB, and what the rules of the suite `etl` make of them.

use anyhow::Result;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const COUNT: usize = 1000;
/// Members that no rule asks for fill up to here.
const FILLED_TO: usize = 980;

/// Six fields of which one is a date, and a filter; what the peers do as well.
pub(super) const RULE: &str = "  chains:
    - analyse: {mode: json}
      rows:
        - {key: id, value: request_id}
        - {key: user, operate: jsonpath, value: $.user.id}
        - {key: status, type: int64}
        - {key: path}
        - {key: region}
        - {key: time, value: '@timestamp', ops: [{op: date, format: 'yyyy-MM-dd HH:mm:ss', zone: GMT+8}]}
  filter: {rules: [{key: status, mode: number, value: '>=200&<500'}]}
";

/// What that rule makes of the first message.
pub(super) const FIRST_OUTPUT: &str = r#"{"id":"req-00000000","user":0,"status":200,"path":"/api/v1/items/0?q=café","region":"eu-west-0","time":"2026-03-01 18:00:33"}"#;

/// Rules that ask for less and less.
pub(super) const LESSER_RULES: [(&str, &str); 5] = [
    (
        "filter, output JSON as read",
        "  chains: [{analyse: {mode: json}}]\n  filter: {rules: [{key: status, mode: number, value: '>=200&<500'}]}\n",
    ),
    (
        "filter, original bytes",
        "  chains: [{analyse: {mode: json}}]\n  filter: {rules: [{key: status, mode: number, value: '>=200&<500'}]}\n  output: {format: original}\n",
    ),
    (
        "filter that drops all",
        "  chains: [{analyse: {mode: json}}]\n  filter: {rules: [{key: status, mode: number, value: '>=500'}]}\n",
    ),
    ("identity", "  chains: [{analyse: {mode: json}}]\n"),
    ("nothing (pass)", "  chains: []\n"),
];

/// A file of messages.
#[derive(Debug)]
pub(super) struct Messages {
    pub(super) path: PathBuf,
    /// Bytes of all.
    total: u64,
}

impl Messages {
    pub(super) fn write(directory: &Path) -> Result<Self> {
        let path = directory.join("messages.txt");
        let mut text = String::new();
        for index in 0..COUNT {
            message(&mut text, index)?;
        }
        fs::write(&path, &text)?;
        Ok(Self { path, total: u64::try_from(text.len() - COUNT)? })
    }

    /// Bytes of so many of them.
    pub(super) fn bytes_of(&self, records: u64) -> u64 {
        records * self.total / COUNT as u64
    }
}

/// A line of access log as JSON, with an escape, nested values and members that nobody maps.
fn message(text: &mut String, index: usize) -> Result<()> {
    let start = text.len();
    write!(
        text,
        r#"{{"@timestamp":"2026-03-{:02}T10:{:02}:33.210Z","request_id":"req-{index:08}","user":{{"id":{},"name":"user {index}","tags":["a","b","c"],"plan":"pro"}},"status":{},"method":"GET","path":"/api/v1/items/{index}?q=caf\u00e9","region":"eu-west-{}","latency_ms":{}.25,"bytes":{},"ok":true,"referer":null"#,
        index % 28 + 1,
        index % 60,
        index * 7,
        200 + index % 100,
        index % 4,
        index % 500,
        index * 131
    )?;
    let mut field = 0;
    while text.len() - start < FILLED_TO {
        write!(text, r#","extra_{field}":"some text that nobody maps, number {field}""#)?;
        field += 1;
    }
    text.push_str("}\n");
    Ok(())
}

/// A template around a rule.
pub(super) fn template(spec: &str) -> String {
    format!("apiVersion: etl/v1\nspec:\n{spec}")
}
