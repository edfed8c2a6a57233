//! Single Kafka records parsed, processed, filtered and rendered by a rule.
//!
//! A [`Rule`] is read from YAML or JSON and compiled once into a [`Compiled`]; [`Compiled::apply`] then turns one [`Record`] into
//! the [`Outputs`] that are to be written, and [`Compiled::explain`] shows every step on the way. The order is: guard, array
//! mode, chains (parse, secondary parsing, rows), filter, metadata, output.
//!
//! The crate does no I/O and reads no clock: `now` is an argument, tables and secrets are handed in as [`Resources`]. The same
//! record, rule, tables and time give the same bytes. What happens to a record that fails is for the caller to do; the rule only says it
//! ([`Rule::failure`]), and [`dead_letter`] makes the record for a dead letter topic.
//!
//! ```
//! use etl::{Compiled, Record, Resources, Rule, Scratch};
//!
//! let rule = Rule::parse_yaml(
//!     "{apiVersion: etl/v1, kind: EtlTemplate, spec: {chains: [
//!        {analyse: {mode: json}, rows: [{key: user, value: name, ops: [{op: lowercase}]}]}]}}",
//! )?;
//! let compiled = Compiled::new(&rule, &Resources::new())?;
//! let record = Record::from_value(br#"{"name": "ANN", "age": 7}"#);
//! let mut scratch = Scratch::new();
//! let outputs = compiled.apply(&record, jiff::Timestamp::UNIX_EPOCH, &mut scratch)?;
//! assert_eq!(outputs.records[0].value, Some(&br#"{"user":"ann"}"#[..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod rule;

mod compile;
mod context;
mod engine;
mod error;
mod explain;
mod record;
mod scratch;

mod analyse;
mod charset;
mod json;
mod pattern;
mod value;

mod convert;
mod date;
mod expression;
mod jsonpath;
mod op;
mod row;

mod condition;
mod output;
mod target;
mod text_template;

mod sample;
mod schema;
mod shape;
mod table;

mod dead_letter;
mod generate;

pub use compile::Resources;
pub use context::Limits;
pub use dead_letter::{Context as DeadLetterContext, DeadLetter, dead_letter};
pub use engine::Compiled;
pub use error::{ErrorCode, RecordError, RuleError, RuleErrors, Stage};
pub use explain::{Explanation, Step, StepStatus};
pub use generate::{Generated, Selection, generate_regex};
pub use record::{DropReason, Header, Output, Outputs, Record};
pub use rule::Rule;
pub use schema::protobuf_imports;
pub use scratch::Scratch;
pub use table::{SharedTable, Table, TableRow, TableRows};
