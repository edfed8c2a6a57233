//! ListOffsets: earliest, latest, by timestamp, by isolation.

use kafka_wire::ErrorCode;
use kafka_wire::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsRequest};
use kafka_wire::messages::list_offsets_response::{
    ListOffsetsPartitionResponse, ListOffsetsResponse, ListOffsetsTopicResponse,
};
use kafka_wire::record::{RecordLimits, split};

use super::Peer;
use crate::log::Entry;
use crate::partition::Partition;
use crate::permissions::Operation;
use crate::release::Release;
use crate::state::State;

const LATEST: i64 = -1;
const EARLIEST: i64 = -2;
/// KIP-734, v7.
const MAX_TIMESTAMP: i64 = -3;
/// KIP-405, v8: without tiered storage it equals the earliest.
const EARLIEST_LOCAL: i64 = -4;
/// KIP-1005, v9: without tiered storage there is none.
const LATEST_TIERED: i64 = -5;

pub(super) fn handle(
    peer: &Peer,
    version: i16,
    request: &ListOffsetsRequest,
) -> ListOffsetsResponse {
    let mut state = peer.cluster.state();
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let found = look(peer, &mut state, version, request, &topic.name, asked);
            let answer =
                ListOffsetsPartitionResponse::default().with_partition_index(asked.partition_index);
            match found {
                Ok(Found { offset, timestamp, leader_epoch }) => answer
                    .with_offset(offset)
                    .with_timestamp(timestamp)
                    .with_leader_epoch(if version >= 4 { leader_epoch } else { -1 }),
                Err(code) => answer.with_error_code(code.0),
            }
        });
        ListOffsetsTopicResponse::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    ListOffsetsResponse::default().with_topics(topics.collect())
}

struct Found {
    offset: i64,
    timestamp: i64,
    leader_epoch: i32,
}

impl Found {
    const NOTHING: Self = Self { offset: -1, timestamp: -1, leader_epoch: -1 };

    fn at(partition: &Partition, offset: i64) -> Self {
        Self { offset, timestamp: -1, leader_epoch: partition.log.epoch_at(offset) }
    }
}

fn look(
    peer: &Peer,
    state: &mut State,
    version: i16,
    request: &ListOffsetsRequest,
    topic: &str,
    asked: &ListOffsetsPartition,
) -> Result<Found, ErrorCode> {
    state.permissions.check_topic(peer.user(), Operation::Describe, topic)?;
    let partition = state.led_partition(
        peer.broker,
        topic,
        asked.partition_index,
        asked.current_leader_epoch,
    )?;
    let upper = if request.isolation_level == 1 {
        partition.last_stable_offset()
    } else {
        partition.high_watermark()
    };
    if partition.offsets_unavailable && asked.timestamp != EARLIEST {
        // A fresh leader does not know the high watermark yet (P15).
        return Err(if version >= 5 {
            ErrorCode::OFFSET_NOT_AVAILABLE
        } else {
            ErrorCode::LEADER_NOT_AVAILABLE
        });
    }
    match asked.timestamp {
        LATEST => Ok(Found { leader_epoch: partition.leader_epoch, ..Found::at(partition, upper) }),
        EARLIEST => Ok(Found::at(partition, partition.log.start_offset())),
        EARLIEST_LOCAL if version >= 8 => Ok(Found::at(partition, partition.log.start_offset())),
        LATEST_TIERED if version >= 9 => Ok(Found::NOTHING),
        MAX_TIMESTAMP if version >= 7 => Ok(max_timestamp(partition)),
        timestamp if timestamp < 0 => {
            let known = if peer.release() >= Release::V3_9 {
                ErrorCode::UNSUPPORTED_VERSION
            } else {
                ErrorCode::INVALID_REQUEST
            };
            Err(known)
        }
        timestamp => Ok(first_at_or_after(partition, timestamp, upper)),
    }
}

/// The first record whose timestamp is not below `timestamp`; nothing past `upper` (BF-29).
fn first_at_or_after(partition: &Partition, timestamp: i64, upper: i64) -> Found {
    let start = partition.log.start_offset();
    for entry in partition
        .log
        .entries()
        .filter(|entry| entry.max_timestamp >= timestamp && !entry.is_control())
    {
        let hit = records(entry)
            .into_iter()
            .find(|(offset, time)| *time >= timestamp && *offset >= start);
        if let Some((offset, time)) = hit {
            if offset >= upper {
                break;
            }
            return Found { timestamp: time, ..Found::at(partition, offset) };
        }
    }
    Found::NOTHING
}

fn max_timestamp(partition: &Partition) -> Found {
    let start = partition.log.start_offset();
    let mut best: Option<&Entry> = None;
    for entry in partition.log.entries().filter(|entry| !entry.is_control()) {
        if best.is_none_or(|best| entry.max_timestamp > best.max_timestamp) {
            best = Some(entry);
        }
    }
    let hit = best.and_then(|entry| {
        records(entry)
            .into_iter()
            .find(|(offset, time)| *time == entry.max_timestamp && *offset >= start)
    });
    hit.map_or(Found::NOTHING, |(offset, time)| Found {
        timestamp: time,
        ..Found::at(partition, offset)
    })
}

/// Offsets and timestamps of an entry's records; decoded, because nobody asks often.
fn records(entry: &Entry) -> Vec<(i64, i64)> {
    let limits = RecordLimits::default();
    let decoded =
        split(entry.bytes()).filter_map(Result::ok).filter_map(|batch| batch.records(&limits).ok());
    decoded.flatten().map(|record| (record.offset, record.timestamp)).collect()
}
