//! What belongs to rules: `kferry etl preview`, `regex`, `import` and `export`.

use super::support::{Sandbox, kferry, write};

#[test]
fn messages_of_a_topic_and_the_mode_that_fits() {
    let sandbox = Sandbox::start(&["--fill", "orders:2:20000:2000:zstd"]);
    let preview = |args: &[&str]| kferry(&[&["etl", "preview", &sandbox.bootstrap], args].concat());
    preview(&["orders:1@4", "--count", "2"])
        .expect(0, &["orders:1@4  ", "orders:1@5  ", "key ", "no parsing mode fits by itself"]);
    let ran = preview(&["orders:1@earliest", "--count", "3", "--output", "json"]);
    ran.expect(0, &[]);
    let objects = ran.objects();
    assert_eq!(objects.len(), 4);
    assert_eq!(
        (objects[0]["type"].as_str(), objects[0]["offset"].as_i64()),
        (Some("record"), Some(0))
    );
    assert!(objects[0]["value"].is_string() && objects[0]["encoding"].is_string());
    assert_eq!(objects[3]["records"], 3);
    assert!(objects[3]["suggestion"].is_null());
    super::etl::told(&objects);
    preview(&["orders:7"]).expect(1, &["2 partitions"]);
    preview(&["orders@5"]).expect(2, &["orders:0@5"]);
    preview(&["nothing"]).expect(1, &["nothing"]);
}

#[test]
fn an_expression_from_marks() {
    let args =
        ["etl", "regex", "--sample", "GET /it's 200", "--select", "method=GET", "--select", "200"];
    let ran = kferry(&args);
    ran.expect(
        0,
        &[
            "(?P<method>",
            "method: GET",
            "field2: 200",
            "in a rule: analyse: {mode: regex, regex: '^",
            "it''s",
        ],
    );
    let json = kferry(&[&args[..], &["--output", "json"]].concat()).objects();
    assert_eq!(json[0]["fields"]["field2"], "200");
    super::etl::told(&json);
    assert!(ran.stdout.starts_with(json[0]["regex"].as_str().unwrap()));

    let wrong = |selections: &[&str], words: &[&str]| {
        let mut args = vec!["etl", "regex", "--sample", "GET /a 200"];
        args.extend(selections.iter().flat_map(|one| ["--select", *one]));
        kferry(&args).expect(2, words);
    };
    wrong(&[], &["--select"]);
    wrong(&["POST"], &["\"POST\" is not in the sample", "cure:"]);
    wrong(&["a=GET", "b=ET"], &["selection_invalid", "cure:"]);
    let words = &["selection_ambiguous", "cure: mark other borders"];
    kferry(&["etl", "regex", "--sample", "1 1 1", "--select", "a=1 1", "--select", "b=1"])
        .expect(2, words);
}

#[test]
fn the_expression_reads_the_sample() {
    let directory = tempfile::tempdir().unwrap();
    let sample = "10.0.0.1 - [x] it's 7";
    let ran =
        kferry(&["etl", "regex", "--sample", sample, "--select", "ip=10.0.0.1", "--select", "n=7"]);
    let analyse = ran.stdout.lines().find_map(|line| line.strip_prefix("in a rule: ")).unwrap();
    let rule = write(
        directory.path(),
        "rule.yaml",
        &format!("apiVersion: etl/v1\nspec: {{chains: [{{{analyse}}}]}}\n"),
    );
    let sample = write(directory.path(), "sample.txt", sample);
    kferry(&["etl", "test", "-f", &rule, "--sample", &sample])
        .expect(0, &["output  {\"ip\":\"10.0.0.1\",\"n\":\"7\"}"]);
}

const API: &str = r#"{"TransformsParam": {"Content": "x", "FieldChain": [{"Analyse": {"Format": "JSON"},
  "SMT": [{"Key": "A", "Operate": "MAPPING", "SchemeType": "ORIGINAL", "Value": "a"}]}], "OutputFormat": "JSON", "FailureParam": {"Type": "DROP"}}}"#;

#[test]
fn a_rule_is_imported_and_exported() {
    let directory = tempfile::tempdir().unwrap();
    let file = write(directory.path(), "api.json", API);
    let imported = kferry(&["etl", "import", &file]);
    imported.expect(0, &["apiVersion: etl/v1", "policy: discard"]);
    let rule = write(directory.path(), "rule.yaml", &imported.stdout);
    let sample = write(directory.path(), "sample.txt", "{\"a\":1}");
    kferry(&["etl", "test", "-f", &rule, "--sample", &sample]).expect(0, &["output  {\"A\":1}"]);

    let yaml = kferry(&["etl", "export", "-f", &rule, "--to", "yaml"]);
    assert_eq!(yaml.stdout, imported.stdout);
    let json = kferry(&["etl", "export", "-f", &rule, "--to", "json"]);
    let parsed: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(parsed["spec"]["chains"][0]["rows"][0]["key"], "A");
    let again = write(directory.path(), "rule.json", &json.stdout);
    assert_eq!(kferry(&["etl", "export", "-f", &again, "--to", "yaml"]).stdout, yaml.stdout);
}

#[test]
fn what_does_not_map_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let text = API
        .replace("\"JSON\"}", "\"PROTOBUF\"}")
        .replace("\"Content\"", "\"Colour\"")
        .replace("MAPPING", "GUESS");
    let file = write(directory.path(), "api.json", &text);
    let ran = kferry(&["etl", "import", &file]);
    ran.expect(
        2,
        &[
            "\"PROTOBUF\" is none of JSON",
            "Colour",
            "chains[0].rows[0]",
            "cure:",
            "errors in the rule",
        ],
    );
    assert_eq!(ran.stdout, "", "no half of a rule");
    let file = write(directory.path(), "no.json", "{");
    kferry(&["etl", "import", &file]).expect(2, &["no.json", "cure:"]);
    kferry(&["etl", "import", "nowhere.json"]).expect(2, &["nowhere.json", "cure:"]);
    kferry(&["etl", "export", "-f", &file, "--to", "yaml"]).expect(2, &["no.json", "cure:"]);
    kferry(&["etl", "export", "-f", &file, "--to", "xml"]).expect(2, &["--to"]);
}

#[test]
fn help_has_examples() {
    for verb in ["preview", "regex", "import", "export"] {
        kferry(&["etl", verb, "--help"]).expect(0, &["Examples", "Exit codes"]);
    }
}

#[test]
fn the_schema_is_json() {
    let ran = kferry(&["schema", "etl"]);
    ran.expect(0, &["apiVersion"]);
    let schema: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(schema["$defs"]["spec"]["properties"]["chains"].is_object());
}
