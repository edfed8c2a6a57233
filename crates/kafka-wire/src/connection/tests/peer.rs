//! The broker's side of the tests: frames in, frames out.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use super::super::{Connection, ConnectionError, ConnectionSettings, Event, Request};
use crate::{
    frame::{FrameLimits, next_frame},
    message::{RequestPreamble, encode_request, encode_response},
    messages::{
        ApiKey, ApiVersionsResponse, HeartbeatRequest, HeartbeatResponse, ResponseKind,
        api_versions_response::ApiVersion,
    },
    sasl::Credentials,
};

/// Offers of a broker of 4.x, as far as the machine looks at them.
pub(super) const MODERN: [(ApiKey, i16, i16); 6] = [
    (ApiKey::Produce, 3, 13),
    (ApiKey::Fetch, 4, 17),
    (ApiKey::Heartbeat, 0, 4),
    (ApiKey::SaslHandshake, 0, 1),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::SaslAuthenticate, 0, 2),
];

pub(super) struct Peer {
    pub(super) machine: Connection,
    pub(super) now: Instant,
    next_token: u64,
}

pub(super) fn settings(credentials: Option<Credentials>) -> ConnectionSettings {
    ConnectionSettings {
        client_id: "tests".to_owned(),
        software_version: "0.0.0".to_owned(),
        credentials,
        handshake_timeout: Duration::from_secs(10),
        in_flight_max: 4,
        frame_bytes_max: 128 << 20,
    }
}

impl Peer {
    #[expect(clippy::disallowed_methods, reason = "an Instant can only be made from the clock")]
    pub(super) fn new(credentials: Option<Credentials>) -> Self {
        let now = Instant::now();
        Self { machine: Connection::new(settings(credentials), now), now, next_token: 0 }
    }

    /// A peer whose handshake is done.
    pub(super) fn ready() -> Self {
        let mut peer = Self::new(None);
        peer.answer_versions(&MODERN);
        assert!(matches!(peer.machine.poll_event(), Some(Event::Ready)));
        peer
    }

    /// The next frame that the machine sends, without its length.
    pub(super) fn frame(&mut self) -> Option<Bytes> {
        let chunks = self.machine.poll_transmit(self.now)?;
        let mut bytes: BytesMut = chunks.iter().flat_map(|chunk| chunk.iter().copied()).collect();
        let frame = next_frame(&mut bytes, &FrameLimits::default()).unwrap().unwrap();
        assert!(bytes.is_empty());
        Some(frame)
    }

    pub(super) fn request(&mut self) -> RequestPreamble {
        RequestPreamble::parse(&self.frame().expect("a request")).unwrap()
    }

    /// Answers the request just taken.
    pub(super) fn answer(&mut self, to: RequestPreamble, response: &ResponseKind) {
        let api = ApiKey::try_from(to.api_key).unwrap();
        self.input(
            encode_response(to.correlation_id, api, to.api_version, response).unwrap().slice(4..),
        );
    }

    pub(super) fn input(&mut self, frame: Bytes) {
        self.machine.handle_input(frame, self.now);
    }

    pub(super) fn answer_versions(&mut self, offers: &[(ApiKey, i16, i16)]) {
        let request = self.request();
        assert_eq!(request.api_key, ApiKey::ApiVersions as i16);
        self.answer(request, &versions(0, offers));
    }

    /// Hands a Heartbeat to the machine; gives its token.
    pub(super) fn send(&mut self, timeout: Duration) -> u64 {
        let token = self.next_token;
        self.next_token += 1;
        let correlation_id = i32::try_from(token).unwrap();
        let frame =
            encode_request(correlation_id, "tests", 4, &HeartbeatRequest::default()).unwrap();
        self.machine.send(Request {
            token,
            correlation_id,
            api_key: ApiKey::Heartbeat as i16,
            api_version: 4,
            chunks: vec![frame],
            deadline: self.now + timeout,
        });
        token
    }

    pub(super) fn pass(&mut self, time: Duration) {
        self.now += time;
        self.machine.handle_timeout(self.now);
    }

    /// All events so far, in short: `ready`, `3 answered`, `4 unknown`, `5 not sent`, `closed`.
    pub(super) fn events(&mut self) -> Vec<String> {
        let mut events = Vec::new();
        while let Some(event) = self.machine.poll_event() {
            events.push(match event {
                Event::Ready => "ready".to_owned(),
                Event::Answered { token, .. } => format!("{token} answered"),
                Event::Failed { token, failure: super::super::Failure::Unknown(_) } => {
                    format!("{token} unknown")
                }
                Event::Failed { token, failure: super::super::Failure::NotSent(_) } => {
                    format!("{token} not sent")
                }
                Event::Closed(_) => "closed".to_owned(),
            });
        }
        events
    }

    /// Why it closed: the last event.
    pub(super) fn closed(&mut self) -> ConnectionError {
        let mut last = None;
        while let Some(event) = self.machine.poll_event() {
            last = Some(event);
        }
        match last {
            Some(Event::Closed(error)) => error,
            other => panic!("not closed: {other:?}"),
        }
    }
}

pub(super) fn versions(error_code: i16, offers: &[(ApiKey, i16, i16)]) -> ResponseKind {
    let offer = |(key, min, max): &(ApiKey, i16, i16)| {
        ApiVersion::default()
            .with_api_key(*key as i16)
            .with_min_version(*min)
            .with_max_version(*max)
    };
    ResponseKind::ApiVersions(
        ApiVersionsResponse::default()
            .with_error_code(error_code)
            .with_api_keys(offers.iter().map(offer).collect()),
    )
}

pub(super) fn beat() -> ResponseKind {
    ResponseKind::Heartbeat(HeartbeatResponse::default())
}
