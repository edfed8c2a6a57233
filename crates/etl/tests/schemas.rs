//! Avro and JSON in the framing of schema registries.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use etl::{
    Compiled, ErrorCode, Record, Resources, Rule, Scratch,
    rule::SchemaFormat::{self, Avro},
};
use jiff::Timestamp;

const SCHEMA: &str = r#"{"type":"record","name":"R","namespace":"n","fields":[
  {"name":"a","type":"long"},
  {"name":"b","type":["null","string"]},
  {"name":"c","type":{"type":"enum","name":"E","symbols":["X","Y"]},"default":"X"},
  {"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":9,"scale":2}},
  {"name":"e","type":{"type":"array","items":"double"}},
  {"name":"f","type":{"type":"map","values":"E"}},
  {"name":"g","type":{"type":"fixed","name":"F","size":2}},
  {"name":"h","type":["null","n.R"]}]}"#;

const DOCUMENT: &str =
    r#"{"a":-65,"b":"foo","c":"Y","d":-12.50,"e":[1.5,-0.25],"f":{"k":"X"},"g":"AQI=","h":null}"#;

/// Written by hand after the specification: zigzag, blocks, two's complement.
const BYTES: &[u8] = &[
    0x81, 0x01, // -65
    2, 6, b'f', b'o', b'o', // branch 1, "foo"
    2,    // Y
    4, 0xfb, 0x1e, // -1250
    4, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0, 0, 0, 0, 0, 0, 0xd0, 0xbf, 0, // two doubles, end
    2, 2, b'k', 0, 0, // one entry, end
    1, 2, // fixed
    0, // null
];

fn compiled(spec: &str) -> Compiled {
    let rule = Rule::parse(&format!("{{apiVersion: etl/v1, spec: {{{spec}}}}}"))
        .unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(Rule::parse(&rule.to_yaml()).unwrap(), rule);
    Compiled::new(&rule, &Resources::new()).unwrap()
}

fn apply(compiled: &Compiled, value: &[u8]) -> Result<Vec<u8>, ErrorCode> {
    let mut scratch = Scratch::new();
    let outputs = compiled.apply(&Record::from_value(value), Timestamp::UNIX_EPOCH, &mut scratch);
    outputs.map(|outputs| outputs.records[0].value.unwrap().to_vec()).map_err(|error| error.code)
}

fn framed(content: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, 7], content].concat()
}

#[test]
fn avro_is_decoded_and_encoded() {
    let decode = compiled("chains: [{kind: decode, format: avro}]");
    decode.add_schema(7, Avro, SCHEMA, &[]).unwrap();
    assert_eq!(String::from_utf8(apply(&decode, &framed(BYTES)).unwrap()).unwrap(), DOCUMENT);
    let encode =
        compiled("chains: [{analyse: {mode: json}}], output: {format: avro, subject: t-value}");
    assert_eq!(apply(&encode, DOCUMENT.as_bytes()), Err(ErrorCode::SchemaUnknown));
    encode.set_target_schema(9, Avro, SCHEMA, &[]).unwrap();
    assert_eq!(apply(&encode, DOCUMENT.as_bytes()).unwrap(), [&[0, 0, 0, 0, 9], BYTES].concat());
}

#[test]
fn a_missing_schema_is_named() {
    let decode = compiled("chains: [{kind: decode}]");
    let bytes = framed(BYTES);
    let record = Record::from_value(&bytes);
    let mut scratch = Scratch::new();
    let error = decode.apply(&record, Timestamp::UNIX_EPOCH, &mut scratch).unwrap_err();
    assert_eq!((error.code, error.missing_schema), (ErrorCode::SchemaUnknown, Some(7)));
    decode.add_schema(7, Avro, SCHEMA, &[]).unwrap();
    assert!(decode.apply(&record, Timestamp::UNIX_EPOCH, &mut scratch).is_ok());
}

#[test]
fn every_cut_and_every_changed_byte_is_survived() {
    let decode = compiled("chains: [{kind: decode}]");
    decode.add_schema(7, Avro, SCHEMA, &[]).unwrap();
    let whole = framed(BYTES);
    for end in 0..whole.len() {
        assert!(apply(&decode, &whole[..end]).is_err(), "cut at {end}");
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[end] = value;
            let _ = apply(&decode, &changed);
        }
    }
    // A block of 2^60 items of no bytes.
    let mut nulls = compiled("chains: [{kind: decode}]");
    nulls.add_schema(7, Avro, r#"{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array","items":"null"}}]}"#, &[]).unwrap();
    let many = framed(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
    nulls.set_limits(etl::Limits { work_bytes_max: 1 << 20, ..etl::Limits::default() });
    assert_eq!(apply(&nulls, &many), Err(ErrorCode::WorkLimit));
}

#[test]
fn what_does_not_fit_is_told() {
    let encode =
        compiled("chains: [{analyse: {mode: json}}], output: {format: avro, subject: t-value}");
    let schema = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"},{"name":"b","type":["null","string"]}]}"#;
    encode.set_target_schema(9, Avro, schema, &[]).unwrap();
    assert_eq!(apply(&encode, br#"{"a":1}"#).unwrap(), [0, 0, 0, 0, 9, 2, 0]);
    for bad in [r#"{"a":"1"}"#, r#"{"a":2147483648}"#, r#"{"b":"x"}"#, r#"{"a":1,"b":5}"#] {
        assert_eq!(apply(&encode, bad.as_bytes()), Err(ErrorCode::SchemaEncode), "{bad}");
    }
    assert!(encode.set_target_schema(9, Avro, r#"{"type":"record"}"#, &[]).is_err());
    assert!(
        encode.set_target_schema(9, Avro, r#"{"type":"array","items":"Nobody"}"#, &[]).is_err()
    );
    let both = "{apiVersion: etl/v1, spec: {chains: [{analyse: {mode: json_array, output: multi}}], output: {format: avro, subject: s}}}";
    assert!(Rule::parse(both).is_err());
}

#[test]
fn json_loses_its_frame() {
    let decode = compiled("chains: [{kind: decode, format: json}]");
    assert_eq!(apply(&decode, &framed(br#"{ "a": 1.0 }"#)).unwrap(), br#"{"a":1.0}"#);
    assert_eq!(apply(&decode, br#"{"a":1}"#), Err(ErrorCode::SchemaFraming));
    assert_eq!(apply(&decode, &framed(b"[]")), Err(ErrorCode::JsonRootNotObject));
}

#[test]
fn json_gets_a_frame() {
    let encode = compiled(
        "chains: [{analyse: {mode: json}}], output: {format: json_schema, subject: t-value}",
    );
    assert_eq!(apply(&encode, b"{}"), Err(ErrorCode::SchemaUnknown));
    encode.set_target_schema_id(9);
    assert_eq!(
        apply(&encode, br#"{ "a": 1 }"#).unwrap(),
        [&[0, 0, 0, 0, 9], &br#"{"a":1}"#[..]].concat()
    );
}

#[test]
fn ids_are_translated_without_a_look_at_the_content() {
    let copy = compiled("chains: [], output: {format: original, translate_schema_id: true}");
    let bytes = framed(&[0xff, 0, 1]);
    let mut scratch = Scratch::new();
    let error =
        copy.apply(&Record::from_value(&bytes), Timestamp::UNIX_EPOCH, &mut scratch).unwrap_err();
    assert_eq!((error.code, error.missing_schema), (ErrorCode::SchemaUnknown, Some(7)));
    copy.translate_schema_id(7, 0x0102_0304);
    assert!(copy.is_schema_id_translated(7) && !copy.is_schema_id_translated(8));
    assert_eq!(apply(&copy, &bytes).unwrap(), [0, 1, 2, 3, 4, 0xff, 0, 1]);
    assert_eq!(apply(&copy, b"plain"), Err(ErrorCode::SchemaFraming));
}

/// A record as the decoder reads it, in a schema that takes its named types from two others.
#[test]
fn named_types_come_from_other_schemas_in_any_order() {
    let root = r#"{"type":"record","name":"R","namespace":"n","fields":[
      {"name":"a","type":"m.A"},{"name":"e","type":"E"}]}"#;
    let a = r#"{"type":"record","name":"A","namespace":"m","fields":[{"name":"e","type":"n.E"}]}"#;
    let e = r#"{"type":"enum","name":"E","namespace":"n","symbols":["X","Y"]}"#;
    let references: Vec<(String, String)> =
        [("m.A", a), ("n.E", e)].map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    let decode = compiled("chains: [{kind: decode}]");
    let missing = decode.add_schema(7, Avro, root, &references[..1]).unwrap_err();
    assert_eq!(missing, r#"the reference "m.A": the type "n.E" is not known"#);
    assert!(!decode.is_schema_known(7));
    decode.add_schema(7, Avro, root, &references).unwrap();
    assert!(decode.is_schema_known(7));
    assert_eq!(apply(&decode, &framed(&[2, 0])).unwrap(), br#"{"a":{"e":"Y"},"e":"X"}"#);
}

#[test]
fn schemas_come_while_other_threads_work() {
    let decode = compiled("chains: [{kind: decode}]");
    let number = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"long"}]}"#;
    std::thread::scope(|scope| {
        for thread in 0..2_u8 {
            let decode = &decode;
            scope.spawn(move || {
                for id in 0..100_u8 {
                    let bytes = [0, 0, 0, thread, id, 2];
                    assert_eq!(apply(decode, &bytes), Err(ErrorCode::SchemaUnknown));
                    let whole = u32::from_be_bytes([0, 0, thread, id]);
                    decode.add_schema(whole, Avro, number, &[]).unwrap();
                    assert_eq!(apply(decode, &bytes).unwrap(), br#"{"a":1}"#);
                }
            });
        }
    });
}

#[test]
fn a_schema_of_another_format_is_told() {
    let decode = compiled("chains: [{kind: decode}]");
    decode.add_schema(7, SchemaFormat::Json, "{}", &[]).unwrap();
    assert_eq!(apply(&decode, &framed(BYTES)), Err(ErrorCode::SchemaDecode));
    let encode = compiled("chains: [{analyse: {mode: json}}], output: {format: avro, subject: s}");
    encode.set_target_schema(9, SchemaFormat::Json, "{}", &[]).unwrap();
    assert_eq!(apply(&encode, b"{}"), Err(ErrorCode::SchemaUnknown));
}
