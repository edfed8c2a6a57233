//! The log cleaner: keeps the newest record of each key and leaves gaps behind.
//!
//! As Kafka's, it never touches the newest batch (the active segment), keeps a batch's own offsets
//! and an empty batch where it was its producer's last one (P4), drops the records of aborted
//! transactions, and from 3.x on notes in tombstone batches when they may go (KIP-534).
//! Source: `Cleaner`, `DefaultRecordBatch` in Apache Kafka.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use kafka_wire::record::{BatchHeader, BatchOptions, BatchV2, Record, RecordLimits, encode_batch};

use crate::log::{Entry, split_v2};
use crate::partition::Partition;
use crate::release::Release;

/// Cleans what lies before the newest batch and the last stable offset. Gives how many records went.
pub(crate) fn compact(
    partition: &mut Partition,
    release: Release,
    delete_horizon_ms: i64,
) -> usize {
    let limits = RecordLimits::default();
    let stable = partition.last_stable_offset();
    let active = partition.log.entries().next_back().map_or(0, |entry| entry.base_offset);
    let upper = stable.min(active);
    let aborted: HashSet<(i64, i64)> = aborted_batches(partition);

    let cleanable =
        |entry: &Entry| entry.last_offset < upper && entry.batch.is_some() && !entry.is_control();
    let mut newest: HashMap<Bytes, i64> = HashMap::new();
    let mut last_of_producer: HashMap<i64, i64> = HashMap::new();
    for entry in partition.log.entries() {
        if let Some(header) =
            entry.batch.filter(|header| header.producer_id >= 0 && !header.attributes.is_control())
        {
            last_of_producer.insert(header.producer_id, entry.base_offset);
        }
        if cleanable(entry) && !is_aborted(entry, &aborted) {
            for record in decode(entry, &limits) {
                if let Some(key) = record.key {
                    newest.insert(key, record.offset);
                }
            }
        }
    }
    let mut removed = 0;
    let mut kept = Vec::new();
    for entry in partition.log.entries() {
        let Some(header) = entry.batch.filter(|_| cleanable(entry)) else {
            kept.push(entry.clone());
            continue;
        };
        let records = decode(entry, &limits);
        let before = records.len();
        let dropped = is_aborted(entry, &aborted);
        let survives = |record: &Record| {
            record.key.as_ref().is_some_and(|key| newest.get(key) == Some(&record.offset))
        };
        let records: Vec<Record> =
            records.into_iter().filter(|record| !dropped && survives(record)).collect();
        removed += before - records.len();
        let keeps_producer = last_of_producer.get(&header.producer_id) == Some(&entry.base_offset);
        if records.is_empty() && !keeps_producer {
            continue;
        }
        let tombstones =
            release >= Release::V3_9 && records.iter().any(|record| record.value.is_none());
        if records.len() == before && !tombstones {
            kept.push(entry.clone());
            continue;
        }
        kept.extend(rebuild(&header, &records, tombstones.then_some(delete_horizon_ms)));
    }
    partition.log.replace(kept);
    partition.wake_all();
    removed
}

fn decode(entry: &Entry, limits: &RecordLimits) -> Vec<Record> {
    let Some(header) = entry.batch else { return Vec::new() };
    BatchV2 { header, bytes: entry.bytes() }.records(limits).unwrap_or_default()
}

/// Producer and base offset of every data batch of an aborted transaction.
fn aborted_batches(partition: &Partition) -> HashSet<(i64, i64)> {
    let mut found = HashSet::new();
    for aborted in &partition.log.aborted {
        for entry in partition.log.entries_from(aborted.first_offset) {
            if entry.base_offset >= aborted.last_offset {
                break;
            }
            let mine = entry.batch.is_some_and(|header| {
                header.producer_id == aborted.producer_id && header.attributes.is_transactional()
            });
            if mine {
                found.insert((aborted.producer_id, entry.base_offset));
            }
        }
    }
    found
}

fn is_aborted(entry: &Entry, aborted: &HashSet<(i64, i64)>) -> bool {
    entry.batch.is_some_and(|header| aborted.contains(&(header.producer_id, entry.base_offset)))
}

/// The same batch with fewer records: its offsets, producer and codec stay.
fn rebuild(header: &BatchHeader, records: &[Record], delete_horizon: Option<i64>) -> Option<Entry> {
    let stamped = header.attributes.is_log_append_time();
    let options = BatchOptions {
        compression: header.attributes.compression().ok()?,
        base_offset: header.base_offset,
        partition_leader_epoch: header.partition_leader_epoch,
        producer_id: header.producer_id,
        producer_epoch: header.producer_epoch,
        base_sequence: header.base_sequence,
        transactional: header.attributes.is_transactional(),
        log_append_time: stamped.then_some(header.max_timestamp),
        delete_horizon,
        first_offset: Some(header.base_offset),
        last_offset_delta: Some(header.last_offset_delta),
        ..BatchOptions::default()
    };
    let batch = encode_batch(&options, records).ok()?;
    split_v2(&batch).map(|(header, payload)| Entry::v2(header, payload))
}
