//! ACLs between real authorizers, by a user who has the rights of `docs/security.md` and no others.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use kafka_client::{
    Acl, AclFilter, AclOperation, AclPattern, AclPermission, AclResource, Client, ConnectionConfig,
};
use kafka_wire::ErrorCode;
use kafka_wire::sasl::{Credentials, Mechanism};
use kafka_wire::secret::Secret;
use serde_json::Value;
use xtask::kafka::{KafkaCluster, Options, Release};

use super::{kferry, text};
use crate::java::{Dataset, Oracle, compare};

/// A cluster with an authorizer, somebody who may do everything there, and the Java client.
struct End {
    cluster: KafkaCluster,
    admin: Client,
    oracle: Oracle,
}

fn acl(text: &str) -> Acl {
    let words: Vec<&str> = text.split(' ').collect();
    let [user, permission, operation, resource, name] = words[..] else { panic!("{text}") };
    let operation = (2..=15)
        .map(AclOperation::from_code)
        .find(|known| known.to_string() == operation)
        .unwrap_or_else(|| panic!("{text}"));
    let (name, pattern) = match name.strip_suffix('…') {
        Some(prefix) => (prefix, AclPattern::Prefixed),
        None => (name, AclPattern::Literal),
    };
    Acl {
        resource: match resource {
            "topic" => AclResource::Topic,
            "group" => AclResource::Group,
            "id" => AclResource::TransactionalId,
            _ => AclResource::Cluster,
        },
        name: name.to_owned(),
        pattern,
        principal: format!("User:{user}"),
        host: "*".to_owned(),
        operation,
        permission: if permission == "DENY" { AclPermission::Deny } else { AclPermission::Allow },
    }
}

impl End {
    fn start(release: Release) -> Self {
        let cluster =
            KafkaCluster::start(release, Options::new(1, "acl".parse().unwrap())).unwrap();
        let config = ConnectionConfig::plain(&cluster.internal_bootstrap()).unwrap();
        let admin = Client::new(config).unwrap();
        let oracle = Oracle::for_cluster(&cluster).unwrap();
        Self { cluster, admin, oracle }
    }

    async fn add(&self, texts: &[&str]) {
        let acls: Vec<_> = texts.iter().map(|text| acl(text)).collect();
        let made = self.admin.create_acls(&acls).await.unwrap();
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        self.wait_until(|found| acls.iter().all(|acl| found.contains(acl))).await;
    }

    async fn remove(&self, texts: &[&str]) {
        let acls: Vec<_> = texts.iter().map(|text| acl(text)).collect();
        let filters: Vec<_> = acls.iter().map(AclFilter::exactly).collect();
        let gone = self.admin.delete_acls(&filters).await.unwrap();
        assert!(
            gone.iter().all(|gone| gone.as_ref().is_ok_and(|gone| gone.len() == 1)),
            "{gone:?}"
        );
        self.wait_until(|found| acls.iter().all(|acl| !found.contains(acl))).await;
    }

    async fn acls(&self) -> BTreeSet<Acl> {
        self.admin.describe_acls(&AclFilter::any()).await.unwrap().into_iter().collect()
    }

    /// Brokers learn of ACLs a little later than whoever makes them is answered.
    async fn wait_until(&self, is_so: impl Fn(&BTreeSet<Acl>) -> bool) {
        let mut found = BTreeSet::new();
        for _ in 0..200 {
            found = self.acls().await;
            if is_so(&found) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{found:#?}");
    }

    fn connection(&self, directory: &Path, name: &str) -> String {
        let path = directory.join(format!("{name}.yaml"));
        let login = "sasl: { mechanism: SCRAM-SHA-256, username: kferry, password: { env: KF } }";
        let text = format!("bootstrap: ['{}']\n{login}\n", self.cluster.bootstrap());
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// What the user `limited` is told of a topic.
    async fn shown_to_limited(&self, topic: &str) -> ErrorCode {
        let credentials = Credentials {
            mechanism: Mechanism::Plain,
            username: "limited".to_owned(),
            password: Secret::new("limited-password".to_owned()),
        };
        let config = ConnectionConfig::plain(&self.cluster.bootstrap()).unwrap();
        let client = Client::new(config.with_sasl(credentials)).unwrap();
        let named = kafka_client::TopicQuery::Named(vec![topic.to_owned()]);
        let error = client.refresh_metadata(named).await.unwrap().topics[topic].error;
        client.close().await;
        error
    }
}

/// Runs a command that ends with `code`; its lines.
#[track_caller]
fn run(arguments: &[&str], code: i32) -> Vec<Value> {
    let arguments = [arguments, &["--output", "json"]].concat();
    let output = kferry(&arguments).env("KF", "kferry-password").output().unwrap();
    eprintln!("{arguments:?}\n{}", text(&output));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    // Not even what the copy can do without is refused.
    assert!(!text(&output).contains("is not shown as group"), "{arguments:?}");
    let lines = String::from_utf8_lossy(&output.stdout);
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const GUIDE: &str = include_str!("../../../docs/security.md");

/// The rights that the guide's lines for an end grant, as [`acl`] reads them.
fn rights(end: &str) -> Vec<String> {
    let (_, section) = GUIDE.split_once(&format!("### {end}\n")).unwrap();
    let (section, _) = section.trim_start_matches("```sh\n").split_once("```").unwrap();
    let mut rights = Vec::new();
    for line in section.lines().filter_map(|line| line.strip_prefix("$add ")) {
        let line = line.split(" #").next().unwrap();
        let (mut resource, mut name, mut operations) = ("", String::new(), Vec::new());
        let mut words = line.split_whitespace().map(|word| word.trim_matches('\''));
        while let Some(word) = words.next() {
            match word {
                "--topic" => (resource, name) = ("topic", words.next().unwrap().to_owned()),
                "--group" => (resource, name) = ("group", words.next().unwrap().to_owned()),
                "--transactional-id" => (resource, name) = ("id", words.next().unwrap().to_owned()),
                "--cluster" => (resource, name) = ("cluster", "kafka-cluster".to_owned()),
                "--resource-pattern-type" if words.next() == Some("prefixed") => name.push('…'),
                "--operation" => operations.push(words.next().unwrap()),
                other => panic!("{other}: {line}"),
            }
        }
        for operation in operations {
            let mut upper = String::new();
            for c in operation.chars() {
                if c.is_uppercase() && !upper.is_empty() {
                    upper.push('_');
                }
                upper.extend(c.to_uppercase());
            }
            rights.push(format!("kferry ALLOW {upper} {resource} {name}"));
        }
    }
    rights
}

async fn acls_follow(from: Release, to: Release) {
    let (source, target) = (End::start(from), End::start(to));
    for topic in ["orders", "clicks"] {
        source.oracle.create_topic(topic, 2, &[("retention.ms", "-1")]).unwrap();
        source.oracle.produce(topic, &Dataset::mixed(400)).unwrap();
    }
    source.oracle.commit("readers", "orders", &[(0, 5)]).unwrap();
    for (end, name, count) in [(&source, "Source", 5), (&target, "Target", 8)] {
        let rights = rights(name);
        assert_eq!(rights.len(), count, "{rights:?}");
        end.add(&rights.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let from_file = source.connection(directory.path(), "source");
    let to_file = target.connection(directory.path(), "target");
    let state = directory.path().join("state").to_str().unwrap().to_owned();
    let offsets = ["--sync", "metadata_data_offsets", "--acl-sync", "all"];
    run(&[&["check", &from_file], &offsets[..]].concat(), 0);
    run(&[&["check", &to_file, "--as", "target"], &offsets[..]].concat(), 0);

    source
        .add(&[
            "limited ALLOW READ topic orders",
            "limited ALLOW WRITE topic orders",
            "alice ALLOW ALL topic clicks",
            "mallory DENY READ topic or…",
            "carol ALLOW DESCRIBE topic *",
            "limited ALLOW READ group re…",
            "bob ALLOW WRITE id b",
        ])
        .await;
    let foreign = ["dave ALLOW READ topic orders", "alice ALLOW DESCRIBE topic clicks"];
    target.add(&foreign).await;
    let ends = ["--source", &from_file, "--target", &to_file, "--state", &state];
    let task = |command: &str, code: i32, more: &[&str]| {
        run(&[&[command], &ends[..], &offsets[..], more].concat(), code)
    };

    let before = target.acls().await;
    let plan = task("plan", 0, &[]).remove(0);
    assert_eq!(plan["acls"]["withheld"].as_array().unwrap().len(), 2, "{plan:#}");
    assert_eq!(target.acls().await, before, "a plan changes nothing");
    let planned: BTreeSet<Acl> = serde_json::from_value(plan["acls"]["make"].clone()).unwrap();
    assert!(planned.contains(&acl("alice ALLOW ALTER_CONFIGS topic clicks")), "{planned:#?}");
    assert!(planned.contains(&acl("mallory DENY READ topic or…")), "{planned:#?}");
    assert!(
        planned.iter().all(|acl| acl.operation != AclOperation::Write
            || acl.resource == AclResource::TransactionalId)
    );
    task("sync", 0, &["--once"]);
    let expected: BTreeSet<_> = before.union(&planned).cloned().collect();
    target.wait_until(|found| *found == expected).await;
    compare(&source.oracle, "orders", &target.oracle, "orders").unwrap();
    assert_eq!(target.oracle.committed("readers", "orders").unwrap()[&0], 5);
    assert_eq!(target.shown_to_limited("orders").await, ErrorCode::NONE);
    assert_eq!(target.shown_to_limited("clicks").await, ErrorCode::TOPIC_AUTHORIZATION_FAILED);
    task("diff", 0, &[]);

    // What is taken away there is taken away here; what others made stays, also where the source had it.
    let all = "alice ALLOW ALL topic clicks";
    source.remove(&["limited ALLOW READ topic orders", "mallory DENY READ topic or…", all]).await;
    assert_eq!(task("diff", 3, &[]).len(), 9);
    task("sync", 0, &["--once"]);
    let stays = |found: &BTreeSet<Acl>| {
        let ours = |acl: &&Acl| acl.principal == "User:alice" || acl.principal == "User:mallory";
        let left: Vec<_> = found.iter().filter(ours).collect();
        left == [&acl(foreign[1])] && before.iter().all(|acl| found.contains(acl))
    };
    target.wait_until(stays).await;
    assert_eq!(
        target.shown_to_limited("orders").await,
        ErrorCode::TOPIC_AUTHORIZATION_FAILED,
        "the right is gone"
    );

    // Without the right the records go on, and one event says what to do.
    target.remove(&["kferry ALLOW ALTER cluster kafka-cluster"]).await;
    source.add(&["limited ALLOW READ topic clicks"]).await;
    let lines = task("sync", 0, &["--once"]);
    let told: Vec<_> = lines.iter().filter(|line| line["event"] == "acl_sync_failed").collect();
    assert_eq!(told.len(), 1, "{lines:#?}");
    assert!(told[0]["cure"].as_str().unwrap().contains("--operation Alter"), "{told:#?}");
}

#[tokio::test]
async fn acls_follow_from_2_8_to_4_2() {
    acls_follow(Release::V2_8_2, Release::V4_2_0).await;
}

#[tokio::test]
async fn acls_follow_from_4_2_to_2_8() {
    acls_follow(Release::V4_2_0, Release::V2_8_2).await;
}
