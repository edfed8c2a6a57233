//! Ops on text. What can make a text longer counts against the work that is left before it does.

use regex::Regex;

use crate::{context::Context, error::Fallible, pattern::Piece, value::Value};

pub(super) fn replace<'a>(
    ctx: &Context<'a>,
    text: &'a str,
    old: &str,
    new: &str,
) -> Fallible<&'a str> {
    let count = text.matches(old).count();
    if count == 0 {
        return Ok(text);
    }
    ctx.charge(text.len().saturating_add(count.saturating_mul(new.len())))?;
    Ok(ctx.bump.alloc_str(&text.replace(old, new)))
}

/// Code points from `start` to before `end`.
pub(super) fn substr(text: &str, start: usize, end: Option<usize>) -> &str {
    let position = |index: usize, from: usize| {
        text[from..].char_indices().nth(index).map_or(text.len(), |(offset, _)| from + offset)
    };
    let first = position(start, 0);
    let last = end.map_or(text.len(), |end| position(end.saturating_sub(start), first));
    &text[first..last]
}

pub(crate) fn regex_replace<'a>(
    ctx: &Context<'a>,
    text: &'a str,
    regex: &Regex,
    pieces: &[Piece],
) -> Fallible<&'a str> {
    let mut out = String::new();
    let mut from = 0;
    for captures in regex.captures_iter(text) {
        let Some(whole) = captures.get(0) else { continue };
        let before = out.len();
        out.push_str(&text[from..whole.start()]);
        for piece in pieces {
            match piece {
                Piece::Literal(literal) => out.push_str(literal),
                Piece::Group(index) => {
                    out.push_str(captures.get(*index).map_or("", |group| group.as_str()))
                }
            }
        }
        ctx.charge(out.len() - before)?;
        from = whole.end();
    }
    if from == 0 && out.is_empty() {
        // Nothing matched, or only nothing at the beginning became nothing.
        return Ok(text);
    }
    out.push_str(&text[from..]);
    ctx.text(&out)
}

pub(super) fn array<'a>(
    ctx: &Context<'a>,
    parts: impl Iterator<Item = &'a str>,
) -> Fallible<Value<'a>> {
    let mut items = Vec::new();
    for part in parts {
        ctx.charge(size_of::<Value<'_>>())?;
        items.push(Value::String(part));
    }
    Ok(Value::Array(ctx.bump.alloc_slice_copy(&items)))
}

pub(super) fn changed<'a>(
    ctx: &Context<'a>,
    text: &'a str,
    change: impl Fn(&str) -> String,
) -> Fallible<&'a str> {
    // A letter may become three.
    ctx.charge(text.len().saturating_mul(3))?;
    Ok(ctx.bump.alloc_str(&change(text)))
}
