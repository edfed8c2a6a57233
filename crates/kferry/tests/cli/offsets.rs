//! `kferry offsets`: beside a running sync, after it, and on what is no state.

use std::{io::BufRead, io::BufReader};

use super::support::{Sandbox, command, kferry, signal, wait};

const FILLS: [&str; 2] = ["--fill", "orders:2:100000:4000:lz4"];

#[test]
fn answers_both_ways_while_a_sync_runs_and_after_it() {
    let (source, target) = (Sandbox::start(&FILLS), Sandbox::start(&[]));
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().display().to_string();
    let once = ["--source", &source.bootstrap, "--target", &target.bootstrap, "--state", &state];
    kferry(&[&["sync", "--once"], &once[..]].concat()).expect(0, &["orders"]);
    let ask =
        |at: &str, more: &[&str]| kferry(&[&["offsets", at, "--state", &state], more].concat());
    let check = || {
        ask("orders:0@3", &[]).expect(0, &["source orders:0@3 = target orders:0@3"]);
        ask("orders:1@5", &["--from", "target"]).expect(0, &["source orders:1@5 = target"]);
        let json = ask("orders:0@3", &["--output", "json"]);
        json.expect(0, &[]);
        let object = json.objects().pop().unwrap();
        assert_eq!(object["type"], "offset", "{object:#}");
        assert_eq!(object["place"], "record", "{object:#}");
        assert_eq!(object["target"]["offset"], 3, "{object:#}");
        ask("orders:0@99999999", &[]).expect(0, &["not copied yet"]);
        ask("order:0@3", &[]).expect(1, &["no source topic order", "are topics orders"]);
        ask("orders:7@3", &[]).expect(1, &["no partition 7", "are partitions 0, 1"]);
    };
    check();
    let mut running = command(&[&["sync"], &once[..]].concat()).spawn().unwrap();
    let mut stderr = BufReader::new(running.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("records/s") {
        line.clear();
        assert!(stderr.read_line(&mut line).unwrap() > 0, "it ended early");
    }
    let socket = directory.path().join("offsets.sock");
    assert!(socket.exists());
    check();
    signal(running.id(), "KILL");
    drop(std::thread::spawn(move || stderr.lines().map_while(Result::ok).count()));
    wait(running);
    // The socket is still there, and nobody behind it.
    assert!(socket.exists());
    check();
}

#[test]
fn what_is_no_state_and_no_place_is_said() {
    let empty = tempfile::tempdir().unwrap();
    let state = empty.path().display().to_string();
    kferry(&["offsets", "orders:0@1", "--state", &state]).expect(1, &["holds no state", "cure:"]);
    kferry(&["offsets", "orders:0@1", "--state", "/nowhere"]).expect(1, &["does not exist"]);
    kferry(&["offsets", "orders:0", "--state", &state]).expect(2, &["no offset", "@OFFSET"]);
    kferry(&["offsets", "orders:x@1", "--state", &state])
        .expect(2, &["the partition is not a number"]);
    kferry(&["offsets", "orders:0@1"]).expect(2, &["--state"]);
    assert!(std::fs::read_dir(empty.path()).unwrap().next().is_none(), "nothing is made there");
}
