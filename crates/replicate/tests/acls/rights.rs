//! Clusters that refuse: told once with the cure, and the rest of the task goes on.

use std::sync::{Arc, Mutex};

use kafka_client::{Acl, AclOperation, AclPermission, AclResource};
use kafka_sim::{Operation, Release, Resource};
use kafka_wire::record::{BatchOptions, Record};
use replicate::drift::AclDifference;
use replicate::event::{Event, EventSink, Level};
use replicate::journal::{Journal, MemoryJournal};
use replicate::plan::Problem;
use replicate::spec::SyncMode;
use replicate::task::Task;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::world::{World, allow, client, cluster};

/// The one event that says why ACLs do not travel, with its cure.
#[track_caller]
fn failure(world: &World) -> (Option<&'static str>, String, String) {
    let told = world.told();
    let [event @ Event::AclSyncFailed { cluster, cause, .. }] = &told[..] else {
        panic!("{told:?}")
    };
    assert_eq!(event.level(), Level::Warn);
    (*cluster, cause.clone(), event.cure().unwrap())
}

#[tokio::test(start_paused = true)]
async fn a_missing_authorizer_is_told_once() {
    for (end, source, target) in [("source", false, true), ("target", true, false)] {
        let world = World::of(
            cluster("source", Release::V4_2, source),
            cluster("target", Release::V2_8, target),
        );
        world.source.create_topic("a", 1, &[]).unwrap();
        let mut sync = world.start();
        assert_eq!(sync.initial().await.unwrap().len(), 1);
        let (cluster, cause, cure) = failure(&world);
        assert_eq!(cluster, Some(end));
        assert!(
            cause.contains("SECURITY_DISABLED") && cure.contains("authorizer"),
            "{cause} {cure}"
        );
        sync.scheduled().await.unwrap();
        assert_eq!(world.told(), []);
        let plan = world.plan().await;
        assert!(plan.acls.is_none() && !plan.is_blocked());
        let finding = plan
            .findings
            .iter()
            .find(|it| matches!(&it.problem, Problem::AclsUnreadable { role, .. } if role == end));
        assert!(finding.unwrap().problem.cure().is_some());
        let acls = world.drift().await.acls;
        assert!(matches!(&acls[..], [AclDifference::AclsUnreadable { .. }]), "{acls:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_right_is_told_once_and_again_when_it_was_there() {
    for (end, operation) in [
        ("source", Operation::Describe),
        ("target", Operation::Describe),
        ("target", Operation::Alter),
    ] {
        let world = World::new();
        let read = allow(AclOperation::Read, "a");
        world.source.add_acl(read.clone());
        world.source.add_acl(Acl { permission: AclPermission::Deny, ..read.clone() });
        let at = if end == "source" { &world.source } else { &world.target };
        at.deny("*", operation, Resource::Cluster);
        let mut sync = world.start();
        assert_eq!(sync.initial().await.unwrap().len(), 2);
        let (cluster, cause, cure) = failure(&world);
        assert_eq!(cluster, Some(end), "{operation:?}");
        assert!(cause.contains("CLUSTER_AUTHORIZATION_FAILED"), "{cause}");
        assert!(cure.contains("kafka-acls.sh") && cure.contains("--cluster"), "{cure}");
        sync.scheduled().await.unwrap();
        assert_eq!((world.told(), world.target.acls()), (vec![], vec![]));
        at.allow_all();
        sync.scheduled().await.unwrap();
        assert_eq!(world.target.acls().len(), 2);
        assert_eq!(world.told().len(), 2);
        // The source's last ACLs go; what was refused meanwhile is not forgotten.
        at.deny("*", operation, Resource::Cluster);
        world.source.remove_acl(&read);
        sync.scheduled().await.unwrap();
        failure(&world);
        at.allow_all();
        sync.scheduled().await.unwrap();
        assert_eq!(world.target.acls().len(), 1);
    }
}

/// What was refused is nobody's: the operator who makes it by hand keeps it.
#[tokio::test(start_paused = true)]
async fn what_was_refused_and_made_by_hand_stays() {
    let world = World::new();
    let read = allow(AclOperation::Read, "a");
    world.source.add_acl(read.clone());
    world.target.deny("*", Operation::Alter, Resource::Cluster);
    world.run().await;
    world.target.allow_all();
    world.target.add_acl(read.clone());
    world.run().await;
    world.source.remove_acl(&read);
    world.run().await;
    assert_eq!(world.target.acls(), [read]);
}

#[tokio::test(start_paused = true)]
async fn releases_without_patterns_are_told() {
    let world =
        World::of(cluster("source", Release::V1_1, true), cluster("target", Release::V4_2, true));
    world.source.create_topic("a", 1, &[]).unwrap();
    world.run().await;
    let (cluster, cause, cure) = failure(&world);
    assert_eq!(cluster, Some("source"));
    assert!(cause.contains("DescribeAcls") && cure.contains("Kafka 2.0"), "{cause} {cure}");
}

/// Nobody gets for a moment what the source denies.
#[tokio::test(start_paused = true)]
async fn nothing_is_allowed_where_a_denial_is_refused() {
    let mut world = World::new();
    world.spec.acl_sync = replicate::spec::AclSync::All;
    let (read, group) = (
        allow(AclOperation::Read, "a"),
        Acl { resource: AclResource::Group, ..allow(AclOperation::Read, "g") },
    );
    // No broker takes a principal without a kind.
    let denied = Acl {
        permission: AclPermission::Deny,
        principal: "nobody".to_owned(),
        ..allow(AclOperation::Read, "b")
    };
    for acl in [&read, &group, &denied] {
        world.source.add_acl(acl.clone());
    }
    let mut sync = world.start();
    sync.initial().await.unwrap();
    assert_eq!(world.target.acls(), std::slice::from_ref(&group));
    let told = world.told();
    let refused = told.iter().find(|it| matches!(it, Event::AclRefused { .. })).unwrap();
    assert!(refused.to_string().contains("nothing more is allowed on topics"), "{refused}");
    assert!(refused.cure().is_some());
    sync.scheduled().await.unwrap();
    assert_eq!(world.told(), []);
    world.source.remove_acl(&denied);
    sync.scheduled().await.unwrap();
    assert_eq!(world.target.acls(), [read, group]);
}

/// The whole task: records are copied though ACLs are not.
#[tokio::test(start_paused = true)]
async fn records_travel_without_acls() {
    let mut world =
        World::of(cluster("source", Release::V4_2, false), cluster("target", Release::V4_2, true));
    world.spec.sync = SyncMode::MetadataData;
    world.spec.once = true;
    world.source.create_topic("a", 1, &[]).unwrap();
    let record = Record {
        offset: 0,
        timestamp: world.source.now_ms(),
        key: None,
        value: Some(bytes::Bytes::from_static(b"v")),
        headers: Vec::new(),
    };
    world.source.append_records("a", 0, &BatchOptions::default(), &[record]).unwrap();
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let told = Arc::clone(&events);
    let sink: EventSink = Arc::new(move |event| told.lock().unwrap().push(event));
    let journal: Arc<dyn Journal> = Arc::new(MemoryJournal::new());
    let (progress, _) = watch::channel(Arc::default());
    let task = Task {
        spec: world.spec.clone(),
        source: client(&world.source),
        target: client(&world.target),
        journal,
        sink,
        progress,
        shutdown: CancellationToken::new(),
    };
    assert!(task.run().await.unwrap().is_complete());
    assert_eq!(world.target.records("a", 0).unwrap().len(), 1);
    let events = events.lock().unwrap();
    assert_eq!(events.iter().filter(|it| matches!(it, Event::AclSyncFailed { .. })).count(), 1);
}
