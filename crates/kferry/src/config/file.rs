//! The connection file.
//!
//! ```yaml
//! name: orders-eu
//! description: the orders cluster
//! kind: direct
//! group_auto_create: true
//! bootstrap: [broker1:9093, broker2:9093]
//! tls: {ca: ca.pem, cert: client.pem, key: client.key, server_name: broker, verify: true}
//! sasl: {mechanism: SCRAM-SHA-512, username: kferry, password: {env: KAFKA_PASSWORD}}
//! ```

use std::{
    fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use kafka_client::{BrokerAddress, ConnectionConfig, TlsConfig, TlsIdentity};
use kafka_wire::{
    sasl::{Credentials, Mechanism},
    secret::Secret,
};
use serde::{Deserialize, Deserializer, de};
use serde_saphyr::{Location, Spanned};

use super::{Connection, snippet};
use crate::failure::Failure;

/// No certificate bundle or connection file is larger; a device file given by mistake is noticed.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// How the addresses that brokers advertise are reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// They can be connected to as they are.
    #[default]
    Direct,
    /// They are mapped by a gateway; such a connection can only be a source.
    CrossNetwork,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConnectionFile {
    name: Option<Spanned<String>>,
    description: Option<String>,
    #[serde(default)]
    kind: Kind,
    #[serde(default = "allowed")]
    group_auto_create: bool,
    bootstrap: Spanned<Vec<Spanned<String>>>,
    tls: Option<TlsSection>,
    sasl: Option<SaslSection>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsSection {
    ca: Option<Spanned<PathBuf>>,
    cert: Option<Spanned<PathBuf>>,
    key: Option<Spanned<PathBuf>>,
    server_name: Option<Spanned<String>>,
    #[serde(default = "verified")]
    verify: bool,
}

fn allowed() -> bool {
    true
}

fn verified() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SaslSection {
    mechanism: Spanned<String>,
    username: Spanned<String>,
    password: Spanned<PasswordSource>,
}

/// Where the password is found; never the password.
enum PasswordSource {
    Env(String),
    File(PathBuf),
}

const LITERAL_PASSWORD: &str = "the password itself must not stand in the file; write password: {env: VARIABLE} or password: {file: PATH}";

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
        Err(E::custom(
            "no password source is given; write password: {env: VARIABLE} or password: {file: PATH}",
        ))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let wrong =
            || de::Error::custom("expected exactly one of {env: VARIABLE} and {file: PATH}");
        let source = match map.next_key::<String>()?.as_deref() {
            Some("env") => PasswordSource::Env(map.next_value()?),
            Some("file") => PasswordSource::File(map.next_value()?),
            _ => return Err(wrong()),
        };
        if map.next_key::<String>()?.is_some() { Err(wrong()) } else { Ok(source) }
    }
}

/// Where an error in the file is, and how to show it.
struct Place<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Place<'_> {
    /// A mistake that we found: our words quote no value that may be secret.
    fn failure(&self, location: Location, message: &str) -> Failure {
        self.show(location, message, snippet::Words::Ours)
    }

    fn show(&self, location: Location, message: &str, words: snippet::Words) -> Failure {
        let (line, column) = (location.line(), location.column());
        let (message, snippet) = snippet::render(self.text, line, column, message, words);
        Failure::usage(format!("{}:{line}:{column}: {message}", self.path.display()))
            .snippet(snippet)
    }

    /// A path in the file is meant from where the file is.
    fn resolve(&self, path: &Path) -> PathBuf {
        self.path.parent().map_or_else(|| path.to_path_buf(), |parent| parent.join(path))
    }

    fn read(&self, path: &Spanned<PathBuf>) -> Result<Vec<u8>, Failure> {
        let resolved = self.resolve(&path.value);
        read(&resolved).map_err(|error| {
            self.failure(path.referenced, &format!("cannot read {}: {error}", resolved.display()))
        })
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("the file is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

/// Reads and checks a connection file, with everything it refers to.
///
/// # Errors
/// A usage [`Failure`] with file, line, column and the line itself.
pub(super) fn load(path: &Path) -> Result<Connection, Failure> {
    let bytes = read(path).map_err(|error| {
        Failure::usage(format!("cannot read the connection file {}: {error}", path.display()))
            .cure("give HOST:PORT, or the path of a readable connection file")
    })?;
    let text = String::from_utf8(bytes)
        .map_err(|_| Failure::usage(format!("{}: the file is not UTF-8 text", path.display())))?;
    parse(path, &text, |name| std::env::var(name).ok())
}

fn parse(
    path: &Path,
    text: &str,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Connection, Failure> {
    let place = Place { path, text };
    let options = serde_saphyr::options! { with_snippet: false, no_schema: false };
    let file: ConnectionFile =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| {
            let message = snippet::message_of(&error);
            match error.location() {
                Some(location) => place.show(location, &message, snippet::Words::Parsers),
                None => Failure::usage(format!("{}: {message}", path.display())),
            }
        })?;
    let bootstrap = bootstrap(&place, &file.bootstrap)?;
    let mut config = ConnectionConfig::new(bootstrap);
    config = match file.name {
        Some(name) if name.value.trim().is_empty() => {
            return Err(place.failure(name.referenced, "the name is empty"));
        }
        Some(name) => config.with_name(name.value),
        None => config.with_name(path.file_stem().map_or_else(
            || path.display().to_string(),
            |stem| stem.to_string_lossy().into_owned(),
        )),
    };
    if let Some(section) = &file.tls {
        config = config.with_tls(tls(&place, section)?);
    }
    if let Some(section) = &file.sasl {
        config = config.with_sasl(sasl(&place, section, env)?);
    }
    let ConnectionFile { kind, group_auto_create, description, .. } = file;
    Ok(Connection { config, kind, group_auto_create, description })
}

fn bootstrap(
    place: &Place<'_>,
    list: &Spanned<Vec<Spanned<String>>>,
) -> Result<Vec<BrokerAddress>, Failure> {
    if list.value.is_empty() {
        return Err(place.failure(
            list.referenced,
            "the list of bootstrap addresses is empty; one is enough: every broker is discovered from it",
        ));
    }
    list.value
        .iter()
        .map(|entry| {
            entry
                .value
                .parse::<BrokerAddress>()
                .map_err(|error| place.failure(entry.referenced, &error.to_string()))
        })
        .collect()
}

fn tls(place: &Place<'_>, section: &TlsSection) -> Result<TlsConfig, Failure> {
    let mut tls = TlsConfig::default();
    if !section.verify {
        tls.verify = false;
    }
    if let Some(ca) = &section.ca {
        tls.ca = Some(place.read(ca)?);
    }
    if let Some(name) = &section.server_name {
        if name.value.is_empty() {
            return Err(place.failure(name.referenced, "the server name is empty"));
        }
        tls.server_name = Some(name.value.clone());
    }
    tls.identity = match (&section.cert, &section.key) {
        (Some(cert), Some(key)) => {
            let pem = place.read(key)?;
            let pem = String::from_utf8(pem)
                .map_err(|_| place.failure(key.referenced, "the key file is not PEM text"))?;
            Some(TlsIdentity { certificate: place.read(cert)?, key: Secret::new(pem) })
        }
        (Some(cert), None) => {
            return Err(place
                .failure(cert.referenced, "cert needs key: the private key that belongs to it"));
        }
        (None, Some(key)) => {
            return Err(
                place.failure(key.referenced, "key needs cert: the certificate that belongs to it")
            );
        }
        (None, None) => None,
    };
    Ok(tls)
}

fn sasl(
    place: &Place<'_>,
    section: &SaslSection,
    env: impl Fn(&str) -> Option<String>,
) -> Result<Credentials, Failure> {
    let mechanism = section.mechanism.value.parse::<Mechanism>().map_err(|_| {
        place.failure(
            section.mechanism.referenced,
            &format!(
                "mechanism {:?} is not supported; PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 are",
                section.mechanism.value
            ),
        )
    })?;
    if section.username.value.is_empty() {
        return Err(place.failure(section.username.referenced, "the user name is empty"));
    }
    let at = section.password.referenced;
    let password = match &section.password.value {
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
                place.failure(
                    at,
                    &format!("cannot read the password file {}: {error}", resolved.display()),
                )
            })?;
            let text = String::from_utf8(bytes).map_err(|_| {
                place.failure(
                    at,
                    &format!("the password file {} is not UTF-8 text", resolved.display()),
                )
            })?;
            // Editors and `echo` end a file with a newline; it is not part of the password.
            let text = text
                .strip_suffix('\n')
                .map_or(text.as_str(), |text| text.strip_suffix('\r').unwrap_or(text));
            if text.is_empty() {
                return Err(place
                    .failure(at, &format!("the password file {} is empty", resolved.display())));
            }
            text.to_owned()
        }
    };
    Ok(Credentials {
        mechanism,
        username: section.username.value.clone(),
        password: Secret::new(password),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Connection, Failure> {
        parse(Path::new("dir/c.yaml"), text, |name| (name == "SET").then(|| "hunter2!".to_owned()))
    }

    /// `expected` are parts of the message; the word `hunter2` stands for a secret and must never appear.
    fn refused(text: &str, expected: &[&str]) {
        let error = load(text).unwrap_err().to_string();
        for part in expected {
            assert!(error.contains(part), "{text}\n---\n{error}\n--- lacks {part}");
        }
        assert!(!error.contains("hunter"), "{error}");
    }

    #[test]
    fn whole_file() {
        let connection = load(
            "name: eu\ndescription: orders\nkind: cross_network\ngroup_auto_create: false\nbootstrap: [a:1, 'b:2']\ntls: {verify: false, server_name: x}\n\
             sasl:\n  mechanism: SCRAM-SHA-512\n  username: me\n  password: {env: SET}\n",
        )
        .unwrap();
        assert_eq!(connection.config.name, "eu");
        assert_eq!(connection.kind, Kind::CrossNetwork);
        assert!(!connection.group_auto_create);
        assert_eq!(connection.config.bootstrap.len(), 2);
        let tls = connection.config.tls.as_ref().unwrap();
        assert_eq!((tls.verify, tls.server_name.as_deref()), (false, Some("x")));
        let sasl = connection.config.sasl.as_ref().unwrap();
        assert_eq!(
            (sasl.mechanism, sasl.username.as_str(), sasl.password.expose()),
            (Mechanism::ScramSha512, "me", "hunter2!")
        );
        assert!(!format!("{connection:?}").contains("hunter"));
    }

    #[test]
    fn verification_is_on_unless_turned_off() {
        assert!(load("bootstrap: [a:1]\ntls: {}\n").unwrap().config.tls.unwrap().verify);
        assert_eq!(load("bootstrap: [a:1]\n").unwrap().config.name, "c");
    }

    #[test]
    fn mistakes_are_named_with_line_and_column() {
        refused("bootstrap: [a:1]\nbootstrp: [b:1]\n", &["dir/c.yaml:2:1", "bootstrp", "^"]);
        refused("bootstrap: [a:1]\nbootstrap: [b:1]\n", &["dir/c.yaml:2:1", "duplicate", "^"]);
        refused("bootstrap: [a:1, b]\n", &["dir/c.yaml:1:18", "no port", "^"]);
        refused("bootstrap: []\n", &["dir/c.yaml:1:12", "empty"]);
        refused("bootstrap: a:1\n", &["dir/c.yaml:1:12"]);
        refused("name: x\n", &["bootstrap"]);
        refused("bootstrap: [a:1]\nkind: far\n", &["dir/c.yaml:2:7", "far"]);
        refused("bootstrap: [a:1]\ntls:\n  verify: perhaps\n", &["dir/c.yaml:3:11"]);
        refused("bootstrap: [a:1]\ntls: {cert: c.pem}\n", &["dir/c.yaml:2:13", "key"]);
        refused(
            "bootstrap: [a:1]\ntls: {ca: missing.pem}\n",
            &["dir/c.yaml:2:11", "dir/missing.pem", "No such file"],
        );
        refused("bootstrap: [a:1\nname: x\n", &["dir/c.yaml:"]);
        refused("", &["dir/c.yaml"]);
    }

    fn with_sasl(rest: &str) -> String {
        format!("bootstrap: [a:1]\nsasl:\n  mechanism: PLAIN\n  username: me\n{rest}\n")
    }

    #[test]
    fn secrets_come_from_elsewhere() {
        refused(&with_sasl("  password: {env: UNSET}"), &["dir/c.yaml:5:13", "UNSET", "export"]);
        refused(
            &with_sasl("  password: {file: none}"),
            &["dir/c.yaml:5:13", "dir/none", "No such file"],
        );
        refused(
            "bootstrap: [a:1]\nsasl: {mechanism: DIGEST, username: me, password: {env: SET}}\n",
            &["dir/c.yaml:2:19", "DIGEST", "SCRAM-SHA-512"],
        );
    }

    #[test]
    fn a_literal_password_is_refused_and_not_repeated() {
        for rest in [
            "  password: hunter2",
            "  password: \"hunter2\"",
            "  password:\n    hunter2",
            "  password: |\n    hunter2",
            "  password: [hunter2]",
            "  password: {value: hunter2}",
            "  password: {env: SET, value: hunter2}",
            "  password: *hunter2",
            "  password: !hunter2 x",
            "  password: \"hunter2",
            "  password: &hunter2 hunter2",
            "  passwrd: hunter2",
            "  password: {env: [hunter2]}",
            "  password: {env: {hunter2: x}}",
            "  password: hunter2: hunter3",
        ] {
            refused(&with_sasl(rest), &["dir/c.yaml:"]);
        }
        refused(&with_sasl("  password: hunter2"), &["{env: VARIABLE}", "{file: PATH}"]);
        refused("bootstrap: [a:1]\npassword: hunter2\n", &["dir/c.yaml:2:1", "password"]);
        refused(
            "bootstrap: [a:1]\nsasl: {mechanism: PLAIN, username: me, password: hunter2}\n",
            &["{env: VARIABLE}"],
        );
        refused(
            "bootstrap: [a:1]\nsasl: {mechanism: NO, username: me, password: {env: SET}, pin: hunter2}\n",
            &["pin"],
        );
    }
}
