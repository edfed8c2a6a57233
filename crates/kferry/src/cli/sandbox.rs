//! `kferry sandbox`, for tests and benches.

use std::path::PathBuf;

use clap::Args;
use kafka_client::{Acl, AclOperation, AclPattern, AclPermission, AclResource, BrokerAddress};
use kafka_sim::Operation;

/// `kferry sandbox`.
#[derive(Debug, Args)]
pub(crate) struct SandboxArgs {
    /// How many brokers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub(crate) brokers: u16,
    /// File to write the bootstrap addresses to once they listen
    #[arg(long)]
    pub(crate) port_file: Option<PathBuf>,
    /// Fill a topic: TOPIC:PARTITIONS:BYTES:BATCH_BYTES:CODEC, repeatable; BYTES is the total over all partitions. With :FILE behind it
    /// the lines of that file are the values, one a record
    #[arg(long = "fill", value_name = "SPEC", value_parser = fill)]
    pub(crate) fills: Vec<Fill>,
    /// Cluster id, so that two sandboxes are two clusters
    #[arg(long)]
    pub(crate) cluster_id: Option<String>,
    /// Ask for SASL and know this user: NAME:PASSWORD, repeatable
    #[arg(long = "user", value_name = "NAME:PASSWORD", value_parser = user)]
    pub(crate) users: Vec<(String, String)>,
    /// Deny everybody an operation on a topic (`*`: every topic), such as read:orders, repeatable
    #[arg(long = "deny", value_name = "OPERATION:TOPIC", value_parser = denial)]
    pub(crate) denials: Vec<(Operation, String)>,
    /// Keep ACLs, and have this one: PERMISSION:OPERATION:TOPIC:USER such as allow:read:orders:alice, repeatable
    #[arg(long = "acl", value_name = "ACL", value_parser = acl)]
    pub(crate) acls: Vec<Acl>,
    /// Kill this broker once all listen
    #[arg(long)]
    pub(crate) kill: Option<i32>,
    /// Acknowledge produced batches and forget them
    #[arg(long)]
    pub(crate) discard: bool,
    /// Tell clients that the first broker is here, HOST:PORT: a relay in front of it
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) advertise: Option<BrokerAddress>,
}

/// One `--fill` of a sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fill {
    /// Topic name.
    pub(crate) topic: String,
    /// Number of partitions.
    pub(crate) partitions: i32,
    /// Plain record bytes in all partitions together.
    pub(crate) bytes: u64,
    /// Plain record bytes per batch.
    pub(crate) batch_bytes: usize,
    /// Codec of the batches.
    pub(crate) codec: kafka_wire::compression::Compression,
    /// A file whose lines are the values; without it they are made up.
    pub(crate) values: Option<PathBuf>,
}

fn fill(text: &str) -> Result<Fill, String> {
    let wrong = || {
        "expected TOPIC:PARTITIONS:BYTES:BATCH_BYTES:CODEC, such as bench:4:1000000000:65536:lz4"
            .to_owned()
    };
    // A path may hold the sign that parts the others.
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let (parts, values) = match parts.as_slice() {
        [parts @ .., values] if parts.len() == 5 => (parts, Some(values)),
        parts => (parts, None),
    };
    let [topic, partitions, bytes, batch_bytes, codec] = parts else { return Err(wrong()) };
    Ok(Fill {
        topic: (*topic).to_owned(),
        partitions: partitions
            .parse()
            .ok()
            .filter(|count| (1..=10_000).contains(count))
            .ok_or_else(wrong)?,
        bytes: bytes.parse().map_err(|_| wrong())?,
        batch_bytes: batch_bytes.parse().ok().filter(|bytes| *bytes > 0).ok_or_else(wrong)?,
        codec: codec.parse().map_err(|_| wrong())?,
        values: values.map(PathBuf::from),
    })
}

fn user(text: &str) -> Result<(String, String), String> {
    text.split_once(':')
        .map(|(name, password)| (name.to_owned(), password.to_owned()))
        .ok_or_else(|| "expected NAME:PASSWORD".to_owned())
}

fn denial(text: &str) -> Result<(Operation, String), String> {
    let (operation, topic) = text.split_once(':').ok_or("expected OPERATION:TOPIC")?;
    let operation = match operation {
        "read" => Operation::Read,
        "write" => Operation::Write,
        "create" => Operation::Create,
        "describe" => Operation::Describe,
        "describe_configs" => Operation::DescribeConfigs,
        "alter_configs" => Operation::AlterConfigs,
        _ => return Err(format!("unknown operation {operation}")),
    };
    Ok((operation, topic.to_owned()))
}

fn acl(text: &str) -> Result<Acl, String> {
    let wrong = || "expected PERMISSION:OPERATION:TOPIC:USER".to_owned();
    let parts: Vec<&str> = text.split(':').collect();
    let [permission, operation, topic, user] = parts.as_slice() else { return Err(wrong()) };
    let is_called = |name: String, given: &str| name.eq_ignore_ascii_case(given);
    let permission = [AclPermission::Allow, AclPermission::Deny]
        .into_iter()
        .find(|known| is_called(known.to_string(), permission))
        .ok_or_else(wrong)?;
    let operation = (2..=15)
        .map(AclOperation::from_code)
        .find(|known| is_called(known.to_string(), operation))
        .ok_or_else(wrong)?;
    Ok(Acl {
        resource: AclResource::Topic,
        name: (*topic).to_owned(),
        pattern: AclPattern::Literal,
        principal: format!("User:{user}"),
        host: "*".to_owned(),
        operation,
        permission,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fills() {
        let parsed = fill("bench:4:1000:100:lz4").unwrap();
        assert_eq!(
            (parsed.topic.as_str(), parsed.partitions, parsed.bytes, parsed.batch_bytes),
            ("bench", 4, 1000, 100)
        );
        assert_eq!(parsed.values, None);
        let parsed = fill("bench:4:1000:100:lz4:a/b:c.txt").unwrap();
        assert_eq!(parsed.values, Some("a/b:c.txt".into()));
        for wrong in
            ["", "bench", "bench:0:1:1:lz4", "bench:1:1:0:lz4", "bench:1:1:1:rar", "bench:1:1:1"]
        {
            assert!(fill(wrong).is_err(), "{wrong}");
        }
    }
}
