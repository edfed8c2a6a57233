//! A client of raw requests: version and bytes chosen, nothing in between.

use bytes::{Bytes, BytesMut};
use kafka_client::{BrokerAddress, Stream};
use kafka_sim::{Cluster, ClusterConfig, Release};
use kafka_wire::frame::{FrameLimits, next_frame};
use kafka_wire::message::{decode_response, encode_request};
use kafka_wire::messages::add_partitions_to_txn_request::{
    AddPartitionsToTxnRequest, AddPartitionsToTxnTopic,
};
use kafka_wire::messages::end_txn_request::EndTxnRequest;
use kafka_wire::messages::fetch_request::{FetchPartition, FetchRequest, FetchTopic};
use kafka_wire::messages::fetch_response::PartitionData;
use kafka_wire::messages::init_producer_id_request::InitProducerIdRequest;
use kafka_wire::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use kafka_wire::messages::produce_request::{
    PartitionProduceData, ProduceRequest, TopicProduceData,
};
use kafka_wire::messages::produce_response::PartitionProduceResponse;
use kafka_wire::messages::{BrokerId, ProducerId, TopicName, TransactionalId};
use kafka_wire::protocol::{Request, StrBytes};
use kafka_wire::record::{BatchOptions, Record, encode_batch};
use kafka_wire::{ErrorCode, Uuid};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Noon of some day in 2025: the wall clock of every test.
pub(crate) const NOW_MS: i64 = 1_750_000_000_000;

pub(crate) fn text(value: &str) -> StrBytes {
    StrBytes::from_string(value.to_owned())
}

pub(crate) fn topic_name(value: &str) -> TopicName {
    TopicName(text(value))
}

/// One broker of `release` with a topic `t` of one partition.
pub(crate) fn cluster(release: Release) -> Cluster {
    let cluster = Cluster::new(ClusterConfig {
        start_time_ms: Some(NOW_MS),
        ..ClusterConfig::release(release)
    });
    cluster.create_topic("t", 1, &[]).unwrap();
    cluster
}

pub(crate) struct Wire {
    stream: Box<dyn Stream>,
    input: BytesMut,
    correlation: i32,
    release: Release,
}

impl Wire {
    pub(crate) async fn to(cluster: &Cluster) -> Self {
        let address = cluster.bootstrap().remove(0);
        Self::to_address(cluster, &address).await
    }

    pub(crate) async fn to_broker(cluster: &Cluster, id: i32) -> Self {
        let index = usize::try_from(id - 1).unwrap();
        let address = cluster.bootstrap().remove(index);
        Self::to_address(cluster, &address).await
    }

    pub(crate) async fn to_address(cluster: &Cluster, address: &BrokerAddress) -> Self {
        let stream = cluster.connector().connect(address).await.unwrap();
        Self::over(stream, cluster.config().release)
    }

    pub(crate) fn over(stream: Box<dyn Stream>, release: Release) -> Self {
        Self { stream, input: BytesMut::new(), correlation: 0, release }
    }

    /// Highest version of a request that this release offers.
    pub(crate) fn highest<R: Request>(&self) -> i16 {
        let key = R::KEY.try_into().unwrap();
        self.release.versions(key).map(|(_, max)| max).unwrap()
    }

    pub(crate) async fn send<R: Request>(&mut self, version: i16, request: &R) {
        self.correlation += 1;
        let frame = encode_request(self.correlation, "probe", version, request).unwrap();
        self.send_bytes(&frame).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next frame, or `None` when the broker closed the connection.
    pub(crate) async fn frame(&mut self) -> Option<Bytes> {
        loop {
            if let Some(frame) = next_frame(&mut self.input, &FrameLimits::default()).unwrap() {
                return Some(frame);
            }
            match self.stream.read_buf(&mut self.input).await {
                Ok(0) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    pub(crate) async fn receive<R: Request>(&mut self, version: i16) -> Option<R::Response> {
        let frame = self.frame().await?;
        Some(decode_response::<R>(version, frame).unwrap().1)
    }

    pub(crate) async fn call<R: Request>(&mut self, version: i16, request: R) -> R::Response {
        self.send(version, &request).await;
        self.receive::<R>(version).await.expect("the broker closed the connection")
    }

    pub(crate) async fn call_highest<R: Request>(&mut self, request: R) -> R::Response {
        let version = self.highest::<R>();
        self.call(version, request).await
    }

    /// Produce version used by the probes: 9, or the broker's highest below it.
    pub(crate) fn produce_version(&self) -> i16 {
        self.highest::<ProduceRequest>().min(9)
    }

    pub(crate) async fn try_produce(
        &mut self,
        topic: &str,
        partition: i32,
        batch: Bytes,
    ) -> Option<PartitionProduceResponse> {
        let version = self.produce_version();
        let request = produce_request(None, &[(topic, partition, batch)]);
        self.send(version, &request).await;
        let mut response = self.receive::<ProduceRequest>(version).await?;
        Some(response.responses.remove(0).partition_responses.remove(0))
    }

    /// Error code and base offset.
    pub(crate) async fn produce(
        &mut self,
        topic: &str,
        partition: i32,
        batch: Bytes,
    ) -> (ErrorCode, i64) {
        let answer = self
            .try_produce(topic, partition, batch)
            .await
            .expect("the broker closed the connection");
        (ErrorCode(answer.error_code), answer.base_offset)
    }

    pub(crate) async fn fetch(
        &mut self,
        topic: &str,
        topic_id: Uuid,
        offset: i64,
        options: FetchOptions,
    ) -> PartitionData {
        let version = options.version.unwrap_or_else(|| self.highest::<FetchRequest>());
        let request = fetch_request(topic, topic_id, offset, &options);
        let mut response = self.call(version, request).await;
        assert_eq!(response.error_code, 0, "top-level error");
        response.responses.remove(0).partitions.remove(0)
    }

    /// ListOffsets of one partition: (error, offset, leader epoch).
    pub(crate) async fn list_offset(
        &mut self,
        topic: &str,
        timestamp: i64,
        options: ListOptions,
    ) -> (ErrorCode, i64, i64) {
        let partition = ListOffsetsPartition::default()
            .with_partition_index(0)
            .with_timestamp(timestamp)
            .with_current_leader_epoch(options.leader_epoch);
        let request = ListOffsetsRequest::default()
            .with_replica_id(BrokerId(-1))
            .with_isolation_level(i8::from(options.committed))
            .with_topics(vec![
                ListOffsetsTopic::default()
                    .with_name(topic_name(topic))
                    .with_partitions(vec![partition]),
            ]);
        let response = self.call_highest(request).await;
        let partition = &response.topics[0].partitions[0];
        (ErrorCode(partition.error_code), partition.offset, partition.timestamp)
    }

    /// InitProducerId: (error, id, epoch).
    pub(crate) async fn init_producer(
        &mut self,
        transactional_id: Option<&str>,
    ) -> (ErrorCode, i64, i16) {
        let version = self.highest::<InitProducerIdRequest>().min(5);
        let request = InitProducerIdRequest::default()
            .with_transactional_id(transactional_id.map(|id| TransactionalId(text(id))))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let response = self.call(version, request).await;
        (ErrorCode(response.error_code), response.producer_id.0, response.producer_epoch)
    }

    pub(crate) async fn add_partition(
        &mut self,
        id: &str,
        producer: (i64, i16),
        topic: &str,
    ) -> ErrorCode {
        let version = self.highest::<AddPartitionsToTxnRequest>().min(3);
        let topics = vec![
            AddPartitionsToTxnTopic::default()
                .with_name(topic_name(topic))
                .with_partitions(vec![0]),
        ];
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(TransactionalId(text(id)))
            .with_v3_and_below_producer_id(ProducerId(producer.0))
            .with_v3_and_below_producer_epoch(producer.1)
            .with_v3_and_below_topics(topics);
        let response = self.call(version, request).await;
        let topic = &response.results_by_topic_v3_and_below[0];
        ErrorCode(topic.results_by_partition[0].partition_error_code)
    }

    pub(crate) async fn end_txn(
        &mut self,
        id: &str,
        producer: (i64, i16),
        commit: bool,
    ) -> ErrorCode {
        let version = self.highest::<EndTxnRequest>().min(4);
        let request = EndTxnRequest::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_producer_id(ProducerId(producer.0))
            .with_producer_epoch(producer.1)
            .with_committed(commit);
        ErrorCode(self.call(version, request).await.error_code)
    }
}

#[derive(Clone, Copy)]
pub(crate) struct ListOptions {
    pub(crate) committed: bool,
    pub(crate) leader_epoch: i32,
}

impl Default for ListOptions {
    fn default() -> Self {
        Self { committed: false, leader_epoch: -1 }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct FetchOptions {
    pub(crate) version: Option<i16>,
    pub(crate) committed: bool,
    pub(crate) last_fetched_epoch: i32,
    pub(crate) leader_epoch: i32,
    pub(crate) max_wait_ms: i32,
    pub(crate) min_bytes: i32,
    pub(crate) bytes_max: i32,
    pub(crate) session: (i32, i32),
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self {
            version: None,
            committed: false,
            last_fetched_epoch: -1,
            leader_epoch: -1,
            max_wait_ms: 0,
            min_bytes: 1,
            bytes_max: 1 << 20,
            session: (0, -1),
        }
    }
}

pub(crate) fn fetch_request(
    topic: &str,
    topic_id: Uuid,
    offset: i64,
    options: &FetchOptions,
) -> FetchRequest {
    let partition = FetchPartition::default()
        .with_partition(0)
        .with_fetch_offset(offset)
        .with_current_leader_epoch(options.leader_epoch)
        .with_last_fetched_epoch(options.last_fetched_epoch)
        .with_partition_max_bytes(options.bytes_max);
    let topic = FetchTopic::default()
        .with_topic(topic_name(topic))
        .with_topic_id(topic_id)
        .with_partitions(vec![partition]);
    FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(options.max_wait_ms)
        .with_min_bytes(options.min_bytes)
        .with_max_bytes(50 << 20)
        .with_isolation_level(i8::from(options.committed))
        .with_session_id(options.session.0)
        .with_session_epoch(options.session.1)
        .with_topics(vec![topic])
}

pub(crate) fn produce_request(
    transactional_id: Option<&str>,
    data: &[(&str, i32, Bytes)],
) -> ProduceRequest {
    let topics = data.iter().map(|(topic, partition, batch)| {
        let data = PartitionProduceData::default()
            .with_index(*partition)
            .with_records(Some(batch.clone()));
        TopicProduceData::default().with_name(topic_name(topic)).with_partition_data(vec![data])
    });
    ProduceRequest::default()
        .with_transactional_id(transactional_id.map(|id| TransactionalId(text(id))))
        .with_acks(-1)
        .with_timeout_ms(1000)
        .with_topic_data(topics.collect())
}

/// `count` records with keys `k0…`, all of now.
pub(crate) fn records(count: i64) -> Vec<Record> {
    timed_records(count, NOW_MS)
}

pub(crate) fn timed_records(count: i64, timestamp: i64) -> Vec<Record> {
    let record = |offset: i64| Record {
        offset,
        timestamp,
        key: Some(Bytes::from(format!("k{offset}"))),
        value: Some(Bytes::from(format!("value {offset}"))),
        headers: Vec::new(),
    };
    (0..count).map(record).collect()
}

pub(crate) fn keyless_records(count: i64) -> Vec<Record> {
    let mut records = records(count);
    records.iter_mut().for_each(|record| record.key = None);
    records
}

/// A plain batch of `count` records.
pub(crate) fn batch(count: i64) -> Bytes {
    encode_batch(&BatchOptions::default(), &records(count)).unwrap()
}

/// A batch of an idempotent producer.
pub(crate) fn sequenced(producer_id: i64, epoch: i16, sequence: i32, count: i64) -> Bytes {
    encode_batch(&producer_options(producer_id, epoch, sequence), &records(count)).unwrap()
}

pub(crate) fn producer_options(producer_id: i64, epoch: i16, sequence: i32) -> BatchOptions {
    BatchOptions {
        producer_id,
        producer_epoch: epoch,
        base_sequence: sequence,
        ..BatchOptions::default()
    }
}

/// Changes header bytes and renews the checksum.
pub(crate) fn altered(batch: &Bytes, change: impl FnOnce(&mut [u8])) -> Bytes {
    let mut bytes = batch.to_vec();
    change(&mut bytes);
    let crc = kafka_wire::crc::crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes.into()
}

/// Releases with the behaviour of 2.8 and later; of 1.1; of 0.11.
pub(crate) const MODERN: [Release; 4] =
    [Release::V2_8, Release::V3_9, Release::V4_1, Release::V4_2];
