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
        let chunks = encode_produce(
            &mut ProduceScratch::default(),
            42,
            "kferry",
            version,
            -1,
            30_000,
            topics,
        );
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
    let chunks =
        encode_produce(&mut ProduceScratch::default(), 1, "", 9, -1, 1, &[topic("t", vec![entry])]);
    let shared = |bytes: &Bytes| {
        chunks
            .iter()
            .filter(|chunk| chunk.as_ptr() == bytes.as_ptr() && chunk.len() == bytes.len())
            .count()
    };
    assert_eq!((shared(&header), shared(&payload)), (0, 1));
    assert_eq!(chunks.len(), 3); // framing with the header, payload, the tags that end the request
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
    /// large piece of a batch is the caller's own memory. Room that is used again changes no earlier request.
    #[test]
    fn chunks_equal_the_copying_encoder(
        topics in prop::collection::vec(topics(), 0..4),
        version in VERSION_MIN..=VERSION_MAX,
        acks in -1_i16..=1,
        timeout_ms in any::<i32>(),
    ) {
        let mut scratch = ProduceScratch::default();
        let mut encode =
            || encode_produce(&mut scratch, 42, "kferry", version, acks, timeout_ms, &topics);
        let chunks = encode();
        prop_assert_eq!(encode().concat(), chunks.concat());
        prop_assert_eq!(chunks.concat(), reference(version, acks, timeout_ms, &topics));
        for partition in topics.iter().flat_map(|topic| &topic.partitions) {
            for bytes in [&partition.header, &partition.payload] {
                let found = chunks.iter().any(|chunk| chunk.as_ptr() == bytes.as_ptr() && chunk.len() == bytes.len());
                prop_assert!(found || bytes.len() <= SMALL_BYTES);
            }
        }
    }
}

/// What an answer says of one partition: index, code, three offsets, who is to blame, words.
type Part = (i32, i16, [i64; 3], Vec<i32>, Option<String>);

fn answer(version: i16, topics: &[ProduceTopic], parts: &[Vec<Part>]) -> Bytes {
    use crate::message::encode_response;
    use kafka_protocol::messages::produce_response::{
        BatchIndexAndErrorMessage, PartitionProduceResponse, TopicProduceResponse,
    };
    use kafka_protocol::messages::{ProduceResponse, ResponseKind};
    let partition = |(index, code, [base, time, start], blamed, words): &Part| {
        let mut part = PartitionProduceResponse::default()
            .with_index(*index)
            .with_error_code(*code)
            .with_base_offset(*base)
            .with_log_append_time_ms(*time);
        if version >= 5 {
            part.log_start_offset = *start;
        }
        if version >= 8 {
            let record =
                |index: &i32| BatchIndexAndErrorMessage::default().with_batch_index(*index);
            part.record_errors = blamed.iter().map(record).collect();
            part.error_message = words.clone().map(StrBytes::from_string);
        }
        part
    };
    let responses = topics.iter().zip(parts).map(|(topic, parts)| {
        let response = TopicProduceResponse::default()
            .with_partition_responses(parts.iter().map(partition).collect());
        if version >= 13 {
            response.with_topic_id(topic.topic_id)
        } else {
            response.with_name(TopicName(topic.name.clone()))
        }
    });
    let response = ProduceResponse::default().with_responses(responses.collect());
    let response = ResponseKind::Produce(response);
    encode_response(42, ApiKey::Produce, version, &response).unwrap().slice(4..)
}

fn read(version: i16, frame: &[u8], topics: &[ProduceTopic]) -> Option<Vec<Appended>> {
    let mut found = Vec::new();
    read_appended(version, frame, topics, |appended| found.push(appended)).then_some(found)
}

proptest! {
    /// Answers that report nothing but success are read as they were written; all others are left to the decoder.
    #[test]
    fn answers_without_errors_are_read_and_others_are_not(
        parts in prop::collection::vec(
            prop::collection::vec((any::<i32>(), any::<[i64; 3]>()), 0..5), 0..4),
        version in VERSION_MIN..=VERSION_MAX,
        fault in 0_u8..4,
        reversed in any::<bool>(),
        cut in 0_usize..200,
    ) {
        let names = (0..parts.len()).map(|index| format!("topic-{index}"));
        let mut topics: Vec<ProduceTopic> = names.map(|name| topic(&name, vec![])).collect();
        for (index, topic) in topics.iter_mut().enumerate() {
            topic.topic_id = Uuid::from_u128(index as u128 + 1);
        }
        let mut told: Vec<Vec<Part>> = parts
            .iter()
            .map(|parts| parts.iter().map(|(at, o)| (*at, 0, *o, vec![], None)).collect())
            .collect();
        let good = answer(version, &topics, &told);
        let mut expected = Vec::new();
        for (index, parts) in parts.iter().enumerate() {
            expected.extend(parts.iter().map(|(at, [base, time, start])| Appended {
                topic: index,
                partition: *at,
                base_offset: *base,
                log_append_time_ms: *time,
                log_start_offset: if version >= 5 { *start } else { -1 },
            }));
        }
        prop_assert_eq!(read(version, &good, &topics), Some(expected.clone()));
        // Any order of topics, any cut.
        if reversed {
            let (mut topics, mut told) = (topics.clone(), told.clone());
            topics.reverse();
            told.reverse();
            let found = read(version, &answer(version, &topics, &told), &topics[..]);
            prop_assert_eq!(found.map(|found| found.len()), Some(expected.len()));
        }
        if cut < good.len() {
            prop_assert_eq!(read(version, &good[..cut], &topics), None);
        }
        if let Some(part) = told.iter_mut().flatten().next() {
            match fault {
                0 => part.1 = 6,
                1 if version >= 8 => part.3.push(0),
                2 if version >= 8 => part.4 = Some("no".to_owned()),
                _ => return Ok(()),
            }
            prop_assert_eq!(read(version, &answer(version, &topics, &told), &topics), None);
        }
    }

    /// No bytes make it panic.
    #[test]
    fn any_bytes_can_be_read(
        version in VERSION_MIN..=VERSION_MAX,
        frame in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        _ = read(version, &frame, &[topic("t", vec![])]);
    }
}
