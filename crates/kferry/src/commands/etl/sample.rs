//! Messages that a rule is tried on.

use std::path::Path;

use etl::{Compiled, Explanation, Header, Record, Scratch};
use jiff::Timestamp;

use super::rule_file;
use crate::{cli::TestArgs, failure::Failure};

/// One message, and where it is from.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
    pub(super) timestamp_ms: i64,
    pub(super) topic: String,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// The line of a file.
    pub(super) line: Option<usize>,
}

impl Sample {
    /// Runs the rule on it and hands what happened to `then`.
    pub(super) fn explain<T>(
        &self,
        rule: &Compiled,
        now: Timestamp,
        scratch: &mut Scratch,
        then: impl FnOnce(&Explanation<'_>) -> T,
    ) -> T {
        let headers: Vec<Header<'_>> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        let record = Record {
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: &headers,
            timestamp_ms: self.timestamp_ms,
            topic: &self.topic,
            partition: self.partition,
            offset: self.offset,
        };
        then(&rule.explain(&record, now, scratch))
    }

    /// The schema that the rule lacks for it.
    pub(super) fn missing_schema(&self, rule: &Compiled, now: Timestamp) -> Option<u32> {
        let mut scratch = Scratch::new();
        self.explain(rule, now, &mut scratch, |explanation| {
            explanation.result.as_ref().err().and_then(|error| error.missing_schema)
        })
    }

    /// The line of the file, or the place in the topic.
    pub(super) fn place(&self) -> String {
        match self.line {
            Some(line) => format!("line {line}"),
            None => format!("{}:{}@{}", self.topic, self.partition, self.offset),
        }
    }
}

/// The messages of a file, or of `content`, with what the command line says about them.
///
/// # Errors
/// A usage [`Failure`] when the file cannot be read, or there is nothing in it.
pub(super) fn of_command_line(
    args: &TestArgs,
    content: Option<&str>,
    now: Timestamp,
) -> Result<Vec<Sample>, Failure> {
    let (name, values) = match (&args.sample, content) {
        _ if args.tombstone => (String::new(), vec![(1, None)]),
        (Some(path), _) => {
            if args.rule == *path && path == Path::new("-") {
                return Err(Failure::usage("rule and sample cannot both be standard input")
                    .cure("give one of them as a file"));
            }
            let bytes = rule_file::bytes(path)?;
            let values = if args.whole { vec![(1, Some(bytes))] } else { lines(&bytes) };
            (path.display().to_string(), values)
        }
        // What stands in a rule is one message.
        (None, Some(content)) => (String::new(), vec![(1, Some(content.as_bytes().to_vec()))]),
        (None, None) => {
            return Err(Failure::usage("there are no messages to try the rule on").cure(
                "give --sample FILE, --fetch CONNECTION TOPIC, or write them under spec.sample of the rule",
            ));
        }
    };
    if values.is_empty() {
        return Err(Failure::usage(format!("{name}: there is no message in it"))
            .cure("write one message a line, or say --whole"));
    }
    let headers: Vec<(String, Option<Vec<u8>>)> = args
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), Some(value.clone().into_bytes())))
        .collect();
    let sample = |(index, (line, value)): (usize, (usize, Option<Vec<u8>>))| Sample {
        key: args.key.clone().map(String::into_bytes),
        value,
        headers: headers.clone(),
        timestamp_ms: now.as_millisecond(),
        topic: args.topic.clone(),
        partition: 0,
        offset: i64::try_from(index).unwrap_or(i64::MAX),
        line: Some(line),
    };
    Ok(values.into_iter().enumerate().map(sample).collect())
}

/// The lines that are not empty, with their numbers.
fn lines(bytes: &[u8]) -> Vec<(usize, Option<Vec<u8>>)> {
    let lines = bytes.split(|byte| *byte == b'\n').enumerate();
    lines
        .map(|(index, line)| (index + 1, line.strip_suffix(b"\r").unwrap_or(line)))
        .filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| (number, Some(line.to_vec())))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn a_message_a_line() {
        let check = |text: &str, expected: &[(usize, &str)]| {
            let found = lines(text.as_bytes());
            let expected: Vec<(usize, Option<Vec<u8>>)> = expected
                .iter()
                .map(|(line, text)| (*line, Some(text.as_bytes().to_vec())))
                .collect();
            assert_eq!(found, expected, "{text:?}");
        };
        check("a\nb\n", &[(1, "a"), (2, "b")]);
        check("a\r\n\r\n b", &[(1, "a"), (3, " b")]);
        check("", &[]);
    }
}
