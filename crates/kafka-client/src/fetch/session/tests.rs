//! Laws of the session against a model of the broker (`FetchManager` and `FetchSession` in Apache Kafka).

use std::collections::BTreeMap;

use bytes::Bytes;
use kafka_wire::{
    message::{encode_request, encode_response},
    messages::{
        ApiVersionsResponse, ResponseKind, TopicName,
        api_versions_response::ApiVersion,
        fetch_response::{FetchableTopicResponse, PartitionData},
    },
    protocol::StrBytes,
};
use proptest::prelude::*;

use super::{wire::identity, *};

/// What the broker keeps of a partition: (offset, leader epoch, last fetched epoch, bytes).
type Kept = (i64, i32, i32, i32);
/// Topic by name or id, and partition.
type Key = (String, Uuid, i32);

/// A broker with at most one session, which is what one client can see of it.
#[derive(Debug, Default)]
struct Broker {
    session: Option<(i32, i32)>,
    kept: BTreeMap<Key, Kept>,
    last_id: i32,
    has_slots: bool,
}

impl Broker {
    /// Takes a request; gives its answer's code and session id, and what the fetch is about.
    fn take(&mut self, request: &FetchRequest) -> Result<(i32, BTreeMap<Key, Kept>), ErrorCode> {
        match request.session_epoch {
            FINAL_EPOCH | INITIAL_EPOCH => {
                assert!(request.forgotten_topics_data.is_empty());
                if request.session_id != 0
                    && self.session.is_some_and(|(id, _)| id == request.session_id)
                {
                    self.session = None;
                }
                let named = named(request);
                if request.session_epoch == FINAL_EPOCH || !self.has_slots {
                    return Ok((0, named));
                }
                self.last_id += 1;
                self.session = Some((self.last_id, 1));
                self.kept = named.clone();
                Ok((self.last_id, named))
            }
            epoch => {
                let Some((id, expected)) = self.session.filter(|(id, _)| *id == request.session_id)
                else {
                    return Err(ErrorCode::FETCH_SESSION_ID_NOT_FOUND);
                };
                if epoch != expected {
                    return Err(ErrorCode::INVALID_FETCH_SESSION_EPOCH);
                }
                self.session = Some((id, expected + 1));
                for topic in &request.forgotten_topics_data {
                    for partition in &topic.partitions {
                        let key = (topic.topic.to_string(), topic.topic_id, *partition);
                        assert!(
                            self.kept.remove(&key).is_some(),
                            "forgot what was not there: {key:?}"
                        );
                    }
                }
                self.kept.extend(named(request));
                Ok((id, self.kept.clone()))
            }
        }
    }
}

fn named(request: &FetchRequest) -> BTreeMap<Key, Kept> {
    let mut found = BTreeMap::new();
    for topic in &request.topics {
        assert!(!topic.partitions.is_empty());
        for p in &topic.partitions {
            let key = (topic.topic.to_string(), topic.topic_id, p.partition);
            let kept = (
                p.fetch_offset,
                p.current_leader_epoch,
                p.last_fetched_epoch,
                p.partition_max_bytes,
            );
            assert!(found.insert(key, kept).is_none(), "named twice");
        }
    }
    found
}

fn versions(fetch_max: i16) -> BrokerVersions {
    let fetch = ApiVersion::default()
        .with_api_key(ApiKey::Fetch as i16)
        .with_min_version(4)
        .with_max_version(fetch_max);
    BrokerVersions::from_response(&ApiVersionsResponse::default().with_api_keys(vec![fetch]))
}

/// What the broker must know for these wishes in this version.
fn expected(wanted: &[FetchPartition], version: i16) -> BTreeMap<Key, Kept> {
    let entry = |partition: &FetchPartition| {
        let (name, id) =
            identity(&partition.topic, partition.topic_id.unwrap_or_default(), version);
        let leader_epoch = if version >= 9 { partition.leader_epoch } else { -1 };
        let fetched_epoch = if version >= 12 { partition.last_fetched_epoch } else { -1 };
        let kept = (partition.offset, leader_epoch, fetched_epoch, partition.bytes_max);
        ((name.to_string(), id, partition.partition), kept)
    };
    wanted.iter().map(entry).collect()
}

/// An answer with one batch's worth of bytes for each of these partitions.
fn answer(session_id: i32, about: &BTreeMap<Key, Kept>) -> FetchResponse {
    let topic = |((name, id, partition), _): (&Key, &Kept)| {
        let data = PartitionData::default()
            .with_partition_index(*partition)
            .with_records(Some(Bytes::from_static(b"r")));
        FetchableTopicResponse::default()
            .with_topic(TopicName(StrBytes::from_string(name.clone())))
            .with_topic_id(*id)
            .with_partitions(vec![data])
    };
    FetchResponse::default()
        .with_session_id(session_id)
        .with_responses(about.iter().map(topic).collect())
}

fn frame_of(version: i16, answer: FetchResponse) -> Bytes {
    let answer = ResponseKind::Fetch(answer);
    encode_response(42, ApiKey::Fetch, version, &answer).unwrap().slice(4..)
}

#[derive(Clone, Debug)]
enum Step {
    /// Ask for these, and take the answer.
    Fetch(Vec<FetchPartition>),
    /// Ask for these; the answer is lost after the broker worked on it, or before.
    Lost(Vec<FetchPartition>, bool),
    /// The broker evicts the session.
    Evict,
    Slots(bool),
}

fn wishes() -> impl Strategy<Value = Vec<FetchPartition>> {
    let wish = (0..3_u8, 0..3_i32, 0..3_i64, 0..2_i32, 0..2_u128, any::<bool>()).prop_map(
        |(topic, partition, offset, epoch, generation, _)| FetchPartition {
            topic: format!("t{topic}").into(),
            topic_id: Some(Uuid::from_u128(u128::from(topic) * 10 + generation + 1)),
            partition,
            offset,
            leader_epoch: epoch,
            last_fetched_epoch: epoch - 1,
            bytes_max: 100,
        },
    );
    (proptest::collection::vec(wish, 0..8), prop::bool::weighted(0.1)).prop_map(
        |(mut wishes, without_ids)| {
            wishes.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
            wishes.dedup_by(|a, b| (&a.topic, a.partition) == (&b.topic, b.partition));
            // One generation of a topic at a time.
            let mut ids = BTreeMap::new();
            for wish in &mut wishes {
                wish.topic_id = *ids.entry(wish.topic.clone()).or_insert(wish.topic_id);
                if without_ids {
                    wish.topic_id = None;
                }
            }
            wishes
        },
    )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => wishes().prop_map(Step::Fetch),
        1 => (wishes(), any::<bool>()).prop_map(|(wishes, worked)| Step::Lost(wishes, worked)),
        1 => Just(Step::Evict),
        1 => prop::bool::weighted(0.8).prop_map(Step::Slots),
    ];
    proptest::collection::vec(step, 1..30)
}

proptest! {
    /// Whatever happens, the broker fetches exactly what is wanted, or says that it forgot us, and then the next
    /// request works.
    #[test]
    fn broker_knows_what_is_wanted(steps in steps(), fetch_max in prop_oneof![Just(6_i16), Just(8), Just(12), Just(17)]) {
        let versions = versions(fetch_max);
        let settings = FetchSettings::default();
        let mut broker = Broker { has_slots: true, ..Broker::default() };
        let mut session = FetchSession::new();
        for step in steps {
            match step {
                Step::Evict => broker.session = None,
                Step::Slots(has_slots) => broker.has_slots = has_slots,
                Step::Lost(wanted, worked) => {
                    let (request, _) = session.request(&versions, &settings, &wanted);
                    if worked {
                        _ = broker.take(&request);
                    }
                }
                Step::Fetch(wanted) => {
                    let mut resets = 0;
                    loop {
                        let mut twin = session.clone();
                        let (request, version) = session.request(&versions, &settings, &wanted);
                        let (frame, _) = twin.request_frame(
                            &mut BytesMut::new(), (42, "kferry"), &versions, &settings, &wanted);
                        prop_assert_eq!(frame, encode_request(42, "kferry", version, &request).unwrap());
                        prop_assert!(version <= fetch_max);
                        if version < SESSION_VERSION {
                            prop_assert_eq!((request.session_id, request.session_epoch), (0, FINAL_EPOCH));
                        }
                        match broker.take(&request) {
                            Ok((id, about)) => {
                                prop_assert_eq!(&about, &expected(&wanted, version));
                                let id = if version < SESSION_VERSION { 0 } else { id };
                                let answer = answer(id, &about);
                                let mut read = Vec::new();
                                let frame = frame_of(version, answer.clone());
                                prop_assert_eq!(twin.handle_frame(version, &frame, &mut read), Ok(true));
                                let found = session.handle(answer).unwrap();
                                prop_assert_eq!(&read, &found);
                                prop_assert_eq!(format!("{twin:?}"), format!("{session:?}"));
                                let found: Vec<_> = found.into_iter().map(|p| (p.topic, p.partition)).collect();
                                prop_assert_eq!(found.len(), wanted.len());
                                for wish in &wanted {
                                    prop_assert!(found.contains(&(wish.topic.clone(), wish.partition)));
                                }
                                break;
                            }
                            Err(code) => {
                                let answer = FetchResponse::default().with_error_code(code.0);
                                let frame = frame_of(version, answer.clone());
                                let error = session.handle(answer).unwrap_err();
                                prop_assert_eq!(twin.handle_frame(version, &frame, &mut Vec::new()), Err(error.clone()));
                                prop_assert_eq!(error, FetchSessionError::Reset { code });
                                resets += 1;
                                prop_assert!(resets <= 1, "one reset is enough");
                            }
                        }
                    }
                }
            }
        }
    }
}

fn wish(partition: i32) -> FetchPartition {
    FetchPartition {
        topic: "t".into(),
        topic_id: Some(Uuid::from_u128(7)),
        partition,
        offset: 0,
        leader_epoch: 0,
        last_fetched_epoch: -1,
        bytes_max: 1,
    }
}

/// broker-probes P12: no slot means full fetches, and a try now and then.
#[test]
fn without_a_slot_a_session_is_tried_now_and_then() {
    let (versions, settings) = (versions(17), FetchSettings::default());
    let mut session = FetchSession::new();
    let mut tries = 0;
    for _ in 0..=FETCHES_WITHOUT_SESSION {
        let (request, _) = session.request(&versions, &settings, &[wish(0)]);
        assert_eq!(request.topics.len(), 1);
        tries += u32::from(request.session_epoch == INITIAL_EPOCH);
        session.handle(answer(0, &expected(&[wish(0)], 17))).unwrap();
    }
    assert_eq!(tries, 1);
    let (request, _) = session.request(&versions, &settings, &[wish(0)]);
    assert_eq!(request.session_epoch, INITIAL_EPOCH);
}

/// BF-21: no partition is always the last one of a full fetch.
#[test]
fn full_fetches_rotate() {
    let (versions, settings) = (versions(6), FetchSettings::default());
    let wanted = [wish(0), wish(1), wish(2)];
    let mut session = FetchSession::new();
    let mut firsts = Vec::new();
    for _ in 0..3 {
        let (request, _) = session.request(&versions, &settings, &wanted);
        firsts.push(request.topics[0].partitions[0].partition);
        session.handle(answer(0, &BTreeMap::new())).unwrap();
    }
    assert_eq!(firsts, [0, 1, 2]);
}

#[test]
fn strange_answers_reset_the_session() {
    let (versions, settings) = (versions(17), FetchSettings::default());
    let check = |strange: FetchResponse| {
        let mut session = FetchSession::new();
        session.request(&versions, &settings, &[wish(0)]);
        session.handle(answer(5, &expected(&[wish(0)], 17))).unwrap();
        session.request(&versions, &settings, &[wish(0)]);
        assert!(matches!(session.handle(strange), Err(FetchSessionError::OutOfStep { .. })));
        let (request, _) = session.request(&versions, &settings, &[wish(0)]);
        assert_eq!((request.session_epoch, request.topics.len()), (INITIAL_EPOCH, 1));
    };
    check(answer(6, &BTreeMap::new()));
    check(answer(5, &expected(&[wish(1)], 17)));
    let other = FetchPartition { topic_id: Some(Uuid::from_u128(8)), ..wish(0) };
    check(answer(5, &expected(&[other], 17)));
    // What was not asked for is left to the decoder, which says so.
    let mut session = FetchSession::new();
    session.request(&versions, &settings, &[wish(0)]);
    let (frame, mut found) = (frame_of(17, answer(5, &expected(&[wish(1)], 17))), Vec::new());
    assert_eq!(session.handle_frame(17, &frame, &mut found), Ok(false));
    assert_eq!(found, []);
    assert!(FetchSession::new().handle(answer(5, &BTreeMap::new())).is_err());
}
