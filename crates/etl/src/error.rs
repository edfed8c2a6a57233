//! What can be wrong: with a rule ([`RuleError`], all at once) and with a record ([`RecordError`], the first one).
//!
//! Every error says the place (path in the rule, position in the message), the cause and the cure.

mod code;

pub use code::{ErrorCode, Stage};

use std::fmt;

use thiserror::Error;

/// Characters of message data that an error text may quote.
const QUOTE_CHARS_MAX: usize = 64;
/// Bytes of an error text, so that it fits into a record header.
const TEXT_BYTES_MAX: usize = 1024;

/// One thing that is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path}: {cause} ({code}); {cure}")]
pub struct RuleError {
    /// Where in the rule, such as `chains[0].rows[3].ops[1].regex`.
    pub path: String,
    /// Kind of the error, stable.
    pub code: ErrorCode,
    /// What is wrong.
    pub cause: String,
    /// What to do about it.
    pub cure: String,
    /// Line in the text of the rule, from 1, where the rule was read from text.
    pub line: Option<u32>,
}

impl RuleError {
    pub(crate) fn new(path: impl Into<String>, code: ErrorCode, cause: impl Into<String>) -> Self {
        let cause = clip(&cause.into());
        Self { path: path.into(), code, cause, cure: code.cure().to_owned(), line: None }
    }
}

/// Everything that is wrong with a rule; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleErrors(Vec<RuleError>);

impl RuleErrors {
    /// The errors in the order of the rule, or `Ok` when there are none.
    pub(crate) fn check(mut errors: Vec<RuleError>) -> Result<(), Self> {
        let mut seen = std::collections::BTreeSet::new();
        errors.retain(|error| seen.insert((error.path.clone(), error.code)));
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }

    pub(crate) fn one(error: RuleError) -> Self {
        Self(vec![error])
    }

    /// The errors.
    pub fn iter(&self) -> std::slice::Iter<'_, RuleError> {
        self.0.iter()
    }
}

impl<'a> IntoIterator for &'a RuleErrors {
    type Item = &'a RuleError;
    type IntoIter = std::slice::Iter<'a, RuleError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl fmt::Display for RuleErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            if let Some(line) = error.line {
                write!(f, "line {line}: ")?;
            }
            write!(f, "{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for RuleErrors {}

/// Why one record could not be processed. The same record and rule always give the same error.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path}: {cause} ({code}); {}", code.cure())]
pub struct RecordError {
    /// Kind of the error, stable.
    pub code: ErrorCode,
    /// Step of the rule, such as `chains[0].rows[2].ops[0]`.
    pub path: String,
    /// The step in words, such as `chain[0].row[userId].op[0]:date`.
    pub element: String,
    /// What is wrong; quotes at most 64 characters of the message.
    pub cause: String,
    /// Byte offset in the text that the step read (the message value for the first step), where known.
    pub byte_offset: Option<usize>,
    /// Index in the JSON array that the message holds, in array mode.
    pub array_element: Option<usize>,
    /// The schema that has to be fetched and given to [`Compiled::add_schema`](crate::Compiled::add_schema), when that is all
    /// that is missing: the record can be tried again then.
    pub missing_schema: Option<u32>,
}

impl RecordError {
    /// What to do about it.
    pub fn cure(&self) -> &'static str {
        self.code.cure()
    }

    /// In which stage of the pipeline it happened, in Kafka Connect's words.
    pub fn stage(&self) -> Stage {
        self.code.stage()
    }
}

/// A place in the rule, made once when the rule is compiled.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) path: Box<str>,
    pub(crate) element: Box<str>,
}

impl Place {
    pub(crate) fn new(path: impl Into<Box<str>>, element: impl Into<Box<str>>) -> Self {
        Self { path: path.into(), element: element.into() }
    }
}

/// An error of a step that does not know its place yet.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) code: ErrorCode,
    pub(crate) cause: String,
    pub(crate) byte_offset: Option<usize>,
    pub(crate) missing_schema: Option<u32>,
}

/// Boxed: the way without errors should not carry its size.
pub(crate) type Fallible<T> = Result<T, Box<Fault>>;

impl Fault {
    pub(crate) fn new(code: ErrorCode, cause: impl Into<String>) -> Box<Self> {
        Box::new(Self { code, cause: cause.into(), byte_offset: None, missing_schema: None })
    }

    pub(crate) fn at(code: ErrorCode, offset: usize, cause: impl Into<String>) -> Box<Self> {
        Box::new(Self {
            code,
            cause: cause.into(),
            byte_offset: Some(offset),
            missing_schema: None,
        })
    }

    pub(crate) fn place(self, place: &Place) -> RecordError {
        RecordError {
            code: self.code,
            path: place.path.to_string(),
            element: place.element.to_string(),
            cause: clip(&self.cause),
            byte_offset: self.byte_offset,
            array_element: None,
            missing_schema: self.missing_schema,
        }
    }
}

/// Quotes message data for an error text.
pub(crate) fn quote(data: &str) -> String {
    let mut text: String =
        data.chars().take(QUOTE_CHARS_MAX).flat_map(char::escape_debug).collect();
    if data.chars().nth(QUOTE_CHARS_MAX).is_some() {
        text.push('…');
    }
    format!("\"{text}\"")
}

pub(crate) fn clip(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    let end = (0..=TEXT_BYTES_MAX - 3).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &text[..end])
}
