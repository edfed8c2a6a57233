//! A message that is an array of objects.

use super::{Body, Compiled, Flow, Message, Mode, Process, dropped, written};
use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault, Place, RecordError},
    explain::trace_error,
    json::{self, Wanted},
    output::Format,
    record::{DropReason, Output, Outputs},
    rule::ArrayOutput,
    value::{Map, Value},
};

impl Compiled {
    /// `at` is the chain item in array mode.
    pub(super) fn array<'a>(
        &'a self,
        ctx: &Context<'a>,
        message: &Message<'a>,
        at: usize,
    ) -> Result<Outputs<'a>, RecordError> {
        let Body::Process(process) = &self.chains[at].body else {
            return Ok(dropped(DropReason::Filtered));
        };
        let Mode::Array { output, .. } = &process.mode else {
            return Ok(dropped(DropReason::Filtered));
        };
        if let Flow::Drop(reason) = self.chains(ctx, Some(message), &self.chains[..at], None)? {
            return Ok(dropped(reason));
        }
        let text = self.text(ctx, message)?;
        if text.is_empty() {
            return Err(
                Fault::new(ErrorCode::EmptyValue, "the value is empty").place(&self.guard_place)
            );
        }
        let elements = elements(ctx, process, text).map_err(|fault| {
            let error = fault.place(&process.analyse_place);
            trace_error(ctx, &process.analyse_place, None, &error);
            error
        })?;
        if elements.is_empty() {
            return self.empty_array(ctx, *output);
        }
        let count = if *output == ArrayOutput::Single { 1 } else { elements.len() };
        // All of them are checked: the record is written whole or not at all.
        let maps = maps(&elements).map_err(|(index, fault)| {
            let mut error = fault.place(&process.analyse_place);
            error.array_element = Some(index);
            error
        })?;
        let mut documents = Vec::new();
        let mut reason = None;
        for (index, map) in maps.into_iter().take(count).enumerate() {
            ctx.element.set(index);
            match self.element(ctx, process, at, map) {
                Ok(Ok(document)) => documents.push(document),
                Ok(Err(dropped)) => reason = Some(dropped),
                Err(mut error) => {
                    error.array_element = Some(index);
                    return Err(error);
                }
            }
        }
        let filtered = count - documents.len();
        let mut outputs = match (documents.is_empty(), output) {
            (true, _) => dropped(reason.unwrap_or(DropReason::Filtered)),
            (false, ArrayOutput::Multi) => self.multi_output(ctx, &documents)?,
            (false, _) => {
                let records: Result<Vec<Output<'a>>, RecordError> = documents
                    .iter()
                    .map(|document| self.single_output(ctx, Some(*document)))
                    .collect();
                written(ctx, &records?)
            }
        };
        outputs.array_elements_dropped = u32::try_from(elements.len() - count).unwrap_or(u32::MAX);
        outputs.array_elements_filtered = u32::try_from(filtered).unwrap_or(u32::MAX);
        Ok(outputs)
    }

    /// One element through the rows, the chain items behind them and the filter.
    fn element<'a>(
        &'a self,
        ctx: &Context<'a>,
        process: &'a Process,
        at: usize,
        map: Map<'a>,
    ) -> Result<Result<Map<'a>, DropReason>, RecordError> {
        let document = self.rows(ctx, process, map, map.entries)?;
        match self.chains(ctx, None, &self.chains[at + 1..], Some(document))? {
            Flow::Drop(reason) => Ok(Err(reason)),
            Flow::Document(document) => {
                let document = document.unwrap_or_default();
                Ok(if self.passes(ctx, document)? {
                    Ok(document)
                } else {
                    Err(DropReason::Filtered)
                })
            }
        }
    }

    fn empty_array<'a>(
        &'a self,
        ctx: &Context<'a>,
        output: ArrayOutput,
    ) -> Result<Outputs<'a>, RecordError> {
        if output == ArrayOutput::Multi {
            self.multi_output(ctx, &[])
        } else {
            Ok(dropped(DropReason::EmptyArray))
        }
    }

    fn multi_output<'a>(
        &'a self,
        ctx: &Context<'a>,
        documents: &[Map<'a>],
    ) -> Result<Outputs<'a>, RecordError> {
        let place = Place::new("output", "output");
        let metadata = &self.target.metadata;
        let mut shown = Vec::with_capacity(documents.len());
        for document in documents {
            let document = self.target.without_moved(ctx, *document);
            shown.push(
                self.target.with_metadata(ctx, document).map_err(|fault| fault.place(&place))?,
            );
        }
        let bytes =
            self.output.multi(ctx, &self.schemas, &shown).map_err(|fault| fault.place(&place))?;
        let in_headers = metadata.keep
            && (metadata.in_headers || matches!(self.output, Format::Original { .. }));
        // Key, topic and headers are those of the first element.
        let first = documents.first().copied().unwrap_or_default();
        let output = self.target.output(ctx, first, Some(bytes), in_headers, self.copies)?;
        Ok(written(ctx, &[output]))
    }
}

fn elements<'a>(ctx: &Context<'a>, process: &Process, text: &'a str) -> Fallible<Vec<Value<'a>>> {
    let Mode::Array { path, .. } = &process.mode else { return Ok(Vec::new()) };
    let root = json::parse(ctx, text, Wanted::All)?;
    let found = match path {
        None => Some(root),
        Some(path) => path.evaluate(ctx, root)?,
    };
    let Some(Value::Array(items)) = found else {
        let what = found.map_or("nothing", Value::kind);
        return Err(Fault::new(
            ErrorCode::ArrayRootNotArray,
            format!("expected an array, found {what}"),
        ));
    };
    let max = ctx.limits.array_elements_max;
    if items.len() > max {
        let cause = format!("the array has {} elements, more than {max}", items.len());
        return Err(Fault::new(ErrorCode::ArrayTooLong, cause));
    }
    Ok(items.to_vec())
}

fn maps<'a>(elements: &[Value<'a>]) -> Result<Vec<Map<'a>>, (usize, Box<Fault>)> {
    let map = |(index, element): (usize, &Value<'a>)| match element {
        Value::Map(map) => Ok(*map),
        other => {
            let cause = format!("element {index} is {}, not an object", other.kind());
            Err((index, Fault::new(ErrorCode::ArrayElementNotObject, cause)))
        }
    };
    elements.iter().enumerate().map(map).collect()
}
