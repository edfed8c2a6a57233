//! Tests of the structural check: single faults, the tables themselves, and laws.

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey, ApiVersionsResponse, FetchResponse, MetadataResponse, RequestKind, ResponseKind,
};
use kafka_protocol::protocol::VersionRange;
use proptest::prelude::*;

use super::*;

const METADATA: i16 = ApiKey::Metadata as i16;
const FETCH: i16 = ApiKey::Fetch as i16;

/// Checks a response given in hexadecimal, with spaces where a reader wants them.
#[track_caller]
fn check(api_key: i16, api_version: i16, hex: &str, expected: &str) {
    let found = match check_response(api_key, api_version, &bytes_of(hex)) {
        Ok(()) => "ok".to_owned(),
        Err(error) => error.to_string(),
    };
    assert_eq!(found, expected);
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

/// These nine bytes made the decoder ask for 384 GiB, which aborts the process.
#[test]
fn nine_bytes_that_reserved_384_gib() {
    check(
        METADATA,
        12,
        "00000000 FFFFFFFF0F",
        "MetadataResponse v12: brokers: 4294967294 elements of at least 11 bytes do not fit into 0 bytes (byte 4)",
    );
}

#[test]
fn faults_name_field_and_place() {
    // throttle, no brokers, cluster id null, controller, no topics, no tags
    check(METADATA, 12, "00000000 01 00 00000001 01 00", "ok");
    check(
        METADATA,
        12,
        "00000000 01 00 00000001 01 0000",
        "MetadataResponse v12: 1 bytes left over (byte 12)",
    );
    check(
        METADATA,
        12,
        "00000000 00 00 00000001 01 00",
        "MetadataResponse v12: brokers: null is not allowed here (byte 4)",
    );
    check(
        METADATA,
        12,
        "00000000 01 00 000000",
        "MetadataResponse v12: controller_id: 4 bytes wanted, 3 left (byte 6)",
    );
    check(
        METADATA,
        12,
        "",
        "MetadataResponse v12: throttle_time_ms: 4 bytes wanted, 0 left (byte 0)",
    );
    check(
        METADATA,
        12,
        "00000000 02 00000001 03 61ff 00000001 00 00 00 00000001 01 00",
        "MetadataResponse v12: brokers[0].host: string is not UTF-8 (byte 11)",
    );
    check(
        METADATA,
        12,
        "00000000 02 00000001 00 00000001 00 00 00 00000001 01 00",
        "MetadataResponse v12: brokers[0].host: null is not allowed here (byte 9)",
    );
    check(METADATA, 0, "00000000 00000000", "ok");
    check(
        METADATA,
        0,
        "FFFFFFFE 00000000",
        "MetadataResponse v0: brokers: length -2 is negative (byte 0)",
    );
    check(
        METADATA,
        0,
        "7FFFFFFF 00000000",
        "MetadataResponse v0: brokers: 2147483647 elements of at least 10 bytes do not fit into 4 bytes (byte 0)",
    );
    check(METADATA, 99, "", "MetadataResponse v99: unknown version (known: 0 to 13) (byte 0)");
    check(4242, 0, "", "response v0: unknown API key 4242 (byte 0)");
}

#[test]
fn varints_have_32_bits() {
    check(METADATA, 12, "00000000 8100 00 00000001 01 00", "ok");
    check(METADATA, 12, "00000000 8180808000 00 00000001 01 00", "ok");
    check(
        METADATA,
        12,
        "00000000 818080808000 00 00000001 01 00",
        "MetadataResponse v12: brokers: varint exceeds 32 bits (byte 4)",
    );
    check(
        METADATA,
        12,
        "00000000 FFFFFFFF1F 00 00000001 01 00",
        "MetadataResponse v12: brokers: varint exceeds 32 bits (byte 4)",
    );
}

#[test]
fn tagged_fields_ascend_and_fill_their_size() {
    let front = "00000000 0000 00000000 01";
    let fetch = |tags: &str, expected: &str| check(FETCH, 16, &format!("{front}{tags}"), expected);
    fetch("00", "ok");
    // node_endpoints, an empty array; then an unknown tag
    fetch("01 00 02 01 00", "FetchResponse v16: node_endpoints: 1 bytes left over (byte 15)");
    fetch("01 00 01 01", "ok");
    fetch("01 00 00", "FetchResponse v16: node_endpoints: 1 bytes wanted, 0 left (byte 14)");
    fetch("01 00 05 01", "FetchResponse v16: node_endpoints: 5 bytes wanted, 1 left (byte 13)");
    fetch("02 00 01 01 07 02 abcd", "ok");
    fetch(
        "02 07 02 abcd 00 01 01",
        "FetchResponse v16: tag 0 is out of order or does not belong to this version (byte 16)",
    );
    fetch(
        "02 07 00 07 00",
        "FetchResponse v16: tag 7 is out of order or does not belong to this version (byte 14)",
    );
    fetch(
        "01 8080808008 00",
        "FetchResponse v16: tag 2147483648 is out of order or does not belong to this version (byte 12)",
    );
    fetch(
        "05 07 00 08 00",
        "FetchResponse v16: 5 elements of at least 2 bytes do not fit into 4 bytes (byte 11)",
    );
    fetch("01 07 03 ab", "FetchResponse v16: tag 7: 3 bytes wanted, 1 left (byte 13)");
    // The tag is known, but only from version 16 on: the decoder refuses it, and so do we.
    check(
        FETCH,
        15,
        &format!("{front} 01 00 01 01"),
        "FetchResponse v15: tag 0 is out of order or does not belong to this version (byte 12)",
    );
}

#[test]
fn optional_structures_have_a_presence_byte() {
    let api = ApiKey::DescribeTopicPartitions as i16;
    check(api, 0, "00000000 01 FF 00", "ok");
    check(api, 0, "00000000 01 01 02 61 00000001 00 00", "ok");
    check(
        api,
        0,
        "00000000 01 00 00",
        "DescribeTopicPartitionsResponse v0: next_cursor: neither a structure nor null (byte 5)",
    );
}

/// Records are null, empty or bytes; the count is held against the bytes left.
#[test]
fn records_stay_within_the_message() {
    let partition = "00000000 00000001 0001 74 00000001 00000000 0000 0000000000000000 0000000000000000 FFFFFFFF";
    check(FETCH, 4, &format!("{partition} FFFFFFFF"), "ok");
    check(FETCH, 4, &format!("{partition} 00000002 abcd"), "ok");
    check(
        FETCH,
        4,
        &format!("{partition} 00000003 abcd"),
        "FetchResponse v4: responses[0].partitions[0].records: 3 bytes wanted, 2 left (byte 45)",
    );
}

/// One structure may cost hundreds of bytes for six on the wire; what would add up to far more than
/// the frame is refused before it is decoded.
#[test]
fn dense_messages_are_refused() {
    let count = 10_000_u32;
    let mut api_versions = BytesMut::new();
    api_versions.put_i16(0);
    put_varint(&mut api_versions, count + 1);
    for _ in 0..count {
        // Six bytes of range, then one unknown tagged field without content.
        api_versions.put_slice(&bytes_of("0000 0000 0000 01 07 00"));
    }
    api_versions.put_slice(&bytes_of("00000000 00"));
    let error = check_response(ApiKey::ApiVersions as i16, 3, &api_versions).unwrap_err();
    assert!(matches!(error.fault, Fault::TooDense { .. }), "{error}");
}

fn put_varint(output: &mut BytesMut, mut value: u32) {
    while value >= 0x80 {
        output.put_u8(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    output.put_u8(u8::try_from(value).unwrap());
}

#[test]
fn headers_end_where_the_body_begins() {
    // API key 3, version 9, correlation 7, client "a", no tags, then two bytes of body
    assert_eq!(check_request_header(2, &bytes_of("0003 0009 00000007 0001 61 00 abcd")), Ok(12));
    assert_eq!(check_request_header(1, &bytes_of("0003 0008 00000007 FFFF abcd")), Ok(10));
    assert_eq!(check_response_header(0, &bytes_of("00000007 abcd")), Ok(4));
    assert_eq!(check_response_header(1, &bytes_of("00000007 01 05 01 ff abcd")), Ok(8));
    let error = check_response_header(1, &bytes_of("00000007 FFFFFFFF0F")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "ResponseHeader v1: 4294967295 elements of at least 2 bytes do not fit into 0 bytes (byte 4)"
    );
}

/// Everything the tables say about themselves: order, and the least size that bounds the counts.
#[test]
fn tables_are_sound() {
    for table in [tables::REQUESTS, tables::RESPONSES] {
        assert!(table.is_sorted_by(|left, right| left.api_key < right.api_key));
        for message in table {
            for version in message.versions.min..=message.versions.max {
                sound(&message.body, version, message.flexible.contain(version), 1);
            }
        }
    }
}

fn sound(structure: &Struct, version: i16, flexible: bool, depth: usize) {
    assert!(depth < 8, "nesting bounds the recursion of the walk");
    for field in structure.fields.iter().filter(|field| field.versions.contain(version)) {
        let mut kind = field.kind;
        while let Kind::Array(element) = kind {
            kind = *element;
            assert!(kind.least(version, flexible) > 0, "{}: elements without bytes", field.name);
        }
        if let Kind::Struct(inner) = kind {
            sound(inner, version, flexible, depth + 1);
        }
    }
}

/// Every API and version that `kafka-protocol` reads has a table.
#[test]
fn tables_cover_the_decoder() {
    for api in ApiKey::iter() {
        let known = decoded_versions(api);
        for version in known.min..=known.max {
            for schemas in [REQUESTS, RESPONSES] {
                assert!(schemas.find(api as i16, version).is_ok(), "{api:?} v{version}");
            }
        }
    }
}

/// The memory model is at least what the compiler made of the types.
#[test]
fn model_covers_the_types() {
    fn model(table: &'static [Message], api: ApiKey) -> usize {
        table.iter().find(|message| message.api_key == api as i16).unwrap().body.memory
    }
    assert!(model(tables::RESPONSES, ApiKey::Metadata) >= size_of::<MetadataResponse>());
    assert!(model(tables::RESPONSES, ApiKey::Fetch) >= size_of::<FetchResponse>());
    assert!(model(tables::RESPONSES, ApiKey::ApiVersions) >= size_of::<ApiVersionsResponse>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Bodies made from the tables, for every API and version: the check accepts them, the decoder
    /// reads them to the end, and what its encoder makes of them is accepted again.
    #[test]
    fn what_the_tables_describe_is_what_the_decoder_reads(seed in any::<u64>()) {
        for (index, (api, version)) in every_version().enumerate() {
            let mut body = Generator::new(seed ^ u64::try_from(index).unwrap());
            round_trip(api, version, &mut body);
        }
    }
}

fn every_version() -> impl Iterator<Item = (ApiKey, i16)> {
    ApiKey::iter().flat_map(|api| {
        let known = decoded_versions(api);
        (known.min..=known.max).map(move |version| (api, version))
    })
}

/// What the decoder itself reads; one version more is translated.
fn decoded_versions(api: ApiKey) -> VersionRange {
    crate::versions::known_versions(api).intersect(&api.valid_versions())
}

fn round_trip(api: ApiKey, version: i16, generator: &mut Generator) {
    let key = api as i16;
    let body = generator.body(REQUESTS.find(key, version).unwrap(), version);
    check_request(key, version, &body).unwrap();
    let mut rest = Bytes::from(body);
    let request = RequestKind::decode(api, &mut rest, version).unwrap();
    assert!(rest.is_empty());
    let mut again = BytesMut::new();
    request.encode(&mut again, version).unwrap();
    check_request(key, version, &again).unwrap();
    assert_eq!(RequestKind::decode(api, &mut again.freeze(), version).unwrap(), request);

    let body = generator.body(RESPONSES.find(key, version).unwrap(), version);
    check_response(key, version, &body).unwrap();
    let mut rest = Bytes::from(body);
    let response = ResponseKind::decode(api, &mut rest, version).unwrap();
    assert!(rest.is_empty());
    let mut again = BytesMut::new();
    response.encode(&mut again, version).unwrap();
    check_response(key, version, &again).unwrap();
    assert_eq!(ResponseKind::decode(api, &mut again.freeze(), version).unwrap(), response);
}

/// Writes random bodies that have the form of their schema.
struct Generator {
    state: u64,
    output: BytesMut,
    version: i16,
    flexible: bool,
}

impl Generator {
    fn new(seed: u64) -> Self {
        Self { state: seed | 1, output: BytesMut::new(), version: 0, flexible: false }
    }

    fn body(&mut self, message: &'static Message, version: i16) -> Vec<u8> {
        self.version = version;
        self.flexible = message.flexible.contain(version);
        self.structure(&message.body);
        self.output.split().to_vec()
    }

    /// A number below `bound` (xorshift).
    fn below(&mut self, bound: u32) -> u32 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        u32::try_from(self.state % u64::from(bound)).unwrap()
    }

    fn structure(&mut self, structure: &'static Struct) {
        let version = self.version;
        for field in structure.fields.iter().filter(|field| field.is_positional(version)) {
            self.field(field);
        }
        if !self.flexible {
            return;
        }
        let mut tagged: Vec<_> =
            structure.fields.iter().filter(|field| field.tagged.contain(version)).collect();
        tagged.sort_by_key(|field| field.tag);
        tagged.retain(|_| self.below(2) == 0);
        let unknown = self.below(2);
        put_varint(&mut self.output, u32::try_from(tagged.len()).unwrap() + unknown);
        for field in tagged {
            let outer = self.output.split();
            self.field(field);
            let value = self.output.split();
            self.output = outer;
            self.unknown(field.tag, &value);
        }
        if unknown == 1 {
            self.unknown(4711, b"later");
        }
    }

    fn unknown(&mut self, tag: u32, value: &[u8]) {
        put_varint(&mut self.output, tag);
        put_varint(&mut self.output, u32::try_from(value.len()).unwrap());
        self.output.put_slice(value);
    }

    fn field(&mut self, field: &'static Field) {
        let null = field.nullable.contain(self.version) && self.below(3) == 0;
        match (field.kind, null) {
            (Kind::Struct(_), true) => self.output.put_i8(-1),
            (Kind::Struct(structure), false) if field.nullable.contain(self.version) => {
                self.output.put_i8(1);
                self.structure(structure);
            }
            (kind, true) => self.length(kind, None),
            (kind, false) => self.value(kind),
        }
    }

    fn value(&mut self, kind: Kind) {
        match kind {
            Kind::String | Kind::LegacyString => {
                let text =
                    ["", "a", "topic-1", "Z\u{fc}rich"][usize::try_from(self.below(4)).unwrap()];
                self.length(kind, Some(text.len()));
                self.output.put_slice(text.as_bytes());
            }
            Kind::Bytes | Kind::Records => {
                let bytes = self.below(200);
                self.length(kind, Some(usize::try_from(bytes).unwrap()));
                self.output.put_bytes(0xab, usize::try_from(bytes).unwrap());
            }
            Kind::Struct(structure) => self.structure(structure),
            Kind::Array(element) => {
                let count = self.below(3);
                self.length(kind, Some(usize::try_from(count).unwrap()));
                for _ in 0..count {
                    self.value(*element);
                }
            }
            Kind::Bool => {
                let value = self.below(2) == 1;
                self.output.put_u8(u8::from(value));
            }
            // 1.5: the comparison of decoded values must not meet a NaN.
            Kind::Float64 => self.output.put_f64(1.5),
            _ => {
                for _ in 0..kind.width().unwrap() {
                    let byte = self.below(256);
                    self.output.put_u8(u8::try_from(byte).unwrap());
                }
            }
        }
    }

    fn length(&mut self, kind: Kind, length: Option<usize>) {
        let length = length.map(|length| u32::try_from(length).unwrap());
        match kind {
            _ if self.flexible && !matches!(kind, Kind::LegacyString) => {
                put_varint(&mut self.output, length.map_or(0, |length| length + 1));
            }
            Kind::String | Kind::LegacyString => {
                self.output.put_i16(length.map_or(-1, |length| i16::try_from(length).unwrap()));
            }
            _ => self.output.put_i32(length.map_or(-1, |length| i32::try_from(length).unwrap())),
        }
    }
}
