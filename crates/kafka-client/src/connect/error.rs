//! Why no stream to a broker came about, and what an operator can do about it.

use std::{fmt, io, net::SocketAddr, time::Duration};

use thiserror::Error;

use crate::address::BrokerAddress;

/// Why no stream to a broker came about.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The host name has no IP address, or the name servers did not answer.
    #[error("{address}: the host name cannot be resolved: {message}")]
    Dns {
        /// Whom we wanted to reach.
        address: BrokerAddress,
        /// The resolver's words.
        message: String,
    },
    /// No TCP connection to any of the host's IP addresses; the last failure is told.
    #[error("{address}: no TCP connection to {}: {message}", .socket.map_or_else(|| "any address".to_owned(), |socket| socket.to_string()))]
    Tcp {
        /// Whom we wanted to reach.
        address: BrokerAddress,
        /// The IP address tried last.
        socket: Option<SocketAddr>,
        /// What kind of failure.
        kind: io::ErrorKind,
        /// The system's words.
        message: String,
    },
    /// A step took longer than the connection's `connect_timeout`.
    #[error("{address}: {step} took longer than {after:?}")]
    TimedOut {
        /// Whom we wanted to reach.
        address: BrokerAddress,
        /// What we were waiting for.
        step: ConnectStep,
        /// The whole time allowed.
        after: Duration,
    },
    /// The TLS settings cannot be used: bad PEM, key of another certificate, bad server name.
    #[error("the TLS settings cannot be used: {message}")]
    TlsConfig {
        /// What is wrong with them.
        message: String,
    },
    /// This processor lacks instructions that our TLS needs.
    #[error("TLS needs processor features that are missing here: {}", .missing.join(", "))]
    TlsCpu {
        /// The missing features.
        missing: Vec<&'static str>,
    },
    /// The TCP connection stands, the TLS handshake failed.
    #[error("{address}: TLS handshake failed: {failure}")]
    TlsHandshake {
        /// Whom we wanted to reach.
        address: BrokerAddress,
        /// Why.
        failure: TlsFailure,
    },
    /// The connector does not serve this address (a policy, or a simulator without that broker).
    #[error("{address}: {message}")]
    Refused {
        /// Whom we wanted to reach.
        address: BrokerAddress,
        /// Why not.
        message: String,
    },
}

/// What a connection attempt was waiting for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectStep {
    /// The DNS, TCP and TLS part.
    Stream,
    /// Resolving the host name.
    Dns,
    /// The TCP connection.
    Tcp,
    /// The TLS handshake.
    Tls,
    /// The answer to ApiVersions.
    ApiVersions,
    /// The SASL rounds.
    Sasl,
}

impl fmt::Display for ConnectStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stream => "connecting",
            Self::Dns => "resolving the host name",
            Self::Tcp => "the TCP connection",
            Self::Tls => "the TLS handshake",
            Self::ApiVersions => "the answer to ApiVersions",
            Self::Sasl => "SASL authentication",
        })
    }
}

/// Why a TLS handshake failed, as far as the bytes tell.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFailure {
    /// The peer's first bytes are no TLS: a plain listener.
    PlainPeer,
    /// The peer closed the connection during the handshake, without an alert.
    PeerClosed,
    /// The certificate's issuer is not among the trusted authorities.
    UnknownIssuer,
    /// The certificate is for other names.
    WrongHost {
        /// The name we asked for.
        wanted: String,
        /// The names that the certificate carries, as far as known.
        found: Vec<String>,
    },
    /// The certificate's time is over.
    Expired,
    /// The certificate's time has not come, or our clock is wrong.
    NotYetValid,
    /// The certificate is bad in another way.
    BadCertificate(String),
    /// The peer wants a certificate from us and got none, or none that it likes.
    ClientCertificate {
        /// The alert that the peer sent.
        alert: String,
        /// Whether we had one to offer.
        offered: bool,
    },
    /// The peer sent another alert.
    Alert(String),
    /// Anything else.
    Other(String),
}

impl fmt::Display for TlsFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PlainPeer => f.write_str("the peer does not speak TLS on this port"),
            Self::PeerClosed => f.write_str("the peer closed the connection"),
            Self::UnknownIssuer => f.write_str(
                "the broker's certificate comes from an authority that is not trusted here",
            ),
            Self::WrongHost { wanted, found } if found.is_empty() => {
                write!(f, "the broker's certificate is not for {wanted:?}")
            }
            Self::WrongHost { wanted, found } => {
                write!(
                    f,
                    "the broker's certificate is not for {wanted:?} but for {}",
                    found.join(", ")
                )
            }
            Self::Expired => f.write_str("the broker's certificate has expired"),
            Self::NotYetValid => f.write_str("the broker's certificate is not valid yet"),
            Self::BadCertificate(message) => {
                write!(f, "the broker's certificate cannot be used: {message}")
            }
            Self::ClientCertificate { alert, offered: false } => {
                write!(f, "the broker asks for a client certificate and there is none ({alert})")
            }
            Self::ClientCertificate { alert, offered: true } => {
                write!(f, "the broker does not accept our client certificate ({alert})")
            }
            Self::Alert(alert) => write!(f, "the peer ended it with the alert {alert}"),
            Self::Other(message) => f.write_str(message),
        }
    }
}

impl ConnectError {
    /// Whom we wanted to reach, if the failure is about one address.
    #[must_use]
    pub fn address(&self) -> Option<&BrokerAddress> {
        match self {
            Self::Dns { address, .. }
            | Self::Tcp { address, .. }
            | Self::TimedOut { address, .. }
            | Self::TlsHandshake { address, .. }
            | Self::Refused { address, .. } => Some(address),
            Self::TlsConfig { .. } | Self::TlsCpu { .. } => None,
        }
    }

    /// One sentence that tells an operator what to do.
    #[must_use]
    pub fn cure(&self) -> Option<String> {
        let cure = match self {
            Self::Dns { address, .. } => {
                format!("check the spelling of {:?} and that this machine's name servers know it", address.host)
            }
            Self::Tcp { kind: io::ErrorKind::ConnectionRefused, address, .. } => {
                format!("nothing listens on port {} there: check the port and that the broker runs", address.port)
            }
            Self::Tcp { .. } | Self::TimedOut { step: ConnectStep::Tcp | ConnectStep::Stream, .. } => {
                "check routes and firewalls between this machine and the broker".to_owned()
            }
            Self::TimedOut { step: ConnectStep::Tls, .. } => "check that the port is a TLS listener".to_owned(),
            Self::TimedOut { step: ConnectStep::ApiVersions, .. } => {
                "check that the port is a Kafka listener, and whether it expects TLS".to_owned()
            }
            Self::TimedOut { .. } => "check the broker's health and its log".to_owned(),
            Self::TlsConfig { .. } => "give certificates and keys as unencrypted PEM (PKCS#8, PKCS#1 or SEC1)".to_owned(),
            Self::TlsCpu { .. } => "run on x86-64 with AVX2 and ADX (Broadwell, Zen or later), or reach the broker through a plain listener".to_owned(),
            Self::TlsHandshake { failure, .. } => return failure.cure(),
            Self::Refused { .. } => return None,
        };
        Some(cure)
    }
}

impl TlsFailure {
    /// One sentence that tells an operator what to do.
    #[must_use]
    pub fn cure(&self) -> Option<String> {
        let cure = match self {
            Self::PlainPeer => "leave out `tls` for this port, or use the broker's TLS port",
            Self::PeerClosed => {
                "check that the port is a TLS listener and look into the broker's log"
            }
            Self::UnknownIssuer => {
                "set `tls.ca` to the PEM file of the authority that signed the brokers' certificates"
            }
            Self::WrongHost { .. } => {
                "use a host name that the certificate carries, or set `tls.server_name` to one"
            }
            Self::Expired => "renew the broker's certificate",
            Self::NotYetValid => "check this machine's clock",
            Self::ClientCertificate { offered: false, .. } => {
                "set `tls.cert` and `tls.key` to a certificate that the broker trusts"
            }
            Self::ClientCertificate { offered: true, .. } => {
                "use a client certificate from an authority in the broker's truststore"
            }
            Self::BadCertificate(_) | Self::Alert(_) | Self::Other(_) => return None,
        };
        Some(cure.to_owned())
    }
}
