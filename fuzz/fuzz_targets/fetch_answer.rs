//! The laws of the Fetch answer's own reader: it never panics or allocates, and what it reads the decoder reads as well, and the same. The
//! first byte is the version, the rest the frame.
#![no_main]

#[path = "../support/counting.rs"]
mod counting;

use bytes::Bytes;
use counting::Counting;
use kafka_wire::fetch::{TopicKey, VERSION_MAX, VERSION_MIN, read_fetched};
use kafka_wire::message::decode_response;
use kafka_wire::messages::FetchRequest;
use libfuzzer_sys::fuzz_target;

#[global_allocator]
static HEAP: Counting = Counting::new();

fuzz_target!(|data: &[u8]| {
    let Some((version, frame)) = data.split_first() else { return };
    let version = VERSION_MIN + i16::from(*version) % (VERSION_MAX - VERSION_MIN + 1);
    let frame = Bytes::copy_from_slice(frame);
    // The first clone of a frame promotes it, once.
    drop(frame.clone());
    let (head, heap) = HEAP.peak_of(|| read_fetched(version, &frame, |_| true));
    assert_eq!(heap, 0, "reading allocates");
    let Some(head) = head else { return };

    let (_, decoded) =
        decode_response::<FetchRequest>(version, frame.clone()).expect("what is read decodes");
    assert_eq!((head.error, head.session_id), (decoded.error_code, decoded.session_id));
    let topics = decoded.responses.iter();
    let mut partitions =
        topics.flat_map(|topic| topic.partitions.iter().map(move |partition| (topic, partition)));
    let again = read_fetched(version, &frame, |found| {
        let (topic, partition) = partitions.next().expect("the decoder has it as well");
        match found.topic {
            TopicKey::Name(name) => assert_eq!(name, &**topic.topic),
            TopicKey::Id(id) => assert_eq!(id, topic.topic_id),
        }
        assert_eq!(
            (found.partition, found.error, found.preferred_read_replica),
            (partition.partition_index, partition.error_code, partition.preferred_read_replica.0)
        );
        assert_eq!(
            (found.high_watermark, found.last_stable_offset, found.log_start_offset),
            (partition.high_watermark, partition.last_stable_offset, partition.log_start_offset)
        );
        let aborted = partition.aborted_transactions.iter().flatten();
        let aborted = aborted.map(|aborted| (aborted.producer_id.0, aborted.first_offset));
        assert!(found.aborted.eq(aborted));
        assert_eq!(found.records, partition.records.clone().unwrap_or_default());
        true
    });
    assert_eq!(again, Some(head));
    assert!(partitions.next().is_none(), "the decoder has more");
});
