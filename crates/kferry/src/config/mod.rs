//! Connections as people write them: `HOST:PORT[,…]` on the command line, or a YAML file.
//!
//! A file is checked whole before anything connects: unknown and duplicate keys, wrong types, missing secrets and
//! unreadable certificates are errors with file, line and column. Passwords never stand in the file itself, and no
//! message or snippet made here repeats a value that might be one.

mod connection;
mod file;
pub(crate) mod nearest;
mod place;
mod registry;
pub(crate) mod rule;
mod schema_file;
mod snippet;
pub(crate) mod task;

use std::path::Path;

use kafka_client::{BrokerAddress, ConnectionConfig};

pub(crate) use connection::Kind;
pub(crate) use task::TaskSetup;

use crate::failure::Failure;

/// One end of a sync, or the subject of a check.
#[derive(Debug)]
pub(crate) struct Connection {
    /// What the client needs.
    pub(crate) config: ConnectionConfig,
    /// How the brokers' advertised addresses are reached.
    pub(crate) kind: Kind,
    /// Whether consumer groups may be made there by a commit.
    pub(crate) group_auto_create: bool,
    /// Free text from the file.
    pub(crate) description: Option<String>,
}

impl Connection {
    /// Plain addresses, everything else at its default.
    fn at(bootstrap: Vec<BrokerAddress>) -> Self {
        let config = ConnectionConfig::new(bootstrap);
        Self { config, kind: Kind::Direct, group_auto_create: true, description: None }
    }
}

/// Reads a connection argument; `flag` is how the user gave it (`--source`), for messages.
///
/// # Errors
/// A usage [`Failure`] that says what is wrong, where, and how to put it right.
pub(crate) fn connection(flag: &str, text: &str) -> Result<Connection, Failure> {
    if is_file(text) {
        return file::load(Path::new(text));
    }
    match BrokerAddress::parse_list(text) {
        Ok(bootstrap) => Ok(Connection::at(bootstrap)),
        Err(error) => {
            Err(Failure::usage(flag).because(&error).cure("give HOST:PORT, several separated by commas, or the path of a connection file ending in .yaml"))
        }
    }
}

/// A path is told from an address by what it looks like first, so that a missing file is called a missing file.
fn is_file(text: &str) -> bool {
    looks_like_file(text) || Path::new(text).is_file()
}

/// Whether a text can only be meant as a path.
fn looks_like_file(text: &str) -> bool {
    let named_so = Path::new(text).extension().is_some_and(|extension| {
        extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml")
    });
    named_so || text.contains('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_files_are_told_apart() {
        let check = |text: &str, expected: bool| assert_eq!(is_file(text), expected, "{text}");
        check("a:9092", false);
        check("a:9092,b:9092", false);
        check("[::1]:9092", false);
        check("a.yaml", true);
        check("a.YML", true);
        check("./a", true);
        check("/etc/kferry/a", true);
    }

    #[test]
    fn plain_addresses() {
        let connection = connection("--source", "a:9092,b:9093").unwrap();
        assert_eq!(connection.config.bootstrap.len(), 2);
        let error = super::connection("--source", "a").unwrap_err().to_string();
        assert!(error.contains("--source") && error.contains("a:9092"), "{error}");
        let error = super::connection("--target", "missing.yaml").unwrap_err().to_string();
        assert!(error.contains("missing.yaml") && error.contains("No such file"), "{error}");
    }
}
