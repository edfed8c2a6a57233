//! `kferry etl preview`: what is in a topic, and how a rule would read it.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{
    sample::Sample,
    suggest::{Suggestion, suggest},
    topic,
};
use crate::{
    cli::PreviewArgs,
    failure::Failure,
    output::{Output, text},
};

/// Bytes of a value that are shown as text; JSON has all.
const VALUE_BYTES: usize = 200;
/// Bytes of a key or header.
const KEY_BYTES: usize = 48;

/// Shows messages as they are, and the parsing mode that fits them.
///
/// # Errors
/// A [`Failure`] when they cannot be read.
pub(super) async fn run(args: &PreviewArgs, output: &Output) -> Result<(), Failure> {
    let count = usize::try_from(args.count).unwrap_or(usize::MAX);
    let samples = topic::fetch("CONNECTION", &args.connection, &args.topic, count).await?;
    for sample in &samples {
        output.json(&object(sample));
        output.text(&line(sample));
    }
    let values = samples.iter().filter(|sample| sample.value.is_some()).count();
    let found = suggest(&samples);
    let suggestion = found.as_ref().map(|found| {
        json!({ "mode": found.mode, "chain": found.chain, "fits": found.fits, "fields": found.fields })
    });
    output.json(&json!({
        "type": "result", "records": samples.len(), "tombstones": samples.len() - values, "suggestion": suggestion,
    }));
    for line in verdict(found.as_ref(), values) {
        output.text(&line);
    }
    Ok(())
}

fn line(sample: &Sample) -> String {
    let shown = |bytes: Option<&[u8]>, most: usize| {
        bytes.map_or_else(|| "null".to_owned(), |bytes| text::preview(bytes, most))
    };
    let headers = sample.headers.iter().map(|(name, value)| {
        format!("  header {}={}", text::safe(name), shown(value.as_deref(), KEY_BYTES))
    });
    format!(
        "{}  {}  key {}{}  {}",
        text::safe(&sample.place()),
        text::timestamp(sample.timestamp_ms),
        shown(sample.key.as_deref(), KEY_BYTES),
        headers.collect::<String>(),
        shown(sample.value.as_deref(), VALUE_BYTES)
    )
}

/// Text as it is, other bytes as base64; `encoding` tells which.
fn object(sample: &Sample) -> Value {
    let bytes =
        |object: &mut Map<String, Value>, name: &str, encoding: &str, bytes: Option<&[u8]>| {
            let (shown, how) = match bytes.map(|bytes| (bytes, std::str::from_utf8(bytes))) {
                None => (Value::Null, None),
                Some((_, Ok(text))) => (text.into(), Some("text")),
                Some((bytes, Err(_))) => (STANDARD.encode(bytes).into(), Some("base64")),
            };
            object.insert(name.to_owned(), shown);
            object.extend(how.map(|how| (encoding.to_owned(), how.into())));
        };
    let mut object = Map::new();
    let facts = [
        ("type", "record".into()),
        ("topic", sample.topic.as_str().into()),
        ("partition", sample.partition.into()),
        ("offset", sample.offset.into()),
        ("timestamp", sample.timestamp_ms.into()),
    ];
    object.extend(facts.map(|(name, value): (&str, Value)| (name.to_owned(), value)));
    bytes(&mut object, "key", "key_encoding", sample.key.as_deref());
    bytes(&mut object, "value", "encoding", sample.value.as_deref());
    let headers = sample.headers.iter().map(|(name, value)| {
        let mut header = Map::new();
        header.insert("name".to_owned(), name.as_str().into());
        bytes(&mut header, "value", "encoding", value.as_deref());
        Value::Object(header)
    });
    object.insert("headers".to_owned(), headers.collect());
    Value::Object(object)
}

fn verdict(found: Option<&Suggestion>, values: usize) -> Vec<String> {
    let Some(found) = found else {
        return vec![
            "no parsing mode fits by itself; kferry etl regex makes an expression from a message and its parts".to_owned(),
        ];
    };
    let mut lines = vec![
        format!("fits: {}, {} of {values} messages with a value", found.mode, found.fits),
        format!("  chains: [{}]", found.chain),
    ];
    if !found.fields.is_empty() {
        lines.push(format!("  fields: {}", text::safe(&found.fields.join(", "))));
    }
    lines
}
