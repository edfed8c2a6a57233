//! Batches for the tests of this crate.

use bytes::Bytes;
use kafka_wire::compression::Compression;
use kafka_wire::record::{BatchOptions, BatchV2, Header, Record, encode_batch};
use proptest::prelude::*;

/// The codecs a batch may have.
pub(crate) const CODECS: [Compression; 5] = [
    Compression::None,
    Compression::Gzip,
    Compression::Snappy,
    Compression::Lz4,
    Compression::Zstd,
];

/// A record whose value tells its offset.
pub(crate) fn record(offset: i64) -> Record {
    Record {
        offset,
        timestamp: 1_700_000_000_000 + offset,
        key: Some(Bytes::from_static(b"key")),
        value: Some(Bytes::from(format!("value {offset}"))),
        headers: Vec::new(),
    }
}

/// A batch with records at these offsets.
pub(crate) fn batch(offsets: &[i64], change: impl FnOnce(&mut BatchOptions)) -> BatchV2 {
    let records: Vec<_> = offsets.iter().copied().map(record).collect();
    batch_of(&records, change)
}

/// A batch with these records, as a broker would store it.
pub(crate) fn batch_of(records: &[Record], change: impl FnOnce(&mut BatchOptions)) -> BatchV2 {
    let mut options = BatchOptions { base_offset: records[0].offset, ..BatchOptions::default() };
    change(&mut options);
    BatchV2::parse(encode_batch(&options, records).unwrap()).unwrap()
}

fn bytes(max: usize) -> impl Strategy<Value = Bytes> {
    proptest::collection::vec(any::<u8>(), 0..max).prop_map(Bytes::from)
}

/// Records at increasing offsets, with gaps, null and empty fields, and odd header keys.
pub(crate) fn records() -> impl Strategy<Value = Vec<Record>> {
    let header =
        (bytes(4), proptest::option::of(bytes(6))).prop_map(|(key, value)| Header { key, value });
    let record = (
        1i64..4,
        -1i64..1 << 41,
        proptest::option::of(bytes(12)),
        proptest::option::of(bytes(40)),
        proptest::collection::vec(header, 0..3),
    );
    (0i64..1 << 40, proptest::collection::vec(record, 1..20)).prop_map(|(start, parts)| {
        let mut offset = start;
        let mut records = Vec::new();
        for (step, timestamp, key, value, headers) in parts {
            records.push(Record { offset, timestamp, key, value, headers });
            offset += step;
        }
        records
    })
}
