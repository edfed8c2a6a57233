//! `kferry sync` between two sandboxes.

use std::{io::BufRead, io::BufReader};

use super::support::{Sandbox, command, kferry, run, signal, wait};

const FILLS: [&str; 8] = [
    "--fill",
    "orders:3:300000:4000:none",
    "--fill",
    "clicks:2:200000:4000:lz4",
    "--fill",
    "payments:1:100000:4000:zstd",
    "--fill",
    "audit:1:50000:2000:gzip",
];

#[test]
fn once_copies_everything_and_a_rerun_copies_nothing_twice() {
    let (source, target) = (Sandbox::start(&FILLS), Sandbox::start(&[]));
    let state = tempfile::tempdir().unwrap();
    let state = state.path().display().to_string();
    let args = [
        "sync",
        "--source",
        &source.bootstrap,
        "--target",
        &target.bootstrap,
        "--once",
        "--state",
        &state,
    ];
    let ran = kferry(&args);
    ran.expect(0, &["orders", "clicks", "payments", "audit", "records/s"]);
    let dump = |sandbox: &Sandbox, at: &str| {
        let objects = kferry(&[
            "inspect",
            &sandbox.bootstrap,
            at,
            "--records",
            "--show-values",
            "--output",
            "json",
        ])
        .objects();
        objects
            .iter()
            .flat_map(|batch| batch["records"].as_array().cloned().unwrap_or_default())
            .collect::<Vec<_>>()
    };
    for at in ["orders:0", "orders:1", "orders:2", "clicks:0", "clicks:1", "payments:0", "audit:0"]
    {
        let (left, right) = (dump(&source, at), dump(&target, at));
        assert!(
            !left.is_empty() && left == right,
            "{at}: {} and {} records",
            left.len(),
            right.len()
        );
    }
    let again = run(command(&[&args[..], &["--output", "json"]].concat()));
    again.expect(0, &[]);
    let result = again.objects().pop().unwrap();
    assert_eq!(
        (result["type"].as_str(), result["complete"].as_bool(), result["records"].as_u64()),
        (Some("result"), Some(true), Some(0)),
        "{result:#}"
    );
}

#[test]
fn a_second_process_on_the_state_is_refused() {
    let (source, target) = (Sandbox::start(&FILLS), Sandbox::start(&[]));
    let state = tempfile::tempdir().unwrap();
    let state = state.path().display().to_string();
    let args =
        ["sync", "--source", &source.bootstrap, "--target", &target.bootstrap, "--state", &state];
    let mut first = command(&args).spawn().unwrap();
    let mut stderr = BufReader::new(first.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("records/s") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended early");
    }
    kferry(&args).expect(1, &["--state", "in use", "cure:"]);
    signal(first.id(), "TERM");
    let drain = std::thread::spawn(move || {
        stderr.lines().map_while(Result::ok).collect::<Vec<_>>().join("\n")
    });
    let ran = wait(first);
    assert_eq!(ran.code, Some(0), "{ran:?} {}", drain.join().unwrap());
    assert!(ran.stdout.contains("orders"), "{ran:?}");
}

#[test]
fn one_cluster_is_not_copied_onto_itself() {
    let sandbox = Sandbox::start(&[]);
    let state = tempfile::tempdir().unwrap();
    kferry(&[
        "sync",
        "--source",
        &sandbox.bootstrap,
        "--target",
        &sandbox.bootstrap,
        "--once",
        "--state",
        &state.path().display().to_string(),
    ])
    .expect(1, &["same cluster", "cure:"]);
}
