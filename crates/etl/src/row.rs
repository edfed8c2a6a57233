//! Rows: each makes a field of the result, all from the same parse result.

use crate::{
    condition::Condition,
    context::Context,
    convert,
    error::{ErrorCode, Place, RecordError},
    explain::{StepStatus, trace},
    jsonpath::JsonPath,
    op::{Kind, Kv, Op},
    rule::{OnMissing, ValueType},
    text_template::{header_text, on_missing},
    value::{Entry, Map, MapBuilder, Value, lookup},
};

/// A compiled row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) place: Place,
    pub(crate) key: String,
    pub(crate) source: Source,
    pub(crate) ops: Vec<Op>,
    pub(crate) kv: Option<Kv>,
    pub(crate) value_type: ValueType,
    pub(crate) truncate: bool,
    pub(crate) on_missing: OnMissing,
    pub(crate) when: Option<Condition>,
}

#[derive(Debug)]
pub(crate) enum Source {
    Field(String),
    Path(JsonPath),
    SystemTime,
    Custom(String),
    Header(String),
    /// In patch mode only.
    Delete,
    Rename(String),
}

enum Made<'a> {
    Nothing,
    One(Value<'a>),
    Pairs(Vec<Entry<'a>>),
}

/// All rows; the first error is returned, but when somebody watches, the others are looked at, too.
pub(crate) fn apply<'a>(
    ctx: &Context<'a>,
    rows: &'a [Row],
    is_patch: bool,
    parsed: Map<'a>,
) -> Result<Map<'a>, RecordError> {
    let mut result =
        if is_patch { MapBuilder::from_map(parsed) } else { MapBuilder::with_capacity(rows.len()) };
    let mut first_error = None;
    for row in rows {
        match row.evaluate(ctx, parsed) {
            Ok(made) => row.store(made, &mut result, is_patch),
            Err(error) if ctx.steps.is_some() => {
                first_error.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    match first_error {
        Some(error) => Err(error),
        None => Ok(result.finish(ctx.bump)),
    }
}

impl Row {
    fn store<'a>(&'a self, made: Made<'a>, result: &mut MapBuilder<'a>, is_patch: bool) {
        match made {
            Made::Nothing => {}
            Made::One(value) => {
                if let Source::Rename(from) = &self.source {
                    result.rename(from, &self.key);
                }
                result.insert(&self.key, value);
            }
            Made::Pairs(pairs) => {
                if is_patch {
                    result.remove(&self.key);
                }
                for (key, value) in pairs {
                    result.insert(key, value);
                }
            }
        }
        if matches!(self.source, Source::Delete) {
            result.remove(&self.key);
        }
    }

    fn evaluate<'a>(&'a self, ctx: &Context<'a>, parsed: Map<'a>) -> Result<Made<'a>, RecordError> {
        if let Some(when) = &self.when
            && !when.holds(ctx, parsed).map_err(|fault| fault.place(&self.place))?
        {
            trace(ctx, &self.place, StepStatus::Skipped, None, None);
            return Ok(Made::Nothing);
        }
        let found = self.source_value(ctx, parsed);
        let found = found.and_then(|found| match found {
            Some(value) => Ok(Some(value)),
            None if matches!(self.source, Source::Delete) => Ok(None),
            // The op `default` is there for exactly this.
            None if self.ops.iter().any(|op| matches!(op.kind, Kind::Default { .. })) => {
                Ok(Some(Value::Null))
            }
            None => self.missing(),
        });
        let Some(value) = self.traced(ctx, found)? else {
            trace(ctx, &self.place, StepStatus::Skipped, None, None);
            return Ok(Made::Nothing);
        };
        let mut value = value;
        for op in &self.ops {
            let changed = op.apply(ctx, value, parsed).map_err(|fault| fault.place(&op.place));
            value = crate::explain::trace_result(ctx, &op.place, Some(value), changed)?;
        }
        let made = match &self.kv {
            Some(kv) if value != Value::Null => self.pairs(ctx, kv, value)?,
            _ => Made::One(self.convert(ctx, value)?),
        };
        if let Made::One(value) = &made {
            trace(ctx, &self.place, StepStatus::Ok, None, Some(*value));
        }
        Ok(made)
    }

    fn traced<'a, T>(
        &self,
        ctx: &Context<'a>,
        result: crate::error::Fallible<T>,
    ) -> Result<T, RecordError> {
        result.map_err(|fault| {
            let error = fault.place(&self.place);
            crate::explain::trace_error(ctx, &self.place, None, &error);
            error
        })
    }

    fn convert<'a>(&self, ctx: &Context<'a>, value: Value<'a>) -> Result<Value<'a>, RecordError> {
        if self.value_type == ValueType::Original {
            return Ok(value);
        }
        self.traced(ctx, convert::convert(ctx, value, self.value_type, self.truncate))
    }

    fn pairs<'a>(
        &'a self,
        ctx: &Context<'a>,
        kv: &'a Kv,
        value: Value<'a>,
    ) -> Result<Made<'a>, RecordError> {
        let pairs = kv.pairs(ctx, &self.key, value).map_err(|fault| fault.place(&kv.place));
        if let Err(error) = &pairs {
            crate::explain::trace_error(ctx, &kv.place, Some(value), error);
        }
        let mut pairs = pairs?;
        for (_, value) in &mut pairs {
            *value = self.convert(ctx, *value)?;
        }
        if kv.keep_original_key {
            pairs.insert(0, (&self.key, self.convert(ctx, value)?));
        }
        if ctx.steps.is_some() {
            let shown = Value::Map(Map { entries: ctx.bump.alloc_slice_copy(&pairs) });
            trace(ctx, &kv.place, StepStatus::Ok, Some(value), Some(shown));
        }
        Ok(Made::Pairs(pairs))
    }

    fn source_value<'a>(
        &'a self,
        ctx: &Context<'a>,
        parsed: Map<'a>,
    ) -> crate::error::Fallible<Option<Value<'a>>> {
        Ok(match &self.source {
            Source::Field(key) => lookup(parsed, key),
            Source::Path(path) => path.evaluate(ctx, Value::Map(parsed))?,
            Source::SystemTime => {
                Some(Value::Number(ctx.text(&ctx.now.as_millisecond().to_string())?))
            }
            Source::Custom(text) => Some(Value::String(text)),
            Source::Header(name) => header_text(ctx, name)?.map(Value::String),
            Source::Delete => None,
            Source::Rename(from) => parsed.get(from),
        })
    }

    fn missing<'a>(&self) -> crate::error::Fallible<Option<Value<'a>>> {
        match &self.source {
            // There is nothing to rename.
            Source::Rename(_) if self.on_missing == OnMissing::Null => Ok(None),
            Source::Field(key) | Source::Rename(key) => {
                on_missing(self.on_missing, ErrorCode::FieldMissing, || {
                    format!("there is no field {key:?}")
                })
            }
            Source::Header(name) => on_missing(self.on_missing, ErrorCode::HeaderMissing, || {
                format!("there is no header {name:?}")
            }),
            _ => on_missing(self.on_missing, ErrorCode::FieldMissing, || {
                "the path leads nowhere".to_owned()
            }),
        }
    }
}
