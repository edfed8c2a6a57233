//! What a rule did with one message, as lines and as an object.

use etl::{DropReason, Explanation, RecordError, Step, StepStatus, rule::Failure as Policy};
use serde_json::{Value, json};

use super::{sample::Sample, test::Ending};
use crate::output::{
    Output,
    text::{self, Paint},
};

/// Characters of a value that are shown.
const VALUE_CHARS_MAX: usize = 160;
/// Characters before and behind the place of an error.
const AROUND_CHARS: usize = 24;

/// Shows one message; tells how it ended and how many records it gives.
pub(super) fn message(
    number: usize,
    sample: &Sample,
    explanation: &Explanation<'_>,
    output: &Output,
    paint: Paint,
) -> (Ending, usize) {
    let (ending, word, records) = match &explanation.result {
        Err(_) => (Ending::Failed, paint.bad("failed"), 0),
        Ok(outputs) => match outputs.dropped {
            Some(reason) => (Ending::Left, paint.odd(reason_text(reason)), 0),
            None if outputs.is_untouched => {
                (Ending::Delivered, paint.good("delivered untouched"), outputs.records.len())
            }
            None => (Ending::Delivered, paint.good("delivered"), outputs.records.len()),
        },
    };
    if output.is_json() {
        output.line(&object(number, sample, explanation));
        return (ending, records);
    }
    let mut lines = vec![format!("message {number} ({}): {word}", text::safe(&sample.place()))];
    // Most rules have no secondary parsing.
    let is_shown =
        |step: &&Step| step.status != StepStatus::Skipped || !step.path.ends_with(".secondary");
    let steps = || explanation.steps.iter().filter(is_shown);
    let width = steps().map(|step| step.path.len()).max().unwrap_or(0);
    lines.extend(steps().map(|step| step_line(step, width, paint)));
    lines.extend(outputs(explanation));
    for error in errors(explanation) {
        lines.extend(error_lines(error, sample, paint));
    }
    if ending == Ending::Failed {
        lines.push(format!("    then: {}", policy_text(explanation.on_failure)));
    }
    lines.extend(
        explanation.warnings.iter().map(|warning| format!("  note: {}", text::safe(warning))),
    );
    for line in lines {
        output.text(&line);
    }
    (ending, records)
}

fn reason_text(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Filtered => "left out by the filter",
        DropReason::Guard => "left out by the guard",
        DropReason::EmptyArray => "left out, the array is empty",
        DropReason::Sampled => "left out by the sample",
        DropReason::Duplicate => "left out, seen before",
        DropReason::Throttled => "left out, above the rate",
    }
}

fn policy_text(policy: &Policy) -> String {
    match policy {
        Policy::Discard => {
            "a task leaves the record out and goes on (failure.policy discard)".to_owned()
        }
        Policy::Retain => "a task stops at the record (failure.policy retain)".to_owned(),
        Policy::PassRaw => {
            "a task writes the record as it came (failure.policy pass_raw)".to_owned()
        }
        Policy::Dlq(dlq) => {
            format!("a task writes the record to {} (failure.policy dlq)", text::safe(&dlq.topic))
        }
    }
}

/// The part of the work that a step belongs to.
fn stage(path: &str) -> &'static str {
    let is_parse = path == "guard" || path.ends_with(".analyse") || path.ends_with(".secondary");
    match path.split(['[', '.']).next() {
        _ if is_parse => "parse",
        Some("chains") => "process",
        Some("filter") => "filter",
        _ => "output",
    }
}

fn step_line(step: &Step, width: usize, paint: Paint) -> String {
    let what = match (step.status, step.matched) {
        (StepStatus::Failed, _) => paint.bad("FAILED"),
        (StepStatus::Skipped, _) => paint.dim("skipped"),
        (StepStatus::Ok, Some(true)) => "holds".to_owned(),
        (StepStatus::Ok, Some(false)) => "does not hold".to_owned(),
        (StepStatus::Ok, None) => {
            let made = short(step.output.as_deref().unwrap_or("nothing"));
            // The document before a whole step stands above it already.
            match &step.input {
                Some(input) if step.path.contains(".ops[") => format!("{} -> {made}", short(input)),
                _ => made,
            }
        }
    };
    format!("  {:<7}  {:width$}  {what}", stage(&step.path), step.path)
}

fn outputs(explanation: &Explanation<'_>) -> Vec<String> {
    let Ok(outputs) = &explanation.result else { return Vec::new() };
    let mut lines = Vec::new();
    for record in outputs.records {
        let topic = record.topic.map(|topic| format!(" topic {}", text::safe(topic)));
        let copies = (record.copies > 1).then(|| format!(" {} times", record.copies));
        lines.push(format!(
            "  output{}{}  {}",
            topic.unwrap_or_default(),
            copies.unwrap_or_default(),
            bytes(record.value)
        ));
        if record.key.is_some() {
            lines.push(format!("    key {}", bytes(record.key)));
        }
        let headers = record.headers.iter();
        lines.extend(
            headers
                .map(|(name, value)| format!("    header {}={}", text::safe(name), bytes(*value))),
        );
    }
    lines
}

fn bytes(bytes: Option<&[u8]>) -> String {
    match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
        None => "without a value".to_owned(),
        Some((_, Ok(text))) => short(text),
        Some((bytes, Err(_))) => text::preview(bytes, VALUE_CHARS_MAX),
    }
}

fn short(value: &str) -> String {
    let mut shown: String = value.chars().take(VALUE_CHARS_MAX).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    text::safe(&shown)
}

/// Every error: of the steps, and the one that ends the record if no step shows it.
fn errors<'e>(explanation: &'e Explanation<'_>) -> Vec<&'e RecordError> {
    let mut errors: Vec<&RecordError> =
        explanation.steps.iter().filter_map(|step| step.error.as_ref()).collect();
    if let Err(error) = &explanation.result
        && !errors.contains(&error)
    {
        errors.insert(0, error);
    }
    errors
}

fn error_lines(error: &RecordError, sample: &Sample, paint: Paint) -> Vec<String> {
    let element = error.array_element.map(|index| format!(" element {index} of the array,"));
    let mut lines = vec![format!(
        "  {}{} {}: {} ({})",
        paint.bad("error:"),
        element.unwrap_or_default(),
        error.path,
        text::safe(&error.cause),
        error.code.as_str()
    )];
    if let Some(offset) = error.byte_offset {
        let around = message_of(error, sample).and_then(|message| around(message, offset));
        lines.push(match around {
            Some(around) => format!("    at byte {offset}: {around}"),
            None => format!("    at byte {offset} of what the step read"),
        });
    }
    lines.push(format!("    cure: {}", error.cure()));
    lines
}

/// The message, if it is what the step read.
fn message_of<'s>(error: &RecordError, sample: &'s Sample) -> Option<&'s str> {
    let reads_message = ["guard", "chains[0].analyse", "chains[0]"].contains(&error.path.as_str());
    std::str::from_utf8(sample.value.as_deref()?).ok().filter(|_| reads_message)
}

/// The text around a byte, which `▸` stands before.
fn around(message: &str, offset: usize) -> Option<String> {
    let (before, behind) = message.split_at_checked(offset)?;
    let skipped = before.chars().count().saturating_sub(AROUND_CHARS);
    let start: String = before.chars().skip(skipped).collect();
    let end: String = behind.chars().take(AROUND_CHARS).collect();
    let dots = |is_cut: bool| if is_cut { "…" } else { "" };
    let cut = end.len() < behind.len();
    Some(format!("{}{}▸{}{}", dots(skipped > 0), text::safe(&start), text::safe(&end), dots(cut)))
}

/// The explanation with where the message is from; its values stand as they are, long numbers whole.
fn object(number: usize, sample: &Sample, explanation: &Explanation<'_>) -> String {
    let errors: Vec<Value> = errors(explanation)
        .into_iter()
        .map(|error| {
            json!({
                "code": error.code.as_str(), "stage": error.stage().as_str(), "step": error.path, "cause": error.cause,
                "cure": error.cure(), "byte_offset": error.byte_offset, "array_element": error.array_element,
            })
        })
        .collect();
    let head = json!({
        "type": "message", "number": number, "line": sample.line, "topic": sample.topic, "partition": sample.partition,
        "offset": sample.offset, "errors": errors,
    });
    let (head, rest) = (head.to_string(), explanation.to_json());
    format!("{},{}", &head[..head.len() - 1], &rest[1..])
}

#[cfg(test)]
mod tests {
    use super::{around, stage};

    #[test]
    fn places_in_messages() {
        let check = |message: &str, offset: usize, expected: Option<&str>| {
            assert_eq!(around(message, offset).as_deref(), expected, "{message} {offset}");
        };
        check("{\"a\":1,}", 7, Some("{\"a\":1,▸}"));
        check("abc", 3, Some("abc▸"));
        check("abc", 4, None);
        check("ä", 1, None);
        let long = "x".repeat(100);
        let around = around(&long, 50).unwrap();
        assert_eq!(around, format!("…{0}▸{0}…", "x".repeat(24)));
    }

    #[test]
    fn stages() {
        for (path, expected) in [
            ("guard", "parse"),
            ("chains[0].analyse", "parse"),
            ("chains[1].secondary", "parse"),
            ("chains[0].rows[0].ops[1]", "process"),
            ("chains[2]", "process"),
            ("filter.rules[0]", "filter"),
            ("output", "output"),
        ] {
            assert_eq!(stage(path), expected, "{path}");
        }
    }
}
