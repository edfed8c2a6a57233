//! Protobuf's binary form as values.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use super::{
    Enum, Field, Kind, Label, Message, Nested, Schema, Shape, time,
    wire::{self, Input},
};
use crate::{
    context::Context,
    error::Fallible,
    json::DEPTH_MAX,
    value::{Entry, Map, MapBuilder, Value, number::float_text},
};

/// Indexes in front of a message.
const INDEXES_MAX: usize = 32;

/// Reads all of `bytes`: the indexes that say which message it is, then the message.
pub(crate) fn decode<'a>(
    ctx: &Context<'a>,
    schema: &'a Schema,
    bytes: &'a [u8],
) -> Fallible<Value<'a>> {
    let mut input = Input::new(bytes);
    let message = chosen(schema, &mut input)?;
    let base = input.at;
    let rest = Input { bytes: &bytes[base..], base, at: 0 };
    Reader { ctx, schema }.message(rest, message, 1)
}

/// The message that the indexes lead to; a lone zero stands for the first one.
fn chosen(schema: &Schema, input: &mut Input<'_>) -> Fallible<usize> {
    let start = *input;
    let count = input.index()?;
    if count > INDEXES_MAX {
        return start.fail("too many indexes of messages");
    }
    let mut messages: &[Nested] = &schema.roots;
    let mut found = messages.first().filter(|_| count == 0).map(|nested| nested.message);
    for _ in 0..count {
        let index = input.index()?;
        let nested = messages.get(index);
        let Some(nested) = nested else {
            return start.fail("indexes of a message that the schema does not have");
        };
        found = Some(nested.message);
        messages = &nested.within;
    }
    found.ok_or_else(|| start.fault("the schema has no message"))
}

struct Reader<'a, 'c> {
    ctx: &'c Context<'a>,
    schema: &'a Schema,
}

/// What was read of a field so far.
enum Slot<'a> {
    Nothing,
    One(Value<'a>),
    /// A message, read at the end: it may come in several parts.
    Part(Input<'a>),
    /// Several parts, each of which is sound.
    Joined(Input<'a>),
    Many(Vec<Value<'a>>),
    Map(MapBuilder<'a>),
}

impl<'a> Reader<'a, '_> {
    fn message(&self, input: Input<'a>, message: usize, depth: usize) -> Fallible<Value<'a>> {
        let start = input;
        let message = &self.schema.messages[message];
        let slots = self.slots(input, message, depth)?;
        let mut entries: Vec<Entry<'a>> = Vec::with_capacity(slots.len());
        for (field, slot) in message.fields.iter().zip(slots) {
            let is_missing = matches!(slot, Slot::Nothing);
            if is_missing && field.label == Label::Required {
                return start.fail(&format!("the required field {:?} is missing", field.name));
            }
            if !(is_missing && field.label == Label::Optional) {
                entries.push((&field.name, self.finished(start, field, slot, depth)?));
            }
        }
        let map = Map { entries: self.ctx.bump.alloc_slice_copy(&entries) };
        self.shaped(start, message.shape, map)
    }

    /// Reads all fields. What the schema does not have is passed over.
    fn slots(
        &self,
        mut input: Input<'a>,
        message: &'a Message,
        depth: usize,
    ) -> Fallible<Vec<Slot<'a>>> {
        if depth > DEPTH_MAX {
            return input.fail("nested too deep");
        }
        let count = message.fields.len();
        self.ctx.charge((count + 1) * (size_of::<Slot<'_>>() + size_of::<Entry<'_>>()))?;
        let mut slots = Vec::with_capacity(count);
        slots.resize_with(count, || Slot::Nothing);
        // The member of each `oneof` that was read last: the one that counts.
        let mut members = vec![None; message.oneofs];
        while !input.is_empty() {
            let before = input;
            let (number, wire) = input.tag()?;
            let found = message.by_number.binary_search_by_key(&number, |(number, _)| *number);
            let Ok(found) = found else {
                input.skip(self.ctx, number, wire)?;
                continue;
            };
            let place = message.by_number[found].1;
            let field = &message.fields[place];
            if let Some(oneof) = field.oneof
                && let Some(other) = members[oneof].replace(place)
                && other != place
            {
                let dropped = std::mem::replace(&mut slots[other], Slot::Nothing);
                self.check(&message.fields[other], &dropped, depth)?;
            }
            let is_packed = wire == wire::BYTES && field.label == Label::Repeated;
            if wire != field.kind.wire() && !(is_packed && field.kind.wire() != wire::GROUP) {
                let wanted = field.kind.wire();
                let cause =
                    format!("{:?} has wire type {wire}, the schema wants {wanted}", field.name);
                return before.fail(&cause);
            }
            self.read(&mut input, field, wire, &mut slots[place], depth)?;
        }
        Ok(slots)
    }

    /// Reads one field into its slot.
    fn read(
        &self,
        input: &mut Input<'a>,
        field: &'a Field,
        wire: u8,
        slot: &mut Slot<'a>,
        depth: usize,
    ) -> Fallible<()> {
        let part = match field.kind {
            Kind::Message(_) => Some(input.part()?),
            Kind::Group(_) => Some(input.group(self.ctx, field.number)?),
            _ => None,
        };
        match field.label {
            Label::Map => {
                if !matches!(slot, Slot::Map(_)) {
                    *slot = Slot::Map(MapBuilder::default());
                }
                if let (Slot::Map(builder), Some(part), Kind::Message(entry)) =
                    (slot, part, field.kind)
                {
                    self.ctx.charge(MapBuilder::ENTRY_BYTES)?;
                    let (key, value) = self.entry(part, entry, depth + 1)?;
                    builder.insert(key, value);
                }
            }
            Label::Repeated => {
                if !matches!(slot, Slot::Many(_)) {
                    *slot = Slot::Many(Vec::new());
                }
                let Slot::Many(values) = slot else { return Ok(()) };
                let mut push = |value: Value<'a>| -> Fallible<()> {
                    self.ctx.charge(2 * size_of::<Value<'_>>())?;
                    values.push(value);
                    Ok(())
                };
                match (part, field.kind) {
                    (Some(part), Kind::Message(kind) | Kind::Group(kind)) => {
                        push(self.message(part, kind, depth + 1)?)?;
                    }
                    _ if wire == wire::BYTES && field.kind.wire() != wire::BYTES => {
                        let mut packed = input.part()?;
                        while !packed.is_empty() {
                            push(self.scalar(&mut packed, field.kind)?)?;
                        }
                    }
                    _ => push(self.scalar(input, field.kind)?)?,
                }
            }
            _ => {
                *slot = match (part, &*slot) {
                    (Some(part), Slot::Part(before) | Slot::Joined(before)) => {
                        self.check(field, slot, depth)?;
                        self.check(field, &Slot::Part(part), depth)?;
                        Slot::Joined(self.joined(*before, part)?)
                    }
                    (Some(part), _) => Slot::Part(part),
                    (None, _) => Slot::One(self.scalar(input, field.kind)?),
                };
            }
        }
        Ok(())
    }

    /// Whether a message that is not read as it stands is sound: another member of its `oneof` takes its place, or another part
    /// follows, which must not end what it began.
    fn check(&self, field: &Field, slot: &Slot<'a>, depth: usize) -> Fallible<()> {
        let (Slot::Part(part), Kind::Message(kind) | Kind::Group(kind)) = (slot, field.kind) else {
            return Ok(());
        };
        let message = &self.schema.messages[kind];
        let slots = self.slots(*part, message, depth + 1)?;
        let mut inner = message.fields.iter().zip(&slots);
        inner.try_for_each(|(field, slot)| self.check(field, slot, depth + 1))
    }

    /// Both parts of a message that came twice: reading them as one merges them.
    fn joined(&self, before: Input<'a>, part: Input<'a>) -> Fallible<Input<'a>> {
        self.ctx.charge(before.bytes.len() + part.bytes.len())?;
        let bytes = [before.bytes, part.bytes].concat();
        Ok(Input { bytes: self.ctx.bump.alloc_slice_copy(&bytes), ..before })
    }

    fn entry(&self, input: Input<'a>, message: usize, depth: usize) -> Fallible<Entry<'a>> {
        let message = &self.schema.messages[message];
        let mut slots = self.slots(input, message, depth)?;
        let mut field = |number: u32| {
            let mut pairs = message.fields.iter().zip(&mut slots);
            let Some((field, slot)) = pairs.find(|(field, _)| field.number == number) else {
                return Ok(Value::Null);
            };
            self.finished(input, field, std::mem::replace(slot, Slot::Nothing), depth)
        };
        let key = field(1)?;
        let value = field(2)?;
        Ok((key.text().unwrap_or_default(), value))
    }

    /// The value of a field, its default where nothing was read.
    fn finished(
        &self,
        start: Input<'a>,
        field: &'a Field,
        slot: Slot<'a>,
        depth: usize,
    ) -> Fallible<Value<'a>> {
        Ok(match (slot, field.label, field.kind) {
            (Slot::One(value), ..) => value,
            (Slot::Many(values), ..) => Value::Array(self.ctx.bump.alloc_slice_copy(&values)),
            (Slot::Map(builder), ..) => Value::Map(builder.finish(self.ctx.bump)),
            (Slot::Part(part) | Slot::Joined(part), _, Kind::Message(kind) | Kind::Group(kind)) => {
                self.message(part, kind, depth + 1)?
            }
            (_, Label::Repeated, _) => Value::Array(&[]),
            (_, Label::Map, _) => Value::Map(Map::default()),
            (_, _, Kind::Message(kind) | Kind::Group(kind)) => {
                self.message(Input { bytes: &[], ..start }, kind, depth + 1)?
            }
            (_, _, Kind::Enum(kind)) => {
                let kind = &self.schema.enums[kind];
                self.symbol(kind, kind.first)?
            }
            (_, _, Kind::Bool) => Value::Bool(false),
            (_, _, Kind::String | Kind::Bytes) => Value::String(""),
            (_, _, Kind::Double | Kind::Float) => Value::Number("0.0"),
            _ => Value::Number("0"),
        })
    }

    fn scalar(&self, input: &mut Input<'a>, kind: Kind) -> Fallible<Value<'a>> {
        #[allow(clippy::cast_possible_truncation, reason = "32-bit fields keep the lower bits")]
        let lower = |value: u64| value as u32;
        Ok(match kind {
            Kind::Double => self.float(float_text, f64::from_le_bytes(input.fixed64()?))?,
            Kind::Float => {
                let number = f32::from_le_bytes(input.fixed32()?);
                let text = |_| number.is_finite().then(|| format!("{number:?}"));
                self.float(text, f64::from(number))?
            }
            Kind::Int32 => self.number(lower(input.varint()?).cast_signed())?,
            Kind::Int64 => self.number(input.varint()?.cast_signed())?,
            Kind::Uint32 => self.number(lower(input.varint()?))?,
            Kind::Uint64 => self.number(input.varint()?)?,
            Kind::Sint32 => self.number(wire::unzigzag(u64::from(lower(input.varint()?))))?,
            Kind::Sint64 => self.number(wire::unzigzag(input.varint()?))?,
            Kind::Fixed32 => self.number(u32::from_le_bytes(input.fixed32()?))?,
            Kind::Fixed64 => self.number(u64::from_le_bytes(input.fixed64()?))?,
            Kind::Sfixed32 => self.number(i32::from_le_bytes(input.fixed32()?))?,
            Kind::Sfixed64 => self.number(i64::from_le_bytes(input.fixed64()?))?,
            Kind::Bool => Value::Bool(input.varint()? != 0),
            Kind::String => {
                let part = input.part()?;
                let text = std::str::from_utf8(part.bytes);
                Value::String(text.or_else(|_| part.fail("text that is not UTF-8"))?)
            }
            Kind::Bytes => {
                let text = STANDARD.encode(input.part()?.bytes);
                Value::String(self.ctx.text(&text)?)
            }
            Kind::Enum(kind) => {
                let number = lower(input.varint()?).cast_signed();
                self.symbol(&self.schema.enums[kind], number)?
            }
            Kind::Message(_) | Kind::Group(_) => Value::Null,
        })
    }

    fn number(&self, number: impl ToString) -> Fallible<Value<'a>> {
        Ok(Value::Number(self.ctx.text(&number.to_string())?))
    }

    /// JSON has no numbers that are not finite.
    fn float(&self, text: impl Fn(f64) -> Option<String>, number: f64) -> Fallible<Value<'a>> {
        Ok(match text(number) {
            Some(text) => Value::Number(self.ctx.text(&text)?),
            None if number.is_nan() => Value::String("NaN"),
            None if number > 0.0 => Value::String("Infinity"),
            None => Value::String("-Infinity"),
        })
    }

    /// The name; a number that has none stays a number.
    fn symbol(&self, kind: &'a Enum, number: i32) -> Fallible<Value<'a>> {
        match kind.names.get(&number) {
            Some(_) if kind.is_null => Ok(Value::Null),
            Some(name) => Ok(Value::String(name)),
            None => self.number(number),
        }
    }

    /// A message of Google's as people write it.
    fn shaped(&self, start: Input<'a>, shape: Shape, map: Map<'a>) -> Fallible<Value<'a>> {
        let first = || map.entries.first().map_or(Value::Null, |(_, value)| *value);
        let integer = |name: &str| {
            map.get(name).and_then(Value::text).and_then(|text| text.parse::<i64>().ok())
        };
        let time = |shown: fn(i64, i32) -> Option<String>| {
            let nanos = integer("nanos").and_then(|nanos| i32::try_from(nanos).ok());
            shown(integer("seconds")?, nanos?)
        };
        let text = match shape {
            Shape::Fields => return Ok(Value::Map(map)),
            // One field each; a `Value` in which none is set is null.
            Shape::Wrapper | Shape::Struct | Shape::List | Shape::Value => return Ok(first()),
            Shape::Timestamp => time(time::timestamp_text),
            Shape::Duration => time(time::duration_text),
        };
        match text {
            Some(text) => Ok(Value::String(self.ctx.text(&text)?)),
            None => start.fail("a time or duration out of its range"),
        }
    }
}

impl Kind {
    pub(super) fn wire(self) -> u8 {
        match self {
            Self::Int32 | Self::Int64 | Self::Uint32 | Self::Uint64 | Self::Sint32 => wire::VARINT,
            Self::Sint64 | Self::Bool | Self::Enum(_) => wire::VARINT,
            Self::Double | Self::Fixed64 | Self::Sfixed64 => wire::FIXED64,
            Self::Float | Self::Fixed32 | Self::Sfixed32 => wire::FIXED32,
            Self::String | Self::Bytes | Self::Message(_) => wire::BYTES,
            Self::Group(_) => wire::GROUP,
        }
    }
}
