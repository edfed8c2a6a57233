//! Wrong command lines and help.

use super::support::{command, kferry, run};

#[test]
fn wrong_usage_ends_with_2_and_says_what() {
    let check = |args: &[&str], words: &[&str]| kferry(args).expect(2, words);
    check(&[], &["Usage"]);
    check(&["fly"], &["fly"]);
    check(&["sync", "--source", "a:1"], &["--target"]);
    check(
        &["sync", "--source", "a:1", "--target", "b:1", "--start", "soon"],
        &["--start", "RFC 3339"]
            .map(|word| if word == "RFC 3339" { "2025-01-31T14:00:00Z" } else { word }),
    );
    check(
        &["sync", "--source", "a:1", "--target", "b:1", "--topics", "a("],
        &["--topics", "at character 2"],
    );
    check(
        &["sync", "--source", "a:1", "--target", "b:1", "--name", "a/b"],
        &["--name", "character 2"],
    );
    check(&["sync", "--source", "a", "--target", "b:1"], &["--source", "port"]);
    check(&["sync", "--source", "a:1", "--target", "missing.yaml"], &["missing.yaml"]);
    check(
        &[
            "sync",
            "--source",
            "a:1",
            "--target",
            "b:1",
            "--sync",
            "metadata_data_offsets",
            "--topics",
            "a",
        ],
        &["all topics"],
    );
    check(&["check"], &["CONNECTION"]);
    check(&["check", "a:1", "--log", "loud=very"], &["--log"]);
    check(&["inspect", "nowhere.log"], &["nowhere.log"]);
    check(&["inspect", "a:1"], &["TOPIC:PARTITION"]);
    check(&["inspect", "a:1", "t"], &["TOPIC:PARTITION"]);
}

#[test]
fn help_and_version_end_with_0() {
    kferry(&["--version"]).expect(0, &["kferry"]);
    kferry(&["--help"]).expect(0, &["sync", "check", "demo", "inspect", "Examples"]);
    for verb in ["sync", "check", "demo", "inspect"] {
        kferry(&[verb, "--help"]).expect(0, &["Examples", "Exit codes"]);
    }
    assert!(!kferry(&["--help"]).all().contains("sandbox"), "it is for tests");
}

#[test]
fn no_colour_without_a_terminal() {
    for args in [&["sync"][..], &["check", "127.0.0.1:1"], &["--help"]] {
        assert!(!kferry(args).all().contains('\u{1b}'));
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = command(&[
        "inspect",
        concat!(env!("CARGO_MANIFEST_DIR"), "/../kafka-wire/testdata/records/v2-none.bin"),
    ])
    .spawn()
    .unwrap();
    drop(child.stdout.take());
    assert_eq!(super::support::wait(child).code, Some(0));
}

#[test]
fn the_level_comes_from_the_environment_too() {
    let mut wrong = command(&["check", "127.0.0.1:1"]);
    wrong.env("KFERRY_LOG", "kferry=nonsense");
    run(wrong).expect(2, &["--log"]);
}
