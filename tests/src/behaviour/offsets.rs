//! ListOffsets: first, last, by time.

use bytes::Bytes;
use kafka_client::{ClientError, Isolation, OffsetSpec, TopicPartition};
use kafka_sim::Release;
use kafka_wire::{
    ErrorCode,
    record::{BatchOptions, Record, encode_batch},
};

use super::env::{Env, appended};

pub(super) async fn offsets_are_listed_by_time(env: &Env) {
    let topic = env.topic(2, &[]).await;
    let at = TopicPartition::new(&topic, 0);
    let missing = TopicPartition::new(&topic, 9);
    let start = super::env::records(&["now"])[0].timestamp - 100_000;
    for base in [0, 3] {
        let batch: Vec<_> = (0..3)
            .map(|index| Record {
                offset: index,
                timestamp: start + (base + index) * 1000,
                key: None,
                value: Some(Bytes::from_static(b"v")),
                headers: Vec::new(),
            })
            .collect();
        appended(
            &env.produce(&topic, encode_batch(&BatchOptions::default(), &batch).unwrap()).await,
        );
    }
    let list = async |spec| {
        let wanted = vec![(at.clone(), spec)];
        env.client
            .list_offsets(wanted, Isolation::ReadUncommitted)
            .await
            .map(|mut found| found.remove(&at).unwrap())
    };
    let offset = async |spec| list(spec).await.unwrap().unwrap().offset;
    assert_eq!(offset(OffsetSpec::Earliest).await, 0);
    assert_eq!(offset(OffsetSpec::Latest).await, 6);
    assert_eq!(offset(OffsetSpec::Timestamp(0)).await, 0);
    assert_eq!(offset(OffsetSpec::Timestamp(start + 1000)).await, 1);
    assert_eq!(offset(OffsetSpec::Timestamp(start + 1001)).await, 2);
    assert_eq!(offset(OffsetSpec::Timestamp(start + 4000)).await, 4);
    // BF-29: nothing is that young.
    assert_eq!(offset(OffsetSpec::Timestamp(start + 5001)).await, -1);
    let found = list(OffsetSpec::Timestamp(start + 3500)).await.unwrap().unwrap();
    assert_eq!((found.offset, found.timestamp), (4, start + 4000));

    match list(OffsetSpec::MaxTimestamp).await {
        Ok(found) => assert_eq!((env.release >= Release::V3_9, found.unwrap().offset), (true, 5)),
        Err(error) => assert!(
            env.release < Release::V3_9 && matches!(error, ClientError::Unsupported { .. }),
            "{error}"
        ),
    }

    let wanted = vec![(at.clone(), OffsetSpec::Latest), (missing.clone(), OffsetSpec::Latest)];
    let found = env.client.list_offsets(wanted, Isolation::ReadCommitted).await.unwrap();
    assert_eq!(found[&at].unwrap().offset, 6);
    assert_eq!(found[&missing], Err(ErrorCode::UNKNOWN_TOPIC_OR_PARTITION));
}
