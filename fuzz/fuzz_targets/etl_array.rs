//! Arrays of objects in the three modes. Oracle: serde_json, and each other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use std::sync::LazyLock;

#[path = "../support/etl.rs"]
mod support;
use support::{compiled, outputs};

fn mode(output: &str) -> etl::Compiled {
    compiled(&format!("{{chains: [{{analyse: {{mode: json_array, output: {output}}}}}]}}"))
}

static SINGLE: LazyLock<etl::Compiled> = LazyLock::new(|| mode("single"));
static MULTI: LazyLock<etl::Compiled> = LazyLock::new(|| mode("multi"));
static EACH: LazyLock<etl::Compiled> = LazyLock::new(|| mode("each"));

fuzz_target!(|data: &[u8]| {
    let (single, multi, each) = (outputs(&SINGLE, data), outputs(&MULTI, data), outputs(&EACH, data));
    assert_eq!(single.as_ref().err(), each.as_ref().err());
    let Ok(each) = each else {
        let read = serde_json::from_slice::<Value>(data);
        let is_good = read.is_ok_and(|read| read.as_array().is_some_and(|items| items.iter().all(Value::is_object)));
        assert!(!is_good, "refused a good array");
        return;
    };
    assert_eq!(single.expect("single")[..], each[..each.len().min(1)]);
    let Ok(multi) = multi else { return };
    let joined = [b"[".as_slice(), &each.join(&b","[..]), b"]"].concat();
    assert_eq!(multi[0], joined);
});
