//! Formats v0 and v1 against themselves and against hand-made damage.

use super::*;
use crate::record::{Batch, split};

fn message(
    offset: i64,
    timestamp: i64,
    key: Option<&'static [u8]>,
    value: Option<&'static [u8]>,
) -> Record {
    Record {
        offset,
        timestamp,
        key: key.map(Bytes::from_static),
        value: value.map(Bytes::from_static),
        headers: Vec::new(),
    }
}

fn sample() -> Vec<Record> {
    vec![
        message(100, 1_000, None, None),
        message(101, 3_000, Some(b""), Some(b"")),
        message(105, 2_000, Some(b"key"), Some(b"value")),
    ]
}

fn decode(set: Bytes) -> Result<Vec<Record>, BatchError> {
    let mut out = Vec::new();
    for batch in split(set) {
        let Batch::Legacy(batch) = batch? else { panic!("a legacy set holds legacy entries") };
        batch.verify_crc()?;
        out.extend(batch.records(&RecordLimits::default())?);
    }
    Ok(out)
}

const CODECS: [Compression; 4] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4];

#[test]
fn round_trip_of_both_formats_and_every_codec() {
    for codec in CODECS {
        let set = encode(1, codec, &sample()).unwrap();
        assert_eq!(decode(set).unwrap(), sample(), "v1 {codec}");
        let mut without_time = sample();
        without_time.iter_mut().for_each(|record| record.timestamp = -1);
        let set = encode(0, codec, &sample()).unwrap();
        assert_eq!(decode(set).unwrap(), without_time, "v0 {codec}");
    }
}

#[test]
fn a_stamped_wrapper_overrules_its_messages() {
    for codec in CODECS {
        let options = LegacyOptions { magic: 1, compression: codec, log_append_time: Some(9_999) };
        let records = decode(encode_with(&options, &sample()).unwrap()).unwrap();
        assert!(records.iter().all(|record| record.timestamp == 9_999), "{codec}");
        assert_eq!(records.iter().map(|record| record.offset).collect::<Vec<_>>(), [100, 101, 105]);
    }
}

#[test]
fn a_wrapper_knows_its_last_offset() {
    let set = encode(1, Compression::Gzip, &sample()).unwrap();
    let batch = split(set).next().unwrap().unwrap();
    assert_eq!((batch.last_offset(), batch.next_offset()), (105, 106));
}

#[test]
fn a_wrapper_at_offset_zero_keeps_its_inner_offsets() {
    let mut set = encode(1, Compression::Snappy, &sample()).unwrap().to_vec();
    set[..8].copy_from_slice(&0_i64.to_be_bytes()); // the offset is outside the checksum
    let offsets: Vec<_> = decode(set.into()).unwrap().iter().map(|record| record.offset).collect();
    assert_eq!(offsets, [0, 1, 5]);
}

#[test]
fn a_partial_message_at_the_end_is_left_out() {
    let set = encode(1, Compression::None, &sample()).unwrap();
    for cut in 1..30 {
        assert_eq!(decode(set.slice(..set.len() - cut)).unwrap(), sample()[..2], "{cut} bytes cut");
    }
}

/// A wrapper with these bytes as its compressed content.
fn wrap(magic: i8, offset: i64, inner: &[u8]) -> Bytes {
    let packed = compression::compress(Compression::Gzip, inner).unwrap();
    let carrier = [Record { value: Some(packed.into()), ..message(offset, 5, None, None) }];
    let mut set = encode(magic, Compression::None, &carrier).unwrap().to_vec();
    set[17] |= Compression::Gzip.id();
    let crc = crc32(&set[CRC_START..]);
    set[12..16].copy_from_slice(&crc.to_be_bytes());
    set.into()
}

#[test]
fn damaged_wrappers_are_refused() {
    fn check(set: Bytes, expected: WrapperFault) {
        match decode(set) {
            Err(BatchError::Wrapper { fault, .. }) => assert_eq!(fault, expected),
            other => panic!("{other:?}"),
        }
    }
    let inner = encode(1, Compression::None, &sample()).unwrap();
    check(wrap(1, 7, b""), WrapperFault::Empty);
    check(wrap(1, 200, &wrap(1, 7, &inner)), WrapperFault::Nested);
    check(wrap(1, 104, &inner), WrapperFault::Offset(105));
    check(wrap(1, 200, &inner[..inner.len() - 1]), WrapperFault::Partial(41));
    check(wrap(0, 200, &[0; 5]), WrapperFault::Partial(5));
    let mut v2 = inner.to_vec();
    v2[16] = 2;
    check(wrap(1, 200, &v2), WrapperFault::Magic(2));

    let mut null = encode(1, Compression::None, &[message(3, 4, None, None)]).unwrap().to_vec();
    null[17] |= 1;
    let crc = crc32(&null[CRC_START..]);
    null[12..16].copy_from_slice(&crc.to_be_bytes());
    check(null.into(), WrapperFault::NullValue);
}

#[test]
fn damage_inside_a_wrapper_is_seen() {
    let mut inner = encode(1, Compression::None, &sample()).unwrap().to_vec();
    let last = inner.len() - 1;
    inner[last] ^= 1;
    assert!(matches!(decode(wrap(1, 200, &inner)), Err(BatchError::Crc { .. })));
    assert!(matches!(decode(inner.into()), Err(BatchError::Crc { .. })));
}

#[test]
fn limits_hold() {
    let set = encode(1, Compression::Gzip, &sample()).unwrap();
    let Batch::Legacy(batch) = split(set).next().unwrap().unwrap() else { panic!("legacy") };
    let records_max = RecordLimits { records_max: 2, ..RecordLimits::default() };
    assert!(matches!(batch.records(&records_max), Err(BatchError::Limit { limit: 2, .. })));
    let bytes_max = RecordLimits { decompressed_bytes_max: 10, ..RecordLimits::default() };
    assert!(matches!(batch.records(&bytes_max), Err(BatchError::Compression { .. })));
}

#[test]
fn what_the_formats_cannot_hold_is_refused() {
    fn check(magic: i8, codec: Compression, records: &[Record], expected: EncodeFault) {
        assert_eq!(encode(magic, codec, records), Err(BatchError::Encode(expected)));
    }
    use crate::record::{EncodeFault, Header};
    let header = Header { key: Bytes::new(), value: None };
    let with_header = [Record { headers: vec![header], ..message(0, 0, None, None) }];
    check(0, Compression::None, &[], EncodeFault::Empty);
    check(2, Compression::None, &sample(), EncodeFault::Magic(2));
    check(1, Compression::Zstd, &sample(), EncodeFault::Codec(1, Compression::Zstd));
    check(1, Compression::None, &with_header, EncodeFault::Headers(1));
}
