//! Where a behaviour runs: a cluster, a client of it, and topics of its own.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use bytes::Bytes;
use kafka_client::{
    BrokerConnection, Client, ConnectionConfig, FetchPartition, FetchSession, FetchSettings,
    FetchedPartition, Isolation, NewTopic, OffsetSpec, ProduceAck, TopicPartition, TopicQuery,
};
use kafka_sim::{Cluster, ClusterConfig, Release};
use kafka_wire::{
    ErrorCode, Uuid,
    produce::{ProducePartition, ProduceTopic},
    record::{BatchOptions, Record, encode_batch},
};

/// See the module's text.
pub(super) struct Env {
    /// A client without any security.
    pub(super) client: Client,
    /// Whose behaviour is expected.
    pub(super) release: Release,
    name: String,
    counter: AtomicU32,
}

impl Env {
    pub(super) fn simulated(release: Release, name: &str) -> Self {
        let cluster = Cluster::new(ClusterConfig { brokers: 3, ..ClusterConfig::release(release) });
        let client =
            Client::with_connector(ConnectionConfig::new(cluster.bootstrap()), cluster.connector());
        Self { client, release, name: name.to_owned(), counter: AtomicU32::new(0) }
    }

    #[cfg(feature = "real-kafka")]
    pub(super) fn real(bootstrap: &str, release: Release, name: &str) -> Self {
        let client = Client::new(ConnectionConfig::plain(bootstrap).unwrap()).unwrap();
        Self { client, release, name: name.to_owned(), counter: AtomicU32::new(0) }
    }

    /// A name that no other behaviour uses.
    pub(super) fn name(&self) -> String {
        format!("{}-{}", self.name, self.counter.fetch_add(1, Ordering::Relaxed))
    }

    /// A new topic whose partitions have leaders.
    pub(super) async fn topic(&self, partitions: i32, configs: &[(&str, &str)]) -> String {
        let name = self.name();
        let mut topic = NewTopic::new(&name, partitions, 1);
        for (key, value) in configs {
            topic = topic.with_config(*key, *value);
        }
        let created =
            self.client.create_topics(vec![topic], false, Duration::from_secs(20)).await.unwrap();
        created[&name].clone().unwrap();
        self.wait_for_leaders(&name, partitions).await;
        name
    }

    /// Waits until a topic has this many partitions, all with leaders.
    pub(super) async fn wait_for_leaders(&self, topic: &str, partitions: i32) {
        for _ in 0..200 {
            let found = self
                .client
                .refresh_metadata(TopicQuery::Named(vec![topic.to_owned()]))
                .await
                .unwrap();
            let led = found.topics[topic]
                .partitions
                .iter()
                .filter(|partition| partition.leader_id >= 0)
                .count();
            if led == usize::try_from(partitions).unwrap() {
                // Metadata runs ahead of the leaders themselves: wait until each says so too.
                let ends = (0..partitions)
                    .map(|index| (TopicPartition::new(topic, index), OffsetSpec::Latest))
                    .collect();
                let ends =
                    self.client.list_offsets(ends, Isolation::ReadUncommitted).await.unwrap();
                assert!(ends.values().all(Result::is_ok), "{ends:?}");
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{topic} has no leaders");
    }

    /// A connection of our own to the leader of a partition.
    pub(super) async fn leader(&self, topic: &str, partition: i32) -> BrokerConnection {
        let found = self.client.metadata(TopicQuery::Named(vec![topic.to_owned()])).await.unwrap();
        self.client.dedicated(found.partition(topic, partition).unwrap().leader_id).await.unwrap()
    }

    pub(super) async fn topic_id(&self, topic: &str) -> Option<Uuid> {
        let found = self.client.metadata(TopicQuery::Named(vec![topic.to_owned()])).await.unwrap();
        found.topics[topic].topic_id
    }

    pub(super) async fn leader_epoch(&self, topic: &str, partition: i32) -> i32 {
        let found = self.client.metadata(TopicQuery::Named(vec![topic.to_owned()])).await.unwrap();
        found.partition(topic, partition).unwrap().leader_epoch
    }

    /// The part of a Produce request that carries one batch.
    pub(super) async fn produce_topic(
        &self,
        topic: &str,
        partition: i32,
        batch: Bytes,
    ) -> ProduceTopic {
        ProduceTopic {
            name: topic.to_owned().into(),
            topic_id: self.topic_id(topic).await.unwrap_or_default(),
            partitions: vec![ProducePartition { partition, header: batch, payload: Bytes::new() }],
        }
    }

    /// Sends one batch to partition 0; gives its ack.
    pub(super) async fn produce(&self, topic: &str, batch: Bytes) -> ProduceAck {
        self.produce_to(topic, 0, batch).await
    }

    pub(super) async fn produce_to(&self, topic: &str, partition: i32, batch: Bytes) -> ProduceAck {
        let topics = vec![self.produce_topic(topic, partition, batch).await];
        let connection = self.leader(topic, partition).await;
        let mut acks = connection.produce(-1, Duration::from_secs(20), topics).await.unwrap();
        assert_eq!(acks.len(), 1);
        let ack = acks.remove(0);
        assert_eq!((&*ack.topic, ack.partition), (topic, partition));
        ack
    }

    /// What a partition is fetched with.
    pub(super) async fn wanted(&self, topic: &str, partition: i32, offset: i64) -> FetchPartition {
        FetchPartition {
            topic: topic.into(),
            topic_id: self.topic_id(topic).await,
            partition,
            offset,
            leader_epoch: self.leader_epoch(topic, partition).await,
            last_fetched_epoch: -1,
            bytes_max: 1 << 20,
        }
    }

    /// One fetch from one partition, without anything before it.
    pub(super) async fn fetch(&self, wanted: FetchPartition) -> FetchedPartition {
        let connection = self.leader(&wanted.topic, wanted.partition).await;
        let settings = FetchSettings { max_wait_ms: 100, ..FetchSettings::default() };
        let mut session = FetchSession::new();
        let mut found =
            fetch_once(&connection, &mut session, &settings, std::slice::from_ref(&wanted))
                .await
                .unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    /// The end of partition 0.
    pub(super) async fn end(&self, topic: &str) -> i64 {
        let at = TopicPartition::new(topic, 0);
        let listed = self
            .client
            .list_offsets(vec![(at.clone(), OffsetSpec::Latest)], Isolation::ReadUncommitted)
            .await
            .unwrap();
        listed[&at].unwrap().offset
    }
}

/// One request of a session.
pub(super) async fn fetch_once(
    connection: &BrokerConnection,
    session: &mut FetchSession,
    settings: &FetchSettings,
    wanted: &[FetchPartition],
) -> Result<Vec<FetchedPartition>, kafka_client::FetchSessionError> {
    let (request, version) = session.request(connection.versions(), settings, wanted);
    let options = kafka_client::CallOptions { timeout: None, version_max: Some(version) };
    let response = connection.call_with(request, options).await.unwrap();
    session.handle(response)
}

/// Records with these values, offsets from 0, times of now.
pub(super) fn records(values: &[&str]) -> Vec<Record> {
    let now =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let now = i64::try_from(now).unwrap();
    (0..)
        .zip(values)
        .map(|(offset, value)| Record {
            offset,
            timestamp: now,
            key: Some(Bytes::from_static(b"key")),
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: Vec::new(),
        })
        .collect()
}

/// A batch without a producer id.
pub(super) fn plain(values: &[&str]) -> Bytes {
    encode_batch(&BatchOptions::default(), &records(values)).unwrap()
}

/// A batch of an idempotent producer.
pub(super) fn sequenced(
    producer_id: i64,
    producer_epoch: i16,
    base_sequence: i32,
    values: &[&str],
) -> Bytes {
    let options =
        BatchOptions { producer_id, producer_epoch, base_sequence, ..BatchOptions::default() };
    encode_batch(&options, &records(values)).unwrap()
}

/// Asserts that a batch was appended; gives its first offset.
#[track_caller]
pub(super) fn appended(ack: &ProduceAck) -> i64 {
    assert_eq!(ack.error, ErrorCode::NONE, "{ack:?}");
    ack.base_offset
}
