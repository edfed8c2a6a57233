//! `kferry inspect` on bytes that real brokers wrote, sound and damaged, and on a partition.

use std::{fs, path::PathBuf};

use super::support::{Sandbox, kferry};

fn golden(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../kafka-wire/testdata/records")).join(name)
}

#[test]
fn golden_segments_of_every_format() {
    for name in [
        "v2-none",
        "v2-lz4",
        "v2-gzip",
        "v2-snappy",
        "v1-none",
        "v1-lz4",
        "v1-gzip",
        "v0-none",
        "v0-lz4",
        "v0-snappy",
    ] {
        let path = golden(&format!("{name}.bin")).display().to_string();
        let (format, codec) = name.split_once('-').unwrap();
        let ran = kferry(&["inspect", &path, "--records"]);
        ran.expect(0, &["offsets ", "crc ok", codec, format, "nothing damaged"]);
        let objects = kferry(&["inspect", &path, "--records", "--output", "json"]).objects();
        let (last, batches) = objects.split_last().unwrap();
        assert_eq!(last["type"], "result");
        let listed: usize =
            batches.iter().map(|batch| batch["records"].as_array().unwrap().len()).sum();
        assert_eq!(last["records"].as_u64(), u64::try_from(listed).ok(), "{name}");
        assert_eq!(
            last["bytes"].as_u64(),
            Some(fs::metadata(golden(&format!("{name}.bin"))).unwrap().len()),
            "{name}"
        );
    }
}

#[test]
fn values_only_when_asked_for() {
    let path = golden("v2-none.bin").display().to_string();
    let without = kferry(&["inspect", &path, "--records", "--output", "json"]).objects();
    let with =
        kferry(&["inspect", &path, "--records", "--show-values", "--output", "json"]).objects();
    assert!(without[0]["records"][0].get("value").is_none());
    assert!(with[0]["records"][0].get("value").is_some());
}

#[test]
fn damage_is_told_with_its_position_and_the_rest_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    let sound = fs::read(golden("v2-lz4.bin")).unwrap();
    let path = directory.path().join("damaged.log");
    let show = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        kferry(&["inspect", &path.display().to_string()])
    };
    let mut flipped = sound.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    flipped.extend_from_slice(&sound);
    show(&flipped).expect(1, &["crc bad", "damaged: ", "crc ok", "1 damaged"]);

    let garbage = [&sound[..], b"this is not a batch at all", &sound[..]].concat();
    show(&garbage).expect(
        1,
        &[
            &format!("@{}  26 bytes are no batch", sound.len()),
            &format!("@{}  offsets", sound.len() + 26),
        ],
    );

    let cut = [&sound[..], &sound[..30]].concat();
    show(&cut).expect(
        0,
        &[
            &format!("@{}  30 of {} bytes of a batch that is cut off", sound.len(), sound.len()),
            "nothing damaged",
        ],
    );

    let padded = [&sound[..], &[0; 4096]].concat();
    show(&padded).expect(0, &["4096 zero bytes", "nothing damaged"]);
    show(b"no log").expect(0, &["cut off"]);
    show(&[0xff; 100]).expect(1, &["@0  100 bytes are no batch"]);
}

#[test]
fn a_partition_of_a_broker() {
    let sandbox = Sandbox::start(&["--fill", "orders:2:20000:2000:zstd"]);
    kferry(&["inspect", &sandbox.bootstrap, "orders:1"])
        .expect(0, &["orders-1: offsets 0..", "zstd", "crc ok", "nothing damaged"]);
    let objects = kferry(&[
        "inspect",
        &sandbox.bootstrap,
        "orders:1@4",
        "--batches",
        "2",
        "--output",
        "json",
    ])
    .objects();
    assert_eq!(objects.iter().filter(|object| object["type"] == "batch").count(), 2);
    assert!(objects[0]["last_offset"].as_i64().unwrap() >= 4);
    kferry(&["inspect", &sandbox.bootstrap, "orders:7"]).expect(1, &["orders-7", "2 partitions"]);
    kferry(&["inspect", &sandbox.bootstrap, "nothing:0"]).expect(1, &["nothing"]);
    kferry(&["inspect", &sandbox.bootstrap, "orders:1@999999"]).expect(1, &["outside"]);
}
