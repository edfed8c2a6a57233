//! Value ops, compiled. Every op maps null to null, except `default`.

mod encode;
mod hash;
mod kv;
mod mask;
mod text;

pub(crate) use hash::Hasher;
pub(crate) use kv::Kv;
pub(crate) use mask::Redaction;
pub(crate) use text::regex_replace;

use regex::Regex;

use crate::{
    charset::Charset,
    context::Context,
    convert,
    date::DateOp,
    error::{ErrorCode, Fallible, Fault, Place, quote},
    expression::{self, Expression},
    json::{self, DEPTH_MAX, Wanted},
    jsonpath::{self, JsonPath},
    pattern::Piece,
    value::{Map, Value},
};

/// An op and its place in the rule.
#[derive(Debug)]
pub(crate) struct Op {
    pub(crate) place: Place,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Replace { old: String, new: String },
    Substr { start: usize, end: Option<usize> },
    Date(DateOp),
    Trim,
    RegexReplace { regex: Regex, pieces: Vec<Piece> },
    Split { delimiter: String },
    SplitRegex { regex: Regex },
    JsonPathReplace { old: JsonPath, new: Replacement },
    UrlDecode { charset: Charset },
    Lowercase,
    Uppercase,
    Default { value: String },
    Hash(Hasher),
    Mask { keep_first: usize, keep_last: usize, character: char },
    Redact(Redaction),
    UrlEncode,
    Base64Encode,
    Base64Decode,
    JsonEncode,
    JsonDecode,
    Math(Expression),
}

#[derive(Debug)]
pub(crate) enum Replacement {
    Path(JsonPath),
    Text(String),
}

impl Op {
    /// What the op makes of `value`; `document` is what expressions see.
    pub(crate) fn apply<'a>(
        &self,
        ctx: &Context<'a>,
        value: Value<'a>,
        document: Map<'a>,
    ) -> Fallible<Value<'a>> {
        match &self.kind {
            Kind::Default { value: default } => {
                let is_missing = matches!(value, Value::Null | Value::String(""));
                return if is_missing { Ok(Value::String(ctx.text(default)?)) } else { Ok(value) };
            }
            Kind::Math(expression) => {
                return expression::evaluate(ctx, expression, value, document);
            }
            _ if value == Value::Null => return Ok(value),
            Kind::Date(date) => return date.apply(ctx, value),
            Kind::JsonEncode => return Ok(Value::String(json::to_text(ctx, value)?)),
            Kind::JsonPathReplace { old, new } => return json_path_replace(ctx, value, old, new),
            Kind::Hash(hasher) => return hasher.apply(ctx, convert::text_of(ctx, value)?),
            _ => {}
        }
        let Some(text) = value.text() else {
            let cause = format!("the op works on text, found {}", value.kind());
            return Err(Fault::new(ErrorCode::OpType, cause));
        };
        self.apply_text(ctx, text)
    }

    fn apply_text<'a>(&self, ctx: &Context<'a>, text: &'a str) -> Fallible<Value<'a>> {
        let changed = match &self.kind {
            Kind::Replace { old, new } => text::replace(ctx, text, old, new)?,
            Kind::Substr { start, end } => text::substr(text, *start, *end),
            Kind::Trim => {
                text.trim_matches(|character: char| character <= ' ' || character.is_whitespace())
            }
            Kind::RegexReplace { regex, pieces } => regex_replace(ctx, text, regex, pieces)?,
            Kind::Split { delimiter } => return text::array(ctx, text.split(delimiter.as_str())),
            Kind::SplitRegex { regex } => return text::array(ctx, regex.split(text)),
            Kind::UrlDecode { charset } => encode::url_decode(ctx, text, *charset)?,
            Kind::Lowercase => text::changed(ctx, text, str::to_lowercase)?,
            Kind::Uppercase => text::changed(ctx, text, str::to_uppercase)?,
            Kind::Mask { keep_first, keep_last, character } => {
                mask::mask(ctx, text, *keep_first, *keep_last, *character)?
            }
            Kind::Redact(redaction) => redaction.apply(ctx, text)?,
            Kind::UrlEncode => encode::url_encode(ctx, text)?,
            Kind::Base64Encode => encode::base64_encode(ctx, text)?,
            Kind::Base64Decode => encode::base64_decode(ctx, text)?,
            Kind::JsonDecode => return json_of(ctx, text),
            _ => text,
        };
        Ok(Value::String(changed))
    }
}

/// JSON text inside a field.
fn json_of<'a>(ctx: &Context<'a>, text: &'a str) -> Fallible<Value<'a>> {
    json::parse(ctx, text, Wanted::All).map_err(|fault| {
        if fault.code == ErrorCode::WorkLimit {
            return fault;
        }
        Fault::new(ErrorCode::JsonInString, format!("{} is no JSON: {}", quote(text), fault.cause))
    })
}

fn json_path_replace<'a>(
    ctx: &Context<'a>,
    value: Value<'a>,
    old: &JsonPath,
    new: &Replacement,
) -> Fallible<Value<'a>> {
    let root = match value {
        Value::Map(_) | Value::Array(_) => value,
        Value::String(text) => json_of(ctx, text)?,
        other => {
            let cause =
                format!("the op works on a map, an array or JSON text, found {}", other.kind());
            return Err(Fault::new(ErrorCode::OpType, cause));
        }
    };
    let new = match new {
        Replacement::Text(text) => Some(Value::String(ctx.text(text)?)),
        // A path that leads nowhere has nothing to set.
        Replacement::Path(path) => path.evaluate(ctx, root)?,
    };
    let Some(new) = new else { return Ok(value) };
    let Some(replaced) = jsonpath::replace(ctx, old, root, new)? else { return Ok(value) };
    check_depth(ctx, replaced, 1)?;
    match value {
        Value::String(_) => Ok(Value::String(json::to_text(ctx, replaced)?)),
        _ => Ok(replaced),
    }
}

/// A value may be put into itself again and again: everything that walks values recursively relies on this bound.
pub(crate) fn check_depth(ctx: &Context<'_>, value: Value<'_>, depth: usize) -> Fallible<()> {
    ctx.charge(4)?;
    if depth > DEPTH_MAX {
        return Err(Fault::new(
            ErrorCode::JsonDepth,
            format!("the result is nested deeper than {DEPTH_MAX}"),
        ));
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| check_depth(ctx, *item, depth + 1)),
        Value::Map(map) => {
            map.entries.iter().try_for_each(|(_, value)| check_depth(ctx, *value, depth + 1))
        }
        _ => Ok(()),
    }
}
