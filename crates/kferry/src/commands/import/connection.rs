//! A cluster of MirrorMaker 2 as a connection.

use super::Note;
use super::mm2::quoted;
use super::properties::Properties;

/// What stands before a client setting of a cluster.
const CLIENTS: [&str; 4] = ["", "admin.", "consumer.", "producer."];

/// Files in this form can be read here; the key stores of Java cannot.
const PEM: [&str; 3] = [".pem", ".crt", ".cer"];

/// The connection of `cluster`, as lines of YAML; `None` where it has no addresses.
pub(super) fn connection(
    cluster: &str,
    properties: &mut Properties,
    notes: &mut Vec<Note>,
) -> Option<String> {
    let mut cluster = Cluster { name: cluster, properties, notes };
    let (servers, _) = cluster.take("bootstrap.servers")?;
    let servers: Vec<String> = servers.split(',').map(|server| quoted(server.trim())).collect();
    let mut yaml = format!("    bootstrap: [{}]\n", servers.join(", "));
    let protocol = cluster.take("security.protocol").map(|(value, _)| value.to_uppercase());
    let protocol = protocol.unwrap_or_else(|| "PLAINTEXT".to_owned());
    if protocol.ends_with("SSL") {
        yaml.push_str(&cluster.tls());
    }
    if protocol.starts_with("SASL") {
        yaml.push_str(&cluster.sasl());
    }
    Some(yaml)
}

struct Cluster<'a> {
    name: &'a str,
    properties: &'a mut Properties,
    notes: &'a mut Vec<Note>,
}

impl Cluster<'_> {
    fn take(&mut self, key: &str) -> Option<(String, usize)> {
        let own = CLIENTS.iter().map(|client| format!("{}.{client}{key}", self.name));
        let keys: Vec<String> = own.chain([key.to_owned()]).collect();
        self.properties.take(&keys).map(|(_, value, line)| (value, line))
    }

    fn note(&mut self, line: usize, text: String) {
        self.notes.push(Note { line: Some(line), text });
    }

    fn tls(&mut self) -> String {
        let mut fields = Vec::new();
        if let Some((path, line)) = self.take("ssl.truststore.location") {
            if PEM.iter().any(|ending| path.ends_with(ending)) {
                fields.push(format!("ca: {}", quoted(&path)));
            } else {
                self.note(line, format!("{path} is a Java key store: export its certificates (`keytool -exportcert -rfc`) and name the file as `ca` of {}", self.name));
            }
        }
        if let Some((path, line)) = self.take("ssl.keystore.location") {
            self.note(line, format!("{path} holds the client's certificate and key: give them as PEM files, `cert` and `key` of {}", self.name));
        }
        if let Some((algorithm, line)) = self.take("ssl.endpoint.identification.algorithm")
            && algorithm.is_empty()
        {
            self.note(line, format!("host names are verified: if the certificates of {} do not have them, give `server_name`", self.name));
        }
        for secret in [
            "ssl.truststore.password",
            "ssl.keystore.password",
            "ssl.key.password",
            "ssl.truststore.type",
            "ssl.keystore.type",
        ] {
            _ = self.take(secret);
        }
        format!("    tls: {{{}}}\n", fields.join(", "))
    }

    fn sasl(&mut self) -> String {
        let (mechanism, line) =
            self.take("sasl.mechanism").unwrap_or_else(|| ("GSSAPI".to_owned(), 0));
        let jaas = self.take("sasl.jaas.config");
        if !matches!(&*mechanism, "PLAIN" | "SCRAM-SHA-256" | "SCRAM-SHA-512") {
            self.note(
                line,
                format!("{mechanism} is not spoken: give {} a user with PLAIN or SCRAM", self.name),
            );
            return String::new();
        }
        let user = jaas.as_ref().and_then(|(jaas, _)| quoted_value(jaas, "username"));
        let variable = format!("KFERRY_PASSWORD_{}", shouted(self.name));
        let line = jaas.as_ref().map_or(line, |(_, line)| *line);
        self.note(
            line,
            format!("the password is not carried over: put it into the environment as {variable}"),
        );
        format!(
            "    sasl: {{mechanism: {mechanism}, username: {}, password: {{env: {variable}}}}}\n",
            quoted(user.unwrap_or("USER"))
        )
    }
}

/// What stands in quotes behind `key=` in a JAAS line.
fn quoted_value<'a>(jaas: &'a str, key: &str) -> Option<&'a str> {
    let rest = jaas.split_once(key)?.1.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|char| matches!(char, '"' | '\''))?;
    rest[1..].split(quote).next()
}

/// A name as environment variables have them.
fn shouted(name: &str) -> String {
    let shout =
        |char: char| if char.is_ascii_alphanumeric() { char.to_ascii_uppercase() } else { '_' };
    name.chars().map(shout).collect()
}
