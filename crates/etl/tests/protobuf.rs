//! Protobuf in the framing of schema registries: types, both syntaxes, what does not fit, broken bytes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use etl::{
    Compiled, ErrorCode, Limits, Record, RecordError, Resources, Rule, Scratch,
    rule::SchemaFormat::Protobuf,
};
use jiff::Timestamp;

fn compiled(spec: &str) -> Compiled {
    let rule = Rule::parse(&format!("{{apiVersion: etl/v1, spec: {{{spec}}}}}"))
        .unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(Rule::parse(&rule.to_yaml()).unwrap(), rule);
    Compiled::new(&rule, &Resources::new()).unwrap()
}

fn decoder(schema: &str) -> Compiled {
    let decode = compiled("chains: [{kind: decode, format: protobuf}]");
    decode.add_schema(7, Protobuf, schema, &[]).unwrap();
    decode
}

fn encoder(schema: &str) -> Compiled {
    let encode =
        compiled("chains: [{analyse: {mode: json}}], output: {format: protobuf, subject: s}");
    encode.set_target_schema(7, Protobuf, schema, &[]).unwrap();
    encode
}

fn run(rule: &Compiled, value: &[u8]) -> Result<Vec<u8>, RecordError> {
    let mut scratch = Scratch::new();
    let outputs = rule.apply(&Record::from_value(value), Timestamp::UNIX_EPOCH, &mut scratch)?;
    Ok(outputs.records[0].value.unwrap().to_vec())
}

fn framed(content: &[u8]) -> Vec<u8> {
    [&[0, 0, 0, 0, 7], content].concat()
}

/// The document of a message of the first type.
fn document(rule: &Compiled, message: &[u8]) -> String {
    let value = framed(&[&[0], message].concat());
    String::from_utf8(run(rule, &value).unwrap_or_else(|error| panic!("{error}"))).unwrap()
}

/// Bytes and document, both ways.
fn check(schema: &str, message: &[u8], expected: &str) {
    assert_eq!(document(&decoder(schema), message), expected);
    let encoded = run(&encoder(schema), expected.as_bytes());
    let encoded = encoded.unwrap_or_else(|error| panic!("{expected}: {error}"));
    assert_eq!(encoded, framed(&[&[0], message].concat()), "{expected}");
}

fn decode_error(schema: &str, content: &[u8]) -> String {
    let error = run(&decoder(schema), &framed(content)).unwrap_err();
    assert_eq!(error.code, ErrorCode::SchemaDecode);
    assert!(error.byte_offset.is_some());
    error.cause
}

fn encode_error(schema: &str, document: &str) -> String {
    let error = run(&encoder(schema), document.as_bytes()).unwrap_err();
    assert_eq!(error.code, ErrorCode::SchemaEncode, "{error}");
    error.cause
}

/// A message with one field.
fn proto3(field: &str) -> String {
    format!(
        "syntax = \"proto3\"; message M {{ {field} }} enum E {{ ZERO = 0; ONE = 1; MINUS = -1; }}"
    )
}

/// Bytes after the encoding guide of Protobuf.
#[test]
fn every_type() {
    let one = |kind: &str, message: &[u8], value: &str| {
        check(&proto3(&format!("{kind} f = 1;")), message, &format!("{{\"f\":{value}}}"));
    };
    let minus_one = [8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1];
    one("int32", &[8, 150, 1], "150");
    one("int32", &minus_one, "-1");
    one("int32", &[8, 128, 128, 128, 128, 248, 255, 255, 255, 255, 1], "-2147483648");
    one("int32", &[], "0");
    one("int64", &minus_one, "-1");
    one("int64", &[8, 255, 255, 255, 255, 255, 255, 255, 255, 127], "9223372036854775807");
    one("uint32", &[8, 255, 255, 255, 255, 15], "4294967295");
    one("uint64", &minus_one, "18446744073709551615");
    one("sint32", &[8, 1], "-1");
    one("sint32", &[8, 255, 255, 255, 255, 15], "-2147483648");
    one("sint64", &minus_one, "-9223372036854775808");
    one("fixed32", &[13, 1, 0, 0, 0], "1");
    one("sfixed32", &[13, 255, 255, 255, 255], "-1");
    one("fixed64", &[9, 255, 255, 255, 255, 255, 255, 255, 255], "18446744073709551615");
    one("sfixed64", &[9, 254, 255, 255, 255, 255, 255, 255, 255], "-2");
    one("float", &[13, 0, 0, 192, 63], "1.5");
    one("float", &[13, 205, 204, 204, 61], "0.1");
    one("float", &[13, 0, 0, 0, 128], "-0.0");
    one("float", &[], "0.0");
    one("double", &[9, 154, 153, 153, 153, 153, 153, 185, 63], "0.1");
    one("double", &[9, 0, 0, 0, 0, 0, 0, 240, 127], "\"Infinity\"");
    one("double", &[9, 0, 0, 0, 0, 0, 0, 248, 127], "\"NaN\"");
    one("float", &[13, 0, 0, 128, 255], "\"-Infinity\"");
    one("bool", &[8, 1], "true");
    one("bool", &[], "false");
    one("string", &[10, 7, b't', b'e', b's', 0xe4, 0xbd, 0xa0, b'g'], "\"tes你g\"");
    one("bytes", &[10, 2, 1, 2], "\"AQI=\"");
    one("E", &[8, 1], "\"ONE\"");
    one("E", &minus_one, "\"MINUS\"");
    one("E", &[], "\"ZERO\"");
    one("E", &[8, 5], "5");
    one("repeated int32", &[10, 3, 3, 142, 2], "[3,270]");
    one("repeated E", &[10, 2, 0, 1], "[\"ZERO\",\"ONE\"]");
    one("repeated string", &[10, 1, b'a', 10, 0], "[\"a\",\"\"]");
    one("repeated double", &[], "[]");
    one("map<string, int32>", &[10, 5, 10, 1, b'k', 16, 3], "{\"k\":3}");
    one(
        "map<int64, E>",
        &[10, 4, 8, 7, 16, 1, 10, 4, 8, 0, 16, 0],
        "{\"7\":\"ONE\",\"0\":\"ZERO\"}",
    );
    one("map<bool, bytes>", &[10, 5, 8, 1, 18, 1, 0], "{\"true\":\"AA==\"}");
    one("map<string, M>", &[10, 5, 10, 1, b'k', 18, 0], "{\"k\":{\"f\":{}}}");
}

#[test]
fn what_is_set_and_what_is_not() {
    check(
        &proto3("optional int32 a = 1; M m = 2; oneof o { int32 b = 3; string c = 4; }"),
        &[],
        "{}",
    );
    let schema = proto3("optional int32 a = 1; M m = 2; oneof o { int32 b = 3; string c = 4; }");
    check(&schema, &[8, 0, 18, 2, 34, 0, 24, 0], r#"{"a":0,"m":{"c":""},"b":0}"#);
    // The last member of a oneof counts.
    assert_eq!(document(&decoder(&schema), &[24, 5, 34, 1, b'x']), r#"{"c":"x"}"#);
    // A message in two parts is merged, a number is replaced.
    assert_eq!(
        document(&decoder(&schema), &[18, 2, 8, 1, 18, 4, 8, 2, 24, 3]),
        r#"{"m":{"a":2,"b":3}}"#
    );
    // Null says that a field is not set.
    let nulls = run(&encoder(&schema), br#"{"a":null,"m":null,"b":null,"c":"x"}"#).unwrap();
    assert_eq!(nulls, framed(&[0, 34, 1, b'x']));
    // Fields stand in the order of the file, bytes in that of the numbers.
    check(&proto3("int32 z = 2; int32 a = 1;"), &[8, 1, 16, 2], r#"{"z":2,"a":1}"#);
    // Names of the file are shown; those of JSON are taken, too.
    let names = proto3("int32 order_id = 1;");
    check(&names, &[8, 1], r#"{"order_id":1}"#);
    assert_eq!(run(&encoder(&names), br#"{"orderId":"1"}"#).unwrap(), framed(&[0, 8, 1]));
}

#[test]
fn proto2() {
    let schema = r#"syntax = "proto2"; message M {
      required int32 id = 1; optional int32 n = 2 [default = 5]; repeated int32 many = 3;
      optional group Part = 4 { optional string s = 5; repeated group Inner = 6 { optional bool b = 7; } }
      optional E e = 8; extensions 100 to 200; }
      enum E { ONE = 1; TWO = 2; }"#;
    check(schema, &[8, 1], r#"{"id":1,"many":[]}"#);
    check(schema, &[8, 1, 16, 0, 24, 1, 24, 2], r#"{"id":1,"n":0,"many":[1,2]}"#);
    // Packed where it is not declared so.
    assert_eq!(document(&decoder(schema), &[8, 1, 26, 2, 1, 2]), r#"{"id":1,"many":[1,2]}"#);
    let group = [8, 1, 35, 42, 1, b'x', 51, 56, 1, 52, 51, 52, 36, 64, 2];
    check(
        schema,
        &group,
        r#"{"id":1,"many":[],"part":{"s":"x","inner":[{"b":true},{}]},"e":"TWO"}"#,
    );
    // Extensions and other unknown fields are passed over, groups with all that they hold.
    let unknown = [
        160, 6, 1, 8, 1, 75, 83, 8, 1, 84, 74, 1, 0, 76, 93, 0, 0, 0, 0, 97, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    assert_eq!(document(&decoder(schema), &unknown), r#"{"id":1,"many":[]}"#);
    assert_eq!(
        decode_error(schema, &[0]),
        r#"the required field "id" is missing (byte 1 of the content)"#
    );
    assert_eq!(
        encode_error(schema, r#"{"id":null}"#),
        r#"the document lacks the required field "id""#
    );
    assert_eq!(
        encode_error(schema, r#"{"id":1,"e":3}"#),
        r#"e is a number ("3"), the schema wants one of the numbers of the enum"#
    );
}

#[test]
fn types_of_google() {
    let schema = r#"syntax = "proto3";
      import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto";
      import "google/protobuf/wrappers.proto"; import "google/protobuf/struct.proto";
      import "google/protobuf/any.proto"; import "google/protobuf/empty.proto"; import "confluent/meta.proto";
      message M {
        google.protobuf.Timestamp t = 1; google.protobuf.Duration d = 2; google.protobuf.Int64Value n = 3;
        google.protobuf.StringValue s = 4 [(confluent.field_meta).doc = "text"]; google.protobuf.Struct o = 5;
        google.protobuf.ListValue l = 6; google.protobuf.Value v = 7; google.protobuf.Any a = 8;
        google.protobuf.Empty e = 9; repeated google.protobuf.BoolValue b = 10; }"#;
    check(schema, &[], r#"{"b":[]}"#);
    check(schema, &[10, 2, 8, 60], r#"{"t":"1970-01-01T00:01:00Z","b":[]}"#);
    check(
        schema,
        &[10, 0, 18, 0, 26, 0, 34, 0],
        r#"{"t":"1970-01-01T00:00:00Z","d":"0s","n":0,"s":"","b":[]}"#,
    );
    check(
        schema,
        &[18, 8, 8, 1, 16, 128, 202, 181, 238, 1, 26, 2, 8, 5, 82, 2, 8, 1, 82, 0],
        r#"{"d":"1.500s","n":5,"b":[true,false]}"#,
    );
    let value = r#"{"o":{"k":[null,true,"x",{}]},"v":null,"b":[]}"#;
    let bytes = run(&encoder(schema), value.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(run(&decoder(schema), &bytes).unwrap()).unwrap(), value);
    check(
        schema,
        &[66, 3, 10, 1, b'u', 74, 0],
        r#"{"a":{"type_url":"u","value":""},"e":{},"b":[]}"#,
    );
    let decode = decode_error(schema, &[0, 10, 7, 8, 255, 255, 255, 255, 255, 127]);
    assert_eq!(decode, "a time or duration out of its range (byte 3 of the content)");
    for (document, cause) in [
        (
            r#"{"t":5}"#,
            r#"t is a number ("5"), the schema wants a time such as 2025-01-31T14:00:00Z"#,
        ),
        (r#"{"d":"1"}"#, r#"d is a string ("1"), the schema wants a duration such as 1.5s"#),
        (r#"{"n":"x"}"#, r#"n is a string ("x"), the schema wants an integer of 64 bits"#),
        (r#"{"b":[null]}"#, "b.[] is null, the schema wants a boolean"),
    ] {
        assert_eq!(encode_error(schema, document), cause);
    }
}

#[test]
fn what_does_not_fit_is_told() {
    let check = |field: &str, document: &str, cause: &str| {
        assert_eq!(encode_error(&proto3(field), document), cause, "{document}");
    };
    check(
        "int32 f = 1;",
        r#"{"f":2147483648}"#,
        r#"f is a number ("2147483648"), the schema wants an integer of 32 bits"#,
    );
    check(
        "int32 f = 1;",
        r#"{"f":1.5}"#,
        r#"f is a number ("1.5"), the schema wants an integer of 32 bits"#,
    );
    check(
        "uint64 f = 1;",
        r#"{"f":-1}"#,
        r#"f is a number ("-1"), the schema wants an integer of 64 bits without sign"#,
    );
    check(
        "float f = 1;",
        r#"{"f":1e39}"#,
        r#"f is a number ("1e39"), the schema wants a number in its range"#,
    );
    check("double f = 1;", r#"{"f":"inf"}"#, r#"f is a string ("inf"), the schema wants a number"#);
    check("bool f = 1;", r#"{"f":1}"#, r#"f is a number ("1"), the schema wants a boolean"#);
    check("string f = 1;", r#"{"f":true}"#, "f is a boolean, the schema wants a string");
    check("bytes f = 1;", r#"{"f":"?"}"#, r#"f is a string ("?"), the schema wants base64"#);
    check(
        "E f = 1;",
        r#"{"f":"TWO"}"#,
        r#"f is a string ("TWO"), the schema wants one of the names of the enum"#,
    );
    check(
        "M f = 1;",
        r#"{"f":{"f":{"f":1}}}"#,
        r#"f.f.f is a number ("1"), the schema wants a map"#,
    );
    check("M f = 1;", r#"{"f":{"g":1}}"#, r#"f has a field "g" that the schema does not have"#);
    check(
        "repeated M f = 1;",
        r#"{"f":[{},{"f":5}]}"#,
        r#"f.[].f is a number ("5"), the schema wants an array"#,
    );
    check(
        "repeated int32 f = 1;",
        r#"{"f":[1,null]}"#,
        "f.[] is null, the schema wants an integer of 32 bits",
    );
    check(
        "map<int32, int32> f = 1;",
        r#"{"f":{"x":1}}"#,
        r#"f.x is a string ("x"), the schema wants an integer of 32 bits"#,
    );
    check(
        "map<bool, int32> f = 1;",
        r#"{"f":{"yes":1}}"#,
        r#"f.yes is a string ("yes"), the schema wants a boolean"#,
    );
    check(
        "map<int32, int32> f = 1;",
        r#"{"f":{"1":null}}"#,
        "f.1 is null, the schema wants an integer of 32 bits",
    );
    check(
        "oneof o { int32 a = 1; int32 b = 2; }",
        r#"{"a":1,"b":0}"#,
        r#"the document has "a" and "b", of which one may be set"#,
    );
    check(
        "int32 a_b = 1;",
        r#"{"a_b":1,"aB":1}"#,
        r#"the document has the field "a_b" under two names"#,
    );
    // What others write in other ways is taken.
    for (field, document, bytes) in [
        ("int64 f = 1;", r#"{"f":"12"}"#, &[0, 8, 12][..]),
        ("int32 f = 1;", r#"{"f":1.2e1}"#, &[0, 8, 12]),
        ("bytes f = 1;", r#"{"f":"-_8"}"#, &[0, 10, 2, 0xfb, 0xff]),
        ("E f = 1;", r#"{"f":1}"#, &[0, 8, 1]),
    ] {
        assert_eq!(run(&encoder(&proto3(field)), document.as_bytes()).unwrap(), framed(bytes));
    }
}

#[test]
fn indexes_choose_the_message() {
    let schema = r#"syntax = "proto3"; package p;
      message A { map<string, int32> m = 1; message B { int32 b = 1; } message C { message D { int32 d = 1; } } }
      message E { int32 e = 1; }"#;
    let decode = decoder(schema);
    let check = |name: &str, head: &[u8], message: &[u8], document: &str| {
        let value = framed(&[head, message].concat());
        assert_eq!(String::from_utf8(run(&decode, &value).unwrap()).unwrap(), document);
        let encode = compiled(&format!(
            "chains: [{{analyse: {{mode: json}}}}], output: {{format: protobuf, subject: s, message: {name}}}"
        ));
        encode.set_target_schema(7, Protobuf, schema, &[]).unwrap();
        assert_eq!(run(&encode, document.as_bytes()).unwrap(), value);
    };
    check("p.A", &[0], &[], r#"{"m":{}}"#);
    check("p.A.B", &[4, 0, 0], &[8, 1], r#"{"b":1}"#);
    check("p.A.C.D", &[6, 0, 2, 0], &[8, 1], r#"{"d":1}"#);
    check("p.E", &[2, 2], &[8, 1], r#"{"e":1}"#);
    // The first message may also be written out.
    assert_eq!(run(&decode, &framed(&[2, 0])).unwrap(), br#"{"m":{}}"#);
    for wrong in [&[2, 4][..], &[4, 0, 4], &[1], &[2, 1], &[200, 1], &[2], &[]] {
        decode_error(schema, wrong);
    }
    let encode = compiled(
        "chains: [{analyse: {mode: json}}], output: {format: protobuf, subject: s, message: p.F}",
    );
    let error = encode.set_target_schema(7, Protobuf, schema, &[]).unwrap_err();
    assert_eq!(error, r#"the schema has no message "p.F""#);
}

#[test]
fn broken_bytes_end_in_an_error_with_a_place() {
    let check = |field: &str, content: &[u8], cause: &str| {
        assert_eq!(decode_error(&proto3(field), content), cause, "{content:?}");
    };
    check("int32 f = 1;", &[0, 8], "the bytes end too early (byte 2 of the content)");
    check("int32 f = 1;", &[0, 8, 128, 128], "the bytes end too early (byte 4 of the content)");
    let endless = [0, 8, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2];
    check("int32 f = 1;", &endless, "an integer of more than 64 bits (byte 12 of the content)");
    check(
        "int32 f = 1;",
        &[0, 10, 0],
        "\"f\" has wire type 2, the schema wants 0 (byte 1 of the content)",
    );
    check(
        "string f = 1;",
        &[0, 8, 0],
        "\"f\" has wire type 0, the schema wants 2 (byte 1 of the content)",
    );
    check("string f = 1;", &[0, 10, 2, b'x'], "the bytes end too early (byte 3 of the content)");
    check("string f = 1;", &[0, 10, 1, 0xff], "text that is not UTF-8 (byte 3 of the content)");
    check("int32 f = 1;", &[0, 0], "a field number that does not exist (byte 1 of the content)");
    check("int32 f = 1;", &[0, 22], "a wire type that does not exist (byte 2 of the content)");
    check(
        "int32 f = 1;",
        &[0, 20],
        "the end of a group that was not begun (byte 2 of the content)",
    );
    check("int32 f = 1;", &[0, 19, 28], "the end of another group (byte 2 of the content)");
    check("int32 f = 1;", &[0, 19], "the bytes end too early (byte 2 of the content)");
    check(
        "repeated int32 f = 1;",
        &[0, 10, 2, 1, 128],
        "the bytes end too early (byte 5 of the content)",
    );
    check("M f = 1;", &[0, 10, 4, 10, 2, 10, 9], "the bytes end too early (byte 7 of the content)");
    // Parts of messages that are dropped or merged are sound on their own.
    let parts = "oneof o { M m = 1; int32 n = 2; } M f = 3; string s = 4;";
    check(
        parts,
        &[0, 10, 1, 24, 16, 1],
        "\"f\" has wire type 0, the schema wants 2 (byte 3 of the content)",
    );
    check(parts, &[0, 26, 2, 34, 1, 26, 1, 65], "the bytes end too early (byte 5 of the content)");
    // Messages in messages, and groups that nobody knows.
    let mut deep = Vec::new();
    for _ in 0..200 {
        // A length in seven bits each, the lower ones first.
        let [high, low] = (u16::try_from(deep.len()).unwrap() << 1).to_be_bytes();
        let mut outer = vec![10, low >> 1 | 0x80, high];
        outer.extend(deep);
        deep = outer;
    }
    let cause = decode_error(&proto3("M f = 1;"), &[&[0], &deep[..]].concat());
    assert!(cause.starts_with("nested too deep"), "{cause}");
    let cause = decode_error(&proto3("int32 f = 1;"), &[&[0], &[19; 200][..]].concat());
    assert!(cause.starts_with("nested too deep"), "{cause}");
}

#[test]
fn work_is_bounded() {
    let bounded = |schema: &str, message: &[u8]| {
        let mut decode = decoder(schema);
        decode.set_limits(Limits { work_bytes_max: 1 << 20, ..Limits::default() });
        let error = run(&decode, &framed(&[&[0], message].concat())).unwrap_err();
        assert_eq!(error.code, ErrorCode::WorkLimit);
    };
    // Many parts of one message, each merged with all before.
    bounded(&proto3("M f = 1; string s = 2;"), &[10, 3, 18, 1, b'x'].repeat(2_000));
    bounded(&proto3("repeated M f = 1;"), &[10, 0].repeat(100_000));
    bounded(&proto3("repeated bool f = 1;"), &[&[10, 160, 141, 6], &[1; 100_000][..]].concat());
    bounded(&proto3("map<int32, bool> f = 1;"), &[10, 0].repeat(20_000));
}

#[test]
fn every_cut_and_every_changed_byte_is_survived() {
    let schema = proto3(
        "int32 a = 1; repeated M m = 2; map<string, E> e = 3; oneof o { string s = 4; bytes b = 5; } repeated double d = 6;",
    );
    let encode = encoder(&schema);
    let document = r#"{"a":-3,"m":[{"s":"x"},{"b":"AQI="}],"e":{"k":"ONE"},"d":[1.5]}"#;
    let whole = run(&encode, document.as_bytes()).unwrap();
    let decode = decoder(&schema);
    for end in 5..whole.len() {
        let _ = run(&decode, &whole[..end]);
        for value in [0, 1, 0x7f, 0x80, 0xff] {
            let mut changed = whole.clone();
            changed[end] = value;
            let _ = run(&decode, &changed);
        }
    }
}

#[test]
fn schemas_in_several_files() {
    let root = r#"syntax = "proto3"; import "a/b.proto"; import "google/protobuf/timestamp.proto";
      message M { x.B b = 1; }"#;
    let b = r#"syntax = "proto2"; package x; import "c.proto"; message B { optional C c = 1; }"#;
    let c = r#"syntax = "proto3"; package x; message C { int32 n = 1; }"#;
    assert_eq!(etl::protobuf_imports(root).unwrap(), ["a/b.proto"]);
    assert_eq!(etl::protobuf_imports(b).unwrap(), ["c.proto"]);
    assert!(etl::protobuf_imports("import 5").is_err());
    let references: Vec<(String, String)> = [("a/b.proto", b), ("c.proto", c)]
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .into();
    let decode = compiled("chains: [{kind: decode, format: protobuf}]");
    let missing = decode.add_schema(7, Protobuf, root, &references[..1]).unwrap_err();
    assert_eq!(missing, "a/b.proto:1:31: import 'c.proto' not found");
    decode.add_schema(7, Protobuf, root, &references).unwrap();
    assert_eq!(document(&decode, &[10, 4, 10, 2, 8, 9]), r#"{"b":{"c":{"n":9}}}"#);
}

#[test]
fn wrong_schemas_are_told() {
    let check = |schema: &str, cause: &str| {
        let decode = compiled("chains: [{kind: decode, format: protobuf}]");
        let error = decode.add_schema(7, Protobuf, schema, &[]).unwrap_err();
        assert!(error.starts_with(cause), "{error}");
    };
    check("message", "expected an identifier, but reached end of file");
    check("message 5", "schema:1:9: expected an identifier");
    check("syntax = \"proto3\";\nmessage M { N n = 1; }", "schema:2:13: name 'N' is not defined");
    check("import \"schema\";", "import cycle detected");
    check(&"message M { ".repeat(10_000), "schema:1:");
    check(r#"{"type":"record"}"#, "schema:1:1: expected");
    let decode = decoder("syntax = \"proto3\";");
    assert_eq!(run(&decode, &framed(&[0])).unwrap_err().code, ErrorCode::SchemaDecode);
    let encode =
        compiled("chains: [{analyse: {mode: json}}], output: {format: protobuf, subject: s}");
    let error = encode.set_target_schema(7, Protobuf, "syntax = \"proto3\";", &[]).unwrap_err();
    assert_eq!(error, "the schema has no message");
    assert_eq!(run(&encode, b"{}").unwrap_err().code, ErrorCode::SchemaUnknown);
}
