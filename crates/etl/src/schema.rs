//! Values in the framing of schema registries: a zero byte, the id of the schema, the content.

use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault},
    json::{self, Wanted},
    rule::SchemaFormat,
    value::{Map, Value},
};

/// Zero byte and id.
const HEAD_BYTES: usize = 5;

/// A compiled `decode`.
#[derive(Debug)]
pub(crate) struct Decoder {
    format: SchemaFormat,
}

impl Decoder {
    pub(crate) fn new(format: SchemaFormat) -> Self {
        Self { format }
    }

    pub(crate) fn decode<'a>(&self, ctx: &Context<'a>, bytes: &'a [u8]) -> Fallible<Map<'a>> {
        let Some((head, content)) =
            bytes.split_at_checked(HEAD_BYTES).filter(|(head, _)| head[0] == 0)
        else {
            return Err(Fault::new(
                ErrorCode::SchemaFraming,
                "the value does not begin with a zero byte and a schema id",
            ));
        };
        let id = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        match self.format {
            SchemaFormat::Json => json_object(ctx, content),
            SchemaFormat::Avro => {
                Err(Fault::new(ErrorCode::SchemaUnknown, format!("the schema {id} is not known")))
            }
        }
    }
}

fn json_object<'a>(ctx: &Context<'a>, content: &'a [u8]) -> Fallible<Map<'a>> {
    let text = std::str::from_utf8(content).map_err(|error| {
        let at = error.valid_up_to() + HEAD_BYTES;
        Fault::at(ErrorCode::InvalidUtf8, at, format!("byte {at} is not UTF-8"))
    })?;
    match json::parse(ctx, text, Wanted::All)? {
        Value::Map(map) => Ok(map),
        other => Err(Fault::new(
            ErrorCode::JsonRootNotObject,
            format!("the content is {}, not an object", other.kind()),
        )),
    }
}
