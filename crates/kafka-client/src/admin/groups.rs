//! ListGroups and DescribeGroups.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::future::join_all;
use kafka_wire::{
    ErrorCode, Retry,
    messages::{
        ApiKey, DescribeGroupsRequest, ListGroupsRequest,
        describe_groups_response::{DescribedGroup as WireGroup, DescribedGroupMember},
    },
};

use super::group_id;
use crate::{
    CallOptions, Client, ClientError, CoordinatorKind, TopicError, TopicQuery,
    client::route::{Repeat, Target, whole},
};

/// A group as ListGroups shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedGroup {
    /// The group's id.
    pub group_id: String,
    /// `consumer`, `connect`…; empty for groups that only commit offsets.
    pub protocol_type: String,
    /// `Stable`, `Empty`…; none before 2.6.
    pub state: Option<String>,
    /// `classic`, `consumer`, `share`…; none before 3.8.
    pub group_type: Option<String>,
}

/// A group as DescribeGroups shows it. A living KIP-848 group appears as `Dead` without members (broker-probes P7).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedGroup {
    /// The group's id.
    pub group_id: String,
    /// `Stable`, `Empty`, `PreparingRebalance`, `CompletingRebalance`, `Dead`.
    pub state: String,
    /// `consumer`, `connect`…; empty for groups that only commit offsets.
    pub protocol_type: String,
    /// The assignor in use.
    pub protocol: String,
    /// Its members.
    pub members: Vec<GroupMember>,
}

/// A member of a classic group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMember {
    /// Given by the coordinator.
    pub member_id: String,
    /// Given by the member, if it is static (KIP-345).
    pub group_instance_id: Option<String>,
    /// The member's `client.id`.
    pub client_id: String,
    /// Where it connects from.
    pub client_host: String,
    /// Its assignment, as the group protocol encodes it.
    pub assignment: Bytes,
}

impl Client {
    /// All groups, asked of every broker. A group whose coordinator moves meanwhile may be missing.
    ///
    /// # Errors
    /// When one of the brokers does not answer: a list with a hole would look complete.
    pub async fn list_groups(&self) -> Result<Vec<ListedGroup>, ClientError> {
        let metadata = self.refresh_metadata(TopicQuery::Named(Vec::new())).await?;
        let asked = metadata.brokers.keys().map(|broker_id| self.list_groups_of(*broker_id));
        let mut groups = BTreeMap::new();
        for answer in join_all(asked).await {
            groups.extend(answer?.into_iter().map(|group| (group.group_id.clone(), group)));
        }
        Ok(groups.into_values().collect())
    }

    async fn list_groups_of(&self, broker_id: i32) -> Result<Vec<ListedGroup>, ClientError> {
        let (response, version) = self
            .ask::<ListGroupsRequest>(
                Target::Broker(broker_id),
                Repeat::Safe,
                CallOptions::default(),
                |_, _| Ok(ListGroupsRequest::default()),
                |response| ErrorCode(response.error_code),
            )
            .await?;
        whole(ApiKey::ListGroups, &format!("broker {broker_id}"), response.error_code, None)?;
        let groups = response.groups.into_iter().map(|group| ListedGroup {
            group_id: group.group_id.to_string(),
            protocol_type: group.protocol_type.to_string(),
            state: (version >= 4).then(|| group.group_state.to_string()),
            group_type: (version >= 5).then(|| group.group_type.to_string()),
        });
        Ok(groups.collect())
    }

    /// State and members of groups, each asked of its coordinator.
    ///
    /// # Errors
    /// None but those that concern every group (closed client, unsupported release); otherwise each group has its result.
    pub async fn describe_groups(
        &self,
        groups: Vec<String>,
    ) -> Result<BTreeMap<String, Result<DescribedGroup, TopicError>>, ClientError> {
        let asked = groups.into_iter().map(|group| async move {
            let described = self.describe_group(&group).await;
            (group, described)
        });
        let mut results = BTreeMap::new();
        for (group, described) in join_all(asked).await {
            let result = match described {
                Ok(result) => result,
                Err(error) => match error.code() {
                    Some(code) => Err(TopicError { code, message: Some(error.to_string().into()) }),
                    None if error.retry() == Retry::Never => return Err(error),
                    None => Err(TopicError {
                        code: ErrorCode::NETWORK_EXCEPTION,
                        message: Some(error.to_string().into()),
                    }),
                },
            };
            results.insert(group, result);
        }
        Ok(results)
    }

    async fn describe_group(
        &self,
        group: &str,
    ) -> Result<Result<DescribedGroup, TopicError>, ClientError> {
        let (response, _) = self
            .ask::<DescribeGroupsRequest>(
                Target::Coordinator(CoordinatorKind::Group, group),
                Repeat::Safe,
                CallOptions::default(),
                |_, _| Ok(DescribeGroupsRequest::default().with_groups(vec![group_id(group)])),
                |response| {
                    response
                        .groups
                        .first()
                        .map_or(ErrorCode::NONE, |group| ErrorCode(group.error_code))
                },
            )
            .await?;
        let missing =
            || ClientError::Incomplete { api: ApiKey::DescribeGroups, about: group.to_owned() };
        let found = response.groups.into_iter().next().ok_or_else(missing)?;
        Ok(TopicError::check(found.error_code, found.error_message.as_deref())
            .map(|()| described(found)))
    }
}

fn described(group: WireGroup) -> DescribedGroup {
    DescribedGroup {
        group_id: group.group_id.to_string(),
        state: group.group_state.to_string(),
        protocol_type: group.protocol_type.to_string(),
        protocol: group.protocol_data.to_string(),
        members: group.members.into_iter().map(member).collect(),
    }
}

fn member(member: DescribedGroupMember) -> GroupMember {
    GroupMember {
        member_id: member.member_id.to_string(),
        group_instance_id: member.group_instance_id.map(|id| id.to_string()),
        client_id: member.client_id.to_string(),
        client_host: member.client_host.to_string(),
        assignment: member.member_assignment,
    }
}
