//! What the bench's rule does, in loops without any network: written straight down with `serde_json`, and by the rule itself. They are what
//! `cargo xtask bench --suite etl` sets beside kferry. `loops value|typed|RULE MESSAGES BYTES`: what to do or the file of a rule, a file
//! with one message a line, and how many bytes of them.

#![allow(clippy::print_stdout, reason = "a measurement prints")]

use std::{borrow::Cow, env, fs};

use etl::{Compiled, Record, Resources, Rule, Scratch};
use jiff::{Timestamp, tz};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

type Made = Result<Option<Vec<u8>>, Box<dyn std::error::Error>>;

/// Message and output as trees of allocated values: what one writes for rules that are not known before.
fn value(message: &[u8]) -> Made {
    let mut message: Value = serde_json::from_slice(message)?;
    let status = message.get("status").and_then(Value::as_i64).ok_or("no status")?;
    if !(200..500).contains(&status) {
        return Ok(None);
    }
    let time = day_and_time(message.get("@timestamp").and_then(Value::as_str).ok_or("no time")?)?;
    let mut output = Map::new();
    let mut take = |name: &str| message.get_mut(name).map(Value::take).unwrap_or_default();
    output.insert("id".to_owned(), take("request_id"));
    let user = take("user").get_mut("id").map(Value::take).unwrap_or_default();
    output.insert("user".to_owned(), user);
    output.insert("status".to_owned(), status.into());
    output.insert("path".to_owned(), take("path"));
    output.insert("region".to_owned(), take("region"));
    output.insert("time".to_owned(), time.into());
    Ok(Some(serde_json::to_vec(&output)?))
}

#[derive(Deserialize)]
struct User {
    id: i64,
}

#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow, rename = "@timestamp")]
    time: Cow<'a, str>,
    #[serde(borrow)]
    request_id: Cow<'a, str>,
    user: User,
    status: i64,
    #[serde(borrow)]
    path: Cow<'a, str>,
    #[serde(borrow)]
    region: Cow<'a, str>,
}

#[derive(Serialize)]
struct Output<'a> {
    id: &'a str,
    user: i64,
    status: i64,
    path: &'a str,
    region: &'a str,
    time: String,
}

/// Types for this one rule, compiled into the program: little can be faster, and each rule is a program of its own.
fn typed(message: &[u8]) -> Made {
    let input: Input<'_> = serde_json::from_slice(message)?;
    if !(200..500).contains(&input.status) {
        return Ok(None);
    }
    let output = Output {
        id: &input.request_id,
        user: input.user.id,
        status: input.status,
        path: &input.path,
        region: &input.region,
        time: day_and_time(&input.time)?,
    };
    Ok(Some(serde_json::to_vec(&output)?))
}

fn day_and_time(text: &str) -> Result<String, jiff::Error> {
    let time: Timestamp = text.parse()?;
    let time = time.to_zoned(tz::TimeZone::fixed(tz::offset(8)));
    Ok(time.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// The rule of a file.
fn by_rule(path: &str) -> Result<impl FnMut(&[u8]) -> Made, Box<dyn std::error::Error>> {
    let rule = Rule::parse(&fs::read_to_string(path)?)?;
    let compiled = Compiled::new(&rule, &Resources::new())?;
    let mut scratch = Scratch::new();
    Ok(move |message: &[u8]| {
        let outputs =
            compiled.apply(&Record::from_value(message), Timestamp::UNIX_EPOCH, &mut scratch)?;
        // Copied, as the others give bytes of their own.
        Ok(outputs.records.first().and_then(|output| output.value).map(<[u8]>::to_vec))
    })
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = env::args().skip(1).collect();
    let [what, messages, bytes] = args.as_slice() else {
        return Err("expected value, typed or a rule; MESSAGES; BYTES".into());
    };
    let (text, wanted) = (fs::read_to_string(messages)?, bytes.parse()?);
    match what.as_str() {
        "value" => run(value, &text, wanted),
        "typed" => run(typed, &text, wanted),
        path => run(by_rule(path)?, &text, wanted),
    }
}

fn run(
    mut process: impl FnMut(&[u8]) -> Made,
    text: &str,
    wanted: u64,
) -> Result<(), Box<dyn std::error::Error>> {
    let (mut bytes, mut records, mut written, mut first) = (0, 0, 0, None);
    for message in text.lines().cycle() {
        if bytes >= wanted {
            break;
        }
        bytes += u64::try_from(message.len())?;
        records += 1;
        if let Some(output) = process(message.as_bytes())? {
            written += 1;
            first.get_or_insert(output);
        }
    }
    println!(r#"{{"records":{records},"bytes":{bytes},"written":{written}}}"#);
    println!("{}", String::from_utf8(first.unwrap_or_default())?);
    Ok(())
}
