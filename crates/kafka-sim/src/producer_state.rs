//! What a partition remembers of each producer: epoch, last batches, open transaction.
//!
//! This is what makes retries safe, and what a replicator leans on; the rules differ by release
//! (P1 to P3, P14). Source: `ProducerStateManager`, `ProducerAppendInfo` in Apache Kafka.

use std::collections::{BTreeMap, VecDeque};

use kafka_wire::ErrorCode;
use kafka_wire::record::BatchHeader;

use crate::release::Release;

/// `ProducerStateEntry.NUM_BATCHES_TO_RETAIN`.
const BATCHES_KEPT: usize = 5;
const NO_EPOCH: i16 = -1;

/// One appended batch of a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) first_sequence: i32,
    pub(crate) last_sequence: i32,
    pub(crate) base_offset: i64,
    pub(crate) timestamp: i64,
}

/// State of one producer id on one partition.
#[derive(Clone, Debug)]
pub(crate) struct Producer {
    pub(crate) epoch: i16,
    /// Newest last. Empty after a marker raised the epoch.
    batches: VecDeque<Appended>,
    /// Largest timestamp of the newest batch or marker: expiry goes by it (P3).
    pub(crate) last_timestamp: i64,
    pub(crate) coordinator_epoch: i32,
    pub(crate) transaction_start: Option<i64>,
}

impl Producer {
    fn new() -> Self {
        Self {
            epoch: NO_EPOCH,
            batches: VecDeque::new(),
            last_timestamp: -1,
            coordinator_epoch: -1,
            transaction_start: None,
        }
    }

    /// -1 when the epoch has no batch yet.
    pub(crate) fn last_sequence(&self) -> i32 {
        self.batches.back().map_or(-1, |batch| batch.last_sequence)
    }

    fn enter_epoch(&mut self, epoch: i16) {
        if epoch != self.epoch {
            self.epoch = epoch;
            self.batches.clear();
        }
    }
}

/// What is to be done with a batch that names a producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Append,
    /// One of the last batches again: acknowledged, not appended.
    Duplicate(Appended),
}

/// All producers of a partition.
#[derive(Debug, Default)]
pub(crate) struct Producers {
    known: BTreeMap<i64, Producer>,
}

/// `sequence + count`, wrapping from the largest value to 0.
pub(crate) fn advance_sequence(sequence: i32, count: i32) -> i32 {
    if sequence > i32::MAX - count { count - (i32::MAX - sequence) - 1 } else { sequence + count }
}

impl Producers {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (i64, &Producer)> {
        self.known.iter().map(|(id, producer)| (*id, producer))
    }

    /// First offset of the oldest transaction that is still open.
    pub(crate) fn first_open_offset(&self) -> Option<i64> {
        self.known.values().filter_map(|producer| producer.transaction_start).min()
    }

    /// Judges a produced batch by its sequence numbers, without changing anything.
    ///
    /// # Errors
    /// INVALID_PRODUCER_EPOCH, OUT_OF_ORDER_SEQUENCE_NUMBER, on 1.1 UNKNOWN_PRODUCER_ID.
    pub(crate) fn judge(
        &self,
        release: Release,
        batch: &BatchHeader,
    ) -> Result<Verdict, ErrorCode> {
        if batch.producer_id < 0 {
            return Ok(Verdict::Append);
        }
        let (first, epoch) = (batch.base_sequence, batch.producer_epoch);
        let last = advance_sequence(first, batch.last_offset_delta);
        let Some(known) = self.known.get(&batch.producer_id) else {
            return match release {
                _ if first == 0 => Ok(Verdict::Append),
                Release::V0_11 => Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER),
                Release::V1_1 => Err(ErrorCode::UNKNOWN_PRODUCER_ID),
                _ => Ok(Verdict::Append),
            };
        };
        let kept = if release == Release::V0_11 { 1 } else { BATCHES_KEPT };
        let same = |found: &&Appended| found.first_sequence == first && found.last_sequence == last;
        if epoch == known.epoch
            && let Some(found) = known.batches.iter().rev().take(kept).find(same)
        {
            return Ok(Verdict::Duplicate(*found));
        }
        if epoch < known.epoch {
            return Err(ErrorCode::INVALID_PRODUCER_EPOCH);
        }
        let in_sequence = if epoch == known.epoch {
            let last_known = known.last_sequence();
            i64::from(first) == i64::from(last_known) + 1 || (first == 0 && last_known == i32::MAX)
        } else {
            first == 0
        };
        if in_sequence { Ok(Verdict::Append) } else { Err(ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER) }
    }

    /// Remembers a batch that was appended (its offsets and timestamps are final).
    pub(crate) fn appended(&mut self, batch: &BatchHeader) {
        if batch.producer_id < 0 || batch.attributes.is_control() {
            return;
        }
        let producer = self.known.entry(batch.producer_id).or_insert_with(Producer::new);
        producer.enter_epoch(batch.producer_epoch);
        producer.batches.push_back(Appended {
            first_sequence: batch.base_sequence,
            last_sequence: advance_sequence(batch.base_sequence, batch.last_offset_delta.max(0)),
            base_offset: batch.base_offset,
            timestamp: batch.max_timestamp,
        });
        if producer.batches.len() > BATCHES_KEPT {
            producer.batches.pop_front();
        }
        producer.last_timestamp = batch.max_timestamp;
        if batch.attributes.is_transactional() && producer.transaction_start.is_none() {
            producer.transaction_start = Some(batch.base_offset);
        }
    }

    /// Whether a marker may be written: its epoch must not be below the known one.
    pub(crate) fn judge_marker(
        &self,
        producer_id: i64,
        epoch: i16,
        coordinator_epoch: i32,
    ) -> Result<(), ErrorCode> {
        match self.known.get(&producer_id) {
            Some(known) if epoch < known.epoch => Err(ErrorCode::INVALID_PRODUCER_EPOCH),
            Some(known) if coordinator_epoch < known.coordinator_epoch => {
                Err(ErrorCode::TRANSACTION_COORDINATOR_FENCED)
            }
            _ => Ok(()),
        }
    }

    /// A marker was written: the epoch rises, the transaction is closed. Returns its first offset.
    pub(crate) fn marked(
        &mut self,
        producer_id: i64,
        epoch: i16,
        coordinator_epoch: i32,
        timestamp: i64,
    ) -> Option<i64> {
        let producer = self.known.entry(producer_id).or_insert_with(Producer::new);
        producer.enter_epoch(epoch);
        producer.coordinator_epoch = coordinator_epoch;
        producer.last_timestamp = timestamp;
        producer.transaction_start.take()
    }

    /// Forgets producers whose newest record is older than `expiry_ms` (P3: record time, not write time).
    pub(crate) fn expire(&mut self, now_ms: i64, expiry_ms: i64) {
        self.known.retain(|_, producer| {
            producer.transaction_start.is_some()
                || now_ms.saturating_sub(producer.last_timestamp) < expiry_ms
        });
    }

    pub(crate) fn clear(&mut self) {
        self.known.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_wrap_to_zero() {
        let check =
            |sequence, count, expected| assert_eq!(advance_sequence(sequence, count), expected);
        check(0, 3, 3);
        check(i32::MAX - 1, 1, i32::MAX);
        check(i32::MAX - 1, 2, 0);
        check(i32::MAX - 1, 3, 1);
        check(i32::MAX, 1, 0);
    }
}
