//! Says what is in record batches, line for line as `tests/java/GoldenRecords.java` does.

use std::fmt::Write;

use bytes::Bytes;
use kafka_wire::{
    crc::crc32c,
    record::{Batch, BatchV2, ControlKind, LegacyBatch, Record, RecordLimits, split},
};

/// Batches of more records are described by their first and last one and a checksum of all lines.
const LINES_MAX: usize = 20;

/// One line for each batch and each record, checksums verified.
///
/// # Panics
/// When anything is wrong with the bytes.
pub(crate) fn describe(bytes: Bytes) -> String {
    let mut out = String::new();
    let mut batches = split(bytes);
    for batch in batches.by_ref() {
        let batch = batch.expect("the batch is whole");
        batch.verify_crc().expect("the checksum is right");
        let records = batch.records(&RecordLimits::default()).expect("the records are readable");
        let marker = match &batch {
            Batch::V2(batch) => {
                v2(&mut out, batch);
                batch.control().expect("the control record is readable")
            }
            Batch::Legacy(batch) => {
                legacy(&mut out, batch);
                None
            }
        };
        let marker = marker.map_or_else(String::new, |marker| {
            let kind = match marker.kind {
                ControlKind::Abort => "abort",
                ControlKind::Commit => "commit",
                ControlKind::Other(_) => "other",
            };
            format!(" marker {kind} {}", marker.coordinator_epoch)
        });
        let lines: Vec<String> =
            records.iter().map(|record| line(record) + &marker + "\n").collect();
        if lines.len() > LINES_MAX {
            let all = text(Some(lines.concat().as_bytes()));
            out.extend([lines[0].as_str(), &lines[lines.len() - 1]]);
            writeln!(out, "records {} {all}", lines.len()).expect("a string takes all");
        } else {
            out.extend(lines);
        }
    }
    assert!(batches.rest().is_empty(), "bytes are left over");
    out
}

fn time(is_log_append_time: bool) -> &'static str {
    if is_log_append_time { "append" } else { "create" }
}

fn v2(out: &mut String, batch: &BatchV2) {
    let header = &batch.header;
    write!(
        out,
        "batch magic=2 base={} last={} codec={} time={} max={} base_timestamp={} leader_epoch={} producer={}/{}/{} \
         count={}",
        header.base_offset,
        header.last_offset(),
        header.compression().expect("the codec is known"),
        time(header.attributes.is_log_append_time()),
        header.max_timestamp,
        header.base_timestamp,
        header.partition_leader_epoch,
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
        header.record_count,
    )
    .expect("a string takes all");
    if header.attributes.is_transactional() {
        out.push_str(" transactional");
    }
    if header.attributes.is_control() {
        out.push_str(" control");
    }
    if header.attributes.has_delete_horizon() {
        write!(out, " delete_horizon={}", header.base_timestamp).expect("a string takes all");
    }
    out.push('\n');
}

fn legacy(out: &mut String, batch: &LegacyBatch) {
    writeln!(
        out,
        "batch magic={} last={} codec={} time={} max={}",
        batch.magic(),
        batch.offset(),
        batch.compression().expect("the codec is known"),
        time(batch.is_log_append_time()),
        batch.timestamp(),
    )
    .expect("a string takes all");
}

fn line(record: &Record) -> String {
    let key = text(record.key.as_deref());
    let value = text(record.value.as_deref());
    let mut line = format!("record {} {} key={key} value={value}", record.offset, record.timestamp);
    for header in &record.headers {
        let (key, value) = (text(Some(&header.key)), text(header.value.as_deref()));
        write!(line, " header {key}={value}").expect("a string takes all");
    }
    line
}

fn text(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "null".to_owned(),
        Some(bytes) if bytes.len() <= 64 => bytes.iter().fold("x".to_owned(), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a string takes all");
            text
        }),
        Some(bytes) => format!("{}:{:08x}", bytes.len(), crc32c(bytes)),
    }
}
