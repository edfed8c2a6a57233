//! Record batches written by Apache Kafka: read as Kafka reads them, and written again byte for byte.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the lint's exemption for tests does not reach helpers"
)]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use kafka_wire::{
    compression::{Compression, decompress},
    record::{
        Batch, BatchHeader, BatchOptions, BatchV2, HEADER_BYTES, Record, RecordLimits,
        RecordWalker, encode_batch,
        legacy::{LegacyOptions, encode_with},
        split,
    },
};

/// All golden files, by name.
fn golden() -> Vec<(String, Bytes, String)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/records");
    let mut files: Vec<PathBuf> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "bin"));
    files.sort();
    assert!(files.len() >= 39, "golden files are missing");
    files
        .into_iter()
        .map(|file| {
            let name = file.file_stem().unwrap().to_string_lossy().into_owned();
            let expected = fs::read_to_string(file.with_extension("txt")).unwrap();
            (name, fs::read(file).unwrap().into(), expected)
        })
        .collect()
}

fn v2_batches() -> impl Iterator<Item = (String, BatchV2)> {
    golden().into_iter().filter(|(name, ..)| name.starts_with("v2-")).map(|(name, bytes, _)| {
        let Some(Ok(Batch::V2(batch))) = split(bytes).next() else {
            panic!("{name} holds no v2 batch")
        };
        (name, batch)
    })
}

/// The records with their own timestamps, which an append time would hide.
fn own_records(batch: &BatchV2) -> Vec<Record> {
    let header = BatchHeader {
        attributes: batch.header.attributes.without_log_append_time(),
        ..batch.header
    };
    let codec = header.compression().unwrap();
    let payload = match header.record_count {
        0 => Bytes::new(),
        _ => decompress(codec, &batch.payload(), 1 << 20).unwrap().into(),
    };
    RecordWalker::new(&header, payload, &RecordLimits::default())
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

fn options(batch: &BatchV2, compression: Compression) -> BatchOptions {
    let BatchHeader { attributes, base_offset, max_timestamp, base_timestamp, .. } = batch.header;
    BatchOptions {
        compression,
        base_offset,
        partition_leader_epoch: batch.header.partition_leader_epoch,
        producer_id: batch.header.producer_id,
        producer_epoch: batch.header.producer_epoch,
        base_sequence: batch.header.base_sequence,
        transactional: attributes.is_transactional(),
        control: attributes.is_control(),
        log_append_time: attributes.is_log_append_time().then_some(max_timestamp),
        delete_horizon: attributes.has_delete_horizon().then_some(base_timestamp),
        first_offset: Some(base_offset),
        last_offset_delta: Some(batch.header.last_offset_delta),
    }
}

#[test]
fn we_read_what_kafka_reads() {
    for (name, bytes, expected) in golden() {
        assert_eq!(support::describe(bytes), expected, "{name}");
    }
}

#[test]
fn uncompressed_batches_are_written_byte_for_byte() {
    for (name, batch) in v2_batches() {
        // Kafka keeps the maximum timestamp of a batch that it has emptied; nothing is left to take it from.
        if batch.header.compression() != Ok(Compression::None) || batch.header.record_count == 0 {
            continue;
        }
        let ours = encode_batch(&options(&batch, Compression::None), &own_records(&batch)).unwrap();
        assert_eq!(ours, batch.bytes, "{name}");
    }
}

#[test]
fn compressed_batches_hold_the_same_plain_bytes() {
    for (name, batch) in v2_batches() {
        let codec = batch.header.compression().unwrap();
        if codec == Compression::None {
            continue;
        }
        let records = own_records(&batch);
        let plain = encode_batch(&options(&batch, Compression::None), &records).unwrap();
        assert_eq!(
            decompress(codec, &batch.payload(), 1 << 20).unwrap(),
            plain[HEADER_BYTES..],
            "{name}"
        );
        let ours =
            BatchV2::parse(encode_batch(&options(&batch, codec), &records).unwrap()).unwrap();
        assert_eq!(own_records(&ours), records, "{name}");
        let same = BatchHeader {
            crc: batch.header.crc,
            batch_length: batch.header.batch_length,
            ..ours.header
        };
        assert_eq!(same, batch.header, "{name}");
    }
}

#[test]
fn legacy_sets_are_written_byte_for_byte() {
    for (name, bytes, _) in golden().into_iter().filter(|(name, ..)| !name.starts_with("v2-")) {
        let batches: Vec<Batch> = split(bytes.clone()).map(Result::unwrap).collect();
        let Some(Batch::Legacy(first)) = batches.first() else {
            panic!("{name} holds no legacy batch")
        };
        let compression = first.compression().unwrap();
        let log_append_time = first.is_log_append_time().then(|| first.timestamp());
        let options = LegacyOptions { magic: first.magic(), compression, log_append_time };
        let records: Vec<Record> = batches
            .iter()
            .flat_map(|batch| batch.records(&RecordLimits::default()).unwrap())
            .collect();
        let ours = encode_with(&options, &records).unwrap();
        if compression == Compression::None {
            assert_eq!(ours, bytes, "{name}");
        } else {
            assert_eq!(support::describe(ours), support::describe(bytes), "{name}");
        }
    }
}

#[test]
fn every_single_bit_is_guarded_by_the_checksum() {
    for (name, batch) in v2_batches().filter(|(_, batch)| batch.bytes.len() < 500) {
        for at in 21..batch.bytes.len() {
            let mut bytes = batch.bytes.to_vec();
            bytes[at] ^= 1 << (at % 8);
            // Some damage makes an impossible header, which is refused before the checksum is looked at.
            let verified = BatchV2::parse(bytes.into()).and_then(|damaged| damaged.verify_crc());
            assert!(verified.is_err(), "{name}, byte {at}");
        }
    }
}

#[test]
fn a_blob_cut_anywhere_gives_its_whole_batches_and_no_error() {
    let blob: Vec<u8> = golden().iter().flat_map(|(_, bytes, _)| bytes.iter().copied()).collect();
    let blob = Bytes::from(blob);
    let whole: Vec<Batch> = split(blob.clone()).map(Result::unwrap).collect();
    let mut ends = vec![0];
    ends.extend(whole.iter().scan(0, |end, batch| {
        *end += batch.size_bytes();
        Some(*end)
    }));
    for cut in (0..blob.len()).step_by(13) {
        let found: Vec<Batch> = split(blob.slice(..cut)).map(Result::unwrap).collect();
        let expected = ends.iter().filter(|end| **end <= cut).count() - 1;
        assert_eq!(found.len(), expected, "cut at {cut}");
        assert_eq!(found, whole[..expected]);
    }
}
