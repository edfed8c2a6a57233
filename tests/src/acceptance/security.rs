//! Logins, certificates and permissions, and what `kferry check` says when one of them is wrong.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Output;

use xtask::kafka::{KafkaCluster, Options, Release};

use super::{kferry, text};
use crate::java::{Dataset, Oracle, compare};

const PASSWORD: &str = "kferry-password";

/// Writes a connection file; `more` is its part below the bootstrap addresses.
fn connection(directory: &Path, name: &str, bootstrap: &str, more: &str) -> PathBuf {
    let path = directory.join(format!("{name}.yaml"));
    fs::write(&path, format!("name: {name}\nbootstrap: [\"{bootstrap}\"]\n{more}")).unwrap();
    path
}

fn sasl(mechanism: &str, variable: &str) -> String {
    format!(
        "sasl:\n  mechanism: {mechanism}\n  username: kferry\n  password: {{ env: {variable} }}\n"
    )
}

fn tls(ca: &Path, more: &str) -> String {
    format!("tls:\n  ca: {}\n{more}", ca.display())
}

fn run(arguments: &[&str]) -> Output {
    let mut command = kferry(arguments);
    command.env("GOOD", PASSWORD).env("BAD", "wrong-password");
    let output = command.output().unwrap();
    let said = text(&output);
    assert!(
        !said.contains(PASSWORD) && !said.contains("wrong-password"),
        "a password was printed: {said}"
    );
    output
}

/// `kferry check` fails and says all of `parts`.
#[track_caller]
fn fails(file: &Path, parts: &[&str]) {
    let output = run(&["check", file.to_str().unwrap(), "--log", "trace"]);
    let said = String::from_utf8_lossy(&output.stdout).to_lowercase();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    for part in parts {
        assert!(said.contains(part), "check does not say {part:?}: {said}");
    }
}

fn start(release: Release, brokers: usize, flavour: &str) -> KafkaCluster {
    KafkaCluster::start(release, Options::new(brokers, flavour.parse().unwrap())).unwrap()
}

#[test]
fn sync_logs_in_and_stays_within_its_rights() {
    let source = start(Release::V4_2_0, 1, "sasl-tls");
    let target = start(Release::V4_2_0, 1, "mtls+acl");
    let (from, to) = (Oracle::for_cluster(&source).unwrap(), Oracle::for_cluster(&target).unwrap());
    from.create_topic("secret", 2, &[]).unwrap();
    from.produce("secret", &Dataset::mixed(400).with("codec", "lz4")).unwrap();
    for operation in
        ["CREATE", "DESCRIBE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS", "READ", "WRITE", "ALTER"]
    {
        to.allow("User:CN=kferry", operation, "TOPIC", "secret", "LITERAL").unwrap();
        to.allow("User:kferry", operation, "TOPIC", "secret", "LITERAL").unwrap();
    }
    for operation in ["WRITE", "DESCRIBE"] {
        to.allow("User:CN=kferry", operation, "TRANSACTIONAL_ID", "kferry-", "PREFIXED").unwrap();
        to.allow("User:kferry", operation, "TRANSACTIONAL_ID", "kferry-", "PREFIXED").unwrap();
    }

    let directory = tempfile::tempdir().unwrap();
    let ca = source.certificates().unwrap().ca();
    let with_login = tls(&ca, "") + &sasl("SCRAM-SHA-512", "GOOD");
    let source_file = connection(directory.path(), "source", &source.bootstrap(), &with_login);
    let certificates = target.certificates().unwrap();
    let identity = format!(
        "  cert: {}\n  key: {}\n",
        certificates.client_certificate("kferry").display(),
        certificates.client_key("kferry").display()
    );
    let with_identity = tls(&certificates.ca(), &identity);
    let target_file = connection(directory.path(), "target", &target.bootstrap(), &with_identity);
    let state = directory.path().join("state");
    let output = run(&[
        "sync",
        "--source",
        source_file.to_str().unwrap(),
        "--target",
        target_file.to_str().unwrap(),
        "--state",
        state.to_str().unwrap(),
        "--topics",
        "secret",
        "--once",
        "--log",
        "trace",
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    compare(&from, "secret", &to, "secret").unwrap();

    // What is not granted is named, with its operation.
    let output =
        run(&["check", target_file.to_str().unwrap(), "--as", "target", "--topics", "other"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(said.contains("denied"), "{said}");
}

#[test]
fn check_names_the_step_and_the_cure() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    fails(&connection(at, "nobody", &free, ""), &["reach", &free, "refused"]);

    let login = start(Release::V4_2_0, 1, "sasl");
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let good = connection(at, "good", &login.bootstrap(), &sasl(mechanism, "GOOD"));
        let output = run(&["check", good.to_str().unwrap(), "--log", "trace"]);
        assert_eq!(output.status.code(), Some(0), "{mechanism}: {}", text(&output));
        let bad = connection(at, "bad", &login.bootstrap(), &sasl(mechanism, "BAD"));
        fails(&bad, &["sasl", "password"]);
    }

    let secure = start(Release::V4_2_0, 1, "tls");
    let certificates = secure.certificates().unwrap();
    let trusting = tls(&certificates.ca(), "");
    let good = connection(at, "secure", &secure.bootstrap(), &trusting);
    assert_eq!(run(&["check", good.to_str().unwrap()]).status.code(), Some(0));
    fails(&connection(at, "plain-to-tls", &secure.bootstrap(), ""), &["tls"]);
    fails(
        &connection(at, "tls-to-plain", &secure.internal_bootstrap(), &trusting),
        &["tls", "without tls"],
    );
    let strange = tls(&certificates.other_ca(), "");
    fails(&connection(at, "strange", &secure.bootstrap(), &strange), &["tls", "ca"]);
    let renamed = tls(&certificates.ca(), "  server_name: elsewhere.example\n");
    fails(&connection(at, "renamed", &secure.bootstrap(), &renamed), &["tls", "elsewhere.example"]);
}

#[test]
fn check_finds_the_one_broker_of_three_that_cannot_be_reached() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let options = Options::new(3, "plain".parse().unwrap()).advertise(2, &free);
    let cluster = KafkaCluster::start(Release::V4_2_0, options).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let bootstrap = cluster.broker(0).address();
    fails(&connection(directory.path(), "three", &bootstrap, ""), &["broker", &free, "refused"]);
}
