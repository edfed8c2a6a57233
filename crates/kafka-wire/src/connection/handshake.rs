//! From an open transport to a usable connection: versions, then SASL.
//!
//! ```text
//!  ApiVersions v4 ──UNSUPPORTED_VERSION──► ApiVersions v0..3 (KIP-511)
//!       │ versions
//!       ├─ no credentials ─────────────────────────────────────────────► done
//!       └─ SaslHandshake v1 ─► SaslAuthenticate rounds (KIP-152) ───────► done
//!          SaslHandshake v0 ─► raw tokens, framed by length only (0.11) ► done
//! ```
//! The same, from SaslHandshake on, renews the authentication of a living connection (KIP-368).

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::{BufMut, Bytes, BytesMut};

use super::{ConnectionError, ConnectionSettings, HandshakeStep};
use crate::{
    error_code::ErrorCode,
    message::{decode_api_versions, decode_response, encode_request, response_correlation_id},
    messages::{ApiKey, ApiVersionsRequest, SaslAuthenticateRequest, SaslHandshakeRequest},
    protocol::{Message, Request, StrBytes},
    sasl::{SaslClient, SaslStep},
    versions::BrokerVersions,
};

/// Correlation ids of the handshake are negative, those of requests are not: a late answer cannot be mistaken.
const FIRST_CORRELATION_ID: i32 = i32::MIN;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    ApiVersions {
        version: i16,
    },
    SaslHandshake {
        version: i16,
    },
    SaslAuthenticate {
        version: i16,
    },
    /// After SaslHandshake v0: tokens without any header.
    SaslRaw,
}

/// What a frame led to.
#[derive(Debug)]
pub(super) enum Step {
    Continue,
    Done {
        /// How long the broker honours the authentication, if it says so.
        session_lifetime: Option<Duration>,
    },
}

/// See the module's text.
pub(super) struct Handshake {
    state: State,
    renewal: bool,
    deadline: Instant,
    correlation_id: i32,
    versions: Option<BrokerVersions>,
    mechanism: String,
    sasl: Option<SaslClient>,
    session_lifetime: Option<Duration>,
    transmit: VecDeque<Bytes>,
}

impl Handshake {
    /// The handshake of a new connection.
    pub(super) fn first(
        settings: &ConnectionSettings,
        now: Instant,
    ) -> Result<Self, ConnectionError> {
        let version = ApiVersionsRequest::VERSIONS.max;
        let mut this = Self::begin(State::ApiVersions { version }, settings, now);
        this.send_api_versions(settings, version)?;
        Ok(this)
    }

    /// SASL again on a connection whose versions are known (KIP-368).
    pub(super) fn renewal(
        settings: &ConnectionSettings,
        versions: &BrokerVersions,
        now: Instant,
    ) -> Result<Self, ConnectionError> {
        let mut this = Self::begin(State::SaslHandshake { version: 1 }, settings, now);
        this.renewal = true;
        this.versions = Some(versions.clone());
        this.send_sasl_handshake(settings)?;
        Ok(this)
    }

    fn begin(state: State, settings: &ConnectionSettings, now: Instant) -> Self {
        Self {
            state,
            renewal: false,
            deadline: now + settings.handshake_timeout,
            correlation_id: FIRST_CORRELATION_ID,
            versions: None,
            mechanism: settings
                .credentials
                .as_ref()
                .map(|sasl| sasl.mechanism.to_string())
                .unwrap_or_default(),
            sasl: None,
            session_lifetime: None,
            transmit: VecDeque::new(),
        }
    }

    pub(super) fn is_renewal(&self) -> bool {
        self.renewal
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn take_versions(&mut self) -> Option<BrokerVersions> {
        self.versions.take()
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Vec<Bytes>> {
        self.transmit.pop_front().map(|frame| vec![frame])
    }

    pub(super) fn step(&self) -> HandshakeStep {
        match self.state {
            State::ApiVersions { .. } => HandshakeStep::ApiVersions,
            State::SaslHandshake { .. } => HandshakeStep::SaslHandshake,
            State::SaslAuthenticate { .. } | State::SaslRaw => HandshakeStep::SaslAuthenticate,
        }
    }

    /// What it means that the transport ended now.
    pub(super) fn closed_by_peer(&self, cause: Option<&str>) -> ConnectionError {
        let cause = cause.map(Into::into);
        match (self.state, &self.sasl) {
            (State::ApiVersions { .. }, _) | (_, None) => {
                ConnectionError::ClosedAtApiVersions { cause }
            }
            (_, Some(_)) => {
                ConnectionError::ClosedAtSasl { mechanism: self.mechanism.clone(), cause }
            }
        }
    }

    /// Takes one frame.
    pub(super) fn handle_input(
        &mut self,
        settings: &ConnectionSettings,
        frame: Bytes,
    ) -> Result<Step, ConnectionError> {
        if self.state == State::SaslRaw {
            return self.handle_token(&frame);
        }
        let found = response_correlation_id(&frame).map_err(undecodable)?;
        if found != self.correlation_id {
            return Err(ConnectionError::OutOfOrder { expected: Some(self.correlation_id), found });
        }
        match self.state {
            State::ApiVersions { version } => self.handle_api_versions(settings, version, frame),
            State::SaslHandshake { version } => self.handle_sasl_handshake(version, frame),
            State::SaslAuthenticate { version } => self.handle_sasl_authenticate(version, frame),
            State::SaslRaw => self.handle_token(&frame),
        }
    }

    fn handle_api_versions(
        &mut self,
        settings: &ConnectionSettings,
        asked: i16,
        frame: Bytes,
    ) -> Result<Step, ConnectionError> {
        let (_, response) = decode_api_versions(asked, frame).map_err(undecodable)?;
        if ErrorCode(response.error_code) == ErrorCode::UNSUPPORTED_VERSION && asked > 0 {
            // Brokers since 2.4 name what they have; older ones leave the list empty.
            let theirs =
                response.api_keys.iter().find(|api| api.api_key == ApiVersionsRequest::KEY);
            let next = theirs.map_or(0, |api| api.max_version.clamp(0, asked - 1));
            self.state = State::ApiVersions { version: next };
            self.send_api_versions(settings, next)?;
            return Ok(Step::Continue);
        }
        ErrorCode(response.error_code).ok().map_err(ConnectionError::ApiVersionsRefused)?;
        let versions = BrokerVersions::from_response(&response);
        versions.check_supported()?;
        self.versions = Some(versions);
        if settings.credentials.is_none() {
            return Ok(Step::Done { session_lifetime: None });
        }
        self.send_sasl_handshake(settings)?;
        Ok(Step::Continue)
    }

    fn handle_sasl_handshake(
        &mut self,
        version: i16,
        frame: Bytes,
    ) -> Result<Step, ConnectionError> {
        let (_, response) =
            decode_response::<SaslHandshakeRequest>(version, frame).map_err(undecodable)?;
        let code = ErrorCode(response.error_code);
        if code == ErrorCode::UNSUPPORTED_SASL_MECHANISM {
            return Err(ConnectionError::MechanismRefused {
                wanted: self.mechanism.clone(),
                offered: response.mechanisms.iter().map(ToString::to_string).collect(),
            });
        }
        code.ok().map_err(|code| ConnectionError::SaslNotExpected { code })?;
        let authenticate =
            self.versions.as_ref().and_then(|versions| versions.highest(ApiKey::SaslAuthenticate));
        self.state = match authenticate {
            Some(version) if self.state == (State::SaslHandshake { version: 1 }) => {
                State::SaslAuthenticate { version }
            }
            _ => State::SaslRaw,
        };
        let token = self.client()?.initial().map_err(|error| self.failed(error))?;
        self.send_token(token)?;
        Ok(Step::Continue)
    }

    fn handle_sasl_authenticate(
        &mut self,
        version: i16,
        frame: Bytes,
    ) -> Result<Step, ConnectionError> {
        let (_, response) =
            decode_response::<SaslAuthenticateRequest>(version, frame).map_err(undecodable)?;
        let code = ErrorCode(response.error_code);
        if !code.is_ok() {
            let message = response.error_message.as_deref().filter(|text| !text.is_empty());
            return Err(self.failed(
                message.map_or_else(|| code.to_string(), |text| format!("{text} ({code})")),
            ));
        }
        if response.session_lifetime_ms > 0 {
            self.session_lifetime =
                u64::try_from(response.session_lifetime_ms).ok().map(Duration::from_millis);
        }
        self.handle_token(&response.auth_bytes)
    }

    fn handle_token(&mut self, token: &[u8]) -> Result<Step, ConnectionError> {
        match self.client()?.respond(token).map_err(|error| self.failed(error))? {
            SaslStep::Send(token) => {
                self.send_token(token)?;
                Ok(Step::Continue)
            }
            SaslStep::Done => Ok(Step::Done { session_lifetime: self.session_lifetime }),
        }
    }

    fn send_api_versions(
        &mut self,
        settings: &ConnectionSettings,
        version: i16,
    ) -> Result<(), ConnectionError> {
        let mut request = ApiVersionsRequest::default();
        if version >= 3 {
            request.client_software_name = StrBytes::from_static_str("kferry");
            request.client_software_version =
                StrBytes::from_string(settings.software_version.clone());
        }
        self.send(&settings.client_id, version, &request)
    }

    fn send_sasl_handshake(
        &mut self,
        settings: &ConnectionSettings,
    ) -> Result<(), ConnectionError> {
        let Some(credentials) = &settings.credentials else { return Ok(()) };
        let client = SaslClient::new(credentials).map_err(|error| {
            ConnectionError::AuthenticationFailed {
                mechanism: credentials.mechanism.to_string(),
                message: error.to_string(),
            }
        })?;
        self.sasl = Some(client);
        // v1 promises SaslAuthenticate frames (KIP-152); a broker with v0 only, 0.11 and older, takes raw tokens.
        let offered = |version| {
            self.versions
                .as_ref()
                .is_some_and(|versions| versions.offers(ApiKey::SaslHandshake, version))
        };
        let framed = offered(1)
            && self
                .versions
                .as_ref()
                .is_some_and(|versions| versions.highest(ApiKey::SaslAuthenticate).is_some());
        let version = i16::from(framed);
        self.state = State::SaslHandshake { version };
        let mechanism = StrBytes::from_string(credentials.mechanism.to_string());
        self.send(
            &settings.client_id,
            version,
            &SaslHandshakeRequest::default().with_mechanism(mechanism),
        )
    }

    fn send_token(&mut self, token: Vec<u8>) -> Result<(), ConnectionError> {
        if let State::SaslAuthenticate { version } = self.state {
            return self.send(
                "kferry",
                version,
                &SaslAuthenticateRequest::default().with_auth_bytes(token.into()),
            );
        }
        let length =
            u32::try_from(token.len()).map_err(|_| self.failed("the token is too long"))?;
        let mut frame = BytesMut::with_capacity(4 + token.len());
        frame.put_u32(length);
        frame.put_slice(&token);
        self.transmit.push_back(frame.freeze());
        Ok(())
    }

    fn send<R: Request>(
        &mut self,
        client_id: &str,
        version: i16,
        request: &R,
    ) -> Result<(), ConnectionError> {
        self.correlation_id = self.correlation_id.wrapping_add(1);
        let frame = encode_request(self.correlation_id, client_id, version, request)
            .map_err(undecodable)?;
        self.transmit.push_back(frame);
        Ok(())
    }

    fn client(&mut self) -> Result<&mut SaslClient, ConnectionError> {
        let missing = || ConnectionError::Message("a SASL answer without a question".to_owned());
        self.sasl.as_mut().ok_or_else(missing)
    }

    fn failed(&self, message: impl ToString) -> ConnectionError {
        ConnectionError::AuthenticationFailed {
            mechanism: self.mechanism.clone(),
            message: message.to_string(),
        }
    }
}

impl std::fmt::Debug for Handshake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Tokens are secrets: neither the SASL state nor the frames to send are shown.
        f.debug_struct("Handshake")
            .field("state", &self.state)
            .field("renewal", &self.renewal)
            .finish_non_exhaustive()
    }
}

fn undecodable(error: impl ToString) -> ConnectionError {
    ConnectionError::Message(error.to_string())
}
