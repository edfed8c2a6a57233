//! Consumer groups between two simulated clusters: each rule of group sync, with whole tasks on virtual time.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests, outside of their functions"
)]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use kafka_client::{Client, ConnectionConfig, CoordinatorKind, OffsetToCommit, TopicPartition};
use kafka_sim::{Cluster, ClusterConfig, Fault, FaultAction, Operation, Release, Resource};
use kafka_wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use kafka_wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use kafka_wire::messages::sync_group_request::{SyncGroupRequest, SyncGroupRequestAssignment};
use kafka_wire::messages::{ApiKey, GroupId};
use kafka_wire::protocol::StrBytes;
use kafka_wire::record::{BatchOptions, Record};
use replicate::event::{Event, EventSink, TakeOver};
use replicate::journal::{Journal, MemoryJournal};
use replicate::progress::{GroupState, Progress};
use replicate::spec::{StartPosition, SyncMode, TaskSpec, TopicSelection};
use replicate::task::{Task, TaskError, TaskReport};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Two clusters, a journal that outlives tasks, and what was told.
struct World {
    source: Cluster,
    target: Cluster,
    journal: MemoryJournal,
    events: Arc<Mutex<Vec<Event>>>,
    spec: TaskSpec,
}

/// A task at work.
struct Running {
    shutdown: CancellationToken,
    task: JoinHandle<Result<TaskReport, TaskError>>,
    progress: watch::Receiver<Arc<Progress>>,
}

impl Running {
    async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Dies without a last word.
    async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Waits until the group is shown in this state.
    #[track_caller]
    fn becomes(&self, group: &str, state: GroupState) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            for _ in 0..300 {
                if self.state(group) == Some(state) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            let progress = Arc::clone(&self.progress.borrow());
            panic!(
                "{place}: {group} is {:?}, not {state:?}: {:#?}",
                self.state(group),
                progress.topics
            );
        }
    }

    fn state(&self, group: &str) -> Option<GroupState> {
        let progress = Arc::clone(&self.progress.borrow());
        let found = progress.groups.iter().find(|found| found.group == group);
        found.map(|found| found.state)
    }
}

fn cluster(id: &str, release: Release, brokers: usize) -> Cluster {
    Cluster::new(ClusterConfig {
        cluster_id: id.into(),
        release,
        brokers,
        start_time_ms: Some(1_700_000_000_000),
        ..ClusterConfig::default()
    })
}

fn client(cluster: &Cluster) -> Client {
    Client::with_connector(ConnectionConfig::new(cluster.bootstrap()), cluster.connector())
}

impl World {
    fn new() -> Self {
        Self::of(Release::V4_2, Release::V4_2)
    }

    fn of(source: Release, target: Release) -> Self {
        let mut spec = TaskSpec::new("t".parse().unwrap());
        spec.sync = SyncMode::MetadataDataOffsets;
        spec.limits.group_interval = Duration::from_millis(500);
        Self {
            source: cluster("source", source, 2),
            target: cluster("target", target, 2),
            journal: MemoryJournal::new(),
            events: Arc::default(),
            spec,
        }
    }

    /// Appends records with these values, one batch; gives the base offset.
    fn write(&self, topic: &str, partition: i32, values: std::ops::Range<i64>) -> i64 {
        write(&self.source, topic, partition, values, &BatchOptions::default())
    }

    fn start(&self) -> Running {
        let events = Arc::clone(&self.events);
        let sink: EventSink = Arc::new(move |event| events.lock().unwrap().push(event));
        let journal: Arc<dyn Journal> = Arc::new(self.journal.clone());
        let (progress, watching) = watch::channel(Arc::new(Progress::default()));
        let shutdown = CancellationToken::new();
        let task = Task {
            spec: self.spec.clone(),
            source: client(&self.source),
            target: client(&self.target),
            journal,
            sink,
            progress,
            shutdown: shutdown.clone(),
        };
        Running { shutdown, task: tokio::spawn(task.run()), progress: watching }
    }

    /// Runs a `once` task to its end.
    async fn once(&mut self) -> TaskReport {
        self.spec.once = true;
        let report = self.start().task.await.unwrap().unwrap();
        self.spec.once = false;
        report
    }

    /// What the target's group has; −1 for nothing.
    fn at_target(&self, group: &str, topic: &str, partition: i32) -> i64 {
        let found = self.target.committed_offset(group, topic, partition);
        found.map_or(-1, |committed| committed.offset)
    }

    /// Waits until the target's group stands at `offset`.
    #[track_caller]
    fn reaches(
        &self,
        group: &str,
        topic: &str,
        partition: i32,
        offset: i64,
    ) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            for _ in 0..200 {
                if self.at_target(group, topic, partition) == offset {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            panic!(
                "{place}: {group} stands at {} of {topic}-{partition}, not at {offset}: {:#?}",
                self.at_target(group, topic, partition),
                self.events.lock().unwrap()
            );
        }
    }

    fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    /// Waits for an event.
    #[track_caller]
    fn event(&self, wanted: impl Fn(&Event) -> bool) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            for _ in 0..400 {
                if self.events.lock().unwrap().iter().any(&wanted) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            panic!("{place}: not told: {:#?}", self.events.lock().unwrap());
        }
    }
}

fn write(
    cluster: &Cluster,
    topic: &str,
    partition: i32,
    values: std::ops::Range<i64>,
    options: &BatchOptions,
) -> i64 {
    let records: Vec<_> = values
        .enumerate()
        .map(|(index, value)| Record {
            offset: i64::try_from(index).unwrap(),
            timestamp: 1_700_000_000_000,
            key: Some(Bytes::from(format!("k{value}"))),
            value: Some(Bytes::from(format!("{topic}-{partition}-{value}"))),
            headers: Vec::new(),
        })
        .collect();
    cluster.append_records(topic, partition, options, &records).unwrap()
}

/// The value of the first record of a client at or after `offset`.
fn value_at(cluster: &Cluster, topic: &str, partition: i32, offset: i64) -> Option<String> {
    let records = cluster.records(topic, partition).unwrap();
    let found = records.into_iter().find(|record| record.offset >= offset)?;
    Some(String::from_utf8(found.value.unwrap().to_vec()).unwrap())
}

async fn commit(cluster: &Cluster, group: &str, topic: &str, partition: i32, offset: i64) {
    commit_with(cluster, group, topic, partition, offset, None).await;
}

async fn commit_with(
    cluster: &Cluster,
    group: &str,
    topic: &str,
    partition: i32,
    offset: i64,
    metadata: Option<&str>,
) {
    let at = TopicPartition::new(topic, partition);
    let offset = OffsetToCommit { at, offset, metadata: metadata.map(str::to_owned) };
    let done = client(cluster).offset_commit(group, vec![offset]).await.unwrap();
    assert!(done.values().all(Result::is_ok), "{done:?}");
}

fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

/// A live member of a classic group.
struct Member {
    client: Client,
    group: String,
    id: String,
}

impl Member {
    async fn join(cluster: &Cluster, group: &str) -> Self {
        let client = client(cluster);
        let connection = client.coordinator(CoordinatorKind::Group, group).await.unwrap();
        let mut id = String::new();
        let generation = loop {
            let protocol = JoinGroupRequestProtocol::default()
                .with_name(text("range"))
                .with_metadata(Bytes::from_static(b"m"));
            let request = JoinGroupRequest::default()
                .with_group_id(GroupId(text(group)))
                .with_session_timeout_ms(600_000)
                .with_rebalance_timeout_ms(5_000)
                .with_member_id(text(&id))
                .with_protocol_type(text("consumer"))
                .with_protocols(vec![protocol]);
            let response = connection.call(request).await.unwrap();
            id = response.member_id.to_string();
            if response.error_code == 0 {
                break response.generation_id;
            }
        };
        let assignment = SyncGroupRequestAssignment::default()
            .with_member_id(text(&id))
            .with_assignment(Bytes::from_static(b"a"));
        let sync = SyncGroupRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_generation_id(generation)
            .with_member_id(text(&id))
            .with_assignments(vec![assignment]);
        assert_eq!(connection.call(sync).await.unwrap().error_code, 0);
        Self { client, group: group.to_owned(), id }
    }

    async fn leave(self) {
        let connection =
            self.client.coordinator(CoordinatorKind::Group, &self.group).await.unwrap();
        let mut leave = LeaveGroupRequest::default().with_group_id(GroupId(text(&self.group)));
        if connection.version_for::<LeaveGroupRequest>(None).unwrap() >= 3 {
            leave.members = vec![MemberIdentity::default().with_member_id(text(&self.id))];
        } else {
            leave.member_id = text(&self.id);
        }
        assert_eq!(connection.call(leave).await.unwrap().error_code, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn offsets_follow_between_all_releases() {
    for source in Release::ALL {
        for target in [Release::V0_11, Release::V2_8, Release::V4_2] {
            let world = World::of(source, target);
            world.source.create_topic("a", 2, &[]).unwrap();
            world.write("a", 0, 0..10);
            world.write("a", 1, 0..10);
            commit_with(&world.source, "g", "a", 0, 4, Some("note")).await;
            commit(&world.source, "g", "a", 1, 10).await;
            let running = world.start();
            world.reaches("g", "a", 0, 4).await;
            world.reaches("g", "a", 1, 10).await;
            let found = world.target.committed_offset("g", "a", 0).unwrap();
            assert_eq!((found.leader_epoch, found.metadata.as_str()), (-1, "note"), "{target}");
            commit(&world.source, "g", "a", 0, 7).await;
            world.reaches("g", "a", 0, 7).await;
            // Back again, and with another text alone.
            commit(&world.source, "g", "a", 0, 2).await;
            world.reaches("g", "a", 0, 2).await;
            commit_with(&world.source, "g", "a", 0, 2, Some("other")).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            assert_eq!(world.target.committed_offset("g", "a", 0).unwrap().metadata, "other");
            running.becomes("g", GroupState::Synced).await;
            running.stop().await;
            let events = world.take_events();
            let told = |test: fn(&Event) -> bool| events.iter().filter(|e| test(e)).count();
            assert_eq!(told(|e| matches!(e, Event::GroupRewound { from: 7, to: 2, .. })), 1);
            assert_eq!(told(|e| matches!(e, Event::GroupCreated { partition_count: 2, .. })), 1);
        }
    }
}

/// Aborted transactions, compaction, another writer on the target, and a kill in between: each offset lands on the
/// record with the same value.
#[tokio::test(start_paused = true)]
async fn every_offset_lands_on_its_record_with_gaps_and_strangers() {
    for is_killed in [false, true] {
        let mut world = World::new();
        world.spec.limits.map_segments_max = 4;
        world.source.create_topic("a", 1, &[]).unwrap();
        let writes = |from: i64| {
            for round in from..from + 20 {
                let value = round * 10;
                if round % 3 == 0 {
                    let options = BatchOptions {
                        producer_id: 77,
                        producer_epoch: 0,
                        base_sequence: i32::try_from(round / 3 * 5).unwrap(),
                        transactional: true,
                        ..BatchOptions::default()
                    };
                    write(&world.source, "a", 0, value..value + 5, &options);
                    let commits = round % 2 == 0;
                    world.source.write_marker("a", 0, 77, 0, commits).unwrap();
                } else {
                    world.write("a", 0, value..value + 5);
                }
            }
        };
        writes(0);
        let running = world.start();
        let stranger = |count: i64| {
            write(&world.target, "a", 0, 90_000..90_000 + count, &BatchOptions::default())
        };
        let copied = |values: i64| {
            let records = world.target.records("a", 0).unwrap_or_default();
            let ours =
                records.iter().filter(|record| !record.key.as_ref().unwrap().starts_with(b"k9000"));
            i64::try_from(ours.count()).unwrap() >= values
        };
        while world.target.topics().is_empty() || !copied(1) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        stranger(3);
        let running = if is_killed {
            running.kill().await;
            stranger(1);
            world.start()
        } else {
            running
        };
        writes(20);
        stranger(2);
        let end = world.source.end_offset("a", 0).unwrap();
        let committed: Vec<_> = {
            let records = world.source.records("a", 0).unwrap();
            let aborted = |value: i64| value / 10 % 6 == 3;
            records
                .into_iter()
                .filter(|record| {
                    let key = String::from_utf8(record.key.clone().unwrap().to_vec()).unwrap();
                    !aborted(key[1..].parse().unwrap())
                })
                .collect()
        };
        for offset in 0..=end {
            commit(&world.source, &format!("g{offset}"), "a", 0, offset).await;
        }
        for offset in 0..=end {
            let group = format!("g{offset}");
            let expected = committed
                .iter()
                .find(|record| record.offset >= offset)
                .map(|record| String::from_utf8(record.value.clone().unwrap().to_vec()).unwrap());
            running.becomes(&group, GroupState::Synced).await;
            let found = value_at(&world.target, "a", 0, world.at_target(&group, "a", 0));
            if expected.is_some() {
                assert_eq!(found, expected, "source offset {offset}, killed {is_killed}");
            } else {
                // Behind the last record: only strangers may follow.
                let is_stranger = found.as_ref().is_none_or(|value| value.starts_with("a-0-9000"));
                assert!(
                    is_stranger,
                    "offset {offset}: {} is {found:?}",
                    world.at_target(&group, "a", 0)
                );
            }
        }
        running.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_offset_beyond_the_copy_is_held() {
    let world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 0, 0..10);
    commit(&world.source, "g", "a", 0, 5).await;
    let running = world.start();
    world.reaches("g", "a", 0, 5).await;
    commit(&world.source, "g", "a", 0, 15).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(world.at_target("g", "a", 0), 5);
    running.becomes("g", GroupState::Held).await;
    // The group runs ahead of the copy all the time: it is followed one step behind.
    world.write("a", 0, 10..16);
    commit(&world.source, "g", "a", 0, 30).await;
    world.reaches("g", "a", 0, 15).await;
    running.becomes("g", GroupState::Held).await;
    world.write("a", 0, 16..40);
    world.reaches("g", "a", 0, 30).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_group_before_the_copied_range_maps_to_the_first_copied_record() {
    let mut world = World::new();
    world.spec.start = StartPosition::Latest;
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 0, 0..10);
    commit(&world.source, "g", "a", 0, 3).await;
    let running = world.start();
    // Nothing is copied yet: the first record will be at the target's end.
    world.reaches("g", "a", 0, 0).await;
    world.write("a", 0, 10..20);
    commit(&world.source, "g", "a", 0, 14).await;
    world.reaches("g", "a", 0, 4).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_that_was_made_again_reports_groups_before_its_map() {
    let mut world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 0, 0..10);
    commit(&world.source, "g", "a", 0, 3).await;
    world.once().await;
    assert_eq!(world.at_target("g", "a", 0), 3);
    world.take_events();
    // The state is lost, and with it the map.
    world.journal = MemoryJournal::new();
    world.spec.start = StartPosition::Latest;
    commit(&world.source, "g", "a", 0, 5).await;
    let running = world.start();
    world
        .event(|event| matches!(event, Event::GroupBeforeMap { offset: 5, valid_from: 10, .. }))
        .await;
    running.becomes("g", GroupState::Unknown).await;
    assert_eq!(world.at_target("g", "a", 0), 3, "nothing is guessed");
    // Once it has read up to the known range it is exact again, and the former task's commit is no obstacle.
    world.write("a", 0, 10..20);
    commit(&world.source, "g", "a", 0, 12).await;
    running.becomes("g", GroupState::Synced).await;
    let found = world.at_target("g", "a", 0);
    assert_eq!(value_at(&world.target, "a", 0, found).as_deref(), Some("a-0-12"));
    running.stop().await;
    let events = world.take_events();
    let started =
        |e: &&Event| matches!(e, Event::GroupMapStarted { offset: 10, target_offset: 10, .. });
    assert_eq!(events.iter().filter(started).count(), 1);
    let before = |e: &&Event| matches!(e, Event::GroupBeforeMap { .. });
    assert_eq!(events.iter().filter(before).count(), 1);
    let adopted = |e: &&Event| matches!(e, Event::GroupAdopted { former_offset: 3, .. });
    assert_eq!(events.iter().filter(adopted).count(), 1, "{events:#?}");
}

#[tokio::test(start_paused = true)]
async fn a_group_with_members_is_never_moved() {
    for release in [Release::V0_11, Release::V2_8, Release::V4_2] {
        let world = World::of(Release::V4_2, release);
        world.source.create_topic("a", 1, &[]).unwrap();
        world.write("a", 0, 0..10);
        commit(&world.source, "g", "a", 0, 3).await;
        commit(&world.source, "other", "a", 0, 3).await;
        let running = world.start();
        world.reaches("g", "a", 0, 3).await;
        let member = Member::join(&world.target, "g").await;
        commit(&world.source, "g", "a", 0, 6).await;
        world.event(|e| matches!(e, Event::GroupTakenOver { reason: TakeOver::Members, .. })).await;
        // It stops that group alone.
        commit(&world.source, "other", "a", 0, 8).await;
        world.reaches("other", "a", 0, 8).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(world.at_target("g", "a", 0), 3);
        running.becomes("g", GroupState::TakenOver).await;
        // It moved nothing, so it gives the group back.
        member.leave().await;
        world.reaches("g", "a", 0, 6).await;
        running.stop().await;
        let events = world.take_events();
        let taken = |e: &&Event| matches!(e, Event::GroupTakenOver { .. });
        assert_eq!(events.iter().filter(taken).count(), 1, "{release}: told once");
        assert!(events.iter().any(|e| matches!(e, Event::GroupReturned { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_that_was_moved_by_hand_stays_taken_over() {
    let world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 0, 0..10);
    commit(&world.source, "g", "a", 0, 3).await;
    let running = world.start();
    world.reaches("g", "a", 0, 3).await;
    commit(&world.target, "g", "a", 0, 1).await;
    let moved = |e: &Event| {
        matches!(e, Event::GroupTakenOver { reason: TakeOver::Moved, written: 3, found: 1, .. })
    };
    world.event(moved).await;
    commit(&world.source, "g", "a", 0, 9).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(world.at_target("g", "a", 0), 1);
    // A restart neither forgets nor tells it again.
    running.stop().await;
    let running = world.start();
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(world.at_target("g", "a", 0), 1);
    running.becomes("g", GroupState::TakenOver).await;
    assert_eq!(world.take_events().iter().filter(|event| moved(event)).count(), 1);
    // Put back by hand, it is followed again.
    commit(&world.target, "g", "a", 0, 3).await;
    world.reaches("g", "a", 0, 9).await;
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_and_a_kill_are_not_taken_for_somebody_else() {
    let world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 0, 0..100);
    commit(&world.source, "g", "a", 0, 1).await;
    let mut running = world.start();
    world.reaches("g", "a", 0, 1).await;
    for offset in 2..30 {
        if offset % 3 == 0 {
            world.target.add_fault(Fault::once(ApiKey::OffsetCommit, FaultAction::LoseAnswer));
        }
        commit(&world.source, "g", "a", 0, offset).await;
        world.reaches("g", "a", 0, offset).await;
        if offset % 4 == 0 {
            // Right after the target took it, at some point of the look.
            running.kill().await;
            running = world.start();
        }
    }
    running.stop().await;
    let events = world.take_events();
    let taken = |e: &&Event| matches!(e, Event::GroupTakenOver { .. } | Event::GroupAdopted { .. });
    assert_eq!(events.iter().find(taken), None);
}

#[tokio::test(start_paused = true)]
async fn unchanged_offsets_are_kept_alive() {
    let mut world = World::new();
    world.spec.limits.group_keep_alive = Duration::from_secs(3600);
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 0, 0..10);
    commit(&world.source, "g", "a", 0, 3).await;
    let running = world.start();
    world.reaches("g", "a", 0, 3).await;
    let written = |world: &World| world.target.committed_offset("g", "a", 0).unwrap().committed_ms;
    let first = written(&world);
    tokio::time::sleep(Duration::from_secs(3500)).await;
    assert_eq!(written(&world), first);
    tokio::time::sleep(Duration::from_secs(200)).await;
    let second = written(&world);
    assert!(second - first >= 3_600_000, "{}", second - first);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_group_is_told_once_and_kept() {
    let world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 0, 0..10);
    commit(&world.source, "g", "a", 0, 3).await;
    let running = world.start();
    world.reaches("g", "a", 0, 3).await;
    delete(&world.source, "g").await;
    world.event(|e| matches!(e, Event::GroupDeleted { .. })).await;
    running.stop().await;
    let running = world.start();
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(world.at_target("g", "a", 0), 3);
    let deleted = |e: &&Event| matches!(e, Event::GroupDeleted { .. });
    assert_eq!(world.take_events().iter().filter(deleted).count(), 1);
    // Made again on the source, also further back, it is followed.
    commit(&world.source, "g", "a", 0, 1).await;
    world.reaches("g", "a", 0, 1).await;
    running.stop().await;
}

async fn delete(cluster: &Cluster, group: &str) {
    let client = client(cluster);
    let connection = client.coordinator(CoordinatorKind::Group, group).await.unwrap();
    let request = kafka_wire::messages::DeleteGroupsRequest::default()
        .with_groups_names(vec![GroupId(text(group))]);
    assert_eq!(connection.call(request).await.unwrap().results[0].error_code, 0);
}

#[tokio::test(start_paused = true)]
async fn out_of_scope_topics_are_ignored_and_long_names_follow() {
    let world = World::new();
    let long = "x".repeat(140);
    world.source.create_topic(&long, 1, &[]).unwrap();
    world.source.create_topic("__internal", 1, &[]).unwrap();
    world.write(&long, 0, 0..10);
    commit(&world.source, "g", &long, 0, 4).await;
    commit(&world.source, "g", "__internal", 0, 0).await;
    commit(&world.source, "inside", "__internal", 0, 0).await;
    let running = world.start();
    world.reaches("g", &long[..128], 0, 4).await;
    assert_eq!(running.state("inside"), None);
    assert_eq!(world.at_target("inside", "__internal", 0), -1);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn fan_in_is_refused_loudly() {
    let mut world = World::of(Release::V4_2, Release::V0_11);
    world.spec.same_partition = false;
    world.source.create_topic("a", 4, &[]).unwrap();
    world.source.create_topic("b", 1, &[]).unwrap();
    world.target.create_topic("a", 2, &[]).unwrap();
    world.write("a", 3, 0..10);
    world.write("b", 0, 0..10);
    commit(&world.source, "g", "a", 3, 4).await;
    commit(&world.source, "h", "b", 0, 4).await;
    let running = world.start();
    world.reaches("h", "b", 0, 4).await;
    let refused =
        |e: &Event| matches!(e, Event::GroupTopicRefused { source_count: 4, target_count: 2, .. });
    world.event(refused).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    running.becomes("g", GroupState::Refused).await;
    assert_eq!(world.at_target("g", "a", 1), -1);
    running.stop().await;
    assert_eq!(world.take_events().iter().filter(|event| refused(event)).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_last_look_of_a_once_task_comes_after_the_copy() {
    let mut world = World::new();
    world.spec.limits.group_interval = Duration::from_secs(3600);
    world.source.create_topic("a", 1, &[]).unwrap();
    for value in 0..200 {
        world.write("a", 0, value..value + 1);
    }
    commit(&world.source, "g", "a", 0, 200).await;
    let report = world.once().await;
    assert_eq!(world.at_target("g", "a", 0), 200);
    assert_eq!(report.progress.groups[0].state, GroupState::Synced);
}

#[tokio::test(start_paused = true)]
async fn structure_alone_is_made_known_and_existing_groups_are_left_alone() {
    for (sync, offsets) in [(SyncMode::Metadata, [-1, 2]), (SyncMode::MetadataData, [-1, 2])] {
        let mut world = World::new();
        world.spec.sync = sync;
        world.source.create_topic("a", 2, &[]).unwrap();
        world.target.create_topic("a", 2, &[]).unwrap();
        world.write("a", 0, 0..10);
        for group in ["new", "there"] {
            commit(&world.source, group, "a", 0, 4).await;
        }
        commit(&world.target, "there", "a", 0, 2).await;
        world.once().await;
        let made = world.target.committed_offset("new", "a", 0).map(|found| found.offset);
        assert_eq!(made, Some(offsets[0]), "{sync}");
        assert_eq!(world.at_target("there", "a", 0), offsets[1]);
        assert_eq!(world.target.committed_offset("new", "a", 1), None);
        let created = |e: &&Event| matches!(e, Event::GroupCreated { group, .. } if group == "new");
        assert_eq!(world.take_events().iter().filter(created).count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn groups_that_may_not_be_made_are_skipped_with_one_event() {
    for sync in [SyncMode::MetadataData, SyncMode::MetadataDataOffsets] {
        for is_denied in [false, true] {
            let mut world = World::new();
            world.spec.sync = sync;
            world.spec.limits.metadata_interval = Duration::from_secs(5);
            world.spec.group_auto_create = is_denied;
            world.source.create_topic("a", 1, &[]).unwrap();
            world.write("a", 0, 0..10);
            for group in ["g1", "g2"] {
                if is_denied {
                    let resource = Resource::Group(group.to_owned());
                    world.target.deny("ANONYMOUS", Operation::Read, resource);
                }
                commit(&world.source, group, "a", 0, 4).await;
            }
            let running = world.start();
            world.event(|e| matches!(e, Event::GroupsSkipped { count: 2, .. })).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
            running.stop().await;
            assert_eq!(world.target.committed_offset("g1", "a", 0), None);
            let events = world.take_events();
            let skipped = |e: &&Event| matches!(e, Event::GroupsSkipped { .. });
            assert_eq!(events.iter().filter(skipped).count(), 1, "{events:#?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_pattern_touches_no_groups() {
    let mut world = World::new();
    world.spec.sync = SyncMode::MetadataData;
    world.spec.topics = TopicSelection::Regex("a".parse().unwrap());
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 0, 0..10);
    commit(&world.source, "g", "a", 0, 4).await;
    world.once().await;
    assert_eq!(world.target.committed_offset("g", "a", 0), None);
}

#[tokio::test(start_paused = true)]
async fn a_text_too_long_for_the_target_stops_that_group_alone() {
    let world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    world.write("a", 0, 0..10);
    commit_with(&world.source, "g", "a", 0, 4, Some("m")).await;
    commit(&world.source, "h", "a", 0, 4).await;
    world.target.deny("ANONYMOUS", Operation::Read, Resource::Group("g".to_owned()));
    world.target.create_topic("a", 1, &[]).unwrap();
    commit(&world.target, "h", "a", 0, 0).await;
    let running = world.start();
    world.reaches("h", "a", 0, 4).await;
    world.event(|e| matches!(e, Event::GroupsSkipped { .. })).await;
    // Allowed later, it follows by itself.
    world.target.allow_all();
    world.reaches("g", "a", 0, 4).await;
    running.stop().await;
}

/// A thousand groups cost a few requests per look.
#[tokio::test(start_paused = true)]
async fn many_groups_are_followed_without_a_storm() {
    let world = World::new();
    world.source.create_topic("a", 1, &[]).unwrap();
    for value in 0..10 {
        world.write("a", 0, value * 100..value * 100 + 100);
    }
    let admin = client(&world.source);
    for group in 0..1000 {
        let at = TopicPartition::new("a", 0);
        let offset = OffsetToCommit { at, offset: group, metadata: None };
        admin.offset_commit(&format!("g{group}"), vec![offset]).await.unwrap();
    }
    let running = world.start();
    for group in 0..1000 {
        world.reaches(&format!("g{group}"), "a", 0, group).await;
    }
    running.stop().await;
}
