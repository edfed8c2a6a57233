//! Any expression on any text (a NUL stands between). Oracle: what is extracted stands in the text; the auto-generated expression
//! gives back what was marked.
#![no_main]

use etl::{Selection, generate_regex};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

#[path = "../support/etl.rs"]
mod support;
use support::outputs;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Some((regex, text)) = text.split_once('\0') else { return };
    if regex.len() > 200 || text.is_empty() {
        return;
    }
    let quoted = serde_json::to_string(regex).expect("a literal");
    let spec = format!("{{\"apiVersion\":\"etl/v1\",\"spec\":{{\"chains\":[{{\"analyse\":{{\"mode\":\"regex\",\"regex\":{quoted}}}}}]}}}}");
    if let Ok(rule) = etl::Rule::parse(&spec) {
        let mut compiled = etl::Compiled::new(&rule, &etl::Resources::new()).expect("it was parsed");
        compiled.set_limits(support::limits());
        if let Ok(found) = outputs(&compiled, text.as_bytes()) {
            let found: Value = serde_json::from_slice(&found[0]).expect("JSON");
            for value in found.as_object().expect("an object").values() {
                assert!(value.as_str().is_none_or(|value| text.contains(value)), "{value} is not in the text");
            }
        }
    }
    let count = text.chars().count();
    let marks: Vec<usize> = regex.bytes().map(|byte| usize::from(byte) % (count + 1)).take(6).collect();
    let selections: Vec<Selection> = (0..)
        .zip(marks.chunks_exact(2))
        .map(|(at, pair): (usize, _)| Selection { start: pair[0], end: pair[1], name: format!("g{at}") })
        .collect();
    if let Ok(generated) = generate_regex(text, &selections) {
        for (name, value) in &generated.fields {
            let wanted = selections.iter().find(|selection| selection.name == *name).expect("a selection");
            let marked: String = text.chars().skip(wanted.start).take(wanted.end - wanted.start).collect();
            assert_eq!(*value, marked);
        }
        assert_eq!(generated.fields.len(), selections.len());
    }
});
