//! What `kferry plan` tells, real brokers do; what `kferry diff` tells, they show.

use std::path::Path;

use serde_json::Value;
use xtask::kafka::Release;

use super::pair::Pair;
use super::{kferry, sync_once, text};
use crate::java::Dataset;

/// Runs a command that ends with `code`; its lines.
#[track_caller]
fn lines(pair: &Pair, command: &str, state: &Path, code: i32) -> Vec<Value> {
    let (source, target) = (pair.source.bootstrap(), pair.target.bootstrap());
    let state = state.to_str().unwrap();
    let arguments =
        [command, "--source", &source, "--target", &target, "--state", state, "--output", "json"];
    let output = kferry(&arguments).output().unwrap();
    eprintln!("{}", text(&output));
    assert_eq!(output.status.code(), Some(code));
    let lines = String::from_utf8_lossy(&output.stdout);
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn real_brokers_do_what_was_planned() {
    let pair = Pair::start(Release::V3_9_1, Release::V4_2_0);
    let odd = [("message.downconversion.enable", "false"), ("segment.bytes", "2000000")];
    pair.from.create_topic("odd", 2, &odd).unwrap();
    pair.from.create_topic("plain", 3, &[("retention.ms", "-1")]).unwrap();
    pair.from.produce("plain", &Dataset::plain(3000, 700).with("content", "random")).unwrap();
    pair.from.create_topic("grown", 4, &[]).unwrap();
    pair.to.create_topic("grown", 1, &[]).unwrap();
    pair.from.commit("readers", "plain", &[(0, 5)]).unwrap();
    let state = tempfile::tempdir().unwrap();

    let before = pair.to.topics().unwrap();
    let plan = lines(&pair, "plan", state.path(), 0).remove(0);
    assert_eq!(pair.to.topics().unwrap(), before, "a plan changes nothing");
    assert_eq!(plan["records"], 3000, "{plan:#}");
    let bytes = plan["bytes_estimated"].as_u64().unwrap();
    assert!((2_100_000..2_600_000).contains(&bytes), "{plan:#}");
    assert_eq!(plan["groups"]["make_known"], serde_json::json!(["readers"]), "{plan:#}");
    let missing = lines(&pair, "diff", state.path(), 3);
    assert_eq!(missing.last().unwrap()["differences"], 3, "{missing:#?}");

    sync_once(&pair.source.bootstrap(), &pair.target.bootstrap(), state.path(), &[]);

    for topic in plan["topics"].as_array().unwrap() {
        let name = topic["target_topic"].as_str().unwrap();
        let count = pair.to.offsets(name).unwrap().len();
        match topic["action"].as_str().unwrap() {
            "create" => {
                assert_eq!(topic["partitions"], count, "{topic:#}");
                let configs = pair.to.topic_configs(name).unwrap();
                for (key, value) in topic["settings"].as_object().unwrap() {
                    assert_eq!(configs[key].value.as_deref(), value.as_str(), "{name} {key}");
                }
            }
            "grow" => assert_eq!(topic["to"], count, "{topic:#}"),
            other => panic!("{other}: {topic:#}"),
        }
    }
    let odd =
        plan["topics"].as_array().unwrap().iter().find(|topic| topic["topic"] == "odd").unwrap();
    assert_eq!(odd["skipped"][0]["key"], "message.downconversion.enable", "{odd:#}");
    assert_eq!(odd["skipped"][0]["reason"], "refused", "{odd:#}");
    let none = lines(&pair, "diff", state.path(), 0);
    assert_eq!(none[0]["equal"], true, "{none:#?}");

    // Records that are older than the target keeps them, and a target that takes less.
    pair.to.set_topic_config("plain", "retention.ms", "1").unwrap();
    pair.to.set_topic_config("plain", "max.message.bytes", "1000").unwrap();
    let fresh = tempfile::tempdir().unwrap();
    let plan = lines(&pair, "plan", fresh.path(), 3).remove(0);
    let found: Vec<_> =
        plan["findings"].as_array().unwrap().iter().map(|it| &it["finding"]).collect();
    assert_eq!(found, ["max_message_bytes", "retention_too_short"], "{plan:#}");
    let drift = lines(&pair, "diff", fresh.path(), 3);
    assert_eq!(drift.len(), 3, "{drift:#?}");
}
