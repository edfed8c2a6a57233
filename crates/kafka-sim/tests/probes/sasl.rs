//! Authentication as a client of every age does it.

use kafka_sim::{Cluster, ClusterConfig, Release, SaslUsers};
use kafka_wire::ErrorCode;
use kafka_wire::messages::api_versions_request::ApiVersionsRequest;
use kafka_wire::messages::metadata_request::MetadataRequest;
use kafka_wire::messages::sasl_authenticate_request::SaslAuthenticateRequest;
use kafka_wire::messages::sasl_handshake_request::SaslHandshakeRequest;
use kafka_wire::sasl::{Credentials, Mechanism, SaslClient, SaslStep};
use kafka_wire::secret::Secret;

use crate::wire::{Wire, text};

fn guarded(release: Release) -> Cluster {
    let mechanisms = ["PLAIN", "SCRAM-SHA-256"].map(str::to_owned).to_vec();
    let users = vec![("alice".to_owned(), "rabbit".to_owned())];
    Cluster::new(ClusterConfig {
        sasl: Some(SaslUsers { mechanisms, users }),
        ..ClusterConfig::release(release)
    })
}

fn credentials(mechanism: Mechanism, password: &str) -> Credentials {
    Credentials {
        mechanism,
        username: "alice".to_owned(),
        password: Secret::new(password.to_owned()),
    }
}

async fn handshake(wire: &mut Wire, version: i16, mechanism: &str) -> ErrorCode {
    let request = SaslHandshakeRequest::default().with_mechanism(text(mechanism));
    ErrorCode(wire.call(version, request).await.error_code)
}

/// Authenticates with SaslAuthenticate; gives the last code.
async fn authenticate(wire: &mut Wire, mechanism: Mechanism, password: &str) -> ErrorCode {
    assert_eq!(handshake(wire, 1, &mechanism.to_string()).await, ErrorCode::NONE);
    let mut client = SaslClient::new(&credentials(mechanism, password)).unwrap();
    let mut token = client.initial().unwrap();
    loop {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(token.into());
        let response = wire.call_highest(request).await;
        if response.error_code != 0 {
            return ErrorCode(response.error_code);
        }
        match client.respond(&response.auth_bytes).unwrap() {
            SaslStep::Send(next) => token = next,
            SaslStep::Done => return ErrorCode::NONE,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn good_and_bad_passwords() {
    for mechanism in [Mechanism::Plain, Mechanism::ScramSha256] {
        let cluster = guarded(Release::V4_2);
        let mut wire = Wire::to(&cluster).await;
        assert_eq!(authenticate(&mut wire, mechanism, "rabbit").await, ErrorCode::NONE);
        assert_eq!(wire.call_highest(MetadataRequest::default()).await.brokers.len(), 1);
        let mut wire = Wire::to(&cluster).await;
        assert_eq!(
            authenticate(&mut wire, mechanism, "hare").await,
            ErrorCode::SASL_AUTHENTICATION_FAILED
        );
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_answered_before() {
    let cluster = guarded(Release::V4_2);
    let mut wire = Wire::to(&cluster).await;
    assert_eq!(wire.call(0, ApiVersionsRequest::default()).await.error_code, 0);
    wire.send(12, &MetadataRequest::default()).await;
    assert!(wire.frame().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn mechanisms_that_are_not_offered() {
    let cluster = guarded(Release::V4_2);
    let mut wire = Wire::to(&cluster).await;
    for mechanism in ["SCRAM-SHA-512", "GSSAPI"] {
        assert_eq!(handshake(&mut wire, 1, mechanism).await, ErrorCode::UNSUPPORTED_SASL_MECHANISM);
    }
}

#[tokio::test(start_paused = true)]
async fn bare_tokens_after_handshake_v0() {
    let cluster = guarded(Release::V0_11);
    let mut wire = Wire::to(&cluster).await;
    assert_eq!(handshake(&mut wire, 0, "PLAIN").await, ErrorCode::NONE);
    wire.send_bytes(b"\x00\x00\x00\x0d\x00alice\x00rabbit").await;
    assert_eq!(wire.frame().await.unwrap().len(), 0);
    assert_eq!(
        wire.call_highest(MetadataRequest::default().with_topics(None)).await.brokers.len(),
        1
    );
    let mut wire = Wire::to(&cluster).await;
    handshake(&mut wire, 0, "PLAIN").await;
    wire.send_bytes(b"\x00\x00\x00\x0b\x00alice\x00hare").await;
    assert!(wire.frame().await.is_none());
}
