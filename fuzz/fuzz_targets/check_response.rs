//! The law of the structural check, for responses: what it accepts decodes without an error, to the last byte, within the heap
//! it foretells; what the decoder's encoder makes of the value is accepted again. The first two bytes are API key and
//! version, the rest is the body.
#![no_main]

#[path = "../support/counting.rs"]
mod counting;

use bytes::{Bytes, BytesMut};
use counting::Counting;
use kafka_wire::check::{check_response, decoded_bytes_max, response_memory};
use kafka_wire::messages::{ApiKey, ResponseKind};
use kafka_wire::versions::known_versions;
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static HEAP: Counting = Counting::new();

fuzz_target!(|data: &[u8]| {
    let Some(([key, version], body)) = data.split_first_chunk::<2>() else { return };
    let (key, version) = (i16::from(*key), i16::from(*version));
    let (checked, heap) = HEAP.peak_of(|| response_memory(key, version, body));
    let Ok(foretold) = checked else { return };
    assert_eq!(heap, 0, "the walk allocates");
    assert!(foretold <= decoded_bytes_max(body.len()));

    let Ok(api) = ApiKey::try_from(key) else { return };
    // Kafka's schemas are ahead of the decoder; and one old version is translated, not decoded.
    let known = known_versions(api).intersect(&api.valid_versions());
    if !(known.min..=known.max).contains(&version) {
        return;
    }
    let mut rest = Bytes::copy_from_slice(body);
    let (decoded, heap) = HEAP.peak_of(|| ResponseKind::decode(api, &mut rest, version));
    let value = decoded.expect("what the check accepts decodes");
    assert!(rest.is_empty(), "the decoder left {} bytes", rest.len());
    assert!(heap <= foretold, "{heap} bytes of heap, {foretold} foretold");

    let mut encoded = BytesMut::new();
    value.encode(&mut encoded, version).expect("what was decoded encodes");
    check_response(key, version, &encoded).expect("what the encoder writes is accepted");
    let again = ResponseKind::decode(api, &mut encoded.clone().freeze(), version).expect("it decodes again");
    let mut twice = BytesMut::new();
    again.encode(&mut twice, version).expect("it encodes again");
    assert_eq!(encoded, twice, "encoding and decoding settle");
});
