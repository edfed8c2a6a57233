//! Behind the protocol: what tests, the demo and fault plans do to a cluster directly.

use bytes::Bytes;
use kafka_wire::record::{Batch, BatchOptions, Record, RecordLimits, encode_batch, split};
use kafka_wire::{ErrorCode, Uuid};
use thiserror::Error;

use crate::cluster::Cluster;
use crate::compaction;
use crate::faults::Fault;
use crate::groups::CommittedOffset;
use crate::handlers::check_topic_name;
use crate::log::{Entry, split_v2};
use crate::partition::{Marker, Partition};
use crate::permissions::{Operation, Resource};
use crate::topic_config::{self, Overrides};

/// Why the cluster cannot do what it was told directly.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AccessError {
    /// No such topic or partition.
    #[error("{topic}-{partition} does not exist")]
    Unknown {
        /// The topic asked for.
        topic: String,
        /// The partition asked for.
        partition: i32,
    },
    /// A topic that a broker would not create.
    #[error("topic {topic} cannot be created: {message}")]
    Topic {
        /// Its name.
        topic: String,
        /// The broker's words.
        message: String,
    },
    /// Bytes that are no batches, or whose offsets lie below the end of the log.
    #[error("{topic}-{partition}: {message}")]
    Batch {
        /// Where they were to go.
        topic: String,
        /// Where they were to go.
        partition: i32,
        /// What is wrong with them.
        message: String,
    },
    /// A marker that the partition refuses.
    #[error("{topic}-{partition}: marker refused with {code}")]
    Marker {
        /// Where it was to go.
        topic: String,
        /// Where it was to go.
        partition: i32,
        /// The broker's code.
        code: ErrorCode,
    },
}

/// What a partition remembers of one producer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerSummary {
    /// Producer id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i16,
    /// Sequence of its last record, -1 for none in this epoch.
    pub last_sequence: i32,
    /// First offset of its open transaction.
    pub transaction_start: Option<i64>,
}

/// Topics and their logs.
impl Cluster {
    /// Creates a topic with leaders in turn and the default replication.
    ///
    /// # Errors
    /// [`AccessError::Topic`] when a broker would refuse it.
    pub fn create_topic(
        &self,
        name: &str,
        partitions: usize,
        configs: &[(&str, &str)],
    ) -> Result<Uuid, AccessError> {
        let replication = usize::try_from(self.config().replication_default).unwrap_or(1);
        self.create_replicated_topic(name, partitions, replication, configs)
    }

    /// Creates a topic with that many replicas.
    ///
    /// # Errors
    /// [`AccessError::Topic`] when a broker would refuse it.
    pub fn create_replicated_topic(
        &self,
        name: &str,
        partitions: usize,
        replication: usize,
        configs: &[(&str, &str)],
    ) -> Result<Uuid, AccessError> {
        let refused = |message: String| AccessError::Topic { topic: name.to_owned(), message };
        check_topic_name(name).map_err(|(_, message)| refused(message))?;
        let overrides: Overrides =
            configs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        topic_config::check(self.config().release, &overrides).map_err(refused)?;
        let mut state = self.state();
        if state.topics.contains_key(name) {
            return Err(refused("it exists".to_owned()));
        }
        if state.live_brokers().count() < replication {
            return Err(refused("too few brokers".to_owned()));
        }
        let assignments = state.assign(0, partitions, replication);
        Ok(state.add_topic(self.config(), name, assignments, overrides, self.now_ms()))
    }

    /// Deletes a topic at once; `false` when there is none.
    pub fn delete_topic(&self, name: &str) -> bool {
        self.state().remove_topic(name)
    }

    /// Adds partitions up to `count`.
    pub fn grow_topic(&self, name: &str, count: usize) {
        let mut state = self.state();
        let Some((current, replication)) = state.topics.get(name).map(|topic| {
            (
                topic.partitions.len(),
                topic.partitions.first().map_or(1, |partition| partition.replicas.len()),
            )
        }) else {
            return;
        };
        let assignments = state.assign(current, count.saturating_sub(current), replication);
        state.add_partitions(name, assignments, self.now_ms());
    }

    /// All topics with their numbers of partitions.
    #[must_use]
    pub fn topics(&self) -> Vec<(String, usize)> {
        self.state()
            .topics
            .iter()
            .map(|(name, topic)| (name.clone(), topic.partitions.len()))
            .collect()
    }

    /// The id of a topic.
    #[must_use]
    pub fn topic_id(&self, name: &str) -> Option<Uuid> {
        self.state().topics.get(name).map(|topic| topic.id)
    }

    /// Settings that a topic overrides.
    #[must_use]
    pub fn topic_overrides(&self, name: &str) -> Vec<(String, String)> {
        let state = self.state();
        let overrides = state.topics.get(name).map(|topic| topic.overrides.clone());
        overrides.unwrap_or_default().into_iter().collect()
    }

    /// Sets (`Some`) or removes (`None`) one setting of a topic.
    ///
    /// # Errors
    /// [`AccessError::Topic`] when a broker would refuse it.
    pub fn set_topic_config(
        &self,
        name: &str,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), AccessError> {
        let refused = |message: String| AccessError::Topic { topic: name.to_owned(), message };
        let mut state = self.state();
        let known = state.topics.get(name).map(|topic| topic.overrides.clone());
        let mut overrides = known.ok_or_else(|| refused("it does not exist".to_owned()))?;
        match value {
            Some(value) => drop(overrides.insert(key.to_owned(), value.to_owned())),
            None => drop(overrides.remove(key)),
        }
        topic_config::check(self.config().release, &overrides).map_err(refused)?;
        state.set_overrides(self.config(), name, overrides);
        Ok(())
    }

    fn with<T>(
        &self,
        topic: &str,
        partition: i32,
        act: impl FnOnce(&mut Partition) -> T,
    ) -> Result<T, AccessError> {
        let mut state = self.state();
        let found = state.partition(topic, partition);
        let found =
            found.map_err(|_| AccessError::Unknown { topic: topic.to_owned(), partition })?;
        Ok(act(found))
    }

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

    /// The offset a group has committed.
    #[must_use]
    pub fn committed_offset(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
    ) -> Option<CommittedOffset> {
        let mut state = self.state();
        state.groups.get(group)?.offsets.get(&(topic.to_owned(), partition)).cloned()
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

/// Brokers, leaders, faults and rights.
impl Cluster {
    /// Ids of all brokers.
    #[must_use]
    pub fn broker_ids(&self) -> Vec<i32> {
        self.state().brokers.keys().copied().collect()
    }

    /// Kills a broker: its connections are cut, its partitions get other leaders where they can.
    pub fn kill_broker(&self, id: i32) {
        self.state().kill_broker(id);
        self.elect_later();
    }

    /// Starts a killed broker.
    pub fn start_broker(&self, id: i32) {
        self.state().start_broker(id, self.now_ms(), self.expiry());
    }

    /// Lets a broker sleep (connections stay, nothing is answered) or wake up.
    pub fn pause_broker(&self, id: i32, paused: bool) {
        if let Some(broker) = self.state().brokers.get(&id) {
            broker.paused.send_replace(paused);
        }
    }

    /// Cuts all connections of a broker; it goes on accepting new ones.
    pub fn cut_connections(&self, id: i32) {
        if let Some(broker) = self.state().brokers.get(&id) {
            broker.cut_connections();
        }
    }

    /// The leader of a partition, if it has one.
    #[must_use]
    pub fn leader(&self, topic: &str, partition: i32) -> Option<i32> {
        self.state().partition(topic, partition).ok()?.leader
    }

    /// Makes another broker leader, in a new epoch; it becomes a replica if it was none.
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn move_leader(&self, topic: &str, partition: i32, broker: i32) -> Result<(), AccessError> {
        self.with(topic, partition, |found| {
            for list in [&mut found.replicas, &mut found.isr] {
                if !list.contains(&broker) {
                    list.push(broker);
                }
            }
            found.lead(broker);
        })
    }

    /// Keeps the high watermark at or below `offset` (`None`: lets it go), as a slow follower does.
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn hold_high_watermark(
        &self,
        topic: &str,
        partition: i32,
        offset: Option<i64>,
    ) -> Result<(), AccessError> {
        self.with(topic, partition, |found| {
            found.high_watermark_held = offset;
            found.wake_all();
        })
    }

    /// Lets ListOffsets answer OFFSET_NOT_AVAILABLE, as a fresh leader does (P15).
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn hide_offsets(
        &self,
        topic: &str,
        partition: i32,
        hidden: bool,
    ) -> Result<(), AccessError> {
        self.with(topic, partition, |found| found.offsets_unavailable = hidden)
    }

    /// Sets the in-sync replicas: below `min.insync.replicas` produces with acks=all are refused (P19).
    ///
    /// # Errors
    /// [`AccessError::Unknown`].
    pub fn set_isr(&self, topic: &str, partition: i32, isr: &[i32]) -> Result<(), AccessError> {
        self.with(topic, partition, |found| isr.clone_into(&mut found.isr))
    }

    /// Adds a fault; faults act in the order they were added.
    pub fn add_fault(&self, fault: Fault) {
        self.state().faults.add(fault);
    }

    /// Refuses the next produces to a partition with this code, without looking at them.
    pub fn refuse_produce(&self, topic: &str, partition: i32, code: ErrorCode, times: u32) {
        self.state().faults.refuse_produce(topic, partition, code, times);
    }

    /// Takes all faults back.
    pub fn clear_faults(&self) {
        self.state().faults.clear();
    }

    /// Denies an operation to a user (`*`: to everybody; `ANONYMOUS`: to those without SASL).
    pub fn deny(&self, user: &str, operation: Operation, resource: Resource) {
        self.state().permissions.deny(user, operation, resource);
    }

    /// Takes all denials back.
    pub fn allow_all(&self) {
        self.state().permissions.allow_all();
    }
}
