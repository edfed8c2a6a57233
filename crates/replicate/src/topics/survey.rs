//! What both clusters show of topics, and what must be done about each: asked and decided in one place, for the sync that
//! does it and for the plan that only tells.

use std::collections::BTreeMap;
use std::sync::Arc;

use kafka_client::{Client, ClusterMetadata, TopicMetadata, TopicQuery};
use kafka_wire::Retry;

use super::describe::{Described, describe};
use super::names;
use super::plan::{Step, TargetCluster, plan};
use crate::event::SkipReason;
use crate::spec::TaskSpec;
use crate::task::{Role, TaskError};
use crate::topic_config::TopicConfig;

/// A source topic and its name on the target.
pub(crate) type Wanted = (TopicMetadata, String);

/// Topics of the source in scope.
#[derive(Debug, Default)]
pub(crate) struct Scope {
    /// Those that can travel.
    pub(crate) wanted: Vec<Wanted>,
    /// Those that cannot: source name, target name, why.
    pub(crate) refused: Vec<(String, String, SkipReason)>,
}

/// Whether both ends are one cluster; an id that is not told counts as another.
///
/// # Errors
/// [`TaskError::SameCluster`] when they are, and no topic is renamed: the copy would feed on itself.
pub(crate) fn one_cluster(
    spec: &TaskSpec,
    source: Option<&String>,
    target: Option<&String>,
) -> Result<bool, TaskError> {
    match (source, target) {
        (Some(source), Some(target)) if source == target => {
            if spec.rename.is_none() {
                return Err(TaskError::SameCluster { cluster_id: source.clone() });
            }
            Ok(true)
        }
        _ => Ok(false),
    }
}

/// The topics that `source` shows, under the names that are `known` or else chosen.
pub(crate) fn scope(
    source: &ClusterMetadata,
    spec: &TaskSpec,
    known: &BTreeMap<String, String>,
    is_one_cluster: bool,
) -> Scope {
    let shown = source.topics.values().map(AsRef::as_ref);
    let names = names::choose(shown, (&spec.topics, &spec.rename), known, is_one_cluster);
    let mut scope = Scope::default();
    for (topic, other) in names.collided {
        let target_name = names::target_name(&topic, &spec.rename);
        scope.refused.push((topic, target_name, SkipReason::NameCollision { other }));
    }
    for (name, target_name) in names.chosen {
        let Some(topic) = source.topics.get(&name) else { continue };
        if is_one_cluster && name == target_name {
            scope.refused.push((name, target_name, SkipReason::SameTopic));
            continue;
        }
        if topic.error.is_ok() && !topic.partitions.is_empty() {
            scope.wanted.push((TopicMetadata::clone(topic), target_name));
        } else if topic.error.retry() == Retry::Never {
            let cause = topic.error.to_string();
            scope.refused.push((name, target_name, SkipReason::SourceUnreadable { cause }));
        }
    }
    scope
}

/// What was found about topics, and what must be done.
#[derive(Debug)]
pub(crate) struct Survey {
    /// What the target shows of them.
    pub(crate) found: Arc<ClusterMetadata>,
    /// The target itself.
    pub(crate) cluster: TargetCluster,
    /// Their configurations on the source.
    pub(crate) configs: Described,
    /// In the order in which they were asked for.
    pub(crate) steps: Vec<(Wanted, Step)>,
}

/// Looks at `wanted` on both clusters. Changes nothing.
///
/// # Errors
/// [`TaskError::Client`] when a cluster does not answer.
pub(crate) async fn survey(
    spec: &TaskSpec,
    source: &Client,
    target: &Client,
    wanted: Vec<Wanted>,
) -> Result<Survey, TaskError> {
    let target_names = wanted.iter().map(|(_, name)| name.clone()).collect();
    let found = target.refresh_metadata(TopicQuery::Named(target_names)).await;
    let found = found.map_err(TaskError::client(Role::Target))?;
    let cluster = TargetCluster::ask(target, &found).await;
    let source_names = wanted.iter().map(|(topic, _)| topic.name.clone()).collect();
    let configs = describe(source, source_names).await.map_err(TaskError::client(Role::Source))?;
    let unknown = TopicConfig::default();
    let steps = wanted
        .into_iter()
        .map(|(topic, target_name)| {
            let config = configs.get(&topic.name).and_then(|config| config.as_ref().ok());
            let shown = found.topics.get(&target_name).map(AsRef::as_ref);
            let config = config.unwrap_or(&unknown);
            let step = plan(&topic, config, &target_name, shown, &cluster, spec);
            ((topic, target_name), step)
        })
        .collect();
    Ok(Survey { found, cluster, configs, steps })
}

#[cfg(test)]
mod tests {
    use kafka_client::PartitionMetadata;
    use kafka_wire::ErrorCode;

    use super::*;

    #[test]
    fn topics_of_the_source_with_an_error() {
        let spec = TaskSpec::new("t".parse().unwrap());
        let check = |error: ErrorCode, is_wanted: bool, is_refused: bool| {
            let partition = PartitionMetadata {
                partition: 0,
                leader_id: 1,
                leader_epoch: 0,
                replicas: vec![1],
                isr: vec![1],
                error: ErrorCode::NONE,
            };
            let topic = TopicMetadata {
                name: "a".to_owned(),
                topic_id: None,
                is_internal: false,
                error,
                partitions: vec![partition],
                authorized_operations: None,
            };
            let mut shown = ClusterMetadata::default();
            shown.topics.insert("a".to_owned(), Arc::new(topic));
            let found = scope(&shown, &spec, &BTreeMap::new(), false);
            assert_eq!(
                (found.wanted.len(), found.refused.len()),
                (is_wanted.into(), is_refused.into()),
                "{error}"
            );
            let unreadable = |it: &(String, String, SkipReason)| {
                matches!(it.2, SkipReason::SourceUnreadable { .. })
            };
            assert!(found.refused.iter().all(unreadable));
        };
        check(ErrorCode::NONE, true, false);
        check(ErrorCode::TOPIC_AUTHORIZATION_FAILED, false, true);
        // Passes by itself: the next look.
        check(ErrorCode::LEADER_NOT_AVAILABLE, false, false);
    }
}
