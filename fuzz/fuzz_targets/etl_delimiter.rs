//! Text cut at delimiters. Oracle: the fields joined give the text again; with quotes no panic and a stable result.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;

#[path = "../support/etl.rs"]
mod support;
use support::{compiled, outputs};

const DELIMITERS: [&str; 6] = [",", " ", "||", "\t", "é", "aa"];

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(data) else { return };
    if text.is_empty() {
        return;
    }
    let delimiter = DELIMITERS[usize::from(*choice) % DELIMITERS.len()];
    let quoted = serde_json::to_string(delimiter).expect("a literal");
    let plain = compiled(&format!("{{chains: [{{analyse: {{mode: delimiter, delimiter: {quoted}}}}}]}}"));
    let found: Value = serde_json::from_slice(&outputs(&plain, data).expect("text")[0]).expect("JSON");
    let fields: Vec<&str> = found.as_object().expect("an object").values().map(|v| v.as_str().expect("text")).collect();
    assert_eq!(fields.join(delimiter), text);

    let options = ["collapse: true", "quote: '\"'", "strip_eol: true, columns: [a, b]"];
    let option = options[usize::from(*choice) / DELIMITERS.len() % options.len()];
    let secondary = "secondary: {delimiter: '=', keep_original: false}";
    let other = compiled(&format!(
        "{{chains: [{{analyse: {{mode: delimiter, delimiter: {quoted}, {option}}}, {secondary}}}]}}"
    ));
    if let Ok(found) = outputs(&other, data) {
        serde_json::from_slice::<Value>(&found[0]).expect("JSON");
    }
});
