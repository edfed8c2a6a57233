//! Texts with `${…}`: topics, header values.

use crate::{
    context::Context,
    convert,
    date::{Pattern, Zone},
    error::{ErrorCode, Fallible, Fault},
    rule::OnMissing,
    value::{Map, Value, lookup},
};

#[derive(Debug)]
enum Piece {
    Literal(String),
    Topic,
    Partition,
    Offset,
    Field(String),
    Header(String),
    /// The record's time in UTC.
    Time(Pattern),
}

/// A compiled text.
#[derive(Debug)]
pub(crate) struct TextTemplate(Vec<Piece>);

impl TextTemplate {
    pub(crate) fn compile(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            literal.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                literal.push('$');
                rest = after;
                continue;
            }
            let Some((name, after)) =
                after.strip_prefix('{').and_then(|inner| inner.split_once('}'))
            else {
                return Err("a dollar without ${…}; $$ is a dollar".to_owned());
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(piece(name)?);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(Self(pieces))
    }

    pub(crate) fn apply<'a>(&self, ctx: &Context<'a>, document: Map<'a>) -> Fallible<&'a str> {
        let missing = |what: &str, name: &str| {
            Fault::new(ErrorCode::TemplateField, format!("the record has no {what} {name:?}"))
        };
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => out.push_str(text),
                Piece::Topic => out.push_str(ctx.record.topic),
                Piece::Partition => out.push_str(&ctx.record.partition.to_string()),
                Piece::Offset => out.push_str(&ctx.record.offset.to_string()),
                Piece::Field(name) => match lookup(document, name) {
                    None | Some(Value::Null) => return Err(missing("field", name)),
                    Some(value) => out.push_str(convert::text_of(ctx, value)?),
                },
                Piece::Header(name) => {
                    let Some(text) = header_text(ctx, name)? else {
                        return Err(missing("header", name));
                    };
                    out.push_str(text);
                }
                Piece::Time(pattern) => {
                    let time = jiff::Timestamp::from_millisecond(ctx.record.timestamp_ms);
                    let Ok(time) = time else {
                        return Err(missing("time of the calendar", "timestamp"));
                    };
                    let mut text = bumpalo::collections::String::new_in(ctx.bump);
                    pattern.format(time, &Zone::Fixed(jiff::tz::Offset::UTC), &mut text);
                    out.push_str(&text);
                }
            }
            if out.len() > ctx.left() {
                ctx.charge(out.len())?;
            }
        }
        ctx.text(&out)
    }
}

fn piece(name: &str) -> Result<Piece, String> {
    Ok(match name.split_once(':') {
        None => match name {
            "topic" => Piece::Topic,
            "partition" => Piece::Partition,
            "offset" => Piece::Offset,
            other => return Err(format!("there is no ${{{other}}}")),
        },
        Some(("field", name)) if !name.is_empty() => Piece::Field(name.to_owned()),
        Some(("header", name)) if !name.is_empty() => Piece::Header(name.to_owned()),
        Some(("ts", pattern)) => Piece::Time(Pattern::compile(pattern)?),
        Some((other, _)) => return Err(format!("there is no ${{{other}:…}}")),
    })
}

/// The last header of a name, as text; `None` when there is none, or when it has no value.
pub(crate) fn header_text<'a>(ctx: &Context<'a>, name: &str) -> Fallible<Option<&'a str>> {
    let found = ctx.record.headers.iter().rev().find(|(found, _)| *found == name);
    let Some((_, Some(bytes))) = found else { return Ok(None) };
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Some(text)),
        Err(error) => {
            let cause = format!("the header {name:?} is not UTF-8 (byte {})", error.valid_up_to());
            Err(Fault::new(ErrorCode::NotText, cause))
        }
    }
}

/// What a row makes of a source that is missing.
pub(crate) fn on_missing<'a>(
    policy: OnMissing,
    code: ErrorCode,
    what: impl FnOnce() -> String,
) -> Fallible<Option<Value<'a>>> {
    match policy {
        OnMissing::Null => Ok(Some(Value::Null)),
        OnMissing::Skip => Ok(None),
        OnMissing::Fail => Err(Fault::new(code, what())),
    }
}
