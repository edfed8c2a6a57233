//! Old to new, new to old, and the release that is too old.

use xtask::kafka::{KafkaCluster, Options, Release};

use super::{kferry, sync_once, text};
use crate::java::{Dataset, Oracle, compare};

/// A cluster and its judge.
struct End {
    cluster: KafkaCluster,
    oracle: Oracle,
}

impl End {
    fn start(release: Release) -> Self {
        let cluster = KafkaCluster::start(release, Options::default()).unwrap();
        let oracle = Oracle::for_cluster(&cluster).unwrap();
        Self { cluster, oracle }
    }

    /// Topics `PREFIX-CODEC`, and with `formats` one of each older message format.
    fn fill(&self, prefix: &str, codecs: &[&str], formats: &[&str]) -> Vec<String> {
        let mut topics = Vec::new();
        for codec in codecs {
            let topic = format!("{prefix}-{codec}");
            self.oracle.create_topic(&topic, 3, &[]).unwrap();
            self.oracle.produce(&topic, &Dataset::mixed(300).with("codec", codec)).unwrap();
            topics.push(topic);
        }
        for format in formats {
            for codec in ["none", "gzip", "snappy", "lz4"] {
                let topic = format!("{prefix}-format-{format}-{codec}");
                self.oracle.create_topic(&topic, 2, &[("message.format.version", format)]).unwrap();
                let dataset = Dataset::mixed(200).with("codec", codec).with("headers", "no");
                self.oracle.produce(&topic, &dataset).unwrap();
                topics.push(topic);
            }
        }
        topics
    }

    #[track_caller]
    fn copy_to(&self, target: &Self, prefix: &str, topics: &[String]) {
        let state = tempfile::tempdir().unwrap();
        let pattern = format!("{prefix}-.*");
        let (from, to) = (self.cluster.bootstrap(), target.cluster.bootstrap());
        sync_once(&from, &to, state.path(), &["--topics", &pattern, "--name", prefix]);
        for topic in topics {
            let partitions = compare(&self.oracle, topic, &target.oracle, topic).unwrap();
            assert!(
                partitions.iter().map(|partition| partition.count).sum::<u64>() > 0,
                "{topic} is empty"
            );
        }
    }
}

#[test]
fn old_releases_copy_to_new_ones_and_back() {
    let old_codecs = ["none", "gzip", "snappy", "lz4"];
    let all_codecs = ["none", "gzip", "snappy", "lz4", "zstd"];
    let newest = End::start(Release::V4_2_0);
    {
        let source = End::start(Release::V0_11_0_3);
        let topics = source.fill("from011", &old_codecs, &["0.9.0", "0.10.2"]);
        source.copy_to(&newest, "from011", &topics);
    }
    {
        let source = End::start(Release::V1_1_1);
        let topics = source.fill("from11", &old_codecs, &["0.9.0", "0.10.2"]);
        source.copy_to(&newest, "from11", &topics);
    }
    let middle = End::start(Release::V3_9_1);
    let topics = middle.fill("from39", &all_codecs, &[]);
    middle.copy_to(&newest, "from39", &topics);

    let old = End::start(Release::V2_8_2);
    let topics = old.fill("from28", &all_codecs, &["0.10.2"]);
    old.copy_to(&middle, "from28", &topics);
    let topics = newest.fill("from42", &all_codecs, &[]);
    newest.copy_to(&old, "from42", &topics);
}

#[test]
fn kafka_0_10_is_refused_on_either_side() {
    let ancient = KafkaCluster::start(Release::V0_10_2_2, Options::default()).unwrap();
    let other = KafkaCluster::start(Release::V4_2_0, Options::default()).unwrap();
    for (source, target) in
        [(ancient.bootstrap(), other.bootstrap()), (other.bootstrap(), ancient.bootstrap())]
    {
        let state = tempfile::tempdir().unwrap();
        let state = state.path().to_str().unwrap();
        let arguments =
            ["sync", "--source", &source, "--target", &target, "--state", state, "--once"];
        let output = kferry(&arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        let said = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("0.10.2") && said.contains("not supported"), "{}", text(&output));
    }
}
