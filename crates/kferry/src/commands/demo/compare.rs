//! Reads both clusters as a consumer of committed records does, and compares what comes out.

use std::{
    collections::BTreeSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use kafka_client::{AbortedTransaction, Client, Isolation, TopicPartition};
use kafka_wire::record::{Batch, ControlKind, Record, RecordLimits, split};
use serde::Serialize;

use super::topics::{DemoTopic, TOPICS};
use crate::{
    commands::reader::Reader,
    failure::Failure,
    output::{Output, table, text, text::Paint},
};

/// One topic on both sides.
#[derive(Debug, Serialize)]
struct Comparison {
    topic: &'static str,
    partitions: i32,
    source_records: usize,
    target_records: usize,
    equal: bool,
}

/// Compares all topics and shows the table; tells whether they are equal.
///
/// # Errors
/// A [`Failure`] when one of them cannot be read.
pub(super) async fn run(source: &Client, target: &Client, output: &Output, paint: Paint) -> Result<bool, Failure> {
    #[derive(Serialize)]
    struct Line<'a> {
        r#type: &'static str,
        equal: bool,
        topics: &'a [Comparison],
    }
    let mut topics = Vec::new();
    for topic in TOPICS {
        topics.push(compare(source, target, topic).await?);
    }
    let equal = topics.iter().all(|topic| topic.equal);
    output.json(&Line { r#type: "result", equal, topics: &topics });
    let mut table = table::new(&["topic", "partitions", "source records", "target records", "equal"], &[1, 2, 3]);
    for topic in &topics {
        table.add_row(vec![
            topic.topic.to_owned(),
            topic.partitions.to_string(),
            text::count(u64::try_from(topic.source_records).unwrap_or(u64::MAX)),
            text::count(u64::try_from(topic.target_records).unwrap_or(u64::MAX)),
            if topic.equal { "yes" } else { "NO" }.to_owned(),
        ]);
    }
    for line in table::lines(&table) {
        output.text(&line);
    }
    let verdict = if equal { paint.good("both clusters hold the same records in the same order") } else { paint.bad("the clusters differ") };
    output.text(&verdict);
    Ok(equal)
}

async fn compare(source: &Client, target: &Client, topic: DemoTopic) -> Result<Comparison, Failure> {
    let mut comparison = Comparison { topic: topic.name, partitions: topic.partitions, source_records: 0, target_records: 0, equal: true };
    for partition in 0..topic.partitions {
        let at = TopicPartition::new(topic.name, partition);
        let (left, right) = tokio::join!(read(source, at.clone()), read(target, at));
        let (left, right) = (left?, right?);
        comparison.source_records += left.digests.len();
        comparison.target_records += right.digests.len();
        comparison.equal &= left.equals(&right);
    }
    Ok(comparison)
}

/// What a partition holds: one digest per committed record, in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Contents {
    digests: Vec<u64>,
    /// The cluster has dropped the oldest records to bound its memory.
    trimmed: bool,
}

impl Contents {
    /// The same records in the same order; where old ones were dropped, as far back as both sides have them.
    fn equals(&self, other: &Self) -> bool {
        if !self.trimmed && !other.trimmed {
            return self.digests == other.digests;
        }
        let count = self.digests.len().min(other.digests.len());
        let tail = |digests: &[u64]| digests[digests.len() - count..].to_vec();
        count > 0 && tail(&self.digests) == tail(&other.digests)
    }
}

async fn read(client: &Client, at: TopicPartition) -> Result<Contents, Failure> {
    let mut reader = Reader::new(client, at.clone(), Isolation::ReadCommitted).await?;
    let mut contents = Contents { trimmed: reader.start > 0, ..Contents::default() };
    let damaged = |error: &dyn std::error::Error| Failure::failed(at.to_string()).because(error);
    while let Some(fetched) = reader.next().await? {
        let before = reader.offset;
        let mut filter = CommittedFilter::new(fetched.aborted);
        for batch in split(fetched.records) {
            let batch = batch.map_err(|error| damaged(&error))?;
            batch.verify_crc().map_err(|error| damaged(&error))?;
            if filter.passes(&batch) {
                let records = batch.records(&RecordLimits::default()).map_err(|error| damaged(&error))?;
                contents.digests.extend(records.iter().filter(|record| record.offset >= before).map(digest));
            }
            reader.offset = reader.offset.max(batch.next_offset());
        }
        if reader.offset == before {
            return Err(Failure::failed(format!("{at}: the broker sent no whole batch at offset {before}")));
        }
    }
    Ok(contents)
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

/// The consumer's rule of KIP-98, written here once more so that the copy is not judged by its own code.
struct CommittedFilter {
    /// Aborted transactions still to come, the next one last.
    ahead: Vec<AbortedTransaction>,
    /// Producers whose transaction under way will be aborted.
    aborting: BTreeSet<i64>,
}

impl CommittedFilter {
    fn new(mut aborted: Vec<AbortedTransaction>) -> Self {
        aborted.sort_by_key(|transaction| std::cmp::Reverse(transaction.first_offset));
        Self { ahead: aborted, aborting: BTreeSet::new() }
    }

    fn passes(&mut self, batch: &Batch) -> bool {
        let Batch::V2(batch) = batch else { return true };
        let header = &batch.header;
        while let Some(next) = self.ahead.pop_if(|next| next.first_offset <= header.last_offset()) {
            self.aborting.insert(next.producer_id);
        }
        if header.attributes.is_control() {
            if matches!(batch.control(), Ok(Some(control)) if control.kind == ControlKind::Abort) {
                self.aborting.remove(&header.producer_id);
            }
            return false;
        }
        !(header.attributes.is_transactional() && self.aborting.contains(&header.producer_id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(digests: &[u64], trimmed: bool) -> Contents {
        Contents { digests: digests.to_vec(), trimmed }
    }

    #[test]
    fn a_difference_is_seen() {
        let check = |left: &Contents, right: &Contents, expected: bool| assert_eq!(left.equals(right), expected, "{left:?} {right:?}");
        check(&contents(&[], false), &contents(&[], false), true);
        check(&contents(&[1, 2], false), &contents(&[1, 2], false), true);
        check(&contents(&[1, 2], false), &contents(&[2, 1], false), false);
        check(&contents(&[1, 2], false), &contents(&[1], false), false);
        check(&contents(&[1, 2, 3], false), &contents(&[2, 3], true), true);
        check(&contents(&[1, 2, 3], true), &contents(&[2, 4], true), false);
        check(&contents(&[1], true), &contents(&[], true), false);
    }

    #[test]
    fn digests_tell_null_from_empty_and_see_every_part() {
        let record = |key: Option<&'static [u8]>, value: Option<&'static [u8]>, timestamp| Record {
            offset: 0,
            timestamp,
            key: key.map(bytes::Bytes::from_static),
            value: value.map(bytes::Bytes::from_static),
            headers: Vec::new(),
        };
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
