//! `kferry plan` and `kferry diff` between sandboxes.

use std::io::{BufRead, BufReader};

use super::support::{Sandbox, command, kferry, signal, wait, write};

const FILL: [&str; 4] =
    ["--fill", "orders:3:300000:4000:none", "--fill", "clicks:1:100000:4000:lz4"];

fn target(more: &[&str]) -> Sandbox {
    Sandbox::start(&[&["--cluster-id", "other"], more].concat())
}

#[test]
fn a_plan_tells_and_changes_nothing() {
    let (source, target) = (Sandbox::start(&FILL), target(&[]));
    let state = tempfile::tempdir().unwrap();
    let state = state.path().join("s").display().to_string();
    let ends = ["--source", &source.bootstrap, "--target", &target.bootstrap, "--state", &state];
    let plan = |more: &[&str]| kferry(&[&["plan"], &ends[..], more].concat());
    plan(&["--max-bytes-per-second", "10kB"]).expect(
        0,
        &[
            "create  orders",
            "retention.ms=604800000",
            "estimated",
            "at the rate limit",
            "nothing is in the way",
        ],
    );
    let ran = plan(&["--output", "json"]);
    ran.expect(0, &[]);
    let line = &ran.objects()[0];
    assert_eq!((line["type"].as_str(), line["blocked"].as_bool()), (Some("plan"), Some(false)));
    assert_eq!(line["topics"][1]["topic"], "orders", "{line:#}");
    assert_eq!(
        (&line["topics"][1]["action"], &line["topics"][1]["partitions"]),
        (&"create".into(), &3.into())
    );
    let (records, bytes) =
        (line["records"].as_u64().unwrap(), line["bytes_estimated"].as_u64().unwrap());
    assert!(!std::path::Path::new(&state).exists());

    kferry(&[&["diff"], &ends[..]].concat())
        .expect(3, &["orders: the target does not have it", "2 differences"]);
    let ran = kferry(
        &[&["sync"], &ends[..], &["--once", "--merge-batches", "false", "--output", "json"]]
            .concat(),
    );
    ran.expect(0, &[]);
    let result = ran.objects().pop().unwrap();
    assert_eq!(result["records"].as_u64().unwrap(), records);
    let copied = result["bytes"].as_u64().unwrap();
    assert!(bytes.abs_diff(copied) * 20 < copied, "planned {bytes}, copied {copied}");

    // What is there needs nothing, and the state tells that nothing is left to copy.
    let ran = plan(&["--output", "json"]);
    ran.expect(0, &[]);
    let line = &ran.objects()[0];
    assert_eq!(
        (line["records"].as_u64(), line["topics"][0]["action"].as_str()),
        (Some(0), Some("keep"))
    );
    kferry(&[&["diff"], &ends[..]].concat()).expect(0, &["2 topics, no difference"]);
    let ran = kferry(&[&["diff"], &ends[..], &["--output", "json"]].concat());
    assert_eq!(ran.objects()[0]["equal"], true);
}

#[test]
fn what_blocks_ends_with_3() {
    let source = Sandbox::start(&FILL);
    let denying = target(&["--deny", "write:*"]);
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "tasks:\n- {{name: same, source: '{0}', target: '127.0.0.1:1'}}\n- {{name: denied, source: '{0}', target: '{1}'}}\n",
        source.bootstrap, denying.bootstrap
    );
    // Nobody listens there: that is a failure, no finding.
    let path = write(directory.path(), "t.yaml", &text);
    kferry(&["plan", "-f", &path]).expect(1, &["--target", "cure:"]);
    let text =
        format!("name: denied\nsource: '{}'\ntarget: '{}'\n", source.bootstrap, denying.bootstrap);
    let path = write(directory.path(), "t.yaml", &text);
    kferry(&["plan", "-f", &path]).expect(3, &["target: WRITE", "cure:", "put right first"]);
    let ran = kferry(&["plan", "-f", &path, "--output", "json"]);
    ran.expect(3, &[]);
    let line = &ran.objects()[0];
    assert_eq!(ran.objects().len(), 1, "{ran:#?}");
    assert_eq!(
        (&line["blocked"], &line["findings"][0]["finding"]),
        (&true.into(), &"permission_missing".into())
    );
    assert!(line["findings"][0]["cure"].is_string() && line["findings"][0]["message"].is_string());
    let ends = ["--source", &source.bootstrap, "--target", &source.bootstrap];
    kferry(&[&["plan"], &ends[..]].concat()).expect(3, &["same cluster", "cure:"]);
    kferry(&[&["diff"], &ends[..]].concat()).expect(1, &["same cluster", "cure:"]);
}

#[test]
fn rights_that_nothing_needs_are_told_and_do_not_block() {
    let (source, target) = (Sandbox::start(&FILL), target(&["--deny", "alter_configs:*"]));
    kferry(&["plan", "--source", &source.bootstrap, "--target", &target.bootstrap])
        .expect(0, &["ALTER_CONFIGS", "nothing is in the way"]);
}

#[test]
fn a_state_in_use_is_told_and_not_waited_for() {
    let (source, target) = (Sandbox::start(&FILL), target(&[]));
    let state = tempfile::tempdir().unwrap();
    let state = state.path().display().to_string();
    let ends = ["--source", &source.bootstrap, "--target", &target.bootstrap, "--state", &state];
    let mut sync = command(&[&["sync"], &ends[..]].concat()).spawn().unwrap();
    let mut stderr = BufReader::new(sync.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("records/s") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended early");
    }
    kferry(&[&["plan"], &ends[..]].concat()).expect(0, &["the state is in use"]);
    kferry(&[&["diff"], &ends[..]].concat()).expect(0, &["no difference"]);
    signal(sync.id(), "TERM");
    let drain = std::thread::spawn(move || stderr.lines().map_while(Result::ok).count());
    assert_eq!(wait(sync).code, Some(0));
    drain.join().unwrap();
}

/// The findings that the source code knows are those of the page.
#[test]
fn the_page_has_every_finding() {
    const PAGE: &str = include_str!("../../../../docs/output.md");
    const CODE: &str = include_str!("../../../replicate/src/plan/finding.rs");
    let (_, rest) = CODE.split_once("pub enum Problem {").unwrap();
    let (variants, _) = rest.split_once("\n}\n").unwrap();
    let mut count = 0;
    for line in variants.lines().filter_map(|line| line.strip_prefix("    ")) {
        let name = line.trim_end_matches([' ', '{', ',']);
        if !name.starts_with(|c: char| c.is_ascii_uppercase()) {
            continue;
        }
        let mut snake = String::new();
        for c in name.chars() {
            if c.is_ascii_uppercase() && !snake.is_empty() {
                snake.push('_');
            }
            snake.push(c.to_ascii_lowercase());
        }
        assert!(PAGE.contains(&format!("`{snake}`")), "docs/output.md lacks {snake}");
        count += 1;
    }
    assert!(count >= 15, "{count}");
}

/// What is planned for ACLs is what a sync does, and afterwards nothing differs.
#[test]
fn acls_are_planned_made_and_compared() {
    let acls = ["allow:all:orders:alice", "allow:write:orders:bob", "deny:read:*:mallory"];
    let acls: Vec<_> = acls.iter().flat_map(|acl| ["--acl", acl]).collect();
    let source = Sandbox::start(&[&FILL[..2], &acls[..]].concat());
    let target = target(&["--acl", "allow:read:elsewhere:carol"]);
    let state = tempfile::tempdir().unwrap();
    let state = state.path().join("s").display().to_string();
    let ends = ["--source", &source.bootstrap, "--target", &target.bootstrap, "--state", &state];
    let run = |command: &str, more: &[&str]| kferry(&[&[command], &ends[..], more].concat());
    let ran = run("plan", &[]);
    ran.expect(0, &["nothing is in the way"]);
    assert!(!ran.stdout.contains("ACL"), "{ran:#?}");
    let topics = ["--acl-sync", "topics"];
    run("plan", &topics).expect(
        0,
        &[
            "ACLs: 0 are there, 8 to be made, 0 to be removed; 2 give the right to write, which is withheld",
            "make     DENY READ on topic * to User:mallory",
            "make     ALLOW DESCRIBE_CONFIGS on topic orders to User:alice",
            "withhold ALLOW WRITE on topic orders to User:bob",
            "nothing is in the way",
        ],
    );
    let ran = run("plan", &["--acl-sync", "topics", "--output", "json"]);
    let acls = &ran.objects()[0]["acls"];
    assert_eq!(
        (acls["make"][0]["permission"].as_str(), &acls["existing"]),
        (Some("DENY"), &0.into())
    );
    run("sync", &["--acl-sync", "topics", "--once"]).expect(0, &["7 ACLs made on the target"]);
    run("diff", &topics).expect(0, &["1 topics, no difference"]);
    // Without the setting, --acls looks at them all the same.
    run("diff", &["--acls"]).expect(0, &["no difference"]);
    run("diff", &["--acls", "--acl-write", "copy"]).expect(
        3,
        &["ACL: the target lacks ALLOW WRITE on topic orders to User:bob", "2 differences"],
    );
    let bare = Sandbox::start(&["--cluster-id", "bare"]);
    let ends = ["--source", &source.bootstrap, "--target", &bare.bootstrap];
    kferry(&[&["plan"], &ends[..], &topics[..]].concat())
        .expect(0, &["SECURITY_DISABLED", "ALTER on the cluster (ACLs)", "authorizer.class.name"]);
    kferry(&["check", &bare.bootstrap, "--acl-sync", "topics"])
        .expect(1, &["DESCRIBE on the cluster (ACLs)", "no authorizer", "cure:"]);
    kferry(&["check", &target.bootstrap, "--as", "target", "--acl-sync", "all"]).expect(
        0,
        &["DESCRIBE on the cluster (ACLs): allowed", "ALTER on the cluster (ACLs): allowed"],
    );
}
