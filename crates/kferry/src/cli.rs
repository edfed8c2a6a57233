//! The command line: what can be asked, with help written from the user's side.
//!
//! Only parsing lives here, and everything that can be judged from the arguments alone; a wrong command line ends with
//! exit code 2.

use std::num::{NonZeroU64, NonZeroUsize};
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use jiff::Timestamp;
use kafka_client::BrokerAddress;
use kafka_sim::Operation;
use replicate::spec::{LossPolicy, RefusedRecordPolicy, TaskName, TopicPattern};

const TOP_EXAMPLES: &str = "\
Examples:
  kferry demo                                            see it work; needs nothing installed
  kferry check broker1:9092                              can we use this cluster, and if not, why not
  kferry sync --source old:9092 --target new:9092        copy everything and keep copying
  kferry sync --source a.yaml --target b.yaml --once     copy up to the present end, then stop

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.";

const SYNC_EXAMPLES: &str = "\
Examples:
  Copy all topics with their history, and go on until Ctrl-C:
    kferry sync --source old:9092 --target new:9092

  Copy the topics whose whole name matches, once, and stop at the end offsets seen at the start:
    kferry sync --source old:9092 --target new:9092 --topics 'orders\\..*' --once

  From a moment on, with TLS and SASL described in files:
    kferry sync --source source.yaml --target target.yaml --start 2025-01-31T00:00:00Z

  As line-delimited JSON for another program:
    kferry sync --source old:9092 --target new:9092 --output json

A connection file:
    name: orders-eu
    kind: direct                    # or cross_network
    bootstrap: [broker1:9093, broker2:9093]
    tls: {ca: ca.pem}               # also cert, key, server_name, verify; paths are relative to this file
    sasl:
      mechanism: SCRAM-SHA-512      # PLAIN, SCRAM-SHA-256, SCRAM-SHA-512
      username: kferry
      password: {env: KAFKA_PASSWORD}   # or {file: PATH}; never the password itself

Stop with Ctrl-C: what is under way is settled and the position is stored. The same command continues from there.
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.";

const CHECK_EXAMPLES: &str = "\
Examples:
  kferry check broker1:9092
  kferry check target.yaml --as target
  kferry check source.yaml --as source --output json

Each step prints its result: resolve, reach, tls, sasl, api versions, metadata, every broker, every permission.
The first failure names the step, the broker, the cause and the cure. Nothing is changed on the cluster: permissions
are asked for, or tried with requests that the broker validates and does not carry out.
Exit codes: 0 all passed, 1 a step failed, 2 wrong usage or configuration.";

const DEMO_EXAMPLES: &str = "\
Examples:
  kferry demo                     ten seconds of writing, then the comparison
  kferry demo --seconds 60
  kferry demo --keep-running      until Ctrl-C; the printed addresses take any Kafka client

Two clusters run in this process on loopback ports; nothing else is touched. At the end both sides are read and
compared topic by topic. Exit codes: 0 both sides equal, 1 not.";

const INSPECT_EXAMPLES: &str = "\
Examples:
  kferry inspect 00000000000000000000.log                  a segment file of a broker
  kferry inspect - < batches.bin                           standard input
  kferry inspect broker1:9092 orders:0                     the first batches of a partition
  kferry inspect source.yaml orders:0@1234567 --records    around one offset, with its records

Values are shown only with --show-values, shortened and escaped. Damaged data is reported with its position.
Exit codes: 0 all batches sound, 1 something is damaged or cannot be read, 2 wrong usage.";

const OFFSETS_EXAMPLES: &str = "\
Examples:
  kferry offsets orders:0@1234 --state kferry-state/sync                   where is this source record on the target
  kferry offsets orders:0@1300 --state kferry-state/sync --from target     which source record is this

It works while a sync runs on the state, which then answers, and on the state of one that has ended. A running sync knows
what was acknowledged up to about a second ago.
Exit codes: 0 answered (also when the answer is: not copied yet), 1 no such topic, partition or state, 2 wrong usage.";

/// Copies Kafka clusters to Kafka clusters.
#[derive(Debug, Parser)]
#[command(name = "kferry", version, about, after_help = TOP_EXAMPLES, max_term_width = 120, propagate_version = true)]
pub(crate) struct Cli {
    /// What to log on standard error: error, warn, info, debug, trace, or a filter such as `info,kafka_client=debug`
    #[arg(long, global = true, env = "KFERRY_LOG", value_name = "LEVEL", default_value = "info")]
    pub(crate) log: String,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy topics from one cluster to another, and keep them in step
    Sync(Box<SyncArgs>),
    /// Validate a connection: each step, each broker, each permission
    Check(CheckArgs),
    /// Show it at work: two clusters in this process, live writers, a running sync
    Demo(DemoArgs),
    /// Show what is in record batches, header by header
    Inspect(InspectArgs),
    /// Where a source offset lies on the target, and the other way round
    Offsets(OffsetsArgs),
    /// One simulated cluster on loopback ports, for tests and benches
    #[command(hide = true)]
    Sandbox(SandboxArgs),
}

/// How results are written to standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// What a sync carries over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum SyncArg {
    /// Topics with partitions and configuration, no records
    Metadata,
    /// Topics and their records
    MetadataData,
    /// Topics, records and consumer group offsets
    MetadataDataOffsets,
}

/// Which end of a sync a connection is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleArg {
    /// It is read from
    Source,
    /// It is written to
    Target,
}

/// Where copying starts in partitions that have no stored position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartArg {
    /// The whole history.
    Earliest,
    /// Only what comes from now on.
    Latest,
    /// The first record at or after this time, milliseconds since the epoch.
    Time(i64),
}

/// What to do where the target holds records that may be a copy the state does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnknownTargetArg {
    /// Stop that partition and say why
    Stop,
    /// Begin at the start position behind them: they may be there twice afterwards
    Append,
    /// Count records of the source by an unknown producer as copied
    Adopt,
}

/// `kferry sync`.
#[derive(Debug, Args)]
#[command(after_help = SYNC_EXAMPLES)]
pub(crate) struct SyncArgs {
    /// Cluster to read from: HOST:PORT[,HOST:PORT…] or a connection file
    #[arg(long, value_name = "CONNECTION")]
    pub(crate) source: String,
    /// Cluster to write to: HOST:PORT[,HOST:PORT…] or a connection file
    #[arg(long, value_name = "CONNECTION")]
    pub(crate) target: String,
    /// Name of this task: letters, digits, '_', '-', '.', up to 64
    #[arg(long, value_name = "NAME", default_value = "sync")]
    pub(crate) name: TaskName,
    /// What to carry over
    #[arg(long, value_name = "WHAT", default_value = "metadata_data")]
    pub(crate) sync: SyncArg,
    /// Only topics whose whole name matches this regular expression; all topics without it
    #[arg(long, value_name = "REGEX")]
    pub(crate) topics: Option<TopicPattern>,
    /// Where to start where nothing was copied yet: earliest, latest, or a time (RFC 3339 or epoch milliseconds)
    #[arg(long, value_name = "START", default_value = "earliest", value_parser = start, allow_hyphen_values = true)]
    pub(crate) start: StartArg,
    /// Write each record to the partition number it came from; with false, partition modulo the target's count
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub(crate) same_partition: bool,
    /// Records that the target refuses (too large, no key for a compacted topic, timestamp out of range): stop their
    /// partition, or skip them and name them
    #[arg(long, value_name = "stop|skip", default_value = "stop")]
    pub(crate) on_refused_record: RefusedRecordPolicy,
    /// Records that the source deleted before they were copied: stop their partition, or name them and go on
    #[arg(long, value_name = "stop|continue", default_value = "continue")]
    pub(crate) on_retention: LossPolicy,
    /// Copied records that the source has lost since (unclean election): stop their partition, or name them, keep them on
    /// the target and go on with what the source has in their place. Caution: with continue the target keeps
    /// records that the source has not, and its readers see those and what the source has in their place
    #[arg(long, value_name = "stop|continue", default_value = "stop")]
    pub(crate) on_truncation: LossPolicy,
    /// A source topic that was deleted and created again: stop its copy, or let the new records follow on the same target
    /// topic
    #[arg(long, value_name = "stop|continue", default_value = "stop")]
    pub(crate) on_recreated: LossPolicy,
    /// Where this task keeps its position [default: ./kferry-state/NAME]
    #[arg(long, value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Copy up to the end offsets seen at the start, then stop
    #[arg(long)]
    pub(crate) once: bool,
    /// What to do where the target may hold a copy that the state does not know (lost or old state)
    #[arg(long, value_name = "WHAT", default_value = "stop")]
    pub(crate) on_unknown_target: UnknownTargetArg,
    /// Read no more than so many bytes of record batches per second, such as 20MB or 50MiB [default: no limit]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) max_bytes_per_second: Option<NonZeroU64>,
    /// Read no more than so many records per second [default: no limit]
    #[arg(long, value_name = "N")]
    pub(crate) max_records_per_second: Option<NonZeroU64>,
    /// Merge small batches where a partition cannot keep up with them; with false, every batch that the target takes travels as
    /// it is
    #[arg(long, value_name = "BOOL", default_value_t = true, action = ArgAction::Set)]
    pub(crate) merge_batches: bool,
    /// Memory for record batches on their way, from 4MiB on
    #[arg(long, value_name = "SIZE", default_value = "32MiB", value_parser = size)]
    pub(crate) buffer: NonZeroU64,
    /// Most workers; never more than there are partitions or cores
    #[arg(long, value_name = "N", default_value = "20")]
    pub(crate) concurrency: NonZeroUsize,
    /// Seconds for which a request of a lost connection may still reach the target's log. After an interruption with answers
    /// missing, records older than 12 hours wait for so long
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(..=3600))]
    pub(crate) request_lifetime: u64,
    /// Form of what is written to standard output
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Format,
}

/// `kferry check`.
#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArgs {
    /// Cluster to check: HOST:PORT[,HOST:PORT…] or a connection file
    #[arg(value_name = "CONNECTION")]
    pub(crate) connection: String,
    /// The end of a sync it is meant for; decides which permissions are needed
    #[arg(long = "as", value_name = "ROLE", default_value = "source")]
    pub(crate) role: RoleArg,
    /// What is to be carried over: with metadata_data_offsets, permissions on consumer groups are looked at as well
    #[arg(long, value_name = "WHAT", default_value = "metadata_data")]
    pub(crate) sync: SyncArg,
    /// Only the permissions on topics whose whole name matches this regular expression matter
    #[arg(long, value_name = "REGEX")]
    pub(crate) topics: Option<TopicPattern>,
    /// Form of what is written to standard output
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Format,
}

/// `kferry demo`.
#[derive(Debug, Args)]
#[command(after_help = DEMO_EXAMPLES)]
pub(crate) struct DemoArgs {
    /// Write until Ctrl-C instead of for a while
    #[arg(long)]
    pub(crate) keep_running: bool,
    /// How long to write
    #[arg(long, value_name = "N", default_value_t = 10, conflicts_with = "keep_running", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
    /// Form of what is written to standard output
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Format,
}

/// `kferry inspect`.
#[derive(Debug, Args)]
#[command(after_help = INSPECT_EXAMPLES, override_usage = "kferry inspect [OPTIONS] <FILE|->\n       kferry inspect [OPTIONS] <CONNECTION> <TOPIC:PARTITION[@OFFSET]>")]
pub(crate) struct InspectArgs {
    /// A file with record batches, `-` for standard input, or a connection
    #[arg(value_name = "FILE|-|CONNECTION")]
    pub(crate) input: String,
    /// With a connection: which partition, and from which offset on
    #[arg(value_name = "TOPIC:PARTITION[@OFFSET]", value_parser = partition_at)]
    pub(crate) partition: Option<PartitionAt>,
    /// List the records of each batch
    #[arg(long)]
    pub(crate) records: bool,
    /// With the records, show the beginning of keys and values
    #[arg(long, requires = "records")]
    pub(crate) show_values: bool,
    /// Stop after this many batches
    #[arg(long, value_name = "N")]
    pub(crate) batches: Option<u64>,
    /// Form of what is written to standard output
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Format,
}

/// Which end an offset is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FromArg {
    /// The cluster that is copied
    Source,
    /// The cluster it is copied to
    Target,
}

/// `kferry offsets`.
#[derive(Debug, Args)]
#[command(after_help = OFFSETS_EXAMPLES)]
pub(crate) struct OffsetsArgs {
    /// The place asked about, with the topic's name on that end
    #[arg(value_name = "TOPIC:PARTITION@OFFSET", value_parser = partition_at)]
    pub(crate) at: PartitionAt,
    /// Where the task keeps its position: what `kferry sync` has as --state
    #[arg(long, value_name = "DIR")]
    pub(crate) state: PathBuf,
    /// The end that the place is on
    #[arg(long, value_name = "END", default_value = "source")]
    pub(crate) from: FromArg,
    /// Form of what is written to standard output
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Format,
}

/// `kferry sandbox`.
#[derive(Debug, Args)]
pub(crate) struct SandboxArgs {
    /// How many brokers
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=32))]
    pub(crate) brokers: u16,
    /// File to write the bootstrap addresses to once they listen
    #[arg(long)]
    pub(crate) port_file: Option<PathBuf>,
    /// Fill a topic: TOPIC:PARTITIONS:BYTES:BATCH_BYTES:CODEC, repeatable; BYTES is the total over all partitions
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

/// A partition of a topic, perhaps with an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PartitionAt {
    /// Topic name.
    pub(crate) topic: String,
    /// Partition index.
    pub(crate) partition: i32,
    /// First offset of interest.
    pub(crate) offset: Option<i64>,
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
}

fn start(text: &str) -> Result<StartArg, String> {
    match text {
        "earliest" => return Ok(StartArg::Earliest),
        "latest" => return Ok(StartArg::Latest),
        _ => {}
    }
    if let Ok(milliseconds) = text.parse::<i64>() {
        return if milliseconds >= 0 {
            Ok(StartArg::Time(milliseconds))
        } else {
            Err("a time before 1970 is not possible".to_owned())
        };
    }
    match text.parse::<Timestamp>() {
        Ok(time) if time.as_millisecond() >= 0 => Ok(StartArg::Time(time.as_millisecond())),
        Ok(_) => Err("a time before 1970 is not possible".to_owned()),
        Err(_) => Err("expected earliest, latest, milliseconds since 1970, or a time such as 2025-01-31T14:00:00Z or \
                   2025-01-31T14:00:00+01:00".to_owned()),
    }
}

fn partition_at(text: &str) -> Result<PartitionAt, String> {
    let wrong = |what: &str| {
        format!("{what}: expected TOPIC:PARTITION or TOPIC:PARTITION@OFFSET, such as orders:0@1234")
    };
    let (topic, rest) = text.rsplit_once(':').ok_or_else(|| wrong("no ':'"))?;
    if topic.is_empty() {
        return Err(wrong("the topic is empty"));
    }
    let (partition, offset) = match rest.split_once('@') {
        Some((partition, offset)) => (partition, Some(offset)),
        None => (rest, None),
    };
    let partition = partition
        .parse()
        .ok()
        .filter(|index| *index >= 0)
        .ok_or_else(|| wrong("the partition is not a number"))?;
    let offset = match offset {
        Some(offset) => Some(
            offset
                .parse()
                .ok()
                .filter(|offset| *offset >= 0)
                .ok_or_else(|| wrong("the offset is not a number"))?,
        ),
        None => None,
    };
    Ok(PartitionAt { topic: topic.to_owned(), partition, offset })
}

fn size(text: &str) -> Result<NonZeroU64, String> {
    let wrong = || "expected a size above 0, such as 500kB, 20MB or 64MiB".to_owned();
    let bytes: bytesize::ByteSize = text.parse().map_err(|_| wrong())?;
    NonZeroU64::new(bytes.as_u64()).ok_or_else(wrong)
}

fn fill(text: &str) -> Result<Fill, String> {
    let wrong = || {
        "expected TOPIC:PARTITIONS:BYTES:BATCH_BYTES:CODEC, such as bench:4:1000000000:65536:lz4"
            .to_owned()
    };
    let parts: Vec<&str> = text.split(':').collect();
    let [topic, partitions, bytes, batch_bytes, codec] = parts.as_slice() else {
        return Err(wrong());
    };
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn starts() {
        let check = |text: &str, expected: Option<StartArg>| {
            assert_eq!(start(text).ok(), expected, "{text}")
        };
        check("earliest", Some(StartArg::Earliest));
        check("latest", Some(StartArg::Latest));
        check("0", Some(StartArg::Time(0)));
        check("1738281600000", Some(StartArg::Time(1_738_281_600_000)));
        check("2025-01-31T00:00:00Z", Some(StartArg::Time(1_738_281_600_000)));
        check("2025-01-31T01:00:00+01:00", Some(StartArg::Time(1_738_281_600_000)));
        check("2025-01-31T00:00:00.250Z", Some(StartArg::Time(1_738_281_600_250)));
        check("-1", None);
        check("1960-01-01T00:00:00Z", None);
        check("2025-01-31", None);
        check("yesterday", None);
        check("", None);
    }

    #[test]
    fn partitions() {
        let at = |topic: &str, partition, offset| {
            Some(PartitionAt { topic: topic.to_owned(), partition, offset })
        };
        let check = |text: &str, expected: Option<PartitionAt>| {
            assert_eq!(partition_at(text).ok(), expected, "{text}")
        };
        check("orders:0", at("orders", 0, None));
        check("orders.eu:12@99", at("orders.eu", 12, Some(99)));
        check("orders", None);
        check(":0", None);
        check("orders:-1", None);
        check("orders:0@", None);
        check("orders:0@-5", None);
        check("orders:0@x", None);
        check("orders:99999999999", None);
    }

    #[test]
    fn fills() {
        let parsed = fill("bench:4:1000:100:lz4").unwrap();
        assert_eq!(
            (parsed.topic.as_str(), parsed.partitions, parsed.bytes, parsed.batch_bytes),
            ("bench", 4, 1000, 100)
        );
        for wrong in [
            "",
            "bench",
            "bench:0:1:1:lz4",
            "bench:1:1:0:lz4",
            "bench:1:1:1:rar",
            "bench:1:1:1:lz4:more",
        ] {
            assert!(fill(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn wrong_command_lines_name_the_argument() {
        let check = |line: &str, expected: &str| {
            let error = Cli::try_parse_from(line.split(' ')).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
            assert!(error.to_string().contains(expected), "{line}: {error}");
        };
        check("kferry sync --source a:1", "--target");
        check("kferry sync --source a:1 --target b:1 --start soon", "2025-01-31T14:00:00Z");
        check("kferry sync --source a:1 --target b:1 --topics a(", "at character");
        check("kferry sync --source a:1 --target b:1 --name a/b", "--name");
        check("kferry sync --source a:1 --target b:1 --same-partition maybe", "--same-partition");
        check("kferry demo --seconds 0", "--seconds");
        check("kferry demo --seconds 3 --keep-running", "--keep-running");
        check("kferry inspect x --show-values", "--records");
        check("kferry fly", "fly");
    }
}
