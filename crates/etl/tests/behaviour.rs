//! What needs more than one record, or something besides a rule: memory, secrets, tables, explanations.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use etl::{
    Compiled, DropReason, ErrorCode, Limits, Record, Resources, Rule, Scratch, Selection, Table,
    generate_regex,
};
use jiff::{SignedDuration, Timestamp};

fn rule(spec: &str) -> Rule {
    Rule::parse(&format!("apiVersion: etl/v1\nspec: {{{spec}}}"))
        .unwrap_or_else(|errors| panic!("{errors}"))
}

fn compiled(spec: &str) -> Compiled {
    Compiled::new(&rule(spec), &Resources::new()).unwrap()
}

fn value(compiled: &Compiled, text: &str) -> Result<String, ErrorCode> {
    let mut scratch = Scratch::new();
    let record = Record::from_value(text.as_bytes());
    let outputs =
        compiled.apply(&record, Timestamp::UNIX_EPOCH, &mut scratch).map_err(|error| error.code)?;
    Ok(String::from_utf8(outputs.records[0].value.unwrap().to_vec()).unwrap())
}

#[test]
fn dedupe_forgets_after_its_window_and_lets_a_retry_through() {
    let compiled = compiled(
        "chains: [{analyse: {mode: json}}, {kind: dedupe, key: [id], window_ms: 1000, max_keys: 2}]",
    );
    let mut scratch = Scratch::new();
    let mut kept = |offset: i64, id: &str, at_ms: i64| {
        let text = format!("{{\"id\":\"{id}\"}}");
        let record = Record { offset, ..Record::from_value(text.as_bytes()) };
        let now = Timestamp::from_millisecond(at_ms).unwrap();
        compiled.apply(&record, now, &mut scratch).unwrap().dropped.is_none()
    };
    assert!(kept(0, "a", 0));
    assert!(!kept(1, "a", 10), "seen before");
    assert!(kept(0, "a", 20), "the same record again is no duplicate of itself");
    assert!(kept(2, "a", 1000), "the window is over");
    assert!(kept(3, "b", 1001));
    assert!(kept(4, "c", 1002));
    assert!(kept(5, "d", 1003), "the memory is full");
    assert!(kept(6, "a", 1004), "the oldest key was forgotten");
    assert!(!kept(7, "d", 1005));
}

#[test]
fn elements_of_one_array_can_be_duplicates() {
    let compiled = compiled(
        "chains: [{analyse: {mode: json_array, output: each}}, {kind: dedupe, key: [id]}]",
    );
    let record = Record::from_value(br#"[{"id":1},{"id":1},{"id":2}]"#);
    let mut scratch = Scratch::new();
    for _ in 0..2 {
        let outputs = compiled.apply(&record, Timestamp::UNIX_EPOCH, &mut scratch).unwrap();
        assert_eq!((outputs.records.len(), outputs.array_elements_filtered), (2, 1));
    }
}

#[test]
fn throttle_counts_each_second_anew() {
    let compiled =
        compiled("chains: [{kind: throttle, records_per_second: 2}, {analyse: {mode: json}}]");
    let mut scratch = Scratch::new();
    let mut reason = |offset: i64, second: i64| {
        let record = Record { offset, ..Record::from_value(b"{}") };
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(second);
        compiled.apply(&record, now, &mut scratch).unwrap().dropped
    };
    assert_eq!(
        [reason(0, 5), reason(1, 5), reason(1, 5), reason(2, 5)],
        [None, None, None, Some(DropReason::Throttled)]
    );
    assert_eq!(reason(3, 6), None);
}

#[test]
fn samples_keep_their_share_and_keep_keys_together() {
    let compiled =
        compiled("chains: [{kind: sample, percent: 25, by_key: true}, {analyse: {mode: json}}]");
    let mut scratch = Scratch::new();
    let mut kept = 0;
    for at in 0..4000_i64 {
        let key = (at / 2).to_string();
        let mut is_kept = |offset: i64| {
            let record = Record { offset, key: Some(key.as_bytes()), ..Record::from_value(b"{}") };
            compiled.apply(&record, Timestamp::UNIX_EPOCH, &mut scratch).unwrap().dropped.is_none()
        };
        assert_eq!(is_kept(at), is_kept(at + 1));
        kept += i32::from(is_kept(at));
    }
    assert!((900..1100).contains(&kept), "{kept} of 4000");
}

#[test]
fn secrets_are_needed_and_never_shown() {
    let spec = "chains: [{analyse: {mode: json}, rows: [{key: v, ops: [{op: hash, alg: hmac-sha256, secret: k}]}]}]";
    let errors = Compiled::new(&rule(spec), &Resources::new()).unwrap_err();
    assert_eq!(errors.iter().next().unwrap().code, ErrorCode::SecretUnknown);
    let resources = Resources::new().with_secret("k", b"key");
    let compiled = Compiled::new(&rule(spec), &resources).unwrap();
    // RFC 2104's construction, known answer.
    let text = r#"{"v":"The quick brown fox jumps over the lazy dog"}"#;
    let expected = r#"{"v":"f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8"}"#;
    assert_eq!(value(&compiled, text).unwrap(), expected);
    assert!(!format!("{resources:?} {compiled:?}").contains("107, 101, 121"));
}

#[test]
fn lookup_joins_a_table_that_changes() {
    let spec = "chains: [{analyse: {mode: json}}, {kind: lookup, table: users, key: u, fields: {name: name, age: age}, on_missing: fail}]";
    assert!(Compiled::new(&rule(spec), &Resources::new()).is_err());
    let table = Table::from_csv("id,name,age\n1,Ann,7\n", "id").unwrap();
    let compiled =
        Compiled::new(&rule(spec), &Resources::new().with_table("users", table)).unwrap();
    assert_eq!(value(&compiled, r#"{"u":1}"#).unwrap(), r#"{"u":1,"name":"Ann","age":"7"}"#);
    assert_eq!(value(&compiled, r#"{"u":2}"#), Err(ErrorCode::LookupMissing));
    let users = compiled.table("users").unwrap();
    users.set("2", users.read_row(r#"{"name":"Bo","age":8.0,"x":[1]}"#).unwrap());
    assert_eq!(value(&compiled, r#"{"u":"2"}"#).unwrap(), r#"{"u":"2","name":"Bo","age":8.0}"#);
    users.remove("2");
    assert_eq!(value(&compiled, r#"{"u":"2"}"#), Err(ErrorCode::LookupMissing));
}

#[test]
fn explanations_show_every_row_and_suggest_some() {
    let compiled = compiled(
        "chains: [{analyse: {mode: json}, rows: [{key: a, type: int64}, {key: b, ops: [{op: lowercase}]}, {key: c, type: map}]}], filter: {rules: [{key: a, mode: exists}]}",
    );
    let mut scratch = Scratch::new();
    let record = Record::from_value(br#"{"a":"x","b":"B","c":"y","d":1}"#);
    let explanation = compiled.explain(&record, Timestamp::UNIX_EPOCH, &mut scratch);
    let shown: Vec<String> = explanation
        .steps
        .iter()
        .map(|step| {
            format!("{} {:?} {}", step.path, step.status, step.output.as_deref().unwrap_or("-"))
        })
        .collect();
    assert_eq!(
        shown,
        [
            r#"chains[0].analyse Ok {"a":"x","b":"B","c":"y","d":1}"#,
            "chains[0].secondary Skipped -",
            "chains[0].rows[0] Failed -",
            r#"chains[0].rows[1].ops[0] Ok "b""#,
            r#"chains[0].rows[1] Ok "b""#,
            "chains[0].rows[2] Failed -",
        ]
    );
    let error = explanation.result.unwrap_err();
    assert_eq!(
        (error.path.as_str(), error.element.as_str()),
        ("chains[0].rows[0]", "chain[0].row[a]")
    );
    let keys: Vec<&str> = explanation.suggested_rows.iter().map(|row| row.key.as_str()).collect();
    assert_eq!(keys, ["a", "b", "c", "d"]);
}

#[test]
fn explanations_warn() {
    let compiled = compiled(
        "chains: [{analyse: {mode: json_array, output: single}, rows: [{key: v, operate: jsonpath, value: '$.a.sum())'}]}]",
    );
    let mut scratch = Scratch::new();
    let record = Record::from_value(br#"[{"a":[1,2]},{"a":1},{"a":2}]"#);
    let explanation = compiled.explain(&record, Timestamp::UNIX_EPOCH, &mut scratch);
    assert_eq!(explanation.result.unwrap().records[0].value, Some(&br#"{"v":3}"#[..]));
    assert_eq!(explanation.warnings.len(), 2, "{:?}", explanation.warnings);
}

#[test]
fn all_errors_of_a_rule_come_at_once_with_lines() {
    let text = "apiVersion: etl/v1
spec:
  foo: 1
  guard: {charset: ebcdic}
  chains:
    - analyse: {mode: json}
      rows:
        - {key: a, ops: [{op: date, format: 'qq', zone: Mars}]}
        - {key: a, operate: jsonpath, value: '$['}
        - {key: c, ops: [{op: nope}, {op: regex_replace, regex: '(?=a)'}]}
  filter: {rules: [{key: n, mode: number, value: '>'}]}
  output: {format: row, row: {content: key_value}}
";
    let errors = Rule::parse(text).unwrap_err();
    let mut found: Vec<(u32, &str)> =
        errors.iter().map(|error| (error.line.unwrap_or(0), error.code.as_str())).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            (3, "template_unknown_field"),
            (4, "charset_unknown"),
            (8, "date_format"),
            (8, "zone_unknown"),
            (9, "duplicate_key"),
            (9, "jsonpath_syntax"),
            (10, "regex_unsupported"),
            (10, "template_value"),
            (11, "filter_number_syntax"),
            (12, "row_delimiter_none"),
            (12, "row_delimiter_none"),
        ],
        "{errors}"
    );
}

#[test]
fn values_that_are_put_into_themselves_are_bounded() {
    let op = "{op: json_path_replace, old: $.a, new: $}, {op: json_path_replace, old: $.b, new: $}";
    for (count, code) in
        [(6, None), (40, Some(ErrorCode::WorkLimit)), (49, Some(ErrorCode::WorkLimit))]
    {
        let ops = vec![op; count].join(", ");
        let mut compiled = compiled(&format!(
            "chains: [{{analyse: {{mode: json}}, rows: [{{key: v, ops: [{ops}]}}]}}]"
        ));
        compiled.set_limits(Limits { work_bytes_max: 1 << 20, ..Limits::default() });
        assert_eq!(value(&compiled, r#"{"v":{"a":1,"b":2}}"#).err(), code, "{count}");
    }
    let chains: Vec<String> = (0..40)
        .map(|at| {
            let rows = "rows: [{key: x, operate: jsonpath, value: $}, {key: y, operate: jsonpath, value: $}]";
            let mode = if at == 0 { "json" } else { "source" };
            format!("{{analyse: {{mode: {mode}}}, {rows}}}")
        })
        .collect();
    let mut compiled = compiled(&format!("chains: [{}]", chains.join(", ")));
    compiled.set_limits(Limits { output_bytes_max: 1 << 20, ..Limits::default() });
    assert_eq!(value(&compiled, r#"{"a":1}"#), Err(ErrorCode::RecordTooLarge));
}

#[test]
fn depth_is_bounded_and_deep_input_is_fine() {
    let compiled = compiled("chains: [{analyse: {mode: json}}]");
    let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert_eq!(value(&compiled, &nested(128)).unwrap(), nested(128));
    assert_eq!(value(&compiled, &nested(129)), Err(ErrorCode::JsonDepth));
    assert_eq!(value(&compiled, &"[".repeat(1_000_000)), Err(ErrorCode::JsonDepth));
}

#[test]
fn limits_name_what_is_too_large() {
    let mut compiled = compiled("chains: [{analyse: {mode: json_array, output: each}}]");
    compiled.set_limits(Limits {
        value_bytes_max: 64,
        array_elements_max: 2,
        output_bytes_max: 9,
        ..Limits::default()
    });
    assert_eq!(value(&compiled, &" ".repeat(65)), Err(ErrorCode::RecordTooLarge));
    assert_eq!(value(&compiled, "[{},{},{}]"), Err(ErrorCode::ArrayTooLong));
    assert_eq!(value(&compiled, r#"[{"a":12345}]"#), Err(ErrorCode::RecordTooLarge));
}

#[test]
fn wide_documents_keep_order_and_last_values() {
    let compiled = compiled("chains: [{analyse: {mode: json}}]");
    let members = |from: usize| -> Vec<String> {
        (0..2000).map(|at| format!("\"k{at}\":{}", at + from)).collect()
    };
    let twice = format!("{{{},{}}}", members(0).join(","), members(1).join(","));
    assert_eq!(value(&compiled, &twice).unwrap(), format!("{{{}}}", members(1).join(",")));
}

#[test]
fn dead_letters_do_not_come_back() {
    let rule = rule("chains: [], failure: {policy: dlq, dlq: {topic: d}}");
    assert!(rule.check_topics("s", "t").is_ok());
    for (source, target) in [("d", "t"), ("s", "d")] {
        let errors = rule.check_topics(source, target).unwrap_err();
        assert_eq!(errors.iter().next().unwrap().code, ErrorCode::DlqLoop);
    }
}

#[test]
fn tables_are_read_from_json() {
    let table =
        Table::from_json(r#"[{"id":"1","name":"Ann"},{"id":2,"name":null}]"#, "id").unwrap();
    let spec =
        "chains: [{analyse: {mode: json}}, {kind: lookup, table: t, key: u, fields: [name]}]";
    let compiled = Compiled::new(&rule(spec), &Resources::new().with_table("t", table)).unwrap();
    assert_eq!(value(&compiled, r#"{"u":1}"#).unwrap(), r#"{"u":1,"name":"Ann"}"#);
    assert_eq!(value(&compiled, r#"{"u":2}"#).unwrap(), r#"{"u":2,"name":null}"#);
    assert!(Table::from_json("[{}]", "id").is_err() && Table::from_json("{}", "id").is_err());
}

/// A rule is shared between workers, a scratch belongs to one.
#[test]
fn can_be_sent_to_other_threads() {
    fn check<T: Send>() {}
    fn check_shared<T: Send + Sync>() {}
    check::<Scratch>();
    check_shared::<Compiled>();
    check_shared::<Rule>();
}

#[test]
fn rules_and_messages_with_too_much_of_something_take_no_time() {
    let text = format!("[{}", "[:".repeat(30_000));
    let braces = "{".repeat(60_000);
    for regex in [text, braces, "x".repeat(70_000)] {
        let quoted = serde_json::to_string(&regex).unwrap();
        let _ = Rule::parse(&format!(
            "{{apiVersion: etl/v1, spec: {{chains: [{{analyse: {{mode: regex, regex: {quoted}}}}}]}}}}"
        ));
    }
    // Maps that hold themselves under names with dots.
    let rows =
        "rows: [{key: x, operate: jsonpath, value: $}, {key: x.x, operate: jsonpath, value: $}]";
    let mut chains: Vec<String> = (0..60)
        .map(|at| {
            format!("{{analyse: {{mode: {}}}, {rows}}}", if at == 0 { "json" } else { "source" })
        })
        .collect();
    chains.push(format!(
        "{{analyse: {{mode: source}}, rows: [{{key: v, value: {}.y}}]}}",
        vec!["x"; 60].join(".")
    ));
    let compiled = compiled(&format!("chains: [{}]", chains.join(", ")));
    assert_eq!(value(&compiled, "{}").unwrap(), r#"{"v":null}"#);
    // Many fields, many changes.
    let wide: Vec<String> = (0..20_000).map(|at| format!("\"k{at}\":{at}")).collect();
    let rows: Vec<String> =
        (0..1_000).map(|at| format!("{{key: k{at}, operate: delete}}")).collect();
    let deleting = self::compiled(&format!(
        "chains: [{{analyse: {{mode: json}}, rows_mode: patch, rows: [{}]}}]",
        rows.join(", ")
    ));
    let expected = format!("{{{}}}", wide[1_000..].join(","));
    assert_eq!(value(&deleting, &format!("{{{}}}", wide.join(","))).unwrap(), expected);
}

#[test]
fn explanations_are_json() {
    let compiled = compiled(
        "guard: {empty: pass}, chains: [{analyse: {mode: json}, rows: [{key: a, type: int64}]}], filter: {rules: [{key: a, mode: number, value: '>1'}]}, failure: {policy: discard}",
    );
    let mut scratch = Scratch::new();
    let mut explained = |text: &[u8]| {
        let record = Record { key: Some(b"\xff"), ..Record::from_value(text) };
        let json = compiled.explain(&record, Timestamp::UNIX_EPOCH, &mut scratch).to_json();
        serde_json::from_str::<serde_json::Value>(&json)
            .unwrap_or_else(|error| panic!("{error}: {json}"))
    };
    let found = explained(br#"{"a":"2"}"#);
    assert_eq!(found["status"], "ok");
    assert_eq!(found["outputs"][0]["value"], r#"{"a":2}"#);
    assert_eq!(
        (found["outputs"][0]["key"].as_str(), found["outputs"][0]["key_encoding"].as_str()),
        (Some("/w=="), Some("base64"))
    );
    assert_eq!(found["steps"][0]["output"]["a"], "2");
    assert_eq!(found["suggested_rows"][0]["key"], "a");
    assert_eq!(explained(br#"{"a":"1"}"#)["status"], "filtered");
    assert_eq!(explained(b"")["status"], "passed");
    let failed = explained(br#"{"a":"x\""}"#);
    assert_eq!(
        (failed["status"].as_str(), failed["on_failure"].as_str()),
        (Some("failed"), Some("discard"))
    );
    assert_eq!(
        (failed["error"]["code"].as_str(), failed["error"]["step"].as_str()),
        (Some("type_conversion"), Some("chains[0].rows[0]"))
    );
    assert_eq!(
        explained(&[b"{\"a\":\"".as_slice(), &[b'x'; 70_000], b"\"}"].concat())["status"],
        "failed"
    );
}

#[test]
fn a_missing_row_of_a_table_can_leave_the_document_alone() {
    let spec = |policy: &str| {
        format!(
            "chains: [{{analyse: {{mode: json}}}}, {{kind: lookup, table: t, key: u, fields: [n], on_missing: {policy}}}]"
        )
    };
    let resources = || Resources::new().with_table("t", Table::new());
    let skip = Compiled::new(&rule(&spec("skip")), &resources()).unwrap();
    assert_eq!(value(&skip, r#"{"u":1}"#).unwrap(), r#"{"u":1}"#);
    let null = Compiled::new(&rule(&spec("\"null\"")), &resources()).unwrap();
    assert_eq!(value(&null, r#"{"u":1}"#).unwrap(), r#"{"u":1,"n":null}"#);
}

#[test]
fn generated_expressions_take_literals_literally() {
    let select =
        |start: usize, end: usize, name: &str| Selection { start, end, name: name.to_owned() };
    let generated =
        generate_regex("[é.x] (a+b) tail text", &[select(7, 10, "sum"), select(17, 21, "word")])
            .unwrap();
    assert_eq!(generated.regex, r"^\[é\.x\] \((?P<sum>\S+)\) tail (?P<word>\w+)$");
    assert_eq!(
        generated.fields,
        [("sum".to_owned(), "a+b".to_owned()), ("word".to_owned(), "text".to_owned())]
    );
    let code = |parts: &[Selection]| generate_regex("a b", parts).unwrap_err().code;
    assert_eq!(code(&[]), ErrorCode::SelectionInvalid);
    assert_eq!(code(&[select(0, 2, "a"), select(1, 3, "b")]), ErrorCode::SelectionInvalid);
    assert_eq!(code(&[select(0, 9, "a")]), ErrorCode::SelectionInvalid);
    assert_eq!(code(&[select(0, 1, "1")]), ErrorCode::SelectionInvalid);
    assert_eq!(
        generate_regex("1234", &[select(0, 2, "a"), select(2, 4, "b")]).unwrap_err().code,
        ErrorCode::SelectionAmbiguous
    );
}

#[test]
fn dead_letters_tell_the_reason_once() {
    let rule = rule(
        "chains: [{analyse: {mode: json}, rows: [{key: userId, ops: [{op: date, format: yyyy}]}]}], failure: {policy: dlq, dlq: {topic: d, format: envelope}}",
    );
    let etl::rule::Failure::Dlq(dlq) = &rule.failure else { panic!("a dlq") };
    let compiled = Compiled::new(&rule, &Resources::new()).unwrap();
    let headers: [etl::Header<'_>; 2] = [("__connect.errors.topic", Some(b"old")), ("x", None)];
    let record = Record {
        key: Some(b"k"),
        headers: &headers,
        topic: "t",
        offset: 9,
        ..Record::from_value(br#"{"userId":"?"}"#)
    };
    let mut scratch = Scratch::new();
    let error = compiled.apply(&record, Timestamp::UNIX_EPOCH, &mut scratch).unwrap_err();
    let context = etl::DeadLetterContext {
        task_name: "n",
        task_id: "i",
        worker: 3,
        rule_version: 7,
        failed_at: Timestamp::UNIX_EPOCH,
        attempts: 2,
    };
    let letter = etl::dead_letter(&record, &error, dlq, &context);
    let of = |name: &str| -> Vec<&[u8]> {
        letter
            .headers
            .iter()
            .filter(|(found, _)| found == name)
            .map(|(_, value)| value.as_deref().unwrap_or(b"-"))
            .collect()
    };
    assert_eq!(of("__connect.errors.topic"), [b"t"]);
    assert_eq!(of("x"), [b"-"]);
    assert_eq!(of("__connect.errors.class.name"), [b"chain[0].row[userId].op[0]:date"]);
    assert_eq!(of("__connect.errors.stage"), [b"TRANSFORMATION"]);
    assert_eq!(of("__dlq.failed.at"), [b"1970-01-01T00:00:00Z"]);
    assert_eq!(of("__dlq.attempts"), [b"2"]);
    let envelope: serde_json::Value =
        serde_json::from_slice(letter.value.as_deref().unwrap()).unwrap();
    assert_eq!(envelope["value"], r#"{"userId":"?"}"#);
    assert_eq!(
        (envelope["source"]["key_b64"].as_str(), envelope["source"]["offset"].as_i64()),
        (Some("aw=="), Some(9))
    );
    assert_eq!(envelope["error"]["code"], "date_parse");
    let long = Record { value: Some(&[0xff]), ..record };
    let letter = etl::dead_letter(&long, &error, dlq, &context);
    let envelope: serde_json::Value =
        serde_json::from_slice(letter.value.as_deref().unwrap()).unwrap();
    assert_eq!(envelope["value_b64"], "/w==");
}

#[test]
fn texts_that_look_like_something_else_stay_texts() {
    let words = [
        "null",
        "~",
        "true",
        "no",
        "1",
        "1.0",
        "- a",
        "#x",
        " ",
        "a: b",
        "*x",
        "&x",
        "!t",
        "|",
        "'",
        "\"",
        "\u{85}",
        "a\u{2028}",
        "x ",
        "\n",
        "\\",
        "?",
        "{",
        "[",
        ",",
        "%",
        "@",
        "`",
        "---",
        "...",
        "=",
        "<<",
        "0x1f",
        ".5",
        "\u{feff}",
        "\u{7f}",
    ];
    for word in words {
        let mut rule = rule(
            "chains: [{analyse: {mode: json}, rows: [{key: x, operate: custom, value: x}]}], filter: {rules: [{key: a, mode: equals, value: b}]}",
        );
        rule.name = word.to_owned();
        let etl::rule::ChainBody::Process(process) = &mut rule.chains[0].body else {
            panic!("a process")
        };
        process.rows[0].key = word.to_owned();
        process.rows[0].operate = etl::rule::Operate::Custom(word.to_owned());
        let etl::rule::Condition::Rule(test) = &mut rule.filter.rules[0] else { panic!("a test") };
        test.value = Some(word.to_owned());
        let yaml = rule.to_yaml();
        let again = Rule::parse(&yaml).unwrap_or_else(|errors| panic!("{errors}\n{yaml}"));
        assert_eq!(again, rule, "{yaml}");
        assert_eq!(Rule::parse(&rule.to_json()).unwrap(), rule, "{word:?}");
    }
}
