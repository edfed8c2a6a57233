//! Message formats v0 and v1. The first byte chooses: bit 0 the format, bits 1 and 2 the codec, bit 3 the append time,
//! bit 4 whether the rest is the inside of a wrapper, or makes records that must come back as they were.
#![no_main]

use bytes::Bytes;
use kafka_wire::{
    compression::{Compression, compress},
    record::{
        Batch, Record, RecordLimits,
        legacy::{LegacyOptions, encode, encode_with},
        split,
    },
};
use libfuzzer_sys::fuzz_target;

const LIMITS: RecordLimits = RecordLimits { decompressed_bytes_max: 1 << 20, records_max: 1 << 14, headers_max: 0 };

fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let magic = i8::try_from(choice & 1).expect("one bit");
    let compression = Compression::ALL[usize::from(choice >> 1 & 3)];
    let stamp = (choice & 8 != 0).then_some(1_234_567);
    if choice & 16 == 0 {
        round_trip(&LegacyOptions { magic, compression, log_append_time: stamp }, &records(data));
    } else if compression != Compression::None {
        let _ = decode(wrapper(magic, compression, data));
    }
    let _ = decode(Bytes::copy_from_slice(data));
});

fn decode(set: Bytes) -> Option<Vec<Record>> {
    let mut out = Vec::new();
    for batch in split(set) {
        let Batch::Legacy(batch) = batch.ok()? else { return None };
        batch.verify_crc().ok()?;
        let records = batch.records(&LIMITS).ok()?;
        assert!(!records.is_empty());
        out.extend(records);
    }
    Some(out)
}

fn round_trip(options: &LegacyOptions, records: &[Record]) {
    let Ok(set) = encode_with(options, records) else {
        assert!(records.is_empty(), "only an empty set cannot be written");
        return;
    };
    let mut expected = records.to_vec();
    for record in &mut expected {
        record.timestamp = match (options.magic, options.log_append_time) {
            (0, _) => -1,
            (_, Some(stamp)) => stamp,
            (_, None) => record.timestamp,
        };
    }
    assert_eq!(decode(set).expect("what we wrote can be read"), expected);
}

/// Records from bytes: a byte for the gap before the offset, one for the timestamp, two for the lengths, 255 for null.
fn records(mut data: &[u8]) -> Vec<Record> {
    let mut out = Vec::new();
    let mut offset = 1_i64;
    while let Some(([gap, time, key, value], rest)) = data.split_first_chunk::<4>() {
        data = rest;
        offset += i64::from(*gap);
        let mut take = |length: &u8| {
            (*length != 255).then(|| {
                let (bytes, rest) = data.split_at(usize::from(*length).min(data.len()));
                data = rest;
                Bytes::copy_from_slice(bytes)
            })
        };
        let (key, value) = (take(key), take(value));
        out.push(Record { offset, timestamp: i64::from(*time) - 1, key, value, headers: Vec::new() });
        offset += 1;
    }
    out
}

/// One wrapper with a right checksum around `inner`, compressed: what a broken producer could have sent.
fn wrapper(magic: i8, compression: Compression, inner: &[u8]) -> Bytes {
    let packed = compress(compression, inner).expect("every input can be compressed");
    let carrier =
        Record { offset: 1_000, timestamp: 5, key: None, value: Some(packed.into()), headers: Vec::new() };
    let mut set = encode(magic, Compression::None, &[carrier]).expect("one record can be written").to_vec();
    set[17] |= compression.id();
    let mut crc = flate2::Crc::new();
    crc.update(&set[16..]);
    set[12..16].copy_from_slice(&crc.sum().to_be_bytes());
    set.into()
}
