//! An explanation as JSON, for interfaces.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Explanation, Step, StepStatus};
use crate::{
    error::RecordError,
    json::write_string,
    record::{DropReason, Output, Outputs},
    rule::{self, Failure},
};

impl Explanation<'_> {
    /// The explanation as one JSON object: `status` (`ok`, `filtered`, `failed`, `passed`), `steps`, `outputs`, `error`,
    /// `on_failure`, `suggested_rows`, `warnings`. Bytes that are not UTF-8 are base64, which `encoding` tells.
    pub fn to_json(&self) -> String {
        let mut out = Writer::default();
        out.open('{');
        out.text("status", status(&self.result));
        if let Ok(Outputs { dropped: Some(reason), .. }) = &self.result {
            out.text("reason", reason_name(*reason));
        }
        out.list("steps", &self.steps, step);
        let outputs = self.result.as_ref().map_or(&[][..], |outputs| outputs.records);
        out.list("outputs", outputs, output);
        match &self.result {
            Ok(_) => out.raw("error", "null"),
            Err(found) => {
                out.key("error");
                error(found, &mut out);
            }
        }
        out.text("on_failure", failure(self.on_failure));
        out.list("suggested_rows", &self.suggested_rows, suggested);
        out.list("warnings", &self.warnings, |warning, out| out.string(warning));
        out.close('}');
        String::from_utf8(out.bytes).unwrap_or_default()
    }
}

fn status(result: &Result<Outputs<'_>, RecordError>) -> &'static str {
    match result {
        Err(_) => "failed",
        Ok(outputs) if outputs.is_untouched => "passed",
        Ok(outputs) if outputs.dropped.is_some() => "filtered",
        Ok(_) => "ok",
    }
}

fn reason_name(reason: DropReason) -> &'static str {
    match reason {
        DropReason::Filtered => "filtered",
        DropReason::Guard => "guard",
        DropReason::EmptyArray => "empty_array",
        DropReason::Sampled => "sampled",
        DropReason::Duplicate => "duplicate",
        DropReason::Throttled => "throttled",
    }
}

fn failure(failure: &Failure) -> &'static str {
    match failure {
        Failure::Discard => "discard",
        Failure::Retain => "retain",
        Failure::PassRaw => "pass_raw",
        Failure::Dlq(_) => "dlq",
    }
}

fn step(step: &Step, out: &mut Writer) {
    out.open('{');
    out.text("step", &step.path);
    let status = match step.status {
        StepStatus::Ok => "ok",
        StepStatus::Skipped => "skipped",
        StepStatus::Failed => "failed",
    };
    out.text("status", status);
    for (name, shown) in [("input", &step.input), ("output", &step.output)] {
        match shown {
            None => {}
            // What was cut off is no JSON any more.
            Some(shown) if shown.ends_with('…') => out.text(name, shown),
            Some(shown) => out.raw(name, shown),
        }
    }
    if let Some(matched) = step.matched {
        out.raw("matched", if matched { "true" } else { "false" });
    }
    if let Some(found) = &step.error {
        out.text("error", found.code.as_str());
    }
    out.close('}');
}

fn output(output: &Output<'_>, out: &mut Writer) {
    out.open('{');
    out.bytes("key", "key_encoding", output.key);
    out.bytes("value", "encoding", output.value);
    out.key("headers");
    out.open('[');
    for (name, value) in output.headers {
        out.item();
        out.open('{');
        out.text("name", name);
        out.bytes("value", "encoding", *value);
        out.close('}');
    }
    out.close(']');
    if let Some(topic) = output.topic {
        out.text("topic", topic);
    }
    out.raw("copies", &output.copies.to_string());
    out.close('}');
}

fn error(error: &RecordError, out: &mut Writer) {
    out.open('{');
    out.text("code", error.code.as_str());
    out.text("step", &error.path);
    out.text("message", &error.cause);
    out.text("cure", error.cure());
    let number =
        |number: Option<usize>| number.map_or_else(|| "null".to_owned(), |at| at.to_string());
    out.raw("byte_offset", &number(error.byte_offset));
    out.raw("array_element", &number(error.array_element));
    out.close('}');
}

fn suggested(row: &rule::Row, out: &mut Writer) {
    out.open('{');
    out.text("key", &row.key);
    out.text("operate", "mapping");
    out.text("value", &row.key);
    out.text("type", "original");
    out.close('}');
}

/// JSON as it grows.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn open(&mut self, bracket: char) {
        self.bytes.push(bracket as u8);
    }

    fn close(&mut self, bracket: char) {
        self.bytes.push(bracket as u8);
    }

    /// A comma, unless this is the first one.
    fn item(&mut self) {
        if !matches!(self.bytes.last(), None | Some(b'{' | b'[')) {
            self.bytes.push(b',');
        }
    }

    fn string(&mut self, text: &str) {
        write_string(text, &mut self.bytes);
    }

    fn key(&mut self, name: &str) {
        self.item();
        self.string(name);
        self.bytes.push(b':');
    }

    fn text(&mut self, name: &str, text: &str) {
        self.key(name);
        self.string(text);
    }

    /// `json` is JSON already.
    fn raw(&mut self, name: &str, json: &str) {
        self.key(name);
        self.bytes.extend_from_slice(json.as_bytes());
    }

    fn bytes(&mut self, name: &str, encoding: &str, bytes: Option<&[u8]>) {
        match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
            None => self.raw(name, "null"),
            Some((_, Ok(text))) => {
                self.text(name, text);
                self.text(encoding, "text");
            }
            Some((bytes, Err(_))) => {
                self.text(name, &STANDARD.encode(bytes));
                self.text(encoding, "base64");
            }
        }
    }

    fn list<T>(&mut self, name: &str, items: &[T], mut each: impl FnMut(&T, &mut Self)) {
        self.key(name);
        self.open('[');
        for item in items {
            self.item();
            each(item, self);
        }
        self.close(']');
    }
}
