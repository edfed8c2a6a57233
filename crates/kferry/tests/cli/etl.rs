//! `kferry etl`: rules tried on messages, and what is told about both.

use std::io::Write as _;

use serde_json::Value;

use super::support::{Ran, Sandbox, command, kferry, run, wait, write};

const PAGE: &str = include_str!("../../../../docs/etl.md");
const NOW: &str = "2025-01-31T00:00:00Z";

/// A rule with this spec on one message, in a directory of its own.
fn test(spec: &str, message: &str, more: &[&str]) -> Ran {
    let directory = tempfile::tempdir().unwrap();
    let rule =
        write(directory.path(), "rule.yaml", &format!("apiVersion: etl/v1\nspec:\n  {spec}\n"));
    let sample = write(directory.path(), "sample.txt", message);
    let args = ["etl", "test", "-f", &rule, "--sample", &sample, "--now", NOW];
    kferry(&[&args, more].concat())
}

/// The fenced blocks of the page's section, in order.
fn blocks(section: &str) -> Vec<&'static str> {
    let (_, rest) = PAGE.split_once(&format!("\n## {section}\n")).unwrap();
    let text = rest.split("\n## ").next().unwrap_or(rest);
    let fences = text.split("```").skip(1).step_by(2);
    fences.map(|block| block.split_once('\n').map_or("", |(_, inside)| inside)).collect()
}

#[test]
fn the_page_shows_what_it_says() {
    let directory = tempfile::tempdir().unwrap();
    let [rule, messages, said, regex] = blocks("Try a rule")[..] else { panic!("blocks") };
    write(directory.path(), "rule.yaml", rule);
    write(directory.path(), "messages.txt", messages);
    let mut command =
        command(&["etl", "test", "-f", "rule.yaml", "--sample", "messages.txt", "--now", NOW]);
    command.current_dir(directory.path());
    let ran = run(command);
    assert_eq!(ran.stdout, said);
    ran.expect(1, &[]);

    let (line, said) = regex.split_once('\n').unwrap();
    // Quotes of the shell stand at every other place.
    let quoted = line.split('\'').enumerate();
    let args =
        quoted.flat_map(
            |(at, part)| if at % 2 == 1 { vec![part] } else { part.split_whitespace().collect() },
        );
    let args: Vec<&str> = args.skip_while(|word| *word != "etl").collect();
    assert_eq!(kferry(&args).stdout, said);
}

#[test]
fn delivered_and_left_out_end_with_0() {
    let spec = "chains: [{analyse: {mode: json}}]\n  filter: {rules: [{key: id, mode: number, value: '>5'}]}";
    test(spec, "{\"id\":7}\r\n\n{\"id\":3}\n", &[]).expect(
        0,
        &[
            "message 1 (line 1): delivered",
            "output  {\"id\":7}",
            "message 2 (line 3): left out by the filter",
            "does not hold",
            "2 messages: 1 delivered, 1 left out by the rule, 0 failed",
        ],
    );
    let array = "chains: [{analyse: {mode: json_array, output: each}}]";
    test(array, "[{\"a\":1},\n {\"a\":2}]", &["--whole"])
        .expect(0, &["output  {\"a\":1}", "output  {\"a\":2}", "1 message:"]);
}

#[test]
fn key_headers_topic_and_time_are_seen_by_the_rule() {
    let spec = "chains: [{analyse: {mode: json}, rows: [{key: h, operate: header, value: env}, {key: t, operate: system_time}]}]\n  \
                metadata_fields: {keep: true, fields: [topic, key]}";
    let more = ["--key", "k1", "--header", "env=prod", "--topic", "orders"];
    let expected = "{\"h\":\"prod\",\"t\":1738281600000,\"__source_topic\":\"orders\",\"__source_key\":\"k1\"}";
    test(spec, "{}", &more).expect(0, &[expected, "key k1", "header env=prod"]);
}

#[test]
fn secrets_tables_and_schemas_come_from_files() {
    let directory = tempfile::tempdir().unwrap();
    let secret = write(directory.path(), "secret", "hunter2\n");
    let table = write(directory.path(), "users.csv", "id,name\n7,Ann\n");
    let schema = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"long"}]}"#;
    let schema = write(directory.path(), "a.avsc", schema);
    let spec = "chains: [{analyse: {mode: json}}, {kind: lookup, table: users, key: id, fields: {name: name}}, \
                {analyse: {mode: source}, rows: [{key: name}, {key: h, value: name, ops: [{op: hash, alg: hmac-sha256, secret: salt}]}]}]";
    let (secret, table) = (format!("salt={secret}"), format!("users:id={table}"));
    let ran = test(spec, "{\"id\":7}", &["--secret", &secret, "--table", &table]);
    ran.expect(0, &["\"name\":\"Ann\""]);
    assert!(!ran.all().contains("hunter2"));
    test(spec, "{\"id\":7}", &["--table", &table]).expect(2, &["secret_unknown", "cure:"]);
    test(spec, "{\"id\":7}", &["--table", "users=x"]).expect(2, &["table users", "cure:"]);
    let schema = format!("7={schema}");
    test("chains: [{kind: decode}]", "\0\0\0\0\x07\x02", &["--whole", "--schema", &schema])
        .expect(0, &["output  {\"a\":1}"]);
}

#[test]
fn protobuf_comes_from_files_that_import_others() {
    let directory = tempfile::tempdir().unwrap();
    let proto = |name: &str, body: &str| {
        write(directory.path(), name, &format!("syntax = \"proto3\";\n{body}"))
    };
    proto("b.proto", "message B { int32 n = 1; }");
    let good = proto("a.proto", "import \"b.proto\";\nmessage A { B b = 1; }");
    let outside = proto("out.proto", "import \"../b.proto\";\nmessage A {}");
    let missing = proto("missing.proto", "import \"c.proto\";\nmessage A {}");
    let wrong = proto("wrong.proto", "message A { int32 n = 0; }");
    let run = |format: &str, file: &str| {
        let spec = format!("chains: [{{kind: decode, format: {format}}}]");
        let schema = format!("7={file}");
        test(&spec, "\0\0\0\0\x07\0\n\x02\x08\x05", &["--whole", "--schema", &schema])
    };
    run("protobuf", &good).expect(0, &["output  {\"b\":{\"n\":5}}"]);
    run("avro", &good).expect(2, &["the file is Protobuf, the rule decodes Avro", "cure:"]);
    run("protobuf", &outside).expect(2, &["schema:2:8", "cure:"]);
    run("protobuf", &missing).expect(2, &["c.proto", "cure:"]);
    run("protobuf", &wrong).expect(2, &["schema:2:23", "cure:"]);
}

#[test]
fn a_message_may_come_from_the_rule_from_a_pipe_or_be_a_tombstone() {
    let directory = tempfile::tempdir().unwrap();
    let text = "apiVersion: etl/v1\nspec:\n  sample: {source: custom, content: '{\"a\":1}'}\n  chains: [{analyse: {mode: json}}]\n";
    let rule = write(directory.path(), "rule.yaml", text);
    kferry(&["etl", "test", "-f", &rule]).expect(0, &["output  {\"a\":1}"]);
    kferry(&["etl", "test", "-f", &rule, "--tombstone"])
        .expect(0, &["delivered untouched", "without a value"]);
    let mut piped = command(&["etl", "test", "-f", &rule, "--sample", "-"]);
    let mut child = piped.stdin(std::process::Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"{\"a\":2}\n{\"a\":3}\n").unwrap();
    wait(child).expect(0, &["output  {\"a\":2}", "output  {\"a\":3}"]);
}

#[test]
fn json_has_a_line_for_each_message_and_keeps_long_numbers() {
    let spec = "chains: [{analyse: {mode: json}, rows: [{key: n}, {key: b, type: boolean}, {key: c, type: int64}]}]\n  failure: {policy: discard}";
    let ran = test(
        spec,
        "{\"n\":12345678901234567890123}\n{\"b\":\"x\",\"c\":\"y\"}\n",
        &["--output", "json"],
    );
    ran.expect(1, &["12345678901234567890123"]);
    let objects = ran.objects();
    assert_eq!(objects.len(), 3);
    assert_eq!(
        (&objects[0]["type"], &objects[0]["status"]),
        (&Value::from("message"), &Value::from("ok"))
    );
    assert_eq!(objects[0]["line"], 1);
    assert_eq!(objects[0]["outputs"].as_array().unwrap().len(), 1);
    assert_eq!(objects[1]["status"], "failed");
    assert_eq!(objects[1]["on_failure"], "discard");
    let steps: Vec<&str> = objects[1]["errors"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|error| error["step"].as_str())
        .collect();
    assert_eq!(steps, ["chains[0].rows[1]", "chains[0].rows[2]"], "all that is wrong at once");
    assert!(objects[1]["errors"][0]["cure"].is_string());
    assert_eq!(objects[2]["failed"], 1);
    assert_eq!(objects[2]["outputs"], 1);
    told(&objects);
    told(&test("chains: {}", "{}", &["--output", "json"]).objects());
}

/// The page about output names every member.
pub(crate) fn told(objects: &[Value]) {
    let page = include_str!("../../../../docs/output.md");
    let (_, rest) = page.split_once("### `etl`\n").unwrap();
    let section = rest.split("\n### ").next().unwrap_or(rest);
    for object in objects {
        let kind = object["type"].as_str().unwrap();
        assert!(section.contains(&format!("| `{kind}` |")), "{kind}");
        for member in object.as_object().unwrap().keys().filter(|member| *member != "type") {
            assert!(
                section.contains(&format!("`{member}`")),
                "{kind} has {member}, which the page lacks"
            );
        }
    }
}

#[test]
fn errors_of_messages_say_place_position_and_cure() {
    let check = |spec: &str, message: &str, words: &[&str]| {
        let ran = test(spec, message, &["--whole"]);
        ran.expect(1, &["failed", "cure: ", "then: a task stops at the record"]);
        ran.expect(1, words);
    };
    let json = "chains: [{analyse: {mode: json}}]";
    check(json, "{\"a\":1,}", &["chains[0].analyse", "json_syntax", "at byte 7: {\"a\":1,▸}"]);
    check(
        json,
        "{\"a\":1}{",
        &["json_trailing_data", "at byte 7: {\"a\":1}▸{", "one JSON value per record"],
    );
    check(json, "[1]", &["json_root_not_object", "json_array"]);
    check(json, "", &["guard.empty"]);
    let regex = "chains: [{analyse: {mode: regex, regex: '^(?P<a>\\d+)$'}}]";
    check(regex, "x", &["regex_no_match", "set no_match to empty"]);
    let each = "chains: [{analyse: {mode: json_array, output: each}}]";
    check(each, "[{},5]", &["array_element_not_object", "element 1 of the array"]);
    check(each, "{}", &["array_root_not_array", "use the mode json"]);
    let row = |row: &str| format!("chains: [{{analyse: {{mode: json}}, rows: [{{{row}}}]}}]");
    check(&row("key: a, on_missing: fail"), "{}", &["chains[0].rows[0]", "field_missing"]);
    check(&row("key: a, type: int64"), "{\"a\":\"x\"}", &["type_conversion", "chains[0].rows[0]"]);
    check(
        &row("key: a, ops: [{op: date, format: unix}]"),
        "{\"a\":\"x\"}",
        &["chains[0].rows[0].ops[0]", "date_parse", "process  chains[0].rows[0].ops[0]  FAILED"],
    );
    check(&row("key: a, ops: [{op: base64_decode}]"), "{\"a\":\"?\"}", &["base64_decode"]);
    check(
        &row("key: a, ops: [{op: math, expr: value / 0}]"),
        "{\"a\":1}",
        &["math_domain", "guard the expression"],
    );
    check(&row("key: a, operate: header, on_missing: fail"), "{}", &["header_missing"]);
    check("chains: [{kind: decode}]", "{}", &["schema_framing", "leave the decode step out"]);
}

#[test]
fn errors_of_rules_are_told_all_at_once_with_their_lines() {
    let spec = "chains:\n  - analyse: {mode: xml}\n    rows:\n    - {key: a, vlaue: 1}\n    - {key: a, ops: [{op: regex_replace, regex: '(?=a)'}]}\n  \
                filter: {rules: [{key: a, mode: number, value: big}, {key: a, mode: ip, value: x}]}\n  output: {format: row, row: {content: key_value}}";
    let words = [
        "rule.yaml:4: chains[0].analyse.mode: \"xml\"",
        "  4 |   - analyse: {mode: xml}",
        "template_unknown_field",
        "rule.yaml:7: chains[0].rows[1].ops[0].regex",
        "regex_unsupported",
        "duplicate_key",
        "filter_number_syntax",
        "filter_ip_syntax",
        "row_delimiter_none",
        "cure: write comparisons such as >=10&<=20",
        "8 errors in the rule",
    ];
    test(spec, "{}", &[]).expect(2, &words);
    let ran = test(spec, "{}", &["--output", "json"]);
    ran.expect(2, &[]);
    let objects = ran.objects();
    assert_eq!(objects.len(), 8);
    for object in &objects {
        assert_eq!(object["type"], "rule_error");
        assert!(
            object["path"].is_string() && object["cause"].is_string() && object["cure"].is_string()
        );
    }
    assert_eq!(objects[0]["line"], 4);
}

#[test]
fn wrong_usage_ends_with_2() {
    let directory = tempfile::tempdir().unwrap();
    let text = "apiVersion: etl/v1\nspec: {chains: [{analyse: {mode: json}}]}\n";
    let rule = write(directory.path(), "rule.yaml", text);
    let check = |args: &[&str], words: &[&str]| {
        kferry(&[&["etl", "test", "-f"], args].concat()).expect(2, words);
    };
    check(&[&rule], &["--sample FILE", "spec.sample"]);
    check(&["nowhere.yaml", "--sample", &rule], &["nowhere.yaml", "cure:"]);
    check(&[&rule, "--sample", "nowhere.txt"], &["nowhere.txt", "cure:"]);
    check(&[&rule, "--sample", "a", "--fetch", "a:1", "t"], &["cannot be used with"]);
    check(&[&rule, "--sample", "a", "--now", "soon"], &["--now", "2025-01-31T14:00:00Z"]);
    check(&[&rule, "--sample", "a", "--header", "x"], &["NAME=VALUE"]);
    check(&[&rule, "--fetch", "a:1", "t@5"], &["t:0@5"]);
    check(&["-", "--sample", "-"], &["rule"]);
    let empty = write(directory.path(), "empty.txt", "\n\n");
    check(&[&rule, "--sample", &empty], &["empty.txt", "one message a line"]);
    kferry(&["etl", "test", "--help"]).expect(0, &["Examples", "Exit codes"]);
    kferry(&["etl", "--help"]).expect(0, &["Examples", "Exit codes"]);
}

#[test]
fn messages_of_a_topic_are_tried() {
    let sandbox = Sandbox::start(&["--fill", "orders:2:20000:2000:zstd"]);
    let directory = tempfile::tempdir().unwrap();
    let text = "apiVersion: etl/v1\nspec: {output: {format: original}}\n";
    let rule = write(directory.path(), "rule.yaml", text);
    let fetch = |place: &str, more: &[&str]| {
        let args =
            ["etl", "test", "-f", &rule, "--fetch", &sandbox.bootstrap, place, "--output", "json"];
        kferry(&[&args, more].concat())
    };
    let ran = fetch("orders:1@4", &["--count", "3"]);
    ran.expect(0, &[]);
    let offsets: Vec<i64> =
        ran.objects().iter().filter_map(|object| object["offset"].as_i64()).collect();
    assert_eq!(offsets, [4, 5, 6]);
    let ran = fetch("orders@earliest", &[]);
    let messages: Vec<Value> =
        ran.objects().into_iter().filter(|object| object["type"] == "message").collect();
    assert_eq!(messages.len(), 10);
    assert_eq!(
        (&messages[0]["topic"], &messages[0]["offset"]),
        (&Value::from("orders"), &Value::from(0))
    );
    let partitions: Vec<i64> =
        messages.iter().filter_map(|message| message["partition"].as_i64()).collect();
    assert_eq!(partitions, [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
    fetch("orders", &[]).expect(0, &["\"delivered\":10"]);
    fetch("orders:7", &[]).expect(1, &["2 partitions"]);
    fetch("nothing", &[]).expect(1, &["nothing"]);
    fetch("orders:0@999999", &[]).expect(1, &["outside"]);
    fetch("orders@2100-01-01T00:00:00Z", &[]).expect(1, &["no message there", "@earliest"]);
}
