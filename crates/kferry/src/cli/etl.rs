//! `kferry etl`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use replicate::registry::RegistryUrl;

use super::{Format, values};
use crate::config::rule::NamedFile;

const ETL_EXAMPLES: &str = "\
Examples:
  kferry etl test -f rule.yaml --sample messages.txt        what the rule makes of each line, step by step
  kferry etl test -f rule.yaml --fetch broker:9092 orders   the same with the last messages of a topic
  kferry etl preview broker:9092 orders                     what is in the topic, and how a rule would read it
  kferry etl run -f task.yaml                               records of topics put through a rule, into other topics

What a rule may say is in docs/etl.md.
Exit codes: 0 done, 1 failed, 2 wrong usage or rule.";

const TEST_EXAMPLES: &str = "\
Examples:
  kferry etl test -f rule.yaml --sample messages.txt                    one message a line
  kferry etl test -f rule.yaml --sample body.json --whole               the file is one message
  echo '{\"id\":7}' | kferry etl test -f rule.yaml --sample -             standard input
  kferry etl test -f rule.yaml --fetch source.yaml orders:0@1234        messages of a topic, from an offset on
  kferry etl test -f rule.yaml --fetch source.yaml orders --registry http://registry:8081
  kferry etl test -f rule.yaml --sample a.txt --now 2025-01-31T14:00:00Z --output json

Without --sample and --fetch it is the text under spec.sample of the rule. Nothing is written to any cluster.
Exit codes: 0 every message is delivered or left out by the rule, 1 a message fails, 2 wrong usage or rule.";

/// `kferry etl`.
#[derive(Debug, Args)]
#[command(after_help = ETL_EXAMPLES)]
pub(crate) struct EtlArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: EtlCommand,
}

impl EtlArgs {
    /// The form of the output.
    pub(crate) fn format(&self) -> Format {
        match &self.command {
            EtlCommand::Run(args) => args.output,
            EtlCommand::Test(args) => args.output,
            EtlCommand::Preview(args) => args.output,
            EtlCommand::Regex(args) => args.output,
            EtlCommand::Import(_) | EtlCommand::Export(_) => Format::Text,
        }
    }
}

/// What is done with rules.
#[derive(Debug, Subcommand)]
pub(crate) enum EtlCommand {
    /// Tasks that process records: read, put through a rule, written
    Run(RunArgs),
    /// What a rule makes of messages, step by step
    Test(Box<TestArgs>),
    /// Messages of a topic as they are, and how a rule would read them
    Preview(PreviewArgs),
    /// An expression from a sample and the parts that are marked in it
    Regex(RegexArgs),
    /// A rule from the JSON of the vendor's API, as YAML
    Import(ImportArgs),
    /// A rule as YAML or JSON, every field written out
    Export(ExportArgs),
}

const RUN_EXAMPLES: &str = "\
Examples:
  kferry etl run -f task.yaml --check      validates the file and its rule, and connects to nothing
  kferry etl run -f task.yaml              until Ctrl-C; the same command goes on from there
  kferry etl run -f task.yaml --once       what is there now, then stop

A task file (docs/etl.md, docs/task.md):
    name: clean-orders
    source: broker-a:9092
    target: broker-b:9092
    process:
      rule: rule.yaml
      topics: {orders: orders-clean}

Exit codes: 0 done, 1 failed (also when a record fails and the rule says that the task ends there), 2 wrong usage, file or rule.";

/// `kferry etl run`.
#[derive(Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub(crate) struct RunArgs {
    /// A file with one task that has `process`, or with a list `tasks` of them
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Process up to the end offsets seen at the start, then stop
    #[arg(long)]
    pub(crate) once: bool,
    /// Validate the file, with all that it refers to, and connect to nothing
    #[arg(long)]
    pub(crate) check: bool,
    /// Answer Prometheus on this address, such as 127.0.0.1:9404, at /metrics; anyone who reaches it may read it
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) metrics: Option<String>,
    /// Form of what is written to standard output
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Format,
}

/// `kferry etl test`.
#[derive(Debug, Args)]
#[command(after_help = TEST_EXAMPLES, group = ArgGroup::new("messages").multiple(false))]
pub(crate) struct TestArgs {
    /// The rule, YAML or JSON; `-` for standard input
    #[arg(short = 'f', long = "file", value_name = "RULE")]
    pub(crate) rule: PathBuf,
    /// Messages, one a line, empty lines left out; `-` for standard input
    #[arg(long, value_name = "FILE|-", group = "messages")]
    pub(crate) sample: Option<PathBuf>,
    /// The sample is one message, as it is
    #[arg(long, requires = "sample")]
    pub(crate) whole: bool,
    /// One record without a value
    #[arg(long, group = "messages")]
    pub(crate) tombstone: bool,
    /// Messages of a topic: TOPIC, TOPIC:PARTITION, and @POSITION behind it: an offset, earliest, latest (default) or a time
    #[arg(long, value_names = ["CONNECTION", "TOPIC[@POSITION]"], num_args = 2, group = "messages")]
    pub(crate) fetch: Vec<String>,
    /// How many messages are fetched at most
    #[arg(long, value_name = "N", default_value_t = 10, requires = "fetch", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) count: u64,
    /// Key of the messages
    #[arg(long, value_name = "TEXT", conflicts_with = "fetch")]
    pub(crate) key: Option<String>,
    /// Header of the messages, repeatable
    #[arg(long = "header", value_name = "NAME=VALUE", value_parser = header, conflicts_with = "fetch")]
    pub(crate) headers: Vec<(String, String)>,
    /// Topic that the messages are said to be from
    #[arg(long, value_name = "NAME", default_value = "sample", conflicts_with = "fetch")]
    pub(crate) topic: String,
    /// The time that the rule sees, for output that can be made again
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub(crate) now: Option<Timestamp>,
    /// A secret of the rule is in this file, repeatable
    #[arg(long = "secret", value_name = "NAME=FILE", value_parser = named_file)]
    pub(crate) secrets: Vec<NamedFile>,
    /// A lookup table of the rule: KEY is the column or member that is looked up, in CSV or (*.json) an array of objects
    #[arg(long = "table", value_name = "NAME:KEY=FILE", value_parser = named_file)]
    pub(crate) tables: Vec<NamedFile>,
    /// The schema that has this id in the registry of the source, Avro or a .proto beside those it imports, repeatable
    #[arg(long = "schema", value_name = "ID=FILE", value_parser = named_file)]
    pub(crate) schemas: Vec<NamedFile>,
    /// The registry that has the schemas of the source, for those that no --schema gives
    #[arg(long, value_name = "URL")]
    pub(crate) registry: Option<RegistryUrl>,
    /// Form of what is written to standard output
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Format,
}

const PREVIEW_EXAMPLES: &str = "\
Examples:
  kferry etl preview broker:9092 orders                    the last messages, and the parsing mode that fits them
  kferry etl preview source.yaml orders:0@1234 --count 3   from an offset on

Values are shown, shortened and escaped. Exit codes: 0 done, 1 cannot be read, 2 wrong usage.";

/// `kferry etl preview`.
#[derive(Debug, Args)]
#[command(after_help = PREVIEW_EXAMPLES)]
pub(crate) struct PreviewArgs {
    /// The cluster: HOST:PORT or a connection file
    #[arg(value_name = "CONNECTION")]
    pub(crate) connection: String,
    /// The topic, TOPIC:PARTITION, and @POSITION behind it: an offset, earliest, latest (default) or a time
    #[arg(value_name = "TOPIC[@POSITION]")]
    pub(crate) topic: TopicAt,
    /// How many messages are looked at, at most
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) count: u64,
    /// Form of what is written to standard output
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Format,
}

const REGEX_EXAMPLES: &str = "\
Examples:
  kferry etl regex --sample 'GET /a 200' --select method=GET --select status=200

The parts are looked for from left to right; a part without NAME= is called field1, field2, …
Exit codes: 0 done, 2 wrong usage, or no expression tells the parts apart.";

/// `kferry etl regex`.
#[derive(Debug, Args)]
#[command(after_help = REGEX_EXAMPLES)]
pub(crate) struct RegexArgs {
    /// A message
    #[arg(long, value_name = "TEXT")]
    pub(crate) sample: String,
    /// A part of it that becomes a field, repeatable
    #[arg(long = "select", value_name = "[NAME=]TEXT", required = true)]
    pub(crate) selections: Vec<String>,
    /// Form of what is written to standard output
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) output: Format,
}

const IMPORT_EXAMPLES: &str = "\
Examples:
  kferry etl import transforms.json > rule.yaml

What does not map is told on standard error, each with its place in the rule.
Exit codes: 0 done, 2 wrong usage, or something does not map.";

/// `kferry etl import`.
#[derive(Debug, Args)]
#[command(after_help = IMPORT_EXAMPLES)]
pub(crate) struct ImportArgs {
    /// `TransformsParam` or `TransformParam` as JSON, alone or in what the API answers; `-` for standard input
    #[arg(value_name = "FILE|-")]
    pub(crate) file: PathBuf,
}

const EXPORT_EXAMPLES: &str = "\
Examples:
  kferry etl export -f rule.yaml --to json

Exit codes: 0 done, 2 wrong usage or rule.";

/// `kferry etl export`.
#[derive(Debug, Args)]
#[command(after_help = EXPORT_EXAMPLES)]
pub(crate) struct ExportArgs {
    /// The rule, YAML or JSON; `-` for standard input
    #[arg(short = 'f', long = "file", value_name = "RULE|-")]
    pub(crate) rule: PathBuf,
    /// What it is written as
    #[arg(long, value_name = "FORM")]
    pub(crate) to: RuleForm,
}

/// What a rule is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RuleForm {
    /// JSON on one line
    Json,
    /// YAML
    Yaml,
}

fn named_file(text: &str) -> Result<NamedFile, String> {
    match text.split_once('=') {
        Some((name, path)) if !name.is_empty() && !path.is_empty() => {
            Ok(NamedFile { name: name.to_owned(), path: path.into() })
        }
        _ => Err("expected a name, = and the path of a file".to_owned()),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "expected NAME=VALUE".to_owned())
}

/// Where messages of a topic begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Position {
    /// The first ones there are.
    Earliest,
    /// The last ones there are.
    Latest,
    /// From this offset on.
    Offset(i64),
    /// From this time on, milliseconds since 1970.
    Time(i64),
}

/// A topic or a partition of it, and a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TopicAt {
    /// Topic name.
    pub(crate) topic: String,
    /// One partition; `None`: all.
    pub(crate) partition: Option<i32>,
    /// Where to begin.
    pub(crate) position: Position,
}

impl std::str::FromStr for TopicAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (place, position) = match text.split_once('@') {
            Some((place, position)) => (place, Some(position)),
            None => (text, None),
        };
        let (topic, partition) = match place.split_once(':') {
            Some((topic, number)) => {
                let partition = number.parse().ok().filter(|index| *index >= 0);
                (topic, Some(partition.ok_or("the partition is not a number")?))
            }
            None => (place, None),
        };
        if topic.is_empty() {
            return Err(
                "the topic is empty: expected TOPIC, TOPIC:PARTITION, or with @POSITION behind it"
                    .to_owned(),
            );
        }
        let position = match position {
            None | Some("latest") => Position::Latest,
            Some("earliest") => Position::Earliest,
            Some(text) => match text.parse::<i64>() {
                Ok(offset) if offset >= 0 && partition.is_some() => Position::Offset(offset),
                Ok(offset) if offset >= 0 => {
                    return Err(format!(
                        "an offset belongs to one partition: write {topic}:0@{offset}"
                    ));
                }
                Ok(_) => return Err("an offset is not below 0".to_owned()),
                Err(_) => {
                    let wrong = "the position is none of an offset, earliest, latest, or a time such as 2025-01-31T14:00:00Z";
                    Position::Time(values::time(text).map_err(|_| wrong)?.as_millisecond())
                }
            },
        };
        Ok(Self { topic: topic.to_owned(), partition, position })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_and_positions() {
        let check = |text: &str, expected: Option<(&str, Option<i32>, Position)>| {
            let expected = expected.map(|(topic, partition, position)| TopicAt {
                topic: topic.to_owned(),
                partition,
                position,
            });
            assert_eq!(text.parse::<TopicAt>().ok(), expected, "{text}");
        };
        check("orders", Some(("orders", None, Position::Latest)));
        check("orders@earliest", Some(("orders", None, Position::Earliest)));
        check("orders:3", Some(("orders", Some(3), Position::Latest)));
        check("orders:3@12", Some(("orders", Some(3), Position::Offset(12))));
        let time = Position::Time(1_738_281_600_000);
        check("orders@2025-01-31T00:00:00Z", Some(("orders", None, time)));
        check("orders@12", None);
        check("orders:x", None);
        check("orders:0@-1", None);
        check("orders@soon", None);
        check("@earliest", None);
    }
}
