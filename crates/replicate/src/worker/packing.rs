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

/// Which target partitions are in the request in the making: it takes one batch of each.
#[derive(Debug, Default)]
pub(super) struct Packed {
    /// The number of the last request that each partition was in.
    last: Vec<u64>,
    number: u64,
    /// Where headers are written.
    headers: BytesMut,
    /// Room for the batches of a request, for the lanes that find none in it, and for those that queue again meanwhile.
    batches: Vec<(StrBytes, Uuid, ProducePartition)>,
    skipped: VecDeque<LaneId>,
    queue: VecDeque<LaneId>,
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
    /// The batches by topic, in room that was used before.
    pub(super) fn topics_of(&mut self, mut packing: Packing) -> Vec<ProduceTopic> {
        if !packing.batches.is_sorted_by(|(a, ..), (b, ..)| a <= b) {
            packing.batches.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        }
        let mut topics = self.requests.topics.pop().unwrap_or_default();
        let mut count = 0;
        for (name, topic_id, partition) in packing.batches.drain(..) {
            if count == 0 || topics[count - 1].name != name {
                match topics.get_mut(count) {
                    Some(topic) => (topic.name, topic.topic_id) = (name, topic_id),
                    None => topics.push(ProduceTopic { name, topic_id, partitions: Vec::new() }),
                }
                count += 1;
            }
            topics[count - 1].partitions.push(partition);
        }
        topics.truncate(count);
        self.packed.batches = packing.batches;
        topics
    }

    /// Takes one batch of every waiting lane, as far as one request goes; those that find no room keep their place.
    pub(super) fn pack(&mut self, id: i32) -> Packing {
        let mut packing = Packing {
            batches: std::mem::take(&mut self.packed.batches),
            lanes: self.requests.lanes.pop().unwrap_or_default(),
            bytes: 0,
        };
        let Some(broker) = self.targets.get_mut(&id) else { return packing };
        let mut waiting =
            std::mem::replace(&mut broker.queue, std::mem::take(&mut self.packed.queue));
        let mut skipped = std::mem::take(&mut self.packed.skipped);
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
            std::mem::swap(&mut broker.queue, &mut skipped);
            // All three keep their room.
            (self.packed.skipped, self.packed.queue) = (skipped, waiting);
        }
        packing
    }
}

/// The answers of one request, found again by partition.
pub(super) struct Acks {
    acks: Vec<ProduceAck>,
    by_partition: Option<HashMap<(StrBytes, i32), usize>>,
    next: usize,
}

impl Acks {
    pub(super) fn new(acks: Vec<ProduceAck>) -> Self {
        Self { acks, by_partition: None, next: 0 }
    }

    /// Brokers answer more or less in the order of the request: the next one is looked at first.
    pub(super) fn find(&mut self, topic: &StrBytes, partition: i32) -> Option<&ProduceAck> {
        let is_it = |ack: &ProduceAck| ack.partition == partition && ack.topic == *topic;
        let index = if self.acks.get(self.next).is_some_and(is_it) {
            self.next
        } else if self.acks.len() <= ACKS_SEARCHED_MAX {
            self.acks.iter().position(is_it)?
        } else {
            let table = self.by_partition.get_or_insert_with(|| by_partition(&self.acks));
            *table.get(&(topic.clone(), partition))?
        };
        self.next = index + 1;
        self.acks.get(index)
    }

    /// The room that the acks took.
    pub(super) fn room(self) -> Vec<ProduceAck> {
        self.acks
    }
}

fn by_partition(acks: &[ProduceAck]) -> HashMap<(StrBytes, i32), usize> {
    let places = acks.iter().enumerate();
    places.map(|(index, ack)| ((ack.topic.clone(), ack.partition), index)).collect()
}
