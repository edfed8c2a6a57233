//! Two real brokers, and topics filled by Kafka's own producer.

use super::wire::Wire;
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use xtask::kafka::{KafkaCluster, Options, Release};

pub(super) const RELEASE: Release = Release::V4_2_0;
const DELETED_WITHIN: Duration = Duration::from_secs(60);
/// Different records; each is written many times, in random order.
const DISTINCT_RECORDS: usize = 5000;

/// What a topic holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dataset {
    pub(super) partitions: u32,
    /// The producer's `batch.size`; 0 makes every record a batch of its own.
    pub(super) batch_bytes: u32,
    pub(super) record_bytes: u32,
    pub(super) codec: &'static str,
    /// Plain bytes of all values.
    pub(super) bytes: u64,
}

/// A source and a target, one broker each.
#[derive(Debug)]
pub(super) struct RealClusters {
    pub(super) source: KafkaCluster,
    pub(super) target: KafkaCluster,
    files: TempDir,
}

impl RealClusters {
    pub(super) fn start(options: &Options) -> Result<Self> {
        // Copies are deleted after each measurement; their files need not wait the usual minute.
        let options = options.clone().property("log.segment.delete.delay.ms", "1000");
        Ok(Self {
            source: KafkaCluster::start(RELEASE, options.clone())?,
            target: KafkaCluster::start(RELEASE, options)?,
            files: TempDir::new()?,
        })
    }

    /// Creates and fills a topic on the source. Gives the bytes of its log files: what goes over the wire.
    pub(super) fn fill(&self, topic: &str, data: Dataset) -> Result<u64> {
        let bootstrap = self.source.internal_bootstrap();
        let (partitions, records) = (data.partitions.to_string(), data.records().to_string());
        self.source.tool(
            "org.apache.kafka.tools.TopicCommand",
            &[
                "--bootstrap-server",
                &bootstrap,
                "--create",
                "--topic",
                topic,
                "--partitions",
                &partitions,
            ],
        )?;
        let payload = self.payload(data.record_bytes)?;
        let output = self.source.tool(
            "org.apache.kafka.tools.ProducerPerformance",
            &[
                "--topic",
                topic,
                "--num-records",
                &records,
                "--payload-file",
                &payload.display().to_string(),
                "--throughput",
                "-1",
                "--producer-props",
                &format!("bootstrap.servers={bootstrap}"),
                &format!("batch.size={}", data.batch_bytes),
                "linger.ms=100",
                &format!("compression.type={}", data.codec),
            ],
        )?;
        let ends = Wire::connect(&bootstrap)?.end_offsets(topic, data.partitions)?;
        let written: i64 = ends.into_iter().flatten().sum();
        if u64::try_from(written)? != data.records() {
            bail!("{written} of {records} records were written:\n{output}");
        }
        self.stored_bytes(topic, data.partitions)
    }

    /// Removes a copy, so that the next tool makes its own.
    pub(super) fn forget(&self, topic: &str, partitions: u32) -> Result<()> {
        let mut wire = Wire::connect(&self.target.internal_bootstrap())?;
        wire.delete_topic(topic)?;
        let begin = Instant::now();
        while wire.end_offsets(topic, partitions)?.iter().any(Option::is_some) {
            if begin.elapsed() > DELETED_WITHIN {
                bail!("{topic} is still there {DELETED_WITHIN:?} after its deletion");
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    fn stored_bytes(&self, topic: &str, partitions: u32) -> Result<u64> {
        let mut total = 0;
        for partition in 0..partitions {
            let directory =
                self.source.broker(0).data_directory().join(format!("{topic}-{partition}"));
            for entry in fs::read_dir(&directory)
                .with_context(|| format!("reading {}", directory.display()))?
            {
                let entry = entry?;
                if entry.path().extension().is_some_and(|extension| extension == "log") {
                    total += entry.metadata()?.len();
                }
            }
        }
        Ok(total)
    }

    fn payload(&self, record_bytes: u32) -> Result<PathBuf> {
        let path = self.files.path().join(format!("payload-{record_bytes}"));
        if !path.exists() {
            fs::write(&path, payload(usize::try_from(record_bytes)?))?;
        }
        Ok(path)
    }
}

impl Dataset {
    pub(super) fn records(&self) -> u64 {
        self.bytes / u64::from(self.record_bytes)
    }

    /// How tables call it.
    pub(super) fn name(&self) -> String {
        let size = match self.batch_bytes {
            0 => "single records".to_owned(),
            bytes => format!("{} KiB", bytes / 1024),
        };
        format!("{size}, {}", self.codec)
    }
}

/// Lines of JSON of one length, about a third of it random: orders as a shop would write them.
fn payload(bytes: usize) -> String {
    const STATES: [&str; 4] = ["accepted", "paid", "shipped", "returned"];
    let mut random = fastrand::Rng::with_seed(1);
    let mut text = String::with_capacity((bytes + 1) * DISTINCT_RECORDS);
    for order in 0..DISTINCT_RECORDS {
        let mut line = format!("{{\"order\":{order},\"items\":[");
        while line.len() < bytes {
            let state = random.choice(STATES).unwrap_or("");
            let (article, count) = (random.u64(..), random.u8(1..10));
            let _ = write!(
                line,
                "{{\"article\":\"{article:016x}\",\"count\":{count},\"state\":\"{state}\"}},"
            );
        }
        line.truncate(bytes);
        text.push_str(&line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::payload;

    #[test]
    fn payload_lines_have_one_length() {
        let text = payload(100);
        assert!(text.lines().all(|line| line.len() == 100));
        assert_eq!(text.lines().count(), super::DISTINCT_RECORDS);
    }
}
