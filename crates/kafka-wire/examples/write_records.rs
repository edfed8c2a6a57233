//! Writes record batches of every format and codec into a directory, each with what we read in it, so that Apache
//! Kafka can judge them: `GoldenRecords.java check DIR`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::{fs, io, path::Path};

use bytes::Bytes;
use kafka_wire::{
    compression::Compression,
    record::{
        BatchOptions, ControlKind, ControlRecord, Header, Record, encode_batch,
        encode_control_batch,
        legacy::{LegacyOptions, encode_with},
    },
};

const BASE: i64 = 5_000_000_000;
const TIME: i64 = 1_700_000_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::args().nth(1).ok_or("usage: write_records DIR")?;
    let dir = Path::new(&dir);
    fs::create_dir_all(dir)?;
    for compression in Compression::ALL {
        let plain = BatchOptions { compression, base_offset: BASE, ..BatchOptions::default() };
        let stamped = BatchOptions { log_append_time: Some(TIME + 77), ..plain };
        put(dir, &format!("v2-{compression}"), encode_batch(&plain, &odd(true))?)?;
        put(dir, &format!("v2-{compression}-many"), encode_batch(&plain, &many())?)?;
        put(dir, &format!("v2-{compression}-noise"), encode_batch(&plain, &noise())?)?;
        put(dir, &format!("v2-{compression}-append-time"), encode_batch(&stamped, &odd(true))?)?;
        for magic in (0..=1).filter(|_| compression != Compression::Zstd) {
            let plain = LegacyOptions { magic, compression, log_append_time: None };
            let stamped = LegacyOptions { log_append_time: Some(TIME + 77), ..plain };
            put(dir, &format!("v{magic}-{compression}"), encode_with(&plain, &odd(false))?)?;
            put(dir, &format!("v{magic}-{compression}-many"), encode_with(&plain, &many())?)?;
            put(
                dir,
                &format!("v{magic}-{compression}-append-time"),
                encode_with(&stamped, &odd(false))?,
            )?;
        }
    }
    let producer = BatchOptions {
        base_offset: BASE,
        producer_id: 4_711,
        producer_epoch: 3,
        partition_leader_epoch: 9,
        ..BatchOptions::default()
    };
    let transactional = BatchOptions { base_sequence: i32::MAX, transactional: true, ..producer };
    put(dir, "v2-transactional", encode_batch(&transactional, &many())?)?;
    for (name, kind) in [("v2-commit", ControlKind::Commit), ("v2-abort", ControlKind::Abort)] {
        let marker = ControlRecord { kind, coordinator_epoch: 12, timestamp: TIME };
        put(dir, name, encode_control_batch(&producer, marker)?)?;
    }
    let horizon = BatchOptions { delete_horizon: Some(TIME + 86_400_000), ..producer };
    put(dir, "v2-delete-horizon", encode_batch(&horizon, &odd(true))?)?;
    let compacted = BatchOptions {
        first_offset: Some(BASE - 4),
        base_offset: BASE - 4,
        last_offset_delta: Some(900),
        ..producer
    };
    put(dir, "v2-compacted", encode_batch(&compacted, &odd(true))?)?;
    put(dir, "v2-empty", encode_batch(&compacted, &[])?)?;
    Ok(())
}

fn put(dir: &Path, name: &str, bytes: Bytes) -> io::Result<()> {
    fs::write(dir.join(name).with_extension("bin"), &bytes)?;
    fs::write(dir.join(name).with_extension("txt"), support::describe(bytes))
}

fn record(
    delta: i64,
    timestamp: i64,
    key: Option<&'static str>,
    value: Option<&'static str>,
) -> Record {
    Record {
        offset: BASE + delta,
        timestamp,
        key: key.map(Bytes::from),
        value: value.map(Bytes::from),
        headers: Vec::new(),
    }
}

fn odd(with_headers: bool) -> Vec<Record> {
    let mut records = vec![
        record(0, TIME, None, None),
        record(1, TIME - 1_000_000, Some(""), Some("")),
        record(2, TIME + 5, Some("key"), None),
        record(64, TIME + 6, None, Some("value")),
        record(65, -1, Some("no time"), Some("at all")),
    ];
    if with_headers {
        let header = |key: &'static str, value: Option<&'static str>| Header {
            key: Bytes::from(key),
            value: value.map(Bytes::from),
        };
        records[2].headers = vec![
            header("a", Some("1")),
            header("b", None),
            header("a", Some("")),
            header("", None),
        ];
        records[4].headers = vec![header("ключ", Some("значение"))];
    }
    records
}

fn many() -> Vec<Record> {
    (0..3_000)
        .map(|i| Record {
            key: Some(format!("key {i}").into()),
            value: Some(format!("{{\"id\":{i},\"even\":{}}}", i % 2 == 0).into()),
            ..record(i, TIME + i, None, None)
        })
        .collect()
}

/// Bytes that no codec can make smaller, in records of odd sizes.
fn noise() -> Vec<Record> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..40)
        .map(|i| {
            let value: Vec<u8> = (0..i * 271).map(|_| byte()).collect();
            Record { value: Some(value.into()), ..record(i, TIME, None, None) }
        })
        .collect()
}
