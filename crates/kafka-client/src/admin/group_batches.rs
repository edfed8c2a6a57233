//! What many groups have committed, in as few requests as the brokers' releases allow.
//!
//! From 3.0 on one FindCoordinator names the coordinators of many groups (KIP-699) and one OffsetFetch asks about
//! many (KIP-709). Older brokers are asked group by group, a bounded number at a time.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{
    future::join_all,
    stream::{self, StreamExt as _},
};
use kafka_wire::{
    ErrorCode, Retry,
    messages::{FindCoordinatorRequest, OffsetFetchRequest},
    protocol::StrBytes,
};

use super::offset_fetch::{BATCHED_VERSION, Committed, batched, request, requests_all, single};
use crate::{Client, ClientError, CoordinatorKind, TopicError};

/// Groups in one request: bounds the answer (BF-43).
const GROUPS_PER_REQUEST: usize = 250;

/// Requests under way at a time, and single questions under way per broker that cannot batch.
const CONCURRENCY: usize = 16;

/// Rounds in which coordinators that moved are looked for again.
const ROUNDS: u32 = 3;

/// The result of one group.
type GroupResult = Result<Committed, TopicError>;

/// Results by group.
type Results<T> = Vec<(String, Result<T, TopicError>)>;

impl Client {
    /// All committed offsets of many groups.
    ///
    /// With `require_stable` a partition that an open transaction is about to commit answers
    /// `UNSTABLE_OFFSET_COMMIT` (BF-36); it is not waited for. Coordinators that do not answer within a few rounds leave
    /// their groups with an error.
    ///
    /// # Errors
    /// What concerns every group: closed client, unsupported release, no broker. Otherwise each group has its result.
    /// # Source
    /// KIP-699, KIP-709; `KafkaApis.handleOffsetFetchRequest` in Apache Kafka.
    pub async fn offset_fetch_groups(
        &self,
        groups: Vec<String>,
        require_stable: bool,
    ) -> Result<BTreeMap<String, GroupResult>, ClientError> {
        let mut results = BTreeMap::new();
        let mut pending: BTreeSet<String> = groups.into_iter().collect();
        let mut attempts = self.attempts();
        for round in 1..=ROUNDS {
            if pending.is_empty() {
                break;
            }
            let mut failed = BTreeMap::new();
            let by_coordinator = self.group_coordinators(&pending, &mut failed).await?;
            let pages = by_coordinator.iter().flat_map(|(broker, groups)| {
                groups.chunks(GROUPS_PER_REQUEST).map(move |page| (*broker, page.to_vec()))
            });
            let pages: Vec<_> = pages.collect();
            let mut answers = stream::iter(pages)
                .map(|(broker, page)| self.offset_fetch_page(broker, page, require_stable))
                .buffer_unordered(CONCURRENCY);
            while let Some(answered) = answers.next().await {
                for (group, result) in answered? {
                    match result {
                        Err(error) if error.retry() != Retry::Never => {
                            self.forget_coordinator(CoordinatorKind::Group, &group);
                            failed.insert(group, error);
                        }
                        result => {
                            pending.remove(&group);
                            results.insert(group, result);
                        }
                    }
                }
            }
            for (group, error) in &failed {
                if error.retry() == Retry::Never {
                    pending.remove(group);
                    results.insert(group.clone(), Err(error.clone()));
                }
            }
            let is_last = round == ROUNDS || pending.is_empty() || !attempts.pause_once().await;
            if is_last {
                for group in std::mem::take(&mut pending) {
                    let error = failed
                        .remove(&group)
                        .unwrap_or_else(|| ErrorCode::COORDINATOR_NOT_AVAILABLE.into());
                    results.insert(group, Err(error));
                }
            }
        }
        Ok(results)
    }

    /// Groups by coordinator; those that have none at the moment are in `failed`.
    async fn group_coordinators(
        &self,
        groups: &BTreeSet<String>,
        failed: &mut BTreeMap<String, TopicError>,
    ) -> Result<BTreeMap<i32, Vec<String>>, ClientError> {
        let mut found: BTreeMap<i32, Vec<String>> = BTreeMap::new();
        let mut unknown = Vec::new();
        for group in groups {
            match self.known_coordinator(CoordinatorKind::Group, group) {
                Some(broker) => found.entry(broker).or_default().push(group.clone()),
                None => unknown.push(group.clone()),
            }
        }
        for page in unknown.chunks(GROUPS_PER_REQUEST) {
            for (group, answer) in self.find_group_coordinators(page).await? {
                match answer {
                    Ok(broker) => {
                        self.remember_coordinator(CoordinatorKind::Group, &group, broker);
                        found.entry(broker).or_default().push(group);
                    }
                    Err(error) => _ = failed.insert(group, error),
                }
            }
        }
        Ok(found)
    }

    async fn find_group_coordinators(
        &self,
        groups: &[String],
    ) -> Result<Results<i32>, ClientError> {
        let connection = self.any_broker().await?;
        let version = connection.version_for::<FindCoordinatorRequest>(None)?;
        if version >= 4 {
            let keys = groups.iter().map(|group| StrBytes::from_string(group.clone())).collect();
            let request = FindCoordinatorRequest::default().with_coordinator_keys(keys);
            let response = match connection.call(request).await {
                Ok(response) => response,
                Err(error) => return failure(error, groups),
            };
            return Ok(response
                .coordinators
                .into_iter()
                .map(|found| {
                    let answer =
                        TopicError::check(found.error_code, found.error_message.as_deref())
                            .map(|()| found.node_id.0);
                    (found.key.to_string(), answer)
                })
                .collect());
        }
        let mut answers = Vec::new();
        for some in groups.chunks(CONCURRENCY) {
            let asked = some.iter().map(|group| {
                let key = StrBytes::from_string(group.clone());
                connection.call(FindCoordinatorRequest::default().with_key(key))
            });
            for (group, response) in some.iter().zip(join_all(asked).await) {
                let answer = match response {
                    Ok(found) => {
                        TopicError::check(found.error_code, found.error_message.as_deref())
                            .map(|()| found.node_id.0)
                    }
                    Err(error) => Err(of_client(error)?),
                };
                answers.push((group.clone(), answer));
            }
        }
        Ok(answers)
    }

    /// Asks one coordinator about groups.
    async fn offset_fetch_page(
        &self,
        broker: i32,
        groups: Vec<String>,
        require_stable: bool,
    ) -> Result<Results<Committed>, ClientError> {
        let connection = match self.broker(broker).await {
            Ok(connection) => connection,
            Err(error) => return failure(error, &groups),
        };
        let version = connection.version_for::<OffsetFetchRequest>(None)?;
        if version >= BATCHED_VERSION {
            let asked = requests_all(&groups, require_stable);
            return match connection.call(asked).await {
                Ok(mut response) => Ok(groups
                    .into_iter()
                    .map(|group| {
                        let answer = batched(&mut response, &group);
                        (group, answer)
                    })
                    .collect()),
                Err(error) => failure(error, &groups),
            };
        }
        if version < 2 {
            return Err(connection.unsupported(kafka_wire::messages::ApiKey::OffsetFetch, Some(2)));
        }
        let mut answers = Vec::new();
        for some in groups.chunks(CONCURRENCY) {
            let asked = some
                .iter()
                .map(|group| connection.call(request(group, None, require_stable, version)));
            for (group, response) in some.iter().zip(join_all(asked).await) {
                let answer = match response {
                    Ok(response) => single(response),
                    Err(error) => Err(of_client(error)?),
                };
                answers.push((group.clone(), answer));
            }
        }
        Ok(answers)
    }
}

/// The same failure for each of `groups`, unless it concerns everything.
fn failure<T>(error: ClientError, groups: &[String]) -> Result<Results<T>, ClientError> {
    let error = of_client(error)?;
    Ok(groups.iter().map(|group| (group.clone(), Err(error.clone()))).collect())
}

/// A lost connection or a time-out as the error of an item; what cannot end by itself stays an error of the call.
fn of_client(error: ClientError) -> Result<TopicError, ClientError> {
    match error.code() {
        _ if error.retry() == Retry::Never && error.code().is_none() => Err(error),
        code => Ok(TopicError {
            code: code.unwrap_or(ErrorCode::NETWORK_EXCEPTION),
            message: Some(error.to_string().into()),
        }),
    }
}
