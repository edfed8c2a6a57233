//! Authentication of one connection: the handshake, the rounds, and what may be asked before.
//!
//! After SaslHandshake v0 tokens travel as bare frames (all that 0.11 knows); after v1 inside
//! SaslAuthenticate (KIP-152). Source: `SaslServerAuthenticator` in Apache Kafka.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_wire::messages::ApiKey;
use kafka_wire::sasl::{Mechanism, server::SaslServer, server::ServerStep};
use kafka_wire::secret::Secret;

use crate::cluster::Cluster;
use crate::handlers::Reply;

/// Who is not asked to authenticate.
const ANONYMOUS: &str = "ANONYMOUS";

/// How far a connection has come.
pub(crate) enum Authentication {
    /// Nothing is asked, or all is done: the user.
    Done(String),
    /// Waits for the handshake.
    Handshake,
    /// A conversation in bare frames.
    Raw(SaslServer<'static>),
    /// A conversation in SaslAuthenticate requests.
    Framed(SaslServer<'static>),
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Done(_) => "Done",
            Self::Handshake => "Handshake",
            Self::Raw(_) => "Raw",
            Self::Framed(_) => "Framed",
        })
    }
}

impl Authentication {
    pub(crate) fn new(asked: bool) -> Self {
        if asked { Self::Handshake } else { Self::Done(ANONYMOUS.to_owned()) }
    }

    pub(crate) fn user(&self) -> &str {
        match self {
            Self::Done(user) => user,
            _ => ANONYMOUS,
        }
    }

    /// Before the end of authentication only these requests are looked at.
    pub(crate) fn permits(&self, api_key: ApiKey) -> bool {
        let handshake = matches!(
            api_key,
            ApiKey::ApiVersions | ApiKey::SaslHandshake | ApiKey::SaslAuthenticate
        );
        matches!(self, Self::Done(_)) || handshake
    }

    /// Begins a conversation; `false` when the mechanism is not offered.
    pub(crate) fn begin(&mut self, cluster: &Cluster, mechanism: &str, framed: bool) -> bool {
        let Some(offered) = &cluster.config().sasl else { return false };
        let Some(mechanism) = mechanism.parse::<Mechanism>().ok() else { return false };
        if !offered.mechanisms.iter().any(|name| *name == mechanism.to_string()) {
            return false;
        }
        let users = offered.users.clone();
        let lookup = move |user: &str| {
            let found = users.iter().find(|(name, _)| name == user);
            found.map(|(_, password)| Secret::new(password.clone()))
        };
        let server = SaslServer::new(mechanism, lookup);
        *self = if framed { Self::Framed(server) } else { Self::Raw(server) };
        true
    }

    /// One round inside SaslAuthenticate.
    ///
    /// # Errors
    /// What the client is told.
    pub(crate) fn round(&mut self, token: &[u8]) -> Result<Vec<u8>, String> {
        let Self::Framed(server) = self else {
            return Err("SaslHandshake must come first".to_owned());
        };
        match server.respond(token) {
            Ok(ServerStep::Send(bytes)) => Ok(bytes),
            Ok(ServerStep::Done(bytes, user)) => {
                *self = Self::Done(user);
                Ok(bytes)
            }
            Err(_) => {
                *self = Self::Handshake;
                Err("Authentication failed: Invalid username or password".to_owned())
            }
        }
    }

    /// One round in bare frames; `None` when none is under way.
    pub(crate) fn raw_token(&mut self, frame: &Bytes) -> Option<Reply> {
        let Self::Raw(server) = self else { return None };
        let bytes = match server.respond(frame) {
            Ok(ServerStep::Send(bytes)) => bytes,
            Ok(ServerStep::Done(bytes, user)) => {
                *self = Self::Done(user);
                bytes
            }
            // There is no way to say why.
            Err(_) => return Some(Reply::Close),
        };
        let mut out = BytesMut::with_capacity(bytes.len() + 4);
        out.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        out.put_slice(&bytes);
        Some(Reply::Chunks(vec![out.freeze()]))
    }
}
