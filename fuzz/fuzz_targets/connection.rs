//! The connection machine under arbitrary calls, answers and frames.
//!
//! Oracle: nothing panics; every request ends in exactly one event; those that were sent end in the order in which
//! they were sent; after the connection has closed nothing is sent any more.

#![no_main]

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use arbitrary::Arbitrary;
use bytes::Bytes;
use kafka_wire::{
    connection::{Connection, ConnectionSettings, Event, Request},
    messages::{ApiKey, ApiVersionsResponse, ResponseKind, api_versions_response::ApiVersion},
    message::{RequestPreamble, encode_response},
    sasl::{Credentials, Mechanism},
    secret::Secret,
};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Step {
    /// Hand over a request of this API and version, due in so many tenths of a second.
    Send { api_key: u8, api_version: u8, tenths: u8 },
    /// Take the next frame to write.
    Take,
    /// Answer the oldest request with this body.
    Answer { body: Vec<u8> },
    /// A frame out of nowhere.
    Frame { bytes: Vec<u8> },
    /// The versions of a broker of today.
    Versions,
    Pass { tenths: u8 },
    Lose,
    ShutDown,
}

#[derive(Arbitrary, Debug)]
struct Input {
    sasl: bool,
    steps: Vec<Step>,
}

/// Looks at everything that ends.
#[derive(Default)]
struct Oracle {
    handed: Vec<u64>,
    sent: Vec<u64>,
    ended: Vec<u64>,
    closed: bool,
}

impl Oracle {
    fn take_events(&mut self, machine: &mut Connection) {
        while let Some(event) = machine.poll_event() {
            let token = match event {
                Event::Answered { token, .. } => {
                    assert!(!self.closed && self.sent.contains(&token), "{token} was answered");
                    token
                }
                Event::Failed { token, .. } => token,
                Event::Closed(_) => {
                    assert!(!self.closed, "closed twice");
                    self.closed = true;
                    continue;
                }
                _ => continue,
            };
            assert!(self.handed.contains(&token) && !self.ended.contains(&token), "{token} ended twice");
            self.ended.push(token);
        }
    }

    fn finish(&self) {
        let sent: Vec<_> = self.ended.iter().copied().filter(|token| self.sent.contains(token)).collect();
        assert_eq!(sent, self.sent, "out of order");
        assert_eq!(self.ended.len(), self.handed.len(), "a request never ended");
    }
}

fuzz_target!(|input: Input| {
    let mut now = Instant::now();
    let credentials = input.sasl.then(|| Credentials {
        mechanism: Mechanism::Plain,
        username: "user".to_owned(),
        password: Secret::new("password".to_owned()),
    });
    let settings = ConnectionSettings {
        client_id: "fuzz".to_owned(),
        software_version: "0".to_owned(),
        credentials,
        handshake_timeout: Duration::from_secs(5),
        in_flight_max: 3,
        frame_bytes_max: 1 << 20,
    };
    let mut machine = Connection::new(settings, now);
    let mut oracle = Oracle::default();
    let mut waiting: VecDeque<RequestPreamble> = VecDeque::new();
    for step in input.steps.iter().take(200) {
        apply(step, &mut machine, &mut oracle, &mut waiting, &mut now);
        oracle.take_events(&mut machine);
        assert!(!machine.is_closed() || machine.poll_transmit(now).is_none(), "sent after the end");
    }
    machine.shut_down();
    oracle.take_events(&mut machine);
    assert!(oracle.closed);
    oracle.finish();
});

fn apply(
    step: &Step,
    machine: &mut Connection,
    oracle: &mut Oracle,
    waiting: &mut VecDeque<RequestPreamble>,
    now: &mut Instant,
) {
    match step {
        Step::Send { api_key, api_version, tenths } => {
            let token = oracle.handed.len() as u64;
            oracle.handed.push(token);
            let (api_key, api_version) = (i16::from(*api_key), i16::from(*api_version));
            let correlation_id = token as i32;
            // Only the preamble matters here.
            let mut frame = vec![0, 0, 0, 8];
            frame.extend(api_key.to_be_bytes());
            frame.extend(api_version.to_be_bytes());
            frame.extend(correlation_id.to_be_bytes());
            let deadline = *now + Duration::from_millis(u64::from(*tenths) * 100);
            machine.send(Request { token, correlation_id, api_key, api_version, chunks: vec![frame.into()], deadline });
        }
        Step::Take => {
            let Some(chunks) = machine.poll_transmit(*now) else { return };
            let frame = chunks.concat();
            let Ok(preamble) = RequestPreamble::parse(&frame[4..]) else { return };
            // Correlation ids of the handshake are negative.
            if preamble.correlation_id >= 0 && frame.len() == 12 {
                oracle.sent.push(preamble.correlation_id as u64);
            }
            waiting.push_back(preamble);
        }
        Step::Answer { body } => {
            let Some(request) = waiting.pop_front() else { return };
            let frame = [&request.correlation_id.to_be_bytes(), body.as_slice()].concat();
            machine.handle_input(frame.into(), *now);
        }
        Step::Frame { bytes } => machine.handle_input(Bytes::copy_from_slice(bytes), *now),
        Step::Versions => {
            let Some(request) = waiting.pop_front() else { return };
            let offer = |(key, min, max): (ApiKey, i16, i16)| {
                ApiVersion::default().with_api_key(key as i16).with_min_version(min).with_max_version(max)
            };
            let offers = [
                (ApiKey::Produce, 3, 13),
                (ApiKey::Fetch, 4, 17),
                (ApiKey::SaslHandshake, 0, 1),
                (ApiKey::SaslAuthenticate, 0, 2),
            ];
            let response = ApiVersionsResponse::default().with_api_keys(offers.map(offer).to_vec());
            let response = ResponseKind::ApiVersions(response);
            let version = request.api_version.clamp(0, 4);
            if let Ok(frame) = encode_response(request.correlation_id, ApiKey::ApiVersions, version, &response) {
                machine.handle_input(frame.slice(4..), *now);
            }
        }
        Step::Pass { tenths } => {
            *now += Duration::from_millis(u64::from(*tenths) * 100);
            machine.handle_timeout(*now);
        }
        Step::Lose => machine.handle_transport_closed(None),
        Step::ShutDown => machine.shut_down(),
    }
}
