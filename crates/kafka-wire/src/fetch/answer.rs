//! The answer to a Fetch request, read without allocating.

use bytes::Bytes;

use super::{FLEXIBLE_FROM, SESSION_FROM, TOPIC_ID_FROM};
use crate::Uuid;
use crate::primitive::Take;

/// What an answer says as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerHead {
    /// The broker's code for the whole request (v7+).
    pub error: i16,
    /// The session that the broker keeps; 0 for none.
    pub session_id: i32,
}

/// How an answer names a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicKey<'a> {
    /// By name, up to version 12.
    Name(&'a str),
    /// By id, from version 13 on.
    Id(Uuid),
}

/// What came from one partition.
#[derive(Clone, Debug)]
pub struct AnsweredPartition<'a> {
    /// Whose partition it is.
    pub topic: TopicKey<'a>,
    /// Partition index.
    pub partition: i32,
    /// The broker's code.
    pub error: i16,
    /// End of what is committed.
    pub high_watermark: i64,
    /// End of what no open transaction holds back.
    pub last_stable_offset: i64,
    /// First offset of the log; -1 unless known (v5+).
    pub log_start_offset: i64,
    /// Aborted transactions in these records.
    pub aborted: AbortedList<'a>,
    /// The replica to fetch from instead (v11+); -1 for none.
    pub preferred_read_replica: i32,
    /// The record batches, in the memory of the frame.
    pub records: Bytes,
}

/// Aborted transactions as they stand in the frame: (producer id, first offset).
#[derive(Clone, Debug)]
pub struct AbortedList<'a> {
    entries: &'a [u8],
    entry_bytes: usize,
}

impl Iterator for AbortedList<'_> {
    type Item = (i64, i64);

    fn next(&mut self) -> Option<Self::Item> {
        let (entry, left) = self.entries.split_at_checked(self.entry_bytes)?;
        self.entries = left;
        let mut take = Take { flexible: false, left: entry };
        Some((take.i64()?, take.i64()?))
    }
}

/// Reads an answer frame (after its length), partition by partition; `each` says whether to go on.
///
/// `None` when the frame holds what is not ordinary (a diverging epoch, a new leader, any other tagged field), when it is not in order, and
/// when `each` said so: then it is to be decoded whole, and what was given to `each` is void.
///
/// # Source
/// `FetchResponse.json` of Apache Kafka 4.2.
pub fn read_fetched(
    version: i16,
    frame: &Bytes,
    each: impl FnMut(AnsweredPartition<'_>) -> bool,
) -> Option<AnswerHead> {
    let take = Take { flexible: version >= FLEXIBLE_FROM, left: frame };
    Reader { version, frame, take }.read(each)
}

struct Reader<'a> {
    version: i16,
    frame: &'a Bytes,
    take: Take<'a>,
}

impl<'a> Reader<'a> {
    fn read(&mut self, mut each: impl FnMut(AnsweredPartition<'_>) -> bool) -> Option<AnswerHead> {
        let _correlation_id = self.take.i32()?;
        self.take.no_tags()?;
        let _throttle_ms = self.take.i32()?;
        let head = if self.version >= SESSION_FROM {
            AnswerHead { error: self.take.i16()?, session_id: self.take.i32()? }
        } else {
            AnswerHead { error: 0, session_id: 0 }
        };
        for _ in 0..self.take.count()? {
            let topic = self.topic()?;
            for _ in 0..self.take.count()? {
                if !each(self.partition(topic)?) {
                    return None;
                }
            }
            self.take.no_tags()?;
        }
        self.take.no_tags()?;
        self.take.left.is_empty().then_some(head)
    }

    fn topic(&mut self) -> Option<TopicKey<'a>> {
        if self.version >= TOPIC_ID_FROM {
            return Some(TopicKey::Id(Uuid::from_bytes(self.take.array()?)));
        }
        std::str::from_utf8(self.take.string()?).ok().map(TopicKey::Name)
    }

    fn partition(&mut self, topic: TopicKey<'a>) -> Option<AnsweredPartition<'a>> {
        let take = &mut self.take;
        let answered = AnsweredPartition {
            topic,
            partition: take.i32()?,
            error: take.i16()?,
            high_watermark: take.i64()?,
            last_stable_offset: take.i64()?,
            log_start_offset: if self.version >= 5 { take.i64()? } else { -1 },
            aborted: self.aborted()?,
            preferred_read_replica: if self.version >= 11 { self.take.i32()? } else { -1 },
            records: self.records()?,
        };
        self.take.no_tags()?;
        Some(answered)
    }

    fn aborted(&mut self) -> Option<AbortedList<'a>> {
        let count = self.take.nullable_count()?.unwrap_or(0);
        // With the mark of no tagged fields behind each, where the version has it.
        let entry_bytes = 16 + usize::from(self.take.flexible);
        let entries = self.take.bytes(count.checked_mul(entry_bytes)?)?;
        let has_tags =
            |entry: &[u8]| self.take.flexible && entry.last().is_some_and(|mark| *mark != 0);
        if entries.chunks_exact(entry_bytes).any(has_tags) {
            return None;
        }
        Some(AbortedList { entries, entry_bytes })
    }

    fn records(&mut self) -> Option<Bytes> {
        let Some(length) = self.take.nullable_count()? else { return Some(Bytes::new()) };
        let start = self.frame.len() - self.take.left.len();
        self.take.bytes(length)?;
        Some(self.frame.slice(start..start + length))
    }
}
