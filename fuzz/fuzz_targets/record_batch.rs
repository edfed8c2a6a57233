//! Any bytes as a blob of records: bounded, without a panic, and what was read is written so that it reads the same.
#![no_main]

use bytes::Bytes;
use kafka_wire::record::{
    Batch, BatchHeader, BatchOptions, BatchV2, HEADER_BYTES, Record, RecordLimits, encode_batch, split,
};
use libfuzzer_sys::fuzz_target;

const LIMITS: RecordLimits = RecordLimits { decompressed_bytes_max: 1 << 20, records_max: 1 << 14, headers_max: 1 << 14 };

fuzz_target!(|data: &[u8]| {
    let blob = Bytes::copy_from_slice(data);
    let mut batches = split(blob.clone());
    let mut at = 0;
    for batch in batches.by_ref() {
        let Ok(batch) = batch else { break };
        assert!(!batch.bytes().is_empty());
        assert_eq!(batch.bytes(), &blob[at..at + batch.size_bytes()], "batches stand one behind the other");
        assert!(batch.next_offset() > batch.base_offset(), "reading goes on behind the batch");
        at += batch.size_bytes();
        let _ = batch.verify_crc();
        match batch {
            Batch::V2(batch) => check(&batch),
            Batch::Legacy(batch) => drop(batch.records(&LIMITS)),
        }
    }
    assert_eq!(at + batches.rest().len(), data.len());
});

fn check(batch: &BatchV2) {
    let header = batch.header;
    assert_eq!(header.encode()[..], batch.bytes[..HEADER_BYTES]);
    let _ = batch.control();
    let Ok(walker) = batch.walk(&LIMITS) else { return };
    let count = usize::try_from(header.record_count).expect("a parsed header's count is not negative");
    let Ok(records) = walker.collect::<Result<Vec<Record>, _>>() else { return };
    assert_eq!(records.len(), count);
    assert!(records.iter().all(|record| (header.base_offset..=header.last_offset()).contains(&record.offset)));

    let options = BatchOptions {
        compression: header.compression().expect("the walker knew the codec"),
        base_offset: header.base_offset,
        first_offset: Some(header.base_offset),
        last_offset_delta: Some(header.last_offset_delta),
        ..BatchOptions::default()
    };
    let ours = BatchV2::parse(encode_batch(&options, &records).expect("what was read can be written")).expect("whole");
    ours.verify_crc().expect("our checksum is right");
    assert_eq!(ours.records(&LIMITS).expect("what we wrote can be read"), records);
    let BatchHeader { base_offset, last_offset_delta, record_count, .. } = ours.header;
    assert_eq!((base_offset, last_offset_delta), (header.base_offset, header.last_offset_delta));
    assert_eq!(record_count, header.record_count);
}
