//! The page about rules is true: its rules are read, and its errors are those that there are.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use etl::{ErrorCode, Rule};

const PAGE: &str = include_str!("../../../docs/etl.md");

#[test]
fn rules_of_the_page_are_read() {
    let blocks: Vec<&str> =
        PAGE.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 3);
    for block in blocks {
        Rule::parse(block).unwrap_or_else(|errors| panic!("{errors}\n{block}"));
    }
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
