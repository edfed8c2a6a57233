//! Messages of an independent implementation: read as the same document, and back as the same message.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::{collections::HashMap, sync::LazyLock};

use etl::{Compiled, Record, Resources, Rule, Scratch, rule::SchemaFormat::Protobuf};
use jiff::Timestamp;
use proptest::prelude::*;
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    SerializeOptions, Value,
    prost::{Message as _, bytes::Bytes},
};

const SCHEMA: &str = r#"
syntax = "proto3";
package p;
import "old.proto";
import "google/protobuf/duration.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/wrappers.proto";
message Before { message Unused {} }
message Rich {
  double d = 1; float f = 2; int32 i32 = 3; int64 i64 = 4; uint32 u32 = 5; uint64 u64 = 6; sint32 s32 = 7;
  sint64 s64 = 8; fixed32 f32 = 9; fixed64 f64 = 10; sfixed32 sf32 = 11; sfixed64 sf64 = 12; bool yes = 13;
  string text = 14; bytes raw = 15; Color color = 16;
  optional int32 maybe = 200; optional string may_be_text = 201; optional Color may_color = 202;
  repeated int32 numbers = 18; repeated sint64 more = 19 [packed = false]; repeated string texts = 20;
  repeated double doubles = 21; repeated Color colors = 22; repeated Rich many = 23; repeated bool flags = 24;
  map<string, int64> by_text = 30; map<int32, Rich> by_number = 31; map<bool, bytes> by_flag = 32;
  map<uint64, Color> colors_by = 33; map<sint32, google.protobuf.Value> values_by = 34;
  oneof choice { int32 a = 40; string b = 41; Rich c = 42; google.protobuf.StringValue d2 = 43; bytes e = 44; }
  Rich inner = 50; old.Old old = 51;
  google.protobuf.Timestamp at = 60; google.protobuf.Duration took = 61; google.protobuf.Struct any = 62;
  google.protobuf.ListValue list = 63; google.protobuf.Value value = 64; google.protobuf.Int64Value wrapped = 65;
  repeated google.protobuf.BoolValue flags_wrapped = 66; google.protobuf.UInt32Value more_wrapped = 67;
  repeated google.protobuf.Timestamp times = 68; google.protobuf.NullValue nothing = 69;
}
enum Color { NONE = 0; RED = 1; BLUE = 7; BELOW = -2; }
"#;

const OLD: &str = r#"
syntax = "proto2";
package old;
message Old {
  required int32 id = 1; optional string name = 2 [default = "x"]; repeated int32 plain = 3;
  repeated fixed32 packed = 4 [packed = true]; optional Closed closed = 5;
  optional group Part = 6 { optional int32 n = 7; repeated group Each = 8 { required bool b = 9; } }
}
enum Closed { ONE = 1; TWO = 2; }
"#;

static RICH: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
    struct Both;
    impl FileResolver for Both {
        fn open_file(&self, name: &str) -> Result<File, protox::Error> {
            match name {
                "rich.proto" => File::from_source(name, SCHEMA),
                "old.proto" => File::from_source(name, OLD),
                _ => Err(protox::Error::file_not_found(name)),
            }
        }
    }
    let mut resolver = ChainFileResolver::new();
    resolver.add(GoogleFileResolver::new());
    resolver.add(Both);
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.open_file("rich.proto").unwrap();
    compiler.descriptor_pool().get_message_by_name("p.Rich").unwrap()
});

static DECODE: LazyLock<Compiled> = LazyLock::new(|| {
    let decode = compiled("chains: [{kind: decode, format: protobuf}]");
    decode.add_schema(7, Protobuf, SCHEMA, &references()).unwrap();
    decode
});

static ENCODE: LazyLock<Compiled> = LazyLock::new(|| {
    let encode = compiled(
        "chains: [{analyse: {mode: json}}], output: {format: protobuf, subject: s, message: p.Rich}",
    );
    encode.set_target_schema(7, Protobuf, SCHEMA, &references()).unwrap();
    encode
});

/// The frame, and the index of the second message.
const HEAD: [u8; 7] = [0, 0, 0, 0, 7, 2, 2];

fn references() -> Vec<(String, String)> {
    vec![("old.proto".to_owned(), OLD.to_owned())]
}

fn compiled(spec: &str) -> Compiled {
    let rule = Rule::parse(&format!("{{apiVersion: etl/v1, spec: {{{spec}}}}}")).unwrap();
    Compiled::new(&rule, &Resources::new()).unwrap()
}

fn run(rule: &Compiled, value: &[u8]) -> Vec<u8> {
    let mut scratch = Scratch::new();
    let outputs = rule.apply(&Record::from_value(value), Timestamp::UNIX_EPOCH, &mut scratch);
    outputs.unwrap_or_else(|error| panic!("{error}")).records[0].value.unwrap().to_vec()
}

/// Whole numbers in eighths, and the ends: `serde_json` reads others a bit off.
fn floats() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<i32>().prop_map(|number| f64::from(number) / 8.0),
        Just(0.0),
        Just(-0.0),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(0.1),
    ]
}

fn symbols(kind: &EnumDescriptor) -> BoxedStrategy<Value> {
    let known: Vec<i32> = kind.values().map(|value| value.number()).collect();
    let known = proptest::sample::select(known);
    if kind.name() == "Color" {
        prop_oneof![known, any::<i32>()].prop_map(Value::EnumNumber).boxed()
    } else {
        known.prop_map(Value::EnumNumber).boxed()
    }
}

/// One value of the kind.
fn values(kind: &Kind, depth: u32) -> BoxedStrategy<Value> {
    match kind {
        Kind::Double => floats().prop_map(Value::F64).boxed(),
        #[allow(clippy::cast_possible_truncation, reason = "any float will do")]
        Kind::Float => floats().prop_map(|number| Value::F32(number as f32)).boxed(),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => any::<i32>().prop_map(Value::I32).boxed(),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => any::<i64>().prop_map(Value::I64).boxed(),
        Kind::Uint32 | Kind::Fixed32 => any::<u32>().prop_map(Value::U32).boxed(),
        Kind::Uint64 | Kind::Fixed64 => any::<u64>().prop_map(Value::U64).boxed(),
        Kind::Bool => any::<bool>().prop_map(Value::Bool).boxed(),
        Kind::String => ".{0,6}".prop_map(Value::String).boxed(),
        Kind::Bytes => any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(Bytes::from(bytes))).boxed(),
        Kind::Enum(kind) => symbols(kind),
        Kind::Message(message) => messages(message, depth).prop_map(Value::Message).boxed(),
    }
}

fn keys(kind: &Kind) -> BoxedStrategy<MapKey> {
    values(kind, 0).prop_map(|value| value.into_map_key().unwrap()).boxed()
}

/// What a field holds.
fn contents(field: &FieldDescriptor, depth: u32) -> BoxedStrategy<Value> {
    let kind = field.kind();
    if field.is_map() {
        let entry = kind.as_message().unwrap().clone();
        let value = values(&entry.map_entry_value_field().kind(), depth);
        let pair = (keys(&entry.map_entry_key_field().kind()), value);
        let pairs = proptest::collection::vec(pair, 0..3);
        return pairs
            .prop_map(|pairs| Value::Map(pairs.into_iter().collect::<HashMap<_, _>>()))
            .boxed();
    }
    if field.is_list() {
        return proptest::collection::vec(values(&kind, depth), 0..3).prop_map(Value::List).boxed();
    }
    values(&kind, depth)
}

fn messages(message: &MessageDescriptor, depth: u32) -> BoxedStrategy<DynamicMessage> {
    let message = message.clone();
    let pick = |numbers: Vec<(u32, Value)>, message: MessageDescriptor| {
        let mut made = DynamicMessage::new(message);
        for (number, value) in numbers {
            made.set_field_by_number(number, value);
        }
        made
    };
    match message.full_name() {
        "google.protobuf.Timestamp" => {
            let parts = (-62_135_596_800..=253_402_300_799_i64, 0..=999_999_999_i32);
            return parts
                .prop_map(move |(seconds, nanos)| {
                    pick(vec![(1, Value::I64(seconds)), (2, Value::I32(nanos))], message.clone())
                })
                .boxed();
        }
        "google.protobuf.Duration" => {
            let parts =
                (0..=315_576_000_000_i64, 0..=999_999_999_i32, prop_oneof![Just(1), Just(-1)]);
            return parts
                .prop_map(move |(seconds, nanos, sign)| {
                    let seconds = Value::I64(seconds * i64::from(sign));
                    pick(vec![(1, seconds), (2, Value::I32(nanos * sign))], message.clone())
                })
                .boxed();
        }
        _ => {}
    }
    // Of a `Value` one field is always set; JSON has no number in it that is not finite.
    if message.full_name() == "google.protobuf.Value" {
        let scalars = prop_oneof![
            Just((1, Value::EnumNumber(0))),
            any::<i32>().prop_map(|number| (2, Value::F64(f64::from(number) / 8.0))),
            ".{0,6}".prop_map(|text| (3, Value::String(text))),
            any::<bool>().prop_map(|flag| (4, Value::Bool(flag))),
        ];
        let field = if depth == 0 {
            scalars.boxed()
        } else {
            let nested = |number: u32| {
                contents(&message.get_field(number).unwrap(), depth - 1)
                    .prop_map(move |value| (number, value))
            };
            prop_oneof![scalars, nested(5), nested(6)].boxed()
        };
        return field.prop_map(move |field| pick(vec![field], message.clone())).boxed();
    }
    let mut fields = Vec::new();
    for field in message.fields() {
        if matches!(field.kind(), Kind::Message(_)) && depth == 0 {
            continue;
        }
        let number = field.number();
        let content =
            contents(&field, depth.saturating_sub(1)).prop_map(move |value| (number, value));
        fields.push(if field.is_required() {
            content.prop_map(Some).boxed()
        } else {
            proptest::option::weighted(0.2, content).boxed()
        });
    }
    fields
        .prop_map(move |fields| pick(fields.into_iter().flatten().collect(), message.clone()))
        .boxed()
}

fn document(message: &DynamicMessage) -> serde_json::Value {
    let options = SerializeOptions::new()
        .stringify_64_bit_integers(false)
        .use_proto_field_name(true)
        .skip_default_fields(false);
    let mut text = Vec::new();
    let mut serializer = serde_json::Serializer::new(&mut text);
    message.serialize_with_options(&mut serializer, &options).unwrap();
    serde_json::from_slice(&text).unwrap()
}

fn read(bytes: &[u8]) -> DynamicMessage {
    DynamicMessage::decode(RICH.clone(), bytes).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    // As bytes: a message whose type holds itself cannot be printed.
    #[test]
    fn messages_are_read_and_written_as_another_implementation_does(
        bytes in messages(&RICH, 2).prop_map(|message| message.encode_to_vec()),
    ) {
        let message = read(&bytes);
        let shown = run(&DECODE, &[&HEAD, &bytes[..]].concat());
        let found: serde_json::Value = serde_json::from_slice(&shown).unwrap();
        prop_assert_eq!(&found, &document(&message));
        let written = run(&ENCODE, &shown);
        prop_assert_eq!(&written[..7], &HEAD);
        prop_assert!(read(&written[7..]) == message, "{:?}", &written[7..]);
    }
}
