//! Requests on their way to the broker in charge: found, asked, and looked for again when it has moved.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use kafka_wire::{ErrorCode, Retry, messages::ApiKey, protocol};

use super::{Client, CoordinatorKind, retry::Attempts};
use crate::{
    BoxFuture, BrokerConnection, CallOptions, ClientError, ClusterMetadata, TopicPartition,
    TopicQuery,
};

/// Who answers a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    Any,
    Broker(i32),
    Controller,
    Coordinator(CoordinatorKind, &'a str),
}

/// Whether a request may be sent again when its answer is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// It changes nothing, or nothing more the second time.
    Safe,
    /// The second answer would tell of the first try's success as an error: the caller must look.
    Unsafe,
}

/// One item of a request to partition leaders.
#[derive(Clone, Debug)]
pub(crate) struct LeaderItem<I> {
    pub(crate) at: TopicPartition,
    /// The leader epoch that Metadata shows; -1 if unknown.
    pub(crate) leader_epoch: i32,
    pub(crate) input: I,
}

/// The answers of one leader.
pub(crate) type LeaderAnswers<T> = Vec<(TopicPartition, Result<T, ErrorCode>)>;

/// Rounds in which a topic that fresh metadata does not know is looked for: it may just have been created.
const UNKNOWN_TOPIC_ROUNDS: u32 = 5;

impl Client {
    async fn reach(&self, target: Target<'_>) -> Result<BrokerConnection, ClientError> {
        match target {
            Target::Any => self.any_broker().await,
            Target::Broker(id) => self.broker(id).await,
            Target::Controller => self.controller().await,
            Target::Coordinator(kind, key) => self.coordinator(kind, key).await,
        }
    }

    fn forget(&self, target: Target<'_>) {
        match target {
            Target::Any | Target::Broker(_) => {}
            Target::Controller => self.forget_controller(),
            Target::Coordinator(kind, key) => self.forget_coordinator(kind, key),
        }
    }

    /// Sends a request until its answer carries no retriable code, within `retry_time_max`.
    ///
    /// `build` makes the request for the version that this broker gets; `verdict` names the code that decides.
    /// When the time is over, the last answer is returned as it is.
    pub(crate) async fn ask<R: protocol::Request>(
        &self,
        target: Target<'_>,
        repeat: Repeat,
        options: CallOptions,
        build: impl Fn(&BrokerConnection, i16) -> Result<R, ClientError>,
        verdict: impl Fn(&R::Response) -> ErrorCode,
    ) -> Result<(R::Response, i16), ClientError> {
        let mut attempts = self.attempts();
        loop {
            let failed = match self.ask_once(target, options, &build).await {
                Ok((response, version)) => {
                    let code = verdict(&response);
                    match code.retry() {
                        _ if code.is_ok() => return Ok((response, version)),
                        Retry::Never => return Ok((response, version)),
                        Retry::Backoff => {}
                        Retry::RefreshMetadata | Retry::FindCoordinator => self.forget(target),
                    }
                    if !attempts.pause_once().await {
                        return Ok((response, version));
                    }
                    continue;
                }
                Err(error) => error,
            };
            self.forget(target);
            if failed.is_connection() && repeat == Repeat::Unsafe {
                return Err(failed);
            }
            attempts.pause(failed).await?;
        }
    }

    async fn ask_once<R: protocol::Request>(
        &self,
        target: Target<'_>,
        options: CallOptions,
        build: &impl Fn(&BrokerConnection, i16) -> Result<R, ClientError>,
    ) -> Result<(R::Response, i16), ClientError> {
        let connection = self.reach(target).await?;
        let version = connection.version_for::<R>(options.version_max)?;
        let request = build(&connection, version)?;
        let response = connection.call_with(request, options).await?;
        Ok((response, version))
    }

    /// Asks the leaders of partitions, each about its own, all at once; what moved is looked for again.
    ///
    /// Items that have no answer within `retry_time_max` get the code of their last failure
    /// (`NETWORK_EXCEPTION` for a lost connection). Final errors of the client end the whole call.
    pub(crate) async fn ask_leaders<I: Clone + Send, T: Send>(
        &self,
        items: Vec<(TopicPartition, I)>,
        ask: impl for<'a> Fn(
            &'a BrokerConnection,
            Vec<LeaderItem<I>>,
        ) -> BoxFuture<'a, Result<LeaderAnswers<T>, ClientError>>,
    ) -> Result<BTreeMap<TopicPartition, Result<T, ErrorCode>>, ClientError> {
        let mut results = BTreeMap::new();
        let mut pending: BTreeMap<TopicPartition, I> = items.into_iter().collect();
        let mut attempts: Attempts = self.attempts();
        let mut refresh = false;
        let mut rounds = 0;
        while !pending.is_empty() {
            let metadata = self.metadata_of(&pending, refresh).await?;
            let mut failed = BTreeMap::new();
            let groups = group_by_leader(&pending, &metadata, &mut failed);
            let asked = groups.into_iter().map(|(leader, items)| {
                let ask = &ask;
                async move {
                    let names: Vec<_> = items.iter().map(|item| item.at.clone()).collect();
                    let answers = match self.broker(leader).await {
                        Ok(connection) => ask(&connection, items).await,
                        Err(error) => Err(error),
                    };
                    (names, answers)
                }
            });
            for (names, answers) in join_all(asked).await {
                match answers {
                    Ok(answers) => {
                        for (at, answer) in answers {
                            match answer {
                                Err(code) if code.retry() != Retry::Never => {
                                    _ = failed.insert(at, code)
                                }
                                answer => {
                                    pending.remove(&at);
                                    results.insert(at, answer);
                                }
                            }
                        }
                    }
                    Err(error) if error.retry() == Retry::Never => return Err(error),
                    Err(error) => {
                        tracing::debug!(%error, "leader not reached");
                        failed
                            .extend(names.into_iter().map(|at| (at, ErrorCode::NETWORK_EXCEPTION)));
                    }
                }
            }
            rounds += 1;
            let unknown = |code: &ErrorCode| *code == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION;
            let final_code = |code: &ErrorCode| {
                code.retry() == Retry::Never || (unknown(code) && rounds >= UNKNOWN_TOPIC_ROUNDS)
            };
            for (at, code) in failed.iter().filter(|(_, code)| final_code(code)) {
                pending.remove(at);
                results.insert(at.clone(), Err(*code));
            }
            refresh = true;
            if !pending.is_empty() && !attempts.pause_once().await {
                for at in std::mem::take(&mut pending).into_keys() {
                    let code = failed.get(&at).copied().unwrap_or(ErrorCode::UNKNOWN_SERVER_ERROR);
                    results.insert(at, Err(code));
                }
            }
        }
        Ok(results)
    }

    async fn metadata_of<I>(
        &self,
        pending: &BTreeMap<TopicPartition, I>,
        refresh: bool,
    ) -> Result<std::sync::Arc<ClusterMetadata>, ClientError> {
        let mut names: Vec<String> = pending.keys().map(|at| at.topic.clone()).collect();
        names.dedup();
        let query = TopicQuery::Named(names);
        if refresh { self.refresh_metadata(query).await } else { self.metadata(query).await }
    }
}

fn group_by_leader<I: Clone>(
    pending: &BTreeMap<TopicPartition, I>,
    metadata: &ClusterMetadata,
    failed: &mut BTreeMap<TopicPartition, ErrorCode>,
) -> BTreeMap<i32, Vec<LeaderItem<I>>> {
    let mut groups: BTreeMap<i32, Vec<LeaderItem<I>>> = BTreeMap::new();
    for (at, input) in pending {
        match leader_of(metadata, at) {
            Ok((leader, leader_epoch)) => {
                let item = LeaderItem { at: at.clone(), leader_epoch, input: input.clone() };
                groups.entry(leader).or_default().push(item);
            }
            Err(code) => _ = failed.insert(at.clone(), code),
        }
    }
    groups
}

/// Leader and leader epoch of a partition, or why there is none.
fn leader_of(metadata: &ClusterMetadata, at: &TopicPartition) -> Result<(i32, i32), ErrorCode> {
    let topic = metadata.topics.get(&at.topic).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    topic.error.ok()?;
    let partition = topic.partition(at.partition).ok_or(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)?;
    if partition.leader_id >= 0 {
        return Ok((partition.leader_id, partition.leader_epoch));
    }
    Err(if partition.error.is_ok() { ErrorCode::LEADER_NOT_AVAILABLE } else { partition.error })
}

/// Groups partitions of one request by topic, as most requests want them.
pub(crate) fn by_topic<T>(
    items: impl IntoIterator<Item = (TopicPartition, T)>,
) -> BTreeMap<String, Vec<(i32, T)>> {
    let mut topics: BTreeMap<String, Vec<(i32, T)>> = BTreeMap::new();
    for (at, item) in items {
        topics.entry(at.topic).or_default().push((at.partition, item));
    }
    topics
}

/// The code that says "nothing was done, ask again" about every item of a controller's answer, else `NONE`.
///
/// As soon as one item fared otherwise, the answer goes to the caller: repeating it would report a success as
/// "exists already".
pub(crate) fn nothing_done(codes: impl IntoIterator<Item = i16>) -> ErrorCode {
    let mut codes = codes.into_iter().map(ErrorCode);
    let Some(first) = codes.next() else { return ErrorCode::NONE };
    let again = matches!(first, ErrorCode::NOT_CONTROLLER | ErrorCode::THROTTLING_QUOTA_EXCEEDED);
    if again && codes.all(|code| code == first) { first } else { ErrorCode::NONE }
}

/// A whole answer's code as an error.
pub(crate) fn whole(
    api: ApiKey,
    about: &str,
    code: i16,
    message: Option<&str>,
) -> Result<(), ClientError> {
    ErrorCode(code).ok().map_err(|code| ClientError::of_code(api, about, code, message))
}
