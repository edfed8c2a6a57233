//! What the client listener of a cluster asks of its clients.

use std::fmt;
use std::str::FromStr;

/// The security of the client listener.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Security {
    /// No encryption, no authentication.
    #[default]
    Plain,
    /// `SASL_PLAINTEXT` with PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 for [`USERS`].
    Sasl,
    /// TLS with a private CA; clients stay anonymous.
    Tls,
    /// TLS; the client must show a certificate of the same CA, whose CN is its principal.
    MutualTls,
    /// SASL inside TLS.
    SaslTls,
}

/// Security and authorization of a cluster. Text form: `plain`, `sasl`, `tls`, `mtls`, `sasl-tls`, each optionally with `+acl`;
/// `acl` alone means `sasl+acl`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flavour {
    /// How clients connect.
    pub security: Security,
    /// Whether clients may do only what ACLs allow (`admin` and the internal listener may do everything).
    pub acl: bool,
}

/// The text names no flavour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFlavour(String);

/// A user of the SASL flavours, known to all three mechanisms; also the CN of a client certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// User name, and principal name (`User:NAME`).
    pub name: &'static str,
    /// Password; not a secret, since every test cluster has it.
    pub password: &'static str,
}

/// The users: `admin` may do everything; with ACLs, `kferry` and `limited` may do what a test grants them.
pub const USERS: [User; 3] = [
    User { name: "admin", password: "admin-password" },
    User { name: "kferry", password: "kferry-password" },
    User { name: "limited", password: "limited-password" },
];

impl Security {
    /// Whether clients use TLS.
    pub const fn is_tls(self) -> bool {
        matches!(self, Self::Tls | Self::MutualTls | Self::SaslTls)
    }

    /// Whether clients use SASL.
    pub const fn is_sasl(self) -> bool {
        matches!(self, Self::Sasl | Self::SaslTls)
    }

    /// Kafka's name of the listener's protocol (class `SecurityProtocol`).
    pub const fn protocol(self) -> &'static str {
        match self {
            Self::Plain => "PLAINTEXT",
            Self::Sasl => "SASL_PLAINTEXT",
            Self::Tls | Self::MutualTls => "SSL",
            Self::SaslTls => "SASL_SSL",
        }
    }
}

impl FromStr for Flavour {
    type Err = UnknownFlavour;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (security, acl) = match text.strip_suffix("+acl") {
            Some(security) => (security, true),
            None => (text, false),
        };
        let security = match security {
            "plain" => Security::Plain,
            "sasl" => Security::Sasl,
            "tls" => Security::Tls,
            "mtls" => Security::MutualTls,
            "sasl-tls" => Security::SaslTls,
            "acl" => return Ok(Self { security: Security::Sasl, acl: true }),
            _ => return Err(UnknownFlavour(text.to_owned())),
        };
        Ok(Self { security, acl })
    }
}

impl fmt::Display for UnknownFlavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no flavour is called {:?}; known: plain sasl tls mtls sasl-tls, each with or without +acl",
            self.0
        )
    }
}

impl std::error::Error for UnknownFlavour {}
