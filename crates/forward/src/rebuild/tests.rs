use kafka_wire::record::{BatchV2, Record, legacy};
use proptest::prelude::*;

use super::*;
use crate::testing::{CODECS, batch, batch_of, record, records};

fn limits() -> RecordLimits {
    RecordLimits::default()
}

fn stamp() -> Stamp {
    Stamp { producer_id: 7, producer_epoch: 1, base_sequence: 40 }
}

fn rebuilt(batch: BatchV2, position: i64) -> Option<Rebuilt> {
    rebuild(&Batch::V2(batch), RebuildReason::Gaps, SourceOffset(position), &limits()).unwrap()
}

#[track_caller]
fn check(batch: BatchV2, position: i64, expected: &[i64]) {
    let found = rebuilt(batch, position);
    let offsets: Vec<_> = found.iter().flat_map(Rebuilt::offsets).map(|offset| offset.0).collect();
    assert_eq!(offsets, expected);
    let Some(found) = found else { return };
    let encoded = BatchV2::parse(found.encode(Some(&stamp())).unwrap()).unwrap();
    encoded.verify_crc().unwrap();
    let header = encoded.header;
    assert_eq!(
        (header.base_offset, header.partition_leader_epoch, header.attributes.0 & !7),
        (0, -1, 0)
    );
    assert_eq!(header.last_offset_delta + 1, header.record_count);
    assert_eq!(usize::try_from(header.record_count).unwrap(), expected.len());
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (7, 1, 40));
}

#[test]
fn gaps_close() {
    check(batch(&[10, 12, 13, 19], |_| {}), 0, &[10, 12, 13, 19]);
}

#[test]
fn records_before_the_position_stay_behind() {
    check(batch(&[10, 11, 12], |_| {}), 11, &[11, 12]);
    check(batch(&[10, 11, 12], |_| {}), 12, &[12]);
    check(batch(&[10, 11, 12], |_| {}), 13, &[]);
}

#[test]
fn flags_are_gone() {
    let source = batch(&[10, 11], |options| {
        options.transactional = true;
        options.delete_horizon = Some(99);
    });
    check(source, 0, &[10, 11]);
}

#[test]
fn broker_times_become_the_records_own() {
    let found =
        rebuilt(batch(&[10, 11], |options| options.log_append_time = Some(4242)), 0).unwrap();
    assert!(found.records.iter().all(|record| record.timestamp == 4242));
    let header = BatchV2::parse(found.encode(None).unwrap()).unwrap().header;
    assert_eq!((header.base_timestamp, header.max_timestamp, header.attributes.0), (4242, 4242, 0));
}

#[test]
fn damage_is_not_blessed() {
    let mut bytes = batch(&[10, 12], |_| {}).bytes.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let damaged = Batch::V2(BatchV2::parse(bytes.into()).unwrap());
    let error = rebuild(&damaged, RebuildReason::Gaps, SourceOffset(0), &limits()).unwrap_err();
    assert!(matches!(error, RebuildError::Decode { base_offset: SourceOffset(10), .. }), "{error}");
}

#[test]
fn a_bomb_is_refused() {
    let value = vec![0; 1 << 16];
    let big = Record { value: Some(value.into()), ..record(10) };
    let source = batch_of(&[big], |options| options.compression = Compression::Gzip);
    let limits = RecordLimits { decompressed_bytes_max: 1 << 12, ..limits() };
    rebuild(&Batch::V2(source), RebuildReason::Gaps, SourceOffset(0), &limits).unwrap_err();
}

#[test]
fn old_formats_become_format_2() {
    for magic in [0, 1] {
        for codec in [Compression::None, Compression::Gzip] {
            let records = [record(100), record(101), record(103)];
            let blob = legacy::encode(magic, codec, &records).unwrap();
            let mut offsets = Vec::new();
            for entry in kafka_wire::record::split(blob) {
                let reason = RebuildReason::LegacyFormat;
                let found = rebuild(&entry.unwrap(), reason, SourceOffset(101), &limits()).unwrap();
                if let Some(found) = found {
                    assert_eq!(found.template.compression, codec);
                    let times: Vec<_> =
                        found.records.iter().map(|record| record.timestamp).collect();
                    let expected = |offset: SourceOffset| {
                        if magic == 0 { -1 } else { record(offset.0).timestamp }
                    };
                    assert_eq!(times, found.offsets().map(expected).collect::<Vec<_>>());
                    offsets.extend(found.offsets());
                }
            }
            assert_eq!(offsets, [SourceOffset(101), SourceOffset(103)], "magic {magic}, {codec}");
        }
    }
}

#[test]
fn a_large_batch_is_cut_in_two() {
    let mut first = rebuilt(batch(&[10, 12, 13], |_| {}), 0).unwrap();
    assert!(first.split_off(0).is_none() && first.split_off(3).is_none());
    let second = first.split_off(1).unwrap();
    assert_eq!(first.offsets().map(|offset| offset.0).collect::<Vec<_>>(), [10]);
    assert_eq!(second.offsets().map(|offset| offset.0).collect::<Vec<_>>(), [12, 13]);
    let header = BatchV2::parse(second.encode(None).unwrap()).unwrap().header;
    assert_eq!((header.record_count, header.last_offset_delta), (2, 1));
}

proptest! {
    /// Codec, order and every byte of the records stay; encoding twice gives the same bytes.
    #[test]
    fn records_stay(records in records(), codec in 0usize..5, skip in 0i64..20) {
        let codec = CODECS[codec];
        let position = records[0].offset + skip;
        let kept: Vec<_> = records.iter().filter(|record| record.offset >= position).cloned().collect();
        let found = rebuilt(batch_of(&records, |options| options.compression = codec), position);
        prop_assert_eq!(found.is_none(), kept.is_empty());
        let Some(found) = found else { return Ok(()) };
        let bytes = found.encode(Some(&stamp())).unwrap();
        prop_assert_eq!(&bytes, &found.encode(Some(&stamp())).unwrap());
        let encoded = BatchV2::parse(bytes).unwrap();
        prop_assert_eq!(encoded.header.compression().unwrap(), codec);
        let read = encoded.records(&limits()).unwrap();
        prop_assert_eq!(read.len(), kept.len());
        for ((read, kept), offset) in read.iter().zip(&kept).zip(found.offsets()) {
            prop_assert_eq!(offset.0, kept.offset);
            prop_assert_eq!(&Record { offset: kept.offset, ..read.clone() }, kept);
        }
    }
}
