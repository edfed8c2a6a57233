//! Laws that hold for every message.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use etl::{Compiled, Record, Resources, Rule, Scratch};
use jiff::Timestamp;
use proptest::prelude::*;

fn compiled(spec: &str) -> Compiled {
    let rule = Rule::parse(&format!("apiVersion: etl/v1\nspec: {spec}"))
        .unwrap_or_else(|errors| panic!("{errors}\n{spec}"));
    Compiled::new(&rule, &Resources::new()).unwrap()
}

/// The outputs as texts; `None` when the record failed.
fn outputs(compiled: &Compiled, text: &str) -> Option<Vec<String>> {
    let mut scratch = Scratch::new();
    let record = Record::from_value(text.as_bytes());
    let outputs = compiled.apply(&record, Timestamp::UNIX_EPOCH, &mut scratch).ok()?;
    let texts = outputs.records.iter().flat_map(|output| {
        let text = String::from_utf8(output.value.unwrap().to_vec()).unwrap();
        std::iter::repeat_n(text, output.copies as usize)
    });
    Some(texts.collect())
}

fn one(compiled: &Compiled, text: &str) -> String {
    outputs(compiled, text).unwrap_or_else(|| panic!("failed on {text}")).remove(0)
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        (-1e9..1e9_f64).prop_map(Into::into),
        any::<String>().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
            object(inner),
        ]
    })
}

fn object(
    inner: impl Strategy<Value = serde_json::Value>,
) -> impl Strategy<Value = serde_json::Value> {
    let key = prop_oneof!["[a-d]", "[a-c]\\.[a-c]", any::<String>()];
    proptest::collection::vec((key, inner), 0..8)
        .prop_map(|members| serde_json::Value::Object(members.into_iter().collect()))
}

proptest! {
    /// A rule that changes nothing gives what an independent reader and writer give.
    #[test]
    fn identity(value in object(json()), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
        let found = one(&compiled("{chains: [{analyse: {mode: json}}]}"), &text);
        prop_assert_eq!(found, serde_json::to_string(&value).unwrap());
    }

    /// Two chains do what two tasks in a row do.
    #[test]
    fn chains_compose(value in object(json())) {
        let rows = "rows_mode: patch, rows: [{key: z, operate: jsonpath, value: '$.a', ops: [{op: json_encode}]}, {key: b, operate: delete}]";
        let more = "rows_mode: patch, rows: [{key: y, value: z}, {key: w, rename_from: c}]";
        let both = compiled(&format!("{{chains: [{{analyse: {{mode: json}}, {rows}}}, {{analyse: {{mode: source}}, {more}}}]}}"));
        let first = compiled(&format!("{{chains: [{{analyse: {{mode: json}}, {rows}}}]}}"));
        let second = compiled(&format!("{{chains: [{{analyse: {{mode: json}}, {more}}}]}}"));
        let text = value.to_string();
        prop_assert_eq!(one(&both, &text), one(&second, &one(&first, &text)));
    }

    /// A filter and its negation split the messages between them, whatever it looks at and however it is put together.
    #[test]
    fn filters_complement(value in object(json()), wanted in "[0-9a-c]{1,3}", number in 0..200_u8, mode in 0..11_usize, path in any::<bool>(), shape in 0..3_usize) {
        let mode = ["prefix", "suffix", "contains", "except", "equals", "not_null", "is_null", "exists", "regex", "number", "ip"][mode];
        let key = if path { "$.a" } else { "a" };
        let wanted = match mode {
            "number" => format!(">={number}&<200|<-{number}"),
            "ip" => format!("10.0.0.0/8, {number}.0.0.0/4"),
            _ => wanted,
        };
        let test = format!("{{key: {key}, mode: {mode}, value: '{wanted}'}}");
        let test = match shape {
            0 => test,
            1 => format!("{{all: [{test}, {{key: b, mode: exists}}]}}"),
            _ => format!("{{any: [{test}, {{key: b, mode: exists}}]}}"),
        };
        let yes = compiled(&format!("{{chains: [{{analyse: {{mode: json}}}}], filter: {{rules: [{test}]}}}}"));
        let no = compiled(&format!("{{chains: [{{analyse: {{mode: json}}}}], filter: {{rules: [{{not: {test}}}]}}}}"));
        let text = value.to_string();
        let kept = (outputs(&yes, &text).unwrap().len(), outputs(&no, &text).unwrap().len());
        prop_assert!(kept == (0, 1) || kept == (1, 0), "{:?}", kept);
        // Where the bytes are written as they were read, nothing but the filter's fields is looked at.
        let original = compiled(&format!("{{chains: [{{analyse: {{mode: json}}}}], filter: {{rules: [{test}]}}, output: {{format: original}}}}"));
        let found = outputs(&original, &text).unwrap();
        prop_assert_eq!(found, if kept.0 == 1 { vec![text] } else { vec![] });
    }

    /// A chain that reads a field adds what a task of its own would make of that field, under its name.
    #[test]
    fn chains_on_a_field_compose(value in object(json())) {
        let both = compiled("{chains: [{analyse: {mode: json}, rows: [{key: t}]}, {analyse: {mode: json, input: t}}]}");
        // By `identity`, a task makes of the field what it holds.
        let inner = value.to_string();
        let outer = serde_json::json!({"t": inner}).to_string();
        let mut wanted = serde_json::Map::new();
        wanted.insert("t".to_owned(), inner.into());
        wanted.extend(value.as_object().unwrap().iter().map(|(key, value)| (format!("t.{key}"), value.clone())));
        prop_assert_eq!(one(&both, &outer), serde_json::to_string(&wanted).unwrap());
    }

    /// N copies of each output, adjacent.
    #[test]
    fn multiplier(elements in proptest::collection::vec(object(json()), 0..5), copies in 1..6_u32) {
        let mut compiled = compiled("{chains: [{analyse: {mode: json_array, output: each}}]}");
        let text = serde_json::Value::from(elements).to_string();
        let single = outputs(&compiled, &text).unwrap();
        compiled.set_multiplier(copies);
        let wanted: Vec<String> =
            single.into_iter().flat_map(|text| std::iter::repeat_n(text, copies as usize)).collect();
        prop_assert_eq!(outputs(&compiled, &text).unwrap(), wanted);
    }

    /// Values in which the delimiter does not stand come back from ROW output.
    #[test]
    fn rows_round_trip(values in proptest::collection::vec("[^,\"\\r\\n]{0,6}", 1..8)) {
        let write = compiled("{chains: [{analyse: {mode: json}}], output: {format: row, row: {entry_delimiter: comma}}}");
        let read = compiled("{chains: [{analyse: {mode: delimiter, delimiter: comma}}]}");
        let document: serde_json::Map<String, serde_json::Value> =
            (0..).zip(&values).map(|(at, value): (usize, _)| (at.to_string(), value.clone().into())).collect();
        let text = serde_json::to_string(&document).unwrap();
        prop_assert_eq!(one(&read, &one(&write, &text)), text);
    }

    /// The same with keys: pairs in which neither delimiter stands.
    #[test]
    fn rows_with_keys_round_trip(members in proptest::collection::vec(("[a-z]{1,4}", "[^=&\"\\\\]{0,6}"), 1..8)) {
        let write = compiled("{chains: [{analyse: {mode: json}}], output: {format: row, row: {content: key_value, kv_delimiter: '=', entry_delimiter: '&'}}}");
        let read = compiled("{chains: [{analyse: {mode: delimiter, delimiter: '&'}, secondary: {delimiter: '=', keep_original: false}}]}");
        let document: serde_json::Map<String, serde_json::Value> =
            members.into_iter().map(|(key, value)| (key, value.into())).collect();
        let text = serde_json::to_string(&document).unwrap();
        prop_assert_eq!(one(&read, &one(&write, &text)), text);
    }

    /// With quoting any values come back.
    #[test]
    fn quoted_rows_round_trip(values in proptest::collection::vec(any::<String>(), 1..8)) {
        let write = compiled("{chains: [{analyse: {mode: json}}], output: {format: row, row: {entry_delimiter: comma, quote: csv}}}");
        let read = compiled("{chains: [{analyse: {mode: delimiter, delimiter: comma, quote: '\"'}}]}");
        let document: serde_json::Map<String, serde_json::Value> =
            (0..).zip(&values).map(|(at, value): (usize, _)| (at.to_string(), value.clone().into())).collect();
        let text = serde_json::to_string(&document).unwrap();
        prop_assert_eq!(one(&read, &one(&write, &text)), text);
    }

    /// Looking only at the members that are asked for changes nothing.
    #[test]
    fn unneeded_members_make_no_difference(value in object(json()), keys in proptest::collection::btree_set("[a-c](\\.[a-c])?", 1..4)) {
        let rows: Vec<String> = keys.iter().map(|key| format!("{{key: {key}, on_missing: skip}}")).collect();
        let rows = rows.join(", ");
        let few = compiled(&format!("{{chains: [{{analyse: {{mode: json}}, rows: [{rows}]}}]}}"));
        let all = compiled(&format!("{{chains: [{{analyse: {{mode: json}}}}, {{analyse: {{mode: source}}, rows: [{rows}]}}]}}"));
        let text = value.to_string();
        prop_assert_eq!(one(&few, &text), one(&all, &text));
    }

    /// Times are written as jiff writes them, and read back.
    #[test]
    fn dates_round_trip(ms in -60_000_000_000_000..250_000_000_000_000_i64, zone in 0..5_usize) {
        let zone = ["UTC", "GMT+8", "-03:30", "America/New_York", "Asia/Kolkata"][zone];
        let write = compiled(&format!("{{chains: [{{analyse: {{mode: json}}, rows: [{{key: v, ops: [{{op: date, format: \"yyyy-MM-dd'T'HH:mm:ss.SSSxxx\", input: [yyyy-MM-dd'T'HH:mm:ss.SSSXXX], zone: {zone}}}]}}]}}]}}"));
        let time = Timestamp::from_millisecond(ms).unwrap();
        let input = serde_json::json!({"v": time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()}).to_string();
        let written = one(&write, &input);
        let offset = match zone { "GMT+8" => jiff::tz::TimeZone::fixed(jiff::tz::offset(8)), "-03:30" => jiff::tz::TimeZone::fixed(jiff::tz::Offset::from_seconds(-12_600).unwrap()), name => jiff::tz::TimeZoneDatabase::bundled().get(name).unwrap() };
        let zoned = time.to_zoned(offset);
        // Offsets of the past may have seconds, which the pattern has no letter for.
        prop_assume!(zoned.offset().seconds() % 60 == 0);
        let wanted = serde_json::json!({"v": zoned.strftime("%Y-%m-%dT%H:%M:%S.%3f%:z").to_string()}).to_string();
        prop_assert_eq!(&written, &wanted);
        let read = compiled("{chains: [{analyse: {mode: json}, rows: [{key: v, ops: [{op: date, format: unix_ms}]}]}]}");
        prop_assert_eq!(one(&read, &written), format!("{{\"v\":{ms}}}"));
    }

    /// Numeric filters compare exactly.
    #[test]
    fn numbers_compare_exactly(a in any::<i64>(), b in any::<i64>(), scale in 0..6_u32, shift in 0..4_u32) {
        let plain = |number: i64| format!("{number}e-{scale}");
        let other = |number: i64| format!("{}e{}", i128::from(number) * 10_i128.pow(shift), -i64::from(scale + shift));
        for (symbol, wanted) in [("<", a < b), ("<=", a <= b), (">", a > b), (">=", a >= b), ("=", a == b), ("!=", a != b)] {
            let filter = compiled(&format!("{{chains: [{{analyse: {{mode: json}}}}], filter: {{rules: [{{key: n, mode: number, value: '{symbol}{}'}}]}}}}", other(b)));
            let kept = outputs(&filter, &format!("{{\"n\":{}}}", plain(a))).unwrap().len() == 1;
            prop_assert_eq!(kept, wanted, "{} {} {}", a, symbol, b);
        }
    }

    /// A rule reads back from what it is written as, whatever its texts hold.
    #[test]
    fn rules_round_trip(text in any::<String>(), name in any::<String>()) {
        prop_assume!(!text.is_empty() && !etl_delimiter_name(&text));
        let mut rule = Rule::parse("{apiVersion: etl/v1, spec: {chains: [{analyse: {mode: delimiter, delimiter: x}, rows: [{key: x, operate: custom, value: x}]}]}}").unwrap();
        rule.name = name;
        rule.sample = Some(text.clone());
        let etl::rule::ChainBody::Process(process) = &mut rule.chains[0].body else { panic!("a process") };
        process.rows[0].key = text.clone();
        process.rows[0].operate = etl::rule::Operate::Custom(text.clone());
        process.analyse.mode = etl::rule::AnalyseMode::Delimiter(etl::rule::DelimiterMode { delimiter: text, ..Default::default() });
        let (yaml, json) = (rule.to_yaml(), rule.to_json());
        let again = Rule::parse(&yaml).unwrap_or_else(|errors| panic!("{errors}\n{yaml}"));
        prop_assert_eq!(&again, &rule, "{}", yaml);
        prop_assert_eq!(&Rule::parse(&json).unwrap(), &rule, "{}", json);
        prop_assert_eq!(again.to_yaml(), yaml);
    }
}

/// Literal delimiters that are spelled like a name cannot be written.
fn etl_delimiter_name(text: &str) -> bool {
    ["none", "space", "tab", "comma", "semicolon", "pipe", "colon"]
        .iter()
        .any(|name| name.eq_ignore_ascii_case(text))
}
