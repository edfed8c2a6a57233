//! How a rule would read messages that nobody has described: ways to parse them, tried on the messages.

use std::collections::BTreeSet;

use etl::{Compiled, Resources, Rule, Scratch};
use jiff::Timestamp;

use super::sample::Sample;

/// A way to parse messages.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Suggestion {
    /// The mode in words.
    pub(super) mode: &'static str,
    /// The first chain of a rule.
    pub(super) chain: String,
    /// How many of the messages it parses.
    pub(super) fits: usize,
    /// The fields that the messages have then.
    pub(super) fields: Vec<String>,
}

/// Delimiters that are tried, by their names in a rule.
const DELIMITERS: [(&str, &str); 8] = [
    ("tab", "\t"),
    ("pipe", "|"),
    ("semicolon", ";"),
    ("comma", ","),
    ("\"$\"", "$"),
    ("\"&\"", "&"),
    ("space", " "),
    ("colon", ":"),
];
/// What may stand between key and value.
const SEPARATORS: [(&str, &str); 2] = [("\"=\"", "="), ("colon", ":")];
/// Bytes of the frame that schema registries put before a message.
const FRAME_BYTES: usize = 5;

/// The way that parses most messages; of equal ones the most telling. Nothing when there is no message, or none fits.
pub(super) fn suggest(samples: &[Sample]) -> Option<Suggestion> {
    let values: Vec<&[u8]> = samples
        .iter()
        .filter_map(|sample| sample.value.as_deref())
        .filter(|value| !value.is_empty())
        .collect();
    if values.is_empty() {
        return None;
    }
    if values.iter().all(|value| value.len() >= FRAME_BYTES && value[0] == 0) {
        let is_json = values.iter().all(|value| value.get(FRAME_BYTES) == Some(&b'{'));
        let (mode, format) =
            if is_json { ("schema id and JSON", "json") } else { ("schema id and Avro", "avro") };
        let chain = format!("{{kind: decode, format: {format}}}");
        return Some(Suggestion { mode, chain, fits: values.len(), fields: Vec::new() });
    }
    let mut ways = vec![
        ("json", "{analyse: {mode: json}}".to_owned()),
        ("json_array", "{analyse: {mode: json_array, output: each}}".to_owned()),
    ];
    let texts: Option<Vec<&str>> =
        values.iter().map(|value| std::str::from_utf8(value).ok()).collect();
    // A brace is meant as JSON, be it whole or not.
    if let Some(texts) = texts.filter(|texts| !texts.iter().any(|text| text.starts_with('{'))) {
        ways.extend(key_value(&texts));
        ways.extend(delimited(&texts));
    }
    let mut best: Option<Suggestion> = None;
    for (mode, chain) in ways {
        let (fits, fields) = try_on(&chain, samples);
        if fits > best.as_ref().map_or(0, |best| best.fits) {
            best = Some(Suggestion { mode, chain, fits, fields });
        }
    }
    best
}

/// How many messages the chain parses, and the fields of the first one.
fn try_on(chain: &str, samples: &[Sample]) -> (usize, Vec<String>) {
    let text = format!("{{apiVersion: etl/v1, spec: {{chains: [{chain}]}}}}");
    let Ok(rule) = Rule::parse(&text) else { return (0, Vec::new()) };
    let Ok(compiled) = Compiled::new(&rule, &Resources::new()) else { return (0, Vec::new()) };
    let mut scratch = Scratch::new();
    let (mut fits, mut fields) = (0, Vec::new());
    for sample in samples.iter().filter(|sample| sample.value.is_some()) {
        sample.explain(&compiled, Timestamp::UNIX_EPOCH, &mut scratch, |explanation| {
            fits += usize::from(explanation.result.is_ok());
            if fields.is_empty() {
                fields = explanation.suggested_rows.iter().map(|row| row.key.clone()).collect();
            }
        });
    }
    (fits, fields)
}

/// Every part of every message is a key, a separator and a value.
fn key_value(texts: &[&str]) -> Option<(&'static str, String)> {
    for (separator_name, separator) in SEPARATORS {
        for (name, delimiter) in DELIMITERS.iter().filter(|(_, delimiter)| *delimiter != separator)
        {
            let is_pair = |part: &str| part.find(separator).is_some_and(|at| at > 0);
            let fits = texts.iter().all(|text| text.trim_end().split(delimiter).all(is_pair));
            if fits && texts.iter().any(|text| text.contains(delimiter)) {
                let secondary = format!("{{delimiter: {separator_name}, keep_original: false}}");
                let chain = format!(
                    "{{analyse: {{mode: delimiter, delimiter: {name}}}, secondary: {secondary}}}"
                );
                return Some(("key-value", chain));
            }
        }
    }
    None
}

/// Every message has as many parts; the delimiter that gives most of them.
fn delimited(texts: &[&str]) -> Option<(&'static str, String)> {
    let parts = |delimiter: &str| {
        let counts: BTreeSet<usize> =
            texts.iter().map(|text| text.split(delimiter).count()).collect();
        counts.first().copied().filter(|count| counts.len() == 1 && *count > 1)
    };
    let found = DELIMITERS.iter().filter_map(|(name, delimiter)| Some((parts(delimiter)?, *name)));
    // Of equal ones the first.
    let (_, name) = found.rev().max_by_key(|(count, _)| *count)?;
    Some(("delimiter", format!("{{analyse: {{mode: delimiter, delimiter: {name}}}}}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_parse() {
        let check = |values: &[&str], expected: Option<(&str, usize, &str)>| {
            let sample = |value: &&str| Sample {
                value: Some(value.as_bytes().to_vec()),
                ..Sample::default()
            };
            let samples: Vec<Sample> = values.iter().map(sample).collect();
            let found = suggest(&samples);
            let found = found.as_ref().map(|found| (found.mode, found.fits, found.chain.as_str()));
            assert_eq!(found, expected, "{values:?}");
        };
        check(&["{\"a\":1}", "{}"], Some(("json", 2, "{analyse: {mode: json}}")));
        check(&["{\"a\":1}", "{", "{}"], Some(("json", 2, "{analyse: {mode: json}}")));
        check(
            &["[{\"a\":1}]"],
            Some(("json_array", 1, "{analyse: {mode: json_array, output: each}}")),
        );
        check(
            &["a|b|c", "1|2|"],
            Some(("delimiter", 2, "{analyse: {mode: delimiter, delimiter: pipe}}")),
        );
        check(
            &["a b,c", "1 2,3 "],
            Some(("delimiter", 2, "{analyse: {mode: delimiter, delimiter: comma}}")),
        );
        let pairs = "{analyse: {mode: delimiter, delimiter: \"$\"}, secondary: {delimiter: \"=\", keep_original: false}}";
        check(&["a=1$b=2", "a=3"], Some(("key-value", 2, pairs)));
        check(
            &["\0\0\0\0\x07\x02"],
            Some(("schema id and Avro", 1, "{kind: decode, format: avro}")),
        );
        check(&["\0\0\0\0\x07{}"], Some(("schema id and JSON", 1, "{kind: decode, format: json}")));
        check(&["{\"a\":1}{\"a\":1,\"b\":2}"], None);
        check(&["hello", "hello world"], None);
        check(&[], None);
    }
}
