//! The document as bytes.

use crate::{
    context::Context,
    error::{ErrorCode, Fallible, Fault},
    json,
    rule::{RowOutput, SchemaFormat},
    schema::{self, Schemas},
    value::{Map, Value},
};

/// A compiled output format.
#[derive(Debug)]
pub(crate) enum Format {
    Json,
    Row(RowOutput),
    /// With a schema of the target that the document has to fit.
    Schema(SchemaFormat),
    JsonSchema,
    Original {
        translate: bool,
    },
}

fn too_large(max: usize) -> Box<Fault> {
    Fault::new(ErrorCode::RecordTooLarge, format!("the output has more than {max} bytes"))
}

impl Format {
    /// The bytes of one document.
    pub(crate) fn single<'a>(
        &self,
        ctx: &Context<'a>,
        schemas: &Schemas,
        document: Map<'a>,
    ) -> Fallible<&'a [u8]> {
        let max = ctx.limits.output_bytes_max;
        let mut out = Vec::with_capacity(1024);
        match self {
            Self::Json => {
                if !json::write(Value::Map(document), &mut out, max) {
                    return Err(too_large(max));
                }
            }
            Self::Row(row) => write_row(row, document, &mut out, max)?,
            Self::Schema(format) => {
                schema::encode(ctx, schemas, *format, document, &mut out)?;
                if out.len() > max {
                    return Err(too_large(max));
                }
            }
            Self::JsonSchema => {
                schema::frame_json(schemas, &mut out)?;
                if !json::write(Value::Map(document), &mut out, max) {
                    return Err(too_large(max));
                }
            }
            Self::Original { .. } => return self.original(ctx, schemas),
        }
        Ok(ctx.bump.alloc_slice_copy(&out))
    }

    /// The bytes that were read, with another schema id where the rule wants one.
    pub(crate) fn original<'a>(&self, ctx: &Context<'a>, schemas: &Schemas) -> Fallible<&'a [u8]> {
        let bytes = ctx.record.value.unwrap_or_default();
        match self {
            Self::Original { translate: true } => schemas.translate(ctx, bytes),
            _ => Ok(bytes),
        }
    }

    /// The bytes of all elements of an array.
    pub(crate) fn multi<'a>(
        &self,
        ctx: &Context<'a>,
        schemas: &Schemas,
        documents: &[Map<'a>],
    ) -> Fallible<&'a [u8]> {
        let max = ctx.limits.output_bytes_max;
        let mut out = Vec::with_capacity(1024);
        match self {
            Self::Json => {
                let items: Vec<Value<'a>> =
                    documents.iter().map(|document| Value::Map(*document)).collect();
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    if !json::write(*item, &mut out, max) {
                        return Err(too_large(max));
                    }
                }
                out.push(b']');
            }
            Self::Row(row) => {
                for (index, document) in documents.iter().enumerate() {
                    if index > 0 {
                        out.push(b'\n');
                    }
                    write_row(row, *document, &mut out, max)?;
                }
            }
            // The first two are refused when the rule is compiled.
            Self::Schema(_) | Self::JsonSchema | Self::Original { .. } => {
                return self.original(ctx, schemas);
            }
        }
        Ok(ctx.bump.alloc_slice_copy(&out))
    }
}

fn write_row(row: &RowOutput, document: Map<'_>, out: &mut Vec<u8>, max: usize) -> Fallible<()> {
    for (index, (key, value)) in document.entries.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(row.entry_delimiter.as_bytes());
        }
        if row.with_keys {
            write_field(row, Value::String(key), out, max)?;
            out.extend_from_slice(row.kv_delimiter.as_bytes());
        }
        write_field(row, *value, out, max)?;
    }
    Ok(())
}

/// Strings without quotes, null as nothing, containers as JSON; with `quote: csv` quoted where RFC 4180 asks for it.
fn write_field(row: &RowOutput, value: Value<'_>, out: &mut Vec<u8>, max: usize) -> Fallible<()> {
    let start = out.len();
    match value {
        Value::Null => {}
        Value::Array(_) | Value::Map(_) => {
            if !json::write(value, out, max) {
                return Err(too_large(max));
            }
        }
        value => out.extend_from_slice(value.text().unwrap_or_default().as_bytes()),
    }
    if out.len() > max {
        return Err(too_large(max));
    }
    if row.quote_csv {
        let field = &out[start..];
        let holds = |delimiter: &str| {
            !delimiter.is_empty()
                && field.windows(delimiter.len()).any(|window| window == delimiter.as_bytes())
        };
        let special = field.iter().any(|byte| matches!(byte, b'"' | b'\n' | b'\r'));
        if special || holds(&row.entry_delimiter) || (row.with_keys && holds(&row.kv_delimiter)) {
            let field = out.split_off(start);
            out.push(b'"');
            for byte in field {
                if byte == b'"' {
                    out.push(b'"');
                }
                out.push(byte);
            }
            out.push(b'"');
        }
    }
    Ok(())
}
