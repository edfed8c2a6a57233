//! The page about rules is true: its rules are read, its examples give what it shows, and its errors are those that there are.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fmt::Write as _;

use etl::{
    Compiled, ErrorCode, Output, Record, Resources, Rule, Scratch, Table,
    rule::SchemaFormat::Protobuf,
};

const PAGE: &str = include_str!("../../../docs/etl.md");
const NOW: &str = "2025-01-31T00:00:00Z";

/// Kind and content of every fenced block, in order.
fn blocks() -> Vec<(&'static str, &'static str)> {
    let fences = PAGE.split("\n```").skip(1).step_by(2);
    fences.map(|block| block.split_once('\n').unwrap_or_default()).collect()
}

#[test]
fn rules_of_the_page_are_read() {
    let rules = blocks()
        .into_iter()
        .filter(|(kind, text)| *kind == "yaml" && text.starts_with("apiVersion"));
    let mut count = 0;
    for (_, text) in rules {
        Rule::parse(text).unwrap_or_else(|errors| panic!("{errors}\n{text}"));
        count += 1;
    }
    assert!(count >= 12, "{count}");
}

/// Each block of messages stands behind its rule and before what the rule makes of them.
#[test]
fn examples_of_the_page_give_what_it_shows() {
    let blocks = blocks();
    let mut count = 0;
    for (at, (_, messages)) in blocks.iter().enumerate().filter(|(_, (kind, _))| *kind == "text in")
    {
        let [(before, rule), _, (behind, shown)] = blocks[at - 1..=at + 1] else {
            panic!("{messages}")
        };
        assert_eq!((before, behind), ("yaml", "text out"), "{messages}");
        let table = blocks[..at - 1].last().filter(|(kind, _)| *kind == "csv");
        let made = made(rule, table.map(|(_, text)| *text), messages);
        assert_eq!(made, format!("{shown}\n"), "{rule}");
        count += 1;
    }
    assert!(count >= 10, "{count}");
    assert_eq!(count, blocks.iter().filter(|(kind, _)| *kind == "text out").count());
}

/// What a rule makes of messages, a line for each output.
fn made(rule: &str, users: Option<&str>, messages: &str) -> String {
    let rule = Rule::parse(rule).unwrap_or_else(|errors| panic!("{errors}\n{rule}"));
    let mut resources = Resources::new();
    if let Some(users) = users {
        resources = resources.with_table("users", Table::from_csv(users, "id").unwrap());
    }
    let compiled = Compiled::new(&rule, &resources).unwrap();
    let mut scratch = Scratch::new();
    let mut text = String::new();
    for (offset, message) in (0..).zip(messages.lines()) {
        let record = Record {
            topic: "events",
            partition: 3,
            offset,
            ..Record::from_value(message.as_bytes())
        };
        match compiled.apply(&record, NOW.parse().unwrap(), &mut scratch) {
            Err(error) => writeln!(text, "fails: {} in {}", error.code, error.path).unwrap(),
            Ok(outputs) if outputs.records.is_empty() => text.push_str("(left out)\n"),
            Ok(outputs) => outputs.records.iter().for_each(|output| text.push_str(&line(output))),
        }
    }
    text
}

fn line(output: &Output<'_>) -> String {
    let bytes = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut text = bytes(output.value.unwrap());
    if let Some(topic) = output.topic {
        write!(text, "  topic {topic}").unwrap();
    }
    if let Some(key) = output.key {
        write!(text, "  key {}", bytes(key)).unwrap();
    }
    for (name, value) in output.headers {
        write!(text, "  header {name}={}", bytes(value.unwrap_or_default())).unwrap();
    }
    text + "\n"
}

/// Both documents are read from what is written of them, and the second one also from no bytes at all.
#[test]
fn the_schema_of_the_page_gives_its_documents() {
    let blocks = blocks();
    let at = blocks.iter().position(|(kind, _)| *kind == "proto").unwrap();
    let [(_, schema), (_, documents)] = blocks[at..=at + 1] else { panic!("no documents") };
    let compiled = |spec: &str| {
        let rule = Rule::parse(&format!("{{apiVersion: etl/v1, spec: {{{spec}}}}}")).unwrap();
        let compiled = Compiled::new(&rule, &Resources::new()).unwrap();
        compiled.add_schema(7, Protobuf, schema, &[]).unwrap();
        compiled.set_target_schema(7, Protobuf, schema, &[]).unwrap();
        compiled
    };
    let apply = |compiled: &Compiled, value: &[u8]| {
        let mut scratch = Scratch::new();
        let record = Record::from_value(value);
        let outputs = compiled.apply(&record, NOW.parse().unwrap(), &mut scratch);
        outputs.unwrap_or_else(|error| panic!("{error}")).records[0].value.unwrap().to_vec()
    };
    let write =
        compiled("chains: [{analyse: {mode: json}}], output: {format: protobuf, subject: s}");
    let read = compiled("chains: [{kind: decode, format: protobuf}]");
    for document in documents.lines() {
        let written = apply(&write, document.as_bytes());
        assert_eq!(String::from_utf8(apply(&read, &written)).unwrap(), document);
    }
    let empty = apply(&read, &[0, 0, 0, 0, 7, 0]);
    assert_eq!(Some(empty.as_slice()), documents.lines().last().map(str::as_bytes));
}

#[test]
fn headers_of_the_page_are_those_of_dead_letters() {
    let rule = "apiVersion: etl/v1\nspec:\n  chains: [{analyse: {mode: json}}]\n  failure: {policy: dlq, dlq: {topic: dead}}";
    let rule = Rule::parse(rule).unwrap();
    let etl::rule::Failure::Dlq(dlq) = &rule.failure else { panic!("{rule:?}") };
    let compiled = Compiled::new(&rule, &Resources::new()).unwrap();
    let (record, mut scratch) = (Record::from_value(b"poison"), Scratch::new());
    let now = NOW.parse().unwrap();
    let error = compiled.apply(&record, now, &mut scratch).unwrap_err();
    let context = etl::DeadLetterContext {
        task_name: "t",
        task_id: "t",
        worker: 0,
        rule_version: 0,
        failed_at: now,
        attempts: 0,
    };
    let letter = etl::dead_letter(&record, &error, dlq, &context);
    let (_, table) = PAGE.split_once("| header | what it holds |\n| --- | --- |\n").unwrap();
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let shown: Vec<&str> = rows.map(|row| row.split('`').nth(1).unwrap()).collect();
    let found: Vec<&str> = letter.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(found, shown);
}

#[test]
fn errors_of_the_page_are_all() {
    let cell = |line: &str, at: usize| {
        line.split(" | ").nth(at).unwrap_or("").trim_matches(['|', ' ', '`']).to_owned()
    };
    let (_, table) = PAGE.split_once("| code | stage | cure |\n| --- | --- | --- |\n").unwrap();
    let found: Vec<(String, String)> =
        table.lines().map(|line| (cell(line, 0), cell(line, 2))).collect();
    let wanted: Vec<(String, String)> = ErrorCode::ALL
        .iter()
        .map(|code| {
            (code.as_str().to_owned(), code.cure().trim_matches(['|', ' ', '`']).to_owned())
        })
        .collect();
    assert_eq!(found, wanted);
}
