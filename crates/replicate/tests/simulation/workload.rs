//! Producers of the source topics, and the others who write to target topics.

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_sim::Cluster;
use kafka_wire::compression::Compression;
use kafka_wire::record::{BatchOptions, Header, Record};

use crate::history::{At, FOREIGN, Fate, History, ID_HEADER, Written};
use crate::plan::{TopicPlan, pick};

/// Keys of compacted topics: few, so that records replace each other.
const KEYS: u8 = 6;

/// The producer ids of those who write to the target begin here, far from those that the simulator allocates.
const FOREIGN_PRODUCERS: i64 = 9_000_000;

/// Who writes where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Source,
    Foreign,
}

/// A transaction that is under way.
#[derive(Debug)]
struct Open {
    side: Side,
    topic: String,
    producer_id: i64,
    records: Vec<(At, u64)>,
}

/// All producers of a run.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) history: History,
    source: Cluster,
    target: Cluster,
    next_id: u64,
    next_producer: i64,
    sequences: BTreeMap<(i64, At), i32>,
    open: Vec<Open>,
    /// Producer ids of the source whose last transaction has ended, with their topics: they begin others, aborted ones before
    /// committed ones in one fetch answer.
    idle: Vec<(String, i64)>,
    /// The producer id of plain idempotent writers, by topic.
    idempotent: BTreeMap<String, i64>,
}

impl Workload {
    pub(crate) fn new(source: Cluster, target: Cluster) -> Self {
        Self {
            history: History::default(),
            source,
            target,
            next_id: 1,
            next_producer: 100,
            sequences: BTreeMap::new(),
            open: Vec::new(),
            idle: Vec::new(),
            idempotent: BTreeMap::new(),
        }
    }

    fn cluster(&self, side: Side) -> &Cluster {
        match side {
            Side::Source => &self.source,
            Side::Foreign => &self.target,
        }
    }

    fn producer_id(&mut self, side: Side) -> i64 {
        self.next_producer += 1;
        self.next_producer + if side == Side::Foreign { FOREIGN_PRODUCERS } else { 0 }
    }

    /// A few batches to one partition of `topic`. Gives what was done.
    pub(crate) fn burst(
        &mut self,
        random: &mut fastrand::Rng,
        side: Side,
        topic: &TopicPlan,
    ) -> String {
        let partitions = partitions_of(self.cluster(side), &topic.name);
        if partitions == 0 {
            return format!("{side:?} writes to {}: not there", topic.name);
        }
        let partition = random.i32(0..partitions);
        self.burst_to(random, side, topic, partition)
    }

    /// As `burst`, to one partition that is there.
    pub(crate) fn burst_to(
        &mut self,
        random: &mut fastrand::Rng,
        side: Side,
        topic: &TopicPlan,
        partition: i32,
    ) -> String {
        let at = (topic.name.clone(), partition);
        let count = random.usize(1..6);
        let in_transaction = topic.is_transactional && random.u8(0..4) > 0;
        for _ in 0..count {
            let transaction = in_transaction.then(|| self.transaction(random, side, &topic.name));
            self.batch(random, side, topic, &at, transaction);
        }
        format!("{side:?} writes {count} batches to {}-{partition}", at.0)
    }

    /// Index of an open transaction of the topic; begins one where there is none.
    fn transaction(&mut self, random: &mut fastrand::Rng, side: Side, topic: &str) -> usize {
        let known: Vec<usize> = (0..self.open.len())
            .filter(|index| self.open[*index].side == side && self.open[*index].topic == topic)
            .collect();
        if known.is_empty() || (known.len() < 3 && random.u8(0..4) == 0) {
            let idle = self.idle.iter().position(|(known, _)| known == topic);
            let producer_id = match idle {
                Some(index) if side == Side::Source && random.u8(0..4) > 0 => {
                    self.idle.swap_remove(index).1
                }
                _ => self.producer_id(side),
            };
            self.open.push(Open {
                side,
                topic: topic.to_owned(),
                producer_id,
                records: Vec::new(),
            });
            return self.open.len() - 1;
        }
        *pick(random, &known)
    }

    fn batch(
        &mut self,
        random: &mut fastrand::Rng,
        side: Side,
        topic: &TopicPlan,
        at: &At,
        transaction: Option<usize>,
    ) {
        let now_ms = self.cluster(side).now_ms();
        let count = random.i64(1..=6);
        let stamp = topic.is_stamped && side == Side::Source;
        let records: Vec<Record> =
            (0..count).map(|offset| self.record(random, side, topic, offset, now_ms)).collect();
        let mut options = BatchOptions {
            compression: *pick(
                random,
                &[
                    Compression::None,
                    Compression::None,
                    Compression::None,
                    Compression::Lz4,
                    Compression::Lz4,
                    Compression::Snappy,
                    Compression::Gzip,
                    Compression::Zstd,
                ],
            ),
            log_append_time: stamp.then_some(now_ms),
            ..BatchOptions::default()
        };
        let producer_id = match transaction {
            Some(index) => self.open[index].producer_id,
            None if random.bool() => match self.idempotent.get(&topic.name) {
                Some(known) if side == Side::Source => *known,
                _ => {
                    let made = self.producer_id(side);
                    if side == Side::Source {
                        self.idempotent.insert(topic.name.clone(), made);
                    }
                    made
                }
            },
            None => -1,
        };
        if producer_id >= 0 {
            let sequence = self.sequences.entry((producer_id, at.clone())).or_default();
            options.producer_id = producer_id;
            options.producer_epoch = 0;
            options.base_sequence = *sequence;
            options.transactional = transaction.is_some();
            *sequence += i32::try_from(count).unwrap();
        }
        let base = self.cluster(side).append_records(&at.0, at.1, &options, &records).unwrap();
        let fate = if transaction.is_some() { Fate::Open } else { Fate::Committed };
        for mut record in records {
            let id = crate::history::id_of(&record).unwrap();
            if stamp {
                record.timestamp = now_ms;
            }
            let offset = base + record.offset;
            if let Some(index) = transaction {
                self.open[index].records.push((at.clone(), id));
            }
            self.list(side).entry(at.clone()).or_default().push(Written {
                id,
                offset,
                record,
                fate,
            });
        }
    }

    fn list(&mut self, side: Side) -> &mut BTreeMap<At, Vec<Written>> {
        match side {
            Side::Source => &mut self.history.source,
            Side::Foreign => &mut self.history.foreign,
        }
    }

    fn record(
        &mut self,
        random: &mut fastrand::Rng,
        side: Side,
        topic: &TopicPlan,
        offset: i64,
        now_ms: i64,
    ) -> Record {
        let id = self.next_id | if side == Side::Foreign { FOREIGN } else { 0 };
        self.next_id += 1;
        let id_bytes = Bytes::copy_from_slice(&id.to_be_bytes());
        let key = (topic.is_compacted || random.bool())
            .then(|| Bytes::copy_from_slice(&[b'k', random.u8(0..KEYS)]));
        let is_tombstone = topic.is_compacted && random.u8(0..8) == 0;
        let value = (!is_tombstone).then(|| {
            let mut value = id_bytes.to_vec();
            value.resize(8 + random.usize(0..60), random.u8(..));
            Bytes::from(value)
        });
        let mut headers = Vec::new();
        if is_tombstone || random.u8(0..3) == 0 {
            headers.push(Header { key: Bytes::from_static(ID_HEADER), value: Some(id_bytes) });
        }
        let timestamp = now_ms - topic.age_ms - random.i64(0..2_000);
        Record { offset, timestamp, key, value, headers }
    }

    /// Ends one open transaction, three of ten by an abort. Gives what was done.
    pub(crate) fn end_transaction(&mut self, random: &mut fastrand::Rng) -> Option<String> {
        if self.open.is_empty() {
            return None;
        }
        let index = random.usize(..self.open.len());
        let commit = random.u8(0..10) >= 3;
        Some(self.end(index, commit))
    }

    /// Ends all transactions.
    pub(crate) fn end_all(&mut self, random: &mut fastrand::Rng) {
        while self.end_transaction(random).is_some() {}
    }

    fn end(&mut self, index: usize, commit: bool) -> String {
        let open = self.open.swap_remove(index);
        let mut partitions: Vec<&At> = open.records.iter().map(|(at, _)| at).collect();
        partitions.sort();
        partitions.dedup();
        for at in &partitions {
            let cluster = self.cluster(open.side);
            cluster.write_marker(&at.0, at.1, open.producer_id, 0, commit).unwrap();
        }
        let fate = if commit { Fate::Committed } else { Fate::Aborted };
        for (at, id) in &open.records {
            let records = self.list(open.side).get_mut(at).into_iter().flatten();
            for written in records.rev() {
                if written.id == *id {
                    written.fate = fate;
                    break;
                }
            }
        }
        let (topic, id) = (open.topic, open.producer_id);
        if open.side == Side::Source {
            self.idle.push((topic.clone(), id));
        }
        format!("{:?} transaction of producer {id} on {topic}: {fate:?}", open.side)
    }

    /// The target lost everything from `offset` on that was not committed there.
    pub(crate) fn foreign_truncated(&mut self, at: &At, offset: i64) {
        let Some(records) = self.history.foreign.get_mut(at) else { return };
        let gone: Vec<u64> = records
            .iter()
            .filter(|written| written.offset >= offset)
            .map(|written| written.id)
            .collect();
        records.retain(|written| written.offset < offset);
        for open in &mut self.open {
            open.records.retain(|(_, id)| !gone.contains(id));
        }
    }
}

/// How many partitions a topic has; 0 when there is no such topic.
pub(crate) fn partitions_of(cluster: &Cluster, topic: &str) -> i32 {
    let topics = cluster.topics();
    let found = topics.iter().find(|(name, _)| name == topic).map_or(0, |(_, count)| *count);
    i32::try_from(found).unwrap()
}
