//! Records: written, read, deleted.

use bytes::Bytes;
use kafka_client::{Isolation, OffsetSpec, TopicPartition};
use kafka_sim::Release;
use kafka_wire::{
    ErrorCode,
    compression::Compression,
    record::{BatchOptions, Header, Record, RecordLimits, encode_batch, split},
};

use super::env::{Env, appended, plain, records};

pub(super) async fn records_come_back_as_they_went(env: &Env) {
    let topic = env.topic(1, &[]).await;
    let mut codecs =
        vec![Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4];
    if env.release >= Release::V2_8 {
        codecs.push(Compression::Zstd);
    }
    let mut sent: Vec<Record> = Vec::new();
    for compression in codecs {
        let mut batch = records(&["a", "bb", &"c".repeat(10_000)]);
        batch[0].key = None;
        batch[1].value = None;
        batch[2].headers = vec![
            Header { key: Bytes::from_static(b"h"), value: Some(Bytes::from_static(b"1")) },
            Header { key: Bytes::from_static(b"h"), value: None },
            Header { key: Bytes::from_static(b"\xff\xfe"), value: Some(Bytes::new()) },
        ];
        let bytes =
            encode_batch(&BatchOptions { compression, ..BatchOptions::default() }, &batch).unwrap();
        let base = appended(&env.produce(&topic, bytes).await);
        assert_eq!(base, i64::try_from(sent.len()).unwrap());
        sent.extend(
            batch.into_iter().map(|record| Record { offset: base + record.offset, ..record }),
        );
    }
    let end = i64::try_from(sent.len()).unwrap();

    let fetched = env.fetch(env.wanted(&topic, 0, 0).await).await;
    assert_eq!(fetched.error, ErrorCode::NONE);
    assert_eq!(fetched.high_watermark, end);
    let mut found = Vec::new();
    for batch in split(fetched.records) {
        let batch = batch.unwrap();
        batch.verify_crc().unwrap();
        found.extend(batch.records(&RecordLimits::default()).unwrap());
    }
    assert_eq!(found, sent);

    let past = env.fetch(env.wanted(&topic, 0, end + 5).await).await;
    assert_eq!(past.error, ErrorCode::OFFSET_OUT_OF_RANGE);
    assert!(past.records.is_empty());
}

pub(super) async fn deleted_records_move_the_start(env: &Env) {
    let topic = env.topic(1, &[]).await;
    let at = TopicPartition::new(&topic, 0);
    for _ in 0..3 {
        appended(&env.produce(&topic, plain(&["a", "b", "c", "d"])).await);
    }
    let deleted = env.client.delete_records(vec![(at.clone(), 6)]).await.unwrap();
    assert_eq!(deleted[&at], Ok(6));
    let past = env.client.delete_records(vec![(at.clone(), 99)]).await.unwrap();
    assert_eq!(past[&at], Err(ErrorCode::OFFSET_OUT_OF_RANGE));
    let listed = env
        .client
        .list_offsets(vec![(at.clone(), OffsetSpec::Earliest)], Isolation::ReadUncommitted)
        .await
        .unwrap();
    assert_eq!(listed[&at].unwrap().offset, 6);

    // P8: in the middle of a batch the whole batch comes; below it nothing does.
    let fetched = env.fetch(env.wanted(&topic, 0, 6).await).await;
    let first = split(fetched.records).next().unwrap().unwrap();
    assert_eq!((first.base_offset(), first.last_offset()), (4, 7));
    let below = env.fetch(env.wanted(&topic, 0, 5).await).await;
    assert_eq!(below.error, ErrorCode::OFFSET_OUT_OF_RANGE);

    let all = env.client.delete_records(vec![(at.clone(), -1)]).await.unwrap();
    assert_eq!(all[&at], Ok(12));
    assert_eq!(env.end(&topic).await, 12);

    let compacted = env.topic(1, &[("cleanup.policy", "compact")]).await;
    appended(&env.produce(&compacted, plain(&["a", "b"])).await);
    let at = TopicPartition::new(&compacted, 0);
    let refused = env.client.delete_records(vec![(at.clone(), 1)]).await.unwrap();
    // P8 saw this on 1.1 and later.
    if env.release >= Release::V1_1 {
        assert_eq!(refused[&at], Err(ErrorCode::POLICY_VIOLATION));
    }
}
