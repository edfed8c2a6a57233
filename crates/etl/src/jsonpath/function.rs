//! Functions at the end of a path.

use super::{Argument, Function, eval};
use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault},
    json,
    value::{
        Value,
        number::{Decimal, float_text},
    },
};

fn fault<T>(cause: String) -> Fallible<T> {
    Err(Fault::new(ErrorCode::JsonpathFunction, cause))
}

pub(super) fn apply<'a>(
    ctx: &Context<'a>,
    function: &Function,
    base: Option<Value<'a>>,
    root: Value<'a>,
) -> Fallible<Option<Value<'a>>> {
    let value = match function {
        Function::Min(arguments) => extreme(&numbers(ctx, "min", base, arguments, root)?, false),
        Function::Max(arguments) => extreme(&numbers(ctx, "max", base, arguments, root)?, true),
        Function::Sum(arguments) => sum(ctx, &numbers(ctx, "sum", base, arguments, root)?)?,
        Function::Average(arguments) => {
            let floats = floats(&numbers(ctx, "avg", base, arguments, root)?);
            float(ctx, mean(&floats))?
        }
        Function::Deviation(arguments) => {
            let floats = floats(&numbers(ctx, "stddev", base, arguments, root)?);
            let mean = mean(&floats);
            let squares: Vec<f64> = floats.iter().map(|number| (number - mean).powi(2)).collect();
            float(ctx, self::mean(&squares).sqrt())?
        }
        Function::Length => return length(ctx, base),
        Function::Keys => match base {
            Some(Value::Map(map)) => {
                let keys: Vec<Value<'a>> =
                    map.entries.iter().map(|(key, _)| Value::String(key)).collect();
                array(ctx, &keys)?
            }
            other => return wrong("keys() takes a map", other),
        },
        Function::First | Function::Last | Function::Index(_) => {
            let Some(Value::Array(items)) = base else {
                return wrong("the function takes an array", base);
            };
            let index = match function {
                Function::First => 0,
                Function::Last => -1,
                Function::Index(index) => *index,
                _ => 0,
            };
            return match eval::resolve(index, items.len()) {
                Some(at) => Ok(Some(items[at])),
                None => {
                    fault(format!("there is no element {index} in an array of {}", items.len()))
                }
            };
        }
        Function::Append(arguments) => {
            let Some(Value::Array(items)) = base else {
                return wrong("append() takes an array", base);
            };
            let mut all = items.to_vec();
            for argument in arguments {
                all.extend(argument_value(ctx, argument, root)?);
            }
            array(ctx, &all)?
        }
        Function::Concat(arguments) => concat(ctx, arguments, root)?,
    };
    Ok(Some(value))
}

fn wrong<T>(what: &str, found: Option<Value<'_>>) -> Fallible<T> {
    fault(format!("{what}, found {}", found.map_or("nothing", Value::kind)))
}

fn array<'a>(ctx: &Context<'a>, items: &[Value<'a>]) -> Fallible<Value<'a>> {
    ctx.charge(size_of_val(items))?;
    Ok(Value::Array(ctx.bump.alloc_slice_copy(items)))
}

fn argument_value<'a>(
    ctx: &Context<'a>,
    argument: &Argument,
    root: Value<'a>,
) -> Fallible<Option<Value<'a>>> {
    match argument {
        Argument::Text(text) => Ok(Some(Value::String(ctx.text(text)?))),
        Argument::Number(text) => Ok(Some(Value::Number(ctx.text(text)?))),
        Argument::Path(path) => eval::evaluate(ctx, path, root, root),
    }
}

/// The numbers of the array that the path leads to, and of the arguments.
fn numbers<'a>(
    ctx: &Context<'a>,
    name: &str,
    base: Option<Value<'a>>,
    arguments: &[Argument],
    root: Value<'a>,
) -> Fallible<Vec<&'a str>> {
    // `$.sum($.a, $.b)`: the path before the function is only the root.
    let mut values: Vec<Value<'a>> =
        if arguments.is_empty() { base.into_iter().collect() } else { Vec::new() };
    for argument in arguments {
        values.extend(argument_value(ctx, argument, root)?);
    }
    let mut numbers = Vec::new();
    for value in values {
        let items = match &value {
            Value::Array(items) => items,
            other => std::slice::from_ref(other),
        };
        for item in items {
            let Value::Number(text) = item else {
                return fault(format!("{name}() takes numbers, found {}", item.kind()));
            };
            numbers.push(*text);
        }
        ctx.charge(items.len() * size_of::<&str>())?;
    }
    if numbers.is_empty() {
        return fault(format!("{name}() takes numbers, found none"));
    }
    Ok(numbers)
}

fn extreme<'a>(numbers: &[&'a str], max: bool) -> Value<'a> {
    let mut best = numbers[0];
    for number in &numbers[1..] {
        if let (Some(a), Some(b)) = (Decimal::parse(number), Decimal::parse(best))
            && ((max && a > b) || (!max && a < b))
        {
            best = number;
        }
    }
    Value::Number(best)
}

/// Exact for integers, as a float for everything else.
fn sum<'a>(ctx: &Context<'a>, numbers: &[&str]) -> Fallible<Value<'a>> {
    let integers =
        numbers.iter().map(|text| Decimal::parse(text).and_then(|number| number.to_i128(false)));
    let plain =
        numbers.iter().all(|text| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'));
    let total = integers.into_iter().try_fold(0_i128, |total, number| total.checked_add(number?));
    match total.filter(|_| plain) {
        Some(total) => Ok(Value::Number(ctx.text(&total.to_string())?)),
        None => float(ctx, floats(numbers).iter().sum()),
    }
}

fn floats(numbers: &[&str]) -> Vec<f64> {
    numbers.iter().map(|text| text.parse().unwrap_or(f64::NAN)).collect()
}

#[allow(clippy::cast_precision_loss, reason = "a mean of more than 2^52 numbers cannot occur")]
fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

fn float<'a>(ctx: &Context<'a>, number: f64) -> Fallible<Value<'a>> {
    match float_text(number) {
        Some(text) => Ok(Value::Number(ctx.text(&text)?)),
        None => fault("the result is outside the range of numbers".to_owned()),
    }
}

fn length<'a>(ctx: &Context<'a>, base: Option<Value<'a>>) -> Fallible<Option<Value<'a>>> {
    let length = match base {
        None => return Ok(None),
        Some(Value::Array(items)) => items.len(),
        Some(Value::Map(map)) => map.entries.len(),
        Some(Value::String(text)) => text.chars().count(),
        other => return wrong("length() takes an array, a map or a string", other),
    };
    Ok(Some(Value::Number(ctx.text(&length.to_string())?)))
}

fn concat<'a>(ctx: &Context<'a>, arguments: &[Argument], root: Value<'a>) -> Fallible<Value<'a>> {
    let mut text = String::new();
    for argument in arguments {
        let value = match argument {
            Argument::Path(path) if !path.is_definite() && path.function.is_none() => {
                Some(array(ctx, &eval::places(ctx, path, root, root)?)?)
            }
            argument => argument_value(ctx, argument, root)?,
        };
        match value {
            None => {}
            Some(Value::Array(items)) => {
                for item in items {
                    append(ctx, *item, &mut text)?;
                }
            }
            Some(value) => append(ctx, value, &mut text)?,
        }
    }
    Ok(Value::String(ctx.bump.alloc_str(&text)))
}

fn append(ctx: &Context<'_>, value: Value<'_>, text: &mut String) -> Fallible<()> {
    let before = text.len();
    match value {
        Value::Null => {}
        Value::Array(_) | Value::Map(_) => text.push_str(json::to_text(ctx, value)?),
        value => text.push_str(value.text().unwrap_or_default()),
    }
    ctx.charge(text.len() - before)
}
