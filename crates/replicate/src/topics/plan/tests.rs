use kafka_client::PartitionMetadata;

use super::*;
use crate::spec::SyncMode;

fn topic(name: &str, partitions: i32, replicas: i32) -> TopicMetadata {
    let partition = |partition| PartitionMetadata {
        partition,
        leader_id: 1,
        leader_epoch: 0,
        replicas: (1..=replicas).collect(),
        isr: (1..=replicas).collect(),
        error: ErrorCode::NONE,
    };
    TopicMetadata {
        name: name.to_owned(),
        topic_id: None,
        is_internal: false,
        error: ErrorCode::NONE,
        partitions: (0..partitions).map(partition).collect(),
        authorized_operations: None,
    }
}

fn cluster(brokers: usize) -> TargetCluster {
    let broker = [("default.replication.factor".to_owned(), "2".to_owned())].into();
    TargetCluster { brokers, takes_default: true, defaults: TargetDefaults { broker, is_v3: true } }
}

fn spec() -> TaskSpec {
    TaskSpec { sync: SyncMode::MetadataData, ..TaskSpec::new("t".parse().unwrap()) }
}

fn step(source: &TopicMetadata, found: Option<&TopicMetadata>, cluster: &TargetCluster) -> Step {
    plan(source, &TopicConfig::default(), "a", found, cluster, &spec())
}

#[track_caller]
fn check_replication(source: i32, cluster: &TargetCluster, factor: i16, is_reduced: bool) {
    let Step::Create(creation) = step(&topic("a", 3, source), None, cluster) else {
        panic!("not created")
    };
    assert_eq!((creation.new.partitions, creation.new.replication_factor), (3, factor));
    assert_eq!(creation.is_reduced(), is_reduced);
}

#[test]
fn an_absent_topic_is_created_like_the_source() {
    check_replication(1, &cluster(3), 1, false);
    check_replication(3, &cluster(3), 3, false);
    let mut absent = topic("a", 0, 1);
    absent.error = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
    assert!(matches!(step(&topic("a", 1, 1), Some(&absent), &cluster(1)), Step::Create(_)));
}

#[test]
fn fewer_brokers_than_replicas_mean_the_default() {
    check_replication(3, &cluster(1), -1, true);
    let old = TargetCluster { takes_default: false, ..cluster(2) };
    check_replication(3, &old, 2, true);
}

#[test]
fn partitions_grow_and_never_shrink() {
    let source = topic("a", 4, 1);
    for (count, is_grown) in [(2, true), (4, false), (9, false), (0, false)] {
        let step = step(&source, Some(&topic("a", count, 1)), &cluster(1));
        let growth = Growth { topic: "a".into(), target_name: "a".into(), from: count, to: 4 };
        assert_eq!(step, if is_grown { Step::Grow(growth) } else { Step::Keep });
    }
}

#[test]
fn a_hidden_topic_is_refused() {
    let mut hidden = topic("a", 0, 1);
    hidden.error = ErrorCode::TOPIC_AUTHORIZATION_FAILED;
    let step = step(&topic("a", 4, 1), Some(&hidden), &cluster(1));
    assert!(matches!(step, Step::Refuse(SkipReason::TargetUnreadable { .. })), "{step:?}");
}
