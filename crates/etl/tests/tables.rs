//! Tables of a compiled rule that change: between records, and under the hands of other threads.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::atomic::{AtomicBool, Ordering};

use etl::{Compiled, ErrorCode, Record, Resources, Rule, Scratch, Table, TableRows};
use jiff::Timestamp;

const RULE: &str = "{apiVersion: etl/v1, spec: {chains: [{analyse: {mode: json}}, \
    {kind: lookup, table: users, key: u, fields: {a: first, b: second}, on_missing: fail}]}}";

fn compiled() -> Compiled {
    let resources = Resources::new().with_table("users", Table::new());
    Compiled::new(&Rule::parse(RULE).unwrap(), &resources).unwrap()
}

fn apply(compiled: &Compiled, scratch: &mut Scratch, text: &str) -> Result<String, ErrorCode> {
    let record = Record::from_value(text.as_bytes());
    let outputs = compiled.apply(&record, Timestamp::UNIX_EPOCH, scratch);
    let outputs = outputs.map_err(|error| error.code)?;
    Ok(String::from_utf8(outputs.records[0].value.unwrap().to_vec()).unwrap())
}

fn set(compiled: &Compiled, key: &str, object: &str) {
    let table = compiled.table("users").unwrap();
    table.set(key, table.read_row(object).unwrap());
}

#[test]
fn rows_keep_the_columns_that_a_lookup_takes() {
    let compiled = compiled();
    assert!(compiled.table("others").is_none());
    let table = compiled.table("users").unwrap();
    set(&compiled, "1", r#"{"second":[1,{"x":null}],"other":"long","first":"é\n"}"#);
    let mut scratch = Scratch::new();
    assert_eq!(
        apply(&compiled, &mut scratch, r#"{"u":1}"#).unwrap(),
        r#"{"u":1,"a":"é\n","b":[1,{"x":null}]}"#
    );
    let few = table.bytes();
    set(&compiled, "1", r#"{"other":"much longer than it was before"}"#);
    assert_eq!(
        apply(&compiled, &mut scratch, r#"{"u":1}"#).unwrap(),
        r#"{"u":1,"a":null,"b":null}"#
    );
    assert!(table.bytes() < few);
    assert_eq!(table.len(), 1);
}

#[test]
fn what_is_no_row_is_refused() {
    let compiled = compiled();
    let table = compiled.table("users").unwrap();
    for text in ["", "7", "[]", "null", "{", r#"{"first":1} x"#, r#"{"first":tru}"#, "\u{0}"] {
        assert!(table.read_row(text).is_err(), "{text:?}");
    }
    let deep = format!(r#"{{"first":{}}}"#, "[".repeat(100_000));
    assert!(table.read_row(&deep).is_err());
    let long = format!(r#"{{"first":"{}"}}"#, "x".repeat(1 << 20));
    assert!(table.read_row(&long).unwrap_err().contains("more than 1048576"));
    assert!(table.is_empty());
}

#[test]
fn bytes_are_counted_both_ways() {
    let compiled = compiled();
    let table = compiled.table("users").unwrap();
    for round in 0..3 {
        for key in 0..100 {
            let text = "x".repeat(round * 50);
            set(&compiled, &key.to_string(), &format!(r#"{{"first":"{text}","second":{key}}}"#));
        }
        assert!(table.bytes() > 100 * (50 * round + 60), "{}", table.bytes());
    }
    for key in 0..200 {
        table.remove(&key.to_string());
    }
    assert_eq!((table.len(), table.bytes()), (0, 0));
}

#[test]
fn others_take_the_place_of_all_rows_at_once() {
    let compiled = compiled();
    let table = compiled.table("users").unwrap();
    set(&compiled, "1", r#"{"first":1}"#);
    let mut rows = TableRows::new();
    rows.set("2", table.read_row(r#"{"first":2}"#).unwrap());
    let bytes = rows.bytes();
    table.replace(rows);
    assert_eq!((table.len(), table.bytes()), (1, bytes));
    let mut scratch = Scratch::new();
    assert_eq!(apply(&compiled, &mut scratch, r#"{"u":1}"#), Err(ErrorCode::LookupMissing));
    assert!(apply(&compiled, &mut scratch, r#"{"u":2}"#).is_ok());
}

/// One thread changes rows, and all of them at a time, while others look them up: each sees a row as it was or as it is, never
/// parts of both, never an older one than before, and never none.
#[test]
fn rows_change_while_others_look_them_up() {
    const ROUNDS: u64 = 30_000;
    let compiled = compiled();
    let row = |n: u64| format!(r#"{{"first":{n},"second":"{n}"}}"#);
    set(&compiled, "k", &row(0));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut scratch = Scratch::new();
                let mut last = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let text = apply(&compiled, &mut scratch, r#"{"u":"k"}"#).unwrap();
                    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
                    let n = value["a"].as_u64().unwrap();
                    assert_eq!(value["b"], n.to_string());
                    assert!(n >= last, "{n} behind {last}");
                    last = n;
                }
            });
        }
        let table = compiled.table("users").unwrap();
        for n in 1..=ROUNDS {
            if n % 3 == 0 {
                let mut rows = TableRows::new();
                rows.set("k", table.read_row(&row(n)).unwrap());
                table.replace(rows);
            } else {
                set(&compiled, "k", &row(n));
            }
            set(&compiled, &format!("other {n}"), &row(n));
        }
        is_over.store(true, Ordering::Relaxed);
    });
    let mut scratch = Scratch::new();
    let text = apply(&compiled, &mut scratch, r#"{"u":"k"}"#).unwrap();
    assert!(text.contains(&ROUNDS.to_string()));
}
