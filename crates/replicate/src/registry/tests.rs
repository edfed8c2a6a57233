//! The client against a registry that misbehaves.

use std::time::Duration;

use kafka_client::TlsConfig;
use kafka_sim::{RegistryFault, SchemaRegistry};
use kafka_wire::secret::Secret;
use tokio::net::TcpListener;

use super::{
    Login, RegistryClient, RegistryConfig, RegistryError, RegistryUrl,
    client::{Reference, Schema},
};

const TEXT: &str = r#"{"type":"record","name":"R","fields":[]}"#;

fn config() -> RegistryConfig {
    RegistryConfig::new("http://registry.example:8081/base".parse().unwrap())
}

fn client(registry: &SchemaRegistry) -> RegistryClient {
    RegistryClient::with_connector(
        RegistryConfig::new("http://registry.example:8081".parse().unwrap()),
        registry.connector(),
    )
}

/// What one fault makes of a question.
async fn failed(faults: &[RegistryFault]) -> (RegistryError, usize) {
    let registry = SchemaRegistry::new(7);
    registry.register("a-value", "AVRO", TEXT, &[]);
    for fault in faults {
        registry.add_fault(fault.clone());
    }
    let error = client(&registry).schema(7).await.unwrap_err();
    (error, registry.requests().len())
}

#[track_caller]
fn check(error: &RegistryError, text: &str, cure: &str) {
    let told = error.to_string();
    assert!(told.contains("http://registry.example:8081/") && told.contains(text), "{told}");
    assert!(error.cure().contains(cure), "{}", error.cure());
}

#[tokio::test(start_paused = true)]
async fn schemas_versions_and_subjects() {
    let registry = SchemaRegistry::new(7);
    registry.register("base", "AVRO", TEXT, &[]);
    let id = registry.register("a/b c-value", "JSON", "{}", &[("Base", "base", 1)]);
    let client = client(&registry);
    let schema = client.schema(id).await.unwrap();
    assert_eq!((schema.text.as_str(), schema.kind.as_str()), ("{}", "JSON"));
    let reference = Reference { name: "Base".into(), subject: "base".into(), version: 1 };
    assert_eq!(schema.references, [reference]);
    assert_eq!(client.schema(7).await.unwrap().kind, "AVRO");
    let subjects: Vec<_> = client.subjects(id).await.unwrap().into_iter().collect();
    assert_eq!(subjects, ["a/b c-value"]);
    let latest = client.latest("a/b c-value").await.unwrap();
    assert_eq!((latest.id, latest.version, &latest.schema), (id, 1, &schema));
    let absent = client.schema(99).await.unwrap_err();
    assert!(absent.is_absent(), "{absent}");
    assert!(client.latest("none").await.unwrap_err().is_absent());
}

#[tokio::test(start_paused = true)]
async fn a_schema_is_registered_once() {
    let registry = SchemaRegistry::new(1);
    let client = client(&registry);
    let schema = Schema { text: TEXT.into(), kind: "AVRO".into(), references: Vec::new() };
    let made = client.register("a-value", &schema).await.unwrap();
    assert_eq!((made.id, made.version), (1, 1));
    assert_eq!(client.register("a-value", &schema).await.unwrap(), made);
    let posted = registry.requests();
    let written = posted.iter().filter(|request| *request == "POST /subjects/a-value/versions");
    assert_eq!(written.count(), 1, "{posted:?}");
}

#[tokio::test(start_paused = true)]
async fn references_come_behind_what_they_use() {
    let registry = SchemaRegistry::new(1);
    registry.register("c", "AVRO", "c", &[]);
    registry.register("b", "AVRO", "b", &[("C", "c", 1)]);
    let id = registry.register("a", "AVRO", "a", &[("B", "b", 1), ("C", "c", 1)]);
    let client = client(&registry);
    let schema = client.schema(id).await.unwrap();
    let found = client.references(&schema).await.unwrap();
    let names: Vec<&str> = found.iter().map(|(reference, _)| reference.name.as_str()).collect();
    assert_eq!(names, ["C", "B"]);
    // Endless ones are refused.
    for version in 0..40 {
        let text = format!("d{version}");
        let next = ("D", "d", version + 2);
        registry.register("d", "AVRO", &text, &[next]);
    }
    let endless = client.latest("d").await.unwrap().schema;
    let endless = Schema {
        references: vec![Reference { name: "D".into(), subject: "d".into(), version: 1 }],
        ..endless
    };
    assert!(client.references(&endless).await.unwrap_err().is_about_schema());
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_tried_again() {
    use RegistryFault::{Cut, Late, Refused, Status};
    let late = Late(Duration::from_secs(60));
    for fault in [Status(500, ""), Status(429, ""), Cut, Refused, late] {
        let registry = SchemaRegistry::new(7);
        registry.register("a-value", "AVRO", TEXT, &[]);
        registry.add_fault(fault.clone());
        registry.add_fault(fault.clone());
        let found = client(&registry).schema(7).await;
        assert_eq!(found.unwrap().text, TEXT, "{fault:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_lasts_is_told() {
    use RegistryFault::{Bytes, Cut, Huge, Late, Refused, Status};
    let (error, asked) =
        failed(&[Status(503, r#"{"error_code":50301,"message":"no leader"}"#), Cut, Cut]).await;
    check(&error, "the connection broke", "tried again");
    assert_eq!(asked, 3);
    let (error, _) = failed(&[Refused, Refused, Refused]).await;
    assert!(matches!(error, RegistryError::Connect { .. }), "{error}");
    assert!(error.cure().contains("nothing listens there"));
    let late = Late(Duration::from_secs(60));
    let (error, _) = failed(&[late.clone(), late.clone(), late]).await;
    check(&error, "no answer within 10s", "how the registry is");

    let (error, asked) = failed(&[Status(403, r#"{"error_code":40301,"message":"denied"}"#)]).await;
    check(&error, "answered 403: denied", "grant");
    assert_eq!(asked, 1);
    let (error, asked) = failed(&[Status(302, "")]).await;
    check(&error, "sends us to http://elsewhere", "if that is the registry");
    assert_eq!(asked, 1);
    // A page that is not there is no schema that is not there.
    let (error, _) = failed(&[Status(404, "<html>")]).await;
    check(&error, "answered 404", "host, port and path");
    assert!(!error.is_absent());
    let (error, _) = failed(&[Status(200, "<html>hello\u{1b}[31m")]).await;
    check(&error, "none of a schema registry", "host, port and path");
    assert!(!error.to_string().contains('\u{1b}'));
    let (error, _) = failed(&[Status(200, "[1,2]")]).await;
    check(&error, "none of a schema registry", "host, port and path");
    let (error, _) = failed(&[Status(200, r#"{"schema":7}"#)]).await;
    check(&error, "none of a schema registry", "host, port and path");
    let (error, asked) = failed(&[Bytes(b"\x15\x03\x03\x00\x02\x02\x46")]).await;
    check(&error, "no HTTP", "https");
    assert_eq!(asked, 1);
    let (error, _) = failed(&[Huge(5 << 20)]).await;
    check(&error, "more than 4194304 bytes", "no schema is as large");
}

#[tokio::test(start_paused = true)]
async fn a_password_file_is_read_for_each_request() {
    let registry = SchemaRegistry::new(7);
    registry.register("a-value", "AVRO", TEXT, &[]);
    registry.set_authorization("Basic bWU6bmV3"); // me:new
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut config = config();
    config.url = "http://registry.example:8081".parse().unwrap();
    let password = Secret::new("old".to_owned());
    config.login = Some(Login::Basic { username: "me".into(), password });
    config.secret_file = Some(file.path().to_owned());
    let client = RegistryClient::with_connector(config, registry.connector());
    let error = client.schema(7).await.unwrap_err();
    check(&error, "answered 401: Unauthorized", "username and password");
    assert!(!format!("{error:?} {client:?}").contains("old"));
    std::fs::write(file.path(), "new\n").unwrap();
    client.schema(7).await.unwrap();
}

#[tokio::test]
async fn a_token_and_a_path_before_all_paths() {
    let registry = SchemaRegistry::new(7);
    registry.set_authorization("Bearer t.o.k");
    let mut config = config();
    config.login = Some(Login::Bearer("t.o.k".into()));
    let client = RegistryClient::with_connector(config, registry.connector());
    // This registry has no base path.
    let error = client.schema(7).await.unwrap_err();
    check(&error, "/base/schemas/ids/7: the registry answered 404", "host, port and path");
    assert_eq!(registry.requests(), ["GET /base/schemas/ids/7"]);
}

#[tokio::test]
async fn over_sockets_and_tls_on_a_plain_port() {
    let registry = SchemaRegistry::new(7);
    registry.register("a-value", "AVRO", TEXT, &[]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = registry.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let served = served.clone();
            tokio::spawn(async move { served.serve(stream).await });
        }
    });
    let url =
        |scheme: &str| -> RegistryUrl { format!("{scheme}://127.0.0.1:{port}").parse().unwrap() };
    let plain = RegistryClient::new(RegistryConfig::new(url("http"))).unwrap();
    assert_eq!(plain.schema(7).await.unwrap().text, TEXT);
    let config = RegistryConfig {
        tls: TlsConfig { verify: false, ..TlsConfig::default() },
        ..RegistryConfig::new(url("https"))
    };
    let tls = RegistryClient::new(config).unwrap();
    let error = tls.schema(7).await.unwrap_err();
    assert!(matches!(error, RegistryError::Connect { .. }), "{error}");
    assert!(error.cure().contains("http://"), "{error}: {}", error.cure());
}
