//! `kferry etl run` with schema registries, over sockets.

use bytes::Bytes;
use kafka_sim::{RegistryFault, SchemaRegistry};
use kafka_wire::record::{BatchOptions, Record};

use super::{
    pair::Pair,
    support::{kferry, write},
};

const SCHEMA: &str = r#"{"type":"record","name":"R","fields":[{"name":"id","type":"long"}]}"#;

/// A pair of clusters with two records of schema 7 and one of schema 8, which nobody has.
fn pair() -> (Pair, SchemaRegistry, u16) {
    let pair = Pair::new();
    pair.source.0.create_topic("events", 1, &[]).unwrap();
    let values: [&'static [u8]; 3] =
        [b"\0\0\0\0\x07\x02", b"\0\0\0\0\x07\x04", b"\0\0\0\0\x08\x06"];
    let record = |(offset, value)| Record {
        offset,
        timestamp: 1_750_000_000_000,
        key: None,
        value: Some(Bytes::from_static(value)),
        headers: Vec::new(),
    };
    let records: Vec<Record> = (0..).zip(values).map(record).collect();
    pair.source.0.append_records("events", 0, &BatchOptions::default(), &records).unwrap();
    let registry = SchemaRegistry::new(7);
    registry.register("events-value", "AVRO", SCHEMA, &[]);
    let listener = pair.runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = registry.clone();
    pair.runtime.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let served = served.clone();
            tokio::spawn(async move { served.serve(stream).await });
        }
    });
    (pair, registry, port)
}

fn task(pair: &Pair, rule: &str, registries: &str) -> String {
    let directory = pair.path("");
    write(directory.as_ref(), "rule.yaml", rule);
    let text = format!(
        "name: decoded\nsource: '{}'\ntarget: '{}'\nstate: state\nprocess:\n  rule: rule.yaml\n  topics: {{events: decoded}}\n{registries}",
        pair.source.1.bootstrap(),
        pair.target.1.bootstrap(),
    );
    write(directory.as_ref(), "task.yaml", &text)
}

fn values(pair: &Pair) -> Vec<Bytes> {
    let records = pair.target.0.records("decoded", 0).unwrap();
    records.into_iter().map(|record| record.value.unwrap()).collect()
}

#[test]
fn records_are_decoded_by_schemas_of_the_registry() {
    let (pair, registry, port) = pair();
    registry.set_authorization("Basic bWU6c2VjcmV0"); // me:secret
    write(pair.path("").as_ref(), "password", "secret\n");
    let rule = "{apiVersion: etl/v1, spec: {chains: [{kind: decode, format: avro}], failure: {policy: discard}}}";
    let login = "username: me, password: {file: password}";
    let file = task(
        &pair,
        rule,
        &format!("  registries:\n    source: {{url: 'http://127.0.0.1:{port}', {login}}}\n"),
    );
    let ran = kferry(&["etl", "run", "-f", &file, "--once"]);
    let lost = format!("http://127.0.0.1:{port} has no schema 8");
    ran.expect(0, &["2 records written", "1 failed", &lost, "schema_unknown"]);
    assert_eq!(values(&pair), [r#"{"id":1}"#, r#"{"id":2}"#]);
}

#[test]
fn a_registry_that_refuses_us_is_told_with_its_cure() {
    let (pair, registry, port) = pair();
    let refused = RegistryFault::Status(401, r#"{"error_code":401,"message":"Unauthorized"}"#);
    registry.add_fault(refused);
    registry.add_fault(RegistryFault::Status(404, r#"{"error_code":40401,"message":"no"}"#));
    let rule = "{apiVersion: etl/v1, spec: {chains: [{kind: decode, format: avro}], output: {format: avro, subject: decoded}}}";
    let file = task(
        &pair,
        rule,
        &format!(
            "  registries: {{source: {{url: 'http://127.0.0.1:{port}'}}, target: {{url: 'http://127.0.0.1:{port}'}}}}\n"
        ),
    );
    kferry(&["etl", "run", "-f", &file, "--once"]).expect(
        1,
        &[
            "the schema registry of the target gives no answer",
            "answered 401: Unauthorized",
            "check username and password",
            "has no schema of the subject decoded",
            "register it there",
        ],
    );
}

#[test]
fn a_rule_without_the_registry_that_it_needs_is_refused() {
    let (pair, ..) = pair();
    let rule = "{apiVersion: etl/v1, spec: {chains: [{kind: decode, format: avro}]}}";
    let file = task(&pair, rule, "");
    kferry(&["etl", "run", "-f", &file, "--once"]).expect(
        2,
        &[
            "task.yaml:6:9",
            "needs the schema registry of the source",
            "process.registries.source.url",
        ],
    );
}

#[test]
fn a_rule_is_tried_with_schemas_of_the_registry() {
    let (pair, registry, port) = pair();
    let rule = "{apiVersion: etl/v1, spec: {chains: [{kind: decode, format: avro}]}}";
    task(&pair, rule, "");
    let (rule, source) = (pair.path("rule.yaml"), pair.source.1.bootstrap());
    let url = format!("http://127.0.0.1:{port}");
    let args = ["etl", "test", "-f", &rule, "--fetch", &source, "events@earliest", "--registry"];
    let ran = |url: &str| kferry(&[&args[..], &[url]].concat());
    ran(&url).expect(
        1,
        &[
            r#"output  {"id":1}"#,
            r#"output  {"id":2}"#,
            "has no schema 8",
            "2 delivered",
            "1 failed",
        ],
    );
    registry.add_fault(RegistryFault::Status(403, "{}"));
    ran(&url).expect(1, &["--registry", "answered 403", "grant", "cure:"]);
    ran("127.0.0.1").expect(2, &["--registry", "http://"]);
}
