use kafka_wire::crc::crc32c;
use kafka_wire::record::BatchV2;
use proptest::prelude::*;

use super::*;
use crate::testing::{CODECS, batch, batch_of, records};

fn stamp() -> Stamp {
    Stamp { producer_id: 77, producer_epoch: 3, base_sequence: 1234 }
}

/// The batch as it travels: the patched header before the untouched payload.
fn patched(source: &BatchV2, stamp: &Stamp) -> BatchV2 {
    let mut bytes = patched_header(&source.header, stamp).to_vec();
    bytes.extend_from_slice(&source.payload());
    BatchV2::parse(bytes.into()).unwrap()
}

#[test]
fn only_the_codec_bits_stay() {
    for attributes in [0, 1, 4, 0x08, 0x10, 0x20, 0x40, 0x80, 0x7f, -1, i16::MIN] {
        let mut header = batch(&[5, 6], |_| {}).header;
        header.attributes = Attributes(attributes);
        let found = BatchHeader::parse(&patched_header(&header, &stamp())).unwrap();
        assert_eq!(found.attributes.0, attributes & 7, "{attributes:#x}");
    }
}

#[test]
fn counts_and_times_stay() {
    let source = batch(&[500, 501, 502], |options| options.partition_leader_epoch = 9);
    let found = patched(&source, &stamp()).header;
    let expected = BatchHeader {
        base_offset: 0,
        partition_leader_epoch: -1,
        producer_id: 77,
        producer_epoch: 3,
        base_sequence: 1234,
        crc: found.crc,
        ..source.header
    };
    assert_eq!(found, expected);
    assert_ne!(found.crc, source.header.crc);
}

#[test]
fn damage_on_the_way_stays_visible() {
    let source = batch(&[0, 1], |_| {});
    let mut bytes = source.bytes.to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    let damaged = BatchV2::parse(bytes.into()).unwrap();
    assert!(patched(&damaged, &stamp()).verify_crc().is_err());
}

proptest! {
    /// The corrected checksum is the one that reading everything gives, and the payload is the source's.
    #[test]
    fn patching_equals_recomputing(
        records in records(),
        codec in 0usize..5,
        flags in any::<(bool, bool)>(),
        producer_id in 0..i64::MAX,
        producer_epoch in 0..i16::MAX,
        base_sequence in 0..i32::MAX,
    ) {
        let source = batch_of(&records, |options| {
            options.compression = CODECS[codec];
            options.transactional = flags.0;
            options.log_append_time = flags.1.then_some(5);
        });
        let stamp = Stamp { producer_id, producer_epoch, base_sequence };
        let found = patched(&source, &stamp);
        prop_assert_eq!(found.payload(), source.payload());
        prop_assert_eq!(found.header.crc, crc32c(&found.bytes[CRC_START..]));
        prop_assert_eq!(found.header.record_count, source.header.record_count);
    }
}
