//! Evaluates an expression. Null in arithmetic and comparison gives null; types that do not fit are errors.

use std::cmp::Ordering;

use super::{Binary, Call, Expression};
use crate::{
    context::Context,
    convert,
    error::{ErrorCode, Fallible, Fault},
    value::{
        Map, Value, lookup,
        number::{self, Decimal, float_text},
    },
};

fn wrong_type<T>(wanted: &str, found: Value<'_>) -> Fallible<T> {
    Err(Fault::new(ErrorCode::MathType, format!("expected {wanted}, found {}", found.kind())))
}

/// What `expression` gives for the value of the op and the document.
pub(crate) fn evaluate<'a>(
    ctx: &Context<'a>,
    expression: &Expression,
    value: Value<'a>,
    document: Map<'a>,
) -> Fallible<Value<'a>> {
    Evaluation { ctx, value, document }.expression(expression)
}

struct Evaluation<'a, 'c> {
    ctx: &'c Context<'a>,
    value: Value<'a>,
    document: Map<'a>,
}

impl<'a> Evaluation<'a, '_> {
    fn expression(&self, expression: &Expression) -> Fallible<Value<'a>> {
        Ok(match expression {
            Expression::Null => Value::Null,
            Expression::Bool(value) => Value::Bool(*value),
            Expression::Number(text) => Value::Number(self.ctx.text(text)?),
            Expression::Text(text) => Value::String(self.ctx.text(text)?),
            Expression::Value => self.value,
            Expression::Field(name) => lookup(self.document, name).unwrap_or(Value::Null),
            Expression::Not(inner) => match self.expression(inner)? {
                Value::Null => Value::Null,
                value => Value::Bool(!truth(value)?),
            },
            Expression::Negate(inner) => {
                let zero = Value::Number("0");
                self.arithmetic(zero, Binary::Subtract, self.expression(inner)?)?
            }
            Expression::Binary(left, Binary::And, right) => {
                let left = self.expression(left)?;
                if left != Value::Null && !truth(left)? {
                    left
                } else {
                    self.logic(left, right, false)?
                }
            }
            Expression::Binary(left, Binary::Or, right) => {
                let left = self.expression(left)?;
                if left != Value::Null && truth(left)? {
                    left
                } else {
                    self.logic(left, right, true)?
                }
            }
            Expression::Binary(left, operator, right) => {
                let (left, right) = (self.expression(left)?, self.expression(right)?);
                match operator {
                    Binary::Equal => Value::Bool(equal(left, right)),
                    Binary::NotEqual => Value::Bool(!equal(left, right)),
                    Binary::Less | Binary::LessEqual | Binary::Greater | Binary::GreaterEqual => {
                        compare(left, *operator, right)?
                    }
                    _ => self.arithmetic(left, *operator, right)?,
                }
            }
            Expression::Call(call, arguments) => self.call(*call, arguments)?,
        })
    }

    /// The right side of `&&` or `||`; a null on the left leaves only what decides alone.
    fn logic(&self, left: Value<'a>, right: &Expression, deciding: bool) -> Fallible<Value<'a>> {
        let right = self.expression(right)?;
        if right == Value::Null {
            return Ok(Value::Null);
        }
        let right = truth(right)?;
        Ok(if left == Value::Null && right != deciding { Value::Null } else { Value::Bool(right) })
    }

    fn number(&self, number: f64) -> Fallible<Value<'a>> {
        match float_text(number) {
            Some(text) => Ok(Value::Number(self.ctx.text(&text)?)),
            None => {
                Err(Fault::new(ErrorCode::MathDomain, "the result is outside the range of numbers"))
            }
        }
    }

    fn integer(&self, number: i128) -> Fallible<Value<'a>> {
        Ok(Value::Number(self.ctx.text(&number.to_string())?))
    }

    /// Exact for integers that fit 128 bits, in double precision for everything else.
    fn arithmetic(
        &self,
        left: Value<'a>,
        operator: Binary,
        right: Value<'a>,
    ) -> Fallible<Value<'a>> {
        if left == Value::Null || right == Value::Null {
            return Ok(Value::Null);
        }
        let (a, b) = (number_text(left)?, number_text(right)?);
        if let (Some(a), Some(b)) = (integer(a), integer(b)) {
            let exact = match operator {
                Binary::Add => a.checked_add(b),
                Binary::Subtract => a.checked_sub(b),
                Binary::Multiply => a.checked_mul(b),
                Binary::Divide if b != 0 && a % b == 0 => a.checked_div(b),
                Binary::Remainder if b != 0 => a.checked_rem(b),
                _ => None,
            };
            if let Some(exact) = exact {
                return self.integer(exact);
            }
        }
        let (a, b) = (float(a)?, float(b)?);
        if b == 0.0 && matches!(operator, Binary::Divide | Binary::Remainder) {
            return Err(Fault::new(ErrorCode::MathDomain, "division by zero"));
        }
        self.number(match operator {
            Binary::Add => a + b,
            Binary::Subtract => a - b,
            Binary::Multiply => a * b,
            Binary::Divide => a / b,
            _ => a % b,
        })
    }

    fn call(&self, call: Call, arguments: &[Expression]) -> Fallible<Value<'a>> {
        match call {
            Call::If => {
                let condition = self.expression(&arguments[0])?;
                let is_true = condition != Value::Null && truth(condition)?;
                return self.expression(&arguments[if is_true { 1 } else { 2 }]);
            }
            Call::Coalesce => {
                for argument in arguments {
                    let value = self.expression(argument)?;
                    if value != Value::Null {
                        return Ok(value);
                    }
                }
                return Ok(Value::Null);
            }
            _ => {}
        }
        let mut values = Vec::with_capacity(arguments.len());
        for argument in arguments {
            values.push(self.expression(argument)?);
        }
        if call == Call::Concat {
            let mut text = String::new();
            for value in values {
                let part = convert::text_of(self.ctx, value)?;
                self.ctx.charge(part.len())?;
                text.push_str(part);
            }
            return Ok(Value::String(self.ctx.text(&text)?));
        }
        if values.contains(&Value::Null) {
            return Ok(Value::Null);
        }
        self.plain_call(call, &values)
    }

    fn plain_call(&self, call: Call, values: &[Value<'a>]) -> Fallible<Value<'a>> {
        let ctx = self.ctx;
        Ok(match call {
            Call::Upper => Value::String(ctx.text(&text(values[0])?.to_uppercase())?),
            Call::Lower => Value::String(ctx.text(&text(values[0])?.to_lowercase())?),
            Call::Trim => Value::String(text(values[0])?.trim()),
            Call::Length => {
                let length = match values[0] {
                    Value::Array(items) => items.len(),
                    Value::Map(map) => map.entries.len(),
                    value => text(value)?.chars().count(),
                };
                self.integer(length as i128)?
            }
            Call::Contains => Value::Bool(text(values[0])?.contains(text(values[1])?)),
            Call::StartsWith => Value::Bool(text(values[0])?.starts_with(text(values[1])?)),
            Call::EndsWith => Value::Bool(text(values[0])?.ends_with(text(values[1])?)),
            Call::Text => Value::String(convert::text_of(ctx, values[0])?),
            Call::Number => match values[0] {
                Value::String(text) if number::is_json_number(text.trim()) => {
                    Value::Number(text.trim())
                }
                Value::Bool(value) => Value::Number(if value { "1" } else { "0" }),
                Value::Number(_) => values[0],
                other => return wrong_type("the text of a number", other),
            },
            Call::Substr => {
                let bound = |value: Value<'_>| {
                    let index =
                        integer(number_text(value)?).and_then(|index| usize::try_from(index).ok());
                    index.ok_or_else(|| {
                        Fault::new(ErrorCode::MathDomain, "substr takes indices from 0")
                    })
                };
                let start = bound(values[1])?;
                let length = match values.get(2) {
                    Some(end) => bound(*end)?.saturating_sub(start),
                    None => usize::MAX,
                };
                let part: String = text(values[0])?.chars().skip(start).take(length).collect();
                Value::String(ctx.text(&part)?)
            }
            Call::Min | Call::Max => {
                let mut best = values[0];
                for value in &values[1..] {
                    let operator = if call == Call::Min { Binary::Less } else { Binary::Greater };
                    if compare(*value, operator, best)? == Value::Bool(true) {
                        best = *value;
                    }
                }
                best
            }
            _ => self.rounding(call, values)?,
        })
    }

    fn rounding(&self, call: Call, values: &[Value<'a>]) -> Fallible<Value<'a>> {
        let number = number_text(values[0])?;
        if let Some(exact) = integer(number) {
            return self.integer(if call == Call::Abs { exact.abs() } else { exact });
        }
        let float = float(number)?;
        let places = match values.get(1) {
            Some(places) => {
                integer(number_text(*places)?).filter(|places| (0..=15).contains(places))
            }
            None => Some(0),
        };
        let Some(places) = places.and_then(|places| i32::try_from(places).ok()) else {
            return Err(Fault::new(ErrorCode::MathDomain, "round takes 0 to 15 places"));
        };
        let rounded = match call {
            Call::Abs => return self.number(float.abs()),
            Call::Floor => float.floor(),
            Call::Ceil => float.ceil(),
            _ => (float * 10_f64.powi(places)).round() / 10_f64.powi(places),
        };
        if places == 0 && rounded.abs() < 1e15 {
            #[allow(clippy::cast_possible_truncation, reason = "an integer below 2^50")]
            return self.integer(rounded as i128);
        }
        self.number(rounded)
    }
}

fn truth(value: Value<'_>) -> Fallible<bool> {
    match value {
        Value::Bool(value) => Ok(value),
        other => wrong_type("true or false", other),
    }
}

fn text(value: Value<'_>) -> Fallible<&str> {
    match value.text() {
        Some(text) => Ok(text),
        None => wrong_type("text", value),
    }
}

fn number_text(value: Value<'_>) -> Fallible<&str> {
    match value {
        Value::Number(text) => Ok(text),
        other => wrong_type("a number", other),
    }
}

/// The number when it is written as an integer.
fn integer(text: &str) -> Option<i128> {
    text.parse().ok()
}

fn float(text: &str) -> Fallible<f64> {
    text.parse().map_err(|_| Fault::new(ErrorCode::MathDomain, format!("{text} is no number")))
}

fn equal(left: Value<'_>, right: Value<'_>) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => Decimal::parse(a) == Decimal::parse(b),
        (Value::Map(_) | Value::Array(_), _) | (_, Value::Map(_) | Value::Array(_)) => false,
        (left, right) => left == right,
    }
}

fn compare<'a>(left: Value<'a>, operator: Binary, right: Value<'a>) -> Fallible<Value<'a>> {
    let order = match (left, right) {
        (Value::Null, _) | (_, Value::Null) => return Ok(Value::Null),
        (Value::Number(a), Value::Number(b)) => Decimal::parse(a).cmp(&Decimal::parse(b)),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Number(_) | Value::String(_), other) => {
            return wrong_type("two numbers or two texts", other);
        }
        (other, _) => return wrong_type("a number or a text", other),
    };
    Ok(Value::Bool(match operator {
        Binary::Less => order == Ordering::Less,
        Binary::LessEqual => order != Ordering::Greater,
        Binary::Greater => order == Ordering::Greater,
        _ => order != Ordering::Less,
    }))
}
