use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::record::{BatchOptions, Header, Record, encode_batch};

fn batch(options: &BatchOptions, records: &[Record]) -> BatchV2 {
    BatchV2::parse(encode_batch(options, records).unwrap()).unwrap()
}

fn record(offset: i64, timestamp: i64, value: &[u8]) -> Record {
    Record {
        offset,
        timestamp,
        key: (offset % 2 == 0).then(|| Bytes::from_static(b"key")),
        value: Some(Bytes::copy_from_slice(value)),
        headers: vec![Header { key: Bytes::from_static(b"h"), value: None }],
    }
}

fn merged(batches: &[BatchV2], compression: Compression) -> Result<BatchV2, BatchError> {
    let mut merger = BatchMerger::new(compression, 0, usize::MAX);
    for batch in batches {
        merger.push(batch, &RecordLimits::default())?;
    }
    merger.finish()
}

#[test]
fn what_cannot_be_merged_is_refused_and_leaves_nothing_behind() {
    let plain = BatchOptions::default();
    let good = batch(&plain, &[record(0, 5, b"a"), record(1, 4, b"b")]);
    let mut damaged = good.bytes.to_vec();
    damaged[70] ^= 1;
    let refused = [
        batch(&plain, &[record(0, 1, b"x"), record(2, 1, b"gap")]),
        batch(&BatchOptions { control: true, ..plain }, &[record(0, 1, b"x")]),
        batch(&BatchOptions { log_append_time: Some(9), ..plain }, &[record(0, 1, b"x")]),
        batch(&BatchOptions { delete_horizon: Some(9), ..plain }, &[record(0, 1, b"x")]),
        batch(&BatchOptions { compression: Compression::Gzip, ..plain }, &[record(0, 1, b"x")]),
        BatchV2::parse(damaged.into()).unwrap(),
    ];
    for bad in &refused {
        let mut merger = BatchMerger::new(Compression::None, 0, usize::MAX);
        merger.push(&good, &RecordLimits::default()).unwrap();
        merger.push(bad, &RecordLimits::default()).unwrap_err();
        merger.push(&good, &RecordLimits::default()).unwrap();
        assert_eq!(
            merger.finish().unwrap().bytes,
            merged(&[good.clone(), good.clone()], Compression::None).unwrap().bytes
        );
    }
    merged(&[], Compression::None).unwrap_err();
}

/// A batch that would make the merged one too large is refused whole, whatever its size on the wire.
#[test]
fn what_does_not_fit_is_refused() {
    for compression in [Compression::None, Compression::Zstd] {
        let options = BatchOptions { compression, ..BatchOptions::default() };
        let one = batch(&options, &[record(0, 1, &[7; 300])]);
        let mut merger = BatchMerger::new(compression, 0, 800);
        merger.push(&one, &RecordLimits::default()).unwrap();
        merger.push(&one, &RecordLimits::default()).unwrap();
        assert!(merger.size_bytes() > 600);
        merger.push(&one, &RecordLimits::default()).unwrap_err();
        assert_eq!(merger.finish().unwrap().header.record_count, 2);
    }
}

fn any_record() -> impl Strategy<Value = Record> {
    let bytes =
        || prop::option::of(prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from));
    let header = (prop::collection::vec(any::<u8>(), 0..5), bytes())
        .prop_map(|(key, value)| Header { key: key.into(), value });
    let timestamp = prop_oneof![any::<i64>(), 1_700_000_000_000_i64..1_700_000_100_000];
    (timestamp, bytes(), bytes(), prop::collection::vec(header, 0..3)).prop_map(
        |(timestamp, key, value, headers)| Record { offset: 0, timestamp, key, value, headers },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// The merged batch is what encoding all the records in one go gives.
    #[test]
    fn merging_is_encoding_all_records_at_once(
        parts in prop::collection::vec(prop::collection::vec(any_record(), 1..6), 1..5),
        codec in 0_u8..5,
        transactional in any::<bool>(),
    ) {
        let compression = Compression::from_id(codec).unwrap();
        let options = BatchOptions { compression, ..BatchOptions::default() };
        let mut all = Vec::new();
        let mut batches = Vec::new();
        for mut records in parts {
            let first = i64::try_from(all.len()).unwrap();
            for (record, offset) in records.iter_mut().zip(first..) {
                record.offset = offset;
            }
            let source = BatchOptions { base_offset: 1000 + first, producer_id: 7, transactional, ..options };
            batches.push(batch(&source, &records));
            all.extend(records);
        }
        let merged = merged(&batches, compression).unwrap();
        prop_assert_eq!(&merged.bytes, &encode_batch(&options, &all).unwrap());
        prop_assert_eq!(BatchV2::parse(merged.bytes.clone()).unwrap(), merged);
    }
}
