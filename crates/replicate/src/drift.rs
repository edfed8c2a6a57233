//! Where source and target differ now: what a running task reports as drift, asked for once and told as a whole.

use std::collections::BTreeMap;
use std::fmt;

use kafka_client::{Acl, Client, TopicQuery};
use serde::Serialize;

use crate::acls::{LookError, survey};
use crate::event::SkipReason;
use crate::journal::Journal;
use crate::plan::Known;
use crate::spec::{AclSync, TaskName, TaskSpec};
use crate::task::{Role, TaskError};
use crate::topic_config::compare_as;
use crate::topics::pairs::{PAIRS_MAX, Pairs};
use crate::topics::plan::{partition_count, replica_count};
use crate::topics::survey::{one_cluster, scope};

/// Where source and target differ.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Drift {
    /// The task.
    pub task: TaskName,
    /// Topics that were compared.
    pub topics: usize,
    /// What differs.
    pub differences: Vec<TopicDifference>,
    /// What differs in ACLs, when they travel.
    pub acls: Vec<AclDifference>,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TopicDifference {
    /// Topic on the source.
    pub topic: String,
    /// Its name on the target.
    pub target_topic: String,
    /// What differs.
    #[serde(flatten)]
    pub what: Differs,
}

/// What differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "difference", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Differs {
    /// The target does not have the topic.
    Missing,
    /// The topic does not travel.
    Refused {
        /// Why.
        #[serde(flatten)]
        reason: SkipReason,
    },
    /// The numbers of partitions.
    Partitions {
        /// On the source.
        source: i32,
        /// On the target.
        target: i32,
    },
    /// A setting.
    Setting {
        /// Its key.
        key: String,
        /// Its value on the source.
        source: Option<String>,
        /// Its value on the target.
        target: Option<String>,
        /// Whether a running task brings it over (unlimited retention).
        follows: bool,
    },
    /// Settings cannot be compared.
    Unreadable {
        /// Which end.
        role: String,
        /// Why.
        cause: String,
    },
}

impl fmt::Display for TopicDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.topic, self.what)
    }
}

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        match self {
            Self::Missing => f.write_str("the target does not have it"),
            Self::Refused { reason } => reason.fmt(f),
            Self::Partitions { source, target } => {
                write!(f, "{source} partitions on the source, {target} on the target")
            }
            Self::Setting { key, source, target, follows } => {
                write!(
                    f,
                    "{key} is {} on the source, {} on the target",
                    shown(source),
                    shown(target)
                )?;
                if *follows { f.write_str("; a running sync brings it over") } else { Ok(()) }
            }
            Self::Unreadable { role, cause } => {
                write!(f, "its settings cannot be read on the {role}: {cause}")
            }
        }
    }
}

/// One difference in ACLs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "difference", rename_all = "snake_case")]
#[non_exhaustive]
pub enum AclDifference {
    /// The target lacks it.
    AclMissing {
        /// As it would be on the target.
        acl: Acl,
    },
    /// The task made it on the target, and the source no longer has what it comes from.
    AclLeft {
        /// As it is on the target.
        acl: Acl,
    },
    /// ACLs cannot be compared.
    AclsUnreadable {
        /// Which end.
        role: String,
        /// Why.
        cause: String,
    },
}

impl fmt::Display for AclDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AclMissing { acl } => write!(f, "ACL: the target lacks {acl}"),
            Self::AclLeft { acl } => {
                write!(f, "ACL: the source no longer has what {acl} comes from")
            }
            Self::AclsUnreadable { role, cause } => {
                write!(f, "ACLs cannot be read on the {role}: {cause}")
            }
        }
    }
}

/// Compares the topics of a task, and its ACLs if they travel, on both clusters. Changes nothing.
///
/// # Errors
/// [`TaskError`] when a cluster or the journal does not answer, or both are one.
pub async fn drift(
    spec: &TaskSpec,
    source: &Client,
    target: &Client,
    journal: Option<&dyn Journal>,
) -> Result<Drift, TaskError> {
    spec.validate()?;
    let shown = source.refresh_metadata(TopicQuery::All).await;
    let shown = shown.map_err(TaskError::client(Role::Source))?;
    let nothing = TopicQuery::Named(Vec::new());
    let there = target.refresh_metadata(nothing).await.map_err(TaskError::client(Role::Target))?;
    let is_one_cluster = one_cluster(spec, shown.cluster_id.as_ref(), there.cluster_id.as_ref())?;
    let known = Known::load(journal).await?;
    let scope = scope(&shown, spec, &known.names, is_one_cluster);
    let mut drift = Drift {
        task: spec.name.clone(),
        topics: scope.wanted.len(),
        differences: Vec::new(),
        acls: Vec::new(),
    };
    for (topic, target_topic, reason) in scope.refused {
        drift.topics += 1;
        drift.add(&topic, &target_topic, Differs::Refused { reason });
    }
    for portion in scope.wanted.chunks(PAIRS_MAX) {
        let names: Vec<_> =
            portion.iter().map(|(topic, name)| (topic.name.clone(), name.clone())).collect();
        let pairs = Pairs::ask(source, target, &names).await?;
        for (topic, target_name) in portion {
            drift.compare(&pairs, topic, target_name, spec);
        }
    }
    drift.differences.sort_by(|a, b| a.topic.cmp(&b.topic));
    if spec.acl_sync != AclSync::None {
        let names = scope.wanted.into_iter().map(|(topic, target)| (topic.name, target)).collect();
        drift.acls = acls(spec, (source, target), &names, &known, is_one_cluster).await?;
    }
    Ok(drift)
}

/// What a sync would make and remove.
async fn acls(
    spec: &TaskSpec,
    ends: (&Client, &Client),
    travelling: &BTreeMap<String, String>,
    known: &Known,
    is_one_cluster: bool,
) -> Result<Vec<AclDifference>, TaskError> {
    let unreadable = |error: &LookError| {
        let role = error.cluster().unwrap_or("state").to_owned();
        vec![AclDifference::AclsUnreadable { role, cause: error.to_string() }]
    };
    let own = match known.own_acls() {
        Ok(own) => own,
        Err(error) => return Ok(unreadable(error)),
    };
    match survey(spec, ends, travelling, own, is_one_cluster).await {
        Ok(survey) => {
            let missing = survey.make.into_iter().map(|acl| AclDifference::AclMissing { acl });
            let left = survey.shown.into_iter().map(|acl| AclDifference::AclLeft { acl });
            Ok(missing.chain(left).collect())
        }
        Err(LookError::Journal(error)) => Err(error.into()),
        Err(error) => Ok(unreadable(&error)),
    }
}

impl Drift {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty() && self.acls.is_empty()
    }

    fn add(&mut self, topic: &str, target_topic: &str, what: Differs) {
        let (topic, target_topic) = (topic.to_owned(), target_topic.to_owned());
        self.differences.push(TopicDifference { topic, target_topic, what });
    }

    fn compare(
        &mut self,
        pairs: &Pairs,
        topic: &kafka_client::TopicMetadata,
        target_name: &str,
        spec: &TaskSpec,
    ) {
        let name = topic.name.as_str();
        let found = pairs.found.topics.get(target_name);
        let Some(found) = found.filter(|found| !found.partitions.is_empty()) else {
            return self.add(name, target_name, Differs::Missing);
        };
        let (source, target) = (partition_count(topic), partition_count(found));
        if source != target {
            self.add(name, target_name, Differs::Partitions { source, target });
        }
        let mut configs = Vec::new();
        for (role, configs_of, name_there) in
            [(Role::Source, &pairs.sources, name), (Role::Target, &pairs.targets, target_name)]
        {
            match configs_of.get(name_there) {
                Some(Ok(config)) => configs.push(config),
                Some(Err(error)) => {
                    let (role, cause) = (role.to_string(), error.to_string());
                    self.add(name, target_name, Differs::Unreadable { role, cause });
                }
                None => {}
            }
        }
        let [source, target] = configs[..] else { return };
        let (follow, other) = compare_as(
            source,
            target,
            replica_count(found),
            (spec.sync.copies_data(), spec.config_sync),
        );
        let follow = follow.into_iter().map(|difference| (difference, true));
        for (difference, follows) in follow.chain(other.into_iter().map(|it| (it, false))) {
            let what = Differs::Setting {
                key: difference.key,
                source: difference.source,
                target: difference.target,
                follows,
            };
            self.add(name, target_name, what);
        }
    }
}
