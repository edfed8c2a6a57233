//! P7: group offsets committed from outside (generation -1, member "").

use bytes::Bytes;
use kafka_sim::Release;
use kafka_wire::ErrorCode;
use kafka_wire::messages::GroupId;
use kafka_wire::messages::describe_groups_request::DescribeGroupsRequest;
use kafka_wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use kafka_wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use kafka_wire::messages::list_groups_request::ListGroupsRequest;
use kafka_wire::messages::offset_commit_request::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_wire::messages::offset_fetch_request::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_wire::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};

use crate::wire::{Wire, cluster, text, topic_name};

struct Commit<'a> {
    group: &'a str,
    topic: &'a str,
    partition: i32,
    offset: i64,
    generation: i32,
    member: &'a str,
    metadata: Option<String>,
}

impl Commit<'_> {
    fn of(offset: i64) -> Self {
        Self {
            group: "g",
            topic: "t",
            partition: 0,
            offset,
            generation: -1,
            member: "",
            metadata: None,
        }
    }
}

async fn commit(wire: &mut Wire, version: i16, commit: Commit<'_>) -> ErrorCode {
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(commit.partition)
        .with_committed_offset(commit.offset)
        .with_committed_leader_epoch(if version >= 6 { 99 } else { -1 })
        .with_committed_metadata(commit.metadata.map(|metadata| text(&metadata)));
    let topic = OffsetCommitRequestTopic::default()
        .with_name(topic_name(commit.topic))
        .with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(GroupId(text(commit.group)))
        .with_generation_id_or_member_epoch(commit.generation)
        .with_member_id(text(commit.member))
        .with_retention_time_ms(-1)
        .with_topics(vec![topic]);
    ErrorCode(wire.call(version, request).await.topics[0].partitions[0].error_code)
}

/// Committed offset and metadata as OffsetFetch shows them.
async fn fetched(wire: &mut Wire) -> (i64, String) {
    let version = wire.highest::<OffsetFetchRequest>();
    if version >= 8 {
        let topic = OffsetFetchRequestTopics::default()
            .with_name(topic_name("t"))
            .with_partition_indexes(vec![0]);
        let group = OffsetFetchRequestGroup::default()
            .with_group_id(GroupId(text("g")))
            .with_member_epoch(-1)
            .with_topics(Some(vec![topic]));
        let response =
            wire.call(version, OffsetFetchRequest::default().with_groups(vec![group])).await;
        let partition = &response.groups[0].topics[0].partitions[0];
        return (partition.committed_offset, partition.metadata.clone().unwrap().to_string());
    }
    let topic = OffsetFetchRequestTopic::default()
        .with_name(topic_name("t"))
        .with_partition_indexes(vec![0]);
    let request = OffsetFetchRequest::default()
        .with_group_id(GroupId(text("g")))
        .with_topics(Some(vec![topic]));
    let response = wire.call(version, request).await;
    let partition = &response.topics[0].partitions[0];
    (partition.committed_offset, partition.metadata.clone().unwrap().to_string())
}

#[tokio::test(start_paused = true)]
async fn p7_any_offset_into_a_group_that_does_not_exist() {
    for release in Release::ALL {
        let cluster = cluster(release);
        let mut wire = Wire::to(&cluster).await;
        for version in 2..=wire.highest::<OffsetCommitRequest>() {
            for offset in [-1, 7, -1, -2, 1_000_000, 3] {
                assert_eq!(
                    commit(&mut wire, version, Commit::of(offset)).await,
                    ErrorCode::NONE,
                    "{release} v{version}"
                );
                assert_eq!(
                    fetched(&mut wire).await,
                    (offset, String::new()),
                    "{release} v{version}"
                );
            }
        }
        let listed = wire.call_highest(ListGroupsRequest::default()).await;
        assert_eq!(
            (listed.groups[0].group_id.as_str(), listed.groups[0].protocol_type.as_str()),
            ("g", "")
        );
        let asked = DescribeGroupsRequest::default().with_groups(vec![GroupId(text("g"))]);
        let described = wire.call_highest(asked).await;
        assert_eq!(described.groups[0].group_state.as_str(), "Empty", "{release}");
    }
}

#[tokio::test(start_paused = true)]
async fn p7_what_is_refused() {
    for release in Release::ALL {
        let cluster = cluster(release);
        let mut wire = Wire::to(&cluster).await;
        let version = wire.highest::<OffsetCommitRequest>();
        let unknown = ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
        let beyond = if release >= Release::V2_8 { unknown } else { ErrorCode::NONE };
        let metadata = |length| Some("x".repeat(length));
        let cases = [
            (Commit { partition: 9, ..Commit::of(1) }, beyond),
            (Commit { topic: "missing", ..Commit::of(1) }, unknown),
            (Commit { metadata: metadata(4096), ..Commit::of(1) }, ErrorCode::NONE),
            (
                Commit { metadata: metadata(4097), ..Commit::of(1) },
                ErrorCode::OFFSET_METADATA_TOO_LARGE,
            ),
            (
                Commit { group: "other", generation: 0, ..Commit::of(1) },
                ErrorCode::UNKNOWN_MEMBER_ID,
            ),
            (Commit { member: "made-up", ..Commit::of(1) }, ErrorCode::NONE),
            (Commit { group: "", ..Commit::of(1) }, ErrorCode::NONE),
        ];
        for (number, (case, expected)) in cases.into_iter().enumerate() {
            assert_eq!(
                commit(&mut wire, version, case).await,
                expected,
                "{release}: case {number}"
            );
        }
    }
}

/// Joins group `g`; gives the member id and generation.
async fn join(wire: &mut Wire) -> (String, i32) {
    let version = wire.highest::<JoinGroupRequest>();
    let mut member = String::new();
    loop {
        let protocol = JoinGroupRequestProtocol::default()
            .with_name(text("range"))
            .with_metadata(Bytes::from_static(b"m"));
        let request = JoinGroupRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_session_timeout_ms(10_000)
            .with_rebalance_timeout_ms(5_000)
            .with_member_id(text(&member))
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol]);
        let response = wire.call(version, request).await;
        member = response.member_id.to_string();
        if ErrorCode(response.error_code) != ErrorCode::MEMBER_ID_REQUIRED {
            assert_eq!(response.error_code, 0);
            return (member, response.generation_id);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn p7_a_live_member_keeps_others_out() {
    for release in Release::ALL {
        let cluster = cluster(release);
        let mut wire = Wire::to(&cluster).await;
        let mut member_wire = Wire::to(&cluster).await;
        let version = wire.highest::<OffsetCommitRequest>();
        assert_eq!(commit(&mut wire, version, Commit::of(5)).await, ErrorCode::NONE);

        let (member, generation) = join(&mut member_wire).await;
        let joining = if release >= Release::V2_8 {
            ErrorCode::UNKNOWN_MEMBER_ID
        } else {
            ErrorCode::REBALANCE_IN_PROGRESS
        };
        assert_eq!(
            commit(&mut wire, version, Commit::of(6)).await,
            joining,
            "{release}: joined, not synced"
        );

        let assignment = SyncGroupRequestAssignment::default()
            .with_member_id(text(&member))
            .with_assignment(Bytes::from_static(b"a"));
        let sync = SyncGroupRequest::default()
            .with_group_id(GroupId(text("g")))
            .with_generation_id(generation)
            .with_member_id(text(&member))
            .with_assignments(vec![assignment]);
        let synced = member_wire.call_highest(sync).await;
        assert_eq!((synced.error_code, &synced.assignment[..]), (0, &b"a"[..]), "{release}");
        assert_eq!(
            commit(&mut wire, version, Commit::of(6)).await,
            ErrorCode::UNKNOWN_MEMBER_ID,
            "{release}: live"
        );
        assert_eq!(fetched(&mut wire).await.0, 5, "{release}: nothing was changed");
        let own = Commit { generation, member: &member, ..Commit::of(8) };
        assert_eq!(
            commit(&mut member_wire, version, own).await,
            ErrorCode::NONE,
            "{release}: its own"
        );

        let version_leave = member_wire.highest::<LeaveGroupRequest>();
        let leave = LeaveGroupRequest::default().with_group_id(GroupId(text("g")));
        let leave = if version_leave >= 3 {
            leave.with_members(vec![MemberIdentity::default().with_member_id(text(&member))])
        } else {
            leave.with_member_id(text(&member))
        };
        assert_eq!(member_wire.call(version_leave, leave).await.error_code, 0);
        assert_eq!(
            commit(&mut wire, version, Commit::of(-1)).await,
            ErrorCode::NONE,
            "{release}: it has left"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn p7_a_member_that_falls_silent_is_out_after_its_session() {
    let cluster = cluster(Release::V4_2);
    let mut wire = Wire::to(&cluster).await;
    let mut member_wire = Wire::to(&cluster).await;
    join(&mut member_wire).await;
    assert_eq!(commit(&mut wire, 9, Commit::of(1)).await, ErrorCode::UNKNOWN_MEMBER_ID);
    tokio::time::sleep(std::time::Duration::from_secs(11)).await;
    assert_eq!(commit(&mut wire, 9, Commit::of(1)).await, ErrorCode::NONE);
}
