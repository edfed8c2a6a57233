//! Makes the source's groups known on the target, without a position.
//!
//! A commit of −1 makes a group: it is listed, OffsetFetch answers −1, and its consumers begin where their own
//! `auto.offset.reset` says (P7). Groups that exist on the target are left alone.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _};
use kafka_client::{Client, ClientError, OffsetToCommit, TopicPartition};
use kafka_wire::ErrorCode;

use super::{GroupSync, LookError};
use crate::task::Role;

/// Commits under way at a time.
const CONCURRENCY: usize = 16;

/// Groups of the source, compared with those of the target.
#[derive(Debug, Default)]
pub(crate) struct MissingGroups {
    /// Those that the target lacks, with the target partitions on which they have offsets.
    pub(crate) wanted: BTreeMap<String, BTreeSet<TopicPartition>>,
    /// Those that the target has.
    pub(crate) existing: BTreeSet<String>,
    /// Those whose offsets cannot be read, and why.
    pub(crate) refused: Vec<(String, String)>,
}

/// Which groups the target lacks that have offsets on partitions in scope: `target_of` tells where those go.
///
/// # Errors
/// What a cluster answers, and which one.
pub(crate) async fn missing_groups(
    source: &Client,
    target: &Client,
    target_of: impl Fn(&TopicPartition) -> Option<TopicPartition>,
) -> Result<MissingGroups, (Role, ClientError)> {
    let failed = |role: Role| move |error: ClientError| (role, error);
    let mut groups = MissingGroups::default();
    let listed = list_with_offsets(source).await.map_err(failed(Role::Source))?;
    if listed.is_empty() {
        return Ok(groups);
    }
    let existing = target.list_groups().await.map_err(failed(Role::Target))?;
    let existing: BTreeSet<_> = existing.into_iter().map(|group| group.group_id).collect();
    let missing: Vec<_> = listed.difference(&existing).cloned().collect();
    groups.existing = listed.intersection(&existing).cloned().collect();
    let answers = source.offset_fetch_groups(missing, true).await.map_err(failed(Role::Source))?;
    for (name, answer) in answers {
        match answer {
            Ok(offsets) => {
                let readers = offsets
                    .iter()
                    .filter(|(_, committed)| committed.as_ref().map_or(true, super::is_readers));
                let at: BTreeSet<_> = readers.filter_map(|(at, _)| target_of(at)).collect();
                if !at.is_empty() {
                    groups.wanted.insert(name, at);
                }
            }
            Err(error) => groups.refused.push((name, error.to_string())),
        }
    }
    Ok(groups)
}

/// Whether the group may not be touched, whichever request was told so.
pub(super) fn is_forbidden(error: &ClientError) -> bool {
    error.code() == Some(ErrorCode::GROUP_AUTHORIZATION_FAILED)
}

/// The ids of all groups that can have offsets.
pub(crate) async fn list_with_offsets(source: &Client) -> Result<BTreeSet<String>, ClientError> {
    let listed = source.list_groups().await?;
    let has_offsets = |group_type: Option<&str>| group_type != Some("share");
    Ok(listed
        .into_iter()
        .filter(|group| has_offsets(group.group_type.as_deref()) && !group.group_id.is_empty())
        .map(|group| group.group_id)
        .collect())
}

impl GroupSync {
    /// One comparison of the groups of both clusters.
    pub(super) async fn make_structure(&mut self) -> Result<(), LookError> {
        let routes = self.routes.snapshot();
        let missing = missing_groups(&self.source, &self.target, |at| routes.target_of(at)).await;
        let MissingGroups { wanted, refused, .. } =
            missing.map_err(|(role, error)| LookError::Client(role, error))?;
        for (name, cause) in refused {
            self.tell.refused(&name, None, cause);
        }
        if !self.spec.group_auto_create {
            let names = wanted.into_keys().collect();
            self.tell.skipped(names, "group_auto_create is off for the target");
            return Ok(());
        }
        let target = self.target.clone();
        let mut done = stream::iter(wanted)
            .map(|(name, partitions)| {
                let target = target.clone();
                let count = partitions.len();
                let offsets = partitions
                    .into_iter()
                    .map(|at| OffsetToCommit { at, offset: -1, metadata: None })
                    .collect();
                async move {
                    let result = target.offset_commit(&name, offsets).await;
                    (name, count, result)
                }
            })
            .buffer_unordered(CONCURRENCY);
        let mut forbidden = Vec::new();
        while let Some((name, count, result)) = done.next().await {
            let result = match result {
                Ok(answer) => answer.into_values().find_map(Result::err).map_or(Ok(()), Err),
                // Without DESCRIBE a broker does not even tell who coordinates the group.
                Err(error) if is_forbidden(&error) => Err(ErrorCode::GROUP_AUTHORIZATION_FAILED),
                Err(error) => {
                    self.tell.refused(&name, None, error.to_string());
                    continue;
                }
            };
            match result {
                Ok(()) => self.tell.created(&name, count),
                Err(ErrorCode::GROUP_AUTHORIZATION_FAILED) => forbidden.push(name),
                // Its consumers came first.
                Err(ErrorCode::UNKNOWN_MEMBER_ID | ErrorCode::REBALANCE_IN_PROGRESS) => {}
                Err(code) => self.tell.refused(&name, None, code.to_string()),
            }
        }
        self.tell.skipped(forbidden, "the target answered GROUP_AUTHORIZATION_FAILED");
        Ok(())
    }
}
