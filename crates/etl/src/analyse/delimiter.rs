//! Text cut at a literal delimiter.

use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault},
    rule::DelimiterMode,
    value::{Map, MapBuilder, Value},
};

/// Keys of the first fields, so that they are not made for each record.
const KEYS: [&str; 32] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16",
    "17", "18", "19", "20", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30", "31",
];

/// The key of the field `index`.
pub(super) fn index_key<'a>(ctx: &Context<'a>, index: usize) -> Fallible<&'a str> {
    match KEYS.get(index) {
        Some(key) => Ok(key),
        None => ctx.text(&index.to_string()),
    }
}

/// The compiled mode `delimiter`.
#[derive(Debug)]
pub(crate) struct Delimiter {
    mode: DelimiterMode,
}

impl Delimiter {
    pub(crate) fn new(mode: &DelimiterMode) -> Self {
        Self { mode: mode.clone() }
    }

    pub(super) fn parse<'a>(&self, ctx: &Context<'a>, text: &'a str) -> Fallible<Map<'a>> {
        let text = if self.mode.strip_eol {
            text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')).unwrap_or(text)
        } else {
            text
        };
        let mut fields = Fields {
            delimiter: &self.mode.delimiter,
            quote: self.mode.quote,
            rest: Some(text),
            ctx,
            at: 0,
        };
        let mut builder = MapBuilder::default();
        let mut index = 0;
        let mut empty_run = false;
        while let Some(field) = fields.next()? {
            // A run of delimiters gives empty fields; all but the first delimiter of it are taken as one.
            if self.mode.collapse
                && field.is_empty()
                && (index > 0 || empty_run)
                && fields.rest.is_some()
            {
                continue;
            }
            empty_run |= field.is_empty();
            ctx.charge(MapBuilder::ENTRY_BYTES)?;
            let key = match self.mode.columns.get(index) {
                Some(name) => ctx.text(name)?,
                None => index_key(ctx, index)?,
            };
            builder.insert(key, Value::String(field));
            index += 1;
        }
        Ok(builder.finish(ctx.bump))
    }
}

struct Fields<'a, 'c> {
    delimiter: &'c str,
    quote: Option<char>,
    /// What is not read yet; `None` behind the last field.
    rest: Option<&'a str>,
    ctx: &'c Context<'a>,
    at: usize,
}

impl<'a> Fields<'a, '_> {
    fn next(&mut self) -> Fallible<Option<&'a str>> {
        let Some(rest) = self.rest else { return Ok(None) };
        if let Some(quote) = self.quote
            && let Some(quoted) = rest.strip_prefix(quote)
        {
            return self.quoted(quoted, quote).map(Some);
        }
        let field = match rest.split_once(self.delimiter) {
            Some((field, rest)) => {
                self.at += field.len() + self.delimiter.len();
                self.rest = Some(rest);
                field
            }
            None => {
                self.rest = None;
                rest
            }
        };
        Ok(Some(field))
    }

    /// A field between quotes; a doubled quote is one (RFC 4180).
    fn quoted(&mut self, text: &'a str, quote: char) -> Fallible<&'a str> {
        let fault = |at: usize, cause: &str| {
            Fault::at(ErrorCode::DelimiterQuote, at, format!("{cause} (byte {at})"))
        };
        let mut decoded = String::new();
        let mut rest = text;
        loop {
            let Some((part, after)) = rest.split_once(quote) else {
                return Err(fault(self.at, "a quoted field is not closed"));
            };
            decoded.push_str(part);
            if let Some(doubled) = after.strip_prefix(quote) {
                decoded.push(quote);
                rest = doubled;
                continue;
            }
            let consumed = text.len() - after.len() + quote.len_utf8();
            if after.is_empty() {
                self.rest = None;
            } else if let Some(next) = after.strip_prefix(self.delimiter) {
                self.rest = Some(next);
            } else {
                return Err(fault(
                    self.at + consumed,
                    "text between a closing quote and the delimiter",
                ));
            }
            self.at += consumed + self.delimiter.len();
            return self.ctx.text(&decoded);
        }
    }
}
