//! Percent encoding and base64.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{
    charset::Charset,
    context::Context,
    error::{ErrorCode, Fallible, Fault, quote},
};

pub(super) fn url_decode<'a>(
    ctx: &Context<'a>,
    text: &'a str,
    charset: Charset,
) -> Fallible<&'a str> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(text);
    }
    ctx.charge(text.len())?;
    let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
    let bytes = text.as_bytes();
    let mut decoded = String::with_capacity(text.len());
    let mut escaped = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] == b'%' {
            let pair = hex(bytes.get(at + 1)).zip(hex(bytes.get(at + 2)));
            let byte = pair.and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
            let Some(byte) = byte else {
                let cause =
                    format!("a % without two hexadecimal digits at byte {at} of {}", quote(text));
                return Err(Fault::at(ErrorCode::UrlDecode, at, cause));
            };
            escaped.push(byte);
            at += 3;
            continue;
        }
        // Escapes are bytes of the charset, also when they stand between plain characters of a sequence.
        if bytes[at] == b'+' || bytes[at].is_ascii() {
            escaped.push(if bytes[at] == b'+' { b' ' } else { bytes[at] });
            at += 1;
            continue;
        }
        flush(&mut escaped, charset, at, &mut decoded)?;
        let end =
            (at + 1..=bytes.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(bytes.len());
        decoded.push_str(&text[at..end]);
        at = end;
    }
    flush(&mut escaped, charset, at, &mut decoded)?;
    Ok(ctx.bump.alloc_str(&decoded))
}

fn flush(escaped: &mut Vec<u8>, charset: Charset, at: usize, decoded: &mut String) -> Fallible<()> {
    match charset.decode(escaped, false) {
        Ok(text) => decoded.push_str(&text),
        Err(_) => {
            let cause = format!("escaped bytes before byte {at} are not of the charset");
            return Err(Fault::at(ErrorCode::UrlDecode, at, cause));
        }
    }
    escaped.clear();
    Ok(())
}

pub(super) fn url_encode<'a>(ctx: &Context<'a>, text: &'a str) -> Fallible<&'a str> {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    ctx.charge(text.len().saturating_mul(3))?;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    Ok(ctx.bump.alloc_str(&out))
}

pub(super) fn base64_encode<'a>(ctx: &Context<'a>, text: &str) -> Fallible<&'a str> {
    ctx.charge(text.len().saturating_mul(2))?;
    Ok(ctx.bump.alloc_str(&STANDARD.encode(text)))
}

pub(super) fn base64_decode<'a>(ctx: &Context<'a>, text: &str) -> Fallible<&'a str> {
    ctx.charge(text.len())?;
    let bytes = STANDARD.decode(text.trim()).map_err(|error| {
        Fault::new(ErrorCode::Base64Decode, format!("{} is no base64: {error}", quote(text)))
    })?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(ctx.bump.alloc_str(text)),
        Err(error) => {
            let cause = format!("the decoded bytes are not UTF-8 (byte {})", error.valid_up_to());
            Err(Fault::new(ErrorCode::NotText, cause))
        }
    }
}
