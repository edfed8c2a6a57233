//! Values in the framing of schema registries: a zero byte, the id of the schema, the content.
//!
//! Who runs the rule fetches schemas and hands them in; the crate never looks for one.

mod avro;

use std::collections::HashMap;

use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault},
    json::{self, Wanted},
    rule::SchemaFormat,
    value::{Map, Value},
};

/// Zero byte and id.
const HEAD_BYTES: usize = 5;

/// Schemas that were handed in.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    by_id: HashMap<u32, avro::Schema>,
    target: Option<(u32, Option<avro::Schema>)>,
    /// Ids of the source's registry and those of the target's.
    translations: HashMap<u32, u32>,
}

impl Schemas {
    pub(crate) fn add(&mut self, id: u32, text: &str) -> Result<(), String> {
        self.by_id.insert(id, avro::Schema::parse(text)?);
        Ok(())
    }

    pub(crate) fn set_target(&mut self, id: u32, text: &str) -> Result<(), String> {
        self.target = Some((id, Some(avro::Schema::parse(text)?)));
        Ok(())
    }

    pub(crate) fn set_target_id(&mut self, id: u32) {
        self.target = Some((id, None));
    }

    pub(crate) fn add_translation(&mut self, source: u32, target: u32) {
        self.translations.insert(source, target);
    }

    /// The same content under the id of the target's registry.
    pub(crate) fn translate<'a>(&self, ctx: &Context<'a>, bytes: &'a [u8]) -> Fallible<&'a [u8]> {
        let (id, content) = unframe(bytes)?;
        let Some(target) = self.translations.get(&id) else { return Err(unknown(id)) };
        ctx.charge(bytes.len())?;
        let translated = [&[0], &target.to_be_bytes()[..], content].concat();
        Ok(ctx.bump.alloc_slice_copy(&translated))
    }
}

/// A compiled `decode`.
#[derive(Debug)]
pub(crate) struct Decoder {
    format: SchemaFormat,
}

impl Decoder {
    pub(crate) fn new(format: SchemaFormat) -> Self {
        Self { format }
    }

    pub(crate) fn decode<'a>(
        &self,
        ctx: &Context<'a>,
        schemas: &'a Schemas,
        bytes: &'a [u8],
    ) -> Fallible<Map<'a>> {
        let (id, content) = unframe(bytes)?;
        let value = match self.format {
            SchemaFormat::Json => json_value(ctx, content)?,
            SchemaFormat::Avro => match schemas.by_id.get(&id) {
                Some(schema) => avro::decode(ctx, schema, content)?,
                None => return Err(unknown(id)),
            },
        };
        match value {
            Value::Map(map) => Ok(map),
            other => {
                let cause = format!("the content is {}, not an object", other.kind());
                Err(Fault::new(ErrorCode::JsonRootNotObject, cause))
            }
        }
    }
}

/// The id and the content.
fn unframe(bytes: &[u8]) -> Fallible<(u32, &[u8])> {
    match bytes {
        [0, a, b, c, d, content @ ..] => Ok((u32::from_be_bytes([*a, *b, *c, *d]), content)),
        _ => {
            let cause = "the value does not begin with a zero byte and a schema id";
            Err(Fault::new(ErrorCode::SchemaFraming, cause))
        }
    }
}

/// The error that the caller can mend by handing in the schema, or its translation.
fn unknown(id: u32) -> Box<Fault> {
    let mut fault = Fault::new(ErrorCode::SchemaUnknown, format!("the schema {id} is not known"));
    fault.missing_schema = Some(id);
    fault
}

/// Begins a value with the id of the target's schema, which is given back.
pub(crate) fn frame<'s>(
    schemas: &'s Schemas,
    out: &mut Vec<u8>,
) -> Fallible<Option<&'s avro::Schema>> {
    let Some((id, schema)) = &schemas.target else {
        return Err(Fault::new(ErrorCode::SchemaUnknown, "the schema of the target is not known"));
    };
    out.push(0);
    out.extend_from_slice(&id.to_be_bytes());
    Ok(schema.as_ref())
}

/// The document in Avro with the target's schema.
pub(crate) fn encode(
    ctx: &Context<'_>,
    schemas: &Schemas,
    document: Map<'_>,
    out: &mut Vec<u8>,
) -> Fallible<()> {
    let Some(schema) = frame(schemas, out)? else {
        return Err(Fault::new(
            ErrorCode::SchemaUnknown,
            "the schema of the target is no Avro schema",
        ));
    };
    avro::encode(ctx, schema, Value::Map(document), out)
}

fn json_value<'a>(ctx: &Context<'a>, content: &'a [u8]) -> Fallible<Value<'a>> {
    let text = std::str::from_utf8(content).map_err(|error| {
        let at = error.valid_up_to() + HEAD_BYTES;
        Fault::at(ErrorCode::InvalidUtf8, at, format!("byte {at} is not UTF-8"))
    })?;
    json::parse(ctx, text, Wanted::All)
}
