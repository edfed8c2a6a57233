//! `kferry sync -f`: tasks from a file.

use super::support::{Sandbox, kferry, write};

#[test]
fn a_check_connects_to_nothing() {
    let directory = tempfile::tempdir().unwrap();
    // Nobody listens there.
    let text = "tasks:\n- {name: a, source: '127.0.0.1:1', target: '127.0.0.1:2'}\n- {name: b, sync: metadata, source: '127.0.0.1:1', target: '127.0.0.1:3'}\n";
    let path = write(directory.path(), "t.yaml", text);
    kferry(&["sync", "-f", &path, "--check"])
        .expect(0, &["a: metadata_data from 127.0.0.1:1 to 127.0.0.1:2", "2 tasks: nothing wrong"]);
    let ran = kferry(&["sync", "-f", &path, "--check", "--output", "json"]);
    ran.expect(0, &[]);
    let objects = ran.objects();
    assert_eq!(objects[1]["task"], "b");
    assert_eq!(objects[1]["sync"], "metadata");
    assert_eq!(objects[2]["tasks"], 2);
    assert!(!directory.path().join("kferry-state").exists());
}

#[test]
fn mistakes_end_with_2() {
    let directory = tempfile::tempdir().unwrap();
    let check = |text: &str, words: &[&str]| {
        let path = write(directory.path(), "t.yaml", text);
        kferry(&["sync", "-f", &path, "--check"]).expect(2, words);
        kferry(&["sync", "-f", &path]).expect(2, words);
    };
    check("source: a:1\ntarget: b:1\ntopcis: x\n", &["t.yaml:3:1", "^", "did you mean topics?"]);
    check("source: a:1\ntarget: b:1\ntopics: x(\n", &["t.yaml:3:9", "at character 2", "cure:"]);
    kferry(&["sync", "-f", "nowhere.yaml"]).expect(2, &["nowhere.yaml", "cure:"]);
}

#[test]
fn a_file_stands_instead_of_options() {
    let check = |args: &[&str], words: &[&str]| kferry(args).expect(2, words);
    check(&["sync", "-f", "t.yaml", "--source", "a:1"], &["cannot be used with"]);
    check(&["sync", "-f", "t.yaml", "--topics", "a"], &["cannot be used with"]);
    check(&["sync", "-f", "t.yaml", "--buffer", "8MiB"], &["cannot be used with"]);
    check(&["sync", "--source", "a:1", "--target", "b:1", "--check"], &["--file"]);
    check(&["sync"], &["--source"]);
}

#[test]
fn the_schema_is_json() {
    let ran = kferry(&["schema", "task"]);
    ran.expect(0, &["max_bytes_per_second"]);
    let schema: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(schema["$defs"]["Task"]["properties"]["group_keep_alive"].is_object());
}

#[test]
fn several_tasks_run_beside_each_other_and_one_that_fails_alone() {
    let fill = ["--fill", "orders:2:200000:4000:lz4", "--fill", "clicks:1:100000:4000:none"];
    let (source, target) = (Sandbox::start(&fill), Sandbox::start(&["--cluster-id", "other"]));
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "buffer: 4MiB\ntasks:\n\
         - {{name: o, source: '{0}', target: '{1}', topics: orders, state: s/o, once: true, max_bytes_per_second: 50MB}}\n\
         - {{name: c, source: '{0}', target: '{1}', topics: clicks, state: s/c, once: true}}\n\
         - {{name: lost, source: '127.0.0.1:1', target: '{1}', state: s/lost}}\n",
        source.bootstrap, target.bootstrap
    );
    let path = write(directory.path(), "t.yaml", &text);
    let ran = kferry(&["sync", "-f", &path, "--once", "--output", "json"]);
    ran.expect(1, &["1 of 3 tasks failed: lost", "task lost: --source"]);
    let objects = ran.objects();
    for (name, topic) in [("o", "orders"), ("c", "clicks")] {
        let result = objects
            .iter()
            .find(|object| object["type"] == "result" && object["task"] == name)
            .unwrap_or_else(|| panic!("{ran:#?}"));
        assert_eq!(result["complete"], true, "{result}");
        assert_eq!(result["topics"][0]["topic"], topic, "{result}");
        assert!(result["records"].as_u64().unwrap() > 0, "{result}");
        assert!(directory.path().join("s").join(name).join("task.redb").exists());
    }
    assert!(objects.iter().any(|object| object["type"] == "error" && object["task"] == "lost"));
}
