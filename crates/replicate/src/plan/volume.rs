//! How much there is to copy: records from offsets, bytes estimated from samples of the log.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use kafka_client::{Client, Isolation, OffsetSpec, TopicPartition};
use kafka_wire::ErrorCode;
use kafka_wire::record::split;

use super::finding::Problem;
use super::judge::Effective;
use super::known::Known;
use crate::spec::{StartPosition, TaskSpec};
use crate::tail_fetch::fetch_up_to;
use crate::task::{Role, TaskError};
use crate::topic_config::TopicConfig;
use crate::topics::survey::Wanted;

/// Partitions of one topic that are sampled, and partitions sampled in all: a plan stays quick.
const TOPIC_SAMPLES_MAX: usize = 3;
const SAMPLES_MAX: usize = 200;

/// Bytes of one sample; a larger batch comes whole.
const SAMPLE_BYTES: i32 = 64 << 10;

/// Partitions with the offsets that are to be copied, by topic.
#[derive(Debug, Default)]
pub(super) struct Spans {
    spans: BTreeMap<String, Vec<Span>>,
    /// Partitions that could not be asked about.
    pub(super) unreadable: Vec<(TopicPartition, ErrorCode)>,
}

#[derive(Debug)]
struct Span {
    at: TopicPartition,
    start: i64,
    end: i64,
}

type Listed = BTreeMap<TopicPartition, Result<kafka_client::ListedOffset, ErrorCode>>;

async fn list(
    source: &Client,
    partitions: &[TopicPartition],
    spec: OffsetSpec,
) -> Result<Listed, TaskError> {
    let asked = partitions.iter().map(|at| (at.clone(), spec)).collect();
    source
        .list_offsets(asked, Isolation::ReadCommitted)
        .await
        .map_err(TaskError::client(Role::Source))
}

impl Spans {
    /// Asks where each partition of `topics` begins for the task, and where it ends.
    pub(super) async fn ask(
        spec: &TaskSpec,
        source: &Client,
        known: &Known,
        topics: &[&Wanted],
    ) -> Result<Self, TaskError> {
        let partitions: Vec<_> = topics
            .iter()
            .flat_map(|(topic, _)| {
                let indexes = topic.partitions.iter().map(|partition| partition.partition);
                indexes.map(|index| TopicPartition::new(topic.name.clone(), index))
            })
            .collect();
        let earliest = list(source, &partitions, OffsetSpec::Earliest).await?;
        let latest = list(source, &partitions, OffsetSpec::Latest).await?;
        let at_time = match spec.start {
            StartPosition::Timestamp(at) => {
                list(source, &partitions, OffsetSpec::Timestamp(at)).await?
            }
            _ => Listed::new(),
        };
        let mut spans = Self::default();
        for at in partitions {
            let (first, end) = match (earliest.get(&at), latest.get(&at)) {
                (Some(Ok(first)), Some(Ok(end))) => (first.offset, end.offset),
                (Some(Err(code)), _) | (_, Some(Err(code))) => {
                    spans.unreadable.push((at, *code));
                    continue;
                }
                _ => continue,
            };
            let start = match (known.position(&at.topic, at.partition), spec.start) {
                (Some(position), _) => position.max(first),
                (None, _) if known.is_late(&at.topic, at.partition) => first,
                (None, StartPosition::Earliest) => first,
                (None, StartPosition::Latest) => end,
                (None, StartPosition::Timestamp(_)) => match at_time.get(&at) {
                    Some(Ok(found)) if found.offset >= 0 => found.offset.max(first),
                    _ => end,
                },
            };
            let topic = at.topic.clone();
            spans.spans.entry(topic).or_default().push(Span { at, start, end });
        }
        Ok(spans)
    }

    /// Records of a topic; offsets without one count as well.
    pub(super) fn records(&self, topic: &str) -> u64 {
        let spans = self.spans.get(topic).into_iter().flatten();
        spans.map(|span| u64::try_from(span.end - span.start).unwrap_or(0)).sum()
    }

    /// Whether records that would be copied are older than the target keeps them, while the source keeps them longer.
    pub(super) async fn outlived(
        &self,
        source: &Client,
        topic: &str,
        config: &TopicConfig,
        target: &Effective,
    ) -> Result<Option<Problem>, TaskError> {
        let Some(target_ms) = target.retention_ms() else { return Ok(None) };
        let source_ms: Option<i64> =
            config.value("retention.ms").and_then(|value| value.trim().parse().ok());
        // What the source deletes as early is no loss of the copy.
        if source_ms.is_some_and(|ms| (0..=target_ms).contains(&ms)) {
            return Ok(None);
        }
        let Some(spans) = self.spans.get(topic) else { return Ok(None) };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = i64::try_from(now.as_millis()).unwrap_or(i64::MAX);
        let partitions: Vec<_> = spans.iter().map(|span| span.at.clone()).collect();
        let kept = OffsetSpec::Timestamp(now_ms.saturating_sub(target_ms).max(0));
        let kept = list(source, &partitions, kept).await?;
        let mut records = 0;
        for span in spans {
            let first_kept = match kept.get(&span.at) {
                Some(Ok(found)) if found.offset >= 0 => found.offset.min(span.end),
                Some(Ok(_)) => span.end,
                _ => continue,
            };
            records += u64::try_from(first_kept - span.start).unwrap_or(0);
        }
        Ok((records > 0).then_some(Problem::RetentionTooShort { target_ms, source_ms, records }))
    }

    /// Looks into some partitions for how large their records are.
    pub(super) async fn sample(&self, source: &Client) -> Sizes {
        let mut sizes = Sizes::default();
        let mut count = 0;
        for (topic, spans) in &self.spans {
            let filled = spans.iter().filter(|span| span.end > span.start);
            for span in filled.take(TOPIC_SAMPLES_MAX) {
                if count == SAMPLES_MAX {
                    return sizes;
                }
                count += 1;
                let sizes = sizes.topics.entry(topic.clone()).or_default();
                // The beginning and the middle: what is written changes with time.
                for offset in [span.start, span.start + (span.end - span.start) / 2] {
                    sizes.add(sample(source, span, offset).await);
                }
            }
        }
        sizes
    }
}

/// Bytes and records from `offset` on; nothing when that cannot be read now.
async fn sample(source: &Client, span: &Span, offset: i64) -> (u64, u64) {
    let fetched =
        fetch_up_to(source, &span.at, offset, Isolation::ReadCommitted, SAMPLE_BYTES).await;
    let Ok(fetched) = fetched else { return (0, 0) };
    let (mut bytes, mut first, mut next) = (0, offset, offset);
    for batch in split(fetched.records) {
        let Ok(batch) = batch else { break };
        if batch.next_offset() > span.end {
            break;
        }
        bytes += batch.size_bytes();
        first = first.min(batch.base_offset());
        next = batch.next_offset();
    }
    // Gaps count here because they count in the number of records.
    (u64::try_from(bytes).unwrap_or(0), u64::try_from(next - first).unwrap_or(0))
}

/// What samples showed.
#[derive(Debug, Default)]
pub(super) struct Sizes {
    topics: BTreeMap<String, Size>,
}

/// Sampled bytes and records.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    bytes: u64,
    records: u64,
}

impl Size {
    fn add(&mut self, (bytes, records): (u64, u64)) {
        self.bytes += bytes;
        self.records += records;
    }

    fn bytes_of(self, records: u64) -> Option<u64> {
        let bytes = u128::from(records) * u128::from(self.bytes);
        Some(u64::try_from(bytes.checked_div(self.records.into())?).unwrap_or(u64::MAX))
    }
}

impl Sizes {
    /// The size of so many records of a topic; by those of all others where it was not sampled.
    pub(super) fn bytes(&self, topic: &str, records: u64) -> Option<u64> {
        if records == 0 {
            return Some(0);
        }
        let own = self.topics.get(topic).and_then(|size| size.bytes_of(records));
        own.or_else(|| {
            let mut all = Size::default();
            for size in self.topics.values() {
                all.add((size.bytes, size.records));
            }
            all.bytes_of(records)
        })
    }
}
