//! JSON in and out: strict (RFC 8259), exact in its numbers, minimal in its escapes.

mod parse;
mod scan;
mod write;

pub(crate) use parse::{Wanted, parse};
pub(crate) use write::{to_short_text, to_text, write, write_string};

/// Nesting that is still read.
pub(crate) const DEPTH_MAX: usize = 128;

/// The string that `text` is when it is a JSON string literal.
pub(crate) fn string_literal(text: &str) -> Option<String> {
    if !text.starts_with('"') {
        return None;
    }
    let bump = bumpalo::Bump::new();
    let mut memory = crate::scratch::Memory::default();
    let record = crate::record::Record::from_value(&[]);
    let now = jiff::Timestamp::UNIX_EPOCH;
    let ctx =
        crate::context::Context::new(&bump, record, now, crate::Limits::default(), &mut memory);
    match parse(&ctx, text, Wanted::All) {
        Ok(crate::value::Value::String(inner)) => Some(inner.to_owned()),
        _ => None,
    }
}
