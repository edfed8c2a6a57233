use super::*;
use crate::commands::import::properties;

fn converted(text: &str) -> Converted {
    convert(properties::parse(text).unwrap()).unwrap()
}

const PLAIN: &str = "clusters = a, b\na.bootstrap.servers = h1:9092, h2:9092\nb.bootstrap.servers = h3:9092\na->b.enabled = true\n";

#[test]
fn defaults_of_mirror_maker_hold() {
    let found = converted(PLAIN);
    assert_eq!(
        found.yaml,
        "tasks:\n- name: a-to-b\n  source:\n    name: 'a'\n    bootstrap: ['h1:9092', 'h2:9092']\n  target:\n    name: 'b'\n    bootstrap: ['h3:9092']\n  exclude: ['mm2.*\\.internal', '.*\\.replica']\n  rename: {prefix: 'a.'}\n  config_sync: follow\n"
    );
    assert_eq!(found.notes.len(), 1);
    assert!(found.notes[0].text.contains("ACLs"), "{:?}", found.notes);
}

#[test]
fn acls_travel_when_they_are_asked_for() {
    let found = converted(&format!("{PLAIN}sync.topic.acls.enabled = true\n"));
    assert!(found.yaml.contains("  acl_sync: topics\n"), "{}", found.yaml);
    assert!(found.notes.is_empty(), "{:?}", found.notes);
}

#[test]
fn settings_are_carried_over() {
    let found = converted(&format!(
        "{PLAIN}replication.policy.class = org.apache.kafka.connect.mirror.IdentityReplicationPolicy\n\
         a->b.topics = orders.*, pay(?!x).*\na->b.topics.exclude = orders-test\nsync.topic.configs.enabled = false\n\
         sync.topic.acls.enabled = false\nrefresh.topics.interval.seconds = 30\ntasks.max = 8\n\
         a.consumer.auto.offset.reset = latest\nemit.heartbeats.enabled = true\nodd = 1\n"
    ));
    for line in [
        "include: ['orders.*']",
        "exclude: ['orders-test']",
        "discovery_interval: 30s",
        "concurrency: 8",
        "start: latest",
    ] {
        assert!(found.yaml.contains(line), "{line}: {}", found.yaml);
    }
    assert!(!found.yaml.contains("rename") && !found.yaml.contains("config_sync"));
    let notes: Vec<(Option<usize>, &str)> =
        found.notes.iter().map(|note| (note.line, &*note.text)).collect();
    assert_eq!(notes.len(), 3, "{notes:?}");
    assert!(notes[0].0 == Some(6) && notes[0].1.contains("pay(?!x).*"), "{notes:?}");
    assert!(notes[1].0 == Some(13) && notes[1].1.contains("heartbeats"), "{notes:?}");
    assert!(notes[2].1.starts_with("odd: has no counterpart"), "{notes:?}");
}

#[test]
fn positions_travel_with_all_topics() {
    let all = converted(&format!("{PLAIN}sync.group.offsets.enabled = true\n"));
    assert!(all.yaml.contains("sync: metadata_data_offsets\n") && !all.yaml.contains("exclude"));
    let some = converted(&format!("{PLAIN}sync.group.offsets.enabled = true\ntopics = x\n"));
    assert!(!some.yaml.contains("metadata_data_offsets"));
    assert!(some.notes.iter().any(|note| note.text.contains("all topics only")));
}

#[test]
fn logins_are_carried_over_and_passwords_are_not() {
    let found = converted(&format!(
        "{PLAIN}a.security.protocol = SASL_SSL\na.sasl.mechanism = SCRAM-SHA-512\n\
         a.sasl.jaas.config = org.apache.kafka.common.security.scram.ScramLoginModule required username=\"mm\" password=\"hunter2\";\n\
         a.ssl.truststore.location = /etc/ca.pem\na.ssl.truststore.password = hunter3\n\
         b.security.protocol = SSL\nb.ssl.truststore.location = /etc/trust.jks\n"
    ));
    assert!(found.yaml.contains("tls: {ca: '/etc/ca.pem'}"), "{}", found.yaml);
    assert!(
        found.yaml.contains(
            "sasl: {mechanism: SCRAM-SHA-512, username: 'mm', password: {env: KFERRY_PASSWORD_A}}"
        ),
        "{}",
        found.yaml
    );
    let all = format!("{found:?}");
    assert!(!all.contains("hunter"), "{all}");
    assert!(all.contains("trust.jks is a Java key store"), "{all}");
}

#[test]
fn both_ways_are_two_tasks_and_none_is_a_mistake() {
    let both = converted(&format!("{PLAIN}b->a.enabled = true\n"));
    assert_eq!(both.yaml.matches("- name: ").count(), 2);
    let failed = |text: &str| convert(properties::parse(text).unwrap()).unwrap_err();
    assert!(failed("a = b").0.contains("names no clusters"));
    assert!(failed("clusters = a, b").0.contains("none of the ways"));
    assert!(failed("clusters = a, b\na->b.enabled = true").0.contains("no addresses"));
}
