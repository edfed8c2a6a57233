//! The answer to a Produce request in which nothing went wrong, read without allocating.

use super::{FLEXIBLE_FROM, ProduceTopic, TOPIC_ID_FROM};
use crate::primitive::Take;

/// From here on an answer tells where a log begins, and from the second one on which records are to blame, in words.
const LOG_START_FROM: i16 = 5;
const RECORD_ERRORS_FROM: i16 = 8;

/// A batch that was appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Index of its topic in the request.
    pub topic: usize,
    /// Partition index.
    pub partition: i32,
    /// Offset of the batch's first record.
    pub base_offset: i64,
    /// The broker's time if the topic stamps it, else -1.
    pub log_append_time_ms: i64,
    /// First offset of the log; -1 unless known.
    pub log_start_offset: i64,
}

/// Reads an answer frame (after its length) to a request with `topics`. False when it says anything but that batches were appended, and
/// when it is not in order: then it is to be decoded whole, and what was given to `appended` is void.
///
/// # Source
/// `ProduceResponse.json` of Apache Kafka 4.2.
pub fn read_appended(
    version: i16,
    frame: &[u8],
    topics: &[ProduceTopic],
    appended: impl FnMut(Appended),
) -> bool {
    let flexible = version >= FLEXIBLE_FROM;
    Reader { version, take: Take { flexible, left: frame } }.read(topics, appended).is_some()
}

struct Reader<'a> {
    version: i16,
    take: Take<'a>,
}

impl Reader<'_> {
    fn read(&mut self, topics: &[ProduceTopic], mut appended: impl FnMut(Appended)) -> Option<()> {
        let _correlation_id = self.take.i32()?;
        self.take.no_tags()?;
        let count = self.take.count()?;
        let mut expected = 0;
        for _ in 0..count {
            let topic = self.topic(topics, expected)?;
            expected = topic + 1;
            for _ in 0..self.take.count()? {
                appended(self.partition(topic)?);
            }
            self.take.no_tags()?;
        }
        let _throttle_ms = self.take.i32()?;
        self.take.no_tags()?;
        self.take.left.is_empty().then_some(())
    }

    /// The index of the topic that is answered, most likely `expected`.
    fn topic(&mut self, topics: &[ProduceTopic], expected: usize) -> Option<usize> {
        let order = (expected..topics.len()).chain(0..expected.min(topics.len()));
        if self.version >= TOPIC_ID_FROM {
            let id: [u8; 16] = self.take.array()?;
            return order.into_iter().find(|index| *topics[*index].topic_id.as_bytes() == id);
        }
        let name = self.take.string()?;
        order.into_iter().find(|index| topics[*index].name.as_bytes() == name)
    }

    fn partition(&mut self, topic: usize) -> Option<Appended> {
        let partition = self.take.i32()?;
        if self.take.i16()? != 0 {
            return None;
        }
        let appended = Appended {
            topic,
            partition,
            base_offset: self.take.i64()?,
            log_append_time_ms: self.take.i64()?,
            log_start_offset: match self.version {
                LOG_START_FROM.. => self.take.i64()?,
                _ => -1,
            },
        };
        if self.version >= RECORD_ERRORS_FROM {
            let is_blameless = self.take.count()? == 0 && self.take.is_null()?;
            if !is_blameless {
                return None;
            }
        }
        self.take.no_tags()?;
        Some(appended)
    }
}
