//! What a task would do: a dry run that changes nothing.
//!
//! What is planned is what [`TopicSync`](crate::topics::TopicSync) would do, since both ask the same questions and decide by
//! the same functions (`topics::survey`, `topics::create`); the target's own opinion is asked with `validate_only`. Beside that
//! the plan looks for what would make the copy something else than it should be (`judge`), and how much there is to copy
//! (`volume`).

mod acls;
mod finding;
mod judge;
mod known;
mod volume;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use kafka_client::{Client, ClusterMetadata, TopicQuery};
use serde::Serialize;

pub use acls::AclPlan;
pub use finding::{Finding, Problem};

use self::judge::{Effective, judge};
pub(crate) use self::known::Known;
use self::volume::Spans;
use crate::event::{ConfigSkipReason, SkipReason};
use crate::groups::missing_groups;
use crate::journal::Journal;
use crate::spec::{SyncMode, TaskName, TaskSpec, TopicSelection};
use crate::task::{Role, TaskError};
use crate::topic_config::TopicConfig;
use crate::topics::create::{Created, Creator, Made, Mode};
use crate::topics::plan::{Creation, Growth, Step, TargetCluster, partition_count, replica_count};
use crate::topics::survey::{Scope, Survey, Wanted, one_cluster, scope, survey};

/// How long the target may take to say what it thinks of the topics.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a task would do, and what is in its way.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The task.
    pub task: TaskName,
    /// What travels.
    pub sync: SyncMode,
    /// Cluster id of the source, if it has one.
    pub source_cluster: Option<String>,
    /// Cluster id of the target, if it has one.
    pub target_cluster: Option<String>,
    /// Topics in scope, by their names on the source.
    pub topics: Vec<TopicPlan>,
    /// Consumer groups, when they travel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub groups: Option<GroupPlan>,
    /// ACLs, when they travel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acls: Option<AclPlan>,
    /// Records to copy, all topics together; gaps count as records.
    pub records: u64,
    /// Their size in bytes, estimated from samples; none when nothing could be sampled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_estimated: Option<u64>,
    /// How long that takes at the rate limit, in seconds; none without a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<u64>,
    /// What is in the way, or not as the source has it.
    pub findings: Vec<Finding>,
}

impl Plan {
    /// Whether something has to be put right first.
    #[must_use]
    pub fn is_blocked(&self) -> bool {
        self.findings.iter().any(|finding| finding.blocks)
    }

    fn find(&mut self, topic: Option<(&str, &str)>, problem: Problem) {
        self.findings.push(Finding::new(topic, problem));
    }
}

/// What would be done about one topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TopicPlan {
    /// Name on the source.
    pub topic: String,
    /// Name on the target.
    pub target_topic: String,
    /// What would be done.
    #[serde(flatten)]
    pub action: Action,
    /// Partitions on the source.
    pub source_partitions: i32,
    /// Records to copy.
    pub records: u64,
    /// Their size in bytes, estimated from samples.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_estimated: Option<u64>,
}

/// What would be done about a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Action {
    /// It is made.
    Create {
        /// Partitions that it gets.
        partitions: i32,
        /// Replicas that are asked for; −1 for the target's default.
        replication_factor: i16,
        /// Replicas on the source.
        source_replication_factor: i16,
        /// Its settings.
        settings: BTreeMap<String, String>,
        /// Settings that are not as the source has them.
        skipped: Vec<SkippedSetting>,
    },
    /// It is given more partitions.
    Grow {
        /// Partitions that it has.
        from: i32,
        /// Partitions that it gets.
        to: i32,
    },
    /// It is there and stays as it is.
    Keep {
        /// Partitions that it has.
        partitions: i32,
    },
    /// It does not travel; a finding says why.
    Refuse,
}

/// A setting that is not as the source has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SkippedSetting {
    /// The key.
    pub key: String,
    /// Its value on the source.
    pub value: Option<String>,
    /// Why.
    #[serde(flatten)]
    pub reason: ConfigSkipReason,
}

/// What would be done about consumer groups.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GroupPlan {
    /// Groups with offsets in scope that the target does not have: they are made known.
    pub make_known: Vec<String>,
    /// Groups that the target has already.
    pub existing: Vec<String>,
    /// Whether groups may be made there.
    pub auto_create: bool,
}

/// Plans a task. With a `journal`, what the task did before counts.
///
/// # Errors
/// [`TaskError`] when a cluster or the journal does not answer.
pub async fn plan(
    spec: &TaskSpec,
    source: &Client,
    target: &Client,
    journal: Option<&dyn Journal>,
) -> Result<Plan, TaskError> {
    spec.validate()?;
    let look = |client: Client, role| async move {
        client.refresh_metadata(TopicQuery::All).await.map_err(TaskError::client(role))
    };
    let shown = look(source.clone(), Role::Source).await?;
    let target_shown = look(target.clone(), Role::Target).await?;
    let mut plan = Plan {
        task: spec.name.clone(),
        sync: spec.sync,
        source_cluster: shown.cluster_id.clone(),
        target_cluster: target_shown.cluster_id.clone(),
        topics: Vec::new(),
        groups: None,
        acls: None,
        records: 0,
        bytes_estimated: None,
        eta_s: None,
        findings: Vec::new(),
    };
    let ids = (plan.source_cluster.as_ref(), plan.target_cluster.as_ref());
    let is_one_cluster = match one_cluster(spec, ids.0, ids.1) {
        Ok(is_one_cluster) => is_one_cluster,
        Err(TaskError::SameCluster { cluster_id }) => {
            plan.find(None, Problem::SameCluster { cluster_id });
            return Ok(plan);
        }
        Err(error) => return Err(error),
    };
    let known = Known::load(journal).await?;
    let planner = Planner { spec, source, target, known, is_one_cluster };
    planner.topics(&shown, &mut plan).await?;
    if spec.topics == TopicSelection::All {
        planner.groups(&mut plan).await?;
    }
    planner.acls(&mut plan).await?;
    plan.topics.sort_by(|a, b| a.topic.cmp(&b.topic));
    Ok(plan)
}

struct Planner<'a> {
    spec: &'a TaskSpec,
    source: &'a Client,
    target: &'a Client,
    known: Known,
    is_one_cluster: bool,
}

impl Planner<'_> {
    async fn topics(&self, shown: &ClusterMetadata, plan: &mut Plan) -> Result<(), TaskError> {
        let Scope { wanted, refused } =
            scope(shown, self.spec, &self.known.names, self.is_one_cluster);
        for (topic, target_name, reason) in refused {
            let count = shown.topics.get(&topic).map_or(0, |topic| partition_count(topic));
            plan.refuse(&topic, &target_name, count, reason);
        }
        if wanted.is_empty() {
            if plan.topics.is_empty() {
                plan.find(None, Problem::NothingInScope);
            }
            return Ok(());
        }
        let copied = wanted.clone();
        let Survey { found, cluster, configs, steps } =
            survey(self.spec, self.source, self.target, wanted).await?;
        let unknown = TopicConfig::default();
        let mut creations = Vec::new();
        let mut growths = Vec::new();
        let mut effective: BTreeMap<String, Effective> = BTreeMap::new();
        for ((topic, target_name), step) in steps {
            match step {
                Step::Create(creation) => creations.push(*creation),
                Step::Grow(growth) => growths.push(growth),
                Step::Keep => {
                    let partitions =
                        found.topics.get(&target_name).map_or(0, |topic| partition_count(topic));
                    plan.add(
                        &topic.name,
                        &target_name,
                        partition_count(&topic),
                        Action::Keep { partitions },
                    );
                }
                Step::Refuse(reason) => {
                    plan.refuse(&topic.name, &target_name, partition_count(&topic), reason);
                }
            }
            if topic.name.chars().count() > target_name.chars().count()
                && self.spec.rename.is_none()
            {
                plan.find(Some((&topic.name, &target_name)), Problem::Renamed);
            }
        }
        let growing = self.grow(growths, plan).await;
        let created = Creator::default()
            .create(self.target, creations, PATIENCE, Mode::Rehearse, &|_| {})
            .await;
        create(created, &cluster, shown, plan, &mut effective);
        self.existing(&copied, &found, &growing, &mut effective).await?;
        let travelling = plan.travelling();
        let spans = if self.spec.sync.copies_data() {
            let copied: Vec<_> =
                copied.iter().filter(|(topic, _)| travelling.contains(&topic.name)).collect();
            Spans::ask(self.spec, self.source, &self.known, &copied).await?
        } else {
            Spans::default()
        };
        for (topic, target_name) in &copied {
            let config = configs.get(&topic.name).and_then(|config| config.as_ref().ok());
            if let Some(effective) =
                effective.get(target_name).filter(|_| travelling.contains(&topic.name))
            {
                let problems = judge(config.unwrap_or(&unknown), effective, self.spec.sync);
                for problem in problems {
                    plan.find(Some((&topic.name, target_name)), problem);
                }
                if let Some(problem) = spans
                    .outlived(self.source, &topic.name, config.unwrap_or(&unknown), effective)
                    .await?
                {
                    plan.find(Some((&topic.name, target_name)), problem);
                }
            }
        }
        if let Some((_, code)) = spans.unreadable.first() {
            let (count, cause) = (spans.unreadable.len(), code.to_string());
            plan.find(None, Problem::PartitionsUnreadable { count, cause });
        }
        let sizes = spans.sample(self.source).await;
        plan.measure(&spans, &sizes, self.spec);
        Ok(())
    }

    /// Asks whether topics may grow. Returns the target topics that may, with their future partitions.
    async fn grow(&self, growths: Vec<Growth>, plan: &mut Plan) -> BTreeMap<String, i32> {
        let mut growing = BTreeMap::new();
        if growths.is_empty() {
            return growing;
        }
        let asked = growths.iter().map(|growth| (growth.target_name.clone(), growth.to)).collect();
        let answers = self.target.create_partitions(asked, true).await;
        for Growth { topic, target_name, from, to } in growths {
            let cause = match &answers {
                Ok(answers) => match answers.get(&target_name) {
                    Some(Ok(())) => {
                        plan.add(&topic, &target_name, to, Action::Grow { from, to });
                        growing.insert(target_name, to);
                        continue;
                    }
                    Some(Err(error)) => error.to_string(),
                    None => "the target did not answer for it".to_owned(),
                },
                Err(error) => error.to_string(),
            };
            if self.spec.same_partition {
                let (source_count, target_count) = (to, from);
                let reason = SkipReason::TooFewPartitions { source_count, target_count, cause };
                plan.refuse(&topic, &target_name, to, reason);
            } else {
                plan.find(
                    Some((&topic, &target_name)),
                    Problem::PartitionsShared { source: to, target: from, cause },
                );
                plan.add(&topic, &target_name, to, Action::Keep { partitions: from });
            }
        }
        growing
    }

    /// What topics that the target has do to records.
    async fn existing(
        &self,
        wanted: &[Wanted],
        found: &ClusterMetadata,
        growing: &BTreeMap<String, i32>,
        effective: &mut BTreeMap<String, Effective>,
    ) -> Result<(), TaskError> {
        let shown = |name: &String| found.topics.get(name).filter(|topic| topic.error.is_ok());
        let names: Vec<_> = wanted
            .iter()
            .map(|(_, name)| name.clone())
            .filter(|name| shown(name).is_some() || growing.contains_key(name))
            .collect();
        let described = crate::topics::describe::describe(self.target, names)
            .await
            .map_err(TaskError::client(Role::Target))?;
        for (name, config) in described {
            let replicas = shown(&name).map(|topic| replica_count(topic));
            if let Ok(config) = config {
                effective.insert(name, Effective { config, replicas });
            }
        }
        Ok(())
    }

    async fn groups(&self, plan: &mut Plan) -> Result<(), TaskError> {
        let travelling: BTreeMap<_, _> = plan
            .topics
            .iter()
            .filter(|topic| topic.action != Action::Refuse)
            .map(|topic| (topic.topic.clone(), topic.target_topic.clone()))
            .collect();
        let groups = missing_groups(self.source, self.target, |at| {
            travelling
                .get(&at.topic)
                .map(|topic| kafka_client::TopicPartition::new(topic.clone(), at.partition))
        })
        .await;
        let groups = match groups {
            Ok(groups) => groups,
            Err((role, error)) => {
                let cause = error.to_string();
                plan.find(None, Problem::GroupsUnreadable { role: role.to_string(), cause });
                return Ok(());
            }
        };
        for (group, cause) in groups.refused {
            plan.find(None, Problem::GroupUnreadable { group, cause });
        }
        let make_known: Vec<_> = groups.wanted.into_keys().collect();
        let auto_create = self.spec.group_auto_create;
        if !auto_create && !make_known.is_empty() {
            plan.find(None, Problem::GroupsNotMade { count: make_known.len() });
        }
        let existing = groups.existing.into_iter().collect();
        plan.groups = Some(GroupPlan { make_known, existing, auto_create });
        Ok(())
    }
}

/// Takes note of topics that would be made.
fn create(
    created: Created,
    cluster: &TargetCluster,
    shown: &ClusterMetadata,
    plan: &mut Plan,
    effective: &mut BTreeMap<String, Effective>,
) {
    for refused in created.refused {
        let count = shown.topics.get(&refused.topic).map_or(0, |topic| partition_count(topic));
        plan.refuse(&refused.topic, &refused.target_name, count, refused.reason);
    }
    for made in created.made {
        let Made { creation, refused, .. } = made;
        let is_reduced = creation.is_reduced();
        let Creation { topic, new, skipped, source_replicas, target_brokers } = creation;
        let skipped = skipped.into_iter().map(|skipped| SkippedSetting {
            key: skipped.key,
            value: skipped.value,
            reason: skipped.reason,
        });
        let refused = refused.into_iter().map(|((key, value), cause)| SkippedSetting {
            key,
            value: Some(value),
            reason: ConfigSkipReason::Refused { cause },
        });
        if is_reduced {
            let problem = Problem::FewerReplicas { source: source_replicas, target_brokers };
            plan.find(Some((&topic, &new.name)), problem);
        }
        let settings: BTreeMap<_, _> = new.configs.into_iter().collect();
        let replicas = Some(new.replication_factor).filter(|count| *count > 0);
        effective.insert(
            new.name.clone(),
            Effective::of_new(&settings, &cluster.defaults.broker, replicas),
        );
        let action = Action::Create {
            partitions: new.partitions,
            replication_factor: new.replication_factor,
            source_replication_factor: source_replicas,
            settings,
            skipped: skipped.chain(refused).collect(),
        };
        plan.add(&topic, &new.name, new.partitions, action);
    }
}

impl Plan {
    fn add(&mut self, topic: &str, target_topic: &str, source_partitions: i32, action: Action) {
        self.topics.push(TopicPlan {
            topic: topic.to_owned(),
            target_topic: target_topic.to_owned(),
            action,
            source_partitions,
            records: 0,
            bytes_estimated: None,
        });
    }

    fn refuse(&mut self, topic: &str, target_topic: &str, partitions: i32, reason: SkipReason) {
        self.find(Some((topic, target_topic)), Problem::TopicRefused { reason });
        self.add(topic, target_topic, partitions, Action::Refuse);
    }

    /// The source names of topics that travel.
    fn travelling(&self) -> BTreeSet<String> {
        let travel = self.topics.iter().filter(|topic| topic.action != Action::Refuse);
        travel.map(|topic| topic.topic.clone()).collect()
    }

    /// Books how much there is to copy.
    fn measure(&mut self, spans: &Spans, sizes: &volume::Sizes, spec: &TaskSpec) {
        for topic in &mut self.topics {
            topic.records = spans.records(&topic.topic);
            topic.bytes_estimated = sizes.bytes(&topic.topic, topic.records);
        }
        self.records = self.topics.iter().map(|topic| topic.records).sum();
        let sizes = self.topics.iter().filter(|topic| topic.records > 0);
        self.bytes_estimated = sizes.map(|topic| topic.bytes_estimated).sum();
        let rate = spec.limits.rate;
        let by_bytes = rate.bytes_per_second.zip(self.bytes_estimated);
        let by_records = rate.records_per_second.map(|rate| (rate, self.records));
        let seconds = [by_bytes, by_records].into_iter().flatten();
        self.eta_s = seconds.map(|(rate, count)| count.div_ceil(rate.get())).max();
    }
}
