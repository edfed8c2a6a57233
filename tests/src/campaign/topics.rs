//! What is written to the source while everything breaks.

/// One topic with its load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) topic: &'static str,
    pub(super) partitions: u32,
    /// As `CampaignLoad.java` and the judge know it: `now`, `old`, `txn`, `compact`.
    pub(super) kind: &'static str,
    pub(super) codec: &'static str,
    /// Records per second.
    pub(super) rate: u32,
}

const fn load(
    topic: &'static str,
    partitions: u32,
    kind: &'static str,
    codec: &'static str,
    rate: u32,
) -> Load {
    Load { topic, partitions, kind, codec, rate }
}

/// Records of now in each codec, records of 2001 (older than any broker remembers producers, P3), transactions of which 30 %
/// are aborted, and logs under the cleaner.
pub(super) const LOADS: [Load; 10] = [
    load("now-none", 3, "now", "none", 200),
    load("now-gzip", 2, "now", "gzip", 80),
    load("now-snappy", 2, "now", "snappy", 80),
    load("now-lz4", 2, "now", "lz4", 120),
    load("now-zstd", 2, "now", "zstd", 80),
    load("old-none", 3, "old", "none", 150),
    load("old-zstd", 2, "old", "zstd", 80),
    load("txn-none", 3, "txn", "none", 150),
    load("txn-lz4", 2, "txn", "lz4", 100),
    load("compacted", 3, "compact", "lz4", 200),
];

impl Load {
    pub(super) fn is_compacted(&self) -> bool {
        self.kind == "compact"
    }

    /// Settings on the source: a compacted log with a cleaner that never rests.
    pub(super) fn source_configs(&self) -> &'static [(&'static str, &'static str)] {
        if self.is_compacted() {
            &[
                ("cleanup.policy", "compact"),
                ("segment.ms", "2000"),
                ("min.cleanable.dirty.ratio", "0.01"),
                // Longer than kferry may stand still: a tombstone that it never saw would be a finding.
                ("delete.retention.ms", "180000"),
            ]
        } else {
            &[]
        }
    }
}
