//! Values in Avro's binary form, as a schema wants them.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Field, Schema, Type};
use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault},
    json::DEPTH_MAX,
    value::{Map, Value, number::Decimal},
};

/// Appends `value` to `out`.
pub(crate) fn encode(
    ctx: &Context<'_>,
    schema: &Schema,
    value: Value<'_>,
    out: &mut Vec<u8>,
) -> Fallible<()> {
    Writer { ctx, schema, out, path: Vec::new() }.value(schema.root, value)
}

struct Writer<'s, 'c, 'a, 'p> {
    ctx: &'c Context<'a>,
    schema: &'s Schema,
    out: &'c mut Vec<u8>,
    path: Vec<&'p str>,
}

impl<'p> Writer<'_, '_, '_, 'p> {
    fn fail<T>(&self, value: Value<'_>, wanted: &str) -> Fallible<T> {
        let at = if self.path.is_empty() { "the document".to_owned() } else { self.path.join(".") };
        Err(Fault::new(
            ErrorCode::SchemaEncode,
            format!("{at} is {}, the schema wants {wanted}", value.kind()),
        ))
    }

    fn long(&mut self, number: i64) {
        let mut value = (number << 1 ^ number >> 63).cast_unsigned();
        while value >= 0x80 {
            self.out.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.out.push((value & 0x7f) as u8);
    }

    fn count(&mut self, count: usize) -> Fallible<()> {
        self.ctx.charge(count)?;
        self.long(i64::try_from(count).unwrap_or(i64::MAX));
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Fallible<()> {
        self.count(bytes.len())?;
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    fn value(&mut self, kind: usize, value: Value<'p>) -> Fallible<()> {
        self.ctx.charge(8)?;
        if self.path.len() > DEPTH_MAX {
            return self.fail(value, "less nesting");
        }
        match (&self.schema.types[kind], value) {
            (Type::Null, Value::Null) => {}
            (Type::Boolean, Value::Bool(value)) => self.out.push(u8::from(value)),
            (Type::Int | Type::Long, Value::Number(text)) => {
                let is_int = matches!(self.schema.types[kind], Type::Int);
                let Some(number) = integer(text, is_int) else {
                    return self.fail(value, "an integer in its range");
                };
                self.long(number);
            }
            #[allow(clippy::cast_possible_truncation, reason = "a float is what the schema wants")]
            (Type::Float, Value::Number(text)) => {
                self.out.extend((text.parse::<f64>().unwrap_or(f64::NAN) as f32).to_le_bytes());
            }
            (Type::Double, Value::Number(text)) => {
                self.out.extend(text.parse::<f64>().unwrap_or(f64::NAN).to_le_bytes());
            }
            (Type::String, Value::String(text)) => self.bytes(text.as_bytes())?,
            (Type::Bytes, Value::String(text)) => match STANDARD.decode(text) {
                Ok(bytes) => self.bytes(&bytes)?,
                Err(_) => return self.fail(value, "base64"),
            },
            (Type::Fixed(size), Value::String(text)) => match STANDARD.decode(text) {
                Ok(bytes) if bytes.len() == *size => self.out.extend_from_slice(&bytes),
                _ => return self.fail(value, "base64 of the fixed size"),
            },
            (Type::Decimal { scale, size }, Value::Number(text)) => {
                self.decimal(text, *scale, *size, value)?
            }
            (Type::Enum(symbols), Value::String(text)) => {
                match symbols.iter().position(|symbol| symbol == text) {
                    Some(index) => self.count(index)?,
                    None => return self.fail(value, "one of the symbols of the enum"),
                }
            }
            (Type::Array(items), Value::Array(values)) => {
                if !values.is_empty() {
                    self.count(values.len())?;
                    self.path.push("[]");
                    for item in values {
                        self.value(*items, *item)?;
                    }
                    self.path.pop();
                }
                self.out.push(0);
            }
            (Type::Map(kind), Value::Map(map)) => {
                if !map.entries.is_empty() {
                    self.count(map.entries.len())?;
                    for (key, inner) in map.entries {
                        self.bytes(key.as_bytes())?;
                        self.path.push(key);
                        self.value(*kind, *inner)?;
                        self.path.pop();
                    }
                }
                self.out.push(0);
            }
            (Type::Record(fields), Value::Map(map)) => self.record(fields, map)?,
            (Type::Union(kinds), value) => self.union(kinds, value)?,
            (kind, value) => return self.fail(value, name(kind)),
        }
        Ok(())
    }

    /// A missing field is null; a default of the schema is the reader's, not written.
    fn record(&mut self, fields: &[Field], map: Map<'p>) -> Fallible<()> {
        for field in fields {
            let value = map.get(&field.name);
            let entry = map.entries.iter().find(|(key, _)| *key == field.name);
            let key: &'p str = entry.map_or("(missing field)", |(key, _)| key);
            if value.is_none() && field.has_default && !self.takes_null(field.kind) {
                let cause =
                    format!("the field {:?} is missing; its default is not filled in", field.name);
                return Err(Fault::new(ErrorCode::SchemaEncode, cause));
            }
            self.path.push(key);
            self.value(field.kind, value.unwrap_or(Value::Null))?;
            self.path.pop();
        }
        Ok(())
    }

    fn takes_null(&self, kind: usize) -> bool {
        match &self.schema.types[kind] {
            Type::Null => true,
            Type::Union(kinds) => {
                kinds.iter().any(|kind| matches!(self.schema.types[*kind], Type::Null))
            }
            _ => false,
        }
    }

    /// The first branch that takes the value.
    fn union(&mut self, kinds: &[usize], value: Value<'p>) -> Fallible<()> {
        let (start, depth) = (self.out.len(), self.path.len());
        for (index, kind) in kinds.iter().enumerate() {
            self.count(index)?;
            match self.value(*kind, value) {
                Err(fault) if fault.code == ErrorCode::SchemaEncode => {
                    self.out.truncate(start);
                    self.path.truncate(depth);
                }
                done => return done,
            }
        }
        self.fail(value, "one of the branches of the union")
    }

    fn decimal(
        &mut self,
        text: &str,
        scale: usize,
        size: Option<usize>,
        value: Value<'_>,
    ) -> Fallible<()> {
        let scaled = format!("{text}{}", if text.contains(['e', 'E']) { "" } else { "e0" });
        let (mantissa, exponent) = scaled.split_once(['e', 'E']).unwrap_or((&scaled, "0"));
        let exponent = exponent
            .parse::<i64>()
            .ok()
            .and_then(|found| found.checked_add(i64::try_from(scale).ok()?));
        let shifted = exponent.map(|exponent| format!("{mantissa}e{exponent}"));
        let unscaled =
            shifted.as_deref().and_then(Decimal::parse).and_then(|number| number.to_i128(false));
        let Some(unscaled) = unscaled else { return self.fail(value, "a decimal of its scale") };
        let bytes = unscaled.to_be_bytes();
        // As short as the sign allows, or as long as the size demands.
        let fill = if unscaled < 0 { 0xff } else { 0 };
        let same_sign = |byte: u8| (byte & 0x80 != 0) == (unscaled < 0);
        let needed =
            (0..15).find(|at| bytes[*at] != fill || !same_sign(bytes[at + 1])).unwrap_or(15);
        match size {
            None => self.bytes(&bytes[needed..]),
            Some(size) if size <= 16 && size >= 16 - needed => {
                self.out.extend_from_slice(&bytes[16 - size..]);
                Ok(())
            }
            Some(_) => self.fail(value, "a decimal that fits its size"),
        }
    }
}

fn integer(text: &str, is_int: bool) -> Option<i64> {
    let number = i64::try_from(Decimal::parse(text)?.to_i128(false)?).ok()?;
    if is_int { i32::try_from(number).ok().map(i64::from) } else { Some(number) }
}

fn name(kind: &Type) -> &'static str {
    match kind {
        Type::Null => "null",
        Type::Boolean => "a boolean",
        Type::Int | Type::Long | Type::Float | Type::Double | Type::Decimal { .. } => "a number",
        Type::Bytes | Type::Fixed(_) => "base64",
        Type::String | Type::Enum(_) => "a string",
        Type::Array(_) => "an array",
        Type::Map(_) | Type::Record(_) => "a map",
        Type::Union(_) => "one of the branches of the union",
    }
}
