//! Two clusters with authorizers, a task between them, and a journal that stops at a chosen write.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use forward::Segment;
use kafka_client::{
    Acl, AclOperation, AclPattern, AclPermission, AclResource, Client, ConnectionConfig,
};
use kafka_sim::{Cluster, ClusterConfig, Release};
use kafka_wire::messages::ApiKey;
use replicate::drift::{Drift, drift};
use replicate::event::{Event, EventSink};
use replicate::journal::{
    Claim, GroupRecord, Journal, JournalFuture, JournalWrite, LaneKey, LaneRecord, MapQuery,
    MemoryJournal, TaskIdentity, TopicRecord,
};
use replicate::plan::{AclPlan, Plan, plan};
use replicate::spec::{AclSync, SyncMode, TaskSpec};
use replicate::topics::TopicSync;

/// Two clusters, and what was told.
pub(crate) struct World {
    pub(crate) source: Cluster,
    pub(crate) target: Cluster,
    pub(crate) journal: StoppingJournal,
    pub(crate) spec: TaskSpec,
    events: Arc<Mutex<Vec<Event>>>,
}

pub(crate) fn cluster(id: &str, release: Release, authorizer: bool) -> Cluster {
    let config = ClusterConfig { cluster_id: id.into(), release, ..ClusterConfig::default() };
    Cluster::new(ClusterConfig { authorizer, ..config })
}

pub(crate) fn client(cluster: &Cluster) -> Client {
    let mut config = ConnectionConfig::new(cluster.bootstrap());
    config.limits.retry_time_max = std::time::Duration::from_secs(5);
    Client::with_connector(config, cluster.connector())
}

/// `User:alice` may do this on a topic.
pub(crate) fn allow(operation: AclOperation, topic: &str) -> Acl {
    Acl {
        resource: AclResource::Topic,
        name: topic.to_owned(),
        pattern: AclPattern::Literal,
        principal: "User:alice".to_owned(),
        host: "*".to_owned(),
        operation,
        permission: AclPermission::Allow,
    }
}

impl World {
    /// Topics `a` and `b` travel with their ACLs.
    pub(crate) fn new() -> Self {
        let world = Self::of(
            cluster("source", Release::V4_2, true),
            cluster("target", Release::V4_2, true),
        );
        for topic in ["a", "b"] {
            world.source.create_topic(topic, 1, &[]).unwrap();
        }
        world
    }

    pub(crate) fn of(source: Cluster, target: Cluster) -> Self {
        let mut spec = TaskSpec::new("t".parse().unwrap());
        spec.sync = SyncMode::Metadata;
        spec.acl_sync = AclSync::Topics;
        let journal = StoppingJournal::default();
        Self { source, target, journal, spec, events: Arc::default() }
    }

    /// The sync of a process that has just started.
    pub(crate) fn start(&self) -> TopicSync {
        let events = Arc::clone(&self.events);
        let sink: EventSink = Arc::new(move |event| events.lock().unwrap().push(event));
        let journal: Arc<dyn Journal> = Arc::new(self.journal.clone());
        TopicSync::new(self.spec.clone(), client(&self.source), client(&self.target), journal, sink)
    }

    /// A process that starts, looks once and ends.
    pub(crate) async fn run(&self) {
        self.start().initial().await.unwrap();
    }

    /// What was told of ACLs since it was asked last.
    pub(crate) fn told(&self) -> Vec<Event> {
        let mut events = std::mem::take(&mut *self.events.lock().unwrap());
        events.retain(|event| {
            matches!(
                event,
                Event::AclsCreated { .. }
                    | Event::AclsRemoved { .. }
                    | Event::AclsWithheld { .. }
                    | Event::AclsLeftOut { .. }
                    | Event::AclRefused { .. }
                    | Event::AclSyncFailed { .. }
            )
        });
        events
    }

    pub(crate) async fn plan(&self) -> Plan {
        let (source, target) = (client(&self.source), client(&self.target));
        plan(&self.spec, &source, &target, Some(&self.journal)).await.unwrap()
    }

    pub(crate) async fn acl_plan(&self) -> AclPlan {
        self.plan().await.acls.unwrap()
    }

    pub(crate) async fn drift(&self) -> Drift {
        let (source, target) = (client(&self.source), client(&self.target));
        drift(&self.spec, &source, &target, Some(&self.journal)).await.unwrap()
    }

    /// Requests that the target was asked to change ACLs with.
    pub(crate) fn changes(&self) -> u64 {
        self.target.request_count(ApiKey::CreateAcls)
            + self.target.request_count(ApiKey::DeleteAcls)
    }
}

/// A journal that stops for ever at a write, before or after it is durable: the process dies there.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoppingJournal {
    inner: MemoryJournal,
    writes: Arc<AtomicUsize>,
    /// The write at which it stops, and whether that one still becomes durable.
    stop: Arc<Mutex<Option<(usize, bool)>>>,
}

impl StoppingJournal {
    /// Stops at a later write, counted from 0 on, or never.
    pub(crate) fn stop_at(&self, stop: Option<(usize, bool)>) {
        self.writes.store(0, Ordering::Relaxed);
        *self.stop.lock().unwrap() = stop;
    }

    /// How many writes there were since then.
    pub(crate) fn writes(&self) -> usize {
        self.writes.load(Ordering::Relaxed)
    }
}

impl Journal for StoppingJournal {
    fn claim(&self, identity: TaskIdentity) -> JournalFuture<'_, Claim> {
        self.inner.claim(identity)
    }

    fn load_identity(&self) -> JournalFuture<'_, Option<TaskIdentity>> {
        self.inner.load_identity()
    }

    fn write(&self, writes: Vec<JournalWrite>) -> JournalFuture<'_, ()> {
        Box::pin(async move {
            let number = self.writes.fetch_add(1, Ordering::Relaxed);
            let stop = self.stop.lock().unwrap().filter(|(at, _)| *at == number);
            if stop.is_none_or(|(_, durable)| durable) {
                self.inner.write(writes).await?;
            }
            if stop.is_some() {
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }

    fn load_lanes(&self) -> JournalFuture<'_, Vec<LaneRecord>> {
        self.inner.load_lanes()
    }

    fn load_topics(&self) -> JournalFuture<'_, Vec<TopicRecord>> {
        self.inner.load_topics()
    }

    fn load_groups(&self) -> JournalFuture<'_, Vec<GroupRecord>> {
        self.inner.load_groups()
    }

    fn load_note(&self, name: String) -> JournalFuture<'_, Option<String>> {
        self.inner.load_note(name)
    }

    fn load_map(&self, lane: LaneKey, count_max: usize) -> JournalFuture<'_, (Vec<Segment>, bool)> {
        self.inner.load_map(lane, count_max)
    }

    fn query_map(&self, lane: LaneKey, query: MapQuery) -> JournalFuture<'_, Option<Segment>> {
        self.inner.query_map(lane, query)
    }
}
