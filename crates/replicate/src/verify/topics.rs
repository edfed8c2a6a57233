//! Settings and numbers of partitions on both ends.

use std::collections::BTreeMap;

use kafka_client::{Client, ClientError, TopicQuery};

use super::report::{SettingDifference, TopicReport};
use super::walk::Facts;
use crate::topic_config::{TopicConfig, compare};

/// Topics in one question.
const TOPICS_MAX: usize = 200;

/// A topic that is copied: its names on source and target.
pub(super) type Pair = (String, String);

/// What the comparison of a topic's partitions needs to know.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// What is known of all its partitions.
    pub(super) facts: Facts,
    /// The source topic's id.
    pub(super) source_id: Option<String>,
    /// Settings and partitions.
    pub(super) report: TopicReport,
    /// One end does not have it: there is nothing to compare.
    pub(super) is_gone: bool,
}

impl Found {
    fn gone(mut self, error: String) -> Self {
        self.report.error = Some(error);
        self.is_gone = true;
        self
    }
}

/// Looks at all `pairs` on both ends.
pub(super) async fn look(
    source: &Client,
    target: &Client,
    pairs: &[Pair],
) -> Result<BTreeMap<Pair, Found>, (&'static str, ClientError)> {
    let mut all = BTreeMap::new();
    for portion in pairs.chunks(TOPICS_MAX) {
        let names = |of: fn(&Pair) -> &String| {
            let mut names: Vec<String> = portion.iter().map(|pair| of(pair).clone()).collect();
            names.sort_unstable();
            names.dedup();
            names
        };
        let (sources, targets) = tokio::join!(
            End::look(source, names(|pair| &pair.0)),
            End::look(target, names(|pair| &pair.1))
        );
        let sources = sources.map_err(|error| ("source", error))?;
        let targets = targets.map_err(|error| ("target", error))?;
        for pair in portion {
            all.insert(pair.clone(), judge(pair, &sources, &targets));
        }
    }
    Ok(all)
}

/// Topics of one end.
struct End {
    topics: BTreeMap<String, Topic>,
}

struct Topic {
    partitions: i32,
    replicas: i16,
    id: Option<String>,
    config: Result<TopicConfig, String>,
}

impl End {
    async fn look(client: &Client, names: Vec<String>) -> Result<Self, ClientError> {
        let metadata = client.refresh_metadata(TopicQuery::Named(names.clone())).await?;
        let present: Vec<String> = names
            .into_iter()
            .filter(|name| metadata.topics.get(name).is_some_and(|topic| topic.error.is_ok()))
            .collect();
        let mut configs = client.describe_topic_configs(present.clone()).await?;
        let topics = present.into_iter().filter_map(|name| {
            let topic = metadata.topics.get(&name)?;
            let replicas = topic.partitions.first().map_or(1, |first| first.replicas.len());
            let config = match configs.remove(&name) {
                Some(Ok(entries)) => Ok(TopicConfig::new(entries)),
                Some(Err(error)) => Err(error.to_string()),
                None => Err("the broker says nothing about its settings".to_owned()),
            };
            let topic = Topic {
                partitions: i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX),
                replicas: i16::try_from(replicas).unwrap_or(i16::MAX),
                id: topic.topic_id.map(super::books::text_of),
                config,
            };
            Some((name, topic))
        });
        Ok(Self { topics: topics.collect() })
    }
}

fn judge(pair: &Pair, sources: &End, targets: &End) -> Found {
    let mut found = Found::default();
    let report = &mut found.report;
    (report.source_topic, report.target_topic) = pair.clone();
    let (source, target) = match (sources.topics.get(&pair.0), targets.topics.get(&pair.1)) {
        (Some(source), Some(target)) => (source, target),
        (None, _) => {
            return found.gone("the source no longer has the topic".to_owned());
        }
        (_, None) => {
            return found.gone(format!("the target has no topic {}", pair.1));
        }
    };
    found.source_id.clone_from(&source.id);
    if source.partitions != target.partitions {
        report.partition_counts = Some((source.partitions, target.partitions));
    }
    let is_compacted = |config: &Result<TopicConfig, String>| {
        // What is not known to be kept may have been cleaned.
        config.as_ref().map_or(true, TopicConfig::is_compacted)
    };
    found.facts.is_source_compacted = is_compacted(&source.config);
    found.facts.is_target_compacted = is_compacted(&target.config);
    match (&source.config, &target.config) {
        (Ok(on_source), Ok(on_target)) => {
            found.facts.has_own_times = on_target.is_log_append_time();
            let (first, second) = compare(on_source, on_target, target.replicas, true);
            let difference = |found: crate::topic_config::Difference| SettingDifference {
                name: found.key,
                source: found.source,
                target: found.target,
            };
            report.settings = first.into_iter().chain(second).map(difference).collect();
            report.settings.sort_by(|a, b| a.name.cmp(&b.name));
        }
        (Err(error), _) => report.error = Some(format!("settings on the source: {error}")),
        (_, Err(error)) => report.error = Some(format!("settings on the target: {error}")),
    }
    found
}
