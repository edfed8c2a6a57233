//! TLS and SASL against real brokers: what works, and how what does not work is told.

use kafka_client::{
    Client, ClientError, ClusterMetadata, ConnectError, ConnectionConfig, TlsConfig, TlsFailure,
    TlsIdentity, TopicQuery,
};
use kafka_wire::{
    connection::{ConnectionError, PeerKind},
    sasl::{Credentials, Mechanism},
    secret::Secret,
};
use std::{fs, sync::Arc, time::Duration};
use xtask::kafka::{Certificates, Flavour, KafkaCluster, Options, Release, Security};

fn start(release: Release, security: Security, properties: &[(&str, &str)]) -> KafkaCluster {
    let mut options = Options::new(1, Flavour { security, acl: false });
    for (name, value) in properties {
        options = options.property(name, value);
    }
    KafkaCluster::start(release, options).unwrap()
}

fn plain(bootstrap: &str) -> ConnectionConfig {
    let mut config = ConnectionConfig::plain(bootstrap).unwrap();
    config.limits.connect_timeout = Duration::from_secs(10);
    config.limits.retry_time_max = Duration::from_secs(5);
    config
}

fn user(mechanism: Mechanism, password: &str) -> Credentials {
    Credentials {
        mechanism,
        username: "kferry".to_owned(),
        password: Secret::new(password.to_owned()),
    }
}

async fn ask(config: ConnectionConfig) -> Result<Arc<ClusterMetadata>, ClientError> {
    Client::new(config)?.refresh_metadata(TopicQuery::All).await
}

/// The failure of the handshake with the broker, without what is wrapped around it.
async fn handshake_error(config: ConnectionConfig) -> ConnectionError {
    let mut error = ask(config).await.unwrap_err();
    assert!(error.cure().is_some(), "{error}");
    assert!(!format!("{error} {error:?}").contains("-password"));
    loop {
        error = match error {
            ClientError::Handshake { error, .. } => return error,
            ClientError::AnswerUnknown { error, .. } => return error,
            ClientError::Bootstrap { last, .. } | ClientError::OutOfTime { last, .. } => *last,
            other => panic!("{other}"),
        };
    }
}

async fn tls_error(config: ConnectionConfig) -> TlsFailure {
    let mut error = ask(config).await.unwrap_err();
    assert!(error.cure().is_some(), "{error}");
    loop {
        error = match error {
            ClientError::Connect(ConnectError::TlsHandshake { failure, .. }) => return failure,
            ClientError::Bootstrap { last, .. } | ClientError::OutOfTime { last, .. } => *last,
            other => panic!("{other}"),
        };
    }
}

#[tokio::test]
async fn sasl_is_spoken_with_every_release() {
    for release in [Release::V0_11_0_3, Release::V1_1_1, Release::V2_8_2, Release::V4_2_0] {
        let cluster = start(release, Security::Sasl, &[]);
        let bootstrap = cluster.bootstrap();
        for mechanism in Mechanism::WITH_PASSWORD {
            let found = ask(plain(&bootstrap).with_sasl(user(mechanism, "kferry-password"))).await;
            assert!(
                found.as_ref().is_ok_and(|found| found.brokers.len() == 1),
                "{release} {mechanism} {found:?}"
            );
            let error =
                handshake_error(plain(&bootstrap).with_sasl(user(mechanism, "wrong-password")))
                    .await;
            // 0.11 has no way to say so.
            let told = matches!(error, ConnectionError::AuthenticationFailed { .. });
            let hung_up = matches!(error, ConnectionError::ClosedAtSasl { .. });
            assert!(
                if release == Release::V0_11_0_3 { hung_up } else { told },
                "{release} {mechanism} {error}"
            );
        }
        let error = handshake_error(plain(&bootstrap)).await;
        assert!(matches!(error, ConnectionError::ClosedAtFirstRequest), "{release} {error}");
        let internal = plain(&cluster.internal_bootstrap())
            .with_sasl(user(Mechanism::Plain, "kferry-password"));
        let error = handshake_error(internal).await;
        assert!(matches!(error, ConnectionError::SaslNotExpected { .. }), "{release} {error}");
        let tls = plain(&bootstrap).with_tls(TlsConfig::default());
        let failure = tls_error(tls).await;
        assert!(
            matches!(failure, TlsFailure::PlainPeer | TlsFailure::PeerClosed),
            "{release} {failure}"
        );
    }
}

/// A token without a signature, as Kafka's own login module makes for trials (KIP-255).
fn token(subject: &str, lifetime_s: i64) -> String {
    let now = now_seconds();
    let part = |text: String| base64_url(text.as_bytes());
    let header = part(r#"{"alg":"none"}"#.to_owned());
    let claims = format!(r#"{{"sub":"{subject}","iat":{now},"exp":{}}}"#, now + lifetime_s);
    format!("{header}.{}.", part(claims))
}

fn now_seconds() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

fn base64_url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte));
        let bits = bits << (8 * (3 - chunk.len()));
        for at in 0..=chunk.len() {
            let digit = bits >> (18 - 6 * at) & 63;
            text.push(char::from(DIGITS[usize::try_from(digit).unwrap()]));
        }
    }
    text
}

#[tokio::test]
async fn tokens_are_taken_renewed_from_their_file_and_refused() {
    let jaas = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub=\"broker\";";
    for release in [Release::V2_8_2, Release::V4_2_0] {
        let cluster = start(
            release,
            Security::Sasl,
            &[
                ("sasl.enabled.mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER"),
                ("listener.name.client.oauthbearer.sasl.jaas.config", jaas),
            ],
        );
        let with = |token: &str| Credentials {
            mechanism: Mechanism::OauthBearer,
            username: String::new(),
            password: Secret::new(token.to_owned()),
        };
        let bootstrap = cluster.bootstrap();
        let found = ask(plain(&bootstrap).with_sasl(with(&token("kferry", 600)))).await;
        assert!(found.as_ref().is_ok_and(|found| found.brokers.len() == 1), "{release} {found:?}");
        let error =
            handshake_error(plain(&bootstrap).with_sasl(with(&token("kferry", -600)))).await;
        let is_told = matches!(error, ConnectionError::AuthenticationFailed { .. });
        assert!(is_told, "{release} {error}");
        // The file has the token of now; the one that was read at the start has ended.
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        fs::write(&path, format!("{}\n", token("kferry", 600))).unwrap();
        let mut config = plain(&bootstrap).with_sasl(with(&token("kferry", -600)));
        config.password_file = Some(path);
        assert!(ask(config).await.is_ok(), "{release}");
    }
}

/// KIP-368: the broker closes connections that do not prove themselves anew.
#[tokio::test]
async fn authentication_is_renewed_in_time() {
    let cluster = start(Release::V4_2_0, Security::Sasl, &[("connections.max.reauth.ms", "2000")]);
    let config =
        plain(&cluster.bootstrap()).with_sasl(user(Mechanism::ScramSha256, "kferry-password"));
    let client = Client::new(config).unwrap();
    let connection = client.any_broker().await.unwrap();
    for _ in 0..30 {
        let request = kafka_wire::messages::DescribeClusterRequest::default();
        connection.call(request).await.unwrap();
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(!connection.is_closed());
}

fn trusting(certificates: &Certificates) -> TlsConfig {
    TlsConfig { ca: Some(fs::read(certificates.ca()).unwrap()), ..TlsConfig::default() }
}

#[tokio::test]
async fn tls_failures_are_told_apart() {
    let cluster = start(Release::V4_2_0, Security::Tls, &[]);
    let certificates = cluster.certificates().unwrap();
    let bootstrap = cluster.bootstrap();
    let tls = || trusting(certificates);
    assert_eq!(ask(plain(&bootstrap).with_tls(tls())).await.unwrap().brokers.len(), 1);

    let strange = TlsConfig { ca: Some(fs::read(certificates.other_ca()).unwrap()), ..tls() };
    assert_eq!(tls_error(plain(&bootstrap).with_tls(strange)).await, TlsFailure::UnknownIssuer);
    let system = TlsConfig { ca: None, ..tls() };
    assert_eq!(tls_error(plain(&bootstrap).with_tls(system)).await, TlsFailure::UnknownIssuer);
    let renamed = TlsConfig { server_name: Some("elsewhere.example".to_owned()), ..tls() };
    let failure = tls_error(plain(&bootstrap).with_tls(renamed)).await;
    assert!(
        matches!(&failure, TlsFailure::WrongHost { found, .. } if !found.is_empty()),
        "{failure:?}"
    );
    let named = TlsConfig { server_name: Some("localhost".to_owned()), ..tls() };
    ask(plain(&bootstrap).with_tls(named)).await.unwrap();
    let blind = TlsConfig { ca: None, verify: false, ..tls() };
    ask(plain(&bootstrap).with_tls(blind)).await.unwrap();
    let failure = tls_error(plain(&cluster.internal_bootstrap()).with_tls(tls())).await;
    assert!(matches!(failure, TlsFailure::PlainPeer | TlsFailure::PeerClosed), "{failure}");

    let error = handshake_error(plain(&bootstrap)).await;
    assert!(
        matches!(
            error,
            ConnectionError::WrongPeer(PeerKind::Tls) | ConnectionError::ClosedAtApiVersions { .. }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn client_certificates_are_asked_for() {
    let cluster = start(Release::V4_2_0, Security::MutualTls, &[]);
    let certificates = cluster.certificates().unwrap();
    let bootstrap = cluster.bootstrap();
    let tls = || trusting(certificates);
    let failure = tls_error(plain(&bootstrap).with_tls(tls())).await;
    assert!(matches!(failure, TlsFailure::ClientCertificate { offered: false, .. }), "{failure:?}");
    let identity = TlsIdentity {
        certificate: fs::read(certificates.client_certificate("kferry")).unwrap(),
        key: Secret::new(fs::read_to_string(certificates.client_key("kferry")).unwrap()),
    };
    let proven = TlsConfig { identity: Some(identity), ..tls() };
    assert_eq!(ask(plain(&bootstrap).with_tls(proven)).await.unwrap().brokers.len(), 1);
}

#[tokio::test]
async fn too_old_and_absent_brokers_are_told() {
    let cluster = start(Release::V0_10_2_2, Security::Plain, &[]);
    let error = handshake_error(plain(&cluster.bootstrap())).await;
    assert!(matches!(error, ConnectionError::Unsupported(_)), "{error}");
    assert!(error.to_string().contains("0.10.2"), "{error}");
    let error = ask(plain("127.0.0.1:1")).await.unwrap_err();
    assert!(
        error.to_string().contains("127.0.0.1:1")
            && error.cure().unwrap().contains("nothing listens"),
        "{error}"
    );
}
