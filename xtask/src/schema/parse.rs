//! Reads one message schema: JSON with `//` comments, as Kafka's generator takes it.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

/// A request, response or header.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: MessageKind,
    pub(super) name: String,
    /// -1 for headers.
    pub(super) api_key: i16,
    pub(super) versions: Versions,
    /// First flexible version, if there is one.
    pub(super) flexible_from: Option<i16>,
    pub(super) fields: Vec<Field>,
    /// Structures that several fields share.
    pub(super) common: Vec<(String, Vec<Field>)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MessageKind {
    Header,
    Request,
    Response,
}

/// An inclusive range of versions; `i16::MAX` for "and later".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Versions {
    pub(super) min: i16,
    pub(super) max: i16,
}

#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) versions: Versions,
    pub(super) nullable: Option<Versions>,
    /// The tag and the versions in which the field is tagged.
    pub(super) tagged: Option<(u32, Versions)>,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// The name of a variant of the check's own `Kind`.
    Plain(&'static str),
    /// A structure: its name, and its fields unless it is a common one.
    Struct(String, Vec<Field>),
    Array(Box<Self>),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMessage {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    api_key: Option<i16>,
    valid_versions: String,
    flexible_versions: Option<String>,
    #[serde(default)]
    fields: Vec<RawField>,
    #[serde(default)]
    common_structs: Vec<RawStruct>,
}

#[derive(Deserialize)]
struct RawStruct {
    name: String,
    fields: Vec<RawField>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawField {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    versions: String,
    nullable_versions: Option<String>,
    tagged_versions: Option<String>,
    tag: Option<u32>,
    flexible_versions: Option<String>,
    #[serde(default)]
    fields: Vec<Self>,
}

/// Parses a schema; `None` for records on disk and for messages without a valid version.
pub(super) fn message(text: &str) -> Result<Option<Message>> {
    let raw: RawMessage = serde_json::from_str(&without_comments(text))?;
    let kind = match raw.kind.as_str() {
        "header" => MessageKind::Header,
        "request" => MessageKind::Request,
        "response" => MessageKind::Response,
        _ => return Ok(None),
    };
    let Some(versions) = versions(&raw.valid_versions)? else { return Ok(None) };
    let flexible = raw.flexible_versions.context("no flexibleVersions")?;
    let flexible_from = match self::versions(&flexible)? {
        Some(range) => {
            ensure!(
                range.max == i16::MAX,
                "flexibleVersions {flexible} end before the last version"
            );
            Some(range.min)
        }
        None => None,
    };
    let mut common = Vec::new();
    for raw in raw.common_structs {
        common.push((raw.name, raw.fields.into_iter().map(field).collect::<Result<_>>()?));
    }
    Ok(Some(Message {
        kind,
        name: raw.name,
        api_key: raw.api_key.unwrap_or(-1),
        versions,
        flexible_from,
        fields: raw.fields.into_iter().map(field).collect::<Result<_>>()?,
        common,
    }))
}

fn field(raw: RawField) -> Result<Field> {
    let name = raw.name;
    let context = || format!("field {name}");
    let mut kind = kind(&raw.kind, raw.fields).with_context(context)?;
    if let Some(flexible) = raw.flexible_versions {
        // Only the client id of the request header: its length keeps the old form for ever.
        ensure!(
            flexible == "none" && matches!(kind, Kind::Plain("String")),
            "field {name}: flexibleVersions {flexible}"
        );
        kind = Kind::Plain("LegacyString");
    }
    let nullable = match raw.nullable_versions {
        Some(text) => versions(&text).with_context(context)?,
        None => None,
    };
    let tagged = match (raw.tag, raw.tagged_versions) {
        (Some(tag), Some(text)) => versions(&text).with_context(context)?.map(|range| (tag, range)),
        (None, None) => None,
        _ => bail!("field {name}: tag and taggedVersions belong together"),
    };
    let versions = versions(&raw.versions).with_context(context)?.with_context(context)?;
    Ok(Field { name, kind, versions, nullable, tagged })
}

fn kind(text: &str, fields: Vec<RawField>) -> Result<Kind> {
    if let Some(element) = text.strip_prefix("[]") {
        return Ok(Kind::Array(Box::new(kind(element, fields)?)));
    }
    let plain = match text {
        "bool" => "Bool",
        "int8" => "Int8",
        "int16" => "Int16",
        "uint16" => "Uint16",
        "int32" => "Int32",
        "int64" => "Int64",
        "float64" => "Float64",
        "uuid" => "Uuid",
        "string" => "String",
        "bytes" => "Bytes",
        "records" => "Records",
        name if name.starts_with(char::is_uppercase) => {
            let fields = fields.into_iter().map(field).collect::<Result<_>>()?;
            return Ok(Kind::Struct(name.to_owned(), fields));
        }
        other => bail!("unknown type {other}"),
    };
    ensure!(fields.is_empty(), "fields below type {text}");
    Ok(Kind::Plain(plain))
}

/// `none`, `3`, `3+` or `3-7`.
fn versions(text: &str) -> Result<Option<Versions>> {
    if text == "none" {
        return Ok(None);
    }
    let number = |text: &str| text.parse::<i16>().with_context(|| format!("version {text}"));
    let range = if let Some(min) = text.strip_suffix('+') {
        Versions { min: number(min)?, max: i16::MAX }
    } else if let Some((min, max)) = text.split_once('-') {
        Versions { min: number(min)?, max: number(max)? }
    } else {
        Versions { min: number(text)?, max: number(text)? }
    };
    Ok(Some(range))
}

/// Blanks out `//` comments outside of strings.
fn without_comments(text: &str) -> String {
    let mut output = String::with_capacity(text.len());
    for line in text.lines() {
        let (mut in_string, mut escaped, mut end) = (false, false, line.len());
        for (index, byte) in line.bytes().enumerate() {
            match byte {
                b'/' if !in_string && line[index..].starts_with("//") => {
                    end = index;
                    break;
                }
                b'"' if !escaped => in_string = !in_string,
                _ => {}
            }
            escaped = in_string && byte == b'\\' && !escaped;
        }
        output.push_str(&line[..end]);
        output.push('\n');
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_strings_stay() {
        let check = |input: &str, expected: &str| assert_eq!(without_comments(input), expected);
        check("{ // note\n}", "{ \n}\n");
        check(r#"{"a": "http://x"} // b"#, "{\"a\": \"http://x\"} \n");
        check(r#"{"a": "\"//"}"#, "{\"a\": \"\\\"//\"}\n");
    }

    #[test]
    fn version_ranges() {
        let range = |min, max| Some(Versions { min, max });
        assert_eq!(versions("none").unwrap(), None);
        assert_eq!(versions("0-12").unwrap(), range(0, 12));
        assert_eq!(versions("3+").unwrap(), range(3, i16::MAX));
        assert_eq!(versions("7").unwrap(), range(7, 7));
        assert!(versions("x").is_err());
    }
}
