//! Reads both clusters as a consumer of committed records does, and compares what comes out.
//!
//! It reads along while the demo runs, so that in the end only the last records are left to compare.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use kafka_client::{Client, Isolation, TopicPartition};
use kafka_wire::record::{Record, RecordLimits, split};
use replicate::verify::{CommittedFilter, Seen};
use serde::Serialize;
use tokio::{task::JoinHandle, time};
use tokio_util::sync::CancellationToken;

use super::topics::TOPICS;
use crate::{
    commands::reader::Reader,
    failure::Failure,
    output::{
        Output, table,
        text::{self, Paint},
    },
};

/// Between two looks for more records.
const PACE: Duration = Duration::from_millis(250);

/// A partition on both sides, being read.
type Pair = (JoinHandle<Result<Contents, Failure>>, JoinHandle<Result<Contents, Failure>>);

/// The comparison under way.
pub(super) struct Comparison {
    stop: CancellationToken,
    /// By topic, in the order of [`TOPICS`].
    topics: Vec<Vec<Pair>>,
}

/// One topic on both sides.
#[derive(Debug, Serialize)]
struct TopicResult {
    topic: &'static str,
    partitions: usize,
    source_records: u64,
    target_records: u64,
    equal: bool,
}

impl Comparison {
    /// Starts to read all partitions of all topics.
    pub(super) fn start(source: &Client, target: &Client) -> Self {
        let stop = CancellationToken::new();
        let read = |client: &Client, at: &TopicPartition| {
            tokio::spawn(follow(client.clone(), at.clone(), stop.clone()))
        };
        let topics = TOPICS
            .iter()
            .map(|topic| {
                let partitions = (0..topic.partitions).map(|partition| {
                    let at = TopicPartition::new(topic.name, partition);
                    (read(source, &at), read(target, &at))
                });
                partitions.collect()
            })
            .collect();
        Self { stop, topics }
    }

    /// Reads to the ends as they are now and shows the table; tells whether everything is equal.
    ///
    /// # Errors
    /// A [`Failure`] when a partition cannot be read.
    pub(super) async fn finish(self, output: &Output, paint: Paint) -> Result<bool, Failure> {
        self.stop.cancel();
        let mut results = Vec::new();
        for (topic, pairs) in TOPICS.iter().zip(self.topics) {
            let mut result = TopicResult {
                topic: topic.name,
                partitions: pairs.len(),
                source_records: 0,
                target_records: 0,
                equal: true,
            };
            for (source, target) in pairs {
                let (source, target) = (joined(source.await)?, joined(target.await)?);
                result.source_records += source.records;
                result.target_records += target.records;
                result.equal &= source == target;
            }
            results.push(result);
        }
        Ok(show(&results, output, paint))
    }
}

fn joined(
    result: Result<Result<Contents, Failure>, tokio::task::JoinError>,
) -> Result<Contents, Failure> {
    result.map_err(|error| Failure::failed("a reader ended unexpectedly").because(&error))?
}

fn show(topics: &[TopicResult], output: &Output, paint: Paint) -> bool {
    #[derive(Serialize)]
    struct Line<'a> {
        r#type: &'static str,
        equal: bool,
        topics: &'a [TopicResult],
    }
    let equal = topics.iter().all(|topic| topic.equal);
    output.json(&Line { r#type: "result", equal, topics });
    let headings = ["topic", "partitions", "source records", "target records", "equal"];
    let mut table = table::new(&headings, &[1, 2, 3]);
    for topic in topics {
        table.add_row(vec![
            topic.topic.to_owned(),
            topic.partitions.to_string(),
            text::count(topic.source_records),
            text::count(topic.target_records),
            if topic.equal { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    for line in table::lines(&table) {
        output.text(&line);
    }
    output.text(&if equal {
        paint.good("both clusters hold the same records in the same order")
    } else {
        paint.bad("the clusters differ")
    });
    equal
}

/// What a partition has held so far: how many committed records, and a digest of all of them in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Contents {
    records: u64,
    digest: u64,
}

impl Contents {
    fn add(&mut self, record: &Record) {
        let mut hasher = DefaultHasher::new();
        (self.digest, digest(record)).hash(&mut hasher);
        self.digest = hasher.finish();
        self.records += 1;
    }
}

/// Reads a partition along until told to stop, then to its end.
async fn follow(
    client: Client,
    at: TopicPartition,
    stop: CancellationToken,
) -> Result<Contents, Failure> {
    let mut contents = Contents::default();
    let mut reader = None;
    loop {
        let is_last = stop.is_cancelled();
        match &mut reader {
            // On the target the topic comes with the first copied records.
            None => match Reader::new(&client, at.clone(), Isolation::ReadCommitted).await {
                Ok(fresh) => reader = Some(fresh),
                Err(failure) if is_last => return Err(failure),
                Err(_) => {}
            },
            Some(reader) => reader.look_for_more().await?,
        }
        if let Some(reader) = &mut reader {
            read(reader, &at, &mut contents).await?;
        }
        if is_last {
            return Ok(contents);
        }
        tokio::select! {
            () = time::sleep(PACE) => {}
            () = stop.cancelled() => {}
        }
    }
}

async fn read(
    reader: &mut Reader,
    at: &TopicPartition,
    contents: &mut Contents,
) -> Result<(), Failure> {
    let damaged = |error: &dyn std::error::Error| Failure::failed(at.to_string()).because(error);
    while let Some(fetched) = reader.next().await? {
        let before = reader.offset;
        let aborted = fetched.aborted.iter().map(|one| (one.producer_id, one.first_offset));
        let mut filter = CommittedFilter::new(aborted.collect());
        for batch in split(fetched.records) {
            let batch = batch.map_err(|error| damaged(&error))?;
            batch.verify_crc().map_err(|error| damaged(&error))?;
            if filter.see(&batch).map_err(|error| damaged(&error))? == Seen::Committed {
                let records =
                    batch.records(&RecordLimits::default()).map_err(|error| damaged(&error))?;
                records
                    .iter()
                    .filter(|record| record.offset >= before)
                    .for_each(|record| contents.add(record));
            }
            reader.offset = reader.offset.max(batch.next_offset());
        }
        if reader.offset == before {
            let cause = format!("{at}: the broker sent no whole batch at offset {before}");
            return Err(Failure::failed(cause));
        }
    }
    Ok(())
}

/// Everything of a record but its offset, which may differ between clusters.
fn digest(record: &Record) -> u64 {
    let mut hasher = DefaultHasher::new();
    (record.timestamp, &record.key, &record.value).hash(&mut hasher);
    for header in &record.headers {
        (&header.key, &header.value).hash(&mut hasher);
    }
    record.headers.len().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use bytes::Bytes;

    use super::*;

    fn record(key: Option<&'static [u8]>, value: Option<&'static [u8]>, timestamp: i64) -> Record {
        let bytes = |data: Option<&'static [u8]>| data.map(Bytes::from_static);
        Record { offset: 0, timestamp, key: bytes(key), value: bytes(value), headers: Vec::new() }
    }

    fn contents(records: &[Record]) -> Contents {
        let mut contents = Contents::default();
        records.iter().for_each(|record| contents.add(record));
        contents
    }

    #[test]
    fn a_difference_is_seen() {
        let (one, two) = (record(None, Some(b"1"), 0), record(None, Some(b"2"), 0));
        let both = contents(&[one.clone(), two.clone()]);
        assert_eq!(both, contents(&[one.clone(), two.clone()]));
        assert_ne!(both, contents(&[two.clone(), one.clone()]), "order");
        assert_ne!(both, contents(std::slice::from_ref(&one)), "a missing record");
        assert_ne!(both, contents(&[one, two.clone(), two]), "a doubled record");
    }

    #[test]
    fn digests_tell_null_from_empty_and_see_every_part() {
        let all = [
            record(None, None, 0),
            record(Some(b""), None, 0),
            record(None, Some(b""), 0),
            record(Some(b"a"), Some(b"b"), 0),
            record(Some(b"ab"), Some(b""), 0),
            record(None, None, 1),
        ];
        let digests: BTreeSet<_> = all.iter().map(digest).collect();
        assert_eq!(digests.len(), all.len());
    }
}
