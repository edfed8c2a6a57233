//! `kferry sandbox` (hidden): one simulated cluster on loopback ports, filled before it says where it listens.

use std::{fs, path::Path};

use bytes::Bytes;
use kafka_sim::{Cluster, ClusterConfig, Resource, SaslUsers};
use kafka_wire::record::{BatchOptions, Record, encode_batch};

use crate::{
    cli::{Fill, SandboxArgs},
    failure::Failure,
    output::Output,
    signals,
};

/// Plain bytes of one generated record.
const RECORD_BYTES: usize = 1024;
/// With `--discard` a partition keeps no more than this; more than may be in flight, or a lane that lost its connection would
/// not find its own tail again.
const DISCARD_BYTES: u64 = 64 << 20;
/// The id of a simulated cluster's first broker.
const FIRST_BROKER: i32 = 1;
/// Different batches made per fill; the rest repeats them.
const DISTINCT_BATCHES: usize = 8;

/// Runs the cluster until SIGINT or SIGTERM.
///
/// # Errors
/// A [`Failure`] when it cannot be filled, cannot listen, or cannot write the port file.
pub(crate) async fn run(args: SandboxArgs, output: &Output) -> Result<(), Failure> {
    let shutdown = signals::shutdown_token(output)?;
    let cluster = Cluster::new(ClusterConfig {
        cluster_id: args
            .cluster_id
            .unwrap_or_else(|| format!("sandbox-{:016x}", fastrand::u64(..))),
        brokers: args.brokers.into(),
        authorizer: !args.acls.is_empty(),
        // A bench measures the replicator, not this cluster's walk over records.
        validate_records: !args.discard,
        sasl: (!args.users.is_empty()).then(|| SaslUsers {
            mechanisms: ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"].map(str::to_owned).to_vec(),
            users: args.users.clone(),
        }),
        partition_bytes_max: args.discard.then_some(DISCARD_BYTES),
        ..ClusterConfig::default()
    });
    for fill in &args.fills {
        fill_topic(&cluster, fill)?;
    }
    for acl in args.acls {
        cluster.add_acl(acl);
    }
    for (operation, topic) in &args.denials {
        cluster.deny("*", *operation, Resource::Topic(topic.clone()));
    }
    let listening = cluster
        .listen()
        .await
        .map_err(|error| Failure::failed("cannot listen on a loopback port").because(&error))?;
    let bootstrap = listening.bootstrap();
    if let Some(address) = &args.advertise {
        listening.advertise(FIRST_BROKER, address.clone());
    }
    if let Some(broker) = args.kill {
        cluster.kill_broker(broker);
    }
    if let Some(path) = &args.port_file {
        write_whole(path, &bootstrap)?;
    }
    output.line(&bootstrap);
    shutdown.cancelled().await;
    listening.shutdown();
    Ok(())
}

/// Under another name first: whoever waits for the file never sees half of it.
fn write_whole(path: &Path, text: &str) -> Result<(), Failure> {
    let failed = |error: std::io::Error| {
        Failure::failed(format!("cannot write {}", path.display())).because(&error)
    };
    let part = path.with_extension("part");
    fs::write(&part, text).map_err(failed)?;
    fs::rename(&part, path).map_err(failed)
}

fn fill_topic(cluster: &Cluster, fill: &Fill) -> Result<(), Failure> {
    let failed = |error: &dyn std::error::Error| {
        Failure::failed(format!("--fill {}", fill.topic)).because(error)
    };
    cluster
        .create_topic(&fill.topic, usize::try_from(fill.partitions).unwrap_or(1), &[])
        .map_err(|error| failed(&error))?;
    let options = BatchOptions { compression: fill.codec, ..BatchOptions::default() };
    let given = match &fill.values {
        Some(path) => Some(lines(path).map_err(|error| failed(&error))?),
        None => None,
    };
    let batches = (0..DISTINCT_BATCHES)
        .map(|seed| match &given {
            Some(lines) => encode_batch(&options, &records_of(lines, fill.batch_bytes, seed)),
            None => encode_batch(&options, &records(fill.batch_bytes, seed)),
        })
        .collect::<Result<Vec<Bytes>, _>>()
        .map_err(|error| failed(&error))?;
    let batch_bytes = u64::try_from(fill.batch_bytes).unwrap_or(u64::MAX);
    let turns = (0..fill.partitions).cycle().zip(batches.iter().cycle());
    let count = usize::try_from(fill.bytes.div_ceil(batch_bytes)).unwrap_or(usize::MAX);
    for (partition, batch) in turns.take(count) {
        cluster
            .append_repeated(&fill.topic, partition, batch, 1)
            .map_err(|error| failed(&error))?;
    }
    Ok(())
}

/// Records of about `batch_bytes` together, half of them words and half of them random: neither too easy nor too hard to compress.
fn records(batch_bytes: usize, seed: usize) -> Vec<Record> {
    let mut random = fastrand::Rng::with_seed(u64::try_from(seed).unwrap_or(0));
    let timestamp = jiff::Timestamp::now().as_millisecond();
    let count = batch_bytes.div_ceil(RECORD_BYTES).max(1);
    let size = batch_bytes / count;
    let record = |index: usize| {
        let mut value = Vec::with_capacity(size);
        while value.len() < size {
            value.extend_from_slice(b"{\"order\":\"accepted\",\"customer\":\"");
            value.extend(
                (0..24).map(|_| random.alphanumeric()).map(|c| u8::try_from(c).unwrap_or(b'x')),
            );
            value.extend_from_slice(b"\"}");
        }
        value.truncate(size);
        let offset = i64::try_from(index).unwrap_or(i64::MAX);
        Record {
            offset,
            timestamp,
            key: None,
            value: Some(Bytes::from(value)),
            headers: Vec::new(),
        }
    };
    (0..count).map(record).collect()
}

/// The lines of a file; there is at least one, though it may be empty.
fn lines(path: &Path) -> std::io::Result<Vec<Bytes>> {
    let text = fs::read_to_string(path)?;
    let lines: Vec<Bytes> =
        text.lines().map(|line| Bytes::copy_from_slice(line.as_bytes())).collect();
    Ok(if lines.is_empty() { vec![Bytes::new()] } else { lines })
}

/// Records with these values, about `batch_bytes` together; each seed begins at another line.
fn records_of(lines: &[Bytes], batch_bytes: usize, seed: usize) -> Vec<Record> {
    let timestamp = jiff::Timestamp::now().as_millisecond();
    let first = seed * lines.len() / DISTINCT_BATCHES;
    let (mut records, mut size) = (Vec::new(), 0);
    for (offset, value) in (0..).zip(lines.iter().cycle().skip(first)) {
        // Some bytes for each record beside its value, or empty lines would go on for ever.
        size += value.len() + 10;
        if size > batch_bytes && offset > 0 {
            break;
        }
        let (value, headers) = (Some(value.clone()), Vec::new());
        records.push(Record { offset, timestamp, key: None, value, headers });
    }
    records
}
