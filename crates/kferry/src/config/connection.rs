//! A connection as it stands in a file: what is written, and what it means.

use std::{fmt, path::PathBuf};

use kafka_client::{BrokerAddress, ConnectionConfig, TlsConfig, TlsIdentity};
use kafka_wire::{
    sasl::{Credentials, Mechanism},
    secret::Secret,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};
use serde_saphyr::Spanned;

use super::{
    Connection, nearest,
    place::{Place, read},
};
use crate::failure::Failure;

/// How the addresses that brokers advertise are reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// They can be connected to as they are.
    #[default]
    Direct,
    /// They are mapped by a gateway; such a connection can only be a source.
    CrossNetwork,
}

/// A cluster, and how it is reached.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Connection")]
pub(super) struct ConnectionSection {
    /// What the connection is called in messages; the file's name without it.
    #[schemars(with = "Option<String>")]
    name: Option<Spanned<String>>,
    /// Free text for people.
    description: Option<String>,
    /// `direct`: the addresses that brokers advertise are connected to as they are. `cross_network`: a gateway maps them; such a
    /// connection can only be a source.
    #[serde(default)]
    #[schemars(with = "Kind", extend("default" = "direct"))]
    pub(super) kind: Option<Spanned<Kind>>,
    /// Whether consumer groups that a target lacks may be made there by a commit.
    #[serde(default = "allowed")]
    group_auto_create: bool,
    /// Addresses, `HOST:PORT` each. One is enough: every broker is discovered from it.
    #[schemars(with = "Vec<String>", length(min = 1))]
    bootstrap: Spanned<Vec<Spanned<String>>>,
    /// Encryption; without it the connection is plain text.
    tls: Option<TlsSection>,
    /// Who we are; without it nobody in particular.
    sasl: Option<SaslSection>,
}

/// Encryption. Paths are relative to the file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Tls")]
pub(super) struct TlsSection {
    /// Authorities that are trusted, a PEM file; the system's without it.
    #[schemars(with = "Option<String>")]
    ca: Option<Spanned<PathBuf>>,
    /// Our own certificate for mutual TLS, a PEM file; needs `key`.
    #[schemars(with = "Option<String>")]
    cert: Option<Spanned<PathBuf>>,
    /// The private key that belongs to `cert`, a PEM file.
    #[schemars(with = "Option<String>")]
    key: Option<Spanned<PathBuf>>,
    /// The name that the brokers' certificates must have; the address' own without it.
    #[schemars(with = "Option<String>")]
    server_name: Option<Spanned<String>>,
    /// Whether certificates are verified. Turning it off is logged: the peer may then be anyone.
    #[serde(default = "verified")]
    verify: bool,
}

fn allowed() -> bool {
    true
}

fn verified() -> bool {
    true
}

/// A user and where the password is found.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Sasl")]
struct SaslSection {
    /// How the password is proven.
    #[schemars(with = "String", extend("enum" = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]))]
    mechanism: Spanned<String>,
    /// The user's name. With OAUTHBEARER whose rights are asked for; those of the token's subject without it.
    #[serde(default)]
    #[schemars(with = "String")]
    username: Option<Spanned<String>>,
    /// Where the password is found, `{env: VARIABLE}` or `{file: PATH}`; never the password itself. With OAUTHBEARER it is the token. A
    /// file is read anew for each connection.
    #[schemars(with = "PasswordSource")]
    password: Spanned<PasswordSource>,
}

/// Where the password is found; never the password.
pub(super) enum PasswordSource {
    Env(String),
    File(PathBuf),
}

impl JsonSchema for PasswordSource {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Password".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "properties": {
                "env": {
                    "type": "string",
                    "description": "The environment variable that holds the password.",
                },
                "file": {
                    "type": "string",
                    "description": "A file that holds the password; a line end behind it is no part of it.",
                },
            },
            "additionalProperties": false,
            "minProperties": 1,
            "maxProperties": 1,
        })
    }
}

const LITERAL_PASSWORD: &str = "the password itself must not stand in the file";

impl<'de> Deserialize<'de> for PasswordSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PasswordVisitor)
    }
}

/// Refuses every scalar with the same words, so that no message of the parser can quote it.
struct PasswordVisitor;

impl<'de> de::Visitor<'de> for PasswordVisitor {
    type Value = PasswordSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{env: VARIABLE} or {file: PATH}")
    }

    fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> {
        Err(E::custom(LITERAL_PASSWORD))
    }
    fn visit_bytes<E: de::Error>(self, _: &[u8]) -> Result<Self::Value, E> {
        Err(E::custom(LITERAL_PASSWORD))
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Err(E::custom(LITERAL_PASSWORD))
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Err(E::custom(LITERAL_PASSWORD))
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self::Value, E> {
        Err(E::custom(LITERAL_PASSWORD))
    }
    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Self::Value, E> {
        Err(E::custom(LITERAL_PASSWORD))
    }
    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Self::Value, E> {
        Err(E::custom(LITERAL_PASSWORD))
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Err(E::custom(LITERAL_PASSWORD))
    }
    fn visit_seq<A: de::SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(de::Error::custom(LITERAL_PASSWORD))
    }
    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Err(E::custom("no password source is given"))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let wrong = || de::Error::custom("the password has exactly one source");
        let source = match map.next_key::<String>()?.as_deref() {
            Some("env") => PasswordSource::Env(map.next_value()?),
            Some("file") => PasswordSource::File(map.next_value()?),
            _ => return Err(wrong()),
        };
        if map.next_key::<String>()?.is_some() { Err(wrong()) } else { Ok(source) }
    }
}

/// What the section means, with everything that it refers to; `unnamed` is the name of one without a name.
///
/// # Errors
/// A usage [`Failure`] with file, line, column and the line itself.
pub(super) fn build(
    place: &Place<'_>,
    section: ConnectionSection,
    unnamed: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Connection, Failure> {
    let bootstrap = bootstrap(place, &section.bootstrap)?;
    let mut config = ConnectionConfig::new(bootstrap);
    config = match section.name {
        Some(name) if name.value.trim().is_empty() => {
            return Err(place
                .failure(name.referenced, "the name is empty")
                .cure("give it a name, or leave name out"));
        }
        Some(name) => config.with_name(name.value),
        None => config.with_name(unnamed),
    };
    if let Some(section) = &section.tls {
        config = config.with_tls(tls(place, section)?);
    }
    if let Some(section) = &section.sasl {
        config = config.with_sasl(sasl(place, section, env)?);
        if let PasswordSource::File(path) = &section.password.value {
            config.password_file = Some(place.resolve(path));
        }
    }
    let ConnectionSection { kind, group_auto_create, description, .. } = section;
    let kind = kind.map(|kind| kind.value).unwrap_or_default();
    Ok(Connection { config, kind, group_auto_create, description })
}

fn bootstrap(
    place: &Place<'_>,
    list: &Spanned<Vec<Spanned<String>>>,
) -> Result<Vec<BrokerAddress>, Failure> {
    if list.value.is_empty() {
        return Err(place
            .failure(list.referenced, "the list of bootstrap addresses is empty")
            .cure("give one HOST:PORT: every broker is discovered from it"));
    }
    list.value
        .iter()
        .map(|entry| {
            entry.value.parse::<BrokerAddress>().map_err(|error| {
                place.failure(entry.referenced, &error.to_string()).cure("write HOST:PORT")
            })
        })
        .collect()
}

pub(super) fn tls(place: &Place<'_>, section: &TlsSection) -> Result<TlsConfig, Failure> {
    let mut tls = TlsConfig::default();
    if !section.verify {
        tls.verify = false;
    }
    if let Some(ca) = &section.ca {
        tls.ca = Some(place.read(ca)?);
    }
    if let Some(name) = &section.server_name {
        if name.value.is_empty() {
            return Err(place
                .failure(name.referenced, "the server name is empty")
                .cure("write the name that the certificate has, or leave server_name out"));
        }
        tls.server_name = Some(name.value.clone());
    }
    tls.identity = match (&section.cert, &section.key) {
        (Some(cert), Some(key)) => {
            let pem = place.read(key)?;
            let pem = String::from_utf8(pem).map_err(|_| {
                place
                    .failure(key.referenced, "the key file is not PEM text")
                    .cure("name the private key as a PEM file")
            })?;
            Some(TlsIdentity { certificate: place.read(cert)?, key: Secret::new(pem) })
        }
        (Some(cert), None) => {
            return Err(place
                .failure(cert.referenced, "cert needs key: the private key that belongs to it")
                .cure("add key"));
        }
        (None, Some(key)) => {
            return Err(place
                .failure(key.referenced, "key needs cert: the certificate that belongs to it")
                .cure("add cert"));
        }
        (None, None) => None,
    };
    Ok(tls)
}

fn sasl(
    place: &Place<'_>,
    section: &SaslSection,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Credentials, Failure> {
    let mechanism = section.mechanism.value.parse::<Mechanism>().map_err(|_| {
        place
            .failure(
                section.mechanism.referenced,
                &format!(
                    "mechanism {:?} is not supported; PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 and OAUTHBEARER are",
                    section.mechanism.value
                ),
            )
            .cure(nearest::among(&section.mechanism.value, &Mechanism::ALL.map(Mechanism::name)))
    })?;
    let needs_user = mechanism != Mechanism::OauthBearer;
    let username = match &section.username {
        Some(username) if username.value.is_empty() && needs_user => {
            return Err(place
                .failure(username.referenced, "the user name is empty")
                .cure("write the user as username"));
        }
        None if needs_user => {
            return Err(place
                .failure(section.mechanism.referenced, &format!("{mechanism} needs username"))
                .cure("write the user as username"));
        }
        username => username.as_ref().map(|user| user.value.clone()).unwrap_or_default(),
    };
    let password = secret(place, &section.password, env)?;
    Ok(Credentials { mechanism, username, password })
}

/// What a password's source holds.
///
/// # Errors
/// A usage [`Failure`] with file, line, column and the line itself.
pub(super) fn secret(
    place: &Place<'_>,
    source: &Spanned<PasswordSource>,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Secret, Failure> {
    let at = source.referenced;
    let password = match &source.value {
        PasswordSource::Env(name) => {
            env(name).filter(|value| !value.is_empty()).ok_or_else(|| {
                place
                    .failure(
                        at,
                        &format!("the environment variable {name} for the password is not set"),
                    )
                    .cure(format!("set it before you start kferry: export {name}=…"))
            })?
        }
        PasswordSource::File(path) => {
            let resolved = place.resolve(path);
            let bytes = read(&resolved).map_err(|error| {
                place
                    .failure(
                        at,
                        &format!("cannot read the password file {}: {error}", resolved.display()),
                    )
                    .cure("name a readable file; its path is meant from where this file is")
            })?;
            let text = String::from_utf8(bytes).map_err(|_| {
                place
                    .failure(
                        at,
                        &format!("the password file {} is not UTF-8 text", resolved.display()),
                    )
                    .cure("write the password, and nothing else, into it")
            })?;
            // Editors and `echo` end a file with a newline; it is not part of the password.
            let text = text
                .strip_suffix('\n')
                .map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
            if text.is_empty() {
                return Err(place
                    .failure(at, &format!("the password file {} is empty", resolved.display()))
                    .cure("write the password, and nothing else, into it"));
            }
            text.to_owned()
        }
    };
    Ok(Secret::new(password))
}
