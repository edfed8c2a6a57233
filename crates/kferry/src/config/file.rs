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

use std::path::Path;

use super::{
    Connection,
    connection::{self, ConnectionSection},
    place::{Place, read_text},
};
use crate::failure::Failure;

/// Reads and checks a connection file, with everything it refers to.
///
/// # Errors
/// A usage [`Failure`] with file, line, column and the line itself.
pub(super) fn load(path: &Path) -> Result<Connection, Failure> {
    let cure = "give HOST:PORT, or the path of a readable connection file";
    let text = read_text(path, "connection file", cure)?;
    parse(path, &text, &|name| std::env::var(name).ok())
}

pub(super) fn parse(
    path: &Path,
    text: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Connection, Failure> {
    let place = Place { path, text };
    let section: ConnectionSection = place.parse()?;
    let stem = path
        .file_stem()
        .map_or_else(|| path.display().to_string(), |stem| stem.to_string_lossy().into_owned());
    connection::build(&place, section, &stem, env)
}

#[cfg(test)]
mod tests {
    use kafka_wire::sasl::Mechanism;

    use super::*;
    use crate::config::Kind;

    fn load(text: &str) -> Result<Connection, Failure> {
        parse(Path::new("dir/c.yaml"), text, &|name| (name == "SET").then(|| "hunter2!".to_owned()))
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
