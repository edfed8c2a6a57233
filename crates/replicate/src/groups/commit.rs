//! Looks at the groups on the target, and commits what they lack.

use std::collections::BTreeMap;
use std::time::Duration;

use forward::planted::{Bug, has};
use futures_util::stream::{self, StreamExt as _};
use kafka_client::{
    ClientError, Committed, ListedGroup, OffsetToCommit, TopicError, TopicPartition,
};
use kafka_wire::ErrorCode;
use tokio::time::{Instant, timeout};

use super::plan::{Adopted, Claimed, Decision, Found, decide, meet};
use super::routes::Snapshot;
use super::state::Wish;
use super::structure::is_forbidden;
use super::{GroupSync, LookError, TARGET_LOOK_INTERVAL};
use crate::event::TakeOver;
use crate::journal::JournalWrite;
use crate::progress::GroupState;
use crate::task::Role;

/// Commits under way at a time: the protocol has one request per group.
const CONCURRENCY: usize = 16;

/// How long one group's commit may take before it counts as unanswered.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(15);

/// Pause before a group is tried again whose members only the answer to a commit shows (before 2.6).
const IN_USE_PAUSE_MS: i64 = 5_000;

/// Pause before a refused commit is tried again.
const RETRY_PAUSE_MS: i64 = 30_000;

/// Groups on the target by id, as they are listed, if they are, and what they have.
type TargetGroups = BTreeMap<String, (Option<ListedGroup>, Result<Committed, TopicError>)>;

/// A decided commit.
struct Plan {
    group: String,
    wishes: Vec<Wish>,
    adopted: Option<Adopted>,
    exists: bool,
}

/// The answer to one group's commit.
type Answer = Result<BTreeMap<TopicPartition, Result<(), ErrorCode>>, String>;

impl GroupSync {
    /// Gives the target what it lacks, and notices what others did there.
    pub(super) async fn commit(
        &mut self,
        routes: &Snapshot,
        is_full: bool,
    ) -> Result<(), LookError> {
        let is_full = is_full
            || self.target_looked.is_none_or(|looked| looked.elapsed() >= TARGET_LOOK_INTERVAL);
        let names = self.concerned(is_full);
        let mut plans = Vec::new();
        if !names.is_empty() {
            let found = self.look_at_target(&names).await?;
            plans = self.plan(names, &found, routes);
        }
        if is_full {
            self.target_looked = Some(Instant::now());
        }
        self.journal_changes().await?;
        self.send(plans, routes).await;
        Ok(())
    }

    /// Groups that have something to be written, or must be looked at.
    fn concerned(&self, is_full: bool) -> Vec<String> {
        let now_ms = self.clock.now_ms();
        let keep_alive_ms = self.keep_alive_ms();
        self.groups
            .iter()
            .filter(|(_, group)| !group.seen.is_empty())
            .filter(|(_, group)| {
                is_full
                    || !group.is_met
                    || now_ms >= group.retry_at_ms
                        && (group.is_due(now_ms, keep_alive_ms)
                            || group.wishes().any(|wish| group.lacks(&wish)))
            })
            .map(|(name, _)| name.clone())
            .collect()
    }

    fn keep_alive_ms(&self) -> i64 {
        i64::try_from(self.spec.limits.group_keep_alive.as_millis()).unwrap_or(i64::MAX)
    }

    async fn look_at_target(&self, names: &[String]) -> Result<TargetGroups, LookError> {
        let failed = |error: ClientError| LookError::Client(Role::Target, error);
        let listed = self.target.list_groups().await.map_err(failed)?;
        let mut listed: BTreeMap<_, _> =
            listed.into_iter().map(|group| (group.group_id.clone(), group)).collect();
        listed.retain(|name, _| names.binary_search(name).is_ok());
        // Groups whose coordinator is changing are not listed: whether one exists is seen from what it has.
        let offsets = self.target.offset_fetch_groups(names.to_vec(), false).await;
        Ok(offsets
            .map_err(failed)?
            .into_iter()
            .map(|(name, offsets)| {
                let group = listed.remove(&name);
                (name, (group, offsets))
            })
            .filter(|(_, (group, offsets))| group.is_some() || !is_absent(offsets))
            .collect())
    }

    /// Decides about each group; what others have is told.
    fn plan(&mut self, names: Vec<String>, target: &TargetGroups, routes: &Snapshot) -> Vec<Plan> {
        let now_ms = self.clock.now_ms();
        let keep_alive_ms = self.keep_alive_ms();
        let may_create = self.spec.group_auto_create;
        let mut plans = Vec::new();
        let mut skipped = Vec::new();
        for name in names {
            let found = match found(target.get(&name), routes) {
                Ok(found) => found,
                Err(cause) => {
                    self.refuse(&name, None, cause);
                    continue;
                }
            };
            let Some(group) = self.groups.get_mut(&name) else { continue };
            meet(group, &found);
            let again = group.is_due(now_ms, keep_alive_ms);
            match decide(group, &found, may_create, again) {
                Decision::Skip => {
                    group.trouble = Some(GroupState::Skipped);
                    skipped.push(name);
                }
                Decision::Leave(claimed) => self.leave(&name, claimed),
                Decision::Commit { wishes, adopted } => {
                    if group.trouble == Some(GroupState::Skipped) {
                        group.trouble = None;
                    }
                    if wishes.is_empty() {
                        self.give_back(&name);
                        continue;
                    }
                    for wish in &wishes {
                        group.attempt(wish, now_ms);
                    }
                    plans.push(Plan { group: name, wishes, adopted, exists: found.exists });
                }
            }
        }
        self.tell.skipped(skipped, "group_auto_create is off for the target");
        plans
    }

    /// Makes durable what is about to be sent, so that after a restart our commits are known as ours.
    async fn journal_changes(&mut self) -> Result<(), LookError> {
        let changed = self.groups.iter_mut().filter(|(_, group)| group.is_changed);
        let writes: Vec<_> = changed
            .map(|(name, group)| {
                group.is_changed = false;
                JournalWrite::Group(group.record(name))
            })
            .collect();
        if !writes.is_empty() && !has(Bug::GroupNotJournaled) {
            self.journal.write(writes).await?;
        }
        Ok(())
    }

    async fn send(&mut self, plans: Vec<Plan>, routes: &Snapshot) {
        let client = self.target.clone();
        let mut answers = stream::iter(plans)
            .map(|plan| {
                let client = client.clone();
                let offsets = plan.wishes.iter().filter_map(|wish| {
                    let at = routes.target_of(&wish.at)?;
                    let metadata = Some(wish.metadata.clone());
                    Some(OffsetToCommit { at, offset: wish.target, metadata })
                });
                let offsets: Vec<_> = offsets.collect();
                async move {
                    let asked: Vec<_> = offsets.iter().map(|offset| offset.at.clone()).collect();
                    let sent = client.offset_commit(&plan.group, offsets);
                    let answer = match timeout(COMMIT_TIMEOUT, sent).await {
                        Ok(Ok(answer)) => Ok(answer),
                        Ok(Err(error)) if is_forbidden(&error) => {
                            let refused = Err(ErrorCode::GROUP_AUTHORIZATION_FAILED);
                            Ok(asked.into_iter().map(|at| (at, refused)).collect())
                        }
                        Ok(Err(error)) => Err(error.to_string()),
                        Err(_) => Err(format!("no answer within {COMMIT_TIMEOUT:?}")),
                    };
                    (plan, answer)
                }
            })
            .buffer_unordered(CONCURRENCY);
        let mut ended = Vec::new();
        while let Some(answer) = answers.next().await {
            ended.push(answer);
        }
        drop(answers);
        let mut forbidden = Vec::new();
        for (plan, answer) in ended {
            self.take_answer(plan, answer, routes, &mut forbidden);
        }
        self.tell.skipped(forbidden, "the target answered GROUP_AUTHORIZATION_FAILED");
    }

    /// Books one group's answer.
    fn take_answer(
        &mut self,
        plan: Plan,
        answer: Answer,
        routes: &Snapshot,
        forbidden: &mut Vec<String>,
    ) {
        let Plan { group: name, wishes, adopted, exists } = plan;
        let answer = match answer {
            Ok(answer) => answer,
            Err(cause) => return self.refuse(&name, None, cause),
        };
        let Some(group) = self.groups.get_mut(&name) else { return };
        let mut is_in_use = false;
        let mut is_denied = false;
        let mut refused = Vec::new();
        let mut done = 0;
        for wish in &wishes {
            let result = routes.target_of(&wish.at).and_then(|at| answer.get(&at).copied());
            match result.unwrap_or(Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION)) {
                Ok(()) => {
                    done += 1;
                    group.confirm(wish);
                }
                // Somebody joined after we looked; nothing was changed (P7).
                Err(
                    ErrorCode::UNKNOWN_MEMBER_ID
                    | ErrorCode::REBALANCE_IN_PROGRESS
                    | ErrorCode::ILLEGAL_GENERATION,
                ) => is_in_use = true,
                Err(ErrorCode::GROUP_AUTHORIZATION_FAILED) if !exists => is_denied = true,
                Err(code) => refused.push((wish.at.clone(), code.to_string())),
            }
        }
        if done > 0 && refused.is_empty() {
            group.trouble = None;
            group.retry_at_ms = 0;
            self.tell.is_accepted(&name);
        }
        if done > 0 {
            self.give_back(&name);
        }
        if done > 0 && !exists {
            self.tell.created(&name, done);
        }
        if let Some(adopted) = adopted.filter(|_| done > 0) {
            self.tell.adopted(&name, adopted);
        }
        let Some(group) = self.groups.get_mut(&name) else { return };
        if is_in_use {
            group.retry_at_ms = self.clock.now_ms().saturating_add(IN_USE_PAUSE_MS);
            let reason = TakeOver::Members;
            self.leave(&name, Claimed { reason, at: None, written: -1, found: -1 });
        } else if is_denied {
            group.trouble = Some(GroupState::Skipped);
            group.retry_at_ms = self.clock.now_ms().saturating_add(RETRY_PAUSE_MS);
            forbidden.push(name);
        } else {
            for (at, cause) in refused {
                self.refuse(&name, Some(&at), cause);
            }
        }
    }

    /// Nobody else has the group any more, as the target's own answer shows: before 2.6 only a commit tells.
    fn give_back(&mut self, name: &str) {
        if let Some(group) = self.groups.get_mut(name)
            && group.taken_over.take().is_some()
        {
            group.is_changed = true;
            self.tell.returned(name);
        }
    }

    /// Leaves a group to somebody else; told once.
    fn leave(&mut self, name: &str, claimed: Claimed) {
        let Some(group) = self.groups.get_mut(name) else { return };
        let was_told = group.taken_over.replace(claimed.reason).is_some();
        if !was_told {
            group.is_changed = true;
            self.tell.taken_over(name, claimed);
        }
    }

    /// A group's offsets were refused: it is tried again after a while.
    fn refuse(&mut self, name: &str, at: Option<&TopicPartition>, cause: String) {
        if let Some(group) = self.groups.get_mut(name) {
            group.trouble = Some(GroupState::Refused);
            group.retry_at_ms = self.clock.now_ms().saturating_add(RETRY_PAUSE_MS);
        }
        self.tell.refused(name, at, cause);
    }
}

/// What the target shows of a group, by source partition.
fn found(
    group: Option<&(Option<ListedGroup>, Result<Committed, TopicError>)>,
    routes: &Snapshot,
) -> Result<Found, String> {
    let Some((listed, offsets)) = group else { return Ok(Found::default()) };
    let offsets = offsets.as_ref().map_err(ToString::to_string)?;
    let mut found = Found {
        exists: true,
        has_members: has_members(listed.as_ref().and_then(|group| group.state.as_deref())),
        offsets: BTreeMap::new(),
    };
    for (target, committed) in offsets {
        let Some(at) = routes.source_of(target) else { continue };
        let committed = committed.as_ref().map_err(ToString::to_string)?;
        found.offsets.insert(at, committed.offset);
    }
    Ok(found)
}

/// Whether a group that is not listed does not exist, or is nothing that we may look at: then the commit tells.
fn is_absent(offsets: &Result<Committed, TopicError>) -> bool {
    match offsets {
        Ok(offsets) => offsets.is_empty(),
        Err(error) => matches!(
            error.code,
            ErrorCode::GROUP_ID_NOT_FOUND | ErrorCode::GROUP_AUTHORIZATION_FAILED
        ),
    }
}

/// ListGroups shows the state of classic and KIP-848 groups alike; DescribeGroups calls the latter "Dead" (P7).
fn has_members(state: Option<&str>) -> bool {
    !has(Bug::GroupIgnoresMembers)
        && !matches!(state, None | Some("Empty" | "Dead" | "" | "Unknown"))
}
