//! Two clusters in this process, where a test can reach behind them.

use bytes::Bytes;
use kafka_sim::{Cluster, ClusterConfig, ListeningCluster};
use kafka_wire::record::{Batch, BatchOptions, Record, RecordLimits, encode_batch, split};

use super::support::{Ran, kferry};

/// Two clusters in this process, where a test can reach behind them, and a state.
pub(crate) struct Pair {
    pub(crate) runtime: tokio::runtime::Runtime,
    pub(crate) source: (Cluster, ListeningCluster),
    pub(crate) target: (Cluster, ListeningCluster),
    directory: tempfile::TempDir,
}

impl Pair {
    pub(crate) fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let cluster = |id: &str| {
            let config = ClusterConfig { cluster_id: id.into(), ..ClusterConfig::default() };
            let cluster = Cluster::new(config);
            let listening = runtime.block_on(cluster.listen()).unwrap();
            (cluster, listening)
        };
        let (source, target) = (cluster("one"), cluster("two"));
        source.0.create_topic("orders", 2, &[]).unwrap();
        let pair = Self { source, target, directory: tempfile::tempdir().unwrap(), runtime };
        pair.fill(100);
        pair
    }

    pub(crate) fn fill(&self, count: i64) {
        for partition in [0, 1] {
            let record = |offset: i64| Record {
                offset,
                timestamp: 1_750_000_000_000 + offset,
                key: Some(Bytes::from(format!("secret-key-{offset}"))),
                value: Some(Bytes::from(format!("secret-value-{offset}"))),
                headers: Vec::new(),
            };
            let records: Vec<_> = (0..count).map(record).collect();
            self.source
                .0
                .append_records("orders", partition, &BatchOptions::default(), &records)
                .unwrap();
        }
    }

    pub(crate) fn state(&self) -> String {
        self.directory.path().join("state").display().to_string()
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    pub(crate) fn args<'a>(&'a self, command: &'a str, ends: &'a [String; 3]) -> Vec<&'a str> {
        let [source, target, state] = ends;
        vec![command, "--source", source, "--target", target, "--state", state]
    }

    pub(crate) fn ends(&self) -> [String; 3] {
        [self.source.1.bootstrap(), self.target.1.bootstrap(), self.state()]
    }

    pub(crate) fn run(&self, command: &str, more: &[&str]) -> Ran {
        let ends = self.ends();
        kferry(&[self.args(command, &ends), more.to_vec()].concat())
    }

    pub(crate) fn copy(&self) {
        self.run("sync", &["--once", "--sync", "metadata_data_offsets"]).expect(0, &["orders"]);
    }

    /// Changes a record of the target.
    pub(crate) fn alter(&self, partition: i32, offset: i64, change: impl Fn(&mut Record)) {
        let entries = self.target.0.log("orders", partition).unwrap();
        self.target.0.start_log_at("orders", partition, 0).unwrap();
        for bytes in entries {
            let Some(Ok(Batch::V2(batch))) = split(bytes.clone()).next() else { panic!() };
            let header = &batch.header;
            let bytes = if header.attributes.is_control() {
                bytes
            } else {
                let mut records = batch.records(&RecordLimits::default()).unwrap();
                records.iter_mut().filter(|record| record.offset == offset).for_each(&change);
                let options = BatchOptions {
                    base_offset: header.base_offset,
                    producer_id: header.producer_id,
                    producer_epoch: header.producer_epoch,
                    base_sequence: header.base_sequence,
                    ..BatchOptions::default()
                };
                encode_batch(&options, &records).unwrap()
            };
            self.target.0.append_raw("orders", partition, bytes).unwrap();
        }
    }
}
