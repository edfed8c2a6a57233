//! Protobuf bytes by a fixed schema. Oracle: prost-reflect. What it reads and shows comes out as the same document, what it refuses
//! is refused; and what is written of a document reads as the same document and, there, as the same message.
#![no_main]

use etl::rule::SchemaFormat::Protobuf;
use libfuzzer_sys::fuzz_target;
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::Value;
use std::sync::LazyLock;

#[path = "../support/etl.rs"]
mod support;
use support::{compiled, outputs};

const SCHEMA: &str = r#"
syntax = "proto3";
import "google/protobuf/duration.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message M {
  double d = 1; float f = 2; int32 i = 3; uint64 u = 4; sint32 s = 5; fixed32 f32 = 6; sfixed64 f64 = 7; bool b = 8;
  string t = 9; bytes y = 10; E e = 11; optional int64 o = 12; repeated sint64 r = 13; repeated string rt = 14;
  M m = 15; repeated M rm = 16; map<string, int32> mt = 17; map<sint32, M> mm = 18;
  oneof c { int32 ca = 19; M cb = 20; string cc = 21; }
  google.protobuf.Timestamp at = 22; google.protobuf.Duration du = 23; google.protobuf.Int64Value w = 24;
}
enum E { NONE = 0; RED = 1; BELOW = -2; }
"#;
const HEAD: [u8; 6] = [0, 0, 0, 0, 7, 0];
/// prost reads 100 levels, we read more.
const DEPTH_LIMIT: &str = "recursion limit";

static MESSAGE: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    struct One;
    impl protox::file::FileResolver for One {
        fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
            if name == "m.proto" {
                return protox::file::File::from_source(name, SCHEMA);
            }
            protox::file::GoogleFileResolver::new().open_file(name)
        }
    }
    let mut compiler = protox::Compiler::with_file_resolver(One);
    compiler.open_file("m.proto").expect("a good schema");
    compiler.descriptor_pool().get_message_by_name("M").expect("M")
});

static DECODE: LazyLock<etl::Compiled> = LazyLock::new(|| {
    let rule = compiled("{chains: [{kind: decode, format: protobuf}]}");
    rule.add_schema(7, Protobuf, SCHEMA, &[]).expect("a good schema");
    rule
});

static ENCODE: LazyLock<etl::Compiled> = LazyLock::new(|| {
    let rule = compiled("{chains: [{analyse: {mode: json}}], output: {format: protobuf, subject: s}}");
    rule.set_target_schema(7, Protobuf, SCHEMA, &[]).expect("a good schema");
    rule
});

fn shown(message: &DynamicMessage) -> Option<Value> {
    let options = SerializeOptions::new()
        .stringify_64_bit_integers(false)
        .use_proto_field_name(true)
        .skip_default_fields(false);
    let mut text = Vec::new();
    message.serialize_with_options(&mut serde_json::Serializer::new(&mut text), &options).ok()?;
    Some(serde_json::from_slice(&text).expect("JSON"))
}

/// Why a value is refused.
fn cause(value: &[u8]) -> String {
    let mut scratch = etl::Scratch::new();
    let record = etl::Record::from_value(value);
    let result = DECODE.apply(&record, jiff::Timestamp::UNIX_EPOCH, &mut scratch);
    result.map_or_else(|error| error.cause, |_| String::new())
}

/// Numbers by what they are: the two write some with and some without exponent.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => {
            // A float has two shortest texts where they lie as far to both sides of it.
            let floats = a.as_f64().zip(b.as_f64());
            a == b || floats.is_some_and(|(a, b)| (a - b).abs() <= a.abs() * 1e-6)
        }
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => left == right,
    }
}

fuzz_target!(|data: &[u8]| {
    let value = [&HEAD, data].concat();
    let found = outputs(&DECODE, &value);
    let read = DynamicMessage::decode(MESSAGE.clone(), data);
    let document = match (&read, found) {
        (Ok(message), Ok(found)) => {
            let ours: Value = serde_json::from_slice(&found[0]).expect("JSON");
            if let Some(theirs) = shown(message) {
                assert!(same(&ours, &theirs), "{ours} is not {theirs}");
            }
            found
        }
        // Times out of their range, too much work, and maps of another wire type, which prost-reflect does not look at.
        (Ok(message), Err(code)) => {
            let is_limit = matches!(code, etl::ErrorCode::WorkLimit | etl::ErrorCode::RecordTooLarge);
            let is_known = is_limit || shown(message).is_none() || {
                let cause = cause(&value);
                // Nanoseconds of a whole second and more: carried over there, refused here.
                cause.starts_with("a time or duration") || ["mt", "mm"].iter().any(|name| cause.starts_with(&format!("{name:?} has wire type")))
            };
            assert!(is_known, "refused: {}", cause(&value));
            return;
        }
        (Err(error), Ok(_)) => {
            assert!(error.to_string().contains(DEPTH_LIMIT), "accepted what prost refuses: {error}");
            return;
        }
        (Err(_), Err(_)) => return,
    };
    let written = outputs(&ENCODE, &document[0]).expect("what was read can be written");
    assert_eq!(outputs(&DECODE, &written[0]).as_ref(), Ok(&document));
    let again = DynamicMessage::decode(MESSAGE.clone(), &written[0][HEAD.len()..]).expect("what we write is read");
    assert_eq!(shown(&again), read.ok().as_ref().and_then(shown));
});
