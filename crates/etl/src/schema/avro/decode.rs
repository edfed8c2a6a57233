//! Avro's binary form as values. Bytes become base64, decimals numbers, a union the value that it holds.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{Schema, Type};
use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault},
    json::DEPTH_MAX,
    value::{Entry, Map, Value, number::float_text},
};

/// Reads all of `bytes`.
pub(crate) fn decode<'a>(
    ctx: &Context<'a>,
    schema: &'a Schema,
    bytes: &'a [u8],
) -> Fallible<Value<'a>> {
    let mut reader = Reader { ctx, schema, bytes, at: 0 };
    let value = reader.value(schema.root, 1)?;
    if reader.at < bytes.len() {
        return reader.fail("something is left over");
    }
    Ok(value)
}

struct Reader<'a, 'c> {
    ctx: &'c Context<'a>,
    schema: &'a Schema,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a, '_> {
    fn fail<T>(&self, what: &str) -> Fallible<T> {
        let at = self.at;
        Err(Fault::at(ErrorCode::SchemaDecode, at, format!("{what} (byte {at} of the content)")))
    }

    fn take(&mut self, count: usize) -> Fallible<&'a [u8]> {
        let Some(taken) = self.bytes[self.at..].get(..count) else {
            return self.fail("the bytes end too early");
        };
        self.at += count;
        Ok(taken)
    }

    /// A zigzag variable-length integer.
    fn long(&mut self) -> Fallible<i64> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok((value >> 1).cast_signed() ^ -((value & 1).cast_signed()));
            }
        }
        self.fail("an integer of more than 64 bits")
    }

    fn length(&mut self) -> Fallible<usize> {
        let length = self.long()?;
        usize::try_from(length).or_else(|_| self.fail("a negative length"))
    }

    fn text(&mut self) -> Fallible<&'a str> {
        let length = self.length()?;
        let bytes = self.take(length)?;
        std::str::from_utf8(bytes).or_else(|_| self.fail("text that is not UTF-8"))
    }

    fn number(&self, text: &str) -> Fallible<Value<'a>> {
        Ok(Value::Number(self.ctx.text(text)?))
    }

    fn float(&self, text: Option<String>) -> Fallible<Value<'a>> {
        match text {
            Some(text) => self.number(&text),
            None => self.fail("a number that is not finite"),
        }
    }

    fn value(&mut self, kind: usize, depth: usize) -> Fallible<Value<'a>> {
        self.ctx.charge(size_of::<Value<'_>>())?;
        if depth > DEPTH_MAX {
            return self.fail("nested too deep");
        }
        Ok(match &self.schema.types[kind] {
            Type::Null => Value::Null,
            Type::Boolean => Value::Bool(self.take(1)?[0] != 0),
            Type::Int | Type::Long => {
                let number = self.long()?;
                self.number(&number.to_string())?
            }
            Type::Float => {
                let bytes = self.take(4)?;
                let number = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                self.float(number.is_finite().then(|| format!("{number:?}")))?
            }
            Type::Double => {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(self.take(8)?);
                self.float(float_text(f64::from_le_bytes(bytes)))?
            }
            Type::String => Value::String(self.text()?),
            Type::Bytes => {
                let length = self.length()?;
                self.base64(length)?
            }
            Type::Fixed(size) => self.base64(*size)?,
            Type::Decimal { scale, size } => {
                let size = match size {
                    Some(size) => *size,
                    None => self.length()?,
                };
                self.decimal(size, *scale)?
            }
            Type::Enum(symbols) => {
                let index = self.length()?;
                match symbols.get(index) {
                    Some(symbol) => Value::String(symbol),
                    None => return self.fail("a symbol that the schema does not have"),
                }
            }
            Type::Union(kinds) => {
                let index = self.length()?;
                match kinds.get(index) {
                    Some(kind) => self.value(*kind, depth + 1)?,
                    None => return self.fail("a branch of a union that the schema does not have"),
                }
            }
            Type::Record(fields) => {
                let mut entries: Vec<Entry<'a>> = Vec::with_capacity(fields.len().min(64));
                for field in fields {
                    entries.push((&field.name, self.value(field.kind, depth + 1)?));
                }
                Value::Map(Map { entries: self.ctx.bump.alloc_slice_copy(&entries) })
            }
            Type::Array(items) => {
                let mut values = Vec::new();
                self.blocks(|reader| {
                    values.push(reader.value(*items, depth + 1)?);
                    Ok(())
                })?;
                Value::Array(self.ctx.bump.alloc_slice_copy(&values))
            }
            Type::Map(kind) => {
                let mut builder = crate::value::MapBuilder::default();
                self.blocks(|reader| {
                    let key = reader.text()?;
                    builder.insert(key, reader.value(*kind, depth + 1)?);
                    Ok(())
                })?;
                Value::Map(builder.finish(self.ctx.bump))
            }
        })
    }

    /// Items in blocks, up to the block of zero items. A negative count is followed by the bytes of the block.
    fn blocks(&mut self, mut item: impl FnMut(&mut Self) -> Fallible<()>) -> Fallible<()> {
        loop {
            let count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                self.length()?;
            }
            for _ in 0..count.unsigned_abs() {
                item(self)?;
            }
        }
    }

    fn base64(&mut self, length: usize) -> Fallible<Value<'a>> {
        let bytes = self.take(length)?;
        Ok(Value::String(self.ctx.text(&STANDARD.encode(bytes))?))
    }

    /// A two's-complement integer, big-endian, with `scale` digits behind the point.
    fn decimal(&mut self, size: usize, scale: usize) -> Fallible<Value<'a>> {
        let bytes = self.take(size)?;
        if bytes.len() > 16 {
            return self.fail("a decimal of more than 128 bits");
        }
        let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
        let start: i128 = if negative { -1 } else { 0 };
        let unscaled = bytes.iter().fold(start, |value, byte| value << 8 | i128::from(*byte));
        self.number(&scaled(unscaled, scale))
    }
}

fn scaled(unscaled: i128, scale: usize) -> String {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}
