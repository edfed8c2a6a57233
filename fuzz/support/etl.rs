//! Rules and messages for the ETL targets.
#![allow(dead_code, reason = "not every target uses all")]

use etl::{Compiled, ErrorCode, Limits, Record, Resources, Rule, Scratch};

/// A rule from the text of its spec.
pub fn compiled(spec: &str) -> Compiled {
    let rule = Rule::parse(&format!("{{apiVersion: etl/v1, spec: {spec}}}")).expect("a good rule");
    let mut compiled = Compiled::new(&rule, &Resources::new()).expect("a good rule");
    compiled.set_limits(limits());
    compiled
}

/// Small enough for an instrumented build.
pub fn limits() -> Limits {
    Limits { work_bytes_max: 8 << 20, output_bytes_max: 1 << 20, ..Limits::default() }
}

/// The output values.
pub fn outputs(compiled: &Compiled, value: &[u8]) -> Result<Vec<Vec<u8>>, ErrorCode> {
    let mut scratch = Scratch::new();
    let now = jiff::Timestamp::UNIX_EPOCH;
    let outputs = compiled.apply(&Record::from_value(value), now, &mut scratch).map_err(|error| error.code)?;
    Ok(outputs.records.iter().map(|output| output.value.unwrap_or_default().to_vec()).collect())
}
