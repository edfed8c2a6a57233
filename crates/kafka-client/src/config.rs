//! What a client is told: where the cluster is, how to prove who we are, and the bounds of everything.

use std::{fmt, fs::File, io::Read as _, path::PathBuf, time::Duration};

use kafka_wire::{sasl::Credentials, secret::Secret};

use crate::address::{AddressError, BrokerAddress};

/// No password or token is longer.
const PASSWORD_BYTES_MAX: u64 = 1 << 20;

/// How to reach one cluster.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConnectionConfig {
    /// The name people know this connection by; appears in errors and logs.
    pub name: String,
    /// Brokers to ask first; all of them, and all their IP addresses, are tried.
    pub bootstrap: Vec<BrokerAddress>,
    /// TLS, if the listeners speak it.
    pub tls: Option<TlsConfig>,
    /// SASL credentials, if the listeners want them.
    pub sasl: Option<Credentials>,
    /// Where the password, or token, is read anew for each connection: tokens end.
    pub password_file: Option<PathBuf>,
    /// Kafka's `client.id`, seen in broker logs and quotas.
    pub client_id: String,
    /// Time-outs and bounds.
    pub limits: ClientLimits,
}

impl ConnectionConfig {
    /// A connection without TLS and SASL; `bootstrap` is `host:port,host:port`.
    ///
    /// # Errors
    /// [`AddressError`] when the list is empty or holds something else.
    pub fn plain(bootstrap: &str) -> Result<Self, AddressError> {
        Ok(Self::new(BrokerAddress::parse_list(bootstrap)?))
    }

    /// A connection without TLS and SASL to these addresses.
    #[must_use]
    pub fn new(bootstrap: Vec<BrokerAddress>) -> Self {
        let name = bootstrap.first().map_or_else(|| "kafka".to_owned(), ToString::to_string);
        Self {
            name,
            bootstrap,
            tls: None,
            sasl: None,
            password_file: None,
            client_id: "kferry".to_owned(),
            limits: ClientLimits::default(),
        }
    }

    /// The same connection under another name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The same connection with TLS.
    #[must_use]
    pub fn with_tls(mut self, tls: TlsConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    /// The same connection with SASL.
    #[must_use]
    pub fn with_sasl(mut self, sasl: Credentials) -> Self {
        self.sasl = Some(sasl);
        self
    }

    /// The credentials as they are now. A file that cannot be read leaves the last ones in force: the broker judges them.
    pub(crate) fn credentials(&self) -> Option<Credentials> {
        let mut credentials = self.sasl.clone()?;
        if let Some(path) = &self.password_file {
            let mut text = String::new();
            let read = File::open(path)
                .and_then(|file| file.take(PASSWORD_BYTES_MAX).read_to_string(&mut text));
            match read {
                Ok(_) if !text.trim_end().is_empty() => {
                    credentials.password = Secret::new(text.trim_end().to_owned());
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "the password file cannot be read anew");
                }
            }
        }
        Some(credentials)
    }

    /// The same connection with other bounds.
    #[must_use]
    pub fn with_limits(mut self, limits: ClientLimits) -> Self {
        self.limits = limits;
        self
    }
}

/// TLS of one connection. The default trusts the system's roots and proves nothing about us.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// Certificate authorities to trust, PEM; without it those of the system, then the bundled ones.
    pub ca: Option<Vec<u8>>,
    /// Our certificate and key, if the listener asks for one.
    pub identity: Option<TlsIdentity>,
    /// The name that the brokers' certificates must carry; without it the host of the address.
    pub server_name: Option<String>,
    /// `false` accepts any certificate: the peer may be anyone. For experiments only.
    pub verify: bool,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self { ca: None, identity: None, server_name: None, verify: true }
    }
}

/// A client certificate with its key, both PEM (PKCS#8, PKCS#1 or SEC1; not encrypted).
#[derive(Clone)]
pub struct TlsIdentity {
    /// Certificate chain, ours first, PEM.
    pub certificate: Vec<u8>,
    /// Private key, PEM.
    pub key: Secret,
}

impl fmt::Debug for TlsIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsIdentity")
            .field("certificate_bytes", &self.certificate.len())
            .finish_non_exhaustive()
    }
}

/// Time-outs and bounds of a client; each is a promise about how long or how much.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientLimits {
    /// DNS, TCP, TLS, version negotiation and SASL together, per connection attempt.
    pub connect_timeout: Duration,
    /// From the call to its answer; when it passes, the connection is given up.
    pub request_timeout: Duration,
    /// Metadata older than this is asked anew.
    pub metadata_age_max: Duration,
    /// How long a public call goes on retrying what brokers call retriable.
    pub retry_time_max: Duration,
    /// First pause between two tries; doubles up to `backoff_max`, with jitter.
    pub backoff_min: Duration,
    /// Longest pause between two tries.
    pub backoff_max: Duration,
    /// Largest response frame accepted, in bytes.
    pub frame_bytes_max: usize,
    /// Requests on one connection that wait for their answer.
    pub in_flight_max: usize,
    /// Requests on one connection that wait to be sent; a call above it fails at once.
    pub queue_max: usize,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
            metadata_age_max: Duration::from_secs(60),
            retry_time_max: Duration::from_secs(60),
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(2),
            frame_bytes_max: 128 << 20,
            in_flight_max: 1024,
            queue_max: 4096,
        }
    }
}
