//! What else may listen on the port: told from the first bytes.
//!
//! A peer that does not speak Kafka sends four bytes that, read as a length, are absurd. They are usually telling.

use std::fmt;

/// Who answered instead of a broker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerKind {
    /// A TLS listener: it answers our plain bytes with an alert record.
    Tls,
    /// A web server.
    Http,
    /// An SSH server.
    Ssh,
}

impl fmt::Display for PeerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "the peer speaks TLS on this port, we spoke plainly",
            Self::Http => "the peer is a web server, not a Kafka broker",
            Self::Ssh => "the peer is an SSH server, not a Kafka broker",
        })
    }
}

/// Recognises a peer by the first bytes it sent; `None` if they tell nothing.
#[must_use]
pub fn recognise(first: &[u8]) -> Option<PeerKind> {
    match first {
        // A TLS record: alert (21) or handshake (22), version 3.x.
        [0x15 | 0x16, 0x03, ..] => Some(PeerKind::Tls),
        [b'H', b'T', b'T', b'P', ..] => Some(PeerKind::Http),
        [b'S', b'S', b'H', b'-', ..] => Some(PeerKind::Ssh),
        _ => None,
    }
}
