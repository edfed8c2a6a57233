//! A SASL client and a SASL server that are told anything. Nobody who does not know the password is believed.
//!
//! The first byte chooses the mechanism; NUL bytes cut the rest into messages; `NONCE` in them becomes the real one.
#![no_main]

use kafka_wire::{
    sasl::{Credentials, Mechanism, SaslClient, SaslStep, server::SaslServer},
    secret::Secret,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let mechanism = if choice & 1 == 0 { Mechanism::ScramSha256 } else { Mechanism::ScramSha512 };
    let messages: Vec<&[u8]> = data.split(|byte| *byte == 0).take(4).collect();
    if messages.iter().any(|message| is_slow(message)) {
        return;
    }
    if choice & 2 == 0 { client(mechanism, &messages) } else { server(mechanism, &messages, data) }
});

/// Counts that are allowed but take long teach nothing new.
fn is_slow(message: &[u8]) -> bool {
    let text = String::from_utf8_lossy(message);
    let mut counts = text.split("i=").skip(1).filter_map(|rest| rest.split(',').next()?.parse::<u64>().ok());
    counts.any(|count| (5_000..=1_000_000).contains(&count))
}

fn client(mechanism: Mechanism, messages: &[&[u8]]) {
    let credentials = Credentials { mechanism, username: "alice".to_owned(), password: Secret::from("a long password") };
    let mut client = SaslClient::new(&credentials).expect("good credentials");
    let initial = client.initial().expect("the first message");
    let initial = String::from_utf8(initial).expect("text");
    let (_, nonce) = initial.rsplit_once("r=").expect("a nonce");
    let mut failed = false;
    for message in messages {
        let message = replace(message, nonce.as_bytes());
        match client.respond(&message) {
            // The nonce is new each time: no input can hold a signature over it.
            Ok(SaslStep::Done) => panic!("believed a server without a signature"),
            Ok(SaslStep::Send(_)) => {
                assert!(!failed, "an error ends the conversation");
                assert!(message.windows(nonce.len()).any(|window| window == nonce.as_bytes()), "took a foreign nonce");
            }
            Err(error) => {
                failed = true;
                assert!(!error.to_string().contains("a long password"));
            }
        }
    }
}

fn server(mechanism: Mechanism, messages: &[&[u8]], plain: &[u8]) {
    let lookup = |user: &str| (user == "alice").then(|| Secret::from("a long password"));
    let mut server = SaslServer::new(mechanism, lookup);
    for message in messages {
        let step = server.respond(&replace(message, b"NONCE"));
        assert!(!matches!(step, Ok(kafka_wire::sasl::server::ServerStep::Done(..))), "believed a client without a proof");
    }
    let step = SaslServer::new(Mechanism::Plain, lookup).respond(plain);
    assert!(step.is_err() || plain.ends_with(b"\0alice\0a long password"));
}

fn replace(message: &[u8], nonce: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = message;
    while let Some(at) = rest.windows(5).position(|window| window == b"NONCE") {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(nonce);
        rest = &rest[at + 5..];
    }
    out.extend_from_slice(rest);
    out
}
