//! ACLs: made, found by every kind of filter, deleted exactly; and how missing rights and a missing authorizer are told.

use std::time::Duration;

use kafka_client::{
    Acl, AclFilter, AclOperation, AclPattern, AclPermission, AclResource, Client, ClientError,
};
use kafka_sim::Release;
use kafka_wire::ErrorCode;

use super::env::Env;

fn acl(resource: AclResource, name: &str, operation: AclOperation) -> Acl {
    Acl {
        resource,
        name: name.to_owned(),
        pattern: AclPattern::Literal,
        principal: "User:alice".to_owned(),
        host: "*".to_owned(),
        operation,
        permission: AclPermission::Allow,
    }
}

fn refusal(error: &ClientError) -> Option<ErrorCode> {
    match error {
        ClientError::Code { code, .. } => Some(*code),
        _ => None,
    }
}

/// Brokers before 2.0 do not know patterns: nothing is asked of them.
pub(super) async fn without_an_authorizer_acls_are_refused(env: &Env) {
    let error = env.client.describe_acls(&AclFilter::any()).await.unwrap_err();
    if env.release <= Release::V1_1 {
        assert!(matches!(error, ClientError::Unsupported { .. }), "{error}");
        return;
    }
    assert_eq!(refusal(&error), Some(ErrorCode::SECURITY_DISABLED), "{error}");
    let wanted = acl(AclResource::Topic, &env.name(), AclOperation::Read);
    let made = env.client.create_acls(std::slice::from_ref(&wanted)).await.unwrap();
    assert_eq!(made[0].as_ref().unwrap_err().code, ErrorCode::SECURITY_DISABLED);
    let gone = env.client.delete_acls(&[AclFilter::exactly(&wanted)]).await.unwrap();
    assert_eq!(gone[0].as_ref().unwrap_err().code, ErrorCode::SECURITY_DISABLED);
}

/// Waits until a filter names these; brokers learn of ACLs a little later than the one that was asked.
async fn named(client: &Client, filter: &AclFilter, expected: &[&Acl]) {
    let mut expected: Vec<Acl> = expected.iter().map(|acl| (*acl).clone()).collect();
    expected.sort();
    let mut found = Vec::new();
    for _ in 0..200 {
        found = client.describe_acls(filter).await.unwrap();
        found.sort();
        if found == expected {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(found, expected, "{filter:?}");
}

/// With an authorizer, as somebody who may do everything.
async fn acls_are_made_found_and_deleted(client: &Client) {
    named(client, &AclFilter::any(), &[]).await;
    let read = acl(AclResource::Topic, "orders", AclOperation::Read);
    let prefixed = Acl {
        pattern: AclPattern::Prefixed,
        permission: AclPermission::Deny,
        host: "10.0.0.1".to_owned(),
        ..acl(AclResource::Topic, "ord", AclOperation::All)
    };
    let all = acl(AclResource::Topic, "*", AclOperation::Describe);
    let group = acl(AclResource::Group, "orders", AclOperation::Read);
    let id = acl(AclResource::TransactionalId, "orders", AclOperation::Write);
    let empty = acl(AclResource::Topic, "", AclOperation::Read);
    let wanted =
        [read.clone(), empty, prefixed.clone(), all.clone(), group.clone(), id.clone()].to_vec();
    let made = client.create_acls(&wanted).await.unwrap();
    let codes: Vec<_> = made.iter().map(|result| result.as_ref().err().map(|it| it.code)).collect();
    let refused = Some(ErrorCode::INVALID_REQUEST);
    assert_eq!(codes, [None, refused, None, None, None, None], "{made:?}");
    // Once more is no error, and nothing new.
    assert_eq!(client.create_acls(std::slice::from_ref(&read)).await.unwrap(), [Ok(())]);
    named(client, &AclFilter::any(), &[&read, &prefixed, &all, &group, &id]).await;

    let topics = AclFilter { resource: Some(AclResource::Topic), ..AclFilter::any() };
    named(client, &topics, &[&read, &prefixed, &all]).await;
    let called = AclFilter { name: Some("orders".to_owned()), ..AclFilter::any() };
    named(client, &called, &[&read, &group, &id]).await;
    let denied = AclFilter { permission: Some(AclPermission::Deny), ..AclFilter::any() };
    named(client, &denied, &[&prefixed]).await;
    named(client, &AclFilter::exactly(&all), &[&all]).await;

    // Neither the prefix nor the name `*` stands for others when it is deleted.
    let gone = client
        .delete_acls(&[
            AclFilter::exactly(&all),
            AclFilter::exactly(&Acl { pattern: AclPattern::Literal, ..prefixed.clone() }),
            AclFilter::exactly(&prefixed),
        ])
        .await
        .unwrap();
    assert_eq!(gone, [Ok(vec![all]), Ok(vec![]), Ok(vec![prefixed])]);
    named(client, &AclFilter::any(), &[&read, &group, &id]).await;
    let mut gone = client.delete_acls(&[AclFilter::any()]).await.unwrap().remove(0).unwrap();
    gone.sort();
    assert_eq!(gone, [read, group, id]);
    named(client, &AclFilter::any(), &[]).await;
}

/// As somebody who may do nothing on the cluster.
async fn missing_rights_are_told(client: &Client) {
    let denied = Some(ErrorCode::CLUSTER_AUTHORIZATION_FAILED);
    let error = client.describe_acls(&AclFilter::any()).await.unwrap_err();
    assert_eq!(refusal(&error), denied, "{error}");
    let wanted = acl(AclResource::Topic, "orders", AclOperation::Read);
    let made = client.create_acls(std::slice::from_ref(&wanted)).await.unwrap();
    assert_eq!(made[0].as_ref().err().map(|it| it.code), denied);
    let gone = client.delete_acls(&[AclFilter::exactly(&wanted)]).await.unwrap();
    assert_eq!(gone[0].as_ref().err().map(|it| it.code), denied);
}

mod sim {
    use kafka_client::{Client, ConnectionConfig};
    use kafka_sim::{Cluster, ClusterConfig, Operation, Release, Resource};

    #[tokio::test(start_paused = true)]
    async fn acls_with_an_authorizer() {
        for release in Release::ALL.into_iter().filter(|release| *release > Release::V1_1) {
            let config = ClusterConfig { authorizer: true, ..ClusterConfig::release(release) };
            let cluster = Cluster::new(config);
            let config = ConnectionConfig::new(cluster.bootstrap());
            let client = Client::with_connector(config, cluster.connector());
            super::acls_are_made_found_and_deleted(&client).await;
            for operation in [Operation::Describe, Operation::Alter] {
                cluster.deny("*", operation, Resource::Cluster);
            }
            super::missing_rights_are_told(&client).await;
        }
    }
}

#[cfg(feature = "real-kafka")]
mod real {
    use kafka_client::{Client, ConnectionConfig};
    use kafka_wire::{
        sasl::{Credentials, Mechanism},
        secret::Secret,
    };
    use xtask::kafka::{Flavour, KafkaCluster, Options, Release, Security};

    async fn with_an_authorizer(release: Release) {
        let options = Options::new(1, Flavour { security: Security::Sasl, acl: true });
        let cluster = KafkaCluster::start(release, options).unwrap();
        // The internal listener may do everything.
        let config = ConnectionConfig::plain(&cluster.internal_bootstrap()).unwrap();
        let client = Client::new(config).unwrap();
        super::acls_are_made_found_and_deleted(&client).await;
        let credentials = Credentials {
            mechanism: Mechanism::Plain,
            username: "limited".to_owned(),
            password: Secret::new("limited-password".to_owned()),
        };
        let config = ConnectionConfig::plain(&cluster.bootstrap()).unwrap().with_sasl(credentials);
        super::missing_rights_are_told(&Client::new(config).unwrap()).await;
    }

    #[tokio::test]
    async fn acls_with_the_authorizer_of_2_8() {
        with_an_authorizer(Release::V2_8_2).await;
    }

    #[tokio::test]
    async fn acls_with_the_authorizer_of_4_2() {
        with_an_authorizer(Release::V4_2_0).await;
    }
}
