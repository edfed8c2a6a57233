//! OffsetCommit without being a member: how offsets are carried over to a group.

use std::collections::BTreeMap;

use kafka_wire::{
    ErrorCode,
    messages::{
        OffsetCommitRequest,
        offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic},
    },
};

use super::{group_id, text, topic_name};
use crate::{
    CallOptions, Client, ClientError, CoordinatorKind, TopicPartition,
    client::route::{Repeat, Target, by_topic},
};

/// Up to here topics go by name; v10 names them by id.
const NAMED_VERSION_MAX: i16 = 9;

/// One offset to commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OffsetToCommit {
    /// The partition.
    pub at: TopicPartition,
    /// The next record's offset; -1 is accepted and makes the group known without a position (broker-probes P7).
    pub offset: i64,
    /// Text to keep with it, at most 4096 bytes by default.
    pub metadata: Option<String>,
}

impl Client {
    /// Commits offsets for a group that has no members: generation -1, no member id (BF-31).
    ///
    /// The leader epoch is sent as -1: one of another cluster would make consumers loop (BF-33). The broker checks
    /// neither the end of the log nor the sign of the offset: that is the caller's duty.
    ///
    /// # Errors
    /// When the coordinator does not answer; otherwise each partition has its code (`UNKNOWN_MEMBER_ID`: the group has members).
    pub async fn offset_commit(
        &self,
        group: &str,
        offsets: Vec<OffsetToCommit>,
    ) -> Result<BTreeMap<TopicPartition, Result<(), ErrorCode>>, ClientError> {
        let mut results: BTreeMap<_, _> = offsets
            .iter()
            .map(|offset| (offset.at.clone(), Err(ErrorCode::UNKNOWN_SERVER_ERROR)))
            .collect();
        let request = request(group, offsets);
        let (response, _) = self
            .ask::<OffsetCommitRequest>(
                Target::Coordinator(CoordinatorKind::Group, group),
                Repeat::Safe,
                CallOptions { timeout: None, version_max: Some(NAMED_VERSION_MAX) },
                |_, _| Ok(request.clone()),
                |response| {
                    let codes = response.topics.iter().flat_map(|topic| &topic.partitions);
                    let coordination = |code: &ErrorCode| {
                        matches!(
                            *code,
                            ErrorCode::NOT_COORDINATOR
                                | ErrorCode::COORDINATOR_NOT_AVAILABLE
                                | ErrorCode::COORDINATOR_LOAD_IN_PROGRESS
                        )
                    };
                    codes
                        .map(|partition| ErrorCode(partition.error_code))
                        .find(coordination)
                        .unwrap_or(ErrorCode::NONE)
                },
            )
            .await?;
        for topic in response.topics {
            for partition in topic.partitions {
                let at = TopicPartition::new(topic.name.to_string(), partition.partition_index);
                results.insert(at, ErrorCode(partition.error_code).ok());
            }
        }
        Ok(results)
    }
}

fn request(group: &str, offsets: Vec<OffsetToCommit>) -> OffsetCommitRequest {
    let offsets = offsets.into_iter().map(|offset| (offset.at, (offset.offset, offset.metadata)));
    let topics = by_topic(offsets).into_iter().map(|(name, partitions)| {
        let partitions = partitions.into_iter().map(|(index, (offset, metadata))| {
            OffsetCommitRequestPartition::default()
                .with_partition_index(index)
                .with_committed_offset(offset)
                .with_committed_leader_epoch(-1)
                .with_committed_metadata(metadata.as_deref().map(text))
        });
        OffsetCommitRequestTopic::default()
            .with_name(topic_name(&name))
            .with_partitions(partitions.collect())
    });
    OffsetCommitRequest::default()
        .with_group_id(group_id(group))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(topics.collect())
}
