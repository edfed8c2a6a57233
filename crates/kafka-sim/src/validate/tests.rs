//! The allocation-free walk against the decoder of `kafka-wire`: two readers of the same bytes.

use bytes::Bytes;
use kafka_wire::record::{BatchError, Header, Record, RecordFault, encode_batch};
use proptest::prelude::*;

use super::*;
use crate::topic_config::Overrides;

fn records() -> impl Strategy<Value = Vec<Record>> {
    let bytes =
        || proptest::option::of(prop::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from));
    let header = (prop::collection::vec(any::<u8>(), 0..5), bytes())
        .prop_map(|(key, value)| Header { key: key.into(), value });
    let record = (0_i64..1 << 41, bytes(), bytes(), prop::collection::vec(header, 0..3));
    prop::collection::vec(record, 1..20).prop_map(|records| {
        let records =
            records.into_iter().zip(0..).map(|((timestamp, key, value, headers), offset)| Record {
                offset,
                timestamp,
                key,
                value,
                headers,
            });
        records.collect()
    })
}

fn codec() -> impl Strategy<Value = Compression> {
    prop_oneof![
        3 => Just(Compression::None),
        1 => Just(Compression::Gzip),
        1 => Just(Compression::Snappy),
        1 => Just(Compression::Lz4),
        1 => Just(Compression::Zstd),
    ]
}

/// Judges a batch as a 3.9 broker with default settings does.
fn judge(batch: &Bytes) -> Result<Prepared, Refusal> {
    let none = Overrides::new();
    let settings = LogSettings::new(Release::V3_9, &none, &none);
    let rules = Rules {
        release: Release::V3_9,
        settings: &settings,
        now_ms: 1_750_000_000_000,
        api_version: 9,
        topic: "t",
        partition: 0,
        walk: true,
    };
    prepare(Some(batch), &rules)
}

fn whole(prepared: &Prepared) -> BatchV2 {
    let mut bytes = prepared.header.encode().to_vec();
    bytes.extend_from_slice(&prepared.payload);
    BatchV2::parse(bytes.into()).unwrap()
}

proptest! {
    /// A good batch passes with its records as they were and a checksum that holds.
    #[test]
    fn good_batches_pass(records in records(), compression in codec()) {
        let options = BatchOptions { compression, ..BatchOptions::default() };
        let batch = encode_batch(&options, &records).unwrap();
        let stored = whole(&judge(&batch).unwrap());
        stored.verify_crc().unwrap();
        prop_assert_eq!(stored.records(&RecordLimits::default()).unwrap(), records);
    }

    /// What passes after bytes were changed (and the checksum renewed) can be decoded, record by
    /// record: no reader of the log is left with bytes that only the walk understood.
    #[test]
    fn what_passes_can_be_read(
        records in records(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = encode_batch(&BatchOptions::default(), &records).unwrap().to_vec();
        for (at, value) in changes {
            let at = HEADER_BYTES + at.index(bytes.len() - HEADER_BYTES);
            bytes[at] = value;
        }
        let crc = crc::crc32c(&bytes[CRC_START..]);
        bytes[17..CRC_START].copy_from_slice(&crc.to_be_bytes());
        if let Ok(prepared) = judge(&bytes.into()) {
            let stored = whole(&prepared);
            stored.verify_crc().unwrap();
            match stored.records(&RecordLimits::default()) {
                Ok(decoded) => prop_assert_eq!(decoded.len(), records.len()),
                // Uncompressed batches are stored with whatever inner offsets they came with (P4).
                Err(BatchError::Record { fault: RecordFault::OffsetDelta { .. }, .. }) => {}
                Err(other) => prop_assert!(false, "{other}"),
            }
        }
    }

    /// Any bytes get an answer.
    #[test]
    fn anything_is_judged(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = judge(&bytes.into());
    }
}
