//! What a plan finds in the way, on real brokers.

use serde_json::json;

use super::{World, create, lines};
use crate::java::Dataset;

/// One topic for each finding that settings of a target topic give rise to; those that rights give rise to are in `rights`.
pub(super) fn every_finding_that_blocks(world: &World) {
    let (from, to) = (&world.pair.from, &world.pair.to);
    let cases = [
        ("judged-bytes", "max_message_bytes", "max.message.bytes", "800000"),
        ("judged-times", "log_append_time", "message.timestamp.type", "LogAppendTime"),
        ("judged-compaction", "compacts_others", "cleanup.policy", "compact"),
        ("judged-replicas", "min_insync_replicas", "min.insync.replicas", "2"),
        ("judged-age", "retention_too_short", "retention.ms", "86400000"),
    ];
    for (topic, _, key, value) in cases {
        create(from, topic, 1, &[]);
        to.create_topic(topic, 1, &[(key, value)]).unwrap();
    }
    // Their times are the numbers 0 to 9: old.
    from.produce("judged-age", &Dataset::plain(10, 50)).unwrap();
    let plan = world.run("plan", "judged", 3, &["--topics", "judged-.*"]).remove(0);
    for (topic, finding, ..) in cases {
        let findings = plan["findings"].as_array().unwrap().iter();
        let told: Vec<_> =
            findings.filter(|it| it["topic"] == topic && it["blocks"] == true).collect();
        assert_eq!((told.len(), &told[0]["finding"]), (1, &json!(finding)), "{told:#?}");
        assert!(told[0]["cure"].is_string(), "{told:#?}");
    }
    let source = world.pair.source.bootstrap();
    let plan =
        lines(&["plan", "--source", &source, "--target", &source, "--output", "json"], 3).remove(0);
    assert_eq!(plan["findings"][0]["finding"], "same_cluster", "{plan:#}");
}
