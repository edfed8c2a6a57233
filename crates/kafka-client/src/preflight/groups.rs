//! What this user may do with consumer groups, for tasks that carry their offsets over.
//!
//! Asked about a group and a topic that nobody has: brokers check the right on the group before anything else (P13), and a
//! commit for a topic that does not exist is refused without a trace.

use kafka_wire::ErrorCode;
use tokio::time::Instant;

use super::{Outcome, Role, StepKind, Steps, cause};
use crate::{Client, ClientError, OffsetToCommit, TopicPartition};

/// Reports the operations on groups that the role needs.
pub(super) async fn check(client: &Client, role: Role, steps: &mut Steps<'_>) {
    let name = format!("kferry-check-{:016x}", fastrand::u64(..));
    let started = Instant::now();
    let answer = describe(client, &name).await;
    let outcome = match (role, answer) {
        (Role::Source, Ok(code)) if is_denied(code) => hidden(client, code).await,
        (_, answer) => judged(answer, "Describe"),
    };
    steps.end(StepKind::Permission, "DESCRIBE on groups", outcome, started.elapsed());
    if role == Role::Target {
        let started = Instant::now();
        let outcome = judged(commit(client, &name).await, "Read");
        steps.end(StepKind::Permission, "READ on groups", outcome, started.elapsed());
    }
}

/// OffsetFetch, behind FindCoordinator: both need DESCRIBE.
async fn describe(client: &Client, group: &str) -> Result<ErrorCode, ClientError> {
    let fetched = client.offset_fetch_groups(vec![group.to_owned()], false).await;
    code(
        fetched
            .map(|mut groups| groups.remove(group).and_then(Result::err).map(|error| error.code)),
    )
}

async fn commit(client: &Client, group: &str) -> Result<ErrorCode, ClientError> {
    let at = TopicPartition::new(group, 0);
    let nothing = OffsetToCommit { at: at.clone(), offset: 0, metadata: None };
    let committed = client.offset_commit(group, vec![nothing]).await;
    code(committed.map(|mut codes| codes.remove(&at).and_then(Result::err)))
}

fn code(answer: Result<Option<ErrorCode>, ClientError>) -> Result<ErrorCode, ClientError> {
    match answer {
        Ok(code) => Ok(code.unwrap_or(ErrorCode::NONE)),
        Err(error) => error.code().ok_or(error),
    }
}

fn is_denied(code: ErrorCode) -> bool {
    code == ErrorCode::GROUP_AUTHORIZATION_FAILED
}

/// The right may be given for some groups only: those are listed, the others are not.
async fn hidden(client: &Client, code: ErrorCode) -> Outcome {
    match client.list_groups().await {
        Ok(groups) if !groups.is_empty() => Outcome::Warned {
            cause: format!(
                "{} groups are visible; others, if there are any, are hidden and not carried over",
                groups.len()
            ),
            cure: Some(grant("Describe")),
        },
        _ => denied(code, "Describe"),
    }
}

fn judged(answer: Result<ErrorCode, ClientError>, operation: &str) -> Outcome {
    match answer {
        Ok(code) if is_denied(code) => denied(code, operation),
        Ok(_) => Outcome::Passed { detail: "allowed".to_owned() },
        Err(error) => Outcome::Unknown { cause: cause(&error) },
    }
}

fn denied(code: ErrorCode, operation: &str) -> Outcome {
    Outcome::Failed { cause: format!("denied ({code})"), cure: Some(grant(operation)) }
}

fn grant(operation: &str) -> String {
    format!(
        "grant it, for instance: kafka-acls.sh --add --allow-principal User:NAME --operation {operation} --group '*'"
    )
}
