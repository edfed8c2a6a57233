//! SaslHandshake and SaslAuthenticate.

use bytes::Bytes;
use kafka_wire::ErrorCode;
use kafka_wire::messages::sasl_authenticate_request::SaslAuthenticateRequest;
use kafka_wire::messages::sasl_authenticate_response::SaslAuthenticateResponse;
use kafka_wire::messages::sasl_handshake_request::SaslHandshakeRequest;
use kafka_wire::messages::sasl_handshake_response::SaslHandshakeResponse;

use super::{Peer, text};

pub(super) fn handshake(
    peer: &mut Peer,
    version: i16,
    request: &SaslHandshakeRequest,
) -> SaslHandshakeResponse {
    let offered = peer.cluster.config().sasl.clone().unwrap_or_default().mechanisms;
    let answer =
        SaslHandshakeResponse::default().with_mechanisms(offered.into_iter().map(text).collect());
    let Peer { cluster, authentication, .. } = peer;
    if cluster.config().sasl.is_none() {
        return answer.with_error_code(ErrorCode::ILLEGAL_SASL_STATE.0);
    }
    let begun = authentication.begin(cluster, &request.mechanism, version >= 1);
    answer.with_error_code(if begun { 0 } else { ErrorCode::UNSUPPORTED_SASL_MECHANISM.0 })
}

pub(super) fn authenticate(
    peer: &mut Peer,
    request: &SaslAuthenticateRequest,
) -> SaslAuthenticateResponse {
    match peer.authentication.round(&request.auth_bytes) {
        Ok(token) => SaslAuthenticateResponse::default().with_auth_bytes(Bytes::from(token)),
        Err(message) => SaslAuthenticateResponse::default()
            .with_error_code(ErrorCode::SASL_AUTHENTICATION_FAILED.0)
            .with_error_message(Some(text(message))),
    }
}
