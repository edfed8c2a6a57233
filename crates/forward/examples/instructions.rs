//! One step on the way of a batch, repeated: `instructions STEP COUNT`. `cargo xtask bench --suite instructions` counts what it takes.

use std::error::Error;
use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use forward::{AbortedFilter, SourceOffset, Stamp, TargetTraits, decide, patched_header};
use kafka_wire::Uuid;
use kafka_wire::compression::Compression;
use kafka_wire::fetch::read_fetched;
use kafka_wire::messages::FetchResponse;
use kafka_wire::messages::fetch_response::{FetchableTopicResponse, PartitionData};
use kafka_wire::produce::{ProducePartition, ProduceScratch, ProduceTopic, encode_produce};
use kafka_wire::protocol::{Encodable as _, StrBytes};
use kafka_wire::record::{
    BatchMerger, BatchOptions, BatchV2, Record, RecordLimits, encode_batch, split,
};

const FETCH_VERSION: i16 = 17;
const PRODUCE_VERSION: i16 = 12;
const STAMP: Stamp = Stamp { producer_id: 4711, producer_epoch: 3, base_sequence: 12345 };

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: instructions STEP COUNT";
    let step = arguments.next().ok_or(usage)?;
    let count: u32 = arguments.next().ok_or(usage)?.parse()?;
    match step.as_str() {
        "patch" => patch(count),
        "split" => split_frame(count),
        "decide" => judge(count),
        "merge" => merge(count),
        "fetch" => fetch(count),
        "produce" => produce(count),
        _ => Err(usage.into()),
    }
}

/// A batch of records of about 1 KiB, as the source numbers it.
fn batch(offset: i64, records: usize) -> Result<Bytes> {
    let records: Vec<Record> = (0..records)
        .map(|index| Record {
            offset: offset + i64::try_from(index).unwrap_or(0),
            timestamp: 1_700_000_000_000,
            key: Some(Bytes::from_static(b"key")),
            value: Some(Bytes::from(vec![b'x'; 940])),
            headers: Vec::new(),
        })
        .collect();
    let options = BatchOptions { base_offset: offset, ..BatchOptions::default() };
    Ok(encode_batch(&options, &records)?)
}

fn patch(count: u32) -> Result<()> {
    let batch = BatchV2::parse(batch(100, 64)?)?;
    for _ in 0..count {
        black_box(patched_header(black_box(&batch.header), black_box(&STAMP)));
    }
    Ok(())
}

/// Counts batches, not frames: the frame is split anew once all of it was given.
fn split_frame(count: u32) -> Result<()> {
    let mut frame = BytesMut::new();
    for index in 0..16 {
        frame.extend_from_slice(&batch(index * 64, 64)?);
    }
    let frame = frame.freeze();
    let mut batches = split(frame.clone());
    for _ in 0..count {
        let next = batches.next().or_else(|| {
            batches = split(frame.clone());
            batches.next()
        });
        black_box(next.ok_or("no batch")??);
    }
    Ok(())
}

fn judge(count: u32) -> Result<()> {
    let batch = split(batch(100, 64)?).next().ok_or("no batch")??;
    let traits = TargetTraits::default();
    let mut aborted = AbortedFilter::new([]);
    for _ in 0..count {
        black_box(decide(black_box(&batch), SourceOffset(100), &mut aborted, &traits)?);
    }
    Ok(())
}

fn merge(count: u32) -> Result<()> {
    let (first, second) = (BatchV2::parse(batch(100, 1)?)?, BatchV2::parse(batch(101, 1)?)?);
    let limits = RecordLimits::default();
    for _ in 0..count {
        let mut merger = BatchMerger::new(Compression::None, 2200, 512 << 10);
        merger.push(black_box(&first), &limits)?;
        merger.push(black_box(&second), &limits)?;
        black_box(merger.finish()?);
    }
    Ok(())
}

/// Counts partitions.
fn fetch(count: u32) -> Result<()> {
    const PARTITIONS: u32 = 100;
    let records = batch(100, 1)?;
    let partition = |index: u32| {
        PartitionData::default()
            .with_partition_index(i32::try_from(index).unwrap_or(0))
            .with_high_watermark(101)
            .with_last_stable_offset(101)
            .with_records(Some(records.clone()))
    };
    let topic = FetchableTopicResponse::default()
        .with_topic_id(Uuid::from_u128(7))
        .with_partitions((0..PARTITIONS).map(partition).collect());
    let mut frame = BytesMut::new();
    frame.extend_from_slice(&[0, 0, 0, 9, 0]); // correlation id, no tagged fields
    FetchResponse::default().with_responses(vec![topic]).encode(&mut frame, FETCH_VERSION)?;
    let frame = frame.freeze();
    for _ in 0..count / PARTITIONS {
        let head = read_fetched(FETCH_VERSION, black_box(&frame), |partition| {
            black_box(partition);
            true
        });
        black_box(head).ok_or("the answer is not ordinary")?;
    }
    Ok(())
}

/// Counts batches.
fn produce(count: u32) -> Result<()> {
    const BATCHES: u32 = 16;
    let batch = BatchV2::parse(batch(100, 64)?)?;
    let header = Bytes::copy_from_slice(&patched_header(&batch.header, &STAMP));
    let partition = |partition: u32| ProducePartition {
        partition: i32::try_from(partition).unwrap_or(0),
        header: header.clone(),
        payload: batch.payload(),
    };
    let topics = [ProduceTopic {
        name: StrBytes::from_static_str("topic"),
        topic_id: Uuid::from_u128(7),
        partitions: (0..BATCHES).map(partition).collect(),
    }];
    let mut scratch = ProduceScratch::default();
    for _ in 0..count / BATCHES {
        let topics = black_box(&topics);
        black_box(encode_produce(&mut scratch, 9, "kferry", PRODUCE_VERSION, -1, 30_000, topics));
    }
    Ok(())
}
