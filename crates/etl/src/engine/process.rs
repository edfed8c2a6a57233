//! Parse, secondary parsing, rows.

use super::{Compiled, Input, Message, Mode, Process};
use crate::{
    condition::Field,
    context::Context,
    convert,
    error::{ErrorCode, Fallible, Fault, RecordError},
    explain::{StepStatus, trace, trace_error},
    row,
    value::{Entry, Map, MapBuilder, Value},
};

impl Compiled {
    pub(super) fn process<'a>(
        &'a self,
        ctx: &Context<'a>,
        process: &'a Process,
        message: Option<&Message<'a>>,
        document: Option<Map<'a>>,
    ) -> Result<Map<'a>, RecordError> {
        let known = document.unwrap_or_default();
        let text = match (&process.input, message) {
            (Input::Message, Some(message)) => {
                let text = self.text(ctx, message)?;
                if text.is_empty()
                    && matches!(&process.mode, Mode::Text(crate::analyse::TextMode::Json { .. }))
                {
                    let fault = Fault::new(ErrorCode::EmptyValue, "the value is empty");
                    return Err(fault.place(&self.guard_place));
                }
                Some(text)
            }
            _ => None,
        };
        let parsed = parse(ctx, process, text, known).map_err(|fault| {
            let error = fault.place(&process.analyse_place);
            trace_error(ctx, &process.analyse_place, None, &error);
            error
        })?;
        self.rows(ctx, process, parsed.0, &parsed.1)
    }

    /// Secondary parsing and rows: what an element of an array goes through, too. `new` are the entries that were just parsed.
    pub(super) fn rows<'a>(
        &'a self,
        ctx: &Context<'a>,
        process: &'a Process,
        parsed: Map<'a>,
        new: &[Entry<'a>],
    ) -> Result<Map<'a>, RecordError> {
        trace(ctx, &process.analyse_place, StepStatus::Ok, None, Some(Value::Map(parsed)));
        let mut parsed = parsed;
        if let Some(secondary) = &process.secondary {
            let mut builder = MapBuilder::from_map(parsed);
            let done = secondary.apply(ctx, new, &mut builder);
            done.map_err(|fault| fault.place(&process.secondary_place))?;
            parsed = builder.finish(ctx.bump);
            trace(ctx, &process.secondary_place, StepStatus::Ok, None, Some(Value::Map(parsed)));
        } else {
            trace(ctx, &process.secondary_place, StepStatus::Skipped, None, None);
        }
        if process.rows.is_empty() {
            return Ok(parsed);
        }
        row::apply(ctx, &process.rows, process.is_patch, parsed)
    }
}

/// The document after parsing, and those of its entries that are new.
fn parse<'a>(
    ctx: &Context<'a>,
    process: &'a Process,
    text: Option<&'a str>,
    known: Map<'a>,
) -> Fallible<(Map<'a>, Vec<Entry<'a>>)> {
    let Mode::Text(mode) = &process.mode else { return Ok((known, known.entries.to_vec())) };
    if let Some(text) = text {
        let parsed = mode.parse(ctx, text)?;
        let new = if process.secondary.is_some() { parsed.entries.to_vec() } else { Vec::new() };
        return Ok((parsed, new));
    }
    let Input::Field { field, key } = &process.input else { return Ok((known, Vec::new())) };
    let found = match field {
        Field::Key(key) => known.get(key),
        Field::Path(path) => path.evaluate(ctx, Value::Map(known))?,
    };
    let Some(value) = found.filter(|value| *value != Value::Null) else {
        return Err(Fault::new(
            ErrorCode::InputMissing,
            format!("the field {key:?} is missing or null"),
        ));
    };
    let parsed = mode.parse(ctx, convert::text_of(ctx, value)?)?;
    ctx.charge(size_of_val(known.entries) + size_of_val(parsed.entries))?;
    let mut builder = MapBuilder::from_map(known);
    let mut new = Vec::with_capacity(parsed.entries.len());
    for (name, value) in parsed.entries {
        let name = ctx.join(key, ".", name)?;
        builder.insert(name, *value);
        new.push((name, *value));
    }
    Ok((builder.finish(ctx.bump), new))
}
