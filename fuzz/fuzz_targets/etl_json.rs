//! JSON in and out. Oracle: serde_json. What it reads as an object comes out with the same value, members in order and numbers as
//! they were; what it refuses is refused; and what comes out goes in and out unchanged.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::sync::LazyLock;

#[path = "../support/etl.rs"]
mod support;
use support::{compiled, outputs};

static IDENTITY: LazyLock<etl::Compiled> = LazyLock::new(|| compiled("{chains: [{analyse: {mode: json}}]}"));
static ONE: LazyLock<etl::Compiled> =
    LazyLock::new(|| compiled("{chains: [{analyse: {mode: json}, rows: [{key: a, on_missing: skip}]}]}"));

fuzz_target!(|data: &[u8]| {
    let found = outputs(&IDENTITY, data);
    let read = serde_json::from_slice::<Value>(data);
    match (&read, &found) {
        (Ok(Value::Object(members)), Ok(found)) => {
            let ours: Value = serde_json::from_slice(&found[0]).expect("JSON");
            let ours = ours.as_object().expect("an object");
            assert!(ours.iter().eq(members.iter()), "{ours:?} is not {members:?}");
            assert_eq!(outputs(&IDENTITY, &found[0]).as_ref(), Ok(found));
            // Looking at one member only skips the others, but sees the same.
            let one: Value = serde_json::from_slice(&outputs(&ONE, data).expect("one member")[0]).expect("JSON");
            assert_eq!(one.get("a"), members.get("a"));
        }
        (Ok(Value::Object(_)), Err(code)) => panic!("refused with {code}"),
        // A byte order mark is skipped; one level more is read than there.
        (Err(error), Ok(_)) => {
            let is_known = data.starts_with(b"\xef\xbb\xbf") || error.to_string().contains("recursion");
            assert!(is_known, "accepted what serde_json refuses: {error}");
        }
        _ => {}
    }
    assert_eq!(found.is_ok(), outputs(&ONE, data).is_ok(), "skipped members are not checked the same");
});
