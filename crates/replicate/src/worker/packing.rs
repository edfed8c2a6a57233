//! One batch of every ready lane into a produce request, and its answers back to them.

use std::collections::{HashMap, VecDeque};

use bytes::BytesMut;
use kafka_client::ProduceAck;
use kafka_wire::Uuid;
use kafka_wire::produce::{ProducePartition, ProduceTopic};
use kafka_wire::protocol::StrBytes;

use super::{LaneId, Worker};

/// Bytes of one request, unless its only batch is larger.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// Not worth looking for another batch that fits.
const REQUEST_BYTES_ENOUGH: usize = REQUEST_BYTES_MAX / 4 * 3;

/// Answers that are searched one by one rather than by a table.
const ACKS_SEARCHED_MAX: usize = 32;

/// A request in the making.
#[derive(Default)]
pub(super) struct Packing {
    batches: Vec<(StrBytes, Uuid, ProducePartition)>,
    pub(super) lanes: Vec<LaneId>,
    pub(super) bytes: usize,
}

impl Packing {
    /// The batches by topic.
    pub(super) fn topics(mut self) -> Vec<ProduceTopic> {
        self.batches.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        let mut topics: Vec<ProduceTopic> = Vec::new();
        for (name, topic_id, partition) in self.batches {
            match topics.last_mut().filter(|topic| topic.name == name) {
                Some(topic) => topic.partitions.push(partition),
                None => topics.push(ProduceTopic { name, topic_id, partitions: vec![partition] }),
            }
        }
        topics
    }
}

/// Which target partitions are in the request in the making: it takes one batch of each.
#[derive(Debug, Default)]
pub(super) struct Packed {
    /// The number of the last request that each partition was in.
    last: Vec<u64>,
    number: u64,
    /// Where headers are written.
    headers: BytesMut,
}

impl Packed {
    pub(super) fn slot_count(&self) -> usize {
        self.last.len()
    }

    pub(super) fn make_slot(&mut self, slot: usize) {
        self.last.resize(self.last.len().max(slot + 1), 0);
    }
}

impl Worker {
    /// Takes one batch of every waiting lane, as far as one request goes; those that find no room keep their place.
    pub(super) fn pack(&mut self, id: i32) -> Packing {
        let mut packing = Packing::default();
        let Some(broker) = self.targets.get_mut(&id) else { return packing };
        let mut waiting = std::mem::take(&mut broker.queue);
        let mut skipped = VecDeque::new();
        self.packed.number += 1;
        while packing.bytes < REQUEST_BYTES_ENOUGH
            && let Some(lane_id) = waiting.pop_front()
        {
            let lane = &mut self.lanes[lane_id];
            if lane.target_leader.0 != id {
                lane.is_queued = false;
                self.enqueue(lane_id);
                continue;
            }
            // Two lanes may share a target partition; a request takes one batch of each partition.
            let is_taken = self.packed.last[lane.target_slot] == self.packed.number;
            let bytes = if is_taken { 0 } else { lane.prepare_batch() };
            if is_taken || packing.bytes > 0 && packing.bytes + bytes > REQUEST_BYTES_MAX {
                skipped.push_back(lane_id);
                continue;
            }
            lane.is_queued = false;
            if let Some((header, payload)) = lane.next_batch(&mut self.packed.headers) {
                let partition = lane.key.target_partition;
                let batch = ProducePartition { partition, header, payload };
                let topic_id = lane.target_topic_id.unwrap_or_default();
                packing.batches.push((lane.target_name.clone(), topic_id, batch));
                packing.lanes.push(lane_id);
                packing.bytes += bytes;
                self.packed.last[lane.target_slot] = self.packed.number;
            }
            self.enqueue(lane_id);
        }
        if let Some(broker) = self.targets.get_mut(&id) {
            skipped.append(&mut waiting);
            skipped.append(&mut broker.queue);
            broker.queue = skipped;
        }
        packing
    }
}

/// The answers of one request, found again by partition.
pub(super) struct Acks {
    acks: Vec<Option<ProduceAck>>,
    by_partition: HashMap<(StrBytes, i32), usize>,
    next: usize,
}

impl Acks {
    pub(super) fn new(acks: Vec<ProduceAck>) -> Self {
        let by_partition = if acks.len() > ACKS_SEARCHED_MAX {
            let places = acks.iter().enumerate();
            places.map(|(index, ack)| ((ack.topic.clone(), ack.partition), index)).collect()
        } else {
            HashMap::new()
        };
        Self { acks: acks.into_iter().map(Some).collect(), by_partition, next: 0 }
    }

    /// Brokers answer more or less in the order of the request: the next one is looked at first.
    pub(super) fn take(&mut self, topic: &StrBytes, partition: i32) -> Option<ProduceAck> {
        let is_it = |ack: &ProduceAck| ack.partition == partition && ack.topic == *topic;
        let index = match self.by_partition.get(&(topic.clone(), partition)) {
            Some(index) => *index,
            None => {
                let (before, behind) = (0..self.next, self.next..self.acks.len());
                let is_it = |index: &usize| self.acks[*index].as_ref().is_some_and(is_it);
                behind.chain(before).find(is_it)?
            }
        };
        self.next = index + 1;
        self.acks[index].take()
    }
}
