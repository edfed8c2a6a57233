//! The answer to a Produce request in which nothing went wrong, read without allocating.

use super::{FLEXIBLE_FROM, ProduceTopic, TOPIC_ID_FROM};

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
    Reader { version, flexible, left: frame }.read(topics, appended).is_some()
}

struct Reader<'a> {
    version: i16,
    flexible: bool,
    left: &'a [u8],
}

impl Reader<'_> {
    fn read(&mut self, topics: &[ProduceTopic], mut appended: impl FnMut(Appended)) -> Option<()> {
        let _correlation_id: [u8; 4] = self.take()?;
        self.no_tags()?;
        let count = self.count()?;
        let mut expected = 0;
        for _ in 0..count {
            let topic = self.topic(topics, expected)?;
            expected = topic + 1;
            for _ in 0..self.count()? {
                appended(self.partition(topic)?);
            }
            self.no_tags()?;
        }
        let _throttle_ms: [u8; 4] = self.take()?;
        self.no_tags()?;
        self.left.is_empty().then_some(())
    }

    /// The index of the topic that is answered, most likely `expected`.
    fn topic(&mut self, topics: &[ProduceTopic], expected: usize) -> Option<usize> {
        let order = (expected..topics.len()).chain(0..expected.min(topics.len()));
        if self.version >= TOPIC_ID_FROM {
            let id: [u8; 16] = self.take()?;
            return order.into_iter().find(|index| *topics[*index].topic_id.as_bytes() == id);
        }
        let length =
            if self.flexible { self.count()? } else { usize::try_from(self.i16()?).ok()? };
        let name = self.bytes(length)?;
        order.into_iter().find(|index| topics[*index].name.as_bytes() == name)
    }

    fn partition(&mut self, topic: usize) -> Option<Appended> {
        let partition = i32::from_be_bytes(self.take()?);
        if self.i16()? != 0 {
            return None;
        }
        let appended = Appended {
            topic,
            partition,
            base_offset: i64::from_be_bytes(self.take()?),
            log_append_time_ms: i64::from_be_bytes(self.take()?),
            log_start_offset: match self.version {
                LOG_START_FROM.. => i64::from_be_bytes(self.take()?),
                _ => -1,
            },
        };
        if self.version >= RECORD_ERRORS_FROM {
            let is_blameless = self.count()? == 0 && self.is_null()?;
            if !is_blameless {
                return None;
            }
        }
        self.no_tags()?;
        Some(appended)
    }

    fn bytes(&mut self, length: usize) -> Option<&[u8]> {
        let (bytes, left) = self.left.split_at_checked(length)?;
        self.left = left;
        Some(bytes)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.try_into().ok()
    }

    fn i16(&mut self) -> Option<i16> {
        Some(i16::from_be_bytes(self.take()?))
    }

    /// An array's count, or a compact string's length. A larger one than a few bytes can say is left to the decoder.
    fn count(&mut self) -> Option<usize> {
        if !self.flexible {
            return usize::try_from(i32::from_be_bytes(self.take()?)).ok();
        }
        let [low] = self.take()?;
        let value = if low < 0x80 {
            usize::from(low)
        } else {
            let [high] = self.take()?;
            if high >= 0x80 {
                return None;
            }
            usize::from(high) << 7 | usize::from(low & 0x7f)
        };
        value.checked_sub(1)
    }

    /// Whether a nullable string is null.
    fn is_null(&mut self) -> Option<bool> {
        if self.flexible { Some(self.take()? == [0]) } else { Some(self.i16()? == -1) }
    }

    /// An empty section of tagged fields, where the version has them.
    fn no_tags(&mut self) -> Option<()> {
        let is_empty = !self.flexible || self.take()? == [0];
        is_empty.then_some(())
    }
}
