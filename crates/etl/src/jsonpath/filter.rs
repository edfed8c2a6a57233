//! Conditions of `[?(…)]`.

use std::cmp::Ordering;

use super::{Operand, Operator, Test, eval};
use crate::{
    context::Context,
    error::Fallible,
    value::{Value, number::Decimal},
};

/// What an operand stands for: `None` is a path that leads nowhere.
type Found<'a> = Option<Value<'a>>;

pub(super) fn holds<'a>(
    ctx: &Context<'a>,
    test: &Test,
    root: Value<'a>,
    current: Value<'a>,
) -> Fallible<bool> {
    ctx.charge(8)?;
    match test {
        Test::And(tests) => {
            for test in tests {
                if !holds(ctx, test, root, current)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Test::Or(tests) => {
            for test in tests {
                if holds(ctx, test, root, current)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Test::Not(test) => Ok(!holds(ctx, test, root, current)?),
        Test::Exists(Operand::Bool(value)) => Ok(*value),
        Test::Exists(operand) => Ok(exists(operand, operand_value(ctx, operand, root, current)?)),
        Test::Compare { left, operator, right } => {
            let found = operand_value(ctx, left, root, current)?;
            if *operator == Operator::Matches {
                let Operand::Regex(regex) = right else { return Ok(false) };
                // As in Jayway, the whole text must match.
                let whole = |text: &str| {
                    regex
                        .find(text)
                        .is_some_and(|found| found.start() == 0 && found.end() == text.len())
                };
                return Ok(found.and_then(Value::text).is_some_and(whole));
            }
            let wanted = operand_value(ctx, right, root, current)?;
            Ok(compare(ctx, found, *operator, wanted))
        }
    }
}

/// A path that may lead to several places exists when it leads to one.
fn exists(operand: &Operand, found: Found<'_>) -> bool {
    match (operand, found) {
        (Operand::Current(path) | Operand::Root(path), Some(Value::Array(items)))
            if !path.is_definite() && path.function.is_none() =>
        {
            !items.is_empty()
        }
        (_, found) => found.is_some(),
    }
}

fn operand_value<'a>(
    ctx: &Context<'a>,
    operand: &Operand,
    root: Value<'a>,
    current: Value<'a>,
) -> Fallible<Found<'a>> {
    let value = match operand {
        Operand::Null => Value::Null,
        Operand::Bool(value) => Value::Bool(*value),
        Operand::Number(text) => Value::Number(ctx.text(text)?),
        Operand::Text(text) => Value::String(ctx.text(text)?),
        Operand::List(items) => {
            let mut values = Vec::with_capacity(items.len());
            for item in items {
                values.extend(operand_value(ctx, item, root, current)?);
            }
            ctx.charge(values.len() * size_of::<Value<'_>>())?;
            Value::Array(ctx.bump.alloc_slice_copy(&values))
        }
        Operand::Regex(regex) => Value::String(ctx.text(regex.as_str())?),
        Operand::Current(path) => return eval::evaluate(ctx, path, root, current),
        Operand::Root(path) => return eval::evaluate(ctx, path, root, root),
    };
    Ok(Some(value))
}

fn compare(ctx: &Context<'_>, left: Found<'_>, operator: Operator, right: Found<'_>) -> bool {
    match operator {
        Operator::Equal => equal(ctx, left, right),
        Operator::NotEqual => !equal(ctx, left, right),
        Operator::Less => order(left, right) == Some(Ordering::Less),
        Operator::LessEqual => matches!(order(left, right), Some(Ordering::Less | Ordering::Equal)),
        Operator::Greater => order(left, right) == Some(Ordering::Greater),
        Operator::GreaterEqual => {
            matches!(order(left, right), Some(Ordering::Greater | Ordering::Equal))
        }
        Operator::In => left.is_some() && contains(ctx, right, left),
        Operator::NotIn => left.is_none() || !contains(ctx, right, left),
        Operator::SubsetOf => list(left)
            .is_some_and(|items| items.iter().all(|item| contains(ctx, right, Some(*item)))),
        Operator::AnyOf => list(left)
            .is_some_and(|items| items.iter().any(|item| contains(ctx, right, Some(*item)))),
        Operator::NoneOf => list(left)
            .is_some_and(|items| !items.iter().any(|item| contains(ctx, right, Some(*item)))),
        Operator::Size => size(left).is_some_and(|left| Some(left) == size_wanted(right)),
        Operator::Empty => {
            size(left).is_some_and(|left| (left == 0) == (right == Some(Value::Bool(true))))
        }
        Operator::Contains => match (left, right) {
            (Some(Value::String(text)), Some(Value::String(part))) => text.contains(part),
            (left, right) => right.is_some() && contains(ctx, left, right),
        },
        Operator::Matches => false,
    }
}

fn list(found: Found<'_>) -> Option<&[Value<'_>]> {
    match found {
        Some(Value::Array(items)) => Some(items),
        _ => None,
    }
}

fn size(found: Found<'_>) -> Option<usize> {
    match found? {
        Value::Array(items) => Some(items.len()),
        Value::Map(map) => Some(map.entries.len()),
        Value::String(text) => Some(text.chars().count()),
        _ => None,
    }
}

/// A number, or the size of a list.
fn size_wanted(found: Found<'_>) -> Option<usize> {
    match found? {
        Value::Number(text) => {
            Decimal::parse(text)?.to_i128(false).and_then(|number| usize::try_from(number).ok())
        }
        value => size(Some(value)),
    }
}

fn contains(ctx: &Context<'_>, items: Found<'_>, item: Found<'_>) -> bool {
    list(items).is_some_and(|items| items.iter().any(|found| equal(ctx, Some(*found), item)))
}

/// Numbers by their value, everything else by its kind and content; a missing value equals a missing one only.
pub(super) fn equal(ctx: &Context<'_>, left: Found<'_>, right: Found<'_>) -> bool {
    // Out of budget: the next step says so.
    if ctx.charge(8).is_err() {
        return false;
    }
    match (left, right) {
        (Some(Value::Number(a)), Some(Value::Number(b))) => {
            a == b || order(left, right) == Some(Ordering::Equal)
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| equal(ctx, Some(*a), Some(*b)))
        }
        (Some(Value::Map(a)), Some(Value::Map(b))) => {
            let same = |(key, value): &(&str, Value<'_>)| equal(ctx, Some(*value), b.get(key));
            a.entries.len() == b.entries.len() && a.entries.iter().all(same)
        }
        (left, right) => left == right,
    }
}

fn order(left: Found<'_>, right: Found<'_>) -> Option<Ordering> {
    match (left?, right?) {
        (Value::Number(a), Value::Number(b)) => Some(Decimal::parse(a)?.cmp(&Decimal::parse(b)?)),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ => None,
    }
}
