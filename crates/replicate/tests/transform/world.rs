//! Two simulated clusters, a topic with records to process, and what one task made of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use etl::{Compiled, Resources, Rule};
use kafka_client::{Client, ConnectionConfig};
use kafka_sim::{Cluster, ClusterConfig, Release, SchemaRegistry};
use kafka_wire::record::{BatchOptions, Record};
use replicate::event::Event;
use replicate::journal::MemoryJournal;
use replicate::progress::Progress;
use replicate::registry::{Needs, Registries, RegistryClient, RegistryConfig};
use replicate::spec::{
    Partitioning, Rename, SourcePolicies, TableTopic, TaskSpec, TopicSelection, Transform,
    TransformSpec,
};
use replicate::task::{Task, TaskError, TaskReport};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub(crate) const IN: &str = "in";
pub(crate) const OUT: &str = "out";
pub(crate) const DEAD: &str = "dead";

/// A rule that reads JSON and says where each record came from.
pub(crate) fn rule(more: &str) -> String {
    format!(
        "{{apiVersion: etl/v1, kind: EtlTemplate, spec: {{chains: [{{analyse: {{mode: json}}}}], metadata_fields: {{keep: true}}{more}}}}}"
    )
}

pub(crate) const DLQ: &str = ", failure: {policy: dlq, dlq: {topic: dead}}";

/// What one task is given.
pub(crate) struct World {
    pub(crate) source: Cluster,
    pub(crate) target: Cluster,
    pub(crate) journal: MemoryJournal,
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
    pub(crate) rule: String,
    pub(crate) copies: u32,
    pub(crate) partitioning: Partitioning,
    pub(crate) policies: SourcePolicies,
    /// Whether the topic for dead letters is made.
    pub(crate) may_create: bool,
    /// Lookup tables of the rule.
    pub(crate) tables: Vec<TableTopic>,
    pub(crate) progress: Arc<Mutex<Arc<Progress>>>,
    /// Those of source and target.
    pub(crate) registries: Option<[SchemaRegistry; 2]>,
    next: i64,
}

/// A task under way.
pub(crate) struct Run {
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<Result<TaskReport, TaskError>>,
}

impl Run {
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// As `kill -9` does.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

fn cluster(id: &str) -> Cluster {
    Cluster::new(ClusterConfig { cluster_id: id.into(), ..ClusterConfig::release(Release::V4_2) })
}

pub(crate) fn client(cluster: &Cluster) -> Client {
    Client::with_connector(ConnectionConfig::new(cluster.bootstrap()), cluster.connector())
}

pub(crate) async fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let wait = async {
        while !is_so() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(Duration::from_secs(300), wait).await.expect(what);
}

/// One output: where it came from, and what it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Made {
    pub(crate) partition: i64,
    pub(crate) offset: i64,
    pub(crate) id: i64,
}

impl World {
    pub(crate) fn new(rule: String, partitions: usize) -> Self {
        let world = Self {
            source: cluster("source"),
            target: cluster("target"),
            journal: MemoryJournal::new(),
            events: Arc::default(),
            rule,
            copies: 1,
            partitioning: Partitioning::Keep,
            policies: SourcePolicies::default(),
            may_create: true,
            tables: Vec::new(),
            progress: Arc::default(),
            registries: None,
            next: 0,
        };
        world.source.create_topic(IN, partitions, &[]).unwrap();
        world
    }

    pub(crate) fn spec(&self, once: bool) -> TaskSpec {
        let mut spec = TaskSpec::new("made".parse().unwrap());
        spec.once = once;
        spec.topics = TopicSelection::Regex(IN.parse().unwrap());
        let names = BTreeMap::from([(IN.to_owned(), OUT.to_owned())]);
        spec.rename = Rename { names: names.clone(), ..Rename::default() };
        spec.same_partition = self.partitioning == Partitioning::Keep;
        spec.source_policies = self.policies;
        let rule = Rule::parse(&self.rule).unwrap();
        let registries = self.registries.as_ref().map(|registries| {
            let [source, target] = registries.each_ref().map(|registry| {
                let config = RegistryConfig::new("http://registry:8081".parse().unwrap());
                Some(RegistryClient::with_connector(config, registry.connector()))
            });
            Registries::new(Needs::of(&rule), source, target, names)
        });
        let with_table =
            |known: Resources, one: &TableTopic| known.with_table(&one.table, etl::Table::new());
        let resources = self.tables.iter().fold(Resources::new(), with_table);
        let mut rule = Compiled::new(&rule, &resources).unwrap();
        rule.set_multiplier(self.copies);
        spec.transform = Some(Transform::new(TransformSpec {
            rule,
            partitioning: self.partitioning,
            compression: None,
            create_dead_letter_topic: self.may_create,
            registries,
            tables: self.tables.clone(),
        }));
        spec
    }

    pub(crate) fn run(&self, once: bool) -> Run {
        let shutdown = CancellationToken::new();
        let told = Arc::clone(&self.events);
        let (progress, mut seen) = watch::channel(Arc::new(Progress::default()));
        let last = Arc::clone(&self.progress);
        tokio::spawn(async move {
            while seen.changed().await.is_ok() {
                *last.lock().unwrap() = Arc::clone(&seen.borrow());
            }
        });
        let task = Task {
            spec: self.spec(once),
            source: client(&self.source),
            target: client(&self.target),
            journal: Arc::new(self.journal.clone()),
            sink: Arc::new(move |event| told.lock().unwrap().push(event)),
            progress,
            shutdown: shutdown.clone(),
        };
        Run { shutdown, task: tokio::spawn(task.run()) }
    }

    pub(crate) async fn once(&self) -> Result<TaskReport, TaskError> {
        self.run(true).task.await.unwrap()
    }

    /// One batch of JSON objects with growing ids.
    pub(crate) fn append(&mut self, partition: i32, count: i64) {
        let values: Vec<String> = (self.next..self.next + count)
            .map(|id| format!(r#"{{"id":{id},"even":{}}}"#, id % 2 == 0))
            .collect();
        self.next += count;
        self.append_values(partition, &values);
    }

    /// A batch of records that no rule for JSON reads.
    pub(crate) fn append_poison(&mut self, partition: i32, count: i64) {
        let values: Vec<String> =
            (self.next..self.next + count).map(|id| format!("poison {id}")).collect();
        self.next += count;
        self.append_values(partition, &values);
    }

    pub(crate) fn append_values(&self, partition: i32, values: &[String]) {
        let values: Vec<Bytes> = values.iter().map(|value| Bytes::from(value.clone())).collect();
        self.append_bytes(partition, &values);
    }

    pub(crate) fn append_bytes(&self, partition: i32, values: &[Bytes]) {
        let records: Vec<Record> = (0..)
            .zip(values)
            .map(|(offset, value)| Record {
                offset,
                timestamp: self.source.now_ms(),
                key: Some(Bytes::from(format!("k{}", value.len() * 7 % 5))),
                value: Some(value.clone()),
                headers: Vec::new(),
            })
            .collect();
        let options = BatchOptions::default();
        self.source.append_records(IN, partition, &options, &records).unwrap();
    }

    /// All records of a target topic, by partition.
    pub(crate) fn records(&self, topic: &str) -> Vec<Vec<Record>> {
        let topics = self.target.topics();
        let count = topics.iter().find(|(name, _)| name == topic).map_or(0, |(_, count)| *count);
        (0..i32::try_from(count).unwrap())
            .map(|partition| self.target.records(topic, partition).unwrap())
            .collect()
    }

    /// What the rule made, by target partition, in order.
    pub(crate) fn made(&self) -> Vec<Vec<Made>> {
        let read = |record: &Record| {
            let value: serde_json::Value =
                serde_json::from_slice(record.value.as_ref().unwrap()).unwrap();
            let number = |name: &str| value[name].as_i64().unwrap();
            Made {
                partition: number("__source_partition"),
                offset: number("__source_offset"),
                id: number("id"),
            }
        };
        self.records(OUT).iter().map(|records| records.iter().map(read).collect()).collect()
    }

    /// What is to be made of what the source has, and which offsets fail, by partition.
    pub(crate) fn expected(&self) -> (Vec<Made>, Vec<(i64, i64)>) {
        let (mut made, mut failed) = (Vec::new(), Vec::new());
        let count = self.source.topics().into_iter().find(|(name, _)| name == IN).unwrap().1;
        for partition in 0..i32::try_from(count).unwrap() {
            for record in self.source.records(IN, partition).unwrap() {
                let at = (i64::from(partition), record.offset);
                let value = record.value.unwrap();
                match serde_json::from_slice::<serde_json::Value>(&value) {
                    Ok(value) => {
                        let id = value["id"].as_i64().unwrap();
                        let one = Made { partition: at.0, offset: at.1, id };
                        made.extend((0..self.copies).map(|_| one.clone()));
                    }
                    Err(_) => failed.push(at),
                }
            }
        }
        (made, failed)
    }

    /// Every output once, those of a source partition in order in each target partition, every dead letter once.
    #[track_caller]
    pub(crate) fn check(&self, what: &str) {
        let (expected, failed) = self.expected();
        let made = self.made();
        for records in &made {
            let mut last: BTreeMap<i64, i64> = BTreeMap::new();
            for one in records {
                let last = last.entry(one.partition).or_insert(-1);
                assert!(one.offset >= *last, "{what}: {one:?} behind offset {last}");
                *last = one.offset;
            }
        }
        let mut found: Vec<Made> = made.into_iter().flatten().collect();
        found.sort();
        assert_eq!(found, expected, "{what}");
        let mut dead = self.dead_letters();
        dead.sort_unstable();
        let is_dead = self.rule.contains("dlq");
        assert_eq!(dead, if is_dead { failed } else { Vec::new() }, "{what}");
    }

    /// Source partition and offset of each dead letter.
    pub(crate) fn dead_letters(&self) -> Vec<(i64, i64)> {
        let records = self.records(DEAD).into_iter().flatten();
        let number = |record: &Record, name: &str| -> i64 {
            let header = record.headers.iter().find(|header| header.key == name).unwrap();
            std::str::from_utf8(header.value.as_ref().unwrap()).unwrap().parse().unwrap()
        };
        records
            .map(|record| {
                assert!(record.value.as_ref().unwrap().starts_with(b"poison"));
                (
                    number(&record, "__connect.errors.partition"),
                    number(&record, "__connect.errors.offset"),
                )
            })
            .collect()
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.events.lock().unwrap().clone()
    }
}
