//! The chunks against `kafka-protocol`'s own encoding, and where their memory is.

use kafka_protocol::messages::{ProduceRequest, TopicName, produce_request};
use proptest::prelude::*;

use super::*;
use crate::message::encode_request;

fn partition(partition: i32, header: &'static [u8], payload: &'static [u8]) -> ProducePartition {
    let (header, payload) = (Bytes::from_static(header), Bytes::from_static(payload));
    ProducePartition { partition, header, payload }
}

fn topic(name: &str, partitions: Vec<ProducePartition>) -> ProduceTopic {
    let topic_id = Uuid::from_bytes([7; 16]);
    ProduceTopic { name: StrBytes::from_string(name.to_owned()), topic_id, partitions }
}

/// The same request as `kafka-protocol` writes it, copying everything.
fn reference(version: i16, acks: i16, timeout_ms: i32, topics: &[ProduceTopic]) -> Bytes {
    let topics = topics.iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let records = [&partition.header[..], &partition.payload[..]].concat();
            produce_request::PartitionProduceData::default()
                .with_index(partition.partition)
                .with_records(Some(records.into()))
        });
        let data =
            produce_request::TopicProduceData::default().with_partition_data(partitions.collect());
        if version >= 13 {
            data.with_topic_id(topic.topic_id)
        } else {
            data.with_name(TopicName(topic.name.clone()))
        }
    });
    let request = ProduceRequest::default()
        .with_transactional_id(None)
        .with_acks(acks)
        .with_timeout_ms(timeout_ms)
        .with_topic_data(topics.collect());
    encode_request(42, "kferry", version, &request).unwrap()
}

#[track_caller]
fn check(topics: &[ProduceTopic]) {
    for version in VERSION_MIN..=VERSION_MAX {
        let chunks = encode_produce(42, "kferry", version, -1, 30_000, topics);
        assert_eq!(chunks.concat(), reference(version, -1, 30_000, topics), "v{version}");
        assert!(chunks.iter().all(|chunk| !chunk.is_empty()));
    }
}

#[test]
fn equals_the_copying_encoder() {
    check(&[]);
    check(&[topic("", vec![])]);
    check(&[topic("t", vec![partition(0, b"header", b"payload")])]);
    check(&[topic("t", vec![partition(0, b"", b"")])]);
    check(&[topic("t", vec![partition(0, b"whole batch", b"")])]);
    check(&[
        topic("orders", vec![partition(3, b"h", b"p"), partition(1, b"h2", b"p2")]),
        topic("invoices", vec![partition(0, b"h", &[0xab; 5000])]),
    ]);
}

/// The versions of Kafka's schema, the decoder's and these agree.
#[test]
fn versions_are_those_of_the_messages() {
    let known = crate::versions::known_versions(ApiKey::Produce);
    assert_eq!((known.min, known.max), (VERSION_MIN, VERSION_MAX));
}

#[test]
fn payloads_are_not_copied() {
    let (header, payload) = (vec![1; 61], vec![2; 100_000]);
    let (header, payload) = (Bytes::from(header), Bytes::from(payload));
    let entry = ProducePartition { partition: 0, header: header.clone(), payload: payload.clone() };
    let chunks = encode_produce(1, "", 9, -1, 1, &[topic("t", vec![entry])]);
    let shared = |bytes: &Bytes| {
        chunks
            .iter()
            .filter(|chunk| chunk.as_ptr() == bytes.as_ptr() && chunk.len() == bytes.len())
            .count()
    };
    assert_eq!((shared(&header), shared(&payload)), (1, 1));
    assert_eq!(chunks.len(), 4); // framing, header, payload, the tags that end the request
}

prop_compose! {
    fn partitions()(
        partition in any::<i32>(),
        header in prop::collection::vec(any::<u8>(), 0..70),
        payload in prop::collection::vec(any::<u8>(), 0..300),
    ) -> ProducePartition {
        ProducePartition { partition, header: header.into(), payload: payload.into() }
    }
}

prop_compose! {
    fn topics()(
        name in "[a-z.]{0,40}",
        id in any::<u128>(),
        partitions in prop::collection::vec(partitions(), 0..4),
    ) -> ProduceTopic {
        ProduceTopic { name: StrBytes::from_string(name), topic_id: Uuid::from_u128(id), partitions }
    }
}

proptest! {
    /// Any request, any version: the bytes are those of the copying encoder, in order, and each
    /// chunk with a batch is the caller's own memory.
    #[test]
    fn chunks_equal_the_copying_encoder(
        topics in prop::collection::vec(topics(), 0..4),
        version in VERSION_MIN..=VERSION_MAX,
        acks in -1_i16..=1,
        timeout_ms in any::<i32>(),
    ) {
        let chunks = encode_produce(42, "kferry", version, acks, timeout_ms, &topics);
        prop_assert_eq!(chunks.concat(), reference(version, acks, timeout_ms, &topics));
        for partition in topics.iter().flat_map(|topic| &topic.partitions) {
            for bytes in [&partition.header, &partition.payload] {
                let found = chunks.iter().any(|chunk| chunk.as_ptr() == bytes.as_ptr() && chunk.len() == bytes.len());
                prop_assert!(found || bytes.is_empty());
            }
        }
    }
}
