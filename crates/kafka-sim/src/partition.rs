//! One partition: who leads it, its log, its producers, and who waits for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kafka_wire::ErrorCode;
use kafka_wire::record::{BatchOptions, BatchV2, ControlKind, ControlRecord, encode_control_batch};
use tokio::sync::Notify;

use crate::log::{Aborted, Entry, Log, split_v2};
use crate::producer_state::{Producers, Verdict};
use crate::release::Release;
use crate::topic_config::LogSettings;
use crate::validate::Prepared;

/// A request that waits for something to happen on partitions.
#[derive(Debug)]
pub(crate) struct Waiter {
    notify: Notify,
    /// Bytes still missing; the waiter is woken when they have come.
    wanted: AtomicUsize,
    done: AtomicBool,
}

impl Waiter {
    pub(crate) fn new(wanted: usize) -> Arc<Self> {
        Arc::new(Self {
            notify: Notify::new(),
            wanted: AtomicUsize::new(wanted),
            done: AtomicBool::new(false),
        })
    }

    /// Ends when enough has happened since this waiter was made. A wake-up before the call counts.
    pub(crate) async fn woken(&self) {
        self.notify.notified().await;
    }

    /// Partitions may forget it.
    pub(crate) fn finish(&self) {
        self.done.store(true, Ordering::Relaxed);
    }

    /// Wakes it whatever it waits for.
    pub(crate) fn wake(&self) {
        self.notify.notify_one();
    }

    fn bytes_came(&self, bytes: usize) {
        let before = self.wanted.load(Ordering::Relaxed);
        self.wanted.store(before.saturating_sub(bytes), Ordering::Relaxed);
        if before <= bytes {
            self.wake();
        }
    }
}

/// Where an append went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AppendedAt {
    pub(crate) base_offset: i64,
    /// The end offset that the high watermark must reach before acks=all is answered.
    pub(crate) end_offset: i64,
    pub(crate) log_append_time: Option<i64>,
}

/// How long producers are remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expiry {
    pub(crate) expiry_ms: i64,
    pub(crate) check_ms: i64,
}

/// State of one partition.
#[derive(Debug)]
pub(crate) struct Partition {
    pub(crate) leader: Option<i32>,
    pub(crate) leader_epoch: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) isr: Vec<i32>,
    pub(crate) log: Log,
    pub(crate) producers: Producers,
    /// The high watermark does not pass this offset.
    pub(crate) high_watermark_held: Option<i64>,
    /// A fresh leader that does not know its high watermark yet (P15): latest is not answered.
    pub(crate) offsets_unavailable: bool,
    /// Where such a leader lets its readers stop.
    pub(crate) fetch_bound: Option<i64>,
    /// Transactions that ended, (first offset, marker offset): they hold the LSO until the high watermark passes the marker.
    ended: Vec<(i64, i64)>,
    waiters: Vec<Arc<Waiter>>,
    expiry_checked_ms: i64,
}

impl Partition {
    pub(crate) fn new(replicas: Vec<i32>, now_ms: i64) -> Self {
        let mut log = Log::default();
        log.begin_epoch(0);
        Self {
            leader: replicas.first().copied(),
            leader_epoch: 0,
            isr: replicas.clone(),
            replicas,
            log,
            producers: Producers::default(),
            high_watermark_held: None,
            offsets_unavailable: false,
            fetch_bound: None,
            ended: Vec::new(),
            waiters: Vec::new(),
            expiry_checked_ms: now_ms,
        }
    }

    pub(crate) fn high_watermark(&self) -> i64 {
        let end = self.log.end_offset();
        self.high_watermark_held.map_or(end, |held| held.clamp(self.log.start_offset(), end))
    }

    /// What read_committed readers may read up to (KIP-98).
    pub(crate) fn last_stable_offset(&self) -> i64 {
        let high_watermark = self.high_watermark();
        let unreplicated = self
            .ended
            .iter()
            .filter(|(_, marker)| *marker >= high_watermark)
            .map(|(first, _)| *first);
        let open = self.producers.first_open_offset();
        open.into_iter().chain(unreplicated).fold(high_watermark, i64::min)
    }

    /// Registers a waiter; those that are done are dropped.
    pub(crate) fn wait(&mut self, waiter: &Arc<Waiter>) {
        self.waiters.retain(|known| !known.done.load(Ordering::Relaxed));
        self.waiters.push(Arc::clone(waiter));
    }

    /// Wakes everybody: leader, log start, high watermark or existence changed.
    pub(crate) fn wake_all(&mut self) {
        for waiter in self.waiters.drain(..) {
            waiter.wake();
        }
    }

    fn bytes_came(&mut self, bytes: usize) {
        self.waiters.retain(|waiter| {
            let live = !waiter.done.load(Ordering::Relaxed);
            if live {
                waiter.bytes_came(bytes);
            }
            live
        });
    }

    /// Runs the check for expired producers if it has been due since the last call (P3).
    pub(crate) fn check_expiry(&mut self, now_ms: i64, expiry: Expiry) {
        let passed = now_ms.saturating_sub(self.expiry_checked_ms);
        if passed >= expiry.check_ms.max(1) {
            self.expiry_checked_ms = now_ms - passed % expiry.check_ms.max(1);
            self.producers.expire(self.expiry_checked_ms, expiry.expiry_ms);
        }
    }

    /// Appends a checked batch, unless its producer's state speaks against it.
    ///
    /// # Errors
    /// As [`Producers::judge`].
    pub(crate) fn append(
        &mut self,
        release: Release,
        prepared: Prepared,
    ) -> Result<AppendedAt, ErrorCode> {
        let log_append_time = prepared.log_append_time;
        let mut header = prepared.header;
        if let Verdict::Duplicate(found) = self.producers.judge(release, &header)? {
            let end_offset = found.base_offset + i64::from(header.last_offset_delta) + 1;
            let log_append_time = log_append_time.map(|_| found.timestamp);
            return Ok(AppendedAt { base_offset: found.base_offset, end_offset, log_append_time });
        }
        // 0.11 counts records for the end and deltas for the base: a gap overlaps what was there (P5).
        let last_offset = self.log.end_offset() + i64::from(header.record_count) - 1;
        header.base_offset = last_offset - i64::from(header.last_offset_delta);
        header.partition_leader_epoch = self.leader_epoch;
        let first_offset = self.log.end_offset();
        self.producers.appended(&header);
        let entry = Entry::v2(header, prepared.payload);
        let bytes = entry.size_bytes();
        self.log.append(entry);
        self.bytes_came(bytes);
        let base_offset = if release == Release::V0_11 { first_offset } else { header.base_offset };
        Ok(AppendedAt { base_offset, end_offset: last_offset + 1, log_append_time })
    }

    /// Writes a transaction marker.
    ///
    /// # Errors
    /// INVALID_PRODUCER_EPOCH, TRANSACTION_COORDINATOR_FENCED.
    pub(crate) fn write_marker(&mut self, marker: &Marker, now_ms: i64) -> Result<i64, ErrorCode> {
        self.producers.judge_marker(
            marker.producer_id,
            marker.producer_epoch,
            marker.coordinator_epoch,
        )?;
        let kind = if marker.commit { ControlKind::Commit } else { ControlKind::Abort };
        let record =
            ControlRecord { kind, coordinator_epoch: marker.coordinator_epoch, timestamp: now_ms };
        let options = BatchOptions {
            base_offset: self.log.end_offset(),
            partition_leader_epoch: self.leader_epoch,
            producer_id: marker.producer_id,
            producer_epoch: marker.producer_epoch,
            transactional: true,
            ..BatchOptions::default()
        };
        let batch =
            encode_control_batch(&options, record).map_err(|_| ErrorCode::UNKNOWN_SERVER_ERROR)?;
        let (header, payload) = split_v2(&batch).ok_or(ErrorCode::UNKNOWN_SERVER_ERROR)?;
        let offset = header.base_offset;
        let entry = Entry::v2(header, payload);
        let bytes = entry.size_bytes();
        self.log.append(entry);
        self.note_marker(marker, offset, now_ms);
        self.bytes_came(bytes);
        Ok(offset)
    }

    fn note_marker(&mut self, marker: &Marker, offset: i64, timestamp: i64) {
        let first = self.producers.marked(
            marker.producer_id,
            marker.producer_epoch,
            marker.coordinator_epoch,
            timestamp,
        );
        let Some(first_offset) = first else { return };
        let high_watermark = self.high_watermark();
        self.ended.retain(|(_, last)| *last >= high_watermark);
        self.ended.push((first_offset, offset));
        if !marker.commit {
            let producer_id = marker.producer_id;
            self.log.aborted.push(Aborted { producer_id, first_offset, last_offset: offset });
        }
    }

    /// Takes bytes as they are, offsets included: what a broker once wrote.
    pub(crate) fn append_entry(&mut self, entry: Entry) {
        let bytes = entry.size_bytes();
        self.note(&entry);
        self.log.append(entry);
        self.bytes_came(bytes);
    }

    /// Learns from a batch that lies in the log.
    fn note(&mut self, entry: &Entry) {
        let Some(header) = entry.batch.filter(|header| header.producer_id >= 0) else { return };
        if !header.attributes.is_control() {
            self.producers.appended(&header);
            return;
        }
        let batch = BatchV2 { header, bytes: entry.bytes() };
        let Ok(Some(control)) = batch.control() else { return };
        let marker = Marker {
            producer_id: header.producer_id,
            producer_epoch: header.producer_epoch,
            coordinator_epoch: control.coordinator_epoch,
            commit: control.kind == ControlKind::Commit,
        };
        self.note_marker(&marker, header.base_offset, control.timestamp);
    }

    /// Reads producers and aborted transactions from the log again, as a broker does at its start.
    pub(crate) fn reload_producers(&mut self, now_ms: i64, expiry: Expiry) {
        self.producers.clear();
        self.ended.clear();
        self.log.aborted.clear();
        // Entries are two slices: cloning them copies no records.
        for entry in self.log.entries().cloned().collect::<Vec<_>>() {
            self.note(&entry);
        }
        self.producers.expire(now_ms, expiry.expiry_ms);
        self.expiry_checked_ms = now_ms;
    }

    /// A (new) leader begins its epoch.
    pub(crate) fn lead(&mut self, leader: i32) {
        self.leader = Some(leader);
        self.leader_epoch += 1;
        self.log.begin_epoch(self.leader_epoch);
        self.wake_all();
    }

    /// Applies `retention.bytes` (whole segments), and the bound of the simulator.
    pub(crate) fn enforce_size(&mut self, settings: &LogSettings, bytes_max: Option<u64>) {
        let size = self.log.size_bytes();
        let retained = settings.retention_bytes.filter(|_| settings.deletes);
        if let Some(excess) = retained
            .and_then(|bytes| size.checked_sub(bytes))
            .filter(|excess| *excess >= settings.segment_bytes)
        {
            self.log.drop_oldest(excess - excess % settings.segment_bytes.max(1));
        }
        if let Some(excess) =
            bytes_max.and_then(|bytes| size.checked_sub(bytes)).filter(|excess| *excess > 0)
        {
            self.log.drop_oldest(excess);
        }
    }

    /// Checks a client's idea of the leader epoch; -1 is none.
    ///
    /// # Errors
    /// FENCED_LEADER_EPOCH, UNKNOWN_LEADER_EPOCH.
    pub(crate) fn check_epoch(&self, epoch: i32) -> Result<(), ErrorCode> {
        match epoch {
            _ if epoch < 0 || epoch == self.leader_epoch => Ok(()),
            _ if epoch < self.leader_epoch => Err(ErrorCode::FENCED_LEADER_EPOCH),
            _ => Err(ErrorCode::UNKNOWN_LEADER_EPOCH),
        }
    }
}

/// The end of a transaction on a partition.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marker {
    pub(crate) producer_id: i64,
    pub(crate) producer_epoch: i16,
    pub(crate) coordinator_epoch: i32,
    pub(crate) commit: bool,
}
