//! `kferry check`: each way in which a connection can be wrong has its step, its cause and its cure.

use std::{
    io::{Read, Write},
    net::TcpListener,
    thread,
};

use super::support::{Sandbox, kferry, write};

#[test]
fn a_good_cluster_passes() {
    let sandbox = Sandbox::start(&[
        "--brokers",
        "3",
        "--fill",
        "orders:4:10000:1000:none",
        "--cluster-id",
        "sand",
    ]);
    let ran = kferry(&["check", &sandbox.bootstrap]);
    ran.expect(
        0,
        &[
            "resolve",
            "reach",
            "api versions",
            "metadata",
            "cluster sand, 3 brokers, 1 topics",
            "READ on topics",
            "usable as source",
        ],
    );
    assert_eq!(ran.stdout.matches("✓ broker").count(), 3, "{ran:#?}");
    let ran = kferry(&["check", &sandbox.bootstrap, "--as", "target"]);
    ran.expect(0, &["CREATE", "WRITE on topics", "transactional ids", "usable as target"]);
    assert!(!ran.stdout.contains('✗') && !ran.stdout.contains("? "), "{ran:#?}");
    // The probes have left nothing behind.
    kferry(&["check", &sandbox.bootstrap]).expect(0, &["1 topics"]);
}

#[test]
fn json_is_one_object_per_step() {
    let sandbox = Sandbox::start(&["--cluster-id", "sand"]);
    let objects =
        kferry(&["check", &sandbox.bootstrap, "--as", "target", "--output", "json"]).objects();
    let (last, steps) = objects.split_last().unwrap();
    assert!(
        steps.iter().all(|step| step["type"] == "step"
            && step["outcome"] == "passed"
            && step["elapsed_ms"].is_u64()),
        "{steps:#?}"
    );
    assert_eq!(
        (last["type"].as_str(), last["ok"].as_bool(), last["cluster_id"].as_str()),
        (Some("result"), Some(true), Some("sand"))
    );
}

#[test]
fn nothing_listens() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = format!("127.0.0.1:{port}");
    kferry(&["check", &address])
        .expect(1, &["✗ reach", &address, "refused", "cure: nothing listens on port"]);
    kferry(&[
        "sync",
        "--source",
        &address,
        "--target",
        &address,
        "--once",
        "--state",
        &tempfile::tempdir().unwrap().path().display().to_string(),
    ])
    .expect(1, &["--source", "reach", "refused", "cure:"]);
}

#[test]
fn an_unknown_host() {
    kferry(&["check", "no-such-host.invalid:9092"])
        .expect(1, &["✗ resolve", "no-such-host.invalid", "cure:"]);
}

#[test]
fn one_bootstrap_address_is_enough() {
    let sandbox = Sandbox::start(&[]);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    kferry(&["check", &format!("127.0.0.1:{port},{}", sandbox.bootstrap)])
        .expect(0, &["! reach", "usable as source"]);
}

#[test]
fn one_broker_of_three_is_down() {
    // The metadata of the cluster still names it.
    let sandbox = Sandbox::start(&["--brokers", "3", "--kill", "3"]);
    let ran = kferry(&["check", &sandbox.bootstrap]);
    if ran.code == Some(0) {
        // A cluster that knows of the death does not name the broker any more: only its bootstrap address is noted.
        ran.expect(0, &["2 brokers", "! "]);
    } else {
        ran.expect(1, &["✗ broker"]);
    }
}

#[test]
fn a_wrong_password() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(&["--user", "me:right"]);
    write(directory.path(), "password", "wrong");
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] {
        let text = format!(
            "bootstrap: ['{}']\nsasl: {{mechanism: {mechanism}, username: me, password: {{file: password}}}}\n",
            sandbox.bootstrap
        );
        let path = write(directory.path(), "c.yaml", &text);
        kferry(&["check", &path])
            .expect(1, &["✗ sasl", mechanism, "cure: check user name, password"]);
    }
    kferry(&["check", &sandbox.bootstrap]).expect(1, &["✗ sasl", "cure: add `sasl`"]);
}

#[test]
fn tls_on_a_plain_port() {
    let directory = tempfile::tempdir().unwrap();
    let sandbox = Sandbox::start(&[]);
    let path = write(
        directory.path(),
        "c.yaml",
        &format!("bootstrap: ['{}']\ntls: {{}}\n", sandbox.bootstrap),
    );
    kferry(&["check", &path]).expect(1, &["✗ tls", "without TLS", "cure: leave out `tls`"]);
}

#[test]
fn plain_on_a_tls_port() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // What a TLS listener says to bytes that are none: alert, fatal, unexpected_message.
            let mut stream = stream;
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(&[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x0a]);
        }
    });
    kferry(&["check", &address]).expect(1, &["✗ api versions", "TLS", "cure: add `tls`"]);
}

#[test]
fn a_missing_permission() {
    let sandbox = Sandbox::start(&[
        "--fill",
        "orders:1:1000:1000:none",
        "--fill",
        "clicks:1:1000:1000:none",
        "--deny",
        "read:orders",
    ]);
    kferry(&["check", &sandbox.bootstrap])
        .expect(1, &["✗ permission", "READ on topics", "1 of 2 topics: orders", "cure: grant it"]);
    kferry(&["check", &sandbox.bootstrap, "--topics", "clicks"]).expect(0, &["usable as source"]);
    let sandbox = Sandbox::start(&["--deny", "write:*"]);
    kferry(&["check", &sandbox.bootstrap, "--as", "target"])
        .expect(1, &["✗ permission", "WRITE on topics", "cure: grant it"]);
    let sandbox = Sandbox::start(&["--deny", "alter_configs:*"]);
    kferry(&["check", &sandbox.bootstrap, "--as", "target"])
        .expect(1, &["✗ permission", "ALTER_CONFIGS", "cure: grant it"]);
}
