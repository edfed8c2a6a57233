//! Conditions and filters.

mod ip;
mod numeric;

pub(crate) use ip::Networks;
pub(crate) use numeric::Comparison;

use regex::Regex;

use crate::{
    context::Context,
    error::Fallible,
    jsonpath::JsonPath,
    value::{Map, Value},
};

/// A compiled condition.
#[derive(Debug)]
pub(crate) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    /// A test of a field.
    Field(Field, Test),
    /// The record had no value.
    Tombstone,
    TopicMatches(Regex),
    Header {
        name: String,
        value: Option<String>,
    },
}

#[derive(Debug)]
pub(crate) enum Field {
    Key(String),
    Path(JsonPath),
}

#[derive(Debug)]
pub(crate) enum Test {
    Prefix(String),
    Suffix(String),
    Contains(String),
    Except(Literal),
    Equals(Literal),
    In(Vec<Literal>),
    Number(Comparison),
    Ip(Networks),
    NotNull,
    IsNull,
    Exists,
    Regex(Regex),
}

/// What a value is compared with: a quoted one equals strings only.
#[derive(Debug)]
pub(crate) struct Literal {
    pub(crate) text: String,
    pub(crate) is_quoted: bool,
}

impl Literal {
    fn equals(&self, value: Option<Value<'_>>) -> bool {
        match value {
            Some(Value::String(text)) => text == self.text,
            Some(Value::Null) => !self.is_quoted && self.text == "null",
            Some(value) => !self.is_quoted && value.text() == Some(self.text.as_str()),
            None => false,
        }
    }
}

impl Condition {
    pub(crate) fn holds<'a>(&self, ctx: &Context<'a>, document: Map<'a>) -> Fallible<bool> {
        Ok(match self {
            Self::All(conditions) => {
                for condition in conditions {
                    if !condition.holds(ctx, document)? {
                        return Ok(false);
                    }
                }
                true
            }
            Self::Any(conditions) => {
                for condition in conditions {
                    if condition.holds(ctx, document)? {
                        return Ok(true);
                    }
                }
                false
            }
            Self::Not(condition) => !condition.holds(ctx, document)?,
            Self::Field(Field::Key(key), test) => test.holds(document.get(key)),
            Self::Field(Field::Path(path), test) => test.holds_at(ctx, path, document)?,
            Self::Tombstone => ctx.record.value.is_none(),
            Self::TopicMatches(regex) => regex.is_match(ctx.record.topic),
            Self::Header { name, value } => {
                let mut headers = ctx.record.headers.iter().filter(|(found, _)| found == name);
                match value {
                    None => headers.next().is_some(),
                    Some(value) => headers.any(|(_, found)| *found == Some(value.as_bytes())),
                }
            }
        })
    }
}

impl Test {
    fn holds(&self, value: Option<Value<'_>>) -> bool {
        let text = || value.and_then(Value::text);
        match self {
            Self::Prefix(wanted) => text().is_some_and(|text| text.starts_with(wanted)),
            Self::Suffix(wanted) => text().is_some_and(|text| text.ends_with(wanted)),
            Self::Contains(wanted) => text().is_some_and(|text| text.contains(wanted)),
            Self::Except(wanted) => !wanted.equals(value),
            Self::Equals(wanted) => wanted.equals(value),
            Self::In(wanted) => wanted.iter().any(|wanted| wanted.equals(value)),
            Self::Number(comparison) => match value {
                Some(Value::Number(text) | Value::String(text)) => comparison.holds(text),
                _ => false,
            },
            Self::Ip(networks) => {
                matches!(value, Some(Value::String(text)) if networks.contains(text))
            }
            Self::NotNull => value.is_some_and(|value| value != Value::Null),
            Self::IsNull => value.is_none_or(|value| value == Value::Null),
            Self::Exists => value.is_some(),
            Self::Regex(regex) => text().is_some_and(|text| regex.is_match(text)),
        }
    }

    /// Of several values one must fit; for the tests that refuse, all.
    fn holds_at<'a>(
        &self,
        ctx: &Context<'a>,
        path: &JsonPath,
        document: Map<'a>,
    ) -> Fallible<bool> {
        let found = path.evaluate(ctx, Value::Map(document))?;
        if path.is_definite() || path.has_function() {
            return Ok(self.holds(found));
        }
        let Some(Value::Array(values)) = found else { return Ok(self.holds(found)) };
        if values.is_empty() {
            return Ok(self.holds(None));
        }
        Ok(match self {
            Self::Except(_) | Self::NotNull => values.iter().all(|value| self.holds(Some(*value))),
            _ => values.iter().any(|value| self.holds(Some(*value))),
        })
    }
}
