//! Type conversion of a row's value.

use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault, quote},
    json,
    rule::ValueType,
    value::{
        Value,
        number::{self, Decimal, float_text},
    },
};

/// `value` as `wanted`; null stays null. `truncate` drops a fraction on the way to an integer.
pub(crate) fn convert<'a>(
    ctx: &Context<'a>,
    value: Value<'a>,
    wanted: ValueType,
    truncate: bool,
) -> Fallible<Value<'a>> {
    if value == Value::Null {
        return Ok(value);
    }
    let converted = match wanted {
        ValueType::Original => Some(value),
        ValueType::String => Some(Value::String(text_of(ctx, value)?)),
        ValueType::Int64 => int64(ctx, value, truncate)?,
        ValueType::Float64 => float64(ctx, value)?,
        ValueType::Boolean => boolean(value),
        ValueType::Map | ValueType::Array => container(ctx, value, wanted)?,
    };
    converted.ok_or_else(|| refused(value, wanted))
}

#[cold]
fn refused(value: Value<'_>, wanted: ValueType) -> Box<Fault> {
    let name = match wanted {
        ValueType::Original => "original",
        ValueType::String => "string",
        ValueType::Int64 => "int64",
        ValueType::Float64 => "float64",
        ValueType::Boolean => "boolean",
        ValueType::Map => "map",
        ValueType::Array => "array",
    };
    let shown = value.text().map_or_else(|| value.kind().to_owned(), quote);
    Fault::new(
        ErrorCode::TypeConversion,
        format!("{shown} ({}) cannot become {name}", value.kind()),
    )
}

/// The text of any value: strings as they are, null as nothing, containers as JSON.
pub(crate) fn text_of<'a>(ctx: &Context<'a>, value: Value<'a>) -> Fallible<&'a str> {
    match value {
        Value::Null => Ok(""),
        Value::Array(_) | Value::Map(_) => json::to_text(ctx, value),
        value => Ok(value.text().unwrap_or_default()),
    }
}

fn int64<'a>(ctx: &Context<'a>, value: Value<'a>, truncate: bool) -> Fallible<Option<Value<'a>>> {
    let text = match value {
        Value::Number(text) => text,
        Value::String(text) => text.trim(),
        Value::Bool(value) => return Ok(Some(Value::Number(if value { "1" } else { "0" }))),
        _ => return Ok(None),
    };
    let Some(number) = Decimal::parse(text).filter(|_| !text.starts_with('+')) else {
        return Ok(None);
    };
    let Some(number) = number.to_i128(truncate).and_then(|number| i64::try_from(number).ok())
    else {
        return Ok(None);
    };
    Ok(Some(Value::Number(ctx.text(&number.to_string())?)))
}

fn float64<'a>(ctx: &Context<'a>, value: Value<'a>) -> Fallible<Option<Value<'a>>> {
    let text = match value {
        Value::Number(text) => text,
        Value::String(text) => text.trim(),
        _ => return Ok(None),
    };
    if !number::is_json_number(text) {
        return Ok(None);
    }
    match text.parse().ok().and_then(float_text) {
        Some(text) => Ok(Some(Value::Number(ctx.text(&text)?))),
        None => Ok(None),
    }
}

fn boolean(value: Value<'_>) -> Option<Value<'_>> {
    match value {
        Value::Bool(_) => Some(value),
        Value::String(text) if text.eq_ignore_ascii_case("true") || text == "1" => {
            Some(Value::Bool(true))
        }
        Value::String(text) if text.eq_ignore_ascii_case("false") || text == "0" => {
            Some(Value::Bool(false))
        }
        Value::Number("1") => Some(Value::Bool(true)),
        Value::Number("0") => Some(Value::Bool(false)),
        _ => None,
    }
}

fn container<'a>(
    ctx: &Context<'a>,
    value: Value<'a>,
    wanted: ValueType,
) -> Fallible<Option<Value<'a>>> {
    let value = match value {
        Value::String(text) => match json::parse(ctx, text, json::Wanted::All) {
            Ok(value) => value,
            Err(fault) if fault.code == ErrorCode::WorkLimit => return Err(fault),
            Err(fault) => {
                let cause = format!("{} is no JSON: {}", quote(text), fault.cause);
                return Err(Fault::new(ErrorCode::TypeConversion, cause));
            }
        },
        value => value,
    };
    Ok(match (wanted, value) {
        (ValueType::Map, Value::Map(_)) | (ValueType::Array, Value::Array(_)) => Some(value),
        _ => None,
    })
}
