//! Messages of a topic: committed ones, a bounded number of each partition.

use kafka_client::{Client, Isolation, ListedOffset, OffsetSpec, TopicPartition, TopicQuery};
use kafka_wire::record::{Record, RecordLimits, split};
use replicate::verify::{CommittedFilter, Seen};

use super::sample::Sample;
use crate::{
    cli::{Position, TopicAt},
    commands::{check, reader::Reader},
    config,
    failure::Failure,
};

/// Reads up to `count` messages of a topic, in the order of partitions.
///
/// # Errors
/// A [`Failure`] when the topic cannot be read, or has no message there.
pub(super) async fn fetch(
    flag: &str,
    connection: &str,
    wanted: &TopicAt,
    count: usize,
) -> Result<Vec<Sample>, Failure> {
    let connection = config::connection(flag, connection)?;
    let client = check::client(&connection)?;
    let read = read(&client, wanted, count).await;
    client.close().await;
    let samples = read?;
    if samples.is_empty() {
        return Err(Failure::failed(format!("{}: there is no message there", wanted.topic))
            .cure("choose another position, such as @earliest"));
    }
    Ok(samples)
}

async fn read(client: &Client, wanted: &TopicAt, count: usize) -> Result<Vec<Sample>, Failure> {
    let partitions = match wanted.partition {
        Some(partition) => vec![partition],
        None => partitions(client, &wanted.topic).await?,
    };
    let mut samples = Vec::new();
    let partitions_count = partitions.len();
    for (index, partition) in partitions.into_iter().enumerate() {
        // Each partition has its share; what one lacks the later ones have more.
        let share = (count - samples.len()).div_ceil(partitions_count - index);
        if share == 0 {
            break;
        }
        let at = TopicPartition::new(wanted.topic.clone(), partition);
        samples.extend(partition_samples(client, &at, wanted.position, share).await?);
    }
    Ok(samples)
}

async fn partitions(client: &Client, topic: &str) -> Result<Vec<i32>, Failure> {
    let query = TopicQuery::Named(vec![topic.into()]);
    let metadata = client
        .refresh_metadata(query)
        .await
        .map_err(|error| Failure::failed(topic).because(&error).maybe_cure(error.cure()))?;
    // One that does not exist is told by the reader of its first partition.
    let count = metadata.topics.get(topic).map_or(1, |found| found.partitions.len().max(1));
    Ok((0..i32::try_from(count).unwrap_or(i32::MAX)).collect())
}

async fn partition_samples(
    client: &Client,
    at: &TopicPartition,
    position: Position,
    count: usize,
) -> Result<Vec<Sample>, Failure> {
    let mut reader = Reader::new(client, at.clone(), Isolation::ReadCommitted).await?;
    let count_offsets = i64::try_from(count).unwrap_or(i64::MAX);
    let from = match position {
        Position::Earliest => reader.start,
        // Markers and gaps take offsets, too: it may be a few less.
        Position::Latest => reader.end.saturating_sub(count_offsets).max(reader.start),
        Position::Offset(offset) if (reader.start..=reader.end).contains(&offset) => offset,
        Position::Offset(offset) => {
            return Err(Failure::failed(format!(
                "{at}: offset {offset} is outside {}..{}",
                reader.start, reader.end
            )));
        }
        Position::Time(milliseconds) => {
            time_offset(client, at, milliseconds).await?.unwrap_or(reader.end)
        }
    };
    reader.offset = from;
    let mut samples = Vec::new();
    while samples.len() < count
        && let Some(fetched) = reader.next().await?
    {
        let damaged =
            |error: &dyn std::error::Error| Failure::failed(at.to_string()).because(error);
        let before = reader.offset;
        let aborted = fetched.aborted.iter().map(|one| (one.producer_id, one.first_offset));
        let mut filter = CommittedFilter::new(aborted.collect());
        for batch in split(fetched.records) {
            if samples.len() >= count {
                break;
            }
            let batch = batch.map_err(|error| damaged(&error))?;
            if filter.see(&batch).map_err(|error| damaged(&error))? == Seen::Committed {
                let records =
                    batch.records(&RecordLimits::default()).map_err(|error| damaged(&error))?;
                let records = records.iter().filter(|record| record.offset >= before);
                samples.extend(records.map(|record| sample(at, record)));
            }
            reader.offset = reader.offset.max(batch.next_offset());
        }
        if reader.offset == before {
            let cause = format!("{at}: the broker sent no whole batch at offset {before}");
            return Err(Failure::failed(cause));
        }
    }
    samples.truncate(count);
    Ok(samples)
}

/// The first offset of a time, if there is one.
async fn time_offset(
    client: &Client,
    at: &TopicPartition,
    milliseconds: i64,
) -> Result<Option<i64>, Failure> {
    let spec = OffsetSpec::Timestamp(milliseconds);
    let listed = client
        .list_offsets(vec![(at.clone(), spec)], Isolation::ReadCommitted)
        .await
        .map_err(|error| Failure::failed(at.to_string()).because(&error))?;
    match listed.get(at) {
        Some(Ok(ListedOffset { offset, .. })) => Ok(Some(*offset).filter(|offset| *offset >= 0)),
        Some(Err(code)) => Err(Failure::failed(format!("{at}: {code}: {}", code.meaning()))),
        None => Ok(None),
    }
}

fn sample(at: &TopicPartition, record: &Record) -> Sample {
    let headers = record.headers.iter().map(|header| {
        let name = String::from_utf8_lossy(&header.key).into_owned();
        (name, header.value.as_ref().map(|value| value.to_vec()))
    });
    Sample {
        key: record.key.as_ref().map(|key| key.to_vec()),
        value: record.value.as_ref().map(|value| value.to_vec()),
        headers: headers.collect(),
        timestamp_ms: record.timestamp,
        topic: at.topic.to_string(),
        partition: at.partition,
        offset: record.offset,
        line: None,
    }
}
