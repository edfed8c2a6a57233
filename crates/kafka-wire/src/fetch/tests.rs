//! Both directions against `kafka-protocol`'s own encoding.

use kafka_protocol::messages::fetch_request::{
    FetchPartition as WirePartition, FetchTopic, ForgottenTopic,
};
use kafka_protocol::messages::fetch_response::{
    AbortedTransaction, EpochEndOffset, FetchableTopicResponse, LeaderIdAndEpoch, PartitionData,
};
use kafka_protocol::messages::{
    BrokerId, FetchRequest, FetchResponse, ProducerId, ResponseKind, TopicName,
};
use kafka_protocol::protocol::StrBytes;
use proptest::prelude::*;

use super::*;
use crate::message::{decode_response, encode_request, encode_response};

fn identity_of(version: i16, name: &str, id: Uuid) -> (TopicName, Uuid) {
    if version >= TOPIC_ID_FROM {
        (TopicName::default(), id)
    } else {
        (TopicName(StrBytes::from_string(name.to_owned())), Uuid::nil())
    }
}

/// The same request as `kafka-protocol` writes it.
fn reference(
    version: i16,
    head: &FetchHead<'_>,
    partitions: &[FetchPartition],
    forgotten: &[ForgottenPartition],
) -> Bytes {
    let wire = |partition: &FetchPartition| {
        let mut wire = WirePartition::default()
            .with_partition(partition.partition)
            .with_fetch_offset(partition.offset)
            .with_partition_max_bytes(partition.bytes_max);
        if version >= 9 {
            wire.current_leader_epoch = partition.leader_epoch;
        }
        if version >= 12 {
            wire.last_fetched_epoch = partition.last_fetched_epoch;
        }
        wire
    };
    let topics = partitions.chunk_by(|a, b| (&a.topic, a.topic_id) == (&b.topic, b.topic_id));
    let topics = topics.map(|topic| {
        let id = topic[0].topic_id.unwrap_or_default();
        let (name, id) = identity_of(version, &topic[0].topic, id);
        let partitions = topic.iter().map(wire).collect();
        FetchTopic::default().with_topic(name).with_topic_id(id).with_partitions(partitions)
    });
    let mut request = FetchRequest::default()
        .with_replica_id(BrokerId(-1))
        .with_max_wait_ms(head.max_wait_ms)
        .with_min_bytes(head.min_bytes)
        .with_max_bytes(head.bytes_max)
        .with_isolation_level(head.isolation)
        .with_topics(topics.collect());
    if version >= SESSION_FROM {
        (request.session_id, request.session_epoch) = (head.session_id, head.session_epoch);
        let topics = forgotten.chunk_by(|a, b| (&a.topic, a.topic_id) == (&b.topic, b.topic_id));
        let topics = topics.map(|topic| {
            let (name, id) = identity_of(version, &topic[0].topic, topic[0].topic_id);
            let partitions = topic.iter().map(|forgotten| forgotten.partition).collect();
            ForgottenTopic::default().with_topic(name).with_topic_id(id).with_partitions(partitions)
        });
        request.forgotten_topics_data = topics.collect();
    }
    if version >= 11 {
        request.rack_id = StrBytes::from_string(head.rack.to_owned());
    }
    encode_request(42, "kferry", version, &request).unwrap()
}

/// The versions of Kafka's schema, the decoder's and these agree.
#[test]
fn versions_are_those_of_the_messages() {
    let known = crate::versions::known_versions(ApiKey::Fetch);
    assert_eq!((known.min, known.max), (VERSION_MIN, VERSION_MAX));
}

prop_compose! {
    fn wishes()(
        topic in "[a-c]{1,2}",
        numbers in any::<[i32; 4]>(),
        offset in any::<i64>(),
    ) -> FetchPartition {
        let [partition, leader_epoch, last_fetched_epoch, bytes_max] = numbers;
        let topic_id = Some(Uuid::from_u128(u128::from(topic.as_bytes()[0])));
        FetchPartition {
            topic: topic.into(), topic_id, partition, offset, leader_epoch, last_fetched_epoch, bytes_max,
        }
    }
}

/// One partition of an answer: index, code, four numbers, aborted transactions, records.
type Part = (i32, i16, [i64; 3], i32, Option<Vec<(i64, i64)>>, Option<Vec<u8>>);

fn parts() -> impl Strategy<Value = Part> {
    (
        any::<i32>(),
        any::<i16>(),
        any::<[i64; 3]>(),
        any::<i32>(),
        prop::option::of(prop::collection::vec(any::<(i64, i64)>(), 0..4)),
        prop::option::of(prop::collection::vec(any::<u8>(), 0..300)),
    )
}

fn data(version: i16, part: &Part) -> PartitionData {
    let (partition, error, [high_watermark, stable, start], replica, aborted, records) = part;
    let aborted = aborted.as_ref().map(|aborted| {
        let entry = |(producer_id, first_offset): &(i64, i64)| {
            AbortedTransaction::default()
                .with_producer_id(ProducerId(*producer_id))
                .with_first_offset(*first_offset)
        };
        aborted.iter().map(entry).collect()
    });
    let mut data = PartitionData::default()
        .with_partition_index(*partition)
        .with_error_code(*error)
        .with_high_watermark(*high_watermark)
        .with_last_stable_offset(*stable)
        .with_aborted_transactions(aborted)
        .with_records(records.clone().map(Bytes::from));
    if version >= 5 {
        data.log_start_offset = *start;
    }
    if version >= 11 {
        data.preferred_read_replica = BrokerId(*replica);
    }
    data
}

fn answer(version: i16, topics: &[(String, Vec<Part>)]) -> FetchResponse {
    let topics = topics.iter().map(|(name, parts)| {
        let (name, id) = identity_of(version, name, Uuid::from_u128(name.len() as u128));
        FetchableTopicResponse::default()
            .with_topic(name)
            .with_topic_id(id)
            .with_partitions(parts.iter().map(|part| data(version, part)).collect())
    });
    let mut answer =
        FetchResponse::default().with_throttle_time_ms(7).with_responses(topics.collect());
    if version >= SESSION_FROM {
        (answer.error_code, answer.session_id) = (3, 77);
    }
    answer
}

fn frame(version: i16, answer: FetchResponse) -> Bytes {
    let answer = ResponseKind::Fetch(answer);
    encode_response(42, ApiKey::Fetch, version, &answer).unwrap().slice(4..)
}

/// What the frame says, as the decoder has it. Tagged fields cannot be told this way.
fn read(version: i16, frame: &Bytes) -> Option<FetchResponse> {
    let mut topics: Vec<FetchableTopicResponse> = Vec::new();
    let head = read_fetched(version, frame, |answered| {
        let (name, id) = match answered.topic {
            TopicKey::Name(name) => {
                (TopicName(StrBytes::from_string(name.to_owned())), Uuid::nil())
            }
            TopicKey::Id(id) => (TopicName::default(), id),
        };
        if topics.last().is_none_or(|last| (&last.topic, last.topic_id) != (&name, id)) {
            topics.push(FetchableTopicResponse::default().with_topic(name).with_topic_id(id));
        }
        let part = (
            answered.partition,
            answered.error,
            [answered.high_watermark, answered.last_stable_offset, answered.log_start_offset],
            answered.preferred_read_replica,
            Some(answered.aborted.collect()),
            Some(answered.records.to_vec()),
        );
        topics.last_mut().unwrap().partitions.push(data(version, &part));
        true
    })?;
    let mut answer = FetchResponse::default().with_responses(topics);
    (answer.error_code, answer.session_id) = (head.error, head.session_id);
    Some(answer)
}

/// What both ways of reading can tell apart.
fn plain(mut answer: FetchResponse) -> FetchResponse {
    answer.throttle_time_ms = 0;
    let mut topics: Vec<FetchableTopicResponse> = Vec::new();
    for mut topic in answer.responses.drain(..) {
        for partition in &mut topic.partitions {
            partition.aborted_transactions.get_or_insert_default();
            partition.records.get_or_insert_default();
        }
        match topics.last_mut() {
            Some(last) if (&last.topic, last.topic_id) == (&topic.topic, topic.topic_id) => {
                last.partitions.append(&mut topic.partitions);
            }
            _ if topic.partitions.is_empty() => {}
            _ => topics.push(topic),
        }
    }
    answer.with_responses(topics)
}

proptest! {
    /// Any request, any version: the bytes are those of the other encoder, also in room that is used again.
    #[test]
    fn requests_equal_the_other_encoder(
        mut partitions in prop::collection::vec(wishes(), 0..6),
        forgotten in prop::collection::vec(wishes(), 0..4),
        numbers in any::<[i32; 5]>(),
        isolation in 0_i8..2,
        rack in "[a-z]{0,9}",
        version in VERSION_MIN..=VERSION_MAX,
        is_sorted in any::<bool>(),
    ) {
        if is_sorted {
            partitions.sort_by(|a, b| a.topic.cmp(&b.topic));
        }
        let forgotten: Vec<ForgottenPartition> = forgotten
            .into_iter()
            .map(|wish| ForgottenPartition {
                topic: wish.topic, topic_id: wish.topic_id.unwrap(), partition: wish.partition,
            })
            .collect();
        let [max_wait_ms, min_bytes, bytes_max, session_id, session_epoch] = numbers;
        let head =
            FetchHead { max_wait_ms, min_bytes, bytes_max, isolation, session_id, session_epoch, rack: &rack };
        let mut scratch = BytesMut::new();
        let mut encode =
            || encode_fetch(&mut scratch, 42, "kferry", version, &head, &partitions, &forgotten);
        let first = encode();
        prop_assert_eq!(&encode(), &first);
        prop_assert_eq!(first, reference(version, &head, &partitions, &forgotten));
    }

    /// Ordinary answers are read as they were written; all others are left to the decoder.
    #[test]
    fn ordinary_answers_are_read_and_others_are_not(
        topics in prop::collection::vec(("[a-z]{1,9}", prop::collection::vec(parts(), 0..4)), 0..4),
        version in VERSION_MIN..=VERSION_MAX,
        cut in 0_usize..400,
    ) {
        let mut written = answer(version, &topics);
        let good = frame(version, written.clone());
        prop_assert_eq!(read(version, &good), Some(plain(written.clone())));
        if cut < good.len() {
            prop_assert_eq!(read(version, &good.slice(..cut)), None);
        }
        prop_assert_eq!(read(version, &Bytes::from([&good[..], &[0]].concat())), None);
        let first = written.responses.iter_mut().flat_map(|topic| &mut topic.partitions).next();
        if let Some(first) = first && version >= FLEXIBLE_FROM {
            if cut % 2 == 0 {
                first.diverging_epoch = EpochEndOffset::default().with_epoch(3).with_end_offset(9);
            } else {
                first.current_leader = LeaderIdAndEpoch::default().with_leader_id(BrokerId(1));
            }
            prop_assert_eq!(read(version, &frame(version, written)), None);
        }
    }

    /// Whatever is read, the decoder reads as well, and the same.
    #[test]
    fn any_bytes_are_read_as_the_decoder_does(
        topics in prop::collection::vec(("[a-z]{1,3}", prop::collection::vec(parts(), 0..3)), 0..3),
        version in VERSION_MIN..=VERSION_MAX,
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let mut bytes = frame(version, answer(version, &topics)).to_vec();
        for (at, byte) in flips {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let bytes = Bytes::from(bytes);
        if let Some(found) = read(version, &bytes) {
            let (_, decoded) = decode_response::<FetchRequest>(version, bytes).unwrap();
            prop_assert_eq!(found, plain(decoded));
        }
    }
}

/// Records stay in the memory of the frame.
#[test]
fn records_are_not_copied() {
    let part = (0, 0, [9, 9, 0], -1, None, Some(vec![7; 5000]));
    let frame = frame(17, answer(17, &[("t".to_owned(), vec![part])]));
    let within = frame.as_ptr_range();
    let mut found = None;
    read_fetched(17, &frame, |answered| {
        found = Some(answered.records);
        true
    });
    let records = found.unwrap();
    assert_eq!(records.len(), 5000);
    assert!(within.contains(&records.as_ptr()));
}
