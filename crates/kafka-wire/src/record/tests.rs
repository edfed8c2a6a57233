//! The v2 path against itself, and against hand-made damage. Kafka's own bytes are in `tests/golden_records.rs`.

use proptest::{option, prelude::*};

use super::*;
use crate::{
    compression::Compression,
    crc,
    record::varint::{put_varint, put_varlong},
};

fn record(offset: i64, timestamp: i64, value: &str) -> Record {
    Record {
        offset,
        timestamp,
        key: None,
        value: Some(value.to_owned().into()),
        headers: Vec::new(),
    }
}

fn parse(bytes: Bytes) -> BatchV2 {
    BatchV2::parse(bytes).unwrap()
}

fn decode(bytes: Bytes) -> Result<Vec<Record>, BatchError> {
    parse(bytes).records(&RecordLimits::default())
}

/// One uncompressed batch with this payload, for what no encoder would write.
fn batch(record_count: i32, last_offset_delta: i32, payload: &[u8]) -> Bytes {
    let mut header =
        parse(encode_batch(&BatchOptions::default(), &[record(0, 0, "")]).unwrap()).header;
    header.record_count = record_count;
    header.last_offset_delta = last_offset_delta;
    header.batch_length = i32::try_from(payload.len() + HEADER_BYTES - 12).unwrap();
    [&header.encode()[..], payload].concat().into()
}

fn fault(bytes: Bytes) -> RecordFault {
    match decode(bytes) {
        Err(BatchError::Record { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

/// A record whose body is what `write` appends.
fn raw(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = Vec::new();
    write(&mut body);
    let mut out = Vec::new();
    put_varint(&mut out, i32::try_from(body.len()).unwrap());
    out.extend_from_slice(&body);
    out
}

/// Attributes, timestamp delta 0 and this offset delta.
fn start(body: &mut Vec<u8>, offset_delta: i32) {
    body.push(0);
    put_varlong(body, 0);
    put_varint(body, offset_delta);
}

/// A whole record: null key, null value, no headers.
fn smallest(offset_delta: i32) -> Vec<u8> {
    raw(|body| {
        start(body, offset_delta);
        body.extend_from_slice(&[1, 1, 0]);
    })
}

#[test]
fn header_keys_that_are_not_utf_8_and_duplicates_survive() {
    let header = |key: &'static [u8], value: Option<&'static [u8]>| Header {
        key: Bytes::from_static(key),
        value: value.map(Bytes::from_static),
    };
    let mut odd = record(3, 5, "v");
    odd.headers = vec![
        header(b"\xff\xfe", Some(b"\x80")),
        header(b"a", None),
        header(b"a", Some(b"")),
        header(b"", None),
    ];
    for compression in Compression::ALL {
        let options = BatchOptions { compression, base_offset: 3, ..BatchOptions::default() };
        assert_eq!(decode(encode_batch(&options, &[odd.clone()]).unwrap()).unwrap(), [odd.clone()]);
    }
}

#[test]
fn keys_and_values_are_slices_of_the_batch() {
    let bytes = encode_batch(&BatchOptions::default(), &[record(0, 0, "value")]).unwrap();
    let records = decode(bytes.clone()).unwrap();
    let value = records[0].value.as_ref().unwrap();
    assert!(bytes.as_ptr_range().contains(&value.as_ptr()));
}

#[test]
fn an_append_time_overrules_every_timestamp() {
    let options = BatchOptions { log_append_time: Some(99), ..BatchOptions::default() };
    let records =
        decode(encode_batch(&options, &[record(0, 5, "a"), record(1, 7, "b")]).unwrap()).unwrap();
    assert_eq!(records.iter().map(|record| record.timestamp).collect::<Vec<_>>(), [99, 99]);
}

#[test]
fn deltas_count_from_the_delete_horizon_when_there_is_one() {
    let options = BatchOptions { delete_horizon: Some(1_000_000), ..BatchOptions::default() };
    let sent = [record(0, 5, "a"), record(1, 7, "b")];
    let batch = parse(encode_batch(&options, &sent).unwrap());
    assert_eq!((batch.header.base_timestamp, batch.header.max_timestamp), (1_000_000, 7));
    assert_eq!(batch.records(&RecordLimits::default()).unwrap(), sent);
}

#[test]
fn offset_deltas_must_lie_in_the_batch_but_may_have_gaps_and_any_order() {
    let records = decode(batch(3, 9, &[smallest(9), smallest(0), smallest(0)].concat())).unwrap();
    assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [9, 0, 0]);
    let outside = |delta| RecordFault::OffsetDelta { delta, last_offset_delta: 9 };
    assert_eq!(fault(batch(1, 9, &smallest(10))), outside(10));
    assert_eq!(fault(batch(1, 9, &smallest(-1))), outside(-1));
}

#[test]
fn counts_beyond_the_bytes_are_refused_before_anything_is_allocated() {
    let error = decode(batch(i32::MAX, i32::MAX - 1, &smallest(0))).unwrap_err();
    assert!(matches!(error, BatchError::Limit { what: "records", limit: 1, .. }), "{error}");
    let headers = raw(|body| {
        start(body, 0);
        body.extend_from_slice(&[1, 1]);
        put_varint(body, i32::MAX);
    });
    assert_eq!(fault(batch(1, 0, &headers)), RecordFault::HeaderCount(i32::MAX));
}

#[test]
fn broken_records() {
    fn check(payload: &[u8], expected: RecordFault) {
        assert_eq!(fault(batch(1, 0, payload)), expected, "{payload:02x?}");
    }
    check(&[16, 0, 0, 0, 1, 1, 0], RecordFault::Truncated); // eight bytes announced, six there
    check(&[1, 0, 0, 0, 1, 1, 0], RecordFault::Length(-1));
    check(&[0x80; 7], RecordFault::Varint);
    check(&[12, 0, 0, 0, 8, 1, 0], RecordFault::Length(4)); // a key of four bytes, two there
    check(&[12, 0, 0, 0, 1, 8, 0], RecordFault::Length(4));
    check(&[12, 0, 0, 0, 1, 1, 1], RecordFault::HeaderCount(-1));
    check(&[14, 0, 0, 0, 1, 1, 0, 0], RecordFault::Unused(1));
    check(&[12, 0, 0, 0, 1, 1, 0, 0], RecordFault::Trailing(1));
    check(&[16, 0, 0, 0, 1, 1, 2, 1, 1], RecordFault::Length(-1)); // a header whose key is null
    check(&[2, 0, 0, 0, 0, 0, 0], RecordFault::Truncated); // the body ends after its attributes
}

#[test]
fn any_negative_length_is_null() {
    let payload = raw(|body| {
        start(body, 0);
        put_varint(body, -7);
        put_varint(body, i32::MIN);
        put_varint(body, 0);
    });
    let records = decode(batch(1, 0, &payload)).unwrap();
    assert_eq!((&records[0].key, &records[0].value), (&None, &None));
}

#[test]
fn errors_say_where() {
    let error =
        decode(batch(2, 1, &[smallest(0), vec![12, 0, 0, 0, 8, 1, 0]].concat())).unwrap_err();
    assert_eq!(
        error.to_string(),
        "batch at offset 0, record 1, byte 12 of the payload: length 4 does not fit the bytes that are left"
    );
}

#[test]
fn the_walker_ends_after_an_error() {
    let batch = parse(batch(2, 1, &[smallest(0), vec![0x80; 7]].concat()));
    let mut walker = batch.walk(&RecordLimits::default()).unwrap();
    assert!(walker.next().unwrap().is_ok());
    assert!(walker.next().unwrap().is_err());
    assert!(walker.next().is_none() && walker.next().is_none());
}

#[test]
fn limits_hold() {
    let mut many = record(1, 0, "x");
    many.headers = vec![Header { key: Bytes::new(), value: None }; 3];
    let options = BatchOptions { compression: Compression::Gzip, ..BatchOptions::default() };
    let batch = parse(encode_batch(&options, &[record(0, 0, "x"), many]).unwrap());
    let check = |limits: RecordLimits, expected: &str| {
        let error = batch.records(&limits).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    let limits = RecordLimits::default();
    assert!(batch.records(&limits).is_ok());
    check(RecordLimits { records_max: 1, ..limits }, "holds 2 records, the limit is 1");
    check(RecordLimits { headers_max: 2, ..limits }, "holds 3 headers, the limit is 2");
    check(
        RecordLimits { decompressed_bytes_max: 10, ..limits },
        "gzip data decompresses to more than 10 bytes",
    );
}

#[test]
fn control_records() {
    for kind in [ControlKind::Abort, ControlKind::Commit, ControlKind::Other(7)] {
        let control = ControlRecord { kind, coordinator_epoch: 12, timestamp: 34 };
        let options = BatchOptions { base_offset: 5, producer_id: 6, ..BatchOptions::default() };
        let batch = parse(encode_control_batch(&options, control).unwrap());
        assert!(batch.header.attributes.is_control() && batch.header.attributes.is_transactional());
        let expected = match kind {
            ControlKind::Other(_) => ControlRecord { coordinator_epoch: -1, ..control },
            _ => control,
        };
        assert_eq!(batch.control(), Ok(Some(expected)));
    }
    assert_eq!(
        parse(encode_batch(&BatchOptions::default(), &[record(0, 0, "")]).unwrap()).control(),
        Ok(None)
    );
    let options = BatchOptions { control: true, ..BatchOptions::default() };
    let short = parse(encode_batch(&options, &[record(0, 0, "")]).unwrap()).control();
    assert!(matches!(short, Err(BatchError::Record { fault: RecordFault::Control, .. })));
}

#[test]
fn what_cannot_be_encoded() {
    fn check(options: BatchOptions, records: &[Record], expected: EncodeFault) {
        assert_eq!(encode_batch(&options, records), Err(BatchError::Encode(expected)));
    }
    let options = BatchOptions::default();
    check(options, &[], EncodeFault::Empty);
    let far = 1 + i64::from(i32::MAX);
    check(
        options,
        &[record(0, 0, ""), record(far, 0, "")],
        EncodeFault::Offset { offset: far, first: 0 },
    );
    check(
        options,
        &[record(1, 0, ""), record(0, 0, "")],
        EncodeFault::Offset { offset: 0, first: 1 },
    );
    let bounded = BatchOptions { last_offset_delta: Some(1), ..options };
    check(
        bounded,
        &[record(5, 0, ""), record(7, 0, "")],
        EncodeFault::Offset { offset: 7, first: 5 },
    );
}

#[test]
fn an_emptied_batch_keeps_its_range() {
    for compression in Compression::ALL {
        let options = BatchOptions {
            compression,
            last_offset_delta: Some(9),
            base_offset: 7,
            ..BatchOptions::default()
        };
        let batch = parse(encode_batch(&options, &[]).unwrap());
        assert_eq!(
            (batch.header.next_offset(), batch.records(&RecordLimits::default())),
            (17, Ok(Vec::new()))
        );
    }
}

#[test]
fn a_blob_with_damage_ends_with_an_error() {
    let good = encode_batch(&BatchOptions::default(), &[record(0, 0, "x")]).unwrap();
    let check = |at: usize, byte: u8, expected: &str| {
        let mut blob = [&good[..], &good[..], &good[..]].concat();
        blob[good.len() + at] = byte;
        let mut batches = split(blob.into());
        assert!(batches.next().unwrap().is_ok());
        let error = batches.next().unwrap().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(batches.next().is_none());
        assert_eq!(batches.rest().len(), 2 * good.len());
    };
    check(16, 3, "magic 3");
    check(16, 0xff, "magic -1");
    check(8, 0x80, "batch_length is -");
    check(11, 13, "batch_length is 13");
    check(11, 30, "batch_length is 30");
    check(0, 0x80, "base_offset is -");
}

#[test]
fn a_batch_larger_than_the_blob_is_left_in_the_rest() {
    let good = encode_batch(&BatchOptions::default(), &[record(0, 0, "x")]).unwrap();
    let mut batches = split(good.slice(..good.len() - 1));
    assert!(batches.next().is_none());
    assert_eq!(batches.rest().len(), good.len() - 1);
}

fn nullable() -> impl Strategy<Value = Option<Bytes>> {
    option::of(prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from))
}

fn records() -> impl Strategy<Value = Vec<Record>> {
    let headers =
        prop::collection::vec((prop::collection::vec(any::<u8>(), 0..6), nullable()), 0..4);
    let one = (0_i64..1_000, any::<i64>(), nullable(), nullable(), headers);
    prop::collection::vec(one, 1..20).prop_map(|parts| {
        let mut offset = 0;
        let record =
            |(gap, timestamp, key, value, headers): (i64, i64, _, _, Vec<(Vec<u8>, _)>)| {
                offset += gap;
                let headers = headers
                    .into_iter()
                    .map(|(key, value)| Header { key: key.into(), value })
                    .collect();
                let record = Record { offset, timestamp, key, value, headers };
                offset += 1;
                record
            };
        parts.into_iter().map(record).collect()
    })
}

proptest! {
    /// Whatever is encoded comes back, and the header agrees with the records.
    #[test]
    fn round_trip(records in records(), codec in prop::sample::select(&Compression::ALL[..])) {
        let options = BatchOptions { compression: codec, base_offset: records[0].offset, ..BatchOptions::default() };
        let bytes = encode_batch(&options, &records).unwrap();
        let batch = parse(bytes.clone());
        prop_assert_eq!(batch.verify_crc(), Ok(()));
        prop_assert_eq!(batch.header.last_offset(), records[records.len() - 1].offset);
        prop_assert_eq!(batch.header.max_timestamp, records.iter().map(|record| record.timestamp).max().unwrap());
        prop_assert_eq!(batch.records(&RecordLimits::default()).unwrap(), records);
        prop_assert_eq!(&batch.header.encode()[..], &bytes[..HEADER_BYTES]);
    }

    /// Damage gives records or an error, never a panic, and never more records than the header counts.
    #[test]
    fn damaged_payloads(records in records(), hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let mut bytes = encode_batch(&BatchOptions::default(), &records).unwrap().to_vec();
        for (at, byte) in hits {
            let at = HEADER_BYTES + at.index(bytes.len() - HEADER_BYTES);
            bytes[at] = byte;
        }
        let batch = parse(bytes.into());
        if let Ok(found) = batch.records(&RecordLimits::default()) {
            prop_assert_eq!(found.len(), records.len());
        }
    }

    /// A patched header has the checksum that a fresh computation gives.
    #[test]
    fn patched_headers(records in records(), producer_id in any::<i64>(), base_sequence in any::<i32>()) {
        let batch = parse(encode_batch(&BatchOptions::default(), &records).unwrap());
        let mut header = BatchHeader { producer_id, base_sequence, ..batch.header };
        let old = &batch.bytes[CRC_START..HEADER_BYTES];
        header.crc = crc::patch(header.crc, old, &header.encode()[CRC_START..], batch.payload().len());
        let patched = parse([&header.encode()[..], &batch.payload()].concat().into());
        prop_assert_eq!(patched.verify_crc(), Ok(()));
    }
}
