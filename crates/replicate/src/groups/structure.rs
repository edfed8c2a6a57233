//! Makes the source's groups known on the target, without a position.
//!
//! A commit of −1 makes a group: it is listed, OffsetFetch answers −1, and its consumers begin where their own
//! `auto.offset.reset` says (P7). Groups that exist on the target are left alone.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{self, StreamExt as _};
use kafka_client::{ClientError, OffsetToCommit};
use kafka_wire::ErrorCode;

use super::{GroupSync, LookError};
use crate::task::Role;

/// Commits under way at a time.
const CONCURRENCY: usize = 16;

impl GroupSync {
    /// One comparison of the groups of both clusters.
    pub(super) async fn make_structure(&mut self) -> Result<(), LookError> {
        let failed = |role: Role| move |error: ClientError| LookError::Client(role, error);
        let listed = self.list_source().await?;
        if listed.is_empty() {
            return Ok(());
        }
        let existing = self.target.list_groups().await.map_err(failed(Role::Target))?;
        let existing: BTreeSet<_> = existing.into_iter().map(|group| group.group_id).collect();
        let missing: Vec<_> = listed.difference(&existing).cloned().collect();
        let answers =
            self.source.offset_fetch_groups(missing, true).await.map_err(failed(Role::Source))?;
        let routes = self.routes.snapshot();
        let mut wanted = BTreeMap::new();
        for (name, answer) in answers {
            match answer {
                Ok(offsets) => {
                    let at: BTreeSet<_> =
                        offsets.keys().filter_map(|at| routes.target_of(at)).collect();
                    if !at.is_empty() {
                        wanted.insert(name, at);
                    }
                }
                Err(error) => self.tell.refused(&name, None, error.to_string()),
            }
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
