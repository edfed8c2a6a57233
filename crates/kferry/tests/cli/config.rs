//! Connection files.

use super::support::{Sandbox, command, kferry, run, write};

#[test]
fn mistakes_have_line_column_and_caret() {
    let directory = tempfile::tempdir().unwrap();
    let check = |text: &str, words: &[&str]| {
        let path = write(directory.path(), "c.yaml", text);
        kferry(&["check", &path]).expect(2, words);
        kferry(&["sync", "--source", &path, "--target", "b:1"]).expect(2, words);
    };
    check("bootstrap: [a:1]\nbootstrp: x\n", &["c.yaml:2:1", "bootstrp", "^"]);
    check("name: a\nname: b\nbootstrap: [a:1]\n", &["c.yaml:2:1", "duplicate", "^"]);
    check("bootstrap: [a:1]\ntls: {verify: 3}\n", &["c.yaml:2:15", "^"]);
    check("bootstrap: [a:1]\ntls: {ca: none.pem}\n", &["c.yaml:2:11", "none.pem"]);
    check(
        "bootstrap: [a:1]\nsasl: {mechanism: PLAIN, username: u, password: {env: KFERRY_TEST_UNSET}}\n",
        &["c.yaml:2:", "KFERRY_TEST_UNSET"],
    );
}

#[test]
fn a_cross_network_connection_is_no_target() {
    let directory = tempfile::tempdir().unwrap();
    let path = write(directory.path(), "far.yaml", "kind: cross_network\nbootstrap: [a:1]\n");
    kferry(&["sync", "--source", "a:1", "--target", &path]).expect(2, &["cross_network", "source"]);
}

/// Everything that is written at the most talkative level, in every way a secret can be given.
#[test]
fn secrets_are_nowhere() {
    const SECRET: &str = "tr0ub4dor-and-3";
    let directory = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(&["--user", &format!("me:{SECRET}")]);
    write(directory.path(), "password", &format!("{SECRET}\n"));
    let mut outputs = Vec::new();
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        for (source, right) in [
            ("{env: KFERRY_TEST_SECRET}", true),
            ("{file: password}", true),
            ("{env: KFERRY_TEST_WRONG}", false),
        ] {
            let text = format!(
                "bootstrap: ['{}']\nsasl: {{mechanism: {mechanism}, username: me, password: {source}}}\n",
                sandbox.bootstrap
            );
            let path = write(directory.path(), "c.yaml", &text);
            for output in ["text", "json"] {
                let mut check = command(&["--log", "trace", "check", &path, "--output", output]);
                check
                    .env("KFERRY_TEST_SECRET", SECRET)
                    .env("KFERRY_TEST_WRONG", format!("{SECRET}-not"));
                let ran = run(check);
                ran.expect(i32::from(!right), &[if right { "sasl" } else { "password" }]);
                outputs.push(ran.all());
            }
        }
    }
    for literal in [
        format!("password: {SECRET}"),
        format!("pasword: {SECRET}"),
        format!("password: [{SECRET}]"),
        format!("password: \"{SECRET}"),
    ] {
        let path = write(
            directory.path(),
            "c.yaml",
            &format!("bootstrap: [a:1]\nsasl:\n  mechanism: PLAIN\n  username: me\n  {literal}\n"),
        );
        let ran = kferry(&["--log", "trace", "check", &path]);
        ran.expect(2, &["c.yaml:"]);
        outputs.push(ran.all());
    }
    for output in outputs {
        assert!(!output.contains(SECRET), "{output}");
        let encoded = "dHIwdWI0ZG9yLWFuZC0z";
        assert!(!output.contains(encoded), "{output}");
    }
}
