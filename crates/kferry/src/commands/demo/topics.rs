//! What the demo copies: one topic for each thing that a replicator must not get wrong.

use kafka_sim::Cluster;
use kafka_wire::compression::Compression;

use crate::failure::Failure;

/// What is special about a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Nothing.
    Plain,
    /// Compacted: its batches have gaps and are rebuilt.
    Compacted,
    /// Written in transactions, every few of them aborted.
    Transactional,
}

/// One topic of the demo.
#[derive(Debug, Clone, Copy)]
pub(super) struct DemoTopic {
    pub(super) name: &'static str,
    pub(super) partitions: i32,
    pub(super) codec: Compression,
    pub(super) kind: Kind,
}

const fn topic(name: &'static str, partitions: i32, codec: Compression, kind: Kind) -> DemoTopic {
    DemoTopic { name, partitions, codec, kind }
}

/// The topics of the demo.
pub(super) const TOPICS: [DemoTopic; 7] = [
    topic("orders", 4, Compression::None, Kind::Plain),
    topic("clicks", 6, Compression::Lz4, Kind::Plain),
    topic("payments", 3, Compression::Zstd, Kind::Plain),
    topic("audit-log", 2, Compression::Gzip, Kind::Plain),
    topic("metrics", 3, Compression::Snappy, Kind::Plain),
    topic("customers", 2, Compression::None, Kind::Compacted),
    topic("ledger", 2, Compression::Lz4, Kind::Transactional),
];

/// Creates them.
///
/// # Errors
/// A [`Failure`] when the cluster refuses one.
pub(super) fn create(cluster: &Cluster) -> Result<(), Failure> {
    for topic in TOPICS {
        let configs: &[(&str, &str)] =
            if topic.kind == Kind::Compacted { &[("cleanup.policy", "compact")] } else { &[] };
        let partitions = usize::try_from(topic.partitions).unwrap_or(1);
        cluster
            .create_topic(topic.name, partitions, configs)
            .map_err(|error| Failure::failed("demo").because(&error))?;
    }
    Ok(())
}
