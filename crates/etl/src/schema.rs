//! Values in the framing of schema registries: a zero byte, the id of the schema, the content.
//!
//! Who runs the rule fetches schemas and hands them in; the crate never looks for one.

mod avro;
mod protobuf;

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
};

use elsa::sync::FrozenMap;

use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault},
    json::{self, Wanted},
    rule::SchemaFormat,
    value::{Map, Value},
};

/// Zero byte and id.
const HEAD_BYTES: usize = 5;

/// Schemas that were handed in. More can be while records are worked on: a schema never changes under its id, and documents
/// borrow the names of fields from it.
#[derive(Debug, Default)]
pub(crate) struct Schemas {
    by_id: FrozenMap<u32, Box<Schema>>,
    target: RwLock<Option<Arc<Target>>>,
    /// Ids of the source's registry and those of the target's.
    translations: RwLock<HashMap<u32, u32>>,
}

#[derive(Debug)]
enum Schema {
    Avro(avro::Schema),
    Protobuf(protobuf::Schema),
    /// Documents are not held against it.
    Json,
}

#[derive(Debug)]
struct Target {
    id: u32,
    schema: Schema,
    /// The message of a Protobuf schema.
    message: Option<protobuf::Chosen>,
}

impl Schema {
    fn read(
        format: SchemaFormat,
        text: &str,
        references: &[(String, String)],
    ) -> Result<Self, String> {
        match format {
            SchemaFormat::Avro => avro::Schema::parse(text, references).map(Self::Avro),
            SchemaFormat::Json => Ok(Self::Json),
            SchemaFormat::Protobuf => protobuf::Schema::parse(text, references).map(Self::Protobuf),
        }
    }

    fn format(&self) -> SchemaFormat {
        match self {
            Self::Avro(_) => SchemaFormat::Avro,
            Self::Protobuf(_) => SchemaFormat::Protobuf,
            Self::Json => SchemaFormat::Json,
        }
    }
}

impl Schemas {
    /// The schema that an id had first stays.
    pub(crate) fn add(
        &self,
        id: u32,
        format: SchemaFormat,
        text: &str,
        references: &[(String, String)],
    ) -> Result<(), String> {
        self.by_id.insert(id, Box::new(Schema::read(format, text, references)?));
        Ok(())
    }

    pub(crate) fn is_known(&self, id: u32) -> bool {
        self.by_id.get(&id).is_some()
    }

    /// `message` is the full name of the message that is written, in place of the first one.
    pub(crate) fn set_target(
        &self,
        id: u32,
        format: SchemaFormat,
        text: &str,
        references: &[(String, String)],
        message: Option<&str>,
    ) -> Result<(), String> {
        let schema = Schema::read(format, text, references)?;
        let message = match &schema {
            Schema::Protobuf(schema) => Some(schema.choose(message)?),
            Schema::Avro(_) | Schema::Json => None,
        };
        self.replace_target(Target { id, schema, message });
        Ok(())
    }

    pub(crate) fn set_target_id(&self, id: u32) {
        self.replace_target(Target { id, schema: Schema::Json, message: None });
    }

    fn replace_target(&self, target: Target) {
        *self.target.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(target));
    }

    fn target(&self) -> Fallible<Arc<Target>> {
        let target = self.target.read().unwrap_or_else(PoisonError::into_inner);
        target.clone().ok_or_else(|| {
            Fault::new(ErrorCode::SchemaUnknown, "the schema of the target is not known")
        })
    }

    pub(crate) fn add_translation(&self, source: u32, target: u32) {
        let mut known = self.translations.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(source, target);
    }

    pub(crate) fn is_translated(&self, source: u32) -> bool {
        self.translation(source).is_some()
    }

    fn translation(&self, source: u32) -> Option<u32> {
        let known = self.translations.read().unwrap_or_else(PoisonError::into_inner);
        known.get(&source).copied()
    }

    /// The same content under the id of the target's registry.
    pub(crate) fn translate<'a>(&self, ctx: &Context<'a>, bytes: &'a [u8]) -> Fallible<&'a [u8]> {
        let (id, content) = unframe(bytes)?;
        let Some(target) = self.translation(id) else { return Err(unknown(id)) };
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
        let value = if self.format == SchemaFormat::Json {
            json_value(ctx, content)?
        } else {
            let Some(schema) = schemas.by_id.get(&id) else { return Err(unknown(id)) };
            match schema {
                Schema::Avro(schema) if self.format == SchemaFormat::Avro => {
                    avro::decode(ctx, schema, content)?
                }
                Schema::Protobuf(schema) if self.format == SchemaFormat::Protobuf => {
                    protobuf::decode(ctx, schema, content)?
                }
                other => return Err(self.other_format(id, other)),
            }
        };
        match value {
            Value::Map(map) => Ok(map),
            other => {
                let cause = format!("the content is {}, not an object", other.kind());
                Err(Fault::new(ErrorCode::JsonRootNotObject, cause))
            }
        }
    }

    fn other_format(&self, id: u32, schema: &Schema) -> Box<Fault> {
        let (found, wanted) = (schema.format().name(), self.format.name());
        let cause = format!("the schema {id} is {found}, the rule decodes {wanted}");
        Fault::new(ErrorCode::SchemaDecode, cause)
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

/// Begins a value with the id of the target's schema.
fn frame(id: u32, out: &mut Vec<u8>) {
    out.push(0);
    out.extend_from_slice(&id.to_be_bytes());
}

/// Begins JSON with the id of the target's schema.
pub(crate) fn frame_json(schemas: &Schemas, out: &mut Vec<u8>) -> Fallible<()> {
    frame(schemas.target()?.id, out);
    Ok(())
}

/// The document in Avro or Protobuf with the target's schema.
pub(crate) fn encode(
    ctx: &Context<'_>,
    schemas: &Schemas,
    format: SchemaFormat,
    document: Map<'_>,
    out: &mut Vec<u8>,
) -> Fallible<()> {
    let target = schemas.target()?;
    frame(target.id, out);
    match (format, &target.schema, &target.message) {
        (SchemaFormat::Avro, Schema::Avro(schema), _) => {
            avro::encode(ctx, schema, Value::Map(document), out)
        }
        (SchemaFormat::Protobuf, Schema::Protobuf(schema), Some(message)) => {
            protobuf::encode(ctx, schema, message, document, out)
        }
        (_, schema, _) => {
            let (found, wanted) = (schema.format().name(), format.name());
            let cause = format!("the schema of the target is {found}, the rule writes {wanted}");
            Err(Fault::new(ErrorCode::SchemaUnknown, cause))
        }
    }
}

fn json_value<'a>(ctx: &Context<'a>, content: &'a [u8]) -> Fallible<Value<'a>> {
    let text = std::str::from_utf8(content).map_err(|error| {
        let at = error.valid_up_to() + HEAD_BYTES;
        Fault::at(ErrorCode::InvalidUtf8, at, format!("byte {at} is not UTF-8"))
    })?;
    json::parse(ctx, text, Wanted::All)
}

/// The names of the files that a `.proto` imports, which are its references, save those that need none: Google's types and what
/// registries always have.
///
/// # Errors
/// What is wrong with the text.
pub fn protobuf_imports(text: &str) -> Result<Vec<String>, String> {
    protobuf::imports(text)
}
