//! Versions and SASL.

use std::time::Duration;

use bytes::Bytes;

use super::{
    super::{ConnectionError, HandshakeStep, PeerKind},
    peer::{MODERN, Peer, beat, versions},
};
use crate::{
    ErrorCode,
    frame::{FrameLimits, next_frame},
    message::{decode_request, encode_response},
    messages::{
        ApiKey, RequestKind, ResponseKind, SaslAuthenticateResponse, SaslHandshakeResponse,
    },
    protocol::StrBytes,
    sasl::{
        Credentials, Mechanism,
        server::{SaslServer, ServerStep},
    },
    secret::Secret,
};

fn credentials(mechanism: Mechanism) -> Credentials {
    Credentials {
        mechanism,
        username: "alice".to_owned(),
        password: Secret::new("wonder".to_owned()),
    }
}

#[test]
fn newest_version_is_asked_with_our_name() {
    let mut peer = Peer::new(None);
    let (header, _, request) = decode_request(peer.frame().unwrap()).unwrap();
    assert_eq!(header.request_api_version, 4);
    let RequestKind::ApiVersions(request) = request else { panic!("not ApiVersions") };
    assert_eq!(&*request.client_software_name, "kferry");
}

/// KIP-511: brokers before 2.4 answer an empty list, later ones their own range.
#[test]
fn older_versions_are_asked_again() {
    for (offers, expected) in
        [(&[][..], 0), (&[(ApiKey::ApiVersions, 0, 3)][..], 3), (&[(ApiKey::ApiVersions, 0, 9)], 3)]
    {
        let mut peer = Peer::new(None);
        let first = peer.request();
        let refusal = versions(ErrorCode::UNSUPPORTED_VERSION.0, offers);
        peer.input(
            encode_response(first.correlation_id, ApiKey::ApiVersions, 0, &refusal)
                .unwrap()
                .slice(4..),
        );
        let second = peer.request();
        assert_eq!(
            (second.api_version, second.correlation_id),
            (expected, first.correlation_id + 1)
        );
        peer.answer(second, &versions(0, &MODERN));
        assert_eq!(peer.events(), ["ready"]);
    }
}

/// Whatever the cuts, the same frames come out.
#[test]
fn bytes_may_be_cut_anywhere() {
    let mut peer = Peer::new(None);
    let request = peer.request();
    let whole =
        encode_response(request.correlation_id, ApiKey::ApiVersions, 4, &versions(0, &MODERN))
            .unwrap();
    for cut in 0..=whole.len() {
        let mut peer = Peer::new(None);
        peer.request();
        let mut input = bytes::BytesMut::new();
        for part in [&whole[..cut], &whole[cut..]] {
            input.extend_from_slice(part);
            while let Some(frame) = next_frame(&mut input, &FrameLimits::default()).unwrap() {
                peer.input(frame);
            }
        }
        assert_eq!(peer.events(), ["ready"], "{cut}");
    }
}

#[test]
fn truncated_answers_are_refused() {
    let mut peer = Peer::new(None);
    let request = peer.request();
    let whole =
        encode_response(request.correlation_id, ApiKey::ApiVersions, 4, &versions(0, &MODERN))
            .unwrap()
            .slice(4..);
    for end in 0..whole.len() {
        let mut peer = Peer::new(None);
        peer.request();
        peer.input(whole.slice(..end));
        assert!(matches!(peer.closed(), ConnectionError::Message(_)), "{end}");
    }
}

#[test]
fn old_releases_are_named() {
    let mut peer = Peer::new(None);
    let request = peer.request();
    let refusal = versions(ErrorCode::UNSUPPORTED_VERSION.0, &[]);
    peer.input(
        encode_response(request.correlation_id, ApiKey::ApiVersions, 0, &refusal)
            .unwrap()
            .slice(4..),
    );
    peer.answer_versions(&[
        (ApiKey::Produce, 0, 2),
        (ApiKey::Fetch, 0, 3),
        (ApiKey::ApiVersions, 0, 0),
    ]);
    let error = peer.closed();
    assert!(matches!(error, ConnectionError::Unsupported(_)), "{error}");
    assert!(error.is_permanent());
}

#[test]
fn other_peers_are_recognised() {
    for (bytes, expected) in [
        (&b"\x15\x03\x03\x00\x02\x02\x28"[..], PeerKind::Tls),
        (b"HTTP/1.1 400 Bad Request", PeerKind::Http),
        (b"SSH-2.0-OpenSSH_9.6", PeerKind::Ssh),
    ] {
        let mut peer = Peer::new(None);
        let error = next_frame(&mut bytes.into(), &peer.machine.frame_limits()).unwrap_err();
        peer.machine.handle_bad_frame(error, bytes);
        let error = peer.closed();
        assert!(matches!(error, ConnectionError::WrongPeer(kind) if kind == expected), "{error}");
        assert!(error.cure().is_some());
    }
}

#[test]
fn the_end_of_the_transport_tells_where_it_was() {
    let mut peer = Peer::new(None);
    peer.machine.handle_transport_closed(None);
    assert!(matches!(peer.closed(), ConnectionError::ClosedAtApiVersions { .. }));

    let mut peer = Peer::new(Some(credentials(Mechanism::Plain)));
    peer.answer_versions(&MODERN);
    peer.machine.handle_transport_closed(Some("reset"));
    assert!(matches!(peer.closed(), ConnectionError::ClosedAtSasl { .. }));

    // A SASL listener that meets a client without SASL.
    let mut peer = Peer::ready();
    peer.send(Duration::from_secs(1));
    peer.request();
    peer.machine.handle_transport_closed(None);
    assert!(matches!(peer.closed(), ConnectionError::ClosedAtFirstRequest));
}

#[test]
fn a_reset_while_setting_up_is_told_as_one() {
    let reset = "Connection reset by peer (os error 104)";
    let mut peer = Peer::new(None);
    peer.machine.handle_transport_closed(Some(reset));
    let told = peer.closed().to_string();
    assert!(told.contains(reset) && !told.contains("0.10") && !told.contains("TLS"), "{told}");

    let mut peer = Peer::ready();
    peer.send(Duration::from_secs(1));
    peer.request();
    peer.machine.handle_transport_closed(Some(reset));
    let told = peer.closed().to_string();
    assert!(told.contains(reset) && !told.contains("SASL"), "{told}");

    // Closed in order and without a word: then it may be one of these.
    let mut peer = Peer::new(None);
    peer.machine.handle_transport_closed(None);
    let told = peer.closed().to_string();
    assert!(told.contains("0.10") && told.contains("TLS"), "{told}");
}

#[test]
fn silence_is_timed_out() {
    let mut peer = Peer::new(None);
    assert_eq!(peer.machine.poll_timeout(), Some(peer.now + Duration::from_secs(10)));
    peer.pass(Duration::from_secs(10));
    assert!(matches!(
        peer.closed(),
        ConnectionError::HandshakeTimedOut { step: HandshakeStep::ApiVersions, .. }
    ));
}

/// Runs SASL against the server of the simulator; gives the events.
fn authenticate(mechanism: Mechanism, password: &str, framed: bool) -> Peer {
    let mut peer = Peer::new(Some(credentials(mechanism)));
    let max = i16::from(framed);
    let mut offers = MODERN.to_vec();
    offers[3] = (ApiKey::SaslHandshake, 0, max);
    if !framed {
        offers.retain(|(key, ..)| *key != ApiKey::SaslAuthenticate);
    }
    peer.answer_versions(&offers);
    let request = peer.request();
    assert_eq!((request.api_key, request.api_version), (ApiKey::SaslHandshake as i16, max));
    peer.answer(request, &ResponseKind::SaslHandshake(SaslHandshakeResponse::default()));
    let password = password.to_owned();
    let lookup = move |user: &str| (user == "alice").then(|| Secret::new(password.clone()));
    let mut server = SaslServer::new(mechanism, lookup).with_nonce("server-nonce");
    while let Some(frame) = peer.frame() {
        if framed {
            framed_token(&mut peer, &mut server, frame)
        } else {
            raw_token(&mut peer, &mut server, &frame)
        }
    }
    peer
}

fn framed_token(peer: &mut Peer, server: &mut SaslServer<'_>, frame: Bytes) {
    let (header, _, request) = decode_request(frame).unwrap();
    let RequestKind::SaslAuthenticate(request) = request else { panic!("not SaslAuthenticate") };
    let response = match server.respond(&request.auth_bytes) {
        Ok(ServerStep::Send(token) | ServerStep::Done(token, _)) => {
            SaslAuthenticateResponse::default()
                .with_auth_bytes(token.into())
                .with_session_lifetime_ms(10_000)
        }
        Err(error) => SaslAuthenticateResponse::default()
            .with_error_code(ErrorCode::SASL_AUTHENTICATION_FAILED.0)
            .with_error_message(Some(StrBytes::from_string(error.to_string()))),
    };
    let response = ResponseKind::SaslAuthenticate(response);
    let version = header.request_api_version;
    peer.input(
        encode_response(header.correlation_id, ApiKey::SaslAuthenticate, version, &response)
            .unwrap()
            .slice(4..),
    );
}

fn raw_token(peer: &mut Peer, server: &mut SaslServer<'_>, token: &[u8]) {
    match server.respond(token) {
        Ok(ServerStep::Send(token) | ServerStep::Done(token, _)) => peer.input(token.into()),
        Err(_) => peer.machine.handle_transport_closed(None),
    }
}

#[test]
fn sasl_succeeds() {
    for mechanism in Mechanism::WITH_PASSWORD {
        for framed in [true, false] {
            let mut peer = authenticate(mechanism, "wonder", framed);
            assert_eq!(peer.events(), ["ready"], "{mechanism} {framed}");
        }
    }
}

#[test]
fn wrong_passwords_are_told() {
    for mechanism in Mechanism::WITH_PASSWORD {
        let error = authenticate(mechanism, "other", true).closed();
        assert!(matches!(&error, ConnectionError::AuthenticationFailed { .. }), "{error}");
        // 0.11 can only hang up.
        let error = authenticate(mechanism, "other", false).closed();
        assert!(matches!(&error, ConnectionError::ClosedAtSasl { .. }), "{error}");
        assert!(!format!("{error:?} {error}").contains("wonder"));
    }
}

#[test]
fn refused_mechanisms_are_told() {
    let refuse = |code: ErrorCode| {
        let mut peer = Peer::new(Some(credentials(Mechanism::Plain)));
        peer.answer_versions(&MODERN);
        let request = peer.request();
        let response = SaslHandshakeResponse::default()
            .with_error_code(code.0)
            .with_mechanisms(vec![StrBytes::from_static_str("GSSAPI")]);
        peer.answer(request, &ResponseKind::SaslHandshake(response));
        peer.closed()
    };
    let error = refuse(ErrorCode::UNSUPPORTED_SASL_MECHANISM);
    assert!(
        matches!(&error, ConnectionError::MechanismRefused { offered, .. } if offered == &["GSSAPI"]),
        "{error}"
    );
    assert!(matches!(
        refuse(ErrorCode::ILLEGAL_SASL_STATE),
        ConnectionError::SaslNotExpected { .. }
    ));
}

/// KIP-368: before the session ends, SASL runs again between requests; nothing is lost.
#[test]
fn authentication_is_renewed() {
    let mut peer = authenticate(Mechanism::Plain, "wonder", true);
    assert_eq!(peer.events(), ["ready"]);
    let first = peer.send(Duration::from_secs(60));
    let under_way = peer.request();
    assert_eq!(
        peer.machine.poll_timeout().map(|at| at > peer.now + Duration::from_secs(8)),
        Some(true)
    );
    peer.pass(Duration::from_secs(9));
    let second = peer.send(Duration::from_secs(60));
    assert!(peer.frame().is_none(), "the answer under way comes first");
    assert!(peer.machine.is_ready());
    peer.answer(under_way, &beat());
    assert_eq!(peer.events(), [format!("{first} answered")]);
    let request = peer.request();
    assert_eq!(request.api_key, ApiKey::SaslHandshake as i16);
    peer.answer(request, &ResponseKind::SaslHandshake(SaslHandshakeResponse::default()));
    let frame = peer.frame().unwrap();
    let lookup = |_: &str| Some(Secret::new("wonder".to_owned()));
    framed_token(&mut peer, &mut SaslServer::new(Mechanism::Plain, lookup), frame);
    let request = peer.request();
    assert_eq!(request.api_key, ApiKey::Heartbeat as i16);
    peer.answer(request, &beat());
    assert_eq!(peer.events(), [format!("{second} answered")]);
}
