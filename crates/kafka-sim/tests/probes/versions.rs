//! Every request in every version that a release offers gets an answer its version can carry.

use kafka_sim::{Cluster, ClusterConfig, Release};
use kafka_wire::messages as m;
use kafka_wire::messages::{BrokerId, GroupId, ProducerId, TransactionalId};
use kafka_wire::protocol::Request;
use kafka_wire::record::BatchOptions;

use crate::wire::{NOW_MS, Wire, records, text, topic_name};

/// A cluster that has a bit of everything: two topics, an aborted transaction, a group.
fn busy(release: Release) -> Cluster {
    let config = ClusterConfig { start_time_ms: Some(NOW_MS), ..ClusterConfig::release(release) };
    let cluster = Cluster::new(config);
    cluster.create_topic("t", 2, &[("retention.ms", "1000")]).unwrap();
    cluster.create_topic("u", 1, &[]).unwrap();
    let options = BatchOptions {
        transactional: true,
        producer_id: 5,
        producer_epoch: 0,
        base_sequence: 0,
        ..BatchOptions::default()
    };
    cluster.append_records("t", 0, &options, &records(3)).unwrap();
    cluster.write_marker("t", 0, 5, 0, false).unwrap();
    cluster
}

/// Sends what `request` makes for each offered version that our own encoder knows.
async fn check<R: Request>(release: Release, request: impl Fn(i16) -> R) {
    let key = m::ApiKey::try_from(R::KEY).unwrap();
    let Some((min, max)) = release.versions(key) else { return };
    for version in min.max(R::VERSIONS.min)..=max.min(R::VERSIONS.max) {
        let cluster = busy(release);
        let mut wire = Wire::to(&cluster).await;
        wire.send(version, &request(version)).await;
        assert!(
            wire.receive::<R>(version).await.is_some(),
            "{release}: {key:?} v{version} was not answered"
        );
    }
}

fn group() -> GroupId {
    GroupId(text("g"))
}

fn transactional() -> TransactionalId {
    TransactionalId(text("x"))
}

async fn check_topics(release: Release) {
    check(release, |_| m::MetadataRequest::default().with_topics(Some(Vec::new()))).await;
    check(release, |_| {
        let names = ["t", "missing", "no good"].map(|name| {
            m::metadata_request::MetadataRequestTopic::default().with_name(Some(topic_name(name)))
        });
        m::MetadataRequest::default().with_topics(Some(names.to_vec()))
    })
    .await;
    check(release, |_| {
        let topic = |name, partitions| {
            m::create_topics_request::CreatableTopic::default()
                .with_name(topic_name(name))
                .with_num_partitions(partitions)
                .with_replication_factor(1)
        };
        m::CreateTopicsRequest::default().with_topics(vec![
            topic("new", 1),
            topic("t", 1),
            topic("bad", 0),
        ])
    })
    .await;
    check(release, |version| {
        let names = [topic_name("t"), topic_name("missing")];
        if version >= 6 {
            let topics = names.map(|name| {
                m::delete_topics_request::DeleteTopicState::default().with_name(Some(name))
            });
            m::DeleteTopicsRequest::default().with_topics(topics.to_vec())
        } else {
            m::DeleteTopicsRequest::default().with_topic_names(names.to_vec())
        }
    })
    .await;
    check(release, |_| {
        let topic = |name| {
            m::create_partitions_request::CreatePartitionsTopic::default()
                .with_name(topic_name(name))
                .with_count(3)
                .with_assignments(None)
        };
        m::CreatePartitionsRequest::default().with_topics(vec![topic("t"), topic("missing")])
    })
    .await;
    check(release, |_| {
        let resource = |kind, name| {
            m::describe_configs_request::DescribeConfigsResource::default()
                .with_resource_type(kind)
                .with_resource_name(text(name))
                .with_configuration_keys(None)
        };
        let resources =
            vec![resource(2, "t"), resource(2, "missing"), resource(4, "1"), resource(9, "x")];
        m::DescribeConfigsRequest::default().with_resources(resources)
    })
    .await;
    check(release, |_| {
        let resource = m::alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text("t"));
        m::AlterConfigsRequest::default().with_resources(vec![resource])
    })
    .await;
    check(release, |_| {
        let resource = m::incremental_alter_configs_request::AlterConfigsResource::default()
            .with_resource_type(2)
            .with_resource_name(text("t"));
        m::IncrementalAlterConfigsRequest::default().with_resources(vec![resource])
    })
    .await;
}

async fn check_acls(release: Release) {
    check(release, |_| {
        m::DescribeAclsRequest::default()
            .with_resource_type_filter(1)
            .with_pattern_type_filter(3)
            .with_operation(1)
            .with_permission_type(1)
    })
    .await;
    check(release, |_| {
        let creation = m::create_acls_request::AclCreation::default()
            .with_resource_type(2)
            .with_resource_name(text("t"))
            .with_principal(text("User:u"))
            .with_host(text("*"))
            .with_operation(3)
            .with_permission_type(3);
        m::CreateAclsRequest::default().with_creations(vec![creation])
    })
    .await;
    check(release, |_| {
        let filter = m::delete_acls_request::DeleteAclsFilter::default()
            .with_resource_type_filter(1)
            .with_operation(1)
            .with_permission_type(1);
        m::DeleteAclsRequest::default().with_filters(vec![filter])
    })
    .await;
}

async fn check_logs(release: Release) {
    check(release, |_| {
        let topic = |name| {
            let partition = |timestamp| {
                m::list_offsets_request::ListOffsetsPartition::default()
                    .with_timestamp(timestamp)
                    .with_current_leader_epoch(-1)
            };
            let partitions = [-1, -2, 0].map(partition).to_vec();
            m::list_offsets_request::ListOffsetsTopic::default()
                .with_name(topic_name(name))
                .with_partitions(partitions)
        };
        m::ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_topics(vec![topic("t"), topic("missing")])
    })
    .await;
    check(release, |_| {
        let partition = m::offset_for_leader_epoch_request::OffsetForLeaderPartition::default()
            .with_current_leader_epoch(-1)
            .with_leader_epoch(0);
        let topic = m::offset_for_leader_epoch_request::OffsetForLeaderTopic::default()
            .with_topic(topic_name("t"))
            .with_partitions(vec![partition]);
        m::OffsetForLeaderEpochRequest::default()
            .with_replica_id(BrokerId(-2))
            .with_topics(vec![topic])
    })
    .await;
    check(release, |_| {
        let partition = m::delete_records_request::DeleteRecordsPartition::default().with_offset(1);
        let topic = m::delete_records_request::DeleteRecordsTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![partition]);
        m::DeleteRecordsRequest::default().with_topics(vec![topic])
    })
    .await;
    check(release, |_| {
        let topic = m::describe_producers_request::TopicRequest::default()
            .with_name(topic_name("t"))
            .with_partition_indexes(vec![0, 9]);
        m::DescribeProducersRequest::default().with_topics(vec![topic])
    })
    .await;
}

async fn check_groups(release: Release) {
    check(release, |version| {
        let request = m::FindCoordinatorRequest::default();
        if version >= 4 {
            request.with_coordinator_keys(vec![text("g")])
        } else {
            request.with_key(text("g"))
        }
    })
    .await;
    check(release, |_| {
        let partition = m::offset_commit_request::OffsetCommitRequestPartition::default()
            .with_committed_offset(3);
        let topic = m::offset_commit_request::OffsetCommitRequestTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![partition]);
        m::OffsetCommitRequest::default()
            .with_group_id(group())
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic])
    })
    .await;
    check(release, |version| {
        if version >= 8 {
            let group = m::offset_fetch_request::OffsetFetchRequestGroup::default()
                .with_group_id(group())
                .with_topics(None);
            return m::OffsetFetchRequest::default().with_groups(vec![group]);
        }
        let topic = m::offset_fetch_request::OffsetFetchRequestTopic::default()
            .with_name(topic_name("t"))
            .with_partition_indexes(vec![0]);
        m::OffsetFetchRequest::default().with_group_id(group()).with_topics(Some(vec![topic]))
    })
    .await;
    check(release, |_| m::ListGroupsRequest::default()).await;
    check(release, |_| m::DescribeGroupsRequest::default().with_groups(vec![group()])).await;
    check(release, |_| m::DeleteGroupsRequest::default().with_groups_names(vec![group()])).await;
    check(release, |_| {
        let protocol =
            m::join_group_request::JoinGroupRequestProtocol::default().with_name(text("range"));
        m::JoinGroupRequest::default()
            .with_group_id(group())
            .with_session_timeout_ms(1000)
            .with_protocol_type(text("consumer"))
            .with_protocols(vec![protocol])
    })
    .await;
    check(release, |_| m::JoinGroupRequest::default().with_group_id(group())).await;
    check(release, |_| m::SyncGroupRequest::default().with_group_id(group())).await;
    check(release, |_| m::HeartbeatRequest::default().with_group_id(group())).await;
    check(release, |version| {
        let request = m::LeaveGroupRequest::default().with_group_id(group());
        if version < 3 { request.with_member_id(text("m")) } else { request }
    })
    .await;
}

async fn check_transactions(release: Release) {
    check(release, |_| m::InitProducerIdRequest::default().with_transaction_timeout_ms(1000)).await;
    check(release, |_| {
        m::InitProducerIdRequest::default()
            .with_transactional_id(Some(transactional()))
            .with_transaction_timeout_ms(1000)
    })
    .await;
    check(release, |version| {
        let topics = vec![
            m::add_partitions_to_txn_request::AddPartitionsToTxnTopic::default()
                .with_name(topic_name("t"))
                .with_partitions(vec![0]),
        ];
        if version < 4 {
            return m::AddPartitionsToTxnRequest::default()
                .with_v3_and_below_transactional_id(transactional())
                .with_v3_and_below_producer_id(ProducerId(1))
                .with_v3_and_below_topics(topics);
        }
        let transaction =
            m::add_partitions_to_txn_request::AddPartitionsToTxnTransaction::default()
                .with_transactional_id(transactional())
                .with_topics(topics);
        m::AddPartitionsToTxnRequest::default().with_transactions(vec![transaction])
    })
    .await;
    check(release, |_| {
        m::AddOffsetsToTxnRequest::default()
            .with_transactional_id(transactional())
            .with_group_id(group())
    })
    .await;
    check(release, |_| m::EndTxnRequest::default().with_transactional_id(transactional())).await;
    check(release, |_| {
        let partition = m::txn_offset_commit_request::TxnOffsetCommitRequestPartition::default();
        let topic = m::txn_offset_commit_request::TxnOffsetCommitRequestTopic::default()
            .with_name(topic_name("t"))
            .with_partitions(vec![partition]);
        m::TxnOffsetCommitRequest::default()
            .with_transactional_id(transactional())
            .with_group_id(group())
            .with_topics(vec![topic])
    })
    .await;
    check(release, |_| {
        let topic = m::write_txn_markers_request::WritableTxnMarkerTopic::default()
            .with_name(topic_name("t"))
            .with_partition_indexes(vec![0]);
        let marker =
            m::write_txn_markers_request::WritableTxnMarker::default().with_topics(vec![topic]);
        m::WriteTxnMarkersRequest::default().with_markers(vec![marker])
    })
    .await;
    check(release, |_| m::DescribeClusterRequest::default()).await;
    check(release, |_| m::SaslHandshakeRequest::default()).await;
    check(release, |_| m::SaslAuthenticateRequest::default()).await;
}

#[tokio::test(start_paused = true)]
async fn every_offered_version_is_answered() {
    for release in Release::ALL {
        check_topics(release).await;
        check_acls(release).await;
        check_logs(release).await;
        check_groups(release).await;
        check_transactions(release).await;
    }
}

#[tokio::test(start_paused = true)]
async fn produce_is_answered_in_every_version_whatever_went_wrong() {
    for release in Release::ALL {
        check(release, |version| {
            let mut request = crate::wire::produce_request(
                None,
                &[("t", 0, crate::wire::batch(1)), ("missing", 0, crate::wire::batch(1))],
            );
            if version >= 13 {
                request.topic_data.iter_mut().for_each(|topic| topic.name = topic_name(""));
            }
            request
        })
        .await;
    }
}
