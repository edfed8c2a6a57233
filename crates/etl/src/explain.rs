//! What each step did, for the editor's preview and `kferry etl test`.

mod json;

use jiff::Timestamp;

use crate::{
    Compiled, Scratch,
    context::Context,
    error::{Place, RecordError},
    json::to_short_text,
    record::{Outputs, Record},
    rule,
    value::Value,
};

/// Bytes of a value that a step shows.
const SHOWN_BYTES_MAX: usize = 64 * 1024;
/// Steps that are kept.
const STEPS_MAX: usize = 10_000;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepStatus {
    /// It did its work.
    Ok,
    /// It was left out: its condition does not hold, or there was nothing to do.
    Skipped,
    /// It failed; the record is not written.
    Failed,
}

/// One step and what it did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Place in the rule, such as `chains[0].rows[0].ops[0]`.
    pub path: String,
    /// How it ended.
    pub status: StepStatus,
    /// What it read, as JSON, where that is one value.
    pub input: Option<String>,
    /// What it made, as JSON.
    pub output: Option<String>,
    /// For conditions and filters: whether it holds.
    pub matched: Option<bool>,
    /// Why it failed.
    pub error: Option<RecordError>,
}

/// A record on its way through a rule.
#[derive(Debug)]
pub struct Explanation<'a> {
    /// What [`Compiled::apply`] gives for the same record.
    pub result: Result<Outputs<'a>, RecordError>,
    /// The steps in order. After a row that failed the other rows of its chain are shown, too.
    pub steps: Vec<Step>,
    /// A row for each field of the last parse result, to begin a rule with.
    pub suggested_rows: Vec<rule::Row>,
    /// What the user should know although nothing failed.
    pub warnings: Vec<String>,
    /// What the rule says about records that fail.
    pub on_failure: &'a rule::Failure,
}

impl Compiled {
    /// As [`Compiled::apply`], and tells what each step did. Slower, for people.
    pub fn explain<'a>(
        &'a self,
        record: &Record<'a>,
        now: Timestamp,
        scratch: &'a mut Scratch,
    ) -> Explanation<'a> {
        let (result, steps) = self.run(record, now, scratch, true);
        let mut warnings = self.warnings().to_vec();
        if let Ok(outputs) = &result
            && outputs.array_elements_dropped > 0
        {
            let last = outputs.array_elements_dropped;
            warnings.push(format!("array elements 1..{last} are not output in single mode"));
        }
        let parsed = steps.iter().rev().find(|step| {
            step.output.is_some()
                && (step.path.ends_with(".analyse") || step.path.ends_with(".secondary"))
        });
        let suggested_rows =
            parsed.and_then(|step| step.output.as_deref()).map(suggest).unwrap_or_default();
        let on_failure = &self.rule.failure;
        Explanation { result, steps, suggested_rows, warnings, on_failure }
    }
}

/// A row for each member of a document.
fn suggest(document: &str) -> Vec<rule::Row> {
    let Ok(node) = rule::Node::parse_json(document, SHOWN_BYTES_MAX * 2) else { return Vec::new() };
    let row = |key: &str| rule::Row {
        key: key.to_owned(),
        operate: rule::Operate::Mapping(key.to_owned()),
        value_type: rule::ValueType::Original,
        truncate: false,
        on_missing: rule::OnMissing::Null,
        ops: Vec::new(),
        when: None,
    };
    node.keys().filter(|key| !key.is_empty()).map(row).collect()
}

fn shown(value: Option<Value<'_>>) -> Option<String> {
    value.map(|value| to_short_text(value, SHOWN_BYTES_MAX))
}

fn push(ctx: &Context<'_>, step: impl FnOnce() -> Step) {
    if let Some(steps) = &ctx.steps {
        let mut steps = steps.borrow_mut();
        if steps.len() < STEPS_MAX {
            steps.push(step());
        }
    }
}

/// Notes a step, if somebody wants to know.
pub(crate) fn trace(
    ctx: &Context<'_>,
    place: &Place,
    status: StepStatus,
    input: Option<Value<'_>>,
    output: Option<Value<'_>>,
) {
    push(ctx, || Step {
        path: place.path.to_string(),
        status,
        input: shown(input),
        output: shown(output),
        matched: None,
        error: None,
    });
}

pub(crate) fn trace_error(
    ctx: &Context<'_>,
    place: &Place,
    input: Option<Value<'_>>,
    error: &RecordError,
) {
    push(ctx, || Step {
        path: place.path.to_string(),
        status: StepStatus::Failed,
        input: shown(input),
        output: None,
        matched: None,
        error: Some(error.clone()),
    });
}

pub(crate) fn trace_match(ctx: &Context<'_>, place: &Place, matched: bool) {
    push(ctx, || Step {
        path: place.path.to_string(),
        status: StepStatus::Ok,
        input: None,
        output: None,
        matched: Some(matched),
        error: None,
    });
}

/// Notes how a step ended and hands its result on.
pub(crate) fn trace_result<'a>(
    ctx: &Context<'a>,
    place: &Place,
    input: Option<Value<'a>>,
    result: Result<Value<'a>, RecordError>,
) -> Result<Value<'a>, RecordError> {
    if ctx.steps.is_some() {
        match &result {
            Ok(value) => trace(ctx, place, StepStatus::Ok, input, Some(*value)),
            Err(error) => trace_error(ctx, place, input, error),
        }
    }
    result
}
