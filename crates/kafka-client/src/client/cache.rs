//! What is known about the cluster, how old it is, and one request for many who ask.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kafka_wire::{
    ErrorCode,
    messages::{ApiKey, MetadataRequest, TopicName, metadata_request::MetadataRequestTopic},
    protocol::StrBytes,
};
use tokio::time::Instant;

use super::Client;
use crate::{BrokerAddress, BrokerNode, ClientError, ClusterMetadata, TopicMetadata, TopicQuery};

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct MetadataCache {
    state: Mutex<State>,
    /// Held by the one caller who asks.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    /// Counts requests: an answer satisfies those who came before its request was sent.
    requests: u64,
    /// Names that callers wait for.
    wanted: BTreeSet<String>,
    /// Cluster-wide facts of the newest answer, without topics.
    cluster: Option<Stamped<ClusterMetadata>>,
    /// The newest answer about all topics.
    all: Option<Stamped<Arc<ClusterMetadata>>>,
    /// Answers about single topics, newer than `all`.
    named: HashMap<String, Stamped<Arc<TopicMetadata>>>,
}

#[derive(Clone, Debug)]
struct Stamped<T> {
    value: T,
    request: u64,
    at: Instant,
}

/// Who may be satisfied by an answer: it must be newer than this request, or younger than this age.
#[derive(Clone, Copy)]
enum Wanted {
    After(u64),
    Younger(Duration),
}

impl Wanted {
    fn accepts<T>(self, stamped: &Stamped<T>) -> bool {
        match self {
            Self::After(request) => stamped.request > request,
            Self::Younger(age) => stamped.at.elapsed() < age,
        }
    }
}

impl MetadataCache {
    /// The answer to a query if it is known, young enough and without errors.
    pub(super) fn fresh(
        &self,
        topics: &TopicQuery,
        age_max: Duration,
    ) -> Option<Arc<ClusterMetadata>> {
        let found = self.lock().answer(topics, Wanted::Younger(age_max))?;
        match topics {
            TopicQuery::Named(_) if !found.topics.values().all(|topic| topic.is_whole()) => None,
            _ => Some(found),
        }
    }

    pub(super) fn address(&self, broker_id: i32) -> Option<BrokerAddress> {
        let state = self.lock();
        Some(state.cluster.as_ref()?.value.brokers.get(&broker_id)?.address.clone())
    }

    pub(super) fn brokers(&self) -> Vec<BrokerNode> {
        let state = self.lock();
        state.cluster.iter().flat_map(|cluster| cluster.value.brokers.values().cloned()).collect()
    }

    pub(super) fn controller(&self) -> Option<i32> {
        let state = self.lock();
        state.cluster.as_ref().map(|cluster| cluster.value.controller_id).filter(|id| *id >= 0)
    }

    /// Forgets the controller: it proved wrong.
    pub(super) fn forget_controller(&self) {
        if let Some(cluster) = &mut self.lock().cluster {
            cluster.value.controller_id = -1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The answer to a query from what is known, if all of it is acceptable.
    fn answer(&self, topics: &TopicQuery, wanted: Wanted) -> Option<Arc<ClusterMetadata>> {
        let names = match topics {
            TopicQuery::All => {
                return self
                    .all
                    .as_ref()
                    .filter(|all| wanted.accepts(all))
                    .map(|all| Arc::clone(&all.value));
            }
            TopicQuery::Named(names) => names,
        };
        let cluster = self.cluster.as_ref().filter(|cluster| wanted.accepts(cluster))?;
        let mut found = cluster.value.clone();
        for name in names {
            let topic = match (&self.named.get(name), &self.all) {
                (Some(topic), _) if wanted.accepts(topic) => topic.value.clone(),
                (None, Some(all)) if wanted.accepts(all) => {
                    all.value.topics.get(name).cloned().unwrap_or_else(|| missing(name))
                }
                _ => return None,
            };
            found.topics.insert(name.clone(), topic);
        }
        Some(Arc::new(found))
    }

    fn store(&mut self, query: &TopicQuery, mut found: ClusterMetadata, request: u64) {
        let at = Instant::now();
        match query {
            TopicQuery::All => {
                self.named.clear();
                self.all = Some(Stamped { value: Arc::new(found.clone()), request, at });
            }
            TopicQuery::Named(names) => {
                for name in names {
                    let value = found.topics.remove(name).unwrap_or_else(|| missing(name));
                    self.named.insert(name.clone(), Stamped { value, request, at });
                }
            }
        }
        found.topics.clear();
        self.cluster = Some(Stamped { value: found, request, at });
    }
}

fn missing(name: &str) -> Arc<TopicMetadata> {
    Arc::new(TopicMetadata::missing(name, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION))
}

/// Asks the cluster, unless somebody else's request, sent after this call, brings the answer.
pub(super) async fn refresh(
    client: &Client,
    topics: &TopicQuery,
) -> Result<Arc<ClusterMetadata>, ClientError> {
    let cache = &client.inner.cache;
    let seen = {
        let mut state = cache.lock();
        if let TopicQuery::Named(names) = topics {
            state.wanted.extend(names.iter().cloned());
        }
        state.requests
    };
    let _turn = cache.asking.lock().await;
    let query = {
        let mut state = cache.lock();
        if let Some(found) = state.answer(topics, Wanted::After(seen)) {
            return Ok(found);
        }
        match topics {
            TopicQuery::All => TopicQuery::All,
            TopicQuery::Named(names) => {
                // Those who wait behind us get their answer from the same request.
                let mut together = std::mem::take(&mut state.wanted);
                together.extend(names.iter().cloned());
                TopicQuery::Named(together.into_iter().collect())
            }
        }
    };
    let connection = client.any_broker().await?;
    let request = {
        let mut state = cache.lock();
        state.requests += 1;
        state.requests
    };
    let found = ask(&connection, &query).await?;
    let mut state = cache.lock();
    state.store(&query, found, request);
    state.answer(topics, Wanted::After(request - 1)).ok_or_else(|| ClientError::Incomplete {
        api: ApiKey::Metadata,
        about: "the topics asked for".to_owned(),
    })
}

async fn ask(
    connection: &crate::BrokerConnection,
    query: &TopicQuery,
) -> Result<ClusterMetadata, ClientError> {
    let topics = match query {
        TopicQuery::All => None,
        TopicQuery::Named(names) => Some(
            names
                .iter()
                .map(|name| {
                    let name = TopicName(StrBytes::from_string(name.clone()));
                    MetadataRequestTopic::default().with_name(Some(name))
                })
                .collect(),
        ),
    };
    let version = connection.version_for::<MetadataRequest>(None)?;
    let request = MetadataRequest::default()
        .with_topics(topics)
        .with_allow_auto_topic_creation(version < 4)
        .with_include_topic_authorized_operations(version >= 8);
    let response = connection.call(request).await?;
    let code = ErrorCode(response.error_code);
    code.ok().map_err(|code| ClientError::of_code(ApiKey::Metadata, "", code, None))?;
    // With ZooKeeper a broker answers before the controller has told it anything: no brokers, and no topic exists.
    if response.brokers.is_empty() {
        return Err(ClientError::NoBrokers { address: connection.address().clone() });
    }
    Ok(ClusterMetadata::from_response(response))
}
