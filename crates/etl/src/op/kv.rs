//! The op `kv`: pairs inside a value become fields.

use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault, Place},
    value::{Entry, MapBuilder, Value},
};

/// A compiled op `kv`; the last one of a row.
#[derive(Debug)]
pub(crate) struct Kv {
    pub(crate) place: Place,
    pub(crate) delimiter: String,
    pub(crate) separator: String,
    pub(crate) keep_original_key: bool,
}

impl Kv {
    /// The pairs; keys are prefixed with `row_key` where the row stays.
    pub(crate) fn pairs<'a>(
        &self,
        ctx: &Context<'a>,
        row_key: &str,
        value: Value<'a>,
    ) -> Fallible<Vec<Entry<'a>>> {
        let Some(text) = value.text() else {
            let cause = format!("kv works on text, found {}", value.kind());
            return Err(Fault::new(ErrorCode::OpType, cause));
        };
        let mut pairs = Vec::new();
        for part in text.split(self.delimiter.as_str()) {
            let Some((key, value)) =
                part.split_once(self.separator.as_str()).filter(|(key, _)| !key.is_empty())
            else {
                continue;
            };
            ctx.charge(MapBuilder::ENTRY_BYTES)?;
            let key = if self.keep_original_key { ctx.join(row_key, ".", key)? } else { key };
            pairs.push((key, Value::String(value)));
        }
        Ok(pairs)
    }
}
