//! `cargo xtask schema`: the tables of the structural check, from Kafka's own message schemas.
//!
//! Apache Kafka ships the schemas of its messages as JSON inside the clients jar. This verb takes
//! them out of the jar of one release (Maven fetches it, the JDK unpacks it) and writes them as
//! static tables into `crates/kafka-wire/src/check/tables/`. The output depends on the jar only.

mod emit;
mod parse;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::workspace;
use parse::{Message, MessageKind};

/// The release whose schemas the tables describe. Older versions of each message are in there as
/// far as brokers of 4.x still speak them.
pub const SCHEMA_RELEASE: &str = "4.2.0";

/// Where the tables are, from the repository's top directory.
const TABLES: &str = "crates/kafka-wire/src/check/tables";

/// Generates the tables; with `check`, only says whether the committed ones are up to date.
///
/// # Errors
/// When Maven, the JDK or rustfmt fail, when a schema has a form this verb does not know, and with
/// `check` when a file differs.
pub fn run(check: bool) -> Result<()> {
    let messages = read_schemas(&unpacked_schemas()?)?;
    let files = [
        ("headers.rs", emit::headers(&of_kind(&messages, MessageKind::Header))?),
        ("requests.rs", emit::messages("REQUESTS", &of_kind(&messages, MessageKind::Request))?),
        ("responses.rs", emit::messages("RESPONSES", &of_kind(&messages, MessageKind::Response))?),
    ];
    let mut stale = Vec::new();
    for (name, text) in files {
        let path = workspace::root().join(TABLES).join(name);
        let text = formatted(&text).with_context(|| format!("formatting {name}"))?;
        if fs::read_to_string(&path).is_ok_and(|committed| committed == text) {
            continue;
        }
        if check {
            stale.push(name);
        } else {
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        }
    }
    ensure!(
        stale.is_empty(),
        "{TABLES}: {} not up to date with the schemas of Kafka {SCHEMA_RELEASE}; run `cargo xtask schema`",
        stale.join(", ")
    );
    Ok(())
}

/// Messages of one kind in ascending order of API keys.
fn of_kind(messages: &[Message], kind: MessageKind) -> Vec<&Message> {
    let mut chosen: Vec<_> = messages.iter().filter(|message| message.kind == kind).collect();
    chosen.sort_by_key(|message| (message.api_key, message.name.clone()));
    chosen
}

/// All requests, responses and headers that have a valid version left.
fn read_schemas(directory: &Path) -> Result<Vec<Message>> {
    let mut messages = Vec::new();
    for entry in
        fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))?
    {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = fs::read_to_string(&path)?;
            let parsed = parse::message(&text).with_context(|| format!("{}", path.display()))?;
            messages.extend(parsed);
        }
    }
    ensure!(
        messages.len() > 100,
        "{}: only {} messages found",
        directory.display(),
        messages.len()
    );
    Ok(messages)
}

/// The directory `common/message` of the clients jar, fetched and unpacked once.
fn unpacked_schemas() -> Result<PathBuf> {
    let directory = workspace::kafka_cache().join("schema").join(SCHEMA_RELEASE);
    let messages = directory.join("common").join("message");
    if messages.join("ResponseHeader.json").exists() {
        return Ok(messages);
    }
    fs::create_dir_all(&directory)?;
    let coordinates = format!("org.apache.kafka:kafka-clients:{SCHEMA_RELEASE}");
    let mut maven = Command::new("mvn");
    maven.current_dir(&directory).args(["-q", "-B"]);
    maven.arg("org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy");
    maven.arg(format!("-Dartifact={coordinates}")).arg("-DoutputDirectory=.");
    succeed(&mut maven)?;
    let jar = format!("kafka-clients-{SCHEMA_RELEASE}.jar");
    let mut unpack = Command::new(workspace::jdk_tool("jar"));
    succeed(unpack.current_dir(&directory).args(["xf", &jar, "common/message"]))?;
    fs::remove_file(directory.join(jar))?;
    Ok(messages)
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("starting {command:?}"))?;
    ensure!(status.success(), "{command:?}: {status}");
    Ok(())
}

/// The text as rustfmt leaves it, with the workspace's settings.
fn formatted(text: &str) -> Result<String> {
    let mut child = Command::new("rustfmt")
        .current_dir(workspace::root())
        .args(["--edition", "2024", "--emit", "stdout", "--quiet"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting rustfmt")?;
    let mut input = child.stdin.take().context("rustfmt without an input")?;
    let text = text.to_owned();
    // A thread of its own, or both pipes may fill up.
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = child.wait_with_output()?;
    let Ok(written) = writer.join() else { bail!("the thread that feeds rustfmt panicked") };
    written.context("writing to rustfmt")?;
    ensure!(output.status.success(), "rustfmt: {}", output.status);
    Ok(String::from_utf8(output.stdout)?)
}
