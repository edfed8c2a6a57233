//! A fetch answer in our own terms.

use std::{collections::HashMap, sync::Arc};

use kafka_wire::{
    ErrorCode, Uuid,
    fetch::AnsweredPartition,
    messages::{FetchResponse, fetch_response::PartitionData},
};

use super::{AbortedTransaction, FetchedPartition};

/// Reads an answer. `names` are the topic ids asked for, if ids are in use; `known` tells what belongs to the session.
///
/// # Errors
/// What does not fit, in words.
pub(super) fn read(
    response: FetchResponse,
    names: Option<&HashMap<Uuid, Arc<str>>>,
    known: impl Fn(&str, i32) -> bool,
) -> Result<Vec<FetchedPartition>, String> {
    let mut found = Vec::new();
    for topic in response.responses {
        let name = match names {
            Some(names) => names
                .get(&topic.topic_id)
                .cloned()
                .ok_or_else(|| format!("topic id {} was not asked for", topic.topic_id))?,
            None => Arc::from(&*topic.topic.0),
        };
        for partition in topic.partitions {
            let index = partition.partition_index;
            if !known(&name, index) {
                return Err(format!("{name}-{index} was not asked for"));
            }
            found.push(fetched(Arc::clone(&name), partition));
        }
    }
    Ok(found)
}

fn fetched(topic: Arc<str>, data: PartitionData) -> FetchedPartition {
    let diverging = (data.diverging_epoch.epoch, data.diverging_epoch.end_offset);
    let leader = (data.current_leader.leader_id.0, data.current_leader.leader_epoch);
    FetchedPartition {
        topic,
        partition: data.partition_index,
        error: ErrorCode(data.error_code),
        high_watermark: data.high_watermark,
        last_stable_offset: data.last_stable_offset,
        log_start_offset: data.log_start_offset,
        aborted: data
            .aborted_transactions
            .unwrap_or_default()
            .into_iter()
            .map(|aborted| AbortedTransaction {
                producer_id: aborted.producer_id.0,
                first_offset: aborted.first_offset,
            })
            .collect(),
        diverging_epoch: (diverging != (-1, -1)).then_some(diverging),
        current_leader: (leader != (-1, -1)).then_some(leader),
        preferred_read_replica: Some(data.preferred_read_replica.0).filter(|id| *id >= 0),
        records: data.records.unwrap_or_default(),
    }
}

/// What came from a partition of which the answer says nothing but the ordinary.
pub(super) fn ordinary(topic: Arc<str>, answered: AnsweredPartition<'_>) -> FetchedPartition {
    let aborted = |(producer_id, first_offset)| AbortedTransaction { producer_id, first_offset };
    FetchedPartition {
        topic,
        partition: answered.partition,
        error: ErrorCode(answered.error),
        high_watermark: answered.high_watermark,
        last_stable_offset: answered.last_stable_offset,
        log_start_offset: answered.log_start_offset,
        aborted: answered.aborted.map(aborted).collect(),
        diverging_epoch: None,
        current_leader: None,
        preferred_read_replica: Some(answered.preferred_read_replica).filter(|id| *id >= 0),
        records: answered.records,
    }
}
