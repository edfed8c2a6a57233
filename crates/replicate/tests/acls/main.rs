//! ACLs follow the source, and what others made stays: on simulated clusters with authorizers.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, outside of their functions"
)]

mod deaths;
mod rights;
mod world;

use kafka_client::{Acl, AclOperation, AclPattern, AclPermission, AclResource};
use kafka_sim::Release;
use replicate::acls::LeaveReason;
use replicate::drift::AclDifference;
use replicate::event::{Event, Level};
use replicate::spec::{AclSync, AclWrite, Rename};

use self::world::{World, allow, cluster};

#[tokio::test(start_paused = true)]
async fn acls_follow_the_source_under_the_topics_new_names() {
    let mut world = World::new();
    world.spec.rename = Rename { prefix: "eu.".to_owned(), ..Rename::default() };
    let (read, denied) = (
        allow(AclOperation::Read, "a"),
        Acl {
            pattern: AclPattern::Prefixed,
            permission: AclPermission::Deny,
            host: "10.0.0.1".to_owned(),
            ..allow(AclOperation::All, "b")
        },
    );
    let group = Acl { resource: AclResource::Group, ..allow(AclOperation::Read, "g") };
    for acl in [&read, &denied, &group, &allow(AclOperation::Read, "elsewhere")] {
        world.source.add_acl(acl.clone());
    }
    let mut sync = world.start();
    sync.initial().await.unwrap();
    let called = |acl: &Acl| Acl { name: format!("eu.{}", acl.name), ..acl.clone() };
    assert_eq!(world.target.acls(), [called(&read), called(&denied)]);
    // What is denied is made first.
    let [Event::AclsCreated { acls: first, .. }, Event::AclsCreated { count: 1, .. }] =
        &world.told()[..]
    else {
        panic!("two events")
    };
    assert_eq!(first, &["DENY ALL on topic eu.b (PREFIXED) to User:alice from 10.0.0.1"]);

    // Nothing is sent, and nothing written, when nothing has changed.
    let changes = world.changes();
    world.journal.stop_at(None);
    sync.scheduled().await.unwrap();
    assert_eq!((world.changes(), world.journal.writes(), world.told()), (changes, 0, vec![]));

    world.source.remove_acl(&read);
    world.source.add_acl(allow(AclOperation::Describe, "a"));
    sync.scheduled().await.unwrap();
    let describe = called(&allow(AclOperation::Describe, "a"));
    assert_eq!(world.target.acls(), [describe, called(&denied)]);
    let told = world.told();
    assert!(
        matches!(&told[..], [Event::AclsCreated { .. }, Event::AclsRemoved { acls, .. }]
            if *acls == ["ALLOW READ on topic eu.a to User:alice"]),
        "{told:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_others_made_is_never_removed() {
    let world = World::new();
    let (both, theirs) = (allow(AclOperation::Read, "a"), allow(AclOperation::Write, "a"));
    let ours = allow(AclOperation::Read, "b");
    for acl in [&both, &ours] {
        world.source.add_acl(acl.clone());
    }
    for acl in [&both, &theirs] {
        world.target.add_acl(acl.clone());
    }
    world.run().await;
    assert_eq!(world.target.acls().len(), 3);
    world.source.remove_acl(&both);
    world.source.remove_acl(&ours);
    assert_eq!(world.acl_plan().await.remove, [ours]);
    world.run().await;
    assert_eq!(world.target.acls(), [both, theirs]);
}

#[tokio::test(start_paused = true)]
async fn what_was_removed_by_hand_is_made_again() {
    let world = World::new();
    let read = allow(AclOperation::Read, "a");
    world.source.add_acl(read.clone());
    let mut sync = world.start();
    sync.initial().await.unwrap();
    world.target.remove_acl(&read);
    assert_eq!(world.drift().await.acls, [AclDifference::AclMissing { acl: read.clone() }]);
    sync.scheduled().await.unwrap();
    assert_eq!(world.target.acls(), [read]);
    assert!(world.drift().await.is_equal());
}

#[tokio::test(start_paused = true)]
async fn a_sync_does_what_was_planned() {
    let mut world = World::new();
    world.spec.acl_sync = AclSync::All;
    let group = Acl { resource: AclResource::Group, ..allow(AclOperation::Read, "g") };
    let id = Acl { resource: AclResource::TransactionalId, ..allow(AclOperation::Write, "x") };
    let all = allow(AclOperation::All, "b");
    let write = allow(AclOperation::Write, "a");
    let wildcard = allow(AclOperation::Read, "*");
    let there = allow(AclOperation::Describe, "b");
    for acl in [&group, &id, &all, &write, &wildcard] {
        world.source.add_acl(acl.clone());
    }
    world.target.add_acl(there.clone());
    let plan = world.acl_plan().await;
    assert_eq!((plan.make.len(), plan.existing, plan.remove.len()), (8, 1, 0), "{plan:?}");
    assert_eq!(plan.withheld, [write.clone(), all.clone()]);
    assert_eq!(plan.left_out.len(), 1);
    assert_eq!(
        (&plan.left_out[0].acl, plan.left_out[0].reason),
        (&wildcard, LeaveReason::Wildcard)
    );
    assert_eq!(world.target.acls(), std::slice::from_ref(&there));
    assert_eq!(world.drift().await.acls.len(), 8);
    world.run().await;
    let mut expected = plan.make;
    expected.push(there.clone());
    expected.sort();
    assert_eq!(world.target.acls(), expected);

    let events = world.told();
    let level = |wanted: fn(&Event) -> bool| events.iter().find(|it| wanted(it)).unwrap().level();
    assert_eq!(level(|it| matches!(it, Event::AclsWithheld { count: 2, .. })), Level::Info);
    assert_eq!(level(|it| matches!(it, Event::AclsLeftOut { count: 1, .. })), Level::Warn);
    assert!(events.iter().all(|it| it.cure().is_some() || it.level() == Level::Info));

    world.source.remove_acl(&all);
    world.source.remove_acl(&id);
    let plan = world.acl_plan().await;
    assert_eq!((plan.make.len(), plan.remove.len()), (0, 7), "{plan:?}");
    let left = |it: &AclDifference| matches!(it, AclDifference::AclLeft { .. });
    assert!(world.drift().await.acls.iter().all(left));
    world.run().await;
    expected.retain(|acl| !plan.remove.contains(acl));
    assert_eq!(world.target.acls(), expected);
    assert_eq!(expected, [there, group]);
}

/// Only the source takes rights away, never a setting.
#[tokio::test(start_paused = true)]
async fn other_settings_remove_nothing() {
    let mut world = World::new();
    world.spec.acl_write = AclWrite::Copy;
    world.spec.acl_sync = AclSync::All;
    let write = allow(AclOperation::Write, "a");
    let group = Acl { resource: AclResource::Group, ..allow(AclOperation::Read, "g") };
    world.source.add_acl(write.clone());
    world.source.add_acl(group.clone());
    world.run().await;
    assert_eq!(world.target.acls(), [write.clone(), group.clone()]);
    world.spec.acl_write = AclWrite::Withhold;
    world.spec.acl_sync = AclSync::Topics;
    world.run().await;
    assert_eq!(world.target.acls(), [write.clone(), group.clone()]);
    world.source.remove_acl(&write);
    world.source.remove_acl(&group);
    world.run().await;
    assert_eq!(world.target.acls(), []);
}

#[tokio::test(start_paused = true)]
async fn acls_outlive_the_topic_as_on_the_source() {
    let world = World::new();
    let read = allow(AclOperation::Read, "a");
    world.source.add_acl(read.clone());
    let mut sync = world.start();
    sync.initial().await.unwrap();
    world.source.delete_topic("a");
    for _ in 0..3 {
        sync.scheduled().await.unwrap();
    }
    assert_eq!(world.target.acls(), std::slice::from_ref(&read));
    world.source.remove_acl(&read);
    sync.scheduled().await.unwrap();
    assert_eq!(world.target.acls(), []);
}

/// Two ACLs of the source can mean one of the target.
#[tokio::test(start_paused = true)]
async fn an_acl_stays_as_long_as_one_of_the_source_says_it() {
    let world = World::new();
    let (read, all) = (allow(AclOperation::Read, "a"), allow(AclOperation::All, "a"));
    world.source.add_acl(read.clone());
    world.source.add_acl(all.clone());
    let mut sync = world.start();
    sync.initial().await.unwrap();
    assert_eq!(world.target.acls().len(), 7);
    world.source.remove_acl(&all);
    sync.scheduled().await.unwrap();
    assert_eq!(world.target.acls(), std::slice::from_ref(&read));
    world.source.remove_acl(&read);
    sync.scheduled().await.unwrap();
    assert_eq!(world.target.acls(), []);
}

/// Copies get the ACLs of what they are copies of, and no copies of those.
#[tokio::test(start_paused = true)]
async fn within_one_cluster_copies_get_acls() {
    let one = cluster("one", Release::V4_2, true);
    let mut world = World::of(one.clone(), one);
    world.spec.rename = Rename { prefix: "copy.".to_owned(), ..Rename::default() };
    world.source.create_topic("a", 1, &[]).unwrap();
    let prefixed = Acl { pattern: AclPattern::Prefixed, ..allow(AclOperation::Describe, "a") };
    let read = allow(AclOperation::Read, "a");
    world.source.add_acl(read.clone());
    world.source.add_acl(prefixed.clone());
    let mut sync = world.start().within_one_cluster(true);
    sync.initial().await.unwrap();
    sync.scheduled().await.unwrap();
    let called = |acl: &Acl| Acl { name: format!("copy.{}", acl.name), ..acl.clone() };
    let mut expected = vec![called(&read), called(&prefixed), read.clone(), prefixed.clone()];
    expected.sort();
    assert_eq!(world.source.acls(), expected);
    assert_eq!(world.told().len(), 1);
    world.source.remove_acl(&read);
    world.source.remove_acl(&prefixed);
    sync.scheduled().await.unwrap();
    assert_eq!(world.source.acls(), []);
}

#[tokio::test(start_paused = true)]
async fn without_acl_sync_nothing_is_asked() {
    let mut world = World::new();
    world.spec.acl_sync = AclSync::None;
    world.source.add_acl(allow(AclOperation::Read, "a"));
    world.run().await;
    assert!(world.plan().await.acls.is_none());
    assert!(world.drift().await.is_equal());
    let asked = kafka_wire::messages::ApiKey::DescribeAcls;
    assert_eq!((world.source.request_count(asked), world.target.request_count(asked)), (0, 0));
    assert_eq!(world.target.acls(), []);
}
