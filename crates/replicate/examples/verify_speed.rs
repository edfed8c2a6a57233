//! How fast the core of `kferry verify` compares batches that travelled as they are: compressed bytes per second and core.
//!
//! `cargo run --release -p replicate --example verify_speed`

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "an example that measures")]

use std::time::Instant;

use bytes::Bytes;
use kafka_wire::compression::Compression;
use kafka_wire::record::{BatchOptions, Record, encode_batch};
use replicate::verify::compare_for_bench;

/// Plain bytes of one record.
const RECORD_BYTES: usize = 1024;
/// Bytes on each end.
const TOTAL_BYTES: usize = 512 << 20;

/// A batch of about so many plain bytes, as source and target have it.
fn pair(codec: Compression, plain_bytes: usize, base_offset: i64, merged: bool) -> (Bytes, Bytes) {
    let mut seed = 88_172_645_463_325_252_u64;
    let mut word = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let count = (plain_bytes / RECORD_BYTES).max(1);
    let records: Vec<Record> = (0..count)
        .map(|index| Record {
            offset: base_offset + i64::try_from(index).unwrap(),
            timestamp: 1_750_000_000_000,
            key: None,
            value: Some(
                (0..RECORD_BYTES / 16)
                    .flat_map(|_| format!("{:016x}", word() & 0xffff_ffff).into_bytes())
                    .collect(),
            ),
            headers: Vec::new(),
        })
        .collect();
    let source = BatchOptions { compression: codec, base_offset, ..BatchOptions::default() };
    let other = if merged { Compression::None } else { codec };
    let target = BatchOptions {
        compression: other,
        producer_id: 7,
        producer_epoch: 1,
        base_sequence: 3,
        ..source
    };
    (encode_batch(&source, &records).unwrap(), encode_batch(&target, &records).unwrap())
}

fn measure(name: &str, codec: Compression, plain_bytes: usize, merged: bool) {
    let count = (plain_bytes / RECORD_BYTES).max(1);
    let mut batches = Vec::new();
    let mut bytes = 0;
    let mut next = 0;
    // More than a cache holds, made once.
    while bytes < TOTAL_BYTES / 8 {
        let pair = pair(codec, plain_bytes, next, merged);
        next += i64::try_from(count).unwrap();
        bytes += pair.0.len();
        batches.push(pair);
    }
    let (start, mut compared) = (Instant::now(), 0);
    for _ in 0..8 {
        compared += compare_for_bench(&batches, next);
    }
    let seconds = start.elapsed().as_secs_f64();
    assert!(compared > 0, "{name}: something differs");
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let rate = compared as f64 / seconds / 1e6;
    println!("{name:<34} {rate:>8.0} MB/s");
}

fn main() {
    for codec in [Compression::None, Compression::Lz4, Compression::Zstd] {
        for size in [4 << 10, 64 << 10, 1 << 20] {
            measure(&format!("as it is, {codec:?}, {} KiB", size >> 10), codec, size, false);
        }
    }
    for codec in [Compression::Lz4, Compression::Zstd] {
        measure(&format!("record by record, {codec:?}, 64 KiB"), codec, 64 << 10, true);
    }
}
