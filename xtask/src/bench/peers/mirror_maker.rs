//! `MirrorMaker` 2 as its distribution runs it: one dedicated process with a properties file.
//!
//! It never ends by itself. Its cost counts from its first record on the target to the last, so that neither its start nor
//! the wait for its first assignment is held against it.

use super::Job;
use crate::bench::process::{Cost, Running};
use crate::bench::real::RELEASE;
use crate::bench::samples::Sample;
use crate::bench::wire::Wire;
use anyhow::{Result, bail};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use xtask::kafka::fetch_mirror_maker;
use xtask::workspace::jdk_tool;

const COPY_WITHIN: Duration = Duration::from_secs(900);
const LOOK: Duration = Duration::from_millis(50);

/// Large fetches and batches, one task for each partition of the data sets, no work beside the copy: as fast and as
/// cheap as its settings make it. `docs/performance.md` shows it too.
const CONFIGURATION: &str = "\
tasks.max=4
replication.policy.class=org.apache.kafka.connect.mirror.IdentityReplicationPolicy
emit.heartbeats.enabled=false
groups=none
sync.topic.acls.enabled=false
sync.topic.configs.enabled=false
sync.group.offsets.enabled=false
refresh.topics.interval.seconds=5
refresh.groups.enabled=false
replication.factor=1
offset-syncs.topic.replication.factor=1
checkpoints.topic.replication.factor=1
heartbeats.topic.replication.factor=1
config.storage.replication.factor=1
offset.storage.replication.factor=1
status.storage.replication.factor=1
offset.storage.partitions=1
status.storage.partitions=1
dedicated.mode.enable.internal.rest=false
";

/// The jars, and a number for each run.
#[derive(Debug)]
pub(crate) struct MirrorMaker {
    jars: PathBuf,
    runs: AtomicU32,
}

impl MirrorMaker {
    /// # Errors
    /// When a JDK or Maven are missing.
    pub(crate) fn fetch() -> Result<Self> {
        Ok(Self { jars: fetch_mirror_maker(RELEASE)?, runs: AtomicU32::new(0) })
    }

    pub(super) fn copy(&self, job: &Job<'_>) -> Result<Sample> {
        let directory = TempDir::new()?;
        let (properties, logging, output) = (
            directory.path().join("mirror.properties"),
            directory.path().join("log4j2.properties"),
            directory.path().join("output"),
        );
        fs::write(&properties, self.configuration(job))?;
        fs::write(
            &logging,
            "rootLogger.level=WARN\nrootLogger.appenderRef.stdout.ref=stdout\nappender.stdout.name=stdout\nappender.stdout.type=Console\n",
        )?;
        let mut command = Command::new(jdk_tool("java"));
        command
            .args(["-Xms512m", "-Xmx2g", "-Djava.net.preferIPv4Stack=true"])
            .arg(format!("-Dlog4j2.configurationFile={}", logging.display()))
            .arg("-cp")
            .arg(self.jars.join("*"))
            .arg("org.apache.kafka.connect.mirror.MirrorMaker")
            .arg(&properties)
            .stdin(Stdio::null())
            .stdout(File::create(&output)?)
            .stderr(File::options().append(true).open(&output)?);
        let mut process = Running::spawn(&mut command)?;
        let cost = follow(&mut process, job);
        if cost.is_err() {
            let text = fs::read_to_string(&output).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            eprintln!("{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
        Ok(Sample { cost: cost?, bytes: job.data.bytes })
    }

    /// Each run has a source of its own name: its stored positions, kept under that name, are never met again.
    fn configuration(&self, job: &Job<'_>) -> String {
        let source = format!("source{}", self.runs.fetch_add(1, Ordering::Relaxed));
        let (from, to) = (job.clusters.source.bootstrap(), job.clusters.target.bootstrap());
        let (topic, codec) = (job.topic, job.data.codec);
        format!(
            "clusters={source},target\n\
             {source}.bootstrap.servers={from}\n\
             target.bootstrap.servers={to}\n\
             {source}->target.enabled=true\n\
             target->{source}.enabled=false\n\
             {source}->target.topics={topic}\n\
             {source}.consumer.fetch.max.bytes=52428800\n\
             {source}.consumer.max.partition.fetch.bytes=10485760\n\
             {source}.consumer.max.poll.records=5000\n\
             target.producer.batch.size=524288\n\
             target.producer.linger.ms=20\n\
             target.producer.buffer.memory=134217728\n\
             target.producer.compression.type={codec}\n\
             {CONFIGURATION}"
        )
    }
}

/// The cost from the first record on the target to the last.
fn follow(process: &mut Running, job: &Job<'_>) -> Result<Cost> {
    let mut wire = Wire::connect(&job.clusters.target.bootstrap())?;
    let wanted = i64::try_from(job.data.records())?;
    let mut first = None;
    loop {
        let ends = wire.end_offsets(job.topic, job.data.partitions)?;
        let there: i64 = ends.into_iter().flatten().sum();
        let cost = process.cost()?;
        match first {
            None if there > 0 => first = Some(cost),
            Some(first) if there >= wanted => return Ok(cost.since(&first)),
            _ => {}
        }
        if process.has_ended()? || cost.elapsed > COPY_WITHIN.as_secs_f64() {
            bail!("{there} of {wanted} records copied after {:.0} s", cost.elapsed);
        }
        thread::sleep(LOOK);
    }
}
