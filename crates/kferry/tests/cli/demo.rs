//! `kferry demo`: counts that agree, and an end on request.

use std::io::{BufRead, BufReader};

use super::support::{command, kferry, signal, wait};

#[test]
fn both_sides_are_equal() {
    let ran = kferry(&["demo", "--seconds", "2"]);
    ran.expect(
        0,
        &[
            "source cluster",
            "target cluster",
            "ledger",
            "customers",
            "same records in the same order",
        ],
    );
    assert!(!ran.stdout.contains("NO"), "{ran:#?}");
}

#[test]
fn json_tells_the_same() {
    let ran = kferry(&["demo", "--seconds", "1", "--output", "json"]);
    ran.expect(0, &[]);
    let objects = ran.objects();
    let result = objects.last().unwrap();
    assert_eq!((result["type"].as_str(), result["equal"].as_bool()), (Some("result"), Some(true)));
    for topic in result["topics"].as_array().unwrap() {
        assert!(
            topic["source_records"].as_u64() > Some(0)
                && topic["source_records"] == topic["target_records"],
            "{topic}"
        );
    }
    assert!(
        objects
            .iter()
            .any(|object| object["type"] == "event" && object["event"] == "topic_created")
    );
}

#[test]
fn ctrl_c_ends_it_cleanly_and_compares() {
    let mut child = command(&["demo", "--keep-running"]).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    stdout.read_line(&mut line).unwrap();
    assert!(line.contains("source cluster"), "{line}");
    // The sync reports its first topics on standard error.
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    line.clear();
    while !line.contains("records/s") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended early");
    }
    child.stdout = None;
    signal(child.id(), "INT");
    let rest = std::thread::spawn(move || {
        stdout.lines().map_while(Result::ok).collect::<Vec<_>>().join("\n")
    });
    let drain = std::thread::spawn(move || {
        stderr.lines().map_while(Result::ok).collect::<Vec<_>>().join("\n")
    });
    let ran = wait(child);
    let (rest, noted) = (rest.join().unwrap(), drain.join().unwrap());
    assert_eq!(ran.code, Some(0), "{rest}\n{noted}");
    assert!(rest.contains("same records"), "{rest}\n{noted}");
}
