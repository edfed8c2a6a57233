//! A rule and a message together: the rule is free text, or put together from parts that the input chooses and fills.
//!
//! Oracle: nothing panics; a rule reads back from what it is written as; the same record gives the same result, watched or not;
//! every JSON output is JSON; every error has a place.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use etl::{Compiled, Header, Record, Resources, Rule, Scratch};
use libfuzzer_sys::fuzz_target;

#[path = "../support/etl.rs"]
mod support;

#[derive(Arbitrary, Debug)]
struct Message {
    key: Option<Vec<u8>>,
    header: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    json: bool,
    offset: i64,
    timestamp_ms: i64,
    now_ms: i64,
}

/// Parts of rows; `@` is replaced by text of the input.
const OPS: [&str; 24] = [
    "{op: replace, old: @, new: @}",
    "{op: substr, start: 1, end: 7}",
    "{op: date, format: @}",
    "{op: date, format: yyyy-MM-dd HH:mm:ss.SSSX, input: [@], zone: America/New_York}",
    "{op: date, format: unix_ns}",
    "{op: date, format: 'EEEE dd MMM yy hh a', input: unix, zone: @}",
    "{op: trim}",
    "{op: regex_replace, regex: @, new: @}",
    "{op: split, delimiter: @}",
    "{op: split, delimiter: @, is_regex: true}",
    "{op: kv, delimiter: ',', regex: @, keep_original_key: true}",
    "{op: json_path_replace, old: @, new: @}",
    "{op: json_path_replace, old: '$..a', new: $}",
    "{op: url_decode, charset: gbk}",
    "{op: lowercase}",
    "{op: uppercase}",
    "{op: hash, alg: sha256}",
    "{op: mask, keep_first: 2, keep_last: 1}",
    "{op: redact}",
    "{op: url_encode}",
    "{op: base64_decode}",
    "{op: json_encode}",
    "{op: json_decode}",
    "{op: math, expr: @}",
];
const CHAINS: [&str; 9] = [
    "{analyse: {mode: json, input: a}}",
    "{analyse: {mode: delimiter, delimiter: @, input: a}, secondary: {delimiter: @, regex: true}}",
    "{analyse: {mode: regex, regex: @, input: b}}",
    "{analyse: {mode: source}, rows_mode: patch, rows: [{key: c, rename_from: a}, {key: b, operate: delete}]}",
    "{kind: flatten}",
    "{kind: unflatten, separator: @}",
    "{kind: drop, fields: [@]}",
    "{kind: dedupe, key: [a]}",
    "{kind: sample, percent: 50}",
];
const FIRST: [&str; 6] = [
    "mode: json",
    "mode: json_array, output: each",
    "mode: json_array, output: multi, path: @",
    "mode: delimiter, delimiter: @, quote: '\"'",
    "mode: regex, regex: @",
    "mode: json",
];
const TESTS: [&str; 6] = [
    "{key: a, mode: number, value: @}",
    "{key: a, mode: ip, value: @}",
    "{key: @, mode: prefix, value: @}",
    "{not: {key: a, mode: equals, value: @}}",
    "{key: b, mode: regex, value: @}",
    "{mode: topic_matches, value: @}",
];
const TAILS: [&str; 5] = [
    "output: {format: row, row: {content: key_value, kv_delimiter: @, entry_delimiter: @, quote: csv}}",
    "route: {topic: @}",
    "key: {from: [a, b], format: json}",
    "headers: [{set: h, value: @}, {drop: @}, {from_field: a, remove: true}]",
    "metadata_fields: {keep: true, placement: both, fields: [topic, offset, timestamp, key]}",
];

fuzz_target!(|data: &[u8]| {
    let mut input = Unstructured::new(data);
    let _ = run(&mut input);
});

fn run(input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let message = Message::arbitrary(input)?;
    let text = if input.ratio(1, 8)? { String::arbitrary(input)? } else { assembled(input)? };
    let Ok(rule) = Rule::parse(&text) else { return Ok(()) };
    let yaml = rule.to_yaml();
    let again = Rule::parse(&yaml).unwrap_or_else(|errors| panic!("{errors}\n{yaml}"));
    // A delimiter that is spelled like a name is written as the name.
    assert_eq!(again.to_yaml(), yaml);
    let mut compiled = Compiled::new(&rule, &Resources::new()).expect("parsing compiles");
    compiled.set_limits(support::limits());
    check(&compiled, &message);
    Ok(())
}

fn check(compiled: &Compiled, message: &Message) {
    let value = match &message.value {
        Some(bytes) if message.json => Some(object(bytes)),
        other => other.clone(),
    };
    let header: Vec<Header<'_>> = message.header.iter().map(|value| ("h", Some(value.as_slice()))).collect();
    let record = Record {
        key: message.key.as_deref(),
        value: value.as_deref(),
        headers: &header,
        timestamp_ms: message.timestamp_ms,
        topic: "t",
        partition: 3,
        offset: message.offset,
    };
    let now = jiff::Timestamp::from_millisecond(message.now_ms % 4_000_000_000_000).expect("a time");
    let mut scratch = Scratch::new();
    let first = compiled.apply(&record, now, &mut scratch);
    if let Err(error) = &first {
        assert!(!error.path.is_empty() && !error.element.is_empty() && !error.cause.is_empty(), "{error:?}");
    }
    let first = format!("{first:?}");
    // The same scratch: dedupe knows a record that is tried again.
    assert_eq!(format!("{:?}", compiled.apply(&record, now, &mut scratch)), first);
    let watched = compiled.explain(&record, now, &mut scratch);
    if let Err(error) = serde_json::from_str::<serde_json::Value>(&watched.to_json()) {
        assert!(error.to_string().contains("recursion"), "{error}: {}", watched.to_json());
    }
    let work = "code: WorkLimit";
    let watched = format!("{:?}", watched.result);
    // Who watches sees all members and all rows, which is more work.
    assert!(watched == first || watched.contains(work) || first.contains(work), "{watched}\n{first}");
}

/// An object whose fields hold the bytes as text, as numbers and nested.
fn object(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let (a, b) = text.split_once('|').unwrap_or((&text, ""));
    let number = bytes.len();
    serde_json::json!({"a": a, "b": b, "n": number, "o": {"a": {"a": b}, "l": [a, number, null]}}).to_string().into_bytes()
}

fn assembled(input: &mut Unstructured<'_>) -> arbitrary::Result<String> {
    let mut rows = Vec::new();
    for at in 0..input.int_in_range(0..=4)? {
        let source = ["value: a", "value: o.a", "operate: jsonpath, value: @", "operate: system_time", "operate: header, value: h"];
        let source = input.choose(&source)?;
        let mut ops = Vec::new();
        for _ in 0..input.int_in_range(0..=4)? {
            ops.push(*input.choose(&OPS)?);
        }
        let kind = input.choose(&["original", "string", "int64", "float64", "boolean", "map", "array"])?;
        let when = if input.ratio(1, 4)? { format!(", when: {}", input.choose(&TESTS)?) } else { String::new() };
        rows.push(format!("{{key: r{at}, {source}, type: {kind}, ops: [{}]{when}}}", ops.join(", ")));
    }
    let mut chains = vec![format!("{{analyse: {{{}}}, rows: [{}]}}", input.choose(&FIRST)?, rows.join(", "))];
    for _ in 0..input.int_in_range(0..=3)? {
        chains.push((*input.choose(&CHAINS)?).to_owned());
    }
    let mut spec = format!("chains: [{}]", chains.join(", "));
    if input.ratio(1, 2)? {
        spec.push_str(&format!(", filter: {{rules: [{}]}}", input.choose(&TESTS)?));
    }
    if input.ratio(1, 2)? {
        spec.push_str(&format!(", {}", input.choose(&TAILS)?));
    }
    let mut filled = String::from("{apiVersion: etl/v1, spec: {");
    for (at, part) in spec.split('@').enumerate() {
        if at > 0 {
            filled.push_str(&serde_json::to_string(<&str>::arbitrary(input)?).expect("a literal"));
        }
        filled.push_str(part);
    }
    filled.push_str("}}");
    Ok(filled)
}
