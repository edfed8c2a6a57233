//! DeleteRecords and OffsetForLeaderEpoch.

use kafka_wire::ErrorCode;
use kafka_wire::messages::delete_records_request::DeleteRecordsRequest;
use kafka_wire::messages::delete_records_response::{
    DeleteRecordsPartitionResult, DeleteRecordsResponse, DeleteRecordsTopicResult,
};
use kafka_wire::messages::offset_for_leader_epoch_request::OffsetForLeaderEpochRequest;
use kafka_wire::messages::offset_for_leader_epoch_response::{
    EpochEndOffset, OffsetForLeaderEpochResponse, OffsetForLeaderTopicResult,
};

use super::Peer;
use crate::permissions::Operation;
use crate::state::State;

pub(super) fn delete(peer: &Peer, request: &DeleteRecordsRequest) -> DeleteRecordsResponse {
    let mut state = peer.cluster.state();
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let done =
                delete_up_to(peer, &mut state, &topic.name, asked.partition_index, asked.offset);
            let answer =
                DeleteRecordsPartitionResult::default().with_partition_index(asked.partition_index);
            match done {
                Ok(low_watermark) => answer.with_low_watermark(low_watermark),
                Err(code) => answer.with_low_watermark(-1).with_error_code(code.0),
            }
        });
        DeleteRecordsTopicResult::default()
            .with_name(topic.name.clone())
            .with_partitions(partitions.collect())
    });
    DeleteRecordsResponse::default().with_topics(topics.collect())
}

/// P8: the policy must allow deletion, -1 is the high watermark, past the end is refused.
fn delete_up_to(
    peer: &Peer,
    state: &mut State,
    topic: &str,
    index: i32,
    offset: i64,
) -> Result<i64, ErrorCode> {
    state.permissions.check_topic(peer.user(), Operation::Delete, topic)?;
    let deletes = state.topics.get(topic).is_none_or(|topic| topic.settings.deletes);
    let partition = state.led_partition(peer.broker, topic, index, -1)?;
    if !deletes {
        return Err(ErrorCode::POLICY_VIOLATION);
    }
    let high_watermark = partition.high_watermark();
    let offset = if offset == -1 { high_watermark } else { offset };
    if offset < 0 || offset > high_watermark {
        return Err(ErrorCode::OFFSET_OUT_OF_RANGE);
    }
    partition.log.advance_start(offset);
    partition.wake_all();
    Ok(partition.log.start_offset())
}

pub(super) fn offset_for_epoch(
    peer: &Peer,
    request: &OffsetForLeaderEpochRequest,
) -> OffsetForLeaderEpochResponse {
    let mut state = peer.cluster.state();
    let topics = request.topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|asked| {
            let found = state
                .permissions
                .check_topic(peer.user(), Operation::Describe, &topic.topic)
                .and_then(|()| {
                    state.led_partition(
                        peer.broker,
                        &topic.topic,
                        asked.partition,
                        asked.current_leader_epoch,
                    )
                })
                .map(|partition| partition.log.end_of_epoch(asked.leader_epoch));
            let answer = EpochEndOffset::default().with_partition(asked.partition);
            match found {
                Ok((epoch, end)) => answer.with_leader_epoch(epoch).with_end_offset(end),
                Err(code) => {
                    answer.with_error_code(code.0).with_leader_epoch(-1).with_end_offset(-1)
                }
            }
        });
        OffsetForLeaderTopicResult::default()
            .with_topic(topic.topic.clone())
            .with_partitions(partitions.collect())
    });
    OffsetForLeaderEpochResponse::default().with_topics(topics.collect())
}
