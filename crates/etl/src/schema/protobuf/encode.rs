//! Values in Protobuf's binary form, as a schema wants them.

use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{Chosen, Field, Kind, Label, Schema, Shape, time, wire};
use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault, quote},
    json::DEPTH_MAX,
    value::{Map, Value, number::Decimal},
};

const FORGIVING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
/// Both alphabets are read, with or without padding.
const ALPHABETS: [GeneralPurpose; 2] = [
    GeneralPurpose::new(&alphabet::STANDARD, FORGIVING),
    GeneralPurpose::new(&alphabet::URL_SAFE, FORGIVING),
];

/// Appends the indexes of the message, and the message.
pub(crate) fn encode(
    ctx: &Context<'_>,
    schema: &Schema,
    chosen: &Chosen,
    document: Map<'_>,
    out: &mut Vec<u8>,
) -> Fallible<()> {
    out.extend_from_slice(&chosen.head);
    Writer { ctx, schema, out, path: Vec::new() }.message(chosen.message, Value::Map(document))
}

struct Writer<'s, 'c, 'a, 'p> {
    ctx: &'c Context<'a>,
    schema: &'s Schema,
    out: &'c mut Vec<u8>,
    path: Vec<&'p str>,
}

impl<'s, 'p> Writer<'s, '_, '_, 'p> {
    fn at(&self) -> String {
        if self.path.is_empty() { "the document".to_owned() } else { self.path.join(".") }
    }

    fn fault(&self, cause: &str) -> Box<Fault> {
        Fault::new(ErrorCode::SchemaEncode, format!("{} {cause}", self.at()))
    }

    fn fail<T>(&self, value: Value<'_>, wanted: &str) -> Fallible<T> {
        Err(self.fault(&format!("is {}, the schema wants {wanted}", shown(value))))
    }

    fn tag(&mut self, number: u32, wire: u8) {
        wire::varint(self.out, u64::from(number) << 3 | u64::from(wire));
    }

    fn bytes(&mut self, bytes: &[u8]) -> Fallible<()> {
        self.ctx.charge(bytes.len())?;
        wire::varint(self.out, bytes.len() as u64);
        self.out.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes the length in front of what `content` writes.
    fn sized(&mut self, content: impl FnOnce(&mut Self) -> Fallible<()>) -> Fallible<()> {
        let start = self.out.len();
        content(self)?;
        let length = self.out.len() - start;
        // It is moved once for each message that it is within.
        self.ctx.charge(length + 8)?;
        let mut head = Vec::with_capacity(10);
        wire::varint(&mut head, length as u64);
        self.out.splice(start..start, head);
        Ok(())
    }

    /// Goes into a part of the document.
    fn within(
        &mut self,
        name: &'p str,
        part: impl FnOnce(&mut Self) -> Fallible<()>,
    ) -> Fallible<()> {
        self.path.push(name);
        part(self)?;
        self.path.pop();
        Ok(())
    }

    fn message(&mut self, message: usize, value: Value<'p>) -> Fallible<()> {
        if self.path.len() > DEPTH_MAX {
            return self.fail(value, "less nesting");
        }
        let found = &self.schema.messages[message];
        match (found.shape, value) {
            (Shape::Fields, Value::Map(map)) => self.fields(message, map),
            (Shape::Fields, other) => self.fail(other, "a map"),
            (Shape::Timestamp, Value::String(text)) => match time::timestamp_parts(text) {
                Some(parts) => self.time(parts),
                None => self.fail(value, "a time such as 2025-01-31T14:00:00Z"),
            },
            (Shape::Timestamp, other) => self.fail(other, "a time such as 2025-01-31T14:00:00Z"),
            (Shape::Duration, Value::String(text)) => match time::duration_parts(text) {
                Some(parts) => self.time(parts),
                None => self.fail(value, "a duration such as 1.5s"),
            },
            (Shape::Duration, other) => self.fail(other, "a duration such as 1.5s"),
            (Shape::Struct, Value::Map(_)) => self.only_field(message, value),
            (Shape::Struct, other) => self.fail(other, "a map"),
            (Shape::List, Value::Array(_)) => self.only_field(message, value),
            (Shape::List, other) => self.fail(other, "an array"),
            (Shape::Wrapper, value) => self.only_field(message, value),
            (Shape::Value, value) => self.any(message, value),
        }
    }

    fn time(&mut self, (seconds, nanos): (i64, i32)) -> Fallible<()> {
        for (number, part) in [(1, seconds), (2, i64::from(nanos))] {
            if part != 0 {
                self.tag(number, wire::VARINT);
                wire::varint(self.out, part.cast_unsigned());
            }
        }
        Ok(())
    }

    /// The message is what its field holds.
    fn only_field(&mut self, message: usize, value: Value<'p>) -> Fallible<()> {
        let schema = self.schema;
        match schema.messages[message].fields.first() {
            Some(field) => self.field(field, value),
            None => Ok(()),
        }
    }

    /// `google.protobuf.Value`: the field for what `value` is.
    fn any(&mut self, message: usize, value: Value<'p>) -> Fallible<()> {
        let number = match value {
            Value::Null => 1,
            Value::Number(_) => 2,
            Value::String(_) => 3,
            Value::Bool(_) => 4,
            Value::Map(_) => 5,
            Value::Array(_) => 6,
        };
        let schema = self.schema;
        let found = &schema.messages[message];
        match found.fields.iter().find(|field| field.number == number) {
            Some(field) => self.field(field, value),
            None => self.fail(value, "nothing"),
        }
    }

    fn fields(&mut self, message: usize, map: Map<'p>) -> Fallible<()> {
        let schema = self.schema;
        let message = &schema.messages[message];
        let mut found = Vec::with_capacity(map.entries.len());
        for (key, value) in map.entries {
            self.ctx.charge(64)?;
            let Some(place) = message.by_name.get(*key) else {
                let cause = format!("has a field {} that the schema does not have", quote(key));
                return Err(self.fault(&cause));
            };
            found.push((message.fields[*place].number, *place, *key, *value));
        }
        found.sort_unstable_by_key(|(number, ..)| *number);
        if let Some([(_, place, ..), _]) = found.array_windows().find(|[a, b]| a.0 == b.0) {
            let name = &message.fields[*place].name;
            return Err(self.fault(&format!("has the field {name:?} under two names")));
        }
        let mut members = vec![None; message.oneofs];
        for (_, place, key, value) in &found {
            let field = &message.fields[*place];
            if *value == Value::Null && !self.takes_null(field) {
                continue;
            }
            if let Some(oneof) = field.oneof
                && let Some(other) = members[oneof].replace(*key)
            {
                let cause =
                    format!("has {} and {}, of which one may be set", quote(other), quote(key));
                return Err(self.fault(&cause));
            }
            self.within(key, |writer| writer.field(field, *value))?;
        }
        let is_missing = |field: &&Field| {
            field.label == Label::Required
                && !found
                    .iter()
                    .any(|(number, .., value)| *number == field.number && *value != Value::Null)
        };
        match message.fields.iter().find(is_missing) {
            Some(field) => Err(self.fault(&format!("lacks the required field {:?}", field.name))),
            None => Ok(()),
        }
    }

    /// Whether null is a value of the field, and does not say that it is not set.
    fn takes_null(&self, field: &Field) -> bool {
        match (field.label, field.kind) {
            (Label::Repeated | Label::Map, _) => false,
            (_, Kind::Message(kind)) => self.schema.messages[kind].shape == Shape::Value,
            (_, Kind::Enum(kind)) => self.schema.enums[kind].is_null,
            _ => false,
        }
    }

    /// Tags and values of one field.
    fn field(&mut self, field: &'s Field, value: Value<'p>) -> Fallible<()> {
        let start = self.out.len();
        match (field.label, value) {
            (Label::Repeated, Value::Array(items)) if field.is_packed => {
                if !items.is_empty() {
                    self.tag(field.number, wire::BYTES);
                    self.sized(|writer| {
                        writer.within("[]", |writer| {
                            items.iter().try_for_each(|item| writer.scalar(field.kind, *item))
                        })
                    })?;
                }
            }
            (Label::Repeated, Value::Array(items)) => self.within("[]", |writer| {
                items.iter().try_for_each(|item| {
                    writer.tag(field.number, field.kind.wire());
                    writer.one(field, *item)
                })
            })?,
            (Label::Repeated, other) => return self.fail(other, "an array"),
            (Label::Map, Value::Map(map)) => {
                let Kind::Message(entry) = field.kind else { return Ok(()) };
                for (key, value) in map.entries {
                    self.tag(field.number, wire::BYTES);
                    self.within(key, |writer| {
                        writer.sized(|writer| writer.entry(entry, key, *value))
                    })?;
                }
            }
            (Label::Map, other) => return self.fail(other, "a map"),
            _ => {
                self.tag(field.number, field.kind.wire());
                let content = self.out.len();
                self.one(field, value)?;
                // Every default is nothing but zeros, and nothing else is.
                let is_default = self.out[content..].iter().all(|byte| *byte == 0);
                if field.label == Label::Implicit && is_default {
                    self.out.truncate(start);
                }
            }
        }
        Ok(())
    }

    /// One value without its tag.
    fn one(&mut self, field: &'s Field, value: Value<'p>) -> Fallible<()> {
        match field.kind {
            Kind::Message(message) => self.sized(|writer| writer.message(message, value)),
            Kind::Group(message) => {
                self.message(message, value)?;
                self.tag(field.number, wire::GROUP_END);
                Ok(())
            }
            kind => self.scalar(kind, value),
        }
    }

    /// An entry of a map; both of its fields are written, defaults too.
    fn entry(&mut self, message: usize, key: &'p str, value: Value<'p>) -> Fallible<()> {
        let schema = self.schema;
        for field in &schema.messages[message].fields {
            self.tag(field.number, field.kind.wire());
            if field.number == 1 {
                let key = match (field.kind, key) {
                    (Kind::Bool, "true") => Value::Bool(true),
                    (Kind::Bool, "false") => Value::Bool(false),
                    _ => Value::String(key),
                };
                self.scalar(field.kind, key)?;
            } else {
                self.one(field, value)?;
            }
        }
        Ok(())
    }

    fn scalar(&mut self, kind: Kind, value: Value<'p>) -> Fallible<()> {
        self.ctx.charge(8)?;
        match (kind, value) {
            (Kind::Bool, Value::Bool(value)) => self.out.push(u8::from(value)),
            (Kind::Bool, other) => return self.fail(other, "a boolean"),
            (Kind::String, Value::String(text)) => self.bytes(text.as_bytes())?,
            (Kind::String, other) => return self.fail(other, "a string"),
            (Kind::Bytes, Value::String(text)) => {
                let decoded = ALPHABETS.iter().find_map(|engine| engine.decode(text).ok());
                match decoded {
                    Some(bytes) => self.bytes(&bytes)?,
                    None => return self.fail(value, "base64"),
                }
            }
            (Kind::Bytes, other) => return self.fail(other, "base64"),
            (Kind::Float, value) => {
                let number = self.float(value, f64::from(f32::MAX))?;
                #[allow(clippy::cast_possible_truncation, reason = "a float is wanted")]
                self.out.extend((number as f32).to_le_bytes());
            }
            (Kind::Double, value) => {
                let number = self.float(value, f64::MAX)?;
                self.out.extend(number.to_le_bytes());
            }
            (Kind::Enum(kind), value) => self.symbol(kind, value)?,
            (Kind::Int32 | Kind::Sint32 | Kind::Sfixed32, value) => {
                let number: i32 = self.integer(value, "an integer of 32 bits")?;
                let wide = i64::from(number);
                match kind {
                    Kind::Sfixed32 => self.out.extend(number.to_le_bytes()),
                    Kind::Sint32 => wire::varint(self.out, zigzag(wide)),
                    _ => wire::varint(self.out, wide.cast_unsigned()),
                }
            }
            (Kind::Int64 | Kind::Sint64 | Kind::Sfixed64, value) => {
                let number: i64 = self.integer(value, "an integer of 64 bits")?;
                match kind {
                    Kind::Sfixed64 => self.out.extend(number.to_le_bytes()),
                    Kind::Sint64 => wire::varint(self.out, zigzag(number)),
                    _ => wire::varint(self.out, number.cast_unsigned()),
                }
            }
            (Kind::Uint32 | Kind::Fixed32, value) => {
                let number: u32 = self.integer(value, "an integer of 32 bits without sign")?;
                match kind {
                    Kind::Fixed32 => self.out.extend(number.to_le_bytes()),
                    _ => wire::varint(self.out, u64::from(number)),
                }
            }
            (Kind::Uint64 | Kind::Fixed64, value) => {
                let number: u64 = self.integer(value, "an integer of 64 bits without sign")?;
                match kind {
                    Kind::Fixed64 => self.out.extend(number.to_le_bytes()),
                    _ => wire::varint(self.out, number),
                }
            }
            (Kind::Message(_) | Kind::Group(_), other) => return self.fail(other, "no message"),
        }
        Ok(())
    }

    /// From a number, or a text with one: JSON of other programs has large numbers in quotes.
    fn integer<T: TryFrom<i128>>(&self, value: Value<'p>, wanted: &str) -> Fallible<T> {
        let text = match value {
            Value::Number(text) | Value::String(text) => text,
            other => return self.fail(other, wanted),
        };
        let number = Decimal::parse(text).and_then(|number| number.to_i128(false));
        match number.and_then(|number| T::try_from(number).ok()) {
            Some(number) => Ok(number),
            None => self.fail(value, wanted),
        }
    }

    fn float(&self, value: Value<'p>, max: f64) -> Fallible<f64> {
        let text = match value {
            Value::String("NaN") => return Ok(f64::NAN),
            Value::String("Infinity") => return Ok(f64::INFINITY),
            Value::String("-Infinity") => return Ok(f64::NEG_INFINITY),
            Value::Number(text) | Value::String(text) => text,
            other => return self.fail(other, "a number"),
        };
        // Rust would read more words than these.
        let number = Decimal::parse(text).and_then(|_| text.parse::<f64>().ok());
        match number {
            Some(number) if number.abs() <= max => Ok(number),
            Some(_) => self.fail(value, "a number in its range"),
            None => self.fail(value, "a number"),
        }
    }

    fn symbol(&mut self, kind: usize, value: Value<'p>) -> Fallible<()> {
        let found = &self.schema.enums[kind];
        let number = match value {
            Value::Null if found.is_null => 0,
            Value::String(name) => match found.numbers.get(name) {
                Some(number) => *number,
                None => return self.fail(value, "one of the names of the enum"),
            },
            Value::Number(_) => {
                let number = self.integer(value, "a name of the enum, or its number")?;
                if found.is_closed && !found.names.contains_key(&number) {
                    return self.fail(value, "one of the numbers of the enum");
                }
                number
            }
            other => return self.fail(other, "a name of the enum, or its number"),
        };
        wire::varint(self.out, i64::from(number).cast_unsigned());
        Ok(())
    }
}

fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63).cast_unsigned()
}

/// What kind it is, and a text or number itself.
fn shown(value: Value<'_>) -> String {
    match value {
        Value::Number(text) | Value::String(text) => format!("{} ({})", value.kind(), quote(text)),
        other => other.kind().to_owned(),
    }
}
