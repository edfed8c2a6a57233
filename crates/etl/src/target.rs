//! Where the output goes and what it carries besides its value: topic, key, headers, metadata.

use regex::Regex;

use crate::{
    context::Context,
    convert,
    error::{ErrorCode, Fallible, Fault, Place, RecordError, quote},
    json,
    jsonpath::JsonPath,
    pattern::Piece,
    record::{Header, Output},
    rule::{MetadataField, MetadataFields},
    shape::Glob,
    text_template::TextTemplate,
    value::{Map, MapBuilder, Value, lookup},
};

/// Compiled key, route, header edits and metadata.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) metadata: MetadataFields,
    pub(crate) key: Option<(Place, Key)>,
    pub(crate) route: Option<(Place, Route)>,
    pub(crate) edits: Vec<(Place, Edit)>,
}

#[derive(Debug)]
pub(crate) enum Key {
    Null,
    Fields { from: Vec<String>, json: bool, separator: String },
    Path { path: JsonPath, json: bool },
}

#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) topic: TextTemplate,
    pub(crate) rename: Option<(Regex, Vec<Piece>)>,
}

#[derive(Debug)]
pub(crate) enum Edit {
    Set { name: String, value: TextTemplate },
    Drop(Glob),
    FromField { name: String, field: String, remove: bool },
}

/// Whether Kafka takes `name` as a topic.
pub(crate) fn is_topic(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    (1..=249).contains(&name.len()) && name.bytes().all(legal) && !matches!(name, "." | "..")
}

impl Target {
    /// Whether nothing of it is made from the document.
    pub(crate) fn is_plain(&self) -> bool {
        self.key.is_none() && self.route.is_none() && self.edits.is_empty()
    }

    /// The record around `value`, made from the document before metadata were added.
    pub(crate) fn output<'a>(
        &'a self,
        ctx: &Context<'a>,
        document: Map<'a>,
        value: Option<&'a [u8]>,
        metadata_in_headers: bool,
        copies: u32,
    ) -> Result<Output<'a>, RecordError> {
        let topic = match &self.route {
            None => None,
            Some((place, route)) => {
                Some(route.topic(ctx, document).map_err(|fault| fault.place(place))?)
            }
        };
        // A tombstone keeps its key: there is no document to make one from.
        let key = match self.key.as_ref().filter(|_| value.is_some()) {
            None => ctx.record.key,
            Some((place, key)) => key.make(ctx, document).map_err(|fault| fault.place(place))?,
        };
        let headers = self.headers(ctx, document, metadata_in_headers)?;
        let is_rekeyed = self.key.is_some() && value.is_some();
        let timestamp_ms = ctx.record.timestamp_ms;
        Ok(Output { key, value, headers, timestamp_ms, topic, is_rekeyed, copies })
    }

    fn headers<'a>(
        &'a self,
        ctx: &Context<'a>,
        document: Map<'a>,
        with_metadata: bool,
    ) -> Result<&'a [Header<'a>], RecordError> {
        if self.edits.is_empty() && !with_metadata {
            return Ok(ctx.record.headers);
        }
        let mut headers = ctx.record.headers.to_vec();
        for (place, edit) in &self.edits {
            edit.apply(ctx, document, &mut headers).map_err(|fault| fault.place(place))?;
        }
        if with_metadata {
            let place = Place::new("metadata_fields", "metadata");
            for field in &self.metadata.fields {
                let made = metadata(ctx, &self.metadata.prefix, *field)
                    .map_err(|fault| fault.place(&place))?;
                let Some((name, value)) = made else { continue };
                headers.retain(|(found, _)| *found != name);
                headers.push((name, value.text().map(str::as_bytes)));
            }
        }
        Ok(ctx.bump.alloc_slice_copy(&headers))
    }

    /// The document without the fields that went into headers.
    pub(crate) fn without_moved<'a>(&self, ctx: &Context<'a>, document: Map<'a>) -> Map<'a> {
        let moved: Vec<&str> = self
            .edits
            .iter()
            .filter_map(|(_, edit)| match edit {
                Edit::FromField { field, remove: true, .. } => Some(field.as_str()),
                _ => None,
            })
            .collect();
        if moved.is_empty() {
            return document;
        }
        let mut builder = MapBuilder::from_map(document);
        builder.remove_all(moved.into_iter());
        builder.finish(ctx.bump)
    }

    /// The document with the metadata that the rule keeps in the value.
    pub(crate) fn with_metadata<'a>(
        &self,
        ctx: &Context<'a>,
        document: Map<'a>,
    ) -> Fallible<Map<'a>> {
        if !self.metadata.keep || !self.metadata.in_value {
            return Ok(document);
        }
        let mut builder = MapBuilder::from_map(document);
        for field in &self.metadata.fields {
            if let Some((name, value)) = metadata(ctx, &self.metadata.prefix, *field)? {
                builder.insert(name, value);
            }
        }
        Ok(builder.finish(ctx.bump))
    }
}

/// Name and value of one piece of metadata; a record without a key has none.
fn metadata<'a>(
    ctx: &Context<'a>,
    prefix: &str,
    field: MetadataField,
) -> Fallible<Option<(&'a str, Value<'a>)>> {
    let record = &ctx.record;
    let number = |number: i64| ctx.text(&number.to_string()).map(Value::Number);
    let (name, value) = match field {
        MetadataField::Topic => ("topic", Value::String(record.topic)),
        MetadataField::Partition => ("partition", number(i64::from(record.partition))?),
        MetadataField::Offset => ("offset", number(record.offset)?),
        MetadataField::Timestamp => ("timestamp", number(record.timestamp_ms)?),
        MetadataField::Key => match record.key.map(std::str::from_utf8) {
            None => return Ok(None),
            Some(Ok(text)) => ("key", Value::String(text)),
            Some(Err(_)) => {
                use base64::Engine as _;
                let bytes = record.key.unwrap_or_default();
                let text = base64::engine::general_purpose::STANDARD.encode(bytes);
                ("key_b64", Value::String(ctx.text(&text)?))
            }
        },
    };
    Ok(Some((ctx.join(prefix, "", name)?, value)))
}

impl Key {
    fn make<'a>(&self, ctx: &Context<'a>, document: Map<'a>) -> Fallible<Option<&'a [u8]>> {
        let text = match self {
            Self::Null => return Ok(None),
            Self::Path { path, json } => match path.evaluate(ctx, Value::Map(document))? {
                None | Some(Value::Null) => return Ok(None),
                Some(value) if *json => json::to_text(ctx, value)?,
                Some(value) => convert::text_of(ctx, value)?,
            },
            Self::Fields { from, json: true, .. } => {
                let mut builder = MapBuilder::default();
                for field in from {
                    builder
                        .insert(ctx.text(field)?, lookup(document, field).unwrap_or(Value::Null));
                }
                json::to_text(ctx, Value::Map(builder.finish(ctx.bump)))?
            }
            Self::Fields { from, separator, .. } => {
                let values: Vec<Option<Value<'a>>> =
                    from.iter().map(|field| lookup(document, field)).collect();
                if values.iter().all(|value| matches!(value, None | Some(Value::Null))) {
                    return Ok(None);
                }
                let mut text = String::new();
                for (index, value) in values.into_iter().enumerate() {
                    if index > 0 {
                        text.push_str(separator);
                    }
                    let part = convert::text_of(ctx, value.unwrap_or(Value::Null))?;
                    ctx.charge(part.len())?;
                    text.push_str(part);
                }
                ctx.text(&text)?
            }
        };
        Ok(Some(text.as_bytes()))
    }
}

impl Route {
    fn topic<'a>(&self, ctx: &Context<'a>, document: Map<'a>) -> Fallible<&'a str> {
        let mut topic = self.topic.apply(ctx, document)?;
        if let Some((regex, pieces)) = &self.rename {
            topic = crate::op::regex_replace(ctx, topic, regex, pieces)?;
        }
        if is_topic(topic) {
            return Ok(topic);
        }
        Err(Fault::new(ErrorCode::RouteTopic, format!("{} is no name of a topic", quote(topic))))
    }
}

impl Edit {
    fn apply<'a>(
        &'a self,
        ctx: &Context<'a>,
        document: Map<'a>,
        headers: &mut Vec<Header<'a>>,
    ) -> Fallible<()> {
        let (name, value) = match self {
            Self::Drop(pattern) => {
                headers.retain(|(name, _)| !pattern.fits(name));
                return Ok(());
            }
            Self::Set { name, value } => (name.as_str(), Some(value.apply(ctx, document)?)),
            Self::FromField { name, field, .. } => match document.get(field) {
                None => return Ok(()),
                Some(Value::Null) => (name.as_str(), None),
                Some(value @ (Value::Map(_) | Value::Array(_))) => {
                    let cause = format!("the field {field:?} is {}", value.kind());
                    return Err(Fault::new(ErrorCode::HeaderValue, cause));
                }
                Some(value) => (name.as_str(), value.text()),
            },
        };
        headers.retain(|(found, _)| *found != name);
        headers.push((name, value.map(str::as_bytes)));
        Ok(())
    }
}
