//! Values as compact JSON: row order, number texts as they are, only the escapes that JSON demands.

use super::scan::find_special;
use crate::{context::Context, error::Fallible, value::Value};

/// Appends `value`; `false` when `out` grew beyond `max` and the rest was left out. Values share their parts, so a
/// small document can be a very long text.
#[must_use]
pub(crate) fn write(value: Value<'_>, out: &mut Vec<u8>, max: usize) -> bool {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(text) => out.extend_from_slice(text.as_bytes()),
        Value::String(text) => write_string(text, out),
        Value::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                if !write(*item, out, max) {
                    return false;
                }
            }
            out.push(b']');
        }
        Value::Map(map) => {
            out.push(b'{');
            for (index, (key, value)) in map.entries.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_string(key, out);
                out.push(b':');
                if !write(*value, out, max) {
                    return false;
                }
            }
            out.push(b'}');
        }
    }
    out.len() <= max
}

/// `value` as text in the arena.
pub(crate) fn to_text<'a>(ctx: &Context<'a>, value: Value<'_>) -> Fallible<&'a str> {
    let mut out = Vec::new();
    if !write(value, &mut out, ctx.left()) {
        ctx.charge(usize::MAX)?;
    }
    ctx.text(std::str::from_utf8(&out).unwrap_or_default())
}

/// `value` as text for people: cut off at `max` bytes.
pub(crate) fn to_short_text(value: Value<'_>, max: usize) -> String {
    let mut out = Vec::new();
    let whole = write(value, &mut out, max);
    let mut text = String::from_utf8_lossy(&out[..out.len().min(max)]).into_owned();
    if !whole {
        text.push('…');
    }
    text
}

/// Appends `text` in quotes.
pub(crate) fn write_string(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    out.push(b'"');
    let mut from = 0;
    loop {
        let at = find_special(bytes, from);
        out.extend_from_slice(&bytes[from..at]);
        let Some(byte) = bytes.get(at) else { break };
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            8 => out.extend_from_slice(b"\\b"),
            9 => out.extend_from_slice(b"\\t"),
            10 => out.extend_from_slice(b"\\n"),
            12 => out.extend_from_slice(b"\\f"),
            13 => out.extend_from_slice(b"\\r"),
            byte => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
        from = at + 1;
    }
    out.push(b'"');
}
