//! What this user may do with ACLs, for tasks that carry them over.
//!
//! Asked about ACLs of a topic that nobody has: brokers check the right before anything else, and deleting what is not there
//! changes nothing.

use kafka_wire::ErrorCode;
use tokio::time::Instant;

use super::{Outcome, Role, StepKind, Steps, cause};
use crate::{
    Acl, AclFilter, AclOperation, AclPattern, AclPermission, AclResource, Client, ClientError,
};

/// Reports the operations on the cluster that the role needs for ACLs.
pub(super) async fn check(client: &Client, role: Role, steps: &mut Steps<'_>) {
    let nobodys = AclFilter::exactly(&Acl {
        resource: AclResource::Topic,
        name: format!("kferry-check-{:016x}", fastrand::u64(..)),
        pattern: AclPattern::Literal,
        principal: "User:kferry-check".to_owned(),
        host: "*".to_owned(),
        operation: AclOperation::Read,
        permission: AclPermission::Allow,
    });
    let started = Instant::now();
    let described = client.describe_acls(&nobodys).await.map(drop);
    let outcome = judged(described, "Describe");
    steps.end(StepKind::Permission, "DESCRIBE on the cluster (ACLs)", outcome, started.elapsed());
    if role == Role::Target {
        let started = Instant::now();
        let outcome = judged(delete(client, nobodys).await, "Alter");
        steps.end(StepKind::Permission, "ALTER on the cluster (ACLs)", outcome, started.elapsed());
    }
}

async fn delete(client: &Client, nobodys: AclFilter) -> Result<(), ClientError> {
    let mut results = client.delete_acls(&[nobodys]).await?;
    let api = kafka_wire::messages::ApiKey::DeleteAcls;
    let refused = results.pop().and_then(Result::err);
    refused.map_or(Ok(()), |error| {
        Err(ClientError::of_code(api, "", error.code, error.message.as_deref()))
    })
}

/// What the answer to a probe says about the right.
fn judged(answer: Result<(), ClientError>, operation: &str) -> Outcome {
    let error = match answer {
        Ok(()) => return Outcome::Passed { detail: "allowed".to_owned() },
        Err(error) => error,
    };
    let (cause, cure) = match error.code() {
        Some(code) if code == ErrorCode::CLUSTER_AUTHORIZATION_FAILED => (
            format!("denied ({code})"),
            format!(
                "grant it, for instance: kafka-acls.sh --add --allow-principal User:NAME --operation {operation} --cluster"
            ),
        ),
        Some(code) if code == ErrorCode::SECURITY_DISABLED => (
            format!("the cluster has no authorizer and so no ACLs ({code})"),
            "copy no ACLs, or give the brokers an authorizer (authorizer.class.name)".to_owned(),
        ),
        _ if matches!(error, ClientError::Unsupported { .. }) => (
            cause(&error),
            "copy no ACLs: they travel between clusters of Kafka 2.0 or later".to_owned(),
        ),
        _ => return Outcome::Unknown { cause: cause(&error) },
    };
    Outcome::Failed { cause, cure: Some(cure) }
}
