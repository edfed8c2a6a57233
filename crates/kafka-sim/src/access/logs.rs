//! Logs from behind: reading, appending what only a broker writes, cleaning, cutting.

use bytes::Bytes;
use kafka_wire::record::{
    Batch, BatchHeader, BatchOptions, Record, RecordLimits, encode_batch, split,
};

use super::{AccessError, ProducerSummary};
use crate::cluster::Cluster;
use crate::compaction;
use crate::log::{Entry, split_v2};
use crate::partition::Marker;

/// Logs and producers.
impl Cluster {
    /// All entries of a partition's log, each in one piece.
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn log(&self, topic: &str, partition: i32) -> Result<Vec<Bytes>, AccessError> {
        self.with(topic, partition, |found| found.log.entries().map(Entry::bytes).collect())
    }

    /// All records that a reader of everything gets: no control records, nothing below the log start.
    ///
    /// # Errors
    /// [`AccessError::Unknown`]; [`AccessError::Batch`] when the log holds bytes that cannot be decoded.
    pub fn records(&self, topic: &str, partition: i32) -> Result<Vec<Record>, AccessError> {
        let (entries, start) = self.with(topic, partition, |found| {
            (found.log.entries().cloned().collect::<Vec<_>>(), found.log.start_offset())
        })?;
        let fault =
            |message: String| AccessError::Batch { topic: topic.to_owned(), partition, message };
        let mut records = Vec::new();
        for entry in entries.iter().filter(|entry| !entry.is_control()) {
            for batch in split(entry.bytes()) {
                let batch = batch.map_err(|cause| fault(cause.to_string()))?;
                records.extend(
                    batch
                        .records(&RecordLimits::default())
                        .map_err(|cause| fault(cause.to_string()))?,
                );
            }
        }
        records.retain(|record| record.offset >= start);
        Ok(records)
    }

    /// Appends records as one batch at the end, past all checks. Record offsets count from the first
    /// one, so that gaps are possible. Gives the base offset.
    ///
    /// # Errors
    /// [`AccessError::Unknown`], [`AccessError::Batch`].
    pub fn append_records(
        &self,
        topic: &str,
        partition: i32,
        options: &BatchOptions,
        records: &[Record],
    ) -> Result<i64, AccessError> {
        let fault =
            |message: String| AccessError::Batch { topic: topic.to_owned(), partition, message };
        let (end, epoch) =
            self.with(topic, partition, |found| (found.log.end_offset(), found.leader_epoch))?;
        let options = BatchOptions { base_offset: end, partition_leader_epoch: epoch, ..*options };
        let batch = encode_batch(&options, records).map_err(|cause| fault(cause.to_string()))?;
        self.append_raw(topic, partition, batch)?;
        Ok(end)
    }

    /// Appends one v2 batch `count` times at the end, each time with the next offsets. All share the payload's memory, so that a
    /// topic of any size costs its headers only.
    ///
    /// # Errors
    /// [`AccessError::Unknown`]; [`AccessError::Batch`] for bytes that are no v2 batch.
    pub fn append_repeated(
        &self,
        topic: &str,
        partition: i32,
        batch: &Bytes,
        count: u64,
    ) -> Result<(), AccessError> {
        let Some((header, payload)) = split_v2(batch) else {
            let message = "these bytes are no v2 batch".to_owned();
            return Err(AccessError::Batch { topic: topic.to_owned(), partition, message });
        };
        self.with(topic, partition, |found| {
            for _ in 0..count {
                let header = BatchHeader {
                    base_offset: found.log.end_offset(),
                    partition_leader_epoch: found.leader_epoch,
                    ..header
                };
                found.append_entry(Entry::v2(header, payload.clone()));
            }
        })
    }

    /// Appends whole batches or message sets exactly as they are, offsets included: what a broker
    /// once wrote (control batches, gaps, formats v0 and v1).
    ///
    /// # Errors
    /// [`AccessError::Unknown`]; [`AccessError::Batch`] for bytes that are no batches or whose offsets do not rise.
    pub fn append_raw(&self, topic: &str, partition: i32, bytes: Bytes) -> Result<(), AccessError> {
        let fault =
            |message: String| AccessError::Batch { topic: topic.to_owned(), partition, message };
        let whole = bytes.len();
        let mut entries = Vec::new();
        for batch in split(bytes) {
            let batch = batch.map_err(|cause| fault(cause.to_string()))?;
            entries.push(raw_entry(&batch));
        }
        let taken: usize = entries.iter().map(Entry::size_bytes).sum();
        if taken != whole {
            return Err(fault(format!("{} bytes at the end are no whole batch", whole - taken)));
        }
        self.with(topic, partition, |found| {
            for entry in entries {
                let end = found.log.end_offset();
                if entry.base_offset < end {
                    return Err(fault(format!(
                        "offset {} is below the end {end}",
                        entry.base_offset
                    )));
                }
                found.append_entry(entry);
            }
            Ok(())
        })?
    }

    /// Writes a transaction marker. Gives its offset.
    ///
    /// # Errors
    /// [`AccessError::Unknown`], [`AccessError::Marker`].
    pub fn write_marker(
        &self,
        topic: &str,
        partition: i32,
        producer_id: i64,
        producer_epoch: i16,
        commit: bool,
    ) -> Result<i64, AccessError> {
        let marker = Marker { producer_id, producer_epoch, coordinator_epoch: 0, commit };
        let now_ms = self.now_ms();
        let written = self.with(topic, partition, |found| found.write_marker(&marker, now_ms))?;
        written.map_err(|code| AccessError::Marker { topic: topic.to_owned(), partition, code })
    }

    /// First offset of the log.
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn start_offset(&self, topic: &str, partition: i32) -> Result<i64, AccessError> {
        self.with(topic, partition, |found| found.log.start_offset())
    }

    /// The offset that the next record gets.
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn end_offset(&self, topic: &str, partition: i32) -> Result<i64, AccessError> {
        self.with(topic, partition, |found| found.log.end_offset())
    }

    /// The end of what all in-sync replicas have: readers see nothing behind it, and a failover loses nothing before it.
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn high_watermark(&self, topic: &str, partition: i32) -> Result<i64, AccessError> {
        self.with(topic, partition, |found| found.high_watermark())
    }

    /// What readers of committed data may read up to.
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn last_stable_offset(&self, topic: &str, partition: i32) -> Result<i64, AccessError> {
        self.with(topic, partition, |found| found.last_stable_offset())
    }

    /// Bytes in the log.
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn log_bytes(&self, topic: &str, partition: i32) -> Result<u64, AccessError> {
        self.with(topic, partition, |found| found.log.size_bytes())
    }

    /// Runs the log cleaner over everything but the newest batch. Gives how many records went.
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn compact(&self, topic: &str, partition: i32) -> Result<usize, AccessError> {
        let (release, horizon) = (self.config().release, self.now_ms() + 86_400_000);
        self.with(topic, partition, |found| compaction::compact(found, release, horizon))
    }

    /// Cuts the log at a batch border at or below `offset`, and begins a new leader epoch: what an
    /// unclean election does.
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn truncate(&self, topic: &str, partition: i32, offset: i64) -> Result<(), AccessError> {
        let (now_ms, expiry) = (self.now_ms(), self.expiry());
        self.with(topic, partition, |found| {
            found.log.truncate(offset);
            found.reload_producers(now_ms, expiry);
            if let Some(leader) = found.leader {
                found.lead(leader);
            }
        })
    }

    /// Moves the start of the log, as retention or DeleteRecords does.
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn delete_records(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<(), AccessError> {
        self.with(topic, partition, |found| {
            found.log.advance_start(offset);
            found.wake_all();
        })
    }

    /// Empties the log and lets it begin at `offset`.
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn start_log_at(
        &self,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> Result<(), AccessError> {
        self.with(topic, partition, |found| {
            found.log.start_at(offset);
            found.wake_all();
        })
    }

    /// Drops records older than `retention.ms` by whole batches: the retention check, on demand.
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn enforce_retention(&self, topic: &str, partition: i32) -> Result<(), AccessError> {
        let settings =
            self.state().topics.get(topic).map(|topic| std::sync::Arc::clone(&topic.settings));
        let now_ms = self.now_ms();
        self.with(topic, partition, |found| {
            let Some(settings) = settings.filter(|settings| settings.deletes) else { return };
            let Some(kept_ms) = settings.retention_ms else { return };
            let fresh = |entry: &&Entry| now_ms.saturating_sub(entry.max_timestamp) <= kept_ms;
            let start = found
                .log
                .entries()
                .find(fresh)
                .map_or_else(|| found.log.end_offset(), |entry| entry.base_offset);
            found.log.advance_start(start);
            found.wake_all();
        })
    }

    /// Producers that a partition remembers.
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn producers(
        &self,
        topic: &str,
        partition: i32,
    ) -> Result<Vec<ProducerSummary>, AccessError> {
        self.with(topic, partition, |found| {
            let summaries = found.producers.iter().map(|(producer_id, producer)| ProducerSummary {
                producer_id,
                producer_epoch: producer.epoch,
                last_sequence: producer.last_sequence(),
                transaction_start: producer.transaction_start,
            });
            summaries.collect()
        })
    }

    /// Forgets all producers of a partition, as expiry does.
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn forget_producers(&self, topic: &str, partition: i32) -> Result<(), AccessError> {
        self.with(topic, partition, |found| found.producers.clear())
    }
}

fn raw_entry(batch: &Batch) -> Entry {
    let bytes = batch.bytes().clone();
    if let Some((header, payload)) = split_v2(&bytes) {
        return Entry::v2(header, payload);
    }
    let records = batch.records(&RecordLimits::default()).unwrap_or_default();
    Entry {
        base_offset: records.first().map_or_else(|| batch.base_offset(), |record| record.offset),
        last_offset: batch.last_offset(),
        max_timestamp: records.iter().map(|record| record.timestamp).max().unwrap_or(-1),
        batch: None,
        head: bytes,
        payload: Bytes::new(),
    }
}
