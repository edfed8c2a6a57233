//! Topics: which travel, how they are made on the target, and how they follow the source afterwards.
//!
//! [`TopicSync`] compares what both clusters show, plans (`plan`, `names`, `crate::topic_config`: pure), applies
//! (`create`, `schedule`), and hands the topics that are ready to the task, which runs their lanes. A topic
//! that cannot be brought over is told by an event and left out; the others go on. The structure of consumer
//! groups, which metadata sync also makes known on the target, has its place beside `schedule`.

pub(crate) mod create;
pub(crate) mod describe;
pub(crate) mod names;
pub(crate) mod pairs;
pub(crate) mod plan;
mod recreated;
mod schedule;
pub(crate) mod survey;
pub(crate) mod tell;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use forward::TargetTraits;
use kafka_client::{Client, ClusterMetadata, TopicMetadata, TopicQuery};
use kafka_wire::{ErrorCode, Uuid};
use tokio::time::Instant;

use self::create::{Creator, Made, Mode};
use self::describe::{Described, describe};
use self::plan::{Growth, Step, partition_count};
use self::survey::{Wanted, scope, survey};
use self::tell::Teller;
use crate::acls::AclKeeper;
use crate::event::{EventSink, SkipReason};
use crate::journal::{Journal, JournalWrite, TopicRecord};
use crate::spec::{AclSync, TaskSpec};
use crate::task::{Role, TaskError};
use crate::topic_config::{TopicConfig, fidelity};

/// The journal's note that the topics of the task's beginning are recorded.
pub(crate) const BEGUN: &str = "topics_begun";

/// Looks in a row that must miss a topic before it counts as deleted: a broker that has just started may not know
/// all topics yet.
const MISSING_LOOKS: u32 = 2;

/// Topics that are made at a time at the beginning.
const PORTION: usize = 100;

/// First and longest pause between two looks whether new partitions have leaders.
const READY_PAUSE: Duration = Duration::from_millis(20);
const READY_PAUSE_MAX: Duration = Duration::from_millis(500);

/// A topic that is ready to be copied.
#[derive(Clone, Debug)]
pub struct SyncedTopic {
    /// The topic on the source, as it was seen now.
    pub source: TopicMetadata,
    /// Its name on the target.
    pub target_name: String,
    /// Its partitions on the target, all with leaders when last seen.
    pub target_partitions: i32,
    /// What the target does to records.
    pub target_traits: TargetTraits,
    /// Source partitions below this one were there when the task began and start where the task says; later ones
    /// start at their first offset (BF-30).
    pub initial_partitions: i32,
    /// Whether the topic appeared after the task began.
    pub is_new: bool,
}

/// What is remembered of a topic that travels.
#[derive(Clone, Debug)]
struct Synced {
    topic_id: Option<Uuid>,
    target_name: String,
    /// Partitions on the source for which the target was asked last.
    asked_partitions: i32,
    target_partitions: i32,
    /// Looks in a row in which the source did not show the topic.
    missing_looks: u32,
}

impl Synced {
    /// Whether the source topic is another one now, or has more partitions than the target was asked for.
    fn is_outdated(&self, topic: &TopicMetadata) -> bool {
        self.topic_id != topic.topic_id || self.asked_partitions < partition_count(topic)
    }
}

/// Keeps the target's topics in step with the source's.
pub struct TopicSync {
    spec: TaskSpec,
    source: Client,
    target: Client,
    /// Both are one: copies are not to be copied.
    is_one_cluster: bool,
    journal: Arc<dyn Journal>,
    tell: Teller,
    /// What the journal knows, by source name.
    records: BTreeMap<String, TopicRecord>,
    /// Topics that travel, by source name.
    synced: BTreeMap<String, Synced>,
    /// Topics in scope that do not travel at the moment, by source name.
    skipped: BTreeSet<String>,
    /// Why topics were left out when it was told last.
    told_skips: BTreeMap<String, SkipReason>,
    /// Differences that were told: topic, key, source value, target value.
    told: BTreeSet<(String, String, Option<String>, Option<String>)>,
    creator: Creator,
    /// None when ACLs do not travel.
    acls: Option<AclKeeper>,
}

impl fmt::Debug for TopicSync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TopicSync")
            .field("task", &self.spec.name)
            .field("synced", &self.synced)
            .finish_non_exhaustive()
    }
}

impl TopicSync {
    /// A sync that has not looked yet.
    #[must_use]
    pub fn new(
        spec: TaskSpec,
        source: Client,
        target: Client,
        journal: Arc<dyn Journal>,
        sink: EventSink,
    ) -> Self {
        let acls = AclKeeper::new(&spec, (&source, &target), &journal, &sink);
        let tell = Teller::new(spec.name.clone(), sink);
        Self {
            spec,
            source,
            target,
            is_one_cluster: false,
            journal,
            tell,
            records: BTreeMap::new(),
            synced: BTreeMap::new(),
            skipped: BTreeSet::new(),
            told_skips: BTreeMap::new(),
            told: BTreeSet::new(),
            creator: Creator::default(),
            acls,
        }
    }

    /// The same, where source and target are one cluster or are not.
    #[must_use]
    pub fn within_one_cluster(mut self, is_one_cluster: bool) -> Self {
        self.is_one_cluster = is_one_cluster;
        self
    }

    /// How many topics in scope do not travel at the moment.
    #[must_use]
    pub fn skipped_count(&self) -> usize {
        self.skipped.len()
    }

    /// The first look: brings all topics in scope to the target. Returns those that are ready.
    ///
    /// # Errors
    /// [`TaskError`] when a cluster or the journal does not answer. What concerns one topic is an event.
    pub async fn initial(&mut self) -> Result<Vec<SyncedTopic>, TaskError> {
        let mut wanted = self.begin().await?;
        let mut ready = self.bring_some(&mut wanted).await?;
        while !wanted.is_empty() {
            ready.extend(self.bring_some(&mut wanted).await?);
        }
        Ok(ready)
    }

    /// The first look without its consequences: the topics in scope, each with its name on the target, for
    /// [`TopicSync::bring_some`].
    pub(crate) async fn begin(&mut self) -> Result<Vec<Wanted>, TaskError> {
        let records = self.journal.load_topics().await?;
        self.records =
            records.into_iter().map(|record| (record.source_topic.clone(), record)).collect();
        let is_begin = self.journal.load_note(BEGUN.to_owned()).await?.is_none();
        let source = self.look(&self.source, Role::Source).await?;
        let wanted = self.in_scope(&source).await?;
        self.remember(&wanted, is_begin).await?;
        Ok(wanted)
    }

    /// Brings the first topics of `wanted` to the target and takes them off it: a broker makes thousands of partitions in a minute,
    /// and what is there already can be copied meanwhile. Returns those that are ready.
    pub(crate) async fn bring_some(
        &mut self,
        wanted: &mut Vec<Wanted>,
    ) -> Result<Vec<SyncedTopic>, TaskError> {
        // Where ACLs travel they come before the first record.
        let has_acls = self.spec.acl_sync != AclSync::None;
        let count = if has_acls { wanted.len() } else { wanted.len().min(PORTION) };
        let rest = wanted.split_off(count);
        let ready = self.bring(std::mem::replace(wanted, rest), false).await?;
        if wanted.is_empty() {
            self.sync_acls().await?;
        }
        Ok(ready)
    }

    /// A quick look for new topics, new partitions and topics that are gone. Returns topics that are new or changed.
    ///
    /// # Errors
    /// [`TaskError`] when the journal does not answer; clusters that do not are an event.
    pub async fn discover(&mut self) -> Result<Vec<SyncedTopic>, TaskError> {
        let result = self.try_discover(false).await;
        self.tolerate(result)
    }

    /// The regular comparison: what [`TopicSync::discover`] does, skipped topics once more, unlimited retention, and
    /// drift. Returns topics that are new or changed.
    ///
    /// # Errors
    /// [`TaskError`] when the journal does not answer; clusters that do not are an event.
    pub async fn scheduled(&mut self) -> Result<Vec<SyncedTopic>, TaskError> {
        let result = self.try_scheduled().await;
        self.tolerate(result)
    }

    async fn try_discover(&mut self, again: bool) -> Result<Vec<SyncedTopic>, TaskError> {
        let source = self.look(&self.source, Role::Source).await?;
        self.note_missing(&source);
        let mut wanted = self.in_scope(&source).await?;
        wanted.retain(|(topic, _)| match self.synced.get(&topic.name) {
            Some(synced) => {
                synced.is_outdated(topic)
                    || again && synced.target_partitions < partition_count(topic)
            }
            None => again || !self.skipped.contains(&topic.name),
        });
        self.remember(&wanted, false).await?;
        self.bring(wanted, true).await
    }

    async fn try_scheduled(&mut self) -> Result<Vec<SyncedTopic>, TaskError> {
        let changed = self.try_discover(true).await?;
        self.compare_configs().await?;
        self.sync_acls().await?;
        Ok(changed)
    }

    /// Brings the ACLs of what travels over, if they do.
    async fn sync_acls(&mut self) -> Result<(), TaskError> {
        let Some(acls) = &mut self.acls else { return Ok(()) };
        let travelling = self
            .synced
            .iter()
            .map(|(name, synced)| (name.clone(), synced.target_name.clone()))
            .collect();
        acls.look(&travelling, self.is_one_cluster).await
    }

    /// A cluster that does not answer is told; the next look comes by itself.
    fn tolerate(
        &self,
        result: Result<Vec<SyncedTopic>, TaskError>,
    ) -> Result<Vec<SyncedTopic>, TaskError> {
        match result {
            Err(error @ TaskError::Client { .. }) => {
                self.tell.sync_failed(None, error.to_string());
                Ok(Vec::new())
            }
            result => result,
        }
    }

    async fn look(&self, client: &Client, role: Role) -> Result<Arc<ClusterMetadata>, TaskError> {
        client.refresh_metadata(TopicQuery::All).await.map_err(TaskError::client(role))
    }

    /// Topics of the source that are in scope and have a name of their own on the target. Others are told once.
    async fn in_scope(&mut self, source: &ClusterMetadata) -> Result<Vec<Wanted>, TaskError> {
        self.note_recreated(source).await?;
        let known = self
            .records
            .iter()
            .map(|(source, record)| (source.clone(), record.target_topic.clone()))
            .collect();
        let scope = scope(source, &self.spec, &known, self.is_one_cluster);
        for (topic, target_name, reason) in scope.refused {
            let is_unreadable = matches!(reason, SkipReason::SourceUnreadable { .. });
            if !is_unreadable || !self.synced.contains_key(&topic) {
                self.skip(&topic, &target_name, reason);
            }
        }
        self.note_absent(source);
        Ok(scope.wanted)
    }

    /// Topics that the task names one by one and the source does not show: a misspelt name must not look like success.
    fn note_absent(&mut self, source: &ClusterMetadata) {
        if self.spec.transform.is_none() {
            return;
        }
        let cause = "it does not exist there, or may not be seen".to_owned();
        let reason = SkipReason::SourceUnreadable { cause };
        for (name, target_name) in self.spec.rename.names.clone() {
            if source.topics.contains_key(&name) {
                if self.told_skips.get(&name) == Some(&reason) {
                    self.told_skips.remove(&name);
                    self.skipped.remove(&name);
                }
            } else if !self.synced.contains_key(&name) {
                self.skip(&name, &target_name, reason.clone());
            }
        }
    }

    /// Makes topics that are met for the first time durable before anything is done about them.
    async fn remember(&mut self, wanted: &[Wanted], is_begin: bool) -> Result<(), TaskError> {
        let mut writes = Vec::new();
        for (topic, target_name) in wanted {
            if self.records.contains_key(&topic.name) {
                continue;
            }
            let record = TopicRecord {
                source_topic: topic.name.clone(),
                source_topic_id: topic.topic_id,
                target_topic: target_name.clone(),
                initial_partitions: if is_begin { partition_count(topic) } else { 0 },
            };
            if topic.name != *target_name {
                self.tell.renamed(&topic.name, target_name);
            }
            writes.push(JournalWrite::Topic(record.clone()));
            self.records.insert(topic.name.clone(), record);
        }
        if is_begin {
            writes.push(JournalWrite::Note { name: BEGUN.to_owned(), value: "1".to_owned() });
        }
        if !writes.is_empty() {
            self.journal.write(writes).await?;
        }
        Ok(())
    }

    /// Notices topics that are gone from the source; their lanes learn it by their own fetches.
    fn note_missing(&mut self, source: &ClusterMetadata) {
        let mut gone = Vec::new();
        for (name, synced) in &mut self.synced {
            let is_missing = source
                .topics
                .get(name)
                .is_none_or(|topic| topic.error == ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
            synced.missing_looks = if is_missing { synced.missing_looks + 1 } else { 0 };
            if synced.missing_looks >= MISSING_LOOKS {
                gone.push((name.clone(), synced.target_name.clone()));
            }
        }
        for (name, target_name) in gone {
            self.synced.remove(&name);
            self.tell.deleted(&name, &target_name);
        }
        self.skipped.retain(|name| source.topics.contains_key(name));
    }

    /// Brings topics to the target: creates what is absent, grows what is short, waits until all is led. Returns
    /// those that are ready.
    async fn bring(
        &mut self,
        wanted: Vec<Wanted>,
        is_new: bool,
    ) -> Result<Vec<SyncedTopic>, TaskError> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        for (topic, _) in &wanted {
            self.skipped.remove(&topic.name);
        }
        let survey = survey(&self.spec, &self.source, &self.target, wanted).await?;
        let configs = self.readable(survey.configs);
        let mut wanted = Vec::new();
        let mut creations = Vec::new();
        let mut growths = Vec::new();
        for ((topic, target_name), step) in survey.steps {
            match step {
                Step::Keep => {}
                Step::Create(creation) => creations.push(*creation),
                Step::Grow(growth) => growths.push(growth),
                Step::Refuse(reason) => self.skip(&topic.name, &target_name, reason),
            }
            wanted.push((topic, target_name));
        }
        let mut made: BTreeMap<_, _> = creations
            .iter()
            .map(|creation| (creation.new.name.clone(), creation.new.partitions))
            .chain(growths.iter().map(|growth| (growth.target_name.clone(), growth.to)))
            .collect();
        let patience = self.spec.limits.topic_ready_timeout;
        let tell = self.tell.clone();
        let told = move |made: &Made| tell.made(made);
        let created =
            self.creator.create(&self.target, creations, patience, Mode::Apply, &told).await;
        for refused in created.refused {
            self.skip(&refused.topic, &refused.target_name, refused.reason);
        }
        for target_name in self.grow(growths).await {
            made.remove(&target_name);
        }
        let alive: Vec<_> =
            wanted.into_iter().filter(|(topic, _)| !self.skipped.contains(&topic.name)).collect();
        let found = self.wait_until_led(&alive, made).await?;
        self.finish(alive, &found, &configs, is_new).await
    }

    /// Takes note of topics that are on the target now, with what the target does to their records.
    async fn finish(
        &mut self,
        wanted: Vec<Wanted>,
        found: &ClusterMetadata,
        configs: &BTreeMap<String, TopicConfig>,
        is_new: bool,
    ) -> Result<Vec<SyncedTopic>, TaskError> {
        let target_names = wanted.iter().map(|(_, name)| name.clone()).collect();
        let described =
            describe(&self.target, target_names).await.map_err(TaskError::client(Role::Target))?;
        let target_configs = self.readable(described);
        let unknown = TopicConfig::default();
        let mut ready = Vec::new();
        for (source, target_name) in wanted {
            let Some(target_partitions) = found
                .topics
                .get(&target_name)
                .map(|topic| partition_count(topic))
                .filter(|count| *count > 0)
            else {
                let cause = "the target does not list it".to_owned();
                self.skip(&source.name, &target_name, SkipReason::NotReady { cause });
                continue;
            };
            let source_config = configs.get(&source.name).unwrap_or(&unknown);
            let target_config = target_configs.get(&target_name).unwrap_or(&unknown);
            self.tell_fidelity(&source.name, &target_name, source_config, target_config);
            self.told_skips.remove(&source.name);
            let traits = traits(target_config);
            let initial_partitions =
                self.records.get(&source.name).map_or(0, |record| record.initial_partitions);
            ready.push(SyncedTopic {
                source: source.clone(),
                target_name: target_name.clone(),
                target_partitions,
                target_traits: traits,
                initial_partitions,
                is_new: is_new && !self.synced.contains_key(&source.name),
            });
            let asked_partitions = partition_count(&source);
            let topic_id = source.topic_id;
            let synced = Synced {
                topic_id,
                target_name,
                asked_partitions,
                target_partitions,
                missing_looks: 0,
            };
            self.synced.insert(source.name, synced);
        }
        Ok(ready)
    }

    /// Gives target topics the partitions that the source has. Where that cannot be, a topic that already travels goes
    /// on as it is; another one is left out if its records would lose their partition. Returns the target topics that
    /// did not grow.
    async fn grow(&mut self, growths: Vec<Growth>) -> Vec<String> {
        let mut refused = Vec::new();
        if growths.is_empty() {
            return refused;
        }
        let asked = growths.iter().map(|growth| (growth.target_name.clone(), growth.to)).collect();
        let answers = self.target.create_partitions(asked, false).await;
        for growth in growths {
            let cause = match &answers {
                Ok(answers) => match answers.get(&growth.target_name) {
                    Some(Ok(())) => {
                        self.tell.grown(&growth);
                        continue;
                    }
                    Some(Err(error)) => error.to_string(),
                    None => "the target did not answer for it".to_owned(),
                },
                Err(error) => error.to_string(),
            };
            if self.spec.same_partition && !self.synced.contains_key(&growth.topic) {
                let (source_count, target_count) = (growth.to, growth.from);
                let reason = SkipReason::TooFewPartitions { source_count, target_count, cause };
                self.skip(&growth.topic, &growth.target_name, reason);
            } else {
                self.tell.growth_refused(&growth, cause);
            }
            refused.push(growth.target_name);
        }
        refused
    }

    /// What the target shows of `wanted` when the partitions in `made` (target name, count) have leaders, or when
    /// that takes too long: a lane can wait for its leader by itself (BF-39).
    async fn wait_until_led(
        &self,
        wanted: &[Wanted],
        made: BTreeMap<String, i32>,
    ) -> Result<Arc<ClusterMetadata>, TaskError> {
        let names: Vec<_> = wanted.iter().map(|(_, name)| name.clone()).collect();
        let deadline = Instant::now() + self.spec.limits.topic_ready_timeout;
        let mut pause = READY_PAUSE;
        loop {
            let found = self.target.refresh_metadata(TopicQuery::Named(names.clone())).await;
            let found = found.map_err(TaskError::client(Role::Target))?;
            let is_led = |name: &String| {
                let Some(count) = made.get(name) else { return true };
                found.topics.get(name).is_some_and(|topic| {
                    partition_count(topic) >= *count
                        && topic.partitions.iter().all(|partition| partition.leader_id >= 0)
                })
            };
            if names.iter().all(is_led) || Instant::now() + pause > deadline {
                return Ok(found);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(READY_PAUSE_MAX);
        }
    }

    /// The configurations that may be read; of the others, an event tells once.
    fn readable(&mut self, described: Described) -> BTreeMap<String, TopicConfig> {
        let mut configs = BTreeMap::new();
        for (name, result) in described {
            match result {
                Ok(config) => drop(configs.insert(name, config)),
                Err(error) => {
                    if self.told.insert((
                        name.clone(),
                        String::new(),
                        Some(error.to_string()),
                        None,
                    )) {
                        let cause = format!("its configuration cannot be read: {error}");
                        self.tell.sync_failed(Some(name), cause);
                    }
                }
            }
        }
        configs
    }

    /// Tells what the target's settings do to copied records; each once.
    fn tell_fidelity(
        &mut self,
        topic: &str,
        target_name: &str,
        source: &TopicConfig,
        target: &TopicConfig,
    ) {
        if !self.spec.sync.copies_data() {
            return;
        }
        for (cause, setting) in fidelity(source, target) {
            if self.told.insert((topic.to_owned(), setting.clone(), None, None)) {
                self.tell.fidelity_loss(topic, target_name, cause, setting);
            }
        }
    }

    /// Leaves a topic out. The same reason is told once.
    fn skip(&mut self, topic: &str, target_name: &str, reason: SkipReason) {
        self.skipped.insert(topic.to_owned());
        if self.told_skips.get(topic) != Some(&reason) {
            self.told_skips.insert(topic.to_owned(), reason.clone());
            self.tell.skipped(topic, target_name, reason);
        }
    }
}

/// What a topic's configuration means for records that arrive.
pub(crate) fn traits(config: &TopicConfig) -> TargetTraits {
    let unknown = TargetTraits::default();
    TargetTraits {
        log_append_time: config.is_log_append_time(),
        compacted: config.is_compacted(),
        max_message_bytes: config.max_message_bytes().unwrap_or(unknown.max_message_bytes),
    }
}
