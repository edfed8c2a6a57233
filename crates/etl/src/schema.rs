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
    target: Option<(u32, avro::Schema)>,
}

impl Schemas {
    pub(crate) fn add(&mut self, id: u32, text: &str) -> Result<(), String> {
        self.by_id.insert(id, avro::Schema::parse(text)?);
        Ok(())
    }

    pub(crate) fn set_target(&mut self, id: u32, text: &str) -> Result<(), String> {
        self.target = Some((id, avro::Schema::parse(text)?));
        Ok(())
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
        let framed = bytes.split_at_checked(HEAD_BYTES).filter(|(head, _)| head[0] == 0);
        let Some((head, content)) = framed else {
            let cause = "the value does not begin with a zero byte and a schema id";
            return Err(Fault::new(ErrorCode::SchemaFraming, cause));
        };
        let id = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let value = match self.format {
            SchemaFormat::Json => json_value(ctx, content)?,
            SchemaFormat::Avro => match schemas.by_id.get(&id) {
                Some(schema) => avro::decode(ctx, schema, content)?,
                None => {
                    let mut fault = Fault::new(
                        ErrorCode::SchemaUnknown,
                        format!("the schema {id} is not known"),
                    );
                    fault.missing_schema = Some(id);
                    return Err(fault);
                }
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

/// The document in Avro with the target's schema.
pub(crate) fn encode(
    ctx: &Context<'_>,
    schemas: &Schemas,
    document: Map<'_>,
    out: &mut Vec<u8>,
) -> Fallible<()> {
    let Some((id, schema)) = &schemas.target else {
        return Err(Fault::new(ErrorCode::SchemaUnknown, "the schema of the target is not known"));
    };
    out.push(0);
    out.extend_from_slice(&id.to_be_bytes());
    avro::encode(ctx, schema, Value::Map(document), out)
}

fn json_value<'a>(ctx: &Context<'a>, content: &'a [u8]) -> Fallible<Value<'a>> {
    let text = std::str::from_utf8(content).map_err(|error| {
        let at = error.valid_up_to() + HEAD_BYTES;
        Fault::at(ErrorCode::InvalidUtf8, at, format!("byte {at} is not UTF-8"))
    })?;
    json::parse(ctx, text, Wanted::All)
}
