use kafka_client::ConfigSource;

use super::*;

fn entry(key: &str, value: Option<&str>, source: ConfigSource) -> ConfigEntry {
    ConfigEntry {
        name: key.into(),
        value: value.map(str::to_owned),
        source,
        is_sensitive: false,
        read_only: false,
    }
}

/// A topic with these overrides and nothing else known.
fn topic(overrides: &[(&str, &str)]) -> TopicConfig {
    TopicConfig::new(
        overrides.iter().map(|(key, value)| entry(key, Some(value), ConfigSource::Topic)),
    )
}

/// The plan, less the seven keys as the table of defaults has them.
#[track_caller]
fn check(
    source: &TopicConfig,
    copies_data: bool,
    expected: &[(&str, &str)],
    skipped: &[(&str, ConfigSkipReason)],
) {
    check_on(
        &TargetDefaults { is_v3: true, ..TargetDefaults::default() },
        source,
        copies_data,
        expected,
        skipped,
    );
}

#[track_caller]
fn check_on(
    target: &TargetDefaults,
    source: &TopicConfig,
    copies_data: bool,
    expected: &[(&str, &str)],
    skipped: &[(&str, ConfigSkipReason)],
) {
    let mut planned = plan(source, target, 1, copies_data);
    for always in &ALWAYS {
        if planned.configs.get(always.key).map(String::as_str) == always.default {
            planned.configs.remove(always.key);
        }
    }
    let found: Vec<_> =
        planned.configs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(found, expected);
    let found: Vec<_> = planned
        .skipped
        .iter()
        .map(|skipped| (skipped.key.as_str(), skipped.reason.clone()))
        .collect();
    assert_eq!(found, skipped);
}

#[test]
fn an_unreadable_topic_gets_the_table() {
    let planned = plan(&TopicConfig::default(), &TargetDefaults::default(), 3, true);
    let found: Vec<_> =
        planned.configs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let expected = [
        ("cleanup.policy", "delete"),
        ("max.message.bytes", "1048588"),
        ("min.insync.replicas", "1"),
        ("retention.ms", "604800000"),
        ("segment.ms", "604800000"),
        ("unclean.leader.election.enable", "false"),
    ];
    assert_eq!(found, expected);
    assert_eq!(planned.skipped, []);
}

#[test]
fn overrides_travel_and_broker_defaults_do_not() {
    let source = TopicConfig::new([
        entry("segment.bytes", Some("1000000"), ConfigSource::Topic),
        entry("flush.ms", Some("5"), ConfigSource::StaticBroker),
        entry("index.interval.bytes", Some("4096"), ConfigSource::Default),
    ]);
    check(&source, true, &[("segment.bytes", "1000000")], &[]);
}

#[test]
fn the_seven_take_what_the_source_broker_says() {
    let source = TopicConfig::new([
        entry("retention.ms", Some("1000"), ConfigSource::StaticBroker),
        entry("retention.bytes", Some("-1"), ConfigSource::Default),
        entry("max.message.bytes", Some("2000000"), ConfigSource::ClusterDefault),
        entry("cleanup.policy", Some("compact,delete"), ConfigSource::Topic),
    ]);
    let expected = [
        ("cleanup.policy", "compact,delete"),
        ("max.message.bytes", "2000000"),
        ("retention.bytes", "-1"),
        ("retention.ms", "1000"),
    ];
    check(&source, true, &expected, &[]);
}

#[test]
fn values_that_are_none_become_the_default() {
    let source = topic(&[
        ("retention.ms", ""),
        ("segment.ms", "soon"),
        ("retention.bytes", "x"),
        ("cleanup.policy", "keep"),
    ]);
    let invalid = |to: &str| ConfigSkipReason::Invalid { to: to.to_owned() };
    let skipped = [
        ("retention.ms", invalid("604800000")),
        ("cleanup.policy", invalid("delete")),
        ("segment.ms", invalid("604800000")),
        ("retention.bytes", invalid("the target's own")),
    ];
    check(&source, true, &[], &skipped);
    let null = TopicConfig::new([entry("retention.ms", None, ConfigSource::Topic)]);
    check(&null, true, &[], &[]);
}

#[test]
fn keys_of_one_cluster_stay_there() {
    for key in [
        "leader.replication.throttled.replicas",
        "follower.replication.throttled.replicas",
        "remote.storage.enable",
        "local.retention.ms",
        "confluent.placement.constraints",
    ] {
        check(&topic(&[(key, "1")]), true, &[], &[(key, ConfigSkipReason::ClusterOnly)]);
    }
}

#[test]
fn the_format_version_travels_to_old_targets_only() {
    let source = topic(&[("message.format.version", "0.10.2")]);
    check(&source, true, &[], &[("message.format.version", ConfigSkipReason::Obsolete)]);
    let old = TargetDefaults::default();
    check_on(&old, &source, true, &[("message.format.version", "0.10.2")], &[]);
}

#[test]
fn settings_that_would_spoil_times_travel_with_metadata_only() {
    let keeps = || ConfigSkipReason::KeepsRecordTimes;
    for (key, value) in [
        ("message.timestamp.type", "LogAppendTime"),
        ("message.timestamp.before.max.ms", "1000"),
        ("message.timestamp.difference.max.ms", "1000"),
    ] {
        let source = topic(&[(key, value)]);
        check(&source, true, &[], &[(key, keeps())]);
        check(&source, false, &[(key, value)], &[]);
    }
    check(
        &topic(&[("message.timestamp.type", "CreateTime")]),
        true,
        &[("message.timestamp.type", "CreateTime")],
        &[],
    );
}

#[test]
fn more_in_sync_replicas_than_replicas_are_clamped() {
    let source = topic(&[("min.insync.replicas", "2")]);
    let clamped = ConfigSkipReason::Clamped { to: "1".into() };
    check(&source, true, &[], &[("min.insync.replicas", clamped)]);
    let planned = plan(&source, &TargetDefaults::default(), 2, true);
    assert_eq!(planned.configs["min.insync.replicas"], "2");
    assert_eq!(planned.skipped, []);
}

#[test]
fn a_target_whose_defaults_spoil_records_is_overruled() {
    let broker = [
        ("log.message.timestamp.type", "LogAppendTime"),
        ("compression.type", "gzip"),
        ("log.message.timestamp.before.max.ms", UNLIMITED),
        ("log.message.timestamp.after.max.ms", "3600000"),
    ];
    let broker = broker.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let target = TargetDefaults { broker, is_v3: true };
    let expected = [
        ("compression.type", "producer"),
        ("message.timestamp.after.max.ms", UNLIMITED),
        ("message.timestamp.type", "CreateTime"),
    ];
    check_on(&target, &topic(&[]), true, &expected, &[]);
    check_on(&target, &topic(&[]), false, &[], &[]);
    let source =
        topic(&[("compression.type", "lz4"), ("message.timestamp.after.max.ms", "3600000")]);
    let expected = [
        ("compression.type", "lz4"),
        ("message.timestamp.after.max.ms", "3600000"),
        ("message.timestamp.type", "CreateTime"),
    ];
    check_on(&target, &source, true, &expected, &[]);
}

#[test]
fn what_the_target_does_to_records_is_told() {
    let causes = |source: &TopicConfig, target: &TopicConfig| -> Vec<_> {
        fidelity(source, target).into_iter().map(|(cause, _)| cause).collect()
    };
    let plain = topic(&[("compression.type", "producer"), ("cleanup.policy", "delete")]);
    assert_eq!(causes(&plain, &plain), []);
    let stamped = topic(&[("message.timestamp.type", "LogAppendTime")]);
    assert_eq!(causes(&plain, &stamped), [FidelityCause::TargetLogAppendTime]);
    let gzip = topic(&[("compression.type", "gzip")]);
    assert_eq!(causes(&plain, &gzip), [FidelityCause::TargetRecompresses]);
    assert_eq!(causes(&gzip, &gzip), []);
    let compacted = topic(&[("cleanup.policy", "delete, compact")]);
    assert_eq!(causes(&plain, &compacted), [FidelityCause::TargetCompacts]);
    assert_eq!(causes(&compacted, &compacted), []);
}

#[track_caller]
fn check_compare(
    source: &[(&str, &str)],
    target: &[(&str, &str)],
    applied: &[&str],
    drift: &[&str],
) {
    let (found_applied, found_drift) = compare(&topic(source), &topic(target), 1, true);
    let keys = |differences: Vec<Difference>| {
        differences.into_iter().map(|difference| difference.key).collect::<Vec<_>>()
    };
    assert_eq!(keys(found_applied), applied);
    assert_eq!(keys(found_drift), drift);
}

#[test]
fn only_unlimited_retention_follows() {
    check_compare(&[("retention.ms", "-1")], &[("retention.ms", "5")], &["retention.ms"], &[]);
    check_compare(
        &[("retention.bytes", "-1")],
        &[("retention.bytes", "5")],
        &["retention.bytes"],
        &[],
    );
    check_compare(&[("retention.ms", "7")], &[("retention.ms", "5")], &[], &["retention.ms"]);
    check_compare(&[("retention.ms", "7")], &[("retention.ms", "-1")], &[], &["retention.ms"]);
    check_compare(&[("segment.bytes", "7")], &[("segment.bytes", "5")], &[], &["segment.bytes"]);
}

/// Keys that follow a source with these settings, and those that do not.
#[track_caller]
fn check_follow(
    source: &[(&str, &str)],
    target: &[(&str, &str)],
    applied: &[&str],
    drift: &[&str],
) {
    let (follow, other) = compare_as(&topic(source), &topic(target), 2, (true, ConfigSync::Follow));
    let keys = |differences: Vec<Difference>| {
        differences.into_iter().map(|difference| difference.key).collect::<Vec<_>>()
    };
    assert_eq!((keys(follow), keys(other)), (keys_of(applied), keys_of(drift)));
}

fn keys_of(keys: &[&str]) -> Vec<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

#[test]
fn what_a_new_topic_would_get_can_follow() {
    check_follow(&[("retention.ms", "7")], &[("retention.ms", "5")], &["retention.ms"], &[]);
    check_follow(&[("segment.bytes", "7")], &[("segment.bytes", "5")], &["segment.bytes"], &[]);
    check_follow(&[("retention.ms", "x")], &[("retention.ms", "5")], &[], &["retention.ms"]);
    let before = "message.timestamp.before.max.ms";
    check_follow(&[(before, "7")], &[(before, "5")], &[], &[before]);
    check_follow(
        &[("remote.storage.enable", "true")],
        &[("remote.storage.enable", "false")],
        &[],
        &[],
    );
    let (ours, theirs) = ([("min.insync.replicas", "3")], [("min.insync.replicas", "1")]);
    check_follow(&ours, &theirs, &["min.insync.replicas"], &[]);
    check_follow(&ours, &[("min.insync.replicas", "2")], &[], &[]);
    assert_eq!(fitted("min.insync.replicas", "3", 2), "2");
    assert_eq!(fitted("retention.ms", " 3 ", 2), "3");
}

#[test]
fn what_we_wrote_ourselves_is_no_drift() {
    check_compare(&[("retention.ms", "5")], &[("retention.ms", "5")], &[], &[]);
    check_compare(&[("min.insync.replicas", "2")], &[("min.insync.replicas", "1")], &[], &[]);
    check_compare(
        &[("message.timestamp.type", "LogAppendTime")],
        &[("message.timestamp.type", "CreateTime")],
        &[],
        &[],
    );
    check_compare(
        &[("remote.storage.enable", "true")],
        &[("remote.storage.enable", "false")],
        &[],
        &[],
    );
    check_compare(&[("new.key", "5")], &[], &[], &[]);
}
