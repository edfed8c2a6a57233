//! Records that failed, as records for a dead letter topic. Header names are Kafka Connect's where the meaning is the same.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;

use crate::{
    error::{RecordError, clip},
    json::write_string,
    record::Record,
    rule::Dlq,
};

/// What the task knows about a failure besides the record and its error.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Name of the task.
    pub task_name: &'a str,
    /// Id of the task.
    pub task_id: &'a str,
    /// Number of the worker.
    pub worker: u32,
    /// Revision of the rule.
    pub rule_version: u64,
    /// When it failed.
    pub failed_at: Timestamp,
    /// Attempts to write the record; 0 when the rule failed.
    pub attempts: u32,
}

/// A record for the dead letter topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The original key.
    pub key: Option<Vec<u8>>,
    /// The original value, or the envelope.
    pub value: Option<Vec<u8>>,
    /// The original headers, then those that tell the reason.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
    /// Milliseconds since 1970, as on the source.
    pub timestamp_ms: i64,
}

/// The dead letter of `record`.
pub fn dead_letter(
    record: &Record<'_>,
    error: &RecordError,
    dlq: &Dlq,
    context: &Context<'_>,
) -> DeadLetter {
    let reasons = reasons(record, error, context);
    let is_ours = |name: &str| reasons.iter().any(|(ours, _)| *ours == name);
    let kept = record.headers.iter().filter(|(name, _)| !is_ours(name));
    let mut headers: Vec<(String, Option<Vec<u8>>)> =
        kept.map(|(name, value)| ((*name).to_owned(), value.map(<[u8]>::to_vec))).collect();
    headers.extend(
        reasons.into_iter().map(|(name, value)| (name.to_owned(), Some(value.into_bytes()))),
    );
    let value = if dlq.envelope {
        Some(envelope(record, error, context))
    } else {
        record.value.map(<[u8]>::to_vec)
    };
    DeadLetter {
        key: record.key.map(<[u8]>::to_vec),
        value,
        headers,
        timestamp_ms: record.timestamp_ms,
    }
}

fn reasons(
    record: &Record<'_>,
    error: &RecordError,
    context: &Context<'_>,
) -> Vec<(&'static str, String)> {
    let message = clip(&format!("{}; {}", error.cause, error.cure()));
    let mut headers = vec![
        ("__connect.errors.topic", record.topic.to_owned()),
        ("__connect.errors.partition", record.partition.to_string()),
        ("__connect.errors.offset", record.offset.to_string()),
        ("__connect.errors.connector.name", context.task_name.to_owned()),
        ("__connect.errors.task.id", context.worker.to_string()),
        ("__connect.errors.stage", error.stage().as_str().to_owned()),
        ("__connect.errors.class.name", error.element.clone()),
        ("__connect.errors.exception.class.name", error.code.as_str().to_owned()),
        ("__connect.errors.exception.message", message),
        ("__dlq.task.id", context.task_id.to_owned()),
        ("__dlq.rule.version", context.rule_version.to_string()),
        ("__dlq.error.path", error.path.clone()),
    ];
    headers.extend(error.byte_offset.map(|offset| ("__dlq.error.offset", offset.to_string())));
    headers.push(("__dlq.failed.at", context.failed_at.to_string()));
    headers.push(("__dlq.attempts", context.attempts.to_string()));
    headers
}

/// Everything in one JSON value; bytes that are not UTF-8 stand in base64.
fn envelope(record: &Record<'_>, error: &RecordError, context: &Context<'_>) -> Vec<u8> {
    let mut out = Envelope(String::new());
    out.raw("{\"source\":{\"topic\":");
    out.text(record.topic);
    let _ = write!(
        out.0,
        ",\"partition\":{},\"offset\":{},\"timestamp\":{},\"key_b64\":",
        record.partition, record.offset, record.timestamp_ms
    );
    out.base64(record.key);
    out.raw(",\"headers\":[");
    for (index, (name, value)) in record.headers.iter().enumerate() {
        out.raw(if index > 0 { ",[" } else { "[" });
        out.text(name);
        out.raw(",");
        out.base64(*value);
        out.raw("]");
    }
    out.raw("]},\"error\":{\"code\":");
    out.text(error.code.as_str());
    out.raw(",\"stage\":");
    out.text(error.stage().as_str());
    out.raw(",\"path\":");
    out.text(&error.path);
    out.raw(",\"message\":");
    out.text(&error.cause);
    out.raw("},\"task\":{\"id\":");
    out.text(context.task_id);
    out.raw(",\"name\":");
    out.text(context.task_name);
    let _ = write!(out.0, ",\"rule_version\":{}}},\"failed_at\":", context.rule_version);
    out.text(&context.failed_at.to_string());
    match record.value.map(std::str::from_utf8) {
        None => out.raw(",\"value\":null"),
        Some(Ok(text)) => {
            out.raw(",\"value\":");
            out.text(text);
        }
        Some(Err(_)) => {
            out.raw(",\"value_b64\":");
            out.base64(record.value);
        }
    }
    out.raw("}");
    out.0.into_bytes()
}

struct Envelope(String);

impl Envelope {
    fn raw(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn text(&mut self, text: &str) {
        let mut bytes = Vec::with_capacity(text.len() + 2);
        write_string(text, &mut bytes);
        self.0.push_str(std::str::from_utf8(&bytes).unwrap_or_default());
    }

    fn base64(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None => self.raw("null"),
            Some(bytes) => {
                let text = STANDARD.encode(bytes);
                self.text(&text);
            }
        }
    }
}
