//! A task file whose copies have other names, within one real cluster.

use xtask::kafka::{KafkaCluster, Options, Release};

use super::{kferry, text};
use crate::java::{Dataset, Oracle, compare};

#[test]
fn one_real_cluster_is_copied_to_other_names() {
    let cluster = KafkaCluster::start(Release::V4_2_0, Options::default()).unwrap();
    let oracle = Oracle::for_cluster(&cluster).unwrap();
    for topic in ["orders", "clicks", "left-out"] {
        oracle.create_topic(topic, 2, &[]).unwrap();
        oracle.produce(topic, &Dataset::mixed(400)).unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("task.yaml");
    let bootstrap = cluster.bootstrap();
    let task = format!(
        "source: '{bootstrap}'\ntarget: '{bootstrap}'\nexclude: [left-.*]\n\
         rename: {{prefix: dr., match: 'cli(.*)', to: 'k${{1}}'}}\nstate: state\n"
    );
    std::fs::write(&file, task).unwrap();
    let run = |arguments: &[&str], code: i32| {
        let arguments = [arguments, &["-f", file.to_str().unwrap()]].concat();
        let output = kferry(&arguments).output().unwrap();
        eprintln!("{arguments:?}\n{}", text(&output));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    run(&["sync", "--check"], 0);
    assert!(run(&["plan"], 0).contains("clicks as dr.kcks"));
    // The second run meets the copies of the first.
    for _ in 0..2 {
        run(&["sync", "--once"], 0);
    }
    let mut topics = oracle.topics().unwrap();
    topics.retain(|topic| !topic.starts_with("__"));
    topics.sort();
    assert_eq!(topics, ["clicks", "dr.kcks", "dr.orders", "left-out", "orders"]);
    for (topic, copy) in [("orders", "dr.orders"), ("clicks", "dr.kcks")] {
        let partitions = compare(&oracle, topic, &oracle, copy).unwrap();
        assert_eq!(partitions.iter().map(|partition| partition.count).sum::<u64>(), 400);
    }
    assert!(run(&["diff"], 0).contains("no difference"));
    oracle.set_topic_config("dr.orders", "retention.ms", "1000").unwrap();
    assert!(run(&["diff"], 3).contains("retention.ms"));
}
