//! What shuts out requests of a dead connection when the coordinator does not give the lane its former producer id again.
//! Time is virtual.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of their functions")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use kafka_client::{Client, ConnectionConfig};
use kafka_sim::{Cluster, ClusterConfig, Fault, FaultAction, Operation, Resource};
use kafka_wire::messages::ApiKey;
use kafka_wire::record::{BatchOptions, Record};
use replicate::event::Event;
use replicate::journal::MemoryJournal;
use replicate::progress::Progress;
use replicate::spec::TaskSpec;
use replicate::task::Task;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

const TOPIC: &str = "t";

fn cluster(id: &str) -> Cluster {
    let config = ClusterConfig { cluster_id: id.into(), ..ClusterConfig::default() };
    Cluster::new(config)
}

fn client(cluster: &Cluster) -> Client {
    Client::with_connector(ConnectionConfig::new(cluster.bootstrap()), cluster.connector())
}

/// One batch of three records, whose values tell their numbers.
fn append(cluster: &Cluster, first: i64) {
    let record = |number: i64| Record {
        offset: number,
        timestamp: cluster.now_ms(),
        key: None,
        value: Some(Bytes::from(number.to_string())),
        headers: Vec::new(),
    };
    let records: Vec<Record> = (first..first + 3).map(record).collect();
    cluster.append_records(TOPIC, 0, &BatchOptions::default(), &records).unwrap();
}

fn values(cluster: &Cluster) -> Vec<String> {
    let text = |record: Record| String::from_utf8(record.value.unwrap().to_vec()).unwrap();
    cluster.records(TOPIC, 0).unwrap().into_iter().map(text).collect()
}

async fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(300), wait).await.expect(what);
}

/// A copy whose target forgets the transactional id, and then carries out a produce request 20 s late, long after
/// the client gave its connection up. What was told meanwhile.
async fn copy_with_a_late_request(prepare: impl FnOnce(&Cluster)) -> Vec<Event> {
    let (source, target) = (cluster("source"), cluster("target"));
    source.create_topic(TOPIC, 1, &[]).unwrap();
    append(&source, 0);
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let told = Arc::clone(&events);
    let mut spec = TaskSpec::new("fences".parse().unwrap());
    spec.limits.produce_timeout = Duration::from_secs(5);
    let shutdown = CancellationToken::new();
    let task = Task {
        spec,
        source: client(&source),
        target: client(&target),
        journal: Arc::new(MemoryJournal::new()),
        sink: Arc::new(move |event| told.lock().unwrap().push(event)),
        progress: watch::channel(Arc::new(Progress::default())).0,
        shutdown: shutdown.clone(),
    };
    let running = tokio::spawn(task.run());
    let has = |target: &Cluster, count: usize| {
        target.topics().iter().any(|(name, _)| name == TOPIC) && values(target).len() >= count
    };
    wait_for("the first records arrive", || has(&target, 3)).await;
    prepare(&target);
    let late = FaultAction::Late(Duration::from_secs(20));
    target.add_fault(Fault::once(ApiKey::Produce, late));
    append(&source, 3);
    wait_for("the records arrive, late or again", || has(&target, 6)).await;
    // The late request has been carried out by then, or refused.
    sleep(Duration::from_secs(40)).await;
    append(&source, 6);
    wait_for("the copy goes on", || has(&target, 9)).await;
    shutdown.cancel();
    running.await.unwrap().unwrap();
    assert_eq!(values(&target), values(&source));
    let told = events.lock().unwrap();
    told.clone()
}

fn was_fenced(events: &[Event]) -> Vec<bool> {
    let fenced = |event: &Event| match event {
        Event::LaneRecovered { fenced, .. } => Some(*fenced),
        _ => None,
    };
    events.iter().filter_map(fenced).collect()
}

fn has_waited(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::GuaranteeChanged { .. }))
}

#[tokio::test(start_paused = true)]
async fn a_late_request_meets_the_fence() {
    let events = copy_with_a_late_request(|_| ()).await;
    assert_eq!((was_fenced(&events), has_waited(&events)), (vec![true], false), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_transactional_id_is_fenced_by_hand() {
    let events = copy_with_a_late_request(Cluster::expire_transactional_ids).await;
    assert_eq!((was_fenced(&events), has_waited(&events)), (vec![true], false), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_transactional_id_is_waited_for_where_markers_are_forbidden() {
    let events = copy_with_a_late_request(|target| {
        target.expire_transactional_ids();
        target.deny("*", Operation::ClusterAction, Resource::Cluster);
    })
    .await;
    assert_eq!((was_fenced(&events), has_waited(&events)), (vec![false], true), "{events:?}");
}

#[tokio::test(start_paused = true)]
async fn transactional_ids_may_be_forbidden_on_the_way() {
    let events = copy_with_a_late_request(|target| {
        let ids = Resource::TransactionalId("*".to_owned());
        target.deny("*", Operation::Write, ids);
        target.deny("*", Operation::ClusterAction, Resource::Cluster);
    })
    .await;
    assert_eq!((was_fenced(&events), has_waited(&events)), (vec![false], true), "{events:?}");
}
