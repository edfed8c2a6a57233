//! Kafka's own Java client as the judge: it writes the sources, reads both ends, and knows nothing of our code.
//!
//! `tests/java/Oracle.java` runs in one JVM per cluster and takes commands by lines. It is compiled on first use against the jars of
//! the release whose client shall serve (normally the cluster's own).
//!
//! ```no_run
//! use tests::java::{Dataset, Oracle};
//! use xtask::kafka::{KafkaCluster, Options, Release};
//!
//! # fn main() -> anyhow::Result<()> {
//! let cluster = KafkaCluster::start(Release::V4_2_0, Options::default())?;
//! let oracle = Oracle::for_cluster(&cluster)?;
//! oracle.create_topic("orders", 3, &[("cleanup.policy", "delete")])?;
//! oracle.produce("orders", &Dataset::mixed(1000).with("codec", "lz4"))?;
//! tests::java::compare(&oracle, "orders", &oracle, "orders")?;
//! # Ok(())
//! # }
//! ```

use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use xtask::kafka::{KafkaCluster, Release, class_path, compile};
use xtask::workspace;

/// Longer than any deadline inside the oracle.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);

/// A running JVM with Kafka's Java client for one cluster; ends when dropped, or when this process ends.
#[derive(Debug)]
pub struct Oracle {
    conversation: Mutex<Conversation>,
    process: Mutex<Child>,
    errors: File,
}

#[derive(Debug)]
struct Conversation {
    input: ChildStdin,
    lines: Receiver<String>,
}

/// What a reader may see of transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isolation {
    /// Only records of ended, committed transactions, and those outside of transactions.
    ReadCommitted,
    /// Everything.
    ReadUncommitted,
}

/// Records to produce, a function of these settings only. Names understood by [`Dataset::with`]: `kind` (`mixed`, `keyed`,
/// `plain`), `first`, `count`, `partition` (otherwise in turn), `codec`, `batch` (bytes), `linger` (ms), `flush_every`,
/// `value_bytes`, `keys`, `headers` (`no`), `timestamp` (-1: now), `seed`, `content` (`words`, `random`), `txn` (a transactional id),
/// `end` (`commit`, `abort`, `open`), `client.NAME` (any producer setting).
#[derive(Clone, Debug)]
pub struct Dataset(BTreeMap<String, String>);

/// One record as the Java consumer saw it. Bytes are `-` for null, else `=` and hex digits, long ones cut and closed by length
/// and SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its offset.
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// `CreateTime` or `LogAppendTime`.
    pub timestamp_type: String,
    /// Key bytes.
    pub key: String,
    /// Value bytes.
    pub value: String,
    /// `key:value,key:value` in order.
    pub headers: String,
}

/// One partition as the Java consumer saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    /// Its number.
    pub partition: i32,
    /// How many records it showed.
    pub count: u64,
    /// The end offset (last stable offset under [`Isolation::ReadCommitted`]).
    pub end: i64,
    /// SHA-256 over timestamp, key, value and headers of all records in order; offsets and timestamp types left out.
    pub digest: String,
    /// The records, where asked for.
    pub records: Vec<Record>,
}

/// One topic setting as DescribeConfigs tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// The value; none when the broker hides it.
    pub value: Option<String>,
    /// Kafka's name of the source, such as `DYNAMIC_TOPIC_CONFIG`.
    pub source: String,
}

impl Oracle {
    /// An oracle for the cluster's internal listener with the client of the cluster's release.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn for_cluster(cluster: &KafkaCluster) -> Result<Self> {
        Self::start(cluster.release(), &cluster.internal_bootstrap(), &[])
    }

    /// An oracle with the client of `release` and further client properties.
    ///
    /// # Errors
    /// When a JDK or the jars are missing, or the source does not compile.
    pub fn start(release: Release, bootstrap: &str, properties: &[(&str, &str)]) -> Result<Self> {
        let bootstrap = format!("bootstrap.servers={bootstrap}");
        let properties = properties.iter().map(|(name, value)| format!("{name}={value}"));
        Self::program(
            release,
            "Oracle",
            &[bootstrap].into_iter().chain(properties).collect::<Vec<_>>(),
        )
    }

    /// Another program of `tests/java` that talks as the oracle does: commands by lines, [`Self::call`].
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn program(release: Release, class: &str, arguments: &[String]) -> Result<Self> {
        let source = workspace::root().join("tests").join("java").join(format!("{class}.java"));
        let classes = compile(release, &source)?;
        let errors = tempfile::tempfile()?;
        let mut process = Command::new(workspace::jdk_tool("java"))
            .args([
                "-XX:+UseSerialGC",
                "-XX:TieredStopAtLevel=4",
                "-Xmx768m",
                "-XX:-UsePerfData",
                "-cp",
            ])
            .arg(format!("{}:{}", classes.display(), class_path(release)?))
            .arg(class)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors.try_clone()?)
            .spawn()
            .context("starting java (a JDK is needed)")?;
        let input = process.stdin.take().context("no stdin")?;
        let output = process.stdout.take().context("no stdout")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let conversation = Mutex::new(Conversation { input, lines });
        Ok(Self { conversation, process: Mutex::new(process), errors })
    }

    /// One command with its arguments; returns the answer's lines, split at tabs.
    ///
    /// # Errors
    /// What the Java client threw, or the loss of the JVM.
    pub fn call(&self, verb: &str, arguments: &[(&str, &str)]) -> Result<Vec<Vec<String>>> {
        let mut line = verb.to_owned();
        for (name, value) in arguments {
            line.push(' ');
            line.push_str(name);
            line.push('=');
            line.push_str(&encode(value));
        }
        self.exchange(&line).with_context(|| format!("oracle: {line}"))
    }

    fn exchange(&self, line: &str) -> Result<Vec<Vec<String>>> {
        let mut conversation = self.conversation.lock().unwrap_or_else(PoisonError::into_inner);
        let conversation = &mut *conversation;
        writeln!(conversation.input, "{line}")
            .and_then(|()| conversation.input.flush())
            .with_context(|| self.tail())?;
        let mut answer = Vec::new();
        loop {
            match conversation.lines.recv_timeout(ANSWER_TIMEOUT) {
                Ok(line) if line == "ok" => return Ok(answer),
                Ok(line) => match line.strip_prefix("error ") {
                    Some(message) => bail!("{message}"),
                    None => answer.push(line.split('\t').map(str::to_owned).collect()),
                },
                Err(RecvTimeoutError::Timeout) => bail!("no answer within {ANSWER_TIMEOUT:?}"),
                Err(RecvTimeoutError::Disconnected) => bail!("the JVM ended: {}", self.tail()),
            }
        }
    }

    /// The end of what the JVM wrote to standard error.
    fn tail(&self) -> String {
        let mut text = Vec::new();
        let mut file = &self.errors;
        if file.seek(SeekFrom::Start(0)).is_ok() {
            let _ = file.read_to_end(&mut text);
        }
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Creates a topic with one replica and waits until its partitions have leaders.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn create_topic(
        &self,
        topic: &str,
        partitions: u32,
        configs: &[(&str, &str)],
    ) -> Result<()> {
        self.create_replicated_topic(topic, partitions, 1, configs)
    }

    /// Creates a topic and waits until its partitions have leaders.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn create_replicated_topic(
        &self,
        topic: &str,
        partitions: u32,
        replicas: u32,
        configs: &[(&str, &str)],
    ) -> Result<()> {
        let (partitions, replicas) = (partitions.to_string(), replicas.to_string());
        let names: Vec<String> = configs.iter().map(|(name, _)| format!("config.{name}")).collect();
        let mut arguments = vec![
            ("topic", topic),
            ("partitions", partitions.as_str()),
            ("replicas", replicas.as_str()),
        ];
        arguments
            .extend(names.iter().zip(configs).map(|(name, (_, value))| (name.as_str(), *value)));
        self.call("create", &arguments)?;
        // Metadata names leaders that do not know of it yet: a producer that comes too early may wait for minutes.
        self.offsets(topic).map(drop)
    }

    /// Creates a topic of one partition on these brokers, the first of them its preferred leader.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn create_topic_on(
        &self,
        topic: &str,
        brokers: &[i32],
        configs: &[(&str, &str)],
    ) -> Result<()> {
        let brokers: Vec<String> = brokers.iter().map(ToString::to_string).collect();
        let brokers = brokers.join(",");
        let names: Vec<String> = configs.iter().map(|(name, _)| format!("config.{name}")).collect();
        let mut arguments = vec![("topic", topic), ("brokers", brokers.as_str())];
        arguments
            .extend(names.iter().zip(configs).map(|(name, (_, value))| (name.as_str(), *value)));
        self.call("create", &arguments)?;
        self.offsets(topic).map(drop)
    }

    /// Deletes a topic.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn delete_topic(&self, topic: &str) -> Result<()> {
        self.call("delete", &[("topic", topic)]).map(drop)
    }

    /// Names of all topics but internal ones.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn topics(&self) -> Result<Vec<String>> {
        let lines = self.call("topics", &[])?;
        let names = lines.into_iter().flatten().map(|name| decode(&name));
        Ok(names.filter(|name| !name.starts_with("__")).collect())
    }

    /// Raises the partition count (clients from 1.0).
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn grow_topic(&self, topic: &str, partitions: u32) -> Result<()> {
        self.call("grow", &[("topic", topic), ("partitions", &partitions.to_string())]).map(drop)
    }

    /// All settings of a topic.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn topic_configs(&self, topic: &str) -> Result<BTreeMap<String, TopicConfig>> {
        let lines = self.call("configs", &[("topic", topic)])?;
        let config = |line: Vec<String>| -> Result<(String, TopicConfig)> {
            let [name, value, source] = line.as_slice() else { bail!("malformed line {line:?}") };
            let value = value.strip_prefix('=').map(decode);
            Ok((decode(name), TopicConfig { value, source: source.clone() }))
        };
        lines.into_iter().map(config).collect()
    }

    /// Sets one topic setting.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn set_topic_config(&self, topic: &str, name: &str, value: &str) -> Result<()> {
        self.call("alter", &[("topic", topic), (&format!("config.{name}"), value)]).map(drop)
    }

    /// Produces the records of a dataset and returns their number.
    ///
    /// # Errors
    /// As [`Self::call`]; also when any record is refused.
    pub fn produce(&self, topic: &str, dataset: &Dataset) -> Result<u64> {
        let mut arguments = vec![("topic", topic)];
        arguments.extend(dataset.0.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let answer = self.call("produce", &arguments)?;
        answer
            .first()
            .and_then(|line| line.first())
            .context("no count")?
            .parse()
            .context("malformed count")
    }

    /// Ends a transaction left open by `txn` and `end=open`: `commit` or `abort`.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn end_transaction(&self, transactional_id: &str, how: &str) -> Result<()> {
        self.call("end", &[("txn", transactional_id), ("how", how)]).map(drop)
    }

    /// Writes one batch of `count` records whose header keys are not UTF-8 (the Java producer cannot).
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn produce_raw_headers(&self, topic: &str, partition: i32, count: u32) -> Result<()> {
        let (partition, count) = (partition.to_string(), count.to_string());
        self.call("raw", &[("topic", topic), ("partition", &partition), ("count", &count)])
            .map(drop)
    }

    /// Has the log cleaner compact everything written so far (appends a few records of its own, keys `roll-…`).
    ///
    /// # Errors
    /// As [`Self::call`]; also when the cleaner does not get there.
    pub fn compact(&self, topic: &str) -> Result<()> {
        self.call("compact", &[("topic", topic)]).map(drop)
    }

    /// Deletes the records of one partition before `offset` (clients from 1.1).
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn delete_records(&self, topic: &str, partition: i32, offset: i64) -> Result<()> {
        let (partition, offset) = (partition.to_string(), offset.to_string());
        self.call(
            "delete-records",
            &[("topic", topic), ("partition", &partition), ("offset", &offset)],
        )
        .map(drop)
    }

    /// Reads a topic partition by partition, in order: counts and digests.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn digest(&self, topic: &str, isolation: Isolation) -> Result<Vec<Partition>> {
        self.read(&[("topic", topic), ("isolation", isolation.name())])
    }

    /// Reads a topic with every record.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn dump(&self, topic: &str, isolation: Isolation) -> Result<Vec<Partition>> {
        self.read(&[("topic", topic), ("isolation", isolation.name()), ("lines", "yes")])
    }

    fn read(&self, arguments: &[(&str, &str)]) -> Result<Vec<Partition>> {
        let mut partitions = Vec::new();
        let mut records = Vec::new();
        for line in self.call("dump", arguments)? {
            match line.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
                ["r", _, offset, timestamp, timestamp_type, key, value, headers] => {
                    records.push(Record {
                        offset: offset.parse()?,
                        timestamp: timestamp.parse()?,
                        timestamp_type: (*timestamp_type).to_owned(),
                        key: (*key).to_owned(),
                        value: (*value).to_owned(),
                        headers: (*headers).to_owned(),
                    })
                }
                ["p", partition, count, end, digest] => partitions.push(Partition {
                    partition: partition.parse()?,
                    count: count.parse()?,
                    end: end.parse()?,
                    digest: (*digest).to_owned(),
                    records: std::mem::take(&mut records),
                }),
                other => bail!("malformed line {other:?}"),
            }
        }
        Ok(partitions)
    }

    /// Earliest and latest offset of each partition.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn offsets(&self, topic: &str) -> Result<Vec<(i64, i64)>> {
        let lines = self.call("offsets", &[("topic", topic)])?;
        let pair = |line: Vec<String>| -> Result<(i64, i64)> {
            let [_, first, last] = line.as_slice() else { bail!("malformed line {line:?}") };
            Ok((first.parse()?, last.parse()?))
        };
        lines.into_iter().map(pair).collect()
    }

    /// Commits offsets of a group without members.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn commit(&self, group: &str, topic: &str, offsets: &[(i32, i64)]) -> Result<()> {
        let pairs: Vec<String> =
            offsets.iter().map(|(partition, offset)| format!("{partition}:{offset}")).collect();
        self.call("commit", &[("group", group), ("topic", topic), ("offsets", &pairs.join(","))])
            .map(drop)
    }

    /// The committed offsets of a group by partition.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn committed(&self, group: &str, topic: &str) -> Result<BTreeMap<i32, i64>> {
        let lines = self.call("committed", &[("group", group), ("topic", topic)])?;
        let pair = |line: Vec<String>| -> Result<(i32, i64)> {
            ensure!(line.len() >= 2, "malformed line {line:?}");
            Ok((line[0].parse()?, line[1].parse()?))
        };
        lines.into_iter().map(pair).collect()
    }

    /// Adds an ACL: principal (`User:kferry`), operation (`READ`), resource type (`TOPIC`), name, pattern (`LITERAL`, `PREFIXED`).
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn allow(
        &self,
        principal: &str,
        operation: &str,
        resource: &str,
        name: &str,
        pattern: &str,
    ) -> Result<()> {
        self.call(
            "acl",
            &[
                ("principal", principal),
                ("operation", operation),
                ("resource", resource),
                ("name", name),
                ("pattern", pattern),
            ],
        )
        .map(drop)
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let process = self.process.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = process.kill();
        let _ = process.wait();
    }
}

impl Isolation {
    const fn name(self) -> &'static str {
        match self {
            Self::ReadCommitted => "read_committed",
            Self::ReadUncommitted => "read_uncommitted",
        }
    }
}

impl Dataset {
    fn new(kind: &str, count: u64) -> Self {
        Self(BTreeMap::new()).with("kind", kind).with("count", count)
    }

    /// Everything a record may have: null and empty keys and values, headers twice, null, empty and not ASCII, times that jump.
    pub fn mixed(count: u64) -> Self {
        Self::new("mixed", count)
    }

    /// Few keys, often written, every eleventh value null: for compaction.
    pub fn keyed(count: u64, keys: u64) -> Self {
        Self::new("keyed", count).with("keys", keys)
    }

    /// A key, a value of `value_bytes`, no headers.
    pub fn plain(count: u64, value_bytes: u64) -> Self {
        Self::new("plain", count).with("value_bytes", value_bytes)
    }

    /// Changes one setting.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.0.insert(name.to_owned(), value.to_string());
        self
    }
}

/// Demands that two topics, read `read_committed`, have equal records, partition by partition, in order; offsets and timestamp types
/// may differ. Returns what the source has.
///
/// # Errors
/// Names the first difference with its partition and position.
pub fn compare(
    source: &Oracle,
    source_topic: &str,
    target: &Oracle,
    target_topic: &str,
) -> Result<Vec<Partition>> {
    let isolation = Isolation::ReadCommitted;
    let expected = source.digest(source_topic, isolation)?;
    let found = target.digest(target_topic, isolation)?;
    ensure!(
        expected.len() == found.len(),
        "{source_topic} has {} partitions, {target_topic} has {}",
        expected.len(),
        found.len()
    );
    let mut pairs = expected.iter().zip(&found);
    if let Some((expected, found)) = pairs.find(|(a, b)| a.digest != b.digest || a.count != b.count)
    {
        let partition = expected.partition.to_string();
        let records = |oracle: &Oracle, topic: &str| -> Result<Vec<Record>> {
            let arguments = [
                ("topic", topic),
                ("isolation", isolation.name()),
                ("lines", "yes"),
                ("partition", partition.as_str()),
            ];
            Ok(oracle
                .read(&arguments)?
                .pop()
                .map(|partition| partition.records)
                .unwrap_or_default())
        };
        let difference =
            first_difference(&records(source, source_topic)?, &records(target, target_topic)?);
        bail!(
            "{source_topic}-{partition}: {} records against {}: {difference}",
            expected.count,
            found.count
        );
    }
    Ok(expected)
}

/// Where two partitions differ first, in words.
pub fn first_difference(expected: &[Record], found: &[Record]) -> String {
    let same = |a: &Record, b: &Record| {
        a.timestamp == b.timestamp && a.key == b.key && a.value == b.value && a.headers == b.headers
    };
    let length = expected.len().max(found.len());
    for position in 0..length {
        match (expected.get(position), found.get(position)) {
            (Some(a), Some(b)) if same(a, b) => {}
            (Some(a), Some(b)) => {
                return format!("record {position} differs: expected {a:?}, found {b:?}");
            }
            (Some(a), None) => return format!("record {position} is missing: {a:?}"),
            (None, Some(b)) => return format!("record {position} is too many: {b:?}"),
            (None, None) => break,
        }
    }
    "no difference among these records".to_owned()
}

/// Percent-encoding as `java.net.URLDecoder` reads it.
fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.:,/;".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn decode(text: impl AsRef<str>) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_ref().bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Record, decode, encode, first_difference};

    fn record(timestamp: i64, value: &str) -> Record {
        Record {
            offset: 0,
            timestamp,
            timestamp_type: "CreateTime".into(),
            key: "-".into(),
            value: value.into(),
            headers: String::new(),
        }
    }

    #[test]
    fn first_difference_names_the_position() {
        let check = |expected: &[Record], found: &[Record], part: &str| {
            let text = first_difference(expected, found);
            assert!(text.contains(part), "{text} does not say {part}");
        };
        let (a, b) = (record(1, "=61"), record(2, "=62"));
        check(std::slice::from_ref(&a), std::slice::from_ref(&a), "no difference");
        check(&[Record { offset: 9, ..a.clone() }], std::slice::from_ref(&a), "no difference");
        check(&[a.clone(), b.clone()], std::slice::from_ref(&a), "record 1 is missing");
        check(std::slice::from_ref(&a), &[a.clone(), b.clone()], "record 1 is too many");
        check(&[a.clone(), b.clone()], &[b, a], "record 0 differs");
    }

    #[test]
    fn percent_encoding_round_trip() {
        for text in ["", "a b", "100%", "schlüssel=\n\t+"] {
            assert_eq!(decode(encode(text)), text);
            assert!(!encode(text).contains([' ', '\n', '=']));
        }
    }
}
