//! A source partition's bytes on their way to a target: what passes, passes with its records and a header that brokers
//! take; what is rebuilt has the records that a consumer of the source sees; nothing panics.
//!
//! The first byte chooses the target and whether checksums are renewed (otherwise hardly any input has a valid one), the second
//! how far into the bytes the copy stands.
#![no_main]

use bytes::Bytes;
use forward::{
    AbortedFilter, Decision, DropReason, RebuildReason, Rebuilt, SourceOffset, Stamp, TargetTraits, decide,
    patched_header, rebuild,
};
use kafka_wire::record::{Batch, BatchHeader, BatchV2, HEADER_BYTES, Record, RecordLimits, split};
use libfuzzer_sys::fuzz_target;

const STAMP: Stamp = Stamp { producer_id: 77, producer_epoch: 3, base_sequence: i32::MAX };

fuzz_target!(|data: &[u8]| {
    let Some(([choice, position], blob)) = data.split_first_chunk::<2>() else { return };
    let target = TargetTraits { log_append_time: choice & 1 != 0, ..TargetTraits::default() };
    let mut aborted = AbortedFilter::new((choice & 4 != 0).then_some((i64::from(choice >> 4), 0)));
    let mut start = None;
    for batch in split(Bytes::copy_from_slice(blob)) {
        let Ok(batch) = batch else { break };
        let batch = if choice & 2 != 0 { renewed(batch) } else { batch };
        let first = *start.get_or_insert(batch.base_offset());
        let position = SourceOffset(first.saturating_add(i64::from(*position)));
        let Ok(decision) = decide(&batch, position, &mut aborted, &target) else { continue };
        match (decision, &batch) {
            (Decision::AsIs, Batch::V2(batch)) => check_as_is(batch, &target),
            (Decision::AsIs, Batch::Legacy(_)) => panic!("an old format passed as it is"),
            (Decision::Drop(reason), batch) => check_drop(batch, reason, position),
            (Decision::Rebuild(reason), batch) => check_rebuilt(batch, reason, position),
        }
    }
});

fn limits() -> RecordLimits {
    RecordLimits { decompressed_bytes_max: 1 << 20, records_max: 1 << 14, headers_max: 1 << 14 }
}

/// The batch with the checksum that its bytes have.
fn renewed(batch: Batch) -> Batch {
    let Batch::V2(batch) = batch else { return batch };
    let mut bytes = batch.bytes.to_vec();
    let checksum = kafka_wire::crc::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&checksum.to_be_bytes());
    Batch::V2(BatchV2::parse(bytes.into()).expect("only the checksum changed"))
}

/// The rules of `LogValidator` that concern the header.
fn check_header(header: &BatchHeader) {
    assert_eq!((header.base_offset, header.partition_leader_epoch, header.magic), (0, -1, 2));
    assert_eq!(header.attributes.0 & !7, 0, "only codec bits travel");
    assert!(header.record_count > 0);
    assert_eq!(i64::from(header.record_count), i64::from(header.last_offset_delta) + 1);
    let identity = (header.producer_id, header.producer_epoch, header.base_sequence);
    assert_eq!(identity, (STAMP.producer_id, STAMP.producer_epoch, STAMP.base_sequence));
}

fn check_as_is(source: &BatchV2, target: &TargetTraits) {
    let mut bytes = patched_header(&source.header, &STAMP).to_vec();
    assert_eq!(bytes.len(), HEADER_BYTES);
    bytes.extend_from_slice(&source.payload());
    let sent = BatchV2::parse(bytes.into()).expect("a patched batch is one");
    check_header(&sent.header);
    assert_eq!(sent.verify_crc().is_ok(), source.verify_crc().is_ok(), "damage neither vanishes nor appears");
    let Ok(expected) = source.records(&limits()) else { return };
    let found = sent.records(&limits()).expect("the same payload");
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        let offset = found.offset + source.header.base_offset;
        // A target that stamps records takes no notice of theirs.
        let timestamp = if target.log_append_time { expected.timestamp } else { found.timestamp };
        assert_eq!(&Record { offset, timestamp, ..found.clone() }, expected);
    }
}

fn check_drop(batch: &Batch, reason: DropReason, position: SourceOffset) {
    match (reason, batch) {
        (DropReason::BeforePosition, batch) => assert!(batch.last_offset() < position.0),
        (DropReason::Control, Batch::V2(batch)) => assert!(batch.header.attributes.is_control()),
        (DropReason::Aborted, Batch::V2(batch)) => assert!(batch.header.attributes.is_transactional()),
        (DropReason::Empty, Batch::V2(batch)) => assert_eq!(batch.header.record_count, 0),
        (reason, Batch::Legacy(_)) => panic!("an old format was dropped as {reason}"),
        (reason, _) => panic!("unexpected reason {reason}"),
    }
}

fn check_rebuilt(source: &Batch, reason: RebuildReason, position: SourceOffset) {
    let readable = source.verify_crc().is_ok().then(|| source.records(&limits()).ok()).flatten();
    let found = rebuild(source, reason, position, &limits());
    let Some(records) = readable else {
        assert!(found.is_err(), "unreadable bytes were rebuilt");
        return;
    };
    if !records.windows(2).all(|pair| pair[0].offset < pair[1].offset) {
        assert!(found.is_err(), "records out of order were rebuilt");
        return;
    }
    let expected: Vec<_> = records.into_iter().filter(|record| record.offset >= position.0).collect();
    let found = found.expect("readable records can be rebuilt");
    assert_eq!(found.is_none(), expected.is_empty());
    let Some(mut found) = found else { return };
    check_records(&found, &expected);
    if let Some(rest) = found.split_off(expected.len() / 2) {
        let (first, second) = expected.split_at(expected.len() / 2);
        check_records(&found, first);
        check_records(&rest, second);
    }
}

fn check_records(rebuilt: &Rebuilt, expected: &[Record]) {
    let bytes = rebuilt.encode(Some(&STAMP)).expect("decoded records can be encoded");
    let sent = BatchV2::parse(bytes).expect("an encoded batch is one");
    sent.verify_crc().expect("a fresh checksum");
    check_header(&sent.header);
    let limits = RecordLimits { decompressed_bytes_max: 4 << 20, ..limits() };
    let found = sent.records(&limits).expect("an encoded batch can be read");
    assert_eq!(found.len(), expected.len());
    let offsets: Vec<_> = rebuilt.offsets().collect();
    assert_eq!(offsets.len(), expected.len());
    for ((dense, found), (source, expected)) in (0..).zip(&found).zip(offsets.into_iter().zip(expected)) {
        assert_eq!(found.offset, dense);
        assert_eq!(source, SourceOffset(expected.offset));
        assert_eq!(&Record { offset: expected.offset, ..found.clone() }, expected);
    }
}
